// SPDX-License-Identifier: GPL-2.0-or-later
/* AES-256-GCM and a fixed-length MAC from OpenSSL, with one context a thread. */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "error.h"
#include "gcm.h"

enum { CTX_ENCRYPT, CTX_DECRYPT, CTX_MAC, CTX_COUNT };

struct contexts {
	EVP_CIPHER_CTX *ctx[CTX_COUNT];
	uint64_t serial[CTX_COUNT];	/* of the key that the context holds */
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t tls_key;
static bool tls_ready;
static EVP_CIPHER *gcm, *cbc;
static _Atomic uint64_t next_serial = 1;

static void contexts_free(void *p)
{
	struct contexts *c = p;

	for (int i = 0; i < CTX_COUNT; i++)
		EVP_CIPHER_CTX_free(c->ctx[i]);	/* wipes the key schedule */
	free(c);
}

static void init_once(void)
{
	gcm = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
	cbc = EVP_CIPHER_fetch(NULL, "AES-256-CBC", NULL);
	tls_ready = gcm && cbc && !pthread_key_create(&tls_key, contexts_free);
}

static struct contexts *contexts(void)
{
	struct contexts *c;

	pthread_once(&once, init_once);
	if (!tls_ready)
		return NULL;
	c = pthread_getspecific(tls_key);
	if (c)
		return c;
	c = calloc(1, sizeof(*c));
	if (!c)
		return NULL;
	for (int i = 0; i < CTX_COUNT; i++) {
		c->ctx[i] = EVP_CIPHER_CTX_new();
		if (!c->ctx[i])
			goto err;
	}
	if (pthread_setspecific(tls_key, c))
		goto err;
	return c;
err:
	contexts_free(c);
	return NULL;
}

/* The context with key and nonce set; the key schedule is reused if it can be. */
static EVP_CIPHER_CTX *keyed(int which, const struct gcm_key *k,
			     const uint8_t *nonce)
{
	struct contexts *c = contexts();
	const uint8_t *key = k->key;
	const EVP_CIPHER *cipher = which == CTX_MAC ? cbc : gcm;

	if (!c)
		return NULL;
	if (c->serial[which] == k->serial) {
		cipher = NULL;
		key = NULL;
	}
	c->serial[which] = 0;
	if (!EVP_CipherInit_ex2(c->ctx[which], cipher, key, nonce,
				which != CTX_DECRYPT, NULL))
		return NULL;
	c->serial[which] = k->serial;
	return c->ctx[which];
}

static void used(int which, const struct gcm_key *k)
{
	struct contexts *c = k->forget ? contexts() : NULL;

	if (!c)
		return;
	EVP_CIPHER_CTX_reset(c->ctx[which]);	/* wipes the key schedule */
	c->serial[which] = 0;
}

void gcm_key_init(struct gcm_key *k, const uint8_t key[GCM_KEY_SIZE],
		  bool forget)
{
	k->serial = atomic_fetch_add(&next_serial, 1);
	k->forget = forget;
	memcpy(k->key, key, GCM_KEY_SIZE);
}

int gcm_encrypt(const struct gcm_key *k, const uint8_t nonce[GCM_NONCE_SIZE],
		const void *aad, size_t aad_len, uint8_t *buf, size_t len,
		uint8_t tag[GCM_TAG_SIZE])
{
	EVP_CIPHER_CTX *ctx = keyed(CTX_ENCRYPT, k, nonce);
	bool ok;
	int n;

	ok = ctx && EVP_EncryptUpdate(ctx, NULL, &n, aad, (int)aad_len) &&
	     EVP_EncryptUpdate(ctx, buf, &n, buf, (int)len) &&
	     EVP_EncryptFinal_ex(ctx, buf + n, &n) &&
	     EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, GCM_TAG_SIZE, tag);
	used(CTX_ENCRYPT, k);
	return ok ? 0 : fail(EIO, "OpenSSL: AES-256-GCM failed");
}

int gcm_decrypt(const struct gcm_key *k, const uint8_t nonce[GCM_NONCE_SIZE],
		const void *aad, size_t aad_len, uint8_t *buf, size_t len,
		const uint8_t tag[GCM_TAG_SIZE])
{
	EVP_CIPHER_CTX *ctx = keyed(CTX_DECRYPT, k, nonce);
	bool ok;
	int n;

	ok = ctx && EVP_DecryptUpdate(ctx, NULL, &n, aad, (int)aad_len) &&
	     EVP_DecryptUpdate(ctx, buf, &n, buf, (int)len) &&
	     EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, GCM_TAG_SIZE,
				 (void *)tag) &&
	     EVP_DecryptFinal_ex(ctx, buf + n, &n) > 0;
	used(CTX_DECRYPT, k);
	return ok ? 0 : -EBADMSG;
}

int mac_two_blocks(const struct gcm_key *k, const uint8_t msg[32],
		   uint8_t mac[16])
{
	static const uint8_t zero_iv[16];
	EVP_CIPHER_CTX *ctx = keyed(CTX_MAC, k, zero_iv);
	uint8_t out[32];
	bool ok;
	int n;

	ok = ctx && EVP_EncryptUpdate(ctx, out, &n, msg, 32) && n == 32;
	used(CTX_MAC, k);
	if (!ok)
		return fail(EIO, "OpenSSL: AES-256-CBC failed");
	memcpy(mac, out + 16, 16);
	OPENSSL_cleanse(out, sizeof(out));
	return 0;
}
