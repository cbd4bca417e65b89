// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The process holds keys and patients' images: keep both out of core dumps,
 * swap and other processes' hands.
 */
#include <dlfcn.h>
#include <malloc.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include <cap-ng.h>

#include "fs.h"

#define LARGE_BLOCK	(256 << 10)

/* Every object that the kernel knows costs a descriptor. */
static void raise_descriptors(void)
{
	struct rlimit lim;
	unsigned long most = 0;
	FILE *f = fopen("/proc/sys/fs/nr_open", "re");

	if (f) {
		if (fscanf(f, "%lu", &most) != 1)
			most = 0;
		fclose(f);
	}
	if (most) {
		lim.rlim_cur = lim.rlim_max = most;
		if (!setrlimit(RLIMIT_NOFILE, &lim))
			return;
	}
	if (getrlimit(RLIMIT_NOFILE, &lim))
		return;
	lim.rlim_cur = lim.rlim_max;
	setrlimit(RLIMIT_NOFILE, &lim);
}

/* To end its threads libc loads this library, for which it may be too late. */
static void load_early(void)
{
	dlopen("libgcc_s.so.1", RTLD_NOW | RTLD_GLOBAL);
}

void harden_process(void)
{
	const struct rlimit none = { 0, 0 };

	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	setrlimit(RLIMIT_CORE, &none);
	umask(0);
	raise_descriptors();
	load_early();
}

/*
 * Under a limit, locking what is to come would make malloc() fail. The
 * capability counts as none, but has to be kept then.
 */
static bool may_lock_all(void)
{
	const struct rlimit all = { RLIM_INFINITY, RLIM_INFINITY };

	return !setrlimit(RLIMIT_MEMLOCK, &all) ||
	       (!capng_get_caps_process() &&
		capng_have_capability(CAPNG_EFFECTIVE, CAP_IPC_LOCK));
}

/*
 * libc gives each thread an arena of its own, none of which can give back what
 * is locked: each would stay as large as it ever was. The one that all threads
 * can share, and single large blocks, are given back.
 */
static void share_arena(void)
{
	mallopt(M_ARENA_MAX, 1);
	mallopt(M_MMAP_THRESHOLD, LARGE_BLOCK);
	mallopt(M_TRIM_THRESHOLD, LARGE_BLOCK);
}

void harden_memory(void)
{
	struct rlimit lim;

	share_arena();
	if (may_lock_all() &&
	    !mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT))
		return;
	if (getrlimit(RLIMIT_MEMLOCK, &lim))
		lim.rlim_cur = 0;
	fprintf(stderr, "chaosimgfs: warning: only %llu KiB of memory can be locked (ulimit -l): images and keys of open files may get into swap\n",
		(unsigned long long)lim.rlim_cur >> 10);
}
