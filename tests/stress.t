#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# stress-ng's file-system stressors in the mount, with their own verification:
# calls of every kind, also wrong ones, from several processes at once. The
# daemon outlives them, and what they leave is in order.
#
# Five at a time work for STRESS_SECONDS (2); STRESS="name .." picks some.
cd "$(dirname "$0")/.." || exit 1
. tests/lib/tap.sh
. tests/lib/archive.sh

reason=$(mount_obstacle) && skip_all "$reason"
command -v stress-ng >/dev/null || skip_all "needs stress-ng"
scratch || bail "no temporary folder"
seconds=${STRESS_SECONDS:-2}

# Of the class "filesystem": those that work in a given folder. Not those for
# /dev, /proc and /sys, nor for what FUSE has not (fiemap, fs-verity, leases).
# Nor chdir: it holds 16,384 folders open, for which the daemon needs two
# descriptors each, more than every machine allows; nor io, which syncs all that
# the machine has.
stressors=${STRESS:-access chattr chmod chown copy-file dentry dir dirdeep
	dirmany fallocate fcntl file-ioctl filename flock fpunch fstat getdent
	hdd iomix link locka lockofd mknod open readahead rename seek
	sendfile symlink sync-file utime xattr}

# together: those in the group, two processes of each
group=()
together() {
	local name options=()
	for name in "${group[@]}"; do
		options+=("--$name" 2)
	done
	ok "${group[*]}" stress "${options[@]}"
	awk '$5 ~ /^[0-9]+$/ { n += $5 } END { print "# " n " operations" }' \
		"$tap_log"
	group=()
}

stress() {
	local status=0
	timeout -k 10 $((seconds + 60)) stress-ng "$@" --verify \
		--metrics-brief --timeout ${seconds}s \
		--temp-path "$mnt/stress" 2>&1 || status=$?
	# 3: one of them is not implemented here, 4: no resources for it.
	[ $status = 0 ] || [ $status = 3 ] || [ $status = 4 ]
}

ok "archive" archive_new
ok "mount" archive_mount || bail "no mount"
mkdir -m 777 "$mnt/stress"
known=" $(stress-ng --stressors 2>/dev/null | tr '\n' ' ')"
for name in $stressors; do
	[[ $known = *" $name "* ]] || continue
	group+=("$name")
	[ ${#group[@]} -lt 5 ] || together
done
[ ${#group[@]} = 0 ] || together
ok "the daemon is there" kill -0 "$daemon"
echo text >"$mnt/after"
is "and works" "$(cat "$mnt/after")" text
ok "what they leave can be removed" rm -rf "$mnt/stress"
ok "umount" archive_umount
ok "fsck finds nothing" "$BUILD/chaosimg" fsck --dry-run --keyfile "$key" \
	"$archive"
ok "and the daemon saw no damage" bash -c "! grep -E \
	'damaged|cut off|authentic|stands under|older than' '$daemon_log'"
done_testing
