// SPDX-License-Identifier: GPL-2.0-or-later
/* The mask of a file: lists of what to show; reading and storing them. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dicom_mask.h"
#include "error.h"

static int grow(void *list, uint32_t n, uint32_t *room, size_t each)
{
	uint32_t more = *room ? *room * 2 : 64;
	void **p = list, *q;

	if (n < *room)
		return 0;
	q = realloc(*p, more * each);
	if (!q)
		return fail(ENOMEM, "out of memory");
	*p = q;
	*room = more;
	return 0;
}

int dicom_mask_add_piece(struct dicom_mask *m, uint64_t start, uint8_t owner)
{
	int err = grow(&m->piece, m->pieces, &m->piece_room,
		       sizeof(m->piece[0]));

	if (!err)
		m->piece[m->pieces++] = (struct dicom_piece){
			.start = start, .run = m->runs, .owner = owner,
		};
	return err;
}

int dicom_mask_add_run(struct dicom_mask *m, const struct dicom_run *run)
{
	struct dicom_piece *p = &m->piece[m->pieces - 1];
	int err = grow(&m->run, m->runs, &m->run_room, sizeof(m->run[0]));

	if (err)
		return err;
	m->run[m->runs++] = *run;
	p->unit += run->length;
	p->runs++;
	return 0;
}

void dicom_mask_free(struct dicom_mask *m)
{
	free(m->piece);
	free(m->run);
	free(m->bytes.p);
	dicom_region_free(m->region);
	memset(m, 0, sizeof(*m));
}

/* --- reading ------------------------------------------------------------- */

static uint32_t find_piece(const struct dicom_mask *m, uint64_t off)
{
	uint32_t low = 0, high = m->pieces;

	/* The last one that does not begin behind @off. */
	while (high - low > 1) {
		uint32_t mid = low + (high - low) / 2;

		if (m->piece[mid].start <= off)
			low = mid;
		else
			high = mid;
	}
	return low;
}

static uint64_t piece_end(const struct dicom_mask *m, uint32_t i)
{
	return i + 1 < m->pieces ? m->piece[i + 1].start : m->length;
}

/* @len bytes of a run, from @off in it. */
static void read_run(const struct dicom_mask *m, const struct dicom_run *r,
		     uint64_t off, uint8_t *out, size_t len)
{
	const uint8_t *from = m->bytes.p + r->at;
	size_t at = off % r->period;

	if (r->period == 1) {
		memset(out, from[0], len);
		return;
	}
	while (len) {
		size_t n = r->period - at;

		if (n > len)
			n = len;
		memcpy(out, from + at, n);
		out += n;
		len -= n;
		at = 0;
	}
}

static void read_piece(const struct dicom_mask *m, const struct dicom_piece *p,
		       uint64_t off, uint8_t *out, size_t len)
{
	const struct dicom_run *r = m->run + p->run;
	uint64_t at = off % p->unit;

	while (len) {
		uint64_t n;

		for (; at >= r->length; r++)
			at -= r->length;
		n = r->length - at;
		if (n > len)
			n = len;
		read_run(m, r, at, out, (size_t)n);
		out += n;
		len -= (size_t)n;
		at += n;
		if (r == m->run + p->run + p->runs - 1 && at == r->length) {
			r = m->run + p->run;
			at = 0;
		}
	}
}

static bool is_shown(unsigned int owner, unsigned int held)
{
	if (owner == DICOM_REGION)
		return held & (dicom_held(CHAOSIMG_IDENTITY) |
			       dicom_held(CHAOSIMG_PIXELS));
	return held & dicom_held(owner);
}

/* Bytes of a picture with a region. */
static void apply_picture(const struct dicom_mask *m,
			  const struct dicom_piece *p, unsigned int held,
			  uint8_t *out, size_t len, uint64_t off)
{
	while (len) {
		uint64_t n;
		unsigned int owner = dicom_region_at(m->region, off, &n) ?
				     DICOM_REGION : CHAOSIMG_PIXELS;

		n -= off;
		if (n > len)
			n = len;
		if (!is_shown(owner, held))
			read_piece(m, p, off - p->start, out, (size_t)n);
		out += n;
		off += n;
		len -= (size_t)n;
	}
}

