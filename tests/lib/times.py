#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""How long each image takes: through the mount, and in a plain folder.

times.py write STUDY FOLDER   write every file of the study into the folder,
                              each synced to the disk before the next
times.py read STUDY FOLDER    read them back and compare them with the study

A line for the study's own images and one for a CT of 512 x 512 pixels, which
is made from one of them by tiling: mean, median and worst in milliseconds.
Exit status 1 if a byte came back different.
"""

import os
import signal
import statistics
import sys
import time
import warnings

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import study

REPEATS = 20


def large_ct(top):
    """CT_small's picture, 4 x 4 times, as one image of 512 x 512."""
    import io
    import pydicom

    warnings.simplefilter("ignore")
    ds = pydicom.dcmread(os.path.join(top, "test_files/CT_small.dcm"))
    row = 2 * ds.Columns
    data = ds.PixelData
    rows = [data[i:i + row] * 4 for i in range(0, row * ds.Rows, row)]
    ds.PixelData = b"".join(rows) * 4
    ds.Rows *= 4
    ds.Columns *= 4
    out = io.BytesIO()
    pydicom.dcmwrite(out, ds)
    return out.getvalue()


def images(top):
    """(group, name, content) of everything that is timed."""
    for n, path in enumerate(study.files(top)):
        with open(path, "rb") as f:
            yield "study", "%03d-%s" % (n, os.path.basename(path)), f.read()
    big = large_ct(top)
    for n in range(REPEATS):
        yield "CT 512 x 512", "ct-%02d.dcm" % n, big


def write(path, data):
    start = time.perf_counter()
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    left = memoryview(data)
    while left:
        left = left[os.write(fd, left):]
    os.fsync(fd)
    os.close(fd)
    return time.perf_counter() - start


def read(path, data):
    start = time.perf_counter()
    with open(path, "rb", buffering=0) as f:
        back = f.read()
    took = time.perf_counter() - start
    if back != data:
        sys.exit("different: " + path)
    return took


def main():
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if len(sys.argv) != 4 or sys.argv[1] not in ("write", "read"):
        sys.exit("usage: times.py write|read STUDY FOLDER")
    do = write if sys.argv[1] == "write" else read
    took, size = {}, {}
    for group, name, data in images(sys.argv[2]):
        took.setdefault(group, []).append(
            1e3 * do(os.path.join(sys.argv[3], name), data))
        size.setdefault(group, []).append(len(data))
    for group, t in took.items():
        print("%-13s %4d files %6.0f KB  mean %7.2f  median %7.2f  "
              "worst %7.2f ms" %
              (group, len(t), statistics.mean(size[group]) / 1e3,
               statistics.mean(t), statistics.median(t), max(t)))


main()
