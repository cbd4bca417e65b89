#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Far more files than the daemon may have descriptors. Where it may not open
# files by their handles, each file that the kernel remembers costs one. Then
# more open files than it remembers of those that are not.
cd "$(dirname "$0")/.." || exit 1
. tests/lib/tap.sh
. tests/lib/archive.sh

reason=$(mount_obstacle) && skip_all "$reason"
scratch || bail "no temporary folder"
archive_new || bail "no archive"
# Without the right to do so, even root cannot raise the limit again.
mkdir "$work/bin"
cat >"$work/bin/chaosimgfs" <<-END
	#!/bin/sh
	exec setpriv --bounding-set="\$lost" prlimit --nofile=500:500 \
		"$BUILD/chaosimgfs" "\$@"
END
chmod 755 "$work/bin/chaosimgfs"
PROGRAMS=$BUILD
BUILD=$work/bin
export lost

files=3000
make_files() {
	local i

	mkdir "$mnt/one" "$mnt/two" || return
	for ((i = 0; i < files; i++)); do
		echo $i >"$mnt/one/$i" || return
	done
}
read_files() {
	find "$mnt" -type f -exec cat {} + | sort -n | cmp - <(seq 0 $((files - 1)))
}
rename_files() {
	local i

	for ((i = 0; i < 300; i++)); do
		mv "$mnt/one/$i" "$mnt/two/$i" || return
	done
}
descriptors() {
	find "/proc/$daemon/fd" -mindepth 1 | wc -l
}

many() {
	archive_mount "$1" || bail "no mount"
	is "the limit is low" \
		"$(awk '/Max open files/ { print $4, $5 }' "/proc/$daemon/limits")" \
		"500 500"
	ok "many files are made" make_files
	ok "read" read_files
	exec 7<"$mnt/one/7"
	ok "counted" du -s "$mnt"
	ok "listed" ls -lR "$mnt"
	ok "renamed" rename_files
	ok "read again" read_files
	is "an open file stays" "$(cat <&7)" 7
	exec 7<&-
	ok "descriptors are left" [ "$(descriptors)" -lt 450 ]
	ok "removed" rm -r "$mnt/one" "$mnt/two"
	ok "umount" archive_umount
}

# However many are held open, others do not wait for that: what is open cannot be
# forgotten, so there is no use in waiting until it is.
work_beside() {
	local i

	mkdir "$mnt/$1" || return
	for ((i = 0; i < 400; i++)); do
		echo $i >"$mnt/$1/$i" || return
	done
	rm -r "${mnt:?}/$1"
}
milliseconds_beside() {
	local began=${EPOCHREALTIME/[.,]/}

	work_beside "$1" || return
	echo $(((${EPOCHREALTIME/[.,]/} - began) / 1000))
}
held_open() {
	local alone beside holder

	cp "$PROGRAMS/tests/chaosimgfs_few" "$work/bin/chaosimgfs"
	archive_mount rw || bail "no mount"
	alone=$(milliseconds_beside alone)
	coproc "$PROGRAMS/tests/hold_open" "$mnt" $files 1
	holder=$COPROC_PID
	echo open >&"${COPROC[1]}"
	read -r answer <&"${COPROC[0]}"
	is "many are held open" "$answer" "open $files"
	beside=$(milliseconds_beside beside)
	ok "others do not wait: $beside ms, $alone ms alone" \
		[ "$beside" -lt $((4 * alone + 2000)) ]
	echo close >&"${COPROC[1]}"
	read -r answer <&"${COPROC[0]}"
	is "closed" "$answer" "closed $files"
	exec {COPROC[1]}>&-
	wait $holder
	ok "umount" archive_umount
}

lost=-sys_resource
many rw
lost=-sys_resource,-dac_read_search
many rw
many no_writeback
held_open
is "nothing was logged" "$(cat "$daemon_log")" ""
done_testing
