// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Policies with a name beside the archive's own: each has keysets of its own,
 * nobody but who satisfies it opens these, and there is one text of them.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "archive.h"
#include "archive_env.h"
#include "chaosimg_abe.h"
#include "config.h"
#include "keyset.h"

enum { CLINICAL = 1, IDENTITY = 2, PIXELS = 4 };

static struct chaosimg_authority *hospital;
static struct chaosimg_user *doctor, *clerk;

static int group_setup(void **state)
{
	char secret[300];

	if (arc_set_up(state))
		return -1;
	snprintf(secret, sizeof(secret), "%s", arc_in_top("secret"));
	if (chaosimg_authority_create("hospital", secret,
				      arc_in_top("public")) ||
	    chaosimg_authority_read(arc_in_top("public"), &hospital))
		return -1;
	doctor = arc_user(arc_in_top("secret"), "alice", "doctor");
	clerk = arc_user(arc_in_top("secret"), "bob", "clerk");
	return 0;
}

static int group_teardown(void **state)
{
	chaosimg_authority_free(hospital);
	chaosimg_user_free(doctor);
	chaosimg_user_free(clerk);
	return arc_tear_down(state);
}

/* @text: for all compartments in @set; NULL takes them away. */
static int try_set(const char *path, const char *name, unsigned int set,
		   const char *text, uint8_t id[CHAOSIMG_ID_SIZE])
{
	const struct chaosimg_authority *list[] = { hospital };
	struct chaosimg_policies_change c = {
		.name = name, .set = set, .authority = list, .authorities = 1,
	};
	struct chaosimg_archive *a =
		arc_must_open(path, CHAOSIMG_ARCHIVE_NOLOCK);
	struct chaosimg_policy *p = NULL;
	int i, ret;

	if (text)
		assert_int_equal(chaosimg_policy_parse(text, &p), 0);
	for (i = 0; i < 3; i++)
		c.policy[i] = p;
	ret = chaosimg_policies_set(a, &c, id);
	chaosimg_policy_free(p);
	chaosimg_archive_close(a);
	return ret;
}

static void set(const char *path, const char *name, unsigned int which,
		const char *text, uint8_t id[CHAOSIMG_ID_SIZE])
{
	if (try_set(path, name, which, text, id))
		fail_msg("%s", chaosimg_errmsg());
}

static char *keyset_file(const char *path, const uint8_t *id)
{
	static char file[700];
	char name[KEYSET_NAME_SIZE];

	keyset_name(id, name);
	snprintf(file, sizeof(file), "%s/keysets/%s", path, name);
	return file;
}

/* What serves: of one opened now. */
static void serving(const char *path, const char *name,
		    uint8_t id[CHAOSIMG_ID_SIZE])
{
	struct chaosimg_archive *a =
		arc_must_open(path, CHAOSIMG_ARCHIVE_RDONLY);
	const struct keyset *ks = keyring_of_policy(a->ring, name);

	memset(id, 0, CHAOSIMG_ID_SIZE);
	if (ks)
		memcpy(id, ks->id, CHAOSIMG_ID_SIZE);
	chaosimg_archive_close(a);
}

static void each_has_keysets_of_its_own(void **state)
{
	uint8_t own[CHAOSIMG_ID_SIZE], heart[CHAOSIMG_ID_SIZE];
	uint8_t id[CHAOSIMG_ID_SIZE], none[CHAOSIMG_ID_SIZE] = { 0 };
	char *path = arc_make("own"), name[CHAOSIMG_POLICY_NAME_MAX + 1];
	struct chaosimg_archive *a;
	uint32_t n;

	(void)state;
	set(path, NULL, 7, "doctor@hospital", own);
	set(path, "heart", CLINICAL | PIXELS, "clerk@hospital", heart);
	serving(path, "", id);
	assert_memory_equal(id, own, sizeof(id));
	serving(path, "heart", id);
	assert_memory_equal(id, heart, sizeof(id));
	serving(path, "lung", id);
	assert_memory_equal(id, none, sizeof(id));
	assert_int_equal(chaosimg_keyset_policy(path, own, name), 0);
	assert_string_equal(name, "");
	assert_int_equal(chaosimg_keyset_policy(path, heart, name), 0);
	assert_string_equal(name, "heart");
	assert_int_equal(arc_opens(path, own, doctor), 7);
	assert_int_equal(arc_opens(path, own, clerk), 0);
	assert_int_equal(arc_opens(path, heart, doctor), 0);
	assert_int_equal(arc_opens(path, heart, clerk), CLINICAL | PIXELS);
	/* Older ones get only what they are for. */
	a = arc_must_open(path, CHAOSIMG_ARCHIVE_NOLOCK);
	assert_int_equal(chaosimg_policies_extend(a, NULL, &n), 0);
	assert_int_equal(n, 2);
	assert_int_equal(chaosimg_policies_extend(a, "heart", &n), 0);
	assert_int_equal(n, 1);
	assert_int_equal(chaosimg_policies_extend(a, "lung", &n), -ENOENT);
	assert_int_equal(arc_opens(path, heart, doctor), 0);
	assert_int_equal(arc_opens(path, own, clerk), 0);
	/* New ones come for all. */
	assert_int_equal(chaosimg_archive_rekey(a, id), 0);
	chaosimg_archive_close(a);
	serving(path, "", own);
	assert_memory_equal(id, own, sizeof(id));
	serving(path, "heart", id);
	assert_memory_not_equal(id, heart, sizeof(id));
	assert_int_equal(arc_opens(path, id, clerk), CLINICAL | PIXELS);
	assert_int_equal(arc_opens(path, id, doctor), 0);
	assert_int_equal(arc_opens(path, own, doctor), 7);
}

