#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Names of every length and of any bytes; none of them can be read on the disk,
# and a stored name is valid everywhere.
cd "$(dirname "$0")/.." || exit 1
. tests/lib/tap.sh
. tests/lib/archive.sh

reason=$(mount_obstacle) && skip_all "$reason"
scratch || bail "no temporary folder"
archive_new || bail "no archive"
archive_mount || bail "no mount"

# names ACTION: a file for each length and each byte, in a nested folder too
names() {
	python3 - "$1" "$mnt" <<-'END'
		import os, sys
		action, root = sys.argv[1:]
		names = {bytes([97 + n % 26]) * n for n in range(1, 256)}
		names |= {b"x%cy" % b for b in range(1, 256) if b != ord("/")}
		names |= {bytes(b for b in range(1, 256) if b != ord("/")),
		          "Müller^Jürgen".encode(), b"...", b"..x", b"-rf", b" ",
		          b"chaosimg.dir", b"chaosimg.tmp.1", b"A", b"\xff\xfe"}
		folders = [os.fsencode(root)]
		folders.append(os.path.join(folders[0], b"F" * 255))
		folders.append(os.path.join(folders[1], b"G" * 200))
		for folder in folders:
		    if action == "make":
		        os.makedirs(folder, exist_ok=True)
		        for name in names:
		            with open(os.path.join(folder, name), "xb") as f:
		                f.write(name)
		    assert set(os.listdir(folder)) - {b"F" * 255, b"G" * 200} == \
		        names, folder[-40:]
		    for name in names:
		        path = os.path.join(folder, name)
		        with open(path, "rb") as f:
		            assert f.read() == name, name
		        if action == "move":
		            os.rename(path, path[:len(path) - len(name)] + b"new")
		            os.rename(os.path.join(folder, b"new"), path)
		            with open(path, "rb") as f:
		                assert f.read() == name, name
		        if action == "remove":
		            os.unlink(path)
		for folder in reversed(folders[1:]) if action == "remove" else []:
		    os.rmdir(folder)
	END
}

# hidden: no name of at least 8 bytes, and only portable characters
hidden() {
	! find "$archive/data" -printf '%P\n' | grep -E 'a{20}|b{20}|F{20}|M.*ller|new$' &&
		! find "$archive/data" -mindepth 1 -printf '%f\n' |
		LC_ALL=C grep -E '[^0-9a-z._-]|^.{256}'
}

too_long() {
	fails "$1" 1 "File name too long" touch "$mnt/$(printf "%0$2d" 0)"
}

ok "make" names make
ok "on the disk none can be read" hidden
ok "move there and back" names move
ok "umount" archive_umount
ok "mount again" archive_mount
ok "read" names read
too_long "256 bytes" 256
is "is not made" "$(ls "$mnt" | grep -c 0000)" 0

# Case matters, and so does the way a letter is composed.
printf 1 >"$mnt/Case"
printf 2 >"$mnt/case"
printf 3 >"$mnt/"$'e\xcc\x81'
printf 4 >"$mnt/"$'\xc3\xa9'
is "case and composition" "$(cat "$mnt/Case" "$mnt/case" \
	"$mnt/"$'e\xcc\x81' "$mnt/"$'\xc3\xa9')" 1234
rm "$mnt/Case" "$mnt/case" "$mnt/"$'e\xcc\x81' "$mnt/"$'\xc3\xa9'

# The same name is stored in different ways in different folders.
mkdir "$mnt/one" "$mnt/two"
touch "$mnt/one/SMITH^JOHN" "$mnt/two/SMITH^JOHN"
is "the same name twice" "$(find "$archive/data" -links 1 \
	\( -inum "$(stat -c %i "$mnt/one/SMITH^JOHN")" -o \
	-inum "$(stat -c %i "$mnt/two/SMITH^JOHN")" \) -printf '%f\n' |
	sort -u | wc -l)" 2
rm -r "$mnt/one" "$mnt/two"

long=$(printf '%0250d' 0)
exchange() {
	echo long >"$mnt/$long" && echo short >"$mnt/short" &&
		mv --no-clobber "$mnt/short" "$mnt/$long" &&
		[ "$(cat "$mnt/$long")" = long ] &&
		mv "$mnt/short" "$mnt/$long" &&
		[ "$(cat "$mnt/$long")" = short ] &&
		ln "$mnt/$long" "$mnt/1$long" &&
		rm "$mnt/$long" && [ "$(cat "$mnt/1$long")" = short ] &&
		ln -s "$long" "$mnt/2$long" &&
		mkfifo "$mnt/3$long" && mkdir "$mnt/4$long" &&
		mv "$mnt/1$long" "$mnt/4$long/" &&
		mv "$mnt/4$long" "$mnt/5$long" &&
		[ "$(cat "$mnt/5$long/1$long")" = short ] &&
		! rmdir "$mnt/5$long" &&
		[ "$(cat "$mnt/5$long/1$long")" = short ] &&
		[ "$(readlink "$mnt/2$long")" = "$long" ] &&
		rm -r "$mnt/"?"$long"
}
ok "long names: replace, link, move" exchange
ok "remove" names remove
is "nothing is left" "$(ls -A "$mnt")" ""
is "also on the disk" "$(ls -A "$archive/data")" chaosimg.dir
ok "umount" archive_umount
is "nothing was logged" "$(cat "$daemon_log")" ""
done_testing
