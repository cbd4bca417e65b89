// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What this CPU can do, asked in user space; the kernel asks its own way. */
#include "cipher.h"

#ifdef __x86_64__
#include <cpuid.h>

/* Does the system save the registers that @mask names (XCR0)? */
static bool os_saves(u32 mask)
{
	u32 lo, hi;

	__asm__ __volatile__("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
	(void)hi;
	return (lo & mask) == mask;
}

u32 chaosimg_cpu_features(void)
{
	const u32 aesni = bit_AES | bit_PCLMUL | bit_SSSE3 | bit_SSE4_1;
	const u32 avx512b = bit_AVX512F | bit_AVX512BW | bit_AVX512VL;
	const u32 avx512c = bit_GFNI | bit_VAES | bit_VPCLMULQDQ;
	const u32 zmm_state = 0xe6;	/* xmm, ymm, opmask, zmm */
	u32 a, b, c, d, features = 0;

	if (!__get_cpuid(1, &a, &b, &c, &d))
		return 0;
	if ((c & aesni) == aesni)
		features |= CHAOSIMG_CPU_AESNI;
	if (!(c & bit_OSXSAVE) || !os_saves(zmm_state))
		return features;
	if (__get_cpuid_count(7, 0, &a, &b, &c, &d) &&
	    (b & avx512b) == avx512b && (c & avx512c) == avx512c)
		features |= CHAOSIMG_CPU_AVX512;
	return features;
}
#else
u32 chaosimg_cpu_features(void)
{
	return 0;
}
#endif
