// SPDX-License-Identifier: GPL-2.0-or-later
/* Keys from keys: HKDF-Expand, by OpenSSL. */
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
static EVP_KDF *hkdf;

/* Looking an algorithm up costs more than using it, so it is done once. */
static void fetch_hkdf(void)
{
	hkdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
}

int hkdf_expand(const uint8_t key[CHAOSIMG_KEY_SIZE], const void *info,
		size_t info_len, uint8_t *out, size_t len)
{
	int mode = EVP_KDF_HKDF_MODE_EXPAND_ONLY;
	char digest[] = "SHA256";
	OSSL_PARAM params[] = {
		OSSL_PARAM_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
		OSSL_PARAM_int(OSSL_KDF_PARAM_MODE, &mode),
		OSSL_PARAM_octet_string(OSSL_KDF_PARAM_KEY, (void *)key,
					CHAOSIMG_KEY_SIZE),
		OSSL_PARAM_octet_string(OSSL_KDF_PARAM_INFO, (void *)info,
					info_len),
		OSSL_PARAM_END
	};
	EVP_KDF_CTX *ctx;
	int ok;

	pthread_once(&once, fetch_hkdf);
	ctx = hkdf ? EVP_KDF_CTX_new(hkdf) : NULL;
	if (!ctx)
		return fail(ENOMEM, "HKDF: no memory");
	params[0].data_size = sizeof(digest) - 1;
	ok = EVP_KDF_derive(ctx, out, len, params) == 1;
	EVP_KDF_CTX_free(ctx);
	if (!ok) {
		OPENSSL_cleanse(out, len);
		return fail(ENOMEM, "HKDF: derivation failed");
	}
	return 0;
}
