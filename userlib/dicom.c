// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * DICOM recognition and the division of a file into compartments: one walk
 * over the headers of all elements, without recursion or allocation. Most
 * values are skipped. Documentation/dicom.rst states the rules.
 */
#include <stdlib.h>
#include <string.h>

#include "dicom.h"
#include "dicom_division.h"
#include "dicom_element.h"
#include "dicom_walk.h"

enum {
	PREAMBLE = 128,
	MAGIC_END = PREAMBLE + 4,
	NESTING_MAX = 64,		/* sequences in sequences */
	LEVELS = 2 * NESTING_MAX + 1,	/* each with an item, and the root */
	STEPS_MAX = 1 << 22,		/* headers looked at */
	FRAGMENTS_WALKED = 256,		/* before a shortcut is tried */
	BARE_ELEMENTS_MIN = 4,		/* what makes a bare data set DICOM */
};

#define TAG_MODALITY		0x00080060u
#define TAG_SOP_CLASS		0x00080016u
#define TAG_SOP_INSTANCE	0x00080018u
#define TAG_TRANSFER_SYNTAX	0x00020010u
#define TAG_ICON_IMAGE		0x00880200u

static const struct dicom_syntax implicit_le = { false, false };
static const struct dicom_syntax explicit_le = { true, false };
static const struct dicom_syntax explicit_be = { true, true };

#define UID_IMPLICIT_LE	"1.2.840.10008.1.2"
#define UID_EXPLICIT_LE	"1.2.840.10008.1.2.1"
#define UID_EXPLICIT_BE	"1.2.840.10008.1.2.2"

/* Transfer syntaxes whose data set is a deflated stream. */
static const char *const uid_deflated[] = {
	"1.2.840.10008.1.2.1.99",
	"1.2.840.10008.1.2.4.95",
	"1.2.840.10008.1.2.4.205",
};

/* What a level's values are. */
enum content {
	AS_TAGGED,	/* each by its own tag */
	ICON,		/* a listed picture: pixels are pixels, else identity */
	WHOLE,		/* identity, headers too */
};

/**
 * struct level - the data set, a sequence or an item that is being walked
 * @begin: behind its header
 * @end: it ends here, or before if it is @delimited
 * @items: holds items, not elements
 * @sequence: the tag of the innermost sequence
 */
struct level {
	uint64_t begin;
	uint64_t end;
	uint32_t sequence;
	bool items;
	bool delimited;
	enum content content;
	struct dicom_syntax syntax;
	struct dicom_picture picture;
};

/**
 * struct walk - the state of dicom_parse()
 * @depth: index of the current level
 * @meta: in the file meta information (group 0002)
 * @bare: the file has no preamble
 * @elements: found in the root, up to the first that is broken
 * @last_tag: of these
 * @sop_uid: one of them is a SOP class or instance UID
 * @visitor: may be NULL
 * @failed: what it returned first
 */
struct walk {
	struct dicom_reader reader;
	struct dicom_division division;
	struct dicom_info *info;
	uint64_t length;
	uint64_t pos;
	uint32_t steps;
	unsigned int depth;
	bool meta;
	bool bare;
	uint32_t elements;
	uint32_t last_tag;
	bool sop_uid;
	const struct dicom_visitor *visitor;
	int failed;
	struct level level[LEVELS];
};

/* Parts that are no value: from where the last one ended, or @p->start. */
static void part(struct walk *w, const struct dicom_part *p)
{
	dicom_division_mark(&w->division, p->end, p->compartment);
	if (w->visitor && !w->failed && p->end > p->start)
		w->failed = w->visitor->visit(w->visitor->ctx, &w->reader, p);
}

static void mark(struct walk *w, uint64_t until, enum dicom_part_kind kind,
		 enum chaosimg_compartment c)
{
	const struct level *l = &w->level[w->depth];
	const struct dicom_part p = {
		.kind = kind,
		.start = w->division.done,
		.end = until,
		.compartment = c,
		.syntax = l->syntax,
		.items = l->items,
	};

	part(w, &p);
}

