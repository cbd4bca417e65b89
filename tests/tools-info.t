#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# chaosimg info of files that came through a mount, and chaosimg key beside it.
. tests/lib/tap.sh
. tests/lib/archive.sh

reason=$(mount_obstacle) && skip_all "$reason"
chaosimg=$BUILD/chaosimg
ct=$STUDY/test_files/CT_small.dcm
jpeg2000=$STUDY/test_files/JPEG2000.dcm
[ -r "$ct" ] || skip_all "needs python3-pydicom's test files"

# json PATH EXPRESSION: info --json of a file, through a Python expression
json() {
	"$chaosimg" info --json --keyfile "$key" "$archive" "$1" |
		python3 -c 'import json, sys
d = json.load(sys.stdin)
print(eval("(" + sys.argv[1] + ")", {"d": d}))' "$2"
}

# text PATH FIELD: the field's value in what info prints
text() {
	"$chaosimg" info --keyfile "$key" "$archive" "$1" |
		sed -n "s/^$2  *//p"
}

# check_files: what must hold while mounted and after
check_files() {
	is "modality" "$(text patient/ct1.dcm modality)" CT
	is "transfer syntax by its name" \
		"$(text patient/ct1.dcm 'transfer syntax')" \
		"1.2.840.10008.1.2.1 (Explicit VR Little Endian)"
	is "another transfer syntax" \
		"$(text patient/jpeg.dcm 'transfer syntax')" \
		"1.2.840.10008.1.2.4.91 (JPEG 2000)"
	is "plain length" "$(json patient/ct1.dcm 'd["length"]')" \
		"$(stat -c %s "$ct")"
	stored=$(text patient/ct1.dcm 'stored as')
	is "stored length" "$(json patient/ct1.dcm 'd["stored_length"]')" \
		"$(stat -c %s "$archive/$stored")"
	is "the stored path is translated" "$(text "$stored" path)" \
		patient/ct1.dcm
	is "also with the archive's" "$(text "$archive/$stored" path)" \
		patient/ct1.dcm
	is "and with a leading slash" "$(text /patient//./ct1.dcm path)" \
		patient/ct1.dcm
	is "it is DICOM" "$(json patient/ct1.dcm 'd["dicom"]')" True
	is "segments follow each other to the end" "$(json patient/ct1.dcm \
		'all(a["offset"] + a["length"] == b["offset"] for a, b in
		     zip(d["segments"], d["segments"][1:])) and
		 d["segments"][0]["offset"] == 0 and
		 sum(s["length"] for s in d["segments"]) == d["length"]')" True
	is "all compartments" "$(json patient/ct1.dcm \
		'" ".join(sorted({s["compartment"] for s in d["segments"]}))')" \
		"clinical identity pixels"
	is "a text is not DICOM" "$(json notes.txt 'd["dicom"]')" False
	is "and identity throughout" "$(json notes.txt \
		'{s["compartment"] for s in d["segments"]} <= {"identity"}')" \
		True
	is "a long name" "$(text "$long" path)" "$long"
	is "and its stored path" \
		"$(text "$(text "$long" 'stored as')" path)" "$long"
	is "a directory" "$(json patient 'd["type"]')" directory
	is "a symbolic link" "$(json link 'd["type"]')" symlink
	is "one keyset serves all" "$(json patient/ct1.dcm 'd["keyset"]')" \
		"$(json notes.txt 'd["keyset"]')"
	fails "a file that is no directory" 1 "ct1.dcm/x: Not a directory" \
		"$chaosimg" info --keyfile "$key" "$archive" patient/ct1.dcm/x
	fails "a link is not followed" 1 "link/x: Not a directory" \
		"$chaosimg" info --keyfile "$key" "$archive" link/x
	fails "a stored directory's id" 1 "chaosimg.dir: no such file" \
		"$chaosimg" info --keyfile "$key" "$archive" \
		"$(dirname "$stored")/chaosimg.dir"
	fails "a file that is not there" 1 "patient/ct2.dcm: no such file" \
		"$chaosimg" info --keyfile "$key" "$archive" patient/ct2.dcm
}

scratch || bail "no scratch folder"
long=$(printf 'n%.0s' {1..255})
odd=$'line\nbreak'
ok "an archive" archive_new || bail "no archive"
# What is written shall reach the archive before close.
ok "mounted" archive_mount no_writeback || bail "no mount"
mkdir "$mnt/patient" "$mnt/data"
cp "$ct" "$mnt/patient/ct1.dcm"
cp "$ct" "$mnt/patient/ct3.dcm"
cp "$jpeg2000" "$mnt/patient/jpeg.dcm"
echo hello >"$mnt/notes.txt"
echo hello >"$mnt/data/notes.txt"
echo hello >"$mnt/$long"
echo hello >"$mnt/$odd"
ln -s patient "$mnt/link"

