// SPDX-License-Identifier: GPL-2.0-or-later
/* New keysets while others have the archive open. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "archive.h"
#include "archive_env.h"
#include "config.h"
#include "keyset.h"

static const uint8_t binding[CHAOSIMG_BINDING_SIZE] = { 7 };

static void make_file(struct chaosimg_archive *a, const char *name)
{
	int fd = openat(chaosimg_archive_data_fd(a), name,
			O_CREAT | O_EXCL | O_RDWR, 0600);
	struct chaosimg_file *f;

	assert_int_equal(chaosimg_file_create(a, fd, binding, &f), 0);
	assert_int_equal(chaosimg_file_write(f, name, strlen(name), 0),
			 strlen(name));
	assert_int_equal(chaosimg_file_close(f), 0);
}

static int try_file(struct chaosimg_archive *a, const char *name,
		    uint8_t keyset[CHAOSIMG_ID_SIZE])
{
	int fd = openat(chaosimg_archive_data_fd(a), name, O_RDWR);
	struct chaosimg_file_info info;
	struct chaosimg_file *f;
	char buf[32] = "";
	int ret = chaosimg_file_open(a, fd, binding, 0, &f);

	if (ret)
		return ret;
	assert_int_equal(chaosimg_file_read(f, buf, sizeof(buf), 0),
			 strlen(name));
	assert_string_equal(buf, name);
	assert_int_equal(chaosimg_file_info(f, &info), 0);
	memcpy(keyset, info.keyset_id, CHAOSIMG_ID_SIZE);
	chaosimg_file_close(f);
	return 0;
}

static void assert_under(struct chaosimg_archive *a, const char *name,
			 const uint8_t id[CHAOSIMG_ID_SIZE])
{
	uint8_t keyset[CHAOSIMG_ID_SIZE];

	assert_int_equal(try_file(a, name, keyset), 0);
	assert_memory_equal(keyset, id, CHAOSIMG_ID_SIZE);
}

static void rekey(const char *path, uint8_t id[CHAOSIMG_ID_SIZE])
{
	struct chaosimg_archive *a =
		arc_must_open(path, CHAOSIMG_ARCHIVE_NOLOCK);

	assert_int_equal(chaosimg_archive_rekey(a, id), 0);
	chaosimg_archive_close(a);
}

static void a_mount_notices_a_new_keyset(void **state)
{
	char *path = arc_make("noticed");
	struct chaosimg_archive *writer = arc_must_open(path, 0);
	struct chaosimg_archive *reader =
		arc_must_open(path, CHAOSIMG_ARCHIVE_RDONLY);
	uint8_t first[CHAOSIMG_ID_SIZE], second[CHAOSIMG_ID_SIZE];
	struct chaosimg_archive_info info;

	(void)state;
	chaosimg_archive_keyset(writer, first);
	make_file(writer, "one");
	rekey(path, second);
	make_file(writer, "two");
	assert_under(writer, "two", first);
	assert_int_equal(chaosimg_archive_refresh(writer), 0);
	make_file(writer, "three");
	assert_under(writer, "one", first);
	assert_under(writer, "three", second);
	/* The other has never heard of it, and goes on as it was. */
	assert_under(reader, "three", second);
	assert_under(reader, "one", first);
	chaosimg_archive_keyset(reader, second);
	assert_memory_equal(second, first, sizeof(first));
	assert_int_equal(chaosimg_archive_info(path, &info), 0);
	assert_int_equal(info.keysets, 2);
	chaosimg_archive_close(reader);
	chaosimg_archive_close(writer);
	writer = arc_must_open(path, 0);
	assert_under(writer, "one", first);
	make_file(writer, "four");
	chaosimg_archive_keyset(writer, second);
	assert_under(writer, "four", second);
	assert_memory_not_equal(second, first, sizeof(first));
	chaosimg_archive_close(writer);
}

/* Also to one in between that this mount never used. */
static void an_older_configuration_does_not_lead_back(void **state)
{
	char *path = arc_make("rollback");
	struct chaosimg_archive *a = arc_must_open(path, 0);
	uint8_t ids[3][CHAOSIMG_ID_SIZE], now[CHAOSIMG_ID_SIZE];
	char *old[2];
	size_t len[2], i;

	(void)state;
	old[0] = arc_slurp(arc_config_file(path), &len[0]);
	rekey(path, ids[1]);
	old[1] = arc_slurp(arc_config_file(path), &len[1]);
	rekey(path, ids[2]);
	assert_int_equal(chaosimg_archive_refresh(a), 0);
	for (i = 0; i < 2; i++) {
		unlink(arc_config_file(path));
		arc_spit(arc_config_file(path), old[i], len[i]);
		free(old[i]);
		assert_int_equal(chaosimg_archive_refresh(a), 0);
		chaosimg_archive_keyset(a, now);
		assert_memory_equal(now, ids[2], sizeof(now));
	}
	/* On from there a further one counts. */
	rekey(path, ids[0]);
	assert_int_equal(chaosimg_archive_refresh(a), 0);
	chaosimg_archive_keyset(a, now);
	assert_memory_equal(now, ids[0], sizeof(now));
	chaosimg_archive_close(a);
}