void dicom_mask_apply(const struct dicom_mask *m, unsigned int held, void *buf,
		      size_t len, uint64_t off)
{
	uint8_t *out = buf;

	for (uint32_t i = len ? find_piece(m, off) : 0; len; i++) {
		const struct dicom_piece *p = &m->piece[i];
		uint64_t n = piece_end(m, i) - off;

		if (n > len)
			n = len;
		if (p->owner == DICOM_REGION)
			apply_picture(m, p, held, out, (size_t)n, off);
		else if (!is_shown(p->owner, held))
			read_piece(m, p, off - p->start, out, (size_t)n);
		out += n;
		off += n;
		len -= (size_t)n;
	}
}

static bool is_in_piece(const struct dicom_mask *m, uint32_t i, uint64_t off)
{
	return i < m->pieces && m->piece[i].start <= off && off < piece_end(m, i);
}

unsigned int dicom_mask_owner_from(const struct dicom_mask *m, uint32_t *piece,
				   uint64_t off, uint64_t *end)
{
	uint32_t i = *piece;
	uint8_t owner;
	bool in;

	if (!is_in_piece(m, i, off) && !is_in_piece(m, ++i, off))
		i = find_piece(m, off);
	owner = m->piece[i].owner;
	*piece = i;
	if (owner == DICOM_REGION) {
		in = dicom_region_at(m->region, off, end);
		if (*end > piece_end(m, i))
			*end = piece_end(m, i);
		return in ? DICOM_REGION : CHAOSIMG_PIXELS;
	}
	while (i + 1 < m->pieces && m->piece[i + 1].owner == owner)
		i++;
	*piece = i;
	*end = piece_end(m, i);
	return owner;
}

unsigned int dicom_mask_owner(const struct dicom_mask *m, uint64_t off,
			      uint64_t *end)
{
	uint32_t piece = m->pieces;

	return dicom_mask_owner_from(m, &piece, off, end);
}

/* --- storing -------------------------------------------------------------- */

/*
 * Numbers are in base 128, the lowest digits first, with the top bit set in
 * all bytes but the last:
 *	version, length, number of pieces, number of bytes
 *	a region, if the version says that there is one (below)
 *	for each piece: length, owner + 4 * number of runs
 *		for each run: length, at, period
 *	the bytes
 * Most pieces are some bytes once: those behind what the run before referred
 * to. They are stored without their run, as if they had none.
 */
enum { MASK_VERSION = 1, MASK_WITH_REGION = 2, NUMBER_MAX = 10 };

static uint8_t *put_number(uint8_t *p, uint64_t v)
{
	for (; v >= 0x80; v >>= 7)
		*p++ = (uint8_t)v | 0x80;
	*p++ = (uint8_t)v;
	return p;
}

static uint8_t *put_piece(const struct dicom_mask *m, uint32_t i, uint8_t *q,
			  uint32_t *next)
{
	const struct dicom_piece *p = &m->piece[i];
	const struct dicom_run *r = &m->run[p->run];
	uint64_t length = piece_end(m, i) - p->start;
	uint8_t owner = p->owner;

	q = put_number(q, length);
	if (p->owner == DICOM_REGION)	/* the region says so */
		owner = CHAOSIMG_PIXELS;
	if (p->runs == 1 && r->length == length && r->period == length &&
	    r->at == *next) {
		*next += r->period;
		return put_number(q, owner);
	}
	q = put_number(q, owner + 4u * p->runs);
	r = &m->run[p->run + p->runs - 1];
	*next = r->at + r->period;
	for (uint32_t k = p->run; k < p->run + p->runs; k++) {
		q = put_number(q, m->run[k].length);
		q = put_number(q, m->run[k].at);
		q = put_number(q, m->run[k].period);
	}
	return q;
}

/*
 * A region:
 *	which piece is the picture, rows, columns, planes, samples, bytes, bits,
 *	1 if signed + 2 if big endian + 4 if swapped + 8 if the region is
 *		also what is outside of the parts that are shown
 *	number of rectangles, number of parts that are shown
 *		for each: x, y, width, height
 */
