// SPDX-License-Identifier: GPL-2.0-or-later
/* Single chunks of an open file: read, changed in memory, written. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "file.h"

enum { STRIPES = 256 };

static pthread_rwlock_t stripes[STRIPES] = {
	[0 ... STRIPES - 1] = PTHREAD_RWLOCK_INITIALIZER
};
static _Atomic size_t dirty_total;

pthread_rwlock_t *stripe(const struct chaosimg_file *f, uint64_t k)
{
	uint64_t h = ((uint64_t)(uintptr_t)f >> 6) * 0x9e3779b97f4a7c15u + k;

	return &stripes[(h ^ h >> 32) % STRIPES];
}

/* What is known of a chunk: in memory, a hole, on the disk, or not there. */
struct chunk_state {
	struct dirty *dirty;
	bool hole;
	uint32_t len;		/* plaintext bytes within the file */
	uint32_t stored_len;	/* plaintext bytes of its record on the disk */
};

static struct chunk_state chunk_state(struct chaosimg_file *f, uint64_t k)
{
	struct chunk_state s = { 0 };

	pthread_mutex_lock(&f->lock);
	s.dirty = dirty_find(f, k);
	s.len = chunk_len(f->length, f->chunk_size, k);
	s.hole = holes_has(&f->holes, k);
	if (s.dirty)
		s.stored_len = s.dirty->stored_len;
	else if (!s.hole)
		s.stored_len = s.len;
	pthread_mutex_unlock(&f->lock);
	return s;
}

struct dirty *dirty_find(const struct chaosimg_file *f, uint64_t k)
{
	/* The one last made is the one most often asked for. */
	for (size_t i = f->dirty_count; i-- > 0;)
		if (f->dirty[i]->chunk == k)
			return f->dirty[i];
	return NULL;
}

bool dirty_pressure(struct chaosimg_file *f)
{
	bool pressure;

	pthread_mutex_lock(&f->lock);
	pressure = f->dirty_count >= DIRTY_FILE_MAX ||
		   (f->dirty_count && dirty_total >= DIRTY_TOTAL_MAX);
	pthread_mutex_unlock(&f->lock);
	return pressure;
}

bool chunk_is_new(struct chaosimg_file *f, uint64_t k)
{
	struct chunk_state s = chunk_state(f, k);

	return !s.dirty && !s.stored_len;
}

static void dirty_free(struct chaosimg_file *f, struct dirty *d)
{
	buffer_put(d->data, f->chunk_size);
	free(d);
	dirty_total--;
}

void dirty_drop(struct chaosimg_file *f, struct dirty *d)
{
	pthread_mutex_lock(&f->lock);
	for (size_t i = 0; i < f->dirty_count; i++) {
		if (f->dirty[i] != d)
			continue;
		f->dirty[i] = f->dirty[--f->dirty_count];
		break;
	}
	pthread_mutex_unlock(&f->lock);
	dirty_free(f, d);
}

void dirty_drop_all(struct chaosimg_file *f)
{
	while (f->dirty_count)
		dirty_drop(f, f->dirty[0]);
}

void head_drop(struct chaosimg_file *f)
{
	buffer_put(f->head, f->chunk_size);
	f->head = NULL;
}

/* Read a chunk's whole record; @out NULL leaves the plaintext in the scratch. */
static int record_load(struct chaosimg_file *f, uint64_t k, uint32_t len,
		       uint8_t *out, uint8_t **in_place)
{
	uint8_t *rec = scratch(record_size(f->chunk_size));
	ssize_t n;

	if (!rec)
		return fail(ENOMEM, "out of memory");
	n = read_full(f->fd, rec, record_size(len),
		      f->base + record_at(f->chunk_size, k));
	if (n < 0)
		return fail((int)-n, "chunk %llu: %s", (unsigned long long)k,
			    strerror((int)-n));
	/* The stored file may end with a short record until it is resized. */
	if ((size_t)n < record_size(len) &&
	    (n < RECORD_ZERO_SIZE || !record_is_zero(rec)))
		return fail(EIO, "chunk %llu: cut off",
			    (unsigned long long)k);
	if (in_place)
		*in_place = rec + RECORD_PREFIX + RECORD_HEAD;
	return record_open(f->keys, f->snap.file_id, k, rec, len, out);
}

static int dirty_insert(struct chaosimg_file *f, struct dirty *d)
{
	int err = 0;

	pthread_mutex_lock(&f->lock);
	if (f->dirty_count == f->dirty_room) {
		size_t room = f->dirty_room ? f->dirty_room * 2 : 4;
		struct dirty **p = reallocarray(f->dirty, room, sizeof(*p));

		if (p) {
			f->dirty = p;
			f->dirty_room = room;
		} else {
			err = -ENOMEM;
		}
	}
	if (!err)
		err = holes_remove(&f->holes, d->chunk, 1);
	if (!err)
		f->dirty[f->dirty_count++] = d;
	pthread_mutex_unlock(&f->lock);
	return err;
}

int dirty_make(struct chaosimg_file *f, uint64_t k, bool whole,
	       struct dirty **out)
{
	struct chunk_state s = chunk_state(f, k);
	struct dirty *d;
	int err = 0;

