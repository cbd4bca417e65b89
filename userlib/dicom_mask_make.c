// SPDX-License-Identifier: GPL-2.0-or-later
/* Making the mask of a file, part by part, while it is divided. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "archive.h"
#include "dicom_division.h"
#include "dicom_mask.h"
#include "error.h"

#define TAG_PADDING		0xfffcfffcu
#define TAG_FRAME_OFFSETS	0x7fe00001u
#define TAG_FRAME_LENGTHS	0x7fe00002u
#define TAG_TOTAL_LENGTH	0x7fe00003u

enum {
	KEPT_MAX = 1 << 20,	/* a value that the mask shows */
	UIDS_MAX = DICOM_WINDOW,	/* bytes of UIDs in a value */
};

/**
 * struct maker - the state of dicom_mask_make()
 * @done: the mask is made up to here
 * @full: it has grown too long; the rest is zeros
 * @nested: this was a deflated data set; another in it is not looked at
 * @cut: which of the pixels belong to identity; NULL: none
 * @last_root_tag: of the values in the data set itself
 * @disordered: these do not ascend
 * @info: knows the transfer syntax
 * @uid_key: see dicom_mask_make()
 * @uid_mac: of that, once there was a UID
 * @table: of what says where frames are: where in the mask's bytes, which are
 *	filled in when the frames are reached; and how long it is
 */
struct maker {
	struct dicom_mask *m;
	struct dicom_info *info;
	const uint8_t *uid_key;
	EVP_MAC_CTX *uid_mac;
	const struct dicom_cut *cut;
	uint32_t last_root_tag;
	bool disordered;
	uint64_t done;
	bool full;
	bool nested;
	struct {
		uint32_t at;
		uint32_t len;
	} table[3];
};

/* --- pieces --------------------------------------------------------------- */

/* Bytes that a piece has once can be parts of it. */
static bool is_once(const struct dicom_piece *p, const struct dicom_run *r)
{
	return p->runs == 1 && r->length == r->period;
}

/* The mask is to go on from @start, where a part began. */
static void take_back(struct maker *k, uint64_t start)
{
	struct dicom_mask *m = k->m;
	struct dicom_piece *p;
	struct dicom_run *r;

	while (m->pieces && m->piece[m->pieces - 1].start >= start) {
		if (m->piece[m->pieces - 1].owner == DICOM_REGION) {
			dicom_region_free(m->region);
			m->region = NULL;
		}
		m->runs = m->piece[--m->pieces].run;
		m->bytes.len = m->run[m->runs].at;
	}
	p = m->pieces ? &m->piece[m->pieces - 1] : NULL;
	r = p ? &m->run[p->run] : NULL;
	if (p && is_once(p, r) && r->length > start - p->start) {
		p->unit = r->length = start - p->start;
		r->period = (uint32_t)r->length;
		m->bytes.len = r->at + r->period;
	}
	memset(k->table, 0, sizeof(k->table));
	k->done = start;
}

static int begin_piece(struct maker *k, uint64_t end, uint8_t owner)
{
	int err = dicom_mask_add_piece(k->m, k->done, owner);

	k->done = end;
	return err;
}

/* Do new bytes, which end up behind all others, continue the last piece? */
static bool continues_last(const struct dicom_mask *m, uint8_t owner)
{
	const struct dicom_piece *p;
	const struct dicom_run *r;

	if (!m->pieces)
		return false;
	p = &m->piece[m->pieces - 1];
	r = &m->run[p->run];
	return p->owner == owner && is_once(p, r) &&
	       r->at + r->length == m->bytes.len;
}

/* @len bytes, as they are, behind the rest of the mask. */
static int add_bytes(struct maker *k, const void *p, size_t len, uint8_t owner)
{
	bool more = continues_last(k->m, owner);
	struct dicom_run run = { len, 0, (uint32_t)len };
	struct dicom_piece *last;
	int err;

	if (!len)
		return 0;
	err = dicom_bytes_add(&k->m->bytes, p, len, &run.at);
	if (err)
		return err;
	if (more) {
		last = &k->m->piece[k->m->pieces - 1];
		last->unit += len;
		k->m->run[last->run].length += len;
		k->m->run[last->run].period += (uint32_t)len;
		k->done += len;
		return 0;
	}
	err = begin_piece(k, k->done + len, owner);
	return err ? err : dicom_mask_add_run(k->m, &run);
}