static void mark_header(struct walk *w, uint64_t until,
			enum chaosimg_compartment c)
{
	mark(w, until, DICOM_HEADER, c);
}

/* The value of @e, which stands in @l, or what takes its place. */
static void mark_value(struct walk *w, uint64_t until,
		       enum dicom_part_kind kind, enum chaosimg_compartment c,
		       const struct level *l, const struct dicom_element *e)
{
	struct dicom_part p = {
		.kind = kind,
		.start = w->division.done,
		.end = until,
		.compartment = c,
		.tag = e->tag,
		.listed = l->content == WHOLE,
		.items = kind == DICOM_UNREAD,
		.depth = w->depth,
		.sequence = l->sequence,
		.syntax = l->syntax,
		.picture = &l->picture,
	};

	memcpy(p.vr, e->vr, sizeof(p.vr));
	part(w, &p);
}

/* The compartment of the headers and delimiters inside @l. */
static enum chaosimg_compartment structure_of(const struct level *l)
{
	return l->content == WHOLE ? CHAOSIMG_IDENTITY : CHAOSIMG_CLINICAL;
}

static enum chaosimg_compartment value_of(const struct level *l, uint32_t tag)
{
	enum chaosimg_compartment c = dicom_compartment(tag);

	if (l->content == AS_TAGGED)
		return c;
	if (l->content == ICON && c == CHAOSIMG_PIXELS)
		return c;
	return CHAOSIMG_IDENTITY;
}

static bool push(struct walk *w, const struct level *l)
{
	if (w->depth + 1 == LEVELS)
		return false;
	w->level[++w->depth] = *l;
	return true;
}

/*
 * Nothing can be told of what follows here. The innermost enclosing value
 * whose length is known is identity up to its end, and the walk goes on there.
 * If that is in a sequence that is identity as a whole, what was taken for
 * headers may have been something else.
 */
static void give_up_level(struct walk *w)
{
	struct dicom_part p = {
		.kind = DICOM_UNREAD,
		.start = w->division.done,
		.compartment = CHAOSIMG_IDENTITY,
	};
	const struct level *l = &w->level[w->depth], *from = l;

	while (l->delimited) {
		if (l->content == WHOLE)
			from = l;
		l = &w->level[--w->depth];
	}
	if (l->content == WHOLE)
		from = l;
	if (from->content == WHOLE)
		p.start = from->begin;
	else
		from = l;
	p.end = l->end;
	p.items = from->items;
	p.syntax = from->syntax;
	w->pos = p.end;
	part(w, &p);
}

static void give_up_file(struct walk *w, enum dicom_part_kind kind)
{
	w->depth = 0;
	w->pos = w->length;
	mark(w, w->pos, kind, CHAOSIMG_IDENTITY);
}

/* --- strings that end up in the information ----------------------------- */

static bool is_uid_char(uint8_t c)
{
	return c == '.' || (c >= '0' && c <= '9');
}

/* Copies the leading characters that a UID may have. */
static int copy_uid(struct walk *w, const struct dicom_element *e,
		    char out[65])
{
	size_t len = e->length < 64 ? e->length : 64;
	const uint8_t *p;
	size_t i;
	int err;

	err = dicom_fetch(&w->reader, e->value, len, &p);
	if (err)
		return err;
	for (i = 0; i < len && is_uid_char(p[i]); i++)
		out[i] = (char)p[i];
	out[i] = '\0';
	return DICOM_OK;
}

static bool is_code_char(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == ' ' ||
	       c == '_';
}

/* A code string without its padding; other characters become underscores. */
static int copy_code(struct walk *w, const struct dicom_element *e,
		     char out[17])
{
	size_t len = e->length < 16 ? e->length : 16;
	const uint8_t *p;
	int err;

	err = dicom_fetch(&w->reader, e->value, len, &p);
	if (err)
		return err;
	while (len && (p[len - 1] == ' ' || p[len - 1] == '\0'))
		len--;
	while (len && *p == ' ') {
		p++;
		len--;
	}
	for (size_t i = 0; i < len; i++)
		out[i] = is_code_char((char)p[i]) ? (char)p[i] : '_';
	out[len] = '\0';
	return DICOM_OK;
}

