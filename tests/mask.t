#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Masked DICOM files, as mounts without some keys show them.

The files are all that pydicom brings, and what DCMTK and GDCM make of some of
them in other transfer syntaxes. tests/lib/mask_file.c writes what each set of
compartments would see of them. tests/lib/dicom_places.py says which values
must be gone; DCMTK, pydicom and GDCM must open what is left without a
complaint that the original does not cause; and pixels must be blank.

MUTATIONS=N: so many damaged files (default 3000); SEED=N: others. LONG=1: the
tools read the files of all views, not of some. ONLY=REGEX: files so named.
"""
import concurrent.futures
import os
import pathlib
import re
import subprocess
import sys
import warnings

import gdcm
import numpy
import pydicom
from pydicom.pixel_data_handlers import gdcm_handler, numpy_handler

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "lib"))
from dicom_places import (  # noqa: E402
    CLINICAL, IDENTITY, PIXELS, reference, vr_of)
from tap import BUILD, done, ok, same, scratch, skip  # noqa: E402

TOOL = os.path.join(BUILD, "tests/mask_file")
DATA = pathlib.Path(pydicom.__file__).parent / "data"
# Bare data sets; a third is not DICOM to us, as it begins with a stray byte.
BARE = {"ExplVR_BigEndNoMeta.dcm", "ExplVR_LitEndNoMeta.dcm", "rtstruct.dcm"}
DEFLATED = "1.2.840.10008.1.2.1.99"
VIEWS = ("none", "c", "i", "ci", "p", "cp", "ip")
ONLY = os.environ.get("ONLY", "")
# What the tools read.
READ = VIEWS if os.environ.get("LONG") else ("cp", "i")
DRAWN = VIEWS if os.environ.get("LONG") else ("ci", "i")
# Its last item reaches out of its sequence: unreadable, so identity.
UNREADABLE = {"DICOMDIR-nooffset"}
# Not a JPEG 2000 stream; what GDCM makes of it differs from time to time.
NO_PICTURE = {"JPEG2000-embedded-sequence-delimiter.dcm"}
# A value by the letter of its compartment's view.
LETTER = {CLINICAL: "c", IDENTITY: "i", PIXELS: "p"}

# With RLE, pydicom's own decoder is used, which is slow but strict.
pydicom.config.pixel_data_handlers = [numpy_handler, gdcm_handler,
                                      pydicom.config.rle_handler]
gdcm.Trace.WarningOff()


# --- the files --------------------------------------------------------------

def is_dicom(path):
    with open(path, "rb") as f:
        return path.name in BARE or f.read(132)[128:] == b"DICM"


# What is made of which files: a command, with IN and OUT.
MADE = {
    ("CT_small.dcm", "MR_small.dcm"): {
        "implicit": "dcmconv +ti IN OUT",
        "big": "dcmconv +tb IN OUT",
        "undefined": "dcmconv +te -e IN OUT",
        "defined": "dcmconv +te +e IN OUT",
        "deflated": "dcmconv +td IN OUT",
        "lossless": "dcmcjpeg +e1 IN OUT",
        "predictor": "dcmcjpeg +el +sv 6 IN OUT",
        "extended": "dcmcjpeg +ee IN OUT",
        "jpegls": "dcmcjpls +el IN OUT",
        "near": "dcmcjpls +en IN OUT",
        "rle": "dcmcrle IN OUT",
        "fragments": "dcmcrle +fs 1 IN OUT",
        "j2k": "gdcmconv --j2k IN OUT",
        "gdcmls": "gdcmconv --jpegls IN OUT",
        "gdcmrle": "gdcmconv --rle IN OUT",
        "gdcmjpeg": "gdcmconv --jpeg IN OUT",
    },
    ("SC_rgb_small_odd.dcm", "SC_rgb_gdcm_KY.dcm"): {
        "big": "dcmconv +tb IN OUT",
        "deflated": "dcmconv +td IN OUT",
        "baseline": "dcmcjpeg +eb IN OUT",
        "full": "dcmcjpeg +eb +cy +s4 IN OUT",
        "quarter": "dcmcjpeg +eb +cy +sq IN OUT",
        "halves": "dcmcjpeg +eb +cy +s2 IN OUT",
        "rgb": "dcmcjpeg +eb +cr IN OUT",
        "spectral": "dcmcjpeg +es IN OUT",
        "progressive": "dcmcjpeg +ep IN OUT",
        "lossless": "dcmcjpeg +e1 IN OUT",
        "jpegls": "dcmcjpls +el IN OUT",
        "line": "dcmcjpls +el +il IN OUT",
        "none": "dcmcjpls +el +in IN OUT",
        "rle": "dcmcrle IN OUT",
        "j2k": "gdcmconv --j2k IN OUT",
        "irreversible": "gdcmconv --j2k --irreversible IN OUT",
        "gdcmls": "gdcmconv --jpegls IN OUT",
    },
    ("rtdose.dcm", "SC_rgb_rle_2frame.dcm"): {
        "raw": "gdcmconv --raw IN OUT",
        "rle": "dcmcrle IN OUT",
    },
    ("liver_1frame.dcm",): {
        "implicit": "dcmconv +ti IN OUT",
        "rle": "dcmcrle IN OUT",
    },
}


def convert(sources):
    """Yield the files that the tools make of some of the others."""
    by_name = {p.name: p for p in sources}
    for names, commands in MADE.items():
        for name in names:
            if name not in by_name:
                continue
            for kind, command in commands.items():
                out = pathlib.Path(f"made-{kind}-{name}").absolute()
                if not re.search(ONLY, out.name):
                    continue
                words = {"IN": str(by_name[name]), "OUT": str(out)}
                subprocess.run([words.get(w, w) for w in command.split()],
                               stdout=subprocess.DEVNULL, check=False,
                               stderr=subprocess.DEVNULL)
                if out.exists():
                    yield out


# --- who must not learn what ------------------------------------------------

# What every mount shows, as Documentation/dicom.rst lists it.
STRUCTURE = re.compile(
    "....0000|00020001|00020002|00020010|00020012|00020013|"
    "00041200|00041202|00041212|00041400|00041410|00041420|00041430|"
    "00080005|00080016|00080060|00081150|"
    "0028(0002|0004|0006|0008|0009|0010|0011|010[0-3]|110.|120.|122.|3002)|"
    "003A0005|003A0010|54001004|54001006|"
    "60[0-9A-F][02468ACE](0010|0011|0015|0040|0050|0051|0100|0102)")
ITEM = b"\xfe\xff\x00\xe0"
SOP_CLASS = re.compile(rb"1\.2\.840\.10008\.5\.1\.4\.[0-9.]+\0?")


class Original:
    """A file, and where its values are."""

    def __init__(self, path):
        self.path = path
        self.data = path.read_bytes()
        self.ds = pydicom.dcmread(path, force=True)
        meta = getattr(self.ds, "file_meta", {})
        self.syntax = str(meta.get("TransferSyntaxUID", ""))
        self.values = []
        if self.syntax == DEFLATED:
            return
        for tag, start, end, kind, e in reference(self.data, self.ds, True):
            if start < end <= len(self.data) and vr_of(e) != "SQ":
                self.values.append((tag, start, end, kind, vr_of(e)))

    def hidden(self, view):
        """The values that a view must not show."""
        if self.path.name in UNREADABLE and "i" in view:
            return
        for value in self.values:
            tag, start, end, kind, vr = value
            old = self.data[start:end]
            if LETTER[kind] in view.replace("none", ""):
                continue
            if STRUCTURE.fullmatch(f"{tag:08X}") and (
                    kind == CLINICAL or not tag & 0xFFFF or
                    SOP_CLASS.fullmatch(old)):
                continue
            yield value

    def icons(self):
        """Is there a second picture, whose form is identity?"""
        return "IconImageSequence" in self.ds


def says_nothing(old):
    """May a value be its own filler?"""
    text = old.strip(b" \0\\")
    return text in (b"", b"1", b"O", b"000Y", b"000000", b"19000101") or \
        not text.strip(b"X") or not old.strip(b"1 \\") or \
        text in (b"00", b"0000", b"+0000")


def values_are_gone(original, views):
    """The values that a view shows at their places, though it must not."""
    for view in VIEWS:
        for tag, start, end, _, vr in original.hidden(view):
            old = original.data[start:end]
            new = views[view][start:end]
            if old == new and not says_nothing(old):
                yield f"{view}: ({tag:08x}) {vr} is still {old[:60]}"
    # Nor may those that are long enough to be told be anywhere else.
    rest = bytearray(views["none"])
    for tag, start, end, kind, vr in original.values:
        if STRUCTURE.fullmatch(f"{tag:08X}"):
            rest[start:end] = bytes(end - start)
    for tag, start, end, kind, vr in original.hidden("none"):
        old = original.data[start:end].strip(b" \0")
        if kind == IDENTITY and len(old) >= 8 and len(set(old)) > 3 and \
                old in rest:
            yield f"none: ({tag:08x}) {vr} {old[:60]} is found elsewhere"


def other(old, vr):
    """Another value of the same length that says something else."""
    if old[:4] == ITEM or old[:4] == b"\xff\xfe\xe0\x00":
        return old          # a sequence, perhaps
    if vr in ("OB", "OW", "UN", "US", "SS", "UL", "SL", "FL", "FD", "AT",
              "OF", "OD", "OL", "OV", "SV", "UV"):
        return bytes(b ^ 0x15 for b in old)
    return bytes(b if b in b" \\\0^=" else 0x51 if chr(b).isalpha() else
                 0x38 for b in old)


def other_fragments(data, at, end):
    """Change what is in the items, but for the first one."""
    first = True
    while at + 8 <= end:
        size = int.from_bytes(data[at + 4:at + 8], "little")
        at += 8
        if not first:
            data[at:at + size] = other(data[at:at + size], "OB")
        first = False
        at += size


def with_others(original, view):
    """The file with other values wherever a view must not show them."""
    data = bytearray(original.data)
    for tag, start, end, kind, vr in original.hidden(view):
        if vr == "UI":      # what it becomes depends on what it is
            continue
        if tag == 0x7FE00010 and data[start:start + 4] == ITEM:
            other_fragments(data, start, end)
            continue
        if kind == CLINICAL and tag >> 16 in (0x0002, 0x0028, 0x5400):
            continue
        data[start:end] = other(original.data[start:end], vr)
    return bytes(data)


# --- who must be able to read it ---------------------------------------------

pool = concurrent.futures.ThreadPoolExecutor(2)


def normal(text, path):
    """A tool's complaints, without what may differ from file to file."""
    out = set()
    for line in text.replace(str(path), "FILE").splitlines():
        line = re.sub(r"0x[0-9a-f]+|\d+|\[.*?\]|'.*?'|\"[^\"]*\"", "N", line)
        out.add(re.sub(r"X{2,}|\\\w+", "X", line).strip())
    return out


