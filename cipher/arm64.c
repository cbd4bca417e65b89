// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The implementation for 64-bit ARM with AES and PMULL. A matrix is two
 * 16-entry tbl look-ups in registers, made afresh for each image. AESE xors its
 * two operands before all else, and so adds up the halves of the matrix'
 * result; MixColumns and the round key follow.
 */
#include "cipher.h"

#ifdef CHAOSIMG_ARM64

#include <arm_neon.h>

enum {
	WIDE = 8,		/* blocks in flight in XCTR */
	STRIDE = 8,		/* blocks for one reduction in POLYVAL */
};

_Static_assert(2 * STRIDE <= CHAOSIMG_HPOWERS, "room in the key");

CHAOSIMG_INLINE uint8x16_t load(const u8 *p)
{
	return vld1q_u8(p);
}

CHAOSIMG_INLINE void store(u8 *p, uint8x16_t x)
{
	vst1q_u8(p, x);
}

CHAOSIMG_INLINE uint8x16_t words(u64 lo, u64 hi)
{
	return vreinterpretq_u8_u64(vcombine_u64(vcreate_u64(lo),
						 vcreate_u64(hi)));
}

static void arm64_set_rounds(struct chaosimg_cipher_key *key,
			     enum chaosimg_schedule which, const u8 k[32])
{
	chaosimg_aes256_expand(key->u.v.rk[which], k);
}

/* --- AES ---------------------------------------------------------------- */

static void arm64_aes(const struct chaosimg_cipher_key *key,
		      enum chaosimg_schedule which, u8 *dst, const u8 *src,
		      size_t blocks)
{
	const u8 (*rk)[CHAOSIMG_BLOCK] = key->u.v.rk[which];
	uint8x16_t s;
	int r;

	for (; blocks; blocks--) {
		s = load(src);
		for (r = 0; r < CHAOSIMG_ROUNDS - 1; r++)
			s = vaesmcq_u8(vaeseq_u8(s, load(rk[r])));
		s = vaeseq_u8(s, load(rk[CHAOSIMG_ROUNDS - 1]));
		store(dst, s ^ load(rk[CHAOSIMG_ROUNDS]));
		src += CHAOSIMG_BLOCK;
		dst += CHAOSIMG_BLOCK;
	}
}

/* --- matrices as look-ups ----------------------------------------------- */

/* What the matrix (by rows) makes of 0..15, and of 0x00, 0x10, .., 0xf0. */
CHAOSIMG_INLINE void look_ups(u8 table[2][16], u64 rows)
{
	const uint8x16_t index = words(0x0706050403020100ULL,
				       0x0F0E0D0C0B0A0908ULL);
	const u64 cols = transposed_8x8(rows);
	uint8x16_t lo = vdupq_n_u8(0), hi = lo, has_bit;
	int j;

#pragma GCC unroll 4
	for (j = 0; j < 4; j++) {
		has_bit = vtstq_u8(index, vdupq_n_u8((u8)(1 << j)));
		lo ^= has_bit & vdupq_n_u8((u8)(cols >> 8 * j));
		hi ^= has_bit & vdupq_n_u8((u8)(cols >> 8 * (j + 4)));
	}
	store(table[0], lo);
	store(table[1], hi);
}

static void arm64_set_image(struct chaosimg_image *image)
{
	int r;

	for (r = 0; r < CHAOSIMG_ROUNDS; r++)
		look_ups(image->u.nibble[r], chaosimg_matrix(image->lu[r]));
}

/* ShiftRows(SubBytes(A*s)) */
CHAOSIMG_INLINE uint8x16_t substitute(uint8x16_t s, uint8x16_t lo,
				      uint8x16_t hi)
{
	return vaeseq_u8(vqtbl1q_u8(lo, s & vdupq_n_u8(15)),
			 vqtbl1q_u8(hi, vshrq_n_u8(s, 4)));
}

/* --- E ------------------------------------------------------------------ */

/* @n blocks at once; @last is the last round key with what is xor-ed after. */
CHAOSIMG_INLINE void encrypt_blocks(const struct chaosimg_cipher_key *key,
				    const struct chaosimg_image *image,
				    uint8x16_t *s, int n, uint8x16_t last)
{
	uint8x16_t lo, hi, k;
	int r, i;

	for (r = 1; r < CHAOSIMG_ROUNDS; r++) {
		lo = load(image->u.nibble[r - 1][0]);
		hi = load(image->u.nibble[r - 1][1]);
		k = load(key->u.v.rk[CHAOSIMG_MAIN][r]);
#pragma GCC unroll 8
		for (i = 0; i < n; i++)
			s[i] = vaesmcq_u8(substitute(s[i], lo, hi)) ^ k;
	}
	lo = load(image->u.nibble[CHAOSIMG_ROUNDS - 1][0]);
	hi = load(image->u.nibble[CHAOSIMG_ROUNDS - 1][1]);
#pragma GCC unroll 8
	for (i = 0; i < n; i++)
		s[i] = substitute(s[i], lo, hi) ^ last;
}

