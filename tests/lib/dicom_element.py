# SPDX-License-Identifier: GPL-2.0-or-later
"""Elements of DICOM files that tests make up."""

import struct

LONG = (b"OB", b"OW", b"SQ", b"UN")


def element(tag, vr, value):
    """Explicit VR, little endian (PS3.5 section 7.1.2), of even length."""
    value += b"\0" * (len(value) % 2)
    return struct.pack("<HH", tag >> 16, tag & 0xFFFF) + vr + \
        struct.pack("<2xI" if vr in LONG else "<H", len(value)) + value
