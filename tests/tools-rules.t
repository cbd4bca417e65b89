#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""chaosimg rules: what is taken, what is refused, what becomes of an image."""

import os
import struct
import sys

sys.path.insert(0, "tests/lib")
from dicom_element import element  # noqa: E402
from tap import done, fails, ok, read, run, same, scratch, works, write  # noqa: E402

KEY = ("--keyfile", "k")
RULES = b"""# ultrasound of two makers
rule us
    Modality = US
    Manufacturer ~ *philips* ge*
    region 0 0 80 10
    region 70 5 40 10
    policy department
rule scope
    Modality = US
    StationName = SCOPE
    regions outside-ultrasound
rule captures
    BurnedInAnnotation = YES
    hold frames
"""


def us(tag, value):
    return element(tag, b"US", struct.pack("<H", value))


def image(maker=b"Philips", station=b"", burned=b"NO", shown=None,
          pixels=100 * 50):
    """A file with a picture of 100 x 50 grey pixels."""
    regions = b""
    if shown:
        item = b"".join(element(0x00186018 + 2 * i, b"UL", struct.pack("<I", v))
                        for i, v in enumerate(shown))
        regions = element(0x00186011, b"SQ", struct.pack(
            "<HHI", 0xFFFE, 0xE000, len(item)) + item)
    return bytes(128) + b"DICM" + b"".join([
        element(0x00020010, b"UI", b"1.2.840.10008.1.2.1"),
        element(0x00080060, b"CS", b"US"),
        element(0x00080070, b"LO", maker),
        element(0x00081010, b"SH", station),
        regions,
        us(0x00280002, 1), element(0x00280004, b"CS", b"MONOCHROME2"),
        us(0x00280010, 50), us(0x00280011, 100),
        us(0x00280100, 8), us(0x00280101, 8), us(0x00280102, 7),
        us(0x00280103, 0), element(0x00280301, b"CS", burned),
        element(0x7FE00010, b"OW", bytes(pixels))])


def said(*args):
    return works(" ".join(args[:2]) + f" of {args[-1]}", "rules",
                 *args).decode().splitlines()


def checks():
    write("r", RULES)
    same("rules are counted", said("check", "r"), ["3 rules"])
    write("wrong", RULES + b"rule x\n\tModalty = US\n")
    fails("a wrong line is named", 1, 'wrong:16: "Modalty" is no statement',
          "rules", "check", "wrong")
    fails("no file", 1, "none: No such file", "rules", "check", "none")
    fails("a folder", 1, ".: Is a directory", "rules", "check", ".")
    write("none.dcm", image(b"other", burned=b""))
    write("us.dcm", image())
    write("scope.dcm", image(b"other", b"SCOPE", shown=(10, 10, 59, 39)))
    write("bare.dcm", image(b"other", b"SCOPE"))
    write("burned.dcm", image(b"other", burned=b"YES"))
    write("odd.dcm", image(b"GE", pixels=100 * 50 - 2))
    write("text", b"no DICOM\n")


def images(*how, sight=()):
    """@sight: what is said of the policy that the first image falls under."""
    same("no rule", said(*how, "none.dcm"), ["none.dcm: no rule applies"])
    same("no DICOM", said(*how, "text"), ["text: not DICOM"])
    same("regions that overlap", said(*how, "us.dcm"), [
        "us.dcm: rule us", "us.dcm: policy department",
        *(f"us.dcm: {line}" for line in sight),
        "us.dcm: region 0 0 80 5", "us.dcm: region 0 5 100 5",
        "us.dcm: region 70 10 30 5",
        "us.dcm: picture of 100 x 50, blocks of 32"])
    same("all but what the scanner shows", said(*how, "scope.dcm"), [
        "scope.dcm: rule scope", "scope.dcm: region 0 0 100 10",
        "scope.dcm: region 0 10 10 30", "scope.dcm: region 60 10 40 30",
        "scope.dcm: region 0 40 100 10",
        "scope.dcm: picture of 100 x 50, blocks of 32"])
    same("which it does not say", said(*how, "bare.dcm"), [
        "bare.dcm: rule scope", "bare.dcm: all frames are held back: "
        "the file names no ultrasound regions"])
    same("all frames", said(*how, "burned.dcm"), [
        "burned.dcm: rule captures",
        "burned.dcm: all frames are held back: a rule says so"])
    same("what cannot be cut", said(*how, "odd.dcm"), [
        "odd.dcm: rule us", "odd.dcm: policy department",
        *(f"odd.dcm: {line}" for line in sight),
        "odd.dcm: all frames are held back: "
        "the length of the pixels is not that of the picture"])
    result = run("rules", *how, "gone.dcm", "text")
    ok("one that is missing, and the next", result.returncode == 1 and
       b"gone.dcm: No such file" in result.stderr and
       result.stdout == b"text: not DICOM\n", result)


