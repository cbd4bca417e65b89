#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# kcapi-enc, libkcapi's own program, as a client that this project did not
# write: files there and back by every driver, which all agree.

. "$(dirname "$0")/tap.sh"
need kcapi-enc cmp xxd awk
need_chaosimg

# The longest known answer of whole blocks; kcapi-enc pads others.
vector=$(grep '^{' "$here/chaosimg.json" | awk -F '"' \
	'length($12) % 32 == 0 && length($12) >= n { n = length($12); v = $0 }
	END { print v }')

# field NAME: of the vector, to stdout as bytes
field() {
	echo "$vector" | sed "s/.*\"$1\":\"\([0-9a-f]*\)\".*/\1/" |
		xxd -r -p
}

iv=000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f
head -c 32 /dev/urandom >"$work/key"

# enc -e|-d DRIVER IN OUT [KEY]
enc() {
	kcapi-enc -q "$1" -c "$2" --iv $iv --keyfd 3 -i "$3" -o "$4" --nounpad \
		3<"${5:-$work/key}"
}

# round DRIVER FILE: encrypted, it is another file of the same length
round() {
	enc -e "$1" "$2" "$work/encrypted.$1" || return
	! cmp -s "$2" "$work/encrypted.$1" || return
	[ "$(wc -c <"$2")" = "$(wc -c <"$work/encrypted.$1")" ] || return
	cmp "$work/encrypted.chaosimg" "$work/encrypted.$1" || return
	rm -f "$work/back"
	enc -d "$1" "$work/encrypted.$1" "$work/back" && cmp "$2" "$work/back"
}

known_answer() {
	field key >"$work/known.key"
	field plaintext >"$work/known.plain"
	field ciphertext >"$work/known.cipher"
	iv=$(field iv | xxd -p -c 64)
	enc -e "$1" "$work/known.plain" "$work/known.out" "$work/known.key" &&
		cmp "$work/known.cipher" "$work/known.out"
}

# wrong_key FILE
wrong_key() {
	head -c 32 /dev/urandom >"$work/other"
	rm -f "$work/back"
	enc -d chaosimg "$work/encrypted.chaosimg" "$work/back" "$work/other" &&
		! cmp -s "$1" "$work/back"
}

short_key() {
	head -c 16 /dev/urandom >"$work/other"
	enc -e chaosimg "$1" "$work/none" "$work/other"
}

for size in 16 512 4096 65536; do
	head -c $size /dev/urandom >"$work/plain"
	rm -f "$work"/encrypted.*
	for driver in chaosimg $(drivers); do
		ok "$driver: a file of $size bytes" round "$driver" "$work/plain"
	done
done
for driver in chaosimg $(drivers); do
	ok "$driver: a known answer" known_answer "$driver"
done
ok "another key gives something else" wrong_key "$work/plain"
fails "a key of 16 bytes is refused" short_key "$work/plain"
done_testing
