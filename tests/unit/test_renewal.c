// SPDX-License-Identifier: GPL-2.0-or-later
/* Files written anew under the newest keyset, and old keysets dropped. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cmocka.h>

#include "archive.h"
#include "archive_env.h"
#include "chaosimg_rekey.h"

enum { CHUNK = CHAOSIMG_CHUNK_DEFAULT, RECORD = CHUNK + 56, HEADER = 4096 };

static const uint8_t binding[CHAOSIMG_BINDING_SIZE] = { 7 };
static const uint8_t second[CHAOSIMG_BINDING_SIZE] = { 8 };

static int data_open(struct chaosimg_archive *a, const char *name, int flags)
{
	int fd = openat(chaosimg_archive_data_fd(a), name, flags, 0600);

	assert_true(fd >= 0);
	return fd;
}

/* Byte @i of a file's data. */
static char pattern(const char *name, int i)
{
	const char *slash = strrchr(name, '/');

	return (char)(i * 31 + i / 251 + (slash ? slash[1] : name[0]));
}

/* Three chunks, a hole of five, and a bit. */
static void make_file(struct chaosimg_archive *a, const char *name)
{
	int fd = data_open(a, name, O_CREAT | O_EXCL | O_RDWR);
	struct chaosimg_file *f;
	char *buf = malloc(3 * CHUNK);
	int i;

	for (i = 0; i < 3 * CHUNK; i++)
		buf[i] = pattern(name, i);
	assert_int_equal(chaosimg_file_create(a, fd, binding, &f), 0);
	assert_int_equal(chaosimg_file_write(f, buf, 3 * CHUNK, 0), 3 * CHUNK);
	assert_int_equal(chaosimg_file_write(f, buf, 100, 8 * CHUNK), 100);
	assert_int_equal(chaosimg_file_bind(f, second), 0);
	assert_int_equal(chaosimg_file_sync(f), 0);
	assert_int_equal(chaosimg_file_close(f), 0);
	free(buf);
}

static struct chaosimg_file *open_file(struct chaosimg_archive *a,
				       const char *name)
{
	struct chaosimg_file *f;

	assert_int_equal(chaosimg_file_open(a, data_open(a, name, O_RDWR),
					    binding, CHAOSIMG_FILE_WRITE, &f),
			 0);
	return f;
}

static void assert_file(struct chaosimg_archive *a, const char *name)
{
	struct chaosimg_file *f = open_file(a, name);
	char *buf = malloc(9 * CHUNK);
	int i, n = 8 * CHUNK + 100;

	assert_int_equal(chaosimg_file_read(f, buf, 9 * CHUNK, 0), n);
	for (i = 0; i < n; i++) {
		int in = i < 3 * CHUNK ? i : i - 8 * CHUNK;
		char want = in < 0 ? 0 : pattern(name, in);

		if (buf[i] != want)
			fail_msg("%s: byte %d", name, i);
	}
	assert_int_equal(chaosimg_file_seek(f, 0, SEEK_HOLE), 3 * CHUNK);
	assert_int_equal(chaosimg_file_seek(f, 3 * CHUNK, SEEK_DATA),
			 8 * CHUNK);
	assert_true(chaosimg_file_bound(f, second));
	assert_int_equal(chaosimg_file_verify(f), 0);
	free(buf);
	assert_int_equal(chaosimg_file_close(f), 0);
}

static bool under_newest(struct chaosimg_archive *a, const char *name)
{
	uint8_t id[CHAOSIMG_ID_SIZE], newest[CHAOSIMG_ID_SIZE];
	int fd = data_open(a, name, O_RDONLY);

	assert_int_equal(chaosimg_stored_keyset(fd, id), 0);
	close(fd);
	chaosimg_archive_keyset(a, newest);
	return !memcmp(id, newest, sizeof(id));
}

static int begin(struct chaosimg_archive *a, const char *name,
		 struct chaosimg_renewal **r)
{
	return chaosimg_renewal_begin(a, data_open(a, name,
						   O_RDWR | O_NOATIME),
				      binding, chaosimg_archive_data_fd(a), r);
}

