#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""chaosimg fsck finds what is wrong, and repairs it only where nothing is lost."""

import contextlib
import hashlib
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
from mounted import (ARCHIVE, KEY, MNT, Mount, make, obstacle,  # noqa: E402
                     stored)

CHUNK = 4096
RECORD = CHUNK + 56
HEADER = 4096
FLIPS = int(os.environ.get("FLIPS", 50))
KILLS = int(os.environ.get("KILLS", 12))
SEED = int(os.environ.get("SEED", random.randrange(1 << 32)))
RANDOM = random.Random(SEED)
DATA = os.path.join(ARCHIVE, "data")


def fsck(*options):
    """Exit status and report."""
    result = run("fsck", "--json", "--keyfile", KEY, *options, ARCHIVE)
    if result.stderr:
        ok("fsck is silent", False, result.stderr)
    return result.returncode, json.loads(result.stdout)


def dry(*options):
    return fsck("--dry-run", *options)


def clean(name):
    result = [*dry(), *fsck()]
    scrub = run("scrub", ARCHIVE)
    return ok(name, result[0] == result[2] == scrub.returncode == 0 and
              not result[1]["findings"] and not result[3]["findings"],
              *result, scrub.stdout)


def digest():
    """All that is stored, with the times of files."""
    out = []
    for top, folders, files in os.walk(ARCHIVE):
        for name in sorted(folders + files):
            path = os.path.join(top, name)
            st = os.lstat(path)
            row = [path, st.st_mode, st.st_size, st.st_nlink]
            if os.path.islink(path):
                row.append(os.readlink(path))
            elif os.path.isfile(path):
                row.append(st.st_mtime_ns)
                with open(path, "rb") as f:
                    row.append(hashlib.file_digest(f, "md5").hexdigest()
                               if st.st_size < 1 << 30 else None)
            out.append(row)
    return sorted(out)


def plain():
    """All that a mount shows."""
    out = {}
    with Mount("ro"):
        for top, folders, files in os.walk(MNT):
            for name in folders + files:
                path = os.path.join(top, name)
                st = os.lstat(path)
                row = [st.st_mode, st.st_nlink]
                if os.path.islink(path):
                    row.append(os.readlink(path))
                elif os.path.isfile(path):
                    row += [st.st_mtime_ns, st.st_size]
                    with open(path, "rb") as f:
                        row.append(hashlib.md5(f.read(1 << 24)).hexdigest())
                out[os.path.relpath(path, MNT)] = row
    return out


def brief(report):
    return [(f["path"], f["what"], f.get("repaired"))
            for f in report["findings"]]


def beyond_repair(name, path, what, count=1):
    """It is found, and neither run changes anything."""
    before = digest()
    first, second = dry(), fsck()
    good = all(
        status == 1 and len(report["findings"]) == count and
        any(f["path"] == path and what in f["what"] and "repaired" not in f
            for f in report["findings"]) for status, report in (first, second))
    ok(name, good, f"want {path}: {what}", brief(first[1]), brief(second[1]))
    same("  and nothing is changed", digest(), before)


def repairable(name, path, what, count=1):
    """A dry run tells and changes nothing; the other one repairs."""
    before = digest()
    status, report = dry()
    good = status == 1 and len(report["findings"]) == count and \
        all(f.get("repaired") is False for f in report["findings"])
    ok(name, good and any(p == path and what in w
                          for p, w, _ in brief(report)),
       status, f"want {path}: {what}", brief(report))
    same("  a dry run changes nothing", digest(), before)
    status, report = fsck()
    ok("  it is repaired", status == 0 and
       report["repaired"] == report["problems"] == count and
       all(f["repaired"] for f in report["findings"]), status, report)
    clean("  and clean from then on")


