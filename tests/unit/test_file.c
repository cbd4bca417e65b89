// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Stored files against a plain buffer: random operations, reopened between,
 * with the state on the disk checked after each flush.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "chaosimg.h"
#include "file.h"
#include "file_env.h"
#include "holes.h"
#include "rng.h"

enum { CHUNK = 4096, ROOM = 300 * 1024 };

static struct chaosimg_archive *archive;
static const uint8_t binding[CHAOSIMG_BINDING_SIZE] = "a name's binding";

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

static int backing(void)
{
	int fd = open("/tmp", O_TMPFILE | O_RDWR, 0600);

	assert_true(fd >= 0);
	return fd;
}

static struct chaosimg_file *create(int fd)
{
	struct chaosimg_file *f;

	assert_int_equal(chaosimg_file_create(archive, dup(fd), binding, &f), 0);
	return f;
}

static struct chaosimg_file *reopen(int fd)
{
	struct chaosimg_file *f;
	int err = chaosimg_file_open(archive, dup(fd), binding,
				     CHAOSIMG_FILE_WRITE, &f);

	if (err)
		print_error("%s\n", chaosimg_errmsg());
	assert_int_equal(err, 0);
	return f;
}

static void check(struct chaosimg_file *f, const uint8_t *want, size_t len)
{
	static uint8_t got[ROOM + 1];
	ssize_t n = chaosimg_file_read(f, got, sizeof(got), 0);

	if (n < 0)
		print_error("%s\n", chaosimg_errmsg());
	assert_int_equal(n, len);
	assert_memory_equal(got, want, len);
	assert_int_equal(chaosimg_file_length(f), len);
}

/* At rest: the right size on the disk, and every chunk and the MAC in order. */
static void check_stored(int fd, const uint8_t *want, size_t len)
{
	struct chaosimg_file *f;
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(chaosimg_length_from_stored(archive, st.st_size), len);
	f = reopen(fd);
	check(f, want, len);
	if (chaosimg_file_verify(f)) {
		print_error("%s\n", chaosimg_errmsg());
		fail();
	}
	assert_int_equal(chaosimg_file_close(f), 0);
}

static uint64_t rng_state;

static uint64_t rnd(uint64_t below)
{
	return rng_below(&rng_state, below);
}

struct model {
	uint8_t data[ROOM];
	size_t len;
};

static void extend(struct model *m, size_t len)
{
	if (len > m->len) {
		memset(m->data + m->len, 0, len - m->len);
		m->len = len;
	}
}

static void random_range(uint64_t *off, uint64_t *len)
{
	static const uint32_t sizes[] = { 1, 16, CHUNK - 1, CHUNK, CHUNK + 1,
					  3 * CHUNK, 50000, 200000 };

	*len = rnd(2) ? sizes[rnd(8)] : 1 + rnd(20000);
	*off = rnd(ROOM - *len);
	if (rnd(2))
		*off -= *off % CHUNK;
}

static void do_write(struct chaosimg_file *f, struct model *m)
{
	uint64_t off, len;

	random_range(&off, &len);
	if (!rnd(3) && m->len + len <= ROOM)
		off = m->len;
	extend(m, off);
	for (uint64_t i = 0; i < len; i++)
		m->data[off + i] = (uint8_t)rnd(256);
	if (off + len > m->len)
		m->len = off + len;
	assert_int_equal(chaosimg_file_write(f, m->data + off, len, off), len);
}

static void do_truncate(struct chaosimg_file *f, struct model *m)
{
	size_t len = rnd(4) ? rnd(ROOM) : rnd(3) * CHUNK;

	assert_int_equal(chaosimg_file_truncate(f, len), 0);
	extend(m, len);
	m->len = len;
}

static void do_punch(struct chaosimg_file *f, struct model *m)
{
	uint64_t off, len, end;

	random_range(&off, &len);
	assert_int_equal(chaosimg_file_allocate(f, FALLOC_FL_PUNCH_HOLE |
						FALLOC_FL_KEEP_SIZE, off, len), 0);
	end = off + len < m->len ? off + len : m->len;
	if (off < end)
		memset(m->data + off, 0, end - off);
}

static void do_read(struct chaosimg_file *f, struct model *m)
{
	static uint8_t got[ROOM];
	uint64_t off, len, want;

	random_range(&off, &len);
	want = off >= m->len ? 0 : m->len - off < len ? m->len - off : len;
	assert_int_equal(chaosimg_file_read(f, got, len, off), want);
	assert_memory_equal(got, m->data + off, want);
}

