// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The choice of implementation at run time. */
#include "cipher.h"

/* The fastest first. */
static const struct chaosimg_cipher_impl *const impls[] = {
#ifdef __x86_64__
	&chaosimg_impl_avx512,
	&chaosimg_impl_avx2,
	&chaosimg_impl_aesni,
#endif
#ifdef CHAOSIMG_ARM64
	&chaosimg_impl_arm64,
#endif
	&chaosimg_impl_generic,
};

size_t chaosimg_cipher_impls(u32 features,
			     const struct chaosimg_cipher_impl **list,
			     size_t max)
{
	size_t i, n = 0;

	for (i = 0; i < sizeof(impls) / sizeof(impls[0]); i++) {
		if ((impls[i]->needs & features) != impls[i]->needs)
			continue;
		if (n < max)
			list[n] = impls[i];
		n++;
	}
	return n;
}
