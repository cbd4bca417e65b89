// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Archives whose configuration or keyset is damaged, and what is left behind
 * when something fails.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "archive_env.h"
#include "config.h"
#include "config_file.h"

/* --- damage --------------------------------------------------------------- */

/* Flip every bit of a file: the archive must not open, nor be changed. */
static void flip_all(const char *path, const char *file)
{
	size_t len, i;
	char *text = arc_slurp(file, &len);
	uint64_t before;
	int fd = open(file, O_WRONLY);
	char byte;

	assert_true(fd >= 0);
	for (i = 0; i < 8 * len; i++) {
		byte = (char)(text[i / 8] ^ 1 << i % 8);
		assert_int_equal(pwrite(fd, &byte, 1, (off_t)(i / 8)), 1);
		/* The directory need not be looked at for each of them. */
		if (i % 64 == 0)
			before = arc_digest_of(path);
		assert_true(arc_try_open(path, arc_key, 0) < 0);
		if (i % 64 == 0)
			assert_true(arc_digest_of(path) == before);
		assert_int_equal(pwrite(fd, &text[i / 8], 1, (off_t)(i / 8)),
				 1);
	}
	close(fd);
	free(text);
	assert_int_equal(arc_try_open(path, arc_key, 0), 0);
}

static void every_flipped_bit_of_the_config_is_refused(void **state)
{
	char *path = arc_make("flip-config");

	(void)state;
	flip_all(path, arc_config_file(path));
}

static void every_flipped_bit_of_a_keyset_is_refused(void **state)
{
	char *path = arc_make("flip-keyset");

	(void)state;
	flip_all(path, arc_keyset_file(path));
}

/* Every length shorter, and one longer. */
static void cut_all(const char *path, const char *file)
{
	size_t len, i;
	char *text = arc_slurp(file, &len);

	for (i = 0; i < len; i++) {
		arc_spit(file, text, i);
		assert_int_equal(arc_try_open(path, arc_key, 0), -EBADMSG);
	}
	text[len] = '\n';
	arc_spit(file, text, len + 1);
	assert_int_equal(arc_try_open(path, arc_key, 0), -EBADMSG);
	arc_spit(file, text, len);
	assert_int_equal(arc_try_open(path, arc_key, 0), 0);
	free(text);
}

static void cut_and_extended_files_are_refused(void **state)
{
	char *path = arc_make("cut");

	(void)state;
	cut_all(path, arc_config_file(path));
	cut_all(path, arc_keyset_file(path));
}

static void newer_versions_are_refused(void **state)
{
	char *path = arc_make("newer");
	struct chaosimg_archive_info info;
	uint64_t before;

	(void)state;
	arc_forge(arc_keyset_file(path), "\"version\": 1", "\"version\": 2");
	assert_int_equal(arc_try_open(path, arc_key, 0), -EPROTONOSUPPORT);
	assert_non_null(strstr(chaosimg_errmsg(), "keysets/"));
	arc_forge(arc_keyset_file(path), "\"version\": 2", "\"version\": 1");
	assert_int_equal(arc_try_open(path, arc_key, 0), 0);
	arc_forge(arc_config_file(path), "\"version\": 1", "\"version\": 2");
	before = arc_digest_of(path);
	assert_int_equal(arc_try_open(path, arc_key, 0), -EPROTONOSUPPORT);
	assert_non_null(strstr(chaosimg_errmsg(), "version 2 is newer"));
	assert_int_equal(chaosimg_archive_info(path, &info), -EPROTONOSUPPORT);
	assert_true(arc_digest_of(path) == before);
}

static void altered_config_is_refused(void **state)
{
	char *path = arc_make("altered");
	struct chaosimg_archive_info info;

	(void)state;
	arc_forge(arc_config_file(path), "\"chunk_size\": 8192",
		  "\"chunk_size\": 4096");
	assert_int_equal(chaosimg_archive_info(path, &info), 0);
	assert_int_equal(arc_try_open(path, arc_key, 0), -EBADMSG);
	assert_non_null(strstr(chaosimg_errmsg(), "altered"));
}

static void missing_keyset_is_named(void **state)
{
	char *path = arc_make("missing"), *file = arc_keyset_file(path);
	uint64_t before;

	(void)state;
	assert_int_equal(rename(file, arc_in_top("kept")), 0);
	before = arc_digest_of(path);
	assert_int_equal(arc_try_open(path, arc_key, 0), -ENOKEY);
	assert_non_null(strstr(chaosimg_errmsg(), strstr(file, "keysets/")));
	assert_non_null(strstr(chaosimg_errmsg(), "missing"));
	assert_true(arc_digest_of(path) == before);
	assert_int_equal(rename(arc_in_top("kept"), file), 0);
	assert_int_equal(arc_try_open(path, arc_key, 0), 0);
}

static void keyset_of_another_archive_is_refused(void **state)
{
	char *path = arc_make("one"), *file = strdup(arc_keyset_file(path));
	char *from = arc_make("two");
	size_t len;
	char *text = arc_slurp(arc_keyset_file(from), &len);

	(void)state;
	arc_spit(file, text, len);
	assert_int_equal(arc_try_open(path, arc_key, 0), -EBADMSG);
	assert_non_null(strstr(chaosimg_errmsg(), "another archive"));
	free(text);
	free(file);
}

