// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Checking an archive: what no test of the command can bring about, since it
 * takes the key, or exactly one moment.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "archive_env.h"
#include "chaosimg_check.h"
#include "chaosimg_names.h"
#include "file.h"

/* Writes of this byte of a file fail; it stands before the C library's. */
static off64_t bad_byte = -1;

ssize_t pwrite64(int fd, const void *buf, size_t len, off64_t off);

ssize_t pwrite64(int fd, const void *buf, size_t len, off64_t off)
{
	if (off <= bad_byte && bad_byte < off + (off64_t)len) {
		errno = EIO;
		return -1;
	}
	return syscall(SYS_pwrite64, fd, buf, len, off);
}

/* What was found last, and how much. */
static struct seen {
	int count;
	char path[512];
	char plain[512];
	char what[256];
	enum chaosimg_remedy remedy;
} seen;

static void found(void *ctx, const struct chaosimg_finding *f)
{
	(void)ctx;
	seen.count++;
	snprintf(seen.path, sizeof(seen.path), "%s", f->path);
	snprintf(seen.plain, sizeof(seen.plain), "%s",
		 f->plain ? f->plain : "");
	snprintf(seen.what, sizeof(seen.what), "%s", f->what);
	seen.remedy = f->remedy;
}

static struct chaosimg_check_totals check(struct chaosimg_archive *a,
					  bool repair, bool names)
{
	struct chaosimg_check_params p = {
		.repair = repair, .names = names, .found = found
	};
	struct chaosimg_check_totals totals;

	memset(&seen, 0, sizeof(seen));
	assert_int_equal(chaosimg_fsck(a, &p, &totals), 0);
	assert_int_equal(totals.problems, seen.count);
	return totals;
}

static struct chaosimg_check_totals scrub(const char *path)
{
	struct chaosimg_check_params p = { .found = found };
	struct chaosimg_check_totals totals;

	memset(&seen, 0, sizeof(seen));
	assert_int_equal(chaosimg_scrub(path, &p, &totals), 0);
	assert_int_equal(totals.problems, seen.count);
	return totals;
}

/* --- a directory and a file in it, as the mount makes them ----------------- */

static struct chaosimg_place place, elsewhere;
static struct chaosimg_stored_name dir_name, file_name;
static uint8_t dir_id[CHAOSIMG_ID_SIZE];

static int make_dir(struct chaosimg_archive *a)
{
	int root = chaosimg_archive_data_fd(a), fd;
	uint8_t root_id[CHAOSIMG_ID_SIZE];

	assert_int_equal(chaosimg_dir_load(a, root, NULL, root_id), 0);
	assert_int_equal(chaosimg_name_encrypt(a, root_id, "DOE", &dir_name), 0);
	assert_int_equal(mkdirat(root, dir_name.name, 0700), 0);
	fd = openat(root, dir_name.name, O_RDONLY | O_DIRECTORY);
	assert_true(fd >= 0);
	memcpy(place.parent, root_id, sizeof(root_id));
	memcpy(place.binding, dir_name.binding, sizeof(place.binding));
	elsewhere = place;
	elsewhere.binding[0] ^= 1;
	assert_int_equal(chaosimg_dir_init(a, fd, &place, dir_id), 0);
	return fd;
}

static struct chaosimg_file *make_file(struct chaosimg_archive *a, int dir)
{
	struct chaosimg_file *f;
	int fd;

	assert_int_equal(chaosimg_name_encrypt(a, dir_id, "image", &file_name),
			 0);
	fd = openat(dir, file_name.name, O_RDWR | O_CREAT | O_EXCL, 0600);
	assert_true(fd >= 0);
	assert_int_equal(chaosimg_file_create(a, fd, file_name.binding, &f), 0);
	return f;
}

static const char *stored_path(void)
{
	static char path[1024];

	snprintf(path, sizeof(path), "data/%s/%s", dir_name.name,
		 file_name.name);
	return path;
}

static struct chaosimg_file *open_file(struct chaosimg_archive *a, int dir,
				       unsigned int flags)
{
	struct chaosimg_file *f;
	int fd = openat(dir, file_name.name, O_RDWR);

	assert_true(fd >= 0);
	assert_int_equal(chaosimg_file_open(a, fd, file_name.binding, flags,
					    &f), 0);
	return f;
}

static void write_chunks(struct chaosimg_file *f, int first, int count, int byte)
{
	uint8_t *buf = malloc(CHAOSIMG_CHUNK_DEFAULT);

	memset(buf, byte, CHAOSIMG_CHUNK_DEFAULT);
	for (int i = first; i < first + count; i++)
		assert_int_equal(chaosimg_file_write(f, buf,
				 CHAOSIMG_CHUNK_DEFAULT,
				 (uint64_t)i * CHAOSIMG_CHUNK_DEFAULT),
				 CHAOSIMG_CHUNK_DEFAULT);
	free(buf);
}

/* --- tests ----------------------------------------------------------------- */

static void test_interrupted_rename(void **state)
{
	char *path = arc_make("rename");
	struct chaosimg_archive *a = arc_must_open(path, 0);
	uint8_t id[CHAOSIMG_ID_SIZE];
	int dir = make_dir(a);

	(void)state;
	check(a, false, true);
	assert_int_equal(seen.count, 0);
	assert_int_equal(chaosimg_dir_bind(a, dir, dir_id, &elsewhere, &place),
			 0);
	check(a, false, true);
	assert_int_equal(seen.count, 1);
	assert_int_equal(seen.remedy, CHAOSIMG_REMEDY_WOULD);
	assert_string_equal(seen.plain, "DOE");
	assert_int_equal(chaosimg_dir_load(a, dir, &elsewhere, id), 0);
	check(a, true, false);
	assert_int_equal(seen.remedy, CHAOSIMG_REMEDY_DONE);
	assert_string_equal(seen.plain, "");
	assert_int_equal(chaosimg_dir_load(a, dir, &place, id), 0);
	assert_int_equal(chaosimg_dir_load(a, dir, &elsewhere, id), -EIO);
	check(a, true, false);
	assert_int_equal(seen.count, 0);
	close(dir);
	chaosimg_archive_close(a);
}

