#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Power cuts under a mount: what was synced is there, and nothing else is wrong.

All calls that change the archive are recorded while a workload runs on a mount.
Then states of the tree are built that a power cut could leave; the models of
what a file system may keep are in tests/lib/crash_states.py. Each state is
opened with libchaosimg, some are mounted, with no repair before. In each

- a name is there if its directory was synced since it was made, and no later
  operation that had begun took it away; both names of a rename may be tried;
- a file that was synced under such a name has each byte of its contents of that
  sync or of a later write, and a link its target, and its synced attributes;
- a file that was never synced may be unreadable, but has no byte that was never
  written to it;
- every directory that is there can be listed, and every name in it be read;
- the archive opens with every key that it had, and not with one that it lost.

What an ingest mount left is taken over into an archive and read with that one's
key; and before it, now and then, the ingest mount is made again.

STATES: how many for each workload (150); SEED; WORKLOAD: only this one.
"""

import contextlib
import os
import random
import shutil
import struct
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
sys.path.insert(0, "tests/lib")
from crash_states import Record, scan  # noqa: E402
from dicom_element import element  # noqa: E402
from mounted import ARCHIVE, KEY, MNT, Mount, make, obstacle  # noqa: E402
from tap import BUILD, CHAOSIMG, done, ok, run, scratch  # noqa: E402

CHUNK = 4096
STATES = int(os.environ.get("STATES", 150))
SEED = int(os.environ.get("SEED", random.randrange(1 << 32)))
ONLY = os.environ.get("WORKLOAD")
MOUNT_EVERY = 50
INGEST_EVERY = 10
EDGE = "edge"
EPOCH = 2
RANDOM = random.Random(SEED)
LONG = "n" * 250
PRELOAD = {"LD_PRELOAD": os.path.join(BUILD, "tests/recorder.so")}


class Model:
    """What the plain tree is after each operation, and what was synced."""

    def __init__(self, log):
        self.log = log
        self.names = {}         # path -> object
        self.after = [{}]       # the same, after each operation
        self.versions = {}      # object -> [(operation, contents)]
        self.xattrs = {}        # object -> [(operation, {name: value})]
        self.synced = {}        # object -> [operation]
        self.listed = {}        # directory -> [operation]
        self.keys = [{0}]       # numbers of the key files that open it

    @property
    def op(self):
        return len(self.after)

    def say(self, what):
        with open(self.log, "ab") as f:
            f.write(f"{what} {self.op}\n".encode())

    def do(self, function, *args):
        self.say("begin")
        self.keys.append(set(self.keys[-1]))
        function(*args)
        self.say("done")
        self.after.append(dict(self.names))

    def changed(self, path, contents):
        self.versions[self.names[path]].append((self.op, contents))

    def make(self, path, contents):
        obj = len(self.versions)
        self.names[path] = obj
        self.versions[obj] = [(self.op, contents)]
        self.xattrs[obj] = [(self.op, {})]

    def contents(self, path):
        return self.versions[self.names[path]][-1][1]

    @staticmethod
    def real(path):
        return os.path.join(MNT, path)

    def prepare(self, path, number):
        """A state, before it is read: what is wrong, and what was added."""
        return [], {}

    # --- operations ---

    def write(self, path, at, data, new=False):
        if path not in self.names:
            self.make(path, b"")
            new = True
        with open(self.real(path), "w+b" if new else "r+b") as f:
            f.seek(at)
            f.write(data)
        old = self.contents(path)
        self.changed(path, old[:at] + bytes(max(0, at - len(old))) + data +
                     old[at + len(data):])

    def truncate(self, path, length):
        os.truncate(self.real(path), length)
        old = self.contents(path)
        self.changed(path, old[:length] + bytes(max(0, length - len(old))))

    def sync(self, path):
        fd = os.open(self.real(path), os.O_RDONLY)
        os.fsync(fd)
        os.close(fd)
        if os.path.isdir(self.real(path)):
            self.listed.setdefault(path, []).append(self.op)
        else:
            self.synced.setdefault(self.names[path], []).append(self.op)

    def mkdir(self, path):
        os.mkdir(self.real(path))
        self.make(path, "dir")

    def symlink(self, target, path):
        os.symlink(target, self.real(path))
        self.make(path, ("link", target))
        self.synced[self.names[path]] = [self.op]

    def link(self, path, other):
        os.link(self.real(path), self.real(other))
        self.names[other] = self.names[path]

    def remove(self, path):
        if os.path.isdir(self.real(path)) and \
                not os.path.islink(self.real(path)):
            os.rmdir(self.real(path))
        else:
            os.unlink(self.real(path))
        del self.names[path]

    def rename(self, path, other):
        os.rename(self.real(path), self.real(other))
        for name in [n for n in self.names if n == path or
                     n.startswith(path + "/")]:
            self.names[other + name[len(path):]] = self.names.pop(name)

    def setxattr(self, path, name, value):
        if value is None:
            os.removexattr(self.real(path), name)
        else:
            os.setxattr(self.real(path), name, value)
        history = self.xattrs[self.names[path]]
        new = dict(history[-1][1])
        new[name] = value
        history.append((self.op, new))

    def chaosimg(self, *args):
        result = run(*args, env={**os.environ, **PRELOAD,
                                 "CHAOSIMG_RECORD": self.log})
        if result.returncode:
            raise RuntimeError(result.stderr)

    def key(self, change, number, *args):
        self.chaosimg("key", *args)
        change(self.keys[-1], number)


class Ingest(Mount):
    """With the archive's parameters alone."""

    def __init__(self, archive):
        super().__init__(archive=archive)
        self.options = f"no_sandbox,ingest,params=params,ingest-epoch={EPOCH}"


