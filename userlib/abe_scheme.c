// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Yannis Rouselakis and Brent Waters: Efficient Statically-Secure Large-
 * Universe Multi-Authority Attribute-Based Encryption. Financial Cryptography
 * 2015, section 4. In asymmetric groups: what is hashed, and what has to be in
 * the same group with it, is in G2, all else in G1.
 *
 *	authority	alpha, y	E = e(g1, g2)^alpha, Y = g1 y
 *	attribute	K = g2 alpha + H(user) y + F(attribute) t, L = g1 t
 *	ciphertext	C1 = e(g1, g2)^lambda E^t, C2 = -g1 t,
 *	  of a leaf	C3 = Y t + g1 omega, C4 = F(attribute) t
 *	opening		C1 e(C2, K) e(C3, H(user)) e(L, C4)
 *				= e(g1, g2)^lambda e(g1, H(user))^omega
 *
 * where lambda and omega are the leaf's shares of a secret z and of 0.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

#include "abe.h"
#include "archive.h"
#include "error.h"

#define SUITE		"_BLS12381G2_XMD:SHA-256_SSWU_RO_"
#define DST_USER	"CHAOSIMG-ABE-V1-USER" SUITE
#define DST_ATTRIBUTE	"CHAOSIMG-ABE-V1-ATTRIBUTE" SUITE

void abe_hash_user(blst_p2_affine *out, const char *user)
{
	blst_p2 p;

	g2_hash(&p, DST_USER, user, strlen(user));
	blst_p2_to_affine(out, &p);
}

/* Of an authority by its id: whoever takes its name is another one. */
void abe_hash_attribute(blst_p2_affine *out, const uint8_t authority[ABE_ID],
			const char *name)
{
	uint8_t msg[ABE_ID + CHAOSIMG_ATTRIBUTE_MAX];
	size_t len = strcspn(name, "@");
	blst_p2 p;

	memcpy(msg, authority, ABE_ID);
	memcpy(msg + ABE_ID, name, len);
	g2_hash(&p, DST_ATTRIBUTE, msg, ABE_ID + len);
	blst_p2_to_affine(out, &p);
}

/* --- keys ------------------------------------------------------------------ */

void abe_public_key(const struct abe_secret *secret,
		    struct chaosimg_authority *out)
{
	memcpy(out->name, secret->name, sizeof(out->name));
	gt_power(&out->E, gt_generator(), &secret->alpha, NULL, NULL);
	g1_times(&out->Y, blst_p1_generator(), &secret->y);
	gt_write(out->bytes, &out->E);
	g1_write(out->bytes + ABE_GT, &out->Y);
}

int abe_attribute_key(const struct abe_secret *secret,
		      const blst_p2_affine *user, struct abe_attribute *out)
{
	blst_p2 sum, part;
	blst_p1 l;
	blst_fr t;
	int ret = scalar_random(&t);

	if (ret)
		return ret;
	g2_times(&sum, blst_p2_generator(), &secret->alpha);
	blst_p2_from_affine(&part, user);
	g2_times(&part, &part, &secret->y);
	blst_p2_add_or_double(&sum, &sum, &part);
	blst_p2_from_affine(&part, &out->F);
	g2_times(&part, &part, &t);
	blst_p2_add_or_double(&sum, &sum, &part);
	blst_p2_to_affine(&out->K, &sum);
	g1_times(&l, blst_p1_generator(), &t);
	blst_p1_to_affine(&out->L, &l);
	OPENSSL_cleanse(&l, sizeof(l));
	OPENSSL_cleanse(&t, sizeof(t));
	OPENSSL_cleanse(&sum, sizeof(sum));
	OPENSSL_cleanse(&part, sizeof(part));
	return 0;
}

/* e(g1, K) = E e(Y, H(user)) e(L, F(attribute)) */
bool abe_attribute_ok(const struct chaosimg_authority *a,
		      const blst_p2_affine *user,
		      const struct abe_attribute *attribute)
{
	struct gt_product product;
	blst_p1 minus = *blst_p1_generator(), l;
	blst_fp12 rest;

	if (gt_product_begin(&product))
		return false;
	blst_p1_cneg(&minus, true);
	blst_p1_from_affine(&l, &attribute->L);
	gt_product_add(&product, &minus, &attribute->K);
	gt_product_add(&product, &a->Y, user);
	gt_product_add(&product, &l, &attribute->F);
	gt_product_end(&product, 1, &rest);
	OPENSSL_cleanse(&l, sizeof(l));
	blst_fp12_mul(&rest, &rest, &a->E);
	return blst_fp12_is_one(&rest);
}

