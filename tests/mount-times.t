#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A file's time of change is what a program was told, also after mounting anew."""

import contextlib
import ctypes
import mmap
import os
import stat
import sys
import time

os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
sys.path.insert(0, "tests/lib")

import mounted  # noqa: E402
from mounted import MNT, Mount  # noqa: E402
from tap import done, ok, same, scratch  # noqa: E402

LIBC = ctypes.CDLL(None, use_errno=True)


def pause():
    """Longer than any clock's tick."""
    time.sleep(0.02)


def new(path, data=b"", wait=True):
    with open(path, "wb", buffering=0) as f:
        if data:
            f.write(data)
        if wait:
            pause()


def changed(path, flags, change):
    """An existing file, opened, changed and closed, with time in between."""
    new(path, b"d" * 70000)
    pause()
    fd = os.open(path, flags)
    pause()
    change(fd)
    pause()
    os.close(fd)


def map_write(fd):
    with mmap.mmap(fd, 70000) as view:
        view[100] = 1


def synced(path):
    with open(path, "wb") as f:
        pause()
        os.fsync(f.fileno())
        pause()


def linked(path):
    new(path, b"data")
    pause()
    os.link(path, path + "-link")
    pause()
    os.unlink(path + "-link")


def renamed(path):
    new(path + "-old", b"data")
    pause()
    os.rename(path + "-old", path)


def cut(path):
    new(path, b"d" * 70000)
    pause()
    os.truncate(path, 100)


def attributed(path):
    new(path, b"data")
    pause()
    os.chmod(path, 0o600)
    os.setxattr(path, "user.note", b"x")


def set_while_open(path):
    with open(path, "wb", buffering=0) as f:
        f.write(b"data")
        os.utime(f.fileno(), ns=(0, 10 ** 18 + 7))
        pause()


DEEDS = {
    "empty": new,
    "empty-at-once": lambda path: new(path, wait=False),
    "mknod": lambda path: os.mknod(path, stat.S_IFREG | 0o644),
    "written": lambda path: new(path, b"d" * 70000),
    "synced-empty": synced,
    "appended": lambda path: changed(path, os.O_WRONLY | os.O_APPEND,
                                     lambda fd: os.write(fd, b"more")),
    "overwritten": lambda path: changed(path, os.O_RDWR,
                                        lambda fd: os.pwrite(fd, b"x", 5)),
    "emptied": lambda path: changed(path, os.O_WRONLY | os.O_TRUNC,
                                    lambda fd: None),
    "mapped": lambda path: changed(path, os.O_RDWR, map_write),
    "cut-open": lambda path: changed(path, os.O_RDWR,
                                     lambda fd: os.ftruncate(fd, 100)),
    "grown": lambda path: changed(path, os.O_RDWR,
                                  lambda fd: os.ftruncate(fd, 99999)),
    "punched": lambda path: changed(path, os.O_RDWR, lambda fd: LIBC.fallocate(
        fd, 3, ctypes.c_long(5000), ctypes.c_long(20000))),
    "only-opened": lambda path: changed(path, os.O_RDWR, lambda fd: None),
    "cut": cut,
    "linked": linked,
    "renamed": renamed,
    "attributes": attributed,
    "set": set_while_open,
}


def times():
    return {name: os.stat(os.path.join(MNT, name)).st_mtime_ns
            for name in DEEDS}


def kept(option):
    with Mount(option):
        for name, deed in DEEDS.items():
            deed(os.path.join(MNT, name))
        pause()
        want = times()
    with Mount(option):
        same(f"{option}: the same after mounting anew", times(), want)
        for name in DEEDS:
            with open(os.path.join(MNT, name), "r+b") as f:
                f.read()
        same(f"{option}: opening and reading changes none", times(), want)
    with Mount(option):
        same(f"{option}: nor did it on the disk", times(), want)
        for name in DEEDS:
            os.unlink(os.path.join(MNT, name))


def settled():
    """Who opens a file that a crash left open finishes it, but changes nothing."""
    path = os.path.join(MNT, "left")
    with Mount("no_writeback") as mount:
        fd = os.open(path, os.O_CREAT | os.O_WRONLY)
        os.write(fd, b"d" * 200000)
        os.fsync(fd)
        # Chunks behind what is synced: so the stored file is open.
        os.write(fd, b"d" * 400000)
        mount.kill()
        with contextlib.suppress(OSError):
            os.close(fd)
    pause()
    with Mount():
        want = os.stat(path).st_mtime_ns
        pause()
        with open(path, "r+b") as f:
            ok("a crash left a file", f.read().startswith(b"ddd"))
        same("its time is kept", os.stat(path).st_mtime_ns, want)
    with Mount():
        same("and on the disk", os.stat(path).st_mtime_ns, want)


reason = mounted.obstacle()
if reason:
    print(f"1..0 # SKIP {reason}")
    sys.exit()
scratch()
mounted.make()
kept("rw")
kept("no_writeback")
settled()
done()
