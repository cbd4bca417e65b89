// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Policies that rules choose for files: a file's keys are those of the policy
 * from when it is first sealed, or else nothing of it is for anybody but who has
 * identity; and it can be moved.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "archive_env.h"
#include "chaosimg_abe.h"
#include "chaosimg_rekey.h"
#include "dicom_file.h"
#include "file.h"
#include "rng.h"
#include "rules.h"

enum { PIXELS_LEN = 300000 };

#define HEART	"heart"
#define RULES	"rule a\nModality = US\npolicy " HEART "\n"

static const uint8_t binding[CHAOSIMG_BINDING_SIZE] = "a name's binding";
static struct chaosimg_authority *hospital;

/* --- an archive with policies --------------------------------------------- */

static struct {
	char *dir;
	struct chaosimg_archive *a;
	unsigned int notices;
	bool all;
	char notice[256];
} arc;

static int group_setup(void **state)
{
	char secret[300];

	if (arc_set_up(state))
		return -1;
	snprintf(secret, sizeof(secret), "%s", arc_in_top("secret"));
	return chaosimg_authority_create("hospital", secret,
					 arc_in_top("public")) ||
	       chaosimg_authority_read(arc_in_top("public"), &hospital);
}

static int group_teardown(void **state)
{
	chaosimg_authority_free(hospital);
	return arc_tear_down(state);
}

static void on_held(void *ctx, int fd, bool all, const char *what)
{
	(void)ctx;
	(void)fd;
	arc.notices++;
	arc.all = all;
	snprintf(arc.notice, sizeof(arc.notice), "%s", what);
}

/* @text: NULL takes it away */
static int set_policy(const char *name, const char *text,
		      uint8_t id[CHAOSIMG_ID_SIZE])
{
	const struct chaosimg_authority *list[] = { hospital };
	struct chaosimg_policies_change c = {
		.name = name, .set = 7, .authority = list, .authorities = 1,
	};
	struct chaosimg_policy *p = NULL;
	int ret;

	if (text)
		assert_int_equal(chaosimg_policy_parse(text, &p), 0);
	c.policy[0] = c.policy[1] = c.policy[2] = p;
	ret = chaosimg_policies_set(arc.a, &c, id);
	chaosimg_policy_free(p);
	return ret;
}

static int try_rules(const char *text)
{
	struct chaosimg_rules *r;
	int ret;

	assert_int_equal(chaosimg_rules_parse(text, strlen(text), "RULES", &r),
			 0);
	ret = chaosimg_rules_store(arc.a, r);
	chaosimg_rules_free(r);
	return ret;
}

static void open_again(void)
{
	arc.a = arc_must_open(arc.dir, CHAOSIMG_ARCHIVE_NOLOCK);
	arc.notices = 0;
	chaosimg_archive_on_held(arc.a, on_held, &arc);
}

static void make_archive(const char *name)
{
	arc.dir = arc_make(name);
	open_again();
	assert_int_equal(set_policy(NULL, "anybody@hospital", NULL), 0);
	assert_int_equal(set_policy(HEART, "cardiologist@hospital", NULL), 0);
	assert_int_equal(try_rules(RULES), 0);
}

/* --- files ---------------------------------------------------------------- */

static void make_image(const char *modality, size_t pixels)
{
	uint64_t seed = 7;

	dcm_part10(EXPLICIT_LE);
	dcm_element(0x00080060, "CS", modality);
	dcm_element(0x00100010, "PN", "Doe^Jane");
	if (!pixels)
		return;
	dcm_header(0x7fe00010, "OW", (uint32_t)pixels);
	for (size_t i = 0; i < pixels; i++)
		dcm.data[dcm.len++] = (uint8_t)rng_next(&seed);
}

