#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Clients and neighbours that mean no good, or do not care.

OPEN=N: so many files held open at once (9000), as far as the limits allow.
HANDLES=N: so many handles of a thousand files (20000).
RACE=N: how long somebody exchanges folders for symbolic links (4).
"""

import contextlib
import errno
import hashlib
import mmap
import os
import re
import resource
import signal
import socket
import stat
import subprocess
import sys
import threading
import time

os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
sys.path.insert(0, "tests/lib")

import mounted  # noqa: E402
from mounted import ARCHIVE, MNT, Mount, stored  # noqa: E402
from tap import BUILD, done, ok, read, same, scratch  # noqa: E402

HANDLES = int(os.environ.get("HANDLES", "20000"))
OPEN = int(os.environ.get("OPEN", "9000"))
RACE_SECONDS = float(os.environ.get("RACE", "4"))
READERS = 60
USER = 12345
OUTSIDE = "outside"


def path(*names):
    return os.path.join(MNT, *names)


def put(name, data):
    with open(path(name), "wb") as f:
        f.write(data)


def error_of(function, *args):
    try:
        function(*args)
    except OSError as error:
        return errno.errorcode[error.errno]
    return None


def limit(daemon, what):
    text = read(f"/proc/{daemon.pid}/limits").decode()
    return int(re.search(rf"(?m)^{what} +\d+ +(\d+)", text)[1])


# --- who can write to the archive ---------------------------------------------------

def fingerprint(folder):
    """Everything about a tree that a stranger's hand would change."""
    out = []
    for top, folders, files in os.walk(folder):
        for name in [".", *folders, *files]:
            st = os.lstat(os.path.join(top, name))
            out.append((top, name, st.st_mode, st.st_uid, st.st_nlink,
                        st.st_mtime_ns, st.st_ctime_ns, st.st_size))
    return sorted(out)


def exchange(real, hidden, until):
    """A folder of the archive is a link to another place, and is not."""
    while time.monotonic() < until:
        os.rename(real, hidden)
        os.symlink(os.path.abspath(OUTSIDE), real)
        os.unlink(real)
        os.rename(hidden, real)


def use(folder, until):
    """Whatever there is to do in a folder. Errors are to be expected."""
    seen, n = set(), 0
    while time.monotonic() < until:
        name = os.path.join(folder, f"n{n % 7}")
        n += 1
        for action in (lambda: put(os.path.relpath(name, MNT), b"mine"),
                       lambda: seen.update(os.listdir(folder)),
                       lambda: os.chmod(name, 0o777),
                       lambda: os.chmod(folder, 0o777),
                       lambda: os.truncate(name, 1),
                       lambda: os.setxattr(name, "user.x", b"x"),
                       lambda: os.mkdir(name + ".d"),
                       lambda: os.rename(name, name + ".r"),
                       lambda: seen.add(read(name + ".r")),
                       lambda: os.unlink(name + ".r"),
                       lambda: os.unlink(os.path.join(folder, "secret")),
                       lambda: os.rmdir(name + ".d")):
            with contextlib.suppress(OSError):
                action()
    return seen, n


def links_lead_nowhere():
    os.mkdir(OUTSIDE)
    for name in ("secret", "n0", "n1.r"):
        with open(os.path.join(OUTSIDE, name), "wb") as f:
            f.write(b"the machine's own")
    before = fingerprint(OUTSIDE)
    with Mount():
        os.mkdir(path("victim"))
        real = os.path.join(ARCHIVE, stored("victim"))
    tried, seen = 0, set()
    until = time.monotonic() + RACE_SECONDS
    while time.monotonic() < until:
        # A fresh mount knows nothing and has to look everything up.
        stop = min(until, time.monotonic() + 1)
        attacker = threading.Thread(target=exchange,
                                    args=(real, real + "~", stop))
        with Mount():
            attacker.start()
            more, n = use(path("victim"), stop)
            attacker.join()
        seen |= more
        tried += n
    same(f"{tried} rounds under exchanged folders: nothing outside is touched",
         fingerprint(OUTSIDE), before)
    ok("nor seen", not seen & {"secret", b"the machine's own"}, seen)
    with Mount():
        put("victim/after", b"after")
        same("afterwards it is a folder like any other",
             read(path("victim/after")), b"after")
    os.truncate("daemon.log", 0)