/*
 * A header that names a journal whose records are not in their places yet: the
 * moment in an overwrite that matters. scrub has to take the journal into
 * account, and to find damage in it; fsck has to finish it.
 */
static void test_journal(void **state)
{
	char *path = arc_make("journal");
	struct chaosimg_archive *a = arc_must_open(path, 0);
	int dir = make_dir(a);
	struct chaosimg_file *f = make_file(a, dir);
	struct chaosimg_check_totals totals;
	uint8_t junk[100] = { 1 }, saved[100], byte;
	struct header h;
	uint64_t at;
	int fd;

	(void)state;
	write_chunks(f, 0, 3, 1);
	assert_int_equal(chaosimg_file_sync(f), 0);
	assert_int_equal(chaosimg_file_close(f), 0);
	scrub(path);
	assert_int_equal(seen.count, 0);

	/* Have a commit stop after its header: its record cannot be placed. */
	f = open_file(a, dir, CHAOSIMG_FILE_WRITE);
	write_chunks(f, 1, 1, 2);
	bad_byte = (off64_t)record_at(CHAOSIMG_CHUNK_DEFAULT, 1);
	assert_int_equal(chaosimg_file_flush(f), -EIO);
	h = f->snap;
	assert_true(h.journal.length > 0);
	assert_int_equal(chaosimg_file_close(f), -EIO);
	bad_byte = -1;
	totals = scrub(path);
	assert_int_equal(seen.count, 0);
	assert_int_equal(totals.open, 1);

	/* The record that the journal replaces may be half written. */
	fd = openat(dir, file_name.name, O_RDWR);
	at = record_at(CHAOSIMG_CHUNK_DEFAULT, 1);
	assert_int_equal(pwrite(fd, junk, sizeof(junk), (off_t)at + 50), 100);
	scrub(path);
	assert_int_equal(seen.count, 0);
	/* Another one may not, */
	at = record_at(CHAOSIMG_CHUNK_DEFAULT, 2) + 50;
	assert_int_equal(pread(fd, saved, sizeof(saved), (off_t)at), 100);
	assert_int_equal(pwrite(fd, junk, sizeof(junk), (off_t)at), 100);
	scrub(path);
	assert_int_equal(seen.count, 1);
	assert_string_equal(seen.path, stored_path());
	assert_non_null(strstr(seen.what, "record 2"));
	assert_int_equal(pwrite(fd, saved, sizeof(saved), (off_t)at), 100);
	/* nor a bit of the journal. */
	at = h.journal.offset + 5000;
	assert_int_equal(pread(fd, &byte, 1, (off_t)at), 1);
	byte ^= 4;
	assert_int_equal(pwrite(fd, &byte, 1, (off_t)at), 1);
	scrub(path);
	assert_int_equal(seen.count, 1);
	byte ^= 4;
	assert_int_equal(pwrite(fd, &byte, 1, (off_t)at), 1);
	close(fd);

	check(a, false, false);
	assert_int_equal(seen.count, 1);
	assert_non_null(strstr(seen.what, "left open"));
	check(a, true, false);
	assert_int_equal(seen.remedy, CHAOSIMG_REMEDY_DONE);
	check(a, true, false);
	assert_int_equal(seen.count, 0);
	f = open_file(a, dir, 0);
	assert_int_equal(chaosimg_file_read(f, &byte, 1,
					    CHAOSIMG_CHUNK_DEFAULT + 9), 1);
	assert_int_equal(byte, 2);
	chaosimg_file_close(f);
	close(dir);
	chaosimg_archive_close(a);
}

static bool stop_at_once(void *ctx)
{
	(void)ctx;
	return true;
}

static void test_stop_and_misuse(void **state)
{
	char *path = arc_make("stop");
	struct chaosimg_archive *a = arc_must_open(path, CHAOSIMG_ARCHIVE_RDONLY);
	struct chaosimg_check_params p = { .stop = stop_at_once };
	struct chaosimg_check_totals totals;

	(void)state;
	assert_int_equal(chaosimg_fsck(a, &p, &totals), -EINTR);
	assert_int_equal(chaosimg_scrub(path, &p, &totals), -EINTR);
	p.stop = NULL;
	p.threads = 65;
	assert_int_equal(chaosimg_fsck(a, &p, &totals), -EINVAL);
	assert_int_equal(chaosimg_scrub(path, &p, &totals), -EINVAL);
	p.threads = 64;
	assert_int_equal(chaosimg_scrub(path, &p, &totals), 0);
	p.repair = true;
	assert_int_equal(chaosimg_fsck(a, &p, &totals), -EROFS);
	chaosimg_archive_close(a);
	a = arc_must_open(path, CHAOSIMG_ARCHIVE_NOLOCK);
	assert_int_equal(chaosimg_fsck(a, &p, &totals), -EROFS);
	chaosimg_archive_close(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_interrupted_rename),
		cmocka_unit_test(test_journal),
		cmocka_unit_test(test_stop_and_misuse),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, arc_set_up, arc_tear_down);
}
