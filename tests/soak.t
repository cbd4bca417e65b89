#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# A few seconds of tests/soak, which see for an hour of it.
cd "$(dirname "$0")/.." || exit 1
exec tests/soak --seconds 15
