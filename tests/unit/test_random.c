// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Ids and nonces are drawn in advance: none may come twice, not in another
 * thread and not in a process that was forked off in between.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "archive.h"

enum { SIZE = 12, DRAWS = 300 };

struct draws {
	uint8_t draw[DRAWS][SIZE];
};

static void *draw(void *out)
{
	struct draws *d = out;

	for (int i = 0; i < DRAWS; i++)
		if (random_public(d->draw[i], SIZE))
			memset(d->draw[i], 0, SIZE);
	return NULL;
}

static int compare(const void *a, const void *b)
{
	return memcmp(a, b, SIZE);
}

static void assert_all_differ(struct draws *d, size_t count)
{
	uint8_t (*all)[SIZE] = d->draw;
	size_t n = count * DRAWS;

	qsort(all, n, SIZE, compare);
	for (size_t i = 1; i < n; i++)
		assert_memory_not_equal(all[i - 1], all[i], SIZE);
}

static void test_one_thread(void **state)
{
	static struct draws d[2];

	(void)state;
	draw(&d[0]);
	draw(&d[1]);
	assert_all_differ(d, 2);
}

static void test_two_threads(void **state)
{
	static struct draws d[2];
	pthread_t thread;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, draw, &d[0]), 0);
	draw(&d[1]);
	pthread_join(thread, NULL);
	assert_all_differ(d, 2);
}

static void test_after_fork(void **state)
{
	static struct draws d[2];
	uint8_t first[SIZE];
	int p[2], status;
	pid_t pid;

	(void)state;
	/* Something is left in store when the process forks. */
	assert_int_equal(random_public(first, sizeof(first)), 0);
	assert_int_equal(pipe(p), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		draw(&d[0]);
		_exit(write(p[1], &d[0], sizeof(d[0])) != sizeof(d[0]));
	}
	draw(&d[1]);
	assert_int_equal(read(p[0], &d[0], sizeof(d[0])), sizeof(d[0]));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	close(p[0]);
	close(p[1]);
	assert_all_differ(d, 2);
}

static void test_large(void **state)
{
	static uint8_t a[4096], b[4096];

	(void)state;
	assert_int_equal(random_public(a, sizeof(a)), 0);
	assert_int_equal(random_public(b, sizeof(b)), 0);
	assert_memory_not_equal(a, b, sizeof(a));
	assert_memory_not_equal(a, a + 2048, 2048);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_thread),
		cmocka_unit_test(test_two_threads),
		cmocka_unit_test(test_after_fork),
		cmocka_unit_test(test_large),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
