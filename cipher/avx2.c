// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The implementation for x86-64 with AVX2 and VAES but without AVX-512: what
 * aesni does, with two blocks in a register. POLYVAL uses VPCLMULQDQ where it
 * is there (virtual machines may hide it), else aesni's.
 */
#ifdef __x86_64__

#include "pshufb.h"

enum {
	PER_YMM = 2,		/* blocks in a register */
	WIDE = 8,		/* registers in flight in XCTR */
	STRIDE = 16,		/* blocks for one reduction in POLYVAL */
};

_Static_assert(2 * STRIDE <= CHAOSIMG_HPOWERS, "room in the key");

CHAOSIMG_INLINE __m256i load_256(const u8 *p)
{
	return _mm256_loadu_si256((const __m256i *)p);
}

CHAOSIMG_INLINE void store_256(u8 *p, __m256i x)
{
	_mm256_storeu_si256((__m256i *)p, x);
}

CHAOSIMG_INLINE __m256i broadcast(const u8 *p)
{
	return _mm256_broadcastsi128_si256(load(p));
}

/* --- XCTR --------------------------------------------------------------- */

CHAOSIMG_INLINE __m256i apply_256(__m256i s, __m256i lo, __m256i hi)
{
	const __m256i nibble = _mm256_set1_epi8(15);

	return _mm256_shuffle_epi8(lo, s & nibble) ^
		_mm256_shuffle_epi8(hi, _mm256_srli_epi64(s, 4) & nibble);
}

/* @n registers of keystream, from block number @first on. */
CHAOSIMG_INLINE void keystream(const struct chaosimg_cipher_key *key,
			       const struct chaosimg_image *image,
			       __m256i start, u64 first, __m256i last,
			       __m256i *s, int n)
{
	__m256i lo, hi, k;
	int r, i;

#pragma GCC unroll 8
	for (i = 0; i < n; i++, first += PER_YMM)
		s[i] = start ^ _mm256_set_epi64x(0, (long long)(first + 1), 0,
						 (long long)first);
	for (r = 1; r <= CHAOSIMG_ROUNDS; r++) {
		lo = broadcast(image->u.nibble[r - 1][0]);
		hi = broadcast(image->u.nibble[r - 1][1]);
		k = r == CHAOSIMG_ROUNDS ? last :
			broadcast(key->u.v.rk[CHAOSIMG_MAIN][r]);
#pragma GCC unroll 8
		for (i = 0; i < n; i++) {
			s[i] = apply_256(s[i], lo, hi);
			s[i] = r < CHAOSIMG_ROUNDS ?
				_mm256_aesenc_epi128(s[i], k) :
				_mm256_aesenclast_epi128(s[i], k);
		}
	}
}

/* Fewer bytes than a register has. */
CHAOSIMG_INLINE void xor_bytes(u8 *dst, const u8 *src, size_t len, __m256i s)
{
	u8 b[16 * PER_YMM];
	size_t i;

	store_256(b, s);
	for (i = 0; i < len; i++)
		dst[i] = src[i] ^ b[i];
	chaosimg_wipe(b, sizeof(b));
}

/* Xor @len bytes, at most @n registers of them. */
CHAOSIMG_INLINE void xor_tail(u8 *dst, const u8 *src, size_t len,
			      const __m256i *s, int n)
{
	int i;

	for (i = 0; i < n && len >= 16 * PER_YMM; i++) {
		store_256(dst, load_256(src) ^ s[i]);
		dst += 16 * PER_YMM;
		src += 16 * PER_YMM;
		len -= 16 * PER_YMM;
	}
	if (len)
		xor_bytes(dst, src, len, s[i]);
}

static void avx2_xctr(const struct chaosimg_cipher_key *key,
		      const struct chaosimg_image *image,
		      const u8 s[CHAOSIMG_BLOCK], u64 first, u8 *dst,
		      const u8 *src, size_t len)
{
	const __m256i start = broadcast(s) ^
		broadcast(key->u.v.rk[CHAOSIMG_MAIN][0]);
	const __m256i last = _mm256_set1_epi64x((long long)image->flip) ^
		broadcast(key->u.v.rk[CHAOSIMG_MAIN][CHAOSIMG_ROUNDS]);
	__m256i ks[WIDE];
	int i;

	while (len >= 32 * WIDE) {
		keystream(key, image, start, first, last, ks, WIDE);
		for (i = 0; i < WIDE; i++)
			store_256(dst + 32 * i, load_256(src + 32 * i) ^ ks[i]);
		first += PER_YMM * WIDE;
		dst += 32 * WIDE;
		src += 32 * WIDE;
		len -= 32 * WIDE;
	}
	if (len > 32 * WIDE / 2) {
		keystream(key, image, start, first, last, ks, WIDE);
		xor_tail(dst, src, len, ks, WIDE);
	} else if (len > 32) {
		keystream(key, image, start, first, last, ks, WIDE / 2);
		xor_tail(dst, src, len, ks, WIDE / 2);
	} else if (len) {
		keystream(key, image, start, first, last, ks, 1);
		xor_tail(dst, src, len, ks, 1);
	}
}

/* --- POLYVAL ------------------------------------------------------------ */

struct wide_256 {
	__m256i lo, mid, hi;
};

CHAOSIMG_INLINE __m256i halves_256(__m256i x)
{
	return x ^ _mm256_shuffle_epi32(x, 0x4e);
}

