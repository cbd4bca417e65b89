// SPDX-License-Identifier: GPL-2.0-or-later
/* Records: how one chunk of plaintext is stored. */
#include <errno.h>
#include <pthread.h>
#include <string.h>

#include <openssl/crypto.h>
#include <xxhash.h>

#include "bytes.h"
#include "error.h"
#include "record.h"

enum {
	KIND_DATA = 0,
	KIND_ZERO = 1,

	PREFIX_SET = 0,
	PREFIX_KIND = 1,
	PREFIX_NONCE = 4,

	AAD_SIZE = 32,
};

static void make_aad(uint8_t aad[AAD_SIZE],
		     const uint8_t file_id[CHAOSIMG_ID_SIZE], uint64_t chunk,
		     const uint8_t *prefix, size_t len)
{
	memcpy(aad, file_id, CHAOSIMG_ID_SIZE);
	put_le64(aad + 16, chunk);
	memcpy(aad + 24, prefix, 4);
	put_le32(aad + 28, (uint32_t)len);
}

static void make_iv(uint8_t iv[CHAOSIMG_IV_SIZE], const uint8_t *prefix,
		    uint64_t chunk)
{
	memset(iv, 0, CHAOSIMG_IV_SIZE);
	memcpy(iv, prefix + PREFIX_NONCE, GCM_NONCE_SIZE);
	put_le64(iv + 16, chunk);
}

static void start(uint8_t *rec, unsigned int set, int kind,
		  const uint8_t nonce[GCM_NONCE_SIZE])
{
	memset(rec, 0, RECORD_PREFIX);
	rec[PREFIX_SET] = (uint8_t)set;
	rec[PREFIX_KIND] = kind;
	memcpy(rec + PREFIX_NONCE, nonce, GCM_NONCE_SIZE);
}

/* Some builds of libxxhash have this too: with the vectors of the CPU at hand. */
XXH64_hash_t XXH3_64bits_dispatch(const void *data, size_t len)
	__attribute__((weak));

static pthread_once_t once = PTHREAD_ONCE_INIT;
static XXH64_hash_t (*xxh3)(const void *data, size_t len);

static void choose_xxh3(void)
{
	xxh3 = XXH3_64bits;
	if (XXH3_64bits_dispatch)
		xxh3 = XXH3_64bits_dispatch;
	/* What it remembers of the CPU is written here, in one thread. */
	xxh3("", 1);
}

uint64_t record_checksum(const void *data, size_t len)
{
	pthread_once(&once, choose_xxh3);
	return xxh3(data, len);
}

static void put_checksum(uint8_t *rec, size_t covered)
{
	put_le64(rec + covered, record_checksum(rec, covered));
}

static int seal(const struct record_keys *k, unsigned int set,
		const uint8_t file_id[CHAOSIMG_ID_SIZE], uint64_t chunk,
		const uint8_t nonce[GCM_NONCE_SIZE], const uint8_t *data,
		size_t len, uint8_t *rec)
{
	static const uint8_t zeros[RECORD_HEAD];
	uint8_t iv[CHAOSIMG_IV_SIZE], aad[AAD_SIZE];
	uint8_t *body = rec + RECORD_PREFIX;
	int err;

	start(rec, set, KIND_DATA, nonce);
	make_iv(iv, rec, chunk);
	make_aad(aad, file_id, chunk, rec, len);
	err = inner_encrypt(k->inner, iv, body, zeros, data, len);
	if (!err)
		err = gcm_encrypt(&k->outer, nonce, aad, sizeof(aad), body,
				  RECORD_HEAD + len, body + RECORD_HEAD + len);
	if (!err)
		put_checksum(rec, record_size(len) - RECORD_CHECKSUM);
	return err;
}

int record_seal(struct file_keys *k,
		const uint8_t file_id[CHAOSIMG_ID_SIZE], uint64_t chunk,
		unsigned int set, const uint8_t *data, size_t len, uint8_t *rec)
{
	return record_seal_run(k, file_id, chunk, set, 1, data, len, rec);
}

int record_seal_run(struct file_keys *k,
		    const uint8_t file_id[CHAOSIMG_ID_SIZE], uint64_t chunk,
		    unsigned int set, size_t count, const uint8_t *data,
		    size_t len, uint8_t *rec)
{
	/* A call for randomness costs a tenth of a small chunk's encryption. */
	uint8_t nonces[32][GCM_NONCE_SIZE];
	const size_t room = sizeof(nonces) / sizeof(nonces[0]);
	const struct record_keys *keys;
	int err = file_keys_of(k, set, &keys);

	for (size_t i = 0; !err && i < count; i++) {
		size_t left = count - i < room ? count - i : room;

		if (!(i % room))
			err = random_public(nonces, left * sizeof(nonces[0]));
		if (!err)
			err = seal(keys, set, file_id, chunk + i,
				   nonces[i % room], data + i * len, len,
				   rec + i * record_size(len));
	}
	return err;
}

