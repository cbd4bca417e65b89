// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * One open file in the hands of several threads. Each writes and punches in
 * places of its own, which do not end where chunks do, while others flush,
 * sync, grow the file, look at it and read; at the end, and whenever a thread
 * looks at its own places meanwhile, everything is as it was written.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "chaosimg.h"
#include "file.h"
#include "file_env.h"
#include "rng.h"

enum {
	CHUNK = 4096,
	PLACE = 5000,		/* bytes that belong to one thread in turn */
	PLACES = 60,
	ROOM = PLACE * PLACES,
	WRITERS = 4,
	OPS = 400,
};

static struct chaosimg_archive *archive;
static const uint8_t binding[CHAOSIMG_BINDING_SIZE] = "a name's binding";
static uint8_t model[ROOM];
static _Atomic bool done;
static _Atomic int wrong;	/* cmocka's assertions are for one thread */
static char what[128];

/* The order of events matters here, not what survives a power cut. */
int fdatasync(int fd)
{
	(void)fd;
	return 0;
}

static int setup(void **state)
{
	(void)state;
	archive = file_env_archive(CHUNK);
	return archive ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	chaosimg_archive_close(archive);
	return 0;
}

struct job {
	struct chaosimg_file *f;
	int number;
	uint64_t rng;
};

static uint64_t rnd(struct job *j, uint64_t below)
{
	return rng_below(&j->rng, below);
}

static void complain(const char *who, int64_t ret)
{
	if (!wrong++)
		snprintf(what, sizeof(what), "%s: %lld %s", who, (long long)ret,
			 ret < 0 ? chaosimg_errmsg() : "");
}

/* A range within one of the thread's own places. */
static uint64_t own_range(struct job *j, uint64_t *len)
{
	uint64_t place = rnd(j, PLACES / WRITERS) * WRITERS + j->number;
	uint64_t from = rnd(j, PLACE);

	*len = 1 + rnd(j, PLACE - from);
	if (!rnd(j, 3)) {
		from = 0;
		*len = PLACE;
	}
	return place * PLACE + from;
}

static void *writer(void *arg)
{
	struct job *j = arg;
	uint8_t got[PLACE];

	for (int op = 0; op < OPS && !wrong; op++) {
		uint64_t len, off = own_range(j, &len);
		int64_t ret = 0;

		switch (rnd(j, 8)) {
		case 0 ... 3:
			for (uint64_t i = 0; i < len; i++)
				model[off + i] = (uint8_t)rnd(j, 256);
			ret = chaosimg_file_write(j->f, model + off, len, off);
			ret = ret == (int64_t)len ? 0 : ret;
			break;
		case 4:
			memset(model + off, 0, len);
			ret = chaosimg_file_allocate(j->f, FALLOC_FL_PUNCH_HOLE |
						     FALLOC_FL_KEEP_SIZE, off,
						     len);
			break;
		default:
			ret = chaosimg_file_read(j->f, got, len, off);
			if (ret >= 0 && memcmp(got, model + off, ret))
				complain("own bytes", (int64_t)off);
			ret = ret < 0 ? ret : 0;
		}
		if (ret)
			complain("writer", ret);
	}
	return NULL;
}

static void *other(void *arg)
{
	static uint8_t got[2][3 * CHUNK];
	struct job *j = arg;
	struct chaosimg_file_info *info = malloc(sizeof(*info));
	uint64_t length = 0;
	int64_t ret;

	while (!done && !wrong) {
		switch (rnd(j, 8)) {
		case 0:
			ret = chaosimg_file_flush(j->f);
			break;
		case 1:
			ret = chaosimg_file_sync(j->f);
			break;
		case 2:
			ret = chaosimg_file_seek(j->f, rnd(j, ROOM),
						 SEEK_DATA);
			ret = ret < 0 && ret != -ENXIO ? ret : 0;
			break;
		case 3:
			length += rnd(j, PLACE);
			length = length < ROOM ? length : ROOM;
			/* The file only grows here, to have one answer. */
			ret = chaosimg_file_allocate(j->f, 0, 0, length + 1 > ROOM ?
						     ROOM : length + 1);
			break;
		case 4:
			ret = chaosimg_file_info(j->f, info);
			break;
		case 5:
			ret = chaosimg_file_bind(j->f, binding);
			break;
		case 6:
			ret = chaosimg_file_length(j->f) > ROOM ? -EFBIG : 0;
			break;
		default:
			ret = chaosimg_file_read(j->f, got[j->number & 1],
						 3 * CHUNK, rnd(j, ROOM));
			ret = ret < 0 ? ret : 0;
		}
		if (ret)
			complain("other", ret);
	}
	free(info);
	return NULL;
}

static void check_end(struct chaosimg_file *f, const char *when)
{
	static uint8_t got[ROOM];
	ssize_t n = chaosimg_file_read(f, got, ROOM, 0);

	if (n < 0)
		fail_msg("%s: %s", when, chaosimg_errmsg());
	assert_memory_equal(got, model, n);
	for (size_t i = n; i < ROOM; i++)
		assert_int_equal(model[i], 0);
	if (chaosimg_file_verify(f))
		fail_msg("%s: %s", when, chaosimg_errmsg());
}

