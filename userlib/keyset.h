/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Keysets on the disk: the data keys, wrapped under the archive key. */
#ifndef CHAOSIMG_KEYSET_H
#define CHAOSIMG_KEYSET_H

#include <json.h>

#include "archive.h"
#include "wrap_public.h"

#define KEYSET_FORMAT	"chaosimg-keyset"
#define KEYSET_VERSION	1

enum {
	KEYSET_KEYS = KEY_COUNT * CHAOSIMG_KEY_SIZE,
	KEYSET_WRAPPED = KEYSET_KEYS + WRAP_OVERHEAD,
	/* An ingest mount's has the names' and directories' keys, too. */
	KEYSET_INGEST_KEYS = KEYSET_KEYS + 2 * CHAOSIMG_KEY_SIZE,
	KEYSET_INGEST_WRAPPED = KEYSET_INGEST_KEYS + WRAP_PUBLIC_OVERHEAD,
	KEYSET_WRAPS_MAX = 64,
	KEYSET_NAME_SIZE = 2 * CHAOSIMG_ID_SIZE + sizeof(".json"),
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

/**
 * keyset_store() - write keysets/<id>.json; it is durable on return
 * @a: the archive, whole
 * @path: the archive's, for the error text
 * @ks: the keyset, whole
 * @more: wraps besides those under the archive key and of shares: each a JSON
 *	object in one line, with at least "under"
 * @count: how many
 * Return: 0; -ENOSPC if it gets too many or too long; -EACCES without all keys;
 * -ENOMEM; -EIO; the system's error.
 */
int keyset_store(const struct chaosimg_archive *a, const char *path,
		 const struct keyset *ks, const char *const *more,
		 size_t count);

/**
 * keyset_load() - read keysets/<id>.json, which then serves new files
 * @a: the archive
 * @path: the archive's, for the error text
 * @id: the keyset's id
 * Return: 0; -ENOKEY if it is missing; -EACCES if nothing of it can be opened;
 * -EBADMSG; -EPROTONOSUPPORT; the system's error.
 */
int keyset_load(struct chaosimg_archive *a, const char *path,
		const uint8_t id[CHAOSIMG_ID_SIZE]);

/** keyset_load_older() - the same for one that serves only files of its own */
int keyset_load_older(struct chaosimg_archive *a, const char *path,
		      const uint8_t id[CHAOSIMG_ID_SIZE]);

/** keyset_load_any() - the same, also for a keyset that an ingest mount made */
int keyset_load_any(struct chaosimg_archive *a, const char *path,
		    const uint8_t id[CHAOSIMG_ID_SIZE]);

struct opened_keyset;	/* keyset_share.h */

/**
 * keyset_open_ingest() - open a keyset that an ingest mount made
 * @a: the archive
 * @path: the archive's, for the error text
 * @id: the keyset's id
 * @out: receives it, with the keys of names and directories, for secret_free()
 * Return: as keyset_load(); -EBADMSG also if it is none of these.
 */
int keyset_open_ingest(struct chaosimg_archive *a, const char *path,
		       const uint8_t id[CHAOSIMG_ID_SIZE],
		       struct opened_keyset **out);

/** keyset_is_ingest() - did an ingest mount make it, as far as its file says? */
bool keyset_is_ingest(const struct chaosimg_archive *a, const char *path,
		      const uint8_t id[CHAOSIMG_ID_SIZE]);

/**
 * keyset_wrap_ingest() - wrap a keyset under the archive's public key
 * @a: the archive, of an ingest mount
 * @ks: the keyset
 * @wrapped: receives it
 * Return: 0; -EINVAL; -EIO; -ENOMEM.
 */
int keyset_wrap_ingest(const struct chaosimg_archive *a,
		       const struct keyset *ks,
		       uint8_t wrapped[KEYSET_INGEST_WRAPPED]);

/**
 * struct keyset_text - a keyset's file
 * @root: what was parsed, for json_object_put()
 * @created: seconds since 1970; authentic only with a wrap
 * @policy: the name of the policy that it is for; authentic likewise
 * @wraps: an array; belongs to @root
 * @where: the file, for error texts
 */
struct keyset_text {
	struct json_object *root;
	uint64_t created;
	char policy[CHAOSIMG_POLICY_NAME_MAX + 1];
	struct json_object *wraps;
	char where[256];
};

/**
 * keyset_read() - read and check keysets/<id>.json, without any key
 * @a: the archive
 * @path: the archive's, for the error text
 * @id: the keyset's id
 * @t: filled in
 * Return: 0; -ENOKEY if it is missing; -EBADMSG; -EPROTONOSUPPORT; -ENOMEM; the
 * system's error.
 */
int keyset_read(const struct chaosimg_archive *a, const char *path,
		const uint8_t id[CHAOSIMG_ID_SIZE], struct keyset_text *t);

/** keyset_wrap_under() - what one of the wraps is under. Return: 0 or -EBADMSG */
int keyset_wrap_under(struct json_object *wrap, const char *where,
		      const char **under);

/** keysets_open() - Return: a descriptor of keysets/, or an error */
int keysets_open(const struct chaosimg_archive *a, const char *path);

/** keyset_name() - "<id>.json" */
void keyset_name(const uint8_t id[CHAOSIMG_ID_SIZE],
		 char name[KEYSET_NAME_SIZE]);

#endif
