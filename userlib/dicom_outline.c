// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The outline of a file while it is being written: one step for each header
 * that comes by. Values are passed over; sequences are entered where they have
 * no length, and their ends are just further headers.
 */
#include <errno.h>
#include <string.h>

#include "archive.h"
#include "dicom_division.h"
#include "dicom_outline.h"
#include "dicom_walk.h"

enum {
	PREAMBLE = 128,
	MAGIC_END = PREAMBLE + 4,
	BARE_ELEMENTS_MIN = 4,
	HEADER_MIN = 8,
};

#define FOREVER			(UINT64_MAX >> 1)
#define TAG_TRANSFER_SYNTAX	0x00020010u
#define TAG_ICON_IMAGE		0x00880200u
#define GROUP_ITEM		0xfffeu

static const struct dicom_syntax explicit_le = { true, false };
static const struct dicom_syntax explicit_be = { true, true };
static const struct dicom_syntax implicit_le = { false, false };

/** struct view - the bytes at hand: the outline's tail, then those fed */
struct view {
	const struct dicom_outline *o;
	const uint8_t *data;
	size_t len;
	uint64_t off;
};

static ssize_t view_read(void *ctx, void *buf, size_t len, uint64_t off)
{
	const struct view *v = ctx;
	const struct dicom_outline *o = v->o;
	uint64_t tail = o->tail_end - o->tail_len;
	size_t n = 0;

	if (o->tail_end == v->off && off >= tail && off < v->off) {
		n = (size_t)(v->off - off);
		n = n < len ? n : len;
		memcpy(buf, o->tail + (off - tail), n);
	} else if (off < v->off || off >= v->off + v->len) {
		return -ENODATA;
	}
	if (n < len) {
		size_t from = (size_t)(off + n - v->off);
		size_t more = v->len - from;

		more = more < len - n ? more : len - n;
		memcpy((uint8_t *)buf + n, v->data + from, more);
		n += more;
	}
	return (ssize_t)n;
}

static void remember_tail(struct dicom_outline *o, const struct view *v)
{
	size_t keep = v->len < OUTLINE_TAIL ? v->len : OUTLINE_TAIL;
	size_t old = o->tail_end == v->off ? o->tail_len : 0;

	if (old > OUTLINE_TAIL - keep)
		old = OUTLINE_TAIL - keep;
	memmove(o->tail, o->tail + o->tail_len - old, old);
	memcpy(o->tail + old, v->data + v->len - keep, keep);
	o->tail_len = old + keep;
	o->tail_end = v->off + v->len;
}

/* --- steps: DICOM_OK, DICOM_BROKEN, or -errno if bytes are missing ----------- */

/* Does an element stand there, in this syntax? */
static int element_at(struct dicom_reader *r, uint64_t pos,
		      struct dicom_syntax syntax, struct dicom_element *e)
{
	int err = dicom_read_element(r, pos, FOREVER, syntax, e);

	if (!err && syntax.explicit_vr != (e->vr[0] != 0))
		err = DICOM_BROKEN;
	return err;
}

static int find_syntax(struct dicom_outline *o, struct dicom_reader *r,
		       struct dicom_syntax first, struct dicom_element *e)
{
	const struct dicom_syntax candidate[] = {
		first, explicit_le, implicit_le, explicit_be,
	};
	int err = DICOM_BROKEN;

	for (size_t i = 0; err > 0 && i < 4; i++) {
		o->syntax = candidate[i];
		err = element_at(r, o->pos, o->syntax, e);
		if (!err && e->tag >> 16 >= 0x100)
			err = DICOM_BROKEN;
	}
	return err;
}

static int step_start(struct dicom_outline *o, struct dicom_reader *r)
{
	struct dicom_element e;
	const uint8_t *p;
	int err = dicom_fetch(r, 0, MAGIC_END, &p);

	if (err)
		return err;
	o->bare = memcmp(p + PREAMBLE, "DICM", 4);
	if (!o->bare)
		o->pos = MAGIC_END;
	err = find_syntax(o, r, explicit_le, &e);
	if (err < 0)
		o->pos = 0;
	if (err)
		return err;
	if (o->bare && e.tag >> 16 != 2 && e.tag >> 16 != 8)
		return DICOM_BROKEN;
	o->state = e.tag >> 16 == 2 ? OUTLINE_META : OUTLINE_DATA;
	return DICOM_OK;
}

/* All bytes of this large value belong to one set, or may belong to any. */
static void note_value(struct dicom_outline *o, const struct dicom_element *e,
		       uint64_t end)
{
	bool items = !e->vr[0] || dicom_vr_is(e, "SQ") || dicom_vr_is(e, "UN");
	enum chaosimg_compartment c;

	if (end - e->value < OUTLINE_VALUE_MIN)
		return;
	c = dicom_compartment(e->tag);
	o->from = e->value;
	o->to = end;
	o->set = held_bit(c);
	if (e->tag == TAG_ICON_IMAGE || (c == CHAOSIMG_CLINICAL && items))
		o->set = HELD_ALL;
}

static int note_syntax(struct dicom_outline *o, struct dicom_reader *r,
		       const struct dicom_element *e)
{
	size_t len = e->length < 64 ? e->length : 64;
	const uint8_t *p;
	int err = dicom_fetch(r, e->value, len, &p);

	if (err)
		return err;
	memcpy(o->uid, p, len);
	o->uid[len] = '\0';
	/* Padded with a space by some, and a byte of zero by the others. */
	while (len && o->uid[len - 1] == ' ')
		o->uid[--len] = '\0';
	return DICOM_OK;
}

