#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Each fuzz target over its corpus, and some thousand inputs more. Longer:
#	make fuzz-long TIME=3600
cd "$(dirname "$0")/.." || exit 1
. tests/lib/tap.sh
BUILD=${BUILD:-build}
export BUILD

command -v clang >/dev/null || skip_all "clang is not installed"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
make -s -j"$(nproc)" BUILD="$BUILD" fuzz >"$log" 2>&1 || {
	if grep -q 'libclang_rt' "$log"; then
		skip_all "libclang-rt-14-dev is not installed"
	fi
	tail -n 20 "$log" >&2
	bail "the fuzz targets do not build"
}
for source in tests/fuzz/fuzz_*.c; do
	target=$(basename "$source" .c)
	target=${target#fuzz_}
	# The slow ones work on whole archives, or with pairings.
	case $target in
	fuse) runs=100 ;;
	abe | policies) runs=500 ;;
	file) runs=2000 ;;
	config | escrow | ingest | keyset) runs=5000 ;;
	*) runs=50000 ;;
	esac
	ok "$target" tests/fuzz/run --runs $runs "$target"
done
done_testing
