#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""chaosimg init, keyfile, key and info of an archive; prompts on a terminal."""

import fcntl
import json
import os
import pty
import re
import select
import signal
import stat
import subprocess
import sys
import termios
import time

sys.path.insert(0, "tests/lib")
from tap import (CHAOSIMG, done, fails, ok, read, run, same, scratch, works,
                 write)

KEY = ("--keyfile", "k")
TIOCGPTN = 0x80045430   # <asm-generic/ioctls.h>; Python does not know it


def keyfiles():
    works("a key file", "keyfile", "k")
    same("only its owner can read it", stat.S_IMODE(os.stat("k").st_mode), 0o600)
    before = read("k")
    fails("it is not overwritten", 1, "k: ", "keyfile", "k")
    ok("and still the same", read("k") == before)
    works("another", "keyfile", "k2")
    ok("is another", read("k2") != before)
    fails("a key file in no directory", 1, "no/k: No such file", "keyfile",
          "no/k")
    broken = bytearray(before)
    broken[-5] ^= 1
    write("broken", bytes(broken))
    fails("a damaged key file", 1, "broken: ", "init", "--keyfile", "broken",
          "a0")
    ok("makes no archive", not os.path.exists("a0"))


def init():
    same("init", works("init", "init", *KEY, "a"), b"")
    tree = snapshot("a")
    fails("init twice", 1, "a: ", "init", *KEY, "a")
    same("changes nothing", snapshot("a"), tree)
    os.mkdir("empty")
    works("into an empty directory", "init", *KEY, "--chunk-size", "4096",
          "empty")
    os.mkdir("taken")
    write("taken/file", b"x")
    fails("into a taken one", 1, "taken: ", "init", *KEY, "taken")
    same("which is left alone", os.listdir("taken"), ["file"])
    fails("onto a file", 1, "k2: ", "init", *KEY, "k2")
    fails("into no directory", 1, "no/a: ", "init", *KEY, "no/a")
    fails("without a terminal to ask on", 2, "no terminal", "init", "b",
          start_new_session=True)
    ok("makes no archive", not os.path.exists("b"))


def snapshot(folder):
    found = {}
    for where, dirs, files in os.walk(folder):
        for name in dirs + files:
            path = os.path.join(where, name)
            if os.path.islink(path):
                found[path] = os.readlink(path)
            elif os.path.isfile(path):
                found[path] = read(path)
            else:
                found[path] = None
    return found


def info():
    text = works("info needs no key", "info", "empty").decode()
    ok("chunk size", re.search(r"chunk size +4096 ", text), text)
    data = json.loads(works("info --json", "info", "--json", "a"))
    same("chunk size", data["chunk_size"], 8192)
    same("one slot", [s["type"] for s in data["slots"]], ["keyfile"])
    ok("an id", re.fullmatch("[0-9a-f]{32}", data["id"]), data)
    ok("made just now", abs(data["created"] - time.time()) < 3600, data)
    ok("another archive, another id", data["id"] not in text)
    fails("info of nothing", 1, "nothing: ", "info", "nothing")
    fails("info of no archive", 1, "taken: ", "info", "taken")
    fails("a FILE that is not there", 1, "p/q.dcm: no such file", "info", *KEY,
          "a", "p/q.dcm")
    fails("a stored path that is not there", 1, "data/xyz: ", "info", *KEY, "a",
          "data/xyz")
    fails("the way up", 1, "../a: ", "info", *KEY, "a", "../a")
    fails("the root", 1, "/: ", "info", *KEY, "a", "/")
    fails("a name too long", 1, "File name too long", "info", *KEY, "a",
          "n" * 256)
    fails("wrong key", 1, "a: wrong key", "info", "--keyfile", "k2", "a", "x")


def slots(archive="a"):
    return [int(row.split()[0]) for row in
            run("key", "list", archive).stdout.decode().splitlines()[1:]]


