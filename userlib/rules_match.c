// SPDX-License-Identifier: GPL-2.0-or-later
/* Which content rules apply to a file: its attributes against conditions. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dicom_filler.h"
#include "error.h"
#include "rules.h"

#define TAG_REGIONS	0x00186011u	/* Sequence of Ultrasound Regions */
#define TAG_MIN_X	0x00186018u
#define TAG_MIN_Y	0x0018601au
#define TAG_MAX_X	0x0018601cu
#define TAG_MAX_Y	0x0018601eu

/* --- one value ------------------------------------------------------------- */

/** struct text - some characters, without a NUL */
struct text {
	const uint8_t *p;
	size_t len;
};

static uint8_t lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? c + 'a' - 'A' : c;
}

static struct text trim(const uint8_t *p, size_t len)
{
	while (len && (p[len - 1] == ' ' || p[len - 1] == '\0'))
		len--;
	while (len && *p == ' ') {
		p++;
		len--;
	}
	return (struct text){ p, len };
}

static bool is_equal(const struct text *a, const struct text *b)
{
	if (a->len != b->len)
		return false;
	for (size_t i = 0; i < a->len; i++)
		if (lower(a->p[i]) != lower(b->p[i]))
			return false;
	return true;
}

/* "*" stands for any characters, "?" for one. */
static bool is_like(const struct text *a, const struct text *pattern)
{
	size_t i = 0, k = 0, star = SIZE_MAX, from = 0;

	while (i < a->len) {
		if (k < pattern->len && pattern->p[k] == '*') {
			star = k++;
			from = i;
		} else if (k < pattern->len &&
			   (pattern->p[k] == '?' ||
			    lower(pattern->p[k]) == lower(a->p[i]))) {
			i++;
			k++;
		} else if (star != SIZE_MAX) {	/* one more for the star */
			k = star + 1;
			i = ++from;
		} else {
			return false;
		}
	}
	while (k < pattern->len && pattern->p[k] == '*')
		k++;
	return k == pattern->len;
}

static bool is_in(const struct text *a, const struct rule_operand *o)
{
	uint64_t v = 0;
	size_t i = a->len && a->p[0] == '+';

	if (i == a->len || a->len - i > 12)
		return false;
	for (; i < a->len; i++) {
		if (a->p[i] < '0' || a->p[i] > '9')
			return false;
		v = 10 * v + (a->p[i] - '0');
	}
	return v >= o->low && v <= o->high;
}

static bool fits(const struct chaosimg_rules *r, const struct rule_condition *c,
		 const struct rule_operand *o, const struct text *value)
{
	struct text text = { (const uint8_t *)r->text + o->text, o->len };

	switch (c->operator) {
	case RULE_EQUAL:
		return is_equal(value, &text);
	case RULE_LIKE:
		return is_like(value, &text);
	case RULE_IN:
		return is_in(value, o);
	case RULE_PRESENT:
		break;
	}
	return false;
}

/* An operand with a backslash is one of all values together. */
static bool is_of_all(const struct chaosimg_rules *r,
		      const struct rule_operand *o)
{
	return memchr(r->text + o->text, '\\', o->len);
}

static bool any_fits(const struct chaosimg_rules *r,
		     const struct rule_condition *c, const uint8_t *p,
		     size_t len, bool all)
{
	struct text value = trim(p, len);

	for (uint32_t i = 0; i < c->operands; i++) {
		const struct rule_operand *o =
			(struct rule_operand *)r->operand.p + c->operand + i;

		if (is_of_all(r, o) == all && fits(r, c, o, &value))
			return true;
	}
	return false;
}

static bool text_fits(const struct chaosimg_rules *r,
		      const struct rule_condition *c, const uint8_t *p,
		      size_t len)
{
	if (any_fits(r, c, p, len, true))
		return true;
	for (;;) {
		const uint8_t *q = len ? memchr(p, '\\', len) : NULL;
		size_t n = q ? (size_t)(q - p) : len;

		if (any_fits(r, c, p, n, false))
			return true;
		if (!q)
			return false;
		p = q + 1;
		len -= n + 1;
	}
}

/* --- numbers --------------------------------------------------------------- */

