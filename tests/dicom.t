#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""DICOM recognition and division against pydicom, over pydicom's real files.

tests/lib/dicom_places.py says where each value lies and what it is; and
build/tests/test_dicom, given file names, prints what the library makes of it.
"""
import bisect
import itertools
import os
import pathlib
import re
import subprocess
import sys
import warnings

import pydicom

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "lib"))
from dicom_places import (  # noqa: E402
    CLINICAL, IDENTITY, PIXELS, TOP, reference)

DUMP = pathlib.Path(os.environ.get("BUILD", TOP / "build")) / "tests/test_dicom"
DATA = pathlib.Path(pydicom.__file__).parent / "data"
SEGMENTS_MAX = 100

# Files that are DICOM to pydicom with force=True alone, and how we see them.
BARE = {
    "ExplVR_BigEndNoMeta.dcm": True,
    "ExplVR_LitEndNoMeta.dcm": True,
    "rtstruct.dcm": True,
    # Begins with a stray byte, so that no element is where it should be;
    # pydicom finds no attribute that exists in it either.
    "no_meta.dcm": False,
}
# The data set is a compressed stream, identity as a whole.
DEFLATED = {"image_dfl.dcm"}

warnings.simplefilter("ignore")
count = failures = 0


def ok(good, name, *why):
    """Print one TAP line."""
    global count, failures
    count += 1
    failures += not good
    print("ok" if good else "not ok", count, "-", name)
    for line in why if not good else ():
        print("#", line)


# --- what the library says --------------------------------------------------

class Division:
    """The output of test_dicom for one file."""

    def __init__(self, lines):
        self.modality = self.syntax = ""
        self.ends, self.kinds = [], []
        for line in lines:
            word, _, rest = line.partition(" ")
            if word == "result":
                self.result = int(rest)
            elif word == "modality":
                self.modality = rest
            elif word == "syntax":
                self.syntax = rest
            elif word == "segment":
                kind, length = map(int, rest.split())
                start = self.ends[-1] if self.ends else 0
                self.ends.append(start + length)
                self.kinds.append(kind)

    def kinds_in(self, start, end):
        """The compartments of the bytes from start up to end."""
        first = bisect.bisect_right(self.ends, start)
        last = bisect.bisect_left(self.ends, end)
        return set(self.kinds[first:last + 1])

    def merged(self):
        """May segments have been merged for want of room?"""
        return len(self.ends) >= SEGMENTS_MAX - 2


def divide(paths):
    """Yield a Division for each file."""
    done = subprocess.run([DUMP, *paths], stdout=subprocess.PIPE, check=True)
    text = done.stdout.decode("utf-8", "surrogateescape")
    blocks = re.split(r"^file .*\n", text, flags=re.M)[1:]
    assert len(blocks) == len(paths)
    for block in blocks:
        yield Division(block.splitlines())


# --- what pydicom says of a file as a whole ---------------------------------

def syntax_of(ds):
    """(0002,0010), or what pydicom parsed it as."""
    uid = getattr(ds, "file_meta", {}).get("TransferSyntaxUID")
    if uid:
        return str(uid)
    if ds.is_implicit_VR:
        return "1.2.840.10008.1.2"
    return f"1.2.840.10008.1.2.{1 if ds.is_little_endian else 2}"


def read(path, force=False):
    """What pydicom makes of a file; None if it is not DICOM to it."""
    try:
        return pydicom.dcmread(path, force=force)
    except pydicom.errors.InvalidDicomError:
        return None


# --- the checks -------------------------------------------------------------

seen = [0, 0, 0]


def misplaced(data, ds, division):
    """Values that are not where they belong, as text."""
    for tag, start, end, kind, e in reference(data, ds):
        if end > len(data):
            kind = IDENTITY     # cut off: where the parser gives up
            end = len(data)
        elif data[start:end] != (e.value or b""):
            yield f"({tag:08x}) at {start}: not found there"
        if start == end:
            continue
        seen[kind] += 1
        found = division.kinds_in(start, end)
        if found == {kind}:
            continue
        if kind == CLINICAL and division.merged() and found <= {0, IDENTITY}:
            continue
        yield f"({tag:08x}) at {start}..{end}: {kind} expected, {found} found"


def check_dicom(path, division):
    """A file that pydicom reads."""
    name = path.relative_to(DATA)
    data = path.read_bytes()
    ds = read(path, force=True)
    why = []
    if division.result != 1:
        why.append("not recognised")
    elif division.ends[-1] != len(data):
        why.append("the segments do not cover the file")
    if division.syntax != syntax_of(ds):
        why.append(f"{division.syntax}: {syntax_of(ds)} expected")
    if path.name in DEFLATED:
        start = data.index(b"1.2.840.10008.1.2.1.99")
        if division.kinds_in(len(data) - 1000, len(data)) != {IDENTITY}:
            why.append(f"deflated, but shown behind {start}")
        ok(not why, name, *why)
        return
    modality = str(ds.get("Modality", "") or "")
    if division.modality != modality:
        why.append(f"modality {division.modality}: {modality} expected")
    why += misplaced(data, ds, division)
    ok(not why, name, *why[:10])


def check_real_files():
    """Every file that pydicom brings."""
    paths = sorted(p for p in DATA.rglob("*") if p.is_file())
    for path, division in zip(paths, divide(paths)):
        if path.name in BARE:
            dicom = BARE[path.name]
            if read(path) is not None:
                ok(False, path.name, "is not a bare data set")
        else:
            dicom = read(path) is not None
        if dicom:
            check_dicom(path, division)
        else:
            ok(division.result == 0, f"{path.relative_to(DATA)} is not DICOM")
    ok(seen[IDENTITY] > 1000 and seen[PIXELS] > 50 and seen[CLINICAL] > 1000,
       "enough of each kind was seen", f"{seen}")
    print(f"# values checked: {seen[CLINICAL]} clinical, {seen[IDENTITY]} "
          f"identity, {seen[PIXELS]} pixels")


def check_stray_byte():
    """The one file that is excepted above deserves it."""
    ds = read(DATA / "test_files/no_meta.dcm", force=True)
    ok("Modality" not in ds and "SOPClassUID" not in ds and
       "Rows" not in ds, "no_meta.dcm holds nothing for pydicom either")


def check_other_files():
    """Programs, libraries, texts, time zones: none is DICOM."""
    folders = ("/usr/bin", "/usr/lib/python3.11", "/usr/share/zoneinfo",
               "/usr/share/perl", "/etc")
    paths = []
    for folder in folders:
        found = (p for p in pathlib.Path(folder).rglob("*")
                 if p.is_file() and not p.is_symlink() and
                 os.access(p, os.R_OK))
        paths += itertools.islice(found, 600)
    wrong = []
    for i in range(0, len(paths), 200):
        part = paths[i:i + 200]
        wrong += [p for p, d in zip(part, divide(part)) if d.result]
    ok(len(paths) > 500 and not wrong,
       "files of the system are not DICOM", f"{len(paths)} files", *wrong)


def check_tables():
    """The C tables are what their generators make of their sources."""
    for name in ("profile", "vr"):
        made = subprocess.run([TOP / f"userlib/gen-dicom-{name}.py"],
                              stdout=subprocess.PIPE, check=True).stdout
        ok(made == (TOP / f"userlib/dicom_{name}.c").read_bytes(),
           f"userlib/dicom_{name}.c is up to date")


check_tables()
check_real_files()
check_stray_byte()
check_other_files()
print(f"1..{count}")
sys.exit(failures > 0)
