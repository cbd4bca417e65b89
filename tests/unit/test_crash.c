// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Power cuts under an open file, and the death of who has it open. Every write
 * to the stored file is recorded while random operations run; then states of
 * the disk are built that a cut could leave: what a sync covered is there, of
 * the rest each 512-byte sector is there or not. In each, the file must open,
 * and what was synced must read as it was or as it was being overwritten, never
 * otherwise. SIGKILL takes nothing that was written, but can end a write at a
 * page's boundary: then what was flushed or closed must be there, too, and
 * nothing may look damaged, neither before it is opened again nor after. Every
 * other file is DICOM, most of the time, so it gets parts and loses them.
 *
 * Syncs may fail, too. Then each sector that was waiting is on the disk, or has
 * been dropped and will never be there unless it is written again; the caller
 * has his error, and what a later sync said is safe must be so all the same.
 *
 * CRASH_SEEDS: how many random runs, each with 64 states of either sort.
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
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "archive_env.h"
#include "chaosimg_check.h"
#include "dicom_file.h"
#include "file.h"
#include "file_env.h"
#include "rng.h"

enum {
	CHUNK = 4096,
	ROOM = 12 * CHUNK,
	DISK = 512 * 1024,
	CALLS = 4000,
	SECTOR = 512,
	PAGE = 4096,
	STATES = 64,
};

/* --- recording --- */

enum call_type { WRITE, TRUNCATE, PUNCH, SYNC, FAILED_SYNC };

struct call {
	enum call_type type;
	uint64_t off, len;
	uint8_t *data;
	int op;		/* the operation during which it was made */
};

static bool recording;
static int current_op;
static struct call calls[CALLS];
static int call_count;

static struct call *record(enum call_type type, uint64_t off, uint64_t len)
{
	struct call *c;

	if (!recording)
		return NULL;
	if (call_count == CALLS)
		abort();
	c = &calls[call_count++];
	*c = (struct call){ .type = type, .off = off, .len = len,
			    .op = current_op };
	return c;
}

ssize_t pwrite64(int fd, const void *buf, size_t len, off64_t off);
int ftruncate64(int fd, off64_t len);
int fallocate64(int fd, int mode, off64_t off, off64_t len);

/* These stand before the C library's. */
ssize_t pwrite64(int fd, const void *buf, size_t len, off64_t off)
{
	struct call *c = record(WRITE, off, len);

	if (c) {
		c->data = malloc(len);
		memcpy(c->data, buf, len);
	}
	return syscall(SYS_pwrite64, fd, buf, len, off);
}

int ftruncate64(int fd, off64_t len)
{
	record(TRUNCATE, len, 0);
	return (int)syscall(SYS_ftruncate, fd, len);
}

int fallocate64(int fd, int mode, off64_t off, off64_t len)
{
	if (mode & FALLOC_FL_PUNCH_HOLE)
		record(PUNCH, off, len);
	return (int)syscall(SYS_fallocate, fd, mode, off, len);
}

static uint64_t rng_state;

static uint64_t rnd(uint64_t below)
{
	return rng_below(&rng_state, below);
}

/* Percent of syncs. */
static unsigned int failing;

/* No power is really cut, so nothing has to be really synced. */
int fdatasync(int fd)
{
	(void)fd;
	if (recording && failing && rnd(100) < failing) {
		record(FAILED_SYNC, 0, 0);
		errno = EIO;
		return -1;
	}
	record(SYNC, 0, 0);
	return 0;
}

/* Nobody else writes, so scrub need not wait for him. */
int nanosleep(const struct timespec *want, struct timespec *left)
{
	(void)want;
	(void)left;
	return 0;
}

/* --- the disk --- */

struct disk {
	uint8_t data[DISK];
	uint64_t size;
};

static void put(struct disk *d, const struct call *c, uint64_t from, uint64_t to)
{
	if (to > DISK)
		abort();
	memcpy(d->data + from, c->data + (from - c->off), to - from);
	if (to > d->size)
		d->size = to;
}