/* Bytes of a number and whether it has a sign; 0: not a whole number. */
static size_t number_size(const char *vr, size_t len, bool *is_signed)
{
	*is_signed = vr[0] == 'S';
	if (!strcmp(vr, "US") || !strcmp(vr, "SS"))
		return 2;
	if (!strcmp(vr, "UL") || !strcmp(vr, "SL"))
		return 4;
	/* Of an unknown VR, which is all that implicit VR tells of numbers. */
	return !strcmp(vr, "UN") && (len == 2 || len == 4) ? len : 0;
}

static bool number_fits(const struct chaosimg_rules *r,
			const struct rule_condition *c, const uint8_t *p,
			size_t size, bool is_signed, bool big_endian)
{
	struct dicom_syntax syntax = { .big_endian = big_endian };
	int64_t v = size == 2 ? dicom_get16(p, syntax) :
			       (int64_t)dicom_get32(p, syntax);
	uint8_t text[24];
	size_t n = sizeof(text);
	uint64_t left;

	if (is_signed && v >> (8 * size - 1))
		v -= (int64_t)1 << 8 * size;
	left = (uint64_t)(v < 0 ? -v : v);
	do
		text[--n] = (uint8_t)('0' + left % 10);
	while (left /= 10);
	if (v < 0)
		text[--n] = '-';
	return any_fits(r, c, text + n, sizeof(text) - n, false);
}

static bool numbers_fit(const struct chaosimg_rules *r,
			const struct rule_condition *c, const uint8_t *p,
			size_t len, size_t size, bool is_signed,
			bool big_endian)
{
	for (; len >= size; p += size, len -= size)
		if (number_fits(r, c, p, size, is_signed, big_endian))
			return true;
	return false;
}

/* Not text: binary values that are not whole numbers, and tags. */
static bool is_opaque(const char *vr)
{
	static const char *const list[] = {
		"AT", "FL", "FD", "OB", "OD", "OF", "OL", "OV", "OW", "SQ",
		"SV", "UV",
	};

	for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++)
		if (!strcmp(vr, list[i]))
			return true;
	return false;
}

bool rules_holds(const struct chaosimg_rules *r,
		 const struct rule_condition *c, const char *vr_in_file,
		 const uint8_t *value, size_t len, bool big_endian)
{
	const char *known = dicom_text_vr_of(c->tag, vr_in_file);
	const char vr[3] = { known[0], known[1], '\0' };
	bool is_signed;
	size_t size = number_size(vr, len, &is_signed);

	if (c->operator == RULE_PRESENT)
		return trim(value, len).len > 0;
	if (size && numbers_fit(r, c, value, len, size, is_signed, big_endian))
		return true;
	if ((size && strcmp(vr, "UN")) || is_opaque(vr))
		return false;
	return text_fits(r, c, value, len);
}

/* --- the walk -------------------------------------------------------------- */

/**
 * struct matcher - the state of rules_match()
 * @held: which conditions hold, their negation aside
 * @corner: of the ultrasound region that is being read
 * @corners: how many of its numbers are known
 * @too_many: ultrasound regions
 * @at_pixels: it has come to the data set's pixels
 */
struct matcher {
	const struct chaosimg_rules *r;
	struct rules_outcome *out;
	bool *held;
	uint32_t corner[4];
	unsigned int corners;
	bool too_many;
	bool at_pixels;
};

/* The location of a region, PS3.3 section C.8.5.5: four numbers in a row. */
static int note_corner(struct matcher *m, struct dicom_reader *r,
		       const struct dicom_part *part)
{
	static const uint32_t tag[] = {
		TAG_MIN_X, TAG_MIN_Y, TAG_MAX_X, TAG_MAX_Y,
	};
	struct dicom_cut *cut = &m->out->cut;
	const uint32_t *c = m->corner;
	const uint8_t *p;
	int err;

	if (part->tag == TAG_MIN_X)
		m->corners = 0;
	if (m->corners == 4 || part->tag != tag[m->corners] ||
	    part->end - part->start != 4)
		return 0;
	err = dicom_fetch(r, part->start, 4, &p);
	if (err)
		return err;
	m->corner[m->corners++] = dicom_get32(p, part->syntax);
	if (m->corners < 4 || c[2] < c[0] || c[3] < c[1] ||
	    c[2] >= UINT16_MAX || c[3] >= UINT16_MAX)
		return 0;
	if (cut->shown == DICOM_SHOWN_MAX) {
		m->too_many = true;
		return 0;
	}
	cut->show[cut->shown++] = (struct dicom_rect){
		c[0], c[1], c[2] - c[0] + 1, c[3] - c[1] + 1,
	};
	return 0;
}