class IngestModel(Model):
    """Of a folder of ingest mounts, each of which is a folder in the archive."""

    def __init__(self, log):
        super().__init__(log)
        self.mount = self.session = None

    def real(self, path):
        return os.path.join(MNT, os.path.relpath(path, self.session))

    def at(self, path):
        return f"{self.session}/{path}"

    def begin(self):
        """The session's folder is there for good as soon as it is mounted."""
        before = sessions(EDGE)
        with recorded(self.log):
            self.mount = Ingest(EDGE).__enter__()
        self.session, = sessions(EDGE) - before
        self.make(self.session, "dir")
        self.listed.setdefault(".", []).append(self.op)

    def end(self):
        """All is synced."""
        self.mount.__exit__()
        for path, obj in self.names.items():
            if self.versions[obj][0][1] == "dir":
                self.listed.setdefault(path, []).append(self.op)
            else:
                self.synced.setdefault(obj, []).append(self.op)

    def store(self, path, contents, wait=0):
        """Sync an image before it is closed; afterwards its keys may be gone."""
        with open(self.real(path), "wb") as f:
            f.write(contents[:5000])
            f.flush()
            time.sleep(wait)
            f.write(contents[5000:])
            f.flush()
            os.fsync(f.fileno())
        self.make(path, b"")
        self.changed(path, contents)
        self.synced[self.names[path]] = [self.op]

    @staticmethod
    def may(function, *args):
        """Unless the keys are gone already."""
        try:
            function(*args)
        except PermissionError:
            pass

    def prepare(self, path, number):
        wrong, added = [], {}
        if number % INGEST_EVERY == 0:
            try:
                added = again(path)
            except (RuntimeError, OSError) as error:
                wrong.append(f"it cannot be mounted again: {error}")
        take_over(path)
        return wrong, added


def sessions(edge):
    """What the archive calls the folders of ingest mounts."""
    names_ = os.listdir(f"{edge}/data") if os.path.exists(f"{edge}/data") else []
    return {n.replace("chaosimg.", "").replace(".", "-") for n in names_
            if n.startswith("chaosimg.ingest.")}


def again(edge):
    """Mount it once more: what there is of that mount."""
    before = sessions(edge)
    with Ingest(edge):
        with open(f"{MNT}/again", "wb") as f:
            f.write(b"again")
    session, = sessions(edge) - before
    return {session: "dir", f"{session}/again": b"again"}


