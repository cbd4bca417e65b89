#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Policies of an archive: who sees what of it, by which attributes."""

import io
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time

try:
    import pydicom
except ImportError:
    pydicom = None

sys.dont_write_bytecode = True
sys.path.insert(0, "tests/lib")
import format_reader  # noqa: E402
from mounted import ARCHIVE, KEY, Mount, make, obstacle  # noqa: E402
from tap import (BUILD, CHAOSIMG, done, fails, ok, read, run,  # noqa: E402
                 same, scratch, skip, works, write)

SIGHT = "radiologist@hospital AND licensed@board"
CLERK = "clerk@hospital"


def authorities():
    for name in ("hospital", "board"):
        works(f"authority {name}", "authority", "init", name,
              name + ".secret", name + ".public")
    for user, authority, *attributes in (
            ("alice", "hospital", "radiologist", "ct"),
            ("alice", "board", "licensed"),
            ("bob", "hospital", "clerk"),
            ("carol", "hospital", "radiologist"),
            ("dave", "board", "licensed")):
        works(f"{user} gets {attributes}", "authority", "issue", "--user",
              user, "--output", f"{user}-{authority}", authority + ".secret",
              *attributes)
    for user in ("alice", "bob", "carol", "dave"):
        parts = [name for name in (f"{user}-hospital", f"{user}-board")
                 if os.path.exists(name)]
        works(f"{user}'s key", "user", "add", user, *parts)


def policy(action, *args, key=KEY):
    return ("policy", action, "--keyfile", key, *args, ARCHIVE)


def publics():
    return ("--authority", "hospital.public", "-a", "board.public")


def keysets():
    config = json.loads(read(f"{ARCHIVE}/chaosimg.json"))
    return config["keysets"]


def seen(user, *file):
    """What a user would see, keyset by keyset."""
    said = works(f"what {user} sees", "policy", "test", "--user", user,
                 ARCHIVE, *file).decode()
    return [line.split(" ", 2)[2] for line in said.splitlines()]


def setting():
    said = works("policies", *policy("set", "--clinical", SIGHT, "--pixels",
                                     SIGHT, "--identity", CLERK,
                                     *publics())).decode()
    same("make a new keyset", said, f"keyset {keysets()[-1]} serves new files\n")
    same("alice is a radiologist", seen("alice"), ["nothing", "clinical pixels"])
    same("bob is a clerk", seen("bob"), ["nothing", "identity"])
    same("carol lacks a licence", seen("carol"), ["nothing", "nothing"])
    same("dave has nothing but one", seen("dave"), ["nothing", "nothing"])
    fails("together they are no radiologist", 1, "dave: of dave, not of carol",
          "user", "add", "carol", "dave")
    works("keysets to come", "rekey", "--keyfile", KEY, ARCHIVE)
    same("are under them, too", seen("alice")[2:], ["clinical pixels"])
    same("attributes instead of a key", works(
        "test", "policy", "test", "--attribute", "radiologist@hospital",
        "--attribute", "licensed@board", ARCHIVE).decode().split("\n")[1],
        f"keyset {keysets()[1]} clinical pixels")


def showing():
    said = works("shown without a key", "policy", "show", ARCHIVE).decode()
    same("says that it is not verified", said.split("\n")[:4], [
        "verified no", f"clinical {SIGHT}", f"identity {CLERK}",
        f"pixels {SIGHT}"])
    ids = [run("authority", "show", name).stdout.decode().strip()
           for name in ("hospital.public", "board.public")]
    same("with the authorities", [line[10:] for line in said.splitlines()
                                  if line.startswith("authority ")],
         ids)
    same("and what each keyset is under", [
        line for line in said.splitlines() if line.startswith("keyset ")],
        [f"keyset {keyset} {part} {rule}" for keyset in keysets()[1:]
         for part, rule in (("clinical", SIGHT), ("identity", CLERK),
                            ("pixels", SIGHT))])
    with_key = works("shown with a key", *policy("show")).decode()
    same("it is verified", with_key, said.replace("verified no",
                                                  "verified yes"))


