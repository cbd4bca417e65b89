// SPDX-License-Identifier: GPL-2.0-or-later
/* Random bytes: keys, ids, salts and nonces. */
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include <openssl/rand.h>

#include "archive.h"
#include "error.h"

int random_bytes(void *out, size_t len)
{
	if (len > INT_MAX || RAND_bytes(out, (int)len) != 1)
		return fail(EIO, "the random number generator failed");
	return 0;
}

/*
 * A call of the generator costs as much as a few hundred bytes, so each thread
 * draws some in advance. A child of fork(2) must not use the same.
 */
static _Thread_local struct {
	uint8_t bytes[512];
	size_t left;
	unsigned int forks;
} drawn;
static _Atomic unsigned int forks;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static bool watching;

static void count_fork(void)
{
	forks++;
}

static void watch_forks(void)
{
	watching = !pthread_atfork(NULL, NULL, count_fork);
}

int random_public(void *out, size_t len)
{
	pthread_once(&once, watch_forks);
	if (!watching || len > sizeof(drawn.bytes))
		return random_bytes(out, len);
	if (drawn.left < len || drawn.forks != forks) {
		int err = random_bytes(drawn.bytes, sizeof(drawn.bytes));

		if (err)
			return err;
		drawn.left = sizeof(drawn.bytes);
		drawn.forks = forks;
	}
	drawn.left -= len;
	memcpy(out, drawn.bytes + drawn.left, len);
	return 0;
}
