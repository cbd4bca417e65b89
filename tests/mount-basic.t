#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# chaosimgfs as a command: usage, what it refuses, its life from mount to
# umount, and that what was written is there afterwards.
cd "$(dirname "$0")/.." || exit 1
. tests/lib/tap.sh
. tests/lib/archive.sh

reason=$(mount_obstacle) && skip_all "$reason"
scratch || bail "no temporary folder"
fs=$BUILD/chaosimgfs

# at_end: wait until no daemon holds the archive
at_end() {
	local i
	for ((i = 0; i < 100; i++)); do
		flock -n "$archive/lock" true && return
		sleep 0.05
	done
	return 1
}

# detached OPTIONS ARCHIVE MOUNTPOINT: without a terminal to ask on
detached() {
	setsid -w "$fs" "$@" </dev/null
}

not_mounted() {
	! mountpoint -q "$mnt"
}

archive_new || bail "no archive"
fails "help" 0 "^Usage: chaosimgfs" "$fs" --help
fails "version" 0 "^chaosimgfs [0-9]+[.]" "$fs" --version
fails "no arguments" 2 "ARCHIVE" "$fs"
fails "no mount point" 2 "MOUNTPOINT" "$fs" -o keyfile="$key" "$archive"
fails "too many arguments" 2 "third" "$fs" "$archive" "$mnt" third
fails "unknown option" 2 "bogus: unknown option" \
	"$fs" -o bogus,keyfile="$key" "$archive" "$mnt"
fails "two credentials" 2 "only one" \
	"$fs" -o keyfile="$key",passfile="$key" "$archive" "$mnt"
fails "no credential and no terminal" 2 "no terminal" \
	detached "$archive" "$mnt"

"$BUILD/chaosimg" keyfile "$work/other" || bail "no key file"
fails "wrong key" 1 "$archive: wrong key" \
	"$fs" -o keyfile="$work/other" "$archive" "$mnt"
fails "no key file" 1 "none: No such file" \
	"$fs" -o keyfile="$work/none" "$archive" "$mnt"
fails "no archive" 1 "none: No such file" \
	"$fs" -o keyfile="$key" "$work/none" "$mnt"
fails "no mount point" 1 "none: No such file" \
	"$fs" -o keyfile="$key" "$archive" "$work/none"
fails "no such cipher" 1 "none: .*no such cipher" \
	"$fs" -o keyfile="$key",cipher=none "$archive" "$mnt"
fails "mount point is the archive" 1 "inside the archive" \
	"$fs" -o keyfile="$key" "$archive" "$archive"
mkdir "$archive/sub"
fails "mount point in the archive" 1 "inside the archive" \
	"$fs" -o keyfile="$key" "$archive" "$archive/sub"
ln -s "$archive/sub" "$work/link"
fails "by way of a symbolic link" 1 "inside the archive" \
	"$fs" -o keyfile="$key" "$archive" "$work/link"
rmdir "$archive/sub"
fails "archive in the mount point" 1 "archive is inside" \
	"$fs" -o keyfile="$key" "$archive" "$work"
mkdir "$work/used"
touch "$work/used/file"
fails "mount point in use" 1 "used: mount point is not empty" \
	"$fs" -o keyfile="$key" "$archive" "$work/used"
cp -r "$archive" "$work/damaged"
sed -i 's/./X/20' "$work/damaged/chaosimg.json"
fails "damaged configuration" 1 "damaged/chaosimg.json: " \
	"$fs" -o keyfile="$key" "$work/damaged" "$mnt"
ok "nothing was mounted" not_mounted

# In the background, as everyone calls it.
ok "mount" "$fs" -o keyfile="$key" "$archive" "$mnt" || bail "no mount"
ok "is there when the command returns" mountpoint -q "$mnt"
is "type" "$(findmnt -no FSTYPE "$mnt")" fuse.chaosimgfs
is "source" "$(findmnt -no SOURCE "$mnt")" "$archive"
mkdir "$work/second"
fails "mounted twice for writing" 1 "already mounted" \
	"$fs" -o keyfile="$key" "$archive" "$work/second"
# The other process with these words is the one that unmounts.
pid=$(pgrep -of "^$fs -o keyfile=$key $archive $mnt")
is "leaves no core" "$(awk '/^Max core/ { print $5 }' "/proc/$pid/limits")" 0
ok "memory is locked" awk '/^VmLck/ && $2 > 0 { found = 1 }
	END { exit !found }' "/proc/$pid/status"

mkdir "$work/plain"
cp -a /usr/include/linux "$work/plain"
head -c 3000000 /dev/urandom >"$work/plain/random"
head -c 8192 /dev/urandom >"$work/plain/one-chunk"
: >"$work/plain/empty"
ok "copy a tree" cp -a "$work/plain/." "$mnt"
ok "it is the same" diff -r "$work/plain" "$mnt"
"$fs" -o ro,keyfile="$key" "$archive" "$work/second"
ok "a second mount, read-only" diff -r "$work/plain" "$work/second"
fails "cannot write" 1 "Read-only" touch "$work/second/new"
umount "$work/second"
ok "umount" umount "$mnt"
ok "the daemon ends" at_end
ok "no name is readable on the disk" \
	bash -c "! find '$archive' | grep -e random -e one-chunk -e linux"

