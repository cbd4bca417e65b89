// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Shares of a keyset:
 *
 *	compartment key || structure key || directory MAC key
 *
 * and behind them, for identity, the names key. What every reader needs is in
 * each share, so that any one is enough to find files and read their headers.
 */
#include <errno.h>
#include <string.h>

#include "bytes.h"
#include "config_json.h"
#include "credential.h"
#include "error.h"
#include "keyring.h"
#include "keyset.h"
#include "keyset_share.h"
#include "policy_wrap.h"

#define WRAPPING_LABEL	"chaosimg compartment wrapping key v1"

enum {
	AT_COMPARTMENT = 0,
	AT_STRUCTURE = CHAOSIMG_KEY_SIZE,
	AT_DIR_MAC = 2 * CHAOSIMG_KEY_SIZE,
	AT_NAMES = 3 * CHAOSIMG_KEY_SIZE,
};

static const char *const texts[COMPARTMENTS] = {
	[CHAOSIMG_CLINICAL] = "clinical",
	[CHAOSIMG_IDENTITY] = "identity",
	[CHAOSIMG_PIXELS] = "pixels",
};

const char *compartment_text(enum chaosimg_compartment c)
{
	return texts[c];
}

int compartment_parse(const char *text)
{
	int c;

	for (c = 0; c < COMPARTMENTS; c++)
		if (!strcmp(text, texts[c]))
			return c;
	return -1;
}

static size_t share_size(enum chaosimg_compartment c)
{
	return c == CHAOSIMG_IDENTITY ? SHARE_MAX : AT_NAMES;
}

size_t share_wrapped_size(enum chaosimg_compartment c)
{
	return share_size(c) + WRAP_OVERHEAD;
}

size_t share_sealed_size(enum chaosimg_compartment c)
{
	return share_size(c) + WRAP_PUBLIC_OVERHEAD;
}

size_t share_aad(const uint8_t archive_id[CHAOSIMG_ID_SIZE],
		 const struct keyset *ks, enum chaosimg_compartment c,
		 uint8_t aad[SHARE_AAD_MAX])
{
	size_t n = strlen(ks->policy);

	memcpy(aad, archive_id, CHAOSIMG_ID_SIZE);
	memcpy(aad + CHAOSIMG_ID_SIZE, ks->id, CHAOSIMG_ID_SIZE);
	put_le64(aad + 2 * CHAOSIMG_ID_SIZE, ks->created);
	aad[SHARE_AAD_MIN - 1] = (uint8_t)c;
	memcpy(aad + SHARE_AAD_MIN, ks->policy, n);
	return SHARE_AAD_MIN + n;
}

typedef int wrap_fn(const uint8_t *key, const void *aad, size_t aad_len,
		    const uint8_t *in, size_t len, uint8_t *out);

static int close_share(const struct chaosimg_archive *a,
		       const struct keyset *ks, enum chaosimg_compartment c,
		       wrap_fn *wrap, const uint8_t *key, uint8_t *wrapped)
{
	uint8_t aad[SHARE_AAD_MAX];
	uint8_t *share;
	size_t len;
	int ret;

	if ((!keyring_whole(a->ring) && !a->ingest) || ks->held != HELD_ALL)
		return fail(EACCES, "a share is made with all keys only");
	share = secret_alloc(SHARE_MAX);
	if (!share)
		return -ENOMEM;
	memcpy(share + AT_COMPARTMENT, ks->key[c], CHAOSIMG_KEY_SIZE);
	memcpy(share + AT_STRUCTURE, ks->key[KEY_STRUCTURE], CHAOSIMG_KEY_SIZE);
	memcpy(share + AT_DIR_MAC, keyring_dir_mac(a->ring), CHAOSIMG_KEY_SIZE);
	if (c == CHAOSIMG_IDENTITY)
		memcpy(share + AT_NAMES, keyring_names(a->ring),
		       CHAOSIMG_KEY_SIZE);
	len = share_aad(a->id, ks, c, aad);
	ret = wrap(key, aad, len, share, share_size(c), wrapped);
	secret_free(share);
	return ret;
}

