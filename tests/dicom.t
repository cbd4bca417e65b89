#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""DICOM recognition and division against pydicom, over pydicom's real files.

pydicom says where each value lies; the profile's JSON says what it is; and
build/tests/test_dicom, given file names, prints what the library makes of it.
"""
import bisect
import io
import itertools
import json
import os
import pathlib
import re
import subprocess
import sys
import warnings

import pydicom
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import RawDataElement
from pydicom.filereader import data_element_generator, read_sequence

TOP = pathlib.Path(__file__).resolve().parent.parent
DUMP = pathlib.Path(os.environ.get("BUILD", TOP / "build")) / "tests/test_dicom"
DATA = pathlib.Path(pydicom.__file__).parent / "data"
PROFILE = TOP / "userlib/dicom-confidentiality-profile.json"
SEGMENTS_MAX = 100

CLINICAL, IDENTITY, PIXELS = range(3)
UNDEFINED = 0xFFFFFFFF

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


# --- what pydicom and the profile say ---------------------------------------

def load_profile():
    """The profile as a function: is this tag listed?"""
    patterns = []
    for row in json.loads(PROFILE.read_text(encoding="utf-8")):
        digits = re.sub("[(),]", "", row["tag"])
        if len(digits) == 8:
            patterns.append(digits.replace("X", "[0-9A-F]"))
    listed = re.compile("|".join(patterns))
    return lambda tag: bool(tag >> 16 & 1 or listed.fullmatch(f"{tag:08X}"))


LISTED = load_profile()


def is_picture(tag):
    """Pixel Data, its float variants, overlays, spectra."""
    return (tag in (0x7FE00008, 0x7FE00009, 0x7FE00010, 0x56000020) or
            tag & 0xFF01FFFF == 0x60003000)


def vr_of(element):
    """The VR, from the dictionary where the file does not tell."""
    if element.VR in (None, "UN"):
        try:
            return dictionary_VR(element.tag)
        except KeyError:
            return "UN"
    return element.VR


def values(fp, elements, little, within=None):
    """Yield (tag, start, end, compartment) for each value, nested ones too."""
    for e in elements:
        tag = int(e.tag)
        kind = (PIXELS if is_picture(tag) and within != "listed" else
                IDENTITY if within or LISTED(tag) else CLINICAL)
        inner = within
        if kind == IDENTITY:
            inner = ("icon" if tag == 0x00880200 and not within
                     else within or "listed")
            if within == "icon":
                inner = "listed"
        if not isinstance(e, RawDataElement):
            if e.VR != "SQ":
                continue        # decoded already: a character set
            items = e.value
        elif e.length == UNDEFINED:
            yield tag, e.value_tell, e.value_tell + len(e.value), kind, e
            continue
        else:
            end = e.value_tell + e.length
            if (vr_of(e) != "SQ" or tag >> 16 & 1 or not e.length or
                    end > fp.getbuffer().nbytes):
                yield tag, e.value_tell, end, kind, e
                continue
            if inner == "listed":
                yield tag, e.value_tell, end, kind, e
            fp.seek(e.value_tell)
            items = read_sequence(fp, e.is_implicit_VR or e.VR == "UN",
                                  little, e.length, "iso8859")
        for item in items:
            yield from values(fp, item._dict.values(), little, inner)


def reference(data, ds):
    """All the values of a file, at their places in it."""
    fp = io.BytesIO(data)
    meta = ()
    if data[128:132] == b"DICM":
        fp.seek(132)
        meta = list(data_element_generator(
            fp, False, True, stop_when=lambda tag, vr, n: tag.group != 2))
    rest = list(data_element_generator(fp, ds.is_implicit_VR,
                                       ds.is_little_endian))
    yield from values(fp, meta, True)
    yield from values(fp, rest, ds.is_little_endian)


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


def check_table():
    """The C table is what the generator makes of the JSON."""
    made = subprocess.run([TOP / "userlib/gen-dicom-profile.py"],
                          stdout=subprocess.PIPE, check=True).stdout
    ok(made == (TOP / "userlib/dicom_profile.c").read_bytes(),
       "userlib/dicom_profile.c is up to date")


check_table()
check_real_files()
check_stray_byte()
check_other_files()
print(f"1..{count}")
sys.exit(failures > 0)
