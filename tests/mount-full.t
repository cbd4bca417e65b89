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

# What was removed makes room once the kernel has told the daemon that nobody
# has it any more, which it does a little later.
room() {
	local i

	for ((i = 0; i < 500; i++)); do
		[ "$(df --output=avail -B1 "$mnt" | tail -n 1)" -lt "$1" ] ||
			return 0
		sleep 0.01
	done
	return 1
}

# A sync that failed is not followed by one that succeeds, unless what was lost
# was written again.
sync_again() {
	python3 - "$work/plain" "$mnt/again" "$mnt/before" <<-'END'
		import os, sys, time
		with open(sys.argv[1], "rb") as f:
		    data = f.read(5 << 20)
		fd = os.open(sys.argv[2], os.O_RDWR | os.O_CREAT)
		def write():
		    done = 0
		    while done < len(data):
		        done += os.pwrite(fd, data[done:done + 1000000], done)
		def told():
		    try:
		        os.fsync(fd)
		    except OSError as error:
		        print(error)
		        return True
		write()
		assert told() and told() and told()
		os.unlink(sys.argv[3])
		for i in range(500):
		    room = os.fstatvfs(fd)
		    if room.f_bavail * room.f_frsize >= 6 << 20:
		        break
		    time.sleep(0.01)
		write()
		assert not told()
	END
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
	rm "$mnt/large" "$mnt/grows"
	ok "removing makes room" room 4000000
	ok "to write again" bash -c \
		"head -c 3000000 '$work/plain' >'$mnt/after' && sync '$mnt/after'"
	ok "whole" cmp -n 3000000 "$mnt/after" "$work/plain"
	rm "$mnt/after" "$mnt/before"
	ok "umount" archive_umount
done

archive_mount || bail "no mount"
head -c 13000000 "$work/plain" >"$mnt/before"
sync "$mnt/before"
ok "a sync that failed goes on failing until all is written again" sync_again
ok "umount" archive_umount
ok "mount again" archive_mount
ok "what was synced in the end is there" \
	cmp -n $((5 << 20)) "$mnt/again" "$work/plain"
ok "umount" archive_umount
done_testing
