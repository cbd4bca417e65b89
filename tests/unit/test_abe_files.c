// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The files of authorities and users: no changed byte and no other length is
 * taken for a key, also if the checksum is made right; what is merged is what
 * was issued.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <xxhash.h>

#include "abe.h"
#include "bytes.h"

static char top[] = "/tmp/chaosimg-abe.XXXXXX";
static const char *const given[] = { "a", "b" };

static int group_setup(void **state)
{
	(void)state;
	if (!mkdtemp(top) || chdir(top))
		return -1;
	return chaosimg_authority_create("one", "secret", "public") ||
	       chaosimg_authority_create("two", "secret2", "public2") ||
	       chaosimg_authority_issue("secret", "alice", given, 2, "user") ||
	       chaosimg_authority_issue("secret2", "alice", given, 1, "user2");
}

static int group_teardown(void **state)
{
	char command[64];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s", top);
	return chdir("/") || system(command);
}

static size_t slurp(const char *path, uint8_t *out, size_t max)
{
	FILE *f = fopen(path, "rb");
	size_t len;

	assert_non_null(f);
	len = fread(out, 1, max, f);
	fclose(f);
	return len;
}

static void spit(const char *path, const uint8_t *in, size_t len)
{
	FILE *f = fopen(path, "wb");

	assert_non_null(f);
	assert_int_equal(fwrite(in, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
}

static void reseal(uint8_t *bytes, size_t len)
{
	if (len < ABE_FRAME)
		return;
	put_le32(bytes + 12, (uint32_t)(len - ABE_FRAME));
	put_le64(bytes + len - ABE_SUM, XXH3_64bits(bytes, len - ABE_SUM));
}

/* Is a key of the kind that @path is read from "changed"? */
static int read_as(const char *path)
{
	struct chaosimg_authority *a;
	struct chaosimg_user *u;
	int ret;

	if (path[0] == 's') {
		ret = chaosimg_authority_issue("changed", "x", given, 1, "x");
		unlink("x");
		return ret;
	}
	if (path[0] == 'p') {
		ret = chaosimg_authority_read("changed", &a);
		if (!ret)
			chaosimg_authority_free(a);
		return ret;
	}
	ret = chaosimg_user_read("changed", &u);
	if (ret)
		return ret;
	/* A letter changed in a name makes another name, and a wrong key. */
	ret = chaosimg_user_verify(u);
	chaosimg_user_free(u);
	return ret;
}

static bool refused(int ret)
{
	return ret == -EBADMSG || ret == -EPROTONOSUPPORT;
}

static const char *const files[] = { "secret", "public", "user" };

static void no_changed_byte_is_taken(void **state)
{
	static uint8_t bytes[4096];
	size_t f, i, len, other;

	(void)state;
	for (f = 0; f < 3; f++) {
		len = slurp(files[f], bytes, sizeof(bytes));
		other = 0;
		for (i = 0; i < len; i++) {
			int ret;

			bytes[i] ^= (uint8_t)(1u << i % 8);
			spit("changed", bytes, len);
			assert_true(refused(read_as(files[f])));
			assert_non_null(strstr(chaosimg_errmsg(), "changed"));
			if (i < len - ABE_SUM) {
				put_le64(bytes + len - ABE_SUM,
					 XXH3_64bits(bytes, len - ABE_SUM));
				spit("changed", bytes, len);
				ret = read_as(files[f]);
				assert_true(!ret || refused(ret));
				other += !ret;
			}
			bytes[i] ^= (uint8_t)(1u << i % 8);
			put_le64(bytes + len - ABE_SUM,
				 XXH3_64bits(bytes, len - ABE_SUM));
		}
		/* Another name and other numbers make another key. */
		if (files[f][0] == 's')
			assert_in_range(other, 60, 67);
		else if (files[f][0] == 'p')
			assert_in_range(other, 1, 3);
		else
			assert_int_equal(other, 0);
	}
}

static void no_other_length_is_taken(void **state)
{
	static uint8_t bytes[4096];
	size_t f, len, cut;

	(void)state;
	for (f = 0; f < 3; f++) {
		len = slurp(files[f], bytes, sizeof(bytes));
		for (cut = 0; cut <= len + 1; cut++) {
			if (cut == len)
				continue;
			slurp(files[f], bytes, sizeof(bytes));
			reseal(bytes, cut);
			spit("changed", bytes, cut);
			assert_int_equal(read_as(files[f]), -EBADMSG);
		}
	}
}

/* Points of other groups, zero, and numbers that are too large. */
static void no_other_points_are_taken(void **state)
{
	static uint8_t bytes[4096];
	/* The zero of G1; and points on the curves that are not in the groups. */
	static const uint8_t zero[ABE_G1] = { 0xc0 }, four[ABE_G1] = {
		0x80, [ABE_G1 - 1] = 4 };
	uint8_t outside[ABE_G1] = { 0x80 };
	size_t len = slurp("public", bytes, sizeof(bytes)), y;
	blst_p1_affine p;
	int i;

	(void)state;
	y = len - ABE_SUM - ABE_G1;
	for (i = 1; i < 100; i++) {
		outside[ABE_G1 - 1] = (uint8_t)i;
		if (blst_p1_uncompress(&p, outside) == BLST_SUCCESS)
			break;
	}
	assert_in_range(i, 1, 99);
	assert_false(blst_p1_affine_in_g1(&p));
	for (i = 0; i < 4; i++) {
		memcpy(bytes + y, i == 0 ? zero : i == 1 ? four : outside,
		       ABE_G1);
		if (i == 3)
			memset(bytes + y + 1, 0xff, ABE_G1 - 1);
		reseal(bytes, len);
		spit("changed", bytes, len);
		assert_int_equal(read_as("public"), -EBADMSG);
	}
	/* 1 in the target group, 0, and the curve's order as a number. */
	slurp("public", bytes, sizeof(bytes));
	for (i = 0; i < 2; i++) {
		memset(bytes + y - ABE_GT, 0, ABE_GT);
		bytes[y - ABE_GT + 47] = (uint8_t)i;
		reseal(bytes, len);
		spit("changed", bytes, len);
		assert_int_equal(read_as("public"), -EBADMSG);
	}
	len = slurp("secret", bytes, sizeof(bytes));
	memset(bytes + len - ABE_SUM - ABE_SCALAR, 0xff, ABE_SCALAR);
	reseal(bytes, len);
	spit("changed", bytes, len);
	assert_int_equal(read_as("secret"), -EBADMSG);
}

static void merged_is_what_was_issued(void **state)
{
	static const char *const both[] = { "user", "user2" };
	static const char *const expected[] = { "a@one", "b@one", "a@two" };
	struct chaosimg_user *u;
	struct stat st;
	size_t i;

	(void)state;
	umask(0);
	assert_int_equal(chaosimg_user_merge("merged", both, 2), 0);
	assert_int_equal(stat("merged", &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	/* Once more changes nothing. */
	assert_int_equal(chaosimg_user_merge("merged", both, 2), 0);
	assert_int_equal(chaosimg_user_read("merged", &u), 0);
	for (i = 0; i < 3; i++)
		assert_string_equal(chaosimg_user_attribute(u, i), expected[i]);
	assert_null(chaosimg_user_attribute(u, 3));
	assert_string_equal(chaosimg_authority_name(chaosimg_user_authority(u, 1)),
			    "two");
	assert_null(chaosimg_user_authority(u, 2));
	assert_int_equal(chaosimg_user_verify(u), 0);
	chaosimg_user_free(u);
	assert_int_equal(stat("secret", &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(access("merged.new", F_OK), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_changed_byte_is_taken),
		cmocka_unit_test(no_other_length_is_taken),
		cmocka_unit_test(no_other_points_are_taken),
		cmocka_unit_test(merged_is_what_was_issued),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