/* --- encrypting ------------------------------------------------------------ */

static void row(const struct chaosimg_authority *a, const struct gt_base *E,
		const blst_p2_affine *F, const struct abe_coins *coins,
		unsigned int i, uint8_t out[ABE_ROW])
{
	blst_fp12 c1;
	blst_p1 c, part;
	blst_p2 c4;

	gt_power(&c1, gt_generator(), &coins->lambda[i], E, &coins->t[i]);
	gt_write(out, &c1);
	g1_times(&c, blst_p1_generator(), &coins->t[i]);
	blst_p1_cneg(&c, true);
	g1_write(out + ABE_GT, &c);
	g1_times(&c, &a->Y, &coins->t[i]);
	g1_times(&part, blst_p1_generator(), &coins->omega[i]);
	blst_p1_add_or_double(&c, &c, &part);
	g1_write(out + ABE_GT + ABE_G1, &c);
	OPENSSL_cleanse(&part, sizeof(part));
	blst_p2_from_affine(&c4, F);
	g2_times(&c4, &c4, &coins->t[i]);
	g2_write(out + ABE_GT + 2 * ABE_G1, &c4);
}

/** struct encrypting - rows that are being made */
struct encrypting {
	const struct chaosimg_policy *p;
	const struct chaosimg_authority *const *authority;
	const struct abe_attribute *const *key;
	const struct abe_coins *coins;
	struct gt_base *bases;	/* one for each authority, at its first leaf */
	unsigned int workers;
	uint8_t *out;
};

static unsigned int first_of(const struct encrypting *e, unsigned int i)
{
	unsigned int j = 0;

	while (e->authority[j] != e->authority[i])
		j++;
	return j;
}

static void encrypt_rows(void *arg, unsigned int worker)
{
	const struct encrypting *e = arg;
	blst_p2_affine F;
	unsigned int i;

	for (i = worker; i < e->p->leaves; i += e->workers) {
		if (e->key[i])
			F = e->key[i]->F;
		else
			abe_hash_attribute(&F, e->authority[i]->id,
					   e->p->leaf[i].name);
		row(e->authority[i], &e->bases[first_of(e, i)], &F, e->coins,
		    i, e->out + i * ABE_ROW);
	}
}

int abe_rows(const struct chaosimg_policy *p,
	     const struct chaosimg_authority *const *authority,
	     const struct abe_attribute *const *key,
	     const struct abe_coins *coins, uint8_t *out)
{
	struct encrypting e = {
		.p = p, .authority = authority, .key = key, .coins = coins,
		.bases = malloc(p->leaves * sizeof(*e.bases)),
		.workers = abe_workers(p->leaves), .out = out,
	};
	unsigned int i;

	if (!e.bases)
		return fail(ENOMEM, "attribute-based encryption: no memory");
	for (i = 0; i < p->leaves; i++)
		if (first_of(&e, i) == i)
			gt_base(&e.bases[i], &authority[i]->E);
	abe_parallel(e.workers, encrypt_rows, &e);
	free(e.bases);
	return 0;
}

void abe_mask(const blst_fr *z, uint8_t out[ABE_GT])
{
	blst_fp12 f;

	gt_power(&f, gt_generator(), z, NULL, NULL);
	gt_write(out, &f);
	OPENSSL_cleanse(&f, sizeof(f));
}

/* --- decrypting ------------------------------------------------------------ */

/**
 * struct decrypting - rows that are being opened
 * @key: for each leaf, the user's
 * @plan: how each leaf is used
 * @leaves: how many
 * @rows: the ciphertext's
 * @workers: how many open them
 * @pairings: each worker's, of its leaves
 * @part: each worker's
 */
struct decrypting {
	const struct abe_attribute *const *key;
	const struct share_plan *plan;
	unsigned int leaves;
	const uint8_t *rows;
	unsigned int workers;
	struct gt_product pairings[ABE_WORKERS_MAX];
	struct opening {
		blst_fp12 c1;	/* the product of its C1 */
		blst_p1 c3;	/* the sum of its C3 */
		bool damaged;
	} part[ABE_WORKERS_MAX];
};

/*
 * To the power of the leaf's coefficient, which is no secret: on the side where
 * that is cheap, and if the coefficient is a small number, cheaper.
 */
