// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Memory for secrets: OpenSSL's secure heap, an arena between guard pages
 * that is locked into RAM, left out of core dumps and wiped when freed.
 */
#include <errno.h>
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include <openssl/crypto.h>

#include "archive.h"
#include "error.h"

enum {
	ARENA_MAX = 16 << 20,
	/* Enough for the keys of one archive or image. */
	ARENA_MIN = 32 << 10,
	UNIT = 64,
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static bool ready;
static void *arena;
static size_t arena_size;

/*
 * fork(2) does not hand locks on memory down to the child, and a daemon is
 * its starter's child.
 */
static void relock_arena(void)
{
	if (arena)
		mlock2(arena, arena_size, MLOCK_ONFAULT);
}

/*
 * One block as large as the arena begins where the arena begins. Wiping it has
 * fetched all of the memory, which now goes back until it is used; but not the
 * first page, where OpenSSL keeps its list of free blocks.
 */
static bool find_arena(size_t size)
{
	size_t page = sysconf(_SC_PAGESIZE);

	arena = OPENSSL_secure_malloc(size);
	arena_size = size;
	OPENSSL_secure_free(arena);
	if (arena && size > page && !munlock(arena, size)) {
		madvise((char *)arena + page, size - page, MADV_DONTNEED);
		if (mlock2(arena, size, MLOCK_ONFAULT) && mlock(arena, size))
			return false;
	}
	pthread_atfork(NULL, NULL, relock_arena);
	return true;
}

/*
 * How much may be locked (RLIMIT_MEMLOCK) is known only after trying. OpenSSL
 * returns 2 for an arena that it could not lock: that one is given back.
 */
static void init_arena(void)
{
	size_t size;

	if (CRYPTO_secure_malloc_initialized()) {
		ready = true;
		return;
	}
	for (size = ARENA_MAX; size >= ARENA_MIN && !ready; size /= 2) {
		int ret = CRYPTO_secure_malloc_init(size, UNIT);

		if (ret == 1)
			ready = true;
		else if (ret == 2)
			CRYPTO_secure_malloc_done();
		if (ready && !find_arena(size)) {
			ready = false;
			break;
		}
	}
}

void *secret_alloc(size_t len)
{
	void *p;

	pthread_once(&once, init_arena);
	/* Without its arena OpenSSL would hand out ordinary memory. */
	if (!ready) {
		fail(ENOMEM, "no memory can be locked for keys; raise the limit of locked memory (ulimit -l)");
		return NULL;
	}
	p = OPENSSL_secure_zalloc(len ? len : 1);
	if (!p)
		fail(ENOMEM, "no locked memory is left for keys; raise the limit of locked memory (ulimit -l)");
	return p;
}

void secret_free(void *p)
{
	/* Wipes the whole block. */
	OPENSSL_secure_free(p);
}
