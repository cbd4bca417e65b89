#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The pictures of the demo's second scene.

pictures.py capture IMAGE OUT
    a screen capture of an image, with the patient's name burned into it
pictures.py shades IMAGE
    how many shades of grey the picture has: 1 if it is blank
pictures.py beside OUT.png TITLE:IMAGE[:FILE] ..
    what several mounts show, side by side: a column for each TITLE, with what
    IMAGE says of the patient, and a picture of it and of every FILE, as
    DCMTK renders it
"""

import datetime
import os
import subprocess
import sys
import tempfile

SIZE = 256          # of a rendered picture, both ways
BAR = 24            # height of the line that is burned in
GAP = 12
LINE = 14           # height of a line of text
SHOWN = ("PatientName", "PatientID", "StudyDate", "Modality",
         "SliceThickness")


def capture(source, out):
    """An 8-bit picture with a dark bar at its top, and a name in that."""
    import pydicom
    from PIL import Image, ImageDraw
    from pydicom.uid import ExplicitVRLittleEndian, generate_uid

    ds = pydicom.dcmread(source)
    picture = render(source).resize((SIZE, SIZE))
    draw = ImageDraw.Draw(picture)
    draw.rectangle((0, 0, SIZE, BAR - 1), fill=0)
    draw.text((6, 6), f"{ds.PatientName}  {ds.PatientID}", fill=255)
    for keyword in ("SmallestImagePixelValue", "LargestImagePixelValue",
                    "RescaleIntercept", "RescaleSlope", "PixelPaddingValue"):
        if keyword in ds:
            delattr(ds, keyword)
    ds.SOPClassUID = "1.2.840.10008.5.1.4.1.1.7"    # Secondary Capture
    ds.SOPInstanceUID = generate_uid()
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.ConversionType = "WSD"
    ds.Manufacturer = "chaosimg demo"
    ds.BurnedInAnnotation = "YES"
    ds.ContentDate = datetime.date.today().strftime("%Y%m%d")
    ds.Rows = ds.Columns = SIZE
    ds.BitsAllocated = ds.BitsStored = 8
    ds.HighBit = 7
    ds.PixelRepresentation = 0
    ds.PixelData = picture.tobytes()
    ds["PixelData"].VR = "OB"
    ds.save_as(out)


def render(path):
    """A picture of the file, by DCMTK."""
    from PIL import Image

    with tempfile.TemporaryDirectory() as folder:
        pnm = os.path.join(folder, "picture.pnm")
        subprocess.run(["dcmj2pnm", "-q", "+Wm", path, pnm], check=True,
                       stderr=subprocess.DEVNULL)
        with Image.open(pnm) as image:
            image.load()
            return image.convert("L")


def values(path):
    """What DCMTK finds of the attributes that are shown, the first of each."""
    options = [word for name in SHOWN for word in ("+P", name)]
    text = subprocess.run(["dcmdump", "-q", *options, path], check=True,
                          capture_output=True, text=True,
                          errors="replace").stdout
    found = {}
    for line in text.splitlines():
        value = line.split("]")[0].partition("[")[2]
        found.setdefault(line.split()[-1], value)
    return [(name, found.get(name, "")) for name in SHOWN]


def column(title, image, files):
    from PIL import Image, ImageDraw

    height = (len(SHOWN) + 2) * LINE + len(files) * (SIZE + GAP)
    out = Image.new("L", (SIZE, height), 255)
    draw = ImageDraw.Draw(out)
    draw.text((0, 0), title, fill=0)
    y = LINE + 4
    for name, value in values(image):
        draw.text((0, y), f"{name}: {value}"[:42], fill=0)
        y += LINE
    y = (len(SHOWN) + 2) * LINE
    for path in files:
        out.paste(render(path).resize((SIZE, SIZE)), (0, y))
        y += SIZE + GAP
    return out


def beside(out, specs):
    from PIL import Image

    columns = [column(spec[0], spec[1], spec[1:])
               for spec in (s.split(":") for s in specs)]
    height = max(c.height for c in columns) + GAP
    sheet = Image.new("L", (GAP + len(columns) * (SIZE + GAP), height), 255)
    for i, picture in enumerate(columns):
        sheet.paste(picture, (GAP + i * (SIZE + GAP), GAP))
    sheet.save(out)


def main():
    if len(sys.argv) == 4 and sys.argv[1] == "capture":
        capture(sys.argv[2], sys.argv[3])
    elif len(sys.argv) == 3 and sys.argv[1] == "shades":
        print(len(render(sys.argv[2]).getcolors()))
    elif len(sys.argv) > 3 and sys.argv[1] == "beside":
        beside(sys.argv[2], sys.argv[3:])
    else:
        sys.exit("usage: pictures.py capture IMAGE OUT | shades IMAGE | "
                 "beside OUT.png TITLE:IMAGE[:FILE] ..")


if __name__ == "__main__":
    main()