/* Percent of the sectors that reach the disk: all of them, some, or none. */
static void apply(struct disk *d, const struct call *c, unsigned int percent)
{
	uint64_t at, end;

	switch (c->type) {
	case WRITE:
		for (at = c->off; at < c->off + c->len; at = end) {
			end = (at / SECTOR + 1) * SECTOR;
			if (end > c->off + c->len)
				end = c->off + c->len;
			if (rnd(100) < percent)
				put(d, c, at, end);
		}
		break;
	case TRUNCATE:
		if (rnd(100) >= percent)
			break;
		if (c->off < d->size)
			memset(d->data + c->off, 0, d->size - c->off);
		d->size = c->off;
		break;
	case PUNCH:
		if (rnd(100) >= percent)
			break;
		end = c->off + c->len < d->size ? c->off + c->len : d->size;
		if (c->off < end)
			memset(d->data + c->off, 0, end - c->off);
		break;
	case SYNC:
	case FAILED_SYNC:
		break;
	}
}

/* Is call @i on the disk for certain, if the last sync was call @synced? */
static bool reached(int i, int synced)
{
	if (i >= synced || calls[i].type != WRITE)
		return i < synced;
	while (calls[i].type != SYNC && calls[i].type != FAILED_SYNC)
		i++;
	return calls[i].type == SYNC;
}

static void build(struct disk *d, int cut, int synced, unsigned int percent)
{
	memset(d, 0, sizeof(*d));
	for (int i = 0; i < cut; i++)
		apply(d, &calls[i], reached(i, synced) ? 100 : percent);
}

/* All that was written before the kill; the last write up to a page's end. */
static void build_killed(struct disk *d, int cut)
{
	struct call last = calls[cut - 1];
	uint64_t pages = (last.off + last.len) / PAGE - last.off / PAGE;

	build(d, cut - 1, cut - 1, 100);
	if (last.type == WRITE && pages && rnd(2))
		last.len = (last.off / PAGE + 1 + rnd(pages)) * PAGE - last.off;
	apply(d, &last, 100);
}

/* --- the file and its model --- */

struct state {
	uint8_t data[ROOM];
	size_t len;
	bool bound;	/* to the second name too */
};

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
	uint8_t byte = (uint8_t)rnd(256);

	return is_dicom && at < dcm.len ? dcm.data[at] : byte;
}

static struct chaosimg_archive *archive;
static const uint8_t binding[CHAOSIMG_BINDING_SIZE] = "a name's binding";
static const uint8_t second[CHAOSIMG_BINDING_SIZE] = "another's";

/* What is looked at without a key, as a part of an archive. */
static char scrubbed[300], left_file[320];

static int setup(void **state)
{
	const struct chaosimg_archive_params params = { .chunk_size = CHUNK };

	/* Direct reads need not wait for a disk, either. */
	if (!access("/dev/shm", W_OK))
		setenv("TMPDIR", "/dev/shm", 0);
	make_header();
	archive = file_env_archive(CHUNK);
	if (!archive || arc_set_up(state))
		return -1;
	snprintf(scrubbed, sizeof(scrubbed), "%s", arc_in_top("scrubbed"));
	snprintf(left_file, sizeof(left_file), "%s/data/left", scrubbed);
	return chaosimg_archive_create(scrubbed, arc_key, &params);
}

static int teardown(void **state)
{
	chaosimg_archive_close(archive);
	return arc_tear_down(state);
}

/* The last one is only to close it. */
enum { OPS = 21 };

static struct state history[OPS + 1];	/* after each operation */
static int synced_by[OPS + 1];		/* last operation whose sync had returned */
static int written_by[OPS + 1];		/* or whose flush or close had */
static bool emptied[OPS + 1];		/* was cut to nothing since then */

