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

_Static_assert(2 * STRIDE <= CHAOSIMG_HPOWERS, "room in the key");
_Static_assert(PER_ZMM * WIDE == STRIDE, "the two go side by side");

CHAOSIMG_INLINE __m512i broadcast(const u8 *p)
{
	return _mm512_broadcast_i32x4(load(p));
}

/* --- matrices ------------------------------------------------------------- */

/*
 * Eight matrices in a register, row i in byte 7-i: what gf2p8affineqb calls for.
 * Applied to the rows of R, as if they were data, it gives those of R * M^T.
 */
#define IDENTITY 0x0102040810204080ULL
#define BELOW 0x000103070F1F3F7FULL	/* bits j < i of row i */
#define ABOVE 0xFEFCF8F0E0C08000ULL	/* bits j > i of row i */

CHAOSIMG_INLINE __m512i all(u64 matrix)
{
	return _mm512_set1_epi64((long long)matrix);
}

/*
 * Up to 19, clang and LLVM's assembler give gf2p8affineqb another address than
 * the one meant if a matrix stands in memory, is broadcast, and is less than 128
 * bytes from a register. So there it is loaded before.
 */
#if defined(__clang__) && __clang_major__ < 20
#define LOADED(m)	__asm__("" : "+v"(m))
#else
#define LOADED(m)	do { } while (0)
#endif

CHAOSIMG_INLINE __m512i times_transposed(__m512i r, __m512i m)
{
	return _mm512_gf2p8affine_epi64_epi8(r, m, 0);
}

CHAOSIMG_INLINE __m512i transposed(__m512i m)
{
	return times_transposed(all(IDENTITY), m);
}

/* Packed factorisations number @i to @i + 7, those there are. */
CHAOSIMG_INLINE __m512i load_lu(const struct chaosimg_image *image, int i)
{
	const __mmask8 there = i ? (1 << (CHAOSIMG_ROUNDS - 8)) - 1 : 0xff;
	const __m128i rows_down = _mm_set_epi64x(0x08090A0B0C0D0E0FLL,
						 0x0001020304050607LL);
	const __m512i lu = _mm512_maskz_loadu_epi64(there, image->lu + i);

	return _mm512_shuffle_epi8(lu, _mm512_broadcast_i32x4(rows_down));
}

static void avx512_set_image(struct chaosimg_image *image)
{
	__m512i lu, l, u;
	int i;

	for (i = 0; i < CHAOSIMG_ROUNDS; i += 8) {
		lu = load_lu(image, i);
		l = (lu & all(BELOW)) | all(IDENTITY);
		u = (lu & all(ABOVE)) | all(IDENTITY);
		_mm512_storeu_si512(image->u.affine + i,
				    times_transposed(l, transposed(u)));
	}
}

/*
 * The inverse of I + N, with N^8 = 0: (I + N) * (I + N^2) * (I + N^4). Of @n and
 * its transpose @nt, whose powers are one another's transposes.
 */
CHAOSIMG_INLINE __m512i inverse(__m512i n, __m512i nt)
{
	const __m512i one = all(IDENTITY);
	const __m512i n2 = times_transposed(n, nt);
	const __m512i n2t = times_transposed(nt, n);
	const __m512i n4t = times_transposed(n2t, n2);

	return times_transposed(times_transposed(one ^ n, one ^ n2t),
				one ^ n4t);
}

/* A^-1 = U^-1 * L^-1 */
CHAOSIMG_INLINE void inverses(u64 out[2 * 8],
			      const struct chaosimg_image *image)
{
	__m512i lu, l, u;
	int i;

	for (i = 0; i < CHAOSIMG_ROUNDS; i += 8) {
		lu = load_lu(image, i);
		l = lu & all(BELOW);
		u = lu & all(ABOVE);
		l = inverse(transposed(l), l);	/* transposed, too */
		u = inverse(u, transposed(u));
		_mm512_storeu_si512(out + i, times_transposed(u, l));
	}
}

