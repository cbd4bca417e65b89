// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Reading an access policy: recursive descent, one function for each rule of
 * the grammar in Documentation/access.rst.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "error.h"
#include "policy.h"

enum token { END, OPEN, CLOSE, COMMA, AND, OR, OF, NUMBER, ATTRIBUTE, WRONG };

/**
 * struct parser - how far it is
 * @p: what is made
 * @text: all of it
 * @token: what comes next
 * @start: where that begins
 * @len: its length
 * @depth: of brackets
 * @err: what was wrong first, or 0
 */
struct parser {
	struct chaosimg_policy *p;
	const char *text;
	enum token token;
	size_t start;
	size_t len;
	unsigned int depth;
	int err;
};

/* The first error is the one that is told. */
static void __attribute__((format(printf, 3, 4)))
wrong(struct parser *in, size_t at, const char *fmt, ...)
{
	char what[256];
	va_list ap;

	if (in->err)
		return;
	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	in->err = fail(EINVAL, "policy, column %zu: %s", at + 1, what);
}

/* --- tokens ---------------------------------------------------------------- */

static bool space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool is_word(const struct parser *in, const char *word)
{
	return in->len == strlen(word) &&
	       !strncasecmp(in->text + in->start, word, in->len);
}

static enum token word(struct parser *in)
{
	const char *text = in->text + in->start;

	in->len = strcspn(text, " \t\r\n(),");
	if (memchr(text, '@', in->len))
		return ATTRIBUTE;
	if (is_word(in, "and"))
		return AND;
	if (is_word(in, "or"))
		return OR;
	if (is_word(in, "of"))
		return OF;
	if (strspn(text, "0123456789") == in->len)
		return NUMBER;
	return WRONG;
}

static void next(struct parser *in)
{
	in->start += in->len;
	while (space(in->text[in->start]))
		in->start++;
	in->len = 1;
	switch (in->text[in->start]) {
	case '\0':
		in->len = 0;
		in->token = END;
		break;
	case '(':
		in->token = OPEN;
		break;
	case ')':
		in->token = CLOSE;
		break;
	case ',':
		in->token = COMMA;
		break;
	default:
		in->token = word(in);
	}
}

/* A word may be long, and hold anything. */
static void unexpected(struct parser *in, const char *wanted)
{
	if (in->token == END)
		wrong(in, in->start, "%s is missing at the end", wanted);
	else
		wrong(in, in->start, "%s is expected, not \"%.*s\"", wanted,
		      (int)(in->len < 64 ? in->len : 64),
		      in->text + in->start);
}

/* --- the tree -------------------------------------------------------------- */

/* A node before the one at @at, to hold it. Return: was there room? */
static bool put_above(struct parser *in, unsigned int at)
{
	struct chaosimg_policy *p = in->p;

	if (p->nodes == POLICY_NODES_MAX) {
		wrong(in, in->start, "more than %d attributes",
		      POLICY_LEAVES_MAX);
		return false;
	}
	memmove(&p->node[at + 1], &p->node[at],
		(p->nodes - at) * sizeof(p->node[0]));
	p->nodes++;
	p->node[at] = (struct policy_node){ .size = 1 };
	return true;
}

static bool is_and(const struct policy_node *node)
{
	return node->children && node->k == node->children;
}

static bool is_or(const struct policy_node *node)
{
	return node->children && node->k == 1;
}

/* (a AND b) AND c is a AND b AND c: no node for what is in brackets. */
static void close_node(struct parser *in, unsigned int at)
{
	struct policy_node *node = &in->p->node[at];
	unsigned int i, n = node->children, child = at + 1;
	bool and = is_and(node), or = is_or(node);

	for (i = 0; i < n; i++) {
		struct policy_node *c = &in->p->node[child];
		unsigned int size = c->size;

		if ((and && is_and(c)) || (or && is_or(c))) {
			node->children += c->children - 1;
			in->p->nodes--;
			memmove(c, c + 1, (in->p->nodes - child) * sizeof(*c));
			size--;
		}
		child += size;
	}
	if (and)
		node->k = node->children;
	node->size = child - at;
}

/* --- the grammar ----------------------------------------------------------- */

static void either(struct parser *in);

static bool deeper(struct parser *in)
{
	if (++in->depth <= POLICY_DEPTH_MAX)
		return true;
	wrong(in, in->start, "more than %d brackets in one another",
	      POLICY_DEPTH_MAX);
	return false;
}

static void expect(struct parser *in, enum token token, const char *what)
{
	if (in->err)
		return;
	if (in->token == token)
		next(in);
	else
		unexpected(in, what);
}

