/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The wraps of a keyset's file that are under policies. */
#ifndef CHAOSIMG_KEYSET_POLICY_H
#define CHAOSIMG_KEYSET_POLICY_H

#include "keyset.h"
#include "policy_wrap.h"

/**
 * struct policy_texts - wraps as keyset_store() takes them
 * @n: how many of @text are in use
 * @text: JSON objects
 */
struct policy_texts {
	size_t n;
	char *text[CHAOSIMG_COMPARTMENTS];
};

/**
 * keyset_policy_texts() - a wrap for each compartment that has a policy
 * @a: the archive, whole
 * @ks: the keyset, whole
 * @p: the policies
 * @out: receives them, for policy_texts_free()
 * Return: as policy_wrap_make().
 */
int keyset_policy_texts(const struct chaosimg_archive *a,
			const struct keyset *ks, const struct policies *p,
			struct policy_texts *out);

/** policy_texts_free() - what keyset_policy_texts() made, also if it failed */
void policy_texts_free(struct policy_texts *t);

/**
 * keyset_extend() - wrap a keyset that is there under policies, too
 * @a: the archive, whole; the configuration is locked
 * @path: the archive's, for the error text
 * @id: the keyset's id
 * @p: the policies
 *
 * Wraps that it has under the same policies are replaced, others stay.
 *
 * Return: 0; -ENOSPC if it has too many; as policy_wrap_make(), keyset_read()
 * and keyset_store().
 */
int keyset_extend(struct chaosimg_archive *a, const char *path,
		  const uint8_t id[CHAOSIMG_ID_SIZE],
		  const struct policies *p);

/**
 * keyset_policy_wraps() - look at each wrap under a policy
 * @t: the keyset's file
 * @fn: called for each; if it does not return 0, that is the end
 * @ctx: for @fn
 * Return: 0; what @fn returned; -EBADMSG; -ENOMEM.
 */
int keyset_policy_wraps(const struct keyset_text *t,
			int (*fn)(void *ctx, const struct policy_wrap *w),
			void *ctx);

/**
 * keyset_promises() - what a user's attributes should open, by their names
 * @a: the archive
 * @path: the archive's, for the error text
 * @id: the keyset's id
 * @u: the user
 * @set: receives the set of compartments
 *
 * Much cheaper than to open it.
 *
 * Return: as keyset_read().
 */
int keyset_promises(const struct chaosimg_archive *a, const char *path,
		    const uint8_t id[CHAOSIMG_ID_SIZE],
		    const struct chaosimg_user *u, uint8_t *set);

#endif
