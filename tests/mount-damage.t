#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Whatever happens to what is stored: an error for that file and a line in the
# log that names it, never wrong bytes, and every other file unharmed.
cd "$(dirname "$0")/.." || exit 1
. tests/lib/tap.sh
. tests/lib/archive.sh

reason=$(mount_obstacle) && skip_all "$reason"
scratch || bail "no temporary folder"
archive_new || bail "no archive"
plain=$work/plain
count=150
mkdir "$plain" "$plain/other"

# stored FILE: the stored file behind a file of the mount
stored() {
	find "$archive/data" -inum "$(stat -c %i "$mnt/$1")"
}

# remounted COMMAND..: unmount, harm the stored files, mount again
remounted() {
	archive_umount || return
	"$@" || return
	: >"$daemon_log"
	archive_mount
}

# reads_or_fails FILE..: right bytes, or an error and a line in the log
reads_or_fails() {
	local f status
	errors=0
	for f; do
		cat "$mnt/$f" >"$work/got" 2>"$work/error"
		status=$?
		if [ $status = 0 ]; then
			cmp "$work/got" "$plain/$f" || return
			continue
		fi
		grep -q "Input/output error" "$work/error" || return
		head -c "$(stat -c %s "$work/got")" "$plain/$f" |
			cmp - "$work/got" || return
		grep -qF "$(basename "${where[$f]}"): " "$daemon_log" || return
		errors=$((errors + 1))
	done
	diag "$errors of $# files were refused"
}

