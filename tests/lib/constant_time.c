// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Does a branch or an address depend on a secret? To be run by valgrind, which
 * is told that key, IV and message are undefined, and counts what it objects
 * to. It knows neither VAES nor AVX-512: vaes-avx2 is checked as its source, with
 * what valgrind lacks made of what it has, and vaes-avx512 is not.
 */
#include <stdio.h>
#include <string.h>

#include <valgrind/memcheck.h>

#include "cipher.h"

extern const struct chaosimg_cipher_impl vaes_by_halves;

enum { LEN = 1000 };

static int failures, count;
static volatile u8 table[256];
static volatile u8 sink;

static void result(int good, const char *impl, const char *what)
{
	printf("%s %d - %s: %s\n", good ? "ok" : "not ok", ++count, impl, what);
	failures += !good;
}

/* What must be found out, or the rest shows nothing. */
static void controls(void)
{
	unsigned int before = VALGRIND_COUNT_ERRORS;
	u8 secret = 5;

	VALGRIND_MAKE_MEM_UNDEFINED(&secret, 1);
	if (secret == 7)
		sink = 1;
	result(VALGRIND_COUNT_ERRORS > before, "control", "a secret branch");
	before = VALGRIND_COUNT_ERRORS;
	sink = table[secret];
	result(VALGRIND_COUNT_ERRORS > before, "control", "a secret index");
}

static void check(const struct chaosimg_cipher_impl *impl)
{
	static const size_t lens[] = { 16, 40, 523, LEN };
	unsigned int before = VALGRIND_COUNT_ERRORS;
	struct chaosimg_cipher_key key;
	u8 k[32] = { 1 }, iv[CHAOSIMG_TWEAK] = { 2 }, msg[LEN] = { 3 };
	size_t i;

	VALGRIND_MAKE_MEM_UNDEFINED(k, sizeof(k));
	VALGRIND_MAKE_MEM_UNDEFINED(iv, sizeof(iv));
	VALGRIND_MAKE_MEM_UNDEFINED(msg, sizeof(msg));
	chaosimg_cipher_set_key(&key, impl, k);
	result(VALGRIND_COUNT_ERRORS == before, impl->name, "key set-up");
	for (i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		chaosimg_encrypt(&key, iv, msg, msg, lens[i]);
		chaosimg_decrypt(&key, iv, msg, msg, lens[i]);
	}
	result(VALGRIND_COUNT_ERRORS == before, impl->name,
	       "encryption and decryption");
	result(VALGRIND_CHECK_MEM_IS_DEFINED(msg, 1) != 0, impl->name,
	       "what came out was computed from the secrets");
}

int main(void)
{
	const struct chaosimg_cipher_impl *impls[CHAOSIMG_IMPLS_MAX];
	size_t n, i;

	if (!RUNNING_ON_VALGRIND) {
		fprintf(stderr, "constant_time: to be run by valgrind\n");
		return 2;
	}
	controls();
	n = chaosimg_cipher_impls(chaosimg_cpu_features() & CHAOSIMG_CPU_AESNI,
				  impls, CHAOSIMG_IMPLS_MAX);
	for (i = 0; i < n; i++)
		check(impls[i]);
#ifdef __x86_64__
	if (__builtin_cpu_supports("avx2"))
		check(&vaes_by_halves);
#endif
	printf("1..%d\n", count);
	return failures != 0;
}
