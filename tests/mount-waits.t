#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What takes long keeps nobody else waiting: of the 16 requests that a mount
serves at a time, 15 are held in a system call on the archive, one kind after the
other, each for a folder of its own. The 16th still has to be served: no lock that
it needs may be held meanwhile.
"""

import os
import sys
import threading
import time

sys.dont_write_bytecode = True
sys.path.insert(0, "tests/lib")
sys.path.insert(0, "tests/faults")
from tap import done, ok, scratch                   # noqa: E402
from faulty import Faults, FaultyMount              # noqa: E402
from mounted import MNT, Mount, make, obstacle      # noqa: E402

COUNT = 15
LONG = 30       # seconds: far more than anything here takes


def until(condition):
    end = time.monotonic() + LONG
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


class Doing(threading.Thread):
    """Something that a program does with a folder."""

    def __init__(self, act, folder):
        super().__init__(daemon=True)
        self.act = act
        self.folder = folder
        self.error = None
        self.start()

    def run(self):
        try:
            self.act(self.folder)
        except OSError as error:
            self.error = error

    def went_well(self):
        self.join(LONG)
        return not self.is_alive() and not self.error


def sync(folder):
    fd = os.open(f"{folder}/synced", os.O_WRONLY)
    os.write(fd, b"other")
    os.fsync(fd)
    os.close(fd)


def read(folder):
    with open(f"{folder}/read", "rb") as f:
        f.read()


def make_file(folder):
    with open(f"{folder}/made", "wb"):
        pass


# What is held, in which system call. The kernel lets one at a time change a
# folder, so each has its own.
SLOW = {
    "readlinkat": os.listdir,
    "open_by_handle_at": lambda folder: os.stat(f"{folder}/old"),
    "linkat": make_file,
    "mkdirat": lambda folder: os.mkdir(f"{folder}/new"),
    "renameat": lambda folder: os.rename(f"{folder}/old", f"{folder}/other"),
    "unlinkat": lambda folder: os.unlink(f"{folder}/gone"),
    "chmod": lambda folder: os.chmod(f"{folder}/read", 0o600),
    "pread": read,
    "pwrite": sync,
    "fdatasync": sync,
}
FILES = ("old", "gone", "read", "synced")


def others(folder):
    """Not in MNT itself: whoever lists that waits in the kernel for the folders
    that are being looked up."""
    os.mkdir(folder)
    for i in range(20):
        with open(f"{folder}/{i}", "wb") as f:
            f.write(b"x" * 10000)
    for i in os.listdir(folder):
        os.unlink(f"{folder}/{i}")


def slow(faults, what, act):
    faults.hold(what, COUNT)
    held = [Doing(act, os.path.join(MNT, f"{i:02}")) for i in range(COUNT)]
    ok(f"{COUNT} requests are held in {what}",
       until(lambda: faults.held() == COUNT), faults.held())
    other = Doing(others, os.path.join(MNT, f"while {what}"))
    ok(f"others are served meanwhile, {what}", other.went_well(), other.error)
    faults.disarm()
    ok(f"all come to a good end, {what}", all(d.went_well() for d in held),
       *[d.error for d in held])


def main():
    why = obstacle()
    if why:
        print("1..0 # SKIP", why)
        return
    scratch()
    make()
    faults = Faults()
    with Mount():
        for i in range(COUNT):
            os.mkdir(os.path.join(MNT, f"{i:02}"))
            for name in FILES:
                with open(os.path.join(MNT, f"{i:02}", name), "wb") as f:
                    f.write(b"some" * 10000)
    for what, act in SLOW.items():
        with FaultyMount():
            slow(faults, what, act)
    done()


main()
