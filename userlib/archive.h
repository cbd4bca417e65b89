/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the library's parts know of an opened archive and its keys. */
#ifndef CHAOSIMG_ARCHIVE_H
#define CHAOSIMG_ARCHIVE_H

#include <pthread.h>
#include <time.h>

#include <openssl/types.h>

#include "chaosimg.h"
#include "inner.h"

/*
 * A keyset's keys: one for each compartment, and one for what every reader
 * of a file needs (its header), whatever compartments it may open.
 */
enum {
	KEY_CLINICAL = CHAOSIMG_CLINICAL,
	KEY_IDENTITY = CHAOSIMG_IDENTITY,
	KEY_PIXELS = CHAOSIMG_PIXELS,
	KEY_STRUCTURE,
	KEY_COUNT,

	COMPARTMENTS = KEY_STRUCTURE,
	/* Sets of compartments: as bits, see held_bit(). */
	HELD_ALL = (1 << COMPARTMENTS) - 1,
};

/** held_bit() - a set of compartments has this one */
static inline uint8_t held_bit(enum chaosimg_compartment c)
{
	return (uint8_t)(1u << c);
}

/**
 * struct keyset - unwrapped, in locked memory; lives as long as its archive
 * @id: its id
 * @created: seconds since 1970
 * @held: the set of compartments whose keys are here
 * @ingest: an ingest mount made it; it is for files that name it, and no others
 * @policy: the name of the policy that it is for; empty for the archive's own
 * @key: the keys; those that are not held are zeros, KEY_STRUCTURE is always
 *	held
 */
struct keyset {
	uint8_t id[CHAOSIMG_ID_SIZE];
	uint64_t created;
	uint8_t held;
	bool ingest;
	char policy[CHAOSIMG_POLICY_NAME_MAX + 1];
	uint8_t key[KEY_COUNT][CHAOSIMG_KEY_SIZE];
};

struct ingest;		/* ingest.h: what an ingest mount has */
struct ingest_session;	/* ingest_session.c: what others made */
struct config;		/* config.h: what chaosimg.json says */
struct keyring;		/* keyring.c: archive key and keysets */
struct name_keys;	/* names.c */
struct rules_use;	/* rules_use.c */

/** struct config_stamp - tells one version of the configuration from another */
struct config_stamp {
	dev_t dev;
	ino_t ino;
	struct timespec ctime;
};

/**
 * struct chaosimg_archive - an opened archive
 * @fd: ARCHIVE itself, -1 for the archive behind a single image
 * @data_fd: the encrypted tree's root, or -1
 * @lock_fd: holds the writer's lock, or -1
 * @since: when it was opened
 * @flags: CHAOSIMG_ARCHIVE_*
 * @id: the archive's id
 * @chunk_size: plaintext bytes in a chunk
 * @held: the set of compartments that whoever opened it has keys of
 * @ring: archive key and keysets
 * @names: keys for names, links and attributes
 * @ingest: if it is an ingest mount's, which has no keys but those it drew
 * @sessions: names' keys of ingest mounts' directories; [keysets] to add one
 * @root_known: @root is set
 * @root: the id of the root
 * @rules: its content rules
 * @inner: the inner cipher's implementation
 * @keysets: held while keysets are looked for on the disk
 * @seen: the configuration that was looked at last for them [keysets]
 */
struct chaosimg_archive {
	int fd;
	int data_fd;
	int lock_fd;
	struct timespec since;
	unsigned int flags;
	uint8_t id[CHAOSIMG_ID_SIZE];
	uint32_t chunk_size;
	uint8_t held;
	struct keyring *ring;
	struct name_keys *names;
	struct ingest *ingest;
	struct ingest_session *_Atomic sessions;
	_Atomic bool root_known;
	uint8_t root[CHAOSIMG_ID_SIZE];
	struct rules_use *rules;
	const struct inner_impl *inner;
	pthread_mutex_t keysets;
	struct config_stamp seen;
};

/**
 * archive_new() - an archive object around an archive key, without a directory
 * @id: the archive's id
 * @key: the archive key; copied to locked memory
 * @chunk_size: plaintext bytes in a chunk
 * @out: receives it, for chaosimg_archive_close()
 *
 * The descriptors are -1, the keyring is empty, the names' keys are derived.
 */
int archive_new(const uint8_t id[CHAOSIMG_ID_SIZE],
		const uint8_t key[CHAOSIMG_KEY_SIZE], uint32_t chunk_size,
		struct chaosimg_archive **out);

/**
 * archive_new_partial() - the same around what opens shares of keysets
 * @id: the archive's id
 * @cred: opens them; held on to
 * @chunk_size: plaintext bytes in a chunk
 * @out: receives it, for chaosimg_archive_close()
 *
 * The keyring is empty, and there are no keys for names: names_init() derives
 * them when keysets have been loaded.
 */
int archive_new_partial(const uint8_t id[CHAOSIMG_ID_SIZE],
			const struct chaosimg_credential *cred,
			uint32_t chunk_size, struct chaosimg_archive **out);

/**
 * archive_first_key() - the same around a fresh key, in the first key slot
 * @cfg: has no slot yet
 * @cred: what will open the slot
 * @out: receives it, for chaosimg_archive_close()
 * Return: 0; -ENOMEM; -EIO.
 */
int archive_first_key(struct config *cfg,
		      const struct chaosimg_credential *cred,
		      struct chaosimg_archive **out);

/**
 * archive_unlock() - the same around the key that a credential opens
 * @cfg: has the slots
 * @where: whose configuration it is, for the error text
 * @cred: tried on the slots of its type
 * @out: receives it, for chaosimg_archive_close()
 * Return: 0; -EKEYREJECTED if no slot opens; -EBADMSG if the configuration's
 * MAC is wrong; -ENOMEM.
 */
