// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Does a policy make sense? What can be parsed can be satisfied, as nothing in
 * it can be denied; but it may say less than its author thinks.
 */
#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "error.h"
#include "policy.h"

/* Every combination of them is tried. */
#define DIFFERENT_MAX	16

static int odd(const struct policy_leaf *leaf, const char *what)
{
	return fail(EINVAL, "policy, column %u: %s %s", leaf->column,
		    leaf->name, what);
}

/* The same attribute among the direct children of one node. */
static const struct policy_leaf *twice(const struct chaosimg_policy *p,
				       unsigned int at)
{
	const struct policy_leaf *seen[POLICY_LEAVES_MAX];
	unsigned int i, j, n = 0, child = at + 1;

	for (i = 0; i < p->node[at].children; i++) {
		const struct policy_node *c = &p->node[child];

		child += c->size;
		if (c->children)
			continue;
		for (j = 0; j < n; j++)
			if (!strcmp(seen[j]->name, p->leaf[c->leaf].name))
				return &p->leaf[c->leaf];
		seen[n++] = &p->leaf[c->leaf];
	}
	return NULL;
}

/**
 * struct different - each attribute once
 * @n: how many
 * @of: for each leaf, which it is
 * @first: for each, the first leaf that it is
 */
struct different {
	unsigned int n;
	unsigned int of[POLICY_LEAVES_MAX];
	unsigned int first[POLICY_LEAVES_MAX];
};

static void find_different(const struct chaosimg_policy *p,
			   struct different *d)
{
	unsigned int i, j;

	d->n = 0;
	for (i = 0; i < p->leaves; i++) {
		for (j = 0; j < d->n; j++)
			if (!strcmp(p->leaf[d->first[j]].name, p->leaf[i].name))
				break;
		if (j == d->n)
			d->first[d->n++] = i;
		d->of[i] = j;
	}
}

static bool holds(const struct chaosimg_policy *p, const struct different *d,
		  uint32_t set)
{
	bool have[POLICY_LEAVES_MAX];
	unsigned int i;

	for (i = 0; i < p->leaves; i++)
		have[i] = set >> d->of[i] & 1;
	return policy_holds(p, have);
}

/* Those for which some set of the others makes a difference. */
static uint32_t effective(const struct chaosimg_policy *p,
			  const struct different *d)
{
	uint32_t all = (UINT32_C(1) << d->n) - 1, set, found = 0;
	unsigned int i;

	for (set = 0; set <= all && found != all; set++) {
		if (holds(p, d, set))
			continue;
		for (i = 0; i < d->n; i++)
			if (!(found >> i & 1) &&
			    holds(p, d, set | UINT32_C(1) << i))
				found |= UINT32_C(1) << i;
	}
	return found;
}

int chaosimg_policy_check(const struct chaosimg_policy *p)
{
	const struct policy_leaf *leaf;
	struct different d;
	uint32_t found;
	unsigned int i;

	for (i = 0; i < p->nodes; i++) {
		leaf = twice(p, i);
		if (leaf)
			return odd(leaf, "stands here a second time");
	}
	find_different(p, &d);
	/* Where each stands once, each makes a difference. */
	if (d.n == p->leaves || d.n > DIFFERENT_MAX)
		return 0;
	found = effective(p, &d);
	for (i = 0; i < d.n; i++)
		if (!(found >> i & 1))
			return odd(&p->leaf[d.first[i]],
				   "makes no difference: the policy says the same without it");
	return 0;
}
