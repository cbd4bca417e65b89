/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Records: how one chunk of plaintext is stored.
 *
 *	prefix (compartment, kind, 2 zero bytes, 12-byte nonce)
 *	AES-256-GCM( chaosimg( 16 zero bytes || chunk ) )
 *	tag (16)
 *	XXH3-64 of all of the above (8)
 */
#ifndef CHAOSIMG_RECORD_H
#define CHAOSIMG_RECORD_H

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
};

/**
 * struct file_keys - a file's keys; in locked memory
 * @header: seals the header's slots
 * @mac: of the incremental MAC
 * @record: the outer layer
 * @inner: the inner layer
 */
struct file_keys {
	struct gcm_key header;
	struct gcm_key mac;
	struct gcm_key record;
	struct inner_key *inner;
};

/** file_keys_new() - derive a file's keys from its keyset and id */
int file_keys_new(const struct chaosimg_archive *a, const struct keyset *ks,
		  const uint8_t file_id[CHAOSIMG_ID_SIZE],
		  struct file_keys **out);

/** file_keys_free() - wipe and free; NULL is allowed */
void file_keys_free(struct file_keys *k);

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
 * @data: @len bytes of plaintext
 * @len: at least 1
 * @rec: receives record_size(@len) bytes; must not overlap @data
 */
int record_seal(const struct file_keys *k, const uint8_t file_id[CHAOSIMG_ID_SIZE],
		uint64_t chunk, const uint8_t *data, size_t len, uint8_t *rec);

/**
 * record_seal_run() - the same for chunks that follow each other
 * @k: the file's keys
 * @file_id: the file's id
 * @chunk: the first chunk's number
 * @count: how many
 * @data: @count times @len bytes of plaintext
 * @len: plaintext bytes of each, at least 1
 * @rec: receives @count times record_size(@len) bytes
 */
int record_seal_run(const struct file_keys *k,
		    const uint8_t file_id[CHAOSIMG_ID_SIZE], uint64_t chunk,
		    size_t count, const uint8_t *data, size_t len,
		    uint8_t *rec);

/** record_seal_zero() - the short record of a chunk of @len zero bytes */
int record_seal_zero(const struct file_keys *k,
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
 * Return: 0, or -EIO with the chunk and the cause in the thread's error text.
 */
int record_open(const struct file_keys *k, const uint8_t file_id[CHAOSIMG_ID_SIZE],
		uint64_t chunk, uint8_t *rec, size_t len, uint8_t *data);

/** record_tag_offset() - where a record's tag stands in it */
uint64_t record_tag_offset(const uint8_t prefix[RECORD_PREFIX], size_t len);

/** record_is_zero() - is this the prefix of a short record? */
bool record_is_zero(const uint8_t prefix[RECORD_PREFIX]);

/** record_mac_xor() - add a record to, or take it out of, an incremental MAC */
int record_mac_xor(const struct file_keys *k, uint64_t chunk,
		   const uint8_t tag[GCM_TAG_SIZE], uint8_t mac[16]);

#endif