static int new_fd(const char *name)
{
	int fd = openat(chaosimg_archive_data_fd(arc.a), name,
			O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	return fd;
}

static void write_from(struct chaosimg_file *f, size_t off, size_t until,
		       size_t step)
{
	for (size_t n; off < until; off += n) {
		n = until - off < step ? until - off : step;
		assert_int_equal(chaosimg_file_write(f, dcm.data + off, n, off),
				 n);
	}
}

/* Write the rest of it, and close it. */
static void finish(struct chaosimg_file *f, size_t from, size_t step)
{
	write_from(f, from, dcm.len, step);
	assert_int_equal(chaosimg_file_close(f), 0);
}

static struct chaosimg_file *create(const char *name)
{
	struct chaosimg_file *f;

	assert_int_equal(chaosimg_file_create(arc.a, new_fd(name), binding, &f),
			 0);
	return f;
}

static struct chaosimg_file *reopen(const char *name, unsigned int flags)
{
	struct chaosimg_file *f;
	int fd = openat(chaosimg_archive_data_fd(arc.a), name,
			O_RDWR | O_CLOEXEC);

	assert_true(fd >= 0);
	if (chaosimg_file_open(arc.a, fd, binding, flags, &f))
		fail_msg("%s: %s", name, chaosimg_errmsg());
	return f;
}

static const char *policy_of(struct chaosimg_file *f)
{
	struct chaosimg_file_info info;

	chaosimg_file_info(f, &info);
	return keyring_find(arc.a->ring, info.keyset_id)->policy;
}

/* All of it is there, under that policy, and divided or not. */
static void check_file(const char *name, const char *policy, bool divided)
{
	static uint8_t buf[sizeof(dcm.data)];
	struct chaosimg_file *f = reopen(name, 0);

	assert_string_equal(policy_of(f), policy);
	assert_int_equal(chaosimg_file_read(f, buf, sizeof(buf), 0), dcm.len);
	assert_memory_equal(buf, dcm.data, dcm.len);
	assert_int_equal(chaosimg_file_verify(f), 0);
	assert_int_equal(f->snap.parts.length != 0, divided);
	for (uint64_t k = 0; !divided && k * f->chunk_size < dcm.len; k++) {
		uint8_t rec[RECORD_PREFIX];

		assert_int_equal(pread(f->fd, rec, sizeof(rec),
				       (off_t)record_at(f->chunk_size, k)),
				 sizeof(rec));
		assert_int_equal(record_set(rec), RECORD_FOREIGN);
	}
	chaosimg_file_close(f);
}

static int move(const char *name)
{
	int dirfd = chaosimg_archive_data_fd(arc.a);
	struct chaosimg_renewal *r;
	int fd = openat(dirfd, name, O_RDWR | O_CLOEXEC), ret;
	int64_t n;

	assert_int_equal(chaosimg_renewal_due(arc.a, fd), 1);
	ret = chaosimg_renewal_begin(arc.a, fd, binding, dirfd, &r);
	if (ret)
		return ret;
	while ((n = chaosimg_renewal_step(r, 1 << 20)) > 0)
		;
	assert_int_equal(n, 0);
	assert_int_equal(chaosimg_renewal_replace(r, name), 0);
	chaosimg_renewal_end(r);
	return 0;
}

/* --- tests ----------------------------------------------------------------- */

/* However it is written: small, large, without pixels, and anything else. */
static void files_fall_under_their_policy(void **state)
{
	static const size_t step[] = { 100, 4096, 8192, 131072, 1 << 20 };
	static const size_t pixels[] = { 0, 100, PIXELS_LEN };
	struct chaosimg_file *f;

	(void)state;
	make_archive("fall");
	for (size_t i = 0; i < sizeof(step) / sizeof(step[0]); i++) {
		for (size_t k = 0; k < 3; k++) {
			f = create("us");
			make_image("US", pixels[k]);
			finish(f, 0, step[i]);
			check_file("us", HEART, true);
			assert_int_equal(move("us"), -EALREADY);
			f = create("ct");
			make_image("CT", pixels[k]);
			finish(f, 0, step[i]);
			check_file("ct", "", true);
			assert_int_equal(move("ct"), -EALREADY);
		}
	}
	dcm_start();
	dcm.len = 100000;
	memset(dcm.data, 'U', dcm.len);
	f = create("text");
	finish(f, 0, 4096);
	check_file("text", "", false);
	assert_int_equal(arc.notices, 0);
	chaosimg_archive_close(arc.a);
}

/* As soon as pixels come, and before any of them is stored. */
static void it_changes_over_at_the_pixels(void **state)
{
	struct chaosimg_file *f;
	uint64_t end;
	size_t from;

	(void)state;
	make_archive("early");
	for (int backwards = 0; backwards < 2; backwards++) {
		f = create("us");
		make_image("US", PIXELS_LEN);
		from = backwards ? 131072 : 0;
		write_from(f, from, from + 131072, 131072);
		if (backwards)
			write_from(f, 0, 131072, 131072);
		assert_string_equal(policy_of(f), HEART);
		for (uint64_t k = 1; k < 16; k++)
			assert_int_equal(sets_get(&f->sets, k, &end), 1 << P);
		finish(f, 131072, 131072);
		check_file("us", HEART, true);
	}
	chaosimg_archive_close(arc.a);
}

/* What was promised to survive stays where it is, for identity alone. */
static void a_synced_file_is_held(void **state)
{
	struct chaosimg_file *f;

	(void)state;
	make_archive("synced");
	f = create("us");
	make_image("US", PIXELS_LEN);
	write_from(f, 0, 140, 140);
	assert_int_equal(chaosimg_file_sync(f), 0);
	finish(f, 140, 131072);
	assert_true(arc.notices && arc.all);
	assert_non_null(strstr(arc.notice, "another policy"));
	check_file("us", "", false);
	assert_int_equal(move("us"), 0);
	check_file("us", HEART, true);
	assert_int_equal(move("us"), -EALREADY);
	chaosimg_archive_close(arc.a);
}

/* In place it is held, emptied and written anew it changes over. */
static void changed_contents_are_looked_at(void **state)
{
	struct chaosimg_file *f;

	(void)state;
	make_archive("contents");
	f = create("file");
	make_image("CT", PIXELS_LEN);
	finish(f, 0, 131072);
	make_image("US", PIXELS_LEN);
	f = reopen("file", CHAOSIMG_FILE_WRITE);
	write_from(f, 0, 1000, 1000);
	assert_int_equal(chaosimg_file_close(f), 0);
	check_file("file", "", false);
	f = reopen("file", CHAOSIMG_FILE_WRITE);
	assert_int_equal(chaosimg_file_truncate(f, 0), 0);
	finish(f, 0, 131072);
	check_file("file", HEART, true);
	make_image("CT", PIXELS_LEN);
	f = reopen("file", CHAOSIMG_FILE_WRITE);
	write_from(f, 0, 1000, 1000);
	assert_int_equal(chaosimg_file_sync(f), 0);
	assert_int_equal(chaosimg_file_close(f), 0);
	check_file("file", HEART, false);
	assert_int_equal(move("file"), 0);
	check_file("file", "", true);
	chaosimg_archive_close(arc.a);
}

static void rules_and_policies_change(void **state)
{
	uint8_t id[2][CHAOSIMG_ID_SIZE];
	struct chaosimg_file *f;

	(void)state;
	make_archive("change");
	f = create("us");
	make_image("US", PIXELS_LEN);
	finish(f, 0, 131072);
	assert_int_equal(try_rules("rule a\nhold frames\n"), 0);
	check_file("us", HEART, true);
	assert_int_equal(move("us"), 0);
	check_file("us", "", true);
	assert_false(arc.all);
	arc.notices = 0;
	assert_int_equal(try_rules(RULES), 0);
	assert_int_equal(move("us"), 0);
	check_file("us", HEART, true);
	/* Another keyset of the same policy: an older one will do, to write. */
	assert_int_equal(set_policy(HEART, "surgeon@hospital", id[0]), 0);
	f = reopen("us", CHAOSIMG_FILE_WRITE);
	write_from(f, 2000, 3000, 1000);
	assert_int_equal(chaosimg_file_close(f), 0);
	check_file("us", HEART, true);
	assert_int_equal(move("us"), 0);
	assert_int_equal(move("us"), -EALREADY);
	assert_int_equal(chaosimg_archive_rekey(arc.a, id[1]), 0);
	assert_memory_not_equal(keyring_of_policy(arc.a->ring, HEART)->id,
				id[0], sizeof(id[0]));
	assert_memory_equal(keyring_newest(arc.a->ring)->id, id[1],
			    sizeof(id[1]));
	assert_int_equal(move("us"), 0);
	check_file("us", HEART, true);
	assert_int_equal(arc.notices, 0);
	chaosimg_archive_close(arc.a);
}

/* Rules that were put back name what has gone. */
static void without_its_policy_it_is_for_identity(void **state)
{
	char path[512], *text;
	struct chaosimg_file *f;
	size_t len;

	(void)state;
	make_archive("gone");
	snprintf(path, sizeof(path), "%s/rules", arc.dir);
	text = arc_slurp(path, &len);
	assert_int_equal(set_policy(HEART, NULL, NULL), -EBUSY);
	assert_non_null(strstr(chaosimg_errmsg(), "rule a names it"));
	assert_int_equal(try_rules(""), 0);
	assert_int_equal(set_policy(HEART, NULL, NULL), 0);
	assert_int_equal(set_policy(HEART, NULL, NULL), -ENOENT);
	assert_int_equal(try_rules(RULES), -ENOENT);
	assert_non_null(strstr(chaosimg_errmsg(), "no policy " HEART));
	arc_spit(path, text, len);
	free(text);
	for (int again = 0; again < 2; again++) {
		f = create("us");
		make_image("US", PIXELS_LEN);
		finish(f, 0, 131072);
		assert_true(arc.notices && arc.all);
		assert_non_null(strstr(arc.notice, "not known here"));
		check_file("us", "", false);
		/* Who opens the archive now does not know it either. */
		chaosimg_archive_close(arc.a);
		open_again();
	}
	/* When it comes, files can be moved. */
	assert_int_equal(set_policy(HEART, "cardiologist@hospital", NULL), 0);
	assert_int_equal(move("us"), 0);
	check_file("us", HEART, true);
	chaosimg_archive_close(arc.a);
}

/* Rules that nobody can read might name any policy; so might such that went. */
static void with_damaged_rules_it_is_for_identity(void **state)
{
	struct chaosimg_file *f;
	char path[512];

	(void)state;
	make_archive("damaged");
	f = create("us");
	make_image("US", PIXELS_LEN);
	finish(f, 0, 131072);
	chaosimg_archive_close(arc.a);
	snprintf(path, sizeof(path), "%s/rules", arc.dir);
	arc_spit(path, "x", 1);
	for (int gone = 0; gone < 2; gone++) {
		open_again();
		f = create("ct");
		make_image("CT", PIXELS_LEN);
		finish(f, 0, 131072);
		assert_true(arc.notices);
		check_file("ct", "", false);
		/* Nor is anything moved. */
		make_image("US", PIXELS_LEN);
		assert_int_equal(move("us"), -ENOKEY);
		check_file("us", HEART, true);
		chaosimg_archive_close(arc.a);
		unlink(path);
	}
	open_again();
	assert_int_equal(try_rules(RULES), 0);
	assert_int_equal(move("us"), -EALREADY);
	make_image("CT", PIXELS_LEN);
	assert_int_equal(move("ct"), -EALREADY);
	chaosimg_archive_close(arc.a);
}

/* Of a process that ends anywhere, there is a file under the right policy. */
static void it_can_be_killed(void **state)
{
	uint64_t seed = 3;

	(void)state;
	make_archive("killed");
	make_image("US", PIXELS_LEN);
	for (int i = 0; i < 60; i++) {
		size_t until = i < 10 ? (size_t)i * 40 :
					rng_below(&seed, dcm.len);
		size_t step = 1 + rng_below(&seed, 140000);
		struct chaosimg_file *f;
		static uint8_t buf[sizeof(dcm.data)];
		ssize_t n;
		pid_t pid = fork();
		int status;

		if (!pid) {
			write_from(create("us"), 0, until, step);
			_exit(0);
		}
		waitpid(pid, &status, 0);
		assert_int_equal(status, 0);
		f = reopen("us", CHAOSIMG_FILE_WRITE);
		n = chaosimg_file_read(f, buf, sizeof(buf), 0);
		assert_true(n >= 0);
		assert_memory_equal(buf, dcm.data, (size_t)n);
		if (n > 4096)
			assert_string_equal(policy_of(f), HEART);
		assert_int_equal(chaosimg_file_verify(f), 0);
		assert_int_equal(chaosimg_file_close(f), 0);
	}
	chaosimg_archive_close(arc.a);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(files_fall_under_their_policy),
		cmocka_unit_test(it_changes_over_at_the_pixels),
		cmocka_unit_test(a_synced_file_is_held),
		cmocka_unit_test(changed_contents_are_looked_at),
		cmocka_unit_test(rules_and_policies_change),
		cmocka_unit_test(without_its_policy_it_is_for_identity),
		cmocka_unit_test(with_damaged_rules_it_is_for_identity),
		cmocka_unit_test(it_can_be_killed),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
