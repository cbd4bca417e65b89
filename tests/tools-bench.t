#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""chaosimg bench: what it reports is whole and adds up; it leaves no file."""

import json
import os
import re
import signal
import subprocess
import sys
import time

sys.path.insert(0, "tests/lib")
from tap import (BUILD, CHAOSIMG, done, fails, ok, run, same, scratch,  # noqa: E402
                 skip, works, write)

QUICK = ("bench", "--seconds", "1")
PAIRS = {"encrypt": "decrypt", "seal": "open", "write": "read"}


def usage():
    for args, cause in [(("--seconds", "0"), "0"),
                        (("--seconds", "-1"), "-1"),
                        (("--seconds", "3601"), "3601"),
                        (("--seconds", "1.5"), "1.5"),
                        (("--seconds", ""), "seconds"),
                        (("--seconds", "18446744073709551617"), "seconds"),
                        (("--seconds", "1", "--seconds", "2"), "twice"),
                        (("--seconds",), "--seconds"),
                        (("--impl", "generic"), "--impl"),
                        (("a", "b"), "b")]:
        fails("wrong usage: " + " ".join(args), 2, cause, "bench", *args)
    fails("no such directory", 1, "none: No such file", *QUICK, "none")
    write("file", b"")
    fails("a file", 1, "file: Not a directory", *QUICK, "file")
    if os.path.exists("/dev/full"):
        with open("/dev/full", "wb") as full:
            fails("an output that is full", 1, "standard output", *QUICK,
                  stdout=full)


def figures(value, path=()):
    """Every measurement in a report, with its path."""
    if isinstance(value, list):
        for i, v in enumerate(value):
            yield from figures(v, (*path, i))
    elif isinstance(value, dict) and "median" in value:
        yield path, value
    elif isinstance(value, dict):
        for name, v in value.items():
            yield from figures(v, (*path, name))


def report(name, *args, **how):
    text = works(name, "bench", "--seconds", "1", "--json", *args, **how)
    d = json.loads(text)
    found = dict(figures(d))
    wrong = [(path, f) for path, f in found.items()
             if not (0 < f["low"] <= f["median"] <= f["high"] and
                     3 <= f["rounds"] <= 7)]
    same("  each median lies between the lowest and the highest", wrong, [])
    wrong = [path for path in found if path[-1] in PAIRS and
             (*path[:-1], PAIRS[path[-1]]) not in found]
    same("  each way has its way back", wrong, [])
    return d, found


def implementations():
    return run("cipher", "--list").stdout.decode().split()


def without_directory():
    before = os.listdir(".")
    d, found = report("JSON")
    same("  all implementations, the one in use first",
         [c["implementation"] for c in d["cipher"]], implementations())
    same("  which is the first", [c["used"] for c in d["cipher"]],
         [True] + [False] * (len(d["cipher"]) - 1))
    same("  a pair for each, GCM, one core and all, and unlocking",
         len(found), 2 * (len(d["cipher"]) + 3) + 1)
    same("  the cores", d["cores"], len(os.sched_getaffinity(0)))
    same("  the version", d["version"],
         run("--version").stdout.decode().split()[1])
    ok("  nothing of a disk", not {"disk", "cost"} & set(d), d)
    same("  nothing is left behind", os.listdir("."), before)
    core = min(os.sched_getaffinity(0))
    d, _ = report("on one core",
                  preexec_fn=lambda: os.sched_setaffinity(0, {core}))
    same("  one is all", d["cores"], 1)


def adds_up(d):
    for way, crypt in [("write", "seal"), ("read", "open")]:
        cost = d["cost"][way]
        disk = d["disk"][way]["median"]
        cpu = d["records"]["one_core"][crypt]["median"]
        ok(f"  what the CPU takes of the time to {way}",
           abs(cost["cpu_to_disk"] - disk / cpu) < 1e-5 + 1e-5 * disk / cpu,
           cost, disk, cpu)
        same("  and so which is slower", cost["slower"],
             "cpu" if disk > cpu else "disk")


def with_directory():
    os.mkdir("disk")
    d, _ = report("JSON with a directory", "disk")
    adds_up(d)
    same("  the directory", d["disk"]["directory"], "disk")
    ok("  some MiB of it", d["disk"]["bytes"] >= 1 << 20, d["disk"])
    same("  nothing is left in it", os.listdir("disk"), [])
    same("  chunks as usual", d["chunk_size"], 8192)
    if os.path.isdir("/dev/shm"):
        d, _ = report("in memory", "/dev/shm")
        same("  that is seen", d["disk"]["cold"], False)
    works("a key file", "keyfile", "k")
    works("an archive", "init", "--keyfile", "k", "--chunk-size", "1048576",
          "archive")
    before = sorted(os.listdir("archive"))
    d, _ = report("an archive", "archive")
    same("  its chunks", d["chunk_size"], 1048576)
    same("  it is as it was", sorted(os.listdir("archive")), before)