def tool(path, *command):
    """The complaints of a command and its exit status, in the future."""
    return pool.submit(run_tool, path, command)


def run_tool(path, command):
    done_ = subprocess.run([path if w == "IN" else w for w in command],
                           stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                           check=False, timeout=60)
    lines = normal(done_.stderr.decode(errors="replace"), path)
    return {f"{command[0]}: {line}" for line in lines} | \
        ({f"{command[0]}: status {done_.returncode}"}
         if done_.returncode else set())


def by_pydicom(path):
    """What pydicom says when it reads every value."""
    found = set()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            ds = pydicom.dcmread(path, force=True)
            for e in [*getattr(ds, "file_meta", ()), *ds.iterall()]:
                str(e.value)
        except Exception as e:
            found.add(f"pydicom: {type(e).__name__}")
    for w in caught:
        found |= {f"pydicom: {x}" for x in normal(str(w.message), path)}
    return found


def pixels(path):
    """The decoded picture, or why there is none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            ds = pydicom.dcmread(path, force=True)
            return ds.pixel_array
        except Exception as e:
            return f"{type(e).__name__}: {e}"[:200]


def is_blank(array, ds):
    """Does every pixel have the same value?"""
    samples = ds.get("SamplesPerPixel", 1)
    flat = array.reshape(-1, samples) if samples > 1 else array.reshape(-1, 1)
    return bool((flat == flat[0]).all())


DECOMPRESS = {"4.5": "dcmdjpeg", "4.7": "dcmdjpeg", "4.8": "dcmdjpls",
              "5": "dcmdrle"}


def readers(original, path):
    """All that a file is read with, at work."""
    return [tool(path, "dcmdump", "IN"), tool(path, "gdcmdump", "IN")]


def drawers(original, path):
    """All that its picture is read with, at work."""
    if "PixelData" not in original.ds:
        return []
    name = DECOMPRESS.get(
        original.syntax.replace("1.2.840.10008.1.2.", "")[:3])
    return [tool(path, "dcm2pnm", "--write-raw-pnm", "IN", "/dev/null"),
            tool(path, "gdcminfo", "--md5sum", "IN"),
            *([tool(path, name, "IN", "/dev/null")] if name else ())]


def said(tools):
    return set().union(*(t.result() for t in tools))


# --- the checks -------------------------------------------------------------

seen = {"gone": 0, "blank": 0, "blank compressed": 0}


def check_pictures(original, paths):
    """Blank without the pixels, and as they were with them."""
    was = pixels(original.path)
    if not isinstance(was, numpy.ndarray) or \
            original.path.name in NO_PICTURE:
        return
    for view in VIEWS:
        now = pixels(paths[view])
        if not isinstance(now, numpy.ndarray):
            yield f"{view}: {now}"
        elif now.shape != was.shape:
            yield f"{view}: {now.shape}, was {was.shape}"
        elif ("i" if original.syntax == DEFLATED else "p") in view:
            if not (now == was).all():
                yield f"{view}: has other pixels"
        elif not is_blank(now, original.ds):
            yield f"{view}: is not blank"
        else:
            seen["blank"] += 1
            seen["blank compressed"] += \
                original.syntax[:19] in ("1.2.840.10008.1.2.4",
                                         "1.2.840.10008.1.2.5")


def check_readers(original, paths):
    """Complaints about a view that are not about the original."""
    if original.path.name in UNREADABLE:
        return
    for use, views in ((readers, READ), (drawers, DRAWN)):
        at_work = {v: use(original, paths[v]) for v in views}
        before = said(use(original, original.path))
        if len(original.data) % 2:      # so must be what pads it
            before.add("dcmdump: W: DcmItem: "
                       "Length of element (fffc,fffc) is odd")
        for view in views:
            for line in sorted(said(at_work[view]) - before):
                yield f"{view}: {line}"
    before = by_pydicom(original.path)
    for view in READ:
        for line in sorted(by_pydicom(paths[view]) - before):
            yield f"{view}: {line}"


def views_of(number):
    paths = {v: pathlib.Path(f"{number}.{v}").absolute()
             for v in (*VIEWS, "all")}
    return paths, {v: p.read_bytes() for v, p in paths.items()}


def check_file(number, original):
    paths, views = views_of(number)
    name = original.path.name
    why = [f"{v}: {len(d)} bytes" for v, d in views.items()
           if len(d) != len(original.data)]
    if views["all"] != original.data:
        why.append("all: is not the original")
    why += values_are_gone(original, views)
    seen["gone"] += sum(k == IDENTITY for *_, k, _ in original.hidden("cp"))
    ok(f"{name}: as long, and nothing is shown", not why, *why[:12])
    why = list(check_readers(original, paths))
    ok(f"{name}: is read without another complaint", not why, *why[:12])
    why = list(check_pictures(original, paths))
    ok(f"{name}: pixels", not why, *why[:12])


def make(files, *folder):
    os.makedirs(folder[0], exist_ok=True)
    result = subprocess.run([TOOL, "make", folder[0], *map(str, files)],
                            capture_output=True, text=True, check=False)
    ok("masks were made", result.returncode == 0, result.stderr)
    found = [line.split(" ")[1] for line in result.stdout.splitlines()]
    same("all are DICOM", [str(f) for f, x in zip(files, found) if x != "1"],
         [])


def check_independence(originals):
    """Masks do not depend on what they hide."""
    for view in ("cp", "ip", "ci"):
        files = []
        for n, original in enumerate(originals):
            path = pathlib.Path(f"other-{view}-{n}").absolute()
            path.write_bytes(with_others(original, view))
            files.append(path)
        make(files, f"others-{view}")
        wrong, changed = [], 0
        for n, original in enumerate(originals):
            changed += files[n].read_bytes() != original.data
            one = pathlib.Path(f"{n}.{view}").read_bytes()
            two = pathlib.Path(f"others-{view}/{n}.{view}").read_bytes()
            if one != two:
                at = next(i for i, (a, b) in enumerate(zip(one, two))
                          if a != b)
                wrong.append(f"{original.path.name} at {at}: "
                             f"{one[at:at + 20]}, {two[at:at + 20]}")
            files[n].unlink()
        ok(f"what {view} sees does not depend on the rest", not wrong,
           *wrong[:10])
        if not ONLY:
            ok(f"{view}: many files could be changed", changed >
               len(originals) / 3, changed)


def check_uids(originals):
    """A UID becomes the same one everywhere, and another one another."""
    mapped, wrong, back = {}, [], {}
    for n, original in enumerate(originals):
        if original.path.name in UNREADABLE:
            continue
        new = pathlib.Path(f"{n}.cp").read_bytes()
        for tag, start, end, kind, vr in original.hidden("cp"):
            if vr != "UI" or kind != IDENTITY:
                continue
            for a, b in zip(original.data[start:end].split(b"\\"),
                            new[start:end].split(b"\\")):
                a, b = a.rstrip(b"\0 "), b.rstrip(b"\0")
                if mapped.setdefault(a, b) != b or len(a) != len(b):
                    wrong.append(f"{a} is {b} and {mapped[a]}")
                if len(b) > 20 and back.setdefault(b, a) != a:
                    wrong.append(f"{a} and {back[b]} are {b}")
                if a and not pydicom.uid.UID(b.decode()).is_valid:
                    wrong.append(f"{b} is no UID")
    ok("UIDs are replaced alike everywhere", not wrong, *wrong[:5])
    if not ONLY:
        ok("there were many", len(mapped) > 200, len(mapped))


def check_damaged(files):
    """Nothing that a file may hold does harm."""
    result = subprocess.run(
        [TOOL, "mutate", os.environ.get("MUTATIONS", "3000"),
         os.environ.get("SEED", "1"), *map(str, files)],
        capture_output=True, text=True, check=False)
    ok("damaged files have masks", result.returncode == 0,
       *result.stderr.splitlines()[:40])


def main():
    for name in ("dcmdump", "dcmcjpeg", "gdcmconv"):
        if subprocess.run(["which", name], stdout=subprocess.DEVNULL,
                          check=False).returncode:
            skip("masks", f"needs {name}")
            done()
    scratch()
    warnings.simplefilter("ignore")
    files = sorted(p for p in DATA.rglob("*") if p.is_file() and is_dicom(p))
    made = list(convert(files))
    if not ONLY:
        ok("files in other syntaxes were made", len(made) > 45, len(made))
    files += made
    files = [f for f in files if re.search(ONLY, f.name)]
    make(files, ".")
    originals = [Original(p) for p in files]
    for n, original in enumerate(originals):
        check_file(n, original)
    check_independence(originals)
    check_uids(originals)
    check_damaged(files)
    if not ONLY:
        ok("enough was looked at", seen["gone"] > 8000 and
           seen["blank"] > 500 and seen["blank compressed"] > 250, seen)
    print("#", len(files), "files;", seen)
    done()


main()
