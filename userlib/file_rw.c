// SPDX-License-Identifier: GPL-2.0-or-later
/* Reading, writing and changing the length of an open stored file. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "error.h"
#include "file.h"
#include "file_view.h"

static int check_writable(const struct chaosimg_file *f)
{
	return f->writable ? 0 :
			     fail(EROFS, "the archive is open for reading only");
}

/*
 * Chunks that are taken through a read, decryption, encryption or write at
 * once: fewer system calls, and what one step leaves in the CPU's cache is
 * still there for the next.
 */
enum { RUN_BYTES = 128 << 10 };

static uint32_t run_bytes(const struct chaosimg_file *f)
{
	return f->chunk_size < RUN_BYTES ? RUN_BYTES : f->chunk_size;
}

/* --- reading --- */

/* Only the records are read under the lock; they are decrypted without it. */
static ssize_t read_run(struct chaosimg_file *f, uint8_t *out, size_t len,
			uint64_t off)
{
	uint32_t from = off % f->chunk_size;
	struct range r = { .first = off / f->chunk_size };
	struct loaded l;
	size_t there;
	int err;

	if (len > run_bytes(f) - from)
		len = run_bytes(f) - from;
	r.end = chunk_count(off + len, f->chunk_size);
	range_lock(f, &r);
	err = chunks_load(f, r.first, r.end - r.first, &l);
	there = (l.count ? l.count : 1) * f->chunk_size - from;
	if (len > there)
		len = there;
	if (!err && !l.count)
		err = chunk_read(f, r.first, from, len, out);
	range_unlock(f, &r);
	if (!err && l.count)
		err = chunks_open(f, &l, from, len, out);
	return err ? err : (ssize_t)len;
}

int plain_read(struct chaosimg_file *f, uint8_t *out, size_t len, uint64_t off)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = read_run(f, out + done, len - done, off + done);

		if (n < 0)
			return (int)n;
		done += n;
	}
	return 0;
}

ssize_t chaosimg_file_read(struct chaosimg_file *f, void *buf, size_t len,
			   uint64_t off)
{
	uint64_t length;
	int err;

	pthread_rwlock_rdlock(&f->rw);
	length = chaosimg_file_length(f);
	if (off >= length)
		len = 0;
	else if (len > length - off)
		len = length - off;
	err = f->view ? view_read(f, buf, len, off) :
			plain_read(f, buf, len, off);
	pthread_rwlock_unlock(&f->rw);
	return err ? err : (ssize_t)len;
}

/* --- writing --- */

/* The chunks from @k on now count up to offset @end of the file. */
static int chunks_written(struct chaosimg_file *f, uint64_t k, uint64_t end)
{
	int err;

	pthread_mutex_lock(&f->lock);
	err = holes_remove(&f->holes, k,
			   chunk_count(end, f->chunk_size) - k);
	if (end > f->length)
		f->length = end;
	f->changed = true;
	f->content_changed = true;
	pthread_mutex_unlock(&f->lock);
	return err ? fail(ENOMEM, "out of memory") : 0;
}

/* Keep what the DICOM parser will want to see when the file is sealed. */
static void head_keep(struct chaosimg_file *f, const uint8_t *data)
{
	if (!f->head)
		f->head = buffer_get(f->chunk_size);
	if (f->head)
		memcpy(f->head, data, f->chunk_size);
}

/*
 * [lock] A chunk of several compartments, or of which that is not known yet, had
 * better be stored when all is known: then once is enough.
 */
static bool waits(const struct chaosimg_file *f, uint64_t k, unsigned int set)
{
	return set == HELD_ALL &&
	       f->dirty_count * f->chunk_size < DIRTY_KEPT_MAX &&
	       (k || !dicom_outline_has_all(&f->outline, f->chunk_size));
}

/* [lock] What chunk @k, whole, seems to belong to. */
static unsigned int seems(const struct chaosimg_file *f, uint64_t k)
{
	return dicom_outline_set(&f->outline, k * f->chunk_size, f->chunk_size);
}

static bool chunk_waits(struct chaosimg_file *f, uint64_t k)
{
	bool yes;

	pthread_mutex_lock(&f->lock);
	yes = waits(f, k, seems(f, k));
	pthread_mutex_unlock(&f->lock);
	return yes;
}