static void attribute(struct parser *in)
{
	struct chaosimg_policy *p = in->p;
	const char *text = in->text + in->start;
	size_t at = (size_t)((const char *)memchr(text, '@', in->len) - text);
	struct policy_leaf *leaf = &p->leaf[p->leaves];

	if (!at)
		return wrong(in, in->start, "no attribute before the \"@\"");
	if (at + 1 == in->len)
		return wrong(in, in->start + at, "no authority after the \"@\"");
	if (!policy_name_ok(text, at))
		return wrong(in, in->start, "not an attribute's name (1 to %d letters, digits and ._-+:/=)",
			     CHAOSIMG_ATTRIBUTE_MAX);
	if (!policy_name_ok(text + at + 1, in->len - at - 1))
		return wrong(in, in->start + at + 1, "not an authority's name (1 to %d letters, digits and ._-+:/=)",
			     CHAOSIMG_ATTRIBUTE_MAX);
	if (p->leaves == POLICY_LEAVES_MAX)
		return wrong(in, in->start, "more than %d attributes",
			     POLICY_LEAVES_MAX);
	if (!put_above(in, p->nodes))
		return;
	memcpy(leaf->name, text, in->len);
	leaf->name[in->len] = '\0';
	leaf->at = (unsigned int)at;
	leaf->column = (unsigned int)in->start + 1;
	p->node[p->nodes - 1].leaf = p->leaves++;
	next(in);
}

/* "2 OF (..)": the number is what comes next. */
static void threshold(struct parser *in)
{
	unsigned int at = in->p->nodes, n = 0;
	size_t start = in->start;
	unsigned long k = in->len > 4 ? 99999 :
			  strtoul(in->text + in->start, NULL, 10);

	next(in);
	expect(in, OF, "\"OF\"");
	if (in->err || !put_above(in, at) || !deeper(in))
		return;
	expect(in, OPEN, "\"(\"");
	do {
		if (n)
			next(in);
		if (!in->err)
			either(in);
		n++;
	} while (!in->err && in->token == COMMA);
	expect(in, CLOSE, "\",\" or \")\"");
	in->depth--;
	if (in->err)
		return;
	if (!k || k > n)
		return wrong(in, start, "of %u, 1 to %u can be asked for", n, n);
	in->p->node[at].k = (unsigned int)k;
	in->p->node[at].children = n;
	if (n > 1)
		return close_node(in, at);
	/* Of one, there is nothing to choose. */
	in->p->nodes--;
	memmove(&in->p->node[at], &in->p->node[at + 1],
		(in->p->nodes - at) * sizeof(in->p->node[0]));
}

static void term(struct parser *in)
{
	switch (in->token) {
	case OPEN:
		if (!deeper(in))
			return;
		next(in);
		either(in);
		expect(in, CLOSE, "\")\"");
		in->depth--;
		return;
	case NUMBER:
		return threshold(in);
	case ATTRIBUTE:
		return attribute(in);
	default:
		unexpected(in, "an attribute as name@authority");
	}
}

static void chain(struct parser *in, enum token between,
		  void (*part)(struct parser *in))
{
	unsigned int at = in->p->nodes, n = 1;

	part(in);
	if (in->err || in->token != between || !put_above(in, at))
		return;
	for (; !in->err && in->token == between; n++) {
		next(in);
		part(in);
	}
	if (in->err)
		return;
	in->p->node[at].k = between == AND ? n : 1;
	in->p->node[at].children = n;
	close_node(in, at);
}

static void both(struct parser *in)
{
	chain(in, AND, term);
}

static void either(struct parser *in)
{
	chain(in, OR, both);
}

static void parse(struct parser *in)
{
	next(in);
	if (in->token == END)
		return wrong(in, 0, "there is no policy");
	either(in);
	if (!in->err && in->token != END)
		unexpected(in, "\"AND\" or \"OR\"");
	if (!in->err && !policy_print(in->p))
		wrong(in, 0, "longer than %d bytes, or more than %d brackets in one another",
		      POLICY_TEXT_MAX, POLICY_DEPTH_MAX);
}

int chaosimg_policy_parse(const char *text, struct chaosimg_policy **out)
{
	struct parser in = { .text = text };

	if (strnlen(text, POLICY_TEXT_MAX + 1) > POLICY_TEXT_MAX)
		return fail(EINVAL, "policy: longer than %d bytes",
			    POLICY_TEXT_MAX);
	in.p = calloc(1, sizeof(*in.p));
	if (!in.p)
		return fail(ENOMEM, "policy: no memory");
	parse(&in);
	if (in.err)
		free(in.p);
	else
		*out = in.p;
	return in.err;
}