/* An element of the root: count it, and note what the caller wants to know. */
static int note_root_element(struct walk *w, const struct dicom_element *e)
{
	char uid[65] = "";
	int err;

	w->elements++;
	w->last_tag = e->tag;
	switch (e->tag) {
	case TAG_MODALITY:
		return w->info->modality[0] ? DICOM_OK :
		       copy_code(w, e, w->info->modality);
	case TAG_TRANSFER_SYNTAX:
		if (!w->meta)
			return DICOM_OK;
		return copy_uid(w, e, w->info->transfer_syntax);
	case TAG_SOP_CLASS:
	case TAG_SOP_INSTANCE:
		err = copy_uid(w, e, uid);
		if (strchr(uid, '.'))
			w->sop_uid = true;
		return err;
	}
	return DICOM_OK;
}

/* --- encapsulated pixel data -------------------------------------------- */

/* Does the file end in a sequence delimiter that may be this value's? */
static int ends_in_delimiter(struct walk *w, const struct level *l,
			     uint64_t pos)
{
	struct dicom_element e;
	int err;

	if (w->depth || w->length - pos < 8)
		return DICOM_BROKEN;
	err = dicom_read_item(&w->reader, w->length - 8, w->length, l->syntax,
			      &e);
	if (err)
		return err;
	return e.tag == DICOM_SEQUENCE_END ? DICOM_OK : DICOM_BROKEN;
}

/*
 * The first item lists where each frame's first fragment begins. Move @pos to
 * that of the last frame if an item is there; else leave it.
 */
static int skip_to_last_frame(struct walk *w, const struct level *l,
			      const struct dicom_element *table, uint64_t *pos)
{
	uint64_t first = table->value + table->length;
	struct dicom_element e;
	const uint8_t *p;
	uint64_t last;
	int err;

	if (table->length < 4 || table->length % 4)
		return DICOM_OK;
	err = dicom_fetch(&w->reader, first - 4, 4, &p);
	if (err)
		return err;
	last = first + dicom_get32(p, l->syntax);
	err = dicom_read_item(&w->reader, last, l->end, l->syntax, &e);
	if (!err && e.tag == DICOM_ITEM && !e.undefined)
		*pos = last;
	return err < 0 ? err : DICOM_OK;
}

/**
 * find_fragments_end() - find the delimiter of encapsulated data
 * @pos: of the offset table's item
 * @end: receives the delimiter's position
 * Walks the fragments' headers. If there are too many of them, a delimiter in
 * the last place of the file is taken for the one sought.
 */
static int find_fragments_end(struct walk *w, const struct level *l,
			      uint64_t pos, uint64_t *end)
{
	struct dicom_element e;
	int err;

	for (uint32_t n = 0; w->steps < STEPS_MAX; n++, w->steps++) {
		if (n == FRAGMENTS_WALKED) {
			err = ends_in_delimiter(w, l, pos);
			*end = w->length - 8;
			if (err <= 0)
				return err;
		}
		err = dicom_read_item(&w->reader, pos, l->end, l->syntax, &e);
		if (err)
			return err;
		*end = pos;
		if (e.tag == DICOM_SEQUENCE_END)
			return DICOM_OK;
		if (e.tag != DICOM_ITEM || e.undefined)
			return DICOM_BROKEN;
		pos = e.value + e.length;
		err = n ? DICOM_OK : skip_to_last_frame(w, l, &e, &pos);
		if (err)
			return err;
	}
	return DICOM_BROKEN;
}

/*
 * Pixel data that the file is too short for. It is identity, header included;
 * but whoever is shown a picture in its place is shown the header.
 */
static int walk_cut_pixels(struct walk *w, const struct level *l,
			   const struct dicom_element *e,
			   enum dicom_part_kind kind)
{
	mark_header(w, e->value, CHAOSIMG_IDENTITY);
	w->pos = l->end;
	mark_value(w, w->pos, kind, CHAOSIMG_IDENTITY, l, e);
	return DICOM_OK;
}

