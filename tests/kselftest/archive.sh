#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# chaosimgfs with the kernel as its cipher reads an archive that the library
# wrote, and the other way round.

. "$(dirname "$0")/tap.sh"
need_root
need chaosimg chaosimgfs sha256sum
need_chaosimg
modprobe -q fuse
[ -e /dev/fuse ] || skip_all "needs /dev/fuse"

mnt=$work/mnt
daemon=
mkdir "$mnt"
clean_up() {
	[ -z "$daemon" ] || close_archive
}

# open_archive CIPHER
open_archive() {
	chaosimgfs -f -o "keyfile=$work/key${1:+,cipher=$1}" "$work/archive" \
		"$mnt" >>"$work/daemon.log" 2>&1 &
	daemon=$!
	for _ in $(seq 300); do
		if grep -q " $mnt fuse" /proc/mounts; then
			# It answers when all is set up.
			ls "$mnt" >"$work/listed" && return
			break
		fi
		kill -0 $daemon 2>/dev/null || break
		sleep 0.1
	done
	kill $daemon 2>/dev/null
	wait $daemon
	daemon=
	cat "$work/daemon.log"
	return 1
}

close_archive() {
	umount "$mnt" && wait $daemon
	status=$?
	daemon=
	return $status
}

# write_files FOLDER: of all lengths around a chunk's, with long names too
write_files() {
	mkdir "$mnt/$1" || return
	for size in 0 1 15 16 65535 65536 65537 400000; do
		head -c $size /dev/urandom >"$mnt/$1/$size" || return
	done
	long=$(printf '%0200d' 0)
	echo "$long" >"$mnt/$1/$long"
	ln -s "$long" "$mnt/$1/link"
	(cd "$mnt/$1" && sha256sum ./*) >"$work/sums.$1"
}

rewrite() { # overwrite in the middle, across chunks
	head -c 100000 /dev/urandom | dd of="$mnt/$1/400000" bs=1000 seek=50 \
		conv=notrunc 2>/dev/null || return
	(cd "$mnt/$1" && sha256sum ./*) >"$work/sums.$1"
}

same_files() { # FOLDER..
	for folder; do
		(cd "$mnt/$folder" && sha256sum -c "$work/sums.$folder") ||
			return
	done
}

set_up() {
	chaosimg keyfile "$work/key" &&
		chaosimg init --keyfile "$work/key" "$work/archive"
}

# Four writers and their syncs at once: requests of several threads.
write_together() {
	writers=
	for n in 1 2 3 4; do
		head -c 500000 /dev/urandom >"$work/plain.$n"
		dd if="$work/plain.$n" of="$mnt/together.$n" bs=50000 \
			conv=fsync 2>/dev/null &
		writers="$writers $!"
	done
	for writer in $writers; do
		wait "$writer" || return
	done
	for n in 1 2 3 4; do
		cmp "$work/plain.$n" "$mnt/together.$n" || return
	done
}

# A filter on its system calls, and no right to mount.
in_sandbox() {
	grep '^Seccomp:.2$' "/proc/$daemon/status" &&
		grep '^NoNewPrivs:.1$' "/proc/$daemon/status" || return
	rights=$(sed -n 's/^CapEff:.//p' "/proc/$daemon/status")
	[ $((0x$rights >> 21 & 1)) = 0 ]
}

# Refused system calls, among others.
nothing_logged() {
	cat "$work/daemon.log"
	[ ! -s "$work/daemon.log" ]
}

unknown_refused() {
	! open_archive no-such-cipher
}

listed() {
	chaosimg cipher --list | grep -w kernel
}

ok "chaosimg cipher --list has the kernel" listed
ok "an archive" set_up
ok "mounted with the library's cipher" open_archive ""
ok "files written" write_files library
ok "unmounted" close_archive
ok "mounted with the kernel's cipher" open_archive kernel
ok "its daemon is in the sandbox" in_sandbox
ok "the library's files are as they were" same_files library
ok "files written by the kernel's cipher" write_files kernel
ok "and overwritten in part" rewrite kernel
ok "the library's files as well" rewrite library
ok "written by four at once, and synced" write_together
ok "all read back" same_files library kernel
ok "unmounted again" close_archive
ok "mounted with the generic cipher" open_archive generic
ok "all files are as they were" same_files library kernel
ok "unmounted in the end" close_archive
ok "nothing was logged, no system call refused" nothing_logged
ok "a cipher that does not exist is refused" unknown_refused
done_testing
