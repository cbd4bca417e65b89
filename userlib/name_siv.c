// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Names, encrypted: padded, then chaosimg, then AES-256-SIV (RFC 5297). The
 * same name in the same directory always gives the same bytes, so a look-up
 * needs no listing; nothing else about the name shows but its padded length.
 */
#include <errno.h>
#include <openssl/crypto.h>
#include <string.h>

#include "error.h"
#include "names.h"

enum { ID_SIZE = CHAOSIMG_ID_SIZE };

static void set_iv(const struct name_siv *s, const uint8_t *context,
		   uint8_t iv[CHAOSIMG_IV_SIZE])
{
	memcpy(iv, context, ID_SIZE);
	memcpy(iv + ID_SIZE, s->label, LABEL_SIZE);
}

/* An OpenSSL SIV context serves one message, so each call copies its own. */
static bool siv_encrypt(const struct name_siv *s, const uint8_t *context,
			uint8_t siv[NAME_SIV_SIZE], uint8_t *buf, int len)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	int n;
	bool ok;

	ok = ctx && EVP_CIPHER_CTX_copy(ctx, s->enc) == 1 &&
	     EVP_EncryptUpdate(ctx, NULL, &n, context, ID_SIZE) == 1 &&
	     EVP_EncryptUpdate(ctx, buf, &n, buf, len) == 1 && n == len &&
	     EVP_EncryptFinal_ex(ctx, buf + len, &n) == 1 &&
	     EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, NAME_SIV_SIZE,
				 siv) == 1;
	EVP_CIPHER_CTX_free(ctx);
	return ok;
}

static bool siv_decrypt(const struct name_siv *s, const uint8_t *context,
			const uint8_t *sealed, uint8_t *buf, int len)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	int n;
	bool ok;

	ok = ctx && EVP_CIPHER_CTX_copy(ctx, s->dec) == 1 &&
	     EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, NAME_SIV_SIZE,
				 (void *)sealed) == 1 &&
	     EVP_DecryptUpdate(ctx, NULL, &n, context, ID_SIZE) == 1 &&
	     EVP_DecryptUpdate(ctx, buf, &n, sealed + NAME_SIV_SIZE,
			       len) == 1 &&
	     n == len && EVP_DecryptFinal_ex(ctx, buf + len, &n) == 1;
	EVP_CIPHER_CTX_free(ctx);
	return ok;
}

ssize_t name_siv_seal(const struct name_siv *s,
		      const uint8_t context[CHAOSIMG_ID_SIZE], const char *name,
		      size_t len, uint8_t out[NAME_SEALED_MAX])
{
	uint8_t padded[NAME_PADDED_MAX] = { 0 }, iv[CHAOSIMG_IV_SIZE];
	size_t size = (len + NAME_UNIT - 1) / NAME_UNIT * NAME_UNIT;
	int err;

	memcpy(padded, name, len);
	set_iv(s, context, iv);
	err = inner_encrypt(s->inner, iv, out + NAME_SIV_SIZE, padded,
			    padded + 16, size - 16);
	OPENSSL_cleanse(padded, size);
	if (err)
		return fail(-err, "cannot encrypt a name: %s", strerror(-err));
	if (!siv_encrypt(s, context, out, out + NAME_SIV_SIZE, (int)size))
		return fail(ENOMEM, "OpenSSL: AES-256-SIV failed");
	return (ssize_t)(NAME_SIV_SIZE + size);
}

/* Length of a padded name: zeros only at its end, and no more than needed. */
static ssize_t unpadded(const char *name, size_t size)
{
	size_t len = strnlen(name, size), i;

	for (i = len; i < size; i++)
		if (name[i])
			return -1;
	if (len + NAME_UNIT <= size || len > CHAOSIMG_NAME_MAX)
		return -1;
	return (ssize_t)len;
}

ssize_t name_siv_open(const struct name_siv *s,
		      const uint8_t context[CHAOSIMG_ID_SIZE],
		      const uint8_t *sealed, size_t len,
		      char name[CHAOSIMG_NAME_MAX + 1])
{
	uint8_t buf[NAME_PADDED_MAX], iv[CHAOSIMG_IV_SIZE];
	size_t size = len - NAME_SIV_SIZE;
	ssize_t n;

	_Static_assert(NAME_PADDED_MAX == CHAOSIMG_NAME_MAX + 1,
		       "a padded name fits where a name does");
	if (len < NAME_SIV_SIZE + NAME_UNIT || len > NAME_SEALED_MAX ||
	    size % NAME_UNIT)
		return -EIO;
	if (!siv_decrypt(s, context, sealed, buf, (int)size))
		return -EIO;
	set_iv(s, context, iv);
	if (inner_decrypt(s->inner, iv, (uint8_t *)name, (uint8_t *)name + 16,
			  buf, size - 16))
		return -EIO;
	n = unpadded(name, size);
	if (n < 0)
		OPENSSL_cleanse(name, size);
	else if (size < NAME_PADDED_MAX)
		name[size] = '\0';
	return n < 0 ? -EIO : n;
}