def take_over(path):
    """An archive in the folder's place, with all that belongs into it."""
    edge = path + ".edge"
    os.rename(path, edge)
    shutil.copytree("empty", path, symlinks=True)
    for below, start in (("keysets", ""), ("data", "chaosimg.ingest.")):
        folder = os.path.join(edge, below)
        for name in os.listdir(folder) if os.path.exists(folder) else []:
            if name.startswith(start):
                os.rename(os.path.join(folder, name),
                          os.path.join(path, below, name))
    shutil.rmtree(edge)


# --- workloads ---------------------------------------------------------------

def data(chunks=3):
    return RANDOM.randbytes(RANDOM.randrange(1, chunks * CHUNK))


def files(m):
    """Overwrite, grow, cut, and replace by renaming."""
    for name in ("a", "b", "c"):
        m.do(m.write, name, 0, RANDOM.randbytes(4 * CHUNK))
    m.do(m.sync, "a")
    m.do(m.sync, "b")
    m.do(m.sync, ".")
    for i in range(14):
        name = RANDOM.choice("abc")
        what = RANDOM.randrange(5)
        if what < 2:
            m.do(m.write, name, RANDOM.randrange(4 * CHUNK), data())
        elif what == 2:
            m.do(m.truncate, name, RANDOM.randrange(6 * CHUNK))
        elif what == 3:
            m.do(m.sync, name)
        else:
            m.do(m.write, f"new{i}", 0, data(5))
            m.do(m.sync, f"new{i}")
            m.do(m.rename, f"new{i}", name)
            if RANDOM.randrange(2):
                m.do(m.sync, ".")


def folders(m):
    """mkdir with a sync of the folder above; rename and remove."""
    for name in ("x", "y", "x/in", f"y/{LONG}"):
        m.do(m.mkdir, name)
        m.do(m.sync, os.path.dirname(name) or ".")
    for i in range(3):
        m.do(m.write, f"x/in/{i}", 0, data())
        m.do(m.sync, f"x/in/{i}")
        m.do(m.sync, "x/in")
    m.do(m.rename, "x/in", "y/moved")
    m.do(m.sync, "x")
    m.do(m.sync, "y")
    m.do(m.rename, f"y/{LONG}", "x/short")
    m.do(m.mkdir, "y/gone")
    m.do(m.remove, "y/gone")
    m.do(m.rename, "y/moved", f"x/{LONG}")
    m.do(m.sync, "x")
    m.do(m.write, f"x/{LONG}/3", 0, data())
    m.do(m.remove, "x/short")
    m.do(m.rename, "x", "z")
    m.do(m.sync, ".")
    m.do(m.rename, f"z/{LONG}/1", "y/1")
    m.do(m.rename, f"z/{LONG}/2", f"z/{LONG}/0")
    m.do(m.sync, "y")


def names(m):
    """Names longer than the backing file system takes, and links."""
    m.do(m.mkdir, "d")
    m.do(m.sync, ".")
    m.do(m.write, LONG, 0, data())
    m.do(m.sync, LONG)
    m.do(m.sync, ".")
    m.do(m.rename, LONG, "d/s" + LONG)
    m.do(m.sync, "d")
    m.do(m.link, "d/s" + LONG, "d/t" + LONG)
    m.do(m.sync, "d")
    m.do(m.remove, "d/s" + LONG)
    m.do(m.write, "d/u" + LONG, 0, data())
    m.do(m.sync, "d/u" + LONG)
    m.do(m.rename, "d/u" + LONG, "d/t" + LONG)
    m.do(m.sync, "d")
    m.do(m.rename, "d/t" + LONG, "short")
    m.do(m.symlink, "T" * 200, "l" + LONG)
    m.do(m.sync, ".")
    m.do(m.rename, "l" + LONG, "link")
    m.do(m.rename, "short", "s" + LONG)
    m.do(m.remove, "link")
    m.do(m.rename, "s" + LONG, LONG)
    m.do(m.sync, ".")


