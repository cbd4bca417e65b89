// SPDX-License-Identifier: GPL-2.0-or-later
/* The raw cipher as the library offers it: choice, errors, keys, threads. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/crypto.h>

#include "chaosimg.h"
#include "cipher.h"
#include "inner.h"

enum { NAMES = 16, MESSAGE = 70000, THREADS = 4 };

static const uint8_t key[CHAOSIMG_KEY_SIZE] = { 1, 2, 3 };
static const uint8_t iv[CHAOSIMG_IV_SIZE] = { 4, 5, 6 };
static const char *names[NAMES];
static size_t count;
static uint8_t plain[16 + MESSAGE], want[16 + MESSAGE];

static int list_names(void **state)
{
	struct chaosimg_cipher *c;
	size_t i;

	(void)state;
	count = chaosimg_cipher_list(names, NAMES);
	for (i = 16; i < sizeof(plain); i++)
		plain[i] = (uint8_t)(i * 7 + i / 251);
	if (!count || chaosimg_cipher_new("generic", key, &c))
		return -1;
	chaosimg_cipher_crypt(c, true, iv, want, plain, sizeof(plain));
	chaosimg_cipher_free(c);
	return 0;
}

static void test_list(void **state)
{
	const char *one[1] = { "untouched" };
	bool generic = false;
	size_t i;

	(void)state;
	assert_in_range(count, 1, NAMES);
	assert_string_not_equal(names[0], "kernel");
	for (i = 0; i < count; i++)
		generic |= !strcmp(names[i], "generic");
	assert_true(generic);
	assert_int_equal(chaosimg_cipher_list(one, 0), count);
	assert_string_equal(one[0], "untouched");
	assert_int_equal(chaosimg_cipher_list(one, 1), count);
	assert_string_equal(one[0], names[0]);
	assert_ptr_equal(inner_find(NULL), inner_find(names[0]));
}

static void check_refused(const char *name)
{
	struct chaosimg_cipher *c = NULL;

	assert_null(inner_find(name));
	assert_int_equal(chaosimg_cipher_new(name, key, &c), -ENOENT);
	assert_null(c);
	assert_non_null(strstr(chaosimg_errmsg(), name));
	assert_null(strchr(chaosimg_errmsg(), '\n'));
}

static void test_unknown(void **state)
{
	(void)state;
	check_refused("rot13");
	check_refused("gener");
	if (strcmp(names[count - 1], "kernel"))
		check_refused("kernel");
}

/* Every implementation on the list, the kernel's included if it is there. */
static void test_all_listed(void **state)
{
	static uint8_t out[sizeof(plain)];
	struct chaosimg_cipher *c;
	size_t i;

	(void)state;
	for (i = 0; i <= count; i++) {
		assert_int_equal(0, chaosimg_cipher_new(
			i < count ? names[i] : NULL, key, &c));
		assert_int_equal(0, chaosimg_cipher_crypt(c, true, iv, out,
							  plain, sizeof(out)));
		assert_memory_equal(out, want, sizeof(out));
		assert_int_equal(0, chaosimg_cipher_crypt(c, false, iv, out,
							  out, sizeof(out)));
		assert_memory_equal(out, plain, sizeof(out));
		chaosimg_cipher_free(c);
	}
	chaosimg_cipher_free(NULL);
}

static void test_short_message(void **state)
{
	struct chaosimg_cipher *c;
	uint8_t out[16], before[16];
	size_t len;

	(void)state;
	memset(out, 0xa5, sizeof(out));
	memcpy(before, out, sizeof(out));
	assert_int_equal(chaosimg_cipher_new(NULL, key, &c), 0);
	for (len = 0; len < CHAOSIMG_BLOCK_SIZE; len++) {
		assert_int_equal(-EINVAL, chaosimg_cipher_crypt(
			c, len & 1, iv, out, plain, len));
		assert_non_null(strstr(chaosimg_errmsg(), "too short"));
	}
	assert_memory_equal(out, before, sizeof(out));
	assert_int_equal(0, chaosimg_cipher_crypt(c, true, iv, out, plain, 16));
	assert_memory_not_equal(out, before, sizeof(out));
	chaosimg_cipher_free(c);
}

