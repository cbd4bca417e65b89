#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The module is loaded and unloaded in a loop while requests run.

. "$(dirname "$0")/tap.sh"
need_root
need modprobe rmmod
modinfo chaosimg >/dev/null 2>&1 || skip_all "chaosimg is no module here"
need_chaosimg

seconds=20
unloads=0
busy=0
for i in 1 2 3; do
	"$here/churn" $seconds >"$work/churn.$i" 2>&1 &
	eval "churn$i=$!"
done
end=$(($(date +%s) + seconds - 1))
while [ "$(date +%s)" -lt $end ]; do
	if rmmod chaosimg 2>/dev/null; then
		unloads=$((unloads + 1))
	else
		busy=$((busy + 1))
	fi
	[ $((busy % 3)) != 0 ] || modprobe chaosimg 2>/dev/null
done
for i in 1 2 3; do
	eval "pid=\$churn$i"
	wait "$pid"
	echo $? >"$work/status.$i"
done

# never_wrong NUMBER: of a client
never_wrong() {
	cat "$work/churn.$1"
	[ "$(cat "$work/status.$1")" = 0 ]
}

# On a slow kernel with many checks it takes seconds each time.
under_load() {
	[ "$unloads" -ge 1 ]
}

reloads() {
	for _ in $(seq 20); do
		modprobe chaosimg && rmmod chaosimg || return
	done
	modprobe chaosimg
}

idle() {
	grep -q '^chaosimg [0-9]* 0 ' /proc/modules
}

for i in 1 2 3; do
	ok "client $i never got a wrong answer: $(tail -n 1 "$work/churn.$i")" \
		never_wrong $i
done
ok "the module was unloaded $unloads times meanwhile ($busy times in use)" \
	under_load
ok "nobody uses it any more" idle
rmmod chaosimg 2>/dev/null
ok "loaded and unloaded twenty times" reloads
done_testing
