#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What a device writes that has public parameters alone: nothing on its disk or
in its memory opens it once the time is over; in the archive it is seen as what
the archive's own mounts write, with its policies, compartments and rules.
"""

import errno
import os
import shutil
import struct
import subprocess
import sys
import time

sys.dont_write_bytecode = True
os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
sys.path.insert(0, "tests/lib")

import mounted  # noqa: E402
from dicom_element import element  # noqa: E402
from memory import search  # noqa: E402
from mounted import ARCHIVE, KEY, MNT, Mount  # noqa: E402
from tap import (BUILD, done, fails, ok, read, run, same,  # noqa: E402
                 scratch, skip, works, write)

EPOCH = 4
CT = "/usr/lib/python3/dist-packages/pydicom/data/test_files/CT_small.dcm"
NAME = b"Mustermann^Erika"
LETTER = b"Dear colleague, thank you for Ms. Mustermann. " * 3000
PICTURE = os.urandom(120 * 160)
SIGHT = "radiologist@hospital"
RULES = b"""
rule banner
    Modality = US
    region 16 0 100 20
"""


def ultrasound():
    """With what is burnt into the picture; it has no UIDs."""
    return bytes(128) + b"DICM" + b"".join([
        element(0x00020010, b"UI", b"1.2.840.10008.1.2.1"),
        element(0x00080060, b"CS", b"US"),
        element(0x00100010, b"PN", NAME),
        element(0x00180015, b"CS", b"ABDOMEN"),
        *(element(tag, vr, value) for tag, vr, value in (
            (0x00280002, b"US", b"\1\0"),
            (0x00280004, b"CS", b"MONOCHROME2"),
            (0x00280010, b"US", struct.pack("<H", 120)),
            (0x00280011, b"US", struct.pack("<H", 160)),
            (0x00280100, b"US", b"\10\0"), (0x00280101, b"US", b"\10\0"),
            (0x00280102, b"US", b"\7\0"), (0x00280103, b"US", b"\0\0"))),
        element(0x7FE00010, b"OB", PICTURE)])


class Ingest(Mount):
    """The device's mount; it has no key."""

    def command(self):
        return [os.path.join(BUILD, "chaosimgfs"), "-f", "-o",
                f"ingest,params=params,ingest-epoch={EPOCH}", "edge", MNT]


def keys_and_rules():
    for action in (("init", "hospital", "secret", "public"),
                   ("issue", "--user", "alice", "--output", "alice", "secret",
                    "radiologist"),
                   ("issue", "--user", "bob", "--output", "bob", "secret",
                    "clerk")):
        works(f"authority {action[0]}", "authority", *action)
    works("policies", "policy", "set", "--keyfile", KEY, "--clinical", SIGHT,
          "--pixels", SIGHT, "--identity", "clerk@hospital", "--authority",
          "public", ARCHIVE)
    write("rules", RULES)
    works("rules", "rules", "set", "--keyfile", KEY, ARCHIVE, "rules")
    works("a key of compartments", "key", "export", "--keyfile", KEY,
          "--compartments", "clinical,pixels", ARCHIVE, "part")
    works("parameters", "ingest", "params", "--keyfile", KEY, ARCHIVE, "params")
    ok("have no key in them", not any(
        secret in read("params") for secret in secrets_of_archive()))


def secrets_of_archive():
    try:
        import format_reader
    except ImportError:
        return []
    archive = format_reader.Archive(ARCHIVE, KEY)
    secrets = [archive.config.key, archive.names, archive.mac_key]
    for keyset in archive.keysets.values():
        secrets += keyset
    return [form for s in secrets for form in (s, s.hex().encode())]


# --- on the device ---------------------------------------------------------------

def fill(folder, files):
    os.mkdir(os.path.join(folder, NAME.decode()))
    for name, data in files.items():
        write(os.path.join(folder, NAME.decode(), name), data)


