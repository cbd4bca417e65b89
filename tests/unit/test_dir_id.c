// SPDX-License-Identifier: GPL-2.0-or-later
/* Directory ids: bound to a place, or two, and to nothing else. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "names_env.h"

static struct chaosimg_archive *archive, *other;
static uint8_t dir_a[CHAOSIMG_ID_SIZE], dir_b[CHAOSIMG_ID_SIZE];
static int top_fd;

static int set_up(void **state)
{
	(void)state;
	memset(dir_a, 0x33, sizeof(dir_a));
	memset(dir_b, 0x44, sizeof(dir_b));
	return names_env_open(&archive, &other, &top_fd);
}

static int tear_down(void **state)
{
	(void)state;
	return names_env_close(archive, other, top_fd);
}

static int make_dir(const char *name)
{
	int fd;

	assert_int_equal(mkdirat(top_fd, name, 0700), 0);
	fd = openat(top_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

/* Fails if the directory holds anything but its id. */
static void drop_dir(const char *name, int fd)
{
	unlinkat(fd, CHAOSIMG_DIR_ENTRY, 0);
	close(fd);
	assert_int_equal(unlinkat(top_fd, name, AT_REMOVEDIR), 0);
}

static struct chaosimg_place place_of(const uint8_t *parent, const char *name)
{
	struct chaosimg_stored_name n;
	struct chaosimg_place place;

	assert_int_equal(chaosimg_name_encrypt(archive, parent, name, &n), 0);
	memcpy(place.parent, parent, sizeof(place.parent));
	memcpy(place.binding, n.binding, sizeof(place.binding));
	return place;
}

static void a_directory_loads_at_its_place_only(void **state)
{
	struct chaosimg_place here = place_of(dir_a, "study");
	struct chaosimg_place renamed = place_of(dir_a, "other study");
	struct chaosimg_place moved = place_of(dir_b, "study");
	uint8_t id[CHAOSIMG_ID_SIZE], back[CHAOSIMG_ID_SIZE];
	int fd = make_dir("d");

	(void)state;
	assert_int_equal(chaosimg_dir_load(archive, fd, &here, back), -EIO);
	assert_int_equal(chaosimg_dir_init(archive, fd, &here, id), 0);
	assert_int_equal(chaosimg_dir_load(archive, fd, &here, back), 0);
	assert_memory_equal(id, back, sizeof(id));
	assert_int_equal(chaosimg_dir_load(archive, fd, &renamed, back), -EIO);
	assert_int_equal(chaosimg_dir_load(archive, fd, &moved, back), -EIO);
	assert_int_equal(chaosimg_dir_load(archive, fd, NULL, back), -EIO);
	assert_int_equal(chaosimg_dir_load(other, fd, &here, back), -EIO);
	/* Never a second id: it would orphan every name in the directory. */
	assert_int_equal(chaosimg_dir_init(archive, fd, &here, back), -EEXIST);
	drop_dir("d", fd);
}

static void the_root_belongs_to_the_archive(void **state)
{
	struct chaosimg_place here = place_of(dir_a, "study");
	uint8_t id[CHAOSIMG_ID_SIZE], back[CHAOSIMG_ID_SIZE];
	int fd = make_dir("d");

	(void)state;
	assert_int_equal(chaosimg_dir_init(archive, fd, NULL, id), 0);
	assert_int_equal(chaosimg_dir_load(archive, fd, NULL, back), 0);
	assert_memory_equal(id, back, sizeof(id));
	assert_int_equal(chaosimg_dir_load(archive, fd, &here, back), -EIO);
	assert_int_equal(chaosimg_dir_load(other, fd, NULL, back), -EIO);
	drop_dir("d", fd);
}