/* --- E ------------------------------------------------------------------ */

CHAOSIMG_INLINE __m128i apply(__m128i s, u64 matrix)
{
	__m128i m = _mm_set1_epi64x((long long)matrix);

	LOADED(m);
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
	u64 inverse_of[2 * 8];
	int r;

	inverses(inverse_of, image);
	for (r = CHAOSIMG_ROUNDS; r > 0; r--) {
		s ^= load(rk[r]);
		if (r < CHAOSIMG_ROUNDS)
			s = _mm_aesimc_si128(s);
		s = _mm_aesdeclast_si128(s, _mm_setzero_si128());
		s = apply(s, inverse_of[r - 1]);
	}
	store(dst, s ^ load(rk[0]));
	chaosimg_wipe(inverse_of, sizeof(inverse_of));
}

/* --- XCTR --------------------------------------------------------------- */

/* What the keystream is made of. */
struct stream {
	const struct chaosimg_image *image;
	const u8 (*rk)[CHAOSIMG_BLOCK];
	__m512i start, last;
};

CHAOSIMG_INLINE struct stream stream_of(const struct chaosimg_cipher_key *key,
					const struct chaosimg_image *image,
					const u8 s[CHAOSIMG_BLOCK])
{
	const u8 (*rk)[CHAOSIMG_BLOCK] = key->u.v.rk[CHAOSIMG_MAIN];
	const struct stream stream = {
		image, rk, broadcast(s) ^ broadcast(rk[0]),
		all(image->flip) ^ broadcast(rk[CHAOSIMG_ROUNDS]),
	};

	return stream;
}

/* E's input for @n registers from block number @first on. */
CHAOSIMG_INLINE void count(const struct stream *stream, u64 first, __m512i *s,
			   int n)
{
	const __m512i lane = _mm512_set_epi64(0, 3, 0, 2, 0, 1, 0, 0);
	__m512i k;
	int i;

#pragma GCC unroll 8
	for (i = 0; i < n; i++) {
		k = _mm512_maskz_set1_epi64(0x55, (long long)first);
		s[i] = stream->start ^ _mm512_add_epi64(k, lane);
		first += PER_ZMM;
	}
}

CHAOSIMG_INLINE void round_512(const struct stream *stream, int r, __m512i *s,
			       int n)
{
	const __m512i k = broadcast(stream->rk[r]);
	__m512i m = all(stream->image->u.affine[r - 1]);
	int i;

	LOADED(m);
#pragma GCC unroll 8
	for (i = 0; i < n; i++) {
		s[i] = _mm512_gf2p8affine_epi64_epi8(s[i], m, 0);
		s[i] = _mm512_aesenc_epi128(s[i], k);
	}
}

CHAOSIMG_INLINE void last_round(const struct stream *stream, __m512i *s, int n)
{
	__m512i m = all(stream->image->u.affine[CHAOSIMG_ROUNDS - 1]);
	int i;

	LOADED(m);
#pragma GCC unroll 8
	for (i = 0; i < n; i++) {
		s[i] = _mm512_gf2p8affine_epi64_epi8(s[i], m, 0);
		s[i] = _mm512_aesenclast_epi128(s[i], stream->last);
	}
}

/* @n registers of keystream, from block number @first on. */
CHAOSIMG_INLINE void keystream(const struct stream *stream, u64 first,
			       __m512i *s, int n)
{
	int r;

	count(stream, first, s, n);
	for (r = 1; r < CHAOSIMG_ROUNDS; r++)
		round_512(stream, r, s, n);
	last_round(stream, s, n);
}

CHAOSIMG_INLINE void xor_all(u8 *dst, const u8 *src, const __m512i s[WIDE])
{
	int i;

#pragma GCC unroll 8
	for (i = 0; i < WIDE; i++)
		_mm512_storeu_si512(dst + 64 * i, s[i] ^
				    _mm512_loadu_si512(src + 64 * i));
}

