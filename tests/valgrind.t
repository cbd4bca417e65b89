#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The daemon under valgrind's memcheck, which finds what is used before it was
set, as no sanitizer does here, what is not given back, and open descriptors:
several processes at the same files, images by rules and policies, a mount with
some keys, an ingest mount, and an upgrade.

VALGRIND=commands: longer, and then each command. VALGRIND=all: and then the unit
tests. VALGRIND="test_rules tools-info.t": only these, the latter with all that they
start in memcheck; not all such tests can be used in this way.
"""

import atexit
import glob
import mmap
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time

sys.dont_write_bytecode = True
os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
sys.path.insert(0, "tests/lib")

from dicom_element import element  # noqa: E402
from load import NAMES, load  # noqa: E402
import mounted  # noqa: E402
from mounted import ARCHIVE, KEY, MNT  # noqa: E402
from tap import (BUILD, TOP, done, ok, read, same, scratch, skip,  # noqa: E402
                 works, write)

MORE = os.environ.get("VALGRIND", "")
OWN = MORE in ("", "all", "commands")
SECONDS, WORKERS = (60, 6) if MORE and OWN else (2, 3)
# Memcheck's CPU has no VAES or AVX-512, as the kernel says; and it does not know
# mlock2(2).
NOT_HERE = {"test_features", "secrets_stay_locked_in_a_daemon"}
PATIENT = b"Mustermann^Erika"


# --- programs in memcheck, and what it says of them -------------------------------

OPTIONS = ("-q", "--vgdb=no", "--num-callers=30", "--error-exitcode=99")
PROGRAMS = ("--leak-check=full", "--track-fds=yes",
            "--errors-for-leak-kinds=definite,indirect,possible",
            "--show-leak-kinds=definite,indirect,possible",
            "--sim-hints=fuse-compatible")
# Where unit tests fork, the other process leaves all as it is. What the tests
# themselves leave behind, LeakSanitizer looks at.
UNITS = ("--leak-check=no",)


def valgrind(*options):
    return ["valgrind", *OPTIONS, *options,
            f"--log-file={os.path.abspath('logs')}/%p"]


def compile_preload():
    made = subprocess.run(
        [*os.environ.get("CC", "cc").split(), "-O1", "-Wall", "-D_GNU_SOURCE",
         "-fPIC", "-shared", "-o", "preload.so",
         os.path.join(TOP, "tests/lib/under_valgrind.c"), "-lseccomp",
         "-lcrypto"], check=False, capture_output=True, text=True)
    return ok("compile what is loaded before", not made.returncode, made.stderr)


def wrap(folder, *programs):
    """A folder that is like BUILD, but these programs run in memcheck."""
    os.mkdir(folder)
    for name in os.listdir(BUILD):
        if name not in programs:
            os.symlink(os.path.join(BUILD, name), os.path.join(folder, name))
    for name in programs:
        write(os.path.join(folder, name), "\n".join((
            "#!/bin/sh", f"export LD_PRELOAD={os.path.abspath('preload.so')}",
            f"exec {' '.join(valgrind(*PROGRAMS))} {BUILD}/{name} \"$@\"", "")).encode(),
            0o755)


def complaints(log):
    """All of a log but what was open from the start, and valgrind's own gaps."""
    text = read(log).decode(errors="replace")
    text = re.sub(r"^==\d+== FILE DESCRIPTORS: .*\n", "", text, flags=re.M)
    text = re.sub(r"^--\d+-- .*\n", "", text, flags=re.M)
    parts = re.split(r"^==\d+== *\n", text, flags=re.M)
    return "\n".join(part for part in parts
                     if part and "<inherited from parent>" not in part)


def running():
    return [int(name) for name in os.listdir("logs")
            if os.path.exists(f"/proc/{name}")]


def judge(what):
    for _ in range(600):
        if not running():
            break
        time.sleep(0.1)
    logs = glob.glob("logs/*")
    said = [text for text in map(complaints, logs) if text]
    ok(f"{what}: memcheck finds nothing in {len(logs)} processes",
       logs and not said and not running(), *said[:20], *running())
    for log in logs:
        os.unlink(log)


class Mount(mounted.Mount):
    """The daemon in memcheck, by whatever options."""

    def __init__(self, *options, at=MNT, archive=ARCHIVE):
        super().__init__(at=at, archive=archive)
        self.options = ",".join(options)

    def command(self):
        return [os.path.abspath("short/chaosimgfs"), *super().command()[1:]]

    def detached(self):
        """As everyone calls it: the daemon is another process."""
        return [word for word in self.command() if word != "-f"]


# --- the daemon ----------------------------------------------------------------

def image(modality, size=20000):
    return bytes(128) + b"DICM" + b"".join([
        element(0x00020010, b"UI", b"1.2.840.10008.1.2.1"),
        element(0x00080060, b"CS", modality),
        element(0x00100010, b"PN", PATIENT),
        element(0x7FE00010, b"OW", random.randbytes(size))])