/* Repeat a unit up to @end. */
static int add_repeated(struct maker *k, const void *unit, size_t len,
			uint64_t end, uint8_t owner)
{
	struct dicom_run run = { end - k->done, 0, (uint32_t)len };
	int err;

	if (end <= k->done)
		return 0;
	err = dicom_bytes_add(&k->m->bytes, unit, len, &run.at);
	if (!err)
		err = begin_piece(k, end, owner);
	return err ? err : dicom_mask_add_run(k->m, &run);
}

static int add_zeros(struct maker *k, uint64_t end, uint8_t owner)
{
	return add_repeated(k, "", 1, end, owner);
}

/* Repeat a part of a picture up to @end. */
static int add_blank(struct maker *k, const struct dicom_blank *b, uint64_t end,
		     uint8_t owner)
{
	int err = 0;

	if (end > k->done)
		err = begin_piece(k, end, owner);
	else
		return 0;
	for (unsigned int i = 0; !err && i < b->runs; i++)
		err = dicom_mask_add_run(k->m, &b->run[i]);
	return err;
}

/* --- values --------------------------------------------------------------- */

/* The file's own bytes. */
static int keep(struct maker *k, struct dicom_reader *r,
		const struct dicom_part *part)
{
	int err = 0;

	while (!err && k->done < part->end) {
		uint64_t left = part->end - k->done;
		size_t n = left < DICOM_WINDOW ? (size_t)left : DICOM_WINDOW;
		const uint8_t *p;

		err = dicom_fetch(r, k->done, n, &p);
		if (!err)
			err = add_bytes(k, p, n, DICOM_EVERYONE);
	}
	return err > 0 ? fail(EIO, "a DICOM file is shorter than it was") : err;
}

static int replace_uids(struct maker *k, uint8_t *value, size_t len)
{
	if (!k->uid_mac)
		k->uid_mac = hmac_new(k->uid_key, DICOM_UID_KEY);
	return k->uid_mac ? dicom_fill_uids(k->uid_mac, value, len) : -ENOMEM;
}

static int hide_uids(struct maker *k, struct dicom_reader *r,
		     const struct dicom_part *part)
{
	size_t len = (size_t)(part->end - part->start);
	uint8_t value[UIDS_MAX];
	const uint8_t *p;
	int err = dicom_fetch(r, part->start, len, &p);

	if (err)
		return err < 0 ? err : fail(EIO, "a DICOM file has shrunk");
	memcpy(value, p, len);
	err = replace_uids(k, value, len);
	if (!err)
		err = add_bytes(k, value, len, (uint8_t)part->compartment);
	OPENSSL_cleanse(value, len);
	return err;
}

static int hide_value(struct maker *k, struct dicom_reader *r,
		      const struct dicom_part *part)
{
	const char *vr = dicom_text_vr_of(part->tag, part->vr);
	uint8_t owner = (uint8_t)part->compartment;
	uint64_t len = part->end - part->start;
	uint8_t value[DICOM_FILLER_MAX];

	if (vr[0] == 'U' && vr[1] == 'I' && len <= UIDS_MAX)
		return hide_uids(k, r, part);
	if (len > DICOM_FILLER_MAX)
		return add_repeated(k, value, dicom_fill_unit(vr, value),
				    part->end, owner);
	dicom_fill(part->tag, vr, value, (size_t)len);
	return add_bytes(k, value, (size_t)len, owner);
}

/* A reference names the class of what it leads to; who made it says nothing. */
static int is_class_in_list(struct dicom_reader *r,
			    const struct dicom_part *part)
{
	const uint8_t *p;
	int err;

	if (part->tag != 0x00080016 && part->tag != 0x00081150)
		return 0;
	if (part->end - part->start > 64)
		return 0;
	err = dicom_fetch(r, part->start, (size_t)(part->end - part->start),
			  &p);
	if (err)
		return err < 0 ? err : 0;
	return dicom_is_sop_class(p, (size_t)(part->end - part->start));
}

