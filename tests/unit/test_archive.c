// SPDX-License-Identifier: GPL-2.0-or-later
/* Archives on the disk: made, opened, refused and locked. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "archive_env.h"
#include "chaosimg_names.h"
#include "hex.h"
#include "keyring.h"

/* --- archives ------------------------------------------------------------- */

static void archive_opens_with_its_key(void **state)
{
	struct chaosimg_archive_params params = { .chunk_size = 16384 };
	char *path = arc_in_top("opens"), *data = arc_in_top("opens/data");
	struct chaosimg_archive_info info;
	struct chaosimg_archive *a;
	uint8_t id[CHAOSIMG_ID_SIZE];
	struct stat st;

	(void)state;
	assert_int_equal(chaosimg_archive_create(path, arc_key, &params), 0);
	assert_int_equal(arc_entries(path), 4);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	a = arc_must_open(path, 0);
	assert_int_equal(chaosimg_archive_chunk_size(a), 16384);
	assert_false(chaosimg_archive_readonly(a));
	assert_int_equal(chaosimg_dir_load(a, chaosimg_archive_data_fd(a), NULL,
					   id), 0);
	assert_non_null(keyring_newest(a->ring));
	assert_int_equal(chaosimg_archive_set_cipher(a, "rot13"), -ENOENT);
	assert_int_equal(chaosimg_archive_set_cipher(a, "generic"), 0);
	assert_int_equal(chaosimg_archive_info(path, &info), 0);
	assert_int_equal(info.version, 1);
	assert_int_equal(info.chunk_size, 16384);
	assert_int_equal(info.keysets, 1);
	assert_int_equal(info.slots, 1);
	assert_int_equal(info.slot[0].type, CHAOSIMG_SLOT_KEYFILE);
	assert_memory_equal(info.id, a->id, CHAOSIMG_ID_SIZE);
	chaosimg_archive_close(a);
	assert_int_equal(arc_entries(data), 1);
}

static void wrong_key_is_refused(void **state)
{
	char *path = arc_make("wrong-key");
	struct chaosimg_credential *pass;
	uint64_t before = arc_digest_of(path);

	(void)state;
	assert_int_equal(arc_try_open(path, arc_other_key, 0), -EKEYREJECTED);
	assert_non_null(strstr(chaosimg_errmsg(), "wrong key"));
	assert_int_equal(chaosimg_credential_passphrase("x", 1, &pass), 0);
	assert_int_equal(arc_try_open(path, pass, 0), -EKEYREJECTED);
	assert_non_null(strstr(chaosimg_errmsg(), "wrong key"));
	chaosimg_credential_free(pass);
	assert_true(arc_digest_of(path) == before);
}

static void passphrase_opens_and_a_wrong_one_does_not(void **state)
{
	struct chaosimg_credential *right, *wrong;
	struct chaosimg_archive_info info;
	char *path = arc_in_top("passphrase");

	(void)state;
	arc_spit(arc_in_top("pass"), "correct horse\nbattery", 21);
	assert_int_equal(chaosimg_credential_passfile(arc_in_top("pass"),
						      &right), 0);
	assert_int_equal(chaosimg_credential_passphrase("correct horsf", 13,
							&wrong), 0);
	assert_int_equal(chaosimg_archive_create(path, right, NULL), 0);
	assert_int_equal(chaosimg_archive_info(path, &info), 0);
	assert_int_equal(info.slot[0].type, CHAOSIMG_SLOT_PASSPHRASE);
	assert_true(info.slot[0].argon2_memory >= 65536);
	assert_int_equal(arc_try_open(path, wrong, 0), -EKEYREJECTED);
	chaosimg_credential_free(right);
	assert_int_equal(chaosimg_credential_passphrase("correct horse", 13,
							&right), 0);
	assert_int_equal(arc_try_open(path, right, 0), 0);
	assert_int_equal(arc_try_open(path, arc_key, 0), -EKEYREJECTED);
	chaosimg_credential_free(right);
	chaosimg_credential_free(wrong);
}

