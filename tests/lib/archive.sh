# SPDX-License-Identifier: GPL-2.0-or-later
# A scratch archive, mounted and unmounted again: for the tests and the demo.
# Source it from the top folder. Everything it starts or mounts is gone when
# the shell exits, however it exits.
# shellcheck shell=bash

BUILD=${BUILD:-build}
case $BUILD in
/*) ;;
*) BUILD=$PWD/$BUILD ;;
esac
LIB=$PWD/tests/lib
STUDY=/usr/lib/python3/dist-packages/pydicom/data

# mount_obstacle: prints why nothing can be mounted here; succeeds if so
mount_obstacle() {
	if [ "$(id -u)" != 0 ]; then
		echo "needs root"
	elif [ ! -c /dev/fuse ]; then
		echo "needs /dev/fuse"
	elif ! (exec 3<>/dev/fuse) 2>/dev/null; then
		echo "/dev/fuse cannot be opened"
	elif [ ! -x "$BUILD/chaosimgfs" ] || [ ! -x "$BUILD/chaosimg" ]; then
		echo "$BUILD holds no chaosimgfs and chaosimg"
	else
		return 1
	fi
}

# scratch: make $work, a new folder, with $archive, $mnt and $key below it
scratch() {
	work=$(mktemp -d "${TMPDIR:-/tmp}/chaosimg.XXXXXXXX") || return
	archive=$work/archive
	mnt=$work/mnt
	key=$work/key
	daemon_log=$work/daemon.log
	daemon=
	helpers=()
	views=()
	mkdir "$mnt"
	trap cleanup EXIT
	trap 'exit 129' HUP
	trap 'exit 130' INT
	trap 'exit 143' TERM
}

# archive_new [INIT-OPTION..]: a key file and an empty archive
archive_new() {
	"$BUILD/chaosimg" keyfile "$key" &&
		"$BUILD/chaosimg" init --keyfile "$key" "$@" "$archive"
}

# archive_mount [MOUNT-OPTION..]: mount it and wait until it is there
archive_mount() {
	mount_folder "$archive" "keyfile=$key" "$@"
}

# mount_folder FOLDER MOUNT-OPTION..: the same with any credential
mount_folder() {
	local folder=$1 options=$2 option i
	shift 2
	for option; do
		options=$options,$option
	done
	"$BUILD/chaosimgfs" -f -o "$options" "$folder" "$mnt" \
		</dev/null >>"$daemon_log" 2>&1 &
	daemon=$!
	for ((i = 0; i < 600; i++)); do
		mountpoint -q "$mnt" && return
		kill -0 $daemon 2>/dev/null || break
		sleep 0.05
	done
	cat "$daemon_log" >&2
	return 1
}

# unmount FOLDER: another program, such as df, may be looking at it just now
unmount() {
	local i
	for ((i = 0; i < 50; i++)); do
		umount "$1" 2>/dev/null && return
		sleep 0.1
	done
	umount "$1"
}

# archive_umount: unmount; succeeds when the daemon has ended without an error
archive_umount() {
	local status=0
	unmount "$mnt" || return
	wait $daemon || status=$?
	daemon=
	[ $status = 0 ] || tail -n 20 "$daemon_log" >&2
	return $status
}

# view_mount FOLDER KEYFILE: the archive once more, read-only, at a new folder
view_mount() {
	local i
	mkdir "$1" || return
	views+=("$1")
	helper "$BUILD/chaosimgfs" -f -o "ro,keyfile=$2" "$archive" "$1" \
		>>"$daemon_log" 2>&1
	for ((i = 0; i < 600; i++)); do
		mountpoint -q "$1" && return
		kill -0 "$helper" 2>/dev/null || break
		sleep 0.05
	done
	tail -n 5 "$daemon_log" >&2
	return 1
}

# helper COMMAND..: run a server in the background, ended at the latest by
# cleanup; its process id is then in $helper
helper() {
	"$@" </dev/null &
	helper=$!
	helpers+=($helper)
}

# helper_stop PID: end a server of ours and wait for it
helper_stop() {
	local pid kept=()
	kill "$1" 2>/dev/null
	wait "$1" 2>/dev/null
	for pid in "${helpers[@]}"; do
		[ "$pid" = "$1" ] || kept+=("$pid")
	done
	helpers=("${kept[@]}")
}

# cleanup: end what was started, unmount what was mounted, remove the folder
cleanup() {
	local pid view
	trap - EXIT HUP INT TERM
	for view in "${views[@]}"; do
		mountpoint -q "$view" && umount -l "$view"
	done
	for pid in "${helpers[@]}"; do
		kill "$pid" 2>/dev/null
		wait "$pid" 2>/dev/null
	done
	if mountpoint -q "$mnt" 2>/dev/null; then
		umount "$mnt" 2>/dev/null || umount -l "$mnt"
	fi
	if [ -n "$daemon" ]; then
		kill "$daemon" 2>/dev/null
		wait "$daemon" 2>/dev/null
	fi
	rm -rf "$work"
	[ -z "${tap_log:-}" ] || rm -f "$tap_log"
}