static int walk_fragments(struct walk *w, const struct level *l,
			  const struct dicom_element *e)
{
	uint64_t end;
	int err;

	err = find_fragments_end(w, l, e->value, &end);
	if (err == DICOM_BROKEN && !w->depth)
		return walk_cut_pixels(w, l, e, DICOM_FRAGMENTS);
	if (err)
		return err;
	mark_header(w, e->value, structure_of(l));
	mark_value(w, end, DICOM_FRAGMENTS, value_of(l, e->tag), l, e);
	w->pos = end + 8;
	mark_header(w, w->pos, structure_of(l));
	return DICOM_OK;
}

/* --- what a picture is like ---------------------------------------------- */

static int note_number(struct walk *w, const struct dicom_element *e,
		       uint16_t *out)
{
	const uint8_t *p;
	int err;

	if (e->length != 2)
		return DICOM_OK;
	err = dicom_fetch(&w->reader, e->value, 2, &p);
	if (!err)
		*out = dicom_get16(p, w->level[w->depth].syntax);
	return err;
}

static int note_frames(struct walk *w, const struct dicom_element *e,
		       uint32_t *out)
{
	char text[13] = "";
	const uint8_t *p;
	long n;
	int err;

	if (e->length >= sizeof(text))
		return DICOM_OK;
	err = dicom_fetch(&w->reader, e->value, e->length, &p);
	if (err)
		return err;
	memcpy(text, p, e->length);
	n = strtol(text, NULL, 10);
	*out = n > 0 && n <= INT32_MAX ? (uint32_t)n : 1;
	return DICOM_OK;
}

/* Attributes of group 0028 that say how pixels are stored. */
static int note_picture(struct walk *w, const struct dicom_element *e)
{
	struct dicom_picture *p = &w->level[w->depth].picture;
	uint16_t flag = 0;
	int err;

	if (!w->visitor || e->tag >> 16 != 0x28)
		return DICOM_OK;
	switch (e->tag & 0xffff) {
	case 0x0002:
		return note_number(w, e, &p->samples);
	case 0x0004:
		return copy_code(w, e, p->photometric);
	case 0x0006:
		err = note_number(w, e, &flag);
		p->by_plane = flag == 1;
		return err;
	case 0x0008:
		return note_frames(w, e, &p->frames);
	case 0x0010:
		return note_number(w, e, &p->rows);
	case 0x0011:
		return note_number(w, e, &p->columns);
	case 0x0100:
		return note_number(w, e, &p->bits_allocated);
	case 0x0101:
		return note_number(w, e, &p->bits_stored);
	case 0x0103:
		err = note_number(w, e, &flag);
		p->is_signed = flag == 1;
		return err;
	}
	return DICOM_OK;
}

/* --- sequences and items ------------------------------------------------ */

/* The level inside the sequence @e, which stands in @l. */
static struct level sequence_level(const struct level *l,
				   const struct dicom_element *e)
{
	struct level s = {
		.begin = e->value,
		.end = e->undefined ? l->end : e->value + e->length,
		.sequence = e->tag,
		.items = true,
		.delimited = e->undefined,
		.content = AS_TAGGED,
		.syntax = l->syntax,
	};

	/* PS3.5 section 6.2.2: a sequence behind UN is in implicit VR. */
	if (dicom_vr_is(e, "UN"))
		s.syntax = implicit_le;
	if (l->content == AS_TAGGED && e->tag == TAG_ICON_IMAGE)
		s.content = ICON;
	else if (value_of(l, e->tag) == CHAOSIMG_IDENTITY)
		s.content = WHOLE;
	return s;
}

/* May an element with this header have an undefined length and hold items? */
static bool may_hold_items(const struct dicom_element *e)
{
	return !e->vr[0] || dicom_vr_is(e, "SQ") || dicom_vr_is(e, "UN");
}

