// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The chaos: a coupled lattice of logistic maps in integers, and the matrices
 * over GF(2) that are made of it.
 */
#include "cipher.h"

enum {
	SITES = 8,
	WARM_UP = 8,		/* steps whose output is discarded */
	COUPLING = 24,		/* rotation of the left neighbour */
};

#define WEYL 0x9E3779B97F4A7C15ULL

#define BYTES 0x0101010101010101ULL	/* bit 0 of each row */
#define DIAGONAL 0x8040201008040201ULL	/* the identity matrix */
#define BELOW 0x7F3F1F0F07030100ULL	/* bits j < i of row i */
#define ABOVE 0x0080C0E0F0F8FCFEULL	/* bits j > i of row i */

/* (x * ~x) >> 62: the logistic map 4x(1-x) on Q0.64. */
CHAOSIMG_INLINE u64 logistic(u64 x)
{
#if defined(__SIZEOF_INT128__) && !defined(CHAOSIMG_NO_INT128)
	const unsigned __int128 product = (unsigned __int128)x * ~x;

	u64 high = (u64)(product >> 64);

	/* Apart, or compilers make a double shift of it, which is slow. */
	__asm__("" : "+r"(high));
	return (high << 2) + ((u64)product >> 62);
#else
	u64 y = ~x;
	u64 xl = (u32)x, xh = x >> 32, yl = (u32)y, yh = y >> 32;
	u64 mid = xh * yl + (xl * yl >> 32);
	u64 mid2 = xl * yh + (u32)mid;
	u64 hi = xh * yh + (mid >> 32) + (mid2 >> 32);
	u64 lo = mid2 << 32 | (u32)(xl * yl);

	return hi << 2 | lo >> 62;
#endif
}

/* Unrolled, so that the sites can stay in registers. */
CHAOSIMG_INLINE void lattice_step(u64 x[SITES], u64 y[SITES], u64 *w)
{
	int i;

#pragma GCC unroll 8
	for (i = 0; i < SITES; i++)
		y[i] = logistic(x[i]);
	*w += WEYL;
	/* Or gcc may count loops by it: a branch, if a harmless one, on a secret. */
	__asm__("" : "+r"(*w));
#pragma GCC unroll 8
	for (i = 0; i < SITES; i++)
		x[i] = y[i] + rol64_(y[(i + 7) % SITES], COUPLING);
	x[0] += *w;
}

void chaosimg_lattice(u64 lu[CHAOSIMG_ROUNDS], const u8 seed[64], u64 w)
{
	u64 x[SITES], y[SITES];
	int i, k;

	for (i = 0; i < SITES; i++)
		x[i] = load_le64(seed + 8 * i);
	for (i = 0; i < WARM_UP; i++)
		lattice_step(x, y, &w);
	for (i = 0; i < CHAOSIMG_ROUNDS; i += 4) {
		lattice_step(x, y, &w);
#pragma GCC unroll 4
		for (k = 0; k < 4; k++)
			if (i + k < CHAOSIMG_ROUNDS)
				lu[i + k] = x[k] ^ rol64_(x[k + 4], 32);
	}
	chaosimg_wipe(x, sizeof(x));
	chaosimg_wipe(y, sizeof(y));
}

/* For each row of @m with bit @j set: @row. */
CHAOSIMG_INLINE u64 where_column(u64 m, int j, u8 row)
{
	return ((m >> j & BYTES) * 0xff) & (row * BYTES);
}

u64 chaosimg_matrix(u64 lu)
{
	u64 l = (lu & BELOW) | DIAGONAL;
	u64 u = (lu & ABOVE) | DIAGONAL;
	u64 a = 0;
	int j;

	for (j = 0; j < 8; j++)
		a ^= where_column(l, j, (u8)(u >> 8 * j));
	return a;
}

/* Gauss-Jordan on the identity: undo L from the top, then U from below. */
u64 chaosimg_matrix_inverse(u64 lu)
{
	u64 l = lu & BELOW, u = lu & ABOVE;
	u64 a = DIAGONAL;
	int j;

	for (j = 0; j < 7; j++)
		a ^= where_column(l, j, (u8)(a >> 8 * j));
	for (j = 7; j > 0; j--)
		a ^= where_column(u, j, (u8)(a >> 8 * j));
	return a;
}
