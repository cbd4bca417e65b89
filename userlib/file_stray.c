// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Bytes in holes and behind short records: what a crash or a failed write left
 * there. They mean nothing, but whoever has no key cannot know that.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <xxhash.h>

#include "bytes.h"
#include "error.h"
#include "file.h"

enum { BLOCK = 65536 };

/* Return: 1 with the first byte in @at .. @end - 1 that is not 0, 0, -errno. */
static int find_byte(const struct chaosimg_file *f, uint64_t *at, uint64_t end)
{
	static _Thread_local uint8_t buf[BLOCK];

	while (*at < end) {
		off_t data = lseek(f->fd, (off_t)(f->base + *at), SEEK_DATA);
		ssize_t n;

		if (data < 0 && errno == ENXIO)
			return 0;
		if (data > (off_t)(f->base + *at))
			*at = (uint64_t)data - f->base;
		if (*at >= end)
			return 0;
		n = read_full(f->fd, buf,
			      end - *at < BLOCK ? end - *at : BLOCK,
			      f->base + *at);
		if (n <= 0)
			return (int)n;
		for (ssize_t i = 0; i < n; i++, ++*at)
			if (buf[i])
				return 1;
	}
	return 0;
}

/* A record that was forgotten, on a file system that cannot punch holes. */
static bool forgotten_record(struct chaosimg_file *f, uint64_t k)
{
	size_t size = record_size(f->chunk_size);
	uint8_t *rec = scratch(size);

	/* Of the last one, the file's end may cut off a part. */
	return rec && chunk_len(f->length, f->chunk_size, k) == f->chunk_size &&
	       read_full(f->fd, rec, size,
			 f->base + record_at(f->chunk_size, k)) ==
	       (ssize_t)size &&
	       XXH3_64bits(rec, size - RECORD_CHECKSUM) ==
	       get_le64(rec + size - RECORD_CHECKSUM);
}

/* Return: 1 with a place in which something stands that should not, 0, -errno */
static int stray_in_hole(struct chaosimg_file *f, const struct hole *h,
			 uint64_t *from, uint64_t *to)
{
	uint64_t at = record_at(f->chunk_size, h->start), k;
	uint64_t end = record_at(f->chunk_size, h->start + h->count);
	int ret;

	if (end > f->stored)
		end = f->stored;
	/* A DICOM file goes on with its parts. */
	if (f->region_at && end > f->region_at)
		end = f->region_at;
	while ((ret = find_byte(f, &at, end)) > 0) {
		k = (at - HEADER_SIZE) /
		    (f->chunk_size + (uint64_t)RECORD_OVERHEAD);
		*from = record_at(f->chunk_size, k);
		*to = record_at(f->chunk_size, k + 1);
		if (!forgotten_record(f, k))
			return 1;
		at = *to;
	}
	return ret;
}

static int stray_behind_short(struct chaosimg_file *f, uint64_t k,
			      uint64_t *from, uint64_t *to)
{
	uint64_t at = record_at(f->chunk_size, k);
	uint32_t len = chunk_len(f->length, f->chunk_size, k);
	uint8_t prefix[RECORD_PREFIX];

	if (read_full(f->fd, prefix, sizeof(prefix), f->base + at) !=
	    sizeof(prefix) || !record_is_zero(prefix))
		return 0;
	*from = at + RECORD_ZERO_SIZE;
	*to = at + record_size(len);
	at = *from;
	return find_byte(f, &at, *to);
}

int stray_find(struct chaosimg_file *f, uint64_t *from, uint64_t *to)
{
	uint64_t chunks = chunk_count(f->length, f->chunk_size);
	int ret = 0;

	for (uint64_t k = 0; !ret && k < chunks; k++) {
		const struct hole *h = holes_next(&f->holes, k);

		if (h && h->start <= k) {
			ret = stray_in_hole(f, h, from, to);
			k = h->start + h->count - 1;
		} else {
			ret = stray_behind_short(f, k, from, to);
		}
	}
	if (ret > 0 && *to > f->stored)
		*to = f->stored;
	if (ret > 0 && f->region_at && *to > f->region_at)
		*to = f->region_at;
	return ret;
}

static int write_zeros(struct chaosimg_file *f, uint64_t from, uint64_t to)
{
	static const uint8_t zeros[4096];
	int err = 0;

	pthread_mutex_lock(&f->lock);
	f->writes++;
	pthread_mutex_unlock(&f->lock);
	if (!fallocate(f->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		       (off_t)(f->base + from), (off_t)(to - from)))
		return 0;
	for (; !err && from < to; from += sizeof(zeros))
		err = write_full(f->fd, zeros, to - from < sizeof(zeros) ?
				 to - from : sizeof(zeros), f->base + from);
	return err;
}

int stray_clear(struct chaosimg_file *f)
{
	uint64_t from, to;
	int ret;

	while ((ret = stray_find(f, &from, &to)) > 0) {
		int err = write_zeros(f, from, to);

		if (err)
			return fail(-err, "%s", strerror(-err));
	}
	return ret;
}

/* Where the data at @at ends, or @end if that comes first. */
static uint64_t data_end(const struct chaosimg_file *f, uint64_t at,
			 uint64_t end)
{
	off_t hole = lseek(f->fd, (off_t)(f->base + at), SEEK_HOLE);

	return hole > (off_t)(f->base + at) && hole - (off_t)f->base < (off_t)end ?
	       (uint64_t)hole - f->base : end;
}

bool stray_any(const struct chaosimg_file *f)
{
	for (size_t i = 0; i < f->holes.count; i++) {
		const struct hole *h = &f->holes.hole[i];
		uint64_t at = record_at(f->chunk_size, h->start);
		uint64_t end = record_at(f->chunk_size, h->start + h->count);

		if (find_byte(f, &at, end < f->stored ? end : f->stored))
			return true;
	}
	return false;
}

int stray_settle(struct chaosimg_file *f)
{
	bool safe = false;

	for (size_t i = 0; i < f->holes.count; i++) {
		const struct hole *h = &f->holes.hole[i];
		uint64_t at = record_at(f->chunk_size, h->start), to;
		uint64_t end = record_at(f->chunk_size, h->start + h->count);

		if (end > f->stored)
			end = f->stored;
		for (; find_byte(f, &at, end) > 0; at = to) {
			/* The older slot may say that there is no hole. */
			int err = safe ? 0 : commit_finish(f);

			if (!err && !safe)
				err = data_sync(f);
			if (err)
				return err;
			safe = true;
			to = data_end(f, at, end);
			if (write_zeros(f, at, to))
				return 0;
		}
	}
	return 0;
}
