#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The benchmark itself: it measures every line, notices wrong bytes and dead
daemons, and leaves nothing behind. How long anything takes is not tested.
"""

import json
import os
import re
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as xml

sys.dont_write_bytecode = True
sys.path.insert(0, "tests/lib")
from tap import BUILD, TOP, done, ok, same, scratch, skip  # noqa: E402

FILES_BENCH = os.path.join(BUILD, "tests", "files_bench")
SEAL_BENCH = os.path.join(BUILD, "tests", "seal_bench")
CIPHER = [{"impl": impl, "direction": direction, "bytes": size,
           "mb_per_s": {"median": rate, "min": rate - 1, "max": rate + 1}}
          for impl, rate in (("slow", 80), ("fast", 5000))
          for direction in ("encrypt", "decrypt") for size in (512, 65536)]


def obstacle():
    if os.geteuid() != 0:
        return "needs root"
    if not os.path.exists("/dev/fuse"):
        return "needs /dev/fuse"
    if not os.access("/proc/sys/vm/drop_caches", os.W_OK):
        return "cannot drop caches"
    if not os.path.exists(os.path.join(BUILD, "chaosimgfs")):
        return "%s holds no chaosimgfs" % BUILD
    for tool in ("fio", "tar"):
        if not any(os.path.exists(os.path.join(p, tool))
                   for p in os.environ["PATH"].split(":")):
            return "needs " + tool
    return None


def script(path, *lines):
    with open(path, "w", encoding="utf-8") as f:
        f.write("#!/bin/sh\n" + "\n".join(lines) + "\n")
    os.chmod(path, 0o755)


def fake_build(name, *daemon):
    """A build whose chaosimgfs and cipher_bench are scripts."""
    build = os.path.abspath(name)
    os.makedirs(os.path.join(build, "tests"))
    for path in ("chaosimg", "tests/files_bench"):
        os.symlink(os.path.join(BUILD, path), os.path.join(build, path))
    script(os.path.join(build, "chaosimgfs"),
           '[ "$1" = --version ] && exec "%s/chaosimgfs" "$1"' % BUILD, *daemon)
    script(os.path.join(build, "tests", "cipher_bench"),
           "cat <<'END'", json.dumps(CIPHER), "END")
    return build


def start(build, *args, size="--tiny", folder="tmpfs"):
    os.makedirs("a folder", exist_ok=True)
    env = dict(os.environ, BUILD=build, TMPDIR=os.path.abspath("a folder"))
    return subprocess.Popen(
        [os.path.join(TOP, "tests/bench/run"), size, "--folder", folder,
         "--peers", "plain", "--output", os.getcwd(), *args], env=env,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def mounts():
    with open("/proc/self/mountinfo", encoding="utf-8") as f:
        return [line for line in f if "/a\\040folder" in line]


def nothing_left(name):
    ok(name + ": nothing is left", not mounts() and not os.listdir("a folder"),
       mounts(), os.listdir("a folder"))


def fails(name, cause, build, *args, **how):
    process = start(build, *args, **how)
    _, said = process.communicate(timeout=120)
    last = (said.strip().splitlines() or [""])[-1]
    ok(name, process.returncode == 1 and last.startswith("bench: chaosimgfs ")
       and cause in last and "Traceback" not in said,
       "status %d" % process.returncode, said)
    nothing_left(name)


def whole_run():
    build = fake_build("build", 'exec "%s/chaosimgfs" "$@"' % BUILD)
    process = start(build, "--output", "reports/new")
    printed, said = process.communicate(timeout=300)
    if not ok("a run", process.returncode == 0, said, printed):
        return
    nothing_left("a run")
    lines = subprocess.run(
        [os.path.join(TOP, "tests/bench/run"), "--list"], check=True,
        capture_output=True, text=True).stdout.splitlines()
    lines.remove("cipher")
    with open("reports/new/bench.json", encoding="utf-8") as f:
        result = json.load(f)
    (place,) = result["file_systems"]
    same("lines in the JSON file", [p["line"] for p in place["lines"]], lines)
    same("the cipher's figures in it", result["cipher"], CIPHER)
    ok("two values of each contender", all(
        set(p["values"]) == {"plain", "chaosimgfs"} and
        all(len(v) == 2 and min(v) > 0 for v in p["values"].values())
        for p in place["lines"]))
    ok("ratios are those of a round", all(
        p["ratio"]["plain"]["max"] == max(
            ours / peer for ours, peer in zip(p["values"]["chaosimgfs"],
                                              p["values"]["plain"]))
        for p in place["lines"]))
    ok("lines in the table", all(line in printed for line in lines), printed)
    texts = [t.text for t in xml.parse("reports/new/bench.svg").iter(
        "{http://www.w3.org/2000/svg}text")]
    ok("lines in the chart", set(lines) <= set(texts), texts)
    ok("the cipher in the chart", {"fast, decrypt", "5000"} <= set(texts),
       texts)


def no_output():
    """That is said before anything is measured."""
    with open("a file", "w", encoding="ascii"):
        pass
    process = start(BUILD, "--output", "a file")
    printed, said = process.communicate(timeout=120)
    ok("no folder for the output", process.returncode == 1 and not printed and
       re.fullmatch("bench: .*File exists: 'a file'\n", said), said, printed)


def dead_daemons():
    fails("a daemon that never mounts", "does not mount: no, thanks",
          fake_build("never", "echo no, thanks; exit 1"))
    # Killed in the midst of a write; its mount stays, and not on a tmpfs whose
    # own end would take it along.
    fails("a daemon that is killed", "daemon died (-9)",
          fake_build("killed", 'for mnt; do :; done',
                     '(until [ -e "$mnt/large" ]; do sleep 0.01; done',
                     "kill -9 $$) >/dev/null 2>&1 &",
                     'exec "%s/chaosimgfs" "$@"' % BUILD),
          "--only", "one large", size="--quick", folder="a folder")


def interrupted():
    process = start(fake_build(
        "whole", 'exec "%s/chaosimgfs" "$@"' % BUILD), "--rounds", "50")
    end = time.monotonic() + 30
    while len(mounts()) < 2 and time.monotonic() < end:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    same("interrupted", (process.returncode, said.strip().splitlines()[-1:]),
         (130, ["bench: ended by SIGINT"]))
    nothing_left("interrupted")


def change(path, at, data):
    with open(path, "r+b") as f:
        f.seek(at)
        f.write(data)


def wrong_bytes():
    """files_bench must see what a file system did wrong."""
    def read(*args):
        return subprocess.run(
            [FILES_BENCH, "-l", "30000", "-m", "60000", "-n", "3", *args],
            capture_output=True, text=True, check=False)

    def refused(name, cause, *args):
        r = read(*args, "read", "files")
        ok(name, r.returncode == 1 and cause in r.stderr, r.returncode,
           r.stderr)

    image = "files/study-000/series-00/image-000001.dcm"
    ok("files are written", read("write", "files").returncode == 0)
    ok("and read", read("-a", "read", "files").returncode == 0)
    with open(image, "rb") as f:
        data = f.read()
    other = image.replace("1.dcm", "2.dcm")
    with open(other, "rb") as f:
        page = f.read()[4096:8192]
    change(image, 5000, bytes([data[5000] ^ 1]))
    refused("a wrong byte", "wrong bytes", "-a")
    change(image, 4096, page)
    refused("another file's page", "wrong bytes")
    change(image, 0, data)
    os.truncate(image, len(data) - 1)
    refused("a file that is cut", "bytes of")
    change(image, 0, data + b"x")
    refused("a file that is too long", "wrong bytes")
    change(image, 0, data)
    os.truncate(image, len(data))
    ok("files as before", read("-a", "read", "files").returncode == 0)


def dividing():
    """seal_bench beside itself in a plain folder, where nothing is divided."""
    def seal_bench(*args):
        return subprocess.run([SEAL_BENCH, *args], capture_output=True,
                              text=True, check=False)

    image = "files/study-000/series-00/image-000001.dcm"
    with open("text", "w", encoding="ascii") as f:
        f.write("no image " * 50)
    os.mkdir("sealed")
    r = seal_bench("sealed", "3", image, image)
    found = re.findall(r"image-000001.dcm +(\d+) bytes .* ratio ([\d.]+)",
                       r.stdout)
    same("seal_bench: a line for each file", (r.returncode, len(found)), (0, 2))
    ok("with its length, and a ratio", all(
        int(length) == os.path.getsize(image) and float(ratio) > 0
        for length, ratio in found), r.stdout)
    for name, cause, args in (
            ("a file that is no DICOM", "text: no DICOM", ("sealed", "3",
                                                           "text")),
            ("no such folder", "none/seal_bench.tmp: No such", ("none", "3",
                                                                image))):
        r = seal_bench(*args)
        ok(name, r.returncode == 1 and cause in r.stderr, r.stderr)
    same("seal_bench leaves nothing", os.listdir("sealed"), [])


scratch()
if not os.path.exists(FILES_BENCH):
    skip("the benchmark", "%s is not built: make benchprogs" % FILES_BENCH)
    done()
wrong_bytes()
dividing()
why = obstacle()
if why:
    skip("runs", why)
else:
    whole_run()
    no_output()
    dead_daemons()
    interrupted()
done()
