# SPDX-License-Identifier: GPL-2.0-or-later
"""An archive in the current folder, mounted and unmounted, for Python tests."""

import os
import subprocess
import time

from tap import BUILD, ok, works

KEY = "key"
ARCHIVE = "archive"
MNT = "mnt"


def obstacle():
    """Why nothing can be mounted here, or None."""
    if os.getuid():
        return "needs root"
    try:
        os.close(os.open("/dev/fuse", os.O_RDWR))
    except OSError as error:
        return f"/dev/fuse: {error.strerror}"
    return None


def make(*options):
    works("a key file", "keyfile", KEY)
    works("an archive", "init", "--keyfile", KEY, *options, ARCHIVE)
    os.mkdir(MNT)


def umount(at):
    """Another program, such as df, may be looking at it just now."""
    for _ in range(50):
        if not subprocess.run(["umount", at], check=False,
                              stderr=subprocess.DEVNULL).returncode:
            return
        time.sleep(0.1)
    subprocess.run(["umount", at], check=True)


class Mount:
    """with Mount(): the archive is mounted on MNT."""

    def __init__(self, *options, key=KEY, at=MNT, archive=ARCHIVE):
        self.options = ",".join([f"keyfile={key}", *options])
        self.at = at
        self.archive = archive
        self.daemon = None

    def command(self):
        return [os.path.join(BUILD, "chaosimgfs"), "-f", "-o", self.options,
                self.archive, self.at]

    def __enter__(self):
        with open("daemon.log", "ab") as log:
            self.daemon = subprocess.Popen(
                self.command(), stdin=subprocess.DEVNULL, stdout=log,
                stderr=log)
        for _ in range(600):
            if os.path.ismount(self.at):
                return self
            if self.daemon.poll() is not None:
                break
            time.sleep(0.05)
        with open("daemon.log", encoding="utf-8") as log:
            raise RuntimeError(log.read())

    def die(self):
        """A crash of the daemon; whoever is at the mount gets errors."""
        self.daemon.kill()
        self.daemon.wait()

    def kill(self):
        """The same, and nothing is mounted any more."""
        if self.daemon.returncode is None:
            self.die()
        subprocess.run(["umount", "-l", self.at], check=True)

    def __exit__(self, *_):
        if self.daemon.returncode is not None:
            return
        umount(self.at)
        if self.daemon.wait(60):
            ok("the daemon ended well", False, self.daemon.returncode)


def stored(plain):
    """The stored path, from the archive on, of a path while it is mounted."""
    want = os.lstat(os.path.join(MNT, plain)).st_ino
    for top, folders, files in os.walk(os.path.join(ARCHIVE, "data")):
        for name in folders + files:
            path = os.path.join(top, name)
            if os.lstat(path).st_ino == want and name[-5:] != ".name":
                return os.path.relpath(path, ARCHIVE)
    raise FileNotFoundError(plain)
