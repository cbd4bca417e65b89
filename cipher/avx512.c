// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The implementation for x86-64 with AVX-512, VAES, VPCLMULQDQ and GFNI. A
 * matrix is one gf2p8affineqb, which takes it as a qword, row 0 in the highest
 * byte; four blocks share a register, and every instruction's time is the same
 * for all data.
 */
#ifdef __x86_64__

#include "x86.h"

enum {
	PER_ZMM = 4,		/* blocks in a register */
	WIDE = 8,		/* registers in flight in XCTR */
	STRIDE = 32,		/* blocks for one reduction in POLYVAL */
};

_Static_assert((int)STRIDE <= (int)CHAOSIMG_HPOWERS, "room in the key");

CHAOSIMG_INLINE __m512i broadcast(const u8 *p)
{
	return _mm512_broadcast_i32x4(load(p));
}

/* --- E ------------------------------------------------------------------ */

static void avx512_set_image(struct chaosimg_image *image)
{
	int r;

	for (r = 0; r < CHAOSIMG_ROUNDS; r++)
		image->u.affine[r] =
			__builtin_bswap64(chaosimg_matrix(image->lu[r]));
}

CHAOSIMG_INLINE __m128i apply(__m128i s, u64 matrix)
{
	const __m128i m = _mm_set1_epi64x((long long)matrix);

	return _mm_gf2p8affine_epi64_epi8(s, m, 0);
}

static void avx512_encrypt(const struct chaosimg_cipher_key *key,
			   const struct chaosimg_image *image,
			   u8 dst[CHAOSIMG_BLOCK], const u8 src[CHAOSIMG_BLOCK])
{
	const u8 (*rk)[CHAOSIMG_BLOCK] = key->u.v.rk[CHAOSIMG_MAIN];
	__m128i s = load(src) ^ load(rk[0]);
	int r;

	for (r = 1; r < CHAOSIMG_ROUNDS; r++)
		s = _mm_aesenc_si128(apply(s, image->u.affine[r - 1]),
				     load(rk[r]));
	s = apply(s, image->u.affine[CHAOSIMG_ROUNDS - 1]);
	store(dst, _mm_aesenclast_si128(s, load(rk[CHAOSIMG_ROUNDS])));
}

static void avx512_decrypt(const struct chaosimg_cipher_key *key,
			   const struct chaosimg_image *image,
			   u8 dst[CHAOSIMG_BLOCK], const u8 src[CHAOSIMG_BLOCK])
{
	const u8 (*rk)[CHAOSIMG_BLOCK] = key->u.v.rk[CHAOSIMG_MAIN];
	__m128i s = load(src);
	u64 inverse;
	int r;

	for (r = CHAOSIMG_ROUNDS; r > 0; r--) {
		inverse = chaosimg_matrix_inverse(image->lu[r - 1]);
		s ^= load(rk[r]);
		if (r < CHAOSIMG_ROUNDS)
			s = _mm_aesimc_si128(s);
		s = _mm_aesdeclast_si128(s, _mm_setzero_si128());
		s = apply(s, __builtin_bswap64(inverse));
	}
	store(dst, s ^ load(rk[0]));
}

/* --- XCTR --------------------------------------------------------------- */

/* @n registers of keystream, from block number @first on. */
CHAOSIMG_INLINE void keystream(const struct chaosimg_cipher_key *key,
			       const struct chaosimg_image *image,
			       __m512i start, u64 first, __m512i last,
			       __m512i *s, int n)
{
	const __m512i lane = _mm512_set_epi64(0, 3, 0, 2, 0, 1, 0, 0);
	__m512i k, m;
	int r, i;

#pragma GCC unroll 8
	for (i = 0; i < n; i++) {
		k = _mm512_maskz_set1_epi64(0x55, (long long)first);
		s[i] = start ^ _mm512_add_epi64(k, lane);
		first += PER_ZMM;
	}
	for (r = 1; r < CHAOSIMG_ROUNDS; r++) {
		m = _mm512_set1_epi64((long long)image->u.affine[r - 1]);
		k = broadcast(key->u.v.rk[CHAOSIMG_MAIN][r]);
#pragma GCC unroll 8
		for (i = 0; i < n; i++) {
			s[i] = _mm512_gf2p8affine_epi64_epi8(s[i], m, 0);
			s[i] = _mm512_aesenc_epi128(s[i], k);
		}
	}
	m = _mm512_set1_epi64((long long)image->u.affine[CHAOSIMG_ROUNDS - 1]);
#pragma GCC unroll 8
	for (i = 0; i < n; i++) {
		s[i] = _mm512_gf2p8affine_epi64_epi8(s[i], m, 0);
		s[i] = _mm512_aesenclast_epi128(s[i], last);
	}
}

/* Xor @len bytes, at most @n registers of them. */
CHAOSIMG_INLINE void xor_tail(u8 *dst, const u8 *src, size_t len,
			      const __m512i *s, int n)
{
	__mmask64 m;
	int i;

	for (i = 0; i < n; i++) {
		if (!len)
			return;
		m = len < 64 ? (1ULL << len) - 1 : ~0ULL;
		_mm512_mask_storeu_epi8(dst + 64 * i, m, s[i] ^
				_mm512_maskz_loadu_epi8(m, src + 64 * i));
		len -= len < 64 ? len : 64;
	}
}

