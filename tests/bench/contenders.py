# SPDX-License-Identifier: GPL-2.0-or-later
"""Who takes part: each can be created, mounted and unmounted in a folder.

Each is mounted as its authors ship it, but for these: passthrough_ll caches
all it can and gathers writes, and encfs, whose libfuse would otherwise send
each page by itself, gets writes of the size that all the others get. Deriving
keys from passphrases is made quick where that can be asked for; no workload's
time contains it.
"""

import os
import shutil
import subprocess
import time

from failure import Failure, call, last_line

BUILD = os.path.abspath(os.environ.get("BUILD", "build"))
MOUNT_TIME = 30     # seconds until a mount must be there
END_TIME = 60       # seconds until a daemon must have ended


def is_mounted(path):
    """os.path.ismount() takes a mount whose daemon has died for none."""
    for special in "\\ \t\n":      # the backslash first
        path = path.replace(special, "\\%03o" % ord(special))
    with open("/proc/self/mountinfo", encoding="utf-8",
              errors="replace") as f:
        return any(line.split(" ", 5)[4] == path for line in f)


def force_umount(path):
    while is_mounted(path):
        if subprocess.run(["umount", "-l", path], check=False).returncode:
            break


class Contender:
    """A daemon in the foreground that shows store at mnt."""

    name = ""
    program = ""        # path, or a name to be found in PATH
    package = ""        # that contains it

    def __init__(self, folder):
        self.top = os.path.join(folder, self.name)
        self.store = os.path.join(self.top, "store")
        self.mnt = os.path.join(self.top, "mnt")
        self.key = os.path.join(self.top, "key")
        self.log = os.path.join(self.top, "log")
        self.daemon = None

    def prepare(self):
        os.mkdir(self.top)
        os.mkdir(self.mnt)
        self.create()

    @classmethod
    def absent(cls):
        """Why it cannot take part, or None."""
        if shutil.which(cls.program):
            return None
        return "%s is not installed" % cls.package

    @classmethod
    def version(cls):
        return call(["dpkg-query", "-W", "-f", "${Version}", cls.package])

    def create(self):
        os.mkdir(self.store)

    def command(self):
        raise NotImplementedError

    def said(self):
        with open(self.log, encoding="utf-8", errors="replace") as f:
            return last_line(f.read())

    def mount(self):
        with open(self.log, "wb") as log:
            self.daemon = subprocess.Popen(
                self.command(), stdin=subprocess.DEVNULL, stdout=log,
                stderr=log, start_new_session=True)
        end = time.monotonic() + MOUNT_TIME
        while not is_mounted(self.mnt):
            if self.daemon.poll() is not None or time.monotonic() > end:
                raise Failure("%s does not mount: %s" % (self.name,
                                                         self.said()))
            time.sleep(0.005)

    def check(self, grace=0):
        """The daemon must live; one that is dying has so many seconds."""
        if not self.daemon:
            return
        try:
            status = self.daemon.wait(grace)
        except subprocess.TimeoutExpired:
            return
        raise Failure("%s's daemon died (%d): %s" % (self.name, status,
                                                     self.said()))

    def umount(self):
        if not self.daemon:
            return
        self.check()
        call(["umount", self.mnt])
        try:
            status = self.daemon.wait(timeout=END_TIME)
        except subprocess.TimeoutExpired:
            raise Failure("%s's daemon does not end" % self.name) from None
        self.daemon = None
        if status:
            raise Failure("%s's daemon ended with %d: %s" % (
                self.name, status, self.said()))

    def stop(self):
        """Whatever the state: no mount and no daemon are left."""
        force_umount(self.mnt)
        if not self.daemon:
            return
        for end in (self.daemon.terminate, self.daemon.kill):
            try:
                self.daemon.wait(timeout=10)
                break
            except subprocess.TimeoutExpired:
                end()
        self.daemon.wait()
        self.daemon = None


class Plain(Contender):
    """The folder that the others store in, used directly."""

    name = "plain"

    def __init__(self, folder):
        super().__init__(folder)
        self.store = self.mnt

    def create(self):
        pass

    @classmethod
    def absent(cls):
        return None

    @classmethod
    def version(cls):
        return os.uname().release

    def mount(self):
        pass


class Passthrough(Contender):
    name = "passthrough_ll"
    program = os.path.join(BUILD, "tests", "passthrough_ll")
    package = "libfuse3-dev"

    @classmethod
    def absent(cls):
        if os.path.exists(cls.program):
            return None
        return "not built: libfuse3-dev's example is not there"

    def command(self):
        # Its own default of idle threads is one that libfuse warns of; there
        # are never more than 10.
        return [self.program, "-f", "-o", "source=" + self.store,
                "-o", "cache=always", "-o", "writeback",
                "-o", "max_idle_threads=10", self.mnt]


class Gocryptfs(Contender):
    name = program = package = "gocryptfs"

    def create(self):
        os.mkdir(self.store)
        with open(self.key, "w", encoding="ascii") as f:
            f.write("a passphrase for the benchmark\n")
        call([self.program, "-q", "-init", "-scryptn", "10",
              "-passfile", self.key, self.store])

    def command(self):
        return [self.program, "-q", "-fg", "-passfile", self.key, self.store,
                self.mnt]


class Securefs(Contender):
    name = program = package = "securefs"

    def create(self):
        os.mkdir(self.store)
        with open(self.key, "wb") as f:
            f.write(os.urandom(32))
        call([self.program, "create", "--keyfile", self.key, "--pbkdf",
              "pkcs5-pbkdf2-hmac-sha256", "-r", "1", self.store])

    def command(self):
        return [self.program, "mount", "--keyfile", self.key, self.store,
                self.mnt]


class Encfs(Contender):
    name = program = package = "encfs"

    def create(self):
        os.mkdir(self.store)
        with open(self.key, "w", encoding="ascii") as f:
            f.write("a passphrase for the benchmark\n")

    def command(self):
        # The first mount creates it, and only then --standard is heeded.
        return [self.program, "-f", "--standard",
                "--extpass=cat '%s'" % self.key, self.store, self.mnt,
                "-o", "big_writes"]


class Chaosimgfs(Contender):
    name = "chaosimgfs"
    program = os.path.join(BUILD, "chaosimgfs")
    package = "chaosimgfs"

    @classmethod
    def version(cls):
        return call([cls.program, "--version"]).split()[-1]

    def create(self):
        tool = os.path.join(BUILD, "chaosimg")
        call([tool, "keyfile", self.key])
        call([tool, "init", "--keyfile", self.key, self.store])

    def command(self):
        return [self.program, "-f", "-o", "keyfile=" + self.key, self.store,
                self.mnt]


OURS = Chaosimgfs
PEERS = (Plain, Passthrough, Gocryptfs, Securefs, Encfs)