/* How many of these chunks do not wait? @set receives theirs. */
static size_t ready(struct chaosimg_file *f, uint64_t k, size_t count,
		    uint8_t *set)
{
	size_t n;

	pthread_mutex_lock(&f->lock);
	for (n = 0; n < count; n++) {
		set[n] = (uint8_t)seems(f, k + n);
		if (waits(f, k + n, set[n]))
			break;
	}
	pthread_mutex_unlock(&f->lock);
	return n;
}

/* Whole chunks that have no record yet: from the caller's buffer to the disk. */
static int write_whole(struct chaosimg_file *f, uint64_t k, size_t count,
		       const uint8_t *set, const uint8_t *data)
{
	int err = chunks_store(f, k, count, set, data);

	if (err)
		return err;
	if (!k)
		head_keep(f, data);
	return chunks_written(f, k, (k + count) * f->chunk_size);
}

/* Once a chunk is full, it goes out: the next write will be another chunk's. */
static int write_part(struct chaosimg_file *f, uint64_t k, uint32_t from,
		      const uint8_t *data, uint32_t len)
{
	bool whole = len == f->chunk_size;
	uint64_t end = k * f->chunk_size + from + len;
	struct dirty *d;
	int err;

	err = dirty_make(f, k, whole, &d);
	if (err)
		return err;
	memcpy(d->data + from, data, len);
	err = chunks_written(f, k, end);
	if (err || from + len < f->chunk_size || in_snapshot(f, k) ||
	    chunk_waits(f, k))
		return err;
	err = dirty_store(f, d, f->chunk_size);
	if (err)
		return err;
	if (!k)
		head_keep(f, d->data);
	dirty_drop(f, d);
	return 0;
}

/* The outline takes up again what came out of order. Return: does it go on? */
static bool outline_catch_up(struct chaosimg_file *f, uint8_t *buf)
{
	struct range r;
	uint64_t pos, length;
	uint32_t from, len;
	bool lost;
	int err;

	pthread_mutex_lock(&f->lock);
	pos = f->outline.pos;
	length = f->length;
	r.first = pos / f->chunk_size;
	lost = dicom_outline_lost(&f->outline) && pos < length &&
	       !holes_has(&f->holes, r.first);
	pthread_mutex_unlock(&f->lock);
	if (!lost)
		return false;
	from = pos % f->chunk_size;
	len = chunk_len(length, f->chunk_size, r.first) - from;
	r.end = r.first + 1;
	r.write = false;
	range_lock(f, &r);
	err = chunk_read(f, r.first, from, len, buf);
	range_unlock(f, &r);
	if (err)
		return false;
	pthread_mutex_lock(&f->lock);
	f->outline.behind = false;
	dicom_outline_feed(&f->outline, buf, len, pos);
	lost = f->outline.pos > pos;
	f->outline.behind = lost && f->outline.pos < length;
	pthread_mutex_unlock(&f->lock);
	return lost;
}

/* How much is looked at and written at once. */
static size_t write_size(const struct chaosimg_file *f, size_t len,
			 uint64_t off)
{
	size_t most = run_bytes(f) - off % f->chunk_size;

	return len < most ? len : most;
}

/* Keep up with what the file seems to be. Return: as outline_rules() */
static bool outline_follow(struct chaosimg_file *f, const uint8_t *data,
			   size_t len, uint64_t off)
{
	uint8_t *buf = NULL;
	bool lost;

	pthread_mutex_lock(&f->lock);
	/* For who waits for the file's beginning. */
	if (dicom_outline_blank(&f->outline))
		pthread_cond_broadcast(&f->freed);
	dicom_outline_feed(&f->outline, data, len, off);
	lost = dicom_outline_lost(&f->outline) && f->outline.pos < f->length;
	pthread_mutex_unlock(&f->lock);
	if (lost)
		buf = buffer_get(f->chunk_size);
	while (buf && outline_catch_up(f, buf))
		;
	buffer_put(buf, f->chunk_size);
	return outline_rules(f, data, len, off);
}