def fill():
    os.makedirs(f"{MNT}/DOE^JANE/1.2.3")
    os.mkdir(f"{MNT}/other")
    for i, size in enumerate([0, 1, 15, 4095, 4096, 4097, 20000, 70001]):
        with open(f"{MNT}/DOE^JANE/1.2.3/{i}", "wb") as f:
            f.write(RANDOM.randbytes(size))
    for name in ("whole", "second", "other/third"):
        with open(f"{MNT}/{name}", "wb") as f:
            f.write(RANDOM.randbytes(20 * CHUNK))
    fill_oddities(CHUNK, 1 << 36)
    os.link(f"{MNT}/whole", f"{MNT}/other/linked")
    os.setxattr(f"{MNT}/other", "user.patient", b"DOE^JANE")


def slots(at):
    for slot in (0, 1):
        for where in (20, 1000, 2030, 2045):
            flip(os.path.join(ARCHIVE, at["second"]), slot * 2048 + where)
            # The slot that is left says that it is not sealed, or that it is.
            _, report = dry()
            repairable(f"slot {slot}, byte {where}", at["second"],
                       f"header slot {slot} does not hold",
                       len(report["findings"]))
    with harmed(at["second"]) as path:
        flip(path, 100)
        flip(path, 2148)
        beyond_repair("both slots", at["second"], "header: damaged")
    with harmed(at["second"], at["other/third"]) as (path, other):
        with open(other, "rb") as f, open(path, "r+b") as g:
            g.write(f.read(2048))
            g.seek(2048)
            g.write(bytes(2048))
        beyond_repair("another file's header", at["second"],
                      "stands under a name that is not its own")


def records(at):
    body = HEADER + 3 * RECORD
    for where, name in ((0, "compartment"), (1, "kind"), (5, "nonce"),
                        (100, "ciphertext"), (RECORD - 12, "tag")):
        with harmed(at["second"]) as path:
            flip(path, body + where)
            beyond_repair(f"a flipped bit in the {name}", at["second"],
                          "chunk 3")
    flip(os.path.join(ARCHIVE, at["second"]), body + RECORD - 3)
    repairable("in the checksum", at["second"], "its checksum is wrong")
    with harmed(at["second"]) as path:
        with open(path, "r+b") as f:
            f.seek(body)
            third = f.read(RECORD)
            f.seek(body + RECORD)
            f.write(third)
        beyond_repair("a record at another place", at["second"], "chunk 4")
    with harmed(at["second"]) as path:
        os.truncate(path, os.path.getsize(path) - RECORD)
        beyond_repair("cut", at["second"], "cut off")
    with harmed(at["second"]) as path:
        os.truncate(path, os.path.getsize(path) + RECORD)
        beyond_repair("extended", at["second"], "extended")
    flip(os.path.join(ARCHIVE, at["holes"]), HEADER + 30 * RECORD + 77)
    repairable("a byte in a hole", at["holes"], "where there should be none")
    real = os.path.join(ARCHIVE, at["sparse"])
    with open(real, "rb") as f:
        k = f.read()[HEADER + 1::RECORD].index(1)
    flip(real, HEADER + k * RECORD + 77)
    repairable("a byte behind a short record", at["sparse"],
               "where there should be none")


def long_ago(at):
    """What was harmed long ago need not be looked at twice."""
    with harmed(at["second"]) as path:
        flip(path, HEADER + 2 * RECORD + 9)
        with aside(at["link"]) as link:
            os.symlink("A" * 80, link)
            time.sleep(12)
            beyond_repair("a chunk", at["second"], "chunk 2", 2)
            beyond_repair("and a link", at["link"], "link is damaged", 2)


def replay(at):
    with open(os.path.join(ARCHIVE, at["second"]), "rb") as f:
        old = f.read()
    with Mount():
        with open(f"{MNT}/second", "r+b") as f:
            f.seek(5 * CHUNK)
            f.write(RANDOM.randbytes(CHUNK))
    clean("after an overwrite")
    with harmed(at["second"]) as path:
        begin = HEADER + 5 * RECORD
        with open(path, "r+b") as f:
            f.seek(begin)
            f.write(old[begin:begin + RECORD])
        same("scrub cannot know", run("scrub", ARCHIVE).returncode, 0)
        beyond_repair("an older record in its own place", at["second"],
                      "older than the header")


