// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Labelled pixel regions: which bytes of a picture are in them. Rectangles are
 * laid out once, as bands of rows with the same spans; frames and rows repeat
 * them, so that a long picture takes no more memory than a short one.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dicom_region.h"
#include "error.h"

/* --- can it be cut out? ---------------------------------------------------- */

static const char *check_syntax(const struct dicom_part *part, const char *uid)
{
	bool big = part->syntax.big_endian;

	if (strcmp(uid, "1.2.840.10008.1.2") &&
	    strcmp(uid, "1.2.840.10008.1.2.1") &&
	    strcmp(uid, "1.2.840.10008.1.2.2"))
		return "the transfer syntax is not one of plain pixels";
	if (big != !strcmp(uid, "1.2.840.10008.1.2.2"))
		return "the file is not in the transfer syntax that it names";
	if (big && strcmp(part->vr, "OW") &&
	    (strcmp(part->vr, "OB") || part->picture->bits_allocated != 8))
		return "the order of the pixels' bytes is not known";
	return NULL;
}

/* Components that are left out for some pixels. */
static bool is_subsampled(const struct dicom_picture *p)
{
	return strstr(p->photometric, "422") || strstr(p->photometric, "420");
}

bool dicom_layout_ok(const struct dicom_layout *l, uint64_t length)
{
	uint64_t plane;

	if (!l->rows || l->rows > UINT16_MAX || !l->columns ||
	    l->columns > UINT16_MAX || (l->samples != 1 && l->samples != 3) ||
	    (l->bytes != 1 && l->bytes != 2) || !l->bits ||
	    l->bits > 8 * l->bytes || !l->planes)
		return false;
	if (l->swapped && (l->bytes != 1 || dicom_layout_row(l) % 2))
		return false;
	plane = dicom_layout_plane(l);
	if (l->planes > length / plane)
		return false;
	length -= l->planes * plane;
	return !length || (length == 1 && l->planes * plane % 2);
}

const char *dicom_layout_of(const struct dicom_part *part,
			    const char *transfer_syntax,
			    struct dicom_layout *l)
{
	const struct dicom_picture *p = part->picture;
	const char *why = check_syntax(part, transfer_syntax);
	bool by_plane = p->by_plane && p->samples == 3;

	if (why)
		return why;
	if ((p->bits_allocated != 8 && p->bits_allocated != 16) ||
	    (p->samples != 1 && p->samples != 3) || is_subsampled(p))
		return "pixels are not of 8 or 16 bits, grey or in full colour";
	*l = (struct dicom_layout){
		.rows = p->rows,
		.columns = p->columns,
		.planes = (uint64_t)p->frames * (by_plane ? 3 : 1),
		.samples = by_plane ? 1 : (uint8_t)p->samples,
		.bytes = (uint8_t)(p->bits_allocated / 8),
		.bits = (uint8_t)p->bits_allocated,
		.is_signed = p->is_signed,
		.big_endian = part->syntax.big_endian,
	};
	if (p->bits_stored && p->bits_stored < p->bits_allocated)
		l->bits = (uint8_t)p->bits_stored;
	l->swapped = l->big_endian && l->bytes == 1 &&
		     !strcmp(part->vr, "OW");
	if (l->swapped && dicom_layout_row(l) % 2)
		return "rows begin within a word";
	if (!dicom_layout_ok(l, part->end - part->start))
		return "the length of the pixels is not that of the picture";
	return NULL;
}

/* --- bands and spans ------------------------------------------------------- */

enum {
	CUTS_MAX = 2 * (DICOM_RECTS_MAX + DICOM_SHOWN_MAX) + 2,
	SPANS_MAX = DICOM_RECTS_MAX + DICOM_SHOWN_MAX + 1, /* of a band */
};

/** struct spans - of a band, while they are collected; in pixels, then bytes */
struct spans {
	uint32_t n;
	struct dicom_span span[SPANS_MAX];
};

