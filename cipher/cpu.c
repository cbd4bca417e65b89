// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What this CPU can do, asked in user space; the kernel asks its own way. */
#include "cipher.h"

#ifdef __x86_64__
#include <cpuid.h>

/* The registers that the system saves (XCR0). */
static u32 saved_state(void)
{
	u32 lo, hi;

	__asm__ __volatile__("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
	(void)hi;
	return lo;
}

/* What needs registers wider than xmm; @b and @c are CPUID's leaf 7. */
static u32 wide_features(u32 saved, u32 b, u32 c)
{
	const u32 avx512b = bit_AVX512F | bit_AVX512BW | bit_AVX512VL;
	const u32 ymm_state = 0x06;	/* xmm, ymm */
	const u32 zmm_state = 0xe6;	/* and opmask, zmm */
	u32 features = 0;

	if (!(c & bit_VAES) || (saved & ymm_state) != ymm_state)
		return 0;
	if (b & bit_AVX2)
		features |= CHAOSIMG_CPU_VAES_AVX2;
	if (c & bit_VPCLMULQDQ)
		features |= CHAOSIMG_CPU_VPCLMULQDQ;
	if ((b & avx512b) == avx512b && (c & bit_GFNI) &&
	    (c & bit_VPCLMULQDQ) && (saved & zmm_state) == zmm_state)
		features |= CHAOSIMG_CPU_AVX512;
	return features;
}

u32 chaosimg_cpu_features(void)
{
	const u32 aesni = bit_AES | bit_PCLMUL | bit_SSSE3 | bit_SSE4_1;
	u32 a, b, c, d, saved, features = 0;

	if (!__get_cpuid(1, &a, &b, &c, &d))
		return 0;
	if ((c & aesni) == aesni)
		features |= CHAOSIMG_CPU_AESNI;
	if (!(c & bit_OSXSAVE) || !(c & bit_AVX))
		return features;
	saved = saved_state();
	if (__get_cpuid_count(7, 0, &a, &b, &c, &d))
		features |= wide_features(saved, b, c);
	return features;
}
#elif defined(CHAOSIMG_ARM64)
#include <asm/hwcap.h>
#include <sys/auxv.h>

u32 chaosimg_cpu_features(void)
{
	const unsigned long ce = HWCAP_AES | HWCAP_PMULL;

	return (getauxval(AT_HWCAP) & ce) == ce ? CHAOSIMG_CPU_ARM64_CE : 0;
}
#else
u32 chaosimg_cpu_features(void)
{
	return 0;
}
#endif
