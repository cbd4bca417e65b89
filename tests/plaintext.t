#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# No plaintext on the disk: no 16 bytes of any image, and no name, extended
# attribute or symbolic link's target, anywhere in the archive folder: neither
# while it is mounted nor after, nor of files that were removed or renamed.
cd "$(dirname "$0")/.." || exit 1
. tests/lib/tap.sh
. tests/lib/archive.sh

reason=$(mount_obstacle) && skip_all "$reason"
[ -d "$STUDY" ] || skip_all "needs the files of Debian's python3-pydicom"
find=$BUILD/tests/findplain
[ -x "$find" ] || skip_all "$find is not built"
scratch || bail "no temporary folder"

secret_target="../Patients/Mustermann^Erika/1964-08-12/CT head"
secret_value="diagnosis: see the letter of Dr. Frankenstein"
long_name=$(printf 'Mustermann_Erika_%.0s' 1 2 3 4 5 6 7 8 9 10 11 12 13 14)

# Everything below the mount that must not show, one to a line: whole names,
# and those parts of them that an eye would look for.
strings() {
	{
		find "$STUDY" "$mnt" -mindepth 1 -printf '%f\n' | grep -E '.{7}'
		printf '%s\n' "$secret_target" "$secret_value" "$long_name" \
			Mustermann Erika Frankenstein diagnosis finding.kind
	} | sort -u >"$work/strings"
}

nothing_found() {
	"$find" "$archive" "$work/strings" "$STUDY" "$work/values"
}

ok "archive" archive_new
ok "mount" archive_mount || bail "no mount"
ok "all files of the study" cp -R "$STUDY" "$mnt/study"
mkdir "$mnt/Mustermann^Erika" "$mnt/$long_name"
cp "$STUDY/test_files/CT_small.dcm" "$mnt/Mustermann^Erika/$long_name"
cp "$STUDY/test_files/MR_small.dcm" "$mnt/Mustermann^Erika/short"
ok "a symbolic link" ln -s "$secret_target" "$mnt/Mustermann^Erika/link"
ok "a hard link" ln "$mnt/Mustermann^Erika/short" "$mnt/Mustermann^Erika/Frankenstein"
ok "an extended attribute" setfattr -n user.finding.kind -v "$secret_value" \
	"$mnt/Mustermann^Erika/short"
ok "an image written in pieces" dd if="$STUDY/test_files/waveform_ecg.dcm" \
	of="$mnt/pieces" bs=777 status=none
ok "an image renamed" mv "$mnt/study/test_files/rtplan.dcm" "$mnt/Erika.dcm"
ok "one cut short" truncate -s 5000 "$mnt/study/test_files/CT_small.dcm"
printf '%s\n%s\n' "$secret_target" "$secret_value" >"$work/values"
strings
sync
ok "nothing is found while it is mounted" nothing_found
ok "umount" archive_umount
ok "nothing is found after it was unmounted" nothing_found
is "nor is it in what the daemon logged" \
	"$(grep -c -F -f "$work/strings" "$daemon_log")" 0

# The search itself must be able to find: plant 16 bytes, a name, a target and
# an attribute in the archive folder, one after the other.
dd if="$STUDY/test_files/CT_small.dcm" of="$archive/data/planted" bs=1 \
	skip=1001 count=16 status=none
fails "the search finds 16 bytes" 1 'content of .*planted' nothing_found
rm "$archive/data/planted"
touch "$archive/data/CT_small.dcm"
fails "the search finds a name" 1 'name of .*CT_small' nothing_found
rm "$archive/data/CT_small.dcm"
ln -s "x $secret_target" "$archive/data/planted"
fails "the search finds a target" 1 'link target of' nothing_found
rm "$archive/data/planted"
setfattr -n user.x -v "x $secret_value" "$archive/chaosimg.json"
fails "the search finds an attribute" 1 'attribute value of' nothing_found
done_testing