def links(m):
    """Symbolic and hard links, and attributes."""
    m.do(m.write, "f", 0, data())
    m.do(m.sync, "f")
    m.do(m.symlink, "f", "to")
    m.do(m.sync, ".")
    for i in range(4):
        m.do(m.setxattr, "f", "user.patient", b"DOE^JANE %d" % i)
        m.do(m.link, "f", f"hard{i}")
        if i % 2:
            m.do(m.sync, "f")
        m.do(m.setxattr, "f", f"user.{i}", RANDOM.randbytes(20 * i))
        m.do(m.write, f"hard{i}", 1000 * i, data())
    m.do(m.sync, ".")
    m.do(m.sync, "f")
    m.do(m.setxattr, "f", "user.1", None)
    m.do(m.sync, "f")
    m.do(m.remove, "f")
    m.do(m.rename, "hard0", "f")
    m.do(m.remove, "hard2")
    m.do(m.sync, ".")
    m.do(m.symlink, "hard1", "new")
    m.do(m.rename, "new", "to")
    m.do(m.sync, ".")


def keys(m):
    """Key slots are added and removed while files are written."""
    m.do(m.write, "f", 0, data())
    m.do(m.sync, "f")
    m.do(m.sync, ".")
    for i in (1, 2):
        m.do(m.key, set.add, i, "add", "--keyfile", KEY, "--new-keyfile",
             f"key{i}", ARCHIVE)
        m.do(m.write, "f", 0, data())
    m.do(m.sync, "f")
    m.do(m.key, set.discard, 1, "remove", "--keyfile", KEY, "--slot", "1", ARCHIVE)
    m.do(m.key, set.add, 1, "add", "--keyfile", "key2", "--new-keyfile",
         "key1", ARCHIVE)
    m.do(m.key, set.discard, 2, "remove", "--keyfile", KEY, "--slot", "2", ARCHIVE)


def rekey(m):
    """New keysets, and old files moved over to them."""
    for i in range(3):
        m.do(m.write, f"f{i}", 0, data(6))
        m.do(m.sync, f"f{i}")
    m.do(m.mkdir, LONG)
    m.do(m.write, f"{LONG}/{LONG}", 0, data(6))
    m.do(m.sync, f"{LONG}/{LONG}")
    m.do(m.sync, LONG)
    m.do(m.sync, ".")
    m.do(m.chaosimg, "rekey", "--keyfile", KEY, ARCHIVE)
    m.do(m.write, "f1", 100, data(2))
    m.do(m.write, "new", 0, data(2))
    m.do(m.sync, "new")
    m.do(m.sync, ".")
    m.do(m.chaosimg, "rekey", "--reencrypt", "--keyfile", KEY, ARCHIVE)
    m.do(m.write, "f2", 100, data(2))
    m.do(m.sync, "f2")


def policies(m):
    """Keysets get wraps under policies, new ones and those that are there."""
    if not os.path.exists("public"):
        run("authority", "init", "x", "secret", "public")
    for i in range(3):
        m.do(m.write, f"f{i}", 0, data(4))
        m.do(m.sync, f"f{i}")
        m.do(m.sync, ".")
        m.do(m.chaosimg, "policy", "set", "--keyfile", KEY, "--pixels",
             f"a{i}@x", "--authority", "public", "--existing", ARCHIVE)
    m.do(m.chaosimg, "policy", "remove", "--keyfile", KEY, ARCHIVE)
    m.do(m.chaosimg, "rekey", "--reencrypt", "--keyfile", KEY, ARCHIVE)
    m.do(m.write, "f0", 100, data(2))
    m.do(m.sync, "f0")


def image():
    """A patient, some text, and pixels."""
    meta = element(0x00020010, b"UI", b"1.2.840.10008.1.2.1\0")
    return bytes(128) + b"DICM" + \
        element(0x00020000, b"UL", struct.pack("<I", len(meta))) + meta + \
        element(0x00081030, b"LO", b"a study " * 500) + \
        element(0x00100010, b"PN", b"DOE^JANE") + \
        element(0x7fe00010, b"OW", RANDOM.randbytes(2 * RANDOM.randrange(9000)))


