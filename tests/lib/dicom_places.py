# SPDX-License-Identifier: GPL-2.0-or-later
"""Where the values of a DICOM file lie, and to whom they belong.

pydicom says where each value is; the profile's JSON says what it is. Nothing
here comes from the library that is tested.
"""

import io
import json
import pathlib
import re

from pydicom.datadict import dictionary_VR
from pydicom.dataelem import RawDataElement
from pydicom.filereader import data_element_generator, read_sequence

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
PROFILE = TOP / "userlib/dicom-confidentiality-profile.json"
CLINICAL, IDENTITY, PIXELS = range(3)
UNDEFINED = 0xFFFFFFFF

# Private information of the file's writer; a link to the pixels.
UNKNOWN = (0x00020100, 0x00020102, 0x00287FE0)


def load_profile():
    """The profile as a function: is this tag listed?"""
    patterns = []
    for row in json.loads(PROFILE.read_text(encoding="utf-8")):
        digits = re.sub("[(),]", "", row["tag"])
        if len(digits) == 8:
            patterns.append(digits.replace("X", "[0-9A-F]"))
    listed = re.compile("|".join(patterns))
    return lambda tag: bool(tag >> 16 & 1 or tag in UNKNOWN or
                            listed.fullmatch(f"{tag:08X}"))


LISTED = load_profile()


def is_picture(tag):
    """Pixel Data, its float variants and tables, overlays, spectra."""
    return (tag in (0x7FE00001, 0x7FE00002, 0x7FE00003, 0x7FE00008,
                    0x7FE00009, 0x7FE00010, 0x56000020) or
            tag & 0xFF01FFFF == 0x60003000)


def vr_of(element):
    """The VR, from the dictionary where the file does not tell."""
    if element.VR in (None, "UN"):
        try:
            return dictionary_VR(element.tag)
        except KeyError:
            return "UN"
    return element.VR


def values(fp, elements, little, within=None, private=False):
    """Yield (tag, start, end, compartment, element) for each value, nested
    ones too, and those of private sequences if private is set."""
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
            if (vr_of(e) != "SQ" or (tag >> 16 & 1 and not private) or
                    not e.length or end > fp.getbuffer().nbytes):
                yield tag, e.value_tell, end, kind, e
                continue
            if inner == "listed":
                yield tag, e.value_tell, end, kind, e
            fp.seek(e.value_tell)
            items = read_sequence(fp, e.is_implicit_VR or e.VR == "UN",
                                  little, e.length, "iso8859")
        for item in items:
            yield from values(fp, item._dict.values(), little, inner,
                              private)


def reference(data, ds, private=False):
    """All the values of a file, at their places in it."""
    fp = io.BytesIO(data)
    meta = ()
    if data[128:132] == b"DICM":
        fp.seek(132)
        meta = list(data_element_generator(
            fp, False, True, stop_when=lambda tag, vr, n: tag.group != 2))
    rest = list(data_element_generator(fp, ds.is_implicit_VR,
                                       ds.is_little_endian))
    yield from values(fp, meta, True, None, private)
    yield from values(fp, rest, ds.is_little_endian, None, private)
