# SPDX-License-Identifier: GPL-2.0-or-later
# TAP by kselftest's conventions for the shell tests here; source it.
# shellcheck shell=sh

tap_count=0
tap_failed=0
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/chaosimg.XXXXXX") || exit 1
PATH=$PATH:/usr/sbin:/sbin
# A test defines clean_up for what it mounted or set up.
clean_up() { :; }
trap 'clean_up; rm -rf "$work"' EXIT
trap 'exit 130' HUP INT TERM
echo "TAP version 13"

# ok NAME COMMAND..: the command must succeed
ok() {
	tap_name=$1
	tap_status=0
	shift
	tap_count=$((tap_count + 1))
	"$@" >"$work/tap.log" 2>&1 || tap_status=$?
	if [ $tap_status = 0 ]; then
		echo "ok $tap_count $tap_name"
		return
	fi
	echo "not ok $tap_count $tap_name"
	echo "# status $tap_status of: $*"
	sed 's/^/#   /' "$work/tap.log" | head -n 30
	tap_failed=$((tap_failed + 1))
	return 1
}

# fails NAME COMMAND..: the command must fail, by itself and not by a signal
fails() {
	tap_name=$1
	shift
	ok "$tap_name" refused "$@"
}

refused() {
	"$@"
	case $? in
	0 | 12[67] | 12[89] | 1[345]?) return 1 ;;
	esac
}

# skip_all REASON: the whole file
skip_all() {
	echo "1..0 # SKIP $*"
	exit 4
}

# need PROGRAM..: skip all where one is missing
need() {
	for program; do
		command -v "$program" >/dev/null || skip_all "needs $program"
	done
}

need_root() {
	[ "$(id -u)" = 0 ] || skip_all "needs root"
}

# need_chaosimg: skip all where the kernel has none, or nothing to load
need_chaosimg() {
	modprobe -q crypto-chaosimg 2>/dev/null
	grep -q '^name *: chaosimg$' /proc/crypto ||
		skip_all "this kernel has no chaosimg"
}

# drivers: the registered ones
drivers() {
	sed -n 's/^driver *: \(chaosimg-.*\)$/\1/p' /proc/crypto
}

done_testing() {
	echo "1..$tap_count"
	[ $tap_failed = 0 ]
	exit
}
