#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Debian's Orthanc keeps its images and its SQLite index in the mount: what was
# uploaded over REST comes back, at once and after mounting anew. Then the daemon
# is killed while it stores more, KILLS times (1).
cd "$(dirname "$0")/.." || exit 1
. tests/lib/tap.sh
. tests/lib/archive.sh
. tests/lib/dcmtk.sh

reason=$(mount_obstacle) && skip_all "$reason"
[ -d "$STUDY" ] || skip_all "needs the files of Debian's python3-pydicom"
PATH=$PATH:/usr/sbin command -v Orthanc >/dev/null ||
	skip_all "needs Debian's orthanc"
scratch || bail "no temporary folder"

upload() {
	cut -f2 "$work/study" | xargs -d '\n' \
		"$LIB/orthanc.py" upload "$mnt/orthanc" "$work" ||
		{ tail -n 20 "$work/orthanc.log"; false; }
}

again() {
	"$LIB/orthanc.py" again "$mnt/orthanc" "$work" ||
		{ tail -n 20 "$work/orthanc.log"; false; }
}

ok "archive" archive_new
ok "mount" archive_mount || bail "no mount"
mkdir "$mnt/orthanc"
study_list
ok "each uploaded image comes back at once" upload
ok "Orthanc keeps its index here" [ -s "$mnt/orthanc/index" ]
ok "and its images" [ "$(find "$mnt/orthanc" -type f | wc -l)" -gt 100 ]
ok "umount" archive_umount
ok "mount again" archive_mount || bail "no second mount"
ok "the index is whole" sh -c \
	"sqlite3 '$mnt/orthanc/index' 'PRAGMA integrity_check' | grep -qx ok"
ok "every study comes back from Orthanc started anew" again
ok "umount" archive_umount

# --- killed under load -------------------------------------------------------

# Until the daemon is gone, and Orthanc with it: again and again the same files
killed() {
	local loader before
	archive_mount || return
	before=$(grep -c settled "$work/promised")
	cut -f2 "$work/study" | shuf | xargs -d '\n' "$LIB/orthanc.py" promise \
		"$mnt/killed" "$work" >>"$work/promise.log" 2>&1 &
	loader=$!
	until [ "$(grep -c settled "$work/promised")" -gt "$before" ] ||
		! kill -0 $loader 2>/dev/null; do
		sleep 0.2
	done
	sleep 0.$((RANDOM % 10))
	kill -9 $daemon
	wait $daemon 2>/dev/null
	daemon=
	wait $loader
	umount "$mnt" || umount -l "$mnt"
}

integrity() {
	sqlite3 "$mnt/killed/index" 'PRAGMA integrity_check' | grep -qx ok
}

kept() {
	"$LIB/orthanc.py" kept "$mnt/killed" "$work" ||
		{ tail -n 20 "$work/orthanc.log"; false; }
}

archive_mount || bail "no mount"
mkdir "$mnt/killed"
ok "umount" archive_umount
: >"$work/promised"
for ((round = 1; round <= ${KILLS:-1}; round++)); do
	ok "the daemon is killed under Orthanc, round $round" killed
	archive_mount || bail "no mount"
	ok "the index is whole" integrity
	ok "what Orthanc said it had stored is there" kept
	grep promised "$tap_log" | sed 's/^/# /'
	ok "umount" archive_umount
done
ok "it had stored something" [ -s "$work/promised" ]
ok "fsck mends what the kills left" "$BUILD/chaosimg" fsck --keyfile "$key" \
	"$archive"
done_testing
