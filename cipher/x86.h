/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the x86 implementations share: plain AES, and POLYVAL's reduction. */
#ifndef CHAOSIMG_CIPHER_X86_H
#define CHAOSIMG_CIPHER_X86_H

/* The intrinsics' malloc is not for freestanding code. */
#define _MM_MALLOC_H_INCLUDED
#include <immintrin.h>

#include "cipher.h"

CHAOSIMG_INLINE __m128i load(const u8 *p)
{
	return _mm_loadu_si128((const __m128i *)p);
}

CHAOSIMG_INLINE void store(u8 *p, __m128i x)
{
	_mm_storeu_si128((__m128i *)p, x);
}

/* POLYVAL with PCLMULQDQ alone (aesni.c). */
void chaosimg_pclmul_set_hash(struct chaosimg_cipher_key *key);
void chaosimg_pclmul_polyval(const struct chaosimg_cipher_key *key,
			     u8 acc[CHAOSIMG_BLOCK], const u8 *src,
			     size_t blocks, u64 flip);

/* Each word is the sum of those up to it of the round key before, and of @t. */
CHAOSIMG_INLINE __m128i next_round_key(__m128i before, __m128i t)
{
	before ^= _mm_slli_si128(before, 4);
	before ^= _mm_slli_si128(before, 8);
	return before ^ t;
}

/*
 * AES-256 key expansion (FIPS 197, 5.2): even round keys take SubWord(RotWord())
 * of the last word, odd ones SubWord() alone. The instruction gives both, but
 * its Rcon can only be a constant.
 */
static void x86_set_rounds(struct chaosimg_cipher_key *key,
			   enum chaosimg_schedule which, const u8 k[32])
{
	u8 (*rk)[CHAOSIMG_BLOCK] = key->u.v.rk[which];
	__m128i a = load(k), b = load(k + CHAOSIMG_BLOCK), t;
	__m128i rcon = _mm_set1_epi32(1);
	int r;

	store(rk[0], a);
	store(rk[1], b);
	for (r = 2; r <= CHAOSIMG_ROUNDS; r++) {
		t = _mm_aeskeygenassist_si128(r & 1 ? a : b, 0);
		if (r & 1) {
			b = next_round_key(b, _mm_shuffle_epi32(t, 0xaa));
			store(rk[r], b);
			continue;
		}
		a = next_round_key(a, _mm_shuffle_epi32(t, 0xff) ^ rcon);
		rcon = _mm_slli_epi32(rcon, 1);
		store(rk[r], a);
	}
}

/* AES-256 of @n blocks, side by side. */
CHAOSIMG_INLINE void x86_aes_blocks(const u8 (*rk)[CHAOSIMG_BLOCK], __m128i *s,
				    int n)
{
	__m128i k = load(rk[0]);
	int r, i;

#pragma GCC unroll 4
	for (i = 0; i < n; i++)
		s[i] ^= k;
#pragma GCC unroll 13
	for (r = 1; r < CHAOSIMG_ROUNDS; r++) {
		k = load(rk[r]);
#pragma GCC unroll 4
		for (i = 0; i < n; i++)
			s[i] = _mm_aesenc_si128(s[i], k);
	}
	k = load(rk[CHAOSIMG_ROUNDS]);
#pragma GCC unroll 4
	for (i = 0; i < n; i++)
		s[i] = _mm_aesenclast_si128(s[i], k);
}

static void x86_aes(const struct chaosimg_cipher_key *key,
		    enum chaosimg_schedule which, u8 *dst, const u8 *src,
		    size_t blocks)
{
	__m128i s;

	for (; blocks; blocks--, src += CHAOSIMG_BLOCK, dst += CHAOSIMG_BLOCK) {
		s = load(src);
		x86_aes_blocks(key->u.v.rk[which], &s, 1);
		store(dst, s);
	}
}

static u64 x86_seed(const struct chaosimg_cipher_key *key,
		    u8 x[4 * CHAOSIMG_BLOCK], const u8 iv[CHAOSIMG_TWEAK])
{
	const u8 (*rk)[CHAOSIMG_BLOCK] = key->u.v.rk[CHAOSIMG_CHAOS];
	__m128i c = load(iv), s[4];
	int i;

	x86_aes_blocks(rk, &c, 1);
	c ^= load(iv + CHAOSIMG_BLOCK);
	x86_aes_blocks(rk, &c, 1);
#pragma GCC unroll 4
	for (i = 0; i < 4; i++)
		s[i] = c ^ _mm_set_epi64x(0, i + 1);
	x86_aes_blocks(rk, s, 4);
#pragma GCC unroll 4
	for (i = 0; i < 4; i++)
		store(x + CHAOSIMG_BLOCK * i, s[i]);
	return (u64)_mm_cvtsi128_si64(c);
}

/* A sum of products of 256 bits; Karatsuba's middle is still to be settled. */
struct wide {
	__m128i lo, mid, hi;
};

/* The low half gets the sum of both, for Karatsuba's middle product. */
CHAOSIMG_INLINE __m128i halves(__m128i x)
{
	return x ^ _mm_shuffle_epi32(x, 0x4e);
}

CHAOSIMG_INLINE void multiply_add(struct wide *w, __m128i a, __m128i b,
				  __m128i b_halves)
{
	w->lo ^= _mm_clmulepi64_si128(a, b, 0x00);
	w->hi ^= _mm_clmulepi64_si128(a, b, 0x11);
	w->mid ^= _mm_clmulepi64_si128(halves(a), b_halves, 0x00);
}

/*
 * Divide by x^128 modulo x^128 + x^127 + x^126 + x^121 + 1, in two halves: the
 * lowest 64 bits times x^63 + x^62 + x^57 are added one word up, and they
 * themselves two words up.
 */
CHAOSIMG_INLINE __m128i reduce(const struct wide *w)
{
	const __m128i g = _mm_set1_epi64x((long long)0xC200000000000000ULL);
	__m128i mid = w->mid ^ w->lo ^ w->hi;
	__m128i lo = w->lo ^ _mm_slli_si128(mid, 8);
	__m128i hi = w->hi ^ _mm_srli_si128(mid, 8);

	lo = _mm_shuffle_epi32(lo, 0x4e) ^ _mm_clmulepi64_si128(lo, g, 0x00);
	lo = _mm_shuffle_epi32(lo, 0x4e) ^ _mm_clmulepi64_si128(lo, g, 0x00);
	return hi ^ lo;
}

/* x * h * x^-128: the next power of h. */
CHAOSIMG_INLINE __m128i multiply(__m128i x, __m128i h)
{
	struct wide w = { 0 };

	multiply_add(&w, x, h, halves(h));
	return reduce(&w);
}

#endif