static void they_come_and_go(void **state)
{
	char *path = arc_make("come");
	uint8_t id[CHAOSIMG_ID_SIZE], none[CHAOSIMG_ID_SIZE] = { 0 };
	struct chaosimg_policies *p;
	size_t len[2];

	(void)state;
	free(arc_slurp(arc_config_file(path), &len[0]));
	set(path, "b", 7, "doctor@hospital", NULL);
	set(path, "a", 2, "clerk@hospital", NULL);
	set(path, "c", 1, "clerk@hospital", NULL);
	assert_int_equal(chaosimg_policies_read(path, &p), 0);
	assert_int_equal(p->authorities, 0);
	assert_string_equal(p->next->name, "a");
	assert_null(p->next->policy[0]);
	assert_string_equal(chaosimg_policy_text(p->next->policy[1]),
			    "clerk@hospital");
	assert_string_equal(p->next->next->name, "b");
	assert_string_equal(p->next->next->next->name, "c");
	assert_null(p->next->next->next->next);
	chaosimg_policies_free(p);
	set(path, "b", 5, NULL, id);
	assert_memory_not_equal(id, none, sizeof(id));
	assert_int_equal(arc_opens(path, id, doctor), IDENTITY);
	set(path, "b", 7, NULL, id);
	assert_memory_equal(id, none, sizeof(id));
	serving(path, "b", id);
	assert_memory_equal(id, none, sizeof(id));
	set(path, "c", 7, NULL, NULL);
	set(path, "a", 7, NULL, NULL);
	free(arc_slurp(arc_config_file(path), &len[1]));
	/* Four keysets were added, and nothing else. */
	assert_int_equal(len[1], len[0] + 4 * 40);
	/* One that comes again begins anew. */
	set(path, "b", 7, "doctor@hospital", id);
	serving(path, "b", none);
	assert_memory_equal(id, none, sizeof(id));
}

