// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The implementation for x86-64 with AES-NI, PCLMULQDQ and SSSE3. */
#ifdef __x86_64__

#include "pshufb.h"

enum {
	WIDE = 8,		/* blocks in flight in XCTR */
	STRIDE = 8,		/* blocks for one reduction in POLYVAL */
};

_Static_assert(2 * STRIDE <= CHAOSIMG_HPOWERS, "room in the key");

/* --- XCTR --------------------------------------------------------------- */

/* Keystream blocks from number @first on. */
CHAOSIMG_INLINE void keystream(const struct chaosimg_cipher_key *key,
			       const struct chaosimg_image *image,
			       __m128i start, u64 first, __m128i last,
			       __m128i *s, int n)
{
	int i;

#pragma GCC unroll 8
	for (i = 0; i < n; i++)
		s[i] = start ^ _mm_cvtsi64_si128((long long)(first + (u64)i));
	encrypt_blocks(key, image, s, n, last);
}

static void xctr_tail(const struct chaosimg_cipher_key *key,
		      const struct chaosimg_image *image, __m128i start,
		      u64 first, __m128i last, u8 *dst, const u8 *src,
		      size_t len)
{
	u8 b[16 * WIDE];
	__m128i s[WIDE];
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

static void aesni_xctr(const struct chaosimg_cipher_key *key,
		       const struct chaosimg_image *image,
		       const u8 s[CHAOSIMG_BLOCK], u64 first, u8 *dst,
		       const u8 *src, size_t len)
{
	const __m128i start = load(s) ^ load(key->u.v.rk[CHAOSIMG_MAIN][0]);
	const __m128i last = load(key->u.v.rk[CHAOSIMG_MAIN][14]) ^
		_mm_set1_epi64x((long long)image->flip);
	__m128i ks[WIDE];
	int i;

	while (len >= 16 * WIDE) {
		keystream(key, image, start, first, last, ks, WIDE);
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

/* hpow holds H^1 .. H^STRIDE, then the sums of their halves. */
CHAOSIMG_INLINE void add_block(struct wide *w, __m128i x,
			       const u8 (*hp)[CHAOSIMG_BLOCK])
{
	multiply_add(w, x, load(hp[0]), load(hp[STRIDE]));
}

void chaosimg_pclmul_polyval(const struct chaosimg_cipher_key *key,
			     u8 acc[CHAOSIMG_BLOCK], const u8 *src,
			     size_t blocks, u64 flip)
{
	const u8 (*hp)[CHAOSIMG_BLOCK] = key->u.v.hpow;
	const __m128i f = _mm_set1_epi64x((long long)flip);
	__m128i a = load(acc);
	struct wide w;
	size_t i, n;

	for (; blocks; blocks -= n, src += 16 * n) {
		n = blocks < STRIDE ? blocks : STRIDE;
		w.lo = w.mid = w.hi = _mm_setzero_si128();
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

void chaosimg_pclmul_set_hash(struct chaosimg_cipher_key *key)
{
	const __m128i h = load(key->h);
	__m128i p = h;
	int i;

	for (i = 0; i < STRIDE; i++) {
		store(key->u.v.hpow[i], p);
		store(key->u.v.hpow[STRIDE + i], halves(p));
		p = multiply(p, h);
	}
}

const struct chaosimg_cipher_impl chaosimg_impl_aesni = {
	.name = "aesni",
	.needs = CHAOSIMG_CPU_AESNI,
	.simd = true,
	.image_size = sizeof(((struct chaosimg_image *)0)->u.nibble),
	.set_rounds = x86_set_rounds,
	.set_hash = chaosimg_pclmul_set_hash,
	.set_image = pshufb_set_image,
	.aes = x86_aes,
	.seed = x86_seed,
	.encrypt = pshufb_encrypt,
	.decrypt = pshufb_decrypt,
	.xctr = aesni_xctr,
	.polyval = chaosimg_pclmul_polyval,
};

#endif /* __x86_64__ */
