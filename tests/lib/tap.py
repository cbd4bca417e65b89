# SPDX-License-Identifier: GPL-2.0-or-later
"""TAP for Python tests, and running the chaosimg command in a scratch folder.

A test calls ok() and same(), and done() at its end.
"""

import atexit
import os
import shutil
import subprocess
import sys
import tempfile

BUILD = os.path.abspath(os.environ.get("BUILD", "build"))
CHAOSIMG = os.path.join(BUILD, "chaosimg")
TOP = os.getcwd()

_count = 0
_failed = 0


def ok(name, good, *diagnosis):
    """One test; the diagnosis is shown if it fails."""
    global _count, _failed
    _count += 1
    print(f"{'ok' if good else 'not ok'} {_count} - {name}", flush=True)
    if not good:
        _failed += 1
        for line in diagnosis:
            print(f"#   {str(line)[:2000]}", file=sys.stderr, flush=True)
    return good


def same(name, got, want):
    return ok(name, got == want, f"got  {got!r}", f"want {want!r}")


def skip(name, reason):
    global _count
    _count += 1
    print(f"ok {_count} - {name} # SKIP {reason}", flush=True)


def done():
    print(f"1..{_count}", flush=True)
    sys.exit(1 if _failed else 0)


def scratch():
    """A new folder, the current one from now on; gone at the end."""
    folder = tempfile.mkdtemp(prefix="chaosimg.")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    atexit.register(os.chdir, "/")
    os.chdir(folder)
    return folder


def run(*args, data=b"", **how):
    """Run chaosimg. Return its subprocess.CompletedProcess."""
    # Without a terminal: it shall fail, not wait, if it asks for a passphrase.
    how.setdefault("start_new_session", True)
    how.setdefault("stdout", subprocess.PIPE)
    how.setdefault("stderr", subprocess.PIPE)
    if "stdin" not in how:
        how["input"] = data
    return subprocess.run([CHAOSIMG, *args], timeout=300, check=False, **how)


def fails(name, status, cause, *args, **how):
    """chaosimg must exit with status, and say why in one line with cause."""
    result = run(*args, **how)
    said = result.stderr.decode(errors="replace")
    return ok(name, result.returncode == status and
              said.startswith("chaosimg: ") and
              said.count("\n") == 1 and said.endswith("\n") and cause in said,
              f"status {result.returncode}, want {status}",
              f"said {said!r}, want {cause!r} in one line")


def works(name, *args, **how):
    """chaosimg must exit with 0 and say nothing on standard error."""
    result = run(*args, **how)
    ok(name, result.returncode == 0 and not result.stderr,
       f"status {result.returncode}, said {result.stderr!r}")
    return result.stdout


def write(path, data, mode=0o600):
    with open(path, "wb") as f:
        f.write(data)
    os.chmod(path, mode)


def read(path):
    with open(path, "rb") as f:
        return f.read()