static void there_are_limits(void **state)
{
	char *path = arc_make("limits"), name[CHAOSIMG_POLICY_NAME_MAX + 2];
	uint64_t before;
	int i;

	(void)state;
	memset(name, 'n', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	before = arc_digest_of(path);
	assert_int_equal(try_set(path, name, 7, "x@hospital", NULL), -EINVAL);
	assert_int_equal(try_set(path, "", 7, "x@hospital", NULL), -EINVAL);
	assert_int_equal(try_set(path, "a b", 7, "x@hospital", NULL), -EINVAL);
	assert_int_equal(try_set(path, "a\"", 7, "x@hospital", NULL), -EINVAL);
	assert_int_equal(try_set(path, "a", 7, NULL, NULL), -ENOENT);
	assert_int_equal(try_set(path, "a", 7, "x@board", NULL), -ENOENT);
	assert_true(arc_digest_of(path) == before);
	name[sizeof(name) - 2] = '\0';
	set(path, name, 1, "x@hospital", NULL);
	for (i = 1; i < POLICIES_NAMED_MAX; i++) {
		snprintf(name, sizeof(name), "%c-%d", 'a' + 7 * i % 26, i);
		set(path, name, 1, "x@hospital", NULL);
	}
	assert_int_equal(try_set(path, "more", 1, "x@hospital", NULL), -ENOSPC);
	assert_int_equal(arc_try_open(path, arc_key, 0), 0);
}

static void there_is_one_text_of_them(void **state)
{
	static const char *const changes[][2] = {
		{ "\"name\": \"heart\"", "\"name\": \"liver\"" },
		{ "\"name\": \"heart\"", "\"name\": \"lungs\"" },
		{ "\"name\": \"heart\"", "\"name\": \"hea t\"" },
		{ "\"name\": \"heart\"", "\"name\": \"\", \"a\":" },
		{ "\"name\": \"heart\"", "\"mane\": \"heart\"" },
		{ "\"heart\", \"policies\"", "\"heart\", \"policied\"" },
		{ "\"named_policies\"", "\"Named_policies\"" },
		{ "}]},\n", "}]} ,"},
	};
	char *path = arc_make("one-text"), *text, *file = arc_config_file(path);
	struct chaosimg_policies *p;
	size_t len, i;

	(void)state;
	set(path, "heart", 7, "doctor@hospital", NULL);
	set(path, "liver", 7, "doctor@hospital", NULL);
	text = arc_slurp(file, &len);
	for (i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		arc_forge(file, changes[i][0], changes[i][1]);
		if (chaosimg_policies_read(path, &p) != -EBADMSG)
			fail_msg("%s was taken", changes[i][1]);
		arc_spit(file, text, len);
	}
	/* What is in form is authentic only with the key. */
	arc_forge(file, "\"heart\"", "\"heard\"");
	assert_int_equal(chaosimg_policies_read(path, &p), 0);
	chaosimg_policies_free(p);
	assert_int_equal(arc_try_open(path, arc_key, 0), -EBADMSG);
	free(text);
}

/* A keyset that says it is for another policy is none of either. */
static void a_keyset_belongs_to_its_policy(void **state)
{
	uint8_t id[CHAOSIMG_ID_SIZE];
	char *path = arc_make("bound");
	unsigned int held;

	(void)state;
	set(path, "heart", 7, "clerk@hospital", id);
	assert_int_equal(arc_opens(path, id, clerk), 7);
	arc_forge(keyset_file(path, id), "\"heart\"", "\"heard\"");
	assert_int_equal(arc_try_open(path, arc_key, 0), -EBADMSG);
	assert_int_equal(chaosimg_keyset_opens(path, id, clerk, &held),
			 -EBADMSG);
	arc_forge(keyset_file(path, id), "\"policy\": \"heard\"",
		  "\"pilocy\": \"heart\"");
	assert_int_equal(arc_try_open(path, arc_key, 0), -EBADMSG);
}

/* Whoever is at work goes on with what he has seen, or with newer ones. */
static void nothing_older_serves_again(void **state)
{
	uint8_t id[3][CHAOSIMG_ID_SIZE];
	char *path = arc_make("forwards"), *text, *gone;
	struct chaosimg_archive *a;
	size_t len, gone_len;

	(void)state;
	set(path, "heart", 7, "clerk@hospital", id[0]);
	text = arc_slurp(arc_config_file(path), &len);
	a = arc_must_open(path, CHAOSIMG_ARCHIVE_NOLOCK);
	assert_memory_equal(keyring_of_policy(a->ring, "heart")->id, id[0],
			    CHAOSIMG_ID_SIZE);
	set(path, "heart", 7, "doctor@hospital", id[1]);
	assert_int_equal(chaosimg_archive_refresh(a), 0);
	assert_memory_equal(keyring_of_policy(a->ring, "heart")->id, id[1],
			    CHAOSIMG_ID_SIZE);
	assert_false(keyring_serves(a->ring, id[0]));
	arc_spit(arc_config_file(path), text, len);
	assert_int_equal(chaosimg_archive_refresh(a), 0);
	assert_memory_equal(keyring_of_policy(a->ring, "heart")->id, id[1],
			    CHAOSIMG_ID_SIZE);
	/* What has gone does not come back by itself. */
	set(path, "heart", 7, NULL, NULL);
	gone = arc_slurp(arc_config_file(path), &gone_len);
	assert_int_equal(chaosimg_archive_refresh(a), 0);
	assert_null(keyring_of_policy(a->ring, "heart"));
	assert_false(keyring_has_policies(a->ring));
	arc_spit(arc_config_file(path), text, len);
	assert_int_equal(chaosimg_archive_refresh(a), 0);
	assert_null(keyring_of_policy(a->ring, "heart"));
	arc_spit(arc_config_file(path), gone, gone_len);
	set(path, "heart", 7, "clerk@hospital", id[2]);
	assert_int_equal(chaosimg_archive_refresh(a), 0);
	assert_memory_equal(keyring_of_policy(a->ring, "heart")->id, id[2],
			    CHAOSIMG_ID_SIZE);
	chaosimg_archive_close(a);
	free(text);
	free(gone);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_has_keysets_of_its_own),
		cmocka_unit_test(they_come_and_go),
		cmocka_unit_test(there_are_limits),
		cmocka_unit_test(there_is_one_text_of_them),
		cmocka_unit_test(a_keyset_belongs_to_its_policy),
		cmocka_unit_test(nothing_older_serves_again),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