static bool is_wanted(const struct chaosimg_rules *r, uint32_t tag)
{
	for (uint32_t i = 0; i < r->condition.n; i++)
		if (rule_condition_at(r, i)->tag == tag)
			return true;
	return false;
}

static int note_value(struct matcher *m, struct dicom_reader *r,
		      const struct dicom_part *part)
{
	uint64_t len = part->end - part->start;
	const uint8_t *p;
	int err;

	if (!is_wanted(m->r, part->tag))
		return 0;
	if (len > RULE_VALUE_MAX)
		len = RULE_VALUE_MAX;
	err = dicom_fetch(r, part->start, (size_t)len, &p);
	for (uint32_t i = 0; !err && i < m->r->condition.n; i++) {
		const struct rule_condition *c = rule_condition_at(m->r, i);

		if (c->tag == part->tag && !m->held[i])
			m->held[i] = rules_holds(m->r, c, part->vr, p,
						 (size_t)len,
						 part->syntax.big_endian);
	}
	return err;
}

static int visit(void *ctx, struct dicom_reader *r,
		 const struct dicom_part *part)
{
	struct matcher *m = ctx;
	int err = 0;

	if (part->kind != DICOM_VALUE && part->kind != DICOM_FRAGMENTS)
		return 0;
	if (!part->depth && part->tag == DICOM_PIXEL_DATA) {
		m->at_pixels = true;
		return -ECANCELED;
	}
	if (!part->depth && part->kind == DICOM_VALUE)
		err = note_value(m, r, part);
	else if (part->depth == 2 && part->sequence == TAG_REGIONS)
		err = note_corner(m, r, part);
	return err > 0 ? fail(EIO, "a DICOM file is shorter than it was") : err;
}

/* --- what follows from it --------------------------------------------------- */

static bool applies(const struct matcher *m, const struct rule *rule)
{
	for (uint32_t i = 0; i < rule->conditions; i++) {
		uint32_t k = rule->condition + i;

		if (m->held[k] == rule_condition_at(m->r, k)->negated)
			return false;
	}
	return true;
}

static void apply(const struct chaosimg_rules *r, const struct rule *rule,
		  struct rules_outcome *out)
{
	const struct dicom_rect *rect = r->region.p;
	struct dicom_cut *cut = &out->cut;

	if (!out->policy && rule->policy[0])
		out->policy = rule->policy;
	if (rule->hold)
		cut->hold = "a rule says so";
	cut->outside |= rule->outside;
	for (uint32_t i = 0; i < rule->regions; i++) {
		if (cut->rects == DICOM_RECTS_MAX) {
			if (!cut->hold)
				cut->hold = "there are more regions than can be cut out";
			return;
		}
		cut->rect[cut->rects++] = rect[rule->region + i];
	}
}

static void conclude(const struct matcher *m)
{
	struct rules_outcome *out = m->out;
	struct dicom_cut *cut = &out->cut;

	for (uint32_t i = 0; i < m->r->rule.n; i++) {
		const struct rule *rule = rule_at(m->r, i);

		if (!applies(m, rule))
			continue;
		out->rule[out->rules++] = i;
		apply(m->r, rule, out);
	}
	if (!cut->outside)
		cut->shown = 0;
	else if (!cut->hold && m->too_many)
		cut->hold = "there are more ultrasound regions than can be told apart";
	else if (!cut->hold && !cut->shown)
		cut->hold = "the file names no ultrasound regions";
}

int rules_match(const struct chaosimg_rules *r, const struct dicom_source *src,
		struct rules_outcome *out)
{
	struct matcher m = { .r = r, .out = out };
	const struct dicom_visitor visitor = { visit, &m };
	struct dicom_info info;
	int found;

	memset(out, 0, sizeof(*out));
	m.held = calloc(r->condition.n + 1, sizeof(m.held[0]));
	if (!m.held)
		return fail(ENOMEM, "out of memory");
	found = dicom_walk(src, &info, &visitor);
	if (found == -ECANCELED && m.at_pixels)
		found = 1;
	if (found == 1)
		conclude(&m);
	free(m.held);
	if (found <= 0)
		memset(out, 0, sizeof(*out));
	return found;
}
