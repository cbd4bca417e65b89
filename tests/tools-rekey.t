#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# chaosimg rekey: new keysets under a mount in use, old files moved to them,
# whatever is killed meanwhile, and old keysets dropped.
cd "$(dirname "$0")/.." || exit 1
. tests/lib/tap.sh
. tests/lib/archive.sh

reason=$(mount_obstacle) && skip_all "$reason"
scratch || bail "no temporary folder"
archive_new || bail "no archive"

rekey() {
	"$BUILD/chaosimg" rekey --keyfile "$key" "$@" "$archive"
}

# What the stored files' headers say, and what the configuration does
keysets() {
	python3 tests/rekey.py keysets "$archive/data" | tr '\n' ' '
}

newest() {
	sed -n '/"keysets"/,/]/s/^    "\(.*\)".*/\1/p' "$archive/chaosimg.json" |
		tail -n 1
}

leftovers() {
	find "$archive/data" -name 'chaosimg.tmp.*' | wc -l
}

sums() {
	python3 tests/rekey.py sums "$mnt/tree"
}

# --- in use ------------------------------------------------------------------

archive_mount || bail "no mount"
mkdir "$mnt/tree" "$mnt/tree/sub"
for i in 1 2 3 4 5 6; do
	head -c $((i * i * 20000)) /dev/urandom >"$mnt/tree/sub/$i.dcm"
done
head -c 9000000 /dev/urandom >"$mnt/tree/big"
touch "$mnt/tree/empty"
touch -d 2001-02-03T04:05:06.789 "$mnt/tree/sub/1.dcm"
chmod 440 "$mnt/tree/sub/2.dcm"
chown 12:34 "$mnt/tree/sub/3.dcm"
setfattr -n user.note -v text "$mnt/tree/sub/4.dcm" 2>/dev/null
truncate -s 3000000 "$mnt/tree/sub/5.dcm"
sums >"$work/sums"
first=$(newest)
is "all files are under the first keyset" "$(keysets)" "$first "

# A second mount, which only reads, and was there before.
mkdir "$work/ro"
helper "$BUILD/chaosimgfs" -f -o "keyfile=$key,ro" "$archive" "$work/ro"
for ((i = 0; i < 200; i++)); do
	mountpoint -q "$work/ro" && break
	sleep 0.05
done
# The folder of the second mount would be left over.
cleanup_ro() {
	umount "$work/ro" 2>/dev/null || umount -l "$work/ro" 2>/dev/null
	cleanup
}
trap cleanup_ro EXIT

fails "a wrong key makes none" 1 "wrong key" "$BUILD/chaosimg" rekey \
	--keyfile <("$BUILD/chaosimg" keyfile "$work/other" &&
		cat "$work/other") "$archive"
ok "a new keyset while it is mounted" rekey
second=$(newest)
ok "is another one" test "$second" != "$first"
sleep 1.1
echo new >"$mnt/tree/new"
is "a new file is under it, the others are not" "$(keysets)" \
	"$(printf '%s\n' "$first" "$second" | sort | tr '\n' ' ')"
is "it can be read" "$(cat "$mnt/tree/new")" new
is "by a mount that was there before, too" "$(cat "$work/ro/tree/new")" new
sums >"$work/sums"
fails "files that are open stay" 1 "1 in use, 2 names of linked ones" bash -c "
	ln '$mnt/tree/sub/6.dcm' '$mnt/tree/sub/link'
	exec 5<'$mnt/tree/big'
	'$BUILD/chaosimg' rekey --reencrypt --keyfile '$key' '$archive'"
is "what they hold too" "$(sums | grep -v link)" "$(cat "$work/sums")"
fails "old keysets are not dropped under a mount" 1 "mounted for writing" \
	rekey --drop-old
rm "$mnt/tree/sub/link"
fails "a damaged file stays, and is named" 1 "damaged" bash -c "
	: >'$archive/data/xyz'
	'$BUILD/chaosimg' rekey --reencrypt --keyfile '$key' '$archive'"