def swaps(at):
    with harmed(at["second"], at["other/third"]) as (a, b):
        os.rename(a, "aside")
        os.rename(b, a)
        os.rename("aside", b)
        beyond_repair("two files exchanged", at["second"], "not its own", 2)
        beyond_repair("  both are told of", at["other/third"], "not its own",
                      2)
        os.rename(a, "aside")
        os.rename(b, a)
        os.rename("aside", b)
    with harmed(at["second"]) as path:
        shutil.copyfile(os.path.join(ARCHIVE, at["other/third"]), path)
        beyond_repair("a copy under another's name", at["second"],
                      "not its own")
    # A backup without hard links makes two files of one.
    real = os.path.join(ARCHIVE, at["other/linked"])
    shutil.copy2(real, "copy")
    os.rename(real, "aside")
    os.rename("copy", real)
    status, report = dry()
    ok("a hard link that became a copy", status == 1 and
       any("another stored file has the same id" in f["what"]
           for f in report["findings"]), report)
    os.rename("aside", real)
    folder, other = (os.path.join(ARCHIVE, at[n]) for n in
                     ("DOE^JANE", "other"))
    os.rename(folder, "aside")
    os.rename(other, folder)
    os.rename("aside", other)
    beyond_repair("two folders exchanged", at["DOE^JANE"],
                  "does not belong here", 2)
    os.rename(folder, "aside")
    os.rename(other, folder)
    os.rename("aside", other)
    clean("and back")


@contextlib.contextmanager
def aside(path):
    """An entry is not there, or what is made in its place."""
    real = os.path.join(ARCHIVE, path)
    os.rename(real, "aside")
    yield real
    if os.path.lexists(real):
        os.unlink(real)
    os.rename("aside", real)


def names(at):
    with aside(at["second"]) as path:
        wrong = at["second"][:-1] + ("0" if path[-1] != "0" else "1")
        shutil.copy2("aside", os.path.join(ARCHIVE, wrong))
        beyond_repair("another letter in a name", wrong, "not a name of this")
        os.unlink(os.path.join(ARCHIVE, wrong))
    with aside(at[LONG] + ".name"):
        beyond_repair("a lost companion", at[LONG], "long name is lost")
    with aside(at[LONG] + ".name") as path:
        target = os.readlink("aside")
        os.symlink("v" + target[1:] if target[0] != "v" else "u" + target[1:],
                   path)
        beyond_repair("a damaged companion", at[LONG], "another name's")
    orphan = os.path.join(DATA, "z" + 51 * "0" + "0.name")
    os.symlink(os.readlink(os.path.join(ARCHIVE, at[LONG] + ".name")), orphan)
    repairable("a companion without its entry",
               os.path.relpath(orphan, ARCHIVE), "left over by a crash")
    with aside(at["link"]) as path:
        target = os.readlink("aside")
        os.symlink(target[:20] + ("A" if target[20] != "A" else "B") +
                   target[21:], path)
        beyond_repair("a changed link", at["link"], "symbolic link is damaged")
    for name in ("whole", "other"):
        real = os.path.join(ARCHIVE, at[name])
        attribute = next(n for n in os.listxattr(real) if "chaosimg" in n)
        value = os.getxattr(real, attribute)
        os.setxattr(real, attribute, value[:-1] + bytes([value[-1] ^ 1]))
        beyond_repair(f"a changed attribute of {name}", at[name],
                      "attribute's value", 2 if name == "whole" else 1)
        os.setxattr(real, attribute, value)
        os.setxattr(real, attribute[:-1] + "w", value)
        beyond_repair("one with another name", at[name], "attribute's name",
                      2 if name == "whole" else 1)
        os.removexattr(real, attribute[:-1] + "w")
        os.setxattr(real, "user.other", b"not ours")
    ident = at["other"] + "/chaosimg.dir"
    with aside(ident):
        beyond_repair("a lost id", at["other"], "chaosimg.dir: missing"[14:])
    with aside(ident) as path:
        shutil.copy2(os.path.join(ARCHIVE, at["DOE^JANE"], "chaosimg.dir"),
                     path, follow_symlinks=False)
        status, report = fsck()
        found = " ".join(f["what"] for f in report["findings"]
                         if f["path"].startswith(at["other"]))
        ok("another folder's id", status == 1 and
           "does not belong here" in found and "same id" in
           " ".join(f["what"] for f in report["findings"]) and
           "not a name of this directory" in found, report)
    with open(f"{DATA}/README", "w", encoding="ascii") as f:
        f.write("not ours")
    beyond_repair("a file of somebody else", "data/README", "not a name")
    os.unlink(f"{DATA}/README")
    clean("all is as before")