def device_keys():
    """All keys of all that it has stored, as the archive's holder finds them."""
    import format_reader as reader
    # The archive with what the device has, in another place.
    shutil.copytree(ARCHIVE, "both", symlinks=True)
    shutil.copytree("edge", "both", symlinks=True, dirs_exist_ok=True)
    archive = reader.Archive("both", KEY)
    keys = {}
    for name in os.listdir("edge/keysets"):
        keyset = archive.keysets[bytes.fromhex(name[:32])]
        keys.update({f"{name[:4]}, {what}": key for what, key in zip(
            ("clinical", "identity", "pixels", "structure"), keyset)})
        session = keyset[4:]
    for top, _, files in os.walk("edge/data"):
        for name in files:
            keys.update(file_keys(reader, archive, os.path.join(top, name)))
    shutil.rmtree("both")
    return keys, dict(zip(("names", "directories"), session))


def file_keys(reader, archive, path):
    if os.path.islink(path):
        return {}
    slot = read(path)[:2048]
    keyset = archive.keysets[slot[32:48]]
    header, mac = reader.halves(reader.expand(
        keyset[3], b"chaosimg header v1" + slot[16:32], 64))
    keys = {"header": header, "mac": mac}
    for wanted in range(3):
        chaos, aead = reader.halves(reader.expand(
            keyset[wanted], b"chaosimg record v1" + bytes([1 << wanted]) +
            slot[16:32], 64))
        keys.update({f"chaos {wanted}": chaos, f"aead {wanted}": aead})
    return {f"{os.path.basename(path)[:4]} {k}": v for k, v in keys.items()}


def forgotten(mount, at):
    """After the time nothing in the daemon's memory opens what is stored."""
    keys, session = device_keys()
    found = search(mount.daemon.pid, {**keys, **session})
    same(f"{at}: no key of an image is in the daemon's memory",
         {name for name in keys if found[name]}, set())
    same("those of the mount's names are",
         {name for name in session if not found[name]}, set())


def on_the_device(files, with_reader):
    with Ingest() as mount:
        fill(MNT, files)
        for name, data in files.items():
            same(f"{name}: can be read", read(f"{MNT}/{NAME.decode()}/{name}"),
                 data)
        if with_reader:
            keys, session = device_keys()
            found = search(mount.daemon.pid, {**keys, **session})
            there = {name.split()[1] for name in keys if found[name]}
            ok("the keys are there", {"clinical", "identity", "pixels",
                                      "structure"} <= there, there)
        time.sleep(EPOCH + 2)
        if with_reader:
            forgotten(mount, "when its time is over")
        try:
            read(f"{MNT}/{NAME.decode()}/letter")
            ok("then it cannot be read", False)
        except PermissionError:
            ok("then it cannot be read", True)
        write(f"{MNT}/late", LETTER)
    ransacked(files)


def stolen():
    """Every byte, and every name, that there is on the device."""
    data = read("params")
    for top, folders, names in os.walk("edge"):
        for name in folders + names:
            path = os.path.join(top, name)
            data += name.encode() + b"\n"
            if os.path.islink(path):
                data += os.readlink(path).encode()
            elif os.path.isfile(path):
                data += read(path)
    return data


def locked(folder):
    try:
        os.listdir(folder)
        return False
    except OSError as error:
        return error.errno == errno.ENOKEY


def ransacked(files):
    data = stolen()
    same("no word of what was written is on the device",
         [word for word in (NAME, b"letter", LETTER[:45], PICTURE[:16],
                            *(d[500:516] for d in files.values()))
          if word in data], [])
    same("nor a key of the archive", [
        key for key in secrets_of_archive() if key in data], [])
    # An archive of one's own around what is there.
    works("a thief's key", "keyfile", "thief")
    works("and archive", "init", "--keyfile", "thief", "loot")
    for name in os.listdir("edge/keysets"):
        shutil.copy(f"edge/keysets/{name}", "loot/keysets")
    for name in os.listdir("edge/data"):
        shutil.copytree(f"edge/data/{name}", f"loot/data/{name}", symlinks=True)
    result = run("fsck", "--keyfile", "thief", "loot")
    ok("does not open it", result.returncode == 1 and
       b"belongs to another archive" in result.stdout, result)
    with Mount("ro", key="thief", archive="loot"):
        ok("nor does a mount of that", all(
            locked(f"{MNT}/{name}") for name in sessions(MNT)))
    fails("no key of one archive opens another", 1, "chaosimg.json", "fsck",
          "--keyfile", "thief", "edge")


