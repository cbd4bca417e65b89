# SPDX-License-Identifier: GPL-2.0-or-later
"""The chart: for each line and each peer a bar from 1 to how many times as
fast chaosimgfs is, on a logarithmic axis, and its quartiles; one panel for each
file system. Below, the cipher by itself.
"""

import math
from html import escape

# Okabe and Ito's colours, which the colour-blind can tell apart.
COLOURS = {"plain": "#999999", "passthrough_ll": "#56b4e9",
           "gocryptfs": "#e69f00", "securefs": "#009e73", "encfs": "#cc79a7"}
LABELS = 230        # width of the lines' names
PANEL = 430         # width of a panel's axis
GAP = 60            # between two panels, and at the right end
BAR = 11            # height of a bar
LINE_GAP = 10       # between two lines' bars
HEAD = 125          # above the first line
CIPHER_BYTES = 65536


def text(x, y, said, anchor="start", size=11, more=""):
    return ('<text x="%.1f" y="%.1f" text-anchor="%s" font-size="%d"%s>%s'
            '</text>' % (x, y, anchor, size, more, escape(said)))


def box(x, y, width, height, colour):
    return ('<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="%s"/>' %
            (x, y, width, height, colour))


def stroke(x1, y1, x2, y2, colour, width=1):
    return ('<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="%s" '
            'stroke-width="%.1f"/>' % (x1, y1, x2, y2, colour, width))


class Axis:
    """Powers of two from left to right, wide enough for all ratios."""

    def __init__(self, left, ratios):
        # The bars' figures stand to the right of them.
        self.low = math.floor(min([math.log2(r) for r in ratios] + [-1]))
        self.high = math.ceil(max([math.log2(r) for r in ratios] + [1]) + 0.5)
        self.left = left

    def x(self, ratio):
        part = (math.log2(ratio) - self.low) / (self.high - self.low)
        return self.left + PANEL * part

    def ticks(self):
        """Each with its place and how it is written."""
        return [(n, self.x(2.0 ** n),
                 "%d" % 2 ** n if n >= 0 else "1/%d" % 2 ** -n)
                for n in range(self.low, self.high + 1)]


def peers_of(place):
    return list(place["lines"][0]["ratio"])


def bar(axis, y, ratio, peer):
    one, end = axis.x(1), axis.x(ratio["median"])
    low, high = axis.x(ratio["q1"]), axis.x(ratio["q3"])
    middle = y + BAR / 2
    return [
        box(min(one, end), y, max(abs(end - one), 0.5), BAR - 2,
            COLOURS[peer]),
        stroke(low, middle - 1, high, middle - 1, "#000", 1),
        text(max(one, end, high) + 4, y + BAR - 2.5,
             "%.2f" % ratio["median"], size=9),
    ]


def panel(place, axis, height):
    out = [text(axis.left, HEAD - 32, place["file_system"], size=14,
                more=' font-weight="bold"')]
    for power, x, said in axis.ticks():
        out.append(stroke(x, HEAD - 8, x, height,
                          "#ddd" if power else "#000"))
        out.append(text(x, HEAD - 13, said, "middle", 10))
    peers = peers_of(place)
    y = HEAD
    for line in place["lines"]:
        for i, peer in enumerate(peers):
            out += bar(axis, y + i * BAR, line["ratio"][peer], peer)
        y += len(peers) * BAR + LINE_GAP
    return out


def legend(peers):
    out, x = [], 12
    for peer in peers:
        out.append(box(x, 53, 12, 12, COLOURS[peer]))
        out.append(text(x + 17, 63, peer))
        x += 130
    return out


def ratios_of(places):
    return [r[k] for p in places for line in p["lines"]
            for r in line["ratio"].values() for k in ("q1", "median", "q3")]


def file_systems(places):
    """The elements, how wide and how high they are."""
    if not places or not peers_of(places[0]):
        return [], LABELS + PANEL + GAP, 40
    peers = peers_of(places[0])
    step = len(peers) * BAR + LINE_GAP
    height = HEAD + step * len(places[0]["lines"])
    out = legend(peers)
    for i, line in enumerate(places[0]["lines"]):
        out.append(text(LABELS - 12, HEAD + i * step + step / 2, line["line"],
                        "end"))
    ratios = ratios_of(places)
    for i, place in enumerate(places):
        out += panel(place, Axis(LABELS + i * (PANEL + GAP), ratios), height)
    return out, LABELS + len(places) * (PANEL + GAP), height


def cipher(rows, top):
    """Bars from 0 on, for large messages only; elements and their end."""
    rows = [row for row in rows or [] if row["bytes"] == CIPHER_BYTES]
    if not rows:
        return [], top
    most = max(row["mb_per_s"]["median"] for row in rows)
    out = [text(LABELS, top + 40, "The cipher by itself: MB/s on one core, "
                "messages of 64 KiB", size=14, more=' font-weight="bold"')]
    y = top + 54
    for row in rows:
        rate = row["mb_per_s"]
        width = PANEL * rate["median"] / most
        out.append(text(LABELS - 12, y + 9, "%s, %s" % (
            row["impl"], row["direction"]), "end"))
        out.append(box(LABELS, y, width, 10, "#0072b2"))
        out.append(text(LABELS + width + 4, y + 9, "%.0f" % rate["median"],
                        size=9))
        y += 14
    return out, y


def write(result, path):
    body, width, height = file_systems(result["file_systems"])
    more, height = cipher(result["cipher"], height)
    about = result["machine"]
    title = [
        text(12, 22, "chaosimgfs is so many times as fast as its peers"
             if result["file_systems"] else "chaosimg", size=16,
             more=' font-weight="bold"'),
        text(12, 40, "%s, %d cores, Linux %s; medians and quartiles, rounds: "
             "%d" % (about["cpu"], about["cores"], about["kernel"],
                            result["rounds"]), size=10)]
    height += 20
    with open(path, "w", encoding="utf-8") as f:
        f.write('<svg xmlns="http://www.w3.org/2000/svg" width="%d" '
                'height="%d" font-family="sans-serif">\n' % (width, height))
        f.write("\n".join([box(0, 0, width, height, "#fff"), *title, *body,
                           *more]))
        f.write("\n</svg>\n")
