#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# fio writes, reads back and verifies: sequentially and at random, in blocks
# that fit the chunks and in blocks that do not, through system calls and mmap.
cd "$(dirname "$0")/.." || exit 1
. tests/lib/tap.sh
. tests/lib/archive.sh

reason=$(mount_obstacle) && skip_all "$reason"
command -v fio >/dev/null || skip_all "needs fio"
scratch || bail "no temporary folder"

# job NAME OPTION..: a run of fio whose blocks carry their own checksums
job() {
	local name=$1
	shift
	ok "$name" fio --name=job --directory="$mnt" --filename="${name// /-}" \
		--verify=crc32c --verify_fatal=1 --do_verify=1 --minimal \
		--verify_state_save=0 --randseed=4711 --thread "$@"
}

ok "archive" archive_new
ok "mount" archive_mount || bail "no mount"
job "sequential write of large blocks" --rw=write --bs=1m --size=64m
job "sequential write of odd blocks" --rw=write --bs=5003 --size=10000997
job "random write of chunks" --rw=randwrite --bs=64k --size=32m
job "random write of pages" --rw=randwrite --bs=4k --size=8m
job "random write of odd sizes" --rw=randwrite --bsrange=512-70000 \
	--bs_unaligned --size=16m
job "random write and read with fsync" --rw=randrw --bs=16k --size=4m --fsync=8
job "mapped sequential write" --ioengine=mmap --rw=write --bs=64k --size=16m
job "mapped random write" --ioengine=mmap --rw=randwrite --bs=4k --size=8m
job "four writers, each in a part of its own" --rw=randwrite --bs=8k \
	--size=4m --numjobs=4 --offset_increment=4m --group_reporting
job "vectored and asynchronous" --ioengine=libaio --iodepth=16 --rw=randwrite \
	--bs=32k --size=16m
job "mixed sizes from several jobs" --rw=randwrite --bsrange=512-200000 \
	--bs_unaligned --size=4m --numjobs=4 --offset_increment=4m \
	--group_reporting --fsync=32
job "direct I/O" --ioengine=psync --direct=1 --rw=randwrite --bs=4k --size=4m

# What was written is verified again from the disk, after mounting anew.
again() {
	local name=$1
	shift
	ok "$name, read anew" fio --name=job --directory="$mnt" \
		--filename="${name// /-}" --verify=crc32c --verify_fatal=1 \
		--verify_only --minimal --verify_state_save=0 --randseed=4711 --thread "$@"
}
ok "umount" archive_umount
ok "mount again" archive_mount || bail "no second mount"
again "sequential write of large blocks" --rw=write --bs=1m --size=64m
again "random write of pages" --rw=randwrite --bs=4k --size=8m
again "random write of odd sizes" --rw=randwrite --bsrange=512-70000 \
	--bs_unaligned --size=16m
again "mixed sizes from several jobs" --rw=randwrite --bsrange=512-200000 \
	--bs_unaligned --size=4m --numjobs=4 --offset_increment=4m \
	--group_reporting
again "vectored and asynchronous" --ioengine=libaio --iodepth=16 \
	--rw=randwrite --bs=32k --size=16m
again "mapped random write" --ioengine=mmap --rw=randwrite --bs=4k --size=8m
ok "umount" archive_umount
done_testing