static void weigh(blst_p1 *p, const blst_p1_affine *from,
		  const struct share_use *use)
{
	blst_p1_from_affine(p, from);
	if (use->small)
		g1_times_small(p, p, use->small);
	else
		g1_times(p, p, &use->coefficient);
}

static void weigh_c1(blst_fp12 *f, const struct share_use *use)
{
	struct gt_base base;

	if (use->small) {
		gt_power_small(f, f, use->small);
		return;
	}
	gt_base(&base, f);
	gt_power(f, &base, &use->coefficient, NULL, NULL);
}

static void open_row(struct opening *o, struct gt_product *pairings,
		     const struct abe_attribute *key,
		     const struct share_use *use, const uint8_t *in)
{
	blst_p1_affine c2, c3;
	blst_p2_affine c4;
	blst_fp12 c1;
	blst_p1 p;

	if (!gt_read(&c1, in) || !g1_read(&c2, in + ABE_GT) ||
	    !g1_read(&c3, in + ABE_GT + ABE_G1) ||
	    !g2_read(&c4, in + ABE_GT + 2 * ABE_G1)) {
		o->damaged = true;
		return;
	}
	weigh_c1(&c1, use);
	blst_fp12_mul(&o->c1, &o->c1, &c1);
	weigh(&p, &c2, use);
	gt_product_add(pairings, &p, &key->K);
	weigh(&p, &key->L, use);
	gt_product_add(pairings, &p, &c4);
	OPENSSL_cleanse(&p, sizeof(p));
	weigh(&p, &c3, use);
	blst_p1_add_or_double(&o->c3, &o->c3, &p);
}

/* Of the leaves that are used, every so many. */
static void open_rows(void *arg, unsigned int worker)
{
	struct decrypting *d = arg;
	unsigned int i, n = 0;

	d->part[worker].c1 = *blst_fp12_one();
	for (i = 0; i < d->leaves; i++)
		if (d->plan->leaf[i].used && n++ % d->workers == worker)
			open_row(&d->part[worker], &d->pairings[worker],
				 d->key[i], &d->plan->leaf[i],
				 d->rows + i * ABE_ROW);
	gt_product_loops(&d->pairings[worker]);
}

/* @out receives the product of all leaves. */
static int gather(struct decrypting *d, const blst_p2_affine *user,
		  blst_fp12 *out)
{
	blst_p1 c3 = { .z = { { 0 } } };
	bool damaged = false;
	unsigned int i;

	for (i = 0; i < d->workers; i++) {
		blst_p1_add_or_double(&c3, &c3, &d->part[i].c3);
		damaged |= d->part[i].damaged;
	}
	gt_product_add(&d->pairings[0], &c3, user);
	gt_product_end(d->pairings, d->workers, out);
	for (i = 0; i < d->workers; i++)
		blst_fp12_mul(out, out, &d->part[i].c1);
	return damaged ? fail(EBADMSG, "damaged ciphertext: not a point of the group")
		       : 0;
}

static int decrypt_rows(struct decrypting *d, const blst_p2_affine *user,
			blst_fp12 *out)
{
	unsigned int i, used = 0;
	int ret = 0;

	for (i = 0; i < d->leaves; i++)
		used += d->plan->leaf[i].used;
	d->workers = abe_workers(used);
	for (i = 0; i < d->workers && !ret; i++)
		ret = gt_product_begin(&d->pairings[i]);
	if (ret) {
		gt_product_end(d->pairings, d->workers, out);
		return ret;
	}
	abe_parallel(d->workers, open_rows, d);
	return gather(d, user, out);
}

int abe_unmask(const struct chaosimg_user *u,
	       const struct abe_attribute *const *key,
	       const struct share_plan *plan, unsigned int leaves,
	       const uint8_t *rows, uint8_t out[ABE_GT])
{
	struct decrypting d = {
		.key = key, .plan = plan, .leaves = leaves, .rows = rows,
	};
	struct gt_base base;
	blst_fp12 all;
	int ret = decrypt_rows(&d, &u->hash, &all);

	if (!ret && !plan->whole) {
		gt_base(&base, &all);
		gt_power(&all, &base, &plan->scale, NULL, NULL);
		OPENSSL_cleanse(&base, sizeof(base));
	}
	if (!ret)
		gt_write(out, &all);
	OPENSSL_cleanse(&all, sizeof(all));
	OPENSSL_cleanse(&d, sizeof(d));
	return ret;
}