static void a_bad_configuration_changes_nothing(void **state)
{
	char *path = arc_make("bad-config");
	struct chaosimg_archive *a = arc_must_open(path, 0);
	uint8_t first[CHAOSIMG_ID_SIZE], now[CHAOSIMG_ID_SIZE];
	char *other = arc_make("bad-config-other"), *text;
	size_t len;

	(void)state;
	chaosimg_archive_keyset(a, first);
	text = arc_slurp(arc_config_file(other), &len);
	unlink(arc_config_file(path));
	assert_int_equal(chaosimg_archive_refresh(a), -ENOENT);
	arc_spit(arc_config_file(path), text, len);
	assert_int_equal(chaosimg_archive_refresh(a), -EBADMSG);
	/* Its id alone does not make it ours. */
	free(text);
	assert_int_equal(chaosimg_archive_refresh(a), -EBADMSG);
	chaosimg_archive_keyset(a, now);
	assert_memory_equal(now, first, sizeof(now));
	make_file(a, "still");
	assert_under(a, "still", first);
	chaosimg_archive_close(a);
}

static void keysets_on_demand_are_authenticated(void **state)
{
	char *path = arc_make("demand");
	struct chaosimg_archive *a = arc_must_open(path, 0);
	struct chaosimg_archive *b =
		arc_must_open(path, CHAOSIMG_ARCHIVE_RDONLY);
	char file[600], name[2 * CHAOSIMG_ID_SIZE + sizeof(".json")], *text;
	uint8_t id[CHAOSIMG_ID_SIZE], keyset[CHAOSIMG_ID_SIZE];
	size_t len;

	(void)state;
	assert_int_equal(chaosimg_archive_rekey(a, id), 0);
	make_file(a, "file");
	keyset_name(id, name);
	snprintf(file, sizeof(file), "%s/keysets/%s", path, name);
	text = arc_slurp(file, &len);
	unlink(file);
	assert_int_equal(try_file(b, "file", keyset), -ENOKEY);
	assert_non_null(strstr(chaosimg_errmsg(), "missing keyset"));
	arc_spit(file, text, len);
	arc_forge(file, "\"created\": 1", "\"created\": 2");
	assert_int_equal(try_file(b, "file", keyset), -ENOKEY);
	assert_non_null(strstr(chaosimg_errmsg(), "not of this archive"));
	arc_spit(file, text, len);
	assert_under(b, "file", id);
	free(text);
	chaosimg_archive_close(b);
	chaosimg_archive_close(a);
}

static int rekey_in_want(const char *path)
{
	struct chaosimg_archive *a;
	int ret = chaosimg_archive_open(path, arc_key, CHAOSIMG_ARCHIVE_NOLOCK,
					&a);

	return ret ? ret : chaosimg_archive_rekey(a, NULL);
}

static void a_failed_rekey_leaves_nothing(void **state)
{
	char *path = arc_make("want");
	struct chaosimg_archive *a = arc_must_open(path, 0);
	uint64_t config;
	int i;

	(void)state;
	for (i = 0; i < 4; i++)
		assert_int_equal(chaosimg_slot_add(a, arc_other_key, NULL), 0);
	chaosimg_archive_close(a);
	config = arc_digest_of(arc_config_file(path));
	/* No room for the keyset; then for it, but not for what names it. */
	assert_int_equal(arc_in_want(rekey_in_want, path, 100), -EFBIG);
	assert_int_equal(arc_in_want(rekey_in_want, path, 900), -EFBIG);
	assert_true(arc_digest_of(arc_config_file(path)) == config);
	assert_non_null(arc_keyset_file(path));
	assert_int_equal(arc_entries(path), 4);
	assert_int_equal(arc_try_open(path, arc_key, 0), 0);
}

static void keysets_of_several_processes_all_arrive(void **state)
{
	char *path = arc_make("several");
	struct chaosimg_archive_info info;
	int i, status;

	(void)state;
	for (i = 0; i < 4; i++)
		if (!fork())
			_exit(rekey_in_want(path) || rekey_in_want(path));
	for (i = 0; i < 4; i++) {
		assert_true(wait(&status) > 0);
		assert_int_equal(status, 0);
	}
	assert_int_equal(chaosimg_archive_info(path, &info), 0);
	assert_int_equal(info.keysets, 9);
	assert_int_equal(arc_try_open(path, arc_key, 0), 0);
}

static void keysets_are_limited(void **state)
{
	char *path = arc_make("limit");
	struct chaosimg_archive *a = arc_must_open(path, 0);
	struct config *cfg;
	uint32_t i;

	(void)state;
	assert_int_equal(config_load(a->fd, path, &cfg), 0);
	for (i = 1; i < CONFIG_KEYSETS_MAX; i++)
		memcpy(cfg->keyset[i], cfg->keyset[0], CHAOSIMG_ID_SIZE);
	cfg->keysets = i;
	assert_int_equal(config_store(a->fd, path, cfg, a->ring), 0);
	assert_int_equal(chaosimg_archive_rekey(a, NULL), -ENOSPC);
	assert_non_null(arc_keyset_file(path));
	free(cfg);
	chaosimg_archive_close(a);
}

static void readonly_archives_keep_their_keysets(void **state)
{
	char *path = arc_make("rekey-readonly");
	struct chaosimg_archive *a =
		arc_must_open(path, CHAOSIMG_ARCHIVE_RDONLY);
	uint64_t before = arc_digest_of(path);

	(void)state;
	assert_int_equal(chaosimg_archive_rekey(a, NULL), -EROFS);
	assert_true(arc_digest_of(path) == before);
	chaosimg_archive_close(a);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_mount_notices_a_new_keyset),
		cmocka_unit_test(an_older_configuration_does_not_lead_back),
		cmocka_unit_test(a_bad_configuration_changes_nothing),
		cmocka_unit_test(keysets_on_demand_are_authenticated),
		cmocka_unit_test(a_failed_rekey_leaves_nothing),
		cmocka_unit_test(keysets_of_several_processes_all_arrive),
		cmocka_unit_test(keysets_are_limited),
		cmocka_unit_test(readonly_archives_keep_their_keysets),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, arc_set_up, arc_tear_down);
}
