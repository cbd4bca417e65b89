// SPDX-License-Identifier: GPL-2.0-or-later
/* Reading content rules: line by line, word by word. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "rules.h"

/** struct word - a part of a line; @quoted if it stood in quotation marks */
struct word {
	const char *p;
	size_t len;
	bool quoted;
};

/**
 * struct parser - how far it is
 * @r: what is made
 * @where: what to call the text
 * @line: number of the line
 * @words: how many of @word the line has
 * @err: what was wrong first, or 0
 */
struct parser {
	struct chaosimg_rules *r;
	const char *where;
	unsigned int line;
	uint32_t words;
	struct word word[RULE_WORDS_MAX];
	int err;
};

/* The first error is the one that is told. */
static void __attribute__((format(printf, 2, 3)))
wrong(struct parser *in, const char *fmt, ...)
{
	char what[256];
	va_list ap;

	if (in->err)
		return;
	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	in->err = fail(EINVAL, "%s:%u: %s", in->where, in->line, what);
}

/* A word for a message: it may be long. */
#define SHOWN(w)	(int)((w)->len < 64 ? (w)->len : 64), (w)->p

static void *add(struct parser *in, struct rule_list *l, size_t each)
{
	uint32_t more = l->room ? 2 * l->room : 16;
	void *p;

	if (l->n == l->room) {
		p = realloc(l->p, more * each);
		if (!p) {
			if (!in->err)
				in->err = fail(ENOMEM, "out of memory");
			return NULL;
		}
		l->p = p;
		l->room = more;
	}
	p = (char *)l->p + l->n++ * each;
	memset(p, 0, each);
	return p;
}

/* --- words ----------------------------------------------------------------- */

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static bool is(const struct word *w, const char *text)
{
	return !w->quoted && w->len == strlen(text) &&
	       !memcmp(w->p, text, w->len);
}

/* What stands between quotation marks; @p is behind the first. */
static const char *quoted(struct parser *in, const char *p, const char *end,
			  struct word *w)
{
	const char *q = memchr(p, '"', (size_t)(end - p));

	w->p = p;
	w->quoted = true;
	if (!q) {
		wrong(in, "a quotation mark is missing at the end");
		return end;
	}
	w->len = (size_t)(q - p);
	if (q + 1 < end && !is_blank(q[1]))
		wrong(in, "a blank is missing behind the quotation mark");
	return q + 1;
}

static const char *plain(struct parser *in, const char *p, const char *end,
			 struct word *w)
{
	w->p = p;
	w->quoted = false;
	while (p < end && !is_blank(*p)) {
		if (*p == '"')
			wrong(in, "a quotation mark in the middle of a word");
		p++;
	}
	w->len = (size_t)(p - w->p);
	return p;
}

static void split(struct parser *in, const char *p, const char *end)
{
	in->words = 0;
	for (const char *c = p; c < end; c++)
		if (((unsigned char)*c < ' ' && !is_blank(*c)) || *c == 0x7f)
			wrong(in, "a control character");
	while (!in->err) {
		while (p < end && is_blank(*p))
			p++;
		if (p == end || *p == '#')
			return;
		if (in->words == RULE_WORDS_MAX) {
			wrong(in, "more than %d words", RULE_WORDS_MAX);
			return;
		}
		if (*p == '"')
			p = quoted(in, p + 1, end, &in->word[in->words++]);
		else
			p = plain(in, p, end, &in->word[in->words++]);
	}
}

/* --- parts of a line ------------------------------------------------------- */

static bool digits(const char *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (p[i] < '0' || p[i] > '9')
			return false;
	return len > 0;
}

static bool number(const char *p, size_t len, uint32_t *out)
{
	uint64_t v = 0;

	if (!digits(p, len) || len > 10)
		return false;
	for (size_t i = 0; i < len; i++)
		v = 10 * v + (uint64_t)(p[i] - '0');
	*out = (uint32_t)v;
	return v <= RULE_NUMBER_MAX;
}

static bool is_name(const struct word *w)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyz"
		"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";

	if (w->quoted || !w->len || w->len > CHAOSIMG_RULE_NAME_MAX)
		return false;
	for (size_t i = 0; i < w->len; i++)
		if (!memchr(allowed, w->p[i], strlen(allowed)))
			return false;
	return true;
}

