#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The study that the demo and the PACS tests send: which files, and how.

study.py list DIR    one line for each DICOM file: the option with which
                     storescu proposes its transfer syntax, or "-" and why it
                     cannot be sent; then its path
study.py sums DIR..  the SHA-256 of every file below, sorted, without names
"""

import hashlib
import os
import signal
import sys
import warnings

# What storescu calls the transfer syntaxes (PS3.5 section 10, PS3.6 annex A).
PROPOSE = {
    "1.2.840.10008.1.2": "-x=",
    "1.2.840.10008.1.2.1": "-x=",
    "1.2.840.10008.1.2.2": "-x=",
    "1.2.840.10008.1.2.1.99": "-xd",
    "1.2.840.10008.1.2.4.50": "-xy",
    "1.2.840.10008.1.2.4.51": "-xx",
    "1.2.840.10008.1.2.4.70": "-xs",
    "1.2.840.10008.1.2.4.80": "-xt",
    "1.2.840.10008.1.2.4.81": "-xu",
    "1.2.840.10008.1.2.4.90": "-xv",
    "1.2.840.10008.1.2.4.91": "-xw",
    "1.2.840.10008.1.2.5": "-xr",
}


def files(top):
    """Every regular file below, in a fixed order."""
    for folder, subs, names in os.walk(top):
        subs.sort()
        for name in sorted(names):
            path = os.path.join(folder, name)
            if os.path.isfile(path) and "__pycache__" not in path:
                yield path


def propose(path):
    """storescu's option for a file; None if it is not DICOM; or why not."""
    import pydicom

    with open(path, "rb") as f:
        head = f.read(132)
    part10 = head[128:132] == b"DICM"
    if not part10 and not path.endswith(".dcm"):
        return None
    try:
        ds = pydicom.dcmread(path, force=True)
        sop = ds.get("SOPClassUID")
        instance = ds.get("SOPInstanceUID")
        syntax = str(ds.file_meta.get("TransferSyntaxUID", ""))
    except Exception as e:
        return "- does not parse: %s" % str(e).split("\n")[0]
    if "DirectoryRecordSequence" in ds:
        return "- a DICOMDIR, not an image"
    if not sop or not instance:
        return "- no SOP class or instance"
    if not part10:
        return "-x="  # a bare data set: storescu finds out which
    return PROPOSE.get(syntax, "- transfer syntax %s" % (syntax or "missing"))


def sums(tops):
    out = []
    for top in tops:
        for path in files(top):
            with open(path, "rb") as f:
                out.append(hashlib.sha256(f.read()).hexdigest())
    return sorted(out)


def main():
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    warnings.simplefilter("ignore")
    if len(sys.argv) == 3 and sys.argv[1] == "list":
        for path in files(sys.argv[2]):
            how = propose(path)
            if how:
                print(how, path, sep="\t")
    elif len(sys.argv) >= 3 and sys.argv[1] == "sums":
        print("\n".join(sums(sys.argv[2:])))
    else:
        sys.exit("usage: study.py list DIR | sums DIR..")


if __name__ == "__main__":
    main()
