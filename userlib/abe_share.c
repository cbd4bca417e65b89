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
 * struct ratio - a coefficient on its way down
 * @above: its numerator
 * @below: its denominator
 * @small: do both, and what is made of them, fit here?
 * @a: the same numerator, of any size
 * @b: the same denominator
 */
struct ratio {
	int64_t above;
	int64_t below;
	bool small;
	blst_fr a;
	blst_fr b;
};

/**
 * struct selection - the leaves to use
 * @p: the policy
 * @cost: for each node, how many leaves it takes, or NEVER
 * @used: for each leaf, whether it is used
 * @ratio: and its coefficient
 */
struct selection {
	const struct chaosimg_policy *p;
	unsigned int cost[POLICY_NODES_MAX];
	bool used[POLICY_LEAVES_MAX];
	struct ratio ratio[POLICY_LEAVES_MAX];
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

static int64_t gcd(int64_t a, int64_t b)
{
	while (b) {
		int64_t rest = a % b;

		a = b;
		b = rest;
	}
	return a < 0 ? -a : a;
}

/* r *= above / below, both of a few digits. */
static void multiply(struct ratio *r, int above, int below)
{
	blst_fr x;
	int64_t divisor;

	scalar_small(&x, (uint32_t)above);
	blst_fr_mul(&r->a, &r->a, &x);
	scalar_small(&x, (uint32_t)(below < 0 ? -below : below));
	blst_fr_cneg(&x, &x, below < 0);
	blst_fr_mul(&r->b, &r->b, &x);
	r->small = r->small &&
		   !__builtin_mul_overflow(r->above, above, &r->above) &&
		   !__builtin_mul_overflow(r->below, below, &r->below);
	if (!r->small)
		return;
	divisor = gcd(r->above, r->below);
	r->above /= divisor;
	r->below /= divisor;
}

/* Lagrange's coefficient of the child @i, for the polynomial's value at 0. */
static void lagrange(struct ratio *r, const bool *chosen, unsigned int n,
		     unsigned int i)
{
	unsigned int j;

	for (j = 0; j < n; j++)
		if (j != i && chosen[j])
			multiply(r, (int)j + 1, (int)j - (int)i);
}

static void select_node(struct selection *s, unsigned int at,
			const struct ratio *r)
{
	const struct policy_node *node = &s->p->node[at];
	bool chosen[POLICY_LEAVES_MAX];
	unsigned int i, child = at + 1;

	if (!node->children) {
		s->used[node->leaf] = true;
		s->ratio[node->leaf] = *r;
		return;
	}
	cheapest(s, at, chosen);
	for (i = 0; i < node->children; i++) {
		struct ratio part = *r;

		if (chosen[i] && node->k > 1 && !is_sum(node))
			lagrange(&part, chosen, node->children, i);
		if (chosen[i])
			select_node(s, child, &part);
		child += s->p->node[child].size;
	}
}

/* The least common multiple of all denominators, or 0. */
static int64_t common(const struct selection *s)
{
	int64_t all = 1, below;
	unsigned int i;

	for (i = 0; i < s->p->leaves; i++) {
		if (!s->used[i])
			continue;
		if (!s->ratio[i].small)
			return 0;
		below = s->ratio[i].below / gcd(all, s->ratio[i].below);
		if (__builtin_mul_overflow(all, below, &all))
			return 0;
		if (all < 0)
			all = -all;
	}
	return all;
}

static bool make_small(const struct selection *s, struct share_plan *out)
{
	int64_t all = common(s);
	unsigned int i;

	if (!all)
		return false;
	for (i = 0; i < s->p->leaves; i++)
		if (s->used[i] &&
		    __builtin_mul_overflow(s->ratio[i].above,
					   all / s->ratio[i].below,
					   &out->leaf[i].small))
			return false;
	out->whole = all == 1;
	blst_fr_from_uint64(&out->scale, (uint64_t[4]){ (uint64_t)all });
	blst_fr_eucl_inverse(&out->scale, &out->scale);
	return true;
}

static void make_large(const struct selection *s, struct share_plan *out)
{
	unsigned int i;
	blst_fr x;

	for (i = 0; i < s->p->leaves; i++) {
		out->leaf[i].small = 0;
		if (!s->used[i])
			continue;
		blst_fr_eucl_inverse(&x, &s->ratio[i].b);
		blst_fr_mul(&out->leaf[i].coefficient, &s->ratio[i].a, &x);
	}
	out->whole = true;
	scalar_small(&out->scale, 1);
}

bool share_select(const struct chaosimg_policy *p, const bool *have,
		  struct share_plan *out)
{
	struct selection s = { .p = p };
	struct ratio one = { .above = 1, .below = 1, .small = true };
	unsigned int i;

	find_costs(&s, have);
	if (s.cost[0] >= NEVER)
		return false;
	scalar_small(&one.a, 1);
	one.b = one.a;
	select_node(&s, 0, &one);
	for (i = 0; i < p->leaves; i++)
		out->leaf[i] = (struct share_use){ .used = s.used[i] };
	if (!make_small(&s, out))
		make_large(&s, out);
	return true;
}