static ssize_t write_run(struct chaosimg_file *f, const uint8_t *data,
			 size_t len, uint64_t off)
{
	uint32_t from = off % f->chunk_size;
	struct range r = { .first = off / f->chunk_size, .write = true };
	uint8_t set[RUN_BYTES / CHAOSIMG_CHUNK_MIN];
	size_t count = 0;
	int err;

	if (!from)
		count = len / f->chunk_size;
	if (!count && len > f->chunk_size - from)
		len = f->chunk_size - from;
	r.end = r.first + (count ? count : 1);
	range_lock(f, &r);
	count = ready(f, r.first, chunks_new(f, r.first, count), set);
	if (count) {
		len = count * f->chunk_size;
		err = write_whole(f, r.first, count, set, data);
	} else {
		if (len > f->chunk_size)
			len = f->chunk_size;
		err = write_part(f, r.first, from, data, len);
	}
	range_unlock(f, &r);
	return err ? err : (ssize_t)len;
}

static int relieve(struct chaosimg_file *f)
{
	int err = 0;

	if (!f->unfinished && !f->sync_failed && !dirty_pressure(f))
		return 0;
	pthread_rwlock_wrlock(&f->rw);
	if (f->unfinished || f->sync_failed || dirty_pressure(f))
		err = commit(f, 0);
	pthread_rwlock_unlock(&f->rw);
	return err;
}

/* Take rw to write chunks: shared, and when no commit is half-way. */
static int lock_to_write(struct chaosimg_file *f)
{
	for (;;) {
		int err = relieve(f);

		if (err)
			return err;
		pthread_rwlock_rdlock(&f->rw);
		if (!f->unfinished)
			return 0;
		pthread_rwlock_unlock(&f->rw);
	}
}

/* It changes over to another keyset. rw is let go of; taken again if that is 0 */
static int write_turn(struct chaosimg_file *f, uint64_t off)
{
	int err;

	pthread_rwlock_unlock(&f->rw);
	policy_follow(f);
	err = lock_to_write(f);
	if (err)
		return err;
	err = file_grow(f, off);
	if (err)
		pthread_rwlock_unlock(&f->rw);
	return err;
}

/* [rw] rw is let go of. */
static int write_runs(struct chaosimg_file *f, const uint8_t *in, size_t len,
		      uint64_t off)
{
	size_t done = 0, seen = 0;
	int err = file_grow(f, off);

	while (!err && done < len) {
		ssize_t n;

		if (done == seen) {
			seen += write_size(f, len - done, off + done);
			if (outline_follow(f, in + done, seen - done,
					   off + done))
				err = write_turn(f, off + done);
			if (err)
				return err;
		}
		n = write_run(f, in + done, seen - done, off + done);
		if (n < 0)
			err = (int)n;
		else
			done += (size_t)n;
	}
	pthread_rwlock_unlock(&f->rw);
	return err;
}

enum { START_WAIT_NS = 2000000 };

/* [lock] The beginning may come within that time. */
static void await_start(struct chaosimg_file *f)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += START_WAIT_NS;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	while (!f->awaited && dicom_outline_blank(&f->outline))
		f->awaited = pthread_cond_clockwait(&f->freed, &f->lock,
						    CLOCK_MONOTONIC, &until);
}

void chaosimg_file_await_start(struct chaosimg_file *f, uint64_t off)
{
	if (!off)
		return;
	pthread_mutex_lock(&f->lock);
	if (!f->awaited && dicom_outline_blank(&f->outline))
		await_start(f);
	pthread_mutex_unlock(&f->lock);
}

ssize_t chaosimg_file_write(struct chaosimg_file *f, const void *buf,
			    size_t len, uint64_t off)
{
	int err = check_writable(f);

	if (err || !len)
		return err;
	if (off > length_max(f->chunk_size) ||
	    len > length_max(f->chunk_size) - off)
		return fail(EFBIG, "the file would be too large");
	err = lock_to_write(f);
	if (err)
		return err;
	err = write_runs(f, buf, len, off);
	return err ? err : (ssize_t)len;
}

/* --- the length --- */

