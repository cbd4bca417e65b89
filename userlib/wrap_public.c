// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Key wrapping with X25519 (RFC 7748): a shared secret with an ephemeral key
 * pair, HKDF-SHA256 over it and both public keys, then wrap_key().
 */
#include <errno.h>
#include <string.h>

#include <openssl/evp.h>

#include "error.h"
#include "wrap_public.h"

#define PRIVATE_LABEL	"chaosimg ingest key v1"
#define EXTRACT_LABEL	"chaosimg public wrap v1"
#define EXPAND_LABEL	"chaosimg public wrapping key v1"

int archive_private(const struct keyring *ring, uint8_t out[PUBLIC_KEY])
{
	return keyring_subkey(ring, PRIVATE_LABEL, out, PUBLIC_KEY);
}

int compartment_private(const uint8_t key[CHAOSIMG_KEY_SIZE],
			uint8_t out[PUBLIC_KEY])
{
	return hkdf_expand(key, PRIVATE_LABEL, strlen(PRIVATE_LABEL), out,
			   PUBLIC_KEY);
}

int public_of(const uint8_t secret[PUBLIC_KEY], uint8_t out[PUBLIC_KEY])
{
	EVP_PKEY *key = EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, NULL,
						     secret, PUBLIC_KEY);
	size_t len = PUBLIC_KEY;
	bool ok = key && EVP_PKEY_get_raw_public_key(key, out, &len) == 1;

	EVP_PKEY_free(key);
	return ok ? 0 : fail(ENOMEM, "X25519: no memory");
}

/* Fails for points of small order, too. */
static bool agree(EVP_PKEY *own, EVP_PKEY *peer, uint8_t out[PUBLIC_KEY])
{
	EVP_PKEY_CTX *ctx = own && peer ? EVP_PKEY_CTX_new(own, NULL) : NULL;
	size_t len = PUBLIC_KEY;
	bool ok = ctx && EVP_PKEY_derive_init(ctx) == 1 &&
		  EVP_PKEY_derive_set_peer(ctx, peer) == 1 &&
		  EVP_PKEY_derive(ctx, out, &len) == 1 && len == PUBLIC_KEY;

	EVP_PKEY_CTX_free(ctx);
	return ok;
}

static bool shared(const uint8_t *secret, const uint8_t *pub, uint8_t *out)
{
	EVP_PKEY *own = EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, NULL,
						     secret, PUBLIC_KEY);
	EVP_PKEY *peer = EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, NULL,
						     pub, PUBLIC_KEY);
	bool ok = agree(own, peer, out);

	EVP_PKEY_free(own);
	EVP_PKEY_free(peer);
	return ok;
}

/* @secret's shared secret with @pub; the sender's public key comes first. */
static int make_kek(const uint8_t *secret, const uint8_t *pub,
		    const uint8_t *ephemeral, const uint8_t *recipient,
		    uint8_t kek[CHAOSIMG_KEY_SIZE])
{
	const size_t label = strlen(EXPAND_LABEL);
	uint8_t info[64 + 2 * PUBLIC_KEY];
	uint8_t *keys = secret_alloc(2 * CHAOSIMG_KEY_SIZE);
	uint8_t *extracted;
	size_t n;
	int ret = 0;

	if (!keys)
		return -ENOMEM;
	extracted = keys + CHAOSIMG_KEY_SIZE;
	memcpy(info, EXPAND_LABEL, label);
	memcpy(info + label, ephemeral, PUBLIC_KEY);
	memcpy(info + label + PUBLIC_KEY, recipient, PUBLIC_KEY);
	if (!shared(secret, pub, keys))
		ret = fail(EINVAL, "X25519: not a public key");
	else if (!EVP_Q_mac(NULL, "HMAC", NULL, "SHA256", NULL, EXTRACT_LABEL,
			    strlen(EXTRACT_LABEL), keys, CHAOSIMG_KEY_SIZE,
			    extracted, CHAOSIMG_KEY_SIZE, &n))
		ret = fail(ENOMEM, "HMAC-SHA256: no memory");
	if (!ret)
		ret = hkdf_expand(extracted, info, label + 2 * PUBLIC_KEY, kek,
				  CHAOSIMG_KEY_SIZE);
	secret_free(keys);
	return ret;
}

int wrap_public(const uint8_t pub[PUBLIC_KEY], const void *aad, size_t aad_len,
		const uint8_t *in, size_t len, uint8_t *out)
{
	uint8_t *secret = secret_alloc(PUBLIC_KEY + CHAOSIMG_KEY_SIZE);
	uint8_t *kek;
	int ret;

	if (!secret)
		return -ENOMEM;
	kek = secret + PUBLIC_KEY;
	ret = random_bytes(secret, PUBLIC_KEY);
	if (!ret)
		ret = public_of(secret, out);
	if (!ret)
		ret = make_kek(secret, pub, out, pub, kek);
	if (!ret)
		ret = wrap_key(kek, aad, aad_len, in, len, out + PUBLIC_KEY);
	secret_free(secret);
	return ret;
}

int unwrap_private(const uint8_t secret[PUBLIC_KEY], const void *aad,
		   size_t aad_len, const uint8_t *in, uint8_t *out, size_t len)
{
	uint8_t *kek = secret_alloc(CHAOSIMG_KEY_SIZE);
	uint8_t own[PUBLIC_KEY];
	int ret;

	if (!kek)
		return -ENOMEM;
	memset(out, 0, len);
	ret = public_of(secret, own);
	if (!ret)
		ret = make_kek(secret, in, in, own, kek);
	if (ret == -EINVAL)
		ret = -EKEYREJECTED;
	if (!ret)
		ret = unwrap_key(kek, aad, aad_len, in + PUBLIC_KEY, out, len);
	secret_free(kek);
	return ret;
}
