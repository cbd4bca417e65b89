#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Documentation that parses and names what exists; licences; sizes of files."""

import glob
import io
import os
import re
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, "tests/lib")
from tap import TOP, done, ok, same, skip  # noqa: E402

PAGES = sorted(glob.glob("Documentation/*.rst"))
MANUALS = sorted(glob.glob("Documentation/man/*.[18]"))
FOLDERS = ("cipher", "fuse", "kmod", "tests", "tools", "userlib",
           "Documentation", "LICENSES")
BOTH = "GPL-2.0-only OR BSD-2-Clause"
LINES_MAX = 900
HEADERS = sorted(h for folder in ("cipher", "fuse", "kmod", "tools", "userlib")
                 for h in glob.glob(folder + "/*.h"))


def read(path):
    with open(path, encoding="utf-8", errors="replace") as f:
        return f.read()


def sources():
    """What is committed, or about to be."""
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"],
                            capture_output=True, text=True, check=False)
    names = listed.stdout.split("\n")[:-1]
    if listed.returncode:
        names = [os.path.relpath(os.path.join(folder, name), TOP)
                 for folder, _, files in os.walk(".") for name in files]
        names = [n for n in names if not re.match(r"build\b|\.git/", n)]
    return sorted(n for n in names if n[0] != "." and os.path.isfile(n))


def is_code(path, text):
    name = os.path.basename(path)
    return text.startswith("#!") or name in ("Makefile", "Kbuild") or \
        os.path.splitext(name)[1] in (".c", ".h", ".S", ".py", ".sh", ".t",
                                      ".bash", ".in", ".conf", ".config")


def rst():
    try:
        import docutils.core
    except ImportError:
        skip("pages parse", "python3-docutils is not installed")
        return
    for page in PAGES:
        said = io.StringIO()
        docutils.core.publish_string(
            read(page), source_path=page, writer_name="null",
            settings_overrides={"report_level": 1, "halt_level": 5,
                                "warning_stream": said})
        said = said.getvalue()
        ok(f"{page} parses without a warning", not said, said)


def named_files():
    pattern = re.compile(r"(?<![\w/.@-])((?:%s)/[\w./@-]*[\w/])" %
                         "|".join(FOLDERS))
    pages = set(os.path.basename(p) for p in PAGES)
    for page in ["README.md", *PAGES, *MANUALS]:
        text = read(page).replace("\\-", "-")
        wrong = [n for n in pattern.findall(text) if not os.path.exists(n)]
        wrong += [n for n in re.findall(r"(?<![\w/*-])([\w-]+\.rst)\b", text)
                  if n not in pages]
        same(f"{page}: every file that it names exists", wrong, [])
    readme = read("README.md")
    targets = dict(re.findall(r"^\[(.+)\]: (\S+)$", readme, re.M))
    wrong = [t for t in targets.values() if not os.path.exists(t)]
    same("README.md: every link leads to a file", wrong, [])
    same("README.md: links to every page", sorted(
        p for p in PAGES if p not in targets.values() and
        not re.search("archive-format-", p)), [])


def mount_options():
    text = read("fuse/options.c")
    table = text[text.index("specs[] = {"):text.index("FUSE_OPT_END")]
    names = set(re.findall(r'"([a-z][\w-]*)=?(?:%\w)?"', table))
    manual = read("Documentation/man/chaosimgfs.8").replace("\\-", "-")
    manual = manual[manual.index(".SH OPTIONS"):manual.index(".SH WHAT A")]
    ok("the table of mount options was read", {"keyfile", "ro", "dev",
                                               "nofail"} <= names, names)
    missing = [n for n in sorted(names)
               if not re.search(r"(?<![\w-])%s(?![\w-])" % n, manual)]
    same("chaosimgfs(8) has all mount options", missing, [])


def kernel_doc():
    scripts = sorted(glob.glob("/usr/src/linux-headers-*-common/scripts/"
                               "kernel-doc"))
    if not scripts:
        skip("kernel-doc", "no kernel headers are installed")
        return
    for header in sorted(HEADERS):
        result = subprocess.run(["perl", scripts[-1], "-none", header],
                                capture_output=True, text=True, check=False)
        ok(f"{header}: kernel-doc has no complaint",
           result.returncode == 0 and not result.stderr, result.stderr)


def licences(texts):
    wrong = []
    for path, text in texts.items():
        want = "GPL-2.0-or-later"
        if path.startswith(("cipher/", "kmod/")) or path == "Kbuild":
            want = BOTH
        first = "\n".join(text.split("\n")[:2])
        found = re.search(r"SPDX-License-Identifier: (.*?)( \*/)?$", first,
                          re.M)
        if not found or found[1] != want:
            wrong.append((path, found and found[1]))
    same("every file of code says its folder's licence", wrong, [])
    known = {os.path.basename(p) for p in glob.glob("LICENSES/*")}
    same("the licences' texts are there", known, {"BSD-2-Clause", "GPL-2.0"})


def sizes(texts):
    long = [(path, text.count("\n")) for path, text in texts.items()
            if text.count("\n") > LINES_MAX]
    same(f"no file of code has more than {LINES_MAX} lines", long, [])


def main():
    rst()
    named_files()
    mount_options()
    kernel_doc()
    texts = {path: read(path) for path in sources()}
    code = {path: text for path, text in texts.items() if is_code(path, text)}
    ok("the sources were found", len(code) > 150, len(code))
    licences({**code, **{p: texts[p] for p in [*PAGES, *MANUALS]
                         if p in texts}})
    sizes(code)
    done()


main()
