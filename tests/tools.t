#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""chaosimg encrypt, decrypt and cipher, and wrong usage of every command."""

import json
import os
import random
import resource
import signal
import subprocess
import sys

sys.path.insert(0, "tests/lib")
from tap import (CHAOSIMG, TOP, done, fails, ok, read, run, same, scratch,
                 works, write)

CHUNK = 8192
KEY = ("--keyfile", "k")


def usage():
    for args, cause in [
            ((), "no command"),
            (("frobnicate",), "frobnicate"),
            (("init",), "ARCHIVE"),
            (("init", *KEY, "a", "b"), "ARCHIVE"),
            (("init", "--keyfile"), "--keyfile"),
            (("init", "--nonsense", "a"), "--nonsense"),
            (("init", "-x", "a"), "-x"),
            (("init", *KEY, "--passfile", "p", "a"), "exclude"),
            (("init", *KEY, *KEY, "a"), "twice"),
            (("init", *KEY, "--chunk-size", "5000", "a"), "5000"),
            (("init", *KEY, "--chunk-size", "2048", "a"), "2048"),
            (("init", *KEY, "--chunk-size", "-4096", "a"), "-4096"),
            (("init", *KEY, "--chunk-size", "4096x", "a"), "4096x"),
            (("init", *KEY, "--chunk-size", "18446744073709555712", "a"),
             "chunk size"),
            (("keyfile",), "FILE"),
            (("keyfile", "a", "b"), "FILE"),
            (("key",), "ARCHIVE"),
            (("key", "add"), "ARCHIVE"),
            (("key", "frobnicate", "a"), "frobnicate"),
            (("key", "list", *KEY, "a"), "list"),
            (("key", "list", "--slot", "1", "a"), "list"),
            (("key", "list", "--new-keyfile", "k", "a"), "add"),
            (("key", "remove", *KEY, "a"), "--slot"),
            (("key", "remove", *KEY, "--slot", "-1", "a"), "-1"),
            (("key", "remove", *KEY, "--slot", "4294967296", "a"),
             "4294967296"),
            (("key", "add", *KEY, "--slot", "1", "a"), "slot"),
            (("info",), "ARCHIVE"),
            (("info", *KEY, "a"), "needs none"),
            (("info", *KEY, "a", "b", "c"), "ARCHIVE"),
            (("encrypt", *KEY, "in"), "OUT"),
            (("decrypt", *KEY, "in", "out", "x"), "OUT"),
            (("cipher",), "-e or -d"),
            (("cipher", "-e", "-d"), "-e or -d"),
            (("cipher", "-e"), "-k"),
            (("cipher", "-e", "-k", "00" * 31, "-i", "00" * 32), "key"),
            (("cipher", "-e", "-k", "0g" * 32, "-i", "00" * 32), "key"),
            (("cipher", "-e", "-k", "00" * 32, "-i", "00" * 33), "IV"),
            (("cipher", "--list", "-e"), "--list"),
            (("cipher", "-e", "operand"), "operand")]:
        fails("wrong usage: " + " ".join(args)[:60], 2, cause, *args)
        said = run(*args).stderr.decode()
        command = args[0] if args and args[0] != "frobnicate" else None
        hint = f"'chaosimg {command} --help'" if command else "'chaosimg --help'"
        ok("  and where to find help", hint in said, said)
    secret = "5ec7e7" * 11
    said = run("cipher", f"--iw={secret}").stderr.decode()
    ok("a mistyped option's argument is not repeated", secret not in said, said)
    said = run("cipher", "-e", "-k", secret, "-i", "00" * 32).stderr.decode()
    ok("a wrong key is not repeated", secret not in said, said)


