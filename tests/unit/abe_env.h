/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the tests of attribute-based encryption share: random policies. */
#ifndef ABE_ENV_H
#define ABE_ENV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "chaosimg_abe.h"

enum { ABE_LETTERS = 10 };

/**
 * struct abe_tree - a policy as the test thinks of it
 * @k: of the @n children; 0 for a leaf
 * @letter: a leaf's attribute: 'a' + this
 */
struct abe_tree {
	unsigned int k, n, letter;
	struct abe_tree *child[4];
};

/* "c@one", "b@two", ..: three authorities share the letters. */
const char *abe_attribute_of(unsigned int letter);

/* A random tree, at most so deep and with about so many leaves. */
struct abe_tree *abe_tree_new(uint64_t *seed, unsigned int depth);
void abe_tree_free(struct abe_tree *t);

/* Its text, with brackets, blanks and cases at random. */
void abe_tree_text(const struct abe_tree *t, uint64_t *seed, char *out,
		   size_t size);

/* Do these letters satisfy it? */
bool abe_tree_holds(const struct abe_tree *t, uint32_t letters);

#endif
