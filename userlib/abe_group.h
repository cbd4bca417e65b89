/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The groups of BLS12-381 as attribute-based encryption needs them, over blst:
 * bytes in and out with every check, hashing, powers in the target group, and
 * products of pairings.
 *
 * Scalars may be secret: whatever takes one here runs in constant time.
 */
#ifndef CHAOSIMG_ABE_GROUP_H
#define CHAOSIMG_ABE_GROUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <blst.h>

enum {
	ABE_SCALAR = 32,	/* big-endian, below the groups' order */
	ABE_G1 = 48,		/* compressed, as Zcash does it */
	ABE_G2 = 96,
	ABE_GT = 576,		/* twelve coordinates, big-endian */
	ABE_WIDE = 48,		/* uniform bytes that make a uniform scalar */
};

/** scalar_from_wide() - reduce ABE_WIDE uniform bytes: a bias below 2^-128 */
void scalar_from_wide(blst_fr *out, const uint8_t in[ABE_WIDE]);

/** scalar_random() - a fresh one. Return: 0, -ENOMEM or -EIO */
int scalar_random(blst_fr *out);

/** scalar_small() - a small number */
void scalar_small(blst_fr *out, uint32_t value);

/** scalar_write() - to ABE_SCALAR bytes */
void scalar_write(uint8_t out[ABE_SCALAR], const blst_fr *in);

/** scalar_read() - Return: is it below the order? */
bool scalar_read(blst_fr *out, const uint8_t in[ABE_SCALAR]);

/** g1_times() - @p times @k */
void g1_times(blst_p1 *out, const blst_p1 *p, const blst_fr *k);

/** g1_times_small() - the same for a number that is no secret, nor 0 */
void g1_times_small(blst_p1 *out, const blst_p1 *p, int64_t k);

/** g2_times() - @p times @k */
void g2_times(blst_p2 *out, const blst_p2 *p, const blst_fr *k);

/** g1_write() - to ABE_G1 bytes */
void g1_write(uint8_t out[ABE_G1], const blst_p1 *p);

/** g2_write() - to ABE_G2 bytes */
void g2_write(uint8_t out[ABE_G2], const blst_p2 *p);

/** g1_read() - Return: are these the one form of a point of G1, not its zero? */
bool g1_read(blst_p1_affine *out, const uint8_t in[ABE_G1]);

/** g2_read() - the same for G2 */
bool g2_read(blst_p2_affine *out, const uint8_t in[ABE_G2]);

/**
 * g2_hash() - hash_to_curve of RFC 9380
 * @out: receives a point whose logarithm nobody knows
 * @dst: the domain separation tag
 * @msg: @len bytes
 * @len: length of @msg
 */
void g2_hash(blst_p2 *out, const char *dst, const void *msg, size_t len);

/** gt_write() - to ABE_GT bytes */
void gt_write(uint8_t out[ABE_GT], const blst_fp12 *f);

/** gt_read() - Return: is it the one form of a member of the group, not 1? */
bool gt_read(blst_fp12 *out, const uint8_t in[ABE_GT]);

/** struct gt_base - what gt_power() needs of a base; made by gt_base() */
struct gt_base {
	blst_fp12 of[16];
};

/** gt_base() - prepare a member of the group as a base */
void gt_base(struct gt_base *out, const blst_fp12 *f);

/** gt_generator() - the base e(G1's generator, G2's generator) */
const struct gt_base *gt_generator(void);

/**
 * gt_power() - @a to the power @x, times @b to the power @y
 * @out: receives it
 * @a: a base
 * @x: its power
 * @b: another base, or NULL
 * @y: its power
 */
void gt_power(blst_fp12 *out, const struct gt_base *a, const blst_fr *x,
	      const struct gt_base *b, const blst_fr *y);

/** gt_power_small() - to a power that is no secret, nor 0 */
void gt_power_small(blst_fp12 *out, const blst_fp12 *f, int64_t k);

/**
 * struct gt_product - a product of pairings, with one final exponentiation
 * @ctx: blst's
 * @any: is there a factor? Without any, @ctx has no value
 */
struct gt_product {
	blst_pairing *ctx;
	bool any;
};

/** gt_product_begin() - Return: 0 or -ENOMEM */
int gt_product_begin(struct gt_product *product);

/** gt_product_add() - times e(@p, @q) */
void gt_product_add(struct gt_product *product, const blst_p1 *p,
		    const blst_p2_affine *q);

/** gt_product_loops() - do what can be done of the work before the end */
void gt_product_loops(struct gt_product *product);

/**
 * gt_product_end() - multiply products
 * @product: @n of them, all with a context or NULL; all that is in them is wiped
 * @n: how many
 * @out: receives what they are together
 */
void gt_product_end(struct gt_product *product, size_t n, blst_fp12 *out);

#endif
