#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Help, man page and completion agree; what make install puts where works."""

import glob
import os
import re
import shutil
import subprocess
import sys

sys.path.insert(0, "tests/lib")
from tap import BUILD, CHAOSIMG, TOP, done, ok, run, same, scratch, skip, works

COMMANDS = ["init", "keyfile", "key", "info", "scrub", "fsck", "rekey",
            "encrypt", "decrypt", "cipher", "bench",
            "authority", "user", "policy", "rules", "ingest"]
COMPLETION = os.path.join(TOP, "tools/completion/chaosimg.bash")
COMMON = {"--help", "--version"}


def sh(command, **how):
    return subprocess.run(command, shell=isinstance(command, str),
                          capture_output=True, text=True, check=False,
                          timeout=300, **how)


def options(command):
    text = works(f"{command} --help", command, "--help").decode()
    ok("  shows the command's form", f"Usage: chaosimg {command} " in text, text)
    return text, set(re.findall(r"^  (?:-\w,|   ) (--[a-z-]+)", text, re.M))


def manual():
    with open(os.path.join(TOP, "Documentation/man/chaosimg.1"),
              encoding="utf-8") as f:
        text = f.read().replace("\\-", "-")
    parts = re.split(r"^\.S[SH] ", text, flags=re.M)
    return {p.split("\n", 1)[0]: set(re.findall(r"--[a-z][a-z-]+", p))
            for p in parts}


def agreement():
    described = manual()
    texts = works("--help", "--help").decode()
    for command in COMMANDS:
        ok(f"--help lists {command}", f"\n  {command} " in texts, texts)
        _, has = options(command)
        ok("  has --help and --version", COMMON <= has, has)
        same(f"  completion knows the options of {command}",
             complete(command, "--"), sorted(has))
        section = set()
        for title, names in described.items():
            if re.search(rf"chaosimg {command}\b", title):
                section |= names
        if {"--keyfile", "--passfile"} <= has:
            section |= described["Credentials"]
        same("  the man page describes them", has - COMMON - section, set())
        same("  and no others", section - has, set())
        same("  --version", run(command, "--version").stdout,
             run("--version").stdout)
        # Each option is really taken: a wrong one would be named in the error.
        # So many operands no command takes: nothing is done.
        for name in sorted(has - COMMON):
            said = run(command, name, "a", "b", "c", "d").stderr.decode()
            ok(f"  takes {name}", "wrong option" not in said, said)


def complete(*words, function="_chaosimg", program=CHAOSIMG):
    quoted = " ".join("'" + w + "'" for w in words)
    result = sh(["bash", "--norc", "-c", f"""
        source '{COMPLETION}'
        COMP_WORDS=('{program}' {quoted}); COMP_CWORD={len(words)}
        {function}
        printf '%s\\n' "${{COMPREPLY[@]}}" """])
    if result.stderr:
        ok(f"completion of {words} is silent", False, result.stderr)
    return sorted(result.stdout.split("\n")[:-1]) if result.stdout.strip() else []


