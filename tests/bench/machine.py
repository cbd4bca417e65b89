# SPDX-License-Identifier: GPL-2.0-or-later
"""What the figures were measured on."""

import os
import platform
import time


def first(path, key):
    """The value of the first line "key: value"."""
    with open(path, encoding="utf-8", errors="replace") as f:
        for line in f:
            name, _, value = line.partition(":")
            if name.strip() == key:
                return value.strip()
    return ""


def system():
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return ""


def about():
    return {
        "cpu": first("/proc/cpuinfo", "model name") or platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_mib": int(first("/proc/meminfo", "MemTotal").split()[0]) >> 10,
        "kernel": platform.release(),
        "system": system(),
        "date": time.strftime("%Y-%m-%d %H:%M %Z"),
    }