def leftovers(at):
    shutil.copy(os.path.join(ARCHIVE, at["second"]),
                f"{DATA}/chaosimg.tmp.file")
    os.symlink("x", f"{DATA}/chaosimg.tmp.link")
    os.mkdir(f"{DATA}/chaosimg.tmp.dir")
    os.symlink("x", f"{DATA}/chaosimg.tmp.dir/chaosimg.dir")
    with open(f"{ARCHIVE}/chaosimg.json.new", "wb"):
        pass
    with open(f"{ARCHIVE}/keysets/0.json.new", "wb"):
        pass
    repairable("leftovers", "data/chaosimg.tmp.dir", "left over by a crash", 5)
    os.mkdir(f"{DATA}/chaosimg.tmp.dir")
    with open(f"{DATA}/chaosimg.tmp.dir/image", "w", encoding="ascii") as f:
        f.write("somebody's only copy")
    beyond_repair("a temporary folder with something in it",
                  "data/chaosimg.tmp.dir", "with something in it")
    shutil.rmtree(f"{DATA}/chaosimg.tmp.dir")
    with open(f"{ARCHIVE}/notes", "wb"):
        pass
    beyond_repair("a strange file beside the tree", "notes",
                  "not the archive's")
    os.unlink(f"{ARCHIVE}/notes")
    keyset = os.listdir(f"{ARCHIVE}/keysets")[0]
    shutil.copy(f"{ARCHIVE}/keysets/{keyset}",
                f"{ARCHIVE}/keysets/{'0' * 32}.json")
    beyond_repair("a keyset too many", f"keysets/{'0' * 32}.json",
                  "not in the configuration")
    os.unlink(f"{ARCHIVE}/keysets/{'0' * 32}.json")


def lost_link(at):
    """A name that went away behind the archive's back is forgotten."""
    real, other = (os.path.join(ARCHIVE, at[n]) for n in
                   ("whole", "other/linked"))
    os.unlink(other)
    repairable("a hard link that is gone", at["whole"], "names that are gone")
    os.rename(real, other)
    status, report = dry()
    ok("under which it may not stand any more", status == 1 and
       any("not its own" in f["what"] for f in report["findings"]), report)
    os.rename(other, real)
    clean("but under its own")


