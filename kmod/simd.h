/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the CPU offers, and when its vector registers may be used. */
#ifndef CHAOSIMG_KMOD_SIMD_H
#define CHAOSIMG_KMOD_SIMD_H

#include <linux/types.h>

#include "../cipher/cipher.h"

#ifdef CONFIG_X86_64
#include <asm/cpufeature.h>
#include <asm/fpu/api.h>
#include <asm/fpu/types.h>
#include <asm/simd.h>
#include <crypto/internal/simd.h>

static inline bool chaosimg_simd_usable(void)
{
	return crypto_simd_usable();
}

static inline void chaosimg_simd_begin(void)
{
	kernel_fpu_begin();
}

static inline void chaosimg_simd_end(void)
{
	kernel_fpu_end();
}

static inline bool chaosimg_has_aesni(void)
{
	return boot_cpu_has(X86_FEATURE_AES) &&
		boot_cpu_has(X86_FEATURE_PCLMULQDQ) &&
		boot_cpu_has(X86_FEATURE_SSSE3) &&
		boot_cpu_has(X86_FEATURE_XMM4_1);
}

static inline bool chaosimg_has_vaes_avx2(void)
{
	return boot_cpu_has(X86_FEATURE_AVX2) &&
		boot_cpu_has(X86_FEATURE_VAES) &&
		cpu_has_xfeatures(XFEATURE_MASK_SSE | XFEATURE_MASK_YMM, NULL);
}

static inline bool chaosimg_has_vpclmulqdq(void)
{
	return boot_cpu_has(X86_FEATURE_VPCLMULQDQ) &&
		cpu_has_xfeatures(XFEATURE_MASK_SSE | XFEATURE_MASK_YMM, NULL);
}

static inline bool chaosimg_has_avx512(void)
{
	return boot_cpu_has(X86_FEATURE_AVX512F) &&
		boot_cpu_has(X86_FEATURE_AVX512BW) &&
		boot_cpu_has(X86_FEATURE_AVX512VL) &&
		boot_cpu_has(X86_FEATURE_VAES) &&
		boot_cpu_has(X86_FEATURE_VPCLMULQDQ) &&
		boot_cpu_has(X86_FEATURE_GFNI) &&
		cpu_has_xfeatures(XFEATURE_MASK_SSE | XFEATURE_MASK_YMM |
				  XFEATURE_MASK_AVX512, NULL);
}

/* CHAOSIMG_CPU_* bits of this CPU. */
static inline u32 chaosimg_kernel_features(void)
{
	return (chaosimg_has_aesni() ? CHAOSIMG_CPU_AESNI : 0) |
		(chaosimg_has_vaes_avx2() ? CHAOSIMG_CPU_VAES_AVX2 : 0) |
		(chaosimg_has_vpclmulqdq() ? CHAOSIMG_CPU_VPCLMULQDQ : 0) |
		(chaosimg_has_avx512() ? CHAOSIMG_CPU_AVX512 : 0);
}

#else /* generic only */

static inline bool chaosimg_simd_usable(void)
{
	return false;
}

static inline void chaosimg_simd_begin(void)
{
}

static inline void chaosimg_simd_end(void)
{
}

static inline u32 chaosimg_kernel_features(void)
{
	return 0;
}
#endif

#endif
