#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The kernel module: boots each of $KERNELS (6.1 and 6.12, as Debian has them,
# or "debug") in a virtual machine, runs the kselftests there, and gives each of
# their results as one of its own.

set -u
cd "$(dirname "$(readlink -f "$0")")/.." || exit 1
. tests/lib/tap.sh
. tests/qemu/kernel.sh
export BUILD=${BUILD:-build}
read -ra kernels <<<"${KERNELS:-6.1 6.12}"

# Why there can be no guest here; nothing if there can.
obstacle() {
	local program
	for program in qemu-system-x86_64 busybox cpio depmod kcapi-enc \
		cryptsetup mkfs.ext4; do
		PATH=$PATH:/usr/sbin command -v "$program" >/dev/null ||
			echo "needs $program"
	done | head -n 1
}

# results TAP: a guest's lines as "ok|not|skip<TAB>name[<TAB>reason]"
results() {
	awk '
	/^# selftests: chaosimg: / { test = $NF; next }
	/^# 1\.\.0 # SKIP/ {
		sub(/^.*# SKIP */, "")
		print "skip\t" test "\t" $0
		next
	}
	/^(# )?(not )?ok [0-9]+ / {
		nested = /^# /
		result = /^(# )?not / ? "not" : "ok"
		sub(/^(# )?(not )?ok [0-9]+ (- )?/, "")
		if (nested && match($0, / # SKIP /))
			print "skip\t" test ": " substr($0, 1, RSTART - 1) \
				"\t" substr($0, RSTART + 8)
		else if (nested)
			print result "\t" test ": " $0
		else if (!/# SKIP$/)
			print result "\t" $0
	}' "$1"
}

# show KERNEL TAP STATUS: a guest's results as this file's
show() {
	local result name reason
	while IFS=$'\t' read -r result name reason; do
		case $result in
		skip) skip "$1: $name" "$reason" ;;
		*) tap_result "$result" "$1: $name" ;;
		esac
	done < <(results "$2")
	is "$1: the guest succeeds" "$3" 0 && return
	grep -E '^(# )?not ok|^# # |^# [^#]*: |^Bail out' "$2" |
		head -n 200 >&2
}

# Tests that a guest must not survive: or would a real one be missed?
make_broken() {
	mkdir -p "$broken"
	printf '#!/bin/sh\n%s\n' 'exit 3' >"$broken/fails"
	printf '#!/bin/sh\n%s\n' 'echo "WARNING: by hand" >/dev/kmsg' \
		>"$broken/warns"
	printf '#!/bin/sh\n%s\n' 'echo c >/proc/sysrq-trigger' \
		>"$broken/panics"
	printf '#!/bin/sh\n%s\n' 'sleep 1000' >"$broken/hangs"
	chmod +x "$broken"/*
}

broken_guest() { # SECONDS KERNEL TEST..
	SELFTESTS=$broken tests/qemu/run -t "$@"
}

not_survived() {
	broken_guest 90 "${kernels[0]}" fails warns panics >"$broken.tap" &&
		return 1
	cat "$broken.tap"
	grep -q '^not ok 1 .*fails.*exit=3' "$broken.tap" &&
		grep -q '^ok 2 .*warns' "$broken.tap" &&
		grep -q '^# .*WARNING: by hand' "$broken.tap" &&
		grep -q '^# .*Kernel panic' "$broken.tap" &&
		grep -q '^not ok .*came to its end' "$broken.tap" &&
		grep -q '^not ok .*log reports' "$broken.tap"
}

not_hung() {
	broken_guest 25 "${kernels[0]}" hangs >"$broken.tap" && return 1
	cat "$broken.tap"
	grep -q '^not ok .*came to its end' "$broken.tap" &&
		grep -q '^ok .*log reports' "$broken.tap"
}

# On a CPU that computes VAES wrongly, as qemu 7.2's does, that driver must not
# be there; a later qemu may be right.
make_proof() {
	mkdir -p "$proof"
	cat >"$proof/vaes" <<'END'
#!/bin/sh
grep -qw vaes /proc/cpuinfo || exit 4
modprobe chaosimg || exit
grep '^driver *: chaosimg-' /proc/crypto
if grep -q '^driver *: chaosimg-vaes-avx2$' /proc/crypto; then
	echo "this CPU computes VAES rightly"
else
	dmesg | grep 'chaosimg: chaosimg-vaes-avx2 failed its self-test' &&
		grep '^driver *: chaosimg-aesni$' /proc/crypto
fi
END
	chmod +x "$proof/vaes"
}

proves_itself() {
	GUEST_CPU=max SELFTESTS=$proof tests/qemu/run -t 90 "${kernels[0]}" \
		vaes >"$proof.tap"
	local status=$?
	cat "$proof.tap"
	return $status
}

why=$(obstacle)
[ -z "$why" ] || skip_all "$why"
usable=()
for kernel in "${kernels[@]}"; do
	if why=$(find_kernel "$kernel" 2>&1 >/dev/null); then
		usable+=("$kernel")
	else
		skip "$kernel" "$why"
	fi
done
kernels=("${usable[@]}")
if [ ${#kernels[@]} = 0 ]; then
	done_testing
fi

ok "the vectors are the same everywhere" \
	cmp tests/vectors/chaosimg.json tests/kselftest/chaosimg.json
ok "what a guest needs can be built" tests/qemu/build "${kernels[@]}" ||
	done_testing

work=$(mktemp -d "${TMPDIR:-/tmp}/chaosimg.XXXXXXXX")
broken=$work/broken
proof=$work/proof
guests=()
trap 'kill "${guests[@]}" 2>/dev/null; rm -rf "$work"' EXIT
trap 'exit 130' HUP INT TERM
limit=420
[ "${kernels[0]}" != debug ] || limit=3000
for kernel in "${kernels[@]}"; do
	tests/qemu/run -t $limit "$kernel" >"$work/$kernel.tap" 2>&1 &
	guests+=($!)
done
for i in "${!kernels[@]}"; do
	status=0
	wait "${guests[$i]}" || status=$?
	show "${kernels[$i]}" "$work/${kernels[$i]}.tap" $status
done
guests=()

make_broken
ok "a failing test, a warning and a panic are noticed" not_survived
ok "a guest that hangs is noticed" not_hung
make_proof
ok "an implementation that the CPU computes wrongly is refused" proves_itself
done_testing