/* The archive's way in: a head of zeros, and data that is not copied first. */
static void check_inner(const char *name)
{
	static uint8_t rec[16 + MESSAGE], data[MESSAGE];
	uint8_t head[16];
	struct inner_key *k;

	assert_int_equal(inner_key_new(inner_find(name), key, &k), 0);
	assert_true(CRYPTO_secure_allocated(k));
	assert_int_equal(0, inner_encrypt(k, iv, rec, plain, plain + 16,
					  MESSAGE));
	assert_memory_equal(rec, want, sizeof(rec));
	assert_int_equal(inner_decrypt(k, iv, head, data, rec, MESSAGE), 0);
	assert_memory_equal(head, plain, 16);
	assert_memory_equal(data, plain + 16, MESSAGE);
	assert_int_equal(inner_decrypt(k, iv, head, rec + 16, rec, MESSAGE), 0);
	assert_memory_equal(rec + 16, plain + 16, MESSAGE);
	inner_key_free(k);
}

static void test_inner(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < count; i++)
		check_inner(names[i]);
	inner_key_free(NULL);
}

/* One flipped bit must take the zeros of the head with it. */
static void test_inner_damage(void **state)
{
	static uint8_t rec[16 + 100], data[100];
	const uint8_t zero[16] = { 0 };
	uint8_t head[16];
	struct inner_key *k;
	size_t bit;

	(void)state;
	assert_int_equal(inner_key_new(inner_find(NULL), key, &k), 0);
	for (bit = 0; bit < 8 * sizeof(rec); bit++) {
		inner_encrypt(k, iv, rec, zero, plain + 16, sizeof(data));
		rec[bit / 8] ^= (uint8_t)(1 << bit % 8);
		inner_decrypt(k, iv, head, data, rec, sizeof(data));
		assert_memory_not_equal(head, zero, 16);
		assert_memory_not_equal(data, plain + 16, sizeof(data));
	}
	inner_key_free(k);
}

static void *crypt_often(void *arg)
{
	uint8_t *out = malloc(sizeof(plain));
	int n, bad = !out;

	for (n = 0; n < 20 && !bad; n++)
		bad = chaosimg_cipher_crypt(arg, true, iv, out, plain,
					    sizeof(plain)) ||
			memcmp(out, want, sizeof(want));
	free(out);
	return bad ? arg : NULL;
}

static void test_threads(void **state)
{
	pthread_t t[THREADS];
	struct chaosimg_cipher *c;
	void *bad;
	size_t i;
	int n;

	(void)state;
	for (i = 0; i < count; i++) {
		assert_int_equal(chaosimg_cipher_new(names[i], key, &c), 0);
		for (n = 0; n < THREADS; n++)
			assert_int_equal(0, pthread_create(&t[n], NULL,
							   crypt_often, c));
		for (n = 0; n < THREADS; n++) {
			assert_int_equal(pthread_join(t[n], &bad), 0);
			assert_null(bad);
		}
		chaosimg_cipher_free(c);
	}
}

static void wrong_xctr(const struct chaosimg_cipher_key *k,
		       const struct chaosimg_image *image,
		       const u8 s[CHAOSIMG_BLOCK], u64 first, u8 *dst,
		       const u8 *src, size_t len)
{
	chaosimg_impl_generic.xctr(k, image, s, first, dst, src, len);
	/* The upper half of a register, in the middle of the message. */
	if (len > 300)
		dst[300] ^= 1;
}

static void wrong_decrypt(const struct chaosimg_cipher_key *k,
			  const struct chaosimg_image *image,
			  u8 dst[CHAOSIMG_BLOCK], const u8 src[CHAOSIMG_BLOCK])
{
	chaosimg_impl_generic.decrypt(k, image, dst, src);
	dst[3] ^= 1;
}

/* An emulator's mistake must not become the bytes of an archive. */
static void test_disagreement(void **state)
{
	struct chaosimg_cipher_impl wrong = chaosimg_impl_generic;

	(void)state;
	assert_true(inner_agrees(&wrong, &chaosimg_impl_generic));
	wrong.xctr = wrong_xctr;
	assert_false(inner_agrees(&wrong, &chaosimg_impl_generic));
	wrong = chaosimg_impl_generic;
	wrong.decrypt = wrong_decrypt;
	assert_false(inner_agrees(&wrong, &chaosimg_impl_generic));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_list),
		cmocka_unit_test(test_disagreement),
		cmocka_unit_test(test_unknown),
		cmocka_unit_test(test_all_listed),
		cmocka_unit_test(test_short_message),
		cmocka_unit_test(test_inner),
		cmocka_unit_test(test_inner_damage),
		cmocka_unit_test(test_threads),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("raw cipher", tests, list_names,
					   NULL);
}
