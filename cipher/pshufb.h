/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * E on x86 without GFNI: a matrix is two 16-entry pshufb look-ups, made afresh
 * for each image; pshufb runs in constant time, so an index may be secret. Then
 * a round is AESENC.
 */
#ifndef CHAOSIMG_CIPHER_PSHUFB_H
#define CHAOSIMG_CIPHER_PSHUFB_H

#include "x86.h"

/* --- matrices as look-ups ----------------------------------------------- */

/* What the matrix (by rows) makes of 0..15, and of 0x00, 0x10, .., 0xf0. */
CHAOSIMG_INLINE void look_ups(u8 table[2][16], u64 rows)
{
	const __m128i cols =
		_mm_cvtsi64_si128((long long)transposed_8x8(rows));
	const __m128i bit[4] = {
		_mm_set1_epi16((short)0xff00), _mm_set1_epi32((int)0xffff0000),
		_mm_set1_epi64x((long long)0xffffffff00000000ULL),
		_mm_set_epi64x(-1, 0),
	};
	__m128i lo = _mm_setzero_si128(), hi = _mm_setzero_si128();
	int j;

#pragma GCC unroll 4
	for (j = 0; j < 4; j++) {
		lo ^= bit[j] & _mm_shuffle_epi8(cols, _mm_set1_epi8((char)j));
		hi ^= bit[j] &
			_mm_shuffle_epi8(cols, _mm_set1_epi8((char)(j + 4)));
	}
	store(table[0], lo);
	store(table[1], hi);
}

static void pshufb_set_image(struct chaosimg_image *image)
{
	int r;

	for (r = 0; r < CHAOSIMG_ROUNDS; r++)
		look_ups(image->u.nibble[r], chaosimg_matrix(image->lu[r]));
}

CHAOSIMG_INLINE __m128i apply(__m128i s, __m128i lo, __m128i hi)
{
	const __m128i nibble = _mm_set1_epi8(15);

	return _mm_shuffle_epi8(lo, s & nibble) ^
		_mm_shuffle_epi8(hi, _mm_srli_epi64(s, 4) & nibble);
}

/* --- E ------------------------------------------------------------------ */

/* @n blocks at once; @last is the last round key with what is xor-ed after. */
CHAOSIMG_INLINE void encrypt_blocks(const struct chaosimg_cipher_key *key,
				    const struct chaosimg_image *image,
				    __m128i *s, int n, __m128i last)
{
	__m128i lo, hi, k;
	int r, i;

	for (r = 1; r <= CHAOSIMG_ROUNDS; r++) {
		lo = load(image->u.nibble[r - 1][0]);
		hi = load(image->u.nibble[r - 1][1]);
		k = r == CHAOSIMG_ROUNDS ? last :
			load(key->u.v.rk[CHAOSIMG_MAIN][r]);
#pragma GCC unroll 8
		for (i = 0; i < n; i++) {
			s[i] = apply(s[i], lo, hi);
			s[i] = r < CHAOSIMG_ROUNDS ?
				_mm_aesenc_si128(s[i], k) :
				_mm_aesenclast_si128(s[i], k);
		}
	}
}

static void pshufb_encrypt(const struct chaosimg_cipher_key *key,
			   const struct chaosimg_image *image,
			   u8 dst[CHAOSIMG_BLOCK],
			   const u8 src[CHAOSIMG_BLOCK])
{
	__m128i s = load(src) ^ load(key->u.v.rk[CHAOSIMG_MAIN][0]);

	encrypt_blocks(key, image, &s, 1, load(key->u.v.rk[CHAOSIMG_MAIN][14]));
	store(dst, s);
}

static void pshufb_decrypt(const struct chaosimg_cipher_key *key,
			   const struct chaosimg_image *image,
			   u8 dst[CHAOSIMG_BLOCK],
			   const u8 src[CHAOSIMG_BLOCK])
{
	const __m128i zero = _mm_setzero_si128();
	u8 table[CHAOSIMG_ROUNDS][2][16];
	__m128i s = load(src);
	int r;

	for (r = 0; r < CHAOSIMG_ROUNDS; r++)
		look_ups(table[r], chaosimg_matrix_inverse(image->lu[r]));
	for (r = CHAOSIMG_ROUNDS; r > 0; r--) {
		s ^= load(key->u.v.rk[CHAOSIMG_MAIN][r]);
		if (r < CHAOSIMG_ROUNDS)
			s = _mm_aesimc_si128(s);
		s = _mm_aesdeclast_si128(s, zero);
		s = apply(s, load(table[r - 1][0]), load(table[r - 1][1]));
	}
	store(dst, s ^ load(key->u.v.rk[CHAOSIMG_MAIN][0]));
	chaosimg_wipe(table, sizeof(table));
}

#endif
