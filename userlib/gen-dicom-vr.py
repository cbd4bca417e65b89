#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Write dicom_vr.c: which attributes are text, for files that do not say so.

The value representations are those of DICOM PS3.6, as python3-pydicom knows
them. Run it when a newer Debian has a newer one:

    userlib/gen-dicom-vr.py > userlib/dicom_vr.c
"""
import re

import pydicom
from pydicom._dicom_dict import DicomDictionary, RepeatersDictionary

TEXT = set("AE AS CS DA DS DT IS LO LT PN SH ST TM UC UI UR UT".split())

HEAD = """\
// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The attributes of DICOM PS3.6 whose values are text. Made by gen-dicom-vr.py
 * from the dictionary of pydicom {version}; do not edit.
 */
#include "dicom_vr.h"
"""


def lines(words, sep, width):
    """The words in lines of at most width characters."""
    line = ""
    for word in words:
        if line and len(line) + len(sep) + len(word) > width:
            yield line
            line = ""
        line += (sep if line else "") + word
    yield line


def entries():
    """(tag, VR, VM) for each; of repeating groups, that of the first."""
    for tag, (vr, vm, *_) in DicomDictionary.items():
        if vr in TEXT:
            yield tag, vr, vm
    for digits, (vr, vm, *_) in RepeatersDictionary.items():
        if vr in TEXT and re.fullmatch("[56]0xx....", digits):
            yield int(digits.replace("x", "0"), 16), vr, vm


def main():
    table = sorted(set(entries()))
    tags = [f"0x{tag:08x}," for tag, _, _ in table]
    several = [(tag, vm) for tag, vr, vm in table
               if vr in ("DS", "IS") and vm.isdigit() and vm != "1"]
    out = [HEAD.format(version=pydicom.__version__)]
    out.append("/* In ascending order; of repeating groups the first. */")
    out.append("const uint32_t dicom_text_tag[] = {")
    out += ["\t" + line for line in lines(tags, " ", 72)]
    out.append("};\n")
    out.append("const size_t dicom_text_tags =")
    out.append("\tsizeof(dicom_text_tag) / sizeof(dicom_text_tag[0]);\n")
    out.append("/* Two letters for each. */")
    out.append("const char dicom_text_vr[] =")
    vrs = list(lines([vr for _, vr, _ in table], "", 68))
    out += [f'\t"{line}"' for line in vrs]
    out[-1] += ";\n"
    out.append("/* Those with numbers that always come in several. */")
    out.append("const struct dicom_several dicom_several[] = {")
    out += [f"\t{{ 0x{tag:08x}, {vm} }}," for tag, vm in several]
    out.append("};\n")
    out.append("const size_t dicom_severals =")
    out.append("\tsizeof(dicom_several) / sizeof(dicom_several[0]);")
    print("\n".join(out))


main()
