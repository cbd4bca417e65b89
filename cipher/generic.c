// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The implementation for every machine: E bit-sliced over 64-bit words, four
 * blocks at a time, and POLYVAL by integer multiplication. Constant time: no
 * table is indexed, and no branch taken, by anything secret.
 *
 * Plane k holds bit k of 64 bytes. The byte in row r, column c of block b is
 * at bit 16*r + 4*c + b, so MixColumns rotates whole words. ShiftRows is never
 * carried out: after n rounds the planes hold the true state with row r still
 * n*r columns behind, and MixColumns takes its columns from there instead
 * (Adomnicai and Peyrin's fixslicing, 2020).
 */
#include "cipher.h"
#include "sbox.h"

enum { LANES = 4 };		/* blocks in the planes */

/* --- bytes to planes and back ------------------------------------------- */

/* The four bytes of a column, each into the low byte of 16 bits. */
CHAOSIMG_INLINE u64 spread(u32 x)
{
	u64 t = x;

	t = (t | t << 16) & 0x0000FFFF0000FFFFULL;
	return (t | t << 8) & 0x00FF00FF00FF00FFULL;
}

CHAOSIMG_INLINE u32 gather(u64 t)
{
	t &= 0x00FF00FF00FF00FFULL;
	t = (t | t >> 8) & 0x0000FFFF0000FFFFULL;
	return (u32)(t | t >> 16);
}

/* Exchange the bits of @a at @mask << @n with those of @b at @mask. */
#define SWAP(a, b, mask, n) do {			\
	u64 t_ = ((a) >> (n) ^ (b)) & (mask);		\
	(b) ^= t_;					\
	(a) ^= t_ << (n);				\
} while (0)

/*
 * Transpose 8x8 bits within the eight words: from index (block, column bit 0)
 * to index (bit of the byte), in the order of plane[]. An involution.
 */
CHAOSIMG_INLINE void transpose(u64 w[8])
{
	int i;

	for (i = 0; i < 8; i += 2)
		SWAP(w[i], w[i + 1], 0x0F0F0F0F0F0F0F0FULL, 4);
	for (i = 0; i < 4; i++)
		SWAP(w[i], w[i + 4], 0x3333333333333333ULL, 2);
	for (i = 0; i < 8; i++)
		if (!(i & 2))
			SWAP(w[i], w[i + 2], 0x5555555555555555ULL, 1);
}

static const u8 plane[8] = { 0, 2, 4, 6, 1, 3, 5, 7 };

CHAOSIMG_INLINE void pack(u64 q[8], const u8 in[LANES * CHAOSIMG_BLOCK])
{
	u64 w[8];
	int b, c, k;

	for (b = 0; b < LANES; b++)
		for (c = 0; c < 2; c++)
			w[2 * b + c] = spread(load_le32(in + 16 * b + 4 * c)) |
				spread(load_le32(in + 16 * b + 4 * c + 8)) << 8;
	transpose(w);
	for (k = 0; k < 8; k++)
		q[k] = w[plane[k]];
}

CHAOSIMG_INLINE void unpack(u8 out[LANES * CHAOSIMG_BLOCK], const u64 q[8])
{
	u64 w[8];
	int b, c, k;

	for (k = 0; k < 8; k++)
		w[plane[k]] = q[k];
	transpose(w);
	for (b = 0; b < LANES; b++)
		for (c = 0; c < 2; c++) {
			store_le32(out + 16 * b + 4 * c, gather(w[2 * b + c]));
			store_le32(out + 16 * b + 4 * c + 8,
				   gather(w[2 * b + c] >> 8));
		}
}

/* --- linear layers ------------------------------------------------------ */

CHAOSIMG_INLINE void add_key(u64 q[8], const u64 k[8])
{
	int i;

	for (i = 0; i < 8; i++)
		q[i] ^= k[i];
}

/* A = L*U in place: U from the top row down, then L from the bottom row up. */
CHAOSIMG_INLINE void matrix(u64 q[8], const u64 m[64])
{
	int i, j;

#pragma GCC unroll 8
	for (i = 0; i < 8; i++)
#pragma GCC unroll 8
		for (j = i + 1; j < 8; j++)
			q[i] ^= q[j] & m[8 * i + j];
#pragma GCC unroll 8
	for (i = 7; i >= 0; i--)
#pragma GCC unroll 8
		for (j = 0; j < i; j++)
			q[i] ^= q[j] & m[8 * i + j];
}

