# SPDX-License-Identifier: GPL-2.0-or-later
"""What a power cut can leave of a directory tree, from what recorder.c wrote.

A cut falls after any recorded call. Of the calls before it there is on the disk:

- of contents: what a sync of the file covered; of each write since then, each
  512-byte sector or not, and so a length that is not beyond the last of them;
- of everything else (names, lengths that a truncate set, holes punched,
  attributes), one of two models:
  ordered: as with the journal of ext4 and XFS. They reach the disk in the order
    in which they were made, and a sync of anything has all before it there;
  loose: what POSIX allows. Those in one directory keep their order, those in
    different ones do not; a sync of a directory has all in it there, a sync of
    a file its truncates, punches and attributes, and no name. A rename
    from one directory to another is whole in both or in neither.
"""

import os
import stat

SECTOR = 512


class Node:
    """A file, directory or symbolic link."""

    def __init__(self, kind, ino, target=None):
        self.kind, self.ino, self.target = kind, ino, target
        self.data = bytearray()
        self.xattrs = {}
        self.names = {}

    def copy(self):
        other = Node(self.kind, self.ino, self.target)
        other.data[:] = self.data
        other.xattrs = dict(self.xattrs)
        other.names = dict(self.names)      # to keys of nodes
        return other


class Call:
    """One line of the record; @node and @other are keys of what it changes."""

    def __init__(self, words):
        self.what, self.words = words[0], words[1:]
        self.node = self.other = self.made = None


def scan(top):
    """All that is in a folder: {key: Node} and the top's key."""
    nodes = {}

    def look(path):
        st = os.lstat(path)
        key = (st.st_ino, 0)
        if key in nodes:
            return key
        node = nodes[key] = Node(stat.S_IFMT(st.st_mode), st.st_ino)
        if stat.S_ISLNK(st.st_mode):
            node.target = os.readlink(path)
            return key
        for name in os.listxattr(path):
            node.xattrs[name] = os.getxattr(path, name)
        if stat.S_ISDIR(st.st_mode):
            for name in os.listdir(path):
                node.names[name] = look(os.path.join(path, name))
        else:
            with open(path, "rb") as f:
                node.data[:] = f.read()
        return key

    return nodes, look(top)


