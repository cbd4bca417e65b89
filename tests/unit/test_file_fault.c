// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * System calls on the stored file that fail. One random workload is run again
 * and again, each time with the next call failing. The caller has to be told,
 * nothing but what he was changing may change, what a kill would leave must
 * open, and once the fault is gone everything has to go on as if nothing had
 * happened. Every other file is DICOM, so its parts fail, too.
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
#include <sys/syscall.h>
#include <unistd.h>
#include <cmocka.h>

#include "chaosimg.h"
#include "dicom_file.h"
#include "file.h"
#include "file_env.h"
#include "rng.h"

enum { CHUNK = 4096, ROOM = 12 * CHUNK, OPS = 24 };

/* --- faults --- */

enum fault_kind {
	ONE_EIO,	/* one call fails and does nothing */
	DISK_FULL,	/* half a write, then nothing more until the fault clears */
	INTERRUPTED,	/* one call returns EINTR */
	SHORT,		/* one read or write does half of it */
	LOST_REPLY,	/* one call does its work, but says EIO */
	KINDS
};

static bool armed;
static enum fault_kind kind;
static long calls_left;		/* until one fails; -1 for none */
static bool tripped, full;

/* Is this call the one? */
static bool trip(void)
{
	if (!armed || calls_left < 0)
		return false;
	if (full)
		return true;
	if (calls_left--)
		return false;
	tripped = true;
	full = kind == DISK_FULL;
	return true;
}

/* What a failing call that cannot be done by half returns. */
static int refuse(void)
{
	errno = kind == DISK_FULL ? ENOSPC : kind == INTERRUPTED ? EINTR : EIO;
	return -1;
}

ssize_t pwrite64(int fd, const void *buf, size_t len, off64_t off);
ssize_t pread64(int fd, void *buf, size_t len, off64_t off);
int ftruncate64(int fd, off64_t len);
int fallocate64(int fd, int mode, off64_t off, off64_t len);

/* These stand before the C library's. */
ssize_t pwrite64(int fd, const void *buf, size_t len, off64_t off)
{
	bool was_full = full;

	if (!trip())
		return syscall(SYS_pwrite64, fd, buf, len, off);
	if (kind == LOST_REPLY)
		syscall(SYS_pwrite64, fd, buf, len, off);
	if (len > 1 && (kind == SHORT || (kind == DISK_FULL && !was_full)))
		return syscall(SYS_pwrite64, fd, buf, len / 2, off);
	return kind == SHORT ? syscall(SYS_pwrite64, fd, buf, len, off) :
			       refuse();
}

ssize_t pread64(int fd, void *buf, size_t len, off64_t off)
{
	if (kind != DISK_FULL && trip()) {
		if (kind != SHORT)
			return refuse();
		len = len > 1 ? len / 2 : len;
	}
	return syscall(SYS_pread64, fd, buf, len, off);
}

int ftruncate64(int fd, off64_t len)
{
	bool fails = trip() && kind != SHORT;

	if (fails && kind != LOST_REPLY)
		return refuse();
	if (syscall(SYS_ftruncate, fd, len))
		return -1;
	return fails ? refuse() : 0;
}

int fallocate64(int fd, int mode, off64_t off, off64_t len)
{
	if (trip() && kind != SHORT)
		return refuse();
	return (int)syscall(SYS_fallocate, fd, mode, off, len);
}

/* No power is cut here, so nothing needs to be synced. */
int fdatasync(int fd)
{
	(void)fd;
	return trip() && kind != SHORT ? refuse() : 0;
}

/* --- the archive --- */

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

static uint64_t rng_state;

static uint64_t rnd(uint64_t below)
{
	return rng_below(&rng_state, below);
}

/* --- the model: every state since the last flush that succeeded --- */

struct state {
	uint8_t data[ROOM];
	size_t len;
};

static struct state history[OPS + 2];
static int from, now;
static const char *where;
static long which;

#define assert_that(cond, ...) do {					\
	if (!(cond)) {							\
		print_error("%s, kind %d, call %ld: ", where, kind, which); \
		fail_msg(__VA_ARGS__);					\
	}								\
} while (0)

/* Was byte @i ever so in the states @a .. @b? */
static bool allowed(uint8_t byte, size_t i, int a, int b)
{
	for (int s = a; s <= b; s++)
		if (i >= history[s].len ? !byte : history[s].data[i] == byte)
			return true;
	return false;
}

/* Compare with the states @a .. @b; what is there replaces the last of them. */
static void compare(struct chaosimg_file *f, int a, int b, const char *what)
{
	static struct state got;
	size_t least = ROOM, most = 0;
	ssize_t n = chaosimg_file_read(f, got.data, ROOM, 0);

	assert_that(n >= 0, "%s: %s", what, chaosimg_errmsg());
	got.len = n;
	for (int s = a; s <= b; s++) {
		least = history[s].len < least ? history[s].len : least;
		most = history[s].len > most ? history[s].len : most;
	}
	assert_that(got.len >= least && got.len <= most,
		    "%s: length %zu, not in %zu..%zu", what, got.len, least,
		    most);
	for (size_t i = 0; i < got.len; i++)
		assert_that(allowed(got.data[i], i, a, b), "%s: byte %zu", what,
			    i);
	memset(got.data + got.len, 0, ROOM - got.len);
	history[b] = got;
}