/* Its inverse: the two substitutions in the other order. */
CHAOSIMG_INLINE void matrix_inverse(u64 q[8], const u64 m[64])
{
	int i, j;

	for (i = 0; i < 8; i++)
		for (j = 0; j < i; j++)
			q[i] ^= q[j] & m[8 * i + j];
	for (i = 7; i >= 0; i--)
		for (j = i + 1; j < 8; j++)
			q[i] ^= q[j] & m[8 * i + j];
}

/* The byte @rows further down and @cols further right. */
CHAOSIMG_INLINE u64 at(u64 x, int rows, int cols)
{
	static const u64 stay[4] = {
		~0ULL, 0x0FFF0FFF0FFF0FFFULL, 0x00FF00FF00FF00FFULL,
		0x000F000F000F000FULL,
	};
	int n = 16 * rows + 4 * cols;

	if (!cols)
		return rol64_(x, (64 - n) & 63);
	return (rol64_(x, (64 - n) & 63) & stay[cols]) |
		(rol64_(x, (80 - n) & 63) & ~stay[cols]);
}

/* MixColumns along columns that slant by @k for each row. */
CHAOSIMG_INLINE void mix_columns(u64 q[8], int k)
{
	u64 r[8], t[8];
	int i;

#pragma GCC unroll 8
	for (i = 0; i < 8; i++) {
		r[i] = at(q[i], 1, k);
		t[i] = q[i] ^ r[i];
	}
#pragma GCC unroll 8
	for (i = 0; i < 8; i++)
		q[i] = t[(i + 7) & 7] ^ r[i] ^ at(t[i], 2, 2 * k & 3);
	q[1] ^= t[7];
	q[3] ^= t[7];
	q[4] ^= t[7];
}

/* After 14 rounds row r is 14*r columns behind: settle it. */
CHAOSIMG_INLINE void shift_rows_14(u64 q[8])
{
	const u64 odd = 0xFFFF0000FFFF0000ULL;
	int i;

	for (i = 0; i < 8; i++)
		q[i] = (q[i] & ~odd) | (at(q[i], 0, 2) & odd);
}

/* --- E ------------------------------------------------------------------ */

#define ROUND(q, r, k) do {				\
	if (m)						\
		matrix(q, m[(r) - 1]);			\
	sbox_planes(q);					\
	mix_columns(q, k);				\
	add_key(q, rk[r]);				\
} while (0)

/* @m is NULL for plain AES. */
CHAOSIMG_INLINE void encrypt_planes(u64 q[8], const u64 (*rk)[8],
				    const u64 (*m)[64])
{
	int r;

	add_key(q, rk[0]);
	for (r = 1; r < 13; r += 4) {
		ROUND(q, r, 1);
		ROUND(q, r + 1, 2);
		ROUND(q, r + 2, 3);
		ROUND(q, r + 3, 0);
	}
	ROUND(q, 13, 1);
	if (m)
		matrix(q, m[13]);
	sbox_planes(q);
	add_key(q, rk[14]);
	shift_rows_14(q);
}

/* Inverse of the affine map's linear part in SubBytes. */
static void affine_inverse(u64 q[8])
{
	u64 t[8];
	int i;

	for (i = 0; i < 8; i++)
		t[i] = q[(i + 2) & 7] ^ q[(i + 5) & 7] ^ q[(i + 7) & 7];
	for (i = 0; i < 8; i++)
		q[i] = t[i];
}

/* Inversion is its own inverse, so SubBytes serves between two affine maps. */
static void inv_sbox_planes(u64 q[8])
{
	affine_inverse(q);
	sbox_planes(q);
	affine_inverse(q);
}

/* MixColumns to the power of 4 is the identity. */
static void inv_mix_columns(u64 q[8], int k)
{
	int i;

	for (i = 0; i < 3; i++) {
		switch (k) {
		case 0:
			mix_columns(q, 0);
			break;
		case 1:
			mix_columns(q, 1);
			break;
		case 2:
			mix_columns(q, 2);
			break;
		default:
			mix_columns(q, 3);
		}
	}
}

static void decrypt_planes(u64 q[8], const u64 (*rk)[8], const u64 (*m)[64])
{
	int r;

	shift_rows_14(q);	/* an involution */
	for (r = CHAOSIMG_ROUNDS; r > 0; r--) {
		add_key(q, rk[r]);
		if (r < CHAOSIMG_ROUNDS)
			inv_mix_columns(q, r & 3);
		inv_sbox_planes(q);
		matrix_inverse(q, m[r - 1]);
	}
	add_key(q, rk[0]);
}

/* --- the operations ----------------------------------------------------- */

/* Round key r, as far behind as the state is, with SubBytes' constant. */
static void generic_set_rounds(struct chaosimg_cipher_key *key,
			       enum chaosimg_schedule which, const u8 k[32])
{
	u8 rk[CHAOSIMG_ROUNDS + 1][CHAOSIMG_BLOCK];
	u8 b[LANES * CHAOSIMG_BLOCK];
	int r, i, row, col;

