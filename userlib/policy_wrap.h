/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Wraps under policies, as a keyset's file holds them: a compartment's share
 * under a key that only users get who satisfy the policy.
 */
#ifndef CHAOSIMG_POLICY_WRAP_H
#define CHAOSIMG_POLICY_WRAP_H

#include "keyset_share.h"
#include "policies.h"

enum {
	/* The largest ciphertext: the most of all that it can hold. */
	POLICY_CIPHERTEXT_MAX = 16 + 2 + POLICY_TEXT_MAX + 1 +
		CHAOSIMG_AUTHORITIES_MAX * (1 + CHAOSIMG_ATTRIBUTE_MAX +
					    POLICY_AUTHORITY_KEY) +
		32 + POLICY_LEAVES_MAX * 768 + 8,
};

/**
 * struct policy_wrap - one of them
 * @compartment: whose share it holds
 * @ciphertext: of a key under the policy
 * @len: its length
 * @wrapped: the share under that key
 */
struct policy_wrap {
	enum chaosimg_compartment compartment;
	uint8_t *ciphertext;
	size_t len;
	uint8_t wrapped[SHARE_WRAPPED_MAX];
};

/**
 * policy_wrap_make() - wrap a compartment's share
 * @a: the archive, whole
 * @ks: the keyset, whole
 * @p: the policies
 * @c: a compartment that has one
 * @out: receives it, for policy_wrap_free()
 * Return: 0; -EBADMSG if an authority's key is none; -EACCES without the
 * archive key; -ENOMEM; -EIO.
 */
int policy_wrap_make(const struct chaosimg_archive *a, const struct keyset *ks,
		     const struct policies *p, enum chaosimg_compartment c,
		     struct policy_wrap *out);

/** policy_wrap_text() - as a JSON object in one line; free() it. NULL: no memory */
char *policy_wrap_text(const struct policy_wrap *w);

/**
 * policy_wrap_parse() - read an object
 * @object: its "under" is "policy"
 * @where: where it was found, for the error text
 * @out: receives it, for policy_wrap_free()
 * Return: 0; -EBADMSG; -ENOMEM.
 */
int policy_wrap_parse(struct json_object *object, const char *where,
		      struct policy_wrap *out);

/** policy_wrap_free() - what policy_wrap_parse() allocated */
void policy_wrap_free(struct policy_wrap *w);

/**
 * policy_wrap_open() - get the share, and add it to what is open of its keyset
 * @w: the wrap
 * @archive_id: the archive's id
 * @u: the user
 * @where: where it was found, for the error text
 * @o: has the keyset's id, time and policy's name; receives the keys
 * Return: 0; -EACCES if the user's attributes do not satisfy the policy;
 * -EBADMSG; -EPROTONOSUPPORT; -ENOMEM.
 */
int policy_wrap_open(const struct policy_wrap *w,
		     const uint8_t archive_id[CHAOSIMG_ID_SIZE],
		     const struct chaosimg_user *u, const char *where,
		     struct opened_keyset *o);

/**
 * policy_wrap_try() - the same, unless that compartment is open already
 * @w: the wrap
 * @archive_id: the archive's id
 * @u: the user
 * @where: where it was found, for the error text
 * @o: has the keyset's id, time and policy's name; receives the keys
 * Return: 0, also if the user's attributes do not satisfy the policy; else as
 * policy_wrap_open().
 */
int policy_wrap_try(const struct policy_wrap *w,
		    const uint8_t archive_id[CHAOSIMG_ID_SIZE],
		    const struct chaosimg_user *u, const char *where,
		    struct opened_keyset *o);

#endif
