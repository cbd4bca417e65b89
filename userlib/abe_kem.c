// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A key under a policy: the scheme made secure against chosen ciphertexts by
 * the transform of Fujisaki and Okamoto (CRYPTO 1999), in the form that
 * Hofheinz, Hoevelmanns and Kiltz (TCC 2017) call U, with explicit rejection.
 *
 * A random seed is encrypted, and all coins of that come from a hash of the
 * seed and of what is encrypted to. Whoever can open it gets the seed, encrypts
 * it again, and takes it only if the same ciphertext comes out, byte for byte.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "abe.h"
#include "archive.h"
#include "bytes.h"
#include "error.h"

static const char where[] = "key under a policy";

/* Of a message: its label and parts, each with its length before it. */
struct part {
	const void *bytes;
	size_t len;
};

static bool absorb(EVP_MD_CTX *ctx, const void *bytes, size_t len)
{
	uint8_t length[8];

	put_le64(length, len);
	return EVP_DigestUpdate(ctx, length, sizeof(length)) &&
	       EVP_DigestUpdate(ctx, bytes, len);
}

/* SHAKE256 (FIPS 202) of @n parts. */
static int hash(const char *label, const struct part *part, size_t n,
		uint8_t *out, size_t len)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool ok = ctx && EVP_DigestInit_ex(ctx, EVP_shake256(), NULL) &&
		  absorb(ctx, label, strlen(label));
	size_t i;

	for (i = 0; i < n && ok; i++)
		ok = absorb(ctx, part[i].bytes, part[i].len);
	ok = ok && EVP_DigestFinalXOF(ctx, out, len);
	EVP_MD_CTX_free(ctx);
	return ok ? 0 : fail(ENOMEM, "SHAKE256 failed");
}

/**
 * struct kem - one ciphertext
 * @p: its policy
 * @authorities: how many of @listed are in use
 * @listed: the policy's authorities, in the order in which it names them
 * @of_leaf: for each leaf, which of them
 * @key: for each leaf, the user's key for it, or NULL
 * @frame: all its bytes
 * @len: their length
 * @head: how many come before the masked seed
 */
struct kem {
	const struct chaosimg_policy *p;
	unsigned int authorities;
	const struct chaosimg_authority *listed[CHAOSIMG_AUTHORITIES_MAX];
	const struct chaosimg_authority *of_leaf[POLICY_LEAVES_MAX];
	const struct abe_attribute *key[POLICY_LEAVES_MAX];
	uint8_t *frame;
	size_t len;
	size_t head;
};

/** struct secrets - what nobody else may see; in locked memory */
struct secrets {
	uint8_t seed[ABE_SEED];
	uint8_t mask[ABE_SEED];
	uint8_t gt[ABE_GT];
	struct abe_coins coins;
	blst_fr random[2 * ABE_SHARES_MAX];
	/* z, a t for each leaf, and the numbers for sharing z and 0. */
	uint8_t wide[(1 + POLICY_LEAVES_MAX + 2 * ABE_SHARES_MAX) * ABE_WIDE];
};

static int draw_coins(const struct kem *k, const struct part *context,
		      struct secrets *s)
{
	unsigned int shares = share_numbers(k->p), leaves = k->p->leaves, i;
	const struct part parts[] = {
		{ s->seed, ABE_SEED },
		{ k->frame, k->head },
		*context,
	};
	const blst_fr zero = { { 0 } };
	const uint8_t *wide = s->wide;
	int ret = hash("chaosimg-abe-v1 coins", parts, 3, s->wide,
		       (1 + leaves + 2 * shares) * ABE_WIDE);

	if (ret)
		return ret;
	scalar_from_wide(&s->coins.z, wide);
	for (i = 0; i < leaves; i++)
		scalar_from_wide(&s->coins.t[i], wide += ABE_WIDE);
	for (i = 0; i < 2 * shares; i++)
		scalar_from_wide(&s->random[i], wide += ABE_WIDE);
	share(k->p, &s->coins.z, s->random, s->coins.lambda);
	share(k->p, &zero, s->random + shares, s->coins.omega);
	return 0;
}

