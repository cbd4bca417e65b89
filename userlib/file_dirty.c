// SPDX-License-Identifier: GPL-2.0-or-later
/* The chunks of an open file that are newer in memory than on the disk. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "file.h"

static _Atomic size_t total;	/* bytes, of all files */

static struct dirty **bucket(struct chaosimg_file *f, uint64_t k)
{
	return &f->dirty_bucket[k % DIRTY_BUCKETS];
}

struct dirty *dirty_find(const struct chaosimg_file *f, uint64_t k)
{
	struct dirty *d = f->dirty_bucket[k % DIRTY_BUCKETS];

	while (d && d->chunk != k)
		d = d->next;
	return d;
}

bool dirty_pressure(struct chaosimg_file *f)
{
	size_t bytes;

	pthread_mutex_lock(&f->lock);
	bytes = f->dirty_count * f->chunk_size;
	pthread_mutex_unlock(&f->lock);
	return bytes >= DIRTY_FILE_MAX || (bytes && total >= DIRTY_TOTAL_MAX);
}

struct dirty *dirty_new(struct chaosimg_file *f, uint64_t k)
{
	struct dirty *d = calloc(1, sizeof(*d));

	if (!d)
		return NULL;
	d->data = buffer_get(f->chunk_size);
	if (!d->data) {
		free(d);
		return NULL;
	}
	d->chunk = k;
	total += f->chunk_size;
	return d;
}

void dirty_free(struct chaosimg_file *f, struct dirty *d)
{
	buffer_put(d->data, f->chunk_size);
	free(d);
	total -= f->chunk_size;
}

static int make_room(struct chaosimg_file *f)
{
	size_t room = f->dirty_room ? f->dirty_room * 2 : 4;
	struct dirty **p;

	if (f->dirty_count < f->dirty_room)
		return 0;
	p = reallocarray(f->dirty, room, sizeof(*p));
	if (!p)
		return -ENOMEM;
	f->dirty = p;
	f->dirty_room = room;
	return 0;
}

int dirty_insert(struct chaosimg_file *f, struct dirty *d)
{
	int err;

	pthread_mutex_lock(&f->lock);
	err = make_room(f);
	if (!err)
		err = holes_remove(&f->holes, d->chunk, 1);
	if (!err) {
		d->index = f->dirty_count++;
		f->dirty[d->index] = d;
		d->next = *bucket(f, d->chunk);
		*bucket(f, d->chunk) = d;
	}
	pthread_mutex_unlock(&f->lock);
	return err ? fail(ENOMEM, "out of memory") : 0;
}

void dirty_drop(struct chaosimg_file *f, struct dirty *d)
{
	struct dirty **p;

	pthread_mutex_lock(&f->lock);
	for (p = bucket(f, d->chunk); *p != d; p = &(*p)->next)
		;
	*p = d->next;
	f->dirty[d->index] = f->dirty[--f->dirty_count];
	f->dirty[d->index]->index = d->index;
	pthread_mutex_unlock(&f->lock);
	dirty_free(f, d);
}

void dirty_drop_all(struct chaosimg_file *f)
{
	while (f->dirty_count)
		dirty_drop(f, f->dirty[f->dirty_count - 1]);
}