class Record:
    """A record, and the tree at its beginning."""

    def __init__(self, path, nodes, root):
        self.first, self.root = nodes, root
        self.deaf = False       # a disk that takes no notice of syncs
        self.kinds = {}         # of what is made later: key -> (kind, target)
        self.calls = []
        self.now = {node.ino: key for key, node in nodes.items()}
        with open(path, encoding="utf-8") as f:
            for line in f:
                self.add(Call(line.rstrip("\n").split(" ")))

    def new(self, call, ino, kind, target=None):
        """An inode number can be used again."""
        call.made = self.now[ino] = (ino, len(self.calls) + 1)
        self.kinds[call.made] = (kind, target)

    def add(self, call):
        words = call.words
        if call.what in ("begin", "done"):
            self.calls.append(call)
            return
        call.node = self.now.get(int(words[0]))
        if call.what == "tmpfile":
            self.new(call, int(words[0]), stat.S_IFREG)
        elif call.node is None and words[0] != "0":
            return              # not of the archive
        elif call.what in ("create", "mkdir", "symlink"):
            self.new(call, int(words[2]),
                     {"create": stat.S_IFREG, "mkdir": stat.S_IFDIR,
                      "symlink": stat.S_IFLNK}[call.what],
                     words[3] if call.what == "symlink" else None)
        elif call.what == "link":
            call.made = self.now[int(words[2])]
        elif call.what == "rename":
            call.other = self.now[int(words[2])]
        self.calls.append(call)

    # --- states ---

    def floors(self, cut, ordered):
        """Of each node, the number of calls that a sync has covered."""
        contents, meta = {}, {}
        for i, call in enumerate(self.calls[:cut]):
            if call.what != "sync" or self.deaf:
                continue
            if call.words[0] == "0":
                contents[None] = i
                meta[None] = i
            else:
                contents[call.node] = i
                meta[None if ordered else call.node] = i
        return contents, meta

    def state(self, cut, percent, ordered, chance):
        """One state: {key: Node}. @percent of unsynced sectors are there."""
        contents, meta = self.floors(cut, ordered)
        ends = self.ends(cut, meta, ordered, chance, percent)
        nodes = {key: node.copy() for key, node in self.first.items()}
        for key, (kind, target) in self.kinds.items():
            nodes[key] = Node(kind, key[0], target)
        for i, call in enumerate(self.calls[:cut]):
            if call.what in ("begin", "done", "sync", "tmpfile"):
                continue
            if call.what == "write":
                sure = i < max(contents.get(call.node, 0),
                               contents.get(None, 0))
                self.write(nodes[call.node], call, 100 if sure else percent,
                           chance)
            elif i < ends.get(call.node, 0):
                self.change(nodes, call)
        return nodes

    def ends(self, cut, meta, ordered, chance, percent):
        """How far the changes of each node other than contents got."""
        least = meta.get(None, 0)

        def one(floor):
            return {0: floor, 100: cut}.get(percent) if percent in (0, 100) \
                else chance.randint(floor, cut)

        changed = {c.node for c in self.calls[:cut] if c.node} | \
            {c.other for c in self.calls[:cut] if c.other}
        if ordered:
            return dict.fromkeys(changed, one(least))
        ends = {key: one(max(least, meta.get(key, 0)))
                for key in sorted(changed)}
        again = True
        while again:
            again = False
            for i, call in enumerate(self.calls[:cut]):
                if call.what != "rename" or call.node == call.other:
                    continue
                a, b = call.node, call.other
                if (i < ends[a]) != (i < ends[b]):
                    ends[a], ends[b] = max(ends[a], i + 1), max(ends[b], i + 1)
                    again = True
        return ends

    @staticmethod
    def write(node, call, percent, chance):
        at, new = int(call.words[1]), bytes.fromhex(call.words[2])
        start, end = at, at + len(new)
        while at < end:
            stop = min(end, (at // SECTOR + 1) * SECTOR)
            if percent == 100 or chance.randrange(100) < percent:
                if len(node.data) < stop:
                    node.data.extend(bytes(stop - len(node.data)))
                node.data[at:stop] = new[at - start:stop - start]
            at = stop

    @staticmethod
    def change(nodes, call):
        words, node = call.words, nodes[call.node]
        if call.what == "truncate":
            length = int(words[1])
            del node.data[length:]
            node.data.extend(bytes(length - len(node.data)))
        elif call.what == "punch":
            at = int(words[1])
            end = min(at + int(words[2]), len(node.data))
            if at < end:
                node.data[at:end] = bytes(end - at)
        elif call.what == "xattr":
            node.xattrs[words[1]] = bytes.fromhex(words[2])
        elif call.what == "noxattr":
            node.xattrs.pop(words[1], None)
        elif call.what == "unlink":
            node.names.pop(words[1], None)
        elif call.what == "rename":
            other = nodes[call.other]
            moved = node.names.pop(words[1], None)
            if int(words[4]) & 2:
                back = other.names.pop(words[3], None)
                if back:
                    node.names[words[1]] = back
            if moved:
                other.names[words[3]] = moved
        else:
            node.names[words[1]] = call.made

    def build(self, nodes, path):
        """Make a state's tree at @path, which is not there yet."""
        made = {}

        def put(key, at):
            node = nodes[key]
            if key in made:
                os.link(made[key], at, follow_symlinks=False)
                return
            made[key] = at
            if node.kind == stat.S_IFLNK:
                os.symlink(node.target, at)
                return
            if node.kind == stat.S_IFDIR:
                os.mkdir(at, 0o700)
                for name, below in node.names.items():
                    put(below, os.path.join(at, name))
            else:
                with open(at, "wb") as f:
                    f.write(node.data)
            for name, value in node.xattrs.items():
                os.setxattr(at, name, value)

        put(self.root, path)