/* Take the records of chunks @first .. @end - 1 out of the file. */
static int forget_chunks(struct chaosimg_file *f, uint64_t first, uint64_t end)
{
	uint8_t delta[16] = { 0 };
	struct dirty *d;
	int err = 0;

	for (uint64_t k = first; !err && k < end; k++) {
		uint32_t stored_len = chunk_len(f->length, f->chunk_size, k);
		const struct hole *h = holes_next(&f->holes, k);

		/* Too large, it may be, to be walked chunk by chunk. */
		if (h && h->start <= k) {
			k = h->start + h->count - 1;
			continue;
		}
		d = dirty_find(f, k);
		if (d)
			err = dirty_forget(f, d, delta);
		else if (stored_len)
			err = chunk_forget(f, k, stored_len, delta);
	}
	if (err)
		return err;
	for (size_t i = 0; i < f->dirty_count;) {
		d = f->dirty[i];
		if (d->chunk >= first && d->chunk < end)
			dirty_drop(f, d);
		else
			i++;
	}
	for (int i = 0; i < 16; i++)
		f->mac[i] ^= delta[i];
	return 0;
}

int file_cut(struct chaosimg_file *f, uint64_t length)
{
	uint64_t first = chunk_count(length, f->chunk_size);
	uint64_t end = chunk_count(f->length, f->chunk_size);
	int err = 0;

	if (length) {
		err = forget_chunks(f, first, end);
	} else {
		dirty_drop_all(f);
		memset(f->mac, 0, sizeof(f->mac));
	}
	if (!err && holes_remove(&f->holes, first, UINT64_MAX - first))
		err = fail(ENOMEM, "out of memory");
	if (err)
		return err;
	head_drop(f);
	pthread_mutex_lock(&f->lock);
	f->length = length;
	if (!length)
		memset(&f->outline, 0, sizeof(f->outline));
	pthread_mutex_unlock(&f->lock);
	f->changed = true;
	f->content_changed = true;
	return 0;
}

int file_shrink(struct chaosimg_file *f, uint64_t length)
{
	uint64_t tail = length / f->chunk_size;
	uint32_t rest = length % f->chunk_size;
	struct dirty *d = NULL;
	int err = 0;

	/* The last chunk gets a shorter record. */
	if (rest && !holes_has(&f->holes, tail))
		err = dirty_make(f, tail, false, &d);
	if (!err)
		err = file_cut(f, length);
	if (!err && d)
		memset(d->data + rest, 0, f->chunk_size - rest);
	return err;
}

int chaosimg_file_truncate(struct chaosimg_file *f, uint64_t length)
{
	int err = check_writable(f);

	if (err)
		return err;
	if (length > length_max(f->chunk_size))
		return fail(EFBIG, "the file would be too large");
	pthread_rwlock_wrlock(&f->rw);
	err = commit_finish(f);
	if (!err && length >= f->length) {
		err = file_grow(f, length);
	} else if (!err) {
		err = file_shrink(f, length);
		if (!err)
			err = commit(f, 0);
		/* Nothing is left that a power cut could take. */
		if (!err && !length) {
			f->durable = false;
			f->young = true;
		}
	}
	pthread_rwlock_unlock(&f->rw);
	return err;
}

/* --- flush and sync --- */

int chaosimg_file_flush(struct chaosimg_file *f)
{
	int err = 0;

	if (!f->writable)
		return 0;
	pthread_rwlock_wrlock(&f->rw);
	err = commit(f, COMMIT_SEAL);
	pthread_rwlock_unlock(&f->rw);
	return err;
}

int chaosimg_file_sync(struct chaosimg_file *f)
{
	int err = 0;

	if (!f->writable)
		return 0;
	pthread_rwlock_wrlock(&f->rw);
	err = commit(f, COMMIT_SYNC);
	/* From now on it may be durable, whether the sync succeeds or not. */
	if (!err)
		f->durable = true;
	pthread_rwlock_unlock(&f->rw);
	return err ? err : data_sync(f);
}

/* --- fallocate and lseek --- */

static int zero_part(struct chaosimg_file *f, uint64_t from, uint64_t to)
{
	uint64_t k = from / f->chunk_size;
	struct dirty *d;
	int err;

	if (from >= to || holes_has(&f->holes, k))
		return 0;
	err = dirty_make(f, k, false, &d);
	if (err)
		return err;
	memset(d->data + from % f->chunk_size, 0, to - from);
	if (!k)
		head_drop(f);
	f->changed = true;
	f->content_changed = true;
	return 0;
}

