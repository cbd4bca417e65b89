#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The daemon keeps the rights that it needs, each of them, and no other."""

import contextlib
import glob
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import time

os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
sys.path.insert(0, "tests/lib")

import mounted  # noqa: E402
from mounted import MNT, Mount  # noqa: E402
from tap import BUILD, TOP, done, ok, read, same, scratch, skip  # noqa: E402

USER, GROUP = 12345, 12346
SECONDS = 10
PROBE = os.path.join(BUILD, "tests", "sandbox_probe")
UNIT = os.path.join(TOP, "fuse", "chaosimgfs@.service.in")

# As <linux/capability.h> counts them.
CAPABILITIES = {"chown": 0, "dac_override": 1, "dac_read_search": 2,
                "fowner": 3, "fsetid": 4, "mknod": 27}
IPC_LOCK = 14
SYS_ADMIN = 21


def mask(*numbers):
    return sum(1 << n for n in numbers)


def status(task):
    """What the kernel says of a process or one of its threads."""
    text = read(os.path.join("/proc", task, "status")).decode()
    return dict(re.findall(r"(?m)^(\w+):\s*(.*)$", text))


def capabilities(task):
    said = status(task)
    return {name: int(said[name], 16)
            for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")}


def children(pid):
    return [int(child) for name in glob.glob(f"/proc/{pid}/task/*/children")
            for child in read(name).split()]


def within(seconds, condition):
    """Does it come true?"""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if condition():
            return True
        time.sleep(0.05)
    return bool(condition())


def gone(pid):
    return not os.path.exists(f"/proc/{pid}") or \
        status(str(pid))["State"].startswith("Z")


def as_user(*command):
    return ["setpriv", f"--reuid={USER}", f"--regid={USER}",
            f"--groups={GROUP}", "--", *command]


def silently(*command):
    return subprocess.run(command, check=False, stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL).returncode == 0


# --- what each capability is for: true if that works --------------------------

def path(name):
    return os.path.join(MNT, name)


def chown_works(_):
    name = path("open/new")
    silently(*as_user("touch", name))
    try:
        return os.stat(name).st_uid == USER
    except FileNotFoundError:
        return False


def dac_override_works(_):
    return silently(*as_user("sh", "-c", f"echo more >>{path('his')}"))


def dac_read_search_works(daemon):
    """Without file handles each file in memory costs a descriptor."""
    for name in os.listdir(path("many")):
        os.stat(path(os.path.join("many", name)))
    return len(os.listdir(f"/proc/{daemon.pid}/fd")) < 350


def fowner_works(_):
    return silently(*as_user("chmod", "640", path("his")))


def fsetid_works(_):
    silently(*as_user("chmod", "2755", path("team")))
    return bool(os.stat(path("team")).st_mode & stat.S_ISGID)


def mknod_works(_):
    return silently("mknod", path("null"), "c", "1", "3")


WORKS = {"chown": chown_works, "dac_override": dac_override_works,
         "dac_read_search": dac_read_search_works, "fowner": fowner_works,
         "fsetid": fsetid_works, "mknod": mknod_works}


def prepare():
    os.mkdir(path("open"))
    os.chmod(path("open"), 0o777)
    os.mkdir(path("team"))
    os.chown(path("team"), USER, GROUP)
    with open(path("his"), "wb"):
        pass
    os.chown(path("his"), USER, USER)
    os.mkdir(path("many"))
    for i in range(500):
        with open(path(f"many/{i}"), "wb"):
            pass


class Without(Mount):
    """Mounted by someone who does not have a capability."""

    def __init__(self, capability):
        super().__init__("allow_other")
        self.capability = capability

    def command(self):
        return ["setpriv", f"--bounding-set=-{self.capability}", "--",
                *super().command()]


def each_is_needed():
    with Mount("allow_other") as mount:
        prepare()
        works = {name: test(mount.daemon) for name, test in WORKS.items()}
    same("with all of them all of that works", works, dict.fromkeys(WORKS, True))
    for name, test in WORKS.items():
        with Without(name) as mount:
            silently("rm", "-f", path("open/new"), path("null"))
            silently("chmod", "755", path("team"))
            ok(f"{name}: without it something does not",
               not test(mount.daemon))


# --- a mount of root's -----------------------------------------------------------

def tasks(pid):
    return [f"{pid}/task/{task}" for task in os.listdir(f"/proc/{pid}/task")]


def limitless(pid):
    """May it lock any memory without a right to?"""
    return re.search(r"(?m)^Max locked memory +(\S+)",
                     read(f"/proc/{pid}/limits").decode())[1] == "unlimited"


def root_has_no_more():
    wanted = mask(*CAPABILITIES.values())
    with Mount("allow_other") as mount:
        pid = mount.daemon.pid
        if not limitless(pid):
            wanted |= mask(IPC_LOCK)
        # Have it start threads.
        silently("sh", "-c", "for i in 1 2 3 4 5 6 7 8; do "
                 f"head -c 3000000 /dev/zero >{MNT}/$i & done; wait")
        threads = tasks(pid)
        ok("it has threads", len(threads) > 3, threads)
        same("capabilities of each",
             [capabilities(t) for t in threads],
             [{"CapInh": 0, "CapPrm": wanted, "CapEff": wanted,
               "CapBnd": wanted, "CapAmb": 0}] * len(threads))
        same("no new privileges, and a filter of system calls",
             {(status(t)["NoNewPrivs"], status(t)["Seccomp"])
              for t in threads}, {("1", "2")})
        keepers = children(pid)
        same("one other process", len(keepers), 1)
        keeper = str(keepers[0])
        only = {"CapInh": 0, "CapPrm": mask(SYS_ADMIN),
                "CapEff": mask(SYS_ADMIN), "CapBnd": mask(SYS_ADMIN),
                "CapAmb": 0}
        same("which may unmount", capabilities(keeper), only)
        same("and gets nothing new", status(keeper)["NoNewPrivs"], "1")
        same("and has nothing open but its socket",
             sorted(os.listdir(f"/proc/{keeper}/fd")), ["0", "1", "2", "3"])
    ok("it ends with the other", within(SECONDS, lambda: gone(keeper)))
    with Mount("no_sandbox") as mount:
        same("for debuggers: none of that",
             (status(str(mount.daemon.pid))["Seccomp"],
              children(mount.daemon.pid)), ("0", []))


# --- its ends ------------------------------------------------------------------

def end_by_signal(busy):
    """Someone may still have a file open: then what was written is kept."""
    name = "busy" if busy else "idle"
    mount = Mount("allow_other").__enter__()
    held = os.open(path(name), os.O_WRONLY | os.O_CREAT)
    os.write(held, name.encode())
    if not busy:
        os.close(held)
    keeper = children(mount.daemon.pid)[0]
    mount.daemon.send_signal(signal.SIGTERM)
    same(f"{name}: the daemon ends well", mount.daemon.wait(60), 0)
    ok(f"{name}: nothing is mounted", not os.path.ismount(MNT))
    same(f"{name}: nor a broken mount there", os.listdir(MNT), [])
    ok(f"{name}: the keeper is gone", within(SECONDS, lambda: gone(keeper)))
    with contextlib.suppress(OSError):
        os.close(held)
    with Mount():
        same(f"{name}: what was written is there", read(path(name)),
             name.encode())


def end_by_kill():
    mount = Mount().__enter__()
    keeper = children(mount.daemon.pid)[0]
    os.truncate("daemon.log", 0)
    mount.daemon.kill()
    mount.daemon.wait()
    ok("killed: the keeper ends", within(SECONDS, lambda: gone(keeper)))
    said = read("daemon.log").decode()
    ok("killed: it says so", "was killed" in said, said)
    # The PACS shall not write plain files to what is below.
    try:
        os.listdir(MNT)
        ok("killed: the mount stays, broken", False)
    except OSError as error:
        same("killed: the mount stays, broken", error.strerror,
             "Transport endpoint is not connected")
    subprocess.run(["umount", "-l", MNT], check=True)


def keeper_is_killed():
    """Nothing is lost but the end by a signal."""
    with Mount() as mount:
        keeper = children(mount.daemon.pid)[0]
        os.kill(keeper, signal.SIGKILL)
        with open(path("after"), "wb") as f:
            f.write(b"after")
        same("without the keeper the mount goes on", read(path("after")),
             b"after")


def refused_calls_are_logged():
    """With a debugger in an intruder's place."""
    if not shutil.which("gdb"):
        skip("a refused call", "needs gdb")
        return
    os.truncate("daemon.log", 0)
    with Mount() as mount:
        # pidfd_send_signal(2), twice.
        subprocess.run(
            ["gdb", "-batch", "-nx", "-p", str(mount.daemon.pid),
             "-ex", "handle SIGSYS nostop noprint pass",
             "-ex", "p (long)syscall(424, 1, 0, 0, 0)",
             "-ex", "p (long)syscall(424, 1, 0, 0, 0)"], check=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        ok("a refused call is logged, once", within(
            SECONDS, lambda: read("daemon.log").count(
                b"system call 424 was refused") == 1), read("daemon.log"))
        with open(path("refused"), "wb") as f:
            f.write(b"refused")
        same("and the mount goes on", read(path("refused")), b"refused")
        mount.daemon.send_signal(signal.SIGSYS)
        same("nor does the signal alone harm", read(path("refused")),
             b"refused")


# --- system calls -----------------------------------------------------------------

def probe(*args):
    out = subprocess.run([PROBE, *args], check=True, capture_output=True,
                         text=True).stdout
    said = {}
    for line in out.splitlines():
        verdict, name = line.split()
        said.setdefault(name, verdict)
    return said


# What nobody may ever let in, in three lists of reasons.
DEADLY = """execve execveat ptrace process_vm_readv process_vm_writev mount
    chroot pivot_root setns unshare bpf init_module kexec_load setuid
    setresuid setgid setgroups perf_event_open userfaultfd keyctl""".split()
REFUSED = """io_uring_setup io_uring_enter kill tkill rt_sigqueueinfo capset
    personality modify_ldt pkey_mprotect memfd_create memfd_secret listen
    bind accept4 sendmsg recvmsg socketpair pidfd_open seccomp quotactl
    swapon settimeofday clock_settime sethostname iopl ioperm setrlimit
    fanotify_init inotify_init1 mknod symlink link mkdir rmdir rename creat
    chown lchown truncate setpriority sched_setscheduler setpgid setsid
    munlockall shmget msgget semget process_madvise landlock_restrict_self
    splice vmsplice pipe2 copy_file_range chdir umask
    memory-execute protect-execute fork internet packets kernel-crypto
    kernel-crypto-list routes
    dumpable set-limit type-into-terminal signal-init""".split()
# umount2 and clone3 are answered without being done.
ALLOWED = 95


def calls():
    said = probe()
    same("deadly calls", [n for n in DEADLY if said.get(n) != "killed"], [])
    same("refused calls",
         [n for n in REFUSED if said.get(n, "refused") == "allowed"], [])
    same("allowed uses", [said[n] for n in ("memory-write", "unix-socket",
                                            "thread-name", "get-limit")],
         ["allowed"] * 4)
    allowed = sorted(n for n, v in said.items() if v == "allowed")
    ok("no more calls than are known to be needed",
       len(allowed) <= ALLOWED, len(allowed), allowed)
    more = probe("kernel")
    ok("more for the kernel's cipher alone",
       more["kernel-crypto"] == more["kernel-crypto-list"] ==
       more["splice"] == "allowed" and
       more["internet"] == more["routes"] == "refused" and more["execve"] == "killed")


# --- the service -----------------------------------------------------------------

def unit(setting):
    """All words that the unit gives to a setting."""
    return " ".join(re.findall(rf"(?m)^{setting}=(.*)$",
                               read(UNIT).decode())).split()


def named_sets():
    """systemd's names for sets of system calls."""
    out = subprocess.run(["systemd-analyze", "syscall-filter"], check=True,
                         capture_output=True, text=True).stdout
    sets, current = {}, None
    for line in out.splitlines():
        if line.startswith("@"):
            current = sets.setdefault(line.strip(), set())
        elif line.startswith("    ") and line.strip()[0] != "#":
            current.add(line.strip())
    return sets


def expand(sets, name):
    if not name.startswith("@"):
        return {name}
    return set().union(*(expand(sets, member) for member in sets[name]))


def unit_calls():
    sets = named_sets()
    calls_left = expand(sets, "@default")
    for line in re.findall(r"(?m)^SystemCallFilter=(.*)$",
                           read(UNIT).decode()):
        less = line.startswith("~")
        for name in line.lstrip("~").split():
            if less:
                calls_left -= expand(sets, name)
            else:
                calls_left |= expand(sets, name)
    return calls_left


class Traced(Mount):
    def command(self):
        return ["strace", "-f", "-qq", "-o", "trace", *super().command()]


class AsService(Mount):
    """With the capabilities that the unit leaves."""

    def command(self):
        some = [name[4:].lower() for name in unit("CapabilityBoundingSet")]
        return ["setpriv", "--bounding-set=-all," +
                ",".join("+" + name for name in some), "--",
                *super().command()]


def service_can_mount():
    with AsService("allow_other") as mount:
        silently("rm", "-f", path("open/new"))
        works = {name: test(mount.daemon) for name, test in WORKS.items()}
    # The unit lets nobody make device nodes.
    same("the service's capabilities", works,
         {**dict.fromkeys(WORKS, True), "mknod": False})
    if not shutil.which("systemd-analyze") or not shutil.which("strace"):
        skip("the service's system calls", "needs systemd and strace")
        return
    with Traced("allow_other"):
        silently("sh", "-c", f"echo x >{MNT}/traced; cat {MNT}/traced")
    used = set(re.findall(r"(?m)^\d+ +(?:<\.\.\. )?(\w+)(?:\(| resumed)",
                          read("trace").decode(errors="replace")))
    ok("a start was traced", {"mount", "execve", "seccomp"} <= used, used)
    left = unit_calls()
    same("the service may make all these calls", sorted(used - left), [])
    inside = {n for n, v in probe().items() if v == "allowed"}
    uses = {"memory-write", "unix-socket", "thread-name", "get-limit"}
    same("and those that the sandbox allows", sorted(inside - uses - left), [])


obstacle = mounted.obstacle()
if obstacle:
    print(f"1..0 # SKIP {obstacle}")
    sys.exit()
scratch()
os.chmod(".", 0o755)
mounted.make()
if os.path.exists(PROBE):
    calls()
else:
    skip("system calls", f"{PROBE} was not built")
root_has_no_more()
each_is_needed()
end_by_signal(False)
end_by_signal(True)
keeper_is_killed()
refused_calls_are_logged()
end_by_kill()
service_can_mount()
done()