static int copy(struct chaosimg_renewal *r)
{
	int64_t n;

	do {
		n = chaosimg_renewal_step(r, 2 * CHUNK);
	} while (n > 0);
	return (int)n;
}

static int renew(struct chaosimg_archive *a, const char *name)
{
	struct chaosimg_renewal *r;
	int err = begin(a, name, &r);

	if (err)
		return err;
	err = copy(r);
	if (!err)
		err = chaosimg_renewal_replace(r, name);
	chaosimg_renewal_end(r);
	return err;
}

static struct chaosimg_archive *with_file(const char *name)
{
	struct chaosimg_archive *a = arc_must_open(arc_make(name), 0);

	make_file(a, "file");
	assert_int_equal(renew(a, "file"), -EALREADY);
	assert_int_equal(chaosimg_archive_rekey(a, NULL), 0);
	assert_false(under_newest(a, "file"));
	return a;
}

static size_t entries(struct chaosimg_archive *a)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d",
		 chaosimg_archive_data_fd(a));
	return arc_entries(path);
}

static void a_renewed_file_is_the_same(void **state)
{
	struct chaosimg_archive *a = with_file("renewed");
	const struct timespec tv[2] = { { 1000, 1 }, { 2000, 123456789 } };
	struct stat before, after, dir, dir_after;
	char value[16] = "";
	int fd = data_open(a, "file", O_RDWR);

	(void)state;
	assert_int_equal(fsetxattr(fd, "user.chaosimg.x", "value", 5, 0), 0);
	if (!geteuid())
		assert_int_equal(fchown(fd, 12, 34), 0);
	assert_int_equal(fchmod(fd, 04751), 0);
	assert_int_equal(futimens(fd, tv), 0);
	assert_int_equal(fstat(fd, &before), 0);
	assert_int_equal(fstat(chaosimg_archive_data_fd(a), &dir), 0);
	assert_int_equal(renew(a, "file"), 0);
	assert_int_equal(fstat(fd, &after), 0);
	assert_int_equal(after.st_nlink, 0);
	close(fd);
	fd = data_open(a, "file", O_RDONLY);
	assert_int_equal(fstat(fd, &after), 0);
	assert_true(under_newest(a, "file"));
	assert_int_equal(after.st_mode, before.st_mode);
	assert_int_equal(after.st_uid, before.st_uid);
	assert_int_equal(after.st_gid, before.st_gid);
	assert_int_equal(after.st_size, before.st_size);
	assert_int_equal(after.st_mtim.tv_nsec, 123456789);
	assert_int_equal(after.st_atim.tv_sec, 1000);
	/* Its hole takes no room. */
	assert_int_equal(after.st_blocks, before.st_blocks);
	assert_int_equal(fgetxattr(fd, "user.chaosimg.x", value, 16), 5);
	assert_string_equal(value, "value");
	close(fd);
	assert_file(a, "file");
	assert_int_equal(fstat(chaosimg_archive_data_fd(a), &dir_after), 0);
	assert_int_equal(dir_after.st_mtim.tv_nsec, dir.st_mtim.tv_nsec);
	assert_int_equal(entries(a), 2);
	assert_int_equal(renew(a, "file"), -EALREADY);
	chaosimg_archive_close(a);
}

static void change_byte(struct chaosimg_archive *a)
{
	struct chaosimg_file *f = open_file(a, "file");

	assert_int_equal(chaosimg_file_write(f, "!", 1, 5), 1);
	assert_int_equal(chaosimg_file_close(f), 0);
}

static void change_mode(struct chaosimg_archive *a)
{
	assert_int_equal(fchmodat(chaosimg_archive_data_fd(a), "file", 0640, 0),
			 0);
}

static void change_xattr(struct chaosimg_archive *a)
{
	int fd = data_open(a, "file", O_RDWR);

	assert_int_equal(fsetxattr(fd, "user.chaosimg.y", "z", 1, 0), 0);
	close(fd);
}