/* What hides the seed: a hash of e(g1, g2)^z, and of what it belongs to. */
static int draw_mask(const struct kem *k, struct secrets *s)
{
	const struct part parts[] = {
		{ s->gt, ABE_GT },
		{ k->frame, k->head },
	};

	return hash("chaosimg-abe-v1 mask", parts, 2, s->mask, ABE_SEED);
}

/* The ciphertext behind its head is a function of head, context and seed. */
static int encrypt(const struct kem *k, const struct part *context,
		   struct secrets *s, uint8_t *out)
{
	unsigned int i;
	int ret = draw_coins(k, context, s);

	if (ret)
		return ret;
	abe_mask(&s->coins.z, s->gt);
	ret = draw_mask(k, s);
	if (ret)
		return ret;
	for (i = 0; i < ABE_SEED; i++)
		out[i] = s->seed[i] ^ s->mask[i];
	return abe_rows(k->p, k->of_leaf, k->key, &s->coins, out + ABE_SEED);
}

static int derive_key(const struct kem *k, const struct part *context,
		      const struct secrets *s, uint8_t key[CHAOSIMG_KEY_SIZE])
{
	const struct part parts[] = {
		{ s->seed, ABE_SEED },
		{ k->frame, k->len },
		*context,
	};

	return hash("chaosimg-abe-v1 key", parts, 3, key, CHAOSIMG_KEY_SIZE);
}

/* --- encapsulating --------------------------------------------------------- */

static int find(const struct policy_leaf *leaf,
		const struct chaosimg_authority *const *authorities, size_t n,
		const struct chaosimg_authority **out)
{
	size_t i;

	*out = NULL;
	for (i = 0; i < n; i++) {
		if (strcmp(authorities[i]->name, policy_authority(leaf)))
			continue;
		if (*out && memcmp((*out)->id, authorities[i]->id, ABE_ID))
			return fail(EINVAL, "policy: two authorities are called %s",
				    policy_authority(leaf));
		*out = authorities[i];
	}
	if (!*out)
		return fail(ENOENT, "policy, column %u: %s: the authority is not known",
			    leaf->column, leaf->name);
	return 0;
}

static int list(struct kem *k, const struct chaosimg_authority *a)
{
	unsigned int i;

	for (i = 0; i < k->authorities; i++)
		if (k->listed[i] == a)
			return 0;
	if (i == CHAOSIMG_AUTHORITIES_MAX)
		return fail(EINVAL, "policy: more than %d authorities",
			    CHAOSIMG_AUTHORITIES_MAX);
	k->listed[k->authorities++] = a;
	return 0;
}

static int make_head(struct kem *k)
{
	const char *text = k->p->text;
	size_t size = ABE_HEAD + 2 + strlen(text) + 1;
	uint8_t *at;
	unsigned int i;

	for (i = 0; i < k->authorities; i++)
		size += abe_public_size(k->listed[i]);
	k->head = size;
	k->len = size + ABE_SEED + k->p->leaves * ABE_ROW + ABE_SUM;
	k->frame = calloc(1, k->len);
	if (!k->frame)
		return fail(ENOMEM, "%s: no memory", where);
	at = abe_put_text(k->frame + ABE_HEAD, 2, text);
	*at++ = (uint8_t)k->authorities;
	for (i = 0; i < k->authorities; i++)
		at = abe_put_public(at, k->listed[i]);
	/* So that the head's first bytes are there to be hashed. */
	abe_seal(k->frame, ABE_FILE_CIPHERTEXT, k->len - ABE_FRAME);
	return 0;
}

static int encapsulate(struct kem *k, const struct part *context,
		       struct secrets *s, uint8_t key[CHAOSIMG_KEY_SIZE])
{
	int ret = random_bytes(s->seed, ABE_SEED);

	if (!ret)
		ret = encrypt(k, context, s, k->frame + k->head);
	if (ret)
		return ret;
	abe_seal(k->frame, ABE_FILE_CIPHERTEXT, k->len - ABE_FRAME);
	return derive_key(k, context, s, key);
}

