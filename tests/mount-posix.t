#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What programs expect of a directory, tried on a mount: once with the kernel's
# write-back cache and once without.
cd "$(dirname "$0")/.." || exit 1
. tests/lib/tap.sh
. tests/lib/archive.sh

reason=$(mount_obstacle) && skip_all "$reason"
scratch || bail "no temporary folder"
archive_new || bail "no archive"
for options in rw no_writeback; do
	archive_mount $options || bail "no mount"
	while read -r name; do
		mkdir "$mnt/$name"
		ok "$name, $options" python3 tests/posix.py "$name" "$mnt/$name"
		rm -rf "${mnt:?}/$name"
	done < <(python3 tests/posix.py list)
	is "nothing is left, $options" "$(ls -A "$mnt")" ""
	ok "umount, $options" archive_umount
	is "nothing is left on the disk, $options" "$(ls -A "$archive/data")" \
		chaosimg.dir
	is "nothing was logged, $options" "$(cat "$daemon_log")" ""
done
done_testing
