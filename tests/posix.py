#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""One expectation of a directory each, for mount-posix.t.

    posix.py list           the names of the tests
    posix.py NAME FOLDER    run one in an empty folder
"""
import ctypes
import errno
import fcntl
import mmap
import multiprocessing
import os
import random
import signal
import socket
import stat
import subprocess
import sys

libc = ctypes.CDLL(None, use_errno=True)
NOREPLACE, EXCHANGE = 1, 2


def write(path, data, mode="wb"):
    with open(path, mode) as f:
        f.write(data)


def read(path):
    with open(path, "rb") as f:
        return f.read()


def fails(code, fn, *args, **kwargs):
    try:
        fn(*args, **kwargs)
    except OSError as e:
        assert e.errno == code, e
        return
    raise AssertionError("%s%r succeeded" % (fn.__name__, args))


def renameat2(old, new, flags):
    if libc.renameat2(-100, os.fsencode(old), -100, os.fsencode(new), flags):
        raise OSError(ctypes.get_errno(), "renameat2")


def in_child(fn, *args):
    child = multiprocessing.get_context("fork").Process(target=fn, args=args)
    child.start()
    return child


def test_exclusive_create():
    fd = os.open("f", os.O_CREAT | os.O_EXCL | os.O_WRONLY)
    os.close(fd)
    fails(errno.EEXIST, os.open, "f", os.O_CREAT | os.O_EXCL | os.O_WRONLY)
    os.symlink("nowhere", "l")
    fails(errno.EEXIST, os.open, "l", os.O_CREAT | os.O_EXCL | os.O_WRONLY)


def test_one_creator_wins():
    def race(pipe):
        won = 0
        for i in range(200):
            try:
                os.close(os.open("f%d" % i, os.O_CREAT | os.O_EXCL))
                won += 1
            except FileExistsError:
                pass
        os.write(pipe, b"%8d" % won)

    r, w = os.pipe()
    children = [in_child(race, w) for _ in range(4)]
    for c in children:
        c.join()
    assert sum(int(os.read(r, 8)) for _ in children) == 200


def test_append_from_processes():
    def append(tag):
        fd = os.open("f", os.O_WRONLY | os.O_APPEND)
        for i in range(300):
            os.write(fd, b"%c%05d\n" % (tag, i))
        os.close(fd)

    write("f", b"")
    children = [in_child(append, tag) for tag in b"abcd"]
    for c in children:
        c.join()
    lines = read("f").splitlines()
    assert len(lines) == 1200, len(lines)
    for tag in b"abcd":
        mine = [line for line in lines if line[0] == tag]
        assert mine == [b"%c%05d" % (tag, i) for i in range(300)]


def test_append_ignores_position():
    write("f", b"12345")
    fd = os.open("f", os.O_RDWR | os.O_APPEND)
    os.lseek(fd, 0, os.SEEK_SET)
    os.write(fd, b"678")
    os.close(fd)
    assert read("f") == b"12345678"


def test_unlink_while_open():
    fd = os.open("f", os.O_CREAT | os.O_RDWR)
    os.write(fd, b"x" * 200000)
    os.unlink("f")
    assert not os.path.exists("f")
    os.pwrite(fd, b"y" * 1000, 150000)
    os.ftruncate(fd, 180000)
    assert os.pread(fd, 200000, 0) == b"x" * 150000 + b"y" * 1000 + b"x" * 29000
    assert os.fstat(fd).st_nlink == 0
    os.fsync(fd)
    os.close(fd)


def test_replace_while_open():
    write("old", b"old" * 50000)
    write("new", b"new" * 50000)
    with open("old", "rb") as f:
        os.rename("new", "old")
        assert f.read() == b"old" * 50000
    assert read("old") == b"new" * 50000


def test_open_while_replaced():
    """Who had found the old file may open it, however soon it goes."""
    def replace(tag):
        while True:
            write("t%d" % tag, b"%d" % tag * 5000)
            os.rename("t%d" % tag, "f")

    write("f", b"1" * 5000)
    children = [in_child(replace, tag) for tag in (1, 2)]
    try:
        for _ in range(1500):
            data = read("f")
            assert len(data) == 5000 and len(set(data)) == 1
    finally:
        for c in children:
            c.kill()
            c.join()


def test_rename_flags():
    write("a", b"a")
    write("b", b"bb")
    fails(errno.EEXIST, renameat2, "a", "b", NOREPLACE)
    renameat2("a", "b", EXCHANGE)
    assert (read("a"), read("b")) == (b"bb", b"a")
    renameat2("a", "c", NOREPLACE)
    assert read("c") == b"bb"
    os.mkdir("d")
    write("d/f", b"in d")
    renameat2("d", "c", EXCHANGE)
    assert read("d") == b"bb" and read("c/f") == b"in d"
    fails(errno.ENOENT, renameat2, "c", "none", EXCHANGE)


def test_rename_directories():
    os.makedirs("a/sub")
    write("a/sub/f", b"1")
    os.mkdir("b")
    os.utime("a/sub", (1e8, 1e8))
    os.rename("a/sub", "b/other")
    assert os.stat("b/other").st_mtime == 1e8
    assert read("b/other/f") == b"1"
    os.rename("b/other", "a")           # over an empty directory
    assert read("a/f") == b"1" and os.listdir("b") == []
    os.mkdir("full")
    write("full/f", b"2")
    fails(errno.ENOTEMPTY, os.rename, "a", "full")
    write("file", b"3")
    fails(errno.ENOTDIR, os.rename, "a", "file")
    fails(errno.EISDIR, os.rename, "file", "a")
    fails(errno.EINVAL, os.rename, "a", "a/below")
    assert read("full/f") == b"2" and read("a/f") == b"1"


def test_rename_open_file():
    fd = os.open("f", os.O_CREAT | os.O_RDWR)
    os.write(fd, b"before")
    os.rename("f", "g")
    os.write(fd, b", after")
    os.close(fd)
    assert read("g") == b"before, after"


def test_rmdir():
    os.mkdir("d")
    name = "n" * 255
    write("d/" + name, b"kept")
    fails(errno.ENOTEMPTY, os.rmdir, "d")
    assert os.listdir("d") == [name] and read("d/" + name) == b"kept"
    os.unlink("d/" + name)
    os.rmdir("d")
    write("f", b"")
    fails(errno.ENOTDIR, os.rmdir, "f")
    os.mkdir("d")
    fails(errno.EISDIR, os.unlink, "d")


def test_removed_and_not_open():
    """Known, though nobody has it open: by O_PATH, which opens nothing."""
    write("f", b"x")
    write("over", b"y")
    os.mkdir("d")
    held = [os.open(n, os.O_PATH) for n in ("f", "over", "d")]
    inodes = [os.fstat(fd).st_ino for fd in held]
    os.unlink("f")
    write("new", b"new")
    os.rename("new", "over")
    os.rmdir("d")
    for n in range(300):
        write("g%d" % n, b"other")
        os.chmod("g%d" % n, 0o600)
    for fd, ino in zip(held, inodes):
        st = os.fstat(fd)
        assert st.st_ino == ino
        assert st.st_nlink == 0 or stat.S_ISDIR(st.st_mode), st
    assert os.fstat(held[0]).st_size == 1
    for fd in held:
        os.close(fd)
    assert read("over") == b"new"


def test_removed_directory_in_use():
    os.mkdir("d")
    fd = os.open("d", os.O_RDONLY | os.O_DIRECTORY)
    os.rmdir("d")
    fails(errno.ENOENT, os.open, "f", os.O_CREAT | os.O_WRONLY, dir_fd=fd)
    assert os.listdir(fd) == []
    os.close(fd)


def test_hard_links():
    os.mkdir("d")
    write("a", b"one")
    os.link("a", "d/b")
    os.link("a", "c")
    assert os.stat("a").st_nlink == 3
    assert os.stat("d/b").st_ino == os.stat("c").st_ino
    write("d/b", b", two", "ab")
    assert read("a") == b"one, two"
    os.unlink("a")
    assert read("c") == read("d/b") == b"one, two"
    os.rename("c", "d/c")
    os.rename("d/c", "d/b")         # two names of one file: nothing happens
    assert sorted(os.listdir("d")) == ["b", "c"]
    os.unlink("d/c")
    assert read("d/b") == b"one, two" and os.stat("d/b").st_nlink == 1
    fails(errno.EPERM, os.link, "d", "e")


def test_more_links_than_a_file_can_have():
    write("f", b"many")
    for i in range(1, 100):
        try:
            os.link("f", "l%d" % i)
        except OSError as e:
            assert e.errno == errno.EMLINK, e
            break
    assert i > 8
    assert os.stat("f").st_nlink == i
    os.unlink("f")
    os.link("l1", "again")
    for name in os.listdir():
        assert read(name) == b"many"


def test_symbolic_links():
    for target in ["x", "../up", "/abs/olute", "t" * 2000, "no such file"]:
        os.symlink(target, "l")
        assert os.readlink("l") == target
        assert os.lstat("l").st_size == len(target)
        os.unlink("l")
    fails(errno.ENAMETOOLONG, os.symlink, "t" * 3500, "l")
    assert os.listdir() == []
    write("f", b"through it")
    os.symlink("f", "l")
    assert read("l") == b"through it"
    os.utime("l", (1e8, 2e8), follow_symlinks=False)
    assert os.lstat("l").st_mtime == 2e8 and os.stat("f").st_mtime != 2e8
    os.chown("l", 12, 34, follow_symlinks=False)
    assert (os.lstat("l").st_uid, os.stat("f").st_uid) == (12, 0)


def test_special_files():
    os.mkfifo("fifo", 0o640)
    assert stat.S_IFMT(os.stat("fifo").st_mode) == stat.S_IFIFO
    child = in_child(write, "fifo", b"through it")
    assert read("fifo") == b"through it"
    child.join()
    with socket.socket(socket.AF_UNIX) as s:
        s.bind("socket")
        s.listen()
        with socket.socket(socket.AF_UNIX) as c:
            c.connect("socket")
    os.mknod("dev", stat.S_IFCHR | 0o600, os.makedev(1, 3))
    assert os.stat("dev").st_rdev == os.makedev(1, 3)
    os.mknod("file", stat.S_IFREG | 0o600)
    assert read("file") == b""
    os.rename("fifo", "d")
    os.link("d", "e")
    assert os.stat("e").st_nlink == 2


def test_modes_and_owners():
    old = os.umask(0o027)
    write("f", b"")
    os.mkdir("d")
    os.umask(old)
    assert stat.S_IMODE(os.stat("f").st_mode) == 0o640
    assert stat.S_IMODE(os.stat("d").st_mode) == 0o750
    os.chmod("f", 0o4755)
    os.chown("f", 1000, 1001)
    assert (os.stat("f").st_uid, os.stat("f").st_gid) == (1000, 1001)
    assert not os.stat("f").st_mode & stat.S_ISUID
    fd = os.open("suid", os.O_CREAT | os.O_WRONLY, 0o4711)
    os.close(fd)
    assert stat.S_IMODE(os.stat("suid").st_mode) == 0o4711
    fd = os.open("ro", os.O_CREAT | os.O_WRONLY, 0o444)
    os.write(fd, b"written once")
    os.close(fd)
    assert read("ro") == b"written once"


def test_group_of_directory():
    os.mkdir("d")
    os.chown("d", 0, 4242)
    os.chmod("d", 0o2775)
    write("d/f", b"")
    os.mkdir("d/sub")
    assert os.stat("d/f").st_gid == os.stat("d/sub").st_gid == 4242
    assert os.stat("d/sub").st_mode & stat.S_ISGID


def test_times_that_were_set():
    for i, size in enumerate([0, 1, 100, 70000, 3000000]):
        name = "f%d" % i
        with open(name, "wb") as f:
            f.write(b"x" * size)
            f.flush()
            os.utime(f.fileno(), ns=(10 ** 17 + 5, 2 * 10 ** 17 + 7))
        assert os.stat(name).st_mtime_ns == 2 * 10 ** 17 + 7, size
        os.rename(name, name + "r")
        os.link(name + "r", name + "l")
        os.unlink(name + "r")
        assert os.stat(name + "l").st_mtime_ns == 2 * 10 ** 17 + 7, size
    read("f1l")
    assert os.stat("f1l").st_mtime_ns == 2 * 10 ** 17 + 7


def test_times_of_copies():
    os.mkdir("src")
    for i in range(20):
        write("src/%d" % i, os.urandom(i * 9000))
        os.utime("src/%d" % i, (1e8 + i, 1.5e8 + i))
    subprocess.run(["cp", "-a", "src", "cp"], check=True)
    subprocess.run("tar cf - src | tar xf - --one-top-level=tar", shell=True,
                   check=True)
    for i in range(20):
        for copy in ["cp/%d", "tar/src/%d"]:
            assert os.stat(copy % i).st_mtime == 1.5e8 + i, copy
            assert read(copy % i) == read("src/%d" % i)


def test_writing_changes_mtime():
    write("f", b"1")
    os.utime("f", (1e8, 1e8))
    write("f", b"2", "ab")
    assert os.stat("f").st_mtime > 1e9
    os.utime("f", (1e8, 1e8))
    os.truncate("f", 0)
    assert os.stat("f").st_mtime > 1e9


def test_sparse():
    with open("f", "wb") as f:
        f.seek(10 << 20)
        f.write(b"end")
    os.truncate("f", 20 << 20)
    data = read("f")
    assert data == bytes(10 << 20) + b"end" + bytes((10 << 20) - 3)
    assert os.stat("f").st_blocks * 512 < 5 << 20


def test_seek():
    """Holes may be reported or not, but data never as a hole."""
    fd = os.open("f", os.O_CREAT | os.O_RDWR)
    os.pwrite(fd, b"x" * 100000, 1 << 20)
    data = os.lseek(fd, 0, os.SEEK_DATA)
    assert data <= 1 << 20
    assert os.lseek(fd, 1 << 20, os.SEEK_HOLE) >= (1 << 20) + 100000
    fails(errno.ENXIO, os.lseek, fd, 2 << 20, os.SEEK_DATA)
    subprocess.run(["cp", "--sparse=always", "f", "g"], check=True)
    subprocess.run(["cp", "--sparse=auto", "f", "h"], check=True)
    assert read("f") == read("g") == read("h")
    os.close(fd)


def test_allocate():
    fd = os.open("f", os.O_CREAT | os.O_RDWR)
    os.posix_fallocate(fd, 0, 1000000)
    assert os.fstat(fd).st_size == 1000000
    os.pwrite(fd, b"x" * 300000, 0)
    punch = libc.fallocate(fd, 3, ctypes.c_int64(1000), ctypes.c_int64(200000))
    assert punch == 0
    assert os.pread(fd, 300000, 0) == \
        b"x" * 1000 + bytes(200000) + b"x" * 99000
    os.close(fd)


def test_mmap():
    write("f", b"a" * 300000)
    fd = os.open("f", os.O_RDWR)
    with mmap.mmap(fd, 300000) as m:
        os.close(fd)
        m[100000:100010] = b"0123456789"
        assert read("f")[99999:100011] == b"a0123456789a"
        os.unlink("f")
        m[5] = 66
        m.flush()
        assert m[5] == 66


def test_execute():
    subprocess.run(["cp", "/bin/true", "t"], check=True)
    subprocess.run(["./t"], check=True)


def test_locks():
    def try_locks(path, expect):
        fd = os.open(path, os.O_RDWR)
        for lock in (fcntl.flock, fcntl.lockf):
            try:
                lock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                assert not expect
            except BlockingIOError:
                assert expect
    write("f", b"")
    fd = os.open("f", os.O_RDWR)
    fcntl.flock(fd, fcntl.LOCK_EX)
    fcntl.lockf(fd, fcntl.LOCK_EX)
    child = in_child(try_locks, "f", True)
    child.join()
    assert child.exitcode == 0
    os.close(fd)
    child = in_child(try_locks, "f", False)
    child.join()
    assert child.exitcode == 0


def test_attributes():
    write("f", b"")
    os.mkdir("d")
    for path in ["f", "d"]:
        os.setxattr(path, "user.patient", "Müller".encode())
        os.setxattr(path, "user.empty", b"")
        os.setxattr(path, "user.large", b"x" * 2000)
        assert os.getxattr(path, "user.patient") == "Müller".encode()
        assert os.getxattr(path, "user.empty") == b""
        assert os.getxattr(path, "user.large") == b"x" * 2000
        assert sorted(os.listxattr(path)) == ["user.empty", "user.large",
                                              "user.patient"]
        fails(errno.EEXIST, os.setxattr, path, "user.empty", b"",
              os.XATTR_CREATE)
        fails(errno.ENODATA, os.setxattr, path, "user.new", b"",
              os.XATTR_REPLACE)
        fails(errno.ENODATA, os.getxattr, path, "user.new")
        fails(errno.ENODATA, os.removexattr, path, "user.new")
        os.removexattr(path, "user.large")
        assert len(os.listxattr(path)) == 2
        fails(errno.ENODATA, os.getxattr, path, "security.capability")
        fails(errno.EOPNOTSUPP, os.setxattr, path, "trusted.x", b"")
        buf = ctypes.create_string_buffer(3)
        assert libc.getxattr(path.encode(), b"user.patient", buf, 3) == -1
        assert ctypes.get_errno() == errno.ERANGE
        assert libc.listxattr(path.encode(), buf, 3) == -1
        assert ctypes.get_errno() == errno.ERANGE
    os.rename("f", "g")
    os.rename("d", "e")
    assert len(os.listxattr("g")) == len(os.listxattr("e")) == 2


def test_fsync():
    os.makedirs("a/b/c")
    with open("a/b/c/f", "wb") as f:
        f.write(b"x")
        f.flush()
        os.fsync(f.fileno())
        os.fdatasync(f.fileno())
    for path in ["a/b/c", "a/b", "a", "."]:
        fd = os.open(path, os.O_RDONLY)
        os.fsync(fd)
        os.close(fd)


def test_file_system():
    st = os.statvfs(".")
    assert st.f_namemax == 255 and st.f_blocks and st.f_bavail
    here = os.stat(".")
    assert here.st_ino and stat.S_ISDIR(here.st_mode)


def test_listing_while_removing():
    for i in range(1000):
        write("f%d" % i, b"")
    seen = 0
    with os.scandir(".") as entries:
        for e in entries:
            os.unlink(e.name)
            seen += 1
    assert seen == 1000 and os.listdir() == []


class Entry(ctypes.Structure):
    """struct dirent64."""
    _fields_ = [("ino", ctypes.c_uint64), ("off", ctypes.c_int64),
                ("reclen", ctypes.c_ushort), ("type", ctypes.c_ubyte),
                ("name", ctypes.c_char * 256)]


def names(folder, most=-1):
    libc.readdir64.restype = ctypes.POINTER(Entry)
    out = []
    while len(out) != most:
        entry = libc.readdir64(folder)
        if not entry:
            break
        out.append(os.fsdecode(entry.contents.name))
    return out


def test_listing_from_a_position():
    for i in range(1000):
        write("f%d" % i + "x" * (i % 200), b"")
    libc.opendir.restype = libc.telldir.restype = ctypes.c_long
    folder = ctypes.c_void_p(libc.opendir(b"."))
    for most in 0, 1, 500, 999, -1:
        libc.rewinddir(folder)
        first = names(folder, most)
        here = ctypes.c_long(libc.telldir(folder))
        rest = names(folder)
        write("new%d" % most, b"")      # what the kernel keeps is not true now
        libc.seekdir(folder, here)
        again = names(folder)
        assert len(set(first + rest)) == len(first + rest)
        assert set(again) - set(rest) <= {"new%d" % most}
        assert set(rest) <= set(again)
        libc.rewinddir(folder)
        assert set(names(folder)) == set(first + rest) | {"new%d" % most}
    libc.closedir(folder)


def test_dot_entries():
    os.mkdir("d")
    out = subprocess.run(["ls", "-a", "d"], capture_output=True, check=True)
    assert out.stdout.split() == [b".", b".."]


def test_truncating_open():
    write("f", b"x" * 200000)
    with open("f", "r+b") as reader:
        write("f", b"new")
        assert reader.read() == b"new"
    assert os.stat("f").st_size == 3


def test_truncating_open_while_pages_are_written():
    """What a mapping changed before is not written into the empty file."""
    size = 12345
    fd = os.open("f", os.O_RDWR | os.O_CREAT)
    for _ in range(1000):
        os.pwrite(fd, b"x" * size, 0)
        with mmap.mmap(fd, size) as m:
            m[984:9176] = b"y" * 8192
            # Begins to write the pages, and does not wait.
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
            again = os.open("f", os.O_RDWR | os.O_TRUNC)
            assert os.fstat(again).st_size == 0
        os.fsync(fd)
        assert os.fstat(again).st_size == 0
        os.close(again)


def test_write_only_handle():
    write("f", b"x" * 5000)
    fd = os.open("f", os.O_WRONLY)
    os.pwrite(fd, b"y", 4500)           # the kernel has to read the page
    os.close(fd)
    assert read("f") == b"x" * 4500 + b"y" + b"x" * 499


def test_direct_io():
    fd = os.open("f", os.O_CREAT | os.O_RDWR | os.O_DIRECT)
    buf = mmap.mmap(-1, 1 << 20)
    buf.write(os.urandom(1 << 20))
    assert os.pwritev(fd, [buf], 0) == 1 << 20
    back = mmap.mmap(-1, 1 << 20)
    assert os.preadv(fd, [back], 0) == 1 << 20
    assert back[:] == buf[:] == read("f")
    os.close(fd)


def test_many_threads_on_one_file():
    def work(n):
        fd = os.open("f", os.O_RDWR)
        for i in range(60):
            os.pwrite(fd, bytes([n]) * 30000, (i * 8 + n) * 30000)
            if i:
                got = os.pread(fd, 30000, ((i - 1) * 8 + n) * 30000)
                assert got == bytes([n]) * 30000
        os.close(fd)

    write("f", b"")
    children = [in_child(work, n) for n in range(8)]
    for c in children:
        c.join()
        assert c.exitcode == 0
    data = read("f")
    assert len(data) == 480 * 30000
    for i in range(480):
        assert data[i * 30000:(i + 1) * 30000] == bytes([i % 8]) * 30000, i


def test_storm():
    """Many processes, few names: whatever comes first, nothing is damaged."""
    expected = {errno.ENOENT, errno.EEXIST, errno.ENOTEMPTY, errno.EISDIR,
                errno.ENOTDIR, errno.EINVAL, errno.EMLINK, errno.EPERM,
                errno.ELOOP, errno.ENXIO}

    def tear(seed):
        rng = random.Random(seed)
        folders = ["", "p/", "q/", "p/r/", "L" * 240 + "/"]

        def name():
            return rng.choice(folders) + rng.choice("abc" + "d" * 2 + "p") * \
                rng.choice([1, 1, 200])

        def folder():
            return rng.choice(folders[1:])[:-1]

        ops = [lambda: write(name(), bytes([seed]) * rng.randrange(100000)),
               lambda: write(name(), b"", "ab"),
               lambda: read(name()),
               lambda: os.rename(name(), name()),
               lambda: os.rename(folder(), folder()),
               lambda: renameat2(name(), name(), EXCHANGE),
               lambda: renameat2(folder(), name(), EXCHANGE),
               lambda: os.link(name(), name()),
               lambda: os.unlink(name()),
               lambda: os.mkdir(folder()),
               lambda: os.mkdir(folder()),
               lambda: os.rmdir(folder()),
               lambda: os.listdir(folder()),
               lambda: [e.stat() for e in os.scandir(folder())],
               lambda: os.symlink("x", name()),
               lambda: os.truncate(name(), rng.randrange(50000)),
               lambda: os.utime(name(), (1, 1)),
               lambda: os.chmod(folder(), 0o750)]
        for _ in range(600):
            try:
                rng.choice(ops)()
            except OSError as e:
                if e.errno not in expected:
                    raise

    children = [in_child(tear, seed) for seed in range(1, 7)]
    for c in children:
        c.join()
    assert [c.exitcode for c in children] == [0] * 6
    for folder, _, names in os.walk("."):
        for n in names:
            if not os.path.islink(os.path.join(folder, n)):
                read(os.path.join(folder, n))


def main():
    tests = {n[5:]: f for n, f in globals().items() if n.startswith("test_")}
    if sys.argv[1] == "list":
        print("\n".join(tests))
        return
    signal.alarm(60)
    os.umask(0o022)
    os.chdir(sys.argv[2])
    tests[sys.argv[1]]()


if __name__ == "__main__":
    main()
