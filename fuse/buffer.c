// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A buffer for each thread, as large as its largest answer: no allocation in
 * the steady path. It holds plaintext, so it is wiped before it is freed.
 */
#include <stdlib.h>
#include <string.h>

#include "fs.h"

#define BUFFER_ALIGN	4096

struct buffer {
	size_t size;
	void *data;
};

static pthread_key_t key;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void drop_data(struct buffer *b)
{
	if (b->data)
		explicit_bzero(b->data, b->size);
	free(b->data);
	b->data = NULL;
	b->size = 0;
}

static void buffer_free(void *p)
{
	drop_data(p);
	free(p);
}

static void make_key(void)
{
	pthread_key_create(&key, buffer_free);
}

static struct buffer *buffer_of_thread(void)
{
	struct buffer *b;

	pthread_once(&once, make_key);
	b = pthread_getspecific(key);
	if (b)
		return b;
	b = calloc(1, sizeof(*b));
	if (b && pthread_setspecific(key, b)) {
		free(b);
		b = NULL;
	}
	return b;
}

void *thread_buffer(size_t size)
{
	struct buffer *b = buffer_of_thread();

	if (!b)
		return NULL;
	if (b->size >= size)
		return b->data;
	drop_data(b);
	size = (size + BUFFER_ALIGN - 1) & ~(size_t)(BUFFER_ALIGN - 1);
	b->data = aligned_alloc(BUFFER_ALIGN, size);
	if (b->data)
		b->size = size;
	return b->data;
}
