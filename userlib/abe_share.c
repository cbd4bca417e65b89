// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Secrets shared along a policy's tree, and got back.
 *
 * OR hands its secret on to each child. AND splits it into summands. k of n
 * hands on a polynomial's values at 1 to n (Shamir), with the secret at 0. This
 * is a linear scheme: each share is a fixed combination of the secret and the
 * random numbers, and of any set of leaves that satisfies the policy, some
 * combination is the secret.
 */
#include <openssl/crypto.h>

#include "abe.h"

static bool is_sum(const struct policy_node *node)
{
	return node->k == node->children;
}

unsigned int share_numbers(const struct chaosimg_policy *p)
{
	unsigned int i, n = 0;

	for (i = 0; i < p->nodes; i++)
		if (p->node[i].children)
			n += p->node[i].k - 1;
	return n;
}

/**
 * struct sharing - one secret on its way down
 * @p: the policy
 * @random: the next number to use
 * @out: the leaves' shares
 */
struct sharing {
	const struct chaosimg_policy *p;
	const blst_fr *random;
	blst_fr *out;
};

/* secret + c1 x + c2 x^2 + .., for a small x. */
static void polynomial(blst_fr *out, const blst_fr *secret, const blst_fr *c,
		       unsigned int degree, unsigned int at)
{
	blst_fr x, sum = { { 0 } };

	scalar_small(&x, at);
	while (degree--) {
		blst_fr_add(&sum, &sum, &c[degree]);
		blst_fr_mul(&sum, &sum, &x);
	}
	blst_fr_add(out, &sum, secret);
	OPENSSL_cleanse(&sum, sizeof(sum));
}

static void share_node(struct sharing *s, unsigned int at,
		       const blst_fr *secret)
{
	const struct policy_node *node = &s->p->node[at];
	const blst_fr *c = s->random;
	unsigned int i, child = at + 1;
	blst_fr part, rest = *secret;

	if (!node->children) {
		s->out[node->leaf] = *secret;
		OPENSSL_cleanse(&rest, sizeof(rest));
		return;
	}
	s->random += node->k - 1;
	for (i = 0; i < node->children; i++) {
		if (node->k == 1) {
			part = *secret;
		} else if (!is_sum(node)) {
			polynomial(&part, secret, c, node->k - 1, i + 1);
		} else if (i + 1 < node->children) {
			part = c[i];
			blst_fr_sub(&rest, &rest, &part);
		} else {
			part = rest;
		}
		share_node(s, child, &part);
		child += s->p->node[child].size;
	}
	OPENSSL_cleanse(&part, sizeof(part));
	OPENSSL_cleanse(&rest, sizeof(rest));
}

void share(const struct chaosimg_policy *p, const blst_fr *secret,
	   const blst_fr *random, blst_fr *out)
{
	struct sharing s = { .p = p, .random = random, .out = out };

	share_node(&s, 0, secret);
}

/* --- and back: who has which attribute is no secret ------------------------ */

#define NEVER	(POLICY_LEAVES_MAX + 1u)

/**
 * struct selection - the leaves to use
 * @p: the policy
 * @cost: for each node, how many leaves it takes, or NEVER
 * @out: one for each leaf
 */
struct selection {
	const struct chaosimg_policy *p;
	unsigned int cost[POLICY_NODES_MAX];
	struct share_use *out;
};

/* Marks the k cheapest children; of equal ones, the first. */
static unsigned int cheapest(const struct selection *s, unsigned int at,
			     bool *chosen)
{
	const struct policy_node *node = &s->p->node[at];
	unsigned int k, i, sum = 0;

	for (i = 0; i < node->children; i++)
		chosen[i] = false;
	for (k = 0; k < node->k; k++) {
		unsigned int child = at + 1, best = NEVER, which = 0;

		for (i = 0; i < node->children; i++) {
			if (!chosen[i] && s->cost[child] < best) {
				best = s->cost[child];
				which = i;
			}
			child += s->p->node[child].size;
		}
		if (best == NEVER)
			return NEVER;
		chosen[which] = true;
		sum += best;
	}
	return sum;
}

/* Children come after their parent: from the end, they are known. */
static void find_costs(struct selection *s, const bool *have)
{
	bool chosen[POLICY_LEAVES_MAX];
	unsigned int i;

	for (i = s->p->nodes; i--;) {
		const struct policy_node *node = &s->p->node[i];

		if (node->children)
			s->cost[i] = cheapest(s, i, chosen);
		else
			s->cost[i] = have[node->leaf] ? 1 : NEVER;
	}
}

/* Lagrange's coefficient of the child @i, for the polynomial's value at 0. */
static void lagrange(blst_fr *out, const bool *chosen, unsigned int n,
		     unsigned int i)
{
	blst_fr above, below, x, xi, difference;
	unsigned int j;

	scalar_small(&above, 1);
	scalar_small(&below, 1);
	scalar_small(&xi, i + 1);
	for (j = 0; j < n; j++) {
		if (j == i || !chosen[j])
			continue;
		scalar_small(&x, j + 1);
		blst_fr_mul(&above, &above, &x);
		blst_fr_sub(&difference, &x, &xi);
		blst_fr_mul(&below, &below, &difference);
	}
	blst_fr_eucl_inverse(&below, &below);
	blst_fr_mul(out, &above, &below);
}

static void select_node(struct selection *s, unsigned int at,
			const struct share_use *use)
{
	const struct policy_node *node = &s->p->node[at];
	bool chosen[POLICY_LEAVES_MAX];
	unsigned int i, child = at + 1;

	if (!node->children) {
		s->out[node->leaf] = *use;
		return;
	}
	cheapest(s, at, chosen);
	for (i = 0; i < node->children; i++) {
		struct share_use part = *use;

		if (chosen[i] && node->k > 1 && !is_sum(node)) {
			lagrange(&part.coefficient, chosen, node->children, i);
			blst_fr_mul(&part.coefficient, &part.coefficient,
				    &use->coefficient);
			part.one = false;
		}
		if (chosen[i])
			select_node(s, child, &part);
		child += s->p->node[child].size;
	}
}

bool share_select(const struct chaosimg_policy *p, const bool *have,
		  struct share_use *out)
{
	struct selection s = { .p = p, .out = out };
	struct share_use all = { .used = true, .one = true };
	unsigned int i;

	for (i = 0; i < p->leaves; i++)
		out[i] = (struct share_use){ .used = false };
	find_costs(&s, have);
	if (s.cost[0] >= NEVER)
		return false;
	scalar_small(&all.coefficient, 1);
	select_node(&s, 0, &all);
	return true;
}