/* 1: the mask shows this value; 0; -errno */
static int is_kept(struct dicom_reader *r, const struct dicom_part *part)
{
	uint64_t len = part->end - part->start;

	if (len > KEPT_MAX || !dicom_is_structure(part->tag))
		return 0;
	if (!(part->tag & 0xffff))	/* a group's length */
		return len == 4;
	return part->listed ? is_class_in_list(r, part) : 1;
}

static bool is_table(uint32_t tag)
{
	return tag >= TAG_FRAME_OFFSETS && tag <= TAG_TOTAL_LENGTH;
}

static int add_native(struct maker *k, const struct dicom_part *part)
{
	struct dicom_blank b = { .bytes = &k->m->bytes };
	uint8_t owner = (uint8_t)part->compartment;
	int err;

	if (k->m->region && k->m->region->start == part->start)
		owner = DICOM_REGION;
	err = dicom_blank_native(&b, part->picture, part->syntax.big_endian);
	return err ? err : add_blank(k, &b, part->end, owner);
}

static int add_value(struct maker *k, struct dicom_reader *r,
		     const struct dicom_part *part)
{
	uint64_t len = part->end - part->start;
	int err;

	if (part->tag == DICOM_PIXEL_DATA)
		return add_native(k, part);
	if (is_table(part->tag) && len <= KEPT_MAX) {
		k->table[part->tag - TAG_FRAME_OFFSETS].at =
			(uint32_t)k->m->bytes.len;
		k->table[part->tag - TAG_FRAME_OFFSETS].len = (uint32_t)len;
		return add_bytes(k, NULL, (size_t)len,
				 (uint8_t)part->compartment);
	}
	err = is_kept(r, part);
	if (err < 0)
		return err;
	return err ? keep(k, r, part) : hide_value(k, r, part);
}

/* --- encapsulated pictures ------------------------------------------------- */

static void put_item(uint8_t p[8], uint64_t len, bool big_endian)
{
	static const uint8_t big[] = { 0xff, 0xfe, 0xe0, 0x00 };
	static const uint8_t little[] = { 0xfe, 0xff, 0x00, 0xe0 };

	memcpy(p, big_endian ? big : little, 4);
	for (int i = 0; i < 4; i++)
		p[4 + i] = (uint8_t)(len >> 8 * (big_endian ? 3 - i : i));
}

/* An item with a frame: @size bytes, its header included. */
static int blank_item(struct maker *k, struct dicom_blank *b,
		      const struct dicom_part *part, uint64_t size)
{
	uint8_t header[8];
	int found;

	put_item(header, size - 8, part->syntax.big_endian);
	dicom_blank_add(b, header, 8, 8);
	if (b->err)
		return b->err;
	found = dicom_blank_frame(b, k->info->transfer_syntax, part->picture,
				  size - 8);
	if (found)
		return found < 0 ? found : 0;
	/* Nothing that could be decoded: but nothing of the picture either. */
	b->runs = 1;
	dicom_blank_add(b, NULL, 1, size - 8);
	return b->err;
}

static void put_le(uint8_t *p, uint64_t v)
{
	for (int i = 0; i < 8; i++)
		p[i] = (uint8_t)(v >> 8 * i);
}

/* What stands before the frames and says where they are, and how long. */
static void fill_tables(struct maker *k, uint64_t n, uint64_t unit,
			uint64_t last)
{
	uint8_t *bytes = k->m->bytes.p;

	for (int t = 0; t < 2; t++) {
		if (k->table[t].len != 8 * n)
			continue;
		for (uint64_t i = 0; i < n; i++)
			put_le(bytes + k->table[t].at + 8 * i,
			       !t ? i * unit : (i + 1 < n ? unit : last) - 8);
	}
	if (k->table[2].len == 8)
		put_le(bytes + k->table[2].at, (n - 1) * unit + last - 8 * n);
	memset(k->table, 0, sizeof(k->table));
}

/*
 * An empty offset table, then an item for each frame: all of one length but
 * the last. So not even the lengths of compressed frames can be seen.
 */
