#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Debian's Orthanc keeps its images and its SQLite index in the mount: what was
# uploaded over REST comes back, at once and after mounting anew.
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
done_testing
