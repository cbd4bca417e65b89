#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""chaosimg authority, user and policy: who issues what, and whom it lets in."""

import os
import re
import stat
import sys

sys.path.insert(0, "tests/lib")
from tap import done, fails, ok, read, run, same, scratch, works, write


def mode(path):
    return stat.S_IMODE(os.stat(path).st_mode)


def authorities():
    said = works("an authority", "authority", "init", "hospital", "h.secret",
                 "h.public").decode()
    ok("tells its id", re.fullmatch("[0-9a-f]{64} hospital\n", said), said)
    same("the secret key is its owner's", mode("h.secret"), 0o600)
    same("show tells the same", works("show", "authority", "show",
                                      "h.public").decode(), said)
    works("another one", "authority", "init", "board", "b.secret", "b.public")
    before = read("h.secret"), read("h.public")
    fails("no key is overwritten", 1, "h.secret: File exists", "authority",
          "init", "hospital", "h.secret", "x.public")
    fails("nor a public one", 1, "h.public", "authority", "init", "hospital",
          "x.secret", "h.public")
    same("both are as they were", (read("h.secret"), read("h.public")), before)
    ok("and nothing else is left", not os.path.exists("x.public") and
       not os.path.exists("x.secret"))
    fails("a bad name", 1, "not an authority's name", "authority", "init",
          "the hospital", "x.secret", "x.public")
    fails("a secret key is no public one", 1, "h.secret: not an authority's "
          "public key", "authority", "show", "h.secret")
    ok("neither says anything of the other's secret",
       before[0][24:-8] not in before[1])


def issue(user, authority, output, *attributes):
    return ("authority", "issue", "--user", user, "--output", output,
            authority + ".secret", *attributes)


def users():
    works("attributes", *issue("alice", "h", "alice-h", "radiologist", "ct"))
    same("are for one person", mode("alice-h"), 0o600)
    works("from elsewhere", *issue("alice", "b", "alice-b", "licensed"))
    works("for another person", *issue("bob", "b", "bob-b", "licensed",
                                       "chief"))
    fails("no file is overwritten", 1, "alice-h", *issue("alice", "h",
                                                         "alice-h", "ct"))
    fails("a bad attribute", 1, "\"a@b\" is not an attribute's name",
          *issue("alice", "h", "x", "a@b"))
    fails("one twice", 1, "ct is there twice", *issue("alice", "h", "x", "ct",
                                                      "ct"))
    fails("a bad user", 1, "not a user's name", *issue("a\nb", "h", "x", "ct"))
    write("public", read("h.public"))
    fails("a public key issues nothing", 1, "public: not an authority's "
          "secret key", "authority", "issue", "-u", "alice", "-o", "x",
          "public", "ct")
    fails("no attribute", 2, "ATTRIBUTE", *issue("alice", "h", "x"))
    ok("and no file is made", not os.path.exists("x"))
    works("merged", "user", "add", "alice.key", "alice-h", "alice-b")
    same("is the user's, too", mode("alice.key"), 0o600)
    said = works("shown", "user", "show", "alice.key").decode()
    same("with all attributes", [line for line in said.splitlines()
                                 if not line.startswith("authority")],
         ["user alice", "attribute radiologist@hospital",
          "attribute ct@hospital", "attribute licensed@board"])
    ids = [run("authority", "show", name).stdout.decode()
           for name in ("h.public", "b.public")]
    same("and the authorities' ids", [line[10:] + "\n" for line in
                                      said.splitlines()
                                      if line.startswith("authority ")], ids)
    before = read("alice.key")
    fails("another user's do not fit", 1, "bob-b: of bob, not of alice",
          "user", "add", "alice.key", "bob-b")
    same("and change nothing", read("alice.key"), before)
    works("later ones do", *issue("alice", "b", "alice-b2", "chief"))
    works("without the old ones' files", "user", "add", "alice.key",
          "alice-b2")
    ok("are added", b"chief@board" in run("user", "show", "alice.key").stdout)
    fails("a name too long for a key", 1, "longer than 100 bytes", "user",
          "add", "k" * 101, "alice-h")
    os.chmod("alice.key", 0o644)
    ok("an exposed key is warned of",
       b"warning" in run("user", "show", "alice.key").stderr)
    os.chmod("alice.key", 0o600)


def impostor():
    """Another authority under a known name."""
    works("an impostor", "authority", "init", "hospital", "i.secret",
          "i.public")
    works("issues", *issue("alice", "i", "alice-i", "admin"))
    fails("what does not go with the real one's", 1, "alice-i: another "
          "authority that is called hospital", "user", "add", "alice.key",
          "alice-i")
    fails("two of one name are refused", 1, "same name", "policy", "check",
          "-a", "h.public", "-a", "i.public", "a@hospital")


def damaged():
    for name, show in (("alice.key", "user"), ("h.public", "authority")):
        good = read(name)
        for what, data in {
                "empty": b"", "cut": good[:-1], "longer": good + b"x",
                "a byte changed": good[:99] + bytes([good[99] ^ 1]) +
                good[100:], "no key": b"\0" * 999,
                "newer": good[:8] + b"\2" + good[9:],
                "huge": good + b"\0" * (1 << 20)}.items():
            write("damaged", data)
            fails(f"{name}: {what}", 1, "damaged: ", show, "show", "damaged")
            write("damaged.key", good)
    write("damaged", read("h.secret")[:-1])
    fails("a secret key, cut", 1, "damaged: ", "authority", "issue", "-u", "x",
          "-o", "x", "damaged", "ct")
    fails("a directory", 1, ".: Is a directory", "user", "show", ".")
    fails("nothing", 1, "nothing: No such", "user", "show", "nothing")


def policies():
    same("checked, and printed in its one form", works(
        "a policy", "policy", "check",
        "radiologist@hospital and licensed@board or 1 of (chief@board)"),
        b"(radiologist@hospital AND licensed@board) OR chief@board\n")
    fails("an error has a place", 1, "policy, column 6: ", "policy", "check",
          "a@x  b@x")
    fails("an odd one", 1, "column 8: a@x stands here a second time",
          "policy", "check", "a@x OR a@x")
    works("known authorities", "policy", "check", "-a", "h.public", "-a",
          "b.public", "ct@hospital AND chief@board")
    fails("an unknown one", 1, "x@state: the authority is not known",
          "policy", "check", "-a", "h.public", "ct@hospital OR x@state")
    works("bob's key", "user", "add", "bob.key", "bob-b")
    rule = "(radiologist@hospital AND licensed@board) OR 2 OF (ct@hospital, " \
        "chief@board, auditor@state)"
    same("whom it lets in", works("test", "policy", "test", rule, "alice.key",
                                  "bob.key", "alice-h"),
         b"yes alice.key alice\nno  bob.key bob\nno  alice-h alice\n")
    same("an impostor's attributes count", works(
        "test", "policy", "test", "admin@hospital", "alice-i"),
        b"yes alice-i alice\n")
    same("unless the authority is given", works(
        "test", "policy", "test", "-a", "h.public", "admin@hospital",
        "alice-i"), b"no  alice-i alice\n")
    for args in (["check"], ["test", "a@x"], ["check", "a@x", "b@x"], ["x"],
                 []):
        fails(f"misused: {args}", 2, "chaosimg policy --help", "policy", *args)


def main():
    scratch()
    authorities()
    users()
    impostor()
    damaged()
    policies()
    done()


main()
