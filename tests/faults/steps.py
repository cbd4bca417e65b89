# SPDX-License-Identifier: GPL-2.0-or-later
"""For faults.t: what programs do to files."""

import contextlib
import ctypes
import mmap
import os
import stat

LONG = "long-" + "n" * 200
LIBC = ctypes.CDLL(None, use_errno=True)
DATA = bytes(i * 7 % 251 + 1 for i in range(60000))
OTHER = bytes(i * 11 % 241 + 5 for i in range(60000))


def tree(top):
    """All there is below a folder: names, contents, modes, attributes."""
    out = {}
    for where, folders, files in os.walk(top, onerror=fail):
        for name in folders + files:
            path = os.path.join(where, name)
            st = os.lstat(path)
            key = os.path.relpath(path, top).replace(LONG, "LONG")
            if stat.S_ISLNK(st.st_mode):
                out[key] = "-> " + os.readlink(path)
            elif stat.S_ISREG(st.st_mode):
                with open(path, "rb", buffering=0) as f:
                    out[key] = f.readall()
                out[key + "|size"] = len(out[key]) == st.st_size
            else:
                out[key] = "other"
            out[key + "|mode"] = oct(st.st_mode)
            out[key + "|owner"] = st.st_uid
            if not stat.S_ISDIR(st.st_mode):
                out[key + "|links"] = st.st_nlink
            if stat.S_ISREG(st.st_mode):
                for x in os.listxattr(path):
                    out[key + "|" + x] = os.getxattr(path, x).hex()
    return out


def fail(error):
    raise error


@contextlib.contextmanager
def opened(path, flags):
    """A descriptor, closed in any case; the first error counts."""
    fd = os.open(path, flags, 0o644)
    try:
        yield fd
    except BaseException:
        with contextlib.suppress(OSError):
            os.close(fd)
        raise
    os.close(fd)


def write(path, data, at=0, flags=os.O_CREAT, sync=False):
    with opened(path, os.O_WRONLY | flags) as fd:
        done = 0
        while done < len(data):
            done += os.pwrite(fd, data[done:], at + done)
        if sync:
            os.fsync(fd)


def renameat2(old, new, flags):
    if LIBC.renameat2(-100, old.encode(), -100, new.encode(), flags):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def allocate(path, mode, at, length):
    with opened(path, os.O_RDWR) as fd:
        if LIBC.fallocate(fd, mode, ctypes.c_long(at), ctypes.c_long(length)):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))


def mapped(path, at, data):
    with opened(path, os.O_RDWR) as fd:
        with mmap.mmap(fd, len(DATA)) as view:
            view[at:at + len(data)] = data
            view.flush()
        os.fsync(fd)


def copy(d):
    with opened(d + "/f", os.O_RDONLY) as source, \
            opened(d + "/copy", os.O_WRONLY | os.O_CREAT) as target:
        done = 0
        while done < len(DATA):
            n = os.copy_file_range(source, target, len(DATA) - done, done, done)
            if not n:
                raise OSError(5, "cut off")
            done += n


def sync_folder(path):
    with opened(path, os.O_RDONLY | os.O_DIRECTORY) as fd:
        os.fsync(fd)


class Step:
    """One thing that a program does.

    setup and act get the folder; error: errno that act gets when nothing fails;
    cold: with nothing in memory; stays: what a failed write leaves is in the
    kernel's memory, so it is done again before mounting anew is compared; cuts:
    a file may be shorter in between.
    """

    def __init__(self, name, setup, act, error=None, cold=False, stays=True,
                 cuts=False):
        self.name = name
        self.setup = setup
        self.act = act
        self.error = error
        self.cold = cold
        self.stays = stays
        self.cuts = cuts


def nothing(_folder):
    pass


def a_file(d):
    write(d + "/f", DATA, sync=True)


def two_files(d):
    write(d + "/f", DATA, sync=True)
    write(d + "/g", OTHER[:9000])


def folders(d):
    os.mkdir(d + "/one")
    os.mkdir(d + "/two")
    write(d + "/one/f", DATA[:100])


def full_folder(d):
    os.mkdir(d + "/one")
    for i in range(3):
        write(f"{d}/one/{i}{LONG}", DATA[:100])


def linked(d):
    write(d + "/f", DATA, sync=True)
    os.link(d + "/f", d + "/g")


def attributed(d):
    write(d + "/f", DATA[:5000])
    os.setxattr(d + "/f", "user.one", b"old")


