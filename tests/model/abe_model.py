# SPDX-License-Identifier: GPL-2.0-or-later
"""Keys under policies, a second time: plain, slow, from Documentation/access.rst.

Nothing here is shared with the library or with blst: fields, curves, hashing
(RFC 9380) and the pairing are written out.
"""

import hashlib
import re
import struct

P = int("1a0111ea397fe69a4b1ba7b6434bacd764774b84f38512bf6730d2a0f6b0f624"
        "1eabfffeb153ffffb9feffffffffaaab", 16)
R = int("73eda753299d7d483339d80809a1d80553bda402fffe5bfeffffffff00000001", 16)
X = -0xd201000000010000


# --- fields: a tuple of coefficients below a monic polynomial ---------------

class Fp2:
    """a + b i, with i^2 = -1."""

    def __init__(self, a, b=0):
        self.a, self.b = a % P, b % P

    def __add__(self, o):
        return Fp2(self.a + o.a, self.b + o.b)

    def __sub__(self, o):
        return Fp2(self.a - o.a, self.b - o.b)

    def __neg__(self):
        return Fp2(-self.a, -self.b)

    def __mul__(self, o):
        return Fp2(self.a * o.a - self.b * o.b, self.a * o.b + self.b * o.a)

    def __eq__(self, o):
        return (self.a, self.b) == (o.a, o.b)

    def inverse(self):
        n = pow(self.a * self.a + self.b * self.b, -1, P)
        return Fp2(self.a * n, -self.b * n)

    def conjugate(self):
        return Fp2(self.a, -self.b)

    def __pow__(self, n):
        out, base = Fp2(1), self
        while n:
            if n & 1:
                out = out * base
            base = base * base
            n >>= 1
        return out

    def sqrt(self):
        """A root, or None. The guess is right up to an eighth root of 1."""
        root = self ** ((P * P + 7) // 16)
        for _ in range(8):
            if root * root == self:
                return root
            root = root * EIGHTH
        return None


EIGHTH = Fp2(1, 1) ** ((P * P - 1) // 8)


class Fp1:
    """The prime field, with the same methods."""

    def __init__(self, a):
        self.a = a % P

    def __add__(self, o):
        return Fp1(self.a + o.a)

    def __sub__(self, o):
        return Fp1(self.a - o.a)

    def __neg__(self):
        return Fp1(-self.a)

    def __mul__(self, o):
        return Fp1(self.a * o.a)

    def __eq__(self, o):
        return self.a == o.a

    def inverse(self):
        return Fp1(pow(self.a, -1, P))


class Fp12:
    """Polynomials in w modulo w^12 - 2 w^6 + 2, so that i = w^6 - 1."""

    def __init__(self, c):
        self.c = c

    @staticmethod
    def of(value):
        """From one of the smaller fields."""
        if isinstance(value, Fp1):
            return Fp12([value.a] + [0] * 11)
        c = [0] * 12
        c[0], c[6] = (value.a - value.b) % P, value.b
        return Fp12(c)

    def __add__(self, o):
        return Fp12([(a + b) % P for a, b in zip(self.c, o.c)])

    def __sub__(self, o):
        return Fp12([(a - b) % P for a, b in zip(self.c, o.c)])

    def __neg__(self):
        return Fp12([-a % P for a in self.c])

    def __mul__(self, o):
        out = [0] * 23
        for i, a in enumerate(self.c):
            if a:
                for j, b in enumerate(o.c):
                    out[i + j] += a * b
        for i in range(22, 11, -1):
            out[i - 6] += 2 * out[i]
            out[i - 12] -= 2 * out[i]
        return Fp12([a % P for a in out[:12]])

    def __eq__(self, o):
        return self.c == o.c

    def __pow__(self, n):
        out, base = Fp12([1] + [0] * 11), self
        while n:
            if n & 1:
                out = out * base
            base = base * base
            n >>= 1
        return out

    def inverse(self):
        return self ** (P ** 12 - 2)

    def coordinates(self):
        """c0.b0.a0, c0.b0.a1, ..: over w^2 = v, v^3 = 1 + i."""
        out = []
        for c in range(2):
            for b in range(3):
                n = 2 * b + c       # of w^n and w^(n + 6)
                i = self.c[n + 6]
                out += [(self.c[n] + i) % P, i]
        return out

    @staticmethod
    def from_coordinates(v):
        out = [0] * 12
        for n in range(6):
            at = (n % 2) * 6 + n // 2 * 2
            out[n], out[n + 6] = (v[at] - v[at + 1]) % P, v[at + 1]
        return Fp12(out)

    def write(self):
        return b"".join(v.to_bytes(48, "big") for v in self.coordinates())

    @staticmethod
    def read(data):
        return Fp12.from_coordinates([int.from_bytes(data[i:i + 48], "big")
                                      for i in range(0, 576, 48)])


# --- curves: points are pairs, None is zero ---------------------------------

def add(p, q):
    if p is None or q is None:
        return q if p is None else p
    if p[0] == q[0]:
        if not p[1] == q[1]:
            return None
        xx = p[0] * p[0]
        slope = (xx + xx + xx) * (p[1] + p[1]).inverse()
    else:
        slope = (q[1] - p[1]) * (q[0] - p[0]).inverse()
    x = slope * slope - p[0] - q[0]
    return x, slope * (p[0] - x) - p[1]


def negative(p):
    return p and (p[0], -p[1])


def times(p, n):
    if n < 0:
        return times(negative(p), -n)
    out = None
    while n:
        if n & 1:
            out = add(out, p)
        p = add(p, p)
        n >>= 1
    return out


G1 = (Fp1(int("17f1d3a73197d7942695638c4fa9ac0fc3688c4f9774b905a14e3a3f171bac58"
              "6c55e83ff97a1aeffb3af00adb22c6bb", 16)),
      Fp1(int("08b3f481e3aaa0f1a09e30ed741d8ae4fcf5e095d5d00af600db18cb2c04b3ed"
              "d03cc744a2888ae40caa232946c5e7e1", 16)))
G2 = (Fp2(int("024aa2b2f08f0a91260805272dc51051c6e47ad4fa403b02b4510b647ae3d177"
              "0bac0326a805bbefd48056c8c121bdb8", 16),
          int("13e02b6052719f607dacd3a088274f65596bd0d09920b61ab5da61bbdc7f5049"
              "334cf11213945d57e5ac7d055d042b7e", 16)),
      Fp2(int("0ce5d527727d6e118cc9cdc6da2e351aadfd9baa8cbdd3a76d429a695160d12c"
              "923ac9cc3baca289e193548608b82801", 16),
          int("0606c4a02ea734cc32acd2b02bc28b99cb3e287e85a763af267492ab572e99ab"
              "3f370d275cec1da1aaa9075ff05f79be", 16)))


def write1(p):
    flags = 0xa0 if p[1].a > (P - 1) // 2 else 0x80
    out = bytearray(p[0].a.to_bytes(48, "big"))
    out[0] |= flags
    return bytes(out)


def larger(y):
    return (y.b or y.a) > (P - 1) // 2


def write2(p):
    out = bytearray(p[0].b.to_bytes(48, "big") + p[0].a.to_bytes(48, "big"))
    out[0] |= 0xa0 if larger(p[1]) else 0x80
    return bytes(out)


def read1(data):
    x = Fp1(int.from_bytes(data, "big") & (1 << 381) - 1)
    y = Fp1(pow((x * x * x).a + 4, (P + 1) // 4, P))
    if (y.a > (P - 1) // 2) != bool(data[0] & 0x20):
        y = -y
    assert data[0] & 0xc0 == 0x80 and y * y == x * x * x + Fp1(4)
    assert times((x, y), R) is None
    return x, y


def read2(data):
    x = Fp2(int.from_bytes(data[48:], "big"),
            int.from_bytes(data[:48], "big") & (1 << 381) - 1)
    y = (x * x * x + Fp2(4, 4)).sqrt()
    assert y and data[0] & 0xc0 == 0x80
    if larger(y) != bool(data[0] & 0x20):
        y = -y
    assert times((x, y), R) is None
    return x, y


# --- hashing to G2: RFC 9380, 8.8.2 ------------------------------------------

def expand(msg, dst, size):
    dst += bytes([len(dst)])
    first = hashlib.sha256(bytes(64) + msg + struct.pack(">HB", size, 0) +
                           dst).digest()
    block, out = bytes(32), b""
    for i in range(1, (size + 31) // 32 + 1):
        block = hashlib.sha256(bytes(a ^ b for a, b in zip(first, block)) +
                               bytes([i]) + dst).digest()
        out += block
    return out[:size]


ISO_A, ISO_B, ISO_Z = Fp2(0, 240), Fp2(1012, 1012), Fp2(-2, -1)


def sign(u):
    return u.a & 1 if u.a else u.b & 1


def to_isogenous(u):
    """Simplified SWU, to a curve that maps onto ours."""
    zu = ISO_Z * u * u
    t = zu * zu + zu
    if t == Fp2(0):
        x = ISO_B * (ISO_Z * ISO_A).inverse()
    else:
        x = -ISO_B * ISO_A.inverse() * (Fp2(1) + t.inverse())
    y = (x * x * x + ISO_A * x + ISO_B).sqrt()
    if y is None:
        x = zu * x
        y = (x * x * x + ISO_A * x + ISO_B).sqrt()
    return x, (y if sign(y) == sign(u) else -y)


# The isogeny of degree 3 with this point's x in its kernel, by Velu's formulas,
# then scaled: to x / 9 and - y / 27.
KERNEL = Fp2(-6, 6)


def isogeny(p):
    v = Fp2(2) * (Fp2(3) * KERNEL * KERNEL + ISO_A)
    u = Fp2(4) * (KERNEL * KERNEL * KERNEL + ISO_A * KERNEL + ISO_B)
    d = (p[0] - KERNEL).inverse()
    x = p[0] + v * d + u * d * d
    y = p[1] * (Fp2(1) - Fp2(2) * u * d * d * d - v * d * d)
    return x * Fp2(9).inverse(), -y * Fp2(27).inverse()


PSI_X = (Fp2(1, 1) ** ((P - 1) // 3)).inverse()
PSI_Y = (Fp2(1, 1) ** ((P - 1) // 2)).inverse()


def psi(p):
    return p and (p[0].conjugate() * PSI_X, p[1].conjugate() * PSI_Y)


def hash2(msg, dst):
    wide = expand(msg, dst, 256)
    e = [int.from_bytes(wide[i:i + 64], "big") for i in range(0, 256, 64)]
    p = add(isogeny(to_isogenous(Fp2(e[0], e[1]))),
            isogeny(to_isogenous(Fp2(e[2], e[3]))))
    # Into the group: (x^2 - x - 1) p + (x - 1) psi(p) + psi(psi(2 p)).
    return add(add(times(p, X * X - X - 1), times(psi(p), X - 1)),
               psi(psi(add(p, p))))


# --- the pairing -------------------------------------------------------------

ONE = Fp12([1] + [0] * 11)
W1 = Fp12([0, 1] + [0] * 10).inverse()
W2 = W1 * W1
W3 = W2 * W1


def tangent_or_chord(t, q):
    """The slope on the twist, and the sum there."""
    if t[0] == q[0]:
        slope = (t[0] * t[0] * Fp2(3)) * (t[1] + t[1]).inverse()
    else:
        slope = (q[1] - t[1]) * (q[0] - t[0]).inverse()
    x = slope * slope - t[0] - q[0]
    return slope, (x, slope * (t[0] - x) - t[1])


def miller(p, q):
    """f_{X,q}(p): the ate pairing's loop, q untwisted to x / w^2, y / w^3."""
    px, py = Fp12.of(p[0]), Fp12.of(p[1])
    f, t = ONE, q

    def step(t, other):
        slope, total = tangent_or_chord(t, other)
        # Untwisted, slopes are divided by w.
        value = py - Fp12.of(t[1]) * W3 - Fp12.of(slope) * W1 * (
            px - Fp12.of(t[0]) * W2)
        return value, total

    for bit in bin(-X)[3:]:
        value, t = step(t, t)
        f = f * f * value
        if bit == "1":
            value, t = step(t, q)
            f = f * value
    return f


# A fixed multiple of the exponent (p^12 - 1) / r, for which there is a short
# chain, as blst and others have it: three times. X is negative: conjugated.
FINAL = (P ** 12 - 1) // R * 3


def conjugate(f):
    """f to the power of p^6: w becomes -w."""
    return Fp12([c if n % 2 == 0 else -c % P for n, c in enumerate(f.c)])


def pairings(pairs):
    """The product of all e(p, q)."""
    f = ONE
    for p, q in pairs:
        if p is not None and q is not None:
            f = f * miller(p, q)
    return conjugate(f) ** FINAL


def pairing(p, q):
    return pairings([(p, q)])


GT = pairing(G1, G2)

# --- policies ----------------------------------------------------------------


def parse(text):
    """A leaf is a string, anything else (k, children)."""
    tokens = re.findall(r"[(),]|[^\s(),]+", text)

    def chain(word, part):
        children = [part()]
        while tokens and tokens[0] == word:
            tokens.pop(0)
            children.append(part())
        if len(children) == 1:
            return children[0]
        return (1 if word == "OR" else len(children)), children

    def term():
        token = tokens.pop(0)
        if token == "(":
            out = either()
        elif tokens and tokens[0] == "OF":
            del tokens[:2]
            children = [either()]
            while tokens[0] == ",":
                tokens.pop(0)
                children.append(either())
            out = int(token), children
        else:
            return token
        assert tokens.pop(0) == ")"
        return out

    def both():
        return chain("AND", term)

    def either():
        return chain("OR", both)

    out = either()
    assert not tokens
    return out


def leaves(node):
    if isinstance(node, str):
        return [node]
    return [leaf for child in node[1] for leaf in leaves(child)]


def numbers(node):
    if isinstance(node, str):
        return 0
    return node[0] - 1 + sum(map(numbers, node[1]))


def share(node, secret, random):
    """The leaves' shares; takes its numbers from the list."""
    if isinstance(node, str):
        return [secret]
    k, children = node
    c = [random.pop(0) for _ in range(k - 1)]
    if k == len(children) and k > 1:
        parts = c + [(secret - sum(c)) % R]
    else:
        parts = [sum(v * x ** n for n, v in enumerate([secret] + c)) % R
                 for x in range(1, len(children) + 1)]
    return [s for child, part in zip(children, parts)
            for s in share(child, part, random)]


def combine(node, have, c=1):
    """{leaf's number: coefficient}, or None; numbers count from the left."""
    def walk(sub, at, c):
        if isinstance(sub, str):
            return {at: c} if have[at] else None
        k, children = sub
        found, start = [], at
        for i, child in enumerate(children):
            if walk(child, start, 1) is not None:
                found.append((i, start))
            start += len(leaves(child))
        if len(found) < k:
            return None
        found, out = found[:k], {}
        for i, start in found:
            factor = c
            if k != len(children):
                for j, _ in found:
                    if j != i:
                        factor = factor * (j + 1) * pow(j - i, -1, R) % R
            out.update(walk(children[i], start, factor))
        return out
    return walk(node, 0, c)


# --- the formats -------------------------------------------------------------

SUITE = b"_BLS12381G2_XMD:SHA-256_SSWU_RO_"


class Reader:
    def __init__(self, data):
        self.data = data

    def take(self, n):
        assert n <= len(self.data)
        out, self.data = self.data[:n], self.data[n:]
        return out

    def number(self, n):
        return int.from_bytes(self.take(n), "little")

    def text(self, n=1):
        return self.take(self.number(n)).decode()


def text8(text):
    return bytes([len(text)]) + text.encode()


def unframe(data, kind):
    """The checksum is left to others: it protects nothing."""
    assert data[:8] == b"chaosabe" and data[8:12] == bytes([1, kind, 0, 0])
    assert int.from_bytes(data[12:16], "little") == len(data) - 24
    return Reader(data[16:-8])


class Authority:
    def __init__(self, reader):
        self.name = reader.text()
        self.bytes = reader.take(624)
        self.e = Fp12.read(self.bytes[:576])
        self.y = read1(self.bytes[576:])
        self.id = hashlib.sha256(b"chaosimg-abe-v1 authority\0" +
                                 text8(self.name) + self.bytes).digest()

    def hash(self, attribute):
        return hash2(self.id + attribute.split("@")[0].encode(),
                     b"CHAOSIMG-ABE-V1-ATTRIBUTE" + SUITE)


class User:
    def __init__(self, data):
        reader = unframe(data, 3)
        self.name = reader.text()
        self.hash = hash2(self.name.encode(), b"CHAOSIMG-ABE-V1-USER" + SUITE)
        self.keys = {}
        for _ in range(reader.number(1)):
            authority = Authority(reader)
            for _ in range(reader.number(2)):
                name = reader.text() + "@" + authority.name
                k, l = read2(reader.take(96)), read1(reader.take(48))
                self.keys[name] = authority, k, l
        assert not reader.data

    def verify(self):
        """e(g1, K) = E e(Y, H(user)) e(L, F(attribute)) for each."""
        return all(a.e * pairings([(negative(G1), k), (a.y, self.hash),
                                   (l, a.hash(name))]) == ONE
                   for name, (a, k, l) in self.keys.items())


def digest(label, *parts, size):
    h = hashlib.shake_256()
    for part in (label, *parts):
        h.update(len(part).to_bytes(8, "little") + part)
    return h.digest(size)


def encrypt(policy, of_leaf, seed, head, context):
    """All that comes behind the head, but for the checksum."""
    count, shares = len(leaves(policy)), numbers(policy)
    wide = digest(b"chaosimg-abe-v1 coins", seed, head, context,
                  size=48 * (1 + count + 2 * shares))
    n = [int.from_bytes(wide[i:i + 48], "big") % R
         for i in range(0, len(wide), 48)]
    z, t, random = n[0], n[1:1 + count], n[1 + count:]
    lam = share(policy, z, random[:shares])
    omega = share(policy, 0, random[shares:])
    mask = digest(b"chaosimg-abe-v1 mask", (GT ** z).write(), head, size=32)
    out = bytes(a ^ b for a, b in zip(seed, mask))
    for i, leaf in enumerate(leaves(policy)):
        a = of_leaf[i]
        out += (GT ** lam[i] * a.e ** t[i]).write()
        out += write1(negative(times(G1, t[i])))
        out += write1(add(times(a.y, t[i]), times(G1, omega[i])))
        out += write2(times(a.hash(leaf), t[i]))
    return out


def unmask(user, policy, rows):
    """e(g1, g2)^z from the leaves that the user has."""
    use = combine(policy, [leaf in user.keys for leaf in leaves(policy)])
    out, pairs = ONE, []
    for i, c in use.items():
        row = rows[768 * i:768 * (i + 1)]
        _, k, l = user.keys[leaves(policy)[i]]
        out = out * Fp12.read(row[:576]) ** c
        pairs += [(times(read1(row[576:624]), c), k),
                  (times(read1(row[624:672]), c), user.hash),
                  (times(l, c), read2(row[672:]))]
    return out * pairings(pairs)


def decapsulate(user, data, context):
    """The key, or None if it is not what an honest sender makes."""
    reader = unframe(data, 4)
    policy = parse(reader.text(2))
    known = {}
    for _ in range(reader.number(1)):
        authority = Authority(reader)
        known[authority.name] = authority
    of_leaf = [known[leaf.split("@")[1]] for leaf in leaves(policy)]
    body = reader.data
    head = data[:len(data) - 8 - len(body)]
    mask = digest(b"chaosimg-abe-v1 mask",
                  unmask(user, policy, body[32:]).write(), head, size=32)
    seed = bytes(a ^ b for a, b in zip(body, mask))
    if encrypt(policy, of_leaf, seed, head, context) != body:
        return None
    return digest(b"chaosimg-abe-v1 key", seed, data, context, size=32)
