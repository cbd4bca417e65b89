/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Access policies: trees of AND, OR and k-of-n over attributes.
 * Grammar: Documentation/access.rst, "Policies".
 */
#ifndef CHAOSIMG_POLICY_H
#define CHAOSIMG_POLICY_H

#include <stdbool.h>
#include <stddef.h>

#include "chaosimg_abe.h"

enum {
	POLICY_LEAVES_MAX = CHAOSIMG_POLICY_LEAVES_MAX,
	/* Whatever is not a leaf has two children or more. */
	POLICY_NODES_MAX = 2 * POLICY_LEAVES_MAX,
	POLICY_DEPTH_MAX = 16,
	POLICY_TEXT_MAX = 4096,
	/* Longest "attribute@authority". */
	POLICY_LEAF_MAX = 2 * CHAOSIMG_ATTRIBUTE_MAX + 1,
};

/**
 * struct policy_node - a leaf, or "@k of the @children that follow"
 * @size: nodes of this subtree, itself included: the next sibling is so far on
 * @children: how many; 0 for a leaf
 * @k: how many of them are needed: 1 is OR, all of them AND
 * @leaf: a leaf's number, from the left
 */
struct policy_node {
	unsigned int size;
	unsigned int children;
	unsigned int k;
	unsigned int leaf;
};

/** struct policy_leaf - an attribute where it stands */
struct policy_leaf {
	char name[POLICY_LEAF_MAX + 1];	/* "attribute@authority" */
	unsigned int at;		/* where the "@" is */
	unsigned int column;		/* in the text that was parsed, from 1 */
};

/**
 * struct chaosimg_policy - a policy
 * @text: its one form
 * @nodes: how many of @node are in use
 * @leaves: how many of @leaf are in use
 * @node: the tree, each node before its children
 * @leaf: the attributes, from the left
 */
struct chaosimg_policy {
	char text[POLICY_TEXT_MAX + 1];
	unsigned int nodes;
	unsigned int leaves;
	struct policy_node node[POLICY_NODES_MAX];
	struct policy_leaf leaf[POLICY_LEAVES_MAX];
};

/** policy_authority() - the authority's name in a leaf */
static inline const char *policy_authority(const struct policy_leaf *leaf)
{
	return leaf->name + leaf->at + 1;
}

/**
 * policy_print() - write the one form that this tree has
 * @p: a tree; its @text is made
 * Return: is it short and flat enough to be read again?
 */
bool policy_print(struct chaosimg_policy *p);

/**
 * policy_holds() - is it satisfied?
 * @p: the policy
 * @have: for each leaf, whether its attribute is there
 */
bool policy_holds(const struct chaosimg_policy *p, const bool *have);

/** policy_name_ok() - may an attribute or an authority be called so? */
bool policy_name_ok(const char *name, size_t len);

#endif
