/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Records: how one chunk of plaintext is stored.
 *
 *	prefix (set, kind, 2 zero bytes, 12-byte nonce)
 *	AES-256-GCM( chaosimg( 16 zero bytes || chunk ) )
 *	tag (16)
 *	XXH3-64 of all of the above (8)
 *
 * The set is that of the compartments which the chunk has bytes of: only who
 * has the keys of all of them can open it.
 */
#ifndef CHAOSIMG_RECORD_H
#define CHAOSIMG_RECORD_H

#include <pthread.h>

#include "archive.h"
#include "gcm.h"

enum {
	RECORD_PREFIX = 16,
	RECORD_HEAD = 16,	/* the zero bytes that the inner layer must return */
	RECORD_CHECKSUM = 8,
	RECORD_OVERHEAD = RECORD_PREFIX + RECORD_HEAD + GCM_TAG_SIZE +
			  RECORD_CHECKSUM,
	/* A chunk of zeros is stored as prefix, tag and checksum alone. */
	RECORD_ZERO_SIZE = RECORD_PREFIX + GCM_TAG_SIZE + RECORD_CHECKSUM,

	RECORD_SETS = HELD_ALL + 1,
	/* The set of a chunk of what is not DICOM. */
	RECORD_FOREIGN = 1 << CHAOSIMG_IDENTITY,
};

/* --- record_keys.c: a file's keys ------------------------------------------ */

/**
 * struct record_keys - for the records of one set; in locked memory
 * @outer: the outer layer
 * @inner: the inner layer
 */
struct record_keys {
	struct gcm_key outer;
	struct inner_key *inner;
};

/**
 * struct deriving - what is needed while keys are derived, and wiped then
 * @joined: a set, and the keys of its compartments
 * @key: the key of the set, of all files
 * @okm: the file's two keys
 */
struct deriving {
	uint8_t joined[1 + COMPARTMENTS * CHAOSIMG_KEY_SIZE];
	uint8_t key[CHAOSIMG_KEY_SIZE];
	uint8_t okm[64];
};

/**
 * struct file_keys - a file's keys; in locked memory
 * @header: seals the header's slots
 * @mac: of the incremental MAC
 * @file_id: the file's id
 * @ks: its keyset
 * @impl: the inner cipher's implementation
 * @forget: as in struct gcm_key: the keyset is going to be dropped
 * @lock: held to derive
 * @deriving: room for that [lock]
 * @set: for each set, once they have been needed
 * @first: room for those that were needed first; most files have no others
 * @first_used: they are in use
 */
struct file_keys {
	struct gcm_key header;
	struct gcm_key mac;
	uint8_t file_id[CHAOSIMG_ID_SIZE];
	const struct keyset *ks;
	const struct inner_impl *impl;
	bool forget;
	pthread_mutex_t lock;
	struct deriving deriving;
	struct record_keys *_Atomic set[RECORD_SETS];
	struct record_keys first;
	bool first_used;
};

/**
 * file_keys_new() - derive a file's keys from its keyset and id
 * @a: the archive
 * @ks: has to live as long as what is made
 * @file_id: the file's id
 * @out: receives them, for file_keys_free()
 */
int file_keys_new(const struct chaosimg_archive *a, const struct keyset *ks,
		  const uint8_t file_id[CHAOSIMG_ID_SIZE],
		  struct file_keys **out);

/** file_keys_free() - wipe and free; NULL is allowed */
void file_keys_free(struct file_keys *k);

/**
 * file_keys_of() - the keys for the records of a set
 * @k: the file's keys
 * @set: compartments
 * @out: receives them; they live as long as @k, or until file_keys_trim()
 * Return: 0; -EACCES if not all of its compartments' keys are here; -EIO if
 * there is no such set; -ENOMEM.
 */
int file_keys_of(struct file_keys *k, unsigned int set,
		 const struct record_keys **out);

/**
 * file_keys_trim() - wipe what was derived of keys for records
 * @k: the file's keys, which nobody else uses now
 *
 * They are derived again when they are needed. Sealing takes more of them
 * than reading, and locked memory is scarce.
 */
void file_keys_trim(struct file_keys *k);

/* --- record.c --------------------------------------------------------------- */

/** record_size() - stored bytes of a chunk of @len plaintext bytes */
static inline size_t record_size(size_t len)
{
	return len + RECORD_OVERHEAD;
}

/**
 * record_seal() - make a chunk's record, under a fresh nonce
 * @k: the file's keys
 * @file_id: the file's id
 * @chunk: the chunk's number
 * @set: the compartments that it has bytes of
 * @data: @len bytes of plaintext
 * @len: at least 1
 * @rec: receives record_size(@len) bytes; must not overlap @data
 */
int record_seal(struct file_keys *k, const uint8_t file_id[CHAOSIMG_ID_SIZE],
		uint64_t chunk, unsigned int set, const uint8_t *data,
		size_t len, uint8_t *rec);

/**
 * record_seal_run() - the same for chunks that follow each other
 * @k: the file's keys
 * @file_id: the file's id
 * @chunk: the first chunk's number
 * @set: the compartments that each of them has bytes of
 * @count: how many
 * @data: @count times @len bytes of plaintext
 * @len: plaintext bytes of each, at least 1
 * @rec: receives @count times record_size(@len) bytes
 */
int record_seal_run(struct file_keys *k,
		    const uint8_t file_id[CHAOSIMG_ID_SIZE], uint64_t chunk,
		    unsigned int set, size_t count, const uint8_t *data,
		    size_t len, uint8_t *rec);

/** record_seal_zero() - the short record of a chunk of @len zero bytes */
int record_seal_zero(struct file_keys *k,
		     const uint8_t file_id[CHAOSIMG_ID_SIZE], uint64_t chunk,
		     size_t len, uint8_t rec[RECORD_ZERO_SIZE]);

/**
 * record_open() - authenticate and decrypt a record
 * @k: the file's keys
 * @file_id: the file's id
 * @chunk: the chunk's number
 * @rec: record_size(@len) bytes; clobbered
 * @len: plaintext bytes
 * @data: receives @len bytes; may be NULL to have them in place, at
 *	@rec + RECORD_PREFIX + RECORD_HEAD
 * Return: 0; -EIO with the chunk and the cause in the thread's error text;
 * -EACCES if the keys of its set are not here; -ENOMEM.
 */
int record_open(struct file_keys *k, const uint8_t file_id[CHAOSIMG_ID_SIZE],
		uint64_t chunk, uint8_t *rec, size_t len, uint8_t *data);

/** record_tag_offset() - where a record's tag stands in it */
uint64_t record_tag_offset(const uint8_t prefix[RECORD_PREFIX], size_t len);

/** record_set() - the set that a prefix names; may be none that there is */
unsigned int record_set(const uint8_t prefix[RECORD_PREFIX]);

/** record_is_zero() - is this the prefix of a short record? */
bool record_is_zero(const uint8_t prefix[RECORD_PREFIX]);

/** record_checksum() - XXH3-64, with the fastest instructions at hand */
uint64_t record_checksum(const void *data, size_t len);

/** record_mac_xor() - add a record to, or take it out of, an incremental MAC */
int record_mac_xor(const struct file_keys *k, uint64_t chunk,
		   const uint8_t tag[GCM_TAG_SIZE], uint8_t mac[16]);

#endif