static int walk_undefined(struct walk *w, const struct level *l,
			  const struct dicom_element *e)
{
	struct level s;

	if (e->tag == DICOM_PIXEL_DATA || dicom_vr_is(e, "OB") ||
	    dicom_vr_is(e, "OW"))
		return walk_fragments(w, l, e);
	if (!may_hold_items(e))
		return DICOM_BROKEN;
	s = sequence_level(l, e);
	mark_header(w, e->value, structure_of(l));
	if (!push(w, &s))
		return DICOM_BROKEN;
	w->pos = e->value;
	return DICOM_OK;
}

/* Without a VR, only the value's begin tells a sequence. */
static int begins_with_item(struct walk *w, const struct level *s, uint64_t pos,
			    bool *yes)
{
	struct dicom_element e;
	int err;

	err = dicom_read_item(&w->reader, pos, s->end, s->syntax, &e);
	*yes = !err && e.tag == DICOM_ITEM;
	return err < 0 ? err : DICOM_OK;
}

static int walk_defined(struct walk *w, const struct level *l,
			const struct dicom_element *e)
{
	struct level s;
	bool descend = false;
	int err;

	if (may_hold_items(e) && dicom_compartment(e->tag) != CHAOSIMG_PIXELS) {
		s = sequence_level(l, e);
		err = begins_with_item(w, &s, e->value, &descend);
		if (err)
			return err;
	}
	mark_header(w, e->value, structure_of(l));
	w->pos = e->value;
	if (descend && push(w, &s))
		return DICOM_OK;
	w->pos += e->length;
	/* A sequence that cannot be looked into may hold anything. */
	if (descend || (dicom_vr_is(e, "SQ") && e->length)) {
		mark_value(w, w->pos, DICOM_UNREAD, CHAOSIMG_IDENTITY, l, e);
		return DICOM_OK;
	}
	mark_value(w, w->pos, DICOM_VALUE, value_of(l, e->tag), l, e);
	return note_picture(w, e);
}

static int walk_item(struct walk *w, const struct level *l)
{
	struct level item = *l;
	struct dicom_element e;
	int err;

	err = dicom_read_item(&w->reader, w->pos, l->end, l->syntax, &e);
	if (err)
		return err;
	if (e.tag == DICOM_SEQUENCE_END && l->delimited) {
		w->depth--;
		w->pos = e.value;
		mark_header(w, w->pos, structure_of(&w->level[w->depth]));
		return DICOM_OK;
	}
	if (e.tag != DICOM_ITEM)
		return DICOM_BROKEN;
	mark_header(w, e.value, structure_of(l));
	w->pos = e.value;
	item.begin = e.value;
	item.picture = (struct dicom_picture){ .frames = 1 };
	item.items = false;
	item.delimited = e.undefined;
	if (!e.undefined)
		item.end = e.value + e.length;
	return push(w, &item) ? DICOM_OK : DICOM_BROKEN;
}

static int end_delimited_item(struct walk *w, const struct level *l,
			      bool *ended)
{
	struct dicom_element e;
	int err;

	*ended = false;
	err = dicom_read_item(&w->reader, w->pos, l->end, l->syntax, &e);
	if (err || e.tag != DICOM_ITEM_END)
		return err < 0 ? err : DICOM_OK;
	*ended = true;
	w->depth--;
	w->pos = e.value;
	mark_header(w, w->pos, structure_of(&w->level[w->depth]));
	return DICOM_OK;
}

/* --- the data set ------------------------------------------------------- */

/* Is this what a data set's first element looks like? */
static int looks_like_start(struct walk *w, uint64_t pos,
			    struct dicom_syntax syntax, bool *yes)
{
	struct dicom_element e;
	struct dicom_syntax with_vr = { true, syntax.big_endian };
	bool has_vr;
	int err;

	err = dicom_read_element(&w->reader, pos, w->length, with_vr, &e);
	if (err < 0)
		return err;
	has_vr = !err && e.vr[0];
	if (!syntax.explicit_vr)
		err = dicom_read_element(&w->reader, pos, w->length, syntax,
					 &e);
	*yes = !err && e.tag >> 16 < 0x100 && syntax.explicit_vr == has_vr;
	return err < 0 ? err : DICOM_OK;
}

