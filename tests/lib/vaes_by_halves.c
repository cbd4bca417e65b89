// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The source of vaes-avx2 once more, as vaes_by_halves, with AES and products
 * of 256 bits made of two of 128: valgrind knows only those.
 */
#ifdef __x86_64__

#include "x86.h"

#define BY_HALVES(op, a, b, ...) \
	_mm256_set_m128i(op(_mm256_extracti128_si256(a, 1), \
			    _mm256_extracti128_si256(b, 1), ##__VA_ARGS__), \
			 op(_mm256_castsi256_si128(a), \
			    _mm256_castsi256_si128(b), ##__VA_ARGS__))

#undef _mm256_clmulepi64_epi128
#define _mm256_clmulepi64_epi128(a, b, which) \
	BY_HALVES(_mm_clmulepi64_si128, a, b, which)
#define _mm256_aesenc_epi128(a, b) BY_HALVES(_mm_aesenc_si128, a, b)
#define _mm256_aesenclast_epi128(a, b) BY_HALVES(_mm_aesenclast_si128, a, b)

#define chaosimg_impl_avx2 vaes_by_halves
#define chaosimg_impl_avx2_pclmul vaes_by_halves_pclmul
#include "../../cipher/avx2.c"

#endif
