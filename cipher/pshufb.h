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

/* Two matrices are in a register: row i of each is byte i of its half. */
#define DIAGONAL 0x8040201008040201ULL
#define BELOW 0x7F3F1F0F07030100ULL	/* bits j < i of row i */
#define ABOVE 0x0080C0E0F0F8FCFEULL	/* bits j > i of row i */

CHAOSIMG_INLINE __m128i both(u64 x)
{
	return _mm_set1_epi64x((long long)x);
}

/* As transposed_8x8() has it. */
CHAOSIMG_INLINE __m128i transposed(__m128i x)
{
	__m128i t;

	t = (x ^ _mm_srli_epi64(x, 7)) & both(0x00AA00AA00AA00AAULL);
	x ^= t ^ _mm_slli_epi64(t, 7);
	t = (x ^ _mm_srli_epi64(x, 14)) & both(0x0000CCCC0000CCCCULL);
	x ^= t ^ _mm_slli_epi64(t, 14);
	t = (x ^ _mm_srli_epi64(x, 28)) & both(0x00000000F0F0F0F0ULL);
	return x ^ t ^ _mm_slli_epi64(t, 28);
}

/* For each row of @m with bit @j set: row @j of @a. */
CHAOSIMG_INLINE __m128i where_column(__m128i m, int j, __m128i a)
{
	const __m128i row = _mm_add_epi8(_mm_set1_epi8((char)j),
					 _mm_set_epi64x(0x0808080808080808LL,
							0));
	const __m128i bit_is_sign = _mm_slli_epi16(m, 7 - j);

	return _mm_cmpgt_epi8(_mm_setzero_si128(), bit_is_sign) &
		_mm_shuffle_epi8(a, row);
}

/* The columns of A = L*U are the rows of U^T * L^T, which pack as A does. */
CHAOSIMG_INLINE __m128i columns(const u64 lu[2])
{
	const __m128i t = transposed(load((const u8 *)lu));
	const __m128i l = t & both(BELOW);
	const __m128i u = (t & both(ABOVE)) | both(DIAGONAL);
	__m128i a = u;
	int j;

#pragma GCC unroll 8
	for (j = 0; j < 7; j++)
		a ^= where_column(l, j, u);
	return a;
}

/* Those of A^-1, as chaosimg_matrix_inverse() finds it. */
CHAOSIMG_INLINE __m128i columns_of_inverse(const u64 lu[2])
{
	const __m128i t = transposed(load((const u8 *)lu));
	const __m128i l = t & both(BELOW), u = t & both(ABOVE);
	__m128i a = both(DIAGONAL);
	int j;

#pragma GCC unroll 8
	for (j = 0; j < 7; j++)
		a ^= where_column(l, j, a);
#pragma GCC unroll 8
	for (j = 7; j > 0; j--)
		a ^= where_column(u, j, a);
	return a;
}

struct look_ups {
	__m128i lo, hi;
};

/*
 * What matrix number @i of the two makes of 0..15, and of 0x00, 0x10, .., 0xf0:
 * first of each pair of bits, then of two pairs.
 */
CHAOSIMG_INLINE struct look_ups look_ups(__m128i cols, int i)
{
	const __m128i half = _mm_set1_epi8((char)(8 * i));
	const __m128i even = _mm_set_epi32((int)0x06800680, (int)0x04800480,
					   (int)0x02800280, (int)0x00800080);
	const __m128i odd = _mm_set_epi32((int)0x07078080, (int)0x05058080,
					  (int)0x03038080, (int)0x01018080);
	const __m128i low = _mm_set1_epi32(0x03020100);
	const __m128i high = _mm_set_epi32(0x03030303, 0x02020202, 0x01010101,
					   0);
	const __m128i pair = _mm_shuffle_epi8(cols, even + half) ^
		_mm_shuffle_epi8(cols, odd + half);
	const struct look_ups t = {
		_mm_shuffle_epi8(pair, low) ^
			_mm_shuffle_epi8(pair, high | _mm_set1_epi8(4)),
		_mm_shuffle_epi8(pair, low | _mm_set1_epi8(8)) ^
			_mm_shuffle_epi8(pair, high | _mm_set1_epi8(12)),
	};

	return t;
}

static void pshufb_set_image(struct chaosimg_image *image)
{
	struct look_ups t;
	__m128i cols;
	int r, i;

	for (r = 0; r < CHAOSIMG_ROUNDS; r += 2) {
		cols = columns(image->lu + r);
#pragma GCC unroll 2
		for (i = 0; i < 2; i++) {
			t = look_ups(cols, i);
			store(image->u.nibble[r + i][0], t.lo);
			store(image->u.nibble[r + i][1], t.hi);
		}
	}
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

/* The inverses are made between the rounds, whose latency leaves time for it. */
static void pshufb_decrypt(const struct chaosimg_cipher_key *key,
			   const struct chaosimg_image *image,
			   u8 dst[CHAOSIMG_BLOCK],
			   const u8 src[CHAOSIMG_BLOCK])
{
	const u8 (*rk)[CHAOSIMG_BLOCK] = key->u.v.rk[CHAOSIMG_MAIN];
	__m128i s = load(src), cols;
	struct look_ups t;
	int r, i;

	for (r = CHAOSIMG_ROUNDS - 2; r >= 0; r -= 2) {
		cols = columns_of_inverse(image->lu + r);
#pragma GCC unroll 2
		for (i = 1; i >= 0; i--) {
			t = look_ups(cols, i);
			s ^= load(rk[r + i + 1]);
			if (r + i + 1 < CHAOSIMG_ROUNDS)
				s = _mm_aesimc_si128(s);
			s = _mm_aesdeclast_si128(s, _mm_setzero_si128());
			s = apply(s, t.lo, t.hi);
		}
	}
	store(dst, s ^ load(rk[0]));
}

#endif
