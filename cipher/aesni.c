// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The implementation for x86-64 with AES-NI and PCLMULQDQ. A matrix is two
 * 16-entry pshufb look-ups, made afresh for each image; pshufb runs in
 * constant time, so an index may be secret. Then a round is AESENC.
 */
#ifdef __x86_64__

#include "x86.h"

enum {
	WIDE = 8,		/* blocks in flight in XCTR */
	STRIDE = 8,		/* blocks for one reduction in POLYVAL */
};

_Static_assert(2 * STRIDE <= CHAOSIMG_HPOWERS, "room in the key");

/* --- matrices as look-ups ----------------------------------------------- */

/* Rows to columns. */
CHAOSIMG_INLINE u64 transposed(u64 x)
{
	u64 t;

	t = (x ^ x >> 7) & 0x00AA00AA00AA00AAULL;
	x ^= t ^ t << 7;
	t = (x ^ x >> 14) & 0x0000CCCC0000CCCCULL;
	x ^= t ^ t << 14;
	t = (x ^ x >> 28) & 0x00000000F0F0F0F0ULL;
	return x ^ t ^ t << 28;
}

/* What the matrix (by rows) makes of 0..15, and of 0x00, 0x10, .., 0xf0. */
CHAOSIMG_INLINE void look_ups(u8 table[2][16], u64 rows)
{
	const __m128i cols = _mm_cvtsi64_si128((long long)transposed(rows));
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

static void aesni_set_image(struct chaosimg_image *image)
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
		for (i = 0; i < n; i++) {
			s[i] = apply(s[i], lo, hi);
			s[i] = r < CHAOSIMG_ROUNDS ?
				_mm_aesenc_si128(s[i], k) :
				_mm_aesenclast_si128(s[i], k);
		}
	}
}

static void aesni_encrypt(const struct chaosimg_cipher_key *key,
			  const struct chaosimg_image *image,
			  u8 dst[CHAOSIMG_BLOCK], const u8 src[CHAOSIMG_BLOCK])
{
	__m128i s = load(src) ^ load(key->u.v.rk[CHAOSIMG_MAIN][0]);

	encrypt_blocks(key, image, &s, 1, load(key->u.v.rk[CHAOSIMG_MAIN][14]));
	store(dst, s);
}

static void aesni_decrypt(const struct chaosimg_cipher_key *key,
			  const struct chaosimg_image *image,
			  u8 dst[CHAOSIMG_BLOCK], const u8 src[CHAOSIMG_BLOCK])
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

/* --- XCTR --------------------------------------------------------------- */

/* Keystream blocks from number @first on. */
CHAOSIMG_INLINE void keystream(const struct chaosimg_cipher_key *key,
			       const struct chaosimg_image *image,
			       __m128i start, u64 first, __m128i last,
			       __m128i *s, int n)
{
	int i;

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

static void aesni_polyval(const struct chaosimg_cipher_key *key,
			  u8 acc[CHAOSIMG_BLOCK], const u8 *src, size_t blocks,
			  u64 flip)
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

static void aesni_set_hash(struct chaosimg_cipher_key *key)
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
	.set_hash = aesni_set_hash,
	.set_image = aesni_set_image,
	.aes = x86_aes,
	.encrypt = aesni_encrypt,
	.decrypt = aesni_decrypt,
	.xctr = aesni_xctr,
	.polyval = aesni_polyval,
};

#endif /* __x86_64__ */
