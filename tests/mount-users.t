#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Several users on one mount, and a user's own mount.
cd "$(dirname "$0")/.." || exit 1
. tests/lib/tap.sh
. tests/lib/archive.sh

reason=$(mount_obstacle) && skip_all "$reason"
command -v setpriv >/dev/null || skip_all "needs setpriv"
scratch || bail "no temporary folder"
archive_new || bail "no archive"
chmod 755 "$work"

# as UID GID COMMAND..: in a group of its own, with no other
as() {
	local uid=$1 gid=$2
	shift 2
	setpriv --reuid="$uid" --regid="$gid" --clear-groups -- "$@"
}

owner() {
	stat -c '%u:%g %a' "$@"
}

archive_mount || bail "no mount"
fails "without allow_other nobody else gets in" 2 "Permission denied" \
	as 12345 12345 ls "$mnt"
ok "umount" archive_umount

archive_mount allow_other || bail "no mount"
mkdir "$mnt/open" "$mnt/closed" "$mnt/team"
chmod 1777 "$mnt/open"
chmod 700 "$mnt/closed"
chgrp 777 "$mnt/team"
chmod 2775 "$mnt/team"
ok "a user creates" as 12345 12346 sh -c "umask 027
	echo his >'$mnt/open/his' && mkdir '$mnt/open/dir' &&
	ln -s his '$mnt/open/link' && mkfifo '$mnt/open/fifo'"
is "a file of his" "$(owner "$mnt/open/his")" "12345:12346 640"
is "a directory" "$(owner "$mnt/open/dir")" "12345:12346 750"
is "a symbolic link" "$(owner "$mnt/open/link")" "12345:12346 777"
is "a fifo" "$(owner "$mnt/open/fifo")" "12345:12346 640"
is "he reads it" "$(as 12345 12346 cat "$mnt/open/his")" his
is "his group too" "$(as 54321 12346 cat "$mnt/open/his")" his
fails "others do not" 1 "Permission denied" as 54321 54321 cat "$mnt/open/his"
fails "nor write" 2 "Permission denied" \
	as 54321 12346 sh -c "echo x >>'$mnt/open/his'"
fails "nor remove" 1 "not permitted" as 54321 12346 rm -f "$mnt/open/his"
fails "nor chmod" 1 "not permitted" as 54321 12346 chmod 666 "$mnt/open/his"
fails "nor take" 1 "not permitted" as 12345 12346 chown 0 "$mnt/open/his"
fails "nor enter" 2 "Permission denied" as 12345 12346 ls "$mnt/closed"
fails "nor create" 1 "Permission denied" \
	as 12345 12346 touch "$mnt/closed/x"
ok "a team's directory" setpriv --reuid=12345 --regid=12346 --groups=777 -- \
	sh -c "echo x >'$mnt/team/file' && mkdir '$mnt/team/dir'"
is "passes its group on" "$(owner "$mnt/team/file" "$mnt/team/dir" |
	tr '\n' ' ')" "12345:777 644 12345:777 2755 "

# Writing takes the right away to run as somebody else.
cp /bin/true "$mnt/open/suid"
chown 0:0 "$mnt/open/suid"
chmod 6777 "$mnt/open/suid"
as 12345 12346 sh -c "echo >>'$mnt/open/suid'"
is "set-user-id is cleared" "$(stat -c %a "$mnt/open/suid")" 777

# Two processes of two users at once.
together() {
	local i
	mkdir -m 777 "$mnt/both" || return
	for i in 1 2 3 4; do
		as $((1000 + i)) 1000 sh -c "cd '$mnt/both' && for n in \
			1 2 3 4 5 6 7 8 9; do echo $i >$i-\$n &&
			mv $i-\$n $i-\$n.dcm && cat ./*.dcm >/dev/null ||
			exit 1; done" &
	done
	wait $(jobs -p | grep -vx "$daemon") &&
		[ "$(ls "$mnt/both" | wc -l)" = 36 ] &&
		[ "$(cat "$mnt/both"/3-*.dcm | sort -u)" = 3 ]
}
ok "four users at work" together
ok "umount" archive_umount

# A user's own archive and mount, without any right.
nobody=$(id -u nobody)
own=$work/own
mkdir -m 700 "$own"
chown "$nobody:$nobody" "$own"
user_mount() {
	as $nobody $nobody sh -ec '
		cd "$2"
		"$1/chaosimg" keyfile key
		"$1/chaosimg" init --keyfile key archive
		mkdir mnt
		"$1/chaosimgfs" -o keyfile=key archive mnt
		cp -r /usr/include/linux mnt
		diff -r /usr/include/linux mnt/linux
		echo x >mnt/ro
		chmod 444 mnt/ro
		mv mnt/ro mnt/moved
		[ "$(cat mnt/moved)" = x ]
		rm -rf mnt/linux mnt/moved
		[ -z "$(ls mnt)" ]' - "$BUILD" "$own"
}
if command -v fusermount3 >/dev/null && [ -u "$(command -v fusermount3)" ]; then
	chmod 755 "$work"
	ok "a user's own mount" user_mount
	fails "is nobody else's" 2 "Permission denied" \
		as 12346 12346 ls "$own/mnt"
	ok "fusermount3 -u" as $nobody $nobody fusermount3 -u "$own/mnt"
	# What has no rights can give them up all the same, and what unmounts
	# for it needs those of fusermount3.
	as $nobody $nobody "$BUILD/chaosimgfs" -o keyfile="$own/key" \
		"$own/archive" "$own/mnt"
	pid=$(pgrep -oxf "$BUILD/chaosimgfs -o keyfile=$own/key .*")
	is "a user's daemon is confined" "$(awk -v ORS=' ' \
		'/^(CapPrm|NoNewPrivs|Seccomp):/ { print $2 }' \
		"/proc/$pid/status")" "0000000000000000 1 2 "
	helper setpriv --reuid=$nobody --regid=$nobody --clear-groups -- \
		sh -c 'exec sleep 60 >"$1/held"' - "$own/mnt"
	for ((i = 0; i < 100; i++)); do
		[ -e "/proc/$helper/fd/1" ] && readlink "/proc/$helper/fd/1" |
			grep -q held && break
		sleep 0.05
	done
	kill "$pid"
	ok "ended by a signal, while it is used" timeout 20 tail -f \
		--pid="$pid" /dev/null
	is "nothing is mounted" "$(findmnt -no FSTYPE "$own/mnt")" ""
	helper_stop $helper
else
	skip "a user's own mount" "needs fusermount3, set-user-id"
fi
mountpoint -q "$own/mnt" && umount -l "$own/mnt"
is "nothing was logged" "$(cat "$daemon_log")" ""
done_testing
