#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""chaosimg key escrow and restore: from an archive to paper and back."""

import glob
import hashlib
import os
import pty
import re
import select
import shutil
import stat
import sys

sys.path.insert(0, "tests/lib")
import format_reader  # noqa: E402
from tap import (CHAOSIMG, done, fails, ok, read, run, same, scratch, works,
                 write)

KEY = ("--keyfile", "k")
CHARS = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"


def terminal(*args, answers=()):
    """Run chaosimg on a terminal of its own. Return: status, what it showed.

    An answer is a pattern that is waited for, and what is typed then.
    """
    pid, fd = pty.fork()
    if not pid:
        os.execv(CHAOSIMG, [CHAOSIMG, *args])
    shown, left = b"", list(answers)
    while True:
        if left and re.search(left[0][0], shown.replace(b"\r", b"")):
            os.write(fd, left.pop(0)[1])
        ready, _, _ = select.select([fd], [], [], 20)
        try:
            more = os.read(fd, 4096) if ready else b""
        except OSError:
            more = b""
        if not more:
            break
        shown += more
    os.close(fd)                # who still waits for an answer gets SIGHUP
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status), shown.replace(b"\r", b"")


# --- a second reader, from archive-format-keys.rst and BIP 350 ---------------

def polymod(values):
    gen = [0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3]
    sum_ = 1
    for v in values:
        top = sum_ >> 25
        sum_ = (sum_ & 0x1ffffff) << 5 ^ v
        for i in range(5):
            sum_ ^= gen[i] if top >> i & 1 else 0
    return sum_


def decode_line(number, text):
    hrp = f"chaosimg{number}"
    values = [CHARS.index(c) for c in text]
    expanded = [ord(c) >> 5 for c in hrp] + [0] + [ord(c) & 31 for c in hrp]
    assert polymod(expanded + values) == 0x2bc830a3, f"line {number}"
    bits = 0
    for v in values[:16]:
        bits = bits << 5 | v
    return bits.to_bytes(10, "big")


def decode(text):
    """Chunk size, archive id and key."""
    rows = [r for r in text.split("\n") if r and r[0] != "#"]
    assert rows[0] == "chaosimg-escrow 1", rows[0]
    assert re.fullmatch("archive [0-9a-f]{32}", rows[1]), rows[1]
    assert len(rows) == 8, rows
    data = b""
    for n, row in enumerate(rows[2:], 1):
        number, groups = row.split(maxsplit=1)
        assert number == str(n), row
        data += decode_line(n, groups.replace(" ", ""))
    digest = hashlib.sha256(b"chaosimg escrow v1" + data[:50]).digest()
    assert data[50:] == digest[:10] and data[0] == 1, "sum"
    assert data[2:18].hex() == rows[1][8:], "id"
    return 1 << data[1], data[2:18], data[18:50]


# --- printed -----------------------------------------------------------------

def printed():
    fails("not into a pipe", 1, "standard output is no terminal", "key",
          "escrow", *KEY, "a")
    same("nothing was written", run("key", "escrow", *KEY, "a").stdout, b"")
    fails("a wrong key gets none", 1, "wrong key", "key", "escrow",
          "--keyfile", "k2", "--output", "e", "a")
    ok("nor a file", not os.path.exists("e"))
    status, shown = terminal("key", "escrow", *KEY, "a")
    same("to a terminal", status, 0)
    ok("with a warning", b"chaosimg: a: warning: this is the key itself"
       in shown, shown)
    result = run("key", "escrow", *KEY, "--output", "e", "a")
    same("to a file", result.returncode, 0)
    ok("with one line of warning", result.stderr.count(b"\n") == 1 and
       b"clear the file" in result.stderr and not result.stdout,
       result.stderr, result.stdout)
    same("which only its owner can read",
         stat.S_IMODE(os.stat("e").st_mode), 0o600)
    text = read("e").decode()
    ok("both say the same", text.encode() in shown, shown)
    ok("it is ASCII, in 80 columns",
       all(len(r) <= 80 and r.isascii() for r in text.split("\n")), text)
    fails("a file that exists is not replaced", 1, "e: exists", "key",
          "escrow", *KEY, "--output", "e", "a")
    chunk, id_, key = decode(text)
    config = format_reader.Configuration(
        read("a/chaosimg.json").decode(), format_reader.read_keyfile("k"))
    same("a second reader finds the archive's key", key, config.key)
    same("  its id", id_, config.id)
    same("  its chunk size", chunk, 8192)
    return text


# --- and typed ---------------------------------------------------------------

def restore(*args, **how):
    return run("key", "restore", "--new-keyfile", "k2", *args, **how)


