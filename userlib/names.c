// SPDX-License-Identifier: GPL-2.0-or-later
/* The keys for names, directory ids, symbolic links and attributes. */
#include <errno.h>
#include <string.h>

#include <openssl/core_names.h>

#include "error.h"
#include "keyring.h"
#include "names.h"

/* Labels are LABEL_SIZE bytes: they fill the second half of an inner IV. */
#define NAME_LABEL		"chaosimg name v1"
#define XATTR_NAME_LABEL	"chaosimg attr v1"
#define XATTR_VALUE_LABEL	"chaosimg xval v1"
#define SYMLINK_LABEL		"chaosimg link v1"

/**
 * struct source - what keys are derived from
 * @impl: the inner cipher's implementation
 * @key: the names key
 */
struct source {
	const struct inner_impl *impl;
	const uint8_t *key;
};

/* Expand(names key, label) */
static int subkey(const struct source *src, const char *label, uint8_t *out,
		  size_t len)
{
	return hkdf_expand(src->key, label, strlen(label), out, len);
}

static int set_inner(const struct source *src, const char *label,
		     struct inner_key **out)
{
	uint8_t *key = secret_alloc(CHAOSIMG_KEY_SIZE);
	int err;

	if (!key)
		return -ENOMEM;
	err = subkey(src, label, key, CHAOSIMG_KEY_SIZE);
	if (!err)
		err = inner_key_new(src->impl, key, out);
	secret_free(key);
	return err;
}

static EVP_CIPHER_CTX *keyed_siv(const EVP_CIPHER *cipher, const uint8_t *key,
				 int encrypt)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();

	if (ctx && cipher &&
	    EVP_CipherInit_ex(ctx, cipher, NULL, key, NULL, encrypt) == 1)
		return ctx;
	EVP_CIPHER_CTX_free(ctx);
	return NULL;
}

/* Two contexts, one for each direction; they hold on to the cipher. */
static int set_siv(const struct source *src, const char *label,
		   struct name_siv *s)
{
	EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, "AES-256-SIV", NULL);
	uint8_t *key = secret_alloc(NAME_SIV_KEY_SIZE);
	int err = -ENOMEM;

	if (key)
		err = subkey(src, label, key, NAME_SIV_KEY_SIZE);
	if (!err) {
		s->enc = keyed_siv(cipher, key, 1);
		s->dec = keyed_siv(cipher, key, 0);
		if (!s->enc || !s->dec)
			err = fail(ENOMEM, "OpenSSL: no AES-256-SIV");
	}
	secret_free(key);
	EVP_CIPHER_free(cipher);
	return err;
}

static int set_gcm(const struct source *src, const char *label,
		   struct gcm_key *k)
{
	uint8_t *key = secret_alloc(GCM_KEY_SIZE);
	int err;

	if (!key)
		return -ENOMEM;
	err = subkey(src, label, key, GCM_KEY_SIZE);
	if (!err)
		gcm_key_init(k, key, false);
	secret_free(key);
	return err;
}

static int set_name(const struct source *src, struct name_siv *s,
		    const char *label, const char *inner, const char *outer)
{
	int err = set_inner(src, inner, &s->inner);

	s->label = label;
	return err ? err : set_siv(src, outer, s);
}

static int set_value(const struct source *src, struct name_value *v,
		     const char *label, const char *inner, const char *outer)
{
	int err = set_inner(src, inner, &v->inner);

	v->label = label;
	return err ? err : set_gcm(src, outer, &v->outer);
}

static EVP_MAC_CTX *keyed_hmac(const uint8_t key[CHAOSIMG_KEY_SIZE])
{
	char sha256[] = "SHA256";
	OSSL_PARAM params[] = {
		OSSL_PARAM_utf8_string(OSSL_MAC_PARAM_DIGEST, sha256, 0),
		OSSL_PARAM_END
	};
	EVP_MAC *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	EVP_MAC_CTX *ctx = mac ? EVP_MAC_CTX_new(mac) : NULL;

	EVP_MAC_free(mac);
	if (ctx && EVP_MAC_init(ctx, key, CHAOSIMG_KEY_SIZE, params) == 1)
		return ctx;
	EVP_MAC_CTX_free(ctx);
	return NULL;
}

static int set_dirs(const uint8_t *dir_mac, struct name_keys *k)
{
	k->sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
	if (!k->sha256)
		return fail(ENOMEM, "OpenSSL: no SHA-256");
	k->dir_mac = keyed_hmac(dir_mac);
	return k->dir_mac ? 0 : fail(ENOMEM, "OpenSSL: no HMAC");
}

static int set_names(const struct source *src, struct name_keys *k)
{
	int err;

	err = set_name(src, &k->name, NAME_LABEL, "chaosimg name chaos key v1",
		       "chaosimg name siv key v1");
	if (!err)
		err = set_name(src, &k->xattr_name, XATTR_NAME_LABEL,
			       "chaosimg xattr name chaos key v1",
			       "chaosimg xattr name siv key v1");
	if (!err)
		err = set_value(src, &k->xattr_value, XATTR_VALUE_LABEL,
				"chaosimg xattr value chaos key v1",
				"chaosimg xattr value aead key v1");
	if (!err)
		err = set_value(src, &k->symlink, SYMLINK_LABEL,
				"chaosimg symlink chaos key v1",
				"chaosimg symlink aead key v1");
	return err;
}

int names_new(const struct chaosimg_archive *a, const uint8_t *names,
	      const uint8_t *dir_mac, struct name_keys **out)
{
	const struct source src = { a->inner, names };
	struct name_keys *k = secret_alloc(sizeof(*k));
	int err;

	if (!k)
		return -ENOMEM;
	err = set_dirs(dir_mac, k);
	if (!err && names)
		err = set_names(&src, k);
	if (err)
		names_free(k);
	else
		*out = k;
	return err;
}

int names_init(struct chaosimg_archive *a)
{
	return names_new(a, keyring_names(a->ring), keyring_dir_mac(a->ring),
			 &a->names);
}

bool names_held(const struct chaosimg_archive *a)
{
	return a->names->name.inner;
}

static void free_name(struct name_siv *s)
{
	inner_key_free(s->inner);
	EVP_CIPHER_CTX_free(s->enc);
	EVP_CIPHER_CTX_free(s->dec);
}

void names_free(struct name_keys *k)
{
	if (!k)
		return;
	free_name(&k->name);
	free_name(&k->xattr_name);
	inner_key_free(k->xattr_value.inner);
	inner_key_free(k->symlink.inner);
	EVP_MAC_CTX_free(k->dir_mac);
	EVP_MD_free(k->sha256);
	secret_free(k);
}
