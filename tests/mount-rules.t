#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Mounts of an archive with rules: what is burnt into a picture is hidden from
who holds its pixels and not the patient's identity, and nothing else of it is.
"""

import os
import random
import struct
import sys

sys.dont_write_bytecode = True
os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
sys.path.insert(0, "tests/lib")

import mounted  # noqa: E402
from dicom_element import element  # noqa: E402
from mounted import ARCHIVE, KEY, MNT, Mount  # noqa: E402
from tap import done, ok, read, same, scratch, skip, works, write  # noqa: E402

ROWS, COLUMNS, FRAMES, SAMPLES, BLOCK = 120, 160, 3, 3, 32
RULES = b"""
rule banner
    Modality = US
    region 16 0 100 20
    region 100 90 60 30
rule scope
    Modality = XC
    regions outside-ultrasound
rule capture
    Modality = OT
    hold frames
"""
RECTS = ((16, 0, 100, 20), (100, 90, 60, 30))
SHOWN = (30, 20, 129, 99)       # the corners
NAME = b"Mustermann^Erika"


def image(modality, picture, compressed=False):
    syntax = b"1.2.840.10008.1.2.4.50" if compressed else \
        b"1.2.840.10008.1.2.1"
    corners = b"".join(element(0x00186018 + 2 * i, b"UL", struct.pack("<I", v))
                       for i, v in enumerate(SHOWN))
    item = struct.pack("<HHI", 0xFFFE, 0xE000, len(corners)) + corners
    pixels = element(0x7FE00010, b"OW", picture)
    if compressed:
        def fragment(data):
            return struct.pack("<HHI", 0xFFFE, 0xE000, len(data)) + data
        pixels = struct.pack("<HH2sHI", 0x7FE0, 0x0010, b"OB", 0, 2**32 - 1) \
            + fragment(b"") + fragment(picture) + \
            struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
    return bytes(128) + b"DICM" + b"".join([
        element(0x00020010, b"UI", syntax),
        element(0x00080060, b"CS", modality),
        element(0x00100010, b"PN", NAME),
        element(0x00180015, b"CS", b"ABDOMEN"),
        element(0x00186011, b"SQ", item),
        *(element(tag, b"US", struct.pack("<H", v)) for tag, v in (
            (0x00280002, SAMPLES),)),
        element(0x00280004, b"CS", b"RGB"),
        element(0x00280006, b"US", struct.pack("<H", 0)),
        element(0x00280008, b"IS", str(FRAMES).encode()),
        *(element(tag, b"US", struct.pack("<H", v)) for tag, v in (
            (0x00280010, ROWS), (0x00280011, COLUMNS), (0x00280100, 8),
            (0x00280101, 8), (0x00280102, 7), (0x00280103, 0))),
        pixels])


def in_rects(x, y):
    return any(left <= x < left + width and top <= y < top + height
               for left, top, width, height in RECTS)


def outside(x, y):
    return not (SHOWN[0] <= x <= SHOWN[2] and SHOWN[1] <= y <= SHOWN[3])


def blurred(picture, hidden):
    """The picture with the means of blocks where pixels are hidden."""
    out = bytearray(picture)
    for frame in range(FRAMES):
        cells = {}
        for y in range(ROWS):
            for x in range(COLUMNS):
                if not hidden(x, y):
                    continue
                at = ((frame * ROWS + y) * COLUMNS + x) * SAMPLES
                for s in range(SAMPLES):
                    cells.setdefault((x // BLOCK, y // BLOCK, s),
                                     []).append(at + s)
        for places in cells.values():
            total = sum(picture[at] for at in places)
            mean = (2 * total + len(places)) // (2 * len(places))
            for at in places:
                out[at] = mean
    return bytes(out)


def only(picture, hidden):
    """What is hidden; the rest is blank."""
    return bytes(v if hidden(i // SAMPLES % COLUMNS,
                             i // SAMPLES // COLUMNS % ROWS) else 0
                 for i, v in enumerate(picture))


def picture_of(data):
    return data[-ROWS * COLUMNS * SAMPLES * FRAMES:]


def log():
    return read("daemon.log").decode(errors="replace")


def fill(files):
    for name, data in files.items():
        write(os.path.join(MNT, name), data)
    return {name: (os.lstat(os.path.join(MNT, name)).st_ino,
                   mounted.stored(name)) for name in files}


def shown(inode, at):
    """A file in another mount, by its inode: names are hidden, too."""
    return next(read(os.path.join(at, name)) for name in os.listdir(at)
                if os.lstat(os.path.join(at, name)).st_ino == inode)


def check_log(found, before):
    said = log()
    for name, (_, stored) in found.items():
        held = name in ("capture", "compressed", "odd")
        lines = [line for line in said.splitlines() if stored in line]
        same(f"{name}: {'a' if held else 'no'} line in the log",
             any("all pixels are held back" in line for line in lines), held)
    ok("it says why", "the frames are compressed" in said and
       "a rule says so" in said and
       "the length of the pixels is not that" in said, said)
    ok("and names nobody", NAME.decode() not in said and
       not any(f"/{name}" in said for name in found), said)
    same("before there were rules, it said nothing",
         "held back" in before, False)


def check_all(files):
    wrong = [name for name, data in files.items()
             if read(os.path.join(MNT, name)) != data]
    same("with all keys, every file is as it was", wrong, [])


def check_pixels(files, found, at):
    for name, hidden in (("banner", in_rects), ("scope", outside),
                         ("free", lambda x, y: False)):
        data = shown(found[name][0], at)
        want = blurred(picture_of(files[name]), hidden)
        ok(f"without identity, {name}: the region in blocks, the rest sharp",
           picture_of(data) == want)
        ok("  the patient is hidden", NAME not in data)
        ok("  clinical values are not", b"ABDOMEN" in data)
    for name in ("capture", "odd"):
        data = shown(found[name][0], at)
        same(f"without identity, {name} is blank",
             data[-100000:].strip(b"\0"), b"")
    data = shown(found["compressed"][0], at)
    ok("without identity, compressed frames are not there",
       b"frame of a name" not in data and
       len(data) == len(files["compressed"]))


def check_identity(files, found, at):
    for name, hidden in (("banner", in_rects), ("scope", outside)):
        data = shown(found[name][0], at)
        ok(f"with identity alone, {name}: the region, and nothing else",
           picture_of(data) == only(picture_of(files[name]), hidden))
        ok("  and the patient", NAME in data)
    for name in ("capture", "compressed", "odd"):
        same(f"with identity alone, the pixels of {name}",
             shown(found[name][0], at)[-2000:], files[name][-2000:])


def check_moved(files, found):
    """Rules of today count for files that are moved to a new keyset."""
    write("rules", b"rule all\nhold frames\n")
    works("other rules", "rules", "set", "--keyfile", KEY, ARCHIVE, "rules")
    with Mount("ro", key="cp.key", at="cp"):
        ok("change no file", picture_of(shown(found["free"][0], "cp")) ==
           picture_of(files["free"]))
    works("a new keyset", "rekey", "--keyfile", KEY, ARCHIVE)
    works("for all files", "rekey", "--keyfile", KEY, "--reencrypt", ARCHIVE)
    with Mount("ro"):
        check_all(files)
        inode = os.lstat(os.path.join(MNT, "free")).st_ino
    with Mount("ro", key="cp.key", at="cp"):
        ok("but what is moved comes under them", not picture_of(
            shown(inode, "cp")).strip(b"\0"))


def main():
    reason = mounted.obstacle()
    if reason:
        skip("rules", reason)
        done()
    scratch()
    random.seed(1)
    size = ROWS * COLUMNS * SAMPLES * FRAMES
    files = {
        "banner": image(b"US", random.randbytes(size)),
        "scope": image(b"XC", random.randbytes(size)),
        "capture": image(b"OT", random.randbytes(size)),
        "free": image(b"MR", random.randbytes(size)),
        "odd": image(b"US", random.randbytes(size - 160)),
        "compressed": image(b"US", b"frame of a name" * 9000, True),
    }
    write("rules", RULES)
    mounted.make()
    for letters, kinds in (("cp", "clinical,pixels"), ("i", "identity")):
        works(f"a key for {kinds}", "key", "export", "--keyfile", KEY,
              "--compartments", kinds, ARCHIVE, letters + ".key")
        os.mkdir(letters)
    with Mount():
        fill(files)
        before = log()
        works("rules, while it is mounted", "rules", "set", "--keyfile", KEY,
              ARCHIVE, "rules")
        for name in files:
            os.remove(os.path.join(MNT, name))
        found = fill(files)
    check_log(found, before)
    with Mount("ro"):
        check_all(files)
    with Mount("ro", key="cp.key", at="cp"):
        check_pixels(files, found, "cp")
    with Mount("ro", key="i.key", at="i"):
        check_identity(files, found, "i")
    check_moved(files, found)
    works("fsck", "fsck", "--keyfile", KEY, ARCHIVE)
    works("scrub", "scrub", ARCHIVE)
    done()


main()