rm "$archive/data/xyz"
ok "now all files can be moved" rekey --reencrypt
is "and are" "$(keysets)" "$second "
is "unchanged" "$(sums)" "$(cat "$work/sums")"
sleep 1.1
is "also for the mount that only reads" \
	"$(python3 tests/rekey.py sums "$work/ro/tree")" "$(cat "$work/sums")"
is "no temporary file is left" "$(leftovers)" 0
is "nothing is left to be moved" "$(rekey --reencrypt)" "files moved: 0, bytes: 0"

# --- under load --------------------------------------------------------------

load() { # NUMBER
	mkdir "$mnt/load$1" || return
	python3 tests/rekey.py work "$mnt/load$1" 8 "$RANDOM$RANDOM" &
	worker=$!
	while kill -0 $worker 2>/dev/null; do
		rekey >/dev/null || return
		rekey --reencrypt >/dev/null 2>"$work/said"
		if grep -v -e 'left as it is: it is open$' \
			-e 'left as it is: it was changed meanwhile$' \
			-e 'left as it is: it has several names$' \
			-e 'files left under older keysets' "$work/said"; then
			return 1
		fi
	done
	wait $worker
}
ok "files in use, while keysets change and files move" load 1
ok "files that are renamed while they are looked for" \
	python3 tests/rekey.py names "$mnt/names" 3
rm -r "$mnt/names"
ok "when they rest, all can be moved" rekey --reencrypt
is "and are" "$(keysets)" "$(newest) "
is "the others are as they were" "$(sums)" "$(cat "$work/sums")"
is "no temporary file is left" "$(leftovers)" 0

# --- killed ------------------------------------------------------------------

# In the mount nothing is left behind, since it ends what is half-done.
killed_mounted() {
	local i
	for ((i = 0; i < 12; i++)); do
		rekey >/dev/null || return
		"$BUILD/chaosimg" rekey --reencrypt --rate 20 --keyfile "$key" \
			"$archive" >/dev/null &
		sleep 0.0$((RANDOM % 9))$((RANDOM % 10))
		kill -9 $!
		wait $! 2>/dev/null
		sums | cmp - "$work/sums" || return
	done
}
ok "the command is killed while the mount moves files" killed_mounted
ok "it goes on where it was" rekey --reencrypt
is "all files are under the newest keyset" "$(keysets)" "$(newest) "

# The daemon itself; what it leaves are unnamed files, or temporary names.
killed_daemon() {
	local i mover
	for ((i = 0; i < 6; i++)); do
		rekey >/dev/null || return
		"$BUILD/chaosimg" rekey --reencrypt --rate 30 --keyfile "$key" \
			"$archive" >/dev/null 2>&1 &
		mover=$!
		sleep 0.$((RANDOM % 3))$((RANDOM % 10))
		kill -9 "$daemon"
		wait "$daemon" 2>/dev/null
		daemon=
		umount -l "$mnt"
		wait $mover
		archive_mount || return
		sums | cmp - "$work/sums" || return
	done
}
ok "the daemon is killed while it moves files" killed_daemon
ok "it goes on where it was" rekey --reencrypt
is "all files are under the newest keyset" "$(keysets)" "$(newest) "
is "nothing was damaged" "$(grep -v 'transport endpoint' "$daemon_log")" ""
ok "umount" archive_umount

killed_alone() {
	local i
	for ((i = 0; i < 25; i++)); do
		rekey >/dev/null || return
		"$BUILD/chaosimg" rekey --reencrypt --keyfile "$key" \
			"$archive" >/dev/null &
		sleep 0.0$((RANDOM % 7))$((RANDOM % 10))
		kill -9 $!
		wait $! 2>/dev/null
	done
	archive_mount || return
	sums | cmp - "$work/sums" && archive_umount
}
ok "the command is killed while nothing is mounted" killed_alone
killed_rekey() {
	local i
	for ((i = 0; i < 40; i++)); do
		# Not rekey: the shell around it would be killed, and it go on.
		"$BUILD/chaosimg" rekey --keyfile "$key" "$archive" >/dev/null &
		sleep 0.00$((RANDOM % 10))$((RANDOM % 10))
		kill -9 $! 2>/dev/null
		wait $! 2>/dev/null
		"$BUILD/chaosimg" info --keyfile "$key" "$archive" \
			tree/empty >/dev/null || return
	done
}
ok "a new keyset is interrupted" killed_rekey
ok "all is moved at last" rekey --reencrypt
is "and is under the newest keyset" "$(keysets)" "$(newest) "