int share_wrap(const struct chaosimg_archive *a, const struct keyset *ks,
	       enum chaosimg_compartment c,
	       const uint8_t kek[CHAOSIMG_KEY_SIZE],
	       uint8_t wrapped[SHARE_WRAPPED_MAX])
{
	return close_share(a, ks, c, wrap_key, kek, wrapped);
}

int share_seal(const struct chaosimg_archive *a, const struct keyset *ks,
	       enum chaosimg_compartment c, const uint8_t pub[PUBLIC_KEY],
	       uint8_t sealed[SHARE_SEALED_MAX])
{
	return close_share(a, ks, c, wrap_public, pub, sealed);
}

/* All shares of a keyset agree on what is in each of them. */
static bool fits(const struct opened_keyset *o, const uint8_t *share)
{
	return !o->set.held ||
	       (!memcmp(o->set.key[KEY_STRUCTURE], share + AT_STRUCTURE,
			CHAOSIMG_KEY_SIZE) &&
		!memcmp(o->dir_mac, share + AT_DIR_MAC, CHAOSIMG_KEY_SIZE));
}

static void take(struct opened_keyset *o, enum chaosimg_compartment c,
		 const uint8_t *share)
{
	memcpy(o->set.key[c], share + AT_COMPARTMENT, CHAOSIMG_KEY_SIZE);
	memcpy(o->set.key[KEY_STRUCTURE], share + AT_STRUCTURE,
	       CHAOSIMG_KEY_SIZE);
	memcpy(o->dir_mac, share + AT_DIR_MAC, CHAOSIMG_KEY_SIZE);
	if (c == CHAOSIMG_IDENTITY)
		memcpy(o->names, share + AT_NAMES, CHAOSIMG_KEY_SIZE);
	o->set.held |= held_bit(c);
}

typedef int unwrap_fn(const uint8_t *key, const void *aad, size_t aad_len,
		      const uint8_t *in, uint8_t *out, size_t len);

static int open_share(const uint8_t *archive_id, enum chaosimg_compartment c,
		      unwrap_fn *unwrap, const uint8_t *key,
		      const uint8_t *wrapped, const char *where,
		      struct opened_keyset *o)
{
	uint8_t *share = secret_alloc(SHARE_MAX);
	uint8_t aad[SHARE_AAD_MAX];
	size_t len;
	int ret;

	if (!share)
		return -ENOMEM;
	len = share_aad(archive_id, &o->set, c, aad);
	ret = unwrap(key, aad, len, wrapped, share, share_size(c));
	if (ret == -EKEYREJECTED)
		ret = fail(EBADMSG, "%s: damaged: the share of %s is not of this keyset, or altered",
			   where, texts[c]);
	if (!ret && !fits(o, share))
		ret = fail(EBADMSG, "%s: damaged: shares of two keysets",
			   where);
	if (!ret)
		take(o, c, share);
	secret_free(share);
	return ret;
}

int share_unwrap(const uint8_t archive_id[CHAOSIMG_ID_SIZE],
		 enum chaosimg_compartment c,
		 const uint8_t kek[CHAOSIMG_KEY_SIZE],
		 const uint8_t wrapped[SHARE_WRAPPED_MAX], const char *where,
		 struct opened_keyset *o)
{
	return open_share(archive_id, c, unwrap_key, kek, wrapped, where, o);
}

/* @key: the compartment's wrapping key */
static int share_unseal(const uint8_t *archive_id, enum chaosimg_compartment c,
			const uint8_t *key, const uint8_t *sealed,
			const char *where, struct opened_keyset *o)
{
	uint8_t *secret = secret_alloc(PUBLIC_KEY);
	int ret;

	if (!secret)
		return -ENOMEM;
	ret = compartment_private(key, secret);
	if (!ret)
		ret = open_share(archive_id, c, unwrap_private, secret, sealed,
				 where, o);
	secret_free(secret);
	return ret;
}

