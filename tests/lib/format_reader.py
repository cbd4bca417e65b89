#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A second reader of archives, from Documentation/archive-format*.rst alone.

    format_reader.py ARCHIVE KEYFILE FOLDER     decrypt a whole tree
    format_reader.py IMAGE KEYFILE FILE         or a single image

It shares no code with the library; the inner cipher is the model's. It is slow,
and reads sealed files and slots of key files only. What does not verify ends
it with an error.
"""

import base64
import copy
import ctypes
import hashlib
import hmac
import json
import os
import re
import sys

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import (
    X25519PrivateKey, X25519PublicKey)
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, AESSIV
from cryptography.hazmat.primitives.serialization import (
    Encoding, PublicFormat)

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                "../model"))
import chaosimg_model as model  # noqa: E402

HEADER = 4096
SLOT = 2048
OVERHEAD = 56
STRUCTURE = 3
XXH3 = ctypes.CDLL("libxxhash.so.0").XXH3_64bits
XXH3.restype = ctypes.c_uint64


def need(good, what):
    if not good:
        raise ValueError(what)


def le(n, size):
    return n.to_bytes(size, "little")


def halves(data):
    return data[:len(data) // 2], data[len(data) // 2:]


def number(data):
    return int.from_bytes(data, "little")


def check_sum(text):
    body, found = text.rsplit('  "checksum": "', 1)
    need(xxh3(body.encode()) == int(found[:16], 16), "checksum")


def expand(key, info, length):
    out = block = b""
    for i in range(1, length // 32 + 1):
        block = hmac.digest(key, block + info + bytes([i]), "sha256")
        out += block
    return out


def unwrap(key, data, aad):
    return AESGCM(key).decrypt(data[:12], data[12:], aad)


def unwrap_private(secret, data, aad):
    """What is under the public key that belongs to a secret one."""
    own, peer = X25519PrivateKey.from_private_bytes(secret), data[:32]
    public = own.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    shared = own.exchange(X25519PublicKey.from_public_bytes(peer))
    x = hmac.digest(b"chaosimg public wrap v1", shared, "sha256")
    kek = expand(x, b"chaosimg public wrapping key v1" + peer + public, 32)
    return unwrap(kek, data[32:], aad)


def xxh3(data):
    return XXH3(data, ctypes.c_size_t(len(data)))


def decode32(text):
    """base32hex in lower case, without padding; in one form only."""
    raw = base64.b32hexdecode(text.upper() + "=" * (-len(text) % 8))
    again = base64.b32hexencode(raw).decode().rstrip("=").lower()
    need(again == text, "base32")
    return raw


def decode64(text):
    raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    need(base64.urlsafe_b64encode(raw).decode().rstrip("=") == text, "base64")
    return raw


# --- archive-format-keys.rst -------------------------------------------------

def read_keyfile(path):
    with open(path, encoding="ascii") as f:
        line = f.readline().rstrip("\n")
    match = re.fullmatch(r"(chaosimg-key-v1 ([0-9a-f]{64})) ([0-9a-f]{16})",
                         line)
    need(match and xxh3(match[1].encode()) == int(match[3], 16), "key file")
    return bytes.fromhex(match[2])


class Configuration:
    """chaosimg.json, or the text of a single image's envelope."""

    def __init__(self, text, key):
        check_sum(text)
        self.json = json.loads(text)
        need(self.json["version"] == 1, "version")
        self.id = bytes.fromhex(self.json["archive_id"])
        self.chunk = self.json["chunk_size"]
        self.policies = [entry["name"] for entry in
                         self.json.get("named_policies", ())]
        need(all(re.fullmatch(r"[A-Za-z0-9_.-]{1,64}", name)
                 for name in self.policies) and
             self.policies == sorted(set(self.policies)), "named policies")
        self.key = self.open_slots(text, key)
        mac_key = expand(self.key, b"chaosimg config mac key v1", 32)
        signed = text.rsplit('  "mac": "', 1)[0].encode()
        need(hmac.digest(mac_key, signed, "sha256").hex() == self.json["mac"],
             "configuration's MAC")

    def open_slots(self, text, key):
        for slot in self.json["slots"]:
            if slot["type"] != "keyfile":
                continue
            line = next(line for line in text.split("\n")
                        if line.startswith(f'    {{"id": {slot["id"]}, '))
            aad = self.id + line.strip().split(', "wrapped"')[0].encode()
            slot_key = expand(key, b"chaosimg slot key v1" + self.id +
                              le(slot["id"], 4), 32)
            try:
                return unwrap(slot_key, bytes.fromhex(slot["wrapped"]), aad)
            except InvalidTag:
                continue
        raise ValueError("no slot opens")

    def keyset(self, keyset):
        wrapping = expand(self.key, b"chaosimg keyset wrapping key v1", 32)
        aad = self.id + bytes.fromhex(keyset["id"]) + \
            le(keyset["created"], 8) + keyset.get("policy", "").encode()
        keys = unwrap(wrapping, bytes.fromhex(keyset["wrapped"]), aad)
        return [keys[i:i + 32] for i in range(0, 128, 32)]

    def ingest_keyset(self, keyset):
        """The same of an ingest mount's: two keys more."""
        secret = expand(self.key, b"chaosimg ingest key v1", 32)
        aad = self.id + bytes.fromhex(keyset["id"]) + le(keyset["created"], 8)
        keys = unwrap_private(secret, bytes.fromhex(keyset["wrapped"]), aad)
        return [keys[i:i + 32] for i in range(0, 192, 32)]


