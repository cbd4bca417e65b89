#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""For tools-rekey.t: files in use while they are moved to another keyset.

    rekey.py work FOLDER SECONDS SEED
    rekey.py names FOLDER SECONDS
    rekey.py sums FOLDER
    rekey.py keysets FOLDER

"names" renames files to and fro while they are to be moved under each name;
"work" changes files in every way, remembers what they must hold, and looks
again at the end; "sums" prints what a tree is, attributes included; "keysets"
prints the keysets that stored files name in their headers.
"""
import errno
import fcntl
import hashlib
import mmap
import os
import random
import struct
import sys
import threading
import time

RENEW = 0x41044301      # _IOW('C', 1, 260 bytes)
SIZES = [0, 1, 5000, 65536, 100000, 300000]


def sums(top):
    for where, dirs, files in sorted(os.walk(top)):
        dirs.sort()
        for name in sorted(files):
            path = os.path.join(where, name)
            st = os.stat(path)
            with open(path, "rb") as f:
                digest = hashlib.sha256(f.read()).hexdigest()
            xattrs = [(n, os.getxattr(path, n)) for n in
                      sorted(os.listxattr(path))]
            print(os.path.relpath(path, top), digest, oct(st.st_mode),
                  st.st_uid, st.st_gid, st.st_mtime_ns, xattrs)


def keysets(top):
    found = set()
    for where, _, files in os.walk(top):
        for name in files:
            path = os.path.join(where, name)
            if os.path.islink(path) or name.startswith("chaosimg.tmp."):
                continue
            with open(path, "rb") as f:
                f.seek(32)
                found.add(f.read(16).hex())
    print("\n".join(sorted(found)))


def move(folder, name):
    """As chaosimg.h has it: 0, or an errno value."""
    asked = struct.pack("256sI", os.fsencode(name), 0)
    try:
        while fcntl.ioctl(folder, RENEW, asked):
            pass
    except OSError as e:
        return e.errno
    return 0


def names(top, seconds):
    """Whatever name a file has at the moment, it is never called damaged."""
    os.mkdir(top)
    pairs = [("a%d" % i, "b%d" % i) for i in range(4)]
    end = time.monotonic() + seconds
    answers = {}

    def rename(pair):
        here, there = (os.path.join(top, n) for n in pair)
        with open(here, "wb") as f:
            f.write(b"x" * 5000)
        while time.monotonic() < end:
            os.rename(here, there)
            here, there = there, here

    threads = [threading.Thread(target=rename, args=(p,)) for p in pairs]
    for t in threads:
        t.start()
    folder = os.open(top, os.O_RDONLY | os.O_DIRECTORY)
    while time.monotonic() < end:
        for name in (n for pair in pairs for n in pair):
            err = move(folder, name)
            answers[err] = answers.get(err, 0) + 1
    for t in threads:
        t.join()
    expected = {0, errno.EALREADY, errno.ENOENT, errno.EBUSY, errno.EAGAIN,
                errno.ESTALE}
    assert set(answers) <= expected and len(answers) > 1, answers


class Worker:
    """One folder, and what its files must be."""

    def __init__(self, folder, seed):
        self.folder = folder
        self.rng = random.Random(seed)
        self.files = {}
        self.count = 0
        os.mkdir(folder)
        for _ in range(12):
            self.create()

    def path(self, name):
        return os.path.join(self.folder, name)

    def name(self):
        self.count += 1
        return f"f{self.count}" + "long" * self.rng.choice([0, 0, 50])

    def data(self):
        return bytearray(self.rng.randbytes(self.rng.choice(SIZES)))

    def pick(self):
        return self.rng.choice(sorted(self.files))

    def create(self):
        name, data = self.name(), self.data()
        with open(self.path(name), "wb") as f:
            f.write(data)
        self.files[name] = {"data": data}

    def overwrite(self):
        name = self.pick()
        data = self.files[name]["data"]
        piece = self.rng.randbytes(self.rng.choice([1, 700, 70000]))
        at = self.rng.randint(0, len(data))
        with open(self.path(name), "r+b", buffering=0) as f:
            f.seek(at)
            f.write(piece)
        data[at:at + len(piece)] = piece

    def map(self):
        name = self.pick()
        data = self.files[name]["data"]
        if not data:
            return
        at = self.rng.randrange(len(data))
        with open(self.path(name), "r+b") as f:
            view = mmap.mmap(f.fileno(), 0)
        view[at] = data[at] = data[at] ^ 255
        view.close()

    def truncate(self):
        name = self.pick()
        data = self.files[name]["data"]
        size = self.rng.randint(0, len(data) + 1000)
        os.truncate(self.path(name), size)
        del data[size:]
        data.extend(bytes(size - len(data)))

    def replace(self):
        name, data, tmp = self.pick(), self.data(), self.path("tmp")
        with open(tmp, "wb") as f:
            f.write(data)
            if self.rng.random() < 0.2:
                os.fsync(f.fileno())
        os.rename(tmp, self.path(name))
        self.files[name] = {"data": data}

    def rename(self):
        old, new = self.pick(), self.name()
        os.rename(self.path(old), self.path(new))
        self.files[new] = self.files.pop(old)

    def unlink(self):
        name = self.pick()
        os.unlink(self.path(name))
        del self.files[name]
        self.create()

    def link(self):
        name = self.pick()
        os.link(self.path(name), self.path("link"))
        with open(self.path("link"), "ab") as f:
            f.write(b"by its other name")
        self.files[name]["data"] += b"by its other name"
        os.unlink(self.path("link"))

    def attributes(self):
        name = self.pick()
        path, file = self.path(name), self.files[name]
        modes = [0o600, 0o640, 0o644] + [0o400] * (not os.geteuid())
        file["mode"] = self.rng.choice(modes)
        os.chmod(path, file["mode"])
        file["xattr"] = self.rng.randbytes(20)
        os.setxattr(path, "user.test", file["xattr"])
        if not os.geteuid():
            file["owner"] = self.rng.randrange(1000)
            os.chown(path, file["owner"], file["owner"])

    def check(self, name):
        path, file = self.path(name), self.files[name]
        with open(path, "rb") as f:
            data = f.read()
            st = os.fstat(f.fileno())
        assert data == file["data"], f"{path}: wrong contents"
        assert st.st_mode & 0o777 == file.get("mode", st.st_mode & 0o777), \
            f"{path}: mode"
        assert st.st_uid == file.get("owner", st.st_uid), f"{path}: owner"
        if "xattr" in file:
            assert os.getxattr(path, "user.test") == file["xattr"], \
                f"{path}: attribute"

    def step(self):
        if self.rng.random() < 0.3:
            self.check(self.pick())
        else:
            self.rng.choice([
                self.create, self.overwrite, self.map, self.truncate,
                self.replace, self.rename, self.unlink, self.link,
                self.attributes])()
        if len(self.files) > 40:
            self.unlink()
            os.unlink(self.path(name := self.pick()))
            del self.files[name]

    def check_all(self):
        for name in self.files:
            self.check(name)
        assert sorted(os.listdir(self.folder)) == sorted(self.files), "names"


def work(top, seconds, seed):
    workers = [Worker(os.path.join(top, f"w{i}"), f"{seed}.{i}")
               for i in range(4)]
    end = time.monotonic() + seconds
    failures = []
    steps = [0] * len(workers)

    def run(i):
        try:
            while time.monotonic() < end and not failures:
                workers[i].step()
                steps[i] += 1
            workers[i].check_all()
        except Exception as e:      # pylint: disable=broad-except
            failures.append(f"seed {seed}, worker {i}, step {steps[i]}: {e!r}")

    threads = [threading.Thread(target=run, args=(i,)) for i in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    print(f"seed {seed}: {sum(steps)} operations")
    sys.exit("\n".join(failures) if failures else 0)


if sys.argv[1] == "work":
    work(sys.argv[2], float(sys.argv[3]), sys.argv[4])
elif sys.argv[1] == "names":
    names(sys.argv[2], float(sys.argv[3]))
elif sys.argv[1] == "sums":
    sums(sys.argv[2])
else:
    keysets(sys.argv[2])