int share_wrapping_key(const struct keyring *ring, enum chaosimg_compartment c,
		       uint8_t key[CHAOSIMG_KEY_SIZE])
{
	char label[sizeof(WRAPPING_LABEL)] = WRAPPING_LABEL;

	if (!keyring_whole(ring))
		return fail(EACCES, "this needs the archive key");
	/* The compartment stands where the NUL was. */
	label[sizeof(label) - 1] = (char)c;
	return hkdf_expand(keyring_archive_key(ring), label, sizeof(label),
			   key, CHAOSIMG_KEY_SIZE);
}

/* --- what a credential opens ----------------------------------------------- */

static int parse_wrap(struct json_object *wrap, const char *where, bool sealed,
		      uint8_t wrapped[SHARE_SEALED_MAX])
{
	const char *text;
	int c, ret;

	ret = config_json_text(wrap, where, "compartment", &text);
	if (ret)
		return ret;
	c = compartment_parse(text);
	if (c < 0)
		return fail(EBADMSG, "%s: damaged: no such compartment", where);
	ret = config_json_hex(wrap, where, "wrapped", wrapped,
			      sealed ? share_sealed_size(c) :
				       share_wrapped_size(c));
	return ret ? ret : c;
}

/* The first one counts, as with the wrap under the archive key. */
static int open_compartment(const struct chaosimg_archive *a,
			    struct json_object *wrap, const char *where,
			    struct opened_keyset *o)
{
	const struct chaosimg_credential *cred = keyring_credential(a->ring);
	const bool sealed = o->set.ingest;
	uint8_t wrapped[SHARE_SEALED_MAX];
	const uint8_t *key;
	int c = parse_wrap(wrap, where, sealed, wrapped);

	if (c < 0)
		return c;
	if (!(cred->held & held_bit(c)) || o->set.held & held_bit(c))
		return 0;
	key = cred->secret + c * CHAOSIMG_KEY_SIZE;
	return sealed ? share_unseal(a->id, c, key, wrapped, where, o) :
			share_unwrap(a->id, c, key, wrapped, where, o);
}

/* Any that opens will do: a keyset may be under several policies. */
static int open_policy(const struct chaosimg_archive *a,
		       struct json_object *wrap, const char *where,
		       struct opened_keyset *o)
{
	const struct chaosimg_credential *cred = keyring_credential(a->ring);
	struct policy_wrap w;
	int ret = policy_wrap_parse(wrap, where, &w);

	if (ret)
		return ret;
	ret = policy_wrap_try(&w, a->id, cred->user, where, o);
	policy_wrap_free(&w);
	return ret;
}

static int open_wrap(const struct chaosimg_archive *a, struct json_object *wrap,
		     const char *where, struct opened_keyset *o)
{
	const struct chaosimg_credential *cred = keyring_credential(a->ring);
	/* Anybody makes one under a public key: good in an ingest mount's only. */
	const char *shares = o->set.ingest ? "compartment-public" : "compartment";
	const char *under;
	int ret;

	ret = keyset_wrap_under(wrap, where, &under);
	if (ret)
		return ret;
	if (cred->kind == CREDENTIAL_COMPARTMENTS && !strcmp(under, shares))
		return open_compartment(a, wrap, where, o);
	if (cred->kind == CREDENTIAL_USER && !strcmp(under, "policy"))
		return open_policy(a, wrap, where, o);
	return 0;
}

int shares_open(const struct chaosimg_archive *a, struct json_object *wraps,
		const char *where, struct opened_keyset *o)
{
	size_t i;
	int ret = 0;

	o->set.held = 0;
	for (i = 0; i < json_object_array_length(wraps) && !ret; i++)
		ret = open_wrap(a, json_object_array_get_idx(wraps, i), where,
				o);
	if (!ret && !o->set.held)
		ret = fail(EACCES, "%s: nothing of it opens with this key",
			   where);
	return ret;
}