static void arm64_encrypt(const struct chaosimg_cipher_key *key,
			  const struct chaosimg_image *image,
			  u8 dst[CHAOSIMG_BLOCK], const u8 src[CHAOSIMG_BLOCK])
{
	const u8 (*rk)[CHAOSIMG_BLOCK] = key->u.v.rk[CHAOSIMG_MAIN];
	uint8x16_t s = load(src) ^ load(rk[0]);

	encrypt_blocks(key, image, &s, 1, load(rk[CHAOSIMG_ROUNDS]));
	store(dst, s);
}

static void arm64_decrypt(const struct chaosimg_cipher_key *key,
			  const struct chaosimg_image *image,
			  u8 dst[CHAOSIMG_BLOCK], const u8 src[CHAOSIMG_BLOCK])
{
	const u8 (*rk)[CHAOSIMG_BLOCK] = key->u.v.rk[CHAOSIMG_MAIN];
	u8 table[2][16];
	uint8x16_t s = load(src), hi;
	int r;

	for (r = CHAOSIMG_ROUNDS; r > 0; r--) {
		look_ups(table, chaosimg_matrix_inverse(image->lu[r - 1]));
		s ^= load(rk[r]);
		if (r < CHAOSIMG_ROUNDS)
			s = vaesimcq_u8(s);
		s = vaesdq_u8(s, vdupq_n_u8(0));
		hi = vqtbl1q_u8(load(table[1]), vshrq_n_u8(s, 4));
		s = hi ^ vqtbl1q_u8(load(table[0]), s & vdupq_n_u8(15));
	}
	store(dst, s ^ load(rk[0]));
	chaosimg_wipe(table, sizeof(table));
}

/* --- XCTR --------------------------------------------------------------- */

/* Keystream blocks from number @first on. */
CHAOSIMG_INLINE void keystream(const struct chaosimg_cipher_key *key,
			       const struct chaosimg_image *image,
			       uint8x16_t start, u64 first, uint8x16_t last,
			       uint8x16_t *s, int n)
{
	int i;

#pragma GCC unroll 8
	for (i = 0; i < n; i++)
		s[i] = start ^ words(first + (u64)i, 0);
	encrypt_blocks(key, image, s, n, last);
}

static void xctr_tail(const struct chaosimg_cipher_key *key,
		      const struct chaosimg_image *image, uint8x16_t start,
		      u64 first, uint8x16_t last, u8 *dst, const u8 *src,
		      size_t len)
{
	u8 b[16 * WIDE];
	uint8x16_t s[WIDE];
	size_t i;

	if (len <= 16 * WIDE / 2)
		keystream(key, image, start, first, last, s, WIDE / 2);
	else
		keystream(key, image, start, first, last, s, WIDE);
	for (i = 0; i < (len + 15) / 16; i++)
		store(b + 16 * i, s[i]);
	for (i = 0; i + 16 <= len; i += 16)
		store(dst + i, load(src + i) ^ load(b + i));
	for (; i < len; i++)
		dst[i] = src[i] ^ b[i];
	chaosimg_wipe(b, sizeof(b));
	chaosimg_wipe(s, sizeof(s));
}

static void arm64_xctr(const struct chaosimg_cipher_key *key,
		       const struct chaosimg_image *image,
		       const u8 s[CHAOSIMG_BLOCK], u64 first, u8 *dst,
		       const u8 *src, size_t len)
{
	const u8 (*rk)[CHAOSIMG_BLOCK] = key->u.v.rk[CHAOSIMG_MAIN];
	const uint8x16_t start = load(s) ^ load(rk[0]);
	const uint8x16_t last = load(rk[CHAOSIMG_ROUNDS]) ^
		words(image->flip, image->flip);
	uint8x16_t ks[WIDE];
	int i;

	while (len >= 16 * WIDE) {
		keystream(key, image, start, first, last, ks, WIDE);
#pragma GCC unroll 8
		for (i = 0; i < WIDE; i++)
			store(dst + 16 * i, load(src + 16 * i) ^ ks[i]);
		first += WIDE;
		dst += 16 * WIDE;
		src += 16 * WIDE;
		len -= 16 * WIDE;
	}
	if (len)
		xctr_tail(key, image, start, first, last, dst, src, len);
}

/* --- POLYVAL ------------------------------------------------------------ */