def refused():
    before = read(f"{ARCHIVE}/chaosimg.json"), os.listdir(f"{ARCHIVE}/keysets")
    fails("a malformed policy", 1, "pixels: policy, column 5: ",
          *policy("set", "--pixels", "a@x b@x"))
    fails("one that is odd", 1, "stands here a second time (--force",
          *policy("set", "--pixels", "a@board OR a@board"))
    fails("an unknown authority", 1, "the authority state is not known",
          *policy("set", "--pixels", "a@state"))
    works("an impostor", "authority", "init", "hospital", "i.secret",
          "i.public")
    fails("another authority of a known name", 1, "another authority that is "
          "called hospital", *policy("set", "--pixels", "a@hospital", "-a",
                                     "i.public"))
    works("another key", "keyfile", "other")
    fails("a wrong key", 1, "wrong key", *policy("set", "--pixels", "a@board",
                                                 key="other"))
    fails("a user's key", 1, "", *policy("set", "--pixels", "a@board",
                                         key="alice"))
    fails("no policy", 2, "a policy is needed", *policy("set"))
    fails("a compartment that there is not", 2, "not a compartment: bones",
          "policy", "remove", "--keyfile", KEY, ARCHIVE, "bones")
    fails("options of another action", 2, "are for set", "policy", "show",
          "--pixels", "a@x", ARCHIVE)
    fails("a key for a policy", 2, "a key is for an ARCHIVE", "policy",
          "check", "--keyfile", KEY, "a@x")
    fails("a user and attributes", 2, "exclude each other", "policy", "test",
          "--user", "alice", "--attribute", "a@x", ARCHIVE)
    same("nothing was changed", (read(f"{ARCHIVE}/chaosimg.json"),
                                 os.listdir(f"{ARCHIVE}/keysets")), before)


def altered():
    path = f"{ARCHIVE}/chaosimg.json"
    good = read(path)
    write(path, good.replace(b"clerk@", b"chief@"))
    fails("changed by hand", 1, "wrong checksum", "policy", "show", ARCHIVE)
    write(path, good)


def removing():
    works("identity's goes", "policy", "remove", "--keyfile", KEY, ARCHIVE,
          "identity")
    ok("the others stay", f"clinical {SIGHT}\nidentity -\npixels {SIGHT}\n"
       in works("shown", *policy("show")).decode())
    same("in the new keyset", seen("bob")[-2:], ["identity", "nothing"])
    works("all go", "policy", "remove", "--keyfile", KEY, ARCHIVE)
    same("in the next one", seen("alice")[-2:], ["clinical pixels", "nothing"])
    works("one comes back, for all keysets", *policy(
        "set", "--clinical", "ct@hospital OR ct@hospital", "--existing",
        "--force", "-a", "hospital.public"))
    same("old ones as well, and none is taken away", seen("alice"), [
        "clinical", "clinical pixels", "clinical pixels", "clinical pixels",
        "clinical", "clinical"])