# all_fail FILE..: as before, and every one is refused
all_fail() {
	reads_or_fails "$@" && [ $errors = $# ]
}

unharmed() {
	local f
	for f in "$plain"/good-* "$plain"/other/good-*; do
		cmp "$f" "$mnt/${f#"$plain"/}" || return
	done
}

for ((i = 0; i < count; i++)); do
	head -c $((i * 1237)) /dev/urandom >"$plain/flip-$i"
done
for ((i = 0; i < 20; i++)); do
	head -c $((i * 9000)) /dev/urandom >"$plain/cut-$i"
	head -c $((i * 9000)) /dev/urandom >"$plain/long-$i"
	head -c $((i * 9000)) /dev/urandom >"$plain/good-$i"
	head -c 150000 /dev/urandom >"$plain/other/good-$i"
done
for name in swap-1 swap-2 other/swap-3 other/swap-4 replaced linked chunk; do
	head -c 400000 /dev/urandom >"$plain/$name"
done
archive_mount || bail "no mount"
cp -r "$plain/." "$mnt"
declare -A where
while read -r f; do
	where[$f]=$(stored "$f")
done < <(cd "$plain" && find . -type f -printf '%P\n')
fsize() {
	stat -c %s "$1"
}

flip_bits() {
	python3 - "${where[@]}" <<-'END'
		import os, random, sys
		for path in sys.argv[1:]:
		    size = os.path.getsize(path)
		    at, bit = random.randrange(size), random.randrange(8)
		    with open(path, "r+b") as f:
		        f.seek(at)
		        byte = f.read(1)[0]
		        f.seek(at)
		        f.write(bytes([byte ^ 1 << bit]))
	END
}

harm() {
	local i
	(
		for i in "${!where[@]}"; do
			[[ $i = flip-* ]] || unset "where[$i]"
		done
		flip_bits
	) || return
	for ((i = 0; i < 20; i++)); do
		truncate -s -$((1 + RANDOM % 4000)) "${where[cut-$i]}"
		head -c $((1 + RANDOM % 9000)) /dev/urandom \
			>>"${where[long-$i]}"
	done
	mv "${where[swap-1]}" "$work/x"
	mv "${where[swap-2]}" "${where[swap-1]}"
	mv "$work/x" "${where[swap-2]}"
	mv "${where[other/swap-3]}" "$work/x"
	mv "${where[other/swap-4]}" "${where[other/swap-3]}"
	mv "$work/x" "${where[other/swap-4]}"
	cp "${where[good-1]}" "${where[replaced]}"
	ln -f "${where[good-2]}" "${where[linked]}"
	printf x | dd of="${where[chunk]}" bs=1 conv=notrunc status=none \
		seek=$((4096 + 8248 * 24 + 1000))
}

ok "harm" remounted harm
ok "one bit flipped somewhere" \
	reads_or_fails $(seq -f 'flip-%g' 0 $((count - 1)))
ok "most of them are found" [ "$errors" -gt $((count / 2)) ]
ok "cut" all_fail $(seq -f 'cut-%g' 0 19)
ok "extended" all_fail $(seq -f 'long-%g' 0 19)
ok "exchanged in a directory" all_fail swap-1 swap-2
ok "exchanged in another" all_fail other/swap-3 other/swap-4
ok "replaced by a copy of another" all_fail replaced
fails "another's hard link" 1 "Input/output error" cat "$mnt/linked"
fails "before the damaged chunk" 0 "" \
	dd if="$mnt/chunk" of="$work/got" bs=64k count=2 iflag=direct
ok "are the right bytes" cmp -n 131072 "$work/got" "$plain/chunk"
fails "in it" 1 "Input/output error" \
	dd if="$mnt/chunk" of=/dev/null bs=64k skip=3 count=1 iflag=direct
ok "the log names the chunk" grep -E \
	"$(basename "${where[chunk]}"): .*chunk [23]" "$daemon_log"
ok "no plain name is in the log" \
	bash -c "! grep -E 'flip-|swap-|good-' '$daemon_log'"
ok "every other file is unharmed" unharmed
ok "the listing is complete" diff <(cd "$plain" && find . | sort) \
	<(cd "$mnt" && find . | sort)
ok "damaged files can be removed" rm "$mnt/flip-9" "$mnt/cut-9" "$mnt/long-9"
ok "and written anew" cp "$plain/flip-9" "$mnt/flip-9"
ok "are then whole" cmp "$plain/flip-9" "$mnt/flip-9"

# Directories: their ids, and names that do not belong there.
mkdir "$mnt/dir-1" "$mnt/dir-2" "$mnt/dir-3" "$mnt/dir-4"
for i in 1 2 3 4; do
	echo "$i" >"$mnt/dir-$i/file"
	where[dir-$i]=$(stored dir-$i)
done
harm_directories() {
	rm "${where[dir-1]}/chaosimg.dir"
	mv "${where[dir-2]}" "$work/x"
	mv "${where[dir-3]}" "${where[dir-2]}"
	mv "$work/x" "${where[dir-3]}"
	cp -a "${where[good-3]}" "${where[dir-4]}"
	echo foreign >"${where[dir-4]}/foreign"
}
ok "harm directories" remounted harm_directories
fails "without an id" 2 "Input/output error" ls "$mnt/dir-1"
fails "exchanged" 2 "Input/output error" ls "$mnt/dir-2"
fails "with another" 2 "Input/output error" ls "$mnt/dir-3"
is "names from elsewhere are left out" "$(ls "$mnt/dir-4")" file
is "its own file is unharmed" "$(cat "$mnt/dir-4/file")" 4
ok "they are in the log" grep foreign "$daemon_log"
ok "every other file is unharmed" unharmed
ok "a directory with foreign names is not removed" \
	bash -c "rm '$mnt/dir-4/file' && ! rmdir '$mnt/dir-4'"
ok "nor are they" test -e "${where[dir-4]}/foreign"

# While it is mounted, in what the kernel has not cached.
head -c 4000000 /dev/urandom >"$plain/live"
cp "$plain/live" "$mnt/live"
ok "mount again" remounted true
exec 5<"$mnt/live"
printf x | dd of="$(stored live)" bs=1 conv=notrunc status=none seek=3500000
fails "harmed while open" 1 "Input/output error" cat /dev/fd/5
exec 5<&-
ok "umount" archive_umount
done_testing