# Passphrases: from a file, and typed on a terminal, where nothing is shown.
typed() {
	python3 - "$fs" "$archive" "$mnt" "$1" <<-'END'
		import os, pty, sys
		fs, archive, mnt, phrase = sys.argv[1:]
		pid, tty = pty.fork()
		if not pid:
		    os.execl(fs, fs, archive, mnt)
		seen = b""
		while b"assphrase: " not in seen:
		    seen += os.read(tty, 100)
		os.write(tty, phrase.encode() + b"\n")
		try:
		    while True:
		        more = os.read(tty, 100)
		        if not more:
		            break
		        seen += more
		except OSError:
		    pass
		print(seen.decode())
		assert phrase not in seen.decode()
		sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
	END
}
printf 'a long enough phrase\n' >"$work/passfile"
ok "a second slot" "$BUILD/chaosimg" key add --keyfile "$key" \
	--new-passfile "$work/passfile" "$archive"
ok "mount with a passphrase" "$fs" -o passfile="$work/passfile" "$archive" \
	"$mnt"
is "is the same" "$(cmp "$mnt/random" "$work/plain/random" && echo yes)" yes
ok "umount" umount "$mnt"
ok "the daemon ends" at_end
ok "typed" typed "a long enough phrase"
is "is the same, too" "$(cmp "$mnt/random" "$work/plain/random" && echo yes)" yes
ok "umount" umount "$mnt"
ok "the daemon ends" at_end
fails "a wrong one" 1 "wrong key" typed "no such phrase"

# As mount(8) and fstab call it, with all that they pass on; in a mount
# namespace of its own, so that the helper finds this chaosimgfs.
by_mount() {
	unshare -m bash -ec '
		mount --bind "$1" /usr/local/sbin
		mount -t fuse.chaosimgfs -o "keyfile=$2,allow_other,nofail,\
_netdev,x-systemd.automount,x-x=y,noatime,user" "$3" "$4"
		diff -r "$5" "$4"
		umount "$4"' - "$BUILD" "$key" "$archive" "$mnt" "$work/plain"
}
if unshare -m true 2>/dev/null; then
	ok "mount -t fuse.chaosimgfs" by_mount
else
	skip "mount -t fuse.chaosimgfs" "no mount namespace here (a chroot?)"
fi
ok "the daemon ends" at_end

# A mount that follows an umount at once waits for the daemon before it.
again() {
	local i
	for i in 1 2 3; do
		"$fs" "$archive" "$mnt" -o keyfile="$key" || return
		echo "$i" >"$mnt/again" || return
		umount "$mnt" || return
	done
}
ok "mount, umount, mount, umount .." again

# Terminated: what programs wrote is on the disk, also what is still open.
terminated() {
	at_end
	"$fs" -f -o keyfile="$key" "$archive" "$mnt" 2>"$daemon_log" &
	daemon=$!
	until mountpoint -q "$mnt"; do sleep 0.05; done
	exec 4>"$mnt/open"
	head -c 1000000 "$work/plain/random" >&4
	head -c 1000000 "$work/plain/random" >"$mnt/closed"
	kill "-$1" $daemon
	wait $daemon
	status=$?
	exec 4>&-
	daemon=
	! mountpoint -q "$mnt" && [ $status = 0 ] || return
	archive_mount || return
	head -c 1000000 "$work/plain/random" >"$work/want"
	cmp "$mnt/open" "$work/want" && cmp "$mnt/closed" "$work/want" &&
		archive_umount
}
ok "SIGTERM" terminated TERM
ok "SIGINT" terminated INT
ok "SIGHUP" terminated HUP

lazy() {
	archive_mount || return
	exec 4>"$mnt/lazy"
	head -c 1000000 "$work/plain/random" >&4
	umount -l "$mnt" || return
	head -c 1000000 "$work/plain/random" >&4
	exec 4>&-
	wait $daemon || return
	daemon=
	archive_mount || return
	cat "$work/want" "$work/want" | cmp - "$mnt/lazy" && archive_umount
}
ok "umount -l: open files go on until they are closed" lazy

many() {
	archive_mount && mkdir "$mnt/many" &&
		(cd "$mnt/many" && seq -f "%g.dcm" 5000 | xargs touch) &&
		[ "$(find "$mnt/many" -type f | wc -l)" = 5000 ] &&
		archive_umount && archive_mount || return
	[ "$(find "$mnt/many" -name '*.dcm' | sort -u | wc -l)" = 5000 ] &&
		[ "$(ls -l "$mnt/many" | grep -c dcm)" = 5000 ] &&
		rm -r "$mnt/many" && [ ! -e "$mnt/many" ] && archive_umount
}
ok "a directory of 5000 files" many
done_testing
