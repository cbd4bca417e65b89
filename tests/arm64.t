#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The cipher on 64-bit ARM, cross-compiled and emulated: arm64-ce and generic
# against all vectors and each other. The program's TAP is printed.
set -eu
cd "$(dirname "$(readlink -f "$0")")/.."

for program in aarch64-linux-gnu-gcc qemu-aarch64 python3; do
	command -v "$program" >/dev/null && continue
	echo "1..0 # SKIP $program is not installed"
	exit 0
done
if ! echo 'int main(void) { return 0; }' | aarch64-linux-gnu-gcc -static \
	-x c -o /dev/null - 2>/dev/null; then
	echo "1..0 # SKIP libc6-dev-arm64-cross is not installed"
	exit 0
fi

dir=$(pwd)/${BUILD:-build}/arm64
program=$dir/tests/cipher_vectors
mkdir -p "$dir"
# Only the cipher is built: no library's flags are asked for.
make -s CC=aarch64-linux-gnu-gcc PKG_CONFIG=true SAN= BUILD="$dir" \
	"$program" >"$dir/log" 2>&1 || {
	sed 's/^/# /' "$dir/log" >&2
	echo "Bail out! it does not build"
	exit 1
}
tests/lib/vectors_text.py >"$dir/vectors"
qemu-aarch64 -cpu cortex-a57 "$program" arm64-ce generic <"$dir/vectors"