static int by_number(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static int by_begin(const void *a, const void *b)
{
	const struct dicom_span *x = a, *y = b;

	return x->from < y->from ? -1 : x->from > y->from;
}

/* Sorted, and joined where they touch. */
static void join(struct spans *s)
{
	uint32_t n = 0;

	qsort(s->span, s->n, sizeof(s->span[0]), by_begin);
	for (uint32_t i = 0; i < s->n; i++) {
		struct dicom_span *last = n ? &s->span[n - 1] : NULL;

		if (!last || s->span[i].from > last->until)
			s->span[n++] = s->span[i];
		else if (s->span[i].until > last->until)
			last->until = s->span[i].until;
	}
	s->n = n;
}

/* The part of each rectangle that is in row @y. */
static void collect(struct spans *s, const struct dicom_rect *rect,
		    uint32_t rects, uint32_t y)
{
	for (uint32_t i = 0; i < rects; i++) {
		const struct dicom_rect *r = &rect[i];

		if (y >= r->y && y - r->y < r->height)
			s->span[s->n++] = (struct dicom_span){
				r->x, r->x + r->width,
			};
	}
}

/* What is between those of @in. */
static void collect_outside(struct spans *s, const struct spans *in,
			    uint32_t columns)
{
	uint32_t from = 0;

	for (uint32_t i = 0; i < in->n; i++) {
		if (in->span[i].from > from)
			s->span[s->n++] = (struct dicom_span){
				from, in->span[i].from,
			};
		from = in->span[i].until;
	}
	if (from < columns)
		s->span[s->n++] = (struct dicom_span){ from, columns };
}

static void spans_of_row(const struct dicom_region *r, uint32_t y,
			 struct spans *s)
{
	const struct dicom_layout *l = &r->layout;
	uint32_t pixel = l->samples * l->bytes;
	struct spans shown = { 0 };

	s->n = 0;
	collect(s, r->cut.rect, r->cut.rects, y);
	if (r->cut.outside) {
		collect(&shown, r->cut.show, r->cut.shown, y);
		join(&shown);
		collect_outside(s, &shown, l->columns);
	}
	for (uint32_t i = 0; i < s->n; i++) {
		s->span[i].from *= pixel;
		s->span[i].until *= pixel;
		if (l->swapped) {	/* whole words */
			s->span[i].from &= ~1u;
			s->span[i].until += s->span[i].until & 1;
		}
	}
	join(s);
}

/* The rows where something may begin or end. */
static uint32_t find_cuts(const struct dicom_region *r, uint32_t *cut)
{
	uint32_t n = 0, unique = 0;

	cut[n++] = 0;
	for (uint32_t i = 0; i < r->cut.rects; i++) {
		cut[n++] = r->cut.rect[i].y;
		cut[n++] = r->cut.rect[i].y + r->cut.rect[i].height;
	}
	for (uint32_t i = 0; i < r->cut.shown; i++) {
		cut[n++] = r->cut.show[i].y;
		cut[n++] = r->cut.show[i].y + r->cut.show[i].height;
	}
	qsort(cut, n, sizeof(cut[0]), by_number);
	for (uint32_t i = 0; i < n && cut[i] < r->layout.rows; i++)
		if (!unique || cut[i] > cut[unique - 1])
			cut[unique++] = cut[i];
	return unique;
}

static bool same_spans(const struct dicom_region *r, const struct spans *s)
{
	const struct dicom_band *last = &r->band[r->bands - 1];

	return last->spans == s->n &&
	       !memcmp(r->span + last->span, s->span,
		       s->n * sizeof(s->span[0]));
}

static int add_band(struct dicom_region *r, uint32_t y, const struct spans *s)
{
	uint32_t used = 0;
	struct dicom_span *more;

	if (r->bands && same_spans(r, s))
		return 0;
	if (r->bands)
		used = r->band[r->bands - 1].span + r->band[r->bands - 1].spans;
	more = realloc(r->span, (used + s->n + 1) * sizeof(*more));
	if (!more)
		return fail(ENOMEM, "out of memory");
	r->span = more;
	memcpy(more + used, s->span, s->n * sizeof(*more));
	r->band[r->bands++] = (struct dicom_band){ y, used, s->n };
	return 0;
}

static int make_bands(struct dicom_region *r)
{
	uint32_t cut[CUTS_MAX], n = find_cuts(r, cut);
	struct spans *s = malloc(sizeof(*s));
	int err = 0;

	r->band = malloc(n * sizeof(r->band[0]));
	if (!s || !r->band)
		err = fail(ENOMEM, "out of memory");
	for (uint32_t i = 0; !err && i < n; i++) {
		spans_of_row(r, cut[i], s);
		err = add_band(r, cut[i], s);
	}
	free(s);
	return err;
}

/* The rectangles' parts within the picture; those without one are left out. */
static uint32_t clip(struct dicom_rect *rect, uint32_t n,
		     const struct dicom_layout *l)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < n; i++) {
		struct dicom_rect r = rect[i];

		if (r.x >= l->columns || r.y >= l->rows || !r.width ||
		    !r.height)
			continue;
		if (r.width > l->columns - r.x)
			r.width = l->columns - r.x;
		if (r.height > l->rows - r.y)
			r.height = l->rows - r.y;
		rect[kept++] = r;
	}
	return kept;
}

