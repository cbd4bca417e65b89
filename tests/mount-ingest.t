#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A device with public parameters alone: storescp writes a study into its mount,
# its folder is copied into the archive, and a mount with the key reads it.
cd "$(dirname "$0")/.." || exit 1
. tests/lib/tap.sh
. tests/lib/archive.sh
. tests/lib/dcmtk.sh

reason=$(mount_obstacle) && skip_all "$reason"
[ -d "$STUDY" ] || skip_all "needs the files of Debian's python3-pydicom"
scratch || bail "no temporary folder"
archive_new || bail "no archive"
params=$work/params
edge=$work/edge
mkdir "$edge"

# ingest [OPTION..]: mount the device's folder
ingest() {
	mount_folder "$edge" "ingest,params=$params" "$@"
}

# take_in: what the device wrote goes into the archive, keysets first
take_in() {
	cp -a "$edge"/keysets/*.json "$archive/keysets/" &&
		cp -a "$edge"/data/chaosimg.ingest.* "$archive/data/"
}

# told WHAT CAUSE OPTION..: mounting fails with one line
told() {
	local what=$1 cause=$2
	shift 2
	! "$BUILD/chaosimgfs" -o "$*" "$edge" "$mnt" 2>"$work/said" &&
		[ "$(wc -l <"$work/said")" = 1 ] && grep -q "$cause" "$work/said"
	ok "$what" [ $? = 0 ]
	! mountpoint -q "$mnt" || unmount "$mnt"
}

ok "parameters" "$BUILD/chaosimg" ingest params --keyfile "$key" "$archive" \
	"$params"
fails "they are not overwritten" 1 "File exists" "$BUILD/chaosimg" ingest \
	params --keyfile "$key" "$archive" "$params"

told "missing parameters" "No such file" "ingest,params=$work/none"
head -c 100 "$params" >"$work/short"
told "parameters cut off" "short: " "ingest,params=$work/short"
sed 's/"public_key": "../"public_key": "00/' "$params" >"$work/altered"
told "altered parameters" "wrong checksum" "ingest,params=$work/altered"
told "no parameters" "give params=" "ingest"
told "a key as well" "goes with no key" \
	"ingest,params=$params,keyfile=$key"
told "no time" "must be from 1" "ingest,params=$params,ingest-epoch=0"
told "parameters without ingest" "are for ingest" \
	"keyfile=$key,params=$params"
is "nothing was made of that" "$(ls -A "$edge")" ""
if command -v setpriv >/dev/null; then
	fails "who may not mount" 1 "mount" setpriv --bounding-set=-sys_admin \
		"$BUILD/chaosimgfs" -o "ingest,params=$params" "$edge" "$mnt"
	is "leaves no keyset and no folder" "$(find "$edge" -mindepth 2)" ""
else
	skip "who may not mount leaves nothing" "needs setpriv"
fi

# --- a study, by DICOM's network protocol if there is DCMTK -------------------
ok "ingest mount" ingest ingest-epoch=3 || bail "no ingest mount"
mkdir "$mnt/in" "$work/plain"
if dcmtk_obstacle >"$work/why"; then
	cp -R "$STUDY"/. "$mnt/in" && cp -R "$STUDY"/. "$work/plain"
	ok "the study is copied ($(cat "$work/why"))" [ $? = 0 ]
else
	storescp_start "$mnt/in" mount
	ok "the study is sent to storescp" study_send "$port" mount
	helper_stop $helper
	storescp_start "$work/plain" plain
	ok "and to a plain folder" study_send "$port" plain
	helper_stop $helper
fi
"$LIB/study.py" sums "$work/plain" >"$work/plain.sums"
ok "more than a hundred images" [ "$(wc -l <"$work/plain.sums")" -gt 100 ]
name=$(cd "$mnt/in" && find . -type f | head -n 1)
echo text >"$mnt/now"
is "its own file can be read" "$(cat "$mnt/now")" text
sleep 5
fails "when the time is over, it cannot" 1 "Permission denied" \
	cat "$mnt/now"
fails "nor an image" 1 "Permission denied" cat "$mnt/in/$name"
fails "nor changed" 1 "Permission denied" truncate -s 1 "$mnt/now"
ok "but listed, with its attributes" [ "$(stat -c %s "$mnt/now")" = 5 ]
ok "and removed" rm "$mnt/now"
ok "new files go on" cp "$work/plain.sums" "$mnt/later"
fails "no links" 1 "Operation not permitted" ln -s x "$mnt/link"
fails "no attributes" 1 "supported" setfattr -n user.x -v y "$mnt/later"
ok "end" archive_umount

# --- what is left on the device ------------------------------------------------
chmod 2750 "$edge/data" && chown 65534:65534 "$edge/data"
ok "ingest mount again" ingest || bail "no second ingest mount"
is "it shows nothing of before" "$(ls -A "$mnt")" ""
is "it belongs to whom the folder data does" "$(stat -c '%u %g %a' "$mnt")" \
	"65534 65534 2750"
ok "end" archive_umount
find "$work/plain" -type f -printf '%f\n' >"$work/names"
ok "no image's bytes or name are on the device" sh -c \
	"! grep -rqaF DICM '$edge' && ! find '$edge' | grep -qFf '$work/names'"
ok "and no wrap but under public keys" sh -c \
	"! grep -hv '[et]-public' '$edge'/keysets/*.json | grep wrapped"
fails "without the key nothing of it opens" 1 "chaosimg.json" \
	"$BUILD/chaosimgfs" -o "keyfile=$key" "$edge" "$mnt"

# --- in the archive --------------------------------------------------------------
ok "copy it into the archive" take_in
ok "mount the archive" archive_mount || bail "no mount"
session=$(cd "$mnt" && find . -maxdepth 2 -name in -printf '%h\n')
ok "the session's folder" [ -n "$session" ]
"$LIB/study.py" sums "$mnt/$session/in" >"$work/mount.sums"
ok "the study, bit for bit" cmp "$work/mount.sums" "$work/plain.sums"
ok "and what came later" cmp "$mnt/$session/later" "$work/plain.sums"
fails "nobody makes such a folder" 1 "Operation not permitted" \
	mkdir "$mnt/ingest-00112233445566778899aabbccddeeff"
fails "or renames one" 1 "Operation not permitted" \
	python3 -c 'import os, sys; os.rename(*sys.argv[1:])' "$mnt/$session" \
	"$mnt/x"
fails "its files are not renamed out" 1 "cross-device" \
	python3 -c 'import os, sys; os.rename(*sys.argv[1:])' \
	"$mnt/$session/later" "$mnt/later"
ok "mv copies them" mv "$mnt/$session/later" "$mnt/later"
ok "folders too" mv "$mnt/$session/in" "$mnt/in"
"$LIB/study.py" sums "$mnt/in" >"$work/moved.sums"
ok "all is there" cmp "$work/moved.sums" "$work/plain.sums"
ok "copy one back" cp -R "$mnt/in" "$mnt/$session/back"
ok "umount" archive_umount
ok "fsck finds nothing" "$BUILD/chaosimg" fsck --keyfile "$key" "$archive"
ok "nor does scrub" "$BUILD/chaosimg" scrub "$archive"
ok "copy the device's folder once more" take_in
ok "move all to a keyset of the archive" "$BUILD/chaosimg" rekey \
	--reencrypt --keyfile "$key" "$archive"
ok "drop the others" "$BUILD/chaosimg" rekey --drop-old --keyfile "$key" \
	"$archive"
ok "mount" archive_mount || bail "no mount"
"$LIB/study.py" sums "$mnt/$session/in" >"$work/rekeyed.sums"
ok "the study is still there" cmp "$work/rekeyed.sums" "$work/plain.sums"
ok "umount" archive_umount
ok "fsck finds nothing" "$BUILD/chaosimg" fsck --keyfile "$key" "$archive"
done_testing