static int step_meta(struct dicom_outline *o, struct dicom_reader *r)
{
	struct dicom_syntax first = explicit_le;
	struct dicom_element e;
	const uint8_t *p;
	int err = dicom_fetch(r, o->pos, 8, &p);

	if (err)
		return err;
	if (dicom_get16(p, implicit_le) == 2) {
		err = dicom_read_element(r, o->pos, FOREVER, o->syntax, &e);
		if (!err && e.tag == TAG_TRANSFER_SYNTAX)
			err = note_syntax(o, r, &e);
		if (!err)
			o->pos = e.value + e.length;
		return err;
	}
	o->state = OUTLINE_DATA;
	if (dicom_is_deflated(o->uid)) {
		o->from = o->pos;
		o->to = FOREVER;
		o->set = held_bit(CHAOSIMG_IDENTITY);
		o->state = OUTLINE_END;
		return DICOM_OK;
	}
	if (!strcmp(o->uid, "1.2.840.10008.1.2"))
		first = implicit_le;
	else if (!strcmp(o->uid, "1.2.840.10008.1.2.2"))
		first = explicit_be;
	err = find_syntax(o, r, first, &e);
	if (err < 0)
		o->state = OUTLINE_META;
	return err;
}

/* Fragments go on to what nobody knows yet: the end, but for a delimiter. */
static bool has_fragments(const struct dicom_element *e)
{
	return e->tag == DICOM_PIXEL_DATA || dicom_vr_is(e, "OB") ||
	       dicom_vr_is(e, "OW");
}

static int step_data(struct dicom_outline *o, struct dicom_reader *r)
{
	struct dicom_element e;
	const uint8_t *p;
	int err = dicom_fetch(r, o->pos, 8, &p);

	if (err)
		return err;
	if (dicom_get16(p, o->syntax) == GROUP_ITEM) {
		err = dicom_read_item(r, o->pos, FOREVER, o->syntax, &e);
		o->pos = err ? o->pos : e.value;
		return err;
	}
	err = dicom_read_element(r, o->pos, FOREVER, o->syntax, &e);
	if (err)
		return err;
	o->elements++;
	o->pos = e.value;
	if (e.undefined && has_fragments(&e)) {
		note_value(o, &e, FOREVER);
		o->state = OUTLINE_END;
	} else if (!e.undefined) {
		o->pos = e.value + e.length;
		note_value(o, &e, o->pos);
	}
	return DICOM_OK;
}

static int step(struct dicom_outline *o, struct dicom_reader *r)
{
	switch (o->state) {
	case OUTLINE_START:
		return step_start(o, r);
	case OUTLINE_META:
		return step_meta(o, r);
	case OUTLINE_DATA:
		return step_data(o, r);
	default:
		return -ENODATA;
	}
}

/* --- for the writer ----------------------------------------------------------- */

/* Do these bytes replace what the outline is made of? */
static bool replaces(const struct dicom_outline *o, size_t len, uint64_t off)
{
	/* A database writes its first page again and again. */
	if (o->state == OUTLINE_FOREIGN)
		return off <= PREAMBLE && off + len >= MAGIC_END;
	return off < o->seen;
}

void dicom_outline_feed(struct dicom_outline *o, const void *data, size_t len,
			uint64_t off)
{
	struct view v = { .o = o, .data = data, .len = len, .off = off };
	struct dicom_source src = {
		.read = view_read, .ctx = &v, .length = FOREVER
	};
	struct dicom_reader r = { .src = &src };
	int err = DICOM_OK;

	if (replaces(o, len, off))
		memset(o, 0, sizeof(*o));
	while (!err && o->state < OUTLINE_END) {
		uint64_t at = o->pos;

		err = step(o, &r);
		if (err >= 0 && o->seen < at + HEADER_MIN)
			o->seen = at + HEADER_MIN;
	}
	if (err > 0) {
		bool few = o->elements < (o->bare ? BARE_ELEMENTS_MIN : 1);

		o->state = few ? OUTLINE_FOREIGN : OUTLINE_END;
	}
	if (o->state >= OUTLINE_END)
		return;
	o->behind = o->behind || o->pos < off;
	if (o->pos < off + len)
		remember_tail(o, &v);
}

bool dicom_outline_blank(const struct dicom_outline *o)
{
	return o->state == OUTLINE_START && !o->tail_len && !o->behind;
}

bool dicom_outline_lost(const struct dicom_outline *o)
{
	return o->behind && o->state < OUTLINE_END;
}

unsigned int dicom_outline_set(const struct dicom_outline *o, uint64_t off,
			       size_t len)
{
	if (o->state == OUTLINE_FOREIGN)
		return held_bit(CHAOSIMG_IDENTITY);
	if (off >= o->from && off + len <= o->to)
		return o->set;
	return HELD_ALL;
}

bool dicom_outline_has_all(const struct dicom_outline *o, size_t len)
{
	return o->from && o->from < len && o->set != HELD_ALL &&
	       o->set & held_bit(CHAOSIMG_PIXELS);
}

void dicom_outline_known(struct dicom_outline *o, bool dicom, uint64_t from,
			 uint64_t to, unsigned int set)
{
	*o = (struct dicom_outline){
		.state = dicom ? OUTLINE_END : OUTLINE_FOREIGN,
		.from = from, .to = to, .set = set, .seen = from,
	};
}
