# SPDX-License-Identifier: GPL-2.0-or-later
"""Several processes that work on the same files of a mount, at random."""

import contextlib
import errno
import os
import random
import sys
import time

import mounted
import tap

NAMES = [f"{d}{n}" for d in ("", "one/", "two/") for n in "abcd"] + ["n" * 250]


def contents(path, chance):
    """Write, read, cut, sync: one of several at once."""
    flags = os.O_RDWR | os.O_CREAT | (os.O_TRUNC if chance.random() < .1 else 0)
    fd = os.open(path, flags, 0o644)
    try:
        for _ in range(chance.randrange(1, 12)):
            at = chance.randrange(200000)
            what = chance.randrange(7)
            if what < 3:
                os.pwrite(fd, chance.randbytes(chance.randrange(30000)), at)
            elif what < 5:
                os.pread(fd, chance.randrange(60000), at)
            elif what == 5:
                os.ftruncate(fd, at)
            else:
                os.fsync(fd)
    finally:
        os.close(fd)


def names(path, other, chance):
    what = chance.randrange(8)
    if what < 3:
        os.rename(path, other)
    elif what == 3:
        os.link(path, other)
    elif what == 4:
        os.unlink(path)
    elif what == 5:
        os.setxattr(path, "user.note", chance.randbytes(20))
        os.listxattr(path)
    elif what == 6:
        os.symlink("target", other)
        os.readlink(other)
    else:
        folder = os.path.join(mounted.MNT, f"folder{chance.randrange(3)}")
        os.mkdir(folder)
        os.rename(folder, folder + "x")
        os.rmdir(folder + "x")


@contextlib.contextmanager
def passing(*codes):
    try:
        yield
    except OSError as error:
        if error.errno not in codes:
            raise


def work(seed, until, known, codes):
    """One process; that a name is gone or there already is part of the game."""
    chance = random.Random(seed)
    while time.monotonic() < until:
        path, other = (os.path.join(mounted.MNT, chance.choice(known))
                       for _ in "ab")
        with passing(errno.ENOENT, errno.EEXIST, errno.ENOTDIR, errno.EISDIR,
                     *codes), contextlib.suppress(ValueError):
            if chance.random() < .5:
                contents(path, chance)
            else:
                names(path, other, chance)
            if chance.random() < .1:
                for _, _, _ in os.walk(mounted.MNT):
                    pass
    return 0


def start(seed, until, known, codes):
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        status = work(seed, until, known, codes)
    except OSError as error:
        print(f"# {error}", file=sys.stderr, flush=True)
    finally:
        os._exit(status)


def load(seed, known, workers, seconds, *codes):
    """Errors with these codes are part of the game, too."""
    until = time.monotonic() + seconds
    children = [start(seed + i, until, known, codes) for i in range(workers)]
    time.sleep(seconds / 2)
    tap.works("a new keyset meanwhile", "rekey", "--keyfile", mounted.KEY,
              mounted.ARCHIVE)
    bad = [os.waitpid(pid, 0)[1] for pid in children]
    tap.same("no process got an error", bad, [0] * workers)
