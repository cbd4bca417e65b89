/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The policies of an archive's compartments, as its configuration holds them:
 * new keysets are wrapped under them.
 */
#ifndef CHAOSIMG_POLICIES_H
#define CHAOSIMG_POLICIES_H

#include <stdint.h>
#include <stdio.h>

#include <json.h>

#include "policy.h"

/**
 * struct policies - the policies, and whom they believe
 * @policy: of each compartment, in its one form; empty if it has none
 * @authorities: how many of @authority are in use
 * @authority: those that the policies name, in the order in which they do
 */
struct policies {
	char policy[CHAOSIMG_COMPARTMENTS][POLICY_TEXT_MAX + 1];
	uint32_t authorities;
	struct policies_authority {
		char name[CHAOSIMG_ATTRIBUTE_MAX + 1];
		uint8_t key[POLICY_AUTHORITY_KEY];
	} authority[CHAOSIMG_AUTHORITIES_MAX];
};

enum { POLICIES_NAMED_MAX = 32 };	/* besides the archive's own */

/**
 * struct policies_named - policies that rules choose by a name
 * @name: see policy_name_valid()
 * @policies: at least one compartment has one
 */
struct policies_named {
	char name[CHAOSIMG_POLICY_NAME_MAX + 1];
	struct policies policies;
};

/** policies_print() - their members of the configuration; none if there are none */
void policies_print(FILE *out, const struct policies *p);

/** policies_print_line() - the same in a line, within an object */
void policies_print_line(FILE *out, const struct policies *p);

/** policies_parse() - from the configuration. Return: 0; -EBADMSG; -ENOMEM */
int policies_parse(struct json_object *root, const char *where,
		   struct policies *p);

/**
 * policies_change() - give compartments other policies, or take them away
 * @p: the policies; unchanged on failure
 * @set: bit mask of the compartments concerned
 * @policy: for each of those, its policy, or NULL for none
 * @given: authorities that new policies may name, beside those known already
 * @n: how many
 * @also: policies whose authorities are known, too; may be NULL
 *
 * Return: 0; -ENOENT for an authority that is not known; -EINVAL if two of
 * @given have one name, or too many are named; -EEXIST if one of @given goes by
 * the name of another that a policy which stays believes; -ENOMEM.
 */
int policies_change(struct policies *p, unsigned int set,
		    const struct chaosimg_policy *const *policy,
		    const struct chaosimg_authority *const *given, size_t n,
		    const struct policies *also);

/* --- policies_named.c ------------------------------------------------------ */

/** policy_name_valid() - 1 to 64 letters, digits, "-", "_" and "." */
bool policy_name_valid(const char *name);

/** named_print() - the member of the configuration; none if there are none */
void named_print(FILE *out, const struct policies_named *list, uint32_t n);

/** named_parse() - from the configuration. Return: 0; -EBADMSG; -ENOMEM */
int named_parse(struct json_object *root, const char *where,
		struct policies_named list[POLICIES_NAMED_MAX], uint32_t *n);

/** named_find() - Return: the policies of that name, or NULL */
struct policies_named *named_find(struct policies_named *list, uint32_t n,
				  const char *name);

/**
 * named_add() - make room for policies of a name
 * @list: in the order of their names
 * @n: how many there are; grows
 * @name: is not among them
 * Return: them, with no policy yet; NULL if there are too many.
 */
struct policies_named *
named_add(struct policies_named list[POLICIES_NAMED_MAX], uint32_t *n,
	  const char *name);

/** named_remove() - take one of them away */
void named_remove(struct policies_named *list, uint32_t *n,
		  struct policies_named *which);

/**
 * policies_encapsulate() - a key for who satisfies a compartment's policy
 * @p: the policies
 * @c: a compartment that has one
 * @context: as for chaosimg_policy_encapsulate(), as are the rest
 * @context_len: its length
 * @key: receives the key; use locked memory
 * @out: receives the ciphertext; free() it
 * @len: receives its length
 * Return: 0; -EBADMSG if an authority's key is none; -ENOMEM; -EIO.
 */
int policies_encapsulate(const struct policies *p, enum chaosimg_compartment c,
			 const void *context, size_t context_len,
			 uint8_t key[CHAOSIMG_KEY_SIZE], uint8_t **out,
			 size_t *len);

#endif
