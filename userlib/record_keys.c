// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A file's keys: those of its header, and for each set of compartments those
 * of its records, which are derived when they are first needed.
 */
#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include <openssl/crypto.h>

#include "error.h"
#include "record.h"

#define HEADER_LABEL	"chaosimg header v1"
#define RECORD_LABEL	"chaosimg record v1"
#define COMBINED_LABEL	"chaosimg compartments v1"

enum { INFO_MAX = 64 };

/* Expand(@key, @label || @more || the file's id, 64) */
static int derive(const struct file_keys *k, const uint8_t *key,
		  const char *label, const uint8_t *more, size_t more_len,
		  uint8_t out[64])
{
	uint8_t info[INFO_MAX];
	size_t n = strlen(label);

	memcpy(info, label, n);
	if (more_len)
		memcpy(info + n, more, more_len);
	n += more_len;
	memcpy(info + n, k->file_id, CHAOSIMG_ID_SIZE);
	return hkdf_expand(key, info, n + CHAOSIMG_ID_SIZE, out, 64);
}

int file_keys_new(const struct chaosimg_archive *a, const struct keyset *ks,
		  const uint8_t file_id[CHAOSIMG_ID_SIZE],
		  struct file_keys **out)
{
	uint8_t okm[64];
	struct file_keys *k = secret_alloc(sizeof(*k));
	int err;

	if (!k)
		return fail(ENOMEM, "out of locked memory for file keys");
	pthread_mutex_init(&k->lock, NULL);
	memcpy(k->file_id, file_id, CHAOSIMG_ID_SIZE);
	k->ks = ks;
	k->impl = a->inner;
	k->forget = a->ingest;
	err = derive(k, ks->key[KEY_STRUCTURE], HEADER_LABEL, NULL, 0, okm);
	gcm_key_init(&k->header, okm, k->forget);
	gcm_key_init(&k->mac, okm + 32, k->forget);
	OPENSSL_cleanse(okm, sizeof(okm));
	if (err)
		file_keys_free(k);
	else
		*out = k;
	return err;
}

void file_keys_trim(struct file_keys *k)
{
	for (unsigned int set = 0; set < RECORD_SETS; set++) {
		struct record_keys *r = k->set[set];

		if (!r)
			continue;
		k->set[set] = NULL;
		inner_key_free(r->inner);
		if (r == &k->first)
			OPENSSL_cleanse(r, sizeof(*r));
		else
			secret_free(r);
	}
	k->first_used = false;
}

void file_keys_free(struct file_keys *k)
{
	if (!k)
		return;
	file_keys_trim(k);
	pthread_mutex_destroy(&k->lock);
	secret_free(k);
}

/* --- sets ------------------------------------------------------------------- */

/* One key from those of several compartments: only who has all can make it. */
static int combine(const struct keyset *ks, unsigned int set,
		   struct deriving *d)
{
	size_t len = 1;

	d->joined[0] = (uint8_t)set;
	for (unsigned int c = 0; c < COMPARTMENTS; c++) {
		if (!(set & held_bit(c)))
			continue;
		memcpy(d->joined + len, ks->key[c], CHAOSIMG_KEY_SIZE);
		len += CHAOSIMG_KEY_SIZE;
	}
	return hmac_sha256(COMBINED_LABEL, strlen(COMBINED_LABEL), d->joined,
			   len, d->key);
}

/* The key that the records of a set are encrypted under, of all files. */
static int set_key(const struct keyset *ks, unsigned int set,
		   struct deriving *d)
{
	if (set & (set - 1))
		return combine(ks, set, d);
	memcpy(d->key, ks->key[set ? __builtin_ctz(set) : KEY_STRUCTURE],
	       CHAOSIMG_KEY_SIZE);
	return 0;
}

/* @k->lock is held. */
static int make_keys(struct file_keys *k, unsigned int set,
		     struct record_keys *r)
{
	const uint8_t byte = (uint8_t)set;
	struct deriving *d = &k->deriving;
	int err = set_key(k->ks, set, d);

	if (!err)
		err = derive(k, d->key, RECORD_LABEL, &byte, 1, d->okm);
	if (!err)
		err = inner_key_new(k->impl, d->okm, &r->inner);
	if (!err)
		gcm_key_init(&r->outer, d->okm + 32, k->forget);
	OPENSSL_cleanse(d, sizeof(*d));
	return err;
}

/* @k->lock is held. */
static int add_set(struct file_keys *k, unsigned int set)
{
	struct record_keys *r = &k->first;
	int err;

	if (k->first_used)
		r = secret_alloc(sizeof(*r));
	if (!r)
		return fail(ENOMEM, "out of locked memory for file keys");
	err = make_keys(k, set, r);
	if (!err) {
		k->first_used = true;
		atomic_store_explicit(&k->set[set], r, memory_order_release);
	} else if (r != &k->first) {
		secret_free(r);
	}
	return err;
}

int file_keys_of(struct file_keys *k, unsigned int set,
		 const struct record_keys **out)
{
	int err = 0;

	if (set >= RECORD_SETS)
		return fail(EIO, "no such set of compartments");
	*out = atomic_load_explicit(&k->set[set], memory_order_acquire);
	if (*out)
		return 0;
	if (set & ~k->ks->held)
		return fail(EACCES, "the keys of its compartments are not here");
	pthread_mutex_lock(&k->lock);
	if (!k->set[set])
		err = add_set(k, set);
	*out = k->set[set];
	pthread_mutex_unlock(&k->lock);
	return err;
}
