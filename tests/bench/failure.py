# SPDX-License-Identifier: GPL-2.0-or-later
"""What ends a run, and starting programs so that nothing of them is left, and
none of them fails for want of file descriptors.
"""

import os
import resource
import signal
import subprocess

TOO_LONG = 1800     # seconds that no single program takes


class Failure(Exception):
    """The run cannot go on; its text is one line that says why."""


def last_line(text):
    lines = [line for line in text.strip().splitlines() if line.strip()]
    return lines[-1].strip() if lines else "it said nothing"


def call(args, **how):
    """Run a program, return what it prints; it must succeed.

    It gets a session of its own, so that all its children can be ended when
    the run is: Ctrl-C on the terminal reaches us alone.
    """
    how.setdefault("stdin", subprocess.DEVNULL)
    program = subprocess.Popen(
        args, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        errors="replace", start_new_session=True, **how)
    try:
        said, complained = program.communicate(timeout=TOO_LONG)
    except subprocess.TimeoutExpired:
        raise Failure("%s did not end in %d s" % (args[0], TOO_LONG)) from None
    finally:
        if program.returncode is None:
            os.killpg(program.pid, signal.SIGKILL)
            program.wait()
    if program.returncode:
        raise Failure("%s failed (%d): %s" % (
            os.path.basename(args[0]), program.returncode,
            last_line(complained or said)))
    return said


def on_signals():
    """Have the signals that end us run everything that cleans up."""
    def end(number, _):
        raise KeyboardInterrupt(signal.Signals(number).name)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, end)


def ignore_signals():
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)


def allow_many_files():
    """Raise the limit of descriptors as far as it goes; returns it."""
    with open("/proc/sys/fs/nr_open", encoding="ascii") as f:
        most = int(f.read())
    for limit in (most, resource.getrlimit(resource.RLIMIT_NOFILE)[1]):
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
            break
        except (OSError, ValueError):
            pass        # not allowed to go beyond the hard limit
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]