static void change_name(struct chaosimg_archive *a)
{
	int fd = chaosimg_archive_data_fd(a);

	assert_int_equal(renameat(fd, "file", fd, "moved"), 0);
}

static void change_file(struct chaosimg_archive *a)
{
	change_name(a);
	make_file(a, "file");
}

static void remove_file(struct chaosimg_archive *a)
{
	assert_int_equal(unlinkat(chaosimg_archive_data_fd(a), "file", 0), 0);
}

typedef void change_fn(struct chaosimg_archive *a);

static int change_during(const char *name, change_fn *change, bool late)
{
	struct chaosimg_archive *a = with_file(name);
	struct chaosimg_renewal *r;
	uint64_t before;
	char *data;
	int ret;

	assert_int_equal(begin(a, "file", &r), 0);
	assert_true(chaosimg_renewal_step(r, CHUNK) > 0);
	if (late)
		assert_int_equal(copy(r), 0);
	change(a);
	data = arc_in_top(name);
	strcat(data, "/data");
	before = arc_digest_of(data);
	ret = copy(r);
	if (!ret)
		ret = chaosimg_renewal_replace(r, "file");
	chaosimg_renewal_end(r);
	assert_true((arc_digest_of(data) == before) == (ret != 0));
	chaosimg_archive_close(a);
	return ret;
}

static void what_changes_meanwhile_stays(void **state)
{
	static change_fn *const change[] = {
		change_byte, change_name, change_file, remove_file,
		change_mode, change_xattr,
	};
	char name[16];
	size_t i;

	(void)state;
	for (i = 0; i < 12; i++) {
		bool late = i & 1;

		snprintf(name, sizeof(name), "meanwhile%zu", i);
		/* Attributes are copied last. */
		assert_int_equal(change_during(name, change[i / 2], late),
				 i / 2 < 4 || late ? -EAGAIN : 0);
	}
}

static void several_names_are_left_alone(void **state)
{
	struct chaosimg_archive *a = with_file("links");
	int fd = chaosimg_archive_data_fd(a);
	struct chaosimg_renewal *r;

	(void)state;
	assert_int_equal(begin(a, "file", &r), 0);
	assert_int_equal(copy(r), 0);
	assert_int_equal(linkat(fd, "file", fd, "link", 0), 0);
	assert_int_equal(chaosimg_renewal_replace(r, "file"), -EMLINK);
	chaosimg_renewal_end(r);
	assert_int_equal(renew(a, "file"), -EMLINK);
	assert_int_equal(renew(a, "link"), -EMLINK);
	assert_int_equal(entries(a), 3);
	chaosimg_archive_close(a);
}

/* A copy would make damage, and a chunk put back, good for ever. */
static void damage_is_not_copied(void **state)
{
	struct chaosimg_archive *a = with_file("damage");
	char *old = malloc(RECORD), *new = malloc(RECORD);
	int fd = data_open(a, "file", O_RDWR);

	(void)state;
	assert_int_equal(pread(fd, old, RECORD, HEADER), RECORD);
	change_byte(a);
	assert_int_equal(pread(fd, new, RECORD, HEADER), RECORD);
	assert_int_equal(pwrite(fd, old, RECORD, HEADER), RECORD);
	assert_int_equal(renew(a, "file"), -EIO);
	assert_non_null(strstr(chaosimg_errmsg(), "put back"));
	new[1000] ^= 1;
	assert_int_equal(pwrite(fd, new, RECORD, HEADER), RECORD);
	assert_int_equal(renew(a, "file"), -EIO);
	assert_non_null(strstr(chaosimg_errmsg(), "chunk 0"));
	new[1000] ^= 1;
	assert_int_equal(pwrite(fd, new, RECORD, HEADER), RECORD);
	assert_int_equal(renew(a, "file"), 0);
	close(fd);
	free(old);
	free(new);
	assert_int_equal(entries(a), 2);
	chaosimg_archive_close(a);
}