# --- archive-format.rst: stored files ----------------------------------------

class StoredFile:
    """A sealed file; keysets is a dictionary by their ids."""

    def __init__(self, stored, chunk, keysets, binding):
        self.stored, self.chunk = stored, chunk
        slots = [self.slot(i, keysets) for i in (0, SLOT)]
        need(any(slots), "no valid header slot")
        _, self.id, self.keys, self.mac_key, plain, body = max(
            s for s in slots if s)
        need(len(self.keys) == 4 or binding.endswith(b"ingest"),
             "an ingest mount's file elsewhere")
        need(number(plain[68:72]) in (1, 3), "not sealed")
        self.length = number(plain[72:80])
        self.region = None
        if plain[68] & 2:
            self.region = number(plain[80:88]), number(plain[88:96])
        self.parse(body, binding)

    def slot(self, at, keysets):
        slot = self.stored[at:at + SLOT]
        if xxh3(slot[:2040]) != number(slot[2040:]):
            return None
        need(slot[:12] == b"CHAOSIMG" + le(1, 2) + le(SLOT, 2), "magic")
        need(number(slot[12:16]) == self.chunk, "slot")
        keys = keysets[slot[32:48]]
        header, mac = halves(expand(keys[STRUCTURE],
                                    b"chaosimg header v1" + slot[16:32], 64))
        body = AESGCM(header).decrypt(slot[56:68], slot[96:2040], slot[:96])
        return number(slot[48:56]), slot[16:32], keys, mac, slot[:96], body

    def parse(self, body, binding):
        flags, bindings, holes, segments = body[:4]
        need(flags in (0, 2, 4), "flags")
        self.dicom = bool(flags & 2)
        self.mac = body[16:32]
        need(binding in [body[72 + 16 * i:][:16] for i in range(bindings)],
             "stands under a name that is not its own")
        self.holes = set()
        for i in range(holes):
            start = number(body[328 + 16 * i:][:8])
            count = number(body[336 + 16 * i:][:8])
            self.holes.update(range(start, start + count))
        self.modality = body[840:856].rstrip(b"\0").decode()
        self.segments = [number(body[920 + 8 * i:][:8])
                         for i in range(segments)]
        need(sum(s >> 2 for s in self.segments) in (0, self.length), "segments")
        whole, rest = divmod(self.length, self.chunk)
        self.end = (HEADER + whole * (self.chunk + OVERHEAD) +
                    (rest + OVERHEAD if rest else 0))
        self.part_lengths = [number(body[32 + 4 * i:][:4]) for i in range(4)]
        self.part_mac = body[1720:1736]
        need(not self.region or self.dicom, "parts of what is not DICOM")
        size = self.end
        if self.region:
            size = sum(self.region)
            size += (1 - (size - HEADER)) % (self.chunk + OVERHEAD)
        need(len(self.stored) == size, "cut or extended")

    def record_keys(self, wanted):
        """Those for records of a set of compartments."""
        members = [self.keys[c] for c in range(3) if wanted & 1 << c]
        if len(members) > 1:
            key = hmac.digest(b"chaosimg compartments v1",
                              bytes([wanted]) + b"".join(members), "sha256")
        else:
            key = members[0] if members else self.keys[STRUCTURE]
        return halves(expand(key, b"chaosimg record v1" + bytes([wanted]) +
                             self.id, 64))

    def read(self):
        out, mac = [], bytes(16)
        for k in range(-(-self.length // self.chunk)):
            n = min(self.chunk, self.length - k * self.chunk)
            if k in self.holes:
                out.append(bytes(n))
                continue
            at = HEADER + k * (self.chunk + OVERHEAD)
            chunk, tag, _ = self.record(at, k, n)
            out.append(chunk)
            mac = model.xor(mac, self.mac_term(le(k, 8) + bytes(8) + tag))
        need(mac == self.mac, "incremental MAC")
        if self.region:
            self.parts()
        return b"".join(out)

    def parts(self):
        """The mask, and the mixed chunks' bytes of each compartment."""
        at, size = self.region
        need(at == self.end, "parts elsewhere")
        end = at + size - 8
        need(xxh3(self.stored[at:end]) == number(self.stored[end:end + 8]),
             "parts' checksum")
        need(not any(self.stored[end + 8:]), "bytes behind the parts")
        out, mac = [], bytes(16)
        for part, length in enumerate(self.part_lengths):
            part_out = b""
            for i in range(-(-length // self.chunk)):
                n = min(self.chunk, length - i * self.chunk)
                k = 1 << 63 | part << 32 | i
                piece, tag, of = self.record(at, k, n)
                need(of == (1 << part - 1 if part else 0), "part's set")
                part_out += piece
                mac = model.xor(mac, self.mac_term(le(k, 8) + bytes(8) + tag))
                at += n + OVERHEAD
            out.append(part_out)
        need(at == end and mac == self.part_mac, "parts' MAC")
        return out

    def record(self, at, k, n):
        prefix = self.stored[at:at + 16]
        need(prefix[0] < 8 and prefix[1] < 2 and not any(prefix[2:4]) and
             not (prefix[0] and prefix[1]), "prefix")
        chaos, aead = self.record_keys(prefix[0])
        size = 40 if prefix[1] else n + OVERHEAD
        record = self.stored[at:at + size]
        need(xxh3(record[:-8]) == number(record[-8:]), "record's checksum")
        nonce, sealed = prefix[4:], record[16:-8]
        aad = self.id + le(k, 8) + prefix[:4] + le(n, 4)
        inner = AESGCM(aead).decrypt(nonce, sealed, aad)
        if prefix[1]:
            return bytes(n), sealed[-16:], 0
        iv = nonce + bytes(4) + le(k, 8) + bytes(8)
        plain = model.decrypt(chaos, iv, inner)
        need(plain[:16] == bytes(16), "inner layer")
        return plain[16:], sealed[-16:], prefix[0]

    def mac_term(self, blocks):
        cbc = Cipher(algorithms.AES(self.mac_key), modes.CBC(bytes(16)))
        return cbc.encryptor().update(blocks)[16:]


# --- archive-format-names.rst ------------------------------------------------

def read_keyset(path, name, under):
    with open(f"{path}/keysets/{name}.json", encoding="ascii") as f:
        text = f.read()
    check_sum(text)
    keyset = json.loads(text)
    wraps = {w["under"]: w["wrapped"] for w in reversed(keyset["wraps"])}
    need(under == "archive-key" or "archive-key" not in wraps, "own keyset")
    keyset["wrapped"] = wraps[under]
    return keyset


class Keysets(dict):
    """By their ids; those of ingest mounts when files need them."""

    def __init__(self, path, config):
        super().__init__()
        self.path, self.config = path, config
        for name in config.json["keysets"]:
            self[bytes.fromhex(name)] = config.keyset(
                read_keyset(path, name, "archive-key"))

    def __missing__(self, key):
        self[key] = self.config.ingest_keyset(
            read_keyset(self.path, key.hex(), "archive-public"))
        return self[key]


class Archive:
    def __init__(self, path, keyfile):
        self.path = path
        with open(os.path.join(path, "chaosimg.json"), encoding="ascii") as f:
            self.config = Configuration(f.read(), read_keyfile(keyfile))
        self.names = expand(self.config.key, b"chaosimg names key v1", 32)
        self.mac_key = expand(self.config.key,
                              b"chaosimg directory mac key v1", 32)
        self.keysets = Keysets(path, self.config)
        self.whole, self.session = self, None

    def of_session(self, session):
        """The same, as an ingest mount's directories need it."""
        keys = self.keysets[session]
        need(len(keys) == 6, "no ingest mount's keyset")
        other = copy.copy(self)
        other.session, (other.names, other.mac_key) = session, keys[4:]
        return other

    def key(self, label, length=32):
        return expand(self.names, label.encode(), length)

    def name(self, sealed, directory, what="name", label=b"chaosimg name v1"):
        c = AESSIV(self.key(f"chaosimg {what} siv key v1", 64)).decrypt(
            sealed, [directory])
        p = model.decrypt(self.key(f"chaosimg {what} chaos key v1"),
                          directory + label, c)
        plain = p.rstrip(b"\0")
        need(b"\0" not in plain and len(p) - 32 < len(plain) <= 255, "name")
        return os.fsdecode(plain)

    def entry(self, folder, stored, directory):
        """A stored name: the plain one, and the binding."""
        sealed = stored
        if stored.startswith("z") and len(stored) == 53:
            sealed = os.readlink(os.path.join(folder, stored + ".name"))
            digest = hashlib.sha256(decode32(sealed)).digest()
            need(decode32(stored[1:]) == digest, "companion")
        sealed = decode32(sealed)
        binding = sealed[:10] + b"ingest" if self.session else sealed[:16]
        return self.name(sealed, directory), binding

    def value(self, sealed, what, label, bound):
        nonce = sealed[:12]
        c = AESGCM(self.key(f"chaosimg {what} aead key v1")).decrypt(
            nonce, sealed[12:], label + bound)
        p = model.decrypt(self.key(f"chaosimg {what} chaos key v1"),
                          nonce + bytes(4) + label, c)
        need(p[:16] == bytes(16), "inner layer of a value")
        return p[16:]

    def directory(self, folder, parent, binding):
        """A directory's id, if it stands where it belongs, and its keys."""
        raw = decode64(os.readlink(os.path.join(folder, "chaosimg.dir")))
        need(len(raw) in (28, 40, 44, 56), "chaosimg.dir")
        own, inside, macs = raw[:16], self.whole, raw[16:]
        if len(raw) in (44, 56):
            session, macs = raw[16:32], raw[32:]
            inside = self.whole.of_session(session)
            need(own[:6] == session[:6] and own[13:] == b"ing", "session")
            if binding == session[:10] + b"ingest":
                parent, binding = self.config.id, bytes(16)
            else:
                need(parent[:6] + parent[13:] == own[:6] + own[13:],
                     "an ingest mount's directory elsewhere")
        mac = hmac.digest(inside.mac_key, b"chaosimg dirs v1" + own + parent +
                          binding, "sha256")[:12]
        need(mac in (macs[:12], macs[12:]), "a directory in another's place")
        return own, inside

    def below(self, folder, directory, top):
        """Stored and plain names and bindings of a directory's entries."""
        for name in os.listdir(folder):
            match = re.fullmatch(r"chaosimg\.ingest\.([0-9a-f]{32})", name)
            if match and top:
                session = bytes.fromhex(match[1])
                yield (name, f"ingest-{match[1]}", session[:10] + b"ingest")
            elif "." not in name:
                yield (name, *self.entry(folder, name, directory))

    def attributes(self, stored, out):
        for name in os.listxattr(stored, follow_symlinks=False):
            if not name.startswith("user.chaosimg."):
                continue
            plain = self.name(decode32(name[14:]), bytes(16), "xattr name",
                              b"chaosimg attr v1")
            value = os.getxattr(stored, name, follow_symlinks=False)
            os.setxattr(out, plain, self.value(
                value, "xattr value", b"chaosimg xval v1", plain.encode()))

    def restore(self, stored, out, parent, binding):
        """Decrypt an entry and, if it is a directory, all below it."""
        if os.path.islink(stored):
            os.symlink(self.whole.value(decode64(os.readlink(stored)), "symlink",
                                  b"chaosimg link v1", b""), out)
            return
        if os.path.isfile(stored):
            with open(stored, "rb") as f, open(out, "xb") as g:
                g.write(StoredFile(f.read(), self.config.chunk, self.keysets,
                                   binding).read())
        else:
            os.mkdir(out)
            directory, inside = self.directory(stored, parent, binding)
            top = binding == bytes(16)
            need(not (top and inside.session), "an ingest mount's root as root")
            for name, plain, own in inside.below(stored, directory, top):
                inside.restore(os.path.join(stored, name),
                               os.path.join(out, plain), directory, own)
        self.whole.attributes(stored, out)


# --- archive-format-keys.rst: single images ----------------------------------

def open_image(path, keyfile):
    with open(path, "rb") as f:
        data = f.read()
    need(data[:16] == b"chaosimg image\n\0", "magic")
    size = number(data[16:20])
    need(size <= 4076 and not any(data[20 + size:4096]), "envelope")
    config = Configuration(data[20:20 + size].decode("ascii"),
                           read_keyfile(keyfile))
    keyset = config.json["keyset"]
    keysets = {bytes.fromhex(keyset["id"]): config.keyset(keyset)}
    return StoredFile(data[4096:], config.chunk, keysets, bytes(16))


def main():
    source, keyfile, out = sys.argv[1:]
    if os.path.isdir(source):
        archive = Archive(source, keyfile)
        archive.restore(os.path.join(source, "data"), out, archive.config.id,
                        bytes(16))
        return
    image = open_image(source, keyfile)
    with open(out, "xb") as f:
        f.write(image.read())


if __name__ == "__main__":
    main()