	*out = s.dirty;
	if (s.dirty)
		return 0;
	d = calloc(1, sizeof(*d));
	if (!d)
		return fail(ENOMEM, "out of memory");
	dirty_total++;
	d->chunk = k;
	d->stored_len = s.stored_len;
	d->data = buffer_get(f->chunk_size);
	if (!d->data)
		err = fail(ENOMEM, "out of memory");
	if (!err && s.stored_len && !whole)
		err = record_load(f, k, s.stored_len, d->data, NULL);
	if (!err && dirty_insert(f, d))
		err = fail(ENOMEM, "out of memory");
	if (err) {
		dirty_free(f, d);
		return err;
	}
	if (!k)
		head_drop(f);
	*out = d;
	return 0;
}

int chunk_read(struct chaosimg_file *f, uint64_t k, uint32_t from, uint32_t len,
	       uint8_t *out)
{
	struct chunk_state s = chunk_state(f, k);
	uint8_t *plain;
	int err;

	if (s.dirty) {
		memcpy(out, s.dirty->data + from, len);
		return 0;
	}
	if (s.hole) {
		memset(out, 0, len);
		return 0;
	}
	if (!k && f->head) {
		memcpy(out, f->head + from, len);
		return 0;
	}
	if (!from && len == s.len)
		return record_load(f, k, s.len, out, NULL);
	err = record_load(f, k, s.len, NULL, &plain);
	if (!err)
		memcpy(out, plain + from, len);
	return err;
}

int chunk_forget(struct chaosimg_file *f, uint64_t k, uint32_t stored_len,
		 uint8_t mac[16])
{
	uint64_t at = f->base + record_at(f->chunk_size, k);
	uint8_t prefix[RECORD_PREFIX], tag[GCM_TAG_SIZE];

	if (read_full(f->fd, prefix, sizeof(prefix), at) != sizeof(prefix) ||
	    read_full(f->fd, tag, sizeof(tag),
		      at + record_tag_offset(prefix, stored_len)) != sizeof(tag))
		return fail(EIO, "chunk %llu: cut off", (unsigned long long)k);
	return record_mac_xor(f->keys, k, tag, mac);
}

bool in_snapshot(const struct chaosimg_file *f, uint64_t k)
{
	const struct header *s = &f->snap;

	if (k >= chunk_count(s->length, f->chunk_size))
		return false;
	for (uint32_t i = 0; i < s->holes; i++)
		if (k >= s->hole[i].start &&
		    k - s->hole[i].start < s->hole[i].count)
			return false;
	return true;
}

/* A record was written, or not: then what was there is gone. */
static void account(struct chaosimg_file *f, uint64_t k, uint64_t end,
		    const uint8_t old_mac[16], const uint8_t new_mac[16], bool ok)
{
	pthread_mutex_lock(&f->lock);
	for (int i = 0; i < 16; i++)
		f->mac[i] ^= old_mac[i] ^ (ok ? new_mac[i] : 0);
	f->writes++;
	if (k < chunk_count(f->snap.length, f->chunk_size))
		f->filled = true;
	f->changed = true;
	if (!ok)
		stored_refresh(f);
	else if (end > f->stored)
		f->stored = end;
	pthread_mutex_unlock(&f->lock);
}

int chunk_store(struct chaosimg_file *f, uint64_t k, const uint8_t *data,
		uint32_t len, uint32_t *stored_len)
{
	uint64_t at = record_at(f->chunk_size, k);
	uint8_t *rec = scratch(record_size(f->chunk_size));
	uint8_t old[16] = { 0 }, new[16] = { 0 };
	int err;

	if (!rec)
		return fail(ENOMEM, "out of memory");
	err = mark_open(f);
	if (!err && *stored_len)
		err = chunk_forget(f, k, *stored_len, old);
	if (!err)
		err = record_seal(f->keys, f->snap.file_id, k, data, len, rec);
	if (!err)
		err = record_mac_xor(f->keys, k,
				     rec + record_tag_offset(rec, len), new);
	if (err)
		return err;
	err = write_full(f->fd, rec, record_size(len), f->base + at);
	account(f, k, at + record_size(len), old, new, !err);
	if (!err)
		return 0;
	*stored_len = 0;
	return fail(-err, "chunk %llu: %s", (unsigned long long)k,
		    strerror(-err));
}

int file_grow(struct chaosimg_file *f, uint64_t length)
{
	int err = 0;

	for (;;) {
		uint64_t old, tail, end;
		struct dirty *d;

		pthread_mutex_lock(&f->lock);
		old = f->length;
		if (length <= old)
			break;
		/* A short record cannot stay short when the file goes on. */
		tail = old / f->chunk_size;
		if (old % f->chunk_size && !dirty_find(f, tail) &&
		    !holes_has(&f->holes, tail)) {
			pthread_mutex_unlock(&f->lock);
			pthread_rwlock_wrlock(stripe(f, tail));
			err = dirty_make(f, tail, false, &d);
			pthread_rwlock_unlock(stripe(f, tail));
			if (err)
				return err;
			continue;
		}
		end = chunk_count(old, f->chunk_size);
		err = holes_add(&f->holes, end,
				chunk_count(length, f->chunk_size) - end);
		if (!err) {
			f->length = length;
			f->changed = true;
			f->content_changed = true;
		}
		break;
	}
	pthread_mutex_unlock(&f->lock);
	return err ? fail(ENOMEM, "out of memory") : 0;
}
