#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Backup and restore as Documentation/operations.rst has them: the archive's
# folder is copied while it is mounted, restored elsewhere and opened with the
# key. What is damaged does not hinder the rest.
cd "$(dirname "$0")/.." || exit 1
. tests/lib/tap.sh
. tests/lib/archive.sh

reason=$(mount_obstacle) && skip_all "$reason"
for tool in rsync tar getfattr; do
	command -v $tool >/dev/null || skip_all "needs $tool"
done
scratch || bail "no temporary folder"
archive_new || bail "no archive"

# fill DIR: something of everything that a copy could lose
fill() (
	cd "$1" || return
	mkdir -p "DOE^JANE/1.2.840.1" empty &&
	cp "$STUDY"/test_files/*.dcm "DOE^JANE/1.2.840.1" 2>/dev/null
	head -c 3000000 /dev/urandom >"DOE^JANE/large" &&
	ln "DOE^JANE/large" second && ln -s "../DOE^JANE" link &&
	echo long >"$(printf 'n%.0s' {1..255})" &&
	truncate -s 5000000 sparse && echo x >>sparse &&
	setfattr -n user.patient -v "DOE^JANE" "DOE^JANE" &&
	setfattr -n user.note -v 17 second &&
	chmod 640 second && chown 12345:12346 link -h "DOE^JANE" &&
	touch -d 2001-02-03 second empty && mkfifo fifo
)

# fingerprint DIR: all of what it shows; times to the second, as rsync is not
# always more exact with folders
fingerprint() (
	cd "$1" || return
	find . -printf '%p %y %s %m %U:%G %n %l %Ts\n' |
		sed 's/ d [0-9]* / d /' | sort
	find . -type f -print0 | sort -z | xargs -0 sha256sum
	find . ! -type l ! -type p -print0 | sort -z | xargs -0 getfattr -d
)

# restored DIR: mount it read-only, and say what is in it
restored() {
	local status=0
	mkdir -p "$work/there"
	"$BUILD/chaosimgfs" -o ro,keyfile="$key" "$1" "$work/there" || return
	"${2:-fingerprint}" "$work/there" || status=$?
	unmount "$work/there"
	return $status
}

# alike COMMAND..: its output must be what is wanted
alike() {
	diff <(echo "$want") <(echo "$("$@")")
}

fsck() {
	"$BUILD/chaosimg" fsck --keyfile "$key" "$1"
}

archive_mount || bail "no mount"
ok "a tree" fill "$mnt"
ok "umount" archive_umount
archive_mount || bail "no mount"
want=$(fingerprint "$mnt")
ok "umount again" archive_umount

# While it is mounted for reading, and while it is for writing and idle.
for mode in ro rw; do
	archive_mount $mode || bail "no mount"
	ok "$mode: rsync" rsync -aHAXS -@-1 --delete "$archive/" \
		"$work/rsync-$mode/"
	ok "$mode: tar" tar -C "$archive" --xattrs --xattrs-include='user.*' \
		--acls --sparse --numeric-owner -cf "$work/$mode.tar" .
	ok "$mode: reading went on" alike fingerprint "$mnt"
	ok "$mode: umount" archive_umount
	mkdir "$work/tar-$mode"
	ok "$mode: untar" tar -C "$work/tar-$mode" --xattrs \
		--xattrs-include='user.*' --acls --numeric-owner \
		-xpf "$work/$mode.tar"
	for copy in rsync tar; do
		ok "$mode, $copy: all is there" \
			alike restored "$work/$copy-$mode"
		ok "$mode, $copy: fsck finds nothing" fsck "$work/$copy-$mode"
	done
done

# Not the place, but the key matters.
mv "$work/rsync-ro" "$work/elsewhere"
"$BUILD/chaosimg" keyfile "$work/other"
fails "another key opens nothing" 1 "wrong key" "$BUILD/chaosimgfs" \
	-o ro,keyfile="$work/other" "$work/elsewhere" "$work/there"

# Only what changed is copied again.
archive_mount || bail "no mount"
echo new >"$mnt/new"
rm "$mnt/sparse"
ok "umount" archive_umount
archive_mount || bail "no mount"
want=$(fingerprint "$mnt")
sent=$(rsync -aHAXS -i -@-1 --delete "$archive/" "$work/elsewhere/" |
	grep -c '^[<>]f')
is "the next run copies the new file alone" "$sent" 1
ok "and it is all there" alike restored "$work/elsewhere"
stored=$(cd "$archive" && find data -inum "$(stat -c %i "$mnt/DOE^JANE/large")" \
	! -name '*.name' | head -n 1)
ok "umount" archive_umount

# One damaged file; then it comes back from the backup, alone.
printf 'damage' | dd of="$archive/$stored" bs=1 seek=2000000 conv=notrunc \
	status=none
fails "scrub finds it" 1 "$stored" "$BUILD/chaosimg" scrub "$archive"
archive_mount || bail "no mount"
fails "it cannot be read" 1 "Input/output error" cat "$mnt/DOE^JANE/large"
others() (
	cd "$1" && find . -type f ! -samefile second -print0 | sort -z |
		xargs -0 sha256sum
)
want=$(restored "$work/elsewhere" others)
ok "all others can" alike others "$mnt"
ok "umount" archive_umount
ok "a damaged archive can be copied" rsync -aHAXS -@-1 "$archive/" \
	"$work/damaged/"
cat "$work/elsewhere/$stored" >"$archive/$stored"
large() {
	sha256sum <"$1/DOE^JANE/large"
}
want=$(restored "$work/elsewhere" large)
ok "one file restored in its place" alike restored "$archive" large
ok "fsck finds nothing" fsck "$archive"

# What is written meanwhile may be torn in the copy, but never reads as other
# bytes, and the next run copies it again.
write_on() {
	local i stop=0
	trap 'stop=1' TERM
	for ((i = 0; !stop; i++)); do
		yes "$i" | head -c 300000 >"$mnt/busy$((i % 9))"
	done
}
torn() (
	cd "$1" && for name in busy?; do
		cat "$name" 2>/dev/null | sort -u | wc -l
	done | sort -u | grep -vx '[012]'
	for name in [!b]*; do
		[ ! -f "$name" ] || cat "$name" >/dev/null || echo "$name"
	done
)
archive_mount || bail "no mount"
write_on &
writer=$!
for i in 1 2 3; do
	sleep 0.5
	rsync -aHAXS -@-1 --delete "$archive/" "$work/live/" 2>/dev/null
	is "copied while it is written to, $i" "$(restored "$work/live" torn)" ""
done
kill $writer
wait $writer 2>/dev/null
ok "umount" archive_umount
archive_mount || bail "no mount"
want=$(fingerprint "$mnt")
rsync -aHAXS -@-1 --delete "$archive/" "$work/live/"
ok "the next quiet run has all of it" alike restored "$work/live"
ok "umount" archive_umount
is "nothing else was logged" "$(grep -v 'authentication failed' \
	"$daemon_log")" ""
done_testing