def round_trips():
    rng = random.Random(20)
    for size in [0, 1, 15, 16, CHUNK - 1, CHUNK, CHUNK + 1, 10_000_000]:
        plain = rng.randbytes(size)
        write("plain", plain)
        works(f"{size} bytes encrypt to a file", "encrypt", *KEY, "plain", "c")
        works("  decrypt to a file", "decrypt", *KEY, "c", "back")
        ok("  and are the same", read("back") == plain)
        same("  readable by their owner only",
             os.stat("back").st_mode & 0o777, 0o600)
        piped = subprocess.run(
            f"'{CHAOSIMG}' encrypt --keyfile k - - <plain |"
            f"'{CHAOSIMG}' decrypt --keyfile k - - | cmp - plain",
            shell=True, capture_output=True, check=False)
        ok("  and the same through pipes", piped.returncode == 0 and
           not piped.stdout + piped.stderr, piped)
        ok("  of which nothing stands in the ciphertext",
           size < 16 or plain[:16] not in read("c"))
        os.unlink("c")
        os.unlink("back")
    write("plain", b"image" * 1000)
    stdin = works("a pipe to a file", "encrypt", *KEY, "-", "c",
                  data=read("plain"))
    same("  prints nothing", stdin, b"")
    same("a file to a pipe", works("decrypt", "decrypt", *KEY, "c", "-"),
         read("plain"))
    with open("c", "rb") as f:
        f.seek(1)
        result = run("decrypt", *KEY, "-", "-", stdin=f)
        same("standard input is read from where it stands",
             (result.returncode, result.stdout), (1, b""))
    first = read("c")
    works("encrypting again", "encrypt", "--force", *KEY, "plain", "c")
    ok("gives other ciphertext", first != read("c"))


def passfiles():
    write("p", b"correct horse\nbattery staple\n")
    write("p1", b"correct horse")
    write("p2", b"correct horse ")
    works("a passphrase encrypts", "encrypt", "--passfile", "p", "plain", "cp")
    same("its first line decrypts",
         works("decrypt", "decrypt", "--passfile", "p1", "cp", "-"),
         read("plain"))
    fails("another does not", 1, "cp: wrong key", "decrypt", "--passfile",
          "p2", "cp", "-")
    fails("nor does a key file", 1, "cp: wrong key", "decrypt", *KEY, "cp", "o")
    fails("nor another key file", 1, "c: wrong key", "decrypt", "--keyfile",
          "k2", "c", "o")
    ok("and nothing is left", not os.path.exists("o"))
    write("empty", b"")
    write("blank", b"\nsecond line\n")
    write("long", b"x" * 1025)
    for name in ["empty", "blank", "long"]:
        fails(f"an unfit passphrase: {name}", 1, name, "encrypt", "--passfile",
              name, "plain", "o")
    fails("no such key file", 1, "nokey: No such file", "encrypt",
          "--keyfile", "nokey", "plain", "o")
    fails("no key file", 1, "plain", "encrypt", "--keyfile", "plain",
          "plain", "o")
    os.chmod("k", 0o640)
    result = run("encrypt", *KEY, "plain", "o")
    os.chmod("k", 0o600)
    ok("a warning for a key file open to the group",
       result.returncode == 0 and b"k: warning" in result.stderr and
       result.stderr.count(b"\n") == 1, result)
    os.unlink("o")


def refused():
    write("old", b"old contents")
    fails("an existing OUT is refused", 1, "old: exists", "encrypt", *KEY,
          "plain", "old")
    same("and untouched", read("old"), b"old contents")
    works("--force replaces it", "encrypt", "--force", *KEY, "plain", "old")
    same("by the ciphertext", run("decrypt", *KEY, "old", "-").stdout,
         read("plain"))
    write("old", b"old contents")
    write("junk", os.urandom(100000))
    fails("junk is refused", 1, "junk: ", "decrypt", "-f", *KEY, "junk", "old")
    same("and OUT untouched, even with --force", read("old"), b"old contents")
    write("void", b"")
    fails("an empty file is refused", 1, "void: ", "decrypt", *KEY, "void", "o")
    os.symlink("target", "dangling")
    fails("a dangling link is no new OUT", 1, "dangling: ", "encrypt", *KEY,
          "plain", "dangling")
    for special in ["dangling", ".", "fifo"]:
        if special == "fifo":
            os.mkfifo(special)
        fails(f"nor is replaced by --force: {special}", 1, f"{special}: exists",
              "encrypt", "-f", *KEY, "plain", special)
    fails("IN that is not there", 1, "nothing: No such file", "encrypt", *KEY,
          "nothing", "o")
    fails("IN is a directory", 1, ".: is a directory", "encrypt", *KEY, ".",
          "o")
    fails("OUT in no directory", 1, "no/o: No such file", "encrypt", *KEY,
          "plain", "no/o")
    fails("OUT with an empty name", 1, "o/", "encrypt", *KEY, "plain", "o/")
    fails("a name with a line break stays in one line", 1, "a\\012b", "encrypt",
          *KEY, "a\nb", "o")
    os.mkdir("sub")
    works("OUT in a sub-directory", "encrypt", *KEY, "plain", "sub/o")
    works("IN and OUT may be the same", "encrypt", "-f", *KEY, "sub/o", "sub/o")
    same("no temporary file is left", os.listdir("sub"), ["o"])