static struct dicom_syntax declared_syntax(const char *uid)
{
	if (!strcmp(uid, UID_IMPLICIT_LE))
		return implicit_le;
	if (!strcmp(uid, UID_EXPLICIT_BE))
		return explicit_be;
	return explicit_le;
}

static const char *uid_of(struct dicom_syntax syntax)
{
	if (syntax.big_endian)
		return UID_EXPLICIT_BE;
	return syntax.explicit_vr ? UID_EXPLICIT_LE : UID_IMPLICIT_LE;
}

/*
 * The data set's syntax: the declared one unless its first element can only
 * be read in another.
 */
static int choose_syntax(struct walk *w, struct dicom_syntax *out)
{
	struct dicom_syntax declared =
		declared_syntax(w->info->transfer_syntax);
	const struct dicom_syntax candidate[] = {
		declared, explicit_le, implicit_le, explicit_be,
	};
	bool yes;
	int err;

	for (size_t i = 0; i < sizeof(candidate) / sizeof(candidate[0]); i++) {
		err = looks_like_start(w, w->pos, candidate[i], &yes);
		*out = candidate[i];
		if (err || yes)
			return err;
	}
	*out = declared;
	return DICOM_OK;
}

bool dicom_is_deflated(const char *uid)
{
	for (size_t i = 0; i < sizeof(uid_deflated) / sizeof(uid_deflated[0]);
	     i++)
		if (!strcmp(uid, uid_deflated[i]))
			return true;
	return false;
}

/* The file meta information ends where another group begins. */
static int end_meta(struct walk *w)
{
	int err;

	w->meta = false;
	if (dicom_is_deflated(w->info->transfer_syntax)) {
		give_up_file(w, DICOM_DEFLATED);
		return DICOM_OK;
	}
	err = choose_syntax(w, &w->level[0].syntax);
	if (!w->info->transfer_syntax[0])
		strcpy(w->info->transfer_syntax, uid_of(w->level[0].syntax));
	return err;
}

static int meta_ends_here(struct walk *w, bool *yes)
{
	const uint8_t *p;
	int err;

	err = dicom_fetch(&w->reader, w->pos, 2, &p);
	if (!err)
		*yes = dicom_get16(p, implicit_le) != 2;
	return err;
}

/*
 * Implicit VR may turn up inside sequences only. A bare data set has nothing
 * but its order to tell it from other data.
 */
static bool fits_root(const struct walk *w, const struct dicom_element *e)
{
	if (w->level[0].syntax.explicit_vr && !e->vr[0])
		return false;
	return !w->bare || !w->elements || e->tag > w->last_tag;
}

/* Was nothing wrong with it but that its value reaches out of the file? */
static bool is_cut_pixels(const struct walk *w, const struct level *l,
			  const struct dicom_element *e)
{
	return !w->depth && !w->meta && e->tag == DICOM_PIXEL_DATA &&
	       e->value <= l->end && e->length > l->end - e->value &&
	       l->syntax.explicit_vr == (e->vr[0] != 0) &&
	       (!e->vr[0] || dicom_vr_is(e, "OW") || dicom_vr_is(e, "OB"));
}

static int walk_element(struct walk *w, const struct level *l)
{
	struct dicom_element e = { 0 };
	int err;

	err = dicom_read_element(&w->reader, w->pos, l->end, l->syntax, &e);
	if (err == DICOM_BROKEN && is_cut_pixels(w, l, &e))
		return walk_cut_pixels(w, l, &e, DICOM_VALUE);
	if (err)
		return err;
	if (!w->depth) {
		if (!fits_root(w, &e))
			return DICOM_BROKEN;
		err = note_root_element(w, &e);
		if (err)
			return err;
	}
	return e.undefined ? walk_undefined(w, l, &e) : walk_defined(w, l, &e);
}