/* A sum of products of 256 bits; Karatsuba's middle is still to be settled. */
struct wide {
	uint8x16_t lo, mid, hi;
};

CHAOSIMG_INLINE uint8x16_t multiply_low(uint8x16_t a, uint8x16_t b)
{
	const poly64x2_t x = vreinterpretq_p64_u8(a);
	const poly64x2_t y = vreinterpretq_p64_u8(b);

	return vreinterpretq_u8_p128(vmull_p64(vgetq_lane_p64(x, 0),
					       vgetq_lane_p64(y, 0)));
}

CHAOSIMG_INLINE uint8x16_t multiply_high(uint8x16_t a, uint8x16_t b)
{
	return vreinterpretq_u8_p128(vmull_high_p64(vreinterpretq_p64_u8(a),
						    vreinterpretq_p64_u8(b)));
}

CHAOSIMG_INLINE uint8x16_t swapped(uint8x16_t x)
{
	return vextq_u8(x, x, 8);
}

CHAOSIMG_INLINE void multiply_add(struct wide *w, uint8x16_t a, uint8x16_t b,
				  uint8x16_t b_halves)
{
	w->lo ^= multiply_low(a, b);
	w->hi ^= multiply_high(a, b);
	w->mid ^= multiply_low(a ^ swapped(a), b_halves);
}

/* As for x86 (x86.h): divide by x^128, in two halves. */
CHAOSIMG_INLINE uint8x16_t reduce(const struct wide *w)
{
	const uint8x16_t zero = vdupq_n_u8(0);
	const uint8x16_t g = words(0xC200000000000000ULL, 0);
	uint8x16_t mid = w->mid ^ w->lo ^ w->hi;
	uint8x16_t lo = w->lo ^ vextq_u8(zero, mid, 8);
	uint8x16_t hi = w->hi ^ vextq_u8(mid, zero, 8);

	lo = swapped(lo) ^ multiply_low(lo, g);
	lo = swapped(lo) ^ multiply_low(lo, g);
	return hi ^ lo;
}

/* hpow holds H^1 .. H^STRIDE, then the sums of their halves. */
CHAOSIMG_INLINE void add_block(struct wide *w, uint8x16_t x,
			       const u8 (*hp)[CHAOSIMG_BLOCK])
{
	multiply_add(w, x, load(hp[0]), load(hp[STRIDE]));
}

static void arm64_polyval(const struct chaosimg_cipher_key *key,
			  u8 acc[CHAOSIMG_BLOCK], const u8 *src, size_t blocks,
			  u64 flip)
{
	const u8 (*hp)[CHAOSIMG_BLOCK] = key->u.v.hpow;
	const uint8x16_t f = words(flip, flip);
	uint8x16_t a = load(acc);
	struct wide w;
	size_t i, n;

	for (; blocks; blocks -= n, src += 16 * n) {
		n = blocks < STRIDE ? blocks : STRIDE;
		w = (struct wide) { 0 };
		add_block(&w, a ^ f ^ load(src), &hp[n - 1]);
		if (n == STRIDE) {
#pragma GCC unroll 8
			for (i = 1; i < STRIDE; i++)
				add_block(&w, f ^ load(src + 16 * i),
					  &hp[STRIDE - 1 - i]);
		} else {
			for (i = 1; i < n; i++)
				add_block(&w, f ^ load(src + 16 * i),
					  &hp[n - 1 - i]);
		}
		a = reduce(&w);
	}
	store(acc, a);
}

static void arm64_set_hash(struct chaosimg_cipher_key *key)
{
	const uint8x16_t h = load(key->h), h_halves = h ^ swapped(h);
	uint8x16_t p = h;
	struct wide w;
	int i;

	for (i = 0; i < STRIDE; i++) {
		store(key->u.v.hpow[i], p);
		store(key->u.v.hpow[STRIDE + i], p ^ swapped(p));
		w = (struct wide) { 0 };
		multiply_add(&w, p, h, h_halves);
		p = reduce(&w);
	}
}

const struct chaosimg_cipher_impl chaosimg_impl_arm64 = {
	.name = "arm64-ce",
	.needs = CHAOSIMG_CPU_ARM64_CE,
	.simd = true,
	.image_size = sizeof(((struct chaosimg_image *)0)->u.nibble),
	.set_rounds = arm64_set_rounds,
	.set_hash = arm64_set_hash,
	.set_image = arm64_set_image,
	.aes = arm64_aes,
	.encrypt = arm64_encrypt,
	.decrypt = arm64_decrypt,
	.xctr = arm64_xctr,
	.polyval = arm64_polyval,
};

#endif /* CHAOSIMG_ARM64 */