static void test_random_operations(void **state)
{
	static struct model m;

	(void)state;
	for (uint64_t seed = 1; seed <= 60; seed++) {
		int fd = backing();
		struct chaosimg_file *f = create(fd);

		rng_state = seed * 0x9e3779b97f4a7c15u;
		m.len = 0;
		for (int op = 0; op < 200; op++) {
			switch (rnd(12)) {
			case 0 ... 4:
				do_write(f, &m);
				break;
			case 5:
				do_truncate(f, &m);
				break;
			case 6:
				do_punch(f, &m);
				break;
			case 7:
				assert_int_equal(chaosimg_file_sync(f), 0);
				break;
			case 8:
				assert_int_equal(chaosimg_file_flush(f), 0);
				break;
			case 9:
				assert_int_equal(chaosimg_file_close(f), 0);
				check_stored(fd, m.data, m.len);
				f = reopen(fd);
				break;
			default:
				do_read(f, &m);
			}
		}
		check(f, m.data, m.len);
		if (chaosimg_file_close(f))
			fail_msg("seed %d: %s", (int)seed, chaosimg_errmsg());
		check_stored(fd, m.data, m.len);
		close(fd);
	}
}

/* More holes than the header has room for. */
static void test_many_holes(void **state)
{
	static uint8_t want[200 * CHUNK];
	int fd = backing();
	struct chaosimg_file *f = create(fd);

	(void)state;
	for (size_t k = 1; k < 200; k += 2) {
		memset(want + k * CHUNK, (int)k, CHUNK);
		assert_int_equal(chaosimg_file_write(f, want + k * CHUNK, CHUNK,
						     k * CHUNK), CHUNK);
	}
	assert_int_equal(chaosimg_file_close(f), 0);
	f = reopen(fd);
	assert_true(f->holes.count <= HEADER_HOLES);
	for (size_t k = 0; k < 200; k++) {
		uint8_t got[CHUNK];

		assert_int_equal(chaosimg_file_read(f, got, CHUNK, k * CHUNK),
				 CHUNK);
		assert_memory_equal(got, want + k * CHUNK, CHUNK);
	}
	assert_int_equal(chaosimg_file_verify(f), 0);
	assert_int_equal(chaosimg_file_close(f), 0);
	close(fd);
}

/* The same, punched into a file whose snapshot has records there. */
static void test_many_punched(void **state)
{
	static uint8_t want[200 * CHUNK], got[200 * CHUNK];
	int fd = backing();
	struct chaosimg_file *f = create(fd);

	(void)state;
	memset(want, 'x', sizeof(want));
	assert_int_equal(chaosimg_file_write(f, want, sizeof(want), 0),
			 sizeof(want));
	assert_int_equal(chaosimg_file_sync(f), 0);
	for (size_t k = 1; k < 200; k += k % 7 ? 2 : 4) {
		uint64_t at = k * CHUNK, len = k % 3 ? CHUNK : 2 * CHUNK;

		len = len < sizeof(want) - at ? len : sizeof(want) - at;
		memset(want + at, 0, len);
		assert_int_equal(chaosimg_file_allocate(f, FALLOC_FL_PUNCH_HOLE |
						FALLOC_FL_KEEP_SIZE, at, len), 0);
		assert_true(f->holes.count <= HEADER_HOLES);
	}
	assert_int_equal(chaosimg_file_read(f, got, sizeof(got), 0), sizeof(got));
	assert_memory_equal(got, want, sizeof(want));
	assert_int_equal(chaosimg_file_close(f), 0);
	f = reopen(fd);
	assert_int_equal(chaosimg_file_read(f, got, sizeof(got), 0), sizeof(got));
	assert_memory_equal(got, want, sizeof(want));
	assert_int_equal(chaosimg_file_verify(f), 0);
	assert_int_equal(chaosimg_file_close(f), 0);
	close(fd);
}

/* What a kill leaves: the last flushed state, whatever was written since. */
static void test_killed(void **state)
{
	static uint8_t a[5 * CHUNK + 100], b[9 * CHUNK];
	char path[64];

	(void)state;
	memset(a, 'a', sizeof(a));
	memset(b, 'b', sizeof(b));
	for (int what = 0; what < 4; what++) {
		int fd = backing(), copy = backing();
		struct chaosimg_file *f = create(fd);
		uint8_t *buf = malloc(1 << 20);
		ssize_t n;

		assert_int_equal(chaosimg_file_write(f, a, sizeof(a), 0), sizeof(a));
		if (what & 1)
			assert_int_equal(chaosimg_file_sync(f), 0);
		else
			assert_int_equal(chaosimg_file_flush(f), 0);
		/* append whole chunks, overwrite what is there, half a chunk */
		if (what & 2)
			chaosimg_file_write(f, b, sizeof(b), sizeof(a));
		chaosimg_file_write(f, b, 2 * CHUNK + 7, CHUNK / 2);
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		n = pread(fd, buf, 1 << 20, 0);
		assert_int_equal(pwrite(copy, buf, n, 0), n);
		assert_int_equal(chaosimg_file_close(f), 0);
		/* Opening it settles it. */
		assert_int_equal(chaosimg_file_close(reopen(copy)), 0);
		check_stored(copy, a, sizeof(a));
		free(buf);
		close(fd);
		close(copy);
	}
}

