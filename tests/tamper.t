#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Mutations of an archive on the disk, 2000 of them; all that a thief with write
# access can do to it. TAMPER=100000: so many. TAMPER_SEED: the same ones again.
cd "$(dirname "$0")/.." || exit 1
. tests/lib/tap.sh
# With sanitizers, where they are built.
BUILD=${BUILD:-build}
program=$BUILD-san/tests/tamper_archive
[ -x "$program" ] || program=$BUILD/tests/tamper_archive
[ -x "$program" ] || skip_all "$BUILD holds no tests/tamper_archive"
[ "$(id -u)" = 0 ] || skip_all "needs root, to open what it finds by handle"
# What locked memory points to is not seen by LeakSanitizer.
export ASAN_OPTIONS=detect_leaks=0
exec "$program" "${TAMPER:-2000}" "${TAMPER_SEED:-$RANDOM}"
