#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Mounts of an archive whose rules give images to policies: each image can be
read by whom its policy lets in, and by nobody else.
"""

import errno
import os
import random
import shutil
import subprocess
import sys
import time

sys.dont_write_bytecode = True
os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
sys.path.insert(0, "tests/lib")

import mounted  # noqa: E402
from dicom_element import element  # noqa: E402
from mounted import ARCHIVE, KEY, MNT, Mount  # noqa: E402
from tap import (BUILD, TOP, done, fails, ok, read, run, same, scratch,  # noqa: E402
                 skip, works, write)

HEART = b"rule heart\n    Modality = US\n    policy heart\n"
USERS = {"gina": ("general",), "hugo": ("heart", "us"), "ida": ("heart",)}
NAME = b"Mustermann^Erika"
SIZE = 500000


def image(modality, headers=0):
    """A study's image; its header may be longer than a chunk."""
    return bytes(128) + b"DICM" + b"".join([
        element(0x00020010, b"UI", b"1.2.840.10008.1.2.1"),
        element(0x00080060, b"CS", modality),
        element(0x00100010, b"PN", NAME),
        element(0x00180015, b"CS", b"ABDOMEN"),
        *(element(0x00210010 + i, b"LO", b"x" * 60)
          for i in range(headers)),
        element(0x7FE00010, b"OW", random.randbytes(SIZE))])


def authorities():
    for name in ("hospital", "imaging"):
        works(f"authority {name}", "authority", "init", name,
              name + ".secret", name + ".public")
    for user, attributes in USERS.items():
        parts = []
        for attribute in attributes:
            name = "imaging" if attribute == "us" else "hospital"
            parts.append(f"{user}-{name}")
            works(f"{user} is {attribute}", "authority", "issue", "--user",
                  user, "--output", parts[-1], name + ".secret", attribute)
        works(f"{user}'s key", "user", "add", user, *parts)
        os.mkdir(f"at-{user}")


def policies():
    publics = ("--authority", "hospital.public", "-a", "imaging.public")
    everybody = "general@hospital"
    works("the archive's own policies", "policy", "set", "--keyfile", KEY,
          "--clinical", everybody, "--identity", everybody, "--pixels",
          everybody, *publics, ARCHIVE)
    write("rules", HEART)
    fails("rules need a policy that is there", 1, "no policy heart", "rules",
          "set", "--keyfile", KEY, ARCHIVE, "rules")
    doctor = "heart@hospital AND us@imaging"
    works("others for hearts", "policy", "set", "--keyfile", KEY, "--name",
          "heart", "--clinical", doctor, "--pixels", doctor, "--identity",
          "heart@hospital", *publics, ARCHIVE)
    works("then they are taken", "rules", "set", "--keyfile", KEY, ARCHIVE,
          "rules")
    fails("and the policy stays", 1, "rule heart names it", "policy",
          "remove", "--keyfile", KEY, "--name", "heart", ARCHIVE)
    said = works("policies are shown", "policy", "show", "--keyfile", KEY,
                 ARCHIVE).decode()
    ok("with their names", f"clinical {everybody}\n" in said and
       f"named heart clinical {doctor}\n" in said, said)


def store(name, data, step=None):
    """As cp does, or a PACS: in many pieces, one after the other."""
    if step is None:
        return write(f"plain-{name}", data) or shutil.copyfile(
            f"plain-{name}", os.path.join(MNT, name))
    with open(os.path.join(MNT, name), "wb", buffering=0) as f:
        for at in range(0, len(data), step):
            f.write(data[at:at + step])
    return None


def content(user, name):
    try:
        return read(f"at-{user}/{name}")
    except OSError as error:
        return errno.errorcode[error.errno]


def check(what, files, heart):
    """Who sees what. @heart: the files that are under that policy."""
    for user in ("gina", "hugo"):
        with Mount("ro", key=user, at=f"at-{user}"):
            wrong = [name for name, data in files.items()
                     if content(user, name) !=
                     (data if (name in heart) == (user == "hugo")
                      else "EACCES")]
            same(f"{what}: {user} reads his files alone", wrong, [])
            sizes = {name: os.stat(f"at-{user}/{name}").st_size
                     for name in files}
            same("  but is told of all of them", sizes,
                 {name: len(data) for name, data in files.items()})
    with Mount("ro", key="ida", at="at-ida"):
        for name, data in files.items():
            got = content("ida", name)
            if name not in heart:
                same(f"  {name} is nothing to ida", got, "EACCES")
                continue
            ok(f"  of {name} she sees the patient alone", len(got) ==
               len(data) and NAME in got and b"ABDOMEN" not in got and
               data[-1000:] not in got)