int dicom_region_new(const struct dicom_layout *l, uint64_t start,
		     const struct dicom_cut *cut, struct dicom_region **out)
{
	struct dicom_region *r = calloc(1, sizeof(*r));
	uint32_t longer = l->rows > l->columns ? l->rows : l->columns;
	int err;

	if (!r)
		return fail(ENOMEM, "out of memory");
	r->layout = *l;
	r->start = start;
	r->cut = *cut;
	r->cut.rects = clip(r->cut.rect, cut->rects, l);
	r->cut.shown = clip(r->cut.show, cut->shown, l);
	r->block = (longer + DICOM_BLOCKS_MAX - 1) / DICOM_BLOCKS_MAX;
	if (r->block < DICOM_BLOCK_MIN)
		r->block = DICOM_BLOCK_MIN;
	err = make_bands(r);
	if (err)
		dicom_region_free(r);
	else
		*out = r;
	return err;
}

void dicom_region_free(struct dicom_region *r)
{
	if (!r)
		return;
	free(r->band);
	free(r->span);
	free(r);
}

/* --- reading --------------------------------------------------------------- */

static uint32_t find_band(const struct dicom_region *r, uint32_t y)
{
	uint32_t low = 0, high = r->bands;

	while (high - low > 1) {
		uint32_t mid = low + (high - low) / 2;

		if (r->band[mid].y <= y)
			low = mid;
		else
			high = mid;
	}
	return low;
}

bool dicom_region_at(const struct dicom_region *r, uint64_t off, uint64_t *end)
{
	const struct dicom_layout *l = &r->layout;
	uint64_t plane = dicom_layout_plane(l), at = off - r->start;
	uint32_t row = dicom_layout_row(l), y, x, i, rows, n;
	const struct dicom_span *s;

	*end = UINT64_MAX;
	if (at >= l->planes * plane)
		return false;
	y = (uint32_t)(at % plane / row);
	x = (uint32_t)(at % plane % row);
	i = find_band(r, y);
	rows = (i + 1 < r->bands ? r->band[i + 1].y : l->rows) - y;
	s = r->span + r->band[i].span;
	n = r->band[i].spans;
	if (!n || (s->from == 0 && s->until == row)) {	/* all of the band */
		*end = off - x + (uint64_t)rows * row;
		return n;
	}
	while (n && s->until <= x) {
		s++;
		n--;
	}
	if (!n)
		*end = off - x + row;
	else
		*end = off - x + (x < s->from ? s->from : s->until);
	return n && x >= s->from;
}
