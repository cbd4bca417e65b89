// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Keys from keys: HMAC and HKDF-Expand over SHA-256 by OpenSSL. Its own HMAC and
 * HKDF spend more time on looking after themselves than on so little data, of
 * which a stored file has a dozen pieces.
 */
#include <errno.h>
#include <pthread.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "archive.h"
#include "error.h"

enum {
	BLOCK = 64,	/* bytes that SHA-256 takes at once */
	DIGEST = 32,
	INNER = 0x36,
	OUTER = 0x5c,
};

/** struct text - what is hashed, in up to three parts */
struct text {
	struct {
		const void *p;
		size_t len;
	} part[3];
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t tls_key;
static bool ready;
static EVP_MD *sha256;

static void context_free(void *ctx)
{
	EVP_MD_CTX_free(ctx);	/* wipes it */
}

static void init_once(void)
{
	sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
	ready = sha256 && !pthread_key_create(&tls_key, context_free);
}

/* Making one costs as much as hashing: it is done once a thread. */
static EVP_MD_CTX *context(void)
{
	EVP_MD_CTX *ctx;

	pthread_once(&once, init_once);
	if (!ready)
		return NULL;
	ctx = pthread_getspecific(tls_key);
	if (ctx)
		return ctx;
	ctx = EVP_MD_CTX_new();
	if (ctx && !pthread_setspecific(tls_key, ctx))
		return ctx;
	EVP_MD_CTX_free(ctx);
	return NULL;
}

/* One of HMAC's two hashes, of the padded key and a text. */
static bool keyed_hash(EVP_MD_CTX *ctx, const uint8_t *key, size_t key_len,
		       uint8_t pad, const struct text *t, uint8_t out[DIGEST])
{
	uint8_t block[BLOCK] = { 0 };
	bool ok;

	memcpy(block, key, key_len);
	for (int i = 0; i < BLOCK; i++)
		block[i] ^= pad;
	ok = EVP_DigestInit_ex2(ctx, sha256, NULL) &&
	     EVP_DigestUpdate(ctx, block, BLOCK);
	OPENSSL_cleanse(block, sizeof(block));
	for (int i = 0; ok && i < 3; i++)
		ok = EVP_DigestUpdate(ctx, t->part[i].p, t->part[i].len);
	return ok && EVP_DigestFinal_ex(ctx, out, NULL);
}

static bool hmac(EVP_MD_CTX *ctx, const uint8_t *key, size_t key_len,
		 const struct text *t, uint8_t out[DIGEST])
{
	uint8_t inner[DIGEST];
	const struct text outer = { .part = { { inner, DIGEST } } };
	bool ok = keyed_hash(ctx, key, key_len, INNER, t, inner) &&
		  keyed_hash(ctx, key, key_len, OUTER, &outer, out);

	OPENSSL_cleanse(inner, sizeof(inner));
	/* The last digest, a key it may be, is still in the context. */
	return EVP_DigestInit_ex2(ctx, sha256, NULL) && ok;
}

int hmac_sha256(const void *key, size_t key_len, const void *data, size_t len,
		uint8_t out[DIGEST])
{
	const struct text t = { .part = { { data, len } } };
	EVP_MD_CTX *ctx = context();

	if (key_len > BLOCK)
		return fail(EINVAL, "HMAC-SHA256: the key is too long");
	return ctx && hmac(ctx, key, key_len, &t, out) ?
		       0 : fail(ENOMEM, "HMAC-SHA256: no memory");
}

/* T(i) = HMAC(key, T(i - 1) || info || i), from 1 on; T(0) is empty. */
int hkdf_expand(const uint8_t key[CHAOSIMG_KEY_SIZE], const void *info,
		size_t info_len, uint8_t *out, size_t len)
{
	EVP_MD_CTX *ctx = context();
	uint8_t t[DIGEST], number = 1;
	bool ok = ctx != NULL;

	for (size_t done = 0, n; ok && done < len; done += n, number++) {
		const struct text text = { .part = {
			{ t, done ? DIGEST : 0 }, { info, info_len },
			{ &number, 1 },
		} };

		ok = hmac(ctx, key, CHAOSIMG_KEY_SIZE, &text, t);
		n = len - done < DIGEST ? len - done : DIGEST;
		memcpy(out + done, t, n);
	}
	OPENSSL_cleanse(t, sizeof(t));
	if (ok)
		return 0;
	OPENSSL_cleanse(out, len);
	return fail(ENOMEM, "HKDF: no memory");
}