static int write_op(struct chaosimg_file *f, struct state *s)
{
	uint64_t len = rnd(2) ? 1 + rnd(3 * CHUNK) : (1 + rnd(3)) * CHUNK;
	uint64_t off = rnd(3) ? rnd(ROOM - len) : s->len;
	ssize_t n;

	if (is_dicom && (!s->len || !rnd(3)))
		off = 0;
	if (rnd(2))
		off -= off % CHUNK;
	if (off + len > ROOM)
		return 0;
	if (off > s->len)
		memset(s->data + s->len, 0, off - s->len);
	for (uint64_t i = 0; i < len; i++)
		s->data[off + i] = any_byte(off + i);
	if (off + len > s->len)
		s->len = off + len;
	n = chaosimg_file_write(f, s->data + off, len, off);
	return n < 0 ? (int)n : 0;
}

static int truncate_op(struct chaosimg_file *f, struct state *s)
{
	size_t len = rnd(6) ? rnd(ROOM) : 0;

	if (len > s->len)
		memset(s->data + s->len, 0, len - s->len);
	s->len = len;
	return chaosimg_file_truncate(f, len);
}

static int punch_op(struct chaosimg_file *f, struct state *s)
{
	uint64_t off = rnd(ROOM - 1), len = 1 + rnd(4 * CHUNK), end;
	bool grow = rnd(2);

	len = len < ROOM - off ? len : ROOM - off;
	end = off + len;
	if (grow && end > s->len) {
		memset(s->data + s->len, 0, end - s->len);
		s->len = end;
	}
	if (end > s->len)
		end = s->len;
	if (off < end)
		memset(s->data + off, 0, end - off);
	return chaosimg_file_allocate(f, grow ? FALLOC_FL_ZERO_RANGE :
						FALLOC_FL_PUNCH_HOLE |
						FALLOC_FL_KEEP_SIZE, off, len);
}

static int bind_op(struct chaosimg_file *f, struct state *s)
{
	s->bound = !s->bound;
	return s->bound ? chaosimg_file_bind(f, second) :
			  chaosimg_file_unbind(f, second);
}

static int reopen(struct chaosimg_file **f, int fd)
{
	int err = chaosimg_file_close(*f), again;

	do {
		again = chaosimg_file_open(archive, dup(fd), binding,
					   CHAOSIMG_FILE_WRITE, f);
		err = err ? err : again;
	} while (again && failing);
	if (again)
		fail_msg("%s", chaosimg_errmsg());
	return err;
}

/* What the file is in memory. */
static void look(struct chaosimg_file *f, struct state *s)
{
	ssize_t n = chaosimg_file_read(f, s->data, ROOM, 0);

	assert_true(n >= 0);
	s->len = n;
	s->bound = chaosimg_file_bound(f, second);
}

/* The process dies, and another one opens the file. */
static int kill_op(struct chaosimg_file **f, int fd, struct state *s)
{
	(*f)->writable = false;		/* so closing it writes nothing */
	assert_int_equal(reopen(f, fd), 0);
	look(*f, s);
	assert_int_equal(chaosimg_file_verify(*f), 0);
	return 0;
}

static int last_synced, last_written;	/* operations */

static int one_op(struct chaosimg_file **f, int fd, int op)
{
	struct state *s = &history[op];
	int err;

	switch (rnd(failing ? 10 : 11)) {
	case 0 ... 3:
		return write_op(*f, s);
	case 4:
		return truncate_op(*f, s);
	case 5:
		return punch_op(*f, s);
	case 6:
		err = chaosimg_file_flush(*f);
		break;
	case 7:
		err = chaosimg_file_sync(*f);
		last_synced = err ? last_synced : op;
		break;
	case 8:
		err = reopen(f, fd);
		break;
	case 9:
		return bind_op(*f, s);
	default:
		err = kill_op(f, fd, s);
		break;
	}
	last_written = err ? last_written : op;
	return err;
}

/* Another state begins as the one before. */
static void next_state(int op)
{
	current_op = op;
	synced_by[op] = last_synced;
	written_by[op] = last_written;
	history[op] = history[op - 1];
	emptied[op] = op > 1 && last_synced != op - 1 &&
		      (emptied[op - 1] || !history[op - 1].len);
}

