#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Two Orthancs at once, one on a mount with all keys, one on a masked mount.

What the first serves are the originals; the second has as many patients'
studies, and the same pictures, and nobody's name.
"""

import json
import os
import pathlib
import shutil
import sys
import urllib.error
import warnings

sys.dont_write_bytecode = True
os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
sys.path.insert(0, "tests/lib")

import mounted  # noqa: E402
from mounted import ARCHIVE, KEY, MNT, Mount  # noqa: E402
from orthanc import Orthanc  # noqa: E402
from tap import done, ok, read, same, scratch, skip, works  # noqa: E402

STUDY = "/usr/lib/python3/dist-packages/pydicom/data/test_files"
DEFLATED = "1.2.840.10008.1.2.1.99"
IDENTITY = ("PatientName", "PatientID", "PatientBirthDate", "InstitutionName",
            "ReferringPhysicianName", "AccessionNumber")


def images():
    """Of several files that are one image to Orthanc, the first."""
    import pydicom
    warnings.simplefilter("ignore")
    seen = set()
    for path in sorted(pathlib.Path(STUDY).iterdir()):
        if not path.is_file() or path.read_bytes()[128:132] != b"DICM":
            continue
        ds = pydicom.dcmread(path, stop_before_pixels=True)
        image = ds.get("SOPInstanceUID")
        # A deflated data set is identity, its picture with it.
        if image not in seen and ds.file_meta.get(
                "TransferSyntaxUID") != DEFLATED:
            yield path
        seen.add(image)


def upload(orthanc, folder):
    """Every file below that Orthanc takes: its bytes, by Orthanc's number."""
    taken = {}
    for where, _, files in os.walk(folder):
        for name in files:
            path = os.path.join(where, name)
            data = read(path)
            try:
                answer = json.loads(orthanc.request("/instances", data))
            except urllib.error.HTTPError:
                continue
            taken[os.lstat(path).st_ino] = answer["ID"], data
    return taken


def tags(orthanc, instance):
    return orthanc.get_json(f"/instances/{instance}/simplified-tags")


def serves(name, orthanc, taken):
    """Orthanc gives back what it was given, and can show it."""
    wrong = [i for i, data in taken.values()
             if orthanc.get(f"/instances/{i}/file") != data]
    same(f"{name}: every image comes back", wrong, [])


def raw(orthanc, instance):
    try:
        return orthanc.get(f"/instances/{instance}/frames/0/raw")
    except urllib.error.HTTPError as error:
        return error.code


def compare(full, masked, plain, hidden):
    """Images in both, each with its counterpart."""
    told, pictures, other = [], 0, []
    for ino, (instance, _) in plain.items():
        if ino not in hidden:
            continue
        twin = hidden[ino][0]
        was, now = tags(full, instance), tags(masked, twin)
        for keyword in IDENTITY:
            value = str(was.get(keyword, "")).strip()
            if len(value) > 2 and str(now.get(keyword, "")) == value:
                told.append(f"{instance}: {keyword} is {value}")
        if was.get("SOPInstanceUID") == now.get("SOPInstanceUID"):
            told.append(f"{instance}: has its UID")
        picture = raw(full, instance)
        pictures += isinstance(picture, bytes)
        if picture != raw(masked, twin):
            other.append(instance)
    same("nothing of the patient is served", told, [])
    same("every picture is the same", other, [])
    ok("there were many", pictures > 20, pictures)


def studies(orthanc):
    """How many; in masks, all patients have one name and number."""
    return len({s["MainDicomTags"]["StudyInstanceUID"]
                for s in orthanc.get_json("/studies?expand")})


def both(full, masked):
    plain, hidden = upload(full, MNT), upload(masked, "masked")
    ok("many images were taken", len(plain) > 20, len(plain))
    same("the other takes them, too", sorted(set(plain) - set(hidden)), [])
    serves("the originals", full, plain)
    serves("the masked ones", masked, hidden)
    originals = {p.read_bytes() for p in pathlib.Path(STUDY).iterdir()
                 if p.is_file()}
    same("the first has the originals",
         [i for i, data in plain.values() if data not in originals], [])
    same("the second has none of them",
         [i for i, data in hidden.values() if data in originals], [])
    same("as many studies", studies(masked), studies(full))
    names = [p["MainDicomTags"].get("PatientName", "")
             for p in masked.get_json("/patients?expand")]
    same("no patient has a name", [n for n in names if n.strip("X^ =")], [])
    compare(full, masked, plain, hidden)


def main():
    reason = mounted.obstacle()
    program = shutil.which("Orthanc", path=os.environ["PATH"] +
                           ":/usr/sbin:/usr/local/sbin")
    if reason or not program or not os.path.isdir(STUDY):
        skip("two Orthancs", reason or
             "needs Debian's orthanc and python3-pydicom")
        done()
    scratch()
    mounted.make()
    for folder in ("masked", "full.db", "masked.db", "full.work",
                   "masked.work"):
        os.mkdir(folder)
    works("a key for images without patients", "key", "export", "--keyfile",
          KEY, "--compartments", "clinical,pixels", ARCHIVE, "masked.key")
    with Mount(), Mount(key="masked.key", at="masked"):
        for n, path in enumerate(images()):
            shutil.copyfile(path, os.path.join(MNT, f"{n}.dcm"))
        with Orthanc(os.path.abspath("full.db"), "full.work") as full, \
                Orthanc(os.path.abspath("masked.db"), "masked.work") as masked:
            both(full, masked)
    done()


main()
