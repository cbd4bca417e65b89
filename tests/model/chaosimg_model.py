#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""
A plain model of the chaosimg cipher, to be read beside Documentation/cipher.rst
(its section numbers stand below). It is slow and not constant time.

Run as a program, it checks itself against tests/vectors and prints TAP.
"""
import json
import os
import sys

MASK64 = 2**64 - 1


def le(n):
    return n.to_bytes(16, "little")


def xor(a, b):
    return bytes(x ^ y for x, y in zip(a, b, strict=True))


def complement(a):
    return bytes(255 ^ x for x in a)


# --- AES (FIPS 197) ----------------------------------------------------------

def xtime(a):
    return (a << 1) ^ (0x11B if a & 0x80 else 0)


def gf256_mul(a, b):
    r = 0
    while b:
        if b & 1:
            r ^= a
        a, b = xtime(a), b >> 1
    return r


def sub_byte(x):
    y = next((y for y in range(256) if gf256_mul(x, y) == 1), 0)
    r = 0x63
    for n in range(5):
        r ^= (y << n | y >> (8 - n)) & 255
    return r


SBOX = bytes(sub_byte(x) for x in range(256))
BY2 = bytes(gf256_mul(2, x) for x in range(256))
# byte 4*c + r of the state is row r of column c
SHIFT_ROWS = [(i + 4 * (i % 4)) % 16 for i in range(16)]


def aes256_expand(key):
    w = [key[i:i + 4] for i in range(0, 32, 4)]
    rcon = 1
    for i in range(8, 60):
        t = w[i - 1]
        if i % 8 == 0:
            t = xor((t[1:] + t[:1]).translate(SBOX), bytes([rcon, 0, 0, 0]))
            rcon <<= 1
        elif i % 8 == 4:
            t = t.translate(SBOX)
        w.append(xor(t, w[i - 8]))
    return [b"".join(w[i:i + 4]) for i in range(0, 60, 4)]


def mix_columns(s):
    out = []
    for c in range(0, 16, 4):
        for r in range(4):
            a, b, d, e = (s[c + (r + j) % 4] for j in range(4))
            out.append(BY2[a ^ b] ^ b ^ d ^ e)
    return bytes(out)


def inv_mix_columns(s):  # MixColumns has order 4
    return mix_columns(mix_columns(mix_columns(s)))


# --- 2: the lattice ----------------------------------------------------------

def rotate(x, n):
    return (x << n | x >> (64 - n)) & MASK64


def logistic(x):
    return (x * (x ^ MASK64) >> 62) & MASK64


def lattice_step(x, w):
    y = [logistic(v) for v in x]
    w = (w + 0x9E3779B97F4A7C15) & MASK64
    x = [(y[i] + rotate(y[(i + 7) % 8], 24)) & MASK64 for i in range(8)]
    x[0] = (x[0] + w) & MASK64
    return x, w


def lattice_words(chaos_key, iv):
    aes = BlockCipher(aes256_expand(chaos_key))
    c = aes.encrypt(xor(aes.encrypt(iv[:16]), iv[16:]))
    seed = b"".join(aes.encrypt(xor(c, le(n))) for n in (1, 2, 3, 4))
    x = [int.from_bytes(seed[i:i + 8], "little") for i in range(0, 64, 8)]
    w = int.from_bytes(c[:8], "little")
    for _ in range(8):
        x, w = lattice_step(x, w)
    words = []
    while len(words) < 14:
        x, w = lattice_step(x, w)
        words += [x[k] ^ rotate(x[k + 4], 32) for k in range(4)]
    return words[:14]


# --- 3: matrices -------------------------------------------------------------

IDENTITY = [1 << i for i in range(8)]


def matrix(v):
    """The rows of L*U, packed in the word v."""
    packed = v.to_bytes(8, "little")
    lower = [packed[i] & ((1 << i) - 1) | 1 << i for i in range(8)]
    upper = [packed[i] & ~((2 << i) - 1) | 1 << i for i in range(8)]
    rows = []
    for i in range(8):
        row = 0
        for j in range(8):
            if lower[i] >> j & 1:
                row ^= upper[j]
        rows.append(row)
    return rows


def apply(rows, x):
    return sum((bin(rows[i] & x).count("1") & 1) << i for i in range(8))


# --- 4: the block cipher E ---------------------------------------------------

class BlockCipher:
    """E; with no matrices given it is AES-256."""

    def __init__(self, rk, matrices=None):
        self.rk = rk
        linear = [bytes(apply(a, x) for x in range(256))
                  for a in matrices or [IDENTITY]]
        sbox = [a.translate(SBOX) for a in linear]
        self.sbox = sbox if matrices else sbox * 14
        self.inverse = [bytes(s.index(y) for y in range(256)) for s in sbox]
        if not matrices:
            self.inverse *= 14

    def encrypt(self, p):
        s = xor(p, self.rk[0])
        for r in range(1, 15):
            s = s.translate(self.sbox[r - 1])
            s = bytes(s[i] for i in SHIFT_ROWS)
            if r < 14:
                s = mix_columns(s)
            s = xor(s, self.rk[r])
        return s

    def decrypt(self, c):
        s = c
        for r in range(14, 0, -1):
            s = xor(s, self.rk[r])
            if r < 14:
                s = inv_mix_columns(s)
            s = bytes(s[SHIFT_ROWS.index(i)] for i in range(16))
            s = s.translate(self.inverse[r - 1])
        return xor(s, self.rk[0])


# --- 5: the frame ------------------------------------------------------------

POLY = 2**128 + 2**127 + 2**126 + 2**121 + 1


def dot(a, b):
    """RFC 8452, section 3: a * b * x^-128."""
    r = 0
    for i in range(128):
        if b >> i & 1:
            r ^= a
        if r & 1:
            r ^= POLY
        r >>= 1
    return r


def polyval(h, data):
    acc, h = 0, int.from_bytes(h, "little")
    for i in range(0, len(data), 16):
        acc = dot(acc ^ int.from_bytes(data[i:i + 16], "little"), h)
    return le(acc)


def pad(x):
    return x + bytes(-len(x) % 16)


class Frame:
    """HCTR2 around a block cipher; chaosimg complements what enters."""

    def __init__(self, e, h, l, tweak):
        self.e, self.h, self.l, self.tweak = e, h, l, tweak

    def hash(self, x):
        full = len(x) % 16 == 0
        length = le(16 * len(self.tweak) + (2 if full else 3))
        return polyval(self.h, length + pad(self.tweak) +
                       (x if full else pad(x + b"\1")))

    def xctr(self, s, x):
        ks = b"".join(self.e.encrypt(xor(s, le(i + 1)))
                      for i in range((len(x) + 15) // 16))
        return xor(x, ks[:len(x)])

    def encrypt(self, mn):
        m, n = mn[:16], mn[16:]
        mm = xor(m, self.hash(n))
        uu = self.e.encrypt(mm)
        s = xor(xor(mm, uu), self.l)
        v = self.xctr(s, n)
        return xor(uu, self.hash(v)) + v

    def decrypt(self, uv):
        u, v = uv[:16], uv[16:]
        uu = xor(u, self.hash(v))
        mm = self.e.decrypt(uu)
        s = xor(xor(mm, uu), self.l)
        n = self.xctr(s, v)
        return xor(mm, self.hash(n)) + n


# --- 1: keys, and all of it together -----------------------------------------

def set_up(key):
    rk = aes256_expand(key)
    aes = BlockCipher(rk)
    h, l, kc0, kc1 = (aes.encrypt(le(i)) for i in range(4))
    return rk, aes, h, l, kc0 + kc1


def chaosimg(key, iv):
    rk, _, h, l, chaos_key = set_up(key)
    matrices = [matrix(v) for v in lattice_words(chaos_key, iv)]
    return matrices, Frame(BlockCipher(rk, matrices), h, l, iv)


def encrypt(key, iv, message):
    return chaosimg(key, iv)[1].encrypt(complement(message))


def decrypt(key, iv, message):
    return complement(chaosimg(key, iv)[1].decrypt(message))


def hctr2(key, tweak):
    _, aes, h, l, _ = set_up(key)
    return Frame(aes, h, l, tweak)


# --- the check ---------------------------------------------------------------

def check_fips197():
    key = bytes(range(32))
    plain = bytes.fromhex("00112233445566778899aabbccddeeff")
    cipher = bytes.fromhex("8ea2b7ca516745bfeafc49904b496089")
    aes = BlockCipher(aes256_expand(key))
    e = BlockCipher(aes256_expand(key), [IDENTITY] * 14)
    return all(c.encrypt(plain) == cipher and c.decrypt(cipher) == plain
               for c in (aes, e))


def check_polyval():
    h = bytes.fromhex("25629347589242761d31f826ba4b757b")
    x = bytes.fromhex("4f4f95668c83dfb6401762bb2d01a262"
                      "d1a24ddd2721d006bbe45f20d3c9f362")
    return polyval(h, x).hex() == "f7a3b47b846119fae5b7866cf5e5b77e"


def check_chaosimg(v):
    key, iv, plain, cipher = (bytes.fromhex(v[k]) for k in (
        "key", "iv", "plaintext", "ciphertext"))
    matrices, _ = chaosimg(key, iv)
    return ([bytes(m).hex() for m in matrices] == v["linear_maps"]
            and encrypt(key, iv, plain) == cipher
            and decrypt(key, iv, cipher) == plain)


def check_hctr2(v):
    key, tweak, plain, cipher = (bytes.fromhex(x) for x in (
        v["input"]["key_hex"], v["input"]["tweak_hex"],
        v["plaintext_hex"], v["ciphertext_hex"]))
    frame = hctr2(key, tweak)
    return frame.encrypt(plain) == cipher and frame.decrypt(cipher) == plain


def main():
    vectors = os.path.join(os.path.dirname(os.path.abspath(__file__)),
                           "..", "vectors")
    with open(os.path.join(vectors, "chaosimg.json")) as f:
        ours = json.load(f)
    with open(os.path.join(vectors, "hctr2-aes256.json")) as f:
        theirs = json.load(f)
    bad = {
        "FIPS 197, AES-256": [] if check_fips197() else [0],
        "RFC 8452, POLYVAL": [] if check_polyval() else [0],
        f"{len(ours)} chaosimg vectors":
            [i for i, v in enumerate(ours) if not check_chaosimg(v)],
        f"{len(theirs)} HCTR2-AES-256 vectors, chaos off":
            [i for i, v in enumerate(theirs) if not check_hctr2(v)],
    }
    enough = len(ours) == 45 and len(theirs) == 350
    for n, (name, failed) in enumerate(bad.items(), 1):
        print("not ok" if failed else "ok", n, "-", "model:", name)
        if failed:
            print("# failed:", *failed)
    print("ok" if enough else "not ok", len(bad) + 1,
          "- model: no vector is missing")
    print(f"1..{len(bad) + 1}")
    return 1 if any(bad.values()) or not enough else 0


if __name__ == "__main__":
    sys.exit(main())