CHAOSIMG_INLINE void multiply_add_256(struct wide_256 *w, __m256i a, __m256i b,
				      __m256i b_halves)
{
	w->lo ^= _mm256_clmulepi64_epi128(a, b, 0x00);
	w->hi ^= _mm256_clmulepi64_epi128(a, b, 0x11);
	w->mid ^= _mm256_clmulepi64_epi128(halves_256(a), b_halves, 0x00);
}

CHAOSIMG_INLINE __m128i sum_lanes(__m256i x)
{
	return _mm256_castsi256_si128(x) ^ _mm256_extracti128_si256(x, 1);
}

CHAOSIMG_INLINE __m128i reduce_256(const struct wide_256 *w)
{
	const struct wide sum = { sum_lanes(w->lo), sum_lanes(w->mid),
				  sum_lanes(w->hi) };

	return reduce(&sum);
}

/*
 * hpow holds the highest power first, as the blocks that they multiply, then
 * the sums of their halves. To unroll more would cost a large stack frame.
 */
CHAOSIMG_INLINE __m128i stride(const u8 (*hp)[CHAOSIMG_BLOCK], __m128i a,
			       const u8 *src, __m256i f)
{
	struct wide_256 w = { 0 };
	__m256i x = _mm256_zextsi128_si256(a);
	int i;

#pragma GCC unroll 2
	for (i = 0; i < STRIDE; i += PER_YMM) {
		x ^= f ^ load_256(src + 16 * i);
		multiply_add_256(&w, x, load_256(hp[i]),
				 load_256(hp[STRIDE + i]));
		x = _mm256_setzero_si256();
	}
	return reduce_256(&w);
}

/* Fewer than STRIDE blocks; an odd one shares its register with zeros. */
CHAOSIMG_INLINE __m128i some_blocks(const u8 (*hp)[CHAOSIMG_BLOCK], __m128i a,
				    const u8 *src, size_t n, __m256i f)
{
	struct wide_256 w = { 0 };
	__m256i x = _mm256_zextsi128_si256(a);
	__m128i y;
	size_t i;

	hp += STRIDE - n;
	for (i = 0; i + PER_YMM <= n; i += PER_YMM) {
		x ^= f ^ load_256(src + 16 * i);
		multiply_add_256(&w, x, load_256(hp[i]),
				 load_256(hp[STRIDE + i]));
		x = _mm256_setzero_si256();
	}
	if (i < n) {
		y = _mm256_castsi256_si128(x ^ f) ^ load(src + 16 * i);
		multiply_add_256(&w, _mm256_zextsi128_si256(y),
				 _mm256_zextsi128_si256(load(hp[i])),
				 _mm256_zextsi128_si256(load(hp[STRIDE + i])));
	}
	return reduce_256(&w);
}

static void avx2_polyval(const struct chaosimg_cipher_key *key,
			 u8 acc[CHAOSIMG_BLOCK], const u8 *src, size_t blocks,
			 u64 flip)
{
	const u8 (*hp)[CHAOSIMG_BLOCK] = key->u.v.hpow;
	const __m256i f = _mm256_set1_epi64x((long long)flip);
	__m128i a = load(acc);

	for (; blocks >= STRIDE; blocks -= STRIDE, src += 16 * STRIDE)
		a = stride(hp, a, src, f);
	if (blocks)
		a = some_blocks(hp, a, src, blocks, f);
	store(acc, a);
}

static void avx2_set_hash(struct chaosimg_cipher_key *key)
{
	const __m128i h = load(key->h);
	__m128i p = h;
	int i;

	for (i = STRIDE - 1; i >= 0; i--) {
		store(key->u.v.hpow[i], p);
		store(key->u.v.hpow[STRIDE + i], halves(p));
		p = multiply(p, h);
	}
}

const struct chaosimg_cipher_impl chaosimg_impl_avx2 = {
	.name = "vaes-avx2",
	.needs = CHAOSIMG_CPU_AESNI | CHAOSIMG_CPU_VAES_AVX2 |
		 CHAOSIMG_CPU_VPCLMULQDQ,
	.simd = true,
	.image_size = sizeof(((struct chaosimg_image *)0)->u.nibble),
	.set_rounds = x86_set_rounds,
	.set_hash = avx2_set_hash,
	.set_image = pshufb_set_image,
	.aes = x86_aes,
	.seed = x86_seed,
	.encrypt = pshufb_encrypt,
	.decrypt = pshufb_decrypt,
	.xctr = avx2_xctr,
	.polyval = avx2_polyval,
};

const struct chaosimg_cipher_impl chaosimg_impl_avx2_pclmul = {
	.name = "vaes-avx2",
	.needs = CHAOSIMG_CPU_AESNI | CHAOSIMG_CPU_VAES_AVX2,
	.simd = true,
	.image_size = sizeof(((struct chaosimg_image *)0)->u.nibble),
	.set_rounds = x86_set_rounds,
	.set_hash = chaosimg_pclmul_set_hash,
	.set_image = pshufb_set_image,
	.aes = x86_aes,
	.seed = x86_seed,
	.encrypt = pshufb_encrypt,
	.decrypt = pshufb_decrypt,
	.xctr = avx2_xctr,
	.polyval = chaosimg_pclmul_polyval,
};

#endif /* __x86_64__ */