def ingest(m):
    """Twice an ingest mount, whose keysets come and go, in an empty folder."""
    for _ in range(2):
        m.do(m.begin)
        m.do(m.mkdir, m.at("study"))
        m.do(m.sync, m.session)
        for name in ("0", "1", LONG):
            m.do(m.store, m.at(f"study/{name}"), image())
            m.do(m.sync, m.at("study"))
        m.do(m.may, m.rename, m.at("study/0"), m.at(f"study/s{LONG}"))
        m.do(m.sync, m.at("study"))
        m.do(m.write, m.at("draft"), 0, data())
        m.do(m.store, m.at("study/late"), image(), EPOCH + 1)
        m.do(m.store, m.at("study/new"), image())
        m.do(m.sync, m.at("study"))
        m.do(m.mkdir, m.at("study/series"))
        m.do(m.store, m.at("study/series/0"), image())
        m.do(m.may, m.rename, m.at("study/series/0"), m.at("study/series/1"))
        m.do(m.may, m.rename, m.at("study/new"), m.at(f"study/{LONG}"))
        m.do(m.remove, m.at("study/1"))
        m.do(m.sync, m.session)
        m.do(m.may, m.write, m.at("study/late"), 100, data())
        m.do(m.write, m.at("study/last"), 0, image())
        m.do(m.end)


# --- checking ----------------------------------------------------------------

class Found:
    """A tree as it was read from a state."""

    def __init__(self):
        self.keys, self.errors = set(), []
        self.entries, self.bad, self.xattrs = {}, {}, {}