/* Xor @len bytes, at most @n registers of them. */
CHAOSIMG_INLINE void xor_tail(u8 *dst, const u8 *src, size_t len,
			      const __m512i *s, int n)
{
	__mmask64 m;
	int i;

#pragma GCC unroll 8
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
	const struct stream stream = stream_of(key, image, s);
	__m512i ks[WIDE];

	for (; len >= 64 * WIDE; len -= 64 * WIDE) {
		keystream(&stream, first, ks, WIDE);
		xor_all(dst, src, ks);
		first += PER_ZMM * WIDE;
		dst += 64 * WIDE;
		src += 64 * WIDE;
	}
	if (len > 64 * WIDE / 2) {
		keystream(&stream, first, ks, WIDE);
		xor_tail(dst, src, len, ks, WIDE);
	} else if (len > 64) {
		keystream(&stream, first, ks, WIDE / 2);
		xor_tail(dst, src, len, ks, WIDE / 2);
	} else if (len) {
		keystream(&stream, first, ks, 1);
		xor_tail(dst, src, len, ks, 1);
	}
}

/* --- POLYVAL ------------------------------------------------------------ */

/*
 * hpow holds the highest power first, as the blocks that they multiply, then
 * the sums of their halves.
 */

struct wide_512 {
	__m512i lo, mid, hi;
};

CHAOSIMG_INLINE __m512i halves_512(__m512i x)
{
	return x ^ _mm512_shuffle_epi32(x, 0x4e);
}

CHAOSIMG_INLINE void multiply_add_512(struct wide_512 *w, __m512i a, __m512i b,
				      __m512i b_halves)
{
	w->lo ^= _mm512_clmulepi64_epi128(a, b, 0x00);
	w->hi ^= _mm512_clmulepi64_epi128(a, b, 0x11);
	w->mid ^= _mm512_clmulepi64_epi128(halves_512(a), b_halves, 0x00);
}

CHAOSIMG_INLINE __m128i sum_lanes(__m512i x)
{
	__m256i y = _mm512_castsi512_si256(x) ^ _mm512_extracti64x4_epi64(x, 1);

	return _mm256_castsi256_si128(y) ^ _mm256_extracti128_si256(y, 1);
}

CHAOSIMG_INLINE __m128i reduce_512(const struct wide_512 *w)
{
	const struct wide sum = { sum_lanes(w->lo), sum_lanes(w->mid),
				  sum_lanes(w->hi) };

	return reduce(&sum);
}

/* Four blocks, and what is in @x besides, times the powers at @hp. */
CHAOSIMG_INLINE void add_blocks(struct wide_512 *w, __m512i x, const u8 *src,
				const u8 (*hp)[CHAOSIMG_BLOCK])
{
	x ^= _mm512_loadu_si512(src);
	multiply_add_512(w, x, _mm512_loadu_si512(hp[0]),
			 _mm512_loadu_si512(hp[STRIDE]));
}

CHAOSIMG_INLINE __m128i stride(const u8 (*hp)[CHAOSIMG_BLOCK], __m128i a,
			       const u8 *src, __m512i f)
{
	struct wide_512 w = { 0 };
	int i;

#pragma GCC unroll 8
	for (i = PER_ZMM; i < STRIDE; i += PER_ZMM)
		add_blocks(&w, f, src + 16 * i, hp + i);
	add_blocks(&w, f ^ _mm512_zextsi128_si512(a), src, hp);
	return reduce_512(&w);
}

/* Fewer than STRIDE blocks; what lies past them is multiplied by 0. */
CHAOSIMG_INLINE __m128i some_blocks(const u8 (*hp)[CHAOSIMG_BLOCK], __m128i a,
				    const u8 *src, size_t n, __m512i f)
{
	struct wide_512 w = { 0 };
	__m512i x = f ^ _mm512_zextsi128_si512(a);
	__mmask8 m;

	hp += STRIDE - n;
	for (; n >= PER_ZMM; n -= PER_ZMM, hp += PER_ZMM, src += 64) {
		add_blocks(&w, x, src, hp);
		x = f;
	}
	if (n) {
		m = (__mmask8)((1 << 2 * n) - 1);
		multiply_add_512(&w, x ^ _mm512_maskz_loadu_epi64(m, src),
				 _mm512_maskz_loadu_epi64(m, hp[0]),
				 _mm512_maskz_loadu_epi64(m, hp[STRIDE]));
	}
	return reduce_512(&w);
}