/* The one word behind the first, a name. */
static void get_name(struct parser *in, const char *what,
		     char out[CHAOSIMG_RULE_NAME_MAX + 1])
{
	const struct word *w = &in->word[1];

	if (in->words != 2)
		wrong(in, "one name of a %s is expected", what);
	else if (!is_name(w))
		wrong(in, "\"%.*s\" is not a name: up to %d letters, digits, \"-\", \"_\" and \".\"",
		      SHOWN(w), CHAOSIMG_RULE_NAME_MAX);
	else
		memcpy(out, w->p, w->len);
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* "(0008,0060)" */
static bool get_tag(const struct word *w, uint32_t *tag)
{
	if (w->len != 11 || w->p[0] != '(' || w->p[5] != ',' || w->p[10] != ')')
		return false;
	*tag = 0;
	for (size_t i = 1; i < 10; i++) {
		if (i == 5)
			continue;
		if (hex_digit(w->p[i]) < 0)
			return false;
		*tag = *tag << 4 | (uint32_t)hex_digit(w->p[i]);
	}
	return true;
}

static bool get_attribute(struct parser *in, const struct word *w,
			  uint32_t *tag)
{
	if (w->quoted || (!get_tag(w, tag) &&
			  !rules_attribute(w->p, w->len, tag))) {
		wrong(in, "\"%.*s\" is no statement and no attribute that is known by this name",
		      SHOWN(w));
		return false;
	}
	if (*tag >> 16 < 2 || *tag >= DICOM_PIXEL_DATA) {
		wrong(in, "%.*s: not an attribute in front of the pixels",
		      SHOWN(w));
		return false;
	}
	return true;
}

/* "480..600", "..600", "480..", or a number alone */
static bool get_range(const struct word *w, uint32_t *low, uint32_t *high)
{
	const char *dots = memmem(w->p, w->len, "..", 2);
	size_t before = dots ? (size_t)(dots - w->p) : w->len;
	size_t behind = dots ? w->len - before - 2 : 0;

	*low = 0;
	*high = RULE_NUMBER_MAX;
	if (w->quoted || (!before && !behind))
		return false;
	if (before && !number(w->p, before, low))
		return false;
	if (!dots)
		*high = *low;
	else if (behind && !number(dots + 2, behind, high))
		return false;
	return *low <= *high;
}

/* --- lines ----------------------------------------------------------------- */

static struct rule *current(const struct parser *in)
{
	return (struct rule *)in->r->rule.p + in->r->rule.n - 1;
}

/* What a rule without any effect was meant to do is not known. */
static void end_rule(struct parser *in)
{
	const struct rule *rule = current(in);

	if (!rule->policy[0] && !rule->regions && !rule->outside && !rule->hold)
		wrong(in, "rule %s ends here and says nothing to do",
		      rule->name);
}

static void parse_rule(struct parser *in)
{
	struct rule *rule;

	if (in->r->rule.n)
		end_rule(in);
	if (in->r->rule.n == CHAOSIMG_RULES_MAX)
		wrong(in, "more than %d rules", CHAOSIMG_RULES_MAX);
	if (in->err)
		return;
	rule = add(in, &in->r->rule, sizeof(*rule));
	if (!rule)
		return;
	rule->condition = in->r->condition.n;
	rule->region = in->r->region.n;
	get_name(in, "rule", rule->name);
	for (uint32_t i = 0; i + 1 < in->r->rule.n; i++)
		if (!strcmp(rule_at(in->r, i)->name, rule->name))
			wrong(in, "another rule has the name %s", rule->name);
}

static void parse_policy(struct parser *in)
{
	if (current(in)->policy[0])
		wrong(in, "the rule names a policy already");
	else
		get_name(in, "policy", current(in)->policy);
}

static void parse_region(struct parser *in)
{
	struct rule *rule = current(in);
	struct dicom_rect *rect;
	uint32_t v[4];

	for (uint32_t i = 0; i < 4 && in->words == 5; i++) {
		const struct word *w = &in->word[i + 1];

		if (w->quoted || !number(w->p, w->len, &v[i]) ||
		    v[i] > UINT16_MAX || (i >= 2 && !v[i])) {
			wrong(in, "region: \"%.*s\" is not a number from %d to %d",
			      SHOWN(w), i >= 2, UINT16_MAX);
			return;
		}
	}
	if (in->words != 5)
		wrong(in, "region: four numbers are expected: left, top, width, height");
	else if (rule->regions == RULE_REGIONS_MAX)
		wrong(in, "more than %d regions in a rule", RULE_REGIONS_MAX);
	else if ((rect = add(in, &in->r->region, sizeof(*rect)))) {
		*rect = (struct dicom_rect){ v[0], v[1], v[2], v[3] };
		rule->regions++;
	}
}

static void parse_regions(struct parser *in)
{
	if (in->words != 2 || !is(&in->word[1], "outside-ultrasound"))
		wrong(in, "regions: \"outside-ultrasound\" is expected");
	else
		current(in)->outside = true;
}

static void parse_hold(struct parser *in)
{
	if (in->words != 2 || !is(&in->word[1], "frames"))
		wrong(in, "hold: \"frames\" is expected");
	else
		current(in)->hold = true;
}

static void parse_operand(struct parser *in, struct rule_condition *c,
			  const struct word *w)
{
	struct rule_operand *o = add(in, &in->r->operand, sizeof(*o));

	if (!o)
		return;
	c->operands++;
	o->text = (uint32_t)(w->p - in->r->text);
	o->len = (uint32_t)w->len;
	if (c->operator == RULE_IN && !get_range(w, &o->low, &o->high))
		wrong(in, "\"%.*s\" is not a range of numbers, as 480..600",
		      SHOWN(w));
}

static bool get_operator(const struct word *w, enum rule_operator *out)
{
	static const char *const name[] = {
		[RULE_EQUAL] = "=", [RULE_LIKE] = "~", [RULE_IN] = "in",
		[RULE_PRESENT] = "present",
	};

	for (size_t i = 0; i < sizeof(name) / sizeof(name[0]); i++) {
		*out = (enum rule_operator)i;
		if (is(w, name[i]))
			return true;
	}
	return false;
}

/* [not] ATTRIBUTE OPERATOR OPERAND.. */
static void parse_condition(struct parser *in)
{
	uint32_t at = is(&in->word[0], "not");
	struct rule *rule = current(in);
	struct rule_condition *c;
	enum rule_operator op = RULE_EQUAL;
	uint32_t tag;

	if (at == in->words)
		wrong(in, "not: a condition is expected");
	else if (!get_attribute(in, &in->word[at], &tag))
		return;
	else if (at + 1 == in->words || !get_operator(&in->word[at + 1], &op))
		wrong(in, "%.*s: one of =, ~, in and present is expected",
		      SHOWN(&in->word[at]));
	else if ((at + 2 == in->words) != (op == RULE_PRESENT))
		wrong(in, op == RULE_PRESENT ?
		      "nothing is expected behind \"present\"" :
		      "a value is missing at the end");
	else if (rule->conditions == RULE_CONDITIONS_MAX)
		wrong(in, "more than %d conditions in a rule",
		      RULE_CONDITIONS_MAX);
	if (in->err)
		return;
	c = add(in, &in->r->condition, sizeof(*c));
	if (!c)
		return;
	rule->conditions++;
	*c = (struct rule_condition){
		.tag = tag, .operator = op, .negated = at,
		.operand = in->r->operand.n,
	};
	for (at += 2; at < in->words && !in->err; at++)
		parse_operand(in, c, &in->word[at]);
}

static void parse_statement(struct parser *in)
{
	static const struct {
		const char *word;
		void (*parse)(struct parser *in);
	} statement[] = {
		{ "policy", parse_policy },
		{ "region", parse_region },
		{ "regions", parse_regions },
		{ "hold", parse_hold },
	};

	if (is(&in->word[0], "rule")) {
		parse_rule(in);
		return;
	}
	if (!in->r->rule.n) {
		wrong(in, "\"rule\" and a name are expected first");
		return;
	}
	for (size_t i = 0; i < sizeof(statement) / sizeof(statement[0]); i++)
		if (is(&in->word[0], statement[i].word)) {
			statement[i].parse(in);
			return;
		}
	parse_condition(in);
}

static void parse(struct parser *in)
{
	const char *p = in->r->text, *stop = p + in->r->len, *end;

	for (; !in->err && p < stop; p = end + 1) {
		in->line++;
		end = memchr(p, '\n', (size_t)(stop - p));
		if (!end)
			end = stop;
		if (end - p > RULE_LINE_MAX)
			wrong(in, "longer than %d bytes", RULE_LINE_MAX);
		else
			split(in, p, end);
		if (!in->err && in->words)
			parse_statement(in);
	}
	if (!in->err && in->r->rule.n)
		end_rule(in);
}

int chaosimg_rules_parse(const char *text, size_t len, const char *where,
			 struct chaosimg_rules **out)
{
	struct parser in = { .where = where };

	/* Stored, it gets the newline that it lacks. */
	if (len + (len && text[len - 1] != '\n') > CHAOSIMG_RULES_TEXT_MAX)
		return fail(EINVAL, "%s: longer than %d bytes", where,
			    CHAOSIMG_RULES_TEXT_MAX);
	in.r = calloc(1, sizeof(*in.r));
	if (!in.r)
		return fail(ENOMEM, "out of memory");
	in.r->text = malloc(len + 1);
	if (!in.r->text) {
		free(in.r);
		return fail(ENOMEM, "out of memory");
	}
	memcpy(in.r->text, text, len);
	in.r->text[len] = '\0';
	in.r->len = len;
	parse(&in);
	if (in.err)
		chaosimg_rules_free(in.r);
	else
		*out = in.r;
	return in.err;
}