int archive_unlock(const struct config *cfg, const char *where,
		   const struct chaosimg_credential *cred,
		   struct chaosimg_archive **out);

/**
 * keyring_subkey() - HKDF-Expand(archive key, label) (RFC 5869, SHA-256)
 * @ring: holds the archive key
 * @label: which key, as "chaosimg name key v1"
 * @out: receives @len bytes; use locked memory
 * @len: bytes wanted, at most 8160
 * Return: 0; -EACCES without the archive key; -ENOMEM.
 */
int keyring_subkey(const struct keyring *ring, const char *label, uint8_t *out,
		   size_t len);

/** keyring_newest() - the keyset for new files */
const struct keyset *keyring_newest(struct keyring *ring);

/**
 * keyring_of_policy() - the keyset for files under a policy
 * @ring: the keyring
 * @name: the policy's name; empty for the archive's own, as keyring_newest()
 * Return: it, or NULL if the archive has no such policy.
 */
const struct keyset *keyring_of_policy(struct keyring *ring, const char *name);

/** keyring_has_policies() - are there any but the archive's own? */
bool keyring_has_policies(struct keyring *ring);

/** keyring_serves() - is it the keyset for new files, or for those of a policy? */
bool keyring_serves(struct keyring *ring, const uint8_t id[CHAOSIMG_ID_SIZE]);

/** keyring_find() - a file's keyset, or NULL if it is not there */
const struct keyset *keyring_find(struct keyring *ring,
				  const uint8_t id[CHAOSIMG_ID_SIZE]);

/**
 * keyring_add() - add a keyset that serves new files, or those of its policy
 * @ring: the keyring
 * @ks: the keyset; copied to locked memory
 * Return: 0 or -ENOMEM.
 */
int keyring_add(struct keyring *ring, const struct keyset *ks);

/** keyring_add_older() - the same for one that serves only files of its own */
int keyring_add_older(struct keyring *ring, const struct keyset *ks);

/**
 * keyset_demand() - a keyset of the archive: from the keyring, or from the disk
 * @a: the archive
 * @id: the keyset's id
 * @out: receives it; it lives as long as the archive
 *
 * A keyset that another process made since the archive was opened is found so.
 *
 * Return: 0; -ENOKEY if it is missing or damaged; -EACCES if nothing of it can
 * be opened; -ENOMEM; the system's error.
 */
int keyset_demand(struct chaosimg_archive *a,
		  const uint8_t id[CHAOSIMG_ID_SIZE],
		  const struct keyset **out);

/** keyset_of_file() - the same for a file, whose keyset may be an ingest mount's */
int keyset_of_file(struct chaosimg_archive *a,
		   const uint8_t id[CHAOSIMG_ID_SIZE],
		   const struct keyset **out);

/**
 * names_init() - derive the keys for names, links and attributes
 * @a: the archive, whose keyring has the directory MAC key
 *
 * Without the names key in the keyring there are only those for directories.
 */
int names_init(struct chaosimg_archive *a);

/** names_held() - are there keys for names, links and attributes? */
bool names_held(const struct chaosimg_archive *a);

/** names_free() - wipe and free such keys; NULL is allowed */
void names_free(struct name_keys *k);

/**
 * hkdf_expand() - HKDF-Expand with SHA-256 (RFC 5869, 2.3)
 * @key: a uniformly random key of CHAOSIMG_KEY_SIZE bytes
 * @info: label and context, @info_len bytes
 * @info_len: its length
 * @out: receives @len bytes
 * @len: bytes wanted, at most 8160
 * Return: 0 or -ENOMEM.
 */
int hkdf_expand(const uint8_t key[CHAOSIMG_KEY_SIZE], const void *info,
		size_t info_len, uint8_t *out, size_t len);

/** hmac_sha256() - RFC 2104. Return: 0 or -ENOMEM */
int hmac_sha256(const void *key, size_t key_len, const void *data, size_t len,
		uint8_t out[32]);

/**
 * hmac_new() - the same for many messages under one key, for hmac_next()
 * @key: the key
 * @key_len: its length
 * Return: it, for EVP_MAC_CTX_free(), which wipes it; NULL if memory is short.
 */
EVP_MAC_CTX *hmac_new(const void *key, size_t key_len);

/** hmac_next() - the HMAC of one of these messages. Return: 0 or -ENOMEM */
int hmac_next(EVP_MAC_CTX *mac, const void *data, size_t len, uint8_t out[32]);

/** random_bytes() - from OpenSSL's generator. Return: 0 or -EIO */
int random_bytes(void *out, size_t len);

/** random_public() - the same, faster, for ids and nonces: what is no secret */
int random_public(void *out, size_t len);

/**
 * secret_alloc() - zeroed memory that is locked and left out of core dumps
 * @len: bytes wanted
 *
 * Never falls back to ordinary memory. Return: NULL if there is none left.
 */
void *secret_alloc(size_t len);

/** secret_free() - wipe and free; NULL is allowed */
void secret_free(void *p);

/*
 * file_create_at(), file_open_at() - as the public functions, but the stored
 * file begins at offset @base of @fd
 */
int file_create_at(struct chaosimg_archive *a, int fd, uint64_t base,
		   const uint8_t binding[CHAOSIMG_BINDING_SIZE],
		   struct chaosimg_file **out);
int file_open_at(struct chaosimg_archive *a, int fd, uint64_t base,
		 const uint8_t binding[CHAOSIMG_BINDING_SIZE],
		 unsigned int flags, struct chaosimg_file **out);

#endif