def strange_objects_do_no_harm():
    """A stored file is replaced by what is none."""
    with Mount():
        put("odd", b"odd")
        put("even", b"even")
        place = os.path.join(ARCHIVE, stored("odd"))
    os.rename(place, "kept")
    makers = {
        "a fifo": lambda: os.mkfifo(place),
        "a device": lambda: os.mknod(place, stat.S_IFCHR | 0o666,
                                     os.makedev(1, 5)),
        "a socket": lambda: socket.socket(socket.AF_UNIX).bind(place),
        "a link": lambda: os.symlink("/etc/passwd", place),
        "a folder": lambda: os.mkdir(place),
        "an empty file": lambda: open(place, "wb").close(),
        "another file": lambda: open(place, "wb").write(b"x" * 8192)}
    for what, make in makers.items():
        make()
        with Mount("allow_other"):
            # A reader that would wait for ever is ended by timeout.
            got = subprocess.run(["timeout", "5", "head", "-c", "100",
                                  path("odd")], check=False,
                                 capture_output=True)
            if what == "a fifo":
                # It is one now, for programs too, as on any file system.
                ok("a fifo in a file's place is a fifo",
                   stat.S_ISFIFO(os.lstat(path("odd")).st_mode))
            else:
                ok(f"{what} in a file's place gives an error",
                   got.returncode == 1 and not got.stdout,
                   got.returncode, got.stdout, got.stderr)
            same("  others can be read", read(path("even")), b"even")
        subprocess.run(["rm", "-rf", place], check=True)
    os.rename("kept", place)
    with Mount():
        same("put back, it can be read", read(path("odd")), b"odd")
    for name in ("chaosimg.json", "keysets"):
        os.rename(f"{ARCHIVE}/{name}", "kept")
        os.mkfifo(f"{ARCHIVE}/{name}")
        got = subprocess.run([*Mount().command()], check=False, timeout=20,
                             stdin=subprocess.DEVNULL, capture_output=True)
        ok(f"a fifo in the place of {name}: nothing is mounted",
           got.returncode == 1 and got.stderr, got.returncode, got.stderr)
        os.remove(f"{ARCHIVE}/{name}")
        os.rename("kept", f"{ARCHIVE}/{name}")
    os.truncate("daemon.log", 0)


def rights_are_not_stored():
    """Mode bits are not authenticated, so they must not give rights."""
    with Mount("allow_other"):
        subprocess.run(["cp", "/usr/bin/id", path("id")], check=True)
        place = os.path.join(ARCHIVE, stored("id"))
        os.mknod(path("zero"), stat.S_IFCHR | 0o666, os.makedev(1, 5))
        same("device nodes are not devices", error_of(read, path("zero")),
             "EACCES")
    os.chown(place, 0, 0)
    os.chmod(place, 0o6755)
    with Mount("allow_other"):
        os.chmod(".", 0o755)
        out = subprocess.run(["setpriv", f"--reuid={USER}", "--clear-groups",
                              path("id")], check=True, capture_output=True)
        ok("set-user-id gives nothing", b"euid" not in out.stdout and
           str(USER).encode() in out.stdout, out.stdout)


# --- large and long ------------------------------------------------------------------

def too_large_is_refused():
    with Mount():
        put("f", b"f")
        same("a name of 256 bytes", error_of(put, "n" * 256, b""),
             "ENAMETOOLONG")
        same("a link's target of 3001", error_of(
            os.symlink, "t" * 3001, path("link")), "ENAMETOOLONG")
        same("an attribute's name of 123 and \"user.\"", error_of(
            os.setxattr, path("f"), "user." + "x" * 123, b""), "ENAMETOOLONG")
        same("an attribute of 64 KiB and a byte", error_of(
            os.setxattr, path("f"), "user.large", b"x" * 65537), "E2BIG")
        same("a file of 8 EiB", error_of(os.truncate, path("f"),
                                         (1 << 63) - 1), "EFBIG")
        count, error = 0, None
        while count < 20000 and not error:
            error = error_of(os.setxattr, path("f"), f"user.{count}",
                             b"x" * 100)
            count += not error
        ok(f"after {count} attributes there is no room",
           error in ("ENOSPC", "E2BIG", "ERANGE", "EDQUOT") or count == 20000,
           error)
        names = os.listxattr(path("f"))
        same("they are all there", len(names), count)
        for name in names:
            os.removexattr(path("f"), name)
        same("and can be removed", os.listxattr(path("f")), [])
        same("the file is as it was", read(path("f")), b"f")
        deep_tree()