def table(name, *args):
    text = works(name, *QUICK, *args).decode()
    same("  no blanks at the ends of lines",
         [line for line in text.split("\n") if line != line.rstrip()], [])
    cells = re.findall(r"(\d+) (?:MB/s|ms) \((\d+) to (\d+)\)", text)
    wrong = [c for c in cells if not int(c[1]) <= int(c[0]) <= int(c[2])]
    same("  each median lies between the lowest and the highest", wrong, [])
    names = re.findall(r"^  (\S+).* MB/s ", text, re.M)
    same("  implementations come first", names[:len(implementations())],
         implementations())
    return text, len(cells)


def for_people():
    pairs = len(implementations()) + 3
    text, cells = table("a table")
    same("  all figures", cells, 2 * pairs + 1)
    same("  one is in use", text.count("(in use)"), 1)
    ok("  what an image takes", re.search(r"takes a core [\d.]+ ms to seal and "
                                          r"[\d.]+ ms to open", text), text)
    os.mkdir("odd\nname")
    text, cells = table("a table with a disk", "odd\nname")
    same("  all figures", cells, 2 * pairs + 3)
    ok("  the directory, on one line", r"odd\012name." in text, text)
    ok("  which is slower, for both",
       re.search(r"\nWhat takes the time here: writing, the (disk|CPU) "
                 r"\(sealing takes a core .*\);\nreading, the (disk|CPU) "
                 r"\(opening takes a core .*\)\.\n", text), text)


def default_signals():
    for s in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(s, signal.SIG_DFL)


def written(pid):
    with open(f"/proc/{pid}/io", encoding="ascii") as f:
        return int(re.search(r"^wchar: (\d+)", f.read(), re.M)[1])


def wait_for_writes(process):
    """Until it has written to its file; where that is not told, a while."""
    for _ in range(200):
        time.sleep(0.05)
        try:
            if process.poll() is not None or written(process.pid) > 4 << 20:
                return
        except PermissionError:
            time.sleep(2)
            return


def interrupted(name, folder):
    for s in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        # It is killed while it measures the disk, long before its time.
        with subprocess.Popen([CHAOSIMG, "bench", "--seconds", "600", folder],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              preexec_fn=default_signals) as process:
            wait_for_writes(process)
            during = os.listdir(folder)
            process.send_signal(s)
            said = process.communicate(timeout=60)
        same(f"{name}: {s.name} ends it", process.returncode, -s)
        same("  silently", said, (b"", b""))
        same("  there was no file", during, [])
        same("  and there is none", os.listdir(folder), [])


def full():
    os.mkdir("small")
    if os.getuid() or subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=4m", "none", "small"],
            capture_output=True, check=False).returncode:
        skip("a full disk", "cannot mount a tmpfs")
        return
    fails("a disk that is almost full", 1, "small: too little space", *QUICK,
          "small")
    subprocess.run(["umount", "small"], check=False)


def mounted():
    """FUSE has no unnamed files here: it is made with a name and loses it."""
    if os.getuid() or not os.path.exists("/dev/fuse"):
        skip("in a mount", "needs root and /dev/fuse")
        return
    os.mkdir("mnt")
    works("an archive", "init", "--keyfile", "k", "mounted")
    with subprocess.Popen([os.path.join(BUILD, "chaosimgfs"), "-f", "-o",
                           "keyfile=k", "mounted", "mnt"]) as daemon:
        for _ in range(600):
            if os.path.ismount("mnt") or daemon.poll() is not None:
                break
            time.sleep(0.05)
        try:
            if ok("a mount", os.path.ismount("mnt")):
                d, _ = report("in a mount", "mnt")
                adds_up(d)
                same("  nothing is left in it", os.listdir("mnt"), [])
                interrupted("in a mount", "mnt")
        finally:
            subprocess.run(["umount", "mnt"], check=False)
    same("the mount ended well", daemon.returncode, 0)


def main():
    scratch()
    usage()
    without_directory()
    with_directory()
    for_people()
    os.mkdir("empty")
    interrupted("on a disk", "empty")
    full()
    mounted()
    done()


main()
