#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Memory runs out at every single place: while a request runs, and while the
# module loads. Needs a kernel with CONFIG_FAILSLAB and debugfs.

. "$(dirname "$0")/tap.sh"
need_root
need_chaosimg
[ -e /proc/self/fail-nth ] || skip_all "needs CONFIG_FAULT_INJECTION"
[ -d /sys/kernel/debug/failslab ] ||
	skip_all "needs CONFIG_FAILSLAB and debugfs"

for fault in failslab fail_page_alloc; do
	[ -d /sys/kernel/debug/$fault ] || continue
	# Allocations that may wait fail as well; not a word to the log.
	echo N >/sys/kernel/debug/$fault/ignore-gfp-wait
	echo 0 >/sys/kernel/debug/$fault/verbose
done

# The kernel warns if the allocation fails by which it would schedule an
# algorithm's test; that is not this module's, so it is left out.
spare() {
	range=$(sort /proc/kallsyms |
		awk -v name="$1" 'found { print found, "0x" $1; exit }
		$3 == name { found = "0x" $1 }')
	[ -n "$range" ] && [ -e "$2/reject-start" ] || return
	echo "${range% *}" >"$2/reject-start"
	echo "${range#* }" >"$2/reject-end"
	echo 32 >"$2/stacktrace-depth"
}

ok "requests" "$here/failures" requests
sed -n 's/^ok [0-9]* /# /p' "$work/tap.log"
module=$(modinfo -n chaosimg 2>/dev/null)
if [ -e "$module" ] &&
	spare crypto_schedule_test /sys/kernel/debug/failslab &&
	rmmod chaosimg 2>/dev/null; then
	ok "loading" "$here/failures" load "$module"
	sed -n 's/^ok [0-9]* /# /p' "$work/tap.log"
fi
done_testing