/* Run the operations, recording; the file exists and is synced at first. */
static void run(int fd, unsigned int percent)
{
	struct chaosimg_file *f;
	int err;

	memset(&history[0], 0, sizeof(history[0]));
	call_count = 0;
	current_op = last_synced = last_written = 0;
	recording = true;
	failing = 0;
	assert_int_equal(chaosimg_file_create(archive, dup(fd), binding, &f), 0);
	assert_int_equal(write_op(f, &history[0]), 0);
	assert_int_equal(chaosimg_file_sync(f), 0);
	failing = percent;
	for (int op = 1; op <= OPS; op++) {
		next_state(op);
		if (op == OPS)
			break;
		err = one_op(&f, fd, op);
		if (!err)
			continue;
		assert_true(failing);
		/* It may have been done, or not, or by half. */
		next_state(++op);
		look(f, &history[op]);
		history[op].bound = false;	/* or not promised */
	}
	err = chaosimg_file_close(f);
	assert_true(failing || !err);
	recording = false;
	failing = 0;
}

/* Is byte @i as it was in one of the states @from .. @to? */
static bool allowed(uint8_t byte, size_t i, int from, int to)
{
	for (int s = from; s <= to; s++)
		if (i >= history[s].len || history[s].data[i] == byte)
			return true;
	return false;
}

static void found(void *ctx, const struct chaosimg_finding *finding)
{
	/* A slot that the power cut tore is told of until it is written anew. */
	if (!strstr(finding->what, "not a name") &&
	    strncmp(finding->what, "header slot", 11))
		snprintf(ctx, 160, "%s", finding->what);
}

/* Without a key, there must be nothing wrong with it. */
static void check_scrub(const char *when)
{
	char what[160] = "";
	const struct chaosimg_check_params params = {
		.threads = 1, .found = found, .ctx = what
	};
	struct chaosimg_check_totals totals;

	assert_int_equal(chaosimg_scrub(scrubbed, &params, &totals), 0);
	assert_int_equal(totals.files, 1);
	if (what[0])
		fail_msg("%s, scrub finds: %s", when, what);
}

static void check_length(size_t len, int from, int to)
{
	size_t least = ROOM, max = 0;

	for (int s = from; s <= to; s++) {
		if (history[s].len < least)
			least = history[s].len;
		if (history[s].len > max)
			max = history[s].len;
	}
	if (len < least || len > max)
		fail_msg("length %zu, not in %zu..%zu", len, least, max);
}

static void check_bytes(struct chaosimg_file *f, int from, int to)
{
	size_t len = chaosimg_file_length(f), least = ROOM;
	uint8_t got[CHUNK];

	for (int s = from; s <= to; s++)
		if (history[s].len < least)
			least = history[s].len;
	for (size_t at = 0; at < len; at += CHUNK) {
		ssize_t n = chaosimg_file_read(f, got, CHUNK, at);

		/* What was never synced may be lost, but must not be wrong. */
		if (n < 0 && at + CHUNK > least)
			continue;
		if (n < 0)
			fail_msg("bytes at %zu: %s", at, chaosimg_errmsg());
		for (ssize_t i = 0; i < n; i++)
			if (!allowed(got[i], at + i, from, to))
				fail_msg("wrong byte at %zu", at + i);
	}
}

static long with_parts;

/* @lost: it was cut to nothing, of which nothing is promised. */
static void check_state(const struct disk *d, int from, int to, bool lost)
{
	struct chaosimg_file *f;
	int fd = open(left_file, O_CREAT | O_TRUNC | O_RDWR, 0600);
	bool whole;

	assert_true(fd >= 0);
	assert_int_equal(write_full(fd, d->data, d->size, 0), 0);
	if (chaosimg_file_open(archive, fd, binding, CHAOSIMG_FILE_WRITE, &f)) {
		if (lost)
			return;
		fail_msg("open: %s", chaosimg_errmsg());
	}
	/* A name that it has got it must be found under. */
	if (to && history[to - 1].bound && history[to].bound && !lost &&
	    !chaosimg_file_bound(f, second))
		fail_msg("not bound to its second name");
	if (!lost)
		check_length(chaosimg_file_length(f), from, to);
	check_bytes(f, from, to);
	whole = !chaosimg_file_verify(f);
	with_parts += f->snap.parts.length > 0;
	assert_int_equal(chaosimg_file_close(f), 0);
	if (whole && !lost)
		check_scrub("settled");
}

