#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The disk is full: the writer is told, and all that was written before stays.
cd "$(dirname "$0")/.." || exit 1
. tests/lib/tap.sh
. tests/lib/archive.sh

reason=$(mount_obstacle) && skip_all "$reason"
scratch || bail "no temporary folder"
small=$work/small
mkdir "$small"
mount -t tmpfs -o size=16m tmpfs "$small" || skip_all "cannot mount tmpfs"
trap 'cleanup_small' EXIT
cleanup_small() {
	umount "$mnt" 2>/dev/null || umount -l "$mnt" 2>/dev/null
	[ -z "$daemon" ] || wait "$daemon" 2>/dev/null
	umount "$small" 2>/dev/null || umount -l "$small"
	cleanup
}
archive=$small/archive
archive_new || bail "no archive"
head -c 40000000 /dev/urandom >"$work/plain"

# told: does dd fail, with this reason?
told() {
	fails "$1" 1 "No space left on device" dd if="$work/plain" \
		of="$mnt/$2" bs=1M conv=notrunc,fsync status=none
}


for options in rw no_writeback; do
	archive_mount $options || bail "no mount"
	head -c 3000000 "$work/plain" >"$mnt/before"
	head -c 3000000 "$work/plain" >"$mnt/grows"
	sync -d "$mnt/grows"
	told "too large a file, $options" large
	ok "what was written before is there" \
		cmp -n 3000000 "$mnt/before" "$work/plain"
	told "a synced file that grows" grows
	ok "what was synced is there" cmp -n 3000000 "$mnt/grows" "$work/plain"
	ok "umount" archive_umount
	ok "mount again" archive_mount $options
	ok "all the same from the disk" \
		cmp -n 3000000 "$mnt/before" "$work/plain"
	ok "also what grew" cmp -n 3000000 "$mnt/grows" "$work/plain"
	ok "the rest can be read too" cat "$mnt/large"
	ok "removing makes room" rm "$mnt/large" "$mnt/grows"
	ok "to write again" bash -c \
		"head -c 3000000 '$work/plain' >'$mnt/after' && sync '$mnt/after'"
	ok "whole" cmp -n 3000000 "$mnt/after" "$work/plain"
	rm "$mnt/after" "$mnt/before"
	ok "umount" archive_umount
done
done_testing
