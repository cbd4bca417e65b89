#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""chaosimg scrub finds every flipped bit, and nothing where nothing is wrong."""

import base64
import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time

sys.dont_write_bytecode = True
sys.path.insert(0, "tests/lib")
from harm import LONG, fill_oddities, flip, harmed, write_for  # noqa: E402
from tap import CHAOSIMG, done, fails, ok, run, same, scratch  # noqa: E402
from mounted import ARCHIVE, MNT, Mount, make, obstacle, stored  # noqa: E402

# A shell's background jobs ignore it, and what they start does too.
signal.signal(signal.SIGINT, signal.default_int_handler)

CHUNK = 4096
RECORD = CHUNK + 56
HEADER = 4096
FLIPS = int(os.environ.get("FLIPS", 150))
SEED = int(os.environ.get("SEED", random.randrange(1 << 32)))
RANDOM = random.Random(SEED)


def scrub(*options):
    """Exit status and report."""
    result = run("scrub", "--json", *options, ARCHIVE)
    if result.stderr:
        ok("scrub is silent", False, result.stderr)
    return result.returncode, json.loads(result.stdout)


def clean(name):
    status, report = scrub()
    return ok(name, status == 0 and report["problems"] == 0 and
              report["complete"] and not report["findings"], status, report)


def found(name, path, what, **fields):
    """Scrub must find this one thing."""
    status, report = scrub()
    rows = report["findings"]
    good = status == 1 and len(rows) == 1 == report["problems"] and \
        rows[0]["path"] == path and what in rows[0]["what"] and \
        all(rows[0].get(k) == v for k, v in fields.items())
    return ok(name, good, status, rows, f"want {path}: {what}, {fields}")


def fill():
    os.makedirs(f"{MNT}/DOE^JANE/1.2.3")
    sizes = [0, 1, 15, 4095, 4096, 4097, 20000, 70001] + 20 * [1 << 20]
    for i, size in enumerate(sizes):
        with open(f"{MNT}/DOE^JANE/1.2.3/{i}", "wb") as f:
            f.write(RANDOM.randbytes(size))
    with open(f"{MNT}/whole", "wb") as f:
        f.write(RANDOM.randbytes(20 * CHUNK))
    fill_oddities(CHUNK, 1 << 40)


def flips():
    """One bit after the other, anywhere in any file."""
    files = []
    for top, _, names in os.walk(ARCHIVE):
        files += [os.path.relpath(os.path.join(top, n), ARCHIVE)
                  for n in names if n != "lock"]
    files = sorted(f for f in files
                   if os.path.isfile(os.path.join(ARCHIVE, f)) and
                   not os.path.islink(os.path.join(ARCHIVE, f)) and
                   os.path.getsize(os.path.join(ARCHIVE, f)) < 1 << 30)
    ok("there are files of all kinds", len(files) > 25 and
       "chaosimg.json" in files, files)
    missed = []
    for _ in range(FLIPS):
        path = RANDOM.choice(files)
        with harmed(path) as real:
            # Half of them in what comes first: headers, configuration.
            size = os.path.getsize(real)
            at = RANDOM.randrange(min(size, RANDOM.choice([HEADER, size])))
            bit = RANDOM.randrange(8)
            flip(real, at, bit)
            status, report = scrub()
            rows = report["findings"]
            want = {"path": path, "offset": 0}
            if path.startswith("data/"):
                k = (at - HEADER) // RECORD
                want["offset"] = HEADER + k * RECORD if at >= HEADER else \
                    at // 2048 * 2048
                if at >= HEADER:
                    want.update(record=k, records=1)
            if status != 1 or len(rows) != 1 or \
                    not want.items() <= rows[0].items():
                missed.append((path, at, bit, status, rows))
    same(f"{FLIPS} flipped bits are found where they are", missed, [])
    clean("and nothing when they are flipped back")


def long_ago(whole):
    """What was harmed long ago need not be looked at twice."""
    wrong = whole[:-1] + "w"
    with harmed(whole) as path:
        flip(path, HEADER + 2 * RECORD + 9, 0)
        os.rename(path, os.path.join(ARCHIVE, wrong))
        time.sleep(12)
        status, report = scrub()
        same("both are found", (status, [f["what"] for f in
                                         report["findings"]]),
             (1, ["not a name of this archive", "record 2 at 12400: damaged"]))
        os.rename(os.path.join(ARCHIVE, wrong), path)


