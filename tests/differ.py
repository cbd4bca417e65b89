#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Drive two directories with the same random operations and compare all that
can be seen: results, errors, contents, attributes.

    differ.py run [--seed N] [--count N] ONE OTHER
    differ.py compare ONE OTHER

ONE is a mount, OTHER a plain directory; both are empty before a run.
"""
import argparse
import ctypes
import mmap
import os
import random
import stat
import sys

MAX_WRITE = 1 << 20
MAX_OFFSET = 3 << 20
MAX_HANDLES = 12
LONG = "L" * 230
KEEP_SIZE, PUNCH_HOLE, ZERO_RANGE = 1, 2, 16
NOREPLACE, EXCHANGE = 1, 2
AT_FDCWD = -100

libc = ctypes.CDLL(None, use_errno=True)


def check(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), "libc")
    return result


def fallocate(fd, mode, off, length):
    check(libc.fallocate(fd, mode, ctypes.c_int64(off), ctypes.c_int64(length)))


def renameat2(old, new, flags):
    check(libc.renameat2(AT_FDCWD, os.fsencode(old), AT_FDCWD, os.fsencode(new),
                         flags))


def resize(target, length):
    """Truncate. To the same length, local file systems change the time of
    modification and the kernel's FUSE does not; both may, so avoid it."""
    same = os.stat(target).st_size == length
    os.truncate(target, length + same)


def kind(st):
    """What two equal objects have in common, besides their contents."""
    seen = [stat.S_IFMT(st.st_mode), stat.S_IMODE(st.st_mode), st.st_uid,
            st.st_gid]
    if not stat.S_ISDIR(st.st_mode):
        seen += [st.st_size, st.st_nlink]
    # Times that utime() set are far in the past; others differ by nature.
    if stat.S_ISREG(st.st_mode) and st.st_mtime < 1e9:
        seen.append(st.st_mtime_ns)
    return tuple(seen)


def attributes(path):
    return {n: os.getxattr(path, n, follow_symlinks=False)
            for n in sorted(os.listxattr(path, follow_symlinks=False))
            if n.startswith("user.")}


def contents(path):
    with open(path, "rb") as f:
        return f.read()


def describe(root, rel):
    """Everything about one object; a list, so that a difference shows."""
    path = os.path.join(root, rel)
    st = os.lstat(path)
    out = [kind(st)]
    if stat.S_ISLNK(st.st_mode):
        out.append(os.readlink(path))
    elif stat.S_ISREG(st.st_mode):
        out += [contents(path), attributes(path)]
    elif stat.S_ISDIR(st.st_mode):
        out += [sorted(os.listdir(path)), attributes(path)]
    return out


def walk(root):
    for folder, dirs, files in os.walk(root):
        for name in dirs + files:
            yield os.path.relpath(os.path.join(folder, name), root)


def compare_trees(one, other):
    names = sorted(walk(one)), sorted(walk(other))
    if names[0] != names[1]:
        return "names differ: %r" % sorted(set(names[0]) ^ set(names[1]))
    for rel in names[1]:
        a, b = describe(one, rel), describe(other, rel)
        if a != b:
            return "%s differs: %s" % (rel, difference(a, b))
    return None


def difference(a, b):
    if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)) and \
            len(a) == len(b):
        return "; ".join("[%d] %s" % (i, difference(x, y))
                         for i, (x, y) in enumerate(zip(a, b)) if x != y)
    if isinstance(a, bytes) and isinstance(b, bytes):
        at = next((i for i, (x, y) in enumerate(zip(a, b)) if x != y),
                  min(len(a), len(b)))
        return "%d and %d bytes, first difference at %d: %s and %s" % (
            len(a), len(b), at, a[at:at + 16].hex(), b[at:at + 16].hex())
    return "%.200r and %.200r" % (a, b)


class Handle:
    def __init__(self, fds, flags, rel):
        self.fds, self.flags, self.rel = fds, flags, rel