enum {
	SIGNED = 1,
	BIG = 2,
	SWAPPED = 4,
	OUTSIDE = 8,
	REGION_NUMBERS_MAX = 10 + 4 * (DICOM_RECTS_MAX + DICOM_SHOWN_MAX),
};

static uint8_t *put_rects(uint8_t *q, const struct dicom_rect *rect, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		q = put_number(q, rect[i].x);
		q = put_number(q, rect[i].y);
		q = put_number(q, rect[i].width);
		q = put_number(q, rect[i].height);
	}
	return q;
}

static uint8_t *put_region(const struct dicom_mask *m, uint8_t *q)
{
	const struct dicom_region *r = m->region;
	const struct dicom_layout *l = &r->layout;

	q = put_number(q, find_piece(m, r->start));
	q = put_number(q, l->rows);
	q = put_number(q, l->columns);
	q = put_number(q, l->planes);
	q = put_number(q, l->samples);
	q = put_number(q, l->bytes);
	q = put_number(q, l->bits);
	q = put_number(q, (l->is_signed ? SIGNED : 0) |
			  (l->big_endian ? BIG : 0) |
			  (l->swapped ? SWAPPED : 0) |
			  (r->cut.outside ? OUTSIDE : 0));
	q = put_number(q, r->cut.rects);
	q = put_number(q, r->cut.shown);
	q = put_rects(q, r->cut.rect, r->cut.rects);
	return put_rects(q, r->cut.show, r->cut.shown);
}

int dicom_mask_pack(const struct dicom_mask *m, uint8_t **out, size_t *len)
{
	size_t most = NUMBER_MAX * (4 + 2 * (size_t)m->pieces +
				    3 * (size_t)m->runs) + m->bytes.len +
		      NUMBER_MAX * REGION_NUMBERS_MAX;
	uint8_t *p = malloc(most), *q;
	uint32_t next = 0;

	if (!p)
		return fail(ENOMEM, "out of memory");
	q = put_number(p, m->region ? MASK_WITH_REGION : MASK_VERSION);
	q = put_number(q, m->length);
	q = put_number(q, m->pieces);
	q = put_number(q, m->bytes.len);
	if (m->region)
		q = put_region(m, q);
	for (uint32_t i = 0; i < m->pieces; i++)
		q = put_piece(m, i, q, &next);
	if (m->bytes.len)
		memcpy(q, m->bytes.p, m->bytes.len);
	*len = (size_t)(q - p) + m->bytes.len;
	*out = p;
	return 0;
}

/** struct packed_region - a region that is being read, and its piece */
struct packed_region {
	uint32_t piece;
	struct dicom_layout layout;
	struct dicom_cut cut;
};

/** struct cursor - what is left of a packed mask; @bad once it is none */
struct cursor {
	const uint8_t *p;
	size_t len;
	bool bad;
};

/* A number of at most @most. */
static uint64_t get_number(struct cursor *c, uint64_t most)
{
	uint64_t v = 0;

	for (unsigned int shift = 0; !c->bad && shift < 63; shift += 7) {
		uint8_t byte;

		if (!c->len)
			break;
		byte = *c->p++;
		c->len--;
		v |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80)) {
			c->bad = v > most;
			return c->bad ? 0 : v;
		}
	}
	c->bad = true;
	return 0;
}

/* A run, or the bytes behind those before. */
static struct dicom_run get_run(struct cursor *c, uint64_t bytes)
{
	struct dicom_run r;

	r.length = get_number(c, UINT64_MAX >> 8);
	r.at = (uint32_t)get_number(c, bytes);
	r.period = (uint32_t)get_number(c, bytes - r.at);
	c->bad |= !r.period || !r.length;
	return r;
}

static int get_piece(struct cursor *c, struct dicom_mask *m, uint64_t *start,
		     uint64_t bytes, uint32_t *next)
{
	uint64_t length = get_number(c, m->length - *start);
	uint64_t kind = get_number(c, 4 * DICOM_BLANK_RUNS + 3);
	struct dicom_run r = { length, *next, (uint32_t)length };
	int err;

	c->bad |= !length || (kind < 4 && length > bytes - *next);
	err = dicom_mask_add_piece(m, *start, kind & 3);
	if (!err && !c->bad && kind < 4) {
		*next += (uint32_t)length;
		err = dicom_mask_add_run(m, &r);
	}
	for (uint64_t i = 0; !err && !c->bad && i < kind / 4; i++) {
		r = get_run(c, bytes);
		*next = r.at + r.period;
		if (!c->bad)
			err = dicom_mask_add_run(m, &r);
	}
	*start += length;
	return err;
}

