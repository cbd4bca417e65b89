// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What is shown in place of a labelled pixel region: blocks, each of one
 * colour. One row of blocks of one plane is looked at at a time.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

#include "dicom_region.h"
#include "error.h"

enum { WINDOW = 64 << 10 };

/** struct cell - the samples of one component in one block */
struct cell {
	int64_t sum;
	uint32_t count;
	uint8_t mean[2];	/* as the file has it */
};

/**
 * struct dicom_blur - what is known at the moment
 * @plane: whose
 * @row: of blocks
 * @known: there is one
 * @cells: how many there are
 * @cell: for each block of the row and each sample that stands together
 * @at: where @window begins in the file
 * @len: how much of it is in use
 */
struct dicom_blur {
	const struct dicom_region *r;
	const struct dicom_source *src;
	uint64_t plane;
	uint32_t row;
	bool known;
	size_t cells;
	struct cell *cell;
	uint64_t at;
	size_t len;
	uint8_t window[WINDOW];
};

int dicom_blur_new(const struct dicom_region *r, const struct dicom_source *src,
		   struct dicom_blur **out)
{
	struct dicom_blur *b = calloc(1, sizeof(*b));

	if (!b)
		return fail(ENOMEM, "out of memory");
	b->r = r;
	b->src = src;
	b->cells = (size_t)((r->layout.columns + r->block - 1) / r->block) *
		   r->layout.samples;
	b->cell = calloc(b->cells, sizeof(b->cell[0]));
	if (!b->cell) {
		free(b);
		return fail(ENOMEM, "out of memory");
	}
	*out = b;
	return 0;
}

void dicom_blur_free(struct dicom_blur *b)
{
	if (!b)
		return;
	OPENSSL_cleanse(b->cell, b->cells * sizeof(b->cell[0]));
	free(b->cell);
	OPENSSL_cleanse(b->window, sizeof(b->window));
	free(b);
}

/* At least the byte at @off; no byte from @end on is asked for. */
static int look(struct dicom_blur *b, uint64_t off, uint64_t end)
{
	uint64_t left = end - off;
	size_t n = left < WINDOW ? (size_t)left : WINDOW;
	ssize_t got;

	if (off >= b->at && off - b->at < b->len)
		return 0;
	b->len = 0;
	got = b->src->read(b->src->ctx, b->window, n, off);
	if (got < 0)
		return (int)got;
	if ((size_t)got < n)
		return fail(EIO, "the file ends before its length");
	b->at = off;
	b->len = n;
	return 0;
}

/* Of which cell is byte @x of a row? @k: which byte of the sample it is. */
static struct cell *cell_of(const struct dicom_blur *b, uint32_t x,
			    unsigned int *k)
{
	const struct dicom_layout *l = &b->r->layout;
	uint32_t sample;

	x ^= l->swapped;
	*k = x % l->bytes;
	sample = x / l->bytes;
	return &b->cell[sample / l->samples / b->r->block * l->samples +
			sample % l->samples];
}

static int32_t value_of(const struct dicom_layout *l, const uint8_t *p)
{
	uint32_t v = p[0];

	if (l->bytes == 2)
		v = l->big_endian ? v << 8 | p[1] : (uint32_t)p[1] << 8 | v;
	v &= (1u << l->bits) - 1;
	if (l->is_signed && v >> (l->bits - 1))
		return (int32_t)v - (1 << l->bits);
	return (int32_t)v;
}

/* The samples of a row from byte @x up to @until; @off is where @x is. */
static int add_span(struct dicom_blur *b, uint64_t off, uint32_t x,
		    uint32_t until, uint64_t end)
{
	const struct dicom_layout *l = &b->r->layout;

	for (; x < until; x += l->bytes, off += l->bytes) {
		uint8_t p[2] = { 0 };
		unsigned int k;
		struct cell *c = cell_of(b, x, &k);

		for (k = 0; k < l->bytes; k++) {
			int err = look(b, off + k, end);

			if (err)
				return err;
			p[k] = b->window[off + k - b->at];
		}
		c->sum += value_of(l, p);
		c->count++;
	}
	return 0;
}

