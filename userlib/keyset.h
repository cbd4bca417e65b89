/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Keysets on the disk: the data keys, wrapped under the archive key. */
#ifndef CHAOSIMG_KEYSET_H
#define CHAOSIMG_KEYSET_H

#include "archive.h"
#include "wrap.h"

enum {
	KEYSET_KEYS = KEY_COUNT * CHAOSIMG_KEY_SIZE,
	KEYSET_WRAPPED = KEYSET_KEYS + WRAP_OVERHEAD,
};

/** keyset_new() - a fresh keyset in locked memory, for secret_free() */
int keyset_new(struct keyset **out);

/** keyset_wrap() - wrap a keyset's keys under the archive key */
int keyset_wrap(const struct keyring *ring,
		const uint8_t archive_id[CHAOSIMG_ID_SIZE],
		const struct keyset *ks, uint8_t wrapped[KEYSET_WRAPPED]);

/**
 * keyset_unwrap() - add a wrapped keyset to the keyring
 * @ring: holds the archive key; receives the keyset
 * @archive_id: the archive's id
 * @id: the keyset's id
 * @created: seconds since 1970
 * @wrapped: nonce, ciphertext and tag
 * @where: where it was found, for the error text
 * Return: 0; -EBADMSG if it was not wrapped so in this archive; -ENOMEM.
 */
int keyset_unwrap(struct keyring *ring,
		  const uint8_t archive_id[CHAOSIMG_ID_SIZE],
		  const uint8_t id[CHAOSIMG_ID_SIZE], uint64_t created,
		  const uint8_t wrapped[KEYSET_WRAPPED], const char *where);

/** keyset_store() - write keysets/<id>.json; it is durable on return */
int keyset_store(const struct chaosimg_archive *a, const char *path,
		 const struct keyset *ks);

/**
 * keyset_load() - read keysets/<id>.json, which then serves new files
 * @a: the archive
 * @path: the archive's, for the error text
 * @id: the keyset's id
 * Return: 0; -ENOKEY if it is missing; -EBADMSG; -EPROTONOSUPPORT; the
 * system's error.
 */
int keyset_load(struct chaosimg_archive *a, const char *path,
		const uint8_t id[CHAOSIMG_ID_SIZE]);

/** keyset_load_older() - the same for one that serves only files of its own */
int keyset_load_older(struct chaosimg_archive *a, const char *path,
		      const uint8_t id[CHAOSIMG_ID_SIZE]);

/** keyset_name() - "<id>.json" */
void keyset_name(const uint8_t id[CHAOSIMG_ID_SIZE],
		 char name[2 * CHAOSIMG_ID_SIZE + sizeof(".json")]);

#endif