def archive():
    works("a key", "keyfile", "k")
    works("another", "keyfile", "k2")
    works("an archive", "init", *KEY, "a")
    fails("none yet", 1, "a: has no rules", "rules", "show", *KEY, "a")
    fails("nor to try", 1, "a: has no rules", "rules", "test", *KEY, "a",
          "us.dcm")
    fails("wrong ones are not taken", 1, "wrong:16: ", "rules", "set", *KEY,
          "a", "wrong")
    ok("and nothing is stored", not os.path.exists("a/rules"))
    fails("not with another key", 1, "a: ", "rules", "set", "--keyfile", "k2",
          "a", "r")
    fails("nor rules for a policy that is not there", 1, "a: rule us: the "
          "archive has no policy department", "rules", "set", *KEY, "a", "r")
    works("an authority", "authority", "init", "here", "here.secret", "here")
    works("the policy", "policy", "set", *KEY, "--name", "department",
          "--clinical", "doctor@here", "--pixels", "a@here OR b@here",
          "--authority", "here", "a")
    works("set", "rules", "set", *KEY, "a", "r")
    same("shown as they were written", works("show", "rules", "show", *KEY,
                                             "a"), RULES)
    images("test", *KEY, "a", sight=("clinical: doctor@here",
                                     "pixels: a@here OR b@here"))
    works("a key for pixels", "key", "export", *KEY, "--compartments",
          "pixels", "a", "p.key")
    fails("does not show them", 1, "need all keys", "rules", "show",
          "--keyfile", "p.key", "a")
    fails("nor set them", 1, "a: ", "rules", "set", "--keyfile", "p.key", "a",
          "r")
    works("scrub finds nothing", "scrub", "a")
    works("nor does fsck", "fsck", *KEY, "a")


def damaged():
    good = read("a/rules")
    write("a/rules", good.replace(b"frames", b"famres"))
    fails("a change is seen", 1, "rules: damaged: wrong checksum", "rules",
          "show", *KEY, "a")
    result = run("scrub", "a")
    ok("by scrub, too", result.returncode == 1 and
       b"rules: damaged: wrong checksum" in result.stdout + result.stderr,
       result)
    result = run("fsck", *KEY, "a")
    ok("and by fsck", result.returncode == 1 and
       b"rules: damaged: wrong checksum" in result.stdout + result.stderr,
       result)
    works("set anew", "rules", "set", *KEY, "a", "r")
    same("are as they were", read("a/rules"), good)
    works("another archive", "init", "--keyfile", "k2", "b")
    write("b/rules", good)
    fails("another archive's", 1, "altered by someone without the key",
          "rules", "show", "--keyfile", "k2", "b")
    works("scrub has no key to see that", "scrub", "b")
    result = run("fsck", "--keyfile", "k2", "b")
    ok("fsck has one", result.returncode == 1 and
       b"altered by someone" in result.stdout + result.stderr, result)


def usage():
    for args, want in (((), "an action is needed"),
                       (("make",), "no such action: make"),
                       (("check",), "check: RULES are needed"),
                       (("check", *KEY, "r"), "check: needs no key"),
                       (("set", *KEY, "a"), "set: an ARCHIVE and RULES"),
                       (("show", *KEY, "a", "b"), "show: one ARCHIVE"),
                       (("test", *KEY, "a"), "test: an ARCHIVE and an IMAGE")):
        fails(f"rules {' '.join(args)}", 2, want, "rules", *args)


scratch()
checks()
images("check", "r")
archive()
damaged()
usage()
done()