static void test_exchanged(void **state)
{
	static const uint8_t other[CHAOSIMG_BINDING_SIZE] = "another binding";
	int fd = backing();
	struct chaosimg_file *f = create(fd);

	(void)state;
	assert_int_equal(chaosimg_file_write(f, "x", 1, 0), 1);
	assert_int_equal(chaosimg_file_close(f), 0);
	assert_int_equal(chaosimg_file_open(archive, dup(fd), other, 0, &f), -EIO);
	f = reopen(fd);
	assert_int_equal(chaosimg_file_bind(f, other), 0);
	assert_int_equal(chaosimg_file_unbind(f, binding), 0);
	assert_int_equal(chaosimg_file_close(f), 0);
	assert_int_equal(chaosimg_file_open(archive, dup(fd), binding, 0, &f), -EIO);
	assert_int_equal(chaosimg_file_open(archive, dup(fd), other, 0, &f), 0);
	for (uint8_t i = 1; i < CHAOSIMG_BINDINGS_MAX; i++) {
		uint8_t more[CHAOSIMG_BINDING_SIZE] = { i };

		assert_int_equal(chaosimg_file_bind(f, more), 0);
	}
	assert_int_equal(chaosimg_file_bind(f, binding), -EMLINK);
	assert_int_equal(chaosimg_file_close(f), 0);
	close(fd);
}

static void test_limits(void **state)
{
	int fd = backing();
	struct chaosimg_file *f = create(fd);
	uint8_t c;

	(void)state;
	assert_int_equal(chaosimg_file_write(f, "x", 1, INT64_MAX), -EFBIG);
	assert_int_equal(chaosimg_file_truncate(f, UINT64_MAX), -EFBIG);
	assert_int_equal(chaosimg_file_allocate(f, 0, UINT64_MAX, 2), -EFBIG);
	assert_int_equal(chaosimg_file_allocate(f, FALLOC_FL_COLLAPSE_RANGE, 0,
						CHUNK), -EOPNOTSUPP);
	assert_int_equal(chaosimg_file_read(f, &c, 1, INT64_MAX), 0);
	/* A sparse file of a terabyte costs next to nothing. */
	assert_int_equal(chaosimg_file_truncate(f, 1ull << 40), 0);
	assert_int_equal(chaosimg_file_write(f, "y", 1, (1ull << 40) - 1), 1);
	assert_int_equal(chaosimg_file_seek(f, 0, SEEK_DATA), (1ull << 40) - CHUNK);
	assert_int_equal(chaosimg_file_seek(f, 0, SEEK_HOLE), 0);
	/* Nor does cutting or punching more than could be walked through. */
	assert_int_equal(chaosimg_file_truncate(f, 1ull << 60), 0);
	assert_int_equal(chaosimg_file_truncate(f, 1ull << 43), 0);
	assert_int_equal(chaosimg_file_allocate(f, FALLOC_FL_PUNCH_HOLE |
						FALLOC_FL_KEEP_SIZE, 1ull << 41,
						1ull << 42), 0);
	assert_int_equal(chaosimg_file_truncate(f, 1ull << 40), 0);
	assert_int_equal(chaosimg_file_close(f), 0);
	f = reopen(fd);
	assert_int_equal(chaosimg_file_read(f, &c, 1, (1ull << 40) - 1), 1);
	assert_int_equal(c, 'y');
	assert_int_equal(chaosimg_file_close(f), 0);
	close(fd);
}

static void test_holes(void **state)
{
	enum { N = 200 };
	struct holes h = { 0 };
	bool want[N] = { false };

	(void)state;
	rng_state = 42;
	for (int i = 0; i < 20000; i++) {
		uint64_t start = rnd(N), count = rnd(N - start + 1);
		bool add = rnd(2);

		for (uint64_t k = start; k < start + count; k++)
			want[k] = add;
		assert_int_equal(add ? holes_add(&h, start, count) :
				       holes_remove(&h, start, count), 0);
		for (uint64_t k = 0; k < N; k++)
			assert_int_equal(holes_has(&h, k), want[k]);
		for (size_t k = 1; k < h.count; k++)
			assert_true(h.hole[k - 1].start + h.hole[k - 1].count <
				    h.hole[k].start);
	}
	holes_free(&h);
}

/* Records are made several at a time, but each has a nonce of its own. */
static void test_nonces(void **state)
{
	enum { NONCE = 12, AT = 4, COUNT = 2 * (ROOM / CHUNK) };
	static const uint8_t data[ROOM];
	uint8_t nonce[COUNT][NONCE];
	int n = 0, fd[2];

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct chaosimg_file *f;

		fd[i] = backing();
		f = create(fd[i]);
		assert_int_equal(chaosimg_file_write(f, data, ROOM, 0), ROOM);
		assert_int_equal(chaosimg_file_close(f), 0);
		for (int k = 0; k < ROOM / CHUNK; k++)
			assert_int_equal(pread(fd[i], nonce[n++], NONCE,
					       record_at(CHUNK, k) + AT), NONCE);
		close(fd[i]);
	}
	for (int i = 0; i < COUNT; i++)
		for (int j = 0; j < i; j++)
			assert_memory_not_equal(nonce[i], nonce[j], NONCE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_holes),
		cmocka_unit_test(test_random_operations),
		cmocka_unit_test(test_many_holes),
		cmocka_unit_test(test_many_punched),
		cmocka_unit_test(test_killed),
		cmocka_unit_test(test_exchanged),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_nonces),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, setup, teardown);
}
