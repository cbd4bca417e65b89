// SPDX-License-Identifier: GPL-2.0-or-later
/* Measuring records: every implementation and size works, the rest is refused. */
#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/crypto.h>

#include "chaosimg.h"

enum { NAMES = 16, THREADS = 4 };

/* Less than one batch takes: measured is one. */
static const double short_time = 1e-6;

static void assert_measured(const struct chaosimg_speed *s)
{
	assert_true(isfinite(s->seal) && s->seal > 0);
	assert_true(isfinite(s->open) && s->open > 0);
}

static void test_implementations(void **state)
{
	const char *names[NAMES];
	size_t count = chaosimg_cipher_list(names, NAMES), i;
	struct chaosimg_speed s;

	(void)state;
	for (i = 0; i < count; i++) {
		memset(&s, 0, sizeof(s));
		assert_int_equal(chaosimg_measure_records(names[i], 0,
							  short_time, &s), 0);
		assert_measured(&s);
	}
}

static void test_chunk_sizes(void **state)
{
	struct chaosimg_speed s;
	uint32_t size;

	(void)state;
	for (size = CHAOSIMG_CHUNK_MIN; size <= CHAOSIMG_CHUNK_MAX; size *= 2) {
		memset(&s, 0, sizeof(s));
		assert_int_equal(chaosimg_measure_records(NULL, size,
							  short_time, &s), 0);
		assert_measured(&s);
	}
}

static void test_refused(void **state)
{
	static const uint32_t sizes[] = { 1, 4095, 2048, 65535, 1 << 21 };
	static const double times[] = { 0, -1, 3601, INFINITY, NAN };
	struct chaosimg_speed s;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		assert_int_equal(chaosimg_measure_records(NULL, sizes[i],
							  short_time, &s),
				 -EINVAL);
	for (i = 0; i < sizeof(times) / sizeof(times[0]); i++)
		assert_int_equal(chaosimg_measure_records(NULL, 0, times[i],
							  &s), -EINVAL);
	assert_int_equal(chaosimg_measure_records("none", 0, short_time, &s),
			 -ENOENT);
	assert_non_null(strstr(chaosimg_errmsg(), "none"));
}

static void *measure(void *out)
{
	return chaosimg_measure_records(NULL, 0, short_time, out) ? out : NULL;
}

/* On every core at once; and no key stays behind in locked memory. */
static void test_threads(void **state)
{
	struct chaosimg_speed s[THREADS] = { 0 };
	pthread_t thread[THREADS];
	size_t used = CRYPTO_secure_used(), i;
	void *failed;

	(void)state;
	for (i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, measure,
						&s[i]), 0);
	for (i = 0; i < THREADS; i++) {
		assert_int_equal(pthread_join(thread[i], &failed), 0);
		assert_null(failed);
		assert_measured(&s[i]);
	}
	assert_int_equal(CRYPTO_secure_used(), used);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_implementations),
		cmocka_unit_test(test_chunk_sizes),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_threads),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
