#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The daemon is killed while it works: what was closed or fsynced is whole, and
# everything else can still be read, listed, written and removed. KILLS: how
# often it is killed under load, 4 times unless said otherwise.
cd "$(dirname "$0")/.." || exit 1
. tests/lib/tap.sh
. tests/lib/archive.sh

reason=$(mount_obstacle) && skip_all "$reason"
scratch || bail "no temporary folder"
archive_new || bail "no archive"

# crash: kill the daemon under the worker, and mount again
crash() {
	kill -9 $daemon
	wait $daemon 2>/dev/null
	daemon=
	wait $worker
	unmount "$mnt" && archive_mount
}

mounts() {
	grep -c " $mnt fuse.chaosimgfs " /proc/mounts
}

# A thread of it that waited for an answer of its own would keep the dead connection
# open, and whoever uses the mount waiting.
dies() {
	timeout 10 tail -s 0.05 --pid=$daemon -f /dev/null || {
		umount -f -l "$mnt"
		return 1
	}
	wait $daemon 2>/dev/null
	daemon=
}

at_once() {
	local i
	for ((i = 0; i < 5 * ${KILLS:-4}; i++)); do
		"$BUILD/chaosimgfs" -f -o keyfile="$key" "$archive" "$mnt" \
			>/dev/null 2>&1 &
		daemon=$!
		until grep -q " $mnt " /proc/self/mounts; do
			kill -0 $daemon || return
		done
		kill -9 $daemon
		dies && unmount "$mnt" || return
	done
}
ok "killed as soon as it is mounted" at_once

while_it_ends() {
	local i
	for ((i = 0; i < ${KILLS:-4}; i++)); do
		archive_mount || return
		python3 tests/crash.py end "$mnt/ended" "$daemon" &
		worker=$!
		dies || return
		wait $worker
		[ "$(mounts)" = 0 ] || unmount "$mnt" || return
	done
}
ok "killed while it ends, and waits for the kernel" while_it_ends
archive_mount || bail "no mount"

: >"$work/journal"
for round in $(seq "${KILLS:-4}"); do
	python3 tests/crash.py work "$mnt" "$work/journal" &
	worker=$!
	until [ "$(wc -l <"$work/journal")" -gt 40 ] || ! kill -0 $worker; do
		sleep 0.02
	done
	sleep 0.$((RANDOM % 5))
	ok "killed in mid-write, round $round" crash
	ok "what was closed or fsynced is whole" \
		python3 tests/crash.py check "$mnt" "$work/journal"
	: >"$work/journal"
	ok "everything can be removed" rm -r "$mnt/tree"
	ok "nothing was damaged" \
		bash -c "! grep -v 'transport endpoint' '$daemon_log'"
	: >"$daemon_log"
done

# A file that a crash left open is longer on the disk than it says it is.
left_open() {
	# Long enough for whole chunks behind what is synced: with them the
	# stored file is open when the daemon dies.
	head -c 600000 /dev/urandom >"$work/plain"
	rm -f "$mnt/left"
	touch "$mnt/left"
	path=$(find "$archive/data" -inum "$(stat -c %i "$mnt/left")")
	python3 tests/crash.py leave "$mnt/left" "$work/plain" $daemon ||
		return
	wait $daemon 2>/dev/null
	daemon=
	unmount "$mnt" || return
	head -c 70000 /dev/urandom >>"$path"
}
ok "killed with an open file" left_open
archive_mount || bail "no mount"
# The kernel learns the stored length first, and must not keep to it.
stat "$mnt/left" >/dev/null
ok "left open, with garbage behind it: readable" \
	bash -c "cat '$mnt/left' >'$work/got'"
is "as long as it now says" "$(stat -c %s "$work/got")" \
	"$(stat -c %s "$mnt/left")"
ok "at least what was synced" [ "$(stat -c %s "$work/got")" -ge 200000 ]
ok "and nothing but what was written" cmp -n "$(stat -c %s "$work/got")" \
	"$work/got" "$work/plain"
ok "umount" archive_umount

left_open_readonly() {
	archive_mount && left_open && archive_mount ro || return
	cat "$mnt/left" >"$work/got" || return
	[ "$(stat -c %s "$work/got")" -ge 200000 ] &&
		[ "$(stat -c %s "$work/got")" = "$(stat -c %s "$mnt/left")" ] &&
		cmp -n "$(stat -c %s "$work/got")" "$work/got" "$work/plain" &&
		archive_umount
}
ok "the same through a read-only mount" left_open_readonly

# What a killed daemon has left there, with a file open and its root's attributes
# in the kernel's cache, is no obstacle to the next one.
killed() {
	echo kept >"$mnt/kept" && exec 5<"$mnt/kept" && stat "$mnt" || return
	kill -9 "$daemon"
	wait "$daemon" 2>/dev/null
	daemon=
	[ "$(mounts)" = 1 ]
}

# In the background, as the unit does it.
over_dead() {
	"$BUILD/chaosimgfs" -o "keyfile=$key,$1" "$archive" "$mnt" &&
		[ "$(mounts)" = 1 ] && grep kept "$mnt/kept" || return
	exec 5<&-
	unmount "$mnt" && [ "$(mounts)" = 0 ]
}
for options in rw no_sandbox rw,replace; do
	ok "mounted and killed" eval 'archive_mount && killed'
	ok "and mounted over what is left, with $options" over_dead "$options"
done

# Another archive's mount, or one under a wrong key, is not worth it.
kept_dead() {
	local wrong=$work/wrong status=0
	"$BUILD/chaosimg" keyfile "$wrong.key" &&
		"$BUILD/chaosimg" init --keyfile "$wrong.key" "$wrong" || return
	"$BUILD/chaosimgfs" -o "keyfile=$wrong.key" "$archive" "$mnt" && return 1
	[ "$(mounts)" = 1 ] || return
	"$BUILD/chaosimgfs" -o "keyfile=$wrong.key" "$wrong" "$mnt" && return 1
	[ "$(mounts)" = 1 ] || status=1
	exec 5<&-
	unmount "$mnt" || status=1
	return $status
}
ok "mounted and killed" eval 'archive_mount && killed'
ok "a wrong key or archive: what is left stays" kept_dead
done_testing
