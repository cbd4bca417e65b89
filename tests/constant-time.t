#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The cipher's branches and addresses under valgrind; prints the program's TAP.
set -eu

if ! command -v valgrind >/dev/null; then
	echo "1..0 # SKIP valgrind is not installed"
	exit 0
fi
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
halves=
[ "$(uname -m)" != x86_64 ] || halves="-mavx2 -maes -mpclmul"
# shellcheck disable=SC2086
"${CC:-cc}" -O2 -std=gnu11 -Wall -Icipher $halves -c \
	-o "$dir/vaes_by_halves.o" tests/lib/vaes_by_halves.c
"${CC:-cc}" -O1 -std=gnu11 -Wall -Icipher -o "$dir/constant_time" \
	tests/lib/constant_time.c "$dir/vaes_by_halves.o" \
	"${BUILD:-build}/libchaosimg.a"
valgrind -q "$dir/constant_time" 2>"$dir/log" || {
	status=$?
	sed 's/^/# /' "$dir/log" >&2
	exit "$status"
}