def harm_files(whole, sparse, holes):
    size = os.path.getsize(os.path.join(ARCHIVE, whole))
    with harmed(whole) as path:
        os.truncate(path, size - RECORD)
        found("cut by a record", whole, "cut off", offset=0)
    with harmed(whole) as path:
        os.truncate(path, size - 1)
        found("cut by a byte", whole, "cut off", record=19)
    with harmed(whole) as path:
        os.truncate(path, 100)
        found("cut in the header", whole, "too short")
    with harmed(whole) as path:
        os.truncate(path, size + 5)
        found("extended", whole, "extended")
    with harmed(whole) as path:
        flip(path, 2000, 1)
        flip(path, 4000, 1)
        flip(path, 4096 + 3 * RECORD, 0)
        found("both slots and a record", whole, "header slot 0 damaged; "
              "header slot 1 damaged; record 3 at", record=3, records=1)
    with harmed(whole) as path:
        for k in (2, 5, 7):
            flip(path, HEADER + k * RECORD + 99, 3)
        found("several records", whole, "record 2 at 12400: damaged, and 2 more",
              record=2, records=3, offset=12400)
    with harmed(whole) as path:
        with open(path, "r+b") as f:
            f.seek(HEADER + 4 * RECORD)
            f.write(bytes(16))
        found("a record whose begin is lost", whole, "record 4", record=4)
    with harmed(holes) as path:
        flip(path, HEADER + 30 * RECORD + 500, 0)
        found("a bit in a hole", holes, "bytes where there should be none",
              record=30)
    with harmed(sparse) as path:
        with open(path, "rb") as f:
            kinds = f.read()[HEADER + 1::RECORD]
        k = kinds.index(1)
        flip(path, HEADER + k * RECORD + 3000, 0)
        found("a bit behind a short record", sparse,
              "bytes where there should be none", record=k)


def replaced(name, path, make_it, what, where=None):
    """An entry is exchanged for another one."""
    real = os.path.join(ARCHIVE, path)
    os.rename(real, "aside")
    make_it(real)
    found(name, where or path, what)
    if os.path.lexists(real):
        os.unlink(real)
    os.rename("aside", real)


def harm_rest(whole, link, long, folder):
    config = "chaosimg.json"
    keyset = os.path.join("keysets", os.listdir(f"{ARCHIVE}/keysets")[0])
    with harmed(keyset) as path:
        os.truncate(path, 50)
        found("a cut keyset", keyset, "damaged")
    replaced("a missing keyset", keyset, lambda p: None, "missing")
    replaced("no configuration", config, lambda p: None, "there is no")
    replaced("a broken link", link, lambda p: os.symlink("a+b", p),
             "symbolic link is damaged")
    replaced("a short link", link, lambda p: os.symlink("aaaa", p),
             "symbolic link is damaged")
    replaced("no id", f"{folder}/chaosimg.dir", lambda p: None, "missing",
             folder)
    replaced("half an id", f"{folder}/chaosimg.dir",
             lambda p: os.symlink("aaaa", p), "damaged", folder)
    replaced("no companion", long + ".name", lambda p: None, "missing", long)
    other = base64.b32hexencode(os.urandom(176)).decode().lower().rstrip("=")
    replaced("another companion", long + ".name",
             lambda p: os.symlink(other, p), "another name's", long)
    real = os.path.join(ARCHIVE, whole)
    wrong = whole[:-1] + "w"
    os.rename(real, os.path.join(ARCHIVE, wrong))
    found("a name with a wrong letter", wrong, "not a name")
    os.rename(os.path.join(ARCHIVE, wrong), real)
    name = next(n for n in os.listxattr(real) if n.startswith("user.chaos"))
    value = os.getxattr(real, name)
    os.setxattr(real, name, b"short")
    found("a cut attribute", whole, "attribute's value")
    os.setxattr(real, name, value)
    os.setxattr(real, "user.chaosimg.x", value)
    found("an attribute with a wrong name", whole, "attribute's name")
    os.removexattr(real, "user.chaosimg.x")
    with open(f"{ARCHIVE}/data/README\n", "w", encoding="ascii") as f:
        f.write("not ours")
    found("a file of somebody else", "data/README%0A", "not a name")
    text = run("scrub", ARCHIVE).stdout.decode()
    ok("one line for it", "data/README\\012: not a name of this archive\n" in
       text and text.count("\n") == 2, text)
    os.unlink(f"{ARCHIVE}/data/README\n")
    clean("all is as before")


def leftovers(whole):
    os.mkdir(f"{ARCHIVE}/data/chaosimg.tmp.dir")
    shutil.copy(os.path.join(ARCHIVE, whole), f"{ARCHIVE}/data/chaosimg.tmp.x")
    with open(f"{ARCHIVE}/data/chaosimg.tmp.dir/x", "wb"):
        pass
    status, report = scrub()
    same("temporary entries are no damage", (status, report["temporary"]),
         (0, 2))
    os.unlink(f"{ARCHIVE}/data/chaosimg.tmp.x")
    shutil.rmtree(f"{ARCHIVE}/data/chaosimg.tmp.dir")