def writing():
    files = {
        "ct": image(b"CT"), "us": image(b"US"), "us-long": image(b"US", 400),
        "ct-long": image(b"CT", 400), "us-small": image(b"US")[:-SIZE + 100],
        "note": b"no image",
    }
    with Mount():
        for name, data in files.items():
            store(name, data)
        for step in (2000, 16384, 262144):
            files[f"us-{step}"] = image(b"US", step % 3)
            store(f"us-{step}", files[f"us-{step}"], step)
        wrong = [name for name, data in files.items()
                 if read(os.path.join(MNT, name)) != data]
        same("who has all keys reads all", wrong, [])
    log = read("daemon.log").decode()
    ok("nothing is held back", "held back" not in log, log)
    heart = {name for name in files if name.startswith("us")}
    check("as written", files, heart)
    said = works("of one file", "policy", "test", "--user", "gina",
                 "--keyfile", KEY, ARCHIVE, "us").decode()
    ok("the command says so, too", said.endswith(
        " nothing (policy heart)\n"), said)
    return files


def rewriting(files):
    """The same names, with images that belong elsewhere."""
    with Mount():
        for name in ("ct", "us"):
            files[name] = image(b"US" if name == "ct" else b"CT")
            store(name, files[name])
    check("rewritten", files, {"ct"} | {
        name for name in files if name.startswith("us") and name != "us"})


def moving(files):
    """Other rules, for files that are there."""
    write("rules", HEART.replace(b"US", b"CT"))
    works("other rules", "rules", "set", "--keyfile", KEY, ARCHIVE, "rules")
    heart = {"us", "ct-long"}
    with Mount():
        files["late"] = image(b"US")
        with open(os.path.join(MNT, "late"), "wb", buffering=0) as f:
            f.write(files["late"][:140])
            os.fsync(f.fileno())
            f.write(files["late"][140:])
        files["late-ct"] = image(b"CT")
        with open(os.path.join(MNT, "late-ct"), "wb", buffering=0) as f:
            f.write(files["late-ct"][:140])
            os.fsync(f.fileno())
            f.write(files["late-ct"][140:])
        stored = mounted.stored("late-ct")
        log = [line for line in read("daemon.log").decode().splitlines()
               if stored in line]
        ok("one that was synced too early is held back", len(log) == 1 and
           "all of it is held back" in log[0], log)
        works("files move in the mount", "rekey", "--keyfile", KEY,
              "--reencrypt", ARCHIVE)
    check("moved", files, heart | {"late-ct"})
    write("rules", HEART)
    works("the first rules", "rules", "set", "--keyfile", KEY, ARCHIVE,
          "rules")
    said = works("files move without a mount", "rekey", "--keyfile", KEY,
                 "--reencrypt", ARCHIVE).decode()
    ok("those that have to", not said.startswith("files moved: 0,"), said)
    same("and then there are none", works(
        "again", "rekey", "--keyfile", KEY, "--reencrypt", ARCHIVE),
        b"files moved: 0, bytes: 0\n")
    heart = {name for name in files if name.startswith("us") and name != "us"}
    return heart | {"ct", "late"}


def rotating(files, heart):
    works("new keysets", "rekey", "--keyfile", KEY, ARCHIVE)
    with Mount():
        files["us-new"] = image(b"US")
        store("us-new", files["us-new"])
        heart.add("us-new")
    check("rotated", files, heart)
    works("files move", "rekey", "--keyfile", KEY, "--reencrypt", ARCHIVE)
    works("old keysets go", "rekey", "--keyfile", KEY, "--drop-old", ARCHIVE)
    same("one stays for each policy", len(os.listdir(f"{ARCHIVE}/keysets")), 2)
    check("with new keysets alone", files, heart)


class Ingest(Mount):
    """A mount that has the public parameters alone."""

    def command(self):
        return [os.path.join(BUILD, "chaosimgfs"), "-f", "-o",
                "ingest,params=params", ARCHIVE, self.at]


def ingesting():
    """A device that only writes holds back what it has no keyset for."""
    works("parameters for a device", "ingest", "params", "--keyfile", KEY,
          ARCHIVE, "params")
    data = image(b"US")
    with Ingest():
        store("edge", data)
        stored = os.path.basename(mounted.stored("edge"))
    line = [line for line in read("daemon.log").decode().splitlines()
            if stored in line]
    ok("it says that it is held back", len(line) == 1 and
       "all of it is held back" in line[0], line)

    def seen():
        with Mount("ro", key="gina", at="at-gina"):
            folder = next(name for name in os.listdir("at-gina")
                          if name.startswith("ingest-"))
            return content("gina", f"{folder}/edge")
    same("who has identity of the archive's own policy sees it", seen(), data)
    works("it is moved", "rekey", "--keyfile", KEY, "--reencrypt", ARCHIVE)
    same("then it is not for her", seen(), "EACCES")
    with Mount():
        folder = next(name for name in os.listdir(MNT)
                      if name.startswith("ingest-"))
        same("and whole", read(f"{MNT}/{folder}/edge"), data)
        os.remove(f"{MNT}/{folder}/edge")


