#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Who changes a file takes its right away to run as somebody else: for writes
# that the kernel gathers and for those it passes on, in small and in large.
cd "$(dirname "$0")/.." || exit 1
. tests/lib/tap.sh
. tests/lib/archive.sh

reason=$(mount_obstacle) && skip_all "$reason"
command -v setpriv >/dev/null || skip_all "needs setpriv"
scratch || bail "no temporary folder"
archive_new || bail "no archive"
chmod 755 "$work"
f=$mnt/file

# mode_after START COMMAND: the mode that START becomes when a user runs it
mode_after() {
	rm -f "$f"
	cp /bin/sh "$f" && chown 0:0 "$f" && chmod "$1" "$f" && stat "$f" &&
		setpriv --reuid=12345 --regid=12346 --clear-groups -- \
			sh -c "$2" sh "$f"
	stat -c %a "$f"
} 2>"$work/errors" >"$work/out"

becomes() {
	mode_after "$2" "$3"
	is "$1, $options: $2" "$(tail -n 1 "$work/out") $(cat "$work/errors")" \
		"$4 "
}

# The kernel itself decides what to run as whom: it must have heard of it.
run_after_write() {
	rm -f "$f"
	cp /usr/bin/id "$f" && chmod 6777 "$f"
	setpriv --reuid=12345 --regid=12346 --clear-groups -- sh -c "
		[ \$('$f' -u) = 0 ] && [ \$('$f' -g) = 0 ] &&
		printf x | dd of='$f' bs=1 seek=100M conv=notrunc status=none &&
		[ \$('$f' -u) = 12345 ] && [ \$('$f' -g) = 12346 ]"
}

for options in allow_other allow_other,no_writeback; do
	archive_mount "$options,suid" || bail "no mount"
	chmod 777 "$mnt"
	# shellcheck disable=SC2016
	for how in 'printf x >>"$1"' 'printf x >"$1"' 'truncate -s 1 "$1"' \
		'truncate -s +1M "$1"' \
		'printf x | dd of="$1" bs=1 seek=9000 conv=notrunc status=none' \
		'head -c 3M /dev/zero >>"$1"'; do
		becomes "$how" 6777 "$how" 777
		becomes "$how" 2767 "$how" 2767
		becomes "$how" 777 "$how" 777
	done
	becomes "reading" 6777 "cat \"\$1\" >/dev/null" 6777
	ok "an execution after a write, $options" run_after_write
	cp /bin/sh "$f" && chown 12345:12346 "$f" && chmod 6755 "$f" &&
		chown 54321 "$f"
	is "a new owner, $options" "$(stat -c %a "$f")" 755
	chmod 6755 "$f" && printf x >>"$f"
	is "root's own write, $options" "$(stat -c %a "$f")" 6755
	rm "$f"
	ok "umount, $options" archive_umount
	is "nothing was logged, $options" "$(cat "$daemon_log")" ""
done
done_testing