/* The same, and nothing is lost. */
static void check_killed(const struct disk *d, int from, int to)
{
	struct chaosimg_file *f;
	int fd = open(left_file, O_CREAT | O_TRUNC | O_RDWR, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write_full(fd, d->data, d->size, 0), 0);
	check_scrub("left open");
	if (chaosimg_file_open(archive, fd, binding, CHAOSIMG_FILE_WRITE, &f) ||
	    chaosimg_file_verify(f))
		fail_msg("killed: %s", chaosimg_errmsg());
	assert_int_equal(chaosimg_file_close(f), 0);
	check_state(d, from, to, false);
}

static void dump(int cut, int synced)
{
	if (!getenv("CRASH_TRACE"))
		return;
	print_message("#\n");
	for (int i = 0; i < cut; i++)
		print_message("# %c%d %s %llu+%llu\n", i < synced ? ' ' : '?',
			      calls[i].op,
			      calls[i].type == WRITE ? "write" :
			      calls[i].type == SYNC ? "sync" :
			      calls[i].type == FAILED_SYNC ? "failed sync" :
			      calls[i].type == PUNCH ? "punch" : "truncate",
			      (unsigned long long)calls[i].off,
			      (unsigned long long)calls[i].len);
}

static uint64_t seeds(void)
{
	const char *more = getenv("CRASH_SEEDS");

	return more ? strtoull(more, NULL, 10) : 40;
}

/* Run random operations, recorded. */
static void begin(uint64_t seed, unsigned int percent)
{
	int fd = open("/tmp", O_TMPFILE | O_RDWR, 0600);

	assert_true(fd >= 0);
	while (call_count)
		free(calls[--call_count].data);
	rng_state = seed * 0x9e3779b97f4a7c15u;
	is_dicom = seed % 2;
	run(fd, percent);
	close(fd);
}

static void cut_power(unsigned int percent)
{
	static const unsigned int percents[] = { 0, 50, 90, 100 };
	static struct disk disk;
	long tried = 0;

	for (uint64_t seed = 1; seed <= seeds(); seed++) {
		begin(seed, percent);
		for (int n = 0; n < STATES; n++) {
			int cut = 1 + (int)rnd(call_count), synced = 0, op;

			for (int i = 0; i < cut; i++)
				if (calls[i].type == SYNC)
					synced = i;
			op = calls[cut - 1].op;
			/* Before the first sync returned nothing is promised. */
			if (!op)
				continue;
			build(&disk, cut, synced, percents[n % 4]);
			dump(cut, synced);
			check_state(&disk, synced_by[op], op, emptied[op]);
			tried++;
		}
	}
	print_message("# %ld states of the disk\n", tried);
}

static void test_power_cuts(void **state)
{
	(void)state;
	cut_power(0);
}

static void test_failed_syncs(void **state)
{
	(void)state;
	cut_power(30);
}

static void test_kills(void **state)
{
	static struct disk disk;
	long tried = 0;

	(void)state;
	for (uint64_t seed = 1; seed <= seeds(); seed++) {
		begin(seed, 0);
		for (int n = 0; n < STATES; n++) {
			int cut = 1 + (int)rnd(call_count);
			int op = calls[cut - 1].op;

			if (!op)
				continue;
			build_killed(&disk, cut);
			dump(cut, cut);
			check_killed(&disk, written_by[op], op);
			tried++;
		}
	}
	print_message("# %ld kills\n", tried);
	print_message("# %ld of all files had parts at last\n", with_parts);
	assert_true(with_parts > tried / 8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_power_cuts),
		cmocka_unit_test(test_failed_syncs),
		cmocka_unit_test(test_kills),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, setup, teardown);
}
