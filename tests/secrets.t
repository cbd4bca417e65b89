#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Keys in the daemon's memory: where they are, and who gets at them.

Every key there is gets derived anew from the key file, as the format's
description says, and is searched for in all of the daemon's memory.
"""

import json
import os
import pwd
import resource
import shutil
import signal
import subprocess
import sys

os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
sys.path.insert(0, "tests/lib")

import mounted  # noqa: E402
from memory import mappings, search  # noqa: E402
from mounted import ARCHIVE, KEY, MNT, Mount  # noqa: E402
from tap import BUILD, done, ok, read, same, scratch, skip  # noqa: E402

USER = pwd.getpwnam("nobody").pw_uid


def path(name):
    return os.path.join(MNT, name)


# --- which keys there are ---------------------------------------------------------

def general_keys(reader):
    """All that does not belong to a file."""
    archive = reader.Archive(ARCHIVE, KEY)
    config = archive.config
    keyfile = reader.read_keyfile(KEY)
    slot = json.loads(read(f"{ARCHIVE}/chaosimg.json"))["slots"][0]["id"]
    keys = {"key file": keyfile, "archive key": config.key,
            "slot key": reader.expand(
                keyfile, b"chaosimg slot key v1" + config.id +
                reader.le(slot, 4), 32)}
    for label in ("chaosimg config mac key v1",
                  "chaosimg keyset wrapping key v1",
                  "chaosimg directory mac key v1",
                  "chaosimg names key v1"):
        keys[label] = reader.expand(config.key, label.encode(), 32)
    keys["name key, inner layer"] = archive.key("chaosimg name chaos key v1")
    siv = archive.key("chaosimg name siv key v1", 64)
    keys["name key, first half"], keys["name key, second half"] = \
        siv[:32], siv[32:]
    for keyset in archive.keysets.values():
        keys.update({f"keyset, {what}": key for what, key in
                     zip(("clinical", "identity", "pixels", "structure"),
                         keyset)})
    return keys


def file_keys(reader, stored):
    archive = reader.Archive(ARCHIVE, KEY)
    slot = read(os.path.join(ARCHIVE, stored))[:2048]
    file_id = slot[16:32]
    _, identity, _, structure = archive.keysets[slot[32:48]]
    header, mac = reader.halves(reader.expand(
        structure, b"chaosimg header v1" + file_id, 64))
    # What is not DICOM is under identity's key alone.
    chaos, aead = reader.halves(reader.expand(
        identity, b"chaosimg record v1" + bytes([2]) + file_id, 64))
    return {"header": header, "mac": mac, "chaos": chaos, "aead": aead}


# --- where they are -----------------------------------------------------------------

def work():
    with open(path("patient"), "wb") as f:
        f.write(b"DOE^JANE" * 20000)
    with open(path("other"), "wb") as f:
        f.write(b"other" * 20000)
    os.setxattr(path("patient"), "user.note", b"value")
    os.listdir(MNT)
    return mounted.stored("patient")


# --- what is found -------------------------------------------------------------------

# OpenSSL keeps the keys that it works with in ordinary memory: those of names
# and of folders' ids, and in each thread those of the file that it worked on
# last.
OUTSIDE = {"name key, first half", "name key, second half",
           "chaosimg directory mac key v1",
           "file, header", "file, mac", "file, aead"}
# Not needed once the archive is open, so not to be found at all.
WIPED = {"key file", "slot key", "chaosimg config mac key v1",
         "chaosimg keyset wrapping key v1"}


def dumped(pid, keys):
    """What is in a dump that root makes of it."""
    subprocess.run(["gcore", "-o", "core", str(pid)], check=True,
                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)
    data = read(f"core.{pid}")
    os.remove(f"core.{pid}")
    return {name for name, value in keys.items() if value in data}


def where_keys_are(reader):
    with Mount() as mount:
        pid = mount.daemon.pid
        stored = work()
        held = os.open(path("patient"), os.O_RDONLY)
        os.posix_fadvise(held, 0, 0, os.POSIX_FADV_DONTNEED)
        os.pread(held, 10000, 0)
        keys = general_keys(reader)
        keys.update({f"file, {name}": key for name, key in
                     file_keys(reader, stored).items()})
        found = search(pid, keys)
        same("keys that are not needed any more are nowhere",
             {name: found[name] for name in WIPED},
             {name: set() for name in WIPED})
        kept = set(keys) - WIPED
        same("all others are in the arena, or in OpenSSL's hands",
             {name: found[name] for name in kept
              if not found[name] or name not in OUTSIDE
              and {kind for kind, _ in found[name]} != {"arena"}}, {})
        same("none is in memory that can be swapped out",
             {name for name in keys for _, lock in found[name]
              if lock != "locked"}, set())
        same("nor is there any such memory",
             [m for m in mappings(pid) if "lo" not in m[4]], [])
        if shutil.which("gcore"):
            same("root's dump holds none but OpenSSL's",
                 dumped(pid, keys) - OUTSIDE, set())
        else:
            skip("root's dump", "needs gdb")
        os.close(held)
        # Close comes first, the end of the file a moment later.
        with open(path("other"), "rb") as f:
            f.read()
        found = search(pid, keys)
        same("a file's keys go when it is closed",
             {name: {kind for kind, _ in found[name]} & {"arena"}
              for name in keys if name.startswith("file")},
             {name: set() for name in keys if name.startswith("file")})


# --- who gets at them -----------------------------------------------------------------

def crash():
    mount = Mount().__enter__()
    limit = "without a limit"
    try:
        resource.prlimit(mount.daemon.pid, resource.RLIMIT_CORE,
                         (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    except PermissionError:
        limit = "with the daemon's own limit"
    mount.daemon.send_signal(signal.SIGSEGV)
    how = os.waitid(os.P_PID, mount.daemon.pid, os.WEXITED | os.WNOWAIT)
    same(f"a crash leaves no core, {limit}", how.si_code,
         os.CLD_KILLED)
    same("nor any file", [n for n in os.listdir() if "core" in n], [])
    mount.daemon.wait()
    subprocess.run(["umount", "-l", MNT], check=True)


PEEK = """
import ctypes, os, sys
pid = int(sys.argv[1])
tried = []
for name in "mem", "environ", "maps", "fd", "stack", "map_files":
    try:
        path = f"/proc/{pid}/{name}"
        os.listdir(path) if os.path.isdir(path) else open(path, "rb")
        tried.append(name)
    except OSError:
        pass