def killed():
    """At any moment: the archive opens, and what is asked for again works."""
    chance = random.Random(int(os.environ.get("SEED", time.time())))
    for i in range(25):
        child = subprocess.Popen(
            [CHAOSIMG, *policy("set", "--pixels", f"ct@hospital OR n{i}@board",
                               "--existing", *publics())],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(chance.random() * 0.12)
        child.send_signal(signal.SIGKILL)
        child.wait()
        shown = run(*policy("show"))
        if shown.returncode or b"verified yes" not in shown.stdout:
            return ok("killed while policies are set", False, shown.stderr)
    ok("killed while policies are set", True)
    works("and completed", *policy("set", "--existing"))
    said = works("shown", *policy("show")).decode()
    rule = re.search("^pixels (.*)$", said, re.M).group(1)
    same("all keysets are under the last one", len(re.findall(
        f"^keyset [0-9a-f]+ pixels {re.escape(rule)}$", said, re.M)),
        len(keysets()))


def lost():
    """An escrow has no policies: whoever restores one is told."""
    result = run("key", "escrow", "--keyfile", KEY, "--output", "escrow",
                 ARCHIVE)
    ok("an escrow", result.returncode == 0, result)
    shutil.copyfile(f"{ARCHIVE}/chaosimg.json", "saved")
    os.unlink(f"{ARCHIVE}/chaosimg.json")
    result = run("key", "restore", "--escrow", "escrow", "--new-keyfile", KEY,
                 ARCHIVE)
    ok("policies are missed", result.returncode == 0 and
       b"its policies are lost" in result.stderr, result)
    ok("and are gone", b"clinical -\nidentity -\npixels -\n" in
       works("shown", *policy("show")))
    shutil.copyfile("saved", f"{ARCHIVE}/chaosimg.json")


# --- users mount it -----------------------------------------------------------

def content(user, name):
    """What a user's mount gives: bytes, or None for an error."""
    with Mount(key=user, at="theirs"):
        try:
            with open(f"theirs/{name}", "rb") as f:
                return f.read()
        except OSError:
            return None


def names(user):
    with Mount(key=user, at="theirs"):
        return sorted(os.listdir("theirs"))


def refuses(what, cause, user):
    """The mount is not made, and says why in one line."""
    told = subprocess.run([os.path.join(BUILD, "chaosimgfs"), "-o",
                           f"ro,keyfile={user}", ARCHIVE, "theirs"],
                          capture_output=True, text=True, check=False)
    ok(what, told.returncode == 1 and cause in told.stderr and
       told.stderr.count("\n") == 1, told.stderr)


def store(name, text):
    with Mount():
        write(f"mnt/{name}", text)


def mounting():
    works("policies for the mount", *policy(
        "set", "--clinical", SIGHT, "--pixels", SIGHT, "--identity", CLERK,
        *publics()))
    store("DOE^JANE", b"a note")
    same("a clerk sees names", names("bob"), ["DOE^JANE"])
    same("and what belongs to identity", content("bob", "DOE^JANE"), b"a note")
    seen_by_alice = names("alice")
    ok("a radiologist does not", len(seen_by_alice) == 1 and
       "DOE" not in seen_by_alice[0], seen_by_alice)
    ok("nor that", content("alice", seen_by_alice[0]) in (None, bytes(6)))
    for user in ("carol", "dave"):
        refuses(f"{user} sees nothing at all",
                f"the attributes of {user} open nothing of it", user)
    with Mount(key="bob", at="theirs"):
        ok("and nobody writes", not os.access("theirs/DOE^JANE", os.W_OK))
        same("of a file, by its stored name", seen("bob", stored_in("theirs")),
             ["identity"])
    same("and by its name", works(
        "test", "policy", "test", "--user", "bob", "--keyfile", KEY, ARCHIVE,
        "DOE^JANE").decode().split(" ", 2)[2], "identity\n")
    fails("which needs a key", 1, "as it is stored", "policy", "test",
          "--user", "bob", ARCHIVE, "DOE^JANE")


CT = "/usr/lib/python3/dist-packages/pydicom/data/test_files/CT_small.dcm"


def view(user, name):
    """A picture as a user's mount shows it: its bytes, and what they say."""
    data = content(user, name)
    return data, pydicom.dcmread(io.BytesIO(data), force=True)


def hidden_name(known):
    """The one file that a mount without names has got since."""
    return next(n for n in names("alice") if n not in known)


def pictures():
    """Each sees his part of a picture; under another keyset, another part."""
    original = pydicom.dcmread(CT)
    known = names("alice")
    store("CT", read(CT))
    first = hidden_name(known)
    works("clinical data for nobody", *policy("set", "--clinical",
                                              "nobody@hospital"))
    known = names("alice")
    store("CT2", read(CT))
    second = hidden_name(known)
    data, ds = view("alice", first)
    same("a radiologist gets a file of the same length", len(data),
         os.stat(CT).st_size)
    same("with the picture", ds.PixelData, original.PixelData)
    same("and clinical data", ds.KVP, original.KVP)
    ok("and not the patient", str(original.PatientName).encode() not in data)
    data, ds = view("alice", second)
    same("under another keyset the picture", ds.PixelData, original.PixelData)
    ok("but not clinical data", "KVP" not in ds or ds.KVP != original.KVP,
       ds.get("KVP"))
    data, ds = view("bob", "CT")
    same("a clerk gets the patient", ds.PatientName, original.PatientName)
    ok("and not the picture", ds.PixelData != original.PixelData)


def stored_in(mount):
    """The stored path of the one file in a mount."""
    ino = os.stat(f"{mount}/{os.listdir(mount)[0]}").st_ino
    return next(f"data/{e.name}" for e in os.scandir(f"{ARCHIVE}/data")
                if e.inode() == ino)


def revoking():
    """Who is not in the new policy loses new files at once, old ones later."""
    store("old", b"old")
    works("another policy", *policy("set", "--identity",
                                    "clerk@hospital AND trusted@board"))
    store("new", b"new")
    same("the old user reads old files", content("bob", "old"), b"old")
    same("and no new ones", content("bob", "new"), None)
    works("bob is trusted by the board", "authority", "issue", "--user", "bob",
          "--output", "bob-trusted", "board.secret", "trusted")
    works("another key of his", "user", "add", "bob2", "bob", "bob-trusted")
    same("opens both", (content("bob2", "old"), content("bob2", "new")),
         (b"old", b"new"))
    works("files move", "rekey", "--keyfile", KEY, "--reencrypt", ARCHIVE)
    same("then there are none for him", content("bob", "old"), None)
    same("and all of them for others", content("bob2", "old"), b"old")
    works("old keysets go", "rekey", "--keyfile", KEY, "--drop-old", ARCHIVE)
    refuses("nothing is left for him", "open nothing of it", "bob")
    same("and all for others", content("bob2", "new"), b"new")


def change(path, old, new):
    """In a text with a checksum, which is made right again."""
    text = read(path)
    assert text.count(old) == 1, text.count(old)
    body = text.replace(old, new).rsplit(b'  "checksum"', 1)[0]
    write(path, body + b'  "checksum": "%016x"\n}\n' %
          format_reader.xxh3(body))
    return text


def damaging():
    """Changed on purpose, checksums and all: one line, and nothing opens."""
    path = f"{ARCHIVE}/keysets/{keysets()[-1]}.json"
    wrap = re.search(rb'"identity", "key": "([0-9a-f]*)", "wrapped": '
                     rb'"([0-9a-f]*)"', read(path))
    flipped = b"%x" % (int(wrap[1][4000:4001], 16) ^ 1)
    for what, old, new, cause in (
            ("a ciphertext", wrap[1], wrap[1][:4000] + flipped +
             wrap[1][4001:], "damaged: wrong checksum"),
            ("a share", wrap[2], b"00" + wrap[2][2:], "damaged"),
            ("no policy", b'"identity", "key"', b'"identity", "kez"',
             '"key" is missing or wrong')):
        good = change(path, old, new)
        refuses(f"{what}, changed", cause, "bob2")
        result = run("fsck", "--keyfile", KEY, "--dry-run", ARCHIVE)
        if what != "a share":
            ok("fsck finds it", result.returncode == 1 and
               b"a wrap under a policy is damaged" in
               result.stdout + result.stderr, result)
        same("the archive key opens it all the same", run(
            "info", "--keyfile", KEY, ARCHIVE, "new").returncode, 0)
        write(path, good)
    path = f"{ARCHIVE}/chaosimg.json"
    good = change(path, b"clerk@hospital AND", b"cleric@hospital AND")
    fails("the policies, changed by hand", 1, "altered by someone without the "
          "key", *policy("show"))
    fails("no keyset is made under them", 1, "altered", "rekey", "--keyfile",
          KEY, ARCHIVE)
    write(path, good)
    same("the right ones are there again", content("bob2", "new"), b"new")


def users():
    os.mkdir("theirs")
    mounting()
    if pydicom:
        pictures()
        works("all is as it was", "policy", "set", "--keyfile", KEY,
              "--clinical", SIGHT, ARCHIVE)
    else:
        skip("pictures", "python3-pydicom is not installed")
    revoking()
    damaging()


def main():
    scratch()
    make()
    authorities()
    setting()
    showing()
    refused()
    altered()
    removing()
    killed()
    lost()
    if obstacle():
        skip("users mount it", obstacle())
    else:
        shutil.rmtree(ARCHIVE)
        works("an empty archive", "init", "--keyfile", KEY, ARCHIVE)
        users()
    done()


main()
