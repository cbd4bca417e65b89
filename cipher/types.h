/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The integer types and the few helpers that the freestanding cipher needs. */
#ifndef CHAOSIMG_CIPHER_TYPES_H
#define CHAOSIMG_CIPHER_TYPES_H

#ifdef __KERNEL__
#include <linux/types.h>
#else
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint32_t u32;
typedef uint64_t u64;
#endif

#define CHAOSIMG_INLINE static inline __attribute__((always_inline))
#define CHAOSIMG_ALIGNED(n) __attribute__((aligned(n)))

CHAOSIMG_INLINE u32 load_le32(const u8 *p)
{
	return p[0] | (u32)p[1] << 8 | (u32)p[2] << 16 | (u32)p[3] << 24;
}

CHAOSIMG_INLINE u64 load_le64(const u8 *p)
{
	return load_le32(p) | (u64)load_le32(p + 4) << 32;
}

CHAOSIMG_INLINE void store_le32(u8 *p, u32 x)
{
	p[0] = (u8)x;
	p[1] = (u8)(x >> 8);
	p[2] = (u8)(x >> 16);
	p[3] = (u8)(x >> 24);
}

CHAOSIMG_INLINE void store_le64(u8 *p, u64 x)
{
	store_le32(p, (u32)x);
	store_le32(p + 4, (u32)(x >> 32));
}

CHAOSIMG_INLINE u64 rol64_(u64 x, unsigned int n)
{
	return n ? x << n | x >> (64 - n) : x;
}

/* The rows of a matrix over GF(2), one in each byte, to its columns. */
CHAOSIMG_INLINE u64 transposed_8x8(u64 x)
{
	u64 t;

	t = (x ^ x >> 7) & 0x00AA00AA00AA00AAULL;
	x ^= t ^ t << 7;
	t = (x ^ x >> 14) & 0x0000CCCC0000CCCCULL;
	x ^= t ^ t << 14;
	t = (x ^ x >> 28) & 0x00000000F0F0F0F0ULL;
	return x ^ t ^ t << 28;
}

/* Wipe; the barrier keeps the compiler from dropping the stores. */
CHAOSIMG_INLINE void chaosimg_wipe(void *p, size_t len)
{
	__builtin_memset(p, 0, len);
	__asm__ __volatile__("" : : "r"(p) : "memory");
}

#endif