static void other_directories_are_no_archives(void **state)
{
	char *path = arc_in_top("foreign");
	struct chaosimg_archive_info info;

	(void)state;
	assert_int_equal(arc_try_open(path, arc_key, 0), -ENOENT);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(arc_try_open(path, arc_key, 0), -EBADMSG);
	assert_non_null(strstr(chaosimg_errmsg(), "not a chaosimg archive"));
	assert_int_equal(chaosimg_archive_info(path, &info), -EBADMSG);
	assert_int_equal(arc_entries(path), 0);
	/* Nor is one whose configuration is something else altogether. */
	assert_int_equal(mkfifo(arc_config_file(path), 0600), 0);
	assert_int_equal(arc_try_open(path, arc_key, 0), -EBADMSG);
	assert_int_equal(unlink(arc_config_file(path)), 0);
	assert_int_equal(symlink("/dev/zero", arc_config_file(path)), 0);
	assert_int_equal(arc_try_open(path, arc_key, 0), -EBADMSG);
	assert_int_equal(unlink(arc_config_file(path)), 0);
	arc_spit(arc_config_file(path), "", 0);
	assert_int_equal(truncate(arc_config_file(path), 1 << 30), 0);
	assert_int_equal(arc_try_open(path, arc_key, 0), -EBADMSG);
	assert_int_equal(arc_try_open(arc_in_top("key"), arc_key, 0), -ENOTDIR);
}

static void only_empty_directories_become_archives(void **state)
{
	struct chaosimg_archive_params odd = { .chunk_size = 5000 };
	char *path = arc_in_top("create");
	uint64_t before;

	(void)state;
	assert_int_equal(chaosimg_archive_create(path, arc_key, &odd), -EINVAL);
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(chaosimg_archive_create(arc_in_top("no/where"),
						 arc_key, NULL), -ENOENT);
	assert_int_equal(mkdir(path, 0755), 0);
	arc_spit(arc_in_top("create/.hidden"), "x", 1);
	before = arc_digest_of(path);
	assert_int_equal(chaosimg_archive_create(path, arc_key, NULL),
			 -ENOTEMPTY);
	assert_true(arc_digest_of(path) == before);
	assert_int_equal(unlink(arc_in_top("create/.hidden")), 0);
	assert_int_equal(chaosimg_archive_create(path, arc_key, NULL), 0);
	before = arc_digest_of(path);
	assert_int_equal(chaosimg_archive_create(path, arc_key, NULL),
			 -ENOTEMPTY);
	assert_true(arc_digest_of(path) == before);
	assert_int_equal(arc_try_open(path, arc_key, 0), 0);
}

/* --- locks ---------------------------------------------------------------- */

