// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Values, encrypted: nonce || AES-256-GCM( chaosimg( 16 zero bytes || value ) )
 * || tag, as in a file's records. Every encryption is different.
 */
#include <errno.h>
#include <limits.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "names.h"

static const uint8_t zeros[VALUE_ZEROS_SIZE];

static void set_iv(const struct name_value *v, const uint8_t *nonce,
		   uint8_t iv[CHAOSIMG_IV_SIZE])
{
	memset(iv, 0, CHAOSIMG_IV_SIZE);
	memcpy(iv, nonce, GCM_NONCE_SIZE);
	memcpy(iv + CHAOSIMG_IV_SIZE - LABEL_SIZE, v->label, LABEL_SIZE);
}

static size_t set_aad(const struct name_value *v, const char *bound,
		      uint8_t aad[LABEL_SIZE + VALUE_BOUND_MAX])
{
	size_t len = strlen(bound);

	memcpy(aad, v->label, LABEL_SIZE);
	memcpy(aad + LABEL_SIZE, bound, len);
	return LABEL_SIZE + len;
}

int name_value_seal(const struct name_value *v, const char *bound,
		    const void *in, size_t len, void *out)
{
	uint8_t aad[LABEL_SIZE + VALUE_BOUND_MAX], iv[CHAOSIMG_IV_SIZE];
	uint8_t *nonce = out, *ct = nonce + GCM_NONCE_SIZE;
	size_t size = len + VALUE_ZEROS_SIZE;
	int err;

	if (len > INT_MAX - VALUE_OVERHEAD)
		return fail(E2BIG, "a value of %zu bytes is too long", len);
	err = random_public(nonce, GCM_NONCE_SIZE);
	if (err)
		return err;
	set_iv(v, nonce, iv);
	err = inner_encrypt(v->inner, iv, ct, zeros, in, len);
	if (err)
		return fail(-err, "cannot encrypt a value: %s", strerror(-err));
	return gcm_encrypt(&v->outer, nonce, aad, set_aad(v, bound, aad), ct,
			   size, ct + size);
}

/* Both layers, the outer one in place in @ct, which holds @size bytes. */
static int open_layers(const struct name_value *v, const char *bound,
		       const uint8_t *nonce, uint8_t *ct, size_t size,
		       const uint8_t *tag, void *out)
{
	uint8_t aad[LABEL_SIZE + VALUE_BOUND_MAX], iv[CHAOSIMG_IV_SIZE];
	uint8_t head[VALUE_ZEROS_SIZE];
	size_t len = size - VALUE_ZEROS_SIZE;

	if (gcm_decrypt(&v->outer, nonce, aad, set_aad(v, bound, aad), ct, size,
			tag))
		return -EIO;
	set_iv(v, nonce, iv);
	if (inner_decrypt(v->inner, iv, head, out, ct, len))
		return -EIO;
	if (!CRYPTO_memcmp(head, zeros, sizeof(head)))
		return 0;
	OPENSSL_cleanse(out, len);
	return -EIO;
}

int name_value_open(const struct name_value *v, const char *bound,
		    const void *sealed, size_t len, void *out)
{
	const uint8_t *nonce = sealed, *in = nonce + GCM_NONCE_SIZE;
	size_t size;
	uint8_t *ct;
	int err;

	if (len < VALUE_OVERHEAD || len > INT_MAX)
		return -EIO;
	size = len - GCM_NONCE_SIZE - GCM_TAG_SIZE;
	ct = malloc(size);
	if (!ct)
		return -ENOMEM;
	memcpy(ct, in, size);
	err = open_layers(v, bound, nonce, ct, size, in + size, out);
	free(ct);
	return err;
}