def keys():
    write("p", b"a passphrase\n")
    write("p2", b"another one\n")
    first = slots()
    same("one slot", len(first), 1)
    data = {n: v for n, v in snapshot("a").items() if "/data" in n}
    said = works("add a passphrase", "key", "add", *KEY, "--new-passfile", "p",
                 "a").decode()
    ok("its number is printed",
       said == f"slot {slots()[-1]} added\n" and len(slots()) == 2, said)
    works("add a key file, with the passphrase", "key", "add", "--passfile",
          "p", "--new-keyfile", "k2", "a")
    text = works("list", "key", "list", "a").decode()
    same("three slots", [row.split()[1] for row in text.splitlines()[1:]],
         ["keyfile", "passphrase", "keyfile"])
    ok("what Argon2id costs", re.search(r"passphrase .* passes, ", text), text)
    fails("a wrong key adds none", 1, "a: wrong key", "key", "add",
          "--passfile", "p2", "--new-passfile", "p2", "a")
    fails("a wrong key removes none", 1, "a: wrong key", "key", "remove",
          "--passfile", "p2", "--slot", str(first[0]), "a")
    fails("no such slot", 1, "a: ", "key", "remove", *KEY, "--slot", "4711",
          "a")
    same("still three", len(slots()), 3)
    works("remove the first", "key", "remove", "--keyfile", "k2", "--slot",
          str(first[0]), "a")
    ok("it is gone", first[0] not in slots() and len(slots()) == 2, slots())
    fails("its key opens no more", 1, "a: wrong key", "key", "add", *KEY,
          "--new-passfile", "p2", "a")
    works("the number may be an operand", "key", "remove", "--passfile", "p",
          "a", str(slots()[1]))
    left = slots()
    same("one is left", len(left), 1)
    tree = snapshot("a")
    fails("the last one stays", 1, "a: ", "key", "remove", "--passfile", "p",
          "--slot", str(left[0]), "a")
    same("and nothing is changed", snapshot("a"), tree)
    works("a new slot", "key", "add", "--passfile", "p", "--new-keyfile", "k",
          "a")
    ok("has a new number", not set(slots()) & {0, 1, 2} - set(left), slots())
    same("no data was touched",
         {n: v for n, v in snapshot("a").items() if "/data" in n}, data)
    fails("list of nothing", 1, "nothing: ", "key", "list", "nothing")