class Differ:
    def __init__(self, roots, seed):
        self.roots = roots
        self.random = random.Random(seed)
        self.handles = []
        self.log = []
        self.done = {}

    # What to work on.
    def size(self):
        return int(2 ** self.random.uniform(0, 20))

    def offset(self):
        return self.random.choice([0, self.random.randrange(MAX_OFFSET),
                                   65536 * self.random.randrange(48),
                                   self.random.randrange(5000)])

    def data(self, n):
        return self.random.choice([self.random.randbytes, bytes])(n)

    def name(self):
        base = self.random.choice(["a", "b", "c", "d", "x.dcm", "Müller^Karl",
                                   LONG + "1", LONG + "2"])
        depth = self.random.choice([0, 0, 1, 1, 2])
        return os.path.join(*[self.random.choice(["p", "q", LONG + "d"])
                              for _ in range(depth)], base)

    def folder(self):
        depth = self.random.choice([1, 1, 2])
        return os.path.join(*[self.random.choice(["p", "q", LONG + "d"])
                              for _ in range(depth)])

    def any_name(self):
        return self.random.choice([self.name, self.name, self.folder])()

    def handle(self):
        return self.random.choice(self.handles) if self.handles else None

    # Do it on both sides; both succeed alike or fail alike.
    def both(self, what, fn, *args):
        results = []
        for side, root in enumerate(self.roots):
            try:
                results.append(("ok", fn(side, root, *args)))
            except OSError as e:
                results.append(("error", os.strerror(e.errno)))
        self.log.append("%s -> %.60r" % (what, results[1]))
        if results[0] != results[1]:
            raise AssertionError("%s: %s" % (what, difference(*results)))
        key = (what.split()[0], results[1][0])
        self.done[key] = self.done.get(key, 0) + 1
        return results[1]

    def by_path(self, what, fn, *rels):
        return self.both("%s %s" % (what, " ".join(r[-20:] for r in rels)),
                         lambda side, root:
                         fn(*[os.path.join(root, r) for r in rels]))

    def by_handle(self, what, fn):
        h = self.handle()
        if h:
            self.both("%s on %s" % (what, h.rel[-20:]),
                      lambda side, root: fn(h.fds[side]))

    # The operations.
    def op_open(self):
        if len(self.handles) >= MAX_HANDLES:
            return self.op_close()
        rel = self.name()
        flags = self.random.choice([os.O_RDONLY, os.O_WRONLY, os.O_RDWR,
                                    os.O_RDWR, os.O_RDWR])
        for extra in (os.O_CREAT, os.O_CREAT, os.O_EXCL, os.O_TRUNC,
                      os.O_APPEND):
            if self.random.random() < 0.3:
                flags |= extra
        if not flags & os.O_CREAT:
            flags &= ~os.O_EXCL
        mode = self.random.choice([0o644, 0o600, 0o755, 0o444])
        fds = {}

        def one(side, root):
            fds[side] = os.open(os.path.join(root, rel), flags, mode)

        if self.both("open %#o %s" % (flags, rel[-20:]), one)[0] == "ok":
            self.handles.append(Handle(fds, flags, rel))

    def op_close(self):
        h = self.handle()
        if h:
            self.handles.remove(h)
            self.both("close %s" % h.rel[-20:],
                      lambda side, root: os.close(h.fds[side]))

    def op_pwrite(self):
        off, data = self.offset(), self.data(self.size())
        self.by_handle("pwrite %d at %d" % (len(data), off),
                       lambda fd: os.pwrite(fd, data, off))

    op_pwrite_again = op_pwrite

    def op_append(self):
        data = self.data(self.size())

        def append(fd):
            os.lseek(fd, 0, os.SEEK_END)
            return os.write(fd, data)

        self.by_handle("append %d" % len(data), append)

    def op_pread(self):
        off, n = self.offset(), self.size()
        self.by_handle("pread %d at %d" % (n, off),
                       lambda fd: os.pread(fd, n, off))

    op_pread_again = op_pread

    def op_read_path(self):
        self.by_path("read", contents, self.name())

    def op_truncate(self):
        off = self.offset()
        self.by_path("truncate %d" % off, lambda p: resize(p, off),
                     self.name())

    def op_ftruncate(self):
        off = self.offset()
        self.by_handle("ftruncate %d" % off, lambda fd: resize(fd, off))

    def op_fallocate(self):
        mode = self.random.choice([0, KEEP_SIZE, KEEP_SIZE | PUNCH_HOLE,
                                   ZERO_RANGE, ZERO_RANGE | KEEP_SIZE])
        off, n = self.offset(), self.size()
        self.by_handle("fallocate %d %d at %d" % (mode, n, off),
                       lambda fd: fallocate(fd, mode, off, n))

    def op_mmap(self):
        data = self.data(self.size())
        start = self.random.random()

        def change(fd):
            length = os.fstat(fd).st_size
            if not length:
                return None
            with mmap.mmap(fd, length) as m:
                at = int(start * length)
                part = data[:length - at]
                before = m[at:at + len(part)]
                m[at:at + len(part)] = part
                return before

        self.by_handle("mmap %d at %.3f" % (len(data), start), change)

    def op_copy_range(self):
        src, dst = self.handle(), self.handle()
        n, to = self.size(), self.offset()
        if src and dst and src.rel != dst.rel:
            self.both("copy_file_range %d to %d" % (n, to),
                      lambda side, root: os.copy_file_range(
                          src.fds[side], dst.fds[side], n, 0, to))

    def op_fsync(self):
        self.by_handle("fsync", os.fsync)

    def op_fstat(self):
        self.by_handle("fstat", lambda fd: kind(os.fstat(fd)))

    def op_stat(self):
        self.by_path("stat", lambda p: kind(os.lstat(p)), self.any_name())

    def op_listdir(self):
        self.by_path("listdir", lambda p: sorted(os.listdir(p)), self.folder())

    def op_mkdir(self):
        self.by_path("mkdir", os.mkdir, self.folder())

    op_mkdir_again = op_mkdir

    def op_rmdir(self):
        self.by_path("rmdir", os.rmdir, self.any_name())

    def op_unlink(self):
        self.by_path("unlink", os.unlink, self.any_name())

    def op_link(self):
        self.by_path("link", os.link, self.name(), self.name())

    def op_symlink(self):
        target = self.name()
        self.by_path("symlink to %s" % target[-9:],
                     lambda p: os.symlink(target, p), self.name())

    def op_readlink(self):
        self.by_path("readlink", os.readlink, self.name())

    def op_rename(self):
        self.by_path("rename", os.rename, self.any_name(), self.any_name())

    op_rename_again = op_rename

    def op_rename_flags(self):
        flags = self.random.choice([NOREPLACE, EXCHANGE])
        self.by_path("renameat2 %d" % flags,
                     lambda a, b: renameat2(a, b, flags),
                     self.any_name(), self.any_name())

    def op_chmod(self):
        mode = self.random.choice([0o644, 0o600, 0o755, 0o4755, 0o700])
        self.by_path("chmod %#o" % mode, lambda p: os.chmod(p, mode),
                     self.any_name())

    def op_utime(self):
        when = self.random.randrange(10 ** 8 * 10 ** 9, 9 * 10 ** 8 * 10 ** 9)
        self.by_path("utime", lambda p: os.utime(p, ns=(when, when)),
                     self.name())

    def op_xattr(self):
        name = "user." + self.random.choice("ABC")
        value = self.data(self.random.randrange(300))
        flags = self.random.choice([0, os.XATTR_CREATE, os.XATTR_REPLACE])
        self.by_path("setxattr %d" % flags,
                     lambda p: os.setxattr(p, name, value, flags), self.name())

    def op_xattrs(self):
        self.by_path("listxattr", attributes, self.any_name())

    def op_removexattr(self):
        name = "user." + self.random.choice("ABC")
        self.by_path("removexattr", lambda p: os.removexattr(p, name),
                     self.name())

    def run(self, count):
        ops = [getattr(self, n) for n in sorted(dir(self))
               if n.startswith("op_")]
        for self.step in range(count):
            self.random.choice(ops)()
            if self.step % 500 == 499:
                self.compare()
        while self.handles:
            self.op_close()
        self.compare()

    def compare(self):
        found = compare_trees(*self.roots)
        if found:
            raise AssertionError(found)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["run", "compare"])
    parser.add_argument("--seed", type=int,
                        default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--verbose", action="store_true")
    parser.add_argument("one")
    parser.add_argument("other")
    args = parser.parse_args()
    if args.what == "compare":
        found = compare_trees(args.one, args.other)
        print("# %s" % (found or "no difference"))
        return 1 if found else 0
    os.umask(0o022)
    print("# seed %d" % args.seed, flush=True)
    differ = Differ([args.one, args.other], args.seed)
    try:
        differ.run(args.count)
    except AssertionError as e:
        print("# step %d: %s" % (differ.step, e))
        for line in differ.log[-20:]:
            print("#   %s" % line)
        return 1
    worked = sorted(k[0] for k in differ.done if k[1] == "ok")
    print("# %d operations; these succeeded at least once: %s" %
          (len(differ.log), " ".join(worked)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