def deep_tree():
    depth, top = 400, os.getcwd()
    os.chdir(MNT)
    for _ in range(depth):
        os.mkdir("d" * 100)
        os.chdir("d" * 100)
    with open("bottom", "w", encoding="ascii") as f:
        f.write("bottom")
    same(f"{depth} folders deep", read("bottom"), b"bottom")
    os.chdir(top)
    subprocess.run(["rm", "-rf", path("d" * 100)], check=True)
    same("and gone again", os.path.exists(path("d" * 100)), False)


# --- many ---------------------------------------------------------------------------

class Limited(Mount):
    """A daemon with few descriptors, which it cannot get more of."""

    def command(self):
        return ["setpriv", "--bounding-set=-sys_resource", "prlimit",
                "--nofile=400:400", *super().command()]


def hold(folder, count):
    """Open so many new files, each with its number in it, until it fails."""
    held, error = [], None
    for i in range(count):
        try:
            held.append(os.open(path(folder, str(i)),
                                os.O_RDWR | os.O_CREAT))
            os.write(held[-1], b"%d" % i)
        except OSError as e:
            error = errno.errorcode[e.errno]
            break
    return held, error


def changes_at_the_limit():
    """What needs a descriptor for a moment only."""
    os.stat(path("unknown"))
    os.chmod(path("unknown"), 0o600)
    os.truncate(path("limit", "0"), 1)
    os.rename(path("unknown"), path("limit", "known"))
    os.mkdir(path("limit", "folder"))
    os.symlink("target", path("limit", "folder", "link"))
    os.unlink(path("limit", "folder", "link"))
    os.rmdir(path("limit", "folder"))
    os.unlink(path("limit", "known"))


def at_the_limit():
    with Mount():
        put("unknown", b"")
    with Limited() as mount:
        os.mkdir(path("limit"))
        held, error = hold("limit", 1000)
        same("no more files can be open: the error says so", error, "ENFILE")
        ok("most of the limit can be used", len(held) > 200, len(held))
        began = time.monotonic()
        same("nor any of a hundred more",
             {error_of(put, f"limit/more{i}", b"") for i in range(50)} |
             {error_of(os.listdir, path("limit")) for i in range(50)},
             {"ENFILE"})
        took = time.monotonic() - began
        ok("they are refused at once", took < 10, took)
        said = read("daemon.log").decode().splitlines()
        ok("the log says so, and not again and again",
           said and len(said) <= 1 + took / 4 and
           all("too many files are open" in line for line in said), said)
        same("what needs no more open files goes on",
             error_of(changes_at_the_limit), None)
        same("what is open can be read and written",
             {os.pread(fd, 10, 0) == b"%d" % i and os.pwrite(fd, b"+", 10) == 1
              for i, fd in enumerate(held[:-1])}, {True})
        for fd in held:
            os.close(fd)
        put("again", b"again")
        same("once they are closed it goes on", read(path("again")), b"again")
        ok("the daemon lives", mount.daemon.poll() is None)
    os.truncate("daemon.log", 0)
    with Mount():
        same("nothing of them is lost",
             [i for i in range(len(held) - 1) if not read(
                 path("limit", str(i))).startswith(b"%d" % i)], [])


def closed(mount):
    """The kernel tells the daemon in its own time."""
    until = time.monotonic() + 10
    while descriptors(mount.daemon) > 400 and time.monotonic() < until:
        time.sleep(0.1)
    ok("closed, they cost no descriptor any more",
       descriptors(mount.daemon) <= 400, descriptors(mount.daemon))


