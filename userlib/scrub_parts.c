// SPDX-License-Identifier: GPL-2.0-or-later
/* Scrubbing what a sealed DICOM file has behind its records. */
#include <errno.h>
#include <string.h>

#include <xxhash.h>

#include "bytes.h"
#include "error.h"
#include "file.h"
#include "scrub.h"

enum { STEP = 64 << 10 };

/* Call @fn for the bytes @at .. @end - 1. Return: 1; 0 if one said so; -errno */
static int walk(struct scrub_reader *r, uint64_t at, uint64_t end,
		bool (*fn)(void *ctx, const uint8_t *p, size_t len), void *ctx)
{
	while (at < end) {
		size_t len = end - at < STEP ? (size_t)(end - at) : STEP;
		const uint8_t *p;
		ssize_t n = scrub_reader_get(r, at, len, &p);

		if (n < 0)
			return (int)n;
		if ((size_t)n < len || !fn(ctx, p, len))
			return 0;
		at += len;
	}
	return 1;
}

static bool add_to_sum(void *ctx, const uint8_t *p, size_t len)
{
	return XXH3_64bits_update(ctx, p, len) == XXH_OK;
}

static bool are_zeros(void *ctx, const uint8_t *p, size_t len)
{
	(void)ctx;
	return !p[0] && !memcmp(p, p + 1, len - 1);
}

static int sum_good(struct scrub_reader *r, const struct parts *p,
		    XXH3_state_t *sum)
{
	uint64_t end = p->offset + p->length - RECORD_CHECKSUM;
	const uint8_t *stored;
	ssize_t n;
	int ret;

	XXH3_64bits_reset(sum);
	ret = walk(r, p->offset, end, add_to_sum, sum);
	if (ret <= 0)
		return ret;
	n = scrub_reader_get(r, end, RECORD_CHECKSUM, &stored);
	if (n < 0)
		return (int)n;
	return n == RECORD_CHECKSUM &&
	       get_le64(stored) == XXH3_64bits_digest(sum);
}

int scrub_parts(struct scrub_reader *r, const struct header *h)
{
	const struct parts *p = &h->parts;
	XXH3_state_t *sum;
	int ret;

	if (p->offset != stored_size(h->length, h->chunk_size) ||
	    p->length <= RECORD_CHECKSUM || p->offset > r->size ||
	    p->length > r->size - p->offset)
		return 0;
	sum = XXH3_createState();
	if (!sum)
		return fail(ENOMEM, "out of memory");
	ret = sum_good(r, p, sum);
	XXH3_freeState(sum);
	if (ret <= 0)
		return ret;
	return walk(r, p->offset + p->length, r->size, are_zeros, NULL);
}
