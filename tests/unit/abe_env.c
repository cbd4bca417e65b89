// SPDX-License-Identifier: GPL-2.0-or-later
/* Random policies, and the test's own opinion on whom they let in. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "abe_env.h"
#include "rng.h"

static const char *const authorities[] = { "one", "two", "three" };

const char *abe_attribute_of(unsigned int letter)
{
	static char name[8][16];
	static unsigned int turn;
	char *out = name[turn++ % 8];

	snprintf(out, sizeof(name[0]), "%c@%s", 'a' + letter,
		 authorities[letter % 3]);
	return out;
}

struct abe_tree *abe_tree_new(uint64_t *seed, unsigned int depth)
{
	struct abe_tree *t = calloc(1, sizeof(*t));
	unsigned int i;

	if (!t)
		abort();
	if (!depth || !rng_below(seed, 4)) {
		t->letter = (unsigned int)rng_below(seed, ABE_LETTERS);
		return t;
	}
	t->n = 2 + (unsigned int)rng_below(seed, 3);
	t->k = 1 + (unsigned int)rng_below(seed, t->n);
	for (i = 0; i < t->n; i++)
		t->child[i] = abe_tree_new(seed, depth - 1);
	return t;
}

void abe_tree_free(struct abe_tree *t)
{
	unsigned int i;

	for (i = 0; i < t->n; i++)
		abe_tree_free(t->child[i]);
	free(t);
}

static void add(char *out, size_t size, const char *text)
{
	size_t len = strlen(out);

	snprintf(out + len, size - len, "%s", text);
}

static const char *blank(uint64_t *seed)
{
	static const char *const blanks[] = { "", " ", "\t ", "\n" };

	return blanks[rng_below(seed, 4)];
}

static void list(const struct abe_tree *t, uint64_t *seed, const char *between,
		 char *out, size_t size)
{
	unsigned int i;

	for (i = 0; i < t->n; i++) {
		if (i)
			add(out, size, between);
		add(out, size, blank(seed));
		abe_tree_text(t->child[i], seed, out, size);
		add(out, size, blank(seed));
	}
}

/* It appends; @out begins as an empty string. */
void abe_tree_text(const struct abe_tree *t, uint64_t *seed, char *out,
		   size_t size)
{
	static const char *const and[] = { " AND ", " and ", " And " };
	bool words = t->k == 1 || t->k == t->n;
	char k[24];

	if (!t->n)
		return add(out, size, abe_attribute_of(t->letter));
	if (words && rng_below(seed, 2)) {
		add(out, size, "(");
		list(t, seed, t->k == 1 ? " OR " : and[rng_below(seed, 3)],
		     out, size);
		return add(out, size, ")");
	}
	snprintf(k, sizeof(k), "%u %s%s(", t->k,
		 rng_below(seed, 2) ? "OF" : "of", blank(seed));
	add(out, size, k);
	list(t, seed, ",", out, size);
	add(out, size, ")");
}

bool abe_tree_holds(const struct abe_tree *t, uint32_t letters)
{
	unsigned int i, held = 0;

	if (!t->n)
		return letters >> t->letter & 1;
	for (i = 0; i < t->n; i++)
		held += abe_tree_holds(t->child[i], letters);
	return held >= t->k;
}