def damaged():
    """Every damage is refused, leaves no OUT, and gives no wrong byte."""
    rng = random.Random(21)
    plain = rng.randbytes(3 * CHUNK + 1000)
    write("plain", plain)
    works("three chunks and a bit", "encrypt", *KEY, "plain", "good")
    good = read("good")
    before = sorted(os.listdir("."))
    bad = {"cut to nothing": b"", "doubled": good + good}
    for at in sorted(rng.sample(range(len(good)), 40)) + [0, len(good) - 1]:
        flipped = bytearray(good)
        flipped[at] ^= 1 << rng.randrange(8)
        bad[f"bit flipped in byte {at}"] = bytes(flipped)
    for cut in sorted(rng.sample(range(1, len(good)), 15)) + [len(good) - 1]:
        bad[f"cut to {cut}"] = good[:cut]
    for more in [1, 8, 100, CHUNK]:
        bad[f"extended by {more}"] = good + bytes(more)
    for what, data in bad.items():
        write("bad", data)
        result = run("decrypt", *KEY, "bad", "o")
        left = sorted(n for n in os.listdir(".") if n != "bad")
        # A bit of a header's spare copy may be overlooked; no wrong byte may.
        right = (what.startswith("bit") and os.path.exists("o") and
                 read("o") == plain)
        if right:
            os.unlink("o")
            left.remove("o")
        ok(f"{what}: refused, no OUT",
           left == before and ((result.returncode == 0 and right) or
                               (result.returncode == 1 and not right and
                                result.stderr.count(b"\n") == 1 and
                                b"bad" in result.stderr)), result)
        piped = run("decrypt", *KEY, "-", "-", data=data)
        ok("  and through a pipe nothing wrong",
           plain.startswith(piped.stdout) and
           (piped.returncode == 1 or piped.stdout == plain), piped.returncode)
    flipped = bytearray(good)
    flipped[-1000 - CHUNK // 2] ^= 1
    piped = run("decrypt", *KEY, "-", "-", data=bytes(flipped))
    ok("a failure midway says that the output is incomplete",
       piped.returncode == 1 and b"incomplete" in piped.stderr and
       piped.stderr.count(b"\n") == 1 and len(piped.stdout) < len(plain), piped)


def limit_files():
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (CHUNK, CHUNK))


def full():
    before = sorted(os.listdir("."))
    fails("OUT cannot grow: encrypt", 1, "o: ", "encrypt", *KEY, "plain", "o",
          preexec_fn=limit_files)
    fails("OUT cannot grow: decrypt", 1, "o: ", "decrypt", *KEY, "good", "o",
          preexec_fn=limit_files)
    fails("the spool cannot grow", 1, "temporary file", "encrypt", *KEY,
          "plain", "-", preexec_fn=limit_files)
    same("nothing is left", sorted(os.listdir(".")), before)
    fails("no place to spool", 1, "/nowhere: No such file", "encrypt", *KEY,
          "plain", "-", env={"TMPDIR": "/nowhere"})
    for args in [("encrypt", *KEY, "plain", "-"), ("decrypt", *KEY, "good", "-"),
                 ("cipher", "-e", "-k", "00" * 32, "-i", "00" * 32),
                 ("cipher", "--list"), ("--help",), ("key", "--help"),
                 ("--version",)]:
        with open("/dev/full", "wb") as out:
            fails(f"standard output is full: {args[0]}", 1,
                  "standard output: No space left", *args, data=bytes(100),
                  stdout=out)
        r, w = os.pipe()
        os.close(r)
        fails(f"standard output is a broken pipe: {args[0]}", 1,
              "standard output: Broken pipe", *args, data=bytes(100), stdout=w)
        os.close(w)
    closed = subprocess.run(f"'{CHAOSIMG}' decrypt --keyfile k good - >&-",
                            shell=True, capture_output=True, check=False)
    ok("standard output is closed", closed.returncode == 1 and
       b"standard output" in closed.stderr, closed)


