// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The groups of BLS12-381, over blst.
 *
 * All arithmetic of fields and curves is blst's. Of its multiplications by a
 * scalar only blst_p1_mult() and blst_p2_mult() are used, which run in constant
 * time; those for many points at once (Pippenger's) do not. It has no powers in
 * the target group: these are put together here from its multiplication,
 * squaring and Frobenius map.
 */
#include <errno.h>
#include <pthread.h>
#include <string.h>

#include <openssl/crypto.h>

#include "abe_group.h"
#include "archive.h"
#include "bytes.h"
#include "error.h"

#define SCALAR_BITS	255

/* --- scalars --------------------------------------------------------------- */

void scalar_from_wide(blst_fr *out, const uint8_t in[ABE_WIDE])
{
	blst_scalar s;

	blst_scalar_from_be_bytes(&s, in, ABE_WIDE);
	blst_fr_from_scalar(out, &s);
	OPENSSL_cleanse(&s, sizeof(s));
}

int scalar_random(blst_fr *out)
{
	uint8_t wide[ABE_WIDE];
	int ret = random_bytes(wide, sizeof(wide));

	if (!ret)
		scalar_from_wide(out, wide);
	OPENSSL_cleanse(wide, sizeof(wide));
	return ret;
}

void scalar_small(blst_fr *out, uint32_t value)
{
	const uint64_t words[4] = { value };

	blst_fr_from_uint64(out, words);
}

void scalar_write(uint8_t out[ABE_SCALAR], const blst_fr *in)
{
	blst_scalar s;

	blst_scalar_from_fr(&s, in);
	blst_bendian_from_scalar(out, &s);
	OPENSSL_cleanse(&s, sizeof(s));
}

bool scalar_read(blst_fr *out, const uint8_t in[ABE_SCALAR])
{
	blst_scalar s;
	bool ok;

	blst_scalar_from_bendian(&s, in);
	ok = blst_scalar_fr_check(&s);
	if (ok)
		blst_fr_from_scalar(out, &s);
	OPENSSL_cleanse(&s, sizeof(s));
	return ok;
}

/* --- the two curves -------------------------------------------------------- */

void g1_times(blst_p1 *out, const blst_p1 *p, const blst_fr *k)
{
	blst_scalar s;

	blst_scalar_from_fr(&s, k);
	blst_p1_mult(out, p, s.b, SCALAR_BITS);
	OPENSSL_cleanse(&s, sizeof(s));
}

static unsigned int bits(uint64_t k)
{
	return 64 - (unsigned int)__builtin_clzll(k);
}

static uint64_t magnitude(int64_t k)
{
	return k < 0 ? -(uint64_t)k : (uint64_t)k;
}

void g1_times_small(blst_p1 *out, const blst_p1 *p, int64_t k)
{
	uint8_t le[8];

	put_le64(le, magnitude(k));
	if (magnitude(k) == 1)
		*out = *p;
	else
		blst_p1_mult(out, p, le, bits(magnitude(k)));
	blst_p1_cneg(out, k < 0);
}

void g2_times(blst_p2 *out, const blst_p2 *p, const blst_fr *k)
{
	blst_scalar s;

	blst_scalar_from_fr(&s, k);
	blst_p2_mult(out, p, s.b, SCALAR_BITS);
	OPENSSL_cleanse(&s, sizeof(s));
}

void g1_write(uint8_t out[ABE_G1], const blst_p1 *p)
{
	blst_p1_compress(out, p);
}

void g2_write(uint8_t out[ABE_G2], const blst_p2 *p)
{
	blst_p2_compress(out, p);
}

/* Whatever blst may be lenient about: there is one form of a point. */
bool g1_read(blst_p1_affine *out, const uint8_t in[ABE_G1])
{
	uint8_t again[ABE_G1];
	bool ok;

	if (blst_p1_uncompress(out, in) != BLST_SUCCESS ||
	    blst_p1_affine_is_inf(out) || !blst_p1_affine_in_g1(out))
		return false;
	blst_p1_affine_compress(again, out);
	ok = !CRYPTO_memcmp(again, in, sizeof(again));
	OPENSSL_cleanse(again, sizeof(again));
	return ok;
}

bool g2_read(blst_p2_affine *out, const uint8_t in[ABE_G2])
{
	uint8_t again[ABE_G2];
	bool ok;

	if (blst_p2_uncompress(out, in) != BLST_SUCCESS ||
	    blst_p2_affine_is_inf(out) || !blst_p2_affine_in_g2(out))
		return false;
	blst_p2_affine_compress(again, out);
	ok = !CRYPTO_memcmp(again, in, sizeof(again));
	OPENSSL_cleanse(again, sizeof(again));
	return ok;
}

void g2_hash(blst_p2 *out, const char *dst, const void *msg, size_t len)
{
	blst_hash_to_g2(out, msg, len, (const uint8_t *)dst, strlen(dst),
			NULL, 0);
}

/* --- the target group ------------------------------------------------------ */

enum { COORDINATES = 12, COORDINATE = ABE_GT / COORDINATES };

static blst_fp *coordinate(blst_fp12 *f, int i)
{
	return &f->fp6[i / 6].fp2[i / 2 % 3].fp[i % 2];
}

void gt_write(uint8_t out[ABE_GT], const blst_fp12 *f)
{
	blst_fp12 copy = *f;
	int i;

	for (i = 0; i < COORDINATES; i++)
		blst_bendian_from_fp(out + i * COORDINATE,
				     coordinate(&copy, i));
	OPENSSL_cleanse(&copy, sizeof(copy));
}

bool gt_read(blst_fp12 *out, const uint8_t in[ABE_GT])
{
	uint8_t again[ABE_GT];
	int i;

	for (i = 0; i < COORDINATES; i++)
		blst_fp_from_bendian(coordinate(out, i), in + i * COORDINATE);
	gt_write(again, out);
	return !memcmp(again, in, ABE_GT) && blst_fp12_in_group(out) &&
	       !blst_fp12_is_one(out);
}

/*
 * A power with a quarter of the squarings (after Galbraith and Scott, "Exponen-
 * tiation in pairing-friendly groups using homomorphisms", Pairing 2008): in
 * this group the Frobenius map raises to the power of the curve's parameter,
 * -Z. So an exponent is written in base Z, as four digits of 64 bits, and the
 * four powers of the base that belong to them are had for nearly nothing.
 */
#define Z	0xd201000000010000u
enum { DIGITS = 4, DIGIT_BITS = 64 };

/*
 * One bit after another: a division instruction's time may tell its operands.
 * @n, least significant word first, becomes the quotient.
 */
static uint64_t divide(uint64_t n[4])
{
	unsigned __int128 rest = 0, less;
	int i;

	for (i = 255; i >= 0; i--) {
		uint64_t bit = n[i / 64] >> (i % 64) & 1, fits;

		rest = rest << 1 | bit;
		less = rest - Z;
		/* No borrow: it fits. */
		fits = ~(uint64_t)(less >> 127) & 1;
		rest -= Z & -fits;
		n[i / 64] ^= (bit ^ fits) << (i % 64);
	}
	return (uint64_t)rest;
}

static void split(uint64_t digit[DIGITS], const blst_fr *k)
{
	uint64_t n[4];
	int i;

	blst_uint64_from_fr(n, k);
	for (i = 0; i < DIGITS - 1; i++)
		digit[i] = divide(n);
	digit[i] = n[0];
	OPENSSL_cleanse(n, sizeof(n));
}

void gt_base(struct gt_base *out, const blst_fp12 *f)
{
	int i;

	out->of[0] = *blst_fp12_one();
	out->of[1] = *f;
	for (i = 1; i < DIGITS; i++) {
		blst_fp12_frobenius_map(&out->of[1 << i], f, (size_t)i);
		if (i % 2)
			blst_fp12_conjugate(&out->of[1 << i]);
	}
	/* Any other index: its highest bit's, times that of the rest. */
	for (i = 3; i < 16; i++) {
		int high = i & 8 ? 8 : i & 4 ? 4 : 2;

		if (i != high)
			blst_fp12_mul(&out->of[i], &out->of[high],
				      &out->of[i - high]);
	}
}

static unsigned int column(const uint64_t digit[DIGITS], int bit)
{
	unsigned int i, index = 0;

	for (i = 0; i < DIGITS; i++)
		index |= (unsigned int)(digit[i] >> bit & 1) << i;
	return index;
}

/* Looks at all of them, so that the cache learns nothing. */
static void pick(blst_fp12 *out, const struct gt_base *base, unsigned int index)
{
	/* Two words at once, of which each compiler makes what there is. */
	typedef uint64_t pair __attribute__((vector_size(16), aligned(8),
					      may_alias));
	enum { PAIRS = sizeof(blst_fp12) / sizeof(pair) };
	const pair *from = (const pair *)base->of;
	pair *to = (pair *)out, mask[16];
	unsigned int i, j;

	for (i = 0; i < 16; i++) {
		/* All ones if i is the index, else 0. */
		uint64_t m = -(uint64_t)(((i ^ index) - 1u) >> 31);

		mask[i] = (pair){ m, m };
	}
	for (j = 0; j < PAIRS; j++) {
		pair sum = { 0, 0 };

		for (i = 0; i < 16; i++)
			sum |= from[i * PAIRS + j] & mask[i];
		to[j] = sum;
	}
}

void gt_power(blst_fp12 *out, const struct gt_base *a, const blst_fr *x,
	      const struct gt_base *b, const blst_fr *y)
{
	uint64_t digit[2][DIGITS];
	blst_fp12 power = *blst_fp12_one(), factor;
	int bit;

	split(digit[0], x);
	if (b)
		split(digit[1], y);
	for (bit = DIGIT_BITS - 1; bit >= 0; bit--) {
		blst_fp12_cyclotomic_sqr(&power, &power);
		pick(&factor, a, column(digit[0], bit));
		blst_fp12_mul(&power, &power, &factor);
		if (!b)
			continue;
		pick(&factor, b, column(digit[1], bit));
		blst_fp12_mul(&power, &power, &factor);
	}
	*out = power;
	OPENSSL_cleanse(digit, sizeof(digit));
	OPENSSL_cleanse(&power, sizeof(power));
	OPENSSL_cleanse(&factor, sizeof(factor));
}

void gt_power_small(blst_fp12 *out, const blst_fp12 *f, int64_t k)
{
	uint64_t n = magnitude(k);
	blst_fp12 power = *f;
	unsigned int bit;

	for (bit = bits(n) - 1; bit--;) {
		blst_fp12_cyclotomic_sqr(&power, &power);
		if (n >> bit & 1)
			blst_fp12_mul(&power, &power, f);
	}
	if (k < 0)
		blst_fp12_conjugate(&power);
	*out = power;
}

static struct gt_base generator;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void init_generator(void)
{
	blst_fp12 f;

	blst_miller_loop(&f, &BLS12_381_G2, &BLS12_381_G1);
	blst_final_exp(&f, &f);
	gt_base(&generator, &f);
}

const struct gt_base *gt_generator(void)
{
	pthread_once(&once, init_generator);
	return &generator;
}

/* --- pairings -------------------------------------------------------------- */

int gt_product_begin(struct gt_product *product)
{
	/* It collects points, and multiplies them out some at a time. */
	product->any = false;
	product->ctx = secret_alloc(blst_pairing_sizeof());
	if (!product->ctx)
		return -ENOMEM;
	blst_pairing_init(product->ctx, true, NULL, 0);
	return 0;
}

void gt_product_add(struct gt_product *product, const blst_p1 *p,
		    const blst_p2_affine *q)
{
	blst_p1_affine affine;

	/* Zero's pairings are 1; blst's loop is not made for it. */
	if (blst_p1_is_inf(p))
		return;
	blst_p1_to_affine(&affine, p);
	blst_pairing_raw_aggregate(product->ctx, q, &affine);
	product->any = true;
	OPENSSL_cleanse(&affine, sizeof(affine));
}

void gt_product_loops(struct gt_product *product)
{
	if (product->any)
		blst_pairing_commit(product->ctx);
}

void gt_product_end(struct gt_product *product, size_t n, blst_fp12 *out)
{
	blst_fp12 all = *blst_fp12_one();
	size_t i;

	for (i = 0; i < n; i++) {
		if (product[i].any)
			blst_fp12_mul(&all, &all,
				      blst_pairing_as_fp12(product[i].ctx));
		secret_free(product[i].ctx);
		product[i].ctx = NULL;
	}
	blst_final_exp(out, &all);
	OPENSSL_cleanse(&all, sizeof(all));
}
