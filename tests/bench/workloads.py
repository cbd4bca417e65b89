# SPDX-License-Identifier: GPL-2.0-or-later
"""What is measured. A group of workloads is a generator: it yields the name of
a line of the table and how much was done per second, and what it does between
two lines is not timed.

"Cold" means mounted anew, with the kernel's caches dropped before. Writes are
timed up to the last close(), the files of images up to when they are stored,
and fsync where the name says so.
"""

import json
import os
import statistics
from dataclasses import dataclass, replace

from contenders import BUILD
from failure import Failure, call

FILES_BENCH = os.path.join(BUILD, "tests", "files_bench")
MIB = 1 << 20
IMAGE = ["-l", str(30 << 10), "-m", str(600 << 10)]
SMALL = ["-l", "1000", "-m", "16000"]
FRAME = 512 * 512 * 2
FRAME_TRIES = 5

@dataclass
class Sizes:
    large: int      # MiB, of the large file
    random: int     # reads, and writes, at random places in it
    images: int
    synced: int     # images with fsync
    small: int      # small files
    frames: int     # frames of half a MiB in the multi-frame file

    def at_most(self, files):
        return replace(self, images=min(self.images, files),
                       synced=min(self.synced, files),
                       small=min(self.small, files))

    def text(self):
        return ("a large file of %d MiB, %d random accesses, %d images of "
                "30 to 600 KiB (%d with fsync), %d small files, a multi-frame "
                "file of %d MiB" % (self.large, self.random, self.images,
                                    self.synced, self.small, self.frames // 2))


SIZES = {
    "tiny": Sizes(8, 200, 60, 10, 60, 20),
    "quick": Sizes(64, 2000, 200, 50, 500, 128),
    "default": Sizes(512, 10000, 1000, 150, 5000, 1000),
    "full": Sizes(1024, 50000, 20000, 2000, 5000, 1000),
}


def drop_caches():
    os.sync()
    with open("/proc/sys/vm/drop_caches", "w", encoding="ascii") as f:
        f.write("3\n")


def make_tar(path, folder, count):
    """The small files that each contender unpacks."""
    tree = os.path.join(folder, "small")
    call([FILES_BENCH, *SMALL, "-n", str(count), "write", tree])
    call(["tar", "-cf", path, "-C", folder, "small"])
    call(["rm", "-r", tree])


class Run:
    """One contender in one round."""

    def __init__(self, contender, sizes, number, tar):
        self.contender = contender
        self.sizes = sizes
        self.number = number
        self.tar = tar

    def path(self, name):
        return os.path.join(self.contender.mnt, name)

    def cold(self):
        self.contender.umount()
        drop_caches()
        self.contender.mount()

    def cold_for(self, *tools):
        """The tools themselves shall not be cold."""
        self.cold()
        for tool in tools:
            call([tool, "--version"])

    def call(self, args):
        """If it fails because the daemon died, then that is what went wrong."""
        try:
            said = call(args)
        except Failure:
            self.contender.check(grace=0.5)
            raise
        self.contender.check()
        return said

    def files(self, *args):
        """Seconds that files_bench needed."""
        return float(self.call([FILES_BENCH, "-s", str(self.number % 256),
                                *args]))

    def command(self, *args):
        return self.files("run", *args)

    def compare(self, *args):
        """All bytes, in the first round; after that the timed reads' checks
        of each page are thought to be enough."""
        if self.number == 0:
            self.files("-a", *args)

    def fio(self, path, kind, *options):
        said = self.call([
            "fio", "--name=random", "--filename=" + path, "--rw=" + kind,
            "--bs=4k", "--ioengine=psync", "--direct=0", "--thread",
            "--size=%dm" % self.sizes.large, "--verify_state_save=0",
            "--number_ios=%d" % self.sizes.random,
            "--randseed=%d" % (self.number + 1), "--output-format=json",
            *options])
        try:
            done = json.loads(said)["jobs"][0][kind.replace("rand", "")]
            rate = done["total_ios"] / (done["runtime"] / 1000)
        except (ValueError, KeyError, IndexError, ZeroDivisionError):
            raise Failure("fio's report cannot be read") from None
        if done["total_ios"] != self.sizes.random:
            raise Failure("fio did %d accesses of %d" % (
                done["total_ios"], self.sizes.random))
        return rate


def large(run):
    path = run.path("large")
    size = str(run.sizes.large * MIB)
    one = ["-r", "-c", str(MIB), "-l", size, "-m", size]
    yield ("write one large file, fsync",
           run.sizes.large / run.files(*one, "-f", "write-one", path))
    run.cold()
    yield ("read one large file, cold",
           run.sizes.large / run.files(*one, "read-one", path))
    run.cold()
    yield "read 4 KiB at random, cold", run.fio(path, "randread")
    run.compare(*one, "read-one", path)
    run.cold()
    checked = ["--verify=crc32c", "--verify_fatal=1"]
    yield ("write 4 KiB at random, fsync",
           run.fio(path, "randwrite", "--end_fsync=1", "--do_verify=0",
                   *checked))
    if run.number == 0:
        run.cold()
        run.fio(path, "randwrite", "--verify_only", *checked)


def total_size(folder):
    return sum(os.path.getsize(os.path.join(top, name))
               for top, _, names in os.walk(folder) for name in names) / MIB


def images(run):
    folder = run.path("images")
    some = [*IMAGE, "-n", str(run.sizes.images)]
    write = [*some, "-b", run.contender.store]
    seconds = run.files(*write, "write", folder)
    size = total_size(folder)
    yield "write images", size / seconds
    run.cold()
    yield "read images, cold", size / run.files(*some, "read", folder)
    run.compare(*some, "read", folder)
    run.cold()
    yield ("read images, cold, 4 processes",
           size / run.files(*some, "-p4", "read", folder))
    run.call(["rm", "-r", folder])
    run.cold()
    yield ("write images, 4 processes",
           size / run.files(*write, "-p4", "write", folder))
    run.compare(*some, "read", folder)


def synced(run):
    folder = run.path("synced")
    some = [*IMAGE, "-n", str(run.sizes.synced)]
    yield ("write images, fsync each",
           run.sizes.synced / run.files(*some, "-f", "write", folder))
    run.compare(*some, "read", folder)


def small(run):
    folder = run.path("small")
    count = run.sizes.small
    call(["cat", run.tar])      # nor is this file cold
    yield ("small files: untar", count / run.command(
        "tar", "-xf", run.tar, "-C", run.contender.mnt))
    run.cold_for("ls")
    yield "small files: ls -lR, cold", count / run.command("ls", "-lR", folder)
    run.cold_for("find", "cat")
    yield ("small files: read all, cold", count / run.command(
        "find", folder, "-type", "f", "-exec", "cat", "{}", "+"))
    # The tar file was made with the seed 0.
    run.files("-s", "0", *SMALL, "-a", "-n", str(count), "read", folder)
    yield "small files: rm -r", count / run.command("rm", "-r", folder)


def frame(run):
    path = run.path("frames")
    size = str(run.sizes.frames * FRAME)
    one = ["-l", size, "-m", size]
    run.files(*one, "write-one", path)
    run.contender.umount()
    run.contender.mount()
    seconds = []
    for i in range(FRAME_TRIES):
        which = (run.number * FRAME_TRIES + i) * 7919 % run.sizes.frames
        drop_caches()
        seconds.append(run.files(*one, "-i", str(which), "read-frame", path))
    yield "open and read one frame, cold", 1 / statistics.median(seconds)


# Each with its lines, in their order, and their units.
GROUPS = {
    large: {
        "write one large file, fsync": "MiB/s",
        "read one large file, cold": "MiB/s",
        "read 4 KiB at random, cold": "1/s",
        "write 4 KiB at random, fsync": "1/s",
    },
    images: {
        "write images": "MiB/s",
        "read images, cold": "MiB/s",
        "read images, cold, 4 processes": "MiB/s",
        "write images, 4 processes": "MiB/s",
    },
    synced: {
        "write images, fsync each": "1/s",
    },
    small: {
        "small files: untar": "1/s",
        "small files: ls -lR, cold": "1/s",
        "small files: read all, cold": "1/s",
        "small files: rm -r": "1/s",
    },
    frame: {
        "open and read one frame, cold": "1/s",
    },
}
LINES = {line: unit for lines in GROUPS.values()
         for line, unit in lines.items()}


def measure(group, run, wanted):
    """The group's values for the wanted lines, as far as those reach."""
    last = [line for line in GROUPS[group] if line in wanted][-1]
    steps = group(run)
    try:
        for line, rate in steps:
            if line in wanted:
                yield line, rate
            if line == last:
                break
        else:
            raise Failure("%s was not measured" % last)
    finally:
        steps.close()
