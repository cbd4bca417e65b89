#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# dm-crypt with capi:chaosimg-plain64: a file system on it is made, used,
# checked and found again, and only with its key.

. "$(dirname "$0")/tap.sh"
need_root
need dmsetup cryptsetup mkfs.ext4 e2fsck losetup blkid sha256sum
need_chaosimg
modprobe -q loop
modprobe -q dm-crypt
dmsetup targets 2>/dev/null | grep -q '^crypt ' || skip_all "needs dm-crypt"

volume=chaosimg-test-$$
dev=/dev/mapper/$volume
mnt=$work/mnt
loop=
mkdir "$mnt"
clean_up() {
	umount "$mnt" 2>/dev/null
	dmsetup remove "$volume" 2>/dev/null
	[ -z "$loop" ] || losetup -d "$loop"
}

head -c 32 /dev/urandom >"$work/key"
head -c 32 /dev/urandom >"$work/wrong-key"
truncate -s 24M "$work/disk"
loop=$(losetup -f --show "$work/disk") || skip_all "needs a loop device"
sectors=$(($(wc -c <"$work/disk") / 512))

hex() {
	od -An -v -tx1 "$1" | tr -d ' \n'
}

# open_dm KEY SECTOR-SIZE CIPHER
open_dm() {
	echo "0 $sectors crypt capi:$3-plain64 $(hex "$1") 0 $loop 0 1" \
		"sector_size:$2" | dmsetup create "$volume"
}

# open_cryptsetup KEY SECTOR-SIZE
open_cryptsetup() {
	cryptsetup open --type plain --cipher capi:chaosimg-plain64 \
		--key-size 256 --sector-size "$2" --key-file "$1" "$loop" \
		"$volume"
}

close_dm() {
	sync
	dmsetup remove "$volume" && blockdev --flushbufs "$loop"
}

# Files of many sizes, and one of a byte sequence to look for.
fill() {
	mount "$dev" "$mnt" || return
	for size in 0 1 511 4096 70000 1000000 3000000; do
		head -c $size /dev/urandom >"$mnt/$size" || return
	done
	yes PATIENT-NAME-ON-DISK | head -c 200000 >"$mnt/text"
	(cd "$mnt" && sha256sum [0-9t]*) >"$work/sums"
	umount "$mnt"
}

found_again() {
	mount -o ro "$dev" "$mnt" || return
	(cd "$mnt" && sha256sum -c "$work/sums")
	status=$?
	umount "$mnt"
	return $status
}

check() {
	e2fsck -fn "$dev"
}

hidden() {
	! grep -q PATIENT-NAME "$work/disk"
}

# Nothing that blkid, e2fsck or mount would know is to be seen.
nothing() {
	[ -z "$(blkid -p -o value -s TYPE "$dev")" ] || return
	! e2fsck -fn "$dev" || return
	! mount -o ro "$dev" "$mnt"
}

test_size() { # SECTOR-SIZE OPENED-BY
	ok "$2, $1-byte sectors: opened" "open_$2" "$work/key" "$1" chaosimg ||
		return
	ok "$2, $1-byte sectors: mkfs.ext4" mkfs.ext4 -q -F "$dev"
	ok "$2, $1-byte sectors: files written" fill
	ok "$2, $1-byte sectors: e2fsck finds nothing wrong" check
	ok "$2, $1-byte sectors: closed" close_dm
	ok "$2, $1-byte sectors: the disk shows no plaintext" hidden
	ok "$2, $1-byte sectors: opened with the wrong key" \
		"open_$2" "$work/wrong-key" "$1" chaosimg
	ok "$2, $1-byte sectors: nothing to be seen" nothing
	ok "$2, $1-byte sectors: closed" close_dm
	ok "$2, $1-byte sectors: opened with generic" \
		open_dm "$work/key" "$1" chaosimg-generic
	ok "$2, $1-byte sectors: all files are as they were" found_again
	ok "$2, $1-byte sectors: sector by sector as it should be" \
		"$here/sectors" "$work/key" "$dev" "$loop" "$1" 500
	ok "$2, $1-byte sectors: closed" close_dm
}

test_size 512 dm
test_size 4096 cryptsetup
done_testing