/* A mount that may only read finds the same, and changes nothing. */
static void check_read_only(int fd, const uint8_t *want, ssize_t len)
{
	static uint8_t after[4 * ROOM + 1];
	struct state keep = history[now];
	struct chaosimg_file *f;
	int err;

	archive->flags |= CHAOSIMG_ARCHIVE_RDONLY;
	err = chaosimg_file_open(archive, dup(fd), binding, 0, &f);
	assert_that(!err, "read only: %s", chaosimg_errmsg());
	compare(f, from, now, "read only");
	assert_that(!chaosimg_file_verify(f), "read only: %s",
		    chaosimg_errmsg());
	assert_int_equal(chaosimg_file_close(f), 0);
	archive->flags &= ~CHAOSIMG_ARCHIVE_RDONLY;
	assert_int_equal(pread(fd, after, sizeof(after), 0), len);
	assert_memory_equal(after, want, len);
	history[now] = keep;
}

/* Nor does a disk that is full keep anybody from reading what a kill left. */
static void check_full_disk(const uint8_t *copy, ssize_t n)
{
	int fd = open("/tmp", O_TMPFILE | O_RDWR, 0600);
	struct state keep = history[now];
	bool was_tripped = tripped;
	struct chaosimg_file *f;
	int err;

	assert_int_equal(pwrite(fd, copy, n, 0), n);
	armed = true;
	calls_left = 0;
	err = chaosimg_file_open(archive, fd, binding, 0, &f);
	assert_that(!err, "full disk: %s", chaosimg_errmsg());
	compare(f, from, now, "full disk");
	assert_that(!chaosimg_file_verify(f), "full disk: %s",
		    chaosimg_errmsg());
	assert_int_equal(chaosimg_file_close(f), 0);
	armed = full = false;
	calls_left = -1;
	tripped = was_tripped;
	history[now] = keep;
}

/* What would be found if the process were killed now. */
static void check_killed(int fd)
{
	static uint8_t copy[4 * ROOM];
	struct state keep = history[now];
	int other = open("/tmp", O_TMPFILE | O_RDWR, 0600);
	ssize_t n = pread(fd, copy, sizeof(copy), 0);
	struct chaosimg_file *f;
	int err;

	assert_int_equal(pwrite(other, copy, n, 0), n);
	check_read_only(other, copy, n);
	/* With its own fault still to come it cannot be made full yet. */
	if (kind == DISK_FULL && tripped)
		check_full_disk(copy, n);
	err = chaosimg_file_open(archive, other, binding, CHAOSIMG_FILE_WRITE,
				 &f);
	assert_that(!err, "after a kill: %s", chaosimg_errmsg());
	compare(f, from, now, "after a kill");
	assert_that(!chaosimg_file_verify(f), "after a kill: %s",
		    chaosimg_errmsg());
	assert_int_equal(chaosimg_file_close(f), 0);
	history[now] = keep;
}

/* So the files begin that are DICOM: with a header of more than a chunk. */
static bool is_dicom;

