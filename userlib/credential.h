/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a person or machine brings to open an archive. */
#ifndef CHAOSIMG_CREDENTIAL_H
#define CHAOSIMG_CREDENTIAL_H

#include <stdatomic.h>

#include "archive.h"

enum {
	PASSPHRASE_MAX = 1024,
};

enum credential_kind {
	CREDENTIAL_SLOT,	/* opens a key slot, and so everything */
	CREDENTIAL_COMPARTMENTS,	/* opens shares of compartments */
	CREDENTIAL_USER,	/* opens shares by attributes */
};

struct chaosimg_user;

/**
 * struct chaosimg_credential - a key or a passphrase, in locked memory
 * @refs: who uses it
 * @kind: what it opens
 * @type: CREDENTIAL_SLOT: of which type
 * @archive_id: CREDENTIAL_COMPARTMENTS: of which archive
 * @held: CREDENTIAL_COMPARTMENTS: which compartments
 * @user: CREDENTIAL_USER: the user's keys
 * @len: bytes of @secret
 * @secret: CREDENTIAL_SLOT: the key or passphrase; CREDENTIAL_COMPARTMENTS:
 *	COMPARTMENTS wrapping keys, those that are not held zeros
 */
struct chaosimg_credential {
	_Atomic unsigned int refs;
	enum credential_kind kind;
	enum chaosimg_slot_type type;
	uint8_t archive_id[CHAOSIMG_ID_SIZE];
	uint8_t held;
	struct chaosimg_user *user;
	size_t len;
	uint8_t secret[];
};

/**
 * credential_new() - a credential with a copy of a secret
 * @kind: what it opens
 * @secret: @len bytes, or NULL for zeros
 * @len: bytes of @secret
 * @out: receives it, for chaosimg_credential_free()
 */
int credential_new(enum credential_kind kind, const void *secret, size_t len,
		   struct chaosimg_credential **out);

/**
 * credential_write() - make a key file, of mode 0600, and sync it
 * @path: must not exist
 * @line: @len bytes of text
 * @len: its length
 * Return: 0; the system's error.
 */
int credential_write(const char *path, const char *line, size_t len);

/** credential_hold() - one more use of it; chaosimg_credential_free() ends it */
struct chaosimg_credential *
credential_hold(const struct chaosimg_credential *c);

#endif