def crash(at):
    """What a crash left open is settled, with all that was synced."""
    durable = RANDOM.randbytes(30 * CHUNK)
    with Mount("no_writeback") as mount:
        f = os.open(f"{MNT}/open", os.O_RDWR | os.O_CREAT)
        os.write(f, durable)
        os.fsync(f)
        os.pwrite(f, RANDOM.randbytes(5 * CHUNK), 30 * CHUNK)
        path = stored("open")
        mount.kill()
        with contextlib.suppress(OSError):
            os.close(f)
    size = os.path.getsize(os.path.join(ARCHIVE, path))
    with harmed(path) as real:
        with open(real, "rb") as g:
            raw = g.read(4096)
        newer = raw[48:56][::-1] < raw[2096:2104][::-1]
        flip(real, 2048 * newer + 1000)
        status, report = fsck()
        ok("if the newest slot is lost, too, nothing is cut off",
           status == 1 and os.path.getsize(real) == size,
           brief(report), size, os.path.getsize(real))
    with harmed(path) as real:
        flip(real, HEADER + 100)
        beyond_repair("nor if a record is damaged", path, "chunk 0")
    with Mount("no_writeback") as mount:
        f = os.open(f"{MNT}/filled", os.O_RDWR | os.O_CREAT)
        os.ftruncate(f, 10 * CHUNK)
        os.fsync(f)
        os.pwrite(f, RANDOM.randbytes(2 * CHUNK), 3 * CHUNK)
        os.fsync(f)
        filled = stored("filled")
        mount.kill()
        with contextlib.suppress(OSError):
            os.close(f)
    with harmed(filled) as real:
        with open(real, "rb") as g:
            raw = g.read(4096)
        newer = raw[48:56][::-1] < raw[2096:2104][::-1]
        if not raw[2048 * newer + 68]:
            flip(real, 2048 * newer + 1000)
            status, report = dry()
            ok("nor is a hole that it may have filled cleared",
               status == 1 and any(p == filled and "said more" in w
                                   for p, w, _ in brief(report)),
               brief(report))
    with Mount():
        with open(f"{MNT}/filled", "r+b"):
            os.unlink(f"{MNT}/filled")
    with Mount():
        status, report = dry()
        same("while it is mounted that is not told", (status, report["open"]),
             (0, 1))
    repairable("a file left open", path, "left open by a crash")
    with Mount():
        with open(f"{MNT}/open", "rb") as g:
            same("with all that was synced", g.read(), durable)
    at["open"] = path


def flips():
    """One bit after the other, anywhere in any file."""
    files = []
    for top, _, found in os.walk(ARCHIVE):
        files += [os.path.relpath(os.path.join(top, n), ARCHIVE)
                  for n in found if n != "lock"]
    files = sorted(f for f in files
                   if os.path.isfile(os.path.join(ARCHIVE, f)) and
                   not os.path.islink(os.path.join(ARCHIVE, f)) and
                   os.path.getsize(os.path.join(ARCHIVE, f)) < 1 << 30)
    missed = []
    for _ in range(FLIPS):
        path = RANDOM.choice(files)
        with harmed(path) as real:
            size = os.path.getsize(real)
            at = RANDOM.randrange(min(size, RANDOM.choice([HEADER, size])))
            flip(real, at, RANDOM.randrange(8))
            result = run("fsck", "--dry-run", "--keyfile", KEY, ARCHIVE)
            said = (result.stdout + result.stderr).decode()
            if result.returncode != 1 or os.path.basename(path) not in said:
                missed.append((path, at, result))
    same(f"{FLIPS} flipped bits are found", missed, [])


def keys():
    for path in ("chaosimg.json",
                 "keysets/" + os.listdir(f"{ARCHIVE}/keysets")[0]):
        with harmed(path) as real:
            flip(real, 60)
            fails(f"a damaged {path}", 1, "damaged", "fsck", "--keyfile", KEY,
                  ARCHIVE)
    run("keyfile", "wrong")
    fails("another key", 1, "wrong key", "fsck", "--keyfile", "wrong", ARCHIVE)
    fails("no archive", 2, "one ARCHIVE is needed", "fsck", "--keyfile", KEY)
    fails("no threads", 2, "not a number of", "fsck", "--threads", "0",
          ARCHIVE)


def shown_names(at):
    """Plain names are shown on request only."""
    with harmed(at["DOE^JANE/1.2.3/7"]) as path:
        flip(path, HEADER + 100)
        text = run("fsck", "-n", "--keyfile", KEY, ARCHIVE).stdout.decode()
        ok("stored names", text.startswith(at["DOE^JANE/1.2.3/7"] + ": chunk 0")
           and "DOE" not in text, text)
        text = run("fsck", "-n", "--names", "--keyfile", KEY, ARCHIVE)
        ok("plain names", text.stdout.decode().startswith(
            at["DOE^JANE/1.2.3/7"] + " (DOE^JANE/1.2.3/7): "), text.stdout)
        _, report = dry("--names")
        same("in JSON, too", report["findings"][0]["plain"],
             "DOE%5EJANE/1.2.3/7")