def killed():
    """The daemon dies while images come: none of them is under the wrong policy."""
    chance = random.Random(int(os.environ.get("SEED", time.time())))
    data = image(b"US", 200)
    write("source", data)
    for i in range(8):
        with Mount() as mount:
            with subprocess.Popen(
                    "i=0; while cp source mnt/killed-$i; do i=$((i+1)); done",
                    shell=True, stderr=subprocess.DEVNULL) as writer:
                time.sleep(chance.random() * 0.3)
                mount.die()
                writer.wait()
            mount.kill()
    wrong = []
    with Mount():
        names = [name for name in os.listdir(MNT) if name[:6] == "killed"]
        for name in names:
            got = read(os.path.join(MNT, name))
            if not data.startswith(got):
                wrong.append((name, len(got)))
    same(f"{len(names)} files: each is a beginning of what was written", wrong,
         [])
    with Mount("ro", key="gina", at="at-gina"):
        wrong = [name for name in names
                 if content("gina", name) not in ("EACCES", b"") and
                 len(content("gina", name)) > 136]
    same("and not for others", wrong, [])
    with Mount():
        for name in names:
            os.remove(os.path.join(MNT, name))


def missing(files, heart):
    """Rules that were put back name a policy that has gone."""
    saved = read(f"{ARCHIVE}/rules")
    write("rules", b"")
    works("no rules", "rules", "set", "--keyfile", KEY, ARCHIVE, "rules")
    works("so no policy is needed", "policy", "remove", "--keyfile", KEY,
          "--name", "heart", ARCHIVE)
    write(f"{ARCHIVE}/rules", saved)
    lone = image(b"US")
    with Mount():
        store("lone", lone)
        stored = mounted.stored("lone")
    line = [line for line in read("daemon.log").decode().splitlines()
            if stored in line]
    ok("it is held back", len(line) == 1 and
       "a policy that is not known here, or" in line[0], line)
    files["lone"] = lone
    check("without its policy", files, heart)


def second_reader():
    """Of names, contents and keysets, what the documentation says is enough."""
    if subprocess.run(["/usr/bin/python3", "-c", "import cryptography"],
                      check=False, stderr=subprocess.DEVNULL).returncode:
        return skip("a second reader", "python3-cryptography is not installed")
    files = {f"{kind}-{size}": image(kind.encode())[:-SIZE + size]
             for kind in ("CT", "US") for size in (2, 20000)}
    shutil.rmtree(ARCHIVE)
    works("a small archive", "init", "--keyfile", KEY, ARCHIVE)
    policies()
    with Mount():
        for name, data in files.items():
            store(name, data)
    reader = os.path.join(TOP, "tests/lib/format_reader.py")
    result = subprocess.run(["/usr/bin/python3", "-B", reader, ARCHIVE, KEY,
                             "out"], capture_output=True, check=False)
    ok("a second reader reads it", result.returncode == 0, result)
    return same("  bit for bit", [name for name, data in files.items()
                                  if read(f"out/{name}") != data], [])


def checks():
    works("fsck finds nothing", "fsck", "--keyfile", KEY, ARCHIVE)
    works("nor does scrub", "scrub", ARCHIVE)
    result = run("key", "escrow", "--keyfile", KEY, "--output", "escrow",
                 ARCHIVE)
    ok("an escrow", result.returncode == 0, result)
    os.unlink(f"{ARCHIVE}/chaosimg.json")
    result = run("key", "restore", "--escrow", "escrow", "--new-keyfile", KEY,
                 ARCHIVE)
    ok("restores the archive", result.returncode == 0, result)
    works("and all files are there", "fsck", "--keyfile", KEY, ARCHIVE)


def main():
    reason = mounted.obstacle()
    if reason:
        skip("policies", reason)
        done()
    scratch()
    random.seed(1)
    mounted.make()
    authorities()
    policies()
    files = writing()
    rewriting(files)
    heart = moving(files)
    rotating(files, heart)
    ingesting()
    killed()
    missing(files, heart)
    checks()
    second_reader()
    done()


main()
