// SPDX-License-Identifier: GPL-2.0-or-later
/* Key slots: added and removed, by several at once, under a mount. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "archive_env.h"

static void slots_come_and_go_under_a_mount(void **state)
{
	char *path = arc_make("slots");
	struct chaosimg_archive *mount = arc_must_open(path, 0);
	struct chaosimg_archive *a =
		arc_must_open(path, CHAOSIMG_ARCHIVE_NOLOCK);
	struct chaosimg_archive_info info;
	uint32_t id = 99;

	(void)state;
	assert_int_equal(chaosimg_slot_remove(a, 0), -EPERM);
	assert_non_null(strstr(chaosimg_errmsg(),
			       "the last key slot cannot be removed"));
	assert_int_equal(chaosimg_slot_add(a, arc_other_key, &id), 0);
	assert_int_equal(id, 1);
	assert_int_equal(chaosimg_slot_remove(a, 7), -ENOENT);
	assert_int_equal(chaosimg_slot_remove(a, 0), 0);
	chaosimg_archive_close(mount);
	assert_int_equal(arc_try_open(path, arc_key, 0), -EKEYREJECTED);
	assert_int_equal(arc_try_open(path, arc_other_key, 0), 0);
	/* A number is not used twice, even that of the last slot. */
	assert_int_equal(chaosimg_slot_add(a, arc_key, &id), 0);
	assert_int_equal(id, 2);
	assert_int_equal(chaosimg_slot_remove(a, 2), 0);
	assert_int_equal(chaosimg_slot_add(a, arc_key, &id), 0);
	assert_int_equal(id, 3);
	assert_int_equal(chaosimg_archive_info(path, &info), 0);
	assert_int_equal(info.slots, 2);
	assert_int_equal(info.slot[0].id, 1);
	assert_int_equal(info.slot[1].id, 3);
	assert_int_equal(arc_entries(path), 4);
	chaosimg_archive_close(a);
}

static void slots_are_limited(void **state)
{
	char *path = arc_make("full");
	struct chaosimg_archive *a = arc_must_open(path, 0);
	int i;

	(void)state;
	for (i = 1; i < CHAOSIMG_SLOTS_MAX; i++)
		assert_int_equal(chaosimg_slot_add(a, arc_other_key, NULL), 0);
	assert_int_equal(chaosimg_slot_add(a, arc_key, NULL), -ENOSPC);
	assert_int_equal(chaosimg_slot_remove(a, 30), 0);
	assert_int_equal(chaosimg_slot_add(a, arc_other_key, NULL), 0);
	chaosimg_archive_close(a);
	assert_int_equal(arc_try_open(path, arc_other_key, 0), 0);
}

static void readonly_archives_keep_their_slots(void **state)
{
	char *path = arc_make("readonly");
	struct chaosimg_archive *a =
		arc_must_open(path, CHAOSIMG_ARCHIVE_RDONLY);
	uint64_t before = arc_digest_of(path);

	(void)state;
	assert_true(chaosimg_archive_readonly(a));
	assert_int_equal(chaosimg_slot_add(a, arc_other_key, NULL), -EROFS);
	assert_int_equal(chaosimg_slot_remove(a, 0), -EROFS);
	assert_true(arc_digest_of(path) == before);
	chaosimg_archive_close(a);
}

static int add_some(const char *path)
{
	struct chaosimg_archive *a;
	int i, ret;

	ret = chaosimg_archive_open(path, arc_key, CHAOSIMG_ARCHIVE_NOLOCK, &a);
	for (i = 0; i < 8 && !ret; i++)
		ret = chaosimg_slot_add(a, arc_other_key, NULL);
	return ret;
}

static void slots_of_several_processes_all_arrive(void **state)
{
	char *path = arc_make("parallel");
	struct chaosimg_archive_info info;
	int i, status;

	(void)state;
	for (i = 0; i < 4; i++)
		if (!fork())
			_exit(add_some(path) ? 1 : 0);
	for (i = 0; i < 4; i++) {
		assert_true(wait(&status) > 0);
		assert_int_equal(status, 0);
	}
	assert_int_equal(chaosimg_archive_info(path, &info), 0);
	assert_int_equal(info.slots, 33);
	assert_int_equal(arc_entries(path), 4);
	assert_int_equal(arc_try_open(path, arc_key, 0), 0);
}

static void slot_changes_need_an_authentic_config(void **state)
{
	char *path = arc_make("slot-altered");
	struct chaosimg_archive *a =
		arc_must_open(path, CHAOSIMG_ARCHIVE_NOLOCK);
	uint64_t before;

	(void)state;
	arc_forge(arc_config_file(path), "\"next_slot\": 1",
		  "\"next_slot\": 9");
	before = arc_digest_of(path);
	assert_int_equal(chaosimg_slot_add(a, arc_other_key, NULL), -EBADMSG);
	assert_true(arc_digest_of(path) == before);
	chaosimg_archive_close(a);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(slots_come_and_go_under_a_mount),
		cmocka_unit_test(slots_are_limited),
		cmocka_unit_test(readonly_archives_keep_their_slots),
		cmocka_unit_test(slots_of_several_processes_all_arrive),
		cmocka_unit_test(slot_changes_need_an_authentic_config),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, arc_set_up, arc_tear_down);
}