def damaged():
    """Whatever happens to the configuration: one line, exit 1, no change."""
    good = read("a/chaosimg.json")
    for what, data in {
            "empty": b"", "cut": good[:len(good) // 2], "no JSON": b"\0" * 99,
            "another object": b"{}", "an array": b"[1, 2]",
            "deep": b"[" * 100000, "long": good + b" " * (1 << 24)}.items():
        write("a/chaosimg.json", data)
        tree = snapshot("a")
        fails(f"configuration {what}: info", 1, "a", "info", "a")
        fails("  key list", 1, "a", "key", "list", "a")
        fails("  key add", 1, "a", "key", "add", *KEY, "--new-keyfile", "k2",
              "a")
        same("  nothing is changed", snapshot("a") == tree, True)
    os.unlink("a/chaosimg.json")
    os.mkfifo("a/chaosimg.json")
    fails("configuration a FIFO", 1, "a", "info", "a")
    os.unlink("a/chaosimg.json")
    write("a/chaosimg.json", good)
    works("as it was", "key", "add", *KEY, "--new-keyfile", "k2", "a")


class Terminal:
    """chaosimg with a controlling terminal, whose other end is here."""

    def __init__(self, *args, stdin=None, stdout=None):
        self.text = b""
        self.pid, self.fd = pty.fork()
        if not self.pid:
            # A shell that starts tests in the background has them ignored.
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            signal.signal(signal.SIGQUIT, signal.SIG_DFL)
            if stdin is not None:
                os.dup2(stdin, 0)
            if stdout is not None:
                os.dup2(stdout, 1)
            os.execv(CHAOSIMG, [CHAOSIMG, *args])

    def until(self, pattern, seconds=60):
        """Read till the pattern has come; False if it does not."""
        end = time.monotonic() + seconds
        while not re.search(pattern, self.text):
            ready, _, _ = select.select([self.fd], [], [],
                                        max(0, end - time.monotonic()))
            if not ready:
                return False
            try:
                more = os.read(self.fd, 4096)
            except OSError:
                more = b""
            if not more:
                return False
            self.text += more
        return True

    def type(self, text):
        os.write(self.fd, text)

    def answer(self, prompt, text):
        """When the prompt comes (once more), type the text."""
        self.until(prompt)
        self.text = re.sub(prompt, b"<asked>", self.text, count=1)
        self.type(text + b"\n")

    def name(self):
        number = fcntl.ioctl(self.fd, TIOCGPTN, b"\0" * 4)
        return f"/dev/pts/{int.from_bytes(number, sys.byteorder)}"

    def echoes(self):
        return bool(termios.tcgetattr(self.fd)[3] & termios.ECHO)

    def end(self):
        """The exit status; negative for a signal."""
        self.until(b"(?!)")
        _, status = os.waitpid(self.pid, 0)
        os.close(self.fd)
        return os.waitstatus_to_exitcode(status)


def prompts():
    word = b"typed horse"
    write("typed", word + b"\n")
    t = Terminal("init", "asked")
    t.answer(b"New passphrase for asked: ", word)
    t.answer(b"Repeat the passphrase for asked: ", word)
    same("init asks twice", t.end(), 0)
    ok("and shows nothing of it", word not in t.text, t.text)
    works("the passphrase opens", "key", "add", "--passfile", "typed",
          "--new-keyfile", "k", "asked")

    t = Terminal("init", "differ")
    t.answer(b"New passphrase for differ: ", word)
    t.answer(b"Repeat the passphrase for differ: ", word + b"!")
    same("two different ones are refused", t.end(), 1)
    ok("with the reason", b"the two passphrases differ" in t.text, t.text)
    ok("and no archive", not os.path.exists("differ"))

    t = Terminal("init", "none")
    t.answer(b"New passphrase for none: ", b"")
    t.answer(b"Repeat the passphrase for none: ", b"")
    same("an empty one is refused", t.end(), 1)
    ok("and makes no archive", not os.path.exists("none"))

    t = Terminal("key", "add", "asked")
    t.answer(b"Passphrase for asked: ", word)
    t.answer(b"New passphrase for asked: ", b"second")
    t.answer(b"Repeat the passphrase for asked: ", b"second")
    same("key add asks for the old and the new one", t.end(), 0)
    same("three slots", len(slots("asked")), 3)
    t = Terminal("key", "remove", "--slot", str(slots("asked")[0]), "asked")
    t.answer(b"Passphrase for asked: ", b"second")
    same("the new one opens, and removes the first", t.end(), 0)
    t = Terminal("info", "asked", "x")
    t.answer(b"Passphrase for asked: ", word)
    same("which opens no more", t.end(), 1)
    ok("wrong key", b"asked: wrong key" in t.text, t.text)

    write("plain", b"image" * 5000)
    with open("plain", "rb") as stdin, open("c", "wb") as stdout:
        t = Terminal("encrypt", "-", "-", stdin=stdin.fileno(),
                     stdout=stdout.fileno())
        t.answer(b"New passphrase for standard input: ", word)
        t.answer(b"Repeat .*: ", word)
        same("encrypt asks beside its pipes", t.end(), 0)
    same("and decrypts with it", run("decrypt", "--passfile", "typed", "c",
                                     "-").stdout, read("plain"))


def signals():
    for key, name, signo in [(b"\x03", "^C", signal.SIGINT),
                             (b"\x1c", "^\\", signal.SIGQUIT),
                             (None, "SIGTERM", signal.SIGTERM)]:
        t = Terminal("init", "signalled")
        t.until(b"New passphrase for signalled: ")
        t.type(b"half a pass")
        ok(f"{name}: no echo while it asks", not t.echoes())
        # The slave must stay open, or its settings are gone.
        slave = os.open(t.name(), os.O_RDWR | os.O_NOCTTY)
        if key:
            t.type(key)
        else:
            os.kill(t.pid, signo)
        _, status = os.waitpid(t.pid, 0)
        same("  it ends by the signal", os.waitstatus_to_exitcode(status),
             -signo)
        ok("  and the terminal echoes again", t.echoes())
        os.close(slave)
        os.close(t.fd)
        ok("  no archive", not os.path.exists("signalled"))
    t = Terminal("init", "stopped")
    t.until(b"New passphrase for stopped: ")
    # An orphaned process group is not stopped by the terminal: so be its parent
    os.kill(t.pid, signal.SIGTSTP)
    time.sleep(0.3)
    os.kill(t.pid, signal.SIGCONT)
    ok("after a stop it asks again",
       t.until(b"(?s)New passphrase for stopped: .*New passphrase"), t.text)
    ok("without echo", not t.echoes())
    os.kill(t.pid, signal.SIGKILL)
    t.end()


def slowly(*args):
    """Feed two seconds of input; return what chaosimg said meanwhile."""
    r, w = os.pipe()
    with open("out", "wb") as stdout:
        t = Terminal(*args, stdin=r, stdout=stdout.fileno())
    os.close(r)
    for _ in range(20):
        os.write(w, bytes(60000))
        t.until(b"(?!)", 0.1)
    os.close(w)
    return t.end(), t.text


def progress():
    status, text = slowly("encrypt", *KEY, "-", "-")
    same("encrypt", status, 0)
    ok("shows progress on a terminal", re.search(rb"\rencrypting: \d", text),
       text)
    ok("and clears it", text.endswith(b"\r\033[K"), text)
    feed = subprocess.Popen(["sh", "-c", "for i in 1 2 3 4 5 6; do "
                             "head -c 100000 /dev/zero; sleep 0.1; done"],
                            stdout=subprocess.PIPE)
    result = run("encrypt", *KEY, "-", "-", stdin=feed.stdout)
    feed.wait()
    ok("and none in a pipe", result.returncode == 0 and not result.stderr,
       result.stderr)
    master, slave = pty.openpty()
    fcntl.fcntl(master, fcntl.F_SETFL, os.O_NONBLOCK)
    fails("no ciphertext to a terminal", 1, "terminal", "encrypt", *KEY, "k",
          "-", stdout=slave)
    os.close(slave)
    os.close(master)


def main():
    scratch()
    keyfiles()
    init()
    info()
    keys()
    damaged()
    prompts()
    signals()
    progress()
    done()


main()