def mixed(d):
    two_files(d)
    os.mkdir(d + "/one")
    write(d + "/one/" + LONG, OTHER[:70])
    os.symlink("to", d + "/link")


def look(d):
    tree(d)


def set_attributes(d):
    os.chmod(d + "/f", 0o600)
    os.chown(d + "/f", 5, 5)
    os.utime(d + "/f", (1000, 2000))


def set_xattrs(d):
    os.setxattr(d + "/f", "user.one", b"new and longer")
    os.setxattr(d + "/f", "user.two", b"2")


def drop_xattr(d):
    if "user.one" in os.listxattr(d + "/f"):
        os.removexattr(d + "/f", "user.one")


def names(step, setup, act, **how):
    return Step(step, setup, act, stays=False, **how)


STEPS = [
    Step("create", nothing, lambda d: write(d + "/f", DATA[:300])),
    Step("create-long", nothing, lambda d: write(d + "/" + LONG, DATA[:300])),
    Step("create-sync", nothing, lambda d: write(d + "/f", DATA, sync=True)),
    Step("overwrite-sync", a_file,
         lambda d: write(d + "/f", OTHER[:10000], 9000, sync=True)),
    Step("overwrite", a_file, lambda d: write(d + "/f", OTHER[:9000], 5)),
    Step("append", a_file, lambda d: write(d + "/f", OTHER[:10], len(DATA))),
    Step("append-far", a_file, lambda d: write(d + "/f", OTHER[:10], 99000)),
    Step("cut", a_file, lambda d: os.truncate(d + "/f", 12345)),
    Step("cut-all", a_file, lambda d: os.truncate(d + "/f", 0)),
    Step("grow", a_file, lambda d: os.truncate(d + "/f", 80000)),
    Step("anew", a_file,
         lambda d: write(d + "/f", OTHER[:20000], flags=os.O_TRUNC), cuts=True),
    Step("punch", a_file, lambda d: allocate(d + "/f", 3, 5000, 20000)),
    Step("zero", a_file, lambda d: allocate(d + "/f", 16, 5000, 70000)),
    Step("reserve", a_file, lambda d: allocate(d + "/f", 0, 0, 90000)),
    Step("mapped", a_file, lambda d: mapped(d + "/f", 3000, OTHER[:9000])),
    Step("copy", a_file, copy),
    names("mkdir", nothing, lambda d: os.mkdir(d + "/one")),
    names("mkdir-long", nothing, lambda d: os.mkdir(d + "/" + LONG)),
    names("mkdir-sync", nothing,
          lambda d: (os.path.isdir(d + "/one") or os.mkdir(d + "/one"),
                     sync_folder(d))),
    names("rmdir", folders, lambda d: os.rmdir(d + "/two")),
    names("rmdir-full", full_folder, lambda d: os.rmdir(d + "/one"), error=39),
    names("rmdir-cold", full_folder, lambda d: os.rmdir(d + "/one"), error=39,
          cold=True),
    names("rename", two_files, lambda d: os.rename(d + "/f", d + "/h")),
    names("rename-long", two_files, lambda d: os.rename(d + "/f", d + "/" + LONG)),
    names("rename-over", two_files, lambda d: os.rename(d + "/f", d + "/g")),
    names("rename-exchange", two_files,
          lambda d: renameat2(d + "/f", d + "/g", 2)),
    names("rename-folder", folders,
          lambda d: os.rename(d + "/one", d + "/two/one")),
    names("rename-over-folder", folders,
          lambda d: os.rename(d + "/one", d + "/two")),
    names("rename-cold", folders,
          lambda d: os.rename(d + "/one/f", d + "/two/f"), cold=True),
    names("link", a_file, lambda d: os.link(d + "/f", d + "/g")),
    names("unlink-link", linked, lambda d: os.unlink(d + "/g")),
    names("unlink", two_files, lambda d: os.unlink(d + "/f")),
    names("unlink-long", full_folder,
          lambda d: os.unlink(d + "/one/0" + LONG)),
    names("symlink", nothing, lambda d: os.symlink("x" * 300, d + "/link")),
    names("fifo", nothing, lambda d: os.mkfifo(d + "/pipe")),
    names("attributes", a_file, set_attributes),
    names("xattrs", attributed, set_xattrs),
    names("drop-xattr", attributed, drop_xattr),
    names("look", mixed, look, cold=True),
]
