#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What clang makes of vaes-avx512, on any CPU: no gf2p8affineqb may take a matrix
# from memory and broadcast it, as clang up to 19 gives such a one a wrong
# address.
cd "$(dirname "$0")/.." || exit 1
. tests/lib/tap.sh

for program in clang objdump; do
	command -v $program >/dev/null || skip_all "$program is not installed"
done
[ "$(uname -m)" = x86_64 ] || skip_all "not for this machine"
work=$(mktemp -d "${TMPDIR:-/tmp}/chaosimg.XXXXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' HUP INT TERM

# As the Makefile compiles it.
flags="-std=gnu11 -D_GNU_SOURCE -ffreestanding -O3 -fPIC -maes -mpclmul
	-mavx512f -mavx512bw -mavx512vl -mvaes -mvpclmulqdq -mgfni -Icipher"

# affine OBJECT: such instructions
affine() {
	objdump -d "$1" | grep -E 'vgf2p8affine(inv)?qb'
}

no_broadcast() { # FLAG..
	# shellcheck disable=SC2086
	clang $flags "$@" -c -o "$work/avx512.o" cipher/avx512.c || return
	affine "$work/avx512.o" >"$work/all" || return
	! grep -F '{1to' "$work/all"
}

wrong_address() {
	echo 'vgf2p8affineqb $0, 8(%rsp){1to8}, %zmm1, %zmm1' >"$work/one.s"
	clang -c -o "$work/one.o" "$work/one.s" && affine "$work/one.o" |
		grep -F '$0x0,0x40(%rsp){1to8}'
}

if version=$(clang -dumpversion) && [ "${version%%.*}" -lt 20 ]; then
	ok "clang $version has this fault" wrong_address
	ok "the implementation avoids it" no_broadcast
	ok "with sanitizers, too" no_broadcast -fsanitize=address,undefined \
		-fno-omit-frame-pointer
else
	skip_all "clang $version has no such fault"
fi
done_testing
