#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A daemon takes the place of another one, for an upgrade.

How long the mount is away is measured by asking for a file all the time. The
old daemon syncs the file system at its end, so whoever else writes to it at that
moment makes it longer: what is checked is the median.
ROUNDS=N: so many upgrades (5). FILES=N: so many files in the mount (500).
"""

import atexit
import hashlib
import os
import subprocess
import sys
import threading
import time

os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
sys.path.insert(0, "tests/lib")

import mounted  # noqa: E402
from mounted import ARCHIVE, KEY, MNT  # noqa: E402
from tap import (BUILD, CHAOSIMG, done, ok, read, same,  # noqa: E402
                 scratch, write)

ROUNDS = int(os.environ.get("ROUNDS", "5"))
FILES = int(os.environ.get("FILES", "500"))
PAUSE_MAX = 1.0


def path(name):
    return os.path.join(MNT, name)


def daemon(*options):
    """As everyone calls it. Return its exit status and what it said."""
    got = subprocess.run(
        [os.path.join(BUILD, "chaosimgfs"), "-o", ",".join(options), ARCHIVE,
         os.path.abspath(MNT)], check=False, stdin=subprocess.DEVNULL, capture_output=True,
        timeout=100)
    return got.returncode, got.stderr.decode()


def daemons():
    """Process ids of those that serve this folder's mount."""
    out = subprocess.run(["pgrep", "-x", "chaosimgfs"], check=False,
                         capture_output=True, text=True).stdout.split()
    return {pid for pid in out if served(pid)}


def served(pid):
    try:
        words = read(f"/proc/{pid}/cmdline").split(b"\0")
        return words[-2:-1] == [os.path.abspath(MNT).encode()] and \
            os.readlink(f"/proc/{pid}/cwd") == "/"
    except OSError:
        return False


class Watch(threading.Thread):
    """The longest time for which a file was not to be seen."""

    def __init__(self):
        super().__init__()
        self.longest, self.over, self.wrong = 0.0, False, set()
        self.start()

    def run(self):
        last = time.monotonic()
        while not self.over:
            try:
                with open(path("seen"), "rb") as f:
                    if f.read() != b"seen":
                        self.wrong.add("content")
                now = time.monotonic()
                self.longest = max(self.longest, now - last)
                last = now
            except OSError as error:
                self.wrong.add(error.strerror)
            time.sleep(0.002)

    def end(self):
        self.over = True
        self.join()
        return self.longest


def fill():
    write(path("seen"), b"seen")
    for i in range(FILES):
        write(path(f"f{i}"), b"%d" % i * 1000)


def digest():
    out = hashlib.sha256()
    for name in sorted(os.listdir(MNT)):
        out.update(name.encode() + read(path(name)))
    return out.hexdigest()


def retry(*options):
    """The watcher itself uses the mount for a moment."""
    for _ in range(200):
        status, said = daemon(*options)
        if status == 0 or "in use" not in said:
            break
    return status, said


def upgrades(name, *credential):
    pauses = []
    for i in range(ROUNDS):
        write(path("seen"), b"seen")
        before, want = daemons(), digest()
        watch = Watch()
        got = retry(*credential, "replace")
        time.sleep(0.05)
        pauses.append(watch.end())
        if not (got == (0, "") and digest() == want and
                len(daemons()) == 1 and daemons() != before and
                watch.wrong <= {"No such file or directory",
                                "Transport endpoint is not connected"}):
            ok(f"{name}: upgrade {i}", False, got, before, daemons(),
               watch.wrong)
    ok(f"{name}: {ROUNDS} upgrades with {FILES} files, away for at most "
       f"{max(pauses) * 1000:.0f} ms, median "
       f"{sorted(pauses)[ROUNDS // 2] * 1000:.0f} ms",
       sorted(pauses)[ROUNDS // 2] < PAUSE_MAX, pauses)


def is_refused(name, cause, *options):
    before = daemons()
    status, said = daemon(*options, "replace")
    ok(f"{name}: refused", status == 1 and cause in said and
       said.count("\n") == 1, status, said)
    same(f"{name}: the old daemon goes on", (daemons(), read(path("seen"))),
         (before, b"seen"))


obstacle = mounted.obstacle()
if obstacle:
    print(f"1..0 # SKIP {obstacle}")
    sys.exit()
scratch()
mounted.make()
atexit.register(subprocess.run, ["umount", "-lq", os.path.abspath(MNT)],
                check=False, stderr=subprocess.DEVNULL)
key = f"keyfile={KEY}"
status, said = daemon(key, "replace")
ok("nothing is mounted: nothing to replace", status == 1 and
   "nothing to replace" in said, status, said)
same("a daemon", daemon(key, "allow_other"), (0, ""))
fill()
upgrades("key file", key, "allow_other")

write("pass", b"correct horse battery staple\n")
subprocess.run([CHAOSIMG, "key", "add", "--keyfile", KEY, "--new-passfile",
                "pass", ARCHIVE], check=True, capture_output=True)
upgrades("passphrase", "passfile=pass", "allow_other")

# Whatever keeps the new one from serving is found before the old one goes.
subprocess.run([CHAOSIMG, "keyfile", "other"], check=True)
is_refused("another key", "wrong key", "keyfile=other")
is_refused("no such cipher", "no such cipher", key, "cipher=none")
with open(path("f0"), "rb"):
    is_refused("a file is open", "in use", key)
config = read(f"{ARCHIVE}/chaosimg.json")
write(f"{ARCHIVE}/chaosimg.json", config.replace(b'"version": 1',
                                                 b'"version": 9'))
is_refused("a newer format", "version", key)
write(f"{ARCHIVE}/chaosimg.json", config)
os.mkdir("elsewhere")
got = subprocess.run(
    [os.path.join(BUILD, "chaosimgfs"), "-o", key + ",replace", ARCHIVE,
     "elsewhere"], check=False, capture_output=True)
ok("not at another place", got.returncode == 1 and
   b"nothing to replace" in got.stderr, got.stderr)
mounted.umount(MNT)
done()
