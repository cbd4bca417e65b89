# SPDX-License-Identifier: GPL-2.0-or-later
"""A mount whose daemon's system calls fail, or take long, as a test wants it."""

import errno
import mmap
import os
import struct

from mounted import Mount
from tap import BUILD

# struct faults; the kinds as in faults.h
LAYOUT = "<Iiqq32s"
KINDS = {
    "EIO": (1, errno.EIO),
    "full": (2, errno.ENOSPC),
    "EDQUOT": (1, errno.EDQUOT),
    "EINTR": (3, errno.EINTR),
    "short": (4, 0),
    "lost": (5, errno.EIO),
}
HOLD = 6


class Faults:
    """The file that the daemon looks into."""

    def __init__(self):
        size = struct.calcsize(LAYOUT)
        with open("faults", "wb") as f:
            f.truncate(size)
        with open("faults", "r+b") as f:
            self.map = mmap.mmap(f.fileno(), size)
        os.environ["CHAOSIMG_FAULTS"] = os.path.abspath("faults")

    def set(self, number, error, left, what=b""):
        # The kind last: with it begins the counting.
        self.map[:] = struct.pack(LAYOUT, 0, error, left, 0, what)
        self.map[:4] = struct.pack("<I", number)

    def arm(self, kind, at):
        number, error = KINDS[kind]
        self.set(number, error, at)

    def hold(self, what, count):
        """So many of these calls last until disarm()."""
        self.set(HOLD, 0, count, what.encode())

    def held(self):
        return struct.unpack(LAYOUT, self.map[:])[3]

    def disarm(self):
        """The call that failed or was held, or None."""
        self.map[:4] = struct.pack("<I", 0)
        tripped, what = struct.unpack(LAYOUT, self.map[:])[3:]
        return what.rstrip(b"\0").decode() if tripped else None


class FaultyMount(Mount):
    """A daemon with the library that looks into that file."""

    def __enter__(self):
        os.environ["LD_PRELOAD"] = os.path.join(BUILD, "tests/faults.so")
        try:
            return super().__enter__()
        finally:
            del os.environ["LD_PRELOAD"]