def write(seconds):
    with contextlib.suppress(OSError):      # the daemon may be killed
        return write_for(seconds, random.Random(RANDOM.random()), CHUNK,
                         f"{MNT}/other/renamed")
    return 0


def while_mounted():
    wrong, runs, rounds = [], 0, []
    with Mount():
        fails("nothing is repaired while it is mounted", 1,
              "--dry-run checks it all the same", "fsck", "--keyfile", KEY,
              ARCHIVE)
        writer = threading.Thread(
            target=lambda: rounds.append(write(8)))
        writer.start()
        while writer.is_alive():
            result = run("fsck", "--json", "--dry-run", "--keyfile", KEY,
                         ARCHIVE)
            runs += 1
            if result.returncode or result.stderr:
                wrong.append((result.stdout, result.stderr))
        writer.join()
    ok(f"{runs} checks beside {rounds} rounds of writing", runs > 3 and
       rounds and rounds[0] > 20, runs, rounds)
    same("find nothing wrong", wrong, [])
    clean("nor afterwards")


def kills():
    """Whenever the daemon is killed: no damage, and nothing beyond repair."""
    wrong, settled = [], 0
    for _ in range(KILLS):
        with Mount() as mount:
            writer = threading.Thread(target=write, args=(60,))
            writer.start()
            time.sleep(RANDOM.uniform(0.1, 0.6))
            mount.die()
            # Else it could go on in the folder under the mount.
            writer.join()
            mount.kill()
        for status, report in (json_of("scrub", "--json", ARCHIVE), dry()):
            if any(f.get("repaired") is None for f in report["findings"]):
                wrong.append(brief(report))
        status, report = fsck()
        settled += report["repaired"]
        if status:
            wrong.append(brief(report))
    same(f"killed {KILLS} times, {settled} things repaired", wrong, [])
    clean("nothing is left to repair")


def json_of(*args):
    result = run(*args)
    return result.returncode, json.loads(result.stdout)


def interrupted():
    with Mount():
        with open(f"{MNT}/large", "wb") as f:
            for _ in range(96):
                f.write(bytes([1]) * (1 << 20))
    before = plain()
    for i in range(40):
        with subprocess.Popen([CHAOSIMG, "fsck", "--json", "--keyfile", KEY,
                               ARCHIVE], stdout=subprocess.PIPE) as process:
            time.sleep(0.01 * i)
            process.send_signal(signal.SIGTERM)
            out = process.communicate()[0]
        if out and not json.loads(out)["complete"]:
            break
    same("SIGTERM ends it", process.returncode, -signal.SIGTERM)
    same("with a report", json.loads(out)["complete"], False)
    same("and no harm", plain(), before)


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
        at = {n: stored(n) for n in (
            "whole", "second", "other/third", "sparse", "holes", "link",
            "DOE^JANE", "DOE^JANE/1.2.3/7", "other", LONG)}
        # Both names lead to one inode.
        at["other/linked"] = next(
            os.path.join(at["other"], n) for n in
            os.listdir(os.path.join(ARCHIVE, at["other"]))
            if os.lstat(os.path.join(ARCHIVE, at["other"], n)).st_nlink == 2
            and not os.path.isdir(os.path.join(ARCHIVE, at["other"], n)))
        at["whole"] = next(
            os.path.join("data", n) for n in os.listdir(DATA)
            if os.lstat(os.path.join(DATA, n)).st_nlink == 2 and
            os.path.isfile(os.path.join(DATA, n)))
    before = plain()
    stamp = digest()
    clean("a clean archive")
    same("is not changed", digest(), stamp)
    slots(at)
    records(at)
    long_ago(at)
    swaps(at)
    names(at)
    leftovers(at)
    same("nothing was lost in all that", plain(), before)
    replay(at)
    lost_link(at)
    crash(at)
    flips()
    keys()
    shown_names(at)
    while_mounted()
    kills()
    interrupted()
    done()


main()
