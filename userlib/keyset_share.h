/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Shares of a keyset: what the holder of one compartment gets of it. Each
 * keyset's file has a wrap of every compartment's share, under a key that is
 * the same for all keysets, so that a compartment key file opens old and new
 * ones. Documentation/archive-format-keys.rst, "Shares".
 */
#ifndef CHAOSIMG_KEYSET_SHARE_H
#define CHAOSIMG_KEYSET_SHARE_H

#include <json.h>

#include "archive.h"
#include "wrap_public.h"

enum {
	/* The largest, identity's: three keys as in all, and the names key. */
	SHARE_MAX = 4 * CHAOSIMG_KEY_SIZE,
	SHARE_WRAPPED_MAX = SHARE_MAX + WRAP_OVERHEAD,
	/* Under a public key. */
	SHARE_SEALED_MAX = SHARE_MAX + WRAP_PUBLIC_OVERHEAD,
	SHARE_AAD_MIN = 2 * CHAOSIMG_ID_SIZE + 8 + 1,
	SHARE_AAD_MAX = SHARE_AAD_MIN + CHAOSIMG_POLICY_NAME_MAX,
};

/**
 * struct opened_keyset - a keyset as far as it could be opened
 * @set: its keys; @set.held says which
 * @dir_mac: the archive's directory MAC key, if anything is held in part; an
 *	ingest mount's, if @set.ingest
 * @names: likewise the names key, if identity is held
 *
 * In locked memory.
 */
struct opened_keyset {
	struct keyset set;
	uint8_t dir_mac[CHAOSIMG_KEY_SIZE];
	uint8_t names[CHAOSIMG_KEY_SIZE];
};

/** compartment_text() - Return: a compartment's name in files */
const char *compartment_text(enum chaosimg_compartment c);

/** compartment_parse() - Return: the compartment of that name, or -1 */
int compartment_parse(const char *text);

/** share_wrapped_size() - bytes of a compartment's share that is wrapped */
size_t share_wrapped_size(enum chaosimg_compartment c);

/**
 * share_aad() - what a wrap of a share is bound to
 * @archive_id: the archive's id
 * @ks: the keyset: its id, its time and its policy's name
 * @c: the compartment
 * @aad: receives it
 * Return: its length.
 */
size_t share_aad(const uint8_t archive_id[CHAOSIMG_ID_SIZE],
		 const struct keyset *ks, enum chaosimg_compartment c,
		 uint8_t aad[SHARE_AAD_MAX]);

/**
 * share_wrap() - make a share and wrap it
 * @a: the archive, whole or of an ingest mount
 * @ks: one of its keysets, whole; it need not be in the keyring
 * @c: the share's compartment
 * @kek: the key to wrap it under
 * @wrapped: receives share_wrapped_size(@c) bytes
 * Return: 0; -EACCES without the archive key; -ENOMEM; -EIO.
 */
int share_wrap(const struct chaosimg_archive *a, const struct keyset *ks,
	       enum chaosimg_compartment c,
	       const uint8_t kek[CHAOSIMG_KEY_SIZE],
	       uint8_t wrapped[SHARE_WRAPPED_MAX]);

/** share_sealed_size() - bytes of a compartment's share under a public key */
size_t share_sealed_size(enum chaosimg_compartment c);

/**
 * share_seal() - make a share and wrap it under a compartment's public key
 * @a: the archive, of an ingest mount
 * @ks: a keyset that it drew
 * @c: the share's compartment
 * @pub: the compartment's public key
 * @sealed: receives share_sealed_size(@c) bytes
 * Return: 0; -EACCES if the keyset is not whole; -EINVAL; -EIO; -ENOMEM.
 */
int share_seal(const struct chaosimg_archive *a, const struct keyset *ks,
	       enum chaosimg_compartment c, const uint8_t pub[PUBLIC_KEY],
	       uint8_t sealed[SHARE_SEALED_MAX]);

/**
 * share_unwrap() - open a share and add it to what is open of its keyset
 * @archive_id: the archive's id
 * @c: the share's compartment
 * @kek: the key that it is wrapped under
 * @wrapped: share_wrapped_size(@c) bytes
 * @where: where it was found, for the error text
 * @o: has the keyset's id, time and policy's name; receives the keys
 * Return: 0; -EBADMSG if it was not wrapped so, or does not fit the shares that
 * @o has; -ENOMEM.
 */
int share_unwrap(const uint8_t archive_id[CHAOSIMG_ID_SIZE],
		 enum chaosimg_compartment c,
		 const uint8_t kek[CHAOSIMG_KEY_SIZE],
		 const uint8_t wrapped[SHARE_WRAPPED_MAX], const char *where,
		 struct opened_keyset *o);

/**
 * share_wrapping_key() - the key that all keysets' shares of a compartment are
 * wrapped under
 * @ring: holds the archive key
 * @c: the compartment
 * @key: receives it; use locked memory
 * Return: 0; -EACCES without the archive key; -ENOMEM.
 */
int share_wrapping_key(const struct keyring *ring, enum chaosimg_compartment c,
		       uint8_t key[CHAOSIMG_KEY_SIZE]);

/**
 * shares_open() - open what a credential opens of a keyset
 * @a: the archive, in part
 * @wraps: the "wraps" of the keyset's file
 * @where: the file, for the error text
 * @o: has the keyset's id, time and policy's name; receives the keys
 * Return: 0; -EACCES if none opens; -EBADMSG; -ENOMEM.
 */
int shares_open(const struct chaosimg_archive *a, struct json_object *wraps,
		const char *where, struct opened_keyset *o);

#endif
