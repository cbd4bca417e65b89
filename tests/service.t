#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The systemd unit: what systemd says of it, and its life under a systemd that is
# the first process of a virtual machine with one of Debian's kernels. There,
# $FILES files are held open, and more than the daemon may have. For a million:
#
#	FILES=1000000 SECONDS_MAX=86400 GUEST_MEMORY=16G tests/service.t
cd "$(dirname "$(readlink -f "$0")")/.." || exit 1
. tests/lib/tap.sh
. tests/qemu/kernel.sh
export BUILD=${BUILD:-build}
kernel=${KERNEL:-6.1}

command -v systemd-analyze >/dev/null || skip_all "needs systemd"
work=$(mktemp -d "${TMPDIR:-/tmp}/chaosimg.XXXXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' HUP INT TERM

verified() {
	local said
	# Some command has to be there.
	sed 's|@BINDIR@/chaosimgfs|/bin/sh|' 'fuse/chaosimgfs@.service.in' \
		>"$work/chaosimgfs@.service" || return
	said=$(systemd-analyze verify --man=no --recursive-errors=one \
		"$work/chaosimgfs@.service" 2>&1) && [ -z "$said" ] && return
	echo "$said"
	return 1
}
ok "systemd-analyze verify finds nothing" verified

obstacle() {
	local program
	for program in qemu-system-x86_64 busybox cpio depmod; do
		PATH=$PATH:/usr/sbin command -v "$program" >/dev/null ||
			echo "needs $program"
	done | head -n 1
	find_kernel "$kernel" 2>&1 >/dev/null
}

why=$(obstacle)
if [ -n "$why" ]; then
	skip "under systemd" "$why"
	done_testing
fi
find_kernel "$kernel"
mkdir "$work/guest"
touch "$work/guest/systemd"
cp tests/qemu/{service,open-files,unit.sh} tests/kselftest/{tap.sh,settings} \
	"$BUILD/tests/hold_open" "$work/guest"
printf '%s\n' service open-files >"$work/guest/tests"
limit=${SECONDS_MAX:-300}
export GUEST_PARAMETERS="guest.files=${FILES:-50} guest.limit=$limit"
tests_passed() {
	SELFTESTS=$work/guest tests/qemu/run -t "$limit" "$kernel" >"$work/tap" 2>&1
	local status=$?
	cat "$work/tap"
	return $status
}
ok "the guest succeeds" tests_passed
# Each of its results as one of its own.
while IFS= read -r line; do
	name=${line#*ok * }
	case $line in
	"# not "*) tap_result not "$name" ;;
	*) tap_result ok "$name" ;;
	esac
done < <(grep -E '^# (not )?ok [0-9]+ ' "$work/tap")
done_testing
