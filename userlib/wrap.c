// SPDX-License-Identifier: GPL-2.0-or-later
/* Key wrapping with AES-256-GCM (NIST SP 800-38D). */
#include <errno.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "archive.h"
#include "error.h"
#include "wrap.h"

static bool seal(EVP_CIPHER_CTX *ctx, const uint8_t *kek, const void *aad,
		 size_t aad_len, const uint8_t *in, size_t len, uint8_t *out)
{
	uint8_t *text = out + WRAP_NONCE;
	int n;

	return EVP_EncryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, kek, out) &&
	       EVP_EncryptUpdate(ctx, NULL, &n, aad, (int)aad_len) &&
	       EVP_EncryptUpdate(ctx, text, &n, in, (int)len) &&
	       EVP_EncryptFinal_ex(ctx, text + len, &n) &&
	       EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, WRAP_TAG,
				   text + len);
}

int wrap_key(const uint8_t kek[CHAOSIMG_KEY_SIZE], const void *aad,
	     size_t aad_len, const uint8_t *in, size_t len, uint8_t *out)
{
	EVP_CIPHER_CTX *ctx;
	bool ok;
	int ret;

	ret = random_bytes(out, WRAP_NONCE);
	if (ret)
		return ret;
	ctx = EVP_CIPHER_CTX_new();
	if (!ctx)
		return fail(ENOMEM, "AES-256-GCM: no memory");
	ok = seal(ctx, kek, aad, aad_len, in, len, out);
	EVP_CIPHER_CTX_free(ctx);
	return ok ? 0 : fail(EIO, "AES-256-GCM: encryption failed");
}

static bool unseal(EVP_CIPHER_CTX *ctx, const uint8_t *kek, const void *aad,
		   size_t aad_len, const uint8_t *in, uint8_t *out, size_t len)
{
	const uint8_t *text = in + WRAP_NONCE;
	int n;

	return EVP_DecryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, kek, in) &&
	       EVP_DecryptUpdate(ctx, NULL, &n, aad, (int)aad_len) &&
	       EVP_DecryptUpdate(ctx, out, &n, text, (int)len) &&
	       EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, WRAP_TAG,
				   (void *)(text + len)) &&
	       EVP_DecryptFinal_ex(ctx, out + len, &n) > 0;
}

int unwrap_key(const uint8_t kek[CHAOSIMG_KEY_SIZE], const void *aad,
	       size_t aad_len, const uint8_t *in, uint8_t *out, size_t len)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	bool ok;

	if (!ctx)
		return fail(ENOMEM, "AES-256-GCM: no memory");
	ok = unseal(ctx, kek, aad, aad_len, in, out, len);
	EVP_CIPHER_CTX_free(ctx);
	if (ok)
		return 0;
	OPENSSL_cleanse(out, len);
	return fail(EKEYREJECTED, "wrong key");
}