/* More holes than a header holds: the others are short records of zeros. */
static void many_holes_stay(void **state)
{
	struct chaosimg_archive *a = arc_must_open(arc_make("holes"), 0);
	int fd = data_open(a, "file", O_CREAT | O_EXCL | O_RDWR), i;
	struct chaosimg_file *f;
	struct stat before, after;
	char c;

	(void)state;
	assert_int_equal(chaosimg_file_create(a, fd, binding, &f), 0);
	for (i = 0; i < 50; i++)
		assert_int_equal(chaosimg_file_write(f, "x", 1, i * 3 * CHUNK),
				 1);
	assert_int_equal(chaosimg_file_truncate(f, 200 * CHUNK), 0);
	assert_int_equal(chaosimg_file_close(f), 0);
	assert_int_equal(chaosimg_archive_rekey(a, NULL), 0);
	assert_int_equal(fstatat(chaosimg_archive_data_fd(a), "file", &before,
				 0), 0);
	assert_int_equal(renew(a, "file"), 0);
	assert_int_equal(fstatat(chaosimg_archive_data_fd(a), "file", &after,
				 0), 0);
	assert_in_range(after.st_blocks, 0, before.st_blocks + 64);
	f = open_file(a, "file");
	assert_int_equal(chaosimg_file_length(f), 200 * CHUNK);
	for (i = 0; i < 100; i++) {
		assert_int_equal(chaosimg_file_read(f, &c, 1, i * CHUNK), 1);
		assert_int_equal(c, i % 3 ? 0 : 'x');
	}
	assert_int_equal(chaosimg_file_verify(f), 0);
	chaosimg_file_close(f);
	chaosimg_archive_close(a);
}

static void keysets_go_when_no_file_needs_them(void **state)
{
	struct chaosimg_archive *a = with_file("drop"), *b;
	struct chaosimg_keyset_usage usage;
	char *path = arc_in_top("drop"), *keysets = arc_in_top("drop/keysets");
	uint32_t dropped = 99;
	int fd = chaosimg_archive_data_fd(a);

	(void)state;
	b = arc_must_open(path, CHAOSIMG_ARCHIVE_NOLOCK);
	assert_int_equal(chaosimg_keyset_drop(b, &dropped), -EINVAL);
	chaosimg_archive_close(b);
	assert_int_equal(mkdirat(fd, "sub", 0700), 0);
	make_file(a, "sub/new");
	assert_int_equal(chaosimg_keyset_usage(a, &usage), 0);
	assert_int_equal(usage.all, 2);
	assert_int_equal(usage.files, 1);
	assert_in_range(usage.bytes, 3 * CHUNK, 9 * RECORD);
	assert_int_equal(chaosimg_keyset_drop(a, &dropped), -EBUSY);
	assert_int_equal(renameat(fd, "file", fd, "sub/file"), 0);
	assert_int_equal(chaosimg_keyset_drop(a, &dropped), -EBUSY);
	assert_int_equal(renew(a, "sub/file"), 0);
	/* Who can tell what this one was? */
	close(data_open(a, "empty", O_CREAT | O_RDWR));
	assert_int_equal(chaosimg_keyset_drop(a, &dropped), -EIO);
	assert_int_equal(arc_entries(keysets), 2);
	assert_int_equal(unlinkat(fd, "empty", 0), 0);
	assert_int_equal(chaosimg_keyset_drop(a, &dropped), 0);
	assert_int_equal(dropped, 1);
	assert_int_equal(arc_entries(keysets), 1);
	chaosimg_archive_close(a);
	a = arc_must_open(path, 0);
	assert_file(a, "sub/file");
	make_file(a, "again");
	chaosimg_archive_close(a);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_renewed_file_is_the_same),
		cmocka_unit_test(what_changes_meanwhile_stays),
		cmocka_unit_test(several_names_are_left_alone),
		cmocka_unit_test(damage_is_not_copied),
		cmocka_unit_test(many_holes_stay),
		cmocka_unit_test(keysets_go_when_no_file_needs_them),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, arc_set_up, arc_tear_down);
}