def vectors():
    path = os.path.join(TOP, "tests/vectors/chaosimg.json")
    with open(path, encoding="ascii") as f:
        rows = json.load(f)
    listed = works("cipher --list", "cipher", "--list").decode().split()
    ok("generic is among them", "generic" in listed, listed)
    for impl in [None, *listed]:
        use = ("--impl", impl) if impl else ()
        wrong = 0
        for row in rows:
            key = ("-k", row["key"], "-i", row["iv"], *use)
            plain = bytes.fromhex(row["plaintext"])
            cipher = bytes.fromhex(row["ciphertext"])
            wrong += run("cipher", "-e", *key, data=plain).stdout != cipher
            wrong += run("cipher", "-d", *key, data=cipher).stdout != plain
        ok(f"{len(rows)} vectors, {impl or 'preferred'} implementation",
           rows and not wrong, f"{wrong} wrong")
    row = rows[-1]
    write("hex", row["key"].encode() + b"\n")
    same("the key from a file", run("cipher", "-e", "-k", "@hex", "-i",
                                    row["iv"],
                                    data=bytes.fromhex(row["plaintext"])).stdout,
         bytes.fromhex(row["ciphertext"]))
    same("capital digits", run("cipher", "-e", "-k", row["key"].upper(), "-i",
                               row["iv"].upper(),
                               data=bytes.fromhex(row["plaintext"])).stdout,
         bytes.fromhex(row["ciphertext"]))


def cipher_errors():
    zero = ("-k", "00" * 32, "-i", "00" * 32)
    fails("15 bytes are too short", 1, "16 bytes", "cipher", "-e", *zero,
          data=bytes(15))
    fails("no bytes are too short", 1, "16 bytes", "cipher", "-d", *zero)
    fails("no such implementation", 1, "abacus", "cipher", "-e", *zero,
          "--impl", "abacus", data=bytes(16))
    fails("no such key file", 1, "nokey: No such file", "cipher", "-e", "-k",
          "@nokey", "-i", "00" * 32, data=bytes(16))
    write("short", b"00" * 31)
    fails("a short key file", 1, "short: ", "cipher", "-e", "-k", "@short",
          "-i", "00" * 32, data=bytes(16))
    write("longer", b"00" * 32 + b"\n0")
    fails("a long key file", 1, "longer: ", "cipher", "-e", "-k", "@longer",
          "-i", "00" * 32, data=bytes(16))
    big = os.urandom(10_000_001)
    out = works("10 MB encrypt", "cipher", "-e", *zero, data=big)
    ok("to as many bytes", len(out) == len(big) and out != big)
    ok("and decrypt", run("cipher", "-d", *zero, data=out).stdout == big)
    child = subprocess.Popen([CHAOSIMG, "cipher", "-e", "-k", "5ec7e7ab" * 8,
                              "-i", "00" * 32],
                             stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    child.stdin.write(bytes(1 << 17))  # more than a pipe holds: it is reading
    child.stdin.flush()
    ok("the key is gone from the command line",
       b"cipher" in read(f"/proc/{child.pid}/cmdline") and
       b"5ec7e7ab" not in read(f"/proc/{child.pid}/cmdline"))
    child.stdin.close()
    child.wait()


def main():
    scratch()
    works("a key file", "keyfile", "k")
    works("another", "keyfile", "k2")
    usage()
    round_trips()
    passfiles()
    refused()
    damaged()
    full()
    vectors()
    cipher_errors()
    done()


main()