static void exchanged_directory_ids_are_noticed(void **state)
{
	struct chaosimg_place x = place_of(dir_a, "x");
	struct chaosimg_place y = place_of(dir_a, "y");
	uint8_t id_x[CHAOSIMG_ID_SIZE], id_y[CHAOSIMG_ID_SIZE];
	int fd_x = make_dir("x"), fd_y = make_dir("y");

	(void)state;
	assert_int_equal(chaosimg_dir_init(archive, fd_x, &x, id_x), 0);
	assert_int_equal(chaosimg_dir_init(archive, fd_y, &y, id_y), 0);
	assert_memory_not_equal(id_x, id_y, sizeof(id_x));
	assert_int_equal(renameat2(fd_x, CHAOSIMG_DIR_ENTRY, fd_y,
				   CHAOSIMG_DIR_ENTRY, RENAME_EXCHANGE), 0);
	assert_int_equal(chaosimg_dir_load(archive, fd_x, &x, id_x), -EIO);
	assert_int_equal(chaosimg_dir_load(archive, fd_y, &y, id_y), -EIO);
	drop_dir("x", fd_x);
	drop_dir("y", fd_y);
}

static void check_damaged_dir(int fd, const struct chaosimg_place *place,
			      const char *target)
{
	uint8_t id[CHAOSIMG_ID_SIZE];

	unlinkat(fd, CHAOSIMG_DIR_ENTRY, 0);
	assert_int_equal(symlinkat(target, fd, CHAOSIMG_DIR_ENTRY), 0);
	assert_int_equal(chaosimg_dir_load(archive, fd, place, id), -EIO);
}

static void a_damaged_directory_id_is_refused(void **state)
{
	struct chaosimg_place here = place_of(dir_a, "study");
	char good[128] = "", bad[128];
	uint8_t id[CHAOSIMG_ID_SIZE];
	int bit, fd = make_dir("d");
	size_t i, len;

	(void)state;
	assert_int_equal(chaosimg_dir_init(archive, fd, &here, id), 0);
	len = (size_t)readlinkat(fd, CHAOSIMG_DIR_ENTRY, good, 100);
	assert_in_range(len, 1, 59);
	for (i = 0; i < len; i++) {
		for (bit = 0; bit < 8; bit++) {
			strcpy(bad, good);
			bad[i] ^= (char)(1 << bit);
			if (!bad[0])
				continue;	/* no such link */
			check_damaged_dir(fd, &here, bad);
		}
		if (i) {
			snprintf(bad, sizeof(bad), "%.*s", (int)i, good);
			check_damaged_dir(fd, &here, bad);
		}
		/* 54 characters would be a second place, which does no harm. */
		if (i + 1 == 54 - len)
			continue;
		snprintf(bad, sizeof(bad), "%s%.*s", good, (int)i + 1, good);
		check_damaged_dir(fd, &here, bad);
	}
	drop_dir("d", fd);
}

