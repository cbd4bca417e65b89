#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A second reader, written from Documentation/archive-format*.rst, must get out
# of an archive and of a single image what was put in.

set -u
cd "$(dirname "$(readlink -f "$0")")/.." || exit 1
. tests/lib/tap.sh
. tests/lib/archive.sh

# shellcheck disable=SC2317
reader() {
	/usr/bin/python3 -B tests/lib/format_reader.py "$@"
}

/usr/bin/python3 -c 'import cryptography' 2>/dev/null ||
	skip_all "python3-cryptography is not installed"
[ -r "$STUDY/test_files/MR_small.dcm" ] ||
	skip_all "python3-pydicom is not installed"
scratch

# More holes than a header can hold, so that some become records of zeros.
holes() {
	local i
	for ((i = 1; i < 80; i += 2)); do
		printf x | dd of=holes bs=4096 seek="$i" conv=notrunc \
			status=none || return
	done
}

# fill DIR: a small tree with something of all that the format describes
fill() (
	cd "$1" || return
	mkdir -p "DOE^JANE/1.2.840.1" empty &&
	cp "$STUDY/test_files/MR_small.dcm" "DOE^JANE/1.2.840.1/IM1.dcm" &&
	cp "$STUDY/test_files/CT_small.dcm" "$(printf 'n%.0s' {1..255})" &&
	ln "DOE^JANE/1.2.840.1/IM1.dcm" second &&
	ln -s "../DOE^JANE" link &&
	: >nothing && printf 'sixteen bytes it' >sixteen &&
	truncate -s 20000 sparse &&
	printf end | dd of=sparse bs=1 seek=14000 conv=notrunc status=none &&
	holes &&
	setfattr -n user.patient -v "DOE^JANE" "DOE^JANE" &&
	setfattr -n user.empty second
)

# fingerprint DIR: names, contents, targets, attributes
fingerprint() (
	cd "$1" || return
	find . -printf '%p %y %l\n' | sort
	find . -type f -print0 | sort -z | xargs -0 sha256sum
	find . -print0 | sort -z | xargs -0 getfattr -d -h
)

image=$work/image
"$BUILD/chaosimg" keyfile "$key" || bail "no key file"
"$BUILD/chaosimg" encrypt --keyfile "$key" "$STUDY/test_files/CT_small.dcm" \
	"$image" || bail "no image"
ok "reads a single image" reader "$image" "$key" "$work/ct.dcm"
ok "  the same bytes" cmp "$STUDY/test_files/CT_small.dcm" "$work/ct.dcm"
cp "$image" "$work/bad"
printf '\1' | dd of="$work/bad" bs=1 seek=9000 conv=notrunc status=none
fails "  and refuses a changed one" 1 "record's checksum" \
	reader "$work/bad" "$key" "$work/bad.dcm"

if reason=$(mount_obstacle); then
	skip "an archive" "$reason"
	done_testing
fi
"$BUILD/chaosimg" init --keyfile "$key" --chunk-size 4096 "$archive" ||
	bail "no archive"
archive_mount || bail "no mount"
fill "$mnt" || bail "nothing to read"
want=$(fingerprint "$mnt")
archive_umount || bail "no clean end"
ok "reads an archive" reader "$archive" "$key" "$work/out"
is "  names, contents, links, attributes" "$(fingerprint "$work/out")" "$want"
# DOE^JANE's folder stands there under the name of another.
one=$(find "$archive/data" -mindepth 1 -maxdepth 1 -type d | head -n 1)
mv "$one" "$work/moved" && mkdir "$work/x" && two=$(find "$archive/data" \
	-mindepth 1 -maxdepth 1 -type d | head -n 1) && mv "$two" "$one"
fails "  and refuses a folder in another's place" 1 "another's place" \
	reader "$archive" "$key" "$work/out2"
done_testing
