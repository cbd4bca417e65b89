#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The module's own object files, run in user space: a virtual machine without
# KVM has no AVX-512, but this machine may have them. Each
# implementation is tried as it was compiled for the kernel, against all vectors
# and against generic, for each kernel whose headers are installed.

set -u
cd "$(dirname "$(readlink -f "$0")")/.." || exit 1
. tests/lib/tap.sh

out=$(pwd)/${BUILD:-build}/kmod-objects
shopt -s nullglob
kernels=(/lib/modules/*/build/)

[ "$(uname -m)" = x86_64 ] || skip_all "the objects are for x86-64"
[ ${#kernels[@]} != 0 ] || skip_all "no kernel headers are installed"
command -v python3 >/dev/null || skip_all "python3 is not installed"
mkdir -p "$out"

has() {
	local flag
	for flag; do
		grep -m1 '^flags' /proc/cpuinfo | grep -qw "$flag" || return
	done
}

# The drivers that the module would register here, the best one first.
drivers() {
	! has avx512f avx512bw avx512vl gfni vaes vpclmulqdq ||
		echo vaes-avx512
	! has avx2 vaes || echo vaes-avx2
	! has aes pclmulqdq ssse3 sse4_1 || echo aesni
	echo generic
}

# build KERNEL KDIR: a program made of the module's cipher and the vectors' test
build() {
	local objects
	make -s -j"$(nproc)" BUILD="$out" KDIR="$2" modules || return
	objects=("$out/kmod-$1"/cipher/*.o)
	"${CC:-gcc}" -O2 -no-pie -Icipher -o "$out/program-$1" \
		tests/lib/cipher_vectors.c tests/lib/kernel_stubs.S \
		cipher/cpu.c cipher/message.c "${objects[@]}"
}

# A program that ends early has not printed its plan.
right() {
	local status=0
	"$out/program-$1" $(drivers) <"$out/vectors" >"$out/log" || status=$?
	grep -v '^ok' "$out/log"
	[ $status = 0 ] && grep -q '^1\.\.[1-9]' "$out/log" &&
		! grep -q '^not ok' "$out/log"
}

tests/lib/vectors_text.py >"$out/vectors"
diag "drivers for this machine:" $(drivers)
for kdir in "${kernels[@]}"; do
	kernel=$(basename "$(dirname "$kdir")")
	ok "$kernel: the objects link" build "$kernel" "$kdir" || continue
	ok "$kernel: they are right" right "$kernel"
done
done_testing