int record_seal_zero(struct file_keys *k,
		     const uint8_t file_id[CHAOSIMG_ID_SIZE], uint64_t chunk,
		     size_t len, uint8_t rec[RECORD_ZERO_SIZE])
{
	uint8_t aad[AAD_SIZE], nonce[GCM_NONCE_SIZE];
	const struct record_keys *keys;
	int err = file_keys_of(k, 0, &keys);

	if (!err)
		err = random_public(nonce, sizeof(nonce));
	if (err)
		return err;
	start(rec, 0, KIND_ZERO, nonce);
	make_aad(aad, file_id, chunk, rec, len);
	err = gcm_encrypt(&keys->outer, rec + PREFIX_NONCE, aad, sizeof(aad),
			  rec + RECORD_PREFIX, 0, rec + RECORD_PREFIX);
	if (!err)
		put_checksum(rec, RECORD_ZERO_SIZE - RECORD_CHECKSUM);
	return err;
}

static int bad(uint64_t chunk, const char *why)
{
	return fail(EIO, "chunk %llu: %s", (unsigned long long)chunk, why);
}

/* The checksum says whether the storage or something else is at fault. */
static const char *diagnose(bool checksum_good)
{
	return checksum_good ?
		       "authentication failed (checksum good: tampered with or misplaced)" :
		       "authentication failed (checksum bad: damaged on the disk)";
}

static bool checksum_good(const uint8_t *rec, size_t covered)
{
	return record_checksum(rec, covered) == get_le64(rec + covered);
}

/*
 * GCM decrypts in place and so destroys what the checksum covers. Encrypting
 * again is the exact inverse, and only needed on this path.
 */
static bool checksum_after_failure(const struct record_keys *k,
				   const uint8_t *aad, uint8_t *rec, size_t len)
{
	uint8_t *body = rec + RECORD_PREFIX;
	uint8_t tag[GCM_TAG_SIZE];

	if (gcm_encrypt(&k->outer, rec + PREFIX_NONCE, aad, AAD_SIZE, body,
			RECORD_HEAD + len, tag))
		return false;
	return checksum_good(rec, record_size(len) - RECORD_CHECKSUM);
}

static int open_zero(const struct record_keys *k, const uint8_t *aad,
		     uint64_t chunk, uint8_t *rec, size_t len, uint8_t *data)
{
	uint8_t none[1];

	if (gcm_decrypt(&k->outer, rec + PREFIX_NONCE, aad, AAD_SIZE, none, 0,
			rec + RECORD_PREFIX))
		return bad(chunk,
			   diagnose(checksum_good(rec, RECORD_ZERO_SIZE -
						       RECORD_CHECKSUM)));
	memset(data, 0, len);
	return 0;
}

/* The record's body. On success its plaintext is in @data. */
static int open_data(const struct record_keys *k, const uint8_t *aad,
		     uint64_t chunk, uint8_t *rec, size_t len, uint8_t *data)
{
	static const uint8_t zeros[RECORD_HEAD];
	uint8_t iv[CHAOSIMG_IV_SIZE], head[RECORD_HEAD];
	uint8_t *body = rec + RECORD_PREFIX;

	if (gcm_decrypt(&k->outer, rec + PREFIX_NONCE, aad, AAD_SIZE, body,
			RECORD_HEAD + len, body + RECORD_HEAD + len))
		return bad(chunk, diagnose(checksum_after_failure(k, aad, rec,
								  len)));
	make_iv(iv, rec, chunk);
	if (inner_decrypt(k->inner, iv, head, data, body, len))
		return -EIO;
	if (CRYPTO_memcmp(head, zeros, sizeof(zeros))) {
		OPENSSL_cleanse(data, len);
		return bad(chunk, "authentication failed in the inner layer");
	}
	return 0;
}

int record_open(struct file_keys *k, const uint8_t file_id[CHAOSIMG_ID_SIZE],
		uint64_t chunk, uint8_t *rec, size_t len, uint8_t *data)
{
	const struct record_keys *keys;
	uint8_t aad[AAD_SIZE];
	int err;

	if (record_set(rec) >= RECORD_SETS ||
	    (record_is_zero(rec) && record_set(rec)))
		return bad(chunk, "damaged: unknown compartments");
	err = file_keys_of(k, record_set(rec), &keys);
	if (err)
		return err;
	make_aad(aad, file_id, chunk, rec, len);
	if (!data)
		data = rec + RECORD_PREFIX + RECORD_HEAD;
	if (record_is_zero(rec))
		return open_zero(keys, aad, chunk, rec, len, data);
	return open_data(keys, aad, chunk, rec, len, data);
}

unsigned int record_set(const uint8_t prefix[RECORD_PREFIX])
{
	return prefix[PREFIX_SET];
}

bool record_is_zero(const uint8_t prefix[RECORD_PREFIX])
{
	return prefix[PREFIX_KIND] == KIND_ZERO;
}

uint64_t record_tag_offset(const uint8_t prefix[RECORD_PREFIX], size_t len)
{
	if (record_is_zero(prefix))
		return RECORD_PREFIX;
	return RECORD_PREFIX + RECORD_HEAD + len;
}

int record_mac_xor(const struct file_keys *k, uint64_t chunk,
		   const uint8_t tag[GCM_TAG_SIZE], uint8_t mac[16])
{
	uint8_t msg[32] = { 0 }, out[16];
	int err;

	put_le64(msg, chunk);
	memcpy(msg + 16, tag, GCM_TAG_SIZE);
	err = mac_two_blocks(&k->mac, msg, out);
	if (err)
		return err;
	for (int i = 0; i < 16; i++)
		mac[i] ^= out[i];
	return 0;
}
