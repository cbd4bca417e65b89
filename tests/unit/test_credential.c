// SPDX-License-Identifier: GPL-2.0-or-later
/* Key files and passphrase files; and that no secret is in an archive. */
#include <errno.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "archive_env.h"
#include "keyring.h"

/* --- secrets -------------------------------------------------------------- */

static const char *needle;
static size_t needle_len;

static int search_one(const char *path, const struct stat *st, int type,
		      struct FTW *ftw)
{
	size_t len, i;
	char *text;

	(void)st;
	(void)ftw;
	if (type != FTW_F)
		return 0;
	text = arc_slurp(path, &len);
	/* Any 16 bytes of it would be too much. */
	for (i = 0; i + 16 <= needle_len; i++)
		assert_null(memmem(text, len, needle + i, 16));
	free(text);
	return 0;
}

static void search(const char *path, const void *secret, size_t len)
{
	char hex[129];
	size_t i;

	needle = secret;
	needle_len = len;
	assert_int_equal(nftw(path, search_one, 16, FTW_PHYS), 0);
	for (i = 0; i < len && i < 64; i++)
		sprintf(hex + 2 * i, "%02x", ((const uint8_t *)secret)[i]);
	needle = hex;
	needle_len = strlen(hex);
	assert_int_equal(nftw(path, search_one, 16, FTW_PHYS), 0);
}

static void no_key_is_in_the_archive(void **state)
{
	static const char pass[] = "a passphrase of some length";
	char *path = arc_make("secrets");
	struct chaosimg_archive *a = arc_must_open(path, 0);
	struct chaosimg_credential *cred;
	size_t len;
	char *text = arc_slurp(arc_in_top("key"), &len);
	int i;

	(void)state;
	assert_int_equal(chaosimg_credential_passphrase(pass, strlen(pass),
							&cred), 0);
	assert_int_equal(chaosimg_slot_add(a, cred, NULL), 0);
	chaosimg_credential_free(cred);
	search(path, pass, strlen(pass));
	search(path, keyring_archive_key(a->ring), CHAOSIMG_KEY_SIZE);
	for (i = 0; i < KEY_COUNT; i++)
		search(path, keyring_newest(a->ring)->key[i],
		       CHAOSIMG_KEY_SIZE);
	needle = text + strlen("chaosimg-key-v1 ");
	needle_len = 64;
	assert_int_equal(nftw(path, search_one, 16, FTW_PHYS), 0);
	chaosimg_archive_close(a);
	free(text);
}

/* --- key files and passphrase files --------------------------------------- */

static int read_key(const char *path)
{
	struct chaosimg_credential *c = NULL;
	int ret = chaosimg_credential_keyfile(path, &c);

	if (ret)
		assert_non_null(strstr(chaosimg_errmsg(), path));
	chaosimg_credential_free(c);
	return ret;
}

static void damaged_key_files_are_refused(void **state)
{
	char *path = arc_in_top("damaged-key");
	size_t len, i;
	char *text = arc_slurp(arc_in_top("key"), &len);
	struct stat st;

	(void)state;
	assert_int_equal(stat(arc_in_top("key"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(chaosimg_keyfile_create(arc_in_top("key")), -EEXIST);
	for (i = 0; i < 8 * len; i++) {
		text[i / 8] ^= (char)(1 << i % 8);
		arc_spit(path, text, len);
		assert_int_equal(read_key(path), -EBADMSG);
		text[i / 8] ^= (char)(1 << i % 8);
	}
	/* The newline at the end may be missing, nothing else. */
	for (i = 0; i < len - 1; i++) {
		arc_spit(path, text, i);
		assert_int_equal(read_key(path), -EBADMSG);
	}
	arc_spit(path, text, len - 1);
	assert_int_equal(read_key(path), 0);
	assert_int_equal(read_key("/dev/zero"), -EBADMSG);
	assert_int_equal(read_key(arc_in_top("none")), -ENOENT);
	assert_int_equal(read_key(arc_top), -EINVAL);
	assert_int_equal(chaosimg_keyfile_create(arc_in_top("no/key")),
			 -ENOENT);
	free(text);
}

static int make_key(const char *path)
{
	return chaosimg_keyfile_create(path);
}

static void failed_key_file_leaves_nothing(void **state)
{
	(void)state;
	assert_int_equal(arc_in_want(make_key, arc_in_top("short-key"), 50),
			 -EFBIG);
	assert_int_equal(access(arc_in_top("short-key"), F_OK), -1);
}

static int read_pass(const char *text, size_t len)
{
	struct chaosimg_credential *c = NULL;
	int ret;

	arc_spit(arc_in_top("a-pass"), text, len);
	ret = chaosimg_credential_passfile(arc_in_top("a-pass"), &c);
	chaosimg_credential_free(c);
	return ret;
}

static void passphrases_have_a_length(void **state)
{
	char text[1026];

	(void)state;
	memset(text, 'x', sizeof(text));
	assert_int_equal(read_pass("", 0), -EINVAL);
	assert_int_equal(read_pass("\nx\n", 3), -EINVAL);
	assert_int_equal(read_pass("x", 1), 0);
	assert_int_equal(read_pass(text, 1024), 0);
	assert_int_equal(read_pass(text, 1025), -EINVAL);
	text[1024] = '\n';
	assert_int_equal(read_pass(text, 1026), 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_key_is_in_the_archive),
		cmocka_unit_test(damaged_key_files_are_refused),
		cmocka_unit_test(failed_key_file_leaves_nothing),
		cmocka_unit_test(passphrases_have_a_length),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, arc_set_up, arc_tear_down);
}
