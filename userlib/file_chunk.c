// SPDX-License-Identifier: GPL-2.0-or-later
/* Single chunks of an open file: read, changed in memory, written. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "file.h"

enum {
	/* So much of a stream is left to the kernel. */
	WRITEBACK_BYTES = 32 << 20,
	SECTOR = 512,
};

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

size_t chunks_new(struct chaosimg_file *f, uint64_t k, size_t max)
{
	size_t n = 0;

	while (n < max && !in_snapshot(f, k + n)) {
		struct chunk_state s = chunk_state(f, k + n);

		if (s.dirty || s.stored_len)
			break;
		n++;
	}
	return n;
}

void head_drop(struct chaosimg_file *f)
{
	buffer_put(f->head, f->chunk_size);
	f->head = NULL;
}

static int cut_off(uint64_t k)
{
	return fail(EIO, "chunk %llu: cut off", (unsigned long long)k);
}

/*
 * Read the records of chunks that follow each other into this thread's scratch
 * buffer. All are of whole chunks but the last, which is of @last_len bytes.
 */
static int records_read(struct chaosimg_file *f, uint64_t k, size_t count,
			uint32_t last_len, uint8_t **out)
{
	size_t step = record_size(f->chunk_size);
	size_t want = (count - 1) * step + record_size(last_len);
	uint8_t *rec = scratch(want);
	ssize_t n;

	if (!rec)
		return fail(ENOMEM, "out of memory");
	n = read_full(f->fd, rec, want, f->base + record_at(f->chunk_size, k));
	if (n < 0)
		return fail((int)-n, "chunk %llu: %s", (unsigned long long)k,
			    strerror((int)-n));
	*out = rec;
	if ((size_t)n == want)
		return 0;
	if ((size_t)n < (count - 1) * step)
		return cut_off(k + n / step);
	/* The stored file may end with a short record until it is resized. */
	rec += (count - 1) * step;
	n -= (count - 1) * step;
	if (n < RECORD_ZERO_SIZE || !record_is_zero(rec))
		return cut_off(k + count - 1);
	return 0;
}

/* How many chunks from @k on are on the disk as they are, and nowhere else. */
static size_t count_stored(struct chaosimg_file *f, uint64_t k, size_t max,
			   uint32_t *last_len)
{
	size_t n;

	if (!k && f->head)
		return 0;
	for (n = 0; n < max; n++) {
		struct chunk_state s = chunk_state(f, k + n);

		if (s.dirty || s.hole || !s.len)
			break;
		*last_len = s.len;
	}
	return n;
}

int chunks_load(struct chaosimg_file *f, uint64_t k, size_t max,
		struct loaded *l)
{
	int err;

	l->first = k;
	l->count = count_stored(f, k, max, &l->last_len);
	if (!l->count)
		return 0;
	err = records_read(f, k, l->count, l->last_len, &l->rec);
	/* Those before the bad one can be had, and it is named by its number. */
	if (err && l->count > 1) {
		l->count = 1;
		l->last_len = f->chunk_size;
		err = records_read(f, k, 1, l->last_len, &l->rec);
	}
	return err;
}

/* Only records that are for this reader are read: so say header and mask. */
static int chunk_open(struct chaosimg_file *f, uint64_t k, uint8_t *rec,
		      uint32_t len, uint8_t *out)
{
	int err = record_open(f->keys, f->snap.file_id, k, rec, len, out);

	if (err != -EACCES)
		return err;
	return fail(EIO, "chunk %llu: of other compartments than the file says",
		    (unsigned long long)k);
}

int chunks_open(struct chaosimg_file *f, const struct loaded *l, uint32_t from,
		size_t len, uint8_t *out)
{
	uint8_t *rec = l->rec;
	size_t done = 0;

	for (size_t i = 0; i < l->count && done < len; i++, from = 0) {
		uint32_t whole = i + 1 < l->count ? f->chunk_size : l->last_len;
		size_t n = whole - from;
		bool direct = !from && n <= len - done;
		int err;

		if (n > len - done)
			n = len - done;
		err = chunk_open(f, l->first + i, rec, whole,
				 direct ? out + done : NULL);
		if (err)
			return err;
		if (!direct)
			memcpy(out + done,
			       rec + RECORD_PREFIX + RECORD_HEAD + from, n);
		done += n;
		rec += record_size(f->chunk_size);
	}
	return 0;
}

