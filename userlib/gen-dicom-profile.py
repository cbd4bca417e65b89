#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Write dicom_profile.c from dicom-confidentiality-profile.json.

The JSON is Table E.1-1 of DICOM PS3.15, one object for each row. Run it after
the JSON has been replaced by a newer edition, with EDITION changed to match:

    userlib/gen-dicom-profile.py > userlib/dicom_profile.c
"""
import json
import pathlib
import re
import sys

EDITION = "2024b"
HERE = pathlib.Path(__file__).resolve().parent

# The one row without a tag: odd groups. dicom_division.c knows it by itself.
PRIVATE = "(GGGG,EEEE) WHERE GGGG IS ODD"

HEAD = """\
// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Which attributes identify a patient: DICOM PS3.15, edition {edition}, Table
 * E.1-1 ({rows} rows). Made by gen-dicom-profile.py from
 * dicom-confidentiality-profile.json; do not edit.
 */
#include "dicom_division.h"
"""


def rows(table):
    """Split the table into single tags and (mask, value) ranges."""
    tags, ranges, private = {}, [], False
    for row in table:
        name = " ".join(row["name"].split())
        if row["tag"] == PRIVATE:
            private = True
            continue
        m = re.fullmatch(r"\(([0-9A-FX]{4}),([0-9A-FX]{4})\)", row["tag"])
        if not m:
            sys.exit(f"{row['tag']}: not a tag")
        digits = m[1] + m[2]
        value = int(digits.replace("X", "0"), 16)
        if "X" in digits:
            mask = "".join("0" if c == "X" else "F" for c in digits)
            ranges.append((int(mask, 16), value, name))
        elif value in tags:
            sys.exit(f"{row['tag']}: twice")
        else:
            tags[value] = name
    if not private:
        sys.exit("the row of the private attributes is missing")
    return sorted(tags.items()), sorted(ranges)


def main():
    source = HERE / "dicom-confidentiality-profile.json"
    table = json.loads(source.read_text(encoding="utf-8"))
    tags, ranges = rows(table)
    out = [HEAD.format(edition=EDITION, rows=len(table))]
    out.append("/* In ascending order. */")
    out.append("const uint32_t dicom_profile_tag[] = {")
    out += [f"\t0x{tag:08x},\t/* {name} */" for tag, name in tags]
    out.append("};\n")
    out.append("const size_t dicom_profile_tags =")
    out.append("\tsizeof(dicom_profile_tag) / sizeof(dicom_profile_tag[0]);\n")
    out.append("/* Repeating groups. */")
    out.append("const struct dicom_tag_range dicom_profile_range[] = {")
    out += [f"\t{{ 0x{mask:08x}, 0x{value:08x} }},\t/* {name} */"
            for mask, value, name in ranges]
    out.append("};\n")
    out.append("const size_t dicom_profile_ranges =")
    out.append("\tsizeof(dicom_profile_range) / "
               "sizeof(dicom_profile_range[0]);")
    print("\n".join(out))


main()
