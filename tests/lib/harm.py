# SPDX-License-Identifier: GPL-2.0-or-later
"""What scrub and fsck are tested on, and how it is harmed."""

import contextlib
import os
import shutil
import time

from mounted import ARCHIVE, MNT

LONG = "n" * 255


@contextlib.contextmanager
def harmed(*paths):
    """Files, to be harmed; they are as before afterwards, times included."""
    paths = [os.path.join(ARCHIVE, p) for p in paths]
    times = [os.stat(p) for p in paths]
    for i, path in enumerate(paths):
        shutil.copyfile(path, f"saved{i}")
    yield paths[0] if len(paths) == 1 else paths
    for i, path in enumerate(paths):
        shutil.copyfile(f"saved{i}", path)
        os.utime(path, ns=(times[i].st_atime_ns, times[i].st_mtime_ns))


def flip(path, at, bit=0):
    """As the disk does it: it leaves the times alone."""
    times = os.stat(path)
    with open(path, "r+b") as f:
        f.seek(at)
        byte = f.read(1)[0]
        f.seek(at)
        f.write(bytes([byte ^ 1 << bit]))
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def fill_oddities(chunk, huge):
    """Holes, a long name, a link, an attribute, a FIFO: on the mount."""
    with open(f"{MNT}/sparse", "wb") as f:
        for i in range(1, 100, 2):
            f.seek(i * chunk)
            f.write(b"x")
    with open(f"{MNT}/holes", "wb") as f:
        f.truncate(50 * chunk)
        f.seek(20 * chunk + 5)
        f.write(b"in the middle")
    with open(f"{MNT}/huge", "wb") as f:
        f.truncate(huge)
    with open(f"{MNT}/{LONG}", "wb") as f:
        f.write(b"a long name")
    os.symlink("DOE^JANE", f"{MNT}/link")
    os.setxattr(f"{MNT}/whole", "user.patient", b"DOE^JANE")
    os.mkfifo(f"{MNT}/fifo")


def write_for(seconds, chance, chunk, moved=None, stop=None):
    """
    Overwrite, grow, cut, rename and remove on the mount, as a database and a
    PACS do. A folder is removed where it is, or moved to @moved before. Gives
    the number of rounds; the event @stop ends it early.
    """
    end = time.monotonic() + seconds
    n = 0
    while time.monotonic() < end and not (stop and stop.is_set()):
        n += 1
        name = f"{MNT}/busy-{chance.randrange(6)}"
        with open(name, "r+b" if os.path.exists(name) else "w+b") as f:
            for _ in range(chance.randrange(1, 20)):
                f.seek(chance.randrange(60 * chunk))
                f.write(chance.randbytes(chance.randrange(3 * chunk)))
                if not chance.randrange(4):
                    os.fsync(f.fileno())
            if not chance.randrange(3):
                f.truncate(chance.randrange(60 * chunk))
        if not chance.randrange(5):
            os.rename(name, f"{MNT}/DOE^JANE/busy")
        if not chance.randrange(8):
            os.makedirs(f"{MNT}/folder/{LONG}/{n}")
            if moved:
                os.rename(f"{MNT}/folder", moved)
            shutil.rmtree(moved or f"{MNT}/folder")
        if not chance.randrange(6):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(f"{MNT}/busy-{chance.randrange(6)}")
    return n
