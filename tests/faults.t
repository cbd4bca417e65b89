#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Every system call of the mounted daemon fails once.

Each step below is one thing that a program does. It is done again and again in
a new folder, each time with the next of the daemon's calls on the archive
failing: with EIO; with the disk full from there on, after half a write; with a
quota; interrupted; done by half; or done, but with an error for an answer. Then
the program has to have had its error, or everything it wanted; nothing else may
have changed; the same once more has to work; and after mounting anew all is as
it was seen, and chaosimg fsck finds nothing.

An ingest mount does some of the steps, too; and it is mounted, and gets a new
keyset, with each call of that failing. What it left is looked at in an archive.

FAULTS=all does all steps with all faults (some minutes); otherwise each step is
done with two kinds of fault, at every third call. STEPS=name,.. picks steps,
or ingest; KINDS=name,.. faults.
"""

import errno
import glob
import hashlib
import os
import re
import subprocess
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, "tests/lib")
sys.path.insert(0, "tests/faults")
from tap import BUILD, done, ok, run, scratch           # noqa: E402
from faulty import Faults, FaultyMount, KINDS         # noqa: E402
from mounted import ARCHIVE, KEY, MNT, Mount, make, obstacle  # noqa: E402
from steps import DATA, STEPS, tree, write              # noqa: E402

ALL = os.environ.get("FAULTS") == "all"
MOST = 400          # more calls than any step makes
EDGE = "edge"
INGEST_STEPS = {"create", "create-long", "create-sync", "overwrite-sync", "append",
                "mkdir", "mkdir-long", "mkdir-sync", "rmdir-full", "rename",
                "rename-long", "rename-over", "rename-folder", "link", "unlink",
                "unlink-long"}


def attempt(step, folder):
    """The error's number, or None."""
    try:
        step.act(folder)
    except OSError as error:
        return error.errno
    return None


def between(got, old, new):
    """May a file that was being changed be like this?"""
    if not all(isinstance(x, bytes) for x in (got, old, new)):
        return got in (old, new)
    if not min(len(old), len(new)) <= len(got) <= max(len(old), len(new)):
        return False
    size = max(len(old), len(new))
    a, b = old.ljust(size, b"\0"), new.ljust(size, b"\0")
    return all(c in (x, y) for c, x, y in zip(got, a, b))


def half_done(got, old, new, cuts=False):
    """What is not as it was, nor as it was to be, nor between."""
    wrong = []
    for name in sorted(set(got) | set(old) | set(new)):
        # The kernel may go on telling the size that it has failed to write.
        if name.endswith("|size"):
            continue
        values = [t.get(name) for t in (got, old, new)]
        # A file that is being made may have less in it.
        if values[1] is None and isinstance(values[2], bytes) and \
                isinstance(values[0], bytes):
            values[1] = b""
        if cuts and isinstance(values[0], bytes):
            values[1] = values[1][:len(values[0])]
            values[2] = values[2][:len(values[0])]
        if not between(*values):
            wrong.append(name)
    return wrong


def look(folder):
    """The tree. What the kernel does later, such as setting times, may fail at
    the next who opens or closes the file; once."""
    try:
        return tree(folder)
    except OSError:
        return tree(folder)


def digests(values):
    return {k: hashlib.sha256(v).digest() if isinstance(v, bytes) else v
            for k, v in values.items()}