static void make_header(void)
{
	char name[601];

	memset(name, 'X', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	dcm_start();
	dcm_part10(EXPLICIT_LE);
	for (uint32_t i = 0; i < 4; i++) {
		dcm_element(0x00180001 + 0x20 * i, "LT", name);
		dcm_element(0x00190001 + 0x20 * i, "LT", name);
	}
	dcm_header(0x7fe00010, "OB", 5 * CHUNK);
}

static uint8_t any_byte(uint64_t at)
{
	uint8_t byte = (uint8_t)(1 + rnd(255));

	return is_dicom && at < dcm.len ? dcm.data[at] : byte;
}

static int write_op(struct chaosimg_file *f, struct state *s)
{
	uint64_t len = rnd(2) ? CHUNK : 1 + rnd(2 * CHUNK), off;
	ssize_t n;

	off = rnd(3) ? rnd(ROOM - len) : s->len;
	if (is_dicom && (!s->len || !rnd(3)))
		off = 0;
	if (rnd(2))
		off -= off % CHUNK;
	if (off + len > ROOM)
		off = ROOM - len;
	for (uint64_t i = 0; i < len; i++)
		s->data[off + i] = any_byte(off + i);
	if (off + len > s->len)
		s->len = off + len;
	n = chaosimg_file_write(f, s->data + off, len, off);
	return n < 0 ? (int)n : 0;
}

static int truncate_op(struct chaosimg_file *f, struct state *s)
{
	size_t len = rnd(8) ? rnd(ROOM) : 0;

	if (len < s->len)
		memset(s->data + len, 0, s->len - len);
	s->len = len;
	return chaosimg_file_truncate(f, len);
}

static int zero_op(struct chaosimg_file *f, struct state *s)
{
	uint64_t off = rnd(ROOM - 1), len = 1 + rnd(ROOM - off), end = off + len;
	bool keep = rnd(2);

	if (!keep && end > s->len)
		s->len = end;
	memset(s->data + off, 0, len);
	return chaosimg_file_allocate(f, keep ? FALLOC_FL_PUNCH_HOLE |
						FALLOC_FL_KEEP_SIZE :
						FALLOC_FL_ZERO_RANGE, off, len);
}

static int reopen_op(struct chaosimg_file **f, int fd)
{
	int err = chaosimg_file_close(*f), again;

	if (err)
		full = armed = false;
	again = chaosimg_file_open(archive, dup(fd), binding,
				   CHAOSIMG_FILE_WRITE, f);
	if (again) {
		full = armed = false;
		again = chaosimg_file_open(archive, dup(fd), binding,
					   CHAOSIMG_FILE_WRITE, f);
		assert_that(!again, "open: %s", chaosimg_errmsg());
		err = err ? err : -EIO;
	}
	return err;
}

static int one_op(struct chaosimg_file **f, int fd, bool *flushed)
{
	struct state *s = &history[now];

	*flushed = false;
	switch (rnd(12)) {
	case 0 ... 4:
		return write_op(*f, s);
	case 5:
		return truncate_op(*f, s);
	case 6:
		return zero_op(*f, s);
	case 7:
	case 8:
		*flushed = true;
		return chaosimg_file_flush(*f);
	case 9:
		*flushed = true;
		return chaosimg_file_sync(*f);
	case 10:
		*flushed = true;
		return reopen_op(f, fd);
	default:
		return chaosimg_file_read(*f, (uint8_t[CHUNK]){ 0 }, CHUNK,
					  rnd(ROOM)) < 0 ? -EIO : 0;
	}
}

/* Returns whether the fault was reached. */
static bool run(uint64_t seed, long at)
{
	int fd = open("/tmp", O_TMPFILE | O_RDWR, 0600);
	struct chaosimg_file *f;
	bool flushed, seen = false;

	assert_true(fd >= 0);
	rng_state = seed * 0x9e3779b97f4a7c15u;
	is_dicom = seed % 2;
	memset(&history[0], 0, sizeof(history[0]));
	from = 0;
	which = calls_left = at;
	tripped = full = armed = false;
	where = "create";
	assert_int_equal(chaosimg_file_create(archive, dup(fd), binding, &f), 0);
	for (now = 1; now <= OPS; now++) {
		char name[32];
		int err;

		snprintf(name, sizeof(name), "seed %d, op %d", (int)seed, now);
		where = name;
		history[now] = history[now - 1];
		armed = true;
		err = one_op(&f, fd, &flushed);
		armed = full = false;
		if (err) {
			assert_that(tripped, "fails by itself: %s",
				    chaosimg_errmsg());
			assert_that(kind != INTERRUPTED && kind != SHORT,
				    "not repeated: %s", chaosimg_errmsg());
			assert_that(!seen, "fails for ever: %s",
				    chaosimg_errmsg());
			seen = true;
			/* What a failed close drops was never flushed. */
			compare(f, flushed ? from : now - 1, now, "after it");
			check_killed(fd);
		} else if (flushed) {
			from = now;
			check_killed(fd);
		}
		if (err && !flushed && now + 1 <= OPS) {
			/* What failed may be there or not. */
			compare(f, now, now, "again");
		}
	}
	now = OPS;
	assert_that(!chaosimg_file_close(f), "close: %s", chaosimg_errmsg());
	assert_int_equal(chaosimg_file_open(archive, dup(fd), binding, 0, &f), 0);
	compare(f, now, now, "at the end");
	assert_that(!chaosimg_file_verify(f), "at the end: %s",
		    chaosimg_errmsg());
	assert_int_equal(chaosimg_file_close(f), 0);
	close(fd);
	return tripped;
}

static void run_all(enum fault_kind what)
{
	const char *more = getenv("FAULT_SEEDS");
	uint64_t seeds = more ? strtoull(more, NULL, 10) : 12;
	long runs = 0;

	kind = what;
	make_header();
	for (uint64_t seed = 1; seed <= seeds; seed++)
		for (long at = 0; run(seed, at); at++)
			runs++;
	print_message("# %ld faults\n", runs);
	assert_true(runs > 100);
}

static void test_one_error(void **state)
{
	(void)state;
	run_all(ONE_EIO);
}

static void test_disk_full(void **state)
{
	(void)state;
	run_all(DISK_FULL);
}

static void test_interrupted(void **state)
{
	(void)state;
	run_all(INTERRUPTED);
}

static void test_short(void **state)
{
	(void)state;
	run_all(SHORT);
}

static void test_lost_reply(void **state)
{
	(void)state;
	run_all(LOST_REPLY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_error),
		cmocka_unit_test(test_disk_full),
		cmocka_unit_test(test_interrupted),
		cmocka_unit_test(test_short),
		cmocka_unit_test(test_lost_reply),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, setup, teardown);
}