static void a_directory_is_bound_to_two_places_then_one(void **state)
{
	struct chaosimg_place x = place_of(dir_a, "x");
	struct chaosimg_place y = place_of(dir_b, "y");
	uint8_t id[CHAOSIMG_ID_SIZE], back[CHAOSIMG_ID_SIZE];
	int fd = make_dir("d"), path_fd;
	char target[128];
	ssize_t len;

	(void)state;
	assert_int_equal(chaosimg_dir_init(archive, fd, &x, id), 0);
	assert_int_equal(chaosimg_dir_bind(archive, fd, id, &x, &y), 0);
	assert_int_equal(chaosimg_dir_load(archive, fd, &x, back), 0);
	assert_int_equal(chaosimg_dir_load(archive, fd, &y, back), 0);
	assert_memory_equal(id, back, sizeof(id));
	assert_int_equal(chaosimg_dir_load(archive, fd, NULL, back), -EIO);
	len = readlinkat(fd, CHAOSIMG_DIR_ENTRY, target, sizeof(target));
	assert_in_range(len, 1, 59);
	assert_int_equal(chaosimg_dir_bind(archive, fd, id, &y, NULL), 0);
	assert_int_equal(chaosimg_dir_load(archive, fd, &x, back), -EIO);
	assert_int_equal(chaosimg_dir_load(archive, fd, &y, back), 0);
	assert_memory_equal(id, back, sizeof(id));
	/* A file system may hold directories by O_PATH descriptors. */
	path_fd = openat(top_fd, "d", O_PATH | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(chaosimg_dir_bind(archive, path_fd, id, &y, &x), 0);
	assert_int_equal(chaosimg_dir_load(archive, path_fd, &x, back), 0);
	close(path_fd);
	drop_dir("d", fd);	/* and no temporary entry is left */
}

/* --- the documented format ------------------------------------------------ */

/* Made by a second implementation, in Python, from the documentation alone. */
static void directory_ids_are_as_documented(void **state)
{
	struct chaosimg_place here = place_of(dir_a, "DOE^JANE");
	uint8_t id[CHAOSIMG_ID_SIZE];
	int i, fd = make_dir("d");

	(void)state;
	assert_int_equal(symlinkat("AAECAwQFBgcICQoLDA0OD9slW1zsCwd6N9hXsg", fd,
				   CHAOSIMG_DIR_ENTRY), 0);
	assert_int_equal(chaosimg_dir_load(archive, fd, NULL, id), 0);
	for (i = 0; i < CHAOSIMG_ID_SIZE; i++)
		assert_int_equal(id[i], i);
	unlinkat(fd, CHAOSIMG_DIR_ENTRY, 0);
	assert_int_equal(symlinkat("AAECAwQFBgcICQoLDA0OD7J453273vFQ0sRJSQ", fd,
				   CHAOSIMG_DIR_ENTRY), 0);
	assert_int_equal(chaosimg_dir_load(archive, fd, &here, id), 0);
	drop_dir("d", fd);
}

/* What a power cut can leave of a new directory gets an id again. */
static void a_directory_left_without_an_id_gets_one(void **state)
{
	struct chaosimg_place place = place_of(dir_a, "new");
	uint8_t id[CHAOSIMG_ID_SIZE], again[CHAOSIMG_ID_SIZE];
	struct timespec since = archive->since;
	int fd = make_dir("left"), file;

	(void)state;
	archive->since.tv_sec += 60;
	/* Only by who may write, */
	assert_int_equal(chaosimg_dir_load(archive, fd, &place, id), -EIO);
	archive->lock_fd = dup(fd);
	/* not for the root, */
	assert_int_equal(chaosimg_dir_load(archive, fd, NULL, id), -EIO);
	/* if there is nothing in it, */
	file = openat(fd, "file", O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	assert_true(file >= 0);
	close(file);
	assert_int_equal(chaosimg_dir_load(archive, fd, &place, id), -EIO);
	assert_int_equal(unlinkat(fd, "file", 0), 0);
	/* and if nobody is just removing it. */
	archive->since = since;
	assert_int_equal(chaosimg_dir_load(archive, fd, &place, id), -EIO);
	archive->since.tv_sec += 60;
	assert_int_equal(chaosimg_dir_load(archive, fd, &place, id), 0);
	assert_int_equal(chaosimg_dir_load(archive, fd, &place, again), 0);
	assert_memory_equal(id, again, sizeof(id));
	place = place_of(dir_b, "new");
	assert_int_equal(chaosimg_dir_load(archive, fd, &place, id), -EIO);
	close(archive->lock_fd);
	archive->lock_fd = -1;
	archive->since = since;
	drop_dir("left", fd);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_directory_loads_at_its_place_only),
		cmocka_unit_test(the_root_belongs_to_the_archive),
		cmocka_unit_test(exchanged_directory_ids_are_noticed),
		cmocka_unit_test(a_damaged_directory_id_is_refused),
		cmocka_unit_test(a_directory_is_bound_to_two_places_then_one),
		cmocka_unit_test(directory_ids_are_as_documented),
		cmocka_unit_test(a_directory_left_without_an_id_gets_one),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