static void set_mean(const struct dicom_layout *l, struct cell *c)
{
	int64_t v = 0;

	if (c->count) {		/* to the nearest; -0.5 is rounded up */
		v = 2 * c->sum + c->count;
		v = v / (2 * (int64_t)c->count) -
		    (v % (2 * (int64_t)c->count) < 0);
	}
	c->mean[l->bytes == 2 && l->big_endian] = (uint8_t)v;
	if (l->bytes == 2)
		c->mean[!l->big_endian] = (uint8_t)((uint64_t)v >> 8);
}

/* Compute the means of a row of blocks. */
static int compute(struct dicom_blur *b, uint64_t plane, uint32_t row)
{
	const struct dicom_region *r = b->r;
	const struct dicom_layout *l = &r->layout;
	uint64_t first = r->start + plane * dicom_layout_plane(l), end;
	uint32_t y = row * r->block, until = y + r->block;
	int err = 0;

	if (until > l->rows)
		until = l->rows;
	end = first + (uint64_t)until * dicom_layout_row(l);
	memset(b->cell, 0, b->cells * sizeof(b->cell[0]));
	b->known = false;
	b->len = 0;	/* of another row, or the file may have changed */
	for (; !err && y < until; y++) {
		uint64_t at = first + (uint64_t)y * dicom_layout_row(l);
		uint64_t stop = at + dicom_layout_row(l), next;

		for (uint64_t x = at; !err && x < stop; x = next) {
			bool in = dicom_region_at(r, x, &next);

			if (next > stop)
				next = stop;
			if (in)
				err = add_span(b, x, (uint32_t)(x - at),
					       (uint32_t)(next - at), end);
		}
	}
	for (size_t i = 0; !err && i < b->cells; i++)
		set_mean(l, &b->cell[i]);
	b->plane = plane;
	b->row = row;
	b->known = !err;
	return err;
}

/* Bytes that are all of the region and of one row. */
static int fill_span(struct dicom_blur *b, uint8_t *out, uint32_t len,
		     uint64_t off)
{
	const struct dicom_layout *l = &b->r->layout;
	uint64_t at = off - b->r->start, in_plane = at % dicom_layout_plane(l);
	uint64_t plane = at / dicom_layout_plane(l);
	uint32_t x = (uint32_t)(in_plane % dicom_layout_row(l));
	uint32_t row = (uint32_t)(in_plane / dicom_layout_row(l)) /
		       b->r->block;
	unsigned int k;
	int err = 0;

	if (!b->known || b->plane != plane || b->row != row)
		err = compute(b, plane, row);
	for (uint32_t i = 0; !err && i < len; i++) {
		const struct cell *c = cell_of(b, x + i, &k);

		out[i] = c->mean[k];
	}
	return err;
}

/* The bytes from @off on that are in one row, at most @len. */
static uint32_t within_row(const struct dicom_region *r, uint64_t off,
			   uint64_t len)
{
	uint32_t row = dicom_layout_row(&r->layout);
	uint32_t left = row - (uint32_t)((off - r->start) % row);

	return len < left ? (uint32_t)len : left;
}

int dicom_blur_fill(struct dicom_blur *b, void *buf, size_t len, uint64_t off)
{
	uint8_t *out = buf;
	uint64_t stop = off + len, n;
	int err = 0;

	if (off < b->r->start) {
		n = b->r->start - off;
		out += n < len ? n : len;
		off = b->r->start;
	}
	while (!err && off < stop) {
		bool in = dicom_region_at(b->r, off, &n);

		n = (n < stop ? n : stop) - off;
		if (in) {
			n = within_row(b->r, off, n);
			err = fill_span(b, out, (uint32_t)n, off);
		}
		out += n;
		off += n;
	}
	return err;
}
