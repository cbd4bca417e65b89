#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The same random operations on a mount and on a plain directory: all results
# must be equal. DIFFER_SEED and DIFFER_COUNT make other or longer runs.
cd "$(dirname "$0")/.." || exit 1
. tests/lib/tap.sh
. tests/lib/archive.sh

reason=$(mount_obstacle) && skip_all "$reason"
scratch || bail "no temporary folder"
seed=${DIFFER_SEED:-$((RANDOM * 32768 + RANDOM))}
count=${DIFFER_COUNT:-2500}
plain=$work/plain

# differ_run SEED OPTION..: a run, and a look at what is on the disk after it
differ_run() {
	local seed=$1
	shift
	ok "mount, $*" archive_mount "$@" || bail "no mount"
	diag "seed $seed"
	mkdir "$plain"
	ok "random operations, $*" python3 tests/differ.py run --seed "$seed" \
		--count "$count" "$mnt" "$plain"
	ok "umount" archive_umount
	ok "mount again" archive_mount ro
	ok "the same from the disk" python3 tests/differ.py compare "$mnt" \
		"$plain"
	ok "umount" archive_umount
	is "nothing was logged" "$(cat "$daemon_log")" ""
	rm -rf "$plain" "$archive" "$key"
	: >"$daemon_log"
}

archive_new || bail "no archive"
differ_run "$seed" rw
archive_new --chunk-size 4096 || bail "no archive"
differ_run $((seed + 1)) rw
archive_new || bail "no archive"
differ_run $((seed + 2)) no_writeback
done_testing
