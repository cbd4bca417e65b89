// SPDX-License-Identifier: GPL-2.0-or-later
/* Whole reads and writes, and the buffers for them. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/crypto.h>

#include "file.h"

ssize_t read_full(int fd, void *buf, size_t len, uint64_t off)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = pread(fd, (char *)buf + done, len - done,
				  (off_t)(off + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (!n)
			break;
		done += n;
	}
	return done;
}

int write_full(int fd, const void *buf, size_t len, uint64_t off)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = pwrite(fd, (const char *)buf + done, len - done,
				   (off_t)(off + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (!n)
			return -EIO;
		done += n;
	}
	return 0;
}

struct thread_buffer {
	size_t size;
	uint8_t data[];
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t tls_key;
static bool tls_ready;

static void thread_buffer_free(void *p)
{
	struct thread_buffer *b = p;

	if (!b)
		return;
	OPENSSL_cleanse(b->data, b->size);
	free(b);
}

static void init_once(void)
{
	tls_ready = !pthread_key_create(&tls_key, thread_buffer_free);
}

uint8_t *scratch(size_t len)
{
	struct thread_buffer *b;

	pthread_once(&once, init_once);
	if (!tls_ready)
		return NULL;
	b = pthread_getspecific(tls_key);
	if (b && b->size >= len)
		return b->data;
	thread_buffer_free(b);
	pthread_setspecific(tls_key, NULL);
	b = malloc(sizeof(*b) + len);
	if (!b)
		return NULL;
	b->size = len;
	if (pthread_setspecific(tls_key, b)) {
		free(b);
		return NULL;
	}
	return b->data;
}

/* A few wiped buffers of the size last used are kept for the next file. */
enum {
	POOL_MAX = 1024,
	POOL_BYTES = 4 << 20,
};

static pthread_mutex_t pool_lock = PTHREAD_MUTEX_INITIALIZER;
static uint8_t *pool[POOL_MAX];
static size_t pool_count;
static uint32_t pool_size;

uint8_t *buffer_get(uint32_t chunk_size)
{
	uint8_t *buf = NULL;

	pthread_mutex_lock(&pool_lock);
	if (pool_count && pool_size == chunk_size)
		buf = pool[--pool_count];
	pthread_mutex_unlock(&pool_lock);
	return buf ? buf : calloc(1, chunk_size);
}

void buffer_put(uint8_t *buf, uint32_t chunk_size)
{
	if (!buf)
		return;
	/* As certain as OPENSSL_cleanse(), and faster for so much. */
	explicit_bzero(buf, chunk_size);
	pthread_mutex_lock(&pool_lock);
	if (!pool_count)
		pool_size = chunk_size;
	if (pool_count < POOL_MAX && pool_count < POOL_BYTES / chunk_size &&
	    pool_size == chunk_size) {
		pool[pool_count++] = buf;
		buf = NULL;
	}
	pthread_mutex_unlock(&pool_lock);
	free(buf);
}

__attribute__((destructor)) static void pool_free(void)
{
	while (pool_count)
		free(pool[--pool_count]);
}
