#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""SQLite databases in the mount, written while the daemon is killed.

Two processes write in transactions with synchronous=FULL and note each commit
outside; the daemon is killed at a random moment. After mounting anew the
database passes its integrity check, has every noted transaction, and nothing
of one that was not finished. KILLS: how often in each journal mode (4).
"""

import hashlib
import os
import random
import sqlite3
import subprocess
import sys
import time

sys.dont_write_bytecode = True
SELF = os.path.abspath(__file__)
sys.path.insert(0, os.path.join(os.path.dirname(SELF), "lib"))
from tap import done, ok, run, same, scratch            # noqa: E402
from mounted import ARCHIVE, KEY, MNT, Mount, make, obstacle  # noqa: E402

KILLS = int(os.environ.get("KILLS", 4))
SEED = int(os.environ.get("SEED", random.randrange(1 << 32)))
MODES = ["DELETE", "TRUNCATE", "PERSIST", "WAL"]
WRITERS = 2


def connect(path, mode):
    db = sqlite3.connect(path, timeout=20, isolation_level=None)
    db.execute("PRAGMA synchronous=FULL")
    db.execute(f"PRAGMA journal_mode={mode}")
    return db


def create(path, mode):
    db = connect(path, mode)
    db.execute("CREATE TABLE row(writer, number, data, digest)")
    db.execute("CREATE UNIQUE INDEX one ON row(writer, number)")
    db.execute("CREATE TABLE count(writer PRIMARY KEY, rows)")
    for i in range(WRITERS):
        db.execute("INSERT INTO count VALUES(?, 0)", (i,))
    db.close()


def write(path, mode, writer, notes, seed):
    """Transactions of one to five rows, until the mount is gone."""
    rng = random.Random(seed)
    db = connect(path, mode)
    number = db.execute("SELECT rows FROM count WHERE writer=?",
                        (writer,)).fetchone()[0]
    while True:
        db.execute("BEGIN IMMEDIATE")
        for _ in range(rng.randint(1, 5)):
            data = rng.randbytes(rng.choice([10, 300, 5000, 40000]))
            db.execute("INSERT INTO row VALUES(?, ?, ?, ?)",
                       (writer, number, data, hashlib.sha256(data).digest()))
            number += 1
        # Pages become free, and are used again.
        db.execute("DELETE FROM row WHERE writer=? AND number<?",
                   (writer, number - 150))
        db.execute("UPDATE count SET rows=? WHERE writer=?", (number, writer))
        db.execute("COMMIT")
        os.write(notes, b"%d\n" % number)


def check(path, mode, noted):
    """What is wrong with it."""
    db = connect(path, mode)
    wrong = [line for line, in db.execute("PRAGMA integrity_check")
             if line != "ok"]
    for writer in range(WRITERS):
        rows = db.execute("SELECT rows FROM count WHERE writer=?",
                          (writer,)).fetchone()[0]
        if rows < noted[writer]:
            wrong.append(f"writer {writer}: {rows} rows, of {noted[writer]}")
        numbers = []
        for number, data, digest in db.execute(
                "SELECT number, data, digest FROM row WHERE writer=?"
                " ORDER BY number", (writer,)):
            numbers.append(number)
            if hashlib.sha256(data).digest() != digest:
                wrong.append(f"writer {writer}: row {number} is damaged")
        if numbers and numbers != list(range(numbers[0], rows)):
            wrong.append(f"writer {writer}: not all rows up to {rows}")
    db.close()
    return wrong


def last_note(name):
    with open(name, "rb") as f:
        lines = f.read().split()
    return int(lines[-1]) if lines else 0


def start(path, mode, writer, seed):
    with open(f"notes.{writer}", "ab") as notes:
        return subprocess.Popen(
            [sys.executable, SELF, "write", path, mode, str(writer),
             str(notes.fileno()), f"{seed}.{writer}"],
            pass_fds=[notes.fileno()], stderr=subprocess.DEVNULL)


def one_kill(path, mode, rng):
    with Mount() as mount:
        writers = [start(path, mode, i, rng.random()) for i in range(WRITERS)]
        time.sleep(0.4 + rng.random() * 1.5)
        mount.die()
        # Before it is unmounted: they must not write into the folder below.
        for w in writers:
            w.kill()
            w.wait()
        mount.kill()


def kills(mode, rng):
    path = os.path.join(MNT, mode)
    with Mount():
        create(path, mode)
    for i in range(WRITERS):
        with open(f"notes.{i}", "wb"):
            pass
    for number in range(KILLS):
        one_kill(path, mode, rng)
        noted = [last_note(f"notes.{i}") for i in range(WRITERS)]
        with Mount():
            wrong = check(path, mode, noted)
        if not ok(f"{mode}, kill {number + 1}: {sum(noted)} rows were promised",
                  not wrong, f"seed {SEED}", *wrong):
            return
    ok(f"{mode}: something was written", sum(noted) > 0, noted)


def main():
    reason = obstacle()
    if reason:
        print("1..0 # SKIP", reason)
        sys.exit(0)
    scratch()
    make()
    rng = random.Random(SEED)
    for mode in MODES:
        kills(mode, rng)
    # What was open when the daemon was killed is settled once it is looked at.
    with Mount():
        for mode in MODES:
            with open(os.path.join(MNT, mode), "rb") as f:
                f.read()
    result = run("fsck", "--keyfile", KEY, ARCHIVE)
    same("fsck mends what there is", result.stderr, b"")
    result = run("fsck", "--dry-run", "--keyfile", KEY, ARCHIVE)
    ok("and then finds nothing", result.returncode == 0, result.stdout)
    done()


if len(sys.argv) > 1:
    write(sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5]),
          sys.argv[6])
else:
    main()
