// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Syncs that fail. The kernel says so once and calls the pages clean, whether it
 * still has them or, later, only what is on the disk. Whoever syncs again must
 * not be told that all is well, unless it was written anew.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <cmocka.h>

#include "chaosimg.h"
#include "file.h"
#include "file_env.h"

enum { CHUNK = 4096, LENGTH = 5 * CHUNK + 100, STORED = 65536 };

static const uint8_t binding[CHAOSIMG_BINDING_SIZE] = "a name's binding";
static struct chaosimg_archive *archive;
static struct chaosimg_file *file;
static int stored = -1;
static bool fails;
static bool written[STORED];	/* since the sync that failed */

ssize_t pwrite64(int fd, const void *buf, size_t len, off64_t off);

/* These stand before the C library's. */
ssize_t pwrite64(int fd, const void *buf, size_t len, off64_t off)
{
	for (size_t i = 0; i < len && off + i < STORED; i++)
		written[off + i] = true;
	return syscall(SYS_pwrite64, fd, buf, len, off);
}

int fdatasync(int fd)
{
	(void)fd;
	if (!fails)
		return 0;
	memset(written, 0, sizeof(written));
	errno = EIO;
	return -1;
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

static void fill(uint8_t value)
{
	uint8_t data[LENGTH];

	memset(data, value, sizeof(data));
	assert_int_equal(chaosimg_file_write(file, data, LENGTH, 0), LENGTH);
}

/* A file of ones that is synced, then twos, of which the sync fails. */
static int begin(void **state)
{
	(void)state;
	fails = false;
	stored = open("/tmp", O_TMPFILE | O_RDWR, 0600);
	if (stored < 0 ||
	    chaosimg_file_create(archive, dup(stored), binding, &file))
		return -1;
	fill(1);
	return chaosimg_file_sync(file);
}

static int end(void **state)
{
	(void)state;
	chaosimg_file_close(file);
	close(stored);
	return 0;
}

static void fail_sync(void)
{
	fails = true;
	assert_int_equal(chaosimg_file_sync(file), -EIO);
	fails = false;
}

static void expect(uint8_t value)
{
	uint8_t data[LENGTH];

	assert_int_equal(chaosimg_file_read(file, data, LENGTH, 0), LENGTH);
	for (size_t i = 0; i < LENGTH; i++)
		assert_int_equal(data[i], value);
}

static void reopen(void)
{
	chaosimg_file_close(file);
	assert_int_equal(chaosimg_file_open(archive, dup(stored), binding,
					    CHAOSIMG_FILE_WRITE, &file), 0);
}

/* All that the file is must have gone to the kernel again. */
static void expect_written(void)
{
	for (uint64_t i = 0; i < stored_size(LENGTH, CHUNK); i++)
		if (!written[i])
			fail_msg("byte %llu was not written again",
				 (unsigned long long)i);
}

static void test_written_anew(void **state)
{
	(void)state;
	fill(2);
	fail_sync();
	assert_int_equal(chaosimg_file_sync(file), 0);
	expect_written();
	expect(2);
}

/* Nobody told those who open it later. */
static void test_closed_and_opened(void **state)
{
	(void)state;
	fill(2);
	fail_sync();
	reopen();
	assert_int_equal(chaosimg_file_sync(file), 0);
	expect_written();
	expect(2);
}

/* As long as it fails, it does not succeed; and what was safe stays so. */
static void test_goes_on_failing(void **state)
{
	(void)state;
	fill(2);
	for (int i = 0; i < 4; i++)
		fail_sync();
	assert_int_equal(chaosimg_file_sync(file), 0);
	expect_written();
	reopen();
	expect(2);
	assert_int_equal(chaosimg_file_verify(file), 0);
}

/* Only appended: the records that were there are not touched by that. */
static void test_appended(void **state)
{
	static const uint8_t more[3 * CHUNK];

	(void)state;
	assert_int_equal(chaosimg_file_write(file, more, sizeof(more), LENGTH),
			 sizeof(more));
	fail_sync();
	assert_int_equal(chaosimg_file_sync(file), 0);
	expect_written();
	assert_int_equal(chaosimg_file_verify(file), 0);
}

/* The kernel has taken its pages for clean, and reads the disk again. */
static void test_dropped(void **state)
{
	static const uint8_t more[3 * CHUNK], nothing[2 * CHUNK];
	uint64_t at = stored_size(LENGTH, CHUNK);

	(void)state;
	assert_int_equal(chaosimg_file_write(file, more, sizeof(more), LENGTH),
			 sizeof(more));
	fail_sync();
	assert_int_equal(syscall(SYS_pwrite64, stored, nothing,
				 sizeof(nothing), at), sizeof(nothing));
	for (int i = 0; i < 3; i++)
		assert_int_equal(chaosimg_file_sync(file), -EIO);
	assert_string_equal(chaosimg_errmsg(),
			    "record: lost after a sync that failed");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_written_anew, begin, end),
		cmocka_unit_test_setup_teardown(test_closed_and_opened, begin,
						end),
		cmocka_unit_test_setup_teardown(test_goes_on_failing, begin,
						end),
		cmocka_unit_test_setup_teardown(test_appended, begin, end),
		cmocka_unit_test_setup_teardown(test_dropped, begin, end),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, setup, teardown);
}