static int add_fragments(struct maker *k, const struct dicom_part *part)
{
	struct dicom_blank some = { .bytes = &k->m->bytes };
	struct dicom_blank last = { .bytes = &k->m->bytes };
	uint8_t owner = (uint8_t)part->compartment;
	uint64_t len = part->end - part->start, n = part->picture->frames, unit;
	uint8_t header[8];
	int err;

	if (len < 16) {
		put_item(header, len - 8, part->syntax.big_endian);
		err = len < 8 ? 0 : add_bytes(k, header, 8, owner);
		return err ? err : add_zeros(k, part->end, owner);
	}
	len -= 8;
	put_item(header, 0, part->syntax.big_endian);
	err = add_bytes(k, header, 8, owner);
	if (n > len / 10 || len - (n - 1) * (len / n & ~1ull) > UINT32_MAX)
		n = 1;
	unit = len / n & ~1ull;
	if (len - 8 > UINT32_MAX - 1 && n == 1)	/* not in one item */
		return err ? err : add_zeros(k, part->end, owner);
	fill_tables(k, n, unit, len - (n - 1) * unit);
	if (!err && n > 1)
		err = blank_item(k, &some, part, unit);
	if (!err && n > 1)
		err = add_blank(k, &some, k->done + (n - 1) * unit, owner);
	if (!err)
		err = blank_item(k, &last, part, part->end - k->done);
	return err ? err : add_blank(k, &last, part->end, owner);
}

/* --- what could not be read ------------------------------------------------ */

/* Padding, so that the mask can be read further than the file. */
static int add_padding(struct maker *k, const struct dicom_part *part)
{
	uint64_t len = part->end - part->start;
	bool big = part->syntax.big_endian, explicit = part->syntax.explicit_vr;
	size_t need = explicit ? 12 : 8, used = 0;
	uint8_t p[20] = { 0 };
	int err;

	if (len > UINT32_MAX - 1)
		return add_zeros(k, part->end, CHAOSIMG_IDENTITY);
	if (part->items && len >= 8) {
		put_item(p, len - 8, big);
		used = 8;
	}
	if (len - used >= need && (used || !part->items)) {
		/* The item's form, with another tag, and room for a VR. */
		put_item(p + used + need - 8, len - used - need, big);
		memcpy(p + used, big ? "\xff\xfc\xff\xfc" : "\xfc\xff\xfc\xff",
		       4);
		if (explicit)
			memcpy(p + used + 4, "OB\0\0", 4);
		used += need;
	}
	err = add_bytes(k, p, used, CHAOSIMG_IDENTITY);
	return err ? err : add_zeros(k, part->end, CHAOSIMG_IDENTITY);
}

static int add_deflated(struct maker *k, struct dicom_reader *r,
			const struct dicom_part *part)
{
	struct dicom_blank b = { .bytes = &k->m->bytes };
	int err;

	if (k->nested)
		return add_zeros(k, part->end, CHAOSIMG_IDENTITY);
	err = dicom_mask_deflated(&b, r, part, k->uid_key);
	return err ? err : add_blank(k, &b, part->end, CHAOSIMG_IDENTITY);
}

/* --- pixels that belong to identity --------------------------------------- */

/*
 * Why no region can be cut out of this; NULL: @l is filled in. Where rows and
 * columns stand twice, readers do not agree on which of them count.
 */
static const char *cannot_cut(const struct maker *k,
			      const struct dicom_part *part,
			      struct dicom_layout *l)
{
	if (k->cut->hold)
		return k->cut->hold;
	if (k->disordered)
		return "elements are not in ascending order";
	if (part->kind != DICOM_VALUE)
		return "the frames are compressed";
	if (part->compartment != CHAOSIMG_PIXELS)
		return "the pixels are cut off";
	return dicom_layout_of(part, k->info->transfer_syntax, l);
}

