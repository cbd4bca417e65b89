#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Mounts with the keys of some compartments, several at once.

The files are all that pydicom brings. With all keys they come back bit for
bit; with some, each file has to be what the mask library says
(tests/lib/mask_file.c), which tests/mask.t looks into more closely.
"""

import atexit
import contextlib
import errno
import os
import pathlib
import random
import shutil
import subprocess
import sys
import time
import warnings

sys.dont_write_bytecode = True
os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
sys.path.insert(0, "tests/lib")

import format_reader as reader  # noqa: E402
import mounted  # noqa: E402
from mounted import ARCHIVE, KEY, MNT, Mount  # noqa: E402
from tap import (BUILD, done, fails, ok, read, run, same, scratch,  # noqa: E402
                 skip, works, write)

TOOL = os.path.join(BUILD, "tests/mask_file")
STUDY = "/usr/lib/python3/dist-packages/pydicom/data"
# A mount, and what it holds; the letters are those of mask_file's views.
VIEWS = {"c": "clinical", "i": "identity", "p": "pixels",
         "cp": "clinical,pixels", "ip": "identity,pixels"}
LONG = "Mustermann^Erika^" * 14
LETTER = b"Dear colleague, thank you for referring Ms. Mustermann. " * 400
ZEROS = bytes(1 << 20)


# --- the files ----------------------------------------------------------------

def is_dicom(path):
    with open(path, "rb") as f:
        return f.read(132)[128:] == b"DICM"


def masks(files):
    """What each view must be of each file: by its number and letters."""
    archive = reader.Archive(ARCHIVE, KEY)
    uid_key = reader.expand(archive.config.key, b"chaosimg uid key v1", 32)
    os.mkdir("masks")
    result = subprocess.run(
        [TOOL, "make", "masks", *map(str, files)], check=False,
        env={**os.environ, "UID_KEY": uid_key.hex()}, capture_output=True)
    ok("masks were made", result.returncode == 0, result.stderr)


def fill(files):
    """One folder of images, and what is no image."""
    top = pathlib.Path(MNT)
    folder = top / "Mustermann^Erika"
    folder.mkdir()
    for n, path in enumerate(files):
        shutil.copyfile(path, folder / f"{n}.dcm")
    shutil.copyfile(files[0], top / LONG)
    (top / LONG[:200]).mkdir()
    (top / "letter.txt").write_bytes(LETTER)
    (top / "nothing").write_bytes(b"")
    os.symlink("Mustermann^Erika/0.dcm", top / "first")
    os.setxattr(top / "letter.txt", "user.patient", b"Erika Mustermann")
    os.link(top / "letter.txt", folder / "again.txt")


def names(at):
    """Names below a mount by the inode that they lead to; a set of each."""
    found = {}
    for where, folders, files in os.walk(at):
        for name in folders + files:
            path = os.path.join(where, name)
            found.setdefault(os.lstat(path).st_ino, set()).add(path)
    return found


# --- what is shown --------------------------------------------------------------

def inode(plain):
    return os.lstat(os.path.join(MNT, plain)).st_ino


def shown(tree, plain):
    """A path in another mount, of a file in the one with all keys."""
    return next(iter(tree[inode(plain)]))


def same_bytes(path, want):
    """None, or what is wrong with a file."""
    if os.lstat(path).st_size != len(want):
        return f"{os.lstat(path).st_size} bytes, want {len(want)}"
    got = read(path)
    if got != want:
        at = next((i for i, (a, b) in enumerate(zip(got, want)) if a != b),
                  len(got))
        return f"at {at}: {got[at:at + 30]}, want {want[at:at + 30]}"
    fd = os.open(path, os.O_RDONLY)
    try:
        for _ in range(20):
            at, size = random.randrange(len(want) + 1), random.randrange(30000)
            if os.pread(fd, size, at) != want[at:at + size]:
                return f"another {size} bytes at {at}"
    finally:
        os.close(fd)
    return None


def check_files(letters, tree, files):
    wrong = []
    for n, path in enumerate(files):
        want = read(path if letters == "all" else f"masks/{n}.{letters}")
        why = same_bytes(shown(tree, f"Mustermann^Erika/{n}.dcm"), want)
        if why:
            wrong.append(f"{path.name}: {why}")
    ok(f"{letters}: every file is what it must be", not wrong, *wrong[:10])
    want = read(files[0] if letters == "all" else f"masks/0.{letters}")
    same(f"{letters}: one with a long name", same_bytes(
        shown(tree, LONG), want), None)
    hidden = "i" not in letters and letters != "all"
    same(f"{letters}: what is no image", same_bytes(
        shown(tree, "letter.txt"), ZEROS[:len(LETTER)] if hidden else LETTER),
        None)
    same(f"{letters}: an empty file", read(shown(tree, "nothing")), b"")


def check_names(letters, at, tree):
    """Without identity, names are those on the disk."""
    plain = names(MNT)
    same(f"{letters}: as many entries", sorted(map(len, tree.values())),
         sorted(map(len, plain.values())))
    same(f"{letters}: hard links are", len(tree[inode("letter.txt")]), 2)
    link = shown(tree, "first")
    if "i" in letters:
        same(f"{letters}: names", sorted(os.listdir(at)),
             sorted(os.listdir(MNT)))
        same(f"{letters}: a link", os.readlink(link), "Mustermann^Erika/0.dcm")
        same(f"{letters}: an attribute", os.getxattr(
            shown(tree, "letter.txt"), "user.patient"), b"Erika Mustermann")
        return
    stored = {os.path.relpath(os.path.join(where, name), f"{ARCHIVE}/data")
              for where, folders, found in os.walk(f"{ARCHIVE}/data")
              for name in folders + found if "." not in name}
    same(f"{letters}: names are the stored ones",
         {os.path.relpath(p, at) for paths in tree.values() for p in paths},
         stored)
    same(f"{letters}: so is a link's target", os.readlink(link), os.readlink(
        os.path.join(ARCHIVE, "data", os.path.relpath(link, at))))
    same(f"{letters}: of that length", os.lstat(link).st_size,
         len(os.readlink(link)))
    letter = shown(tree, "letter.txt")
    same(f"{letters}: no attributes", os.listxattr(letter), [])
    refused(f"{letters}: not even by name", errno.ENODATA, os.getxattr, letter,
            "user.patient")
    for name in ("letter.txt", "chaosimg.dir", "z" + "0" * 52, "0" * 77):
        refused(f"{letters}: nothing is called {name[:12]}", errno.ENOENT,
                os.lstat, os.path.join(at, name))


def refused(name, want, call, *args):
    try:
        call(*args)
        ok(name, False, "it worked")
    except OSError as error:
        same(name, error.errno, want)


def check_readonly(letters, at, tree):
    path = shown(tree, "letter.txt")
    for what, call, args in (
            ("written", os.open, (path, os.O_WRONLY)),
            ("cut", os.truncate, (path, 0)),
            ("made", os.mkdir, (os.path.join(at, "new"),)),
            ("removed", os.unlink, (path,)),
            ("renamed", os.rename, (path, path + "x")),
            ("changed", os.chmod, (path, 0o600))):
        refused(f"{letters}: nothing can be {what}", errno.EROFS, call, *args)


def check_holes(letters, tree):
    """What is masked is data, wherever the disk has none."""
    path = shown(tree, "sparse.dcm")
    fd = os.open(path, os.O_RDONLY)
    size = os.fstat(fd).st_size
    same(f"{letters}: data", os.lseek(fd, 12345, os.SEEK_DATA), 12345)
    same(f"{letters}: no hole", os.lseek(fd, 0, os.SEEK_HOLE), size)
    os.close(fd)
    same(f"{letters}: as masked", same_bytes(path, read(
        f"sparse-masks/0.{letters}")), None)


# --- programs that read them ------------------------------------------------------

def check_programs(letters, tree, files):
    """DCMTK and pydicom open them; the patient is in none without identity."""
    import pydicom
    warnings.simplefilter("ignore")
    wrong = []
    for n, path in enumerate(files):
        if path.name.startswith("DICOMDIR"):
            continue        # pydicom wants to see its records
        mask = shown(tree, f"Mustermann^Erika/{n}.dcm")
        was = pydicom.dcmread(path, force=True)
        now = pydicom.dcmread(mask, force=True)
        for e in now.iterall():
            str(e.value)
        for keyword in ("PatientName", "PatientID", "PatientBirthDate"):
            value = str(was.get(keyword, ""))
            if "i" not in letters and len(value.strip(" X^1")) > 2 and \
                    str(now.get(keyword, "")) == value:
                wrong.append(f"{path.name}: {keyword} is {value}")
        if "i" in letters and was.get("PatientName") != now.get("PatientName"):
            wrong.append(f"{path.name}: another name")
        if subprocess.run(["dcmdump", "-q", mask], check=False,
                          stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL).returncode and \
                not subprocess.run(["dcmdump", "-q", path], check=False,
                                   stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL).returncode:
            wrong.append(f"{path.name}: DCMTK")
    ok(f"{letters}: programs read them", not wrong, *wrong[:10])


# --- at once with a writer ----------------------------------------------------------

def within(seconds, what):
    """Does it become true?"""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if what():
            return True
        time.sleep(0.1)
    return False


def check_writer(trees, files):
    """What is written meanwhile is zeros until it is sealed, and then masked."""
    path = os.path.join(MNT, "Mustermann^Erika/0.dcm")
    new = read(files[1])
    with open(path, "r+b") as f:
        f.truncate(0)
        f.write(new[:2000])
        f.flush()
        os.fsync(f.fileno())
        f.write(new[2000:])
    for letters, tree in trees.items():
        mask = shown(tree, "Mustermann^Erika/0.dcm")
        want = read(f"masks/1.{letters}")
        ok(f"{letters}: a file that was written again",
           within(10, lambda m=mask, w=want: same_bytes(m, w) is None),
           same_bytes(mask, want))
    with open(path, "wb") as f:
        f.write(new)
        f.flush()
        os.fsync(f.fileno())
        os.pwrite(f.fileno(), b"x", 5)
        time.sleep(1.5)
        for letters, tree in trees.items():
            mask = shown(tree, "Mustermann^Erika/0.dcm")
            got = read(mask)
            ok(f"{letters}: one that is being written shows nothing",
               not got.strip(b"\0") or
               got == read(f"masks/1.{letters}"), got[:60])


def check_new_keyset(trees, files):
    works("a new keyset", "rekey", "--keyfile", KEY, ARCHIVE)
    time.sleep(1.5)
    shutil.copyfile(files[2], os.path.join(MNT, "under the new one"))
    for letters, at in trees.items():
        path = shown(names(at), "under the new one")
        same(f"{letters}: a file under a new keyset",
             same_bytes(path, read(f"masks/2.{letters}")), None)


# --- damage ----------------------------------------------------------------------------

def flip(path, at):
    with open(path, "r+b") as f:
        f.seek(at)
        byte = f.read(1)
        f.seek(at)
        f.write(bytes([byte[0] ^ 1]))


def fate(at, tree_name, want):
    """"same", "EIO", or "wrong"."""
    try:
        return "same" if read(shown(names(at), tree_name)) == want else "wrong"
    except OSError as error:
        return errno.errorcode[error.errno]


def check_damage(files):
    """Who needs what is damaged gets EIO; nobody gets wrong bytes."""
    n = next(i for i, p in enumerate(files) if p.name == "CT_small.dcm")
    size = os.path.getsize(files[n])
    name = f"Mustermann^Erika/{n}.dcm"
    with Mount("ro"):
        stored = os.path.join(ARCHIVE, mounted.stored(name))
        parts = int.from_bytes(read(stored)[80:88], "little")
        length = int.from_bytes(read(stored)[88:96], "little")
    before = read(stored)
    slot = before[2048:4096]
    if int.from_bytes(slot[48:56], "little") > \
            int.from_bytes(before[48:56], "little"):
        parts = int.from_bytes(slot[80:88], "little")
        length = int.from_bytes(slot[88:96], "little")
    ok("a file has parts", parts and length, parts, length)
    middle = 4096 + (size // 8192 // 2) * (8192 + 56) + 100
    for what, at, want in (
            ("a record of pixels", middle,
             {"all": "EIO", "cp": "EIO", "p": "EIO", "c": "same", "i": "same"}),
            ("the mask", parts + 60,
             {"all": "same", "cp": "EIO", "c": "EIO", "i": "EIO"})):
        flip(stored, at)
        for letters, fate_wanted in want.items():
            key = KEY if letters == "all" else f"{letters}.key"
            with Mount("ro", key=KEY), Mount("ro", key=key, at="c"):
                original = read(files[n]) if letters == "all" else \
                    read(f"masks/{n}.{letters}")
                same(f"{letters}: {what} is damaged",
                     fate("c", name, original), fate_wanted)
        flip(stored, at)
        same("put right again", read(stored) == before, True)


# --- keys that are wrong, and commands ---------------------------------------------------

def check_export():
    for letters, compartments in VIEWS.items():
        works(f"a key file for {compartments}", "key", "export", "--keyfile",
              KEY, "--compartments", compartments, ARCHIVE, f"{letters}.key")
        same("for its owner only", os.stat(f"{letters}.key").st_mode & 0o7777,
             0o600)
    fails("it is not overwritten", 1, "c.key: File exists", "key", "export",
          "--keyfile", KEY, "--compartments", "pixels", ARCHIVE, "c.key")
    fails("no such compartment", 2, "no such compartment: pixel", "key",
          "export", "--keyfile", KEY, "--compartments", "pixel", ARCHIVE, "x")
    fails("none at all", 2, "export needs --compartments", "key", "export",
          "--keyfile", KEY, ARCHIVE, "x")
    fails("no file", 2, "export needs a FILE", "key", "export", "--keyfile",
          KEY, "--compartments", "pixels", ARCHIVE)
    fails("none from who has some", 1, "for reading only", "key", "export",
          "--keyfile", "cp.key", "--compartments", "pixels", ARCHIVE, "x")


def says(options, key):
    """A mount that fails: its exit status and what it says."""
    result = subprocess.run(
        [os.path.join(BUILD, "chaosimgfs"), "-o", f"keyfile={key}{options}",
         ARCHIVE, "c"], capture_output=True, text=True, check=False,
        timeout=60)
    return result.returncode, result.stderr


def check_wrong_keys():
    works("another archive", "init", "--keyfile", KEY, "another")
    works("its key file", "key", "export", "--keyfile", KEY, "--compartments",
          "clinical,pixels", "another", "another.key")
    status, text = says("", "another.key")
    ok("the key of another archive", status == 1 and text.count("\n") == 2 and
       "another archive" in text, status, text)
    line = read("cp.key")
    for what, data in (("cut", line[:100]), ("altered", line.replace(
            b"pixels", b"pixelz")), ("long", line.rstrip() + b"0\n")):
        write("bad.key", data)
        status, text = says(",ro", "bad.key")
        ok(f"a key file that is {what}", status == 1 and
           text.count("\n") == 1 and "damaged compartment key file" in text,
           status, text)


def check_commands(tree):
    partial = ("--keyfile", "cp.key")
    stored = os.path.relpath(shown(tree, "Mustermann^Erika/2.dcm"), "cp")
    text = works("info of a file", "info", *partial, ARCHIVE, stored).decode()
    ok("tells the modality", "modality" in text.lower(), text)
    works("info of its stored path", "info", *partial, ARCHIVE,
          "data/" + stored)
    fails("info of its plain path", 1, "no such file", "info", *partial,
          ARCHIVE, "Mustermann^Erika/2.dcm")
    for command in (("fsck", "--dry-run"), ("fsck",), ("rekey",),
                    ("rekey", "--reencrypt"), ("key", "add"),
                    ("key", "escrow")):
        fails(f"{' '.join(command)} with some keys", 1,
              "needs all keys" if command == ("fsck", "--dry-run") else
              "for reading only", *command, *partial, ARCHIVE)
    result = run("key", "add", "--keyfile", KEY, "--new-keyfile", "cp.key",
                 ARCHIVE)
    ok("no slot for it", result.returncode == 1 and
       b"opens no key slot" in result.stderr, result.stderr)


def check_user(files):
    """Who has attributes that a policy asks for sees what it is for."""
    works("an authority", "authority", "init", "hospital", "h.secret",
          "h.public")
    works("a radiologist", "authority", "issue", "--user", "erika", "--output",
          "user.key", "h.secret", "radiologist")
    policy = "radiologist@hospital"
    works("policies", "policy", "set", "--keyfile", KEY, "--clinical", policy,
          "--pixels", policy, "--identity", "clerk@hospital", "--authority",
          "h.public", "--existing", ARCHIVE)
    with Mount():
        shutil.copyfile(files[0], os.path.join(MNT, "Mustermann^Erika/0.dcm"))
    with Mount("ro"), Mount(key="user.key", at="c"):
        tree = names("c")
        check_names("cp", "c", tree)
        check_readonly("cp", "c", tree)
        check_files("cp", tree, files)


# --- all of it -------------------------------------------------------------------------------

def main():
    reason = mounted.obstacle()
    if reason or not os.path.isdir(STUDY):
        skip("masked mounts", reason or "needs the files of pydicom")
        done()
    files = sorted(p for p in pathlib.Path(STUDY).rglob("*")
                   if p.is_file() and is_dicom(p))
    scratch()
    mounted.make()
    masks(files)
    with Mount():
        fill(files)
        shutil.copyfile(next(p for p in files if p.name == "CT_small.dcm"),
                        os.path.join(MNT, "sparse.dcm"))
        os.truncate(os.path.join(MNT, "sparse.dcm"), 300000)
    make_sparse_masks()
    check_export()
    for letters in VIEWS:
        os.mkdir(letters)
    check_wrong_keys()
    with Mount():
        stack = contextlib.ExitStack()
        atexit.register(stack.close)
        for letters in VIEWS:
            stack.enter_context(Mount(key=f"{letters}.key", at=letters))
        log = read("daemon.log").decode()
        same("each says that it is read-only",
             log.count("read-only, as the key opens compartments only"),
             len(VIEWS))
        check_files("all", names(MNT), files)
        for letters in VIEWS:
            tree = names(letters)
            check_names(letters, letters, tree)
            check_files(letters, tree, files)
            check_readonly(letters, letters, tree)
            check_holes(letters, tree)
            if letters in ("cp", "i"):
                check_programs(letters, tree, files)
        check_commands(names("cp"))
        check_new_keyset({v: v for v in VIEWS}, files)
        check_writer({v: names(v) for v in VIEWS}, files)
        stack.close()
    check_damage(files)
    check_user(files)
    works("all is whole", "fsck", "--keyfile", KEY, ARCHIVE)
    works("all is whole without a key, too", "scrub", ARCHIVE)
    done()


def make_sparse_masks():
    """The same for a file with a hole at its end."""
    archive = reader.Archive(ARCHIVE, KEY)
    uid_key = reader.expand(archive.config.key, b"chaosimg uid key v1", 32)
    with Mount("ro"):
        write("sparse", read(os.path.join(MNT, "sparse.dcm")))
    os.mkdir("sparse-masks")
    subprocess.run([TOOL, "make", "sparse-masks", "sparse"], check=True,
                   env={**os.environ, "UID_KEY": uid_key.hex()},
                   stdout=subprocess.DEVNULL)


main()