def policies():
    """Rules, which need a second keyset, and keys for others."""
    works("an authority", "authority", "init", "hospital", "secret", "public")
    works("a policy for hearts", "policy", "set", "--keyfile", KEY, "--name",
          "heart", *(word for part in ("clinical", "pixels", "identity")
                     for word in (f"--{part}", "heart@hospital")),
          "--authority", "public", ARCHIVE)
    write("rules", b"rule heart\n    Modality = US\n    policy heart\n")
    works("rules", "rules", "set", "--keyfile", KEY, ARCHIVE, "rules")
    works("keys of compartments", "key", "export", "--keyfile", KEY,
          "--compartments", "clinical,pixels", ARCHIVE, "some")
    works("parameters", "ingest", "params", "--keyfile", KEY, ARCHIVE,
          "params")


def by_mapping(path):
    with open(path, "r+b") as f, mmap.mmap(f.fileno(), 0) as data:
        data[5000:5004] = b"here"
        data.flush()
    with open(path, "r+b") as f:
        f.seek(300000)
        f.write(b"after a hole")
        os.posix_fadvise(f.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        return os.lseek(f.fileno(), 0, os.SEEK_HOLE)


def files(at):
    """Images and others; all of them are read, and some removed."""
    data = {f"{modality.decode()}{i}": image(modality, 20000 * i)
            for modality in (b"US", b"CT") for i in range(4)}
    data["note"] = b"no image" * 2000
    os.mkdir(f"{at}/many")
    for name, content in data.items():
        write(f"{at}/many/{name}", content)
        os.setxattr(f"{at}/many/{name}", "user.note", b"value")
    for i in range(60):
        os.close(os.open(f"{at}/many/{i}-{'n' * i}", os.O_CREAT, 0o600))
    same("all is read", [name for name, content in data.items()
                         if read(f"{at}/many/{name}") != content], [])
    same("all is listed", len(os.listdir(f"{at}/many")), 60 + len(data))
    by_mapping(f"{at}/many/note")
    for i in range(0, 60, 2):
        os.unlink(f"{at}/many/{i}-{'n' * i}")
    os.rename(f"{at}/many/1-n", f"{at}/many/note")


def users():
    """Somebody with a part of the keys, and a device without any."""
    for name in "at-some", "edge", "at-edge":
        os.mkdir(name)
    with Mount("keyfile=some", at="at-some"), \
            Mount("ingest", "params=params", "ingest-epoch=1", archive="edge",
                  at="at-edge"):
        write("at-edge/US", image(b"US"))
        paths = [os.path.join(top, name)
                 for top, _, names in os.walk("at-some") for name in names]
        shown = [read(path) for path in paths if not os.path.islink(path)]
        same("without identity no patient is seen", len(shown) > 30 and
             [data for data in shown if PATIENT in data], [])
        os.mkdir("at-edge/one")
        os.unlink("at-edge/US")


def own():
    mounted.make()
    policies()
    seed = random.randrange(1 << 30)
    print(f"# seed {seed}")
    key = f"keyfile={KEY}"
    with Mount(key) as old:
        for folder in "one", "two":
            os.mkdir(f"{MNT}/{folder}")
        files(MNT)
        works("a new keyset", "rekey", "--keyfile", KEY, ARCHIVE)
        works("files move to it", "rekey", "--keyfile", KEY, "--reencrypt",
              ARCHIVE)
        load(seed, NAMES, WORKERS, SECONDS)
        subprocess.run(Mount(key, "replace").detached(), check=True, timeout=60)
        same("the old daemon ends", old.daemon.wait(60), 0)
    users()
    ok("the new one serves", os.path.ismount(MNT) and os.listdir(f"{MNT}/many"))
    for pid in running():
        os.kill(pid, signal.SIGTERM)
    judge("the daemon")
    said = read("daemon.log").decode().splitlines()
    ok("nothing else is said", len(said) == 2 and "read-only" in said[0] and
       "held back" in said[1], *said)


# --- what takes long ------------------------------------------------------------------

def in_memcheck(*command):
    """A command that has to succeed; what it says is not looked at."""
    result = subprocess.run(["long/chaosimg", *command], check=False,
                            stdin=subprocess.DEVNULL, capture_output=True,
                            timeout=600)
    ok(" ".join(command), not result.returncode, result.stderr)


def commands():
    """Each command once, on an archive that the daemon has filled."""
    key, to = ("--keyfile", KEY), f"{ARCHIVE}2"
    write("pass", b"correct horse battery staple\n")
    write("us", image(b"US"))
    in_memcheck("keyfile", "key2")
    in_memcheck("init", "--keyfile", "key2", to)
    in_memcheck("key", "add", *key, "--new-passfile", "pass", ARCHIVE)
    in_memcheck("key", "list", ARCHIVE)
    in_memcheck("info", "--passfile", "pass", ARCHIVE, "many/US1")
    in_memcheck("key", "remove", *key, "--slot", "1", ARCHIVE)
    in_memcheck("key", "export", *key, "--compartments", "pixels", ARCHIVE, "p")
    in_memcheck("key", "escrow", *key, "--output", "escrow", ARCHIVE)
    for options in ("--json",), ("--threads", "3"):
        in_memcheck("info", "--json", ARCHIVE)
        in_memcheck("scrub", *options, ARCHIVE)
        in_memcheck("fsck", *key, *options, ARCHIVE)
    for what in "encrypt", "decrypt":
        in_memcheck(what, *key, "us" if what == "encrypt" else "us.cp",
                    "us.cp" if what == "encrypt" else "us.again")
    access(key)
    in_memcheck("rekey", *key, ARCHIVE)
    in_memcheck("rekey", *key, "--reencrypt", ARCHIVE)
    in_memcheck("rekey", *key, "--drop-old", ARCHIVE)
    os.unlink(f"{ARCHIVE}/chaosimg.json")
    in_memcheck("key", "restore", "--escrow", "escrow", "--new-keyfile", KEY,
                ARCHIVE)
    in_memcheck("fsck", *key, ARCHIVE)
    judge("the command")


def access(key):
    """Authorities, users, policies and rules."""
    heart = "heart@hospital"
    in_memcheck("authority", "init", "board", "secret2", "public2")
    in_memcheck("authority", "show", "public", "public2")
    in_memcheck("authority", "issue", "--user", "gina", "--output", "part",
                "secret", "heart")
    in_memcheck("user", "add", "gina", "part")
    in_memcheck("user", "show", "gina")
    in_memcheck("policy", "check", "--authority", "public", heart)
    in_memcheck("policy", "set", *key, "--clinical", heart, "--authority",
                "public", "--existing", ARCHIVE)
    in_memcheck("policy", "show", *key, ARCHIVE)
    in_memcheck("policy", "test", "--user", "gina", *key, ARCHIVE, "many/US1")
    in_memcheck("policy", "remove", *key, ARCHIVE, "clinical")
    in_memcheck("rules", "check", "rules", "us")
    in_memcheck("rules", "set", *key, ARCHIVE, "rules")
    in_memcheck("rules", "show", *key, ARCHIVE)
    in_memcheck("rules", "test", *key, ARCHIVE, "us")
    in_memcheck("ingest", "params", *key, ARCHIVE, "params2")


def environment(folder):
    return {**os.environ, "BUILD": folder, "CRASH_SEEDS": "1"}


def others(names):
    for name in names:
        result = subprocess.run(
            [os.path.join(TOP, "tests", name)], cwd=TOP, check=False,
            env=environment(os.path.abspath("long")), stdin=subprocess.DEVNULL,
            capture_output=True, text=True, errors="replace")
        bad = [line for line in result.stdout.splitlines()
               if line.startswith("not ok")]
        ok(name, not result.returncode, *bad, result.stderr)
        judge(name)


def units(names):
    for name in names:
        program = os.path.join(BUILD, "tests", name)
        result = subprocess.run(
            [*valgrind(*UNITS), program], cwd=TOP, check=False,
            env=environment(BUILD), stdin=subprocess.DEVNULL,
            capture_output=True, text=True, errors="replace")
        bad = [line for line in result.stdout.splitlines()
               if line.startswith("not ok") and
               line.split()[-1] not in NOT_HERE]
        ok(name, 0 <= result.returncode < 99 and not bad, *bad, result.stderr)
        judge(name)


def long():
    known = sorted(os.path.basename(source)[:-2] for source in
                   glob.glob(os.path.join(TOP, "tests/unit/test_*.c")))
    wrap("long", "chaosimg", "chaosimgfs")
    if OWN:
        commands()
    wanted = {"all": known, "commands": []}.get(MORE, MORE.split())
    others([name for name in wanted if name.endswith(".t")])
    units([name for name in wanted if not name.endswith(".t")])


def main():
    folder = scratch()
    for name in MNT, "at-some", "at-edge":
        atexit.register(subprocess.run, ["umount", "-lq", f"{folder}/{name}"],
                        check=False, stderr=subprocess.DEVNULL)
    os.chmod(".", 0o755)
    os.mkdir("logs")
    os.chmod("logs", 0o777)
    if not shutil.which("valgrind"):
        return skip("memcheck", "valgrind is not installed")
    reason = mounted.obstacle()
    if reason:
        return skip("the daemon", reason)
    if not compile_preload():
        return None
    wrap("short", "chaosimgfs")
    if OWN:
        own()
    return long() if MORE else None


main()
done()