def completion():
    same("commands", complete("k"), ["key", "keyfile"])
    same("all commands", [w for w in complete("") if w[0] != "-"],
         sorted(COMMANDS))
    same("actions", complete("key", ""),
         ["add", "escrow", "export", "list", "remove", "restore"])
    os.mkdir("dir with space")
    with open("file", "w", encoding="ascii"):
        pass
    same("an archive is a directory", complete("init", ""), ["dir with space"])
    same("a key file is any file", complete("init", "--keyfile", "f"), ["file"])
    same("so is one that is scrubbed", complete("scrub", ""),
         ["dir with space"])
    same("a state is any file", complete("scrub", "--state", "f"), ["file"])
    same("a rate is none", complete("scrub", "--rate", ""), [])
    same("also after =", complete("init", "--keyfile", "=", "f"), ["file"])
    same("IN is any file", complete("encrypt", ""), ["dir with space", "file"])
    same("what an authority does", complete("authority", ""),
         ["init", "issue", "show"])
    same("what becomes of a user's key", complete("user", ""), ["add", "show"])
    same("which is any file", complete("user", "add", "f"), ["file"])
    same("so is a public key", complete("policy", "check", "-a", "x",
                                        "--authority", "f"), ["file"])
    same("what policies are for", complete("policy", ""),
         ["check", "remove", "set", "show", "test"])
    same("a policy is no file", complete("policy", "set", "--pixels", ""), [])
    same("a user's key is any file", complete("policy", "test", "--user", "f"),
         ["file"])
    same("but not a user", complete("authority", "issue", "--user", "f"), [])
    same("an IV is not a file", complete("cipher", "-i", ""), [])
    same("what is measured is a directory", complete("bench", ""),
         ["dir with space"])
    same("seconds are not", complete("bench", "--seconds", ""), [])
    same("chunk sizes", complete("init", "--chunk-size", "13"), ["131072"])
    listed = run("cipher", "--list").stdout.decode().split()
    same("implementations", complete("cipher", "--impl", ""), sorted(listed))
    works("a key file", "keyfile", "k")
    works("an archive", "init", "--keyfile", "k", "a")
    works("a second slot", "key", "add", "--keyfile", "k", "--new-keyfile",
          "k", "a")
    same("slots of the archive", complete("key", "remove", "a", "--slot", ""),
         ["0", "1"])
    mount = {"function": "_chaosimgfs", "program": "chaosimgfs"}
    same("chaosimgfs: options", complete("-", **mount),
         ["--help", "--version", "-f", "-o"])
    same("chaosimgfs: -o", complete("-o", "key", **mount), ["keyfile="])
    same("chaosimgfs: the second of -o", complete("-o", "ro,pass", **mount),
         ["ro,passfile="])
    helped = sh([os.path.join(BUILD, "chaosimgfs"), "--help"]).stdout
    helped = set(re.findall(r"^  ([a-z_]+=?)[A-Z]*  ", helped, re.M))
    offered = set(complete("-o", "", **mount))
    ok("chaosimgfs: all that its --help describes",
       {"keyfile=", "ro"} <= helped <= offered, helped - offered)
    same("what ingest has", complete("ingest", ""), ["params"])
    same("chaosimgfs: a key file", complete("-o", "keyfile", "=", "f", **mount),
         ["file"])
    same("chaosimgfs: an archive", complete("-f", "d", **mount),
         ["dir with space"])
    result = sh(["bash", "--norc", "-c",
                 f"source '{COMPLETION}'; complete -p chaosimg chaosimgfs"])
    same("both are registered", result.stdout.count("complete -F"), 2)
    if shutil.which("shellcheck"):
        result = sh(["shellcheck", COMPLETION])
        ok("shellcheck finds nothing", result.returncode == 0, result.stdout)


def man_pages():
    for page in sorted(glob.glob(os.path.join(TOP, "Documentation/man/*.[18]"))):
        name = os.path.basename(page)
        for tool in [["man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z"],
                     ["mandoc", "-T", "lint", "-W", "warning"]]:
            if not shutil.which(tool[0]):
                skip(f"{name}: {tool[0]}", f"no {tool[0]} here")
                continue
            result = sh([*tool, page], env={**os.environ, "LC_ALL": "C.UTF-8"})
            said = result.stderr + (result.stdout if tool[0] == "mandoc" else "")
            ok(f"{name}: {tool[0]} has no complaint",
               result.returncode == 0 and not said, said)


PROGRAM = r"""
#include <chaosimg.h>
#include <stdio.h>
int main(void)
{
	const char *names[8];
	if (!chaosimg_cipher_list(names, 8))
		return 1;
	puts(chaosimg_version());
	return 0;
}
"""


