// SPDX-License-Identifier: GPL-2.0-or-later
/* Where things are in a stored file. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "error.h"
#include "file.h"

/* So many bytes behind the last place for a record: too few for one. */
enum { WITH_PARTS = 1 };

uint64_t stored_size(uint64_t length, uint32_t chunk_size)
{
	uint64_t full = length / chunk_size;
	uint32_t rest = length % chunk_size;

	return record_at(chunk_size, full) + (rest ? record_size(rest) : 0);
}

uint64_t sealed_size(const struct header *h)
{
	uint64_t step = h->chunk_size + (uint64_t)RECORD_OVERHEAD, end;

	if (!h->parts.length)
		return stored_size(h->length, h->chunk_size);
	end = h->parts.offset + h->parts.length;
	return end + (step + WITH_PARTS - (end - HEADER_SIZE) % step) % step;
}

void stored_refresh(struct chaosimg_file *f)
{
	struct stat st;

	if (!fstat(f->fd, &st))
		f->stored = (uint64_t)st.st_size > f->base ?
				    st.st_size - f->base : 0;
}

uint64_t length_max(uint32_t chunk_size)
{
	/* The journal needs room behind the end, too. */
	uint64_t chunks = ((uint64_t)INT64_MAX / 2 - HEADER_SIZE) /
			  (chunk_size + (uint64_t)RECORD_OVERHEAD);

	return chunks * chunk_size;
}

uint64_t chaosimg_length_from_stored(const struct chaosimg_archive *a,
				     uint64_t stored)
{
	uint64_t record = a->chunk_size + (uint64_t)RECORD_OVERHEAD;
	uint64_t rest;

	if (stored <= HEADER_SIZE)
		return 0;
	stored -= HEADER_SIZE;
	rest = stored % record;
	return stored / record * a->chunk_size +
	       (rest > RECORD_OVERHEAD ? rest - RECORD_OVERHEAD : 0);
}

bool chaosimg_length_in_header(const struct chaosimg_archive *a,
			       uint64_t stored)
{
	uint64_t record = a->chunk_size + (uint64_t)RECORD_OVERHEAD;

	return stored > HEADER_SIZE &&
	       (stored - HEADER_SIZE) % record == WITH_PARTS;
}

int chaosimg_length_read(const struct chaosimg_archive *a, int fd,
			 uint64_t *length)
{
	uint8_t raw[HEADER_SIZE] = { 0 };
	ssize_t n = read_full(fd, raw, sizeof(raw), 0);
	struct header h, newest = { 0 };

	if (n < 0)
		return fail((int)-n, "header: %s", strerror((int)-n));
	for (int i = 0; i < HEADER_SLOTS; i++)
		if (!header_peek(raw + i * HEADER_SLOT, &h) &&
		    h.generation >= newest.generation)
			newest = h;
	if (!newest.parts.length || newest.chunk_size != a->chunk_size ||
	    newest.length > length_max(a->chunk_size))
		return fail(EIO, "header: does not say how long the file is");
	*length = newest.length;
	return 0;
}

/* Who does not wait for it begins to read, too. */
bool chaosimg_length_fetch(const struct chaosimg_archive *a, int fd)
{
	uint8_t first;	/* the rest is on the same page */
	struct iovec v = { &first, 1 };
	struct stat st;

	return !fstat(fd, &st) && S_ISREG(st.st_mode) &&
	       chaosimg_length_in_header(a, (uint64_t)st.st_size) &&
	       preadv2(fd, &v, 1, 0, RWF_NOWAIT) < 0 && errno == EAGAIN;
}
