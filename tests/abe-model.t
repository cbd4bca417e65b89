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
from tap import BUILD, done, ok, run, same, scratch, skip  # noqa: E402

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


def archive():
    """An archive's wrap under a policy, from archive-format-keys.rst."""
    for args in (
            ("keyfile", "key"), ("init", "--keyfile", "key", "archive"),
            ("authority", "init", "x", "secret", "public"),
            ("authority", "issue", "-u", "u", "-o", "user", "secret", "a"),
            ("policy", "set", "--keyfile", "key", "--identity", "a@x OR b@x",
             "--authority", "public", "archive")):
        result = run(*args)
        ok(" ".join(args[:2]), not result.returncode, result.stderr)
    try:
        import format_reader as reader
    except ImportError as error:
        skip("a share under a policy", str(error))
        return
    whole = reader.Archive("archive", "key")
    name = whole.config.json["keysets"][-1]
    with open(f"archive/keysets/{name}.json", encoding="ascii") as f:
        keyset = json.load(f)
    wrap = next(w for w in keyset["wraps"] if w["under"] == "policy")
    place = whole.config.id + bytes.fromhex(name) + \
        reader.le(keyset["created"], 8) + b"\1"
    with open("user", "rb") as f:
        key = model.decapsulate(model.User(f.read()),
                                bytes.fromhex(wrap["key"]), place)
    keys = whole.keysets[bytes.fromhex(name)]
    same("a share under a policy", wrap["compartment"] == "identity" and
         reader.unwrap(key, bytes.fromhex(wrap["wrapped"]), place),
         keys[1] + keys[3] + reader.expand(
             whole.config.key, b"chaosimg directory mac key v1", 32) +
         whole.names)


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
    archive()
    done()


main()
