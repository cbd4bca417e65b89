#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What takes long keeps nobody else waiting: of the 16 requests that a mount
serves at a time, 15 are held in a system call on the archive, one kind after the
other, each for a folder of its own. The 16th still has to be served: no lock that
it needs may be held meanwhile.
"""

import os
import struct
import sys
import threading
import time

sys.dont_write_bytecode = True
sys.path.insert(0, "tests/lib")
from tap import BUILD, done, ok, scratch            # noqa: E402
from mounted import MNT, Mount, make                # noqa: E402

# struct faults (tests/faults/faults.h)
LAYOUT = "<Iiqq32s"
HOLD = 6
COUNT = 15
LONG = 30       # seconds: far more than anything here takes


class SlowMount(Mount):
    """A daemon with the library that makes calls take long."""

    def __enter__(self):
        os.environ["LD_PRELOAD"] = os.path.join(BUILD, "tests/faults.so")
        os.environ["CHAOSIMG_FAULTS"] = os.path.abspath("faults")
        try:
            return super().__enter__()
        finally:
            del os.environ["LD_PRELOAD"], os.environ["CHAOSIMG_FAULTS"]


def hold(what):
    with open("faults", "r+b") as f:
        f.write(struct.pack(LAYOUT, 0, 0, COUNT, 0, what.encode()))
        f.flush()
        f.seek(0)
        f.write(struct.pack("<I", HOLD))


def release():
    with open("faults", "r+b") as f:
        f.write(struct.pack("<I", 0))


def held():
    with open("faults", "rb") as f:
        return struct.unpack(LAYOUT, f.read())[3]


def until(condition):
    end = time.monotonic() + LONG
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


def started(target, *args):
    t = threading.Thread(target=target, args=args, daemon=True)
    t.start()
    return t


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


def slow(what, act):
    hold(what)
    threads = [started(act, os.path.join(MNT, f"{i:02}"))
               for i in range(COUNT)]
    ok(f"{COUNT} requests are held in {what}",
       until(lambda: held() >= COUNT), held())
    other = started(others, os.path.join(MNT, f"while {what}"))
    other.join(LONG)
    ok(f"others are served meanwhile, {what}", not other.is_alive())
    release()
    for t in [*threads, other]:
        t.join(LONG)
    ok(f"all come to an end, {what}",
       not any(t.is_alive() for t in [*threads, other]))


def main():
    scratch()
    make()
    with open("faults", "wb") as f:
        f.truncate(struct.calcsize(LAYOUT))
    with Mount():
        for i in range(COUNT):
            os.mkdir(os.path.join(MNT, f"{i:02}"))
            for name in FILES:
                with open(os.path.join(MNT, f"{i:02}", name), "wb") as f:
                    f.write(b"some" * 10000)
    for what, act in SLOW.items():
        with SlowMount():
            slow(what, act)
    done()


main()
