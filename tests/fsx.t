#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Random operations on files in the mount against a model in memory: reads,
# writes, mappings, truncation, holes, copies, links, renames, further handles,
# mounting anew; then processes and threads in the same files.
#
# Each run goes on for FSX_SECONDS (3), with seeds from FSX_SEED on. A sequence
# that fails is shrunk and printed, for build/tests/fsx --replay. The long
# version: FSX_SECONDS=600, with TMPDIR on a tmpfs for more operations.
cd "$(dirname "$0")/.." || exit 1
. tests/lib/tap.sh
. tests/lib/archive.sh

reason=$(mount_obstacle) && skip_all "$reason"
scratch || bail "no temporary folder"
seconds=${FSX_SECONDS:-3}
seed=${FSX_SEED:-$(date +%s)000}
fsx=$BUILD/tests/fsx
mkdir "$work/plain"

# run NAME OPTION..: says how much was done, too
run() {
	local name=$1
	shift
	ok "$name" "$fsx" --seconds "$seconds" --seed "$seed" "$@"
	grep '^#' "$tap_log"
}

# --- the test itself ---------------------------------------------------------

run "the model is right on a plain folder" --seconds 1 --no-direct \
	"$work/plain"
fails "a wrong model is found" 1 'shrunk to [1-6],' "$fsx" --wrong-punch \
	--no-direct --seed 1 "$work/plain"
grep -v '^#' "$tap_log" >"$work/found"
fails "what it was shrunk to fails again" 1 'are wrong' "$fsx" \
	--wrong-punch --no-direct --replay "$work/found" "$work/plain"
ok "and is right with a right model" "$fsx" --no-direct \
	--replay "$work/found" "$work/plain"

# --- the mount ---------------------------------------------------------------

sums() {
	(cd "$mnt" && find . -type f -exec sha256sum {} + | sort)
}

# variant NAME CHUNK OPTION
variant() {
	local name=$1 chunk=$2 kept
	shift 2
	archive=$work/archive-$chunk
	echo "keyfile=$key,$1" >"$work/options"
	archive_mount "$1" || bail "no mount"
	run "$name: alone" --fuse --chunk "$chunk" --jobs 2 --ops 4000 \
		"$mnt"
	run "$name: processes and threads in the same files" --shared 3x3 "$mnt"
	kept=$(sums)
	ok "$name: umount" archive_umount
	archive_mount "$1" || bail "no mount"
	is "$name: the same from the disk" "$(sums)" "$kept"
	rm -r "$mnt"/*
	ok "$name: umount" archive_umount
}

"$BUILD/chaosimg" keyfile "$key" || bail "no key"
for chunk in 4096 8192 65536; do
	"$BUILD/chaosimg" init --keyfile "$key" --chunk-size $chunk \
		"$work/archive-$chunk" || bail "no archive"
done
variant "chunks of 64 KiB" 65536 rw
variant "chunks of 4 KiB, each write at once" 4096 no_writeback
variant "chunks of 8 KiB, two threads" 8192 threads=2

cat >"$work/again" <<END
#!/bin/bash
$(declare -f unmount)
unmount "$mnt" && "$BUILD/chaosimgfs" -o "\$(cat "$work/options")" "$archive" "$mnt"
END
chmod +x "$work/again"
# The daemon that it mounts in the end is not a child of this shell.
mounted_anew() {
	"$BUILD/chaosimgfs" -o "$(cat "$work/options")" "$archive" "$mnt" &&
		"$fsx" --seconds "$seconds" --seed "$seed" --fuse --ops 30000 \
			--remount "$work/again" "$mnt"
}
ok "mounted anew while it works" mounted_anew
grep '^#' "$tap_log"
unmount "$mnt"
for chunk in 4096 8192 65536; do
	ok "fsck finds nothing, chunks of $chunk" "$BUILD/chaosimg" fsck \
		--dry-run --keyfile "$key" "$work/archive-$chunk"
done
done_testing