def many_open(number):
    """OPEN of them at a time, by as many processes as that takes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with Mount() as mount:
        number = min(number, hard - 100,
                     limit(mount.daemon, "Max open files") - 400)
        memory = resident(mount.daemon)
        os.mkdir(path("many"))
        held, error = hold("many", number)
        same(f"{number} files open at once", (len(held), error),
             (number, None))
        each = (resident(mount.daemon) - memory) // number
        ok(f"{each} bytes of the daemon's memory for each", each < 32768)
        same("each can be read", {os.pread(fd, 10, 0) == b"%d" % i
                                  for i, fd in enumerate(held)}, {True})
        for fd in held:
            os.close(fd)
        closed(mount)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def many_handles(number):
    """A file costs the daemon a descriptor, however often it is open."""
    with Mount() as mount, subprocess.Popen(
            [os.path.join(BUILD, "tests/hold_open"), MNT, "1000",
             str(number // 1000)], text=True, bufsize=1,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        memory = resident(mount.daemon)
        def tell(word, answer):
            holder.stdin.write(word + "\n")
            same(f"{number} handles of 1000 files: {word}",
                 holder.stdout.readline(), answer + "\n")

        tell("open", f"open {number}")
        tell("check", f"right {number // 10}")
        count = descriptors(mount.daemon)
        ok("a descriptor for each file", count < 1400, count)
        more = resident(mount.daemon) - memory
        ok(f"{more} bytes of memory for all", more < 16 << 20)
        tell("close", f"closed {number}")
        closed(mount)
        holder.stdin.close()


def resident(daemon):
    text = read(f"/proc/{daemon.pid}/status").decode()
    return int(re.search(r"RssAnon:\s+(\d+)", text)[1]) * 1024


def descriptors(daemon):
    return len(os.listdir(f"/proc/{daemon.pid}/fd"))


def many_readers():
    data = os.urandom(1 << 20)
    want = hashlib.sha256(data).hexdigest()
    with Mount():
        put("read", data)
    with Mount() as mount:
        readers = [subprocess.Popen(["sha256sum", path("read")],
                                    stdout=subprocess.PIPE)
                   for _ in range(READERS)]
        threads = int(re.search(r"Threads:\s+(\d+)", read(
            f"/proc/{mount.daemon.pid}/status").decode())[1])
        got = {r.communicate()[0].split()[0].decode() for r in readers}
        same(f"{READERS} readers at once get the same", got, {want})
        ok("by no more threads than allowed", threads <= 16 + 4, threads)


# --- who dies, and who does not let go ---------------------------------------------

def mapped_and_killed():
    with Mount():
        put("mapped", bytes(100000))
        pid = os.fork()
        if not pid:
            with open(path("mapped"), "r+b") as f:
                m = mmap.mmap(f.fileno(), 0)
                for at in range(0, 100000, 1000):
                    m[at:at + 4] = b"MARK"
                os.kill(os.getpid(), signal.SIGKILL)
        os.waitpid(pid, 0)
    with Mount():
        data = read(path("mapped"))
        same("what a killed program wrote through a mapping is kept",
             {data[at:at + 4] for at in range(0, 100000, 1000)}, {b"MARK"})


def never_closed():
    with Mount():
        put("held", b"before")
        fd = os.open(path("held"), os.O_RDWR)
        os.unlink(path("held"))
        os.pwrite(fd, b"after!", 0)
        same("while it is used it is not unmounted", subprocess.run(
            ["umount", MNT], check=False,
            stderr=subprocess.DEVNULL).returncode != 0, True)
        same("a removed file lives as long as it is open",
             os.pread(fd, 10, 0), b"after!")
        os.close(fd)


obstacle = mounted.obstacle()
if obstacle:
    print(f"1..0 # SKIP {obstacle}")
    sys.exit()
scratch()
mounted.make()
links_lead_nowhere()
strange_objects_do_no_harm()
rights_are_not_stored()
too_large_is_refused()
at_the_limit()
many_open(OPEN)
many_handles(HANDLES)
many_readers()
mapped_and_killed()
never_closed()
same("nothing was logged", read("daemon.log").decode(), "")
done()