static void unknown_wraps_are_passed_over(void **state)
{
	static const char before[] = "    {\"under\": \"archive-key\"";
	char *path = arc_make("wraps"), *file = arc_keyset_file(path);
	char longer[4096];
	size_t len;
	char *text = arc_slurp(file, &len), *at, *out;

	(void)state;
	text[len] = '\0';
	at = strstr(text, before);
	assert_non_null(at);
	snprintf(longer, sizeof(longer), "%.*s    {\"under\": \"policy\", "
		 "\"policy\": [\"a\", 1]},\n%s", (int)(at - text), text, at);
	len = (size_t)(strstr(longer, "  \"checksum\"") - longer);
	out = strndup(longer, len);
	assert_int_equal(config_checksum_append(&out, &len), 0);
	arc_spit(file, out, len);
	assert_int_equal(arc_try_open(path, arc_key, 0), 0);
	/* Without the one under the archive key there is no key. */
	arc_forge(file, "\"archive-key\"", "\"archive-kez\"");
	assert_int_equal(arc_try_open(path, arc_key, 0), -ENOKEY);
	free(out);
	free(text);
}

/* --- when something fails ------------------------------------------------- */

static int create_here(const char *path)
{
	return chaosimg_archive_create(path, arc_key, NULL);
}

static void failed_creation_leaves_nothing(void **state)
{
	char *path = arc_in_top("failed"), *empty = arc_in_top("failed-empty");
	rlim_t limit;
	int ret;

	(void)state;
	assert_int_equal(mkdir(empty, 0755), 0);
	/* The keyset's file is the largest that is written. */
	for (limit = 0; limit <= 2500; limit += 100) {
		ret = arc_in_want(create_here, path, limit);
		if (!ret)
			break;
		assert_int_equal(ret, -EFBIG);
		assert_int_equal(access(path, F_OK), -1);
		assert_int_equal(arc_in_want(create_here, empty, limit),
				 -EFBIG);
		assert_int_equal(arc_entries(empty), 0);
	}
	assert_true(limit > 0 && limit <= 2500);
	assert_int_equal(arc_try_open(path, arc_key, 0), 0);
}

static int add_here(const char *path)
{
	struct chaosimg_archive *a;
	int ret = chaosimg_archive_open(path, arc_key, CHAOSIMG_ARCHIVE_NOLOCK,
					&a);

	return ret ? ret : chaosimg_slot_add(a, arc_other_key, NULL);
}

static void failed_change_keeps_the_old_config(void **state)
{
	char *path = arc_make("full-disk");
	size_t len, after_len;
	char *text = arc_slurp(arc_config_file(path), &len), *after;

	(void)state;
	assert_int_equal(arc_in_want(add_here, path, 100), -EFBIG);
	after = arc_slurp(arc_config_file(path), &after_len);
	assert_int_equal(after_len, len);
	assert_memory_equal(after, text, len);
	assert_int_equal(arc_entries(path), 4);
	free(after);
	free(text);
}

static void leftover_of_a_crash_does_no_harm(void **state)
{
	char *path = arc_make("leftover");
	char *leftover = arc_in_top("leftover/chaosimg.json.new");
	struct chaosimg_archive *a;

	(void)state;
	arc_spit(leftover, "{\"format\": \"chaosimg-arch", 25);
	a = arc_must_open(path, 0);
	assert_int_equal(chaosimg_slot_add(a, arc_other_key, NULL), 0);
	chaosimg_archive_close(a);
	assert_int_equal(access(leftover, F_OK), -1);
	assert_int_equal(arc_try_open(path, arc_other_key, 0), 0);
}

/* What a power cut before the last step leaves is no archive. */
static void half_made_archive_is_none(void **state)
{
	char *path = arc_make("half");

	(void)state;
	assert_int_equal(unlink(arc_config_file(path)), 0);
	assert_int_equal(arc_try_open(path, arc_key, 0), -EBADMSG);
	assert_non_null(strstr(chaosimg_errmsg(), "not a chaosimg archive"));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_flipped_bit_of_the_config_is_refused),
		cmocka_unit_test(every_flipped_bit_of_a_keyset_is_refused),
		cmocka_unit_test(cut_and_extended_files_are_refused),
		cmocka_unit_test(newer_versions_are_refused),
		cmocka_unit_test(altered_config_is_refused),
		cmocka_unit_test(missing_keyset_is_named),
		cmocka_unit_test(keyset_of_another_archive_is_refused),
		cmocka_unit_test(unknown_wraps_are_passed_over),
		cmocka_unit_test(failed_creation_leaves_nothing),
		cmocka_unit_test(failed_change_keeps_the_old_config),
		cmocka_unit_test(leftover_of_a_crash_does_no_harm),
		cmocka_unit_test(half_made_archive_is_none),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, arc_set_up, arc_tear_down);
}
