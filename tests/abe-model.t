#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A second implementation of keys under policies, against the library's.

It opens the vectors that the library opens, too, and new ones that the library
has just made; of each it makes every byte again. ABE_ALL=1 does all of them,
instead of the shortest new one and the stored ones but the longest.
"""

import json
import os
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path[:0] = ["tests/lib", "tests/model"]
import abe_model as model  # noqa: E402
from tap import BUILD, done, ok, same, scratch  # noqa: E402

ALL = bool(os.environ.get("ABE_ALL"))


def known():
    p = model.hash2(b"", b"QUUX-V01-CS02-with-BLS12381G2_XMD:SHA-256_SSWU_RO_")
    same("hash_to_curve gives RFC 9380's first point (J.10.1)", hex(p[0].a),
         "0x141ebfbdca40eb85b87142e130ab689c673cf60f1a3e98d69335266f30d9b8d4"
         "ac44c1038e9dcdd5393faf5c41fb78a")
    ok("which is in the group", model.times(p, model.R) is None)
    ok("the pairing is bilinear",
       model.pairing(model.times(model.G1, 5), model.times(model.G2, 7)) ==
       model.GT ** 35 != model.ONE)
    ok("into the group", model.GT ** model.R == model.ONE)


def check(name, vector, verify=False):
    data = {key: bytes.fromhex(value) for key, value in vector.items()}
    user = model.User(data["user"])
    if verify:
        ok(f"{name}: the user's keys are what was issued", user.verify())
    same(f"{name}: {data['context'].decode()}",
         model.decapsulate(user, data["ciphertext"], data["context"]),
         data["key"])
    return user, data


def main():
    with open("tests/vectors/abe.json", encoding="ascii") as f:
        stored = json.load(f)
    top = scratch()
    known()
    for i, vector in enumerate(stored[:None if ALL else -1]):
        user, data = check(f"stored {i}", vector)
    made = subprocess.run([os.path.join(BUILD, "tests/test_abe_vectors")],
                          env={**os.environ, "ABE_NEW_VECTORS": top + "/new"},
                          capture_output=True, check=False)
    ok("the library makes new ones", made.returncode == 0, made.stdout)
    with open("new", encoding="ascii") as f:
        new = json.load(f)
    for i, vector in enumerate(new[:None if ALL else 1]):
        user, data = check(f"new {i}", vector, i == 0)
    same("another context is refused", model.decapsulate(
        user, data["ciphertext"], data["context"] + b"x"), None)
    done()


main()
