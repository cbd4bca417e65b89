#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# DCMTK's storescp writes a real study into the mount: what it stored there is
# what it stores in a plain folder, before and after mounting anew.
cd "$(dirname "$0")/.." || exit 1
. tests/lib/tap.sh
. tests/lib/archive.sh
. tests/lib/dcmtk.sh

reason=$(mount_obstacle) && skip_all "$reason"
reason=$(dcmtk_obstacle) && skip_all "$reason"
scratch || bail "no temporary folder"

sums() {
	"$LIB/study.py" sums "$1" >"$2"
}

# same_as_plain RUN: the mount holds what the plain folder holds
same_as_plain() {
	cmp "$work/$1-mount.sums" "$work/$1-plain.sums" &&
		[ -s "$work/$1-mount.sums" ]
}

ok "archive" archive_new
ok "mount" archive_mount || bail "no mount"
mkdir "$mnt/in" "$work/plain"

storescp_start "$mnt/in" mount
ok "the study is sent to the mount" study_send "$port" mount
helper_stop $helper
storescp_start "$work/plain" plain
ok "the study is sent to a plain folder" study_send "$port" plain
helper_stop $helper

sent=$(study_sent mount)
is "as many images are taken" "$sent" "$(study_sent plain)"
ok "more than a hundred" [ "${sent:-0}" -gt 100 ]
is "each is a file in the mount" "$(find "$mnt/in" -type f | wc -l)" "$sent"

ok "read the mount" sums "$mnt/in" "$work/a-mount.sums"
ok "read the folder" sums "$work/plain" "$work/a-plain.sums"
ok "the same bytes in both" same_as_plain a
# Some of the images name no patient.
patients() {
	find "$1" -type f -exec dcmdump -q +P PatientName {} + |
		grep -a '^(0010,0010)' | sort
}
patients "$mnt/in" >"$work/patients"
ok "dcmdump reads the images in the mount" [ -s "$work/patients" ]
is "as in the folder" "$(cat "$work/patients")" "$(patients "$work/plain")"

ok "umount" archive_umount
is "nothing is left at the mount point" "$(ls -A "$mnt")" ""
ok "mount again" archive_mount || bail "no second mount"
ok "read the mount anew" sums "$mnt/in" "$work/b-mount.sums"
cp "$work/a-plain.sums" "$work/b-plain.sums"
ok "still the same bytes" same_as_plain b

# Every file, those that are no DICOM or broken too, by plain cp and back.
ok "cp into the mount" cp -R "$STUDY" "$mnt/copy"
ok "what comes back is what was copied" diff -r "$STUDY" "$mnt/copy"
ok "umount" archive_umount
ok "mount again" archive_mount || bail "no third mount"
ok "and so after mounting anew" diff -r "$STUDY" "$mnt/copy"
ok "umount" archive_umount
done_testing