diag "while it is mounted"
check_files
is "sealed" "$(text patient/ct1.dcm state)" sealed
is "a plain path that looks stored" "$(text data/notes.txt path)" data/notes.txt
is "a line break in a name is escaped" "$(text "$odd" path)" 'line\012break'
# Each close(2) seals, also that of a copied descriptor: one process it must be.
coproc writer { python3 -c 'import sys
f = open(sys.argv[1], "wb", 0)
f.write(bytes(1000000))
print("written", flush=True)
input()' "$mnt/being-written"; }
writer_pid=$!
read -r _ <&"${writer[0]}"
is "a file being written is open" "$(text being-written state)" open
echo close >&"${writer[1]}"
wait $writer_pid
is "and sealed after close" "$(text being-written state)" sealed

# FUSE has no unnamed files here: OUT gets a temporary name meanwhile.
mkdir "$mnt/out"
ok "OUT on the mount" "$chaosimg" encrypt --keyfile "$key" "$ct" "$mnt/out/c"
fails "is not overwritten" 1 "out/c: exists" \
	"$chaosimg" encrypt --keyfile "$key" "$ct" "$mnt/out/c"
ok "but by force" "$chaosimg" encrypt -f --keyfile "$key" "$ct" "$mnt/out/c"
ok "and decrypts" "$chaosimg" decrypt --keyfile "$key" "$mnt/out/c" \
	"$work/back"
ok "to the same" cmp "$ct" "$work/back"
TMPDIR=$mnt/out "$chaosimg" encrypt --keyfile "$key" "$ct" - >"$work/c"
ok "a spool on the mount" "$chaosimg" decrypt -f --keyfile "$key" "$work/c" \
	"$work/back"
for signal in INT TERM HUP; do
	mkfifo "$work/slow"
	# A background job of a shell ignores SIGINT, one of nohup SIGHUP, and
	# what they start does too.
	python3 -c 'import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
signal.signal(signal.SIGHUP, signal.SIG_DFL)
os.execv(sys.argv[1], sys.argv[1:])' "$chaosimg" encrypt --keyfile "$key" \
		"$work/slow" "$mnt/out/d" &
	pid=$!
	exec 6>"$work/slow"
	printf '%1000000s' x >&6
	is "a temporary name while it runs" \
		"$(find "$mnt/out" -name '.chaosimg.*' | wc -l)" 1
	kill -$signal $pid
	wait $pid
	is "SIG$signal ends it" $? $((128 + $(kill -l $signal)))
	exec 6>&-
	rm "$work/slow"
	is "and leaves nothing" "$(ls -A "$mnt/out")" c
done

"$chaosimg" keyfile "$work/key2"
ok "a key is added while it is mounted" "$chaosimg" key add --keyfile "$key" \
	--new-keyfile "$work/key2" "$archive"
ok "and the first one removed" "$chaosimg" key remove \
	--keyfile "$work/key2" --slot 0 "$archive"
ok "the mount does not mind" cmp "$ct" "$mnt/patient/ct1.dcm"
echo more >"$mnt/more"
ok "unmounted" archive_umount
fails "the old key opens no more" 1 "wrong key" \
	"$chaosimg" info --keyfile "$key" "$archive" more
key=$work/key2
is "the new one does" "$(text more length)" "5 bytes"

diag "when it is not mounted"
check_files

a=$archive/$(text patient/ct1.dcm 'stored as')
b=$archive/$(text patient/ct3.dcm 'stored as')
mv "$a" "$work/swap" && mv "$b" "$a" && mv "$work/swap" "$b"
fails "a file in another's place" 1 "patient/ct1.dcm: " \
	"$chaosimg" info --keyfile "$key" "$archive" patient/ct1.dcm
mv "$a" "$work/swap" && mv "$b" "$a" && mv "$work/swap" "$b"
truncate -s -1 "$a"
fails "a file cut by a byte" 1 "patient/ct1.dcm: " \
	"$chaosimg" info --keyfile "$key" "$archive" patient/ct1.dcm
rm "$a" && mkfifo "$a"
fails "a FIFO in its place" 1 "patient/ct1.dcm: not a path" \
	timeout 10 "$chaosimg" info --keyfile "$key" "$archive" patient/ct1.dcm
is "the others are well" "$(text patient/ct3.dcm modality)" CT
done_testing