libc = ctypes.CDLL(None, use_errno=True)
if libc.ptrace(0x4206, pid, 0, 0) == 0:    # PTRACE_SEIZE
    tried.append("ptrace")
print(*tried)
"""


def own_user_is_shut_out():
    """An ordinary user's daemon is not open to that user's other programs."""
    user = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups",
            "--"]
    own = os.path.abspath("own")
    os.mkdir(own)
    os.chown(own, USER, USER)
    os.chmod(".", 0o755)
    os.chmod(BUILD, 0o755)

    def try_it(*command):
        return subprocess.run([*user, *command], cwd=own, check=True,
                              capture_output=True, text=True)

    tool, fs = (os.path.join(BUILD, n) for n in ("chaosimg", "chaosimgfs"))
    try_it(tool, "keyfile", "key")
    try_it(tool, "init", "--keyfile", "key", "archive")
    os.mkdir(f"{own}/mnt")
    os.chown(f"{own}/mnt", USER, USER)
    refused = subprocess.run(
        [*user, "prlimit", "--memlock=16384", fs, "-o", "keyfile=key",
         "archive", "mnt"], cwd=own, check=False, capture_output=True)
    ok("where no memory can be locked nothing is mounted",
       refused.returncode == 1 and b"locked" in refused.stderr and
       not os.path.ismount(f"{own}/mnt"), refused.returncode, refused.stderr)
    said = try_it(fs, "-o", "keyfile=key", "archive", "mnt").stderr
    ok("it is said that not all memory can be locked",
       said.startswith("chaosimgfs: warning: only ") and
       said.count("\n") == 1, said)
    pid = try_it("pgrep", "-u", str(USER), "-n", "-x", "chaosimgfs").stdout
    same("nobody else's program sees its memory",
         try_it(sys.executable, "-c", PEEK, pid.strip()).stdout, "\n")
    plain = subprocess.Popen([*user, "sleep", "60"])
    seen = try_it(sys.executable, "-c", PEEK, str(plain.pid)).stdout.split()
    ok("as it does that of others", {"mem", "ptrace"} <= set(seen), seen)
    plain.kill()
    plain.wait()
    try_it("fusermount3", "-u", "mnt")


def exposed_keys_are_warned_of():
    for mode in (0o640, 0o604, 0o600):
        os.chmod(KEY, mode)
        os.truncate("daemon.log", 0)
        with Mount():
            # An unmount that comes too early finds the daemon looking at it.
            os.listdir(MNT)
        want = "" if mode == 0o600 else \
            f"chaosimgfs: {KEY}: warning: open to group or others " \
            f"(mode {mode:04o})\n"
        same(f"a key file of mode {mode:o}", read("daemon.log").decode(), want)


obstacle = mounted.obstacle()
if obstacle:
    print(f"1..0 # SKIP {obstacle}")
    sys.exit()
scratch()
mounted.make()
try:
    import format_reader
    where_keys_are(format_reader)
except ImportError:
    skip("where keys are", "python3-cryptography is not installed")
crash()
exposed_keys_are_warned_of()
if shutil.which("fusermount3"):
    own_user_is_shut_out()
else:
    skip("an ordinary user's daemon", "needs fusermount3")
done()
