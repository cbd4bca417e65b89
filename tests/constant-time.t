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
"${CC:-cc}" -O1 -std=gnu11 -Wall -Icipher -o "$dir/constant_time" \
	tests/lib/constant_time.c "${BUILD:-build}/libchaosimg.a"
valgrind -q "$dir/constant_time" 2>"$dir/log" || {
	status=$?
	sed 's/^/# /' "$dir/log" >&2
	exit "$status"
}