static void round_of(uint64_t seed)
{
	int fd = open("/tmp", O_TMPFILE | O_RDWR, 0600);
	struct job jobs[WRITERS + 2];
	pthread_t threads[WRITERS + 2];
	struct chaosimg_file *f;

	assert_true(fd >= 0);
	memset(model, 0, sizeof(model));
	done = false;
	assert_int_equal(chaosimg_file_create(archive, dup(fd), binding, &f), 0);
	for (int i = 0; i < WRITERS + 2; i++) {
		jobs[i] = (struct job){ .f = f, .number = i,
			.rng = (seed * 64 + i + 1) * 0x9e3779b97f4a7c15u };
		pthread_create(&threads[i], NULL, i < WRITERS ? writer : other,
			       &jobs[i]);
	}
	for (int i = 0; i < WRITERS + 2; i++) {
		if (i == WRITERS)
			done = true;
		pthread_join(threads[i], NULL);
	}
	if (wrong)
		fail_msg("seed %d: %s", (int)seed, what);
	check_end(f, "at the end");
	assert_int_equal(chaosimg_file_close(f), 0);
	assert_int_equal(chaosimg_file_open(archive, fd, binding, 0, &f), 0);
	check_end(f, "reopened");
	assert_int_equal(chaosimg_file_close(f), 0);
}

static void test_one_file(void **state)
{
	const char *more = getenv("THREADS_SEEDS");
	uint64_t seeds = more ? strtoull(more, NULL, 10) : 20;

	(void)state;
	for (uint64_t seed = 1; seed <= seeds; seed++)
		round_of(seed);
}

/* Appending, cutting and writing out at once: never a byte of nobody's. */
static void *cutter(void *arg)
{
	struct job *j = arg;
	uint8_t buf[2 * CHUNK];

	memset(buf, 'x', sizeof(buf));
	for (int op = 0; op < OPS && !wrong; op++) {
		uint64_t at = rnd(j, 16 * CHUNK);
		uint64_t len = 1 + rnd(j, sizeof(buf));
		int64_t ret = 0;

		switch (rnd(j, 6)) {
		case 0:
			ret = chaosimg_file_truncate(j->f, at);
			break;
		case 1:
			ret = chaosimg_file_sync(j->f);
			break;
		case 2:
			ret = chaosimg_file_seek(j->f, at, SEEK_HOLE);
			ret = ret < 0 && ret != -ENXIO ? ret : 0;
			break;
		case 3:
			ret = chaosimg_file_read(j->f, buf, len, at);
			for (int64_t i = 0; i < ret; i++)
				if (buf[i] && buf[i] != 'x')
					complain("byte", buf[i]);
			memset(buf, 'x', sizeof(buf));
			ret = ret < 0 ? ret : 0;
			break;
		default:
			ret = chaosimg_file_write(j->f, buf, len, at);
			ret = ret == (int64_t)len ? 0 : ret;
		}
		if (ret)
			complain("cutter", ret);
	}
	return NULL;
}

static void test_cut_and_grow(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 10; seed++) {
		int fd = open("/tmp", O_TMPFILE | O_RDWR, 0600);
		struct job jobs[WRITERS];
		pthread_t threads[WRITERS];
		struct chaosimg_file *f;

		assert_int_equal(chaosimg_file_create(archive, dup(fd), binding,
						      &f), 0);
		for (int i = 0; i < WRITERS; i++) {
			jobs[i] = (struct job){ .f = f, .number = i,
				.rng = (seed * 64 + i + 1) * 0x9e3779b97f4a7c15u };
			pthread_create(&threads[i], NULL, cutter, &jobs[i]);
		}
		for (int i = 0; i < WRITERS; i++)
			pthread_join(threads[i], NULL);
		if (wrong)
			fail_msg("seed %d: %s", (int)seed, what);
		assert_int_equal(chaosimg_file_close(f), 0);
		assert_int_equal(chaosimg_file_open(archive, fd, binding, 0, &f),
				 0);
		if (chaosimg_file_verify(f))
			fail_msg("seed %d: %s", (int)seed, chaosimg_errmsg());
		assert_int_equal(chaosimg_file_close(f), 0);
	}
}

/* --- what comes before its beginning ----------------------------------------- */

static const uint8_t whole[CHUNK] = "no DICOM";

static struct chaosimg_file *new_file(void)
{
	struct chaosimg_file *f;
	int fd = open("/tmp", O_TMPFILE | O_RDWR, 0600);

	assert_int_equal(chaosimg_file_create(archive, fd, binding, &f), 0);
	return f;
}

static _Atomic bool about_to_wait;

static void *second_chunk(void *arg)
{
	about_to_wait = true;
	chaosimg_file_await_start(arg, CHUNK);
	if (chaosimg_file_write(arg, whole, CHUNK, CHUNK) != CHUNK)
		complain("write", 0);
	return NULL;
}

/* Return: was the first chunk awaited, and the second stored at once? */
static bool first_is_awaited(void)
{
	struct chaosimg_file *f = new_file();
	pthread_t thread;
	bool yes;

	about_to_wait = false;
	pthread_create(&thread, NULL, second_chunk, f);
	while (!about_to_wait)
		;
	usleep(500);
	assert_int_equal(chaosimg_file_write(f, whole, CHUNK, 0), CHUNK);
	pthread_join(thread, NULL);
	yes = !f->awaited && !f->dirty_count;
	assert_int_equal(chaosimg_file_close(f), 0);
	return yes;
}

/* A machine with other work may be late, but not each time. */
static void test_await_start(void **state)
{
	struct chaosimg_file *f = new_file();
	int tries = 0;

	(void)state;
	chaosimg_file_await_start(f, 0);
	assert_false(f->awaited);
	chaosimg_file_await_start(f, CHUNK);
	assert_true(f->awaited);
	assert_int_equal(chaosimg_file_close(f), 0);
	while (!first_is_awaited() && !wrong)
		assert_true(++tries < 20);
	assert_int_equal(wrong, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_file),
		cmocka_unit_test(test_cut_and_grow),
		cmocka_unit_test(test_await_start),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, setup, teardown);
}