class Reader:
    """readtree, which reads one state after the other."""

    def __init__(self):
        self.process = subprocess.Popen(
            [os.path.join(BUILD, "tests/readtree"), KEY, "key1", "key2"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def read(self, path):
        self.process.stdin.write(path.encode() + b"\n")
        self.process.stdin.flush()
        out, found = self.process.stdout, Found()
        while True:
            words = out.readline().decode(errors="replace").split(" ")
            what = words[0].strip()
            if what == "end":
                return found
            if not what:
                raise RuntimeError(f"readtree died: {self.process.wait()}")
            if what == "key":
                found.keys.add(int(words[1]))
                continue
            name = bytes.fromhex(words[1].strip()).decode(errors="replace")
            if what == "dir":
                found.entries[name] = "dir"
            elif what == "link":
                found.entries[name] = \
                    ("link", bytes.fromhex(words[2]).decode())
            elif what == "xattr":
                found.xattrs.setdefault(name, {})[
                    bytes.fromhex(words[2]).decode()] = bytes.fromhex(words[3])
            elif what == "file":
                found.entries[name] = out.read(int(words[2]))
                found.bad[name] = [int(w) for w in words[3:]]
            elif words[2] == "file":
                found.entries[name] = None
            elif words[2] != "archive":
                found.errors.append(" ".join([name, *words[2:]]).strip())


def read_mounted():
    """The same through the mount."""
    found = Found()
    found.entries[""] = "dir"
    for top, folders_, files_ in os.walk(
            MNT, onerror=lambda e: found.errors.append(str(e))):
        for name in folders_ + files_:
            path = os.path.join(top, name)
            plain = os.path.relpath(path, MNT)
            if os.path.islink(path):
                found.entries[plain] = ("link", os.readlink(path))
            elif os.path.isdir(path):
                found.entries[plain] = "dir"
            else:
                found.entries[plain] = None
                try:
                    with open(path, "rb") as f:
                        size = os.fstat(f.fileno()).st_size
                        found.entries[plain], found.bad[plain] = \
                            read_chunks(f, size)
                    found.xattrs[plain] = {
                        n: os.getxattr(path, n) for n in os.listxattr(path)
                        if n.startswith("user.")}
                except OSError:
                    pass
    return found


def read_chunks(f, size):
    contents, bad = bytearray(size), []
    for at in range(0, size, CHUNK):
        try:
            part = os.pread(f.fileno(), min(CHUNK, size - at), at)
            contents[at:at + len(part)] = part
        except OSError:
            bad.append(at)
    return bytes(contents), bad


class Judge:
    """What a state has to hold, cut while operation @op was under way."""

    def __init__(self, m, op, finished, added):
        self.m, self.wrong, self.added = m, [], added
        # The last operation that had ended, and the last that had begun.
        self.past, self.op = (op if finished else op - 1), op

    def last(self, operations):
        return max((i for i in operations or [] if i <= self.past), default=0)

    def snapshots(self, since):
        return self.m.after[since:self.op + 1]

    def promised(self, path):
        """Since when its name is there for certain; 0: it is not."""
        up = os.path.dirname(path)
        since = self.last(self.m.listed.get(up or "."))
        if not since or path not in self.m.after[since] or \
                (up and not self.promised(up)):
            return 0
        return since

    def judge(self, found):
        self.wrong += found.errors
        if not found.keys >= self.m.keys[self.past] & self.m.keys[self.op]:
            self.wrong.append(f"opened by keys {found.keys} only")
        if found.keys - self.m.keys[self.past] - self.m.keys[self.op]:
            self.wrong.append(f"opened by a removed key: {found.keys}")
        for path, entry in self.added.items():
            if found.entries.pop(path, None) != entry:
                self.wrong.append(f"{path[:50]} was added, and is not there")
        paths = {p for s in self.m.after[:self.op + 1] for p in s}
        for path in paths:
            self.name(path, found)
        for path, entry in found.entries.items():
            if path:
                self.entry(path, entry, found)
        return self.wrong

    def name(self, path, found):
        since = self.promised(path)
        if not since:
            return
        then = self.snapshots(since)
        if all(path in s for s in then) and path not in found.entries:
            self.wrong.append(f"{path[:20]} is not there")
        obj = self.m.after[since][path]
        held = [[p for p, o in s.items() if o == obj] for s in then]
        if all(held) and not any(p in found.entries for h in held for p in h):
            self.wrong.append(f"{path[:20]} is under none of its names")

    def entry(self, path, entry, found):
        objects = {s[path] for s in self.m.after[:self.op + 1] if path in s}
        if not objects:
            self.wrong.append(f"{path[:20]} never was")
            return
        why = [self.fits(path, entry, found, obj) for obj in objects]
        if all(why):
            self.wrong.append(f"{path[:20]}: {' or '.join(why)}")

    def fits(self, path, entry, found, obj):
        """Why it is not a state of the object, or None."""
        floor = self.last(self.m.synced.get(obj))
        versions = [(i, v) for i, v in self.m.versions[obj] if i <= self.op]
        if not versions:
            return "it is of later"
        first = max((n for n, (i, _) in enumerate(versions) if i <= floor),
                    default=0)
        states = [v for _, v in versions[first:]]
        if isinstance(states[0], (str, tuple)):
            return None if entry == states[0] else f"{entry} is not it"
        if isinstance(entry, (str, tuple)):
            return "another kind"
        if entry is None:
            return "cannot be opened" if floor else None
        return self.bytes_of(entry, states, found.bad.get(path, []), floor) or \
            (self.attributes(path, found, obj, floor) if floor else None)

    @staticmethod
    def bytes_of(got, states, bad, floor):
        least = min(map(len, states))
        if floor and not least <= len(got) <= max(map(len, states)):
            return f"{len(got)} bytes long"
        if floor and any(at < least for at in bad):
            return f"synced bytes cannot be read: {bad}"
        if got in states:
            return None
        for at in range(0, len(got), CHUNK):
            part = got[at:at + CHUNK]
            if at in bad or any(s[at:at + CHUNK] == part for s in states):
                continue
            for i, byte in enumerate(part, at):
                if not any(s[i] == byte if i < len(s) else not byte
                           for s in states):
                    return f"wrong byte at {i}"
        return None

    def attributes(self, path, found, obj, floor):
        history = self.m.xattrs[obj]
        first = max((n for n, (i, _) in enumerate(history) if i <= floor),
                    default=0)
        then = [x for i, x in history[first:] if i <= self.op] or [{}]
        got = found.xattrs.get(path, {})
        for name in {n for x in then for n in x} | set(got):
            if not any(x.get(name) == got.get(name) for x in then):
                return f"attribute {name} is {got.get(name)}"
        return None


# --- running -----------------------------------------------------------------

@contextlib.contextmanager
def recorded(log):
    """Who is started now."""
    os.environ.update(PRELOAD, CHAOSIMG_RECORD=log)
    try:
        yield
    finally:
        for name in ("LD_PRELOAD", "CHAOSIMG_RECORD"):
            del os.environ[name]


def record(workload):
    """Run it on a mount; a Model and a Record."""
    log = os.path.abspath("log")
    for path in (log, "key1", "key2"):
        if os.path.exists(path):
            os.unlink(path)
    for path in ("key1", "key2"):
        run("keyfile", path)
    if workload is ingest:
        return record_ingest(log)
    nodes, root = scan(ARCHIVE)
    m = Model(log)
    with recorded(log):
        mount = Mount("no_sandbox").__enter__()
    try:
        workload(m)
    finally:
        mount.__exit__()
    return m, Record(log, nodes, root)


def record_ingest(log):
    """It mounts by itself."""
    os.mkdir(EDGE)
    run("ingest", "params", "--keyfile", KEY, ARCHIVE, "params")
    nodes, root = scan(EDGE)
    m = IngestModel(log)
    ingest(m)
    return m, Record(log, nodes, root)


def states(m, r, folder, count):
    """Build so many states and judge them; what is wrong."""
    wrong, reader = [], Reader()
    where, op, finished = [], 0, True
    for call in r.calls:
        if call.what in ("begin", "done"):
            op, finished = int(call.words[0]), call.what == "done"
        where.append((op, finished))
    for n in range(count):
        cut = RANDOM.randrange(1, len(r.calls) + 1)
        percent, ordered = (0, 100, 50, 90)[n % 4], n % 8 < 4
        path = os.path.join(folder, f"state{n}")
        r.build(r.state(cut, percent, ordered, RANDOM), path)
        why, added = m.prepare(path, n)
        found = reader.read(path)
        why += Judge(m, *where[cut - 1], added).judge(found)
        if not why and n % MOUNT_EVERY == 0:
            with Mounted(path):
                why = Judge(m, *where[cut - 1], added).judge(
                    with_keys(read_mounted(), found))
        if why:
            wrong.append((n, cut, where[cut - 1], percent, ordered, why[:4]))
        shutil.rmtree(path)
    reader.process.stdin.close()
    reader.process.wait()
    return wrong


def with_keys(found, other):
    found.keys = other.keys
    return found


class Mounted(Mount):
    """Another archive on the same mount point."""

    def __init__(self, archive):
        super().__init__()
        self.archive = archive

    def __enter__(self):
        os.rename(ARCHIVE, "aside")
        os.symlink(self.archive, ARCHIVE)
        return super().__enter__()

    def __exit__(self, *args):
        super().__exit__(*args)
        os.unlink(ARCHIVE)
        os.rename("aside", ARCHIVE)


def tmpfs():
    """A folder in memory, if attributes can be kept there."""
    top = "/dev/shm" if os.access("/dev/shm", os.W_OK) else "."
    folder = tempfile.mkdtemp(prefix="chaosimg.", dir=top)
    try:
        os.setxattr(folder, "user.test", b"")
    except OSError:
        os.rmdir(folder)
        folder = tempfile.mkdtemp(prefix="chaosimg.", dir=".")
    return os.path.abspath(folder)


def main():
    reason = obstacle()
    if reason:
        print(f"1..0 # SKIP {reason}")
        return
    print(f"# SEED={SEED} {CHAOSIMG}", flush=True)
    scratch()
    make("--chunk-size", str(CHUNK))
    shutil.copytree(ARCHIVE, "empty", symlinks=True)
    folder = tmpfs()
    for workload in (files, folders, names, links, keys, rekey, policies,
                     ingest):
        if ONLY and workload.__name__ != ONLY:
            continue
        shutil.rmtree(ARCHIVE)
        shutil.copytree("empty", ARCHIVE, symlinks=True)
        m, r = record(workload)
        wrong = states(m, r, folder, STATES)
        ok(f"{workload.__name__}: {STATES} states of {len(r.calls)} calls, "
           f"{len(wrong)} wrong", not wrong and len(r.calls) > 50, *wrong[:5])
        r.deaf = True
        ok("  a disk that ignores syncs is found out",
           states(m, r, folder, 40))
    shutil.rmtree(folder)
    done()


main()