# --- in the archive -----------------------------------------------------------------

def take_in():
    """As operations.rst says."""
    if not shutil.which("rsync"):
        return subprocess.run("cp -a edge/keysets/. archive/keysets && "
                              "cp -a edge/data/chaosimg.ingest.* archive/data",
                              shell=True, check=False).returncode
    return subprocess.run(
        "rsync -a edge/keysets/ archive/keysets/ && rsync -a "
        f"--temp-dir={os.getcwd()}/archive edge/data/chaosimg.ingest.* "
        "archive/data/", shell=True, check=False).returncode


def tree(at):
    """Each file's bytes below a folder, by its name there."""
    return {os.path.relpath(os.path.join(top, name), at):
            read(os.path.join(top, name))
            for top, _, names in os.walk(at) for name in names}


def sessions(at):
    return [name for name in os.listdir(at) if name.startswith("ingest-")]


def in_the_archive(files, with_reader):
    with Mount():
        fill(MNT, files)
        own = {f"{NAME.decode()}/{name}": data for name, data in files.items()}
        session = sessions(MNT)
        same("a folder of the device", len(session), 1)
        same("all of it, bit for bit", tree(f"{MNT}/{session[0]}"),
             {**own, "late": LETTER})
    if with_reader:
        import format_reader as reader
        reader.Archive(ARCHIVE, KEY).restore(
            f"{ARCHIVE}/data", "out", reader.Archive(ARCHIVE, KEY).config.id,
            bytes(16))
        same("a second reader gets the same", tree(f"out/{session[0]}"),
             {**own, "late": LETTER})
    return session[0]


def masked(files, session, key):
    """The device's images are shown as those of the archive's own mounts."""
    with Mount("ro", key=key):
        same(f"{key}: the folder", sessions(MNT), [session])
        shown = tree(f"{MNT}/{session}")
        own = {name: data for name, data in tree(MNT).items()
               if not name.startswith("ingest-")}
        same(f"{key}: as many files", len(shown), len(files) + 1)
        same(f"{key}: what rules hide, and all else",
             *(sorted(d for d in found.values() if d[128:132] == b"DICM" and
                      b"ABDOMEN" in d) for found in (shown, own)))
        hidden = key != "bob"
        ok(f"{key}: the CT is there", len(files["CT"]) in
           [len(d) for d in shown.values() if d[128:132] == b"DICM"])
        same(f"{key}: whose it is is hidden",
             any(NAME in d for d in shown.values()), not hidden)
        same(f"{key}: in names, too",
             os.path.exists(f"{MNT}/{session}/{NAME.decode()}"), not hidden)
        pictures = [d[-len(PICTURE):] for d in shown.values()
                    if b"MONOCHROME2" in d and len(d) == len(files["US"])]
        ok(f"{key}: the picture, but for its banner", hidden == any(
            p[20 * 160:] == PICTURE[20 * 160:] and p != PICTURE
            for p in pictures))


def moved(files, session):
    """To a keyset of the archive."""
    works("files are moved to it", "rekey", "--reencrypt", "--keyfile", KEY,
          ARCHIVE)
    works("nothing is damaged", "fsck", "--keyfile", KEY, ARCHIVE)
    for key in ("alice", "bob", "part"):
        masked(files, session, key)


obstacle = mounted.obstacle()
if obstacle:
    print(f"1..0 # SKIP {obstacle}")
    sys.exit()
if not os.path.exists(CT):
    print("1..0 # SKIP needs the files of Debian's python3-pydicom")
    sys.exit()
FILES = {"US": ultrasound(), "CT": read(CT), "letter": LETTER}
scratch()
mounted.make()
os.mkdir("edge")
keys_and_rules()
try:
    import format_reader  # noqa: F401
    READER = True
except ImportError:
    READER = False
    skip("keys in memory and a second reader",
         "python3-cryptography is not installed")
on_the_device(FILES, READER)
same("it is taken into the archive", take_in(), 0)
works("nothing is damaged", "fsck", "--keyfile", KEY, ARCHIVE)
SESSION = in_the_archive(FILES, READER)
for user in ("alice", "bob", "part"):
    masked(FILES, SESSION, user)
moved(FILES, SESSION)
done()