static void one_writer_at_a_time(void **state)
{
	char *path = arc_make("lock");
	struct chaosimg_archive *a = arc_must_open(path, 0);
	int status;
	pid_t pid;

	(void)state;
	assert_int_equal(arc_try_open(path, arc_key, 0), -EBUSY);
	assert_non_null(strstr(chaosimg_errmsg(),
			       "already mounted for writing"));
	assert_int_equal(arc_try_open(path, arc_key, CHAOSIMG_ARCHIVE_RDONLY),
			 0);
	assert_int_equal(arc_try_open(path, arc_key, CHAOSIMG_ARCHIVE_NOLOCK),
			 0);
	/* Those two, closed again, have not dropped the writer's lock. */
	assert_int_equal(arc_try_open(path, arc_key, 0), -EBUSY);
	pid = fork();
	if (!pid)
		_exit(arc_try_open(path, arc_key, 0) == -EBUSY ? 0 : 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	chaosimg_archive_close(a);
	assert_int_equal(arc_try_open(path, arc_key, 0), 0);
}

static void opened_first_and_locked_later(void **state)
{
	char *path = arc_make("later");
	struct chaosimg_archive *a = arc_must_open(path, 0);
	struct chaosimg_archive *b =
		arc_must_open(path, CHAOSIMG_ARCHIVE_NOLOCK);
	struct chaosimg_archive *reader =
		arc_must_open(path, CHAOSIMG_ARCHIVE_RDONLY);

	(void)state;
	assert_int_equal(chaosimg_archive_lock(b), -EBUSY);
	assert_non_null(strstr(chaosimg_errmsg(),
			       "/later: already mounted for writing"));
	assert_int_equal(chaosimg_archive_lock(reader), 0);
	chaosimg_archive_close(a);
	assert_int_equal(chaosimg_archive_lock(reader), 0);
	assert_int_equal(arc_try_open(path, arc_key, 0), 0);
	assert_int_equal(chaosimg_archive_lock(b), 0);
	assert_int_equal(chaosimg_archive_lock(b), 0);
	assert_int_equal(arc_try_open(path, arc_key, 0), -EBUSY);
	chaosimg_archive_close(b);
	assert_int_equal(arc_try_open(path, arc_key, 0), 0);
	chaosimg_archive_close(reader);
}

static void lock_follows_the_daemon(void **state)
{
	char *path = arc_make("daemon");
	struct chaosimg_archive *a = arc_must_open(path, 0);
	int go[2], status;
	char c = 0;
	pid_t pid;

	(void)state;
	assert_int_equal(pipe(go), 0);
	pid = fork();
	if (!pid) {
		close(go[1]);
		_exit(read(go[0], &c, 1) == 0 ? 0 : 1);
	}
	chaosimg_archive_close(a);
	assert_int_equal(arc_try_open(path, arc_key, 0), -EBUSY);
	close(go[1]);
	close(go[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(arc_try_open(path, arc_key, 0), 0);
}

static void missing_lock_file_is_made_again(void **state)
{
	char *path = arc_make("no-lock"), *lock = arc_in_top("no-lock/lock");
	struct chaosimg_archive *a;

	(void)state;
	assert_int_equal(unlink(lock), 0);
	assert_int_equal(arc_try_open(path, arc_other_key, 0), -EKEYREJECTED);
	assert_int_equal(arc_try_open(path, arc_key, CHAOSIMG_ARCHIVE_RDONLY),
			 0);
	assert_int_equal(access(lock, F_OK), -1);
	a = arc_must_open(path, 0);
	assert_int_equal(access(lock, F_OK), 0);
	assert_int_equal(arc_try_open(path, arc_key, 0), -EBUSY);
	chaosimg_archive_close(a);
}

/* --- format version 1, as it must stay ------------------------------------ */

/*
 * Made once, and opened by a model in Python that knows the documentation
 * only: it gave the archive key and the keys below.
 */
static const char v1_key[] =
	"chaosimg-key-v1 9598c93223d1b8891704396866cb0ef111fb953c"
	"2e416384963292ddb35d1103 5411cd3330466d37\n";

static const char v1_config[] =
	"{\n"
	"  \"format\": \"chaosimg-archive\",\n"
	"  \"version\": 1,\n"
	"  \"archive_id\": \"fb0ad408e8d2a090eb1f04328671b752\",\n"
	"  \"created\": 1795180708,\n"
	"  \"chunk_size\": 65536,\n"
	"  \"next_slot\": 2,\n"
	"  \"slots\": [\n"
	"    {\"id\": 0, \"type\": \"keyfile\", \"created\": 1795180708, "
	"\"wrapped\": \"e13baedecd6de41970f10d119a085d6807137deb3d2a"
	"2fa953a7ffe8f3f032e7af4214b67a9b65a6e9c97be014b0c4fee14c"
	"d3f66b8c3ce5eadbea99\"},\n"
	"    {\"id\": 1, \"type\": \"passphrase\", \"created\": 179518070"
	"8, \"kdf\": \"argon2id\", \"time\": 3, \"memory\": 65536, \"lanes"
	"\": 4, \"salt\": \"6d3432b88a3aeba54d8053923c9261ad4803f2e2c"
	"1d2657f23ef2cac401be47b\", \"wrapped\": \"220d44b15dbbfebbbe"
	"a545d5011764205ecb12bca8a05148a7b5ce308e376526daf3f420c5"
	"1287de85371c67336ac10a1879c8dfa8dfd53d991c96e9\"}\n"
	"  ],\n"
	"  \"keysets\": [\n"
	"    \"af19e3770a1dae5c97a28dcac56462c9\"\n"
	"  ],\n"
	"  \"mac\": \"343c76246a2b658451724c54a8827a67b8aaf025fd4d72"
	"242bd7cbdd1b6dd9f5\",\n"
	"  \"checksum\": \"fa322ab9a83b60e5\"\n"
	"}\n";

static const char v1_keyset[] =
	"{\n"
	"  \"format\": \"chaosimg-keyset\",\n"
	"  \"version\": 1,\n"
	"  \"id\": \"af19e3770a1dae5c97a28dcac56462c9\",\n"
	"  \"archive_id\": \"fb0ad408e8d2a090eb1f04328671b752\",\n"
	"  \"created\": 1795180708,\n"
	"  \"wraps\": [\n"
	"    {\"under\": \"archive-key\", \"wrapped\": \"975624c197fe7fc"
	"98550ec69461a7b515a62f1620ed83e3576e32c73118fa554d77b0bf"
	"d5fc405f980fe7d0bc5f95105f9f60f1a776bd6a84dfac8b938504b1"
	"eb010282b0e5fd97259b11e09ecf0a3a7978c3ddf81179b23958f48c"
	"2c5d00d989e23b4146dc1857611fbd5fe2940119d7caee4b2c086b08"
	"41671f562f03acbaee62d03686a90ed898e5868b28acee004743b1b9"
	"8d80a27d852e9be92\"}\n"
	"  ],\n"
	"  \"checksum\": \"454d1d994253c7b5\"\n"
	"}\n";

#define V1_KEYSET_NAME	"af19e3770a1dae5c97a28dcac56462c9.json"
#define V1_ARCHIVE_KEY	"627fbfe1f1f73c30f5bc0c2016b7b2d1" \
			"7fcdbcbd46e95b6c32695173ad0ec5ef"

static const char *const v1_keys[KEY_COUNT] = {
	"f7586ded5d8df9efadd39a41774bd48cbe4f4867415d2e6320985cf952ab9596",
	"93d1a36e531918c047b9cb944a3bbc068899393c29c9691e67bdb42454fccc7c",
	"00094af7ed2ba9e2d1fb26048e8ad125e35ee1abd0075ff28c7c4305343a02c4",
	"e812e9ba345f8ea4198fa582f7932af8d92f7200fb79555428eef49d4be98beb",
};

static void version_1_archives_open(void **state)
{
	struct chaosimg_credential *cred, *pass;
	char *path = arc_in_top("v1");
	struct chaosimg_archive *a;
	char hex[2 * CHAOSIMG_KEY_SIZE + 1];
	int i;

	(void)state;
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(mkdir(arc_in_top("v1/data"), 0700), 0);
	assert_int_equal(mkdir(arc_in_top("v1/keysets"), 0700), 0);
	arc_spit(arc_config_file(path), v1_config, strlen(v1_config));
	arc_spit(arc_in_top("v1/keysets/" V1_KEYSET_NAME), v1_keyset,
		 strlen(v1_keyset));
	arc_spit(arc_in_top("v1-key"), v1_key, strlen(v1_key));
	assert_int_equal(chaosimg_credential_keyfile(arc_in_top("v1-key"),
						     &cred), 0);
	assert_int_equal(chaosimg_archive_open(path, cred, 0, &a), 0);
	hex_encode(keyring_archive_key(a->ring), CHAOSIMG_KEY_SIZE, hex);
	assert_string_equal(hex, V1_ARCHIVE_KEY);
	for (i = 0; i < KEY_COUNT; i++) {
		hex_encode(keyring_newest(a->ring)->key[i], CHAOSIMG_KEY_SIZE,
			   hex);
		assert_string_equal(hex, v1_keys[i]);
	}
	chaosimg_archive_close(a);
	assert_int_equal(chaosimg_credential_passphrase("hello", 5, &pass), 0);
	assert_int_equal(arc_try_open(path, pass, 0), 0);
	chaosimg_credential_free(pass);
	chaosimg_credential_free(cred);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(archive_opens_with_its_key),
		cmocka_unit_test(wrong_key_is_refused),
		cmocka_unit_test(passphrase_opens_and_a_wrong_one_does_not),
		cmocka_unit_test(other_directories_are_no_archives),
		cmocka_unit_test(only_empty_directories_become_archives),
		cmocka_unit_test(one_writer_at_a_time),
		cmocka_unit_test(opened_first_and_locked_later),
		cmocka_unit_test(lock_follows_the_daemon),
		cmocka_unit_test(missing_lock_file_is_made_again),
		cmocka_unit_test(version_1_archives_open),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, arc_set_up, arc_tear_down);
}
