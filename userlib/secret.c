// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Memory for secrets: OpenSSL's secure heap, an arena between guard pages
 * that is locked into RAM, left out of core dumps and wiped when freed.
 */
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <openssl/crypto.h>

#include "archive.h"
#include "error.h"

enum {
	ARENA_USUAL = 16 << 20,
	/* Enough for the keys of one archive or image. */
	ARENA_MIN = 32 << 10,
	UNIT = 64,
	/* What OpenSSL notes about units, it clears at the start. */
	UNITS_MAX = 4 << 20,
	/* The keys of an open file take less. */
	FILE_KEYS = 4 << 10,
};

/* Address space alone; memory is taken as it is used. */
#define ARENA_MAX	((size_t)4 << 30)

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
 * OpenSSL does not say where its arena begins, but of any address whether it is
 * in there.
 */
static void *arena_start(uintptr_t inside, size_t size)
{
	uintptr_t in = inside, out = inside - size;

	while (in - out > 1) {
		uintptr_t mid = out + (in - out) / 2;

		if (CRYPTO_secure_allocated((void *)mid))
			in = mid;
		else
			out = mid;
	}
	return (void *)in;
}

static void find_arena(size_t size)
{
	void *inside = OPENSSL_secure_malloc(1);

	if (!inside)
		return;
	arena = arena_start((uintptr_t)inside, size);
	arena_size = size;
	OPENSSL_secure_free(inside);
	pthread_atfork(NULL, NULL, relock_arena);
}

/* Room for as many files as the process may have open. */
static size_t wanted_size(void)
{
	size_t size = ARENA_USUAL;
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files))
		return size;
	while (size < ARENA_MAX && size / FILE_KEYS < files.rlim_cur)
		size *= 2;
	return size;
}

static size_t unit_for(size_t size)
{
	return size / UNIT > UNITS_MAX ? size / UNITS_MAX : UNIT;
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
	for (size = wanted_size(); size >= ARENA_MIN && !ready; size /= 2) {
		int ret = CRYPTO_secure_malloc_init(size, unit_for(size));

		if (ret == 1) {
			ready = true;
			find_arena(size);
		} else if (ret == 2) {
			CRYPTO_secure_malloc_done();
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