/* With a cut, all pixels are identity but those that can be told apart. */
static int cut_pixels(struct maker *k, struct dicom_part *part)
{
	bool root = part->tag == DICOM_PIXEL_DATA && !part->depth;
	struct dicom_layout l;
	const char *why;

	if (root) {
		why = k->m->region ? "there is more than one picture" :
				     cannot_cut(k, part, &l);
		if (!why) {
			/* The segments cannot say it as finely. */
			dicom_division_hide_last(k->info);
			return dicom_region_new(&l, part->start, k->cut,
						&k->m->region);
		}
		if (!k->m->held)
			k->m->held = why;
	}
	if (part->compartment == CHAOSIMG_PIXELS) {
		part->compartment = CHAOSIMG_IDENTITY;
		dicom_division_hide_last(k->info);
	}
	return 0;
}

static bool is_pixels(const struct dicom_part *part)
{
	return part->compartment == CHAOSIMG_PIXELS ||
	       part->tag == DICOM_PIXEL_DATA;
}

static int look_for_pixels(struct maker *k, struct dicom_part *part)
{
	if (part->kind != DICOM_VALUE && part->kind != DICOM_FRAGMENTS)
		return 0;
	if (!part->depth) {
		k->disordered |= part->tag <= k->last_root_tag;
		k->last_root_tag = part->tag;
	}
	return is_pixels(part) ? cut_pixels(k, part) : 0;
}

/* --- the walk ------------------------------------------------------------- */

static int add_part(struct maker *k, struct dicom_reader *r,
		    const struct dicom_part *part)
{
	switch (part->kind) {
	case DICOM_HEADER:
		return keep(k, r, part);
	case DICOM_VALUE:
		return add_value(k, r, part);
	case DICOM_FRAGMENTS:
		return add_fragments(k, part);
	case DICOM_OPAQUE:
		return add_zeros(k, part->end, (uint8_t)part->compartment);
	case DICOM_UNREAD:
		return add_padding(k, part);
	case DICOM_DEFLATED:
		return add_deflated(k, r, part);
	}
	return -EINVAL;
}

/* A part that may not be what it was divided into. */
static int cut_part(struct maker *k, struct dicom_reader *r,
		    const struct dicom_part *as_divided)
{
	struct dicom_part part = *as_divided;
	int err = look_for_pixels(k, &part);

	return err ? err : add_part(k, r, &part);
}

static int visit(void *ctx, struct dicom_reader *r,
		 const struct dicom_part *part)
{
	struct maker *k = ctx;

	if (part->start < k->done)
		take_back(k, part->start);
	if (k->full || part->start > k->done)
		return 0;
	k->full = k->m->bytes.len > DICOM_MASK_BYTES_MAX - DICOM_MASK_PART_MAX ||
		  k->m->pieces > DICOM_MASK_PIECES_MAX - 8;
	if (k->full)
		return 0;
	return k->cut ? cut_part(k, r, part) : add_part(k, r, part);
}

static int make(const struct dicom_source *src,
		const uint8_t uid_key[DICOM_UID_KEY],
		const struct dicom_cut *cut, bool nested,
		struct dicom_info *info, struct dicom_mask *m)
{
	struct maker k = {
		.m = m, .info = info, .uid_key = uid_key, .nested = nested,
		.cut = cut && dicom_cut_any(cut) ? cut : NULL,
	};
	const struct dicom_visitor visitor = { visit, &k };
	int found, err;

	memset(m, 0, sizeof(*m));
	m->length = src->length;
	found = dicom_walk(src, info, &visitor);
	if (!found)
		take_back(&k, 0);
	if (k.cut && k.full && !m->region && !m->held)
		m->held = "the file has too many elements";
	err = found < 0 ? found : add_zeros(&k, src->length, CHAOSIMG_IDENTITY);
	EVP_MAC_CTX_free(k.uid_mac);
	if (!err)
		return found;
	dicom_mask_free(m);
	return err;
}

int dicom_mask_make(const struct dicom_source *src,
		    const uint8_t uid_key[DICOM_UID_KEY],
		    const struct dicom_cut *cut, struct dicom_info *info,
		    struct dicom_mask *m)
{
	return make(src, uid_key, cut, false, info, m);
}

int dicom_mask_make_inflated(const struct dicom_source *src,
			     const uint8_t uid_key[DICOM_UID_KEY],
			     struct dicom_info *info, struct dicom_mask *m)
{
	return make(src, uid_key, NULL, true, info, m);
}