int chaosimg_policy_encapsulate(const struct chaosimg_policy *p,
				const struct chaosimg_authority *const *authorities,
				size_t n, const void *context,
				size_t context_len,
				uint8_t key[CHAOSIMG_KEY_SIZE], uint8_t **out,
				size_t *len)
{
	const struct part ctx = { context, context_len };
	struct kem k = { .p = p };
	struct secrets *s;
	unsigned int i;
	int ret = 0;

	for (i = 0; i < p->leaves && !ret; i++) {
		ret = find(&p->leaf[i], authorities, n, &k.of_leaf[i]);
		if (!ret)
			ret = list(&k, k.of_leaf[i]);
	}
	if (!ret)
		ret = make_head(&k);
	if (ret)
		return ret;
	s = secret_alloc(sizeof(*s));
	ret = s ? encapsulate(&k, &ctx, s, key) : -ENOMEM;
	secret_free(s);
	if (ret) {
		free(k.frame);
		return ret;
	}
	*out = k.frame;
	*len = k.len;
	return 0;
}

/* --- reading --------------------------------------------------------------- */

/** struct opened - a ciphertext that is read, and what it takes */
struct opened {
	struct kem k;
	struct chaosimg_policy *policy;
	const uint8_t *seed;	/* the masked one, and the rows behind it */
};

static void opened_free(struct opened *o)
{
	unsigned int i;

	for (i = 0; i < o->k.authorities; i++)
		free((struct chaosimg_authority *)o->k.listed[i]);
	chaosimg_policy_free(o->policy);
}

static int damaged(const char *what)
{
	return fail(EBADMSG, "%s: damaged: %s", where, what);
}

/* One policy has one text: any other is not what was encapsulated. */
static int read_policy(struct abe_reader *in, struct opened *o)
{
	char *text = malloc(POLICY_TEXT_MAX + 1);
	int ret;

	if (!text)
		return fail(ENOMEM, "%s: no memory", where);
	abe_take_text(in, 2, text, POLICY_TEXT_MAX);
	ret = in->bad ? damaged("no policy") :
	      chaosimg_policy_parse(text, &o->policy);
	if (ret == -EINVAL)
		ret = damaged("not a policy");
	if (!ret && strcmp(text, o->policy->text))
		ret = damaged("not a policy in its one form");
	free(text);
	o->k.p = o->policy;
	return ret;
}

static bool is_listed(const struct opened *o, const char *name)
{
	unsigned int i;

	for (i = 0; i < o->k.authorities; i++)
		if (!strcmp(o->k.listed[i]->name, name))
			return true;
	return false;
}

static int read_authorities(struct abe_reader *in, struct opened *o)
{
	unsigned int i, n = abe_take_number(in, 1);
	struct chaosimg_authority *a;
	int ret;

	if (in->bad || !n || n > CHAOSIMG_AUTHORITIES_MAX)
		return damaged("no authorities");
	while (n--) {
		ret = abe_take_public(in, where, &a);
		if (ret)
			return ret;
		if (is_listed(o, a->name)) {
			free(a);
			return damaged("an authority twice");
		}
		o->k.listed[o->k.authorities++] = a;
	}
	for (i = 0; i < o->policy->leaves; i++) {
		ret = find(&o->policy->leaf[i], o->k.listed, o->k.authorities,
			   &o->k.of_leaf[i]);
		if (ret)
			return damaged("an authority is missing");
	}
	return 0;
}

static int read_ciphertext(const uint8_t *bytes, size_t len, struct opened *o)
{
	struct abe_reader in;
	int ret = abe_open(where, ABE_FILE_CIPHERTEXT, bytes, len, &in);

	if (!ret)
		ret = read_policy(&in, o);
	if (!ret)
		ret = read_authorities(&in, o);
	if (ret)
		return ret;
	o->seed = in.at;
	if (in.left != ABE_SEED + o->policy->leaves * (size_t)ABE_ROW)
		return damaged("wrong length");
	o->k.frame = (uint8_t *)bytes;
	o->k.len = len;
	o->k.head = (size_t)(o->seed - bytes);
	return 0;
}