class Trial:
    """One step with one kind of fault, at each of its calls."""

    def __init__(self, step, kind, faults):
        self.step = step
        self.kind = kind
        self.faults = faults
        self.options = []
        self.wrong = []
        self.seen = {}
        self.old = self.new = None
        self.within = ""

    def complain(self, at, what, *more):
        self.wrong.append(f"call {at} ({what}): " + " ".join(map(str, more)))

    def folder(self, at):
        return os.path.join(MNT, self.within,
                            f"{self.step.name}-{self.kind}-{at}")

    def prepare(self, at):
        os.mkdir(self.folder(at))
        self.step.setup(self.folder(at))

    def example(self):
        """What it is before and after, where nothing fails."""
        self.prepare("none")
        folder = self.folder("none")
        self.old = tree(folder)
        error = attempt(self.step, folder)
        if error != self.step.error:
            self.complain("none", "none", "error", error)
        self.new = tree(folder)

    def once(self, at):
        """Whether a call failed."""
        folder = self.folder(at)
        self.faults.arm(self.kind, at)
        error = attempt(self.step, folder)
        what = self.faults.disarm()
        if not what:
            return False
        self.judge(at, what, folder, error)
        return True

    def judge(self, at, what, folder, error):
        try:
            got = look(folder)
        except OSError as e:
            self.complain(at, what, "afterwards", e, "first", error)
            return
        expected = error == self.step.error
        if expected and got != self.new:
            self.complain(at, what, "no error, but not done:",
                          half_done(got, self.old, self.new) or "left out")
        bad = half_done(got, self.old, self.new, self.step.cuts)
        if bad:
            self.complain(at, what, "neither old nor new:", bad,
                          "error", error)
        if not expected and self.kind in ("EINTR", "short"):
            self.complain(at, what, "not repeated: error", error)
        # Every other one is left as it is, to see what was stored of it.
        if expected or self.step.stays or at % 2:
            again = None if expected else attempt(self.step, folder)
            if again not in (self.step.error, None, errno.EEXIST,
                             errno.ENOENT):
                self.complain(at, what, "again:", os.strerror(again))
            got = tree(folder)
            if got != self.new:
                self.complain(at, what, "again, but not done:",
                              half_done(got, self.old, self.new) or "left out")
        self.seen[at] = digests(got)

    def warm(self):
        """In a mount that is there."""
        self.example()
        for at in range(0, MOST, 1 if ALL else 3):
            self.prepare(at)
            if not self.once(at):
                break

    def cold(self):
        """With nothing in memory when it begins: a mount for each call."""
        with FaultyMount(*self.options):
            self.example()
        for at in range(0, MOST, 1 if ALL else 5):
            with Mount(*self.options):
                self.prepare(at)
            with FaultyMount(*self.options):
                if not self.once(at):
                    break

    def after(self):
        """From the disk."""
        for at, want in self.seen.items():
            try:
                got = digests(tree(self.folder(at)))
            except OSError as error:
                self.complain(at, "-", "mounted anew:", error)
                continue
            if got != want:
                self.complain(at, "-", "mounted anew, it differs:", [
                    n for n in set(got) | set(want)
                    if got.get(n) != want.get(n)])


# --- ingest mounts -----------------------------------------------------------

class IngestMount(FaultyMount):
    """With the archive's parameters alone."""

    def __init__(self, epoch=3600):
        super().__init__(archive=EDGE)
        self.options = f"ingest,params=params,ingest-epoch={epoch}"
        self.before = sessions()

    def session(self):
        """What the archive calls this mount's folder."""
        new, = sessions() - self.before
        return new


def sessions():
    return {os.path.basename(path).replace("chaosimg.ingest.", "ingest-")
            for path in glob.glob(f"{EDGE}/data/chaosimg.ingest.*")}


def take_over():
    """As Documentation/operations.rst says."""
    subprocess.run(["cp", "-a", f"{EDGE}/keysets/.", f"{ARCHIVE}/keysets"],
                   check=True)
    subprocess.run(["cp", "-a", *glob.glob(f"{EDGE}/data/chaosimg.ingest.*"),
                    f"{ARCHIVE}/data"], check=True)


def everything(top):
    return {os.path.join(where, name) for where, folders, files in os.walk(top)
            for name in folders + files}


class Ingest:
    """A kind of fault at what ingest mounts alone do."""

    def __init__(self, kind, faults):
        self.kind = kind
        self.faults = faults
        self.wrong = []
        self.failed = 0
        self.stored = {}        # path in the archive -> may be less

    def complain(self, at, what, *more):
        self.wrong.append(f"call {at} ({what}): " + " ".join(map(str, more)))

    def mounts(self):
        """If it cannot be mounted, it says why, and nothing is left of it."""
        for at in range(0, MOST, 1 if ALL else 3):
            before = everything(EDGE)
            said = os.path.getsize("daemon.log")
            self.faults.arm(self.kind, at)
            mount = IngestMount()
            try:
                with mount:
                    what = self.faults.disarm()
                    self.store(mount, "f")
            except RuntimeError:
                what = self.faults.disarm()
                self.refused(at, what, before, said)
                self.again()
            if not what:
                return
            self.failed += 1

    def store(self, mount, name):
        write(f"{MNT}/{name}", DATA, sync=True)
        self.stored[f"{mount.session()}/{name}"] = False

    def again(self):
        with IngestMount() as mount:
            self.store(mount, "f")

    def refused(self, at, what, before, said):
        with open("daemon.log", "rb") as log:
            log.seek(said)
            lines = log.read().splitlines()
        if len(lines) != 1 or not lines[0].startswith(b"chaosimgfs: "):
            self.complain(at, what, "it says", lines)
        # Who looks at the mount point with O_PATH is not interrupted.
        if self.kind == "short" or (self.kind == "EINTR" and
                                    not lines[-1].startswith(b"chaosimgfs: mnt:")):
            self.complain(at, what, "not repeated:", lines)
        left = everything(EDGE) - before - {
            f"{EDGE}/{n}" for n in ("lock", "data", "keysets")}
        if left:
            self.complain(at, what, "is left:", left)

    def keysets(self):
        """A file needs a new keyset: it is there with it, or there is an error."""
        with IngestMount(epoch=1) as mount:
            for at in range(0, MOST, 1 if ALL else 3):
                name = f"new-{self.kind}-{at}"
                time.sleep(1.05)
                self.faults.arm(self.kind, at)
                try:
                    self.store(mount, name)
                    error = None
                except OSError as e:
                    error = e
                what = self.faults.disarm()
                if not what:
                    return
                self.failed += 1
                if error:
                    self.stored[f"{mount.session()}/{name}"] = True
                    self.store(mount, name + "-again")
                    if self.kind in ("EINTR", "short"):
                        self.complain(at, what, "not repeated:", error)

    def look(self):
        for path, less in self.stored.items():
            try:
                with open(os.path.join(MNT, path), "rb") as f:
                    got = f.read()
            except OSError as error:
                if not less or error.errno != errno.ENOENT:
                    self.complain("-", "-", error)
                continue
            if not between(got, b"" if less else DATA, DATA):
                self.complain("-", "-", path, "has wrong bytes")


