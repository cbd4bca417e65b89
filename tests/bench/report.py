# SPDX-License-Identifier: GPL-2.0-or-later
"""Medians, ratios and spread; the table and the JSON file."""

import json
import statistics

from contenders import OURS


def spread(values):
    """The median, and how far the values reach around it."""
    ordered = sorted(values)
    if len(ordered) > 1:
        low, median, high = statistics.quantiles(ordered, n=4,
                                                 method="inclusive")
    else:
        low = median = high = ordered[0]
    return {"median": median, "q1": low, "q3": high, "min": ordered[0],
            "max": ordered[-1]}


def line_summary(name, unit, by_contender):
    """Ratios are those of the same round; more is better in all of them."""
    ours = by_contender[OURS.name]
    return {
        "line": name, "unit": unit, "values": by_contender,
        "spread": {c: spread(v) for c, v in by_contender.items()},
        "ratio": {c: spread([a / b for a, b in zip(ours, v)])
                  for c, v in by_contender.items() if c != OURS.name},
    }


def summary(measured, units):
    return {"file_systems": [
        {"file_system": kind, "folder": folder,
         "lines": [line_summary(line, units[line], values[line])
                   for line in units if line in values]}
        for kind, folder, values in measured]}


def number(n):
    return "%.0f" % n if n >= 100 else "%.3g" % n


def print_rates(lines, names):
    print("\n%-33s%6s" % ("median, quartiles in %", "") +
          "".join("%18s" % n for n in names))
    for line in lines:
        cells = []
        for name in names:
            s = line["spread"][name]
            m = s["median"]
            cells.append("%s %+3.0f %+3.0f" % (
                number(m), 100 * (s["q1"] / m - 1), 100 * (s["q3"] / m - 1)))
        print("%-33s%6s" % (line["line"], line["unit"]) +
              "".join("%18s" % c for c in cells))


def print_ratios(lines, names):
    peers = [n for n in names if n != OURS.name]
    print("\n%-39s" % "%s is so many times as fast as" % OURS.name +
          "".join("%18s" % n for n in peers))
    for line in lines:
        cells = []
        for peer in peers:
            s = line["ratio"][peer]
            cells.append("%.2f (%.2f-%.2f)" % (s["median"], s["q1"], s["q3"]))
        print("%-39s" % line["line"] + "".join("%18s" % c for c in cells))


def print_cipher(rows):
    sizes = sorted({row["bytes"] for row in rows})
    print("\nThe cipher by itself, one core, MB/s in messages of so many bytes")
    print("%-34s" % "" + "".join("%10d" % s for s in sizes))
    order = dict.fromkeys((row["impl"], row["direction"]) for row in rows)
    for impl, direction in order:
        cells = {row["bytes"]: row["mb_per_s"]["median"] for row in rows
                 if (row["impl"], row["direction"]) == (impl, direction)}
        print("%-34s" % ("%s, %s" % (impl, direction)) + "".join(
            "%10s" % (number(cells[s]) if s in cells else "") for s in sizes))


def print_all(result, sizes):
    about = result["machine"]
    print("%s, %d cores, %d MiB of memory, Linux %s, %s, %s" % (
        about["cpu"], about["cores"], about["memory_mib"], about["kernel"],
        about["system"], about["date"]))
    print(", ".join("%s %s" % item for item in about["versions"].items()))
    if result["file_systems"]:
        print("rounds: %d; %s" % (result["rounds"], sizes))
    for place in result["file_systems"]:
        names = list(about["versions"])
        print("\n== %s (%s)" % (place["file_system"], place["folder"]))
        print_rates(place["lines"], names)
        print_ratios(place["lines"], names)
    if result["cipher"]:
        print_cipher(result["cipher"])


def write_json(result, path):
    with open(path, "w", encoding="utf-8") as f:
        json.dump(result, f, indent=1)
        f.write("\n")
