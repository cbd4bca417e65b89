# SPDX-License-Identifier: GPL-2.0-or-later
"""Searching the memory of a process, for Python tests that look for keys."""

import os
import re
import signal

from tap import read


def mappings(pid):
    """Start, end, name and flags of each that can be written."""
    found = []
    for line in read(f"/proc/{pid}/smaps").decode().splitlines():
        head = re.match(r"([0-9a-f]+)-([0-9a-f]+) (\S+) \S+ \S+ \S+ *(.*)",
                        line)
        if head:
            found.append([int(head[1], 16), int(head[2], 16), head[3],
                          head[4], set()])
        elif line.startswith("VmFlags:"):
            found[-1][4].update(line.split()[1:])
    return [m for m in found if "w" in m[2]]


def contents(pid, start, end):
    """Page by page where the kernel does not give all."""
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as mem:
        out = bytearray()
        while start < end:
            mem.seek(start)
            try:
                out += mem.read(min(end - start, 1 << 20))
            except OSError:
                return bytes(out)
            start = mem.tell()
    return bytes(out)


def search(pid, keys):
    """{key: kinds of memory it is in}, of a stopped process."""
    found = {name: set() for name in keys}
    os.kill(pid, signal.SIGSTOP)
    for start, end, _, name, flags in mappings(pid):
        data = contents(pid, start, end)
        kind = ("arena" if "dd" in flags else name or "anonymous",
                "locked" if "lo" in flags else "swappable")
        for key, value in keys.items():
            if value in data:
                found[key].add(kind)
    os.kill(pid, signal.SIGCONT)
    return found
