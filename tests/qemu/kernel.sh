# SPDX-License-Identifier: GPL-2.0-or-later
# Which kernel a name means; source it from the top folder.
# shellcheck shell=bash

# find_kernel KERNEL: 6.1 or 6.12, Debian's newest of that series; a release
# below /boot; or "debug", built if need be by tests/qemu/debug-kernel. Sets
# $image, $release, $kdir (what modules are built against), $modules (the
# folder of lib/modules); or prints why not.
find_kernel() {
	local out
	if [ "$1" = debug ]; then
		out=$(tests/qemu/debug-kernel) || return
		image=$out/arch/x86/boot/bzImage
		release=$(cat "$out/include/config/kernel.release")
		kdir=$out
		modules=$out/root
		return
	fi
	image=$(ls -v /boot/vmlinuz-"$1" /boot/vmlinuz-"$1".*-amd64 \
		2>/dev/null | grep -vE 'cloud|rt-amd64' | tail -n 1)
	if [ -z "$image" ]; then
		echo "no kernel $1 in /boot" >&2
		return 1
	fi
	release=${image#/boot/vmlinuz-}
	kdir=/lib/modules/$release/build
	modules=/
	if [ ! -e "$kdir/Makefile" ]; then
		echo "no headers of kernel $release" >&2
		return 1
	fi
}