static void avx512_xctr(const struct chaosimg_cipher_key *key,
			const struct chaosimg_image *image,
			const u8 s[CHAOSIMG_BLOCK], u64 first, u8 *dst,
			const u8 *src, size_t len)
{
	const __m512i start = broadcast(s) ^
		broadcast(key->u.v.rk[CHAOSIMG_MAIN][0]);
	const __m512i last = _mm512_set1_epi64((long long)image->flip) ^
		broadcast(key->u.v.rk[CHAOSIMG_MAIN][CHAOSIMG_ROUNDS]);
	__m512i ks[WIDE];
	int i;

	while (len >= 64 * WIDE) {
		keystream(key, image, start, first, last, ks, WIDE);
		for (i = 0; i < WIDE; i++)
			_mm512_storeu_si512(dst + 64 * i, ks[i] ^
				_mm512_loadu_si512(src + 64 * i));
		first += PER_ZMM * WIDE;
		dst += 64 * WIDE;
		src += 64 * WIDE;
		len -= 64 * WIDE;
	}
	if (len > 64 * WIDE / 2) {
		keystream(key, image, start, first, last, ks, WIDE);
		xor_tail(dst, src, len, ks, WIDE);
	} else if (len > 64) {
		keystream(key, image, start, first, last, ks, WIDE / 2);
		xor_tail(dst, src, len, ks, WIDE / 2);
	} else if (len) {
		keystream(key, image, start, first, last, ks, 1);
		xor_tail(dst, src, len, ks, 1);
	}
}

/* --- POLYVAL ------------------------------------------------------------ */

struct wide_512 {
	__m512i lo, mid, hi;
};

/* The four plain products, without a shuffle. */
CHAOSIMG_INLINE void multiply_add_512(struct wide_512 *w, __m512i a, __m512i b)
{
	w->lo ^= _mm512_clmulepi64_epi128(a, b, 0x00);
	w->hi ^= _mm512_clmulepi64_epi128(a, b, 0x11);
	w->mid ^= _mm512_clmulepi64_epi128(a, b, 0x01) ^
		_mm512_clmulepi64_epi128(a, b, 0x10);
}

CHAOSIMG_INLINE __m128i sum_lanes(__m512i x)
{
	__m256i y = _mm512_castsi512_si256(x) ^ _mm512_extracti64x4_epi64(x, 1);

	return _mm256_castsi256_si128(y) ^ _mm256_extracti128_si256(y, 1);
}

CHAOSIMG_INLINE __m128i reduce_512(const struct wide_512 *w)
{
	struct wide sum = { sum_lanes(w->lo), sum_lanes(w->mid),
			    sum_lanes(w->hi) };

	sum.mid ^= sum.lo ^ sum.hi;	/* reduce() expects Karatsuba's */
	return reduce(&sum);
}

/* hpow holds the highest power first, as the blocks that they multiply. */
CHAOSIMG_INLINE __m128i stride(const u8 (*hp)[CHAOSIMG_BLOCK], __m128i a,
			       const u8 *src, __m512i f)
{
	struct wide_512 w = { 0 };
	__m512i x = _mm512_zextsi128_si512(a);
	int i;

#pragma GCC unroll 8
	for (i = 0; i < STRIDE; i += PER_ZMM) {
		x ^= f ^ _mm512_loadu_si512(src + 16 * i);
		multiply_add_512(&w, x, _mm512_loadu_si512(hp[i]));
		x = _mm512_setzero_si512();
	}
	return reduce_512(&w);
}

/* Fewer than STRIDE blocks; what lies past them is multiplied by 0. */
CHAOSIMG_INLINE __m128i some_blocks(const u8 (*hp)[CHAOSIMG_BLOCK], __m128i a,
				    const u8 *src, size_t n, __m512i f)
{
	struct wide_512 w = { 0 };
	__m512i x = _mm512_zextsi128_si512(a);
	__mmask8 m;
	size_t i;

	hp += STRIDE - n;
	for (i = 0; i < n; i += PER_ZMM) {
		m = (__mmask8)(n - i < PER_ZMM ? (1 << 2 * (n - i)) - 1 : 0xff);
		x ^= f ^ _mm512_maskz_loadu_epi64(m, src + 16 * i);
		multiply_add_512(&w, x, _mm512_maskz_loadu_epi64(m, hp[i]));
		x = _mm512_setzero_si512();
	}
	return reduce_512(&w);
}

static void avx512_polyval(const struct chaosimg_cipher_key *key,
			   u8 acc[CHAOSIMG_BLOCK], const u8 *src,
			   size_t blocks, u64 flip)
{
	const u8 (*hp)[CHAOSIMG_BLOCK] = key->u.v.hpow;
	const __m512i f = _mm512_set1_epi64((long long)flip);
	__m128i a = load(acc);

	for (; blocks >= STRIDE; blocks -= STRIDE, src += 16 * STRIDE)
		a = stride(hp, a, src, f);
	if (blocks)
		a = some_blocks(hp, a, src, blocks, f);
	store(acc, a);
}

static void avx512_set_hash(struct chaosimg_cipher_key *key)
{
	const __m128i h = load(key->h);
	__m128i p = h;
	int i;

	for (i = STRIDE - 1; i >= 0; i--) {
		store(key->u.v.hpow[i], p);
		p = multiply(p, h);
	}
}

const struct chaosimg_cipher_impl chaosimg_impl_avx512 = {
	.name = "vaes-avx512",
	.needs = CHAOSIMG_CPU_AESNI | CHAOSIMG_CPU_AVX512,
	.simd = true,
	.image_size = sizeof(((struct chaosimg_image *)0)->u.affine),
	.set_rounds = x86_set_rounds,
	.set_hash = avx512_set_hash,
	.set_image = avx512_set_image,
	.aes = x86_aes,
	.encrypt = avx512_encrypt,
	.decrypt = avx512_decrypt,
	.xctr = avx512_xctr,
	.polyval = avx512_polyval,
};

#endif /* __x86_64__ */