	chaosimg_aes256_expand(rk, k);
	for (r = 0; r <= CHAOSIMG_ROUNDS; r++) {
		for (i = 0; i < LANES * CHAOSIMG_BLOCK; i++) {
			row = i & 3;
			col = (i >> 2) - r * row;
			b[i] = rk[r][4 * (col & 3) + row];
			b[i] ^= r ? 0x63 : 0;
		}
		pack(key->u.sliced[which][r], b);
	}
	chaosimg_wipe(rk, sizeof(rk));
	chaosimg_wipe(b, sizeof(b));
}

static void generic_set_image(struct chaosimg_image *image)
{
	int r, i;

	for (r = 0; r < CHAOSIMG_ROUNDS; r++)
		for (i = 0; i < 64; i++)
			image->u.mask[r][i] = -(image->lu[r] >> i & 1);
}

static void generic_aes(const struct chaosimg_cipher_key *key,
			enum chaosimg_schedule which, u8 *dst, const u8 *src,
			size_t blocks)
{
	u8 b[LANES * CHAOSIMG_BLOCK] = { 0 };
	u64 q[8];
	size_t i, n;

	for (; blocks; blocks -= n) {
		n = blocks < LANES ? blocks : LANES;
		for (i = 0; i < n * CHAOSIMG_BLOCK; i++)
			b[i] = src[i];
		pack(q, b);
		encrypt_planes(q, key->u.sliced[which], NULL);
		unpack(b, q);
		for (i = 0; i < n * CHAOSIMG_BLOCK; i++)
			dst[i] = b[i];
		src += n * CHAOSIMG_BLOCK;
		dst += n * CHAOSIMG_BLOCK;
	}
	chaosimg_wipe(b, sizeof(b));
	chaosimg_wipe(q, sizeof(q));
}

static void generic_encrypt(const struct chaosimg_cipher_key *key,
			    const struct chaosimg_image *image,
			    u8 dst[CHAOSIMG_BLOCK],
			    const u8 src[CHAOSIMG_BLOCK])
{
	u8 b[LANES * CHAOSIMG_BLOCK] = { 0 };
	u64 q[8];

	__builtin_memcpy(b, src, CHAOSIMG_BLOCK);
	pack(q, b);
	encrypt_planes(q, key->u.sliced[CHAOSIMG_MAIN], image->u.mask);
	unpack(b, q);
	__builtin_memcpy(dst, b, CHAOSIMG_BLOCK);
	chaosimg_wipe(b, sizeof(b));
	chaosimg_wipe(q, sizeof(q));
}

static void generic_decrypt(const struct chaosimg_cipher_key *key,
			    const struct chaosimg_image *image,
			    u8 dst[CHAOSIMG_BLOCK],
			    const u8 src[CHAOSIMG_BLOCK])
{
	u8 b[LANES * CHAOSIMG_BLOCK] = { 0 };
	u64 q[8];

	__builtin_memcpy(b, src, CHAOSIMG_BLOCK);
	pack(q, b);
	decrypt_planes(q, key->u.sliced[CHAOSIMG_MAIN], image->u.mask);
	unpack(b, q);
	__builtin_memcpy(dst, b, CHAOSIMG_BLOCK);
	chaosimg_wipe(b, sizeof(b));
	chaosimg_wipe(q, sizeof(q));
}

static void generic_xctr(const struct chaosimg_cipher_key *key,
			 const struct chaosimg_image *image,
			 const u8 s[CHAOSIMG_BLOCK], u64 first, u8 *dst,
			 const u8 *src, size_t len)
{
	const u64 s0 = load_le64(s), s1 = load_le64(s + 8);
	u8 b[LANES * CHAOSIMG_BLOCK];
	u64 q[8];
	size_t i, n;

	for (; len; len -= n) {
		n = len < sizeof(b) ? len : sizeof(b);
		for (i = 0; i < LANES; i++) {
			store_le64(b + 16 * i, s0 ^ (first + i));
			store_le64(b + 16 * i + 8, s1);
		}
		first += LANES;
		pack(q, b);
		encrypt_planes(q, key->u.sliced[CHAOSIMG_MAIN], image->u.mask);
		unpack(b, q);
		for (i = 0; i < n; i++)
			dst[i] = src[i] ^ b[i] ^ (u8)image->flip;
		dst += n;
		src += n;
	}
	chaosimg_wipe(b, sizeof(b));
	chaosimg_wipe(q, sizeof(q));
}

/* --- POLYVAL ------------------------------------------------------------ */

struct wide {
	u64 lo, hi;
};