int chaosimg_policy_of(const uint8_t *in, size_t len,
		       struct chaosimg_policy **out)
{
	struct opened o = { .policy = NULL };
	int ret = read_ciphertext(in, len, &o);

	if (!ret) {
		*out = o.policy;
		o.policy = NULL;
	}
	opened_free(&o);
	return ret;
}

int policy_peek(const uint8_t *bytes, size_t len, struct chaosimg_policy **out)
{
	struct opened o = { .policy = NULL };
	struct abe_reader in;
	int ret = abe_open(where, ABE_FILE_CIPHERTEXT, bytes, len, &in);

	if (!ret)
		ret = read_policy(&in, &o);
	if (ret)
		opened_free(&o);
	else
		*out = o.policy;
	return ret;
}

int policy_head(const uint8_t *in, size_t len, size_t *head)
{
	struct opened o = { .policy = NULL };
	int ret = read_ciphertext(in, len, &o);

	*head = o.k.head;
	opened_free(&o);
	return ret;
}

/* --- decapsulating --------------------------------------------------------- */

/* The user's key for a leaf: by the same authority, not by one of its name. */
static const struct abe_attribute *
key_for(const struct chaosimg_user *u, const struct opened *o, unsigned int i)
{
	unsigned int j;

	for (j = 0; j < u->attributes; j++) {
		const struct abe_attribute *a = &u->attribute[j];

		if (!strcmp(a->name, o->policy->leaf[i].name) &&
		    !memcmp(u->authority[a->authority]->id,
			    o->k.of_leaf[i]->id, ABE_ID))
			return a;
	}
	return NULL;
}

static int unmask(const struct chaosimg_user *u, struct opened *o,
		  struct secrets *s)
{
	bool have[POLICY_LEAVES_MAX];
	struct share_plan plan;
	unsigned int i, leaves = o->policy->leaves;
	int ret;

	for (i = 0; i < leaves; i++) {
		o->k.key[i] = key_for(u, o, i);
		have[i] = o->k.key[i];
	}
	if (!share_select(o->policy, have, &plan))
		return fail(EACCES, "%s: %s has not the attributes for it",
			    where, u->name);
	ret = abe_unmask(u, o->k.key, &plan, leaves, o->seed + ABE_SEED, s->gt);
	if (!ret)
		ret = draw_mask(&o->k, s);
	for (i = 0; i < ABE_SEED && !ret; i++)
		s->seed[i] = o->seed[i] ^ s->mask[i];
	return ret;
}

static int decapsulate(const struct chaosimg_user *u, struct opened *o,
		       const struct part *context, struct secrets *s,
		       uint8_t key[CHAOSIMG_KEY_SIZE])
{
	size_t len = ABE_SEED + o->policy->leaves * (size_t)ABE_ROW;
	uint8_t *again;
	int ret = unmask(u, o, s);

	if (ret)
		return ret;
	again = malloc(len);
	if (!again)
		return fail(ENOMEM, "%s: no memory", where);
	ret = encrypt(&o->k, context, s, again);
	if (!ret && CRYPTO_memcmp(again, o->seed, len))
		ret = fail(EBADMSG, "%s: damaged, or of another context",
			   where);
	/* Of a ciphertext that was refused, it would tell what it hides. */
	OPENSSL_clear_free(again, len);
	return ret ? ret : derive_key(&o->k, context, s, key);
}

int chaosimg_policy_decapsulate(const struct chaosimg_user *u,
				const uint8_t *in, size_t len,
				const void *context, size_t context_len,
				uint8_t key[CHAOSIMG_KEY_SIZE])
{
	const struct part ctx = { context, context_len };
	struct opened o = { .policy = NULL };
	struct secrets *s;
	int ret = read_ciphertext(in, len, &o);

	memset(key, 0, CHAOSIMG_KEY_SIZE);
	if (!ret) {
		s = secret_alloc(sizeof(*s));
		ret = s ? decapsulate(u, &o, &ctx, s, key) : -ENOMEM;
		secret_free(s);
	}
	if (ret)
		OPENSSL_cleanse(key, CHAOSIMG_KEY_SIZE);
	opened_free(&o);
	return ret;
}