static void avx512_polyval(const struct chaosimg_cipher_key *key,
			   u8 acc[CHAOSIMG_BLOCK], const u8 *src,
			   size_t blocks, u64 flip)
{
	const u8 (*hp)[CHAOSIMG_BLOCK] = key->u.v.hpow;
	const __m512i f = all(flip);
	__m128i a = load(acc);

	for (; blocks >= STRIDE; blocks -= STRIDE, src += 16 * STRIDE) {
		/* Or all powers are loaded before, and put on the stack. */
		__asm__("" : "+r"(hp));
		a = stride(hp, a, src, f);
	}
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
		store(key->u.v.hpow[STRIDE + i], halves(p));
		p = multiply(p, h);
	}
}

/* --- both at once --------------------------------------------------------- */

/*
 * A stride of keystream, and the hash of the stride at @src. AES and GFNI use
 * two of the CPU's units in every cycle, but a product blocks one of them for
 * two cycles and leaves the other one idle if it has nothing else to do.
 */
CHAOSIMG_INLINE __m128i keystream_and_hash(const struct stream *stream,
					   u64 first, __m512i ks[WIDE],
					   const u8 (*hp)[CHAOSIMG_BLOCK],
					   __m128i a, const u8 *src, __m512i f)
{
	struct wide_512 w = { 0 };
	__m512i x = f ^ _mm512_zextsi128_si512(a);
	int r;

	count(stream, first, ks, WIDE);
	for (r = 1; r <= STRIDE / PER_ZMM; r++) {
		round_512(stream, r, ks, WIDE);
		add_blocks(&w, x, src, hp);
		x = f;
		src += 64;
		hp += PER_ZMM;
	}
	for (; r < CHAOSIMG_ROUNDS; r++)
		round_512(stream, r, ks, WIDE);
	last_round(stream, ks, WIDE);
	return reduce_512(&w);
}

static void avx512_xctr_polyval(const struct chaosimg_cipher_key *key,
				const struct chaosimg_image *image,
				const u8 s[CHAOSIMG_BLOCK], u64 first, u8 *dst,
				const u8 *src, size_t len,
				u8 acc[CHAOSIMG_BLOCK], u64 flip)
{
	const struct stream stream = stream_of(key, image, s);
	const u8 *end = dst + len, *hashed = dst;
	const __m512i f = all(flip);
	__m128i a = load(acc);
	__m512i ks[WIDE];

	if (len >= 16 * STRIDE) {
		keystream(&stream, first, ks, WIDE);
		xor_all(dst, src, ks);
		first += STRIDE;
		dst += 16 * STRIDE;
		src += 16 * STRIDE;
	}
	for (; end - dst >= 16 * STRIDE; hashed += 16 * STRIDE) {
		a = keystream_and_hash(&stream, first, ks, key->u.v.hpow, a,
				       hashed, f);
		xor_all(dst, src, ks);
		first += STRIDE;
		dst += 16 * STRIDE;
		src += 16 * STRIDE;
	}
	store(acc, a);
	avx512_xctr(key, image, s, first, dst, src, (size_t)(end - dst));
	avx512_polyval(key, acc, hashed,
		       (size_t)(end - hashed) / CHAOSIMG_BLOCK, flip);
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
	.seed = x86_seed,
	.encrypt = avx512_encrypt,
	.decrypt = avx512_decrypt,
	.xctr = avx512_xctr,
	.polyval = avx512_polyval,
	.xctr_polyval = avx512_xctr_polyval,
};

#endif /* __x86_64__ */
