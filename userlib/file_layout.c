// SPDX-License-Identifier: GPL-2.0-or-later
/* Where things are in a stored file. */
#include <sys/stat.h>

#include "file.h"

uint64_t stored_size(uint64_t length, uint32_t chunk_size)
{
	uint64_t full = length / chunk_size;
	uint32_t rest = length % chunk_size;

	return record_at(chunk_size, full) + (rest ? record_size(rest) : 0);
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