/* One header. Its level is copied, since the walk may leave it. */
static int step(struct walk *w)
{
	const struct level l = w->level[w->depth];
	bool done = false;
	int err = DICOM_OK;

	if (w->pos == l.end) {	/* with or without its delimiter */
		w->depth--;	/* never the root: see walk_all() */
		return DICOM_OK;
	}
	if (l.items)
		return walk_item(w, &l);
	if (w->meta) {
		err = meta_ends_here(w, &done);
		if (!err && done)
			return end_meta(w);
	} else if (l.delimited) {
		err = end_delimited_item(w, &l, &done);
	}
	return err || done ? err : walk_element(w, &l);
}

static int walk_all(struct walk *w)
{
	int err;

	while (w->depth || w->pos < w->length) {
		err = w->steps++ < STEPS_MAX ? step(w) : DICOM_OK;
		if (err >= 0 && w->failed)
			err = w->failed;
		if (err < 0)
			return err;
		if (err)
			give_up_level(w);
		if (w->steps >= STEPS_MAX)
			give_up_file(w, DICOM_UNREAD);
	}
	return w->failed;
}

/* --- recognition -------------------------------------------------------- */

static int has_magic(struct walk *w, bool *yes)
{
	const uint8_t *p;
	int err;

	err = dicom_fetch(&w->reader, 0, MAGIC_END, &p);
	*yes = !err && !memcmp(p + PREAMBLE, "DICM", 4);
	return err < 0 ? err : DICOM_OK;
}

static int start_part10(struct walk *w)
{
	bool plain;
	int err;

	/* The preamble may hold anything. */
	mark(w, PREAMBLE, DICOM_OPAQUE, CHAOSIMG_IDENTITY);
	mark_header(w, MAGIC_END, CHAOSIMG_CLINICAL);
	w->pos = MAGIC_END;
	w->meta = true;
	/* The meta information is in explicit VR, but with some writers. */
	err = looks_like_start(w, w->pos, implicit_le, &plain);
	w->level[0].syntax = plain ? implicit_le : explicit_le;
	return err;
}

/* Meta information without a preamble, or a data set that begins at group 8. */
static int start_bare(struct walk *w, bool *yes)
{
	const struct dicom_syntax candidate[] = {
		explicit_le, explicit_be, implicit_le,
	};
	struct dicom_element e;
	int err;

	*yes = false;
	w->bare = true;
	for (size_t i = 0; !*yes && i < 3; i++) {
		w->level[0].syntax = candidate[i];
		err = looks_like_start(w, 0, candidate[i], yes);
		if (err)
			return err;
	}
	if (!*yes)
		return DICOM_OK;
	err = dicom_read_element(&w->reader, 0, w->length, w->level[0].syntax,
				 &e);
	w->meta = e.tag >> 16 == 2 && !w->level[0].syntax.big_endian;
	*yes = w->meta || e.tag >> 16 == 8;
	if (*yes && !w->meta)
		strcpy(w->info->transfer_syntax, uid_of(w->level[0].syntax));
	return err;
}

static bool is_dicom(const struct walk *w)
{
	if (!w->bare)
		return w->elements > 0;
	/* Implicit VR alone is too weak a form: many a binary file has it. */
	return w->elements >= BARE_ELEMENTS_MIN &&
	       (w->level[0].syntax.explicit_vr || w->sop_uid);
}

int dicom_walk(const struct dicom_source *src, struct dicom_info *info,
	       const struct dicom_visitor *visitor)
{
	struct walk w = {
		.reader.src = src,
		.division.info = info,
		.info = info,
		.length = src->length,
		.visitor = visitor,
		.level[0].end = src->length,
		.level[0].picture.frames = 1,
	};
	bool found;
	int err;

	memset(info, 0, sizeof(*info));
	err = has_magic(&w, &found);
	if (!err && found)
		err = start_part10(&w);
	else if (!err)
		err = start_bare(&w, &found);
	if (!err && found)
		err = walk_all(&w);
	if (!err && found && is_dicom(&w))
		return 1;
	memset(info, 0, sizeof(*info));
	return err;
}

int dicom_parse(const struct dicom_source *src, struct dicom_info *info)
{
	return dicom_walk(src, info, NULL);
}
