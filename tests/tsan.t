#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""
The daemon under ThreadSanitizer, while several processes work on the same
files, and a new keyset comes meanwhile; then with so few descriptors that it has
the kernel forget files all the time; then one that forgets its keys every second.
At last the library's own threads: the unit tests that have several.
TSAN_SECONDS: how long each, instead of 10.
"""

import contextlib
import errno
import os
import random
import shutil
import subprocess
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, "tests/lib")
import mounted  # noqa: E402
import tap  # noqa: E402

SECONDS = int(os.environ.get("TSAN_SECONDS", "10"))
WORKERS = 6
NAMES = [f"{d}{n}" for d in ("", "one/", "two/") for n in "abcd"] + ["n" * 250]
# More than there may be descriptors, each of which costs one.
CROWD = [f"{d}/crowd{n}" for d in ("one", "two") for n in range(400)]
DESCRIPTORS = 500
UNITS = ("test_abe", "test_file_threads", "test_ingest")


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


class Watched(mounted.Mount):
    """The daemon, and who watches it."""

    def command(self):
        command = super().command()
        command[0] = os.path.join(tap.BUILD + "-tsan", "chaosimgfs")
        return command


class Crowded(Watched):
    """Without the right to open files by handle, and with a low limit."""

    def command(self):
        return ["setpriv", "--bounding-set=-sys_resource,-dac_read_search",
                "prlimit", f"--nofile={DESCRIPTORS}:{DESCRIPTORS}",
                *super().command()]


class Forgetful(Watched):
    """It has no key but those that it draws."""

    def command(self):
        return [super().command()[0], "-f", "-o", "no_sandbox,ingest,"
                "params=params,ingest-epoch=1", "edge", self.at]


def build():
    built = f"{tap.BUILD}-tsan"
    result = subprocess.run(
        ["make", "-s", f"-j{os.cpu_count()}", f"BUILD={built}", "SAN=thread",
         f"{built}/chaosimgfs", *[f"{built}/tests/{name}" for name in UNITS]],
        cwd=tap.TOP, capture_output=True, text=True, check=False)
    return tap.ok("build", not result.returncode, result.stderr[-2000:])


def load(seed, known, *codes):
    until = time.monotonic() + SECONDS
    children = []
    for i in range(WORKERS):
        pid = os.fork()
        if not pid:
            status = 1
            try:
                status = work(seed + i, until, known, codes)
            except OSError as error:
                print(f"# {error}", file=sys.stderr, flush=True)
            finally:
                os._exit(status)
        children.append(pid)
    time.sleep(SECONDS / 2)
    tap.works("a new keyset meanwhile", "rekey", "--keyfile", mounted.KEY,
              mounted.ARCHIVE)
    bad = [os.waitpid(pid, 0)[1] for pid in children]
    tap.same("no process got an error", bad, [0] * WORKERS)


def crowded(seed):
    with Crowded("no_sandbox") as mount:
        for name in CROWD:
            with open(os.path.join(mounted.MNT, name), "w",
                      encoding="ascii") as f:
                f.write(name)
        load(seed, CROWD)
        held = len(os.listdir(f"/proc/{mount.daemon.pid}/fd"))
        tap.ok("fewer descriptors than files", held < DESCRIPTORS, held)


def forgetful(seed):
    tap.works("parameters", "ingest", "params", "--keyfile", mounted.KEY,
              mounted.ARCHIVE, "params")
    os.mkdir("edge")
    with Forgetful():
        os.mkdir(f"{mounted.MNT}/one")
        os.mkdir(f"{mounted.MNT}/two")
        # What was forgotten, and links and attributes.
        load(seed, NAMES, errno.EACCES, errno.EPERM, errno.EOPNOTSUPP)


def units():
    """All at once."""
    started = [subprocess.Popen([os.path.join(f"{tap.BUILD}-tsan/tests", name)],
                                stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, text=True)
               for name in UNITS]
    for name, process in zip(UNITS, started):
        said = process.communicate(timeout=600)[0]
        tap.ok(name, not process.returncode, process.returncode, said[-6000:])


def daemons():
    tap.scratch()
    mounted.make()
    seed = random.randrange(1 << 30)
    print(f"# seed {seed}")
    with Watched("no_sandbox"):
        os.mkdir(f"{mounted.MNT}/one")
        os.mkdir(f"{mounted.MNT}/two")
        load(seed, NAMES)
    if shutil.which("setpriv") and shutil.which("prlimit"):
        crowded(seed)
    else:
        tap.skip("more files than descriptors", "needs setpriv and prlimit")
    forgetful(seed)
    with open("daemon.log", encoding="utf-8", errors="replace") as log:
        said = log.read()
    tap.ok("nothing is said of it", not said, said[:6000])
    tap.works("fsck", "fsck", "--dry-run", "--keyfile", mounted.KEY,
              mounted.ARCHIVE)


def main():
    os.environ["TSAN_OPTIONS"] = "exitcode=66:second_deadlock_stack=1"
    if not build():
        tap.done()
    reason = mounted.obstacle()
    if reason:
        tap.skip("the daemon under a parallel load", reason)
    else:
        daemons()
    units()
    tap.done()


main()