# --- alone -------------------------------------------------------------------

ok "old keysets are dropped" rekey --drop-old
# What a kill left half-written is for fsck to remove.
is "one is left" "$(ls "$archive/keysets" | grep -v '\.new$')" "$(newest).json"
archive_mount || bail "no mount"
is "and serves all files" "$(sums)" "$(cat "$work/sums")"
echo newer >"$mnt/tree/newer"
is "new ones too" "$(cat "$mnt/tree/newer")" newer
rm "$mnt/tree/newer"
ok "umount" archive_umount
ok "another keyset" rekey
fails "one that files need is not dropped" 1 "still under older keysets" \
	rekey --drop-old
is "and is still there" "$(ls "$archive/keysets" | grep -vc '\.new$')" 2
slow() {
	local start=${EPOCHREALTIME/./}
	rekey --reencrypt --rate 4 || return
	# 13 MB at 4 MiB in a second
	[ $((${EPOCHREALTIME/./} - start)) -gt 2000000 ]
}
ok "at the rate that is asked for" slow
ok "and the other goes" rekey --drop-old
fails "a rate of nothing" 2 "not a rate" rekey --reencrypt --rate 0
fails "a rate without work" 2 "a rate is for" rekey --rate 1

# A mount that this process does not see holds the lock.
hold=$(mktemp -u "$work/hold.XXXX")
mkfifo "$hold"
helper python3 -c "
import fcntl, os, struct, sys
fd = os.open('$archive/lock', os.O_RDWR)
fcntl.fcntl(fd, 37, struct.pack('hhqqi4x', fcntl.F_WRLCK, 0, 0, 1, 0))
open('$hold', 'w').write('held')
import time
time.sleep(100)"
read -r _ <"$hold"
fails "a mount out of sight" 1 "not where this process sees it" \
	rekey --reencrypt
ok "a new keyset all the same" rekey
helper_stop "$helper"

# --- without root ------------------------------------------------------------

# No file handles there: inodes are known by their descriptors.
nobody=$(id -u nobody)
user_mount() {
	setpriv --reuid="$nobody" --regid="$nobody" --clear-groups -- sh -ec '
		cd "$2"
		"$1/chaosimg" keyfile key
		"$1/chaosimg" init --keyfile key archive
		mkdir mnt
		"$1/chaosimgfs" -o keyfile=key archive mnt
		mkdir mnt/load
		python3 "$3" work mnt/load 5 "$4" &
		while kill -0 $! 2>/dev/null; do
			"$1/chaosimg" rekey --keyfile key archive
			"$1/chaosimg" rekey --reencrypt --keyfile key \
				archive || :
		done
		wait $!
		"$1/chaosimg" rekey --reencrypt --keyfile key archive' - \
		"$BUILD" "$own" "$PWD/tests/rekey.py" "$RANDOM"
}
if command -v setpriv >/dev/null && command -v fusermount3 >/dev/null &&
	[ -u "$(command -v fusermount3)" ]; then
	own=$work/own
	chmod 755 "$work"
	mkdir -m 700 "$own"
	chown "$nobody:$nobody" "$own"
	ok "a user's own mount, under load" user_mount
	setpriv --reuid="$nobody" --regid="$nobody" --clear-groups -- \
		fusermount3 -u "$own/mnt"
else
	skip "a user's own mount, under load" "needs fusermount3, set-user-id"
fi
done_testing