def interrupted():
    """Runs that are interrupted find together what one run finds."""
    status, whole = scrub()
    same("a whole run", status, 0)
    early = sorted(n for n in os.listdir(f"{ARCHIVE}/data") if "." not in n and
                   os.path.isfile(f"{ARCHIVE}/data/{n}") and
                   os.path.getsize(f"{ARCHIVE}/data/{n}") < 1 << 30)[0]
    runs = 0
    with harmed(f"data/{early}") as path:
        flip(path, 1000, 0)
        for runs in range(1, 40):
            with subprocess.Popen(
                    [CHAOSIMG, "scrub", "--json", "--state", "state", "--rate",
                     "6", "--threads", "2", ARCHIVE], stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE) as process:
                timer = threading.Timer(0.4, process.send_signal, [
                    RANDOM.choice([signal.SIGINT, signal.SIGTERM])])
                timer.start()
                out, said = process.communicate()
                timer.cancel()
            report = json.loads(out)
            if process.returncode != -signal.SIGINT and \
                    process.returncode != -signal.SIGTERM:
                break
            if report["complete"] or b"goes on where" not in said:
                ok("it says that it goes on", False, report, said)
            if not os.path.exists("state"):
                ok("there is a state", False)
    ok("it took several runs", 2 < runs < 39, runs)
    same("the last one knows what the first one found", process.returncode, 1)
    same("just that", [f["path"] for f in report["findings"]],
         [f"data/{early}"])
    fields = ("directories", "files", "links", "others", "records", "bytes")
    same("everything was looked at, once", [report[n] for n in fields],
         [whole[n] for n in fields])
    ok("the state is gone at the end", not os.path.exists("state"))
    with open("state", "w", encoding="ascii") as f:
        f.write("{}")
    fails("a state that is none", 1, "state: not the state of a scrub",
          "scrub", "--state", "state", ARCHIVE)
    os.unlink("state")


def rate():
    begin = time.monotonic()
    status, report = scrub("--rate", "10")
    took = time.monotonic() - begin
    least = sum(os.path.getsize(os.path.join(top, n))
                for top, _, names in os.walk(f"{ARCHIVE}/data")
                for n in names if os.path.isfile(os.path.join(top, n)) and
                os.path.getsize(os.path.join(top, n)) < 1 << 30)
    same("slowly", status, 0)
    # The last reads of each thread are not waited for.
    ok("it keeps to the rate", took > (least - (6 << 20)) / (10 << 20),
       took, least)
    return report


def while_written():
    stop = threading.Event()
    wrong, runs, writes = [], 0, []
    with Mount():
        writer = threading.Thread(
            target=lambda: writes.append(write_for(
                8, random.Random(SEED + 1), CHUNK, stop=stop)))
        writer.start()
        while writer.is_alive():
            result = run("scrub", "--json", ARCHIVE)
            runs += 1
            if result.returncode:
                wrong.append(result.stdout)
        writer.join()
    stop.set()
    ok(f"{runs} scrubs beside {writes} rounds of writing", runs > 5 and
       writes and writes[0] > 20, runs, writes)
    same("report nothing", wrong, [])
    clean("nor afterwards")


def after_a_crash():
    """A file that a crash left open is not damaged; but its damage is found."""
    with Mount("no_writeback") as mount:
        f = os.open(f"{MNT}/open", os.O_RDWR | os.O_CREAT)
        os.write(f, RANDOM.randbytes(30 * CHUNK))
        os.fsync(f)
        os.pwrite(f, RANDOM.randbytes(5 * CHUNK), 3 * CHUNK)
        os.pwrite(f, RANDOM.randbytes(5 * CHUNK), 30 * CHUNK)
        path = stored("open")
        mount.kill()
        with contextlib.suppress(OSError):
            os.close(f)
    status, report = scrub()
    same("a file left open", (status, report["open"]), (0, 1))
    with harmed(path) as real:
        flip(real, HEADER + 20 * RECORD + 7, 2)
        found("is looked at, too", path, "record 20", record=20)
    with Mount():
        with open(f"{MNT}/open", "rb") as g:
            g.read(1)
    status, report = scrub()
    same("and sealed when it was opened again", (status, report["open"]),
         (0, 0))


def wrong_use():
    fails("no archive", 2, "one ARCHIVE is needed", "scrub")
    fails("two archives", 2, "one ARCHIVE is needed", "scrub", "a", "b")
    fails("not there", 1, "nowhere: No such file", "scrub", "nowhere")
    os.mkdir("empty")
    fails("not an archive", 1, "empty: not a chaosimg archive", "scrub",
          "empty")
    for option, wrong in (("--rate", "0"), ("--rate", "-1"), ("--rate", "x"),
                          ("--rate", "1e99"), ("--rate", "nan"),
                          ("--threads", "0"), ("--threads", "65"),
                          ("--threads", "2x")):
        fails(f"{option} {wrong}", 2, "not a number of", "scrub", option,
              wrong, ARCHIVE)


def main():
    reason = obstacle()
    if reason:
        print(f"1..0 # SKIP {reason}")
        return
    print(f"# SEED={SEED}", flush=True)
    scratch()
    make("--chunk-size", str(CHUNK))
    with Mount():
        fill()
        names = [stored(n) for n in ("whole", "sparse", "holes", "link", LONG,
                                     "DOE^JANE")]
    whole, sparse, holes, link, long, folder = names
    clean("a clean archive")
    flips()
    long_ago(whole)
    harm_files(whole, sparse, holes)
    harm_rest(whole, link, long, folder)
    leftovers(whole)
    interrupted()
    rate()
    while_written()
    after_a_crash()
    wrong_use()
    done()


main()