def ingest(faults):
    os.mkdir(EDGE)
    run("ingest", "params", "--keyfile", KEY, ARCHIVE, "params")
    rounds = [Ingest(kind, faults) for kind in kinds_of(0)]
    for r in rounds:
        r.mounts()
        r.keysets()
    trials = [Trial(step, kind, faults) for number, step in enumerate(STEPS)
              if step.name in INGEST_STEPS for kind in kinds_of(number)]
    with IngestMount() as mount:
        for trial in trials:
            trial.warm()
            trial.within = mount.session()
    take_over()
    with Mount():
        for r in rounds:
            r.look()
            ok(f"ingest mounts, {r.kind}: {r.failed} calls",
               not r.wrong and r.failed, *r.wrong[:40])
        for trial in trials:
            trial.after()
            ok(f"ingest: {trial.step.name}, {trial.kind}: {len(trial.seen)} calls",
               not trial.wrong, *trial.wrong[:40])
    return sum(r.failed for r in rounds) + sum(len(t.seen) for t in trials)


# --- all of it ---------------------------------------------------------------

def fsck(*options):
    result = run("fsck", "--keyfile", KEY, *options, ARCHIVE)
    return result.returncode, result.stdout.decode(), result.stderr


def check_fsck():
    """What a failed call leaves behind can be mended, and nothing is lost."""
    status, said, error = fsck("--dry-run")
    other = [line for line in said.splitlines()[:-1]
             if "(can be repaired: " not in line]
    ok("fsck finds nothing that it cannot mend",
       not other and not error, *other, error)
    if status:
        fsck()
    status, said, error = fsck("--dry-run")
    ok("and does so", status == 0, said, error)


def chosen(variable, names, default):
    wanted = os.environ.get(variable)
    return [n for n in names if n in wanted.split(",")] if wanted else default


def kinds_of(number):
    """All of them, or two: every step has its turn with each."""
    names = list(KINDS)
    few = [names[0], names[1 + number % (len(names) - 1)]]
    return chosen("KINDS", names, names if ALL else few)


def main():
    reason = obstacle()
    if reason:
        print("1..0 # SKIP", reason)
        sys.exit(0)
    scratch()
    make("--chunk-size", "4096")
    faults = Faults()
    control = {}
    with Mount():
        os.mkdir(os.path.join(MNT, "control"))
        for i, size in enumerate((0, 100, 50000)):
            with open(os.path.join(MNT, "control", f"f{i}"), "wb") as f:
                f.write(os.urandom(size))
        control = tree(os.path.join(MNT, "control"))
    trials = [Trial(step, kind, faults)
              for number, step in enumerate(STEPS) for kind in kinds_of(number)
              if step.name in chosen("STEPS", [s.name for s in STEPS],
                                     [s.name for s in STEPS])]
    # With write-back or without, in turn.
    for options in [], ["no_writeback"]:
        mine = trials[len(options)::2]
        with FaultyMount(*options):
            for trial in mine:
                if not trial.step.cold:
                    trial.warm()
        for trial in mine:
            if trial.step.cold:
                trial.options = options
                trial.cold()
    with Mount():
        for trial in trials:
            trial.after()
            ok(f"{trial.step.name}, {trial.kind}: {len(trial.seen)} calls",
               not trial.wrong, *trial.wrong[:40])
    with Mount():
        ok("what nobody touched is as it was",
           tree(os.path.join(MNT, "control")) == control)
    more = ingest(faults) if chosen("STEPS", ["ingest"], ["ingest"]) else 0
    check_fsck()
    with open("daemon.log", encoding="utf-8") as log:
        lines = [s for s in log if re.search("stands under|damaged|older than",
                                             s)]
    ok("and the daemon has seen no damage", not lines, *lines[:20])
    print(f"# {sum(len(t.seen) for t in trials) + more} calls failed")
    done()


main()
