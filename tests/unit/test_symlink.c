// SPDX-License-Identifier: GPL-2.0-or-later
/* Symbolic links: what they point to, stored in another link. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "names_env.h"

static struct chaosimg_archive *archive, *other;

static int set_up(void **state)
{
	(void)state;
	return names_env_open(&archive, &other, NULL);
}

static int tear_down(void **state)
{
	(void)state;
	return names_env_close(archive, other, -1);
}

static void symlinks_of_every_length_come_back(void **state)
{
	static char target[3002], stored[4096], back[4096];
	uint64_t seed = 4;
	size_t len;

	(void)state;
	for (len = 1; len <= 3000; len += len < 300 || len > 2990 ? 1 : 7) {
		names_random(&seed, len, target);
		assert_int_equal(chaosimg_symlink_encrypt(archive, target,
				 stored, sizeof(stored)), 0);
		assert_int_equal(chaosimg_symlink_length(strlen(stored)), len);
		assert_int_equal(chaosimg_symlink_decrypt(archive, stored, back,
							  len + 1), 0);
		assert_string_equal(back, target);
		assert_int_equal(chaosimg_symlink_decrypt(archive, stored, back,
							  len), -ENAMETOOLONG);
	}
	memset(target, 'a', 3001);
	assert_int_equal(chaosimg_symlink_encrypt(archive, target, stored,
			 sizeof(stored)), -ENAMETOOLONG);
	assert_int_equal(chaosimg_symlink_encrypt(archive, "", stored,
			 sizeof(stored)), -EINVAL);
	assert_int_equal(chaosimg_symlink_encrypt(archive, "x", stored, 60),
			 -ENAMETOOLONG);
	assert_int_equal(chaosimg_symlink_encrypt(archive, "x", stored, 61), 0);
}

static void symlinks_do_not_repeat(void **state)
{
	char one[128], two[128];

	(void)state;
	assert_int_equal(chaosimg_symlink_encrypt(archive, "../DOE^JANE", one,
						  sizeof(one)), 0);
	assert_int_equal(chaosimg_symlink_encrypt(archive, "../DOE^JANE", two,
						  sizeof(two)), 0);
	assert_string_not_equal(one, two);
	assert_false(names_has_run_of(one, "../DOE^JANE", 6));
}

static void a_changed_symlink_is_refused(void **state)
{
	char stored[256], back[256], longer[260];
	size_t i, len;
	int bit;

	(void)state;
	assert_int_equal(chaosimg_symlink_encrypt(archive, "../patients/1",
						  stored, sizeof(stored)), 0);
	assert_int_equal(chaosimg_symlink_decrypt(other, stored, back,
						  sizeof(back)), -EIO);
	len = strlen(stored);
	for (i = 0; i < len; i++) {
		for (bit = 0; bit < 8; bit++) {
			stored[i] ^= (char)(1 << bit);
			assert_int_equal(chaosimg_symlink_decrypt(archive,
					 stored, back, sizeof(back)), -EIO);
			stored[i] ^= (char)(1 << bit);
		}
		snprintf(longer, sizeof(longer), "%.*s", (int)i, stored);
		assert_int_equal(chaosimg_symlink_decrypt(archive, longer, back,
							  sizeof(back)), -EIO);
	}
	snprintf(longer, sizeof(longer), "%sAAAA", stored);
	assert_int_equal(chaosimg_symlink_decrypt(archive, longer, back,
						  sizeof(back)), -EIO);
	assert_int_equal(chaosimg_symlink_length(0), 0);
	assert_int_equal(chaosimg_symlink_length(58), 0);
	assert_int_equal(chaosimg_symlink_length(60), 1);
}

/* Made by a second implementation, in Python, from the documentation alone. */
static void links_are_as_documented(void **state)
{
	static const char link[] = "AAECAwQFBgcICQoLaHWkf-BEtjx6yo6x-s0ubOq63em"
		"EdhlmMprzI44nG1JI9VkjxjQ1wZI0cw";
	char back[128];

	(void)state;
	assert_int_equal(chaosimg_symlink_decrypt(archive, link, back,
						  sizeof(back)), 0);
	assert_string_equal(back, "../DOE^JANE");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(symlinks_of_every_length_come_back),
		cmocka_unit_test(symlinks_do_not_repeat),
		cmocka_unit_test(a_changed_symlink_is_refused),
		cmocka_unit_test(links_are_as_documented),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
