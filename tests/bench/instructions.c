// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * How many cycles the instructions take of which the cipher's inner loops on
 * x86-64 consist, alone and side by side: each line is the time of a loop of
 * eight of each, over eight, with no instruction waiting for its neighbour. A
 * cycle is what a dependent addition takes. For developers; needs AVX-512:
 *
 *	gcc -O2 -o instructions tests/bench/instructions.c && ./instructions
 */
#include <stdint.h>
#include <stdio.h>

#include "figures.h"

enum { TURNS = 1000000, ROUNDS = 7, EACH = 8 };

#define EIGHT(x) x(0) x(1) x(2) x(3) x(4) x(5) x(6) x(7)

#define AES(r) "vaesenc %%zmm30, %%zmm" #r ", %%zmm" #r "\n"
#define AFFINE(r) "vgf2p8affineqb $0, %%zmm30, %%zmm" #r ", %%zmm" #r "\n"
#define PRODUCT(r) "vpclmulqdq $0, %%zmm30, %%zmm2" #r ", %%zmm1" #r "\n"
#define XOR(r) "vpxorq %%zmm30, %%zmm2" #r ", %%zmm1" #r "\n"
#define AES_Y(r) "vaesenc %%ymm14, %%ymm" #r ", %%ymm" #r "\n"
#define PRODUCT_Y(r) "vpclmulqdq $0, %%ymm14, %%ymm" #r ", %%ymm" #r "\n"
#define AES_X(r) "vaesenc %%xmm14, %%xmm" #r ", %%xmm" #r "\n"
#define LOOK_UP(r) "vpshufb %%xmm14, %%xmm" #r ", %%xmm" #r "\n"
#define SHIFT(r) "vpsrlq $4, %%xmm" #r ", %%xmm" #r "\n"
#define AND(r) "vpand %%xmm14, %%xmm" #r ", %%xmm" #r "\n"
#define PRODUCT_X(r) "vpclmulqdq $0, %%xmm14, %%xmm" #r ", %%xmm" #r "\n"
#define ROUND(r) AES_X(r) LOOK_UP(r) LOOK_UP(r) SHIFT(r) AND(r) AND(r) AND(r)

static double now(void)
{
	return seconds_of(CLOCK_THREAD_CPUTIME_ID);
}

#define LOOP(name, body) static double name(void)			\
{									\
	double t = now();						\
	uint64_t n = TURNS;						\
									\
	__asm__ volatile("1:\n" body "dec %0\njnz 1b" : "+r"(n) : : "rax");\
	return (now() - t) / TURNS / EACH;				\
}

LOOP(addition, ".rept 8\nadd $1, %%rax\n.endr\n")
LOOP(aes, EIGHT(AES))
LOOP(affine, EIGHT(AFFINE))
LOOP(product, EIGHT(PRODUCT))
LOOP(exclusive_or, EIGHT(XOR))
LOOP(aes_affine, EIGHT(AES) EIGHT(AFFINE))
LOOP(aes_affine_product, EIGHT(AES) EIGHT(AFFINE) EIGHT(PRODUCT))
LOOP(aes_affine_xor, EIGHT(AES) EIGHT(AFFINE) EIGHT(XOR))
LOOP(aes_256, EIGHT(AES_Y))
LOOP(product_256, EIGHT(PRODUCT_Y))
LOOP(aes_128, EIGHT(AES_X))
LOOP(look_up_128, EIGHT(LOOK_UP))
LOOP(shift_128, EIGHT(SHIFT))
LOOP(and_128, EIGHT(AND))
LOOP(product_128, EIGHT(PRODUCT_X))
LOOP(round_128, EIGHT(ROUND))

static double least(double (*loop)(void))
{
	double t = 1, x;
	int i;

	for (i = 0; i < ROUNDS; i++) {
		x = loop();
		t = x < t ? x : t;
	}
	return t;
}

int main(void)
{
	static const struct {
		const char *what;
		double (*loop)(void);
	} lines[] = {
		{ "512 bits: vaesenc", aes },
		{ "vgf2p8affineqb", affine },
		{ "vpclmulqdq", product },
		{ "vpxorq", exclusive_or },
		{ "vaesenc and vgf2p8affineqb", aes_affine },
		{ "the two and vpclmulqdq", aes_affine_product },
		{ "the two and vpxorq", aes_affine_xor },
		{ "256 bits: vaesenc", aes_256 },
		{ "vpclmulqdq", product_256 },
		{ "128 bits: vaesenc", aes_128 },
		{ "vpshufb", look_up_128 },
		{ "vpsrlq", shift_128 },
		{ "vpand", and_128 },
		{ "vpclmulqdq", product_128 },
		{ "a round: 1, 2, 1 and 3 of the first four", round_128 },
	};
	size_t i;

	if (!__builtin_cpu_supports("avx512f") ||
	    !__builtin_cpu_supports("vaes") ||
	    !__builtin_cpu_supports("vpclmulqdq") ||
	    !__builtin_cpu_supports("gfni")) {
		fprintf(stderr, "instructions: no AVX-512 with VAES and GFNI\n");
		return 1;
	}
	printf("%.2f GHz\n", 1e-9 / least(addition));
	for (i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		printf("%6.2f  %s\n", least(lines[i].loop) / least(addition),
		       lines[i].what);
	return 0;
}
