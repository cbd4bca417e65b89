// SPDX-License-Identifier: GPL-2.0-or-later
/* Access policies: their one form, and whom they let in. */
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "policy.h"

/* Not isalnum(), which asks the locale. */
static bool name_character(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c >= '0' && c <= '9') || (c && strchr("._-+:/=", c));
}

bool policy_name_ok(const char *name, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		if (!name_character(name[i]))
			return false;
	return len && len <= CHAOSIMG_ATTRIBUTE_MAX;
}

/* --- printing -------------------------------------------------------------- */

struct printer {
	struct chaosimg_policy *p;
	size_t len;
	unsigned int depth;
	bool full;
};

static void put(struct printer *out, const char *text)
{
	size_t len = strlen(text);

	if (out->len + len > POLICY_TEXT_MAX)
		out->full = true;
	if (out->full)
		return;
	memcpy(out->p->text + out->len, text, len + 1);
	out->len += len;
}

static void put_node(struct printer *out, unsigned int at);

/* What is printed has to be read again, so no more brackets than may be. */
static void put_inside(struct printer *out, unsigned int at)
{
	if (++out->depth > POLICY_DEPTH_MAX)
		out->full = true;
	put(out, "(");
	put_node(out, at);
	put(out, ")");
	out->depth--;
}

static void put_children(struct printer *out, unsigned int at,
			 const char *between, bool bracket)
{
	const struct policy_node *node = out->p->node;
	unsigned int i, child = at + 1;

	for (i = 0; i < node[at].children; i++, child += node[child].size) {
		/* A threshold has brackets of its own. */
		bool open = bracket && node[child].children &&
			    (node[child].k == 1 ||
			     node[child].k == node[child].children);

		put(out, i ? between : "");
		if (open)
			put_inside(out, child);
		else
			put_node(out, child);
	}
}

static void put_node(struct printer *out, unsigned int at)
{
	const struct policy_node *node = &out->p->node[at];
	char k[24];

	if (!node->children) {
		put(out, out->p->leaf[node->leaf].name);
	} else if (node->k == 1) {
		put_children(out, at, " OR ", true);
	} else if (node->k == node->children) {
		put_children(out, at, " AND ", true);
	} else {
		if (++out->depth > POLICY_DEPTH_MAX)
			out->full = true;
		snprintf(k, sizeof(k), "%u OF (", node->k);
		put(out, k);
		put_children(out, at, ", ", false);
		put(out, ")");
		out->depth--;
	}
}

bool policy_print(struct chaosimg_policy *p)
{
	struct printer out = { .p = p };

	p->text[0] = '\0';
	put_node(&out, 0);
	return !out.full;
}

/* --- who satisfies it ------------------------------------------------------ */

static bool node_holds(const struct chaosimg_policy *p, unsigned int at,
		       const bool *have)
{
	const struct policy_node *node = &p->node[at];
	unsigned int i, child = at + 1, held = 0;

	if (!node->children)
		return have[node->leaf];
	for (i = 0; i < node->children; i++, child += p->node[child].size)
		held += node_holds(p, child, have);
	return held >= node->k;
}

bool policy_holds(const struct chaosimg_policy *p, const bool *have)
{
	return node_holds(p, 0, have);
}

bool chaosimg_policy_satisfied(const struct chaosimg_policy *p,
			       const char *const *attributes, size_t n)
{
	bool have[POLICY_LEAVES_MAX] = { false };
	unsigned int i;
	size_t j;

	for (i = 0; i < p->leaves; i++)
		for (j = 0; j < n && !have[i]; j++)
			have[i] = !strcmp(p->leaf[i].name, attributes[j]);
	return policy_holds(p, have);
}

/* --- looking at it --------------------------------------------------------- */

const char *chaosimg_policy_text(const struct chaosimg_policy *p)
{
	return p->text;
}

const char *chaosimg_policy_attribute(const struct chaosimg_policy *p,
				      size_t i)
{
	return i < p->leaves ? p->leaf[i].name : NULL;
}

void chaosimg_policy_free(struct chaosimg_policy *p)
{
	free(p);
}
