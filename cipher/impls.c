// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The choice of implementation at run time. */
#include "cipher.h"

/* The fastest first; of those of one name, only the first is ever offered. */
static const struct chaosimg_cipher_impl *const impls[] = {
#ifdef __x86_64__
	&chaosimg_impl_avx512,
	&chaosimg_impl_avx2,
	&chaosimg_impl_avx2_pclmul,
	&chaosimg_impl_aesni,
#endif
#ifdef CHAOSIMG_ARM64
	&chaosimg_impl_arm64,
#endif
	&chaosimg_impl_generic,
};

static bool same_name(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	return *a == *b;
}

size_t chaosimg_cipher_impls(u32 features,
			     const struct chaosimg_cipher_impl **list,
			     size_t max)
{
	const char *last = "";
	size_t i, n = 0;

	for (i = 0; i < sizeof(impls) / sizeof(impls[0]); i++) {
		if ((impls[i]->needs & features) != impls[i]->needs ||
		    same_name(impls[i]->name, last))
			continue;
		last = impls[i]->name;
		if (n < max)
			list[n] = impls[i];
		n++;
	}
	return n;
}