/* The record that a dirty chunk has on the disk, decrypted. */
static int dirty_load(struct chaosimg_file *f, struct dirty *d)
{
	uint8_t *rec;
	int err = records_read(f, d->chunk, 1, d->stored_len, &rec);

	if (err)
		return err;
	memcpy(d->tag, rec + record_tag_offset(rec, d->stored_len),
	       GCM_TAG_SIZE);
	d->tag_known = true;
	return record_open(f->keys, f->snap.file_id, d->chunk, rec,
			   d->stored_len, d->data);
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
	d = dirty_new(f, k);
	if (!d)
		return fail(ENOMEM, "out of memory");
	d->stored_len = s.stored_len;
	if (s.stored_len && !whole)
		err = dirty_load(f, d);
	if (!err)
		err = dirty_insert(f, d);
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
	struct loaded l;
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
	err = chunks_load(f, k, 1, &l);
	return err ? err : chunks_open(f, &l, from, len, out);
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

int dirty_forget(struct chaosimg_file *f, const struct dirty *d,
		 uint8_t mac[16])
{
	if (!d->stored_len)
		return 0;
	if (d->tag_known)
		return record_mac_xor(f->keys, d->chunk, d->tag, mac);
	return chunk_forget(f, d->chunk, d->stored_len, mac);
}

/* Records were written, or not: then what was there is gone. */
static void account(struct chaosimg_file *f, uint64_t k, uint64_t end,
		    const uint8_t old_mac[16], const uint8_t new_mac[16],
		    bool ok)
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

/*
 * Long before the kernel would by itself, have it begin to write what a long
 * stream has left behind, so that less is left to do when it is synced.
 */
static void start_writeback(struct chaosimg_file *f, uint64_t at, uint64_t end)
{
	pthread_mutex_lock(&f->lock);
	if (!f->fresh || at < f->fresh_at)
		f->fresh_at = at;
	if (!f->fresh || end > f->fresh_end)
		f->fresh_end = end;
	f->fresh += end - at;
	at = f->fresh_at;
	end = f->fresh_end;
	if (f->fresh < WRITEBACK_BYTES)
		end = at;
	else
		f->fresh = 0;
	pthread_mutex_unlock(&f->lock);
	if (end > at)
		sync_file_range(f->fd, (off_t)(f->base + at), (off_t)(end - at),
				SYNC_FILE_RANGE_WRITE);
}

/*
 * Being killed ends a write at a page's boundary. Where the newest header says
 * that a record may be, half of a new one and half of an old one would look like
 * damage to whoever cannot read which chunks are holes; so the old one's last
 * sector becomes zeros first.
 */
static int spoil(struct chaosimg_file *f, const struct dirty *d)
{
	static const uint8_t zeros[SECTOR];
	uint64_t at = f->base + record_at(f->chunk_size, d->chunk);
	uint64_t end = at + record_size(d->stored_len);
	uint64_t from = (end - 1) / SECTOR * SECTOR;

	if (!d->stored_len ||
	    d->chunk >= chunk_count(f->snap.length, f->chunk_size))
		return 0;
	if (from < at)
		from = at;
	return write_full(f->fd, zeros, end - from, from);
}

/* How many of the chunks from the first on have its set. */
static size_t same_set(const uint8_t *set, size_t count)
{
	size_t n = 1;

	while (n < count && set[n] == set[0])
		n++;
	return n;
}

/* Make the records of chunks that follow each other, and their MAC. */
static int records_seal(struct chaosimg_file *f, uint64_t k, size_t count,
			const uint8_t *set, const uint8_t *data, uint32_t len,
			uint8_t *rec, uint8_t mac[16])
{
	size_t step = record_size(len), n;
	int err = 0;

	for (size_t i = 0; !err && i < count; i += n) {
		n = same_set(set + i, count - i);
		err = record_seal_run(f->keys, f->snap.file_id, k + i, set[i],
				      n, data + i * len, len, rec + i * step);
	}
	for (size_t i = 0; !err && i < count; i++)
		err = record_mac_xor(f->keys, k + i, rec + i * step +
				     record_tag_offset(rec + i * step, len),
				     mac);
	return err;
}

static void note_sets(struct chaosimg_file *f, uint64_t k, size_t count,
		      const uint8_t *set)
{
	size_t n;

	pthread_mutex_lock(&f->lock);
	for (size_t i = 0; i < count; i += n) {
		n = same_set(set + i, count - i);
		sets_put(&f->sets, k + i, n, set[i]);
	}
	pthread_mutex_unlock(&f->lock);
}

/*
 * Write the records of chunks that follow each other, in their places. A dirty
 * chunk's old record is gone even if that fails.
 */
static int records_write(struct chaosimg_file *f, uint64_t k, size_t count,
			 const uint8_t *set, const uint8_t *data, uint32_t len,
			 struct dirty *d)
{
	size_t size = count * record_size(len);
	uint64_t at = record_at(f->chunk_size, k);
	uint8_t *rec = scratch(size);
	uint8_t old[16] = { 0 }, new[16] = { 0 };
	int err;

	if (!rec)
		return fail(ENOMEM, "out of memory");
	err = mark_open(f);
	if (!err && d)
		err = dirty_forget(f, d, old);
	if (!err)
		err = records_seal(f, k, count, set, data, len, rec, new);
	if (err)
		return err;
	err = d ? spoil(f, d) : 0;
	if (!err)
		err = write_full(f->fd, rec, size, f->base + at);
	account(f, k, at + size, old, new, !err);
	note_sets(f, k, count, set);
	if (!err) {
		start_writeback(f, at, at + size);
		return 0;
	}
	if (d)
		d->stored_len = 0;
	return fail(-err, "chunk %llu: %s", (unsigned long long)k,
		    strerror(-err));
}

int chunks_store(struct chaosimg_file *f, uint64_t k, size_t count,
		 const uint8_t *set, const uint8_t *data)
{
	return records_write(f, k, count, set, data, f->chunk_size, NULL);
}

int dirty_store(struct chaosimg_file *f, struct dirty *d, uint32_t len)
{
	uint8_t set = (uint8_t)chunk_set(f, d->chunk, len);

	return records_write(f, d->chunk, 1, &set, d->data, len, d);
}

static int make_tail(struct chaosimg_file *f, uint64_t k)
{
	struct range r = { .first = k, .end = k + 1, .write = true };
	struct dirty *d;
	int err;

	range_lock(f, &r);
	err = dirty_make(f, k, false, &d);
	range_unlock(f, &r);
	return err;
}

int file_grow(struct chaosimg_file *f, uint64_t length)
{
	int err = 0;

	for (;;) {
		uint64_t old, tail, end;

		pthread_mutex_lock(&f->lock);
		old = f->length;
		if (length <= old)
			break;
		/* A short record cannot stay short when the file goes on. */
		tail = old / f->chunk_size;
		if (old % f->chunk_size && !dirty_find(f, tail) &&
		    !holes_has(&f->holes, tail)) {
			pthread_mutex_unlock(&f->lock);
			err = make_tail(f, tail);
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
