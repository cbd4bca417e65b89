#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The vectors as text, for tests/lib/cipher_vectors.c: a vector a line."""
import json


def vectors(name):
    with open(f"tests/vectors/{name}.json", encoding="ascii") as f:
        return json.load(f)


def line(kind, *fields):
    print(kind, *(field or "-" for field in fields))


for v in vectors("chaosimg"):
    line("chaosimg", v["key"], v["iv"], v["plaintext"], v["ciphertext"],
         "".join(v["linear_maps"]))
for v in vectors("hctr2-aes256"):
    line("hctr2", v["input"]["key_hex"], v["input"]["tweak_hex"],
         v["plaintext_hex"], v["ciphertext_hex"], "")
