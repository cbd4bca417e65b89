#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The module loads itself on request, says what it is, registers only what
# proves itself, and goes without a trace.

. "$(dirname "$0")/tap.sh"
need_root
need modprobe rmmod modinfo
modinfo chaosimg >/dev/null 2>&1 || skip_all "chaosimg is no module here"
need_chaosimg
rmmod chaosimg || skip_all "chaosimg is in use"

unload() {
	rmmod chaosimg && ! grep -q 'chaosimg' /proc/crypto /proc/modules
}

# loads_by NAME: asking for this algorithm loads the module
loads_by() {
	"$here/known" "$1" && grep -q '^chaosimg ' /proc/modules
}

loads_by_alias() {
	modprobe "$1" && grep -q '^chaosimg ' /proc/modules
}

# says FIELD PATTERN: what modinfo must print
says() {
	modinfo -F "$1" chaosimg | grep -qE "$2"
}

# The log's last words of the module, without those of earlier loads.
log_since() {
	dmesg | sed -n "/$1/,\$p" | grep 'chaosimg: '
}

# spoiled DRIVER: one that fails its self-test is left out, the others work
spoiled() {
	mark="spoiled $1 $$"
	echo "$mark" >/dev/kmsg
	modprobe chaosimg spoil="${1#chaosimg-}" || return
	! drivers | grep -qx "$1" || return
	drivers | grep -qx chaosimg-generic || return
	log_since "$mark" | grep "$1.*self-test"
}

spoiled_generic() {
	mark="spoiled generic $$"
	echo "$mark" >/dev/kmsg
	! modprobe chaosimg spoil=generic || return
	! grep -q chaosimg /proc/crypto || return
	log_since "$mark" | grep "generic.*self-test"
}

ok "a request for chaosimg loads it" loads_by chaosimg
ok "it can be unloaded" unload
ok "a request for chaosimg-generic loads it" loads_by chaosimg-generic
all=$(drivers)
ok "it can be unloaded again" unload
ok "so does its alias crypto-chaosimg" loads_by_alias crypto-chaosimg
ok "and it can be unloaded" unload
ok "modinfo says a licence that the kernel takes" says license '^(Dual BSD/)?GPL'
ok "modinfo says what it is" says description chaosimg
ok "modinfo says whose it is" says author .
ok "modinfo says the aliases" says alias '^crypto-chaosimg$'
if modinfo -F parm chaosimg | grep -q ^spoil; then
	for driver in $all; do
		[ "$driver" != chaosimg-generic ] || continue
		ok "$driver is left out if its self-test fails" spoiled "$driver"
		unload
	done
	ok "loading fails if generic's self-test fails" spoiled_generic
fi
ok "it loads after all that" loads_by chaosimg
done_testing