/* Make a range of the file read as zeros, whole chunks of it as holes. */
static int zero_range(struct chaosimg_file *f, uint64_t from, uint64_t to)
{
	uint64_t first, end;
	int err;

	if (to > f->length)
		to = f->length;
	if (from >= to)
		return 0;
	first = chunk_count(from, f->chunk_size);
	end = to == f->length ? chunk_count(to, f->chunk_size) :
				to / f->chunk_size;
	if (first > end || first * f->chunk_size >= to)
		return zero_part(f, from, to);
	err = zero_part(f, from, first * f->chunk_size);
	if (!err && end * f->chunk_size < to)
		err = zero_part(f, end * f->chunk_size, to);
	if (!err)
		err = forget_chunks(f, first, end);
	if (err)
		return err;
	if (!first && end)
		head_drop(f);
	if (holes_add(&f->holes, first, end - first))
		return fail(ENOMEM, "out of memory");
	f->changed = true;
	f->content_changed = true;
	err = commit(f, 0);
	/* What no snapshot relies on any more can be given back. */
	if (!err && f->durable)
		err = data_sync(f);
	if (!err && end > first)
		fallocate(f->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			  (off_t)(f->base + record_at(f->chunk_size, first)),
			  (off_t)(record_at(f->chunk_size, end) -
				  record_at(f->chunk_size, first)));
	return err;
}

static int reserve_space(struct chaosimg_file *f, uint64_t from, uint64_t to)
{
	uint64_t start = record_at(f->chunk_size, from / f->chunk_size);
	uint64_t end = record_at(f->chunk_size, chunk_count(to, f->chunk_size));

	if (TEMP_FAILURE_RETRY(fallocate(f->fd, FALLOC_FL_KEEP_SIZE,
					 (off_t)(f->base + start),
					 (off_t)(end - start))))
		return fail_errno("fallocate");
	return 0;
}

int chaosimg_file_allocate(struct chaosimg_file *f, int mode, uint64_t off,
			   uint64_t len)
{
	bool keep = mode & FALLOC_FL_KEEP_SIZE;
	int err = check_writable(f);

	if (err)
		return err;
	if (!len)
		return fail(EINVAL, "an empty range");
	if (off > length_max(f->chunk_size) ||
	    len > length_max(f->chunk_size) - off)
		return fail(EFBIG, "the file would be too large");
	pthread_rwlock_wrlock(&f->rw);
	err = commit_finish(f);
	if (err)
		goto out;
	if (mode == (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE) ||
	    (mode & ~FALLOC_FL_KEEP_SIZE) == FALLOC_FL_ZERO_RANGE)
		err = zero_range(f, off, off + len);
	else if (!mode || mode == FALLOC_FL_KEEP_SIZE)
		err = reserve_space(f, off, off + len);
	else
		err = fail(EOPNOTSUPP, "fallocate mode %#x", mode);
	if (!err && !keep)
		err = file_grow(f, off + len);
out:
	pthread_rwlock_unlock(&f->rw);
	return err;
}

int64_t chaosimg_file_seek(struct chaosimg_file *f, uint64_t off, int whence)
{
	uint32_t size = f->chunk_size;
	uint64_t k = off / size;
	const struct hole *h;
	int64_t pos;

	if (whence != SEEK_DATA && whence != SEEK_HOLE)
		return fail(EINVAL, "lseek: unknown whence");
	pthread_rwlock_rdlock(&f->rw);
	pthread_mutex_lock(&f->lock);
	/* What masks show is data, whatever is stored. */
	h = f->view ? NULL : holes_next(&f->holes, k);
	if (off >= f->length)
		pos = -ENXIO;
	else if (whence == SEEK_HOLE)
		pos = !h ? (int64_t)f->length :
		      h->start <= k ? (int64_t)off : (int64_t)(h->start * size);
	else
		pos = h && h->start <= k ?
			      (int64_t)((h->start + h->count) * size) :
			      (int64_t)off;
	if (pos >= (int64_t)f->length)
		pos = whence == SEEK_DATA ? -ENXIO : (int64_t)f->length;
	pthread_mutex_unlock(&f->lock);
	pthread_rwlock_unlock(&f->rw);
	return pos;
}