def installed(folder):
    root = os.path.join(folder, "root")
    make = sh(["make", "-s", f"BUILD={BUILD}", "PREFIX=/usr",
               f"DESTDIR={root}", "install"], cwd=TOP)
    if not ok("make install", make.returncode == 0, make.stderr):
        return
    usr = os.path.join(root, "usr")
    for name in ["bin/chaosimg", "bin/chaosimgfs", "include/chaosimg.h", "include/chaosimg_abe.h",
                 "include/chaosimg_check.h", "include/chaosimg_ingest.h",
                 "include/chaosimg_names.h", "include/chaosimg_rekey.h",
                 "include/chaosimg_rules.h",
                 "lib/libchaosimg.a", "lib/libchaosimg.so",
                 "lib/pkgconfig/chaosimg.pc", "share/man/man1/chaosimg.1",
                 "share/man/man1/chaosimg-init.1",
                 "share/bash-completion/completions/chaosimg",
                 "share/bash-completion/completions/chaosimgfs",
                 "share/doc/chaosimg/COPYING",
                 "lib/systemd/system/chaosimgfs@.service"]:
        ok(f"installed: {name}", os.path.isfile(os.path.join(usr, name)))
    with open(os.path.join(usr, "lib/systemd/system/chaosimgfs@.service"),
              encoding="ascii") as f:
        unit = f.read()
    ok("the unit names the installed program",
       "ExecStart=/usr/bin/chaosimgfs " in unit and "@BINDIR@" not in unit, unit)
    if not shutil.which("pkg-config") or not shutil.which("cc"):
        skip("a program against the library", "no pkg-config or compiler")
        return
    with open("program.c", "w", encoding="ascii") as f:
        f.write(PROGRAM)
    env = {**os.environ, "PKG_CONFIG_PATH": os.path.join(usr, "lib/pkgconfig"),
           "PKG_CONFIG_SYSROOT_DIR": root,
           "PKG_CONFIG_ALLOW_SYSTEM_CFLAGS": "1",
           "PKG_CONFIG_ALLOW_SYSTEM_LIBS": "1"}
    san = ["-fsanitize=address,undefined"] if sanitized() else []
    cc = sh("cc -o program program.c " + " ".join(san) +
            " $(pkg-config --cflags --libs chaosimg)", env=env)
    ok("a program compiles against the shared library", cc.returncode == 0,
       cc.stderr)
    if shutil.which("c++"):
        cc = sh("c++ -fsyntax-only -x c++ program.c"
                " $(pkg-config --cflags chaosimg)", env=env)
        ok("also as C++", cc.returncode == 0, cc.stderr)
    else:
        skip("also as C++", "no C++ compiler")
    env["LD_LIBRARY_PATH"] = os.path.join(usr, "lib")
    version = run("--version").stdout.decode().split()[1]
    same("and runs", sh(["./program"], env=env).stdout, version + "\n")
    needed = sh(["readelf", "-d", "program"]).stdout
    ok("by its soname", "libchaosimg.so.1]" in needed, needed)
    exported = sh(["nm", "-D", "--defined-only",
                   os.path.join(usr, "lib/libchaosimg.so")]).stdout
    strange = [line for line in exported.splitlines()
               if not re.search(r" (chaosimg_\w+|LIBCHAOSIMG_1)(@@\w+)?$", line)]
    same("which exports nothing but chaosimg_*", strange, [])


def sanitized():
    return "__asan_init" in sh(["nm", "-D", CHAOSIMG]).stdout


def dist(folder):
    if sh(["git", "rev-parse", "HEAD"], cwd=TOP).returncode:
        skip("make dist", "not in a git repository of ours")
        return
    make = sh(["make", "-s", f"BUILD={folder}/dist", "dist"], cwd=TOP)
    ok("make dist", make.returncode == 0, make.stderr)
    names = sh(["tar", "-tzf", *glob.glob("dist/*.tar.gz")]).stdout.splitlines()
    ok("holds the sources below one folder",
       names and all(re.match(r"chaosimg-[\d.]+/", n) for n in names) and
       any(n.endswith("/Makefile") for n in names), names[:5])


def main():
    folder = scratch()
    agreement()
    completion()
    man_pages()
    installed(folder)
    dist(folder)
    done()


main()
