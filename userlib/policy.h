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
	/* An authority's public key, E and Y, without its name. */
	POLICY_AUTHORITY_KEY = 624,
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

/**
 * policy_peek() - as chaosimg_policy_of(), but looks at nothing else
 * @in: the ciphertext
 * @len: its length
 * @out: receives the policy
 * Return: as chaosimg_policy_of().
 */
int policy_peek(const uint8_t *in, size_t len, struct chaosimg_policy **out);

/**
 * policy_head() - the part of a ciphertext that says what it is under
 * @in: the ciphertext
 * @len: its length
 * @head: receives how many bytes of it depend on policy and authorities alone
 * Return: 0; -EBADMSG; -EPROTONOSUPPORT; -ENOMEM.
 */
int policy_head(const uint8_t *in, size_t len, size_t *head);

/**
 * authority_decode() - an authority from its name and its key's bytes
 * @where: where they were found, for the error text
 * @name: its name
 * @key: as authority_key() gives it
 * @out: receives it, for chaosimg_authority_free()
 * Return: 0; -EBADMSG if it is none; -ENOMEM; -EIO.
 */
int authority_decode(const char *where, const char *name,
		     const uint8_t key[POLICY_AUTHORITY_KEY],
		     struct chaosimg_authority **out);

/** authority_key() - Return: its key's bytes, which live as long as @a */
const uint8_t *authority_key(const struct chaosimg_authority *a);

/** policy_name_ok() - may an attribute or an authority be called so? */
bool policy_name_ok(const char *name, size_t len);

#endif
