# SPDX-License-Identifier: GPL-2.0-or-later
"""The cipher's own figures, from its own program."""

import json
import os

from contenders import BUILD
from failure import call

PROGRAM = os.path.join(BUILD, "tests", "cipher_bench")
FIELDS = {"impl", "direction", "bytes", "mb_per_s"}


def figures():
    """A list of figures and None, or None and why there are none."""
    if not os.path.exists(PROGRAM):
        return None, "cipher_bench is not built"
    said = call([PROGRAM, "--json"])
    try:
        rows = json.loads(said)
    except ValueError:
        return None, "cipher_bench --json prints no JSON"
    if not isinstance(rows, list) or not all(
            isinstance(row, dict) and FIELDS <= set(row) for row in rows):
        return None, "cipher_bench --json prints something else"
    return rows, None
