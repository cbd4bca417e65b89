// SPDX-License-Identifier: GPL-2.0-or-later
/* Keys from keys: HKDF-Expand and HMAC, by OpenSSL. */
#include <errno.h>
#include <pthread.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

#include "archive.h"
#include "error.h"

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t tls_key;
static bool ready;
static EVP_KDF *hkdf;

static void context_free(void *ctx)
{
	EVP_KDF_CTX_free(ctx);
}

static void init_once(void)
{
	hkdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
	ready = hkdf && !pthread_key_create(&tls_key, context_free);
}

static bool set_mode(EVP_KDF_CTX *ctx)
{
	int mode = EVP_KDF_HKDF_MODE_EXPAND_ONLY;
	char digest[] = "SHA256";
	OSSL_PARAM params[] = {
		OSSL_PARAM_utf8_string(OSSL_KDF_PARAM_DIGEST, digest,
				       sizeof(digest) - 1),
		OSSL_PARAM_int(OSSL_KDF_PARAM_MODE, &mode),
		OSSL_PARAM_END
	};

	return EVP_KDF_CTX_set_params(ctx, params) == 1;
}

static EVP_KDF_CTX *new_context(void)
{
	EVP_KDF_CTX *ctx = EVP_KDF_CTX_new(hkdf);

	if (ctx && set_mode(ctx) && !pthread_setspecific(tls_key, ctx))
		return ctx;
	EVP_KDF_CTX_free(ctx);
	return NULL;
}

/* Finding digest and mode costs as much as deriving: it is done once a thread. */
static EVP_KDF_CTX *context(void)
{
	EVP_KDF_CTX *ctx;

	pthread_once(&once, init_once);
	if (!ready)
		return NULL;
	ctx = pthread_getspecific(tls_key);
	return ctx ? ctx : new_context();
}

static bool derive(EVP_KDF_CTX *ctx, const uint8_t *key, const void *info,
		   size_t info_len, uint8_t *out, size_t len)
{
	static const uint8_t none[CHAOSIMG_KEY_SIZE];
	OSSL_PARAM params[] = {
		OSSL_PARAM_octet_string(OSSL_KDF_PARAM_KEY, (void *)key,
					CHAOSIMG_KEY_SIZE),
		OSSL_PARAM_octet_string(OSSL_KDF_PARAM_INFO, (void *)info,
					info_len),
		OSSL_PARAM_END
	};
	bool ok = EVP_KDF_derive(ctx, out, len, params) == 1;

	/* The context keeps a copy, and wipes it when it gets another. */
	params[0].data = (void *)none;
	params[1] = OSSL_PARAM_construct_end();
	return EVP_KDF_CTX_set_params(ctx, params) == 1 && ok;
}

int hkdf_expand(const uint8_t key[CHAOSIMG_KEY_SIZE], const void *info,
		size_t info_len, uint8_t *out, size_t len)
{
	EVP_KDF_CTX *ctx = context();

	if (!ctx)
		return fail(ENOMEM, "HKDF: no memory");
	/* OpenSSL 3.0 takes the length of the info before for none's. */
	if (!info_len) {
		EVP_KDF_CTX_reset(ctx);
		if (!set_mode(ctx))
			return fail(ENOMEM, "HKDF: no memory");
	}
	if (derive(ctx, key, info, info_len, out, len))
		return 0;
	OPENSSL_cleanse(out, len);
	return fail(ENOMEM, "HKDF: derivation failed");
}

/* --- HMAC ------------------------------------------------------------------- */

static pthread_once_t mac_once = PTHREAD_ONCE_INIT;
static pthread_key_t mac_tls_key;
static bool mac_ready;
static EVP_MAC *hmac;

static void mac_context_free(void *ctx)
{
	EVP_MAC_CTX_free(ctx);
}

static void init_mac_once(void)
{
	hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	mac_ready = hmac && !pthread_key_create(&mac_tls_key, mac_context_free);
}

/* As with HKDF, finding it takes longer than what it does. */
static EVP_MAC_CTX *mac_context(void)
{
	char digest[] = "SHA256";
	const OSSL_PARAM params[] = {
		OSSL_PARAM_utf8_string(OSSL_MAC_PARAM_DIGEST, digest,
				       sizeof(digest) - 1),
		OSSL_PARAM_END
	};
	EVP_MAC_CTX *ctx;

	pthread_once(&mac_once, init_mac_once);
	if (!mac_ready)
		return NULL;
	ctx = pthread_getspecific(mac_tls_key);
	if (ctx)
		return ctx;
	ctx = EVP_MAC_CTX_new(hmac);
	if (ctx && EVP_MAC_CTX_set_params(ctx, params) &&
	    !pthread_setspecific(mac_tls_key, ctx))
		return ctx;
	EVP_MAC_CTX_free(ctx);
	return NULL;
}

/* Without a key it is the one that the context has. */
static bool one_message(EVP_MAC_CTX *ctx, const void *key, size_t key_len,
			const void *data, size_t len, uint8_t out[32])
{
	size_t n;

	return EVP_MAC_init(ctx, key, key_len, NULL) &&
	       EVP_MAC_update(ctx, data, len) &&
	       EVP_MAC_final(ctx, out, &n, 32);
}

int hmac_sha256(const void *key, size_t key_len, const void *data, size_t len,
		uint8_t out[32])
{
	static const uint8_t none[CHAOSIMG_KEY_SIZE];
	EVP_MAC_CTX *ctx = mac_context();
	bool ok = ctx && one_message(ctx, key, key_len, data, len, out);

	/* The context keeps a copy of the key until it gets another. */
	if (ctx)
		ok &= EVP_MAC_init(ctx, none, sizeof(none), NULL);
	return ok ? 0 : fail(ENOMEM, "HMAC-SHA256: no memory");
}

EVP_MAC_CTX *hmac_new(const void *key, size_t key_len)
{
	EVP_MAC_CTX *empty = mac_context();
	EVP_MAC_CTX *mac = empty ? EVP_MAC_CTX_dup(empty) : NULL;

	if (mac && EVP_MAC_init(mac, key, key_len, NULL))
		return mac;
	EVP_MAC_CTX_free(mac);
	fail(ENOMEM, "HMAC-SHA256: no memory");
	return NULL;
}

int hmac_next(EVP_MAC_CTX *mac, const void *data, size_t len, uint8_t out[32])
{
	if (one_message(mac, NULL, 0, data, len, out))
		return 0;
	return fail(ENOMEM, "HMAC-SHA256: no memory");
}
