#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""For mount-crash.t: work until the mount dies, then check what must be there.

    crash.py work MOUNT JOURNAL
    crash.py check MOUNT JOURNAL
    crash.py leave FILE CONTENTS DAEMON
    crash.py end FILE DAEMON

A line of the journal is a promise: it is written after close() or fsync() came
back. Each byte of a file says where it stands and in which version.
"""
import ctypes
import os
import random
import signal
import sys
import time

SIZES = [0, 1, 5000, 65536, 100000, 700000]


def pattern(seed, size):
    return random.Random(seed).randbytes(size)


def promise(journal, *words):
    os.write(journal, (" ".join(map(str, words)) + "\n").encode())


def small_file(root, journal, i):
    folder = os.path.join(root, "d%d" % (i % 7))
    os.makedirs(folder, exist_ok=True)
    size = SIZES[i % len(SIZES)]
    name = os.path.join(folder, "f%d" % i)
    with open(name, "wb") as f:
        f.write(pattern(i, size))
    promise(journal, "file", os.path.relpath(name, root), i, size)
    if i % 5 == 4:
        promise(journal, "gone", os.path.relpath(name, root))
        os.rename(name, name + "-renamed")
        promise(journal, "file", os.path.relpath(name + "-renamed", root), i,
                size)
    if i % 9 == 8:
        promise(journal, "gone", os.path.relpath(name, root))
        if os.path.exists(name):
            os.unlink(name)


def overwrite(fd, journal, version):
    """One block of a file that is synced after each round."""
    block = version % 20
    promise(journal, "begin", "synced", block, version)
    os.pwrite(fd, pattern(version, 30000), block * 30000)
    os.fsync(fd)
    promise(journal, "block", "synced", block, version)


def work(mount, journal):
    root = os.path.join(mount, "tree")
    os.mkdir(root)
    fd = os.open(os.path.join(root, "synced"), os.O_CREAT | os.O_RDWR)
    dirty = os.open(os.path.join(root, "dirty"), os.O_CREAT | os.O_RDWR)
    for i in range(10 ** 6):
        small_file(root, journal, i)
        overwrite(fd, journal, i)
        os.pwrite(dirty, pattern(i, 200000), i % 10 * 150000)


def read_journal(path):
    files, gone, blocks, begun = {}, set(), {}, {}
    with open(path) as f:
        for line in f:
            w = line.split()
            if w[0] == "file":
                files[w[1]] = (int(w[2]), int(w[3]))
            elif w[0] == "gone":
                gone.add(w[1])
            elif w[0] == "begin":
                begun.setdefault(int(w[2]), []).append(int(w[3]))
            else:
                blocks[int(w[2])] = int(w[3])
    return files, gone, blocks, begun


def check_blocks(path, blocks, begun):
    with open(path, "rb") as f:
        data = f.read()
    for block, version in blocks.items():
        got = data[block * 30000:(block + 1) * 30000]
        assert len(got) == 30000, (block, len(got))
        later = [v for v in begun[block] if v >= version]
        wanted = [pattern(v, 30000) for v in later]
        # The write that was under way may have reached a part of the block.
        for at in range(0, 30000, 500):
            assert any(got[at:at + 500] == w[at:at + 500] for w in wanted) or \
                len(later) > 1, (block, version, at)


def check(mount, journal):
    root = os.path.join(mount, "tree")
    files, gone, blocks, begun = read_journal(journal)
    for name, (seed, size) in files.items():
        path = os.path.join(root, name)
        if name in gone and not os.path.exists(path):
            continue
        with open(path, "rb") as f:
            assert f.read() == pattern(seed, size), name
    check_blocks(os.path.join(root, "synced"), blocks, begun)
    for folder, _, names in os.walk(root):
        for name in names:
            with open(os.path.join(folder, name), "rb") as f:
                f.read()
    assert len(files) > 3, "too little was done"
    print("%d files, %d blocks" % (len(files), len(blocks)))


def leave(name, contents, daemon):
    """Kill the daemon when it has all of a file, and synced 200000 bytes."""
    with open(contents, "rb") as f:
        data = f.read()
    fd = os.open(name, os.O_WRONLY)
    os.write(fd, data[:200000])
    os.fsync(fd)
    os.write(fd, data[200000:])
    # Only to the daemon, without an end that would have it seal the file.
    libc = ctypes.CDLL(None)
    start, everything = ctypes.c_int64(0), ctypes.c_int64(0)
    assert libc.sync_file_range(fd, start, everything, 7) == 0
    time.sleep(0.2)
    os.kill(int(daemon), signal.SIGKILL)


def end(name, daemon):
    """Kill the daemon while it ends, and the kernel still has what was written."""
    fd = os.open(name, os.O_RDWR | os.O_CREAT)
    for i in range(40):
        os.write(fd, pattern(i, 2 ** 20))
    os.kill(daemon, signal.SIGTERM)
    time.sleep(random.uniform(0, 0.03))
    os.kill(daemon, signal.SIGKILL)


def main():
    if sys.argv[1] == "leave":
        return leave(*sys.argv[2:5])
    if sys.argv[1] == "end":
        return end(sys.argv[2], int(sys.argv[3]))
    mount, journal = sys.argv[2:4]
    if sys.argv[1] == "check":
        return check(mount, journal)
    fd = os.open(journal, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    try:
        return work(mount, fd)
    except OSError as e:
        print("# stopped by: %s" % e.strerror, file=sys.stderr)


if __name__ == "__main__":
    main()