static void get_rects(struct cursor *c, struct dicom_rect *rect, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		rect[i].x = (uint32_t)get_number(c, UINT16_MAX);
		rect[i].y = (uint32_t)get_number(c, UINT16_MAX);
		rect[i].width = (uint32_t)get_number(c, UINT16_MAX);
		rect[i].height = (uint32_t)get_number(c, UINT16_MAX);
	}
}

/* What put_region() wrote; whether it fits to the pieces is seen later. */
static void get_region(struct cursor *c, struct packed_region *r)
{
	struct dicom_layout *l = &r->layout;
	uint64_t flags;

	r->piece = (uint32_t)get_number(c, DICOM_MASK_PIECES_MAX);
	l->rows = (uint32_t)get_number(c, UINT16_MAX);
	l->columns = (uint32_t)get_number(c, UINT16_MAX);
	l->planes = get_number(c, INT64_MAX);
	l->samples = (uint8_t)get_number(c, UINT8_MAX);
	l->bytes = (uint8_t)get_number(c, UINT8_MAX);
	l->bits = (uint8_t)get_number(c, UINT8_MAX);
	flags = get_number(c, SIGNED | BIG | SWAPPED | OUTSIDE);
	l->is_signed = flags & SIGNED;
	l->big_endian = flags & BIG;
	l->swapped = flags & SWAPPED;
	r->cut.outside = flags & OUTSIDE;
	r->cut.rects = (uint32_t)get_number(c, DICOM_RECTS_MAX);
	r->cut.shown = (uint32_t)get_number(c, DICOM_SHOWN_MAX);
	get_rects(c, r->cut.rect, r->cut.rects);
	get_rects(c, r->cut.show, r->cut.shown);
}

/* Lay it out, if it is one of a piece. */
static int set_region(struct cursor *c, struct dicom_mask *m,
		      const struct packed_region *r)
{
	struct dicom_piece *p = m->piece + r->piece;

	c->bad |= r->piece >= m->pieces || p->owner != CHAOSIMG_PIXELS ||
		  !dicom_layout_ok(&r->layout,
				   piece_end(m, r->piece) - p->start);
	if (c->bad)
		return 0;
	p->owner = DICOM_REGION;
	return dicom_region_new(&r->layout, p->start, &r->cut, &m->region);
}

static int get_mask(struct cursor *c, struct dicom_mask *m,
		    struct packed_region *region)
{
	uint64_t version = get_number(c, MASK_WITH_REGION), start = 0, bytes;
	uint64_t pieces;
	uint32_t at, next = 0;
	int err = 0;

	m->length = get_number(c, INT64_MAX);
	pieces = get_number(c, DICOM_MASK_PIECES_MAX);
	bytes = get_number(c, DICOM_MASK_BYTES_MAX);
	c->bad |= !version || !pieces != !m->length;
	if (version == MASK_WITH_REGION)
		get_region(c, region);
	for (uint64_t i = 0; !err && !c->bad && i < pieces; i++)
		err = get_piece(c, m, &start, bytes, &next);
	c->bad |= start != m->length || c->len != bytes;
	if (!err && version == MASK_WITH_REGION)
		err = set_region(c, m, region);
	if (err || c->bad)
		return err ? err : fail(EIO, "a file's mask is damaged");
	return dicom_bytes_add(&m->bytes, c->p, c->len, &at);
}

int dicom_mask_unpack(const uint8_t *in, size_t len, struct dicom_mask *m)
{
	struct packed_region *region = calloc(1, sizeof(*region));
	struct cursor c = { in, len, false };
	int err;

	memset(m, 0, sizeof(*m));
	if (!region)
		return fail(ENOMEM, "out of memory");
	err = get_mask(&c, m, region);
	free(region);
	if (err)
		dicom_mask_free(m);
	return err;
}