#define EVERY_4TH 0x1111111111111111ULL

/*
 * Carry-less products by integer ones: where every fourth bit alone is in
 * use, up to 15 terms add up in the gap and cannot reach the next used bit.
 */
#if defined(__SIZEOF_INT128__) && !defined(CHAOSIMG_NO_INT128)
typedef unsigned __int128 product;

static inline struct wide clmul(u64 a, u64 b)
{
	const u64 top = b >> 60, low = b & ~(0xFULL << 60);
	u64 x[4], y[4];
	struct wide r = { 0, 0 };
	product z, t = 0;
	int i, s;

#pragma GCC unroll 4
	for (i = 0; i < 4; i++) {
		x[i] = a & EVERY_4TH << i;
		y[i] = low & EVERY_4TH << i;
	}
#pragma GCC unroll 4
	for (s = 0; s < 4; s++) {
		z = 0;
#pragma GCC unroll 4
		for (i = 0; i < 4; i++)
			z ^= (product)x[i] * y[(s - i) & 3];
		r.lo |= (u64)z & EVERY_4TH << s;
		r.hi |= (u64)(z >> 64) & EVERY_4TH << s;
	}
	/* The 16th term of each class, bit by bit. */
#pragma GCC unroll 4
	for (i = 0; i < 4; i++)
		t ^= (product)(a & -(top >> i & 1)) << i;
	t <<= 60;
	r.lo ^= (u64)t;
	r.hi ^= (u64)(t >> 64);
	return r;
}
#else
static inline u64 clmul32(u32 a, u32 b)
{
	u64 r = 0, z;
	int i, s;

	for (s = 0; s < 4; s++) {
		z = 0;
		for (i = 0; i < 4; i++)
			z ^= (a & EVERY_4TH << i) *
				(b & EVERY_4TH << ((s - i) & 3));
		r |= z & EVERY_4TH << s;
	}
	return r;
}

static inline struct wide clmul(u64 a, u64 b)
{
	u32 al = (u32)a, ah = (u32)(a >> 32), bl = (u32)b, bh = (u32)(b >> 32);
	u64 mid = clmul32(al, bh) ^ clmul32(ah, bl);
	struct wide r = {
		clmul32(al, bl) ^ mid << 32,
		clmul32(ah, bh) ^ mid >> 32,
	};

	return r;
}
#endif

/*
 * One half of the division by x^128 modulo x^128 + x^127 + x^126 + x^121 + 1:
 * the lowest word x0 goes to 2 words up, and x0 * (x^63 + x^62 + x^57) to the
 * next two words.
 */
#define FOLD(x0, x1, x2) do {					\
	(x1) ^= (x0) << 63 ^ (x0) << 62 ^ (x0) << 57;		\
	(x2) ^= (x0) ^ (x0) >> 1 ^ (x0) >> 2 ^ (x0) >> 7;	\
} while (0)

static void generic_polyval(const struct chaosimg_cipher_key *key,
			    u8 acc[CHAOSIMG_BLOCK], const u8 *src,
			    size_t blocks, u64 flip)
{
	const u64 h0 = load_le64(key->h), h1 = load_le64(key->h + 8);
	u64 a0 = load_le64(acc), a1 = load_le64(acc + 8), x1, x2;
	struct wide lo, hi, mid;

	for (; blocks; blocks--, src += CHAOSIMG_BLOCK) {
		a0 ^= load_le64(src) ^ flip;
		a1 ^= load_le64(src + 8) ^ flip;
		lo = clmul(a0, h0);
		hi = clmul(a1, h1);
		mid = clmul(a0 ^ a1, h0 ^ h1);
		x1 = lo.hi ^ mid.lo ^ lo.lo ^ hi.lo;
		x2 = hi.lo ^ mid.hi ^ lo.hi ^ hi.hi;
		FOLD(lo.lo, x1, x2);
		FOLD(x1, x2, hi.hi);
		a0 = x2;
		a1 = hi.hi;
	}
	store_le64(acc, a0);
	store_le64(acc + 8, a1);
}

static void generic_set_hash(struct chaosimg_cipher_key *key)
{
	(void)key;	/* H itself is all that generic_polyval() needs */
}

const struct chaosimg_cipher_impl chaosimg_impl_generic = {
	.name = "generic",
	.image_size = sizeof(((struct chaosimg_image *)0)->u.mask),
	.set_rounds = generic_set_rounds,
	.set_hash = generic_set_hash,
	.set_image = generic_set_image,
	.aes = generic_aes,
	.encrypt = generic_encrypt,
	.decrypt = generic_decrypt,
	.xctr = generic_xctr,
	.polyval = generic_polyval,
};