def restored(text):
    os.rename("a/chaosimg.json", "old.json")
    old = read("old.json")
    result = restore("--escrow", "e", "a")
    same("the configuration is rebuilt", (result.returncode, result.stderr),
         (0, b""))
    ok("and it says what it did", re.fullmatch(
        b"configuration rebuilt: slot 0, keysets: 2\n", result.stdout),
       result.stdout)
    same("only its owner can read it",
         stat.S_IMODE(os.stat("a/chaosimg.json").st_mode), 0o600)
    new = read("a/chaosimg.json")
    for name in (b"archive_id", b"created", b"chunk_size", b"keysets"):
        line = rb'^  "%s": .*?(?:\n  \])?,\n' % name
        found = [re.search(line, c, re.M | re.S)[0] for c in (old, new)]
        same(f"  {name.decode()} as before", found[1], found[0])
    fails("the old slot is gone", 1, "wrong key", "key", "add", *KEY,
          "--new-keyfile", "k", "a")
    fails("one that is whole is not replaced", 1, "--force replaces it", "key",
          "restore", "--new-keyfile", "k", "--escrow", "e", "a")
    works("unless that is asked for", "key", "restore", "--force",
          "--new-keyfile", "k", "--escrow", "-", "a", data=text.encode())
    works("the archive opens with that", "key", "add", *KEY, "--new-keyfile",
          "k2", "a")
    same("its escrow is the same", run("key", "escrow", *KEY, "--output", "e2",
                                       "a").returncode, 0)
    same("to the letter", read("e2").decode(), text)


def refused(text):
    config = read("a/chaosimg.json")
    os.unlink("a/chaosimg.json")
    before = sorted(glob.glob("a/**", recursive=True))
    rows = text.split("\n")
    at = next(i for i, r in enumerate(rows) if r.startswith("4 "))
    wrong = rows[at][:-1] + ("q" if rows[at][-1] != "q" else "p")
    for name, lines, cause in [
            ("a typing error", rows[:at] + [wrong] + rows[at + 1:],
             "e3: escrow: a typing error in line 4"),
            ("a line that is missing", rows[:at] + rows[at + 1:], "line 4"),
            ("the end that is missing", rows[:at], "line 4 is missing"),
            ("another archive's id", [r.replace("archive ", "archive f")
             for r in rows], 'in the line "archive"'),
            ("a key file", [read("k").decode()], "does not begin"),
            ("nothing", [], "escrow")]:
        write("e3", "\n".join(lines).encode())
        fails(f"{name} is refused", 1, cause, "key", "restore", "--escrow",
              "e3", "--new-keyfile", "k", "a")
    write("e3", b"x" * 100000)
    fails("too much is refused", 1, "too long", "key", "restore", "--escrow",
          "e3", "--new-keyfile", "k", "a")
    run("key", "escrow", *KEY, "--output", "e-b", "b")
    fails("another archive's escrow is refused", 1, "another archive's", "key",
          "restore", "--escrow", "e-b", "--new-keyfile", "k", "a")
    same("nothing was made", sorted(glob.glob("a/**", recursive=True)), before)
    os.rename("a/keysets", "keysets")
    fails("without keysets there is nothing to rebuild", 1, "a/keysets: ",
          "key", "restore", "--escrow", "e", "--new-keyfile", "k", "a")
    shutil.copytree("b/keysets", "a/keysets")
    fails("nor with another archive's", 1, "another archive's", "key",
          "restore", "--escrow", "e", "--new-keyfile", "k", "a")
    shutil.rmtree("a/keysets")
    os.rename("keysets", "a/keysets")
    name = sorted(glob.glob("a/keysets/*"))[0]
    keyset = read(name)
    write(name, keyset[:100])
    result = restore("--escrow", "e", "a")
    ok("a damaged keyset does not hinder the others",
       result.returncode == 0 and b"keysets: 1\n" in result.stdout and
       b"damaged or another archive's: 1; files" in result.stderr, result.stdout,
       result.stderr)
    write(name, keyset)
    write("a/chaosimg.json", config)
    for args, cause in [
            (("escrow", "--slot", "1", "a"), "slot"),
            (("restore", "a"), "needs --escrow"),
            (("restore", *KEY, "--escrow", "e", "a"), "needs no key"),
            (("list", "--output", "x", "a"), "output is for escrow"),
            (("add", "--escrow", "e", "a"), "are for restore"),
            (("escrow", "--new-keyfile", "k", "a"), "a new key is for")]:
        fails(f"wrong use: key {' '.join(args)}", 2, cause, "key", *args)


def typed(text):
    """On a terminal a wrong line is said at once, and typed again."""
    rows = [r for r in text.split("\n") if r and r[0] != "#"]
    os.unlink("a/chaosimg.json")
    wrong = rows[3][:8] + ("q" if rows[3][8] != "q" else "p") + rows[3][9:]
    typing = [*rows[:3], wrong, rows[3], rows[3], *rows[4:]]
    answers = [(b"type the escrow", typing[0] + "\n")]
    answers += [(re.escape(before.encode()) + b"\n(chaosimg: .*again\n)?", now)
                for before, now in zip(typing, [t + "\n" for t in typing[1:]])]
    status, shown = terminal(
        "key", "restore", "--escrow", "-", "--new-keyfile", "k", "a",
        answers=[(p, t.encode()) for p, t in answers])
    same("typed in", status, 0)
    ok("a wrong line is named", b"escrow: a typing error in line 2; type it"
       in shown, shown)
    ok("so is one that comes twice", b"line 3 has to come here" in shown, shown)
    works("and the archive opens", "key", "add", *KEY, "--new-keyfile", "k2",
          "a")


def main():
    scratch()
    for key in ("k", "k2"):
        works("a key file", "keyfile", key)
    works("an archive", "init", *KEY, "--chunk-size", "8192", "a")
    works("another", "init", *KEY, "b")
    works("a second keyset", "rekey", *KEY, "a")
    text = printed()
    restored(text)
    refused(text)
    typed(text)
    done()


main()
