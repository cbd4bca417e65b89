#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""
The daemon under ThreadSanitizer, while several processes work on the same
files, and a new keyset comes meanwhile; then with so few descriptors that it has
the kernel forget files all the time; then one that forgets its keys every second.
At last the library's own threads: the unit tests that have several.
TSAN_SECONDS: how long each, instead of 10.
"""

import errno
import os
import random
import shutil
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, "tests/lib")
import mounted  # noqa: E402
from load import NAMES, load  # noqa: E402
import tap  # noqa: E402

SECONDS = int(os.environ.get("TSAN_SECONDS", "10"))
WORKERS = 6
# More than there may be descriptors, each of which costs one.
CROWD = [f"{d}/crowd{n}" for d in ("one", "two") for n in range(400)]
DESCRIPTORS = 500
UNITS = ("test_abe", "test_file_threads", "test_ingest")


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


def crowded(seed):
    with Crowded("no_sandbox") as mount:
        for name in CROWD:
            with open(os.path.join(mounted.MNT, name), "w",
                      encoding="ascii") as f:
                f.write(name)
        load(seed, CROWD, WORKERS, SECONDS)
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
        load(seed, NAMES, WORKERS, SECONDS, errno.EACCES, errno.EPERM,
             errno.EOPNOTSUPP)


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
        load(seed, NAMES, WORKERS, SECONDS)
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
