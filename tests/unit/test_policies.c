// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Policies of an archive: who satisfies them opens what they are for, in new
 * keysets and on demand in old ones; and nobody changes them without the key.
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
#include "keyset_policy.h"

enum { CLINICAL = 1, IDENTITY = 2, PIXELS = 4 };

/* Of the same name: one more "hospital". */
enum { HOSPITAL, BOARD, IMPOSTOR, AUTHORITIES };
static const char *const names[] = { "hospital", "board", "hospital" };
static struct chaosimg_authority *authority[AUTHORITIES];
static struct chaosimg_user *doctor, *clerk;

static const char *secret_of(int a)
{
	static char name[AUTHORITIES][32];

	snprintf(name[a], sizeof(name[a]), "secret-%d", a);
	return arc_in_top(name[a]);
}

static int group_setup(void **state)
{
	int i;

	if (arc_set_up(state))
		return -1;
	for (i = 0; i < AUTHORITIES; i++) {
		char *path = arc_in_top("public");

		if (chaosimg_authority_create(names[i], secret_of(i), path) ||
		    chaosimg_authority_read(path, &authority[i]) ||
		    unlink(path))
			return -1;
	}
	doctor = arc_user(secret_of(HOSPITAL), "alice", "radiologist");
	clerk = arc_user(secret_of(HOSPITAL), "bob", "clerk");
	return 0;
}

static int group_teardown(void **state)
{
	int i;

	for (i = 0; i < AUTHORITIES; i++)
		chaosimg_authority_free(authority[i]);
	chaosimg_user_free(doctor);
	chaosimg_user_free(clerk);
	return arc_tear_down(state);
}

/* --- setting them ---------------------------------------------------------- */

/* NULL: that compartment's policy stays; "": it goes. */
static int try_set(struct chaosimg_archive *a, const char *const text[3],
		   int from, int to, uint8_t id[CHAOSIMG_ID_SIZE])
{
	struct chaosimg_policy *p[3] = { NULL };
	struct chaosimg_policies_change c = {
		.authority = (const void *)&authority[from],
		.authorities = (size_t)(to - from),
	};
	int i, ret;

	for (i = 0; i < 3; i++) {
		if (!text[i])
			continue;
		if (*text[i])
			assert_int_equal(chaosimg_policy_parse(text[i], &p[i]),
					 0);
		c.policy[i] = p[i];
		c.set |= 1u << i;
	}
	ret = chaosimg_policies_set(a, &c, id);
	for (i = 0; i < 3; i++)
		chaosimg_policy_free(p[i]);
	return ret;
}

static void set(const char *path, const char *clinical, const char *identity,
		const char *pixels, uint8_t id[CHAOSIMG_ID_SIZE])
{
	const char *const text[3] = { clinical, identity, pixels };
	struct chaosimg_archive *a =
		arc_must_open(path, CHAOSIMG_ARCHIVE_NOLOCK);

	if (try_set(a, text, HOSPITAL, IMPOSTOR, id))
		fail_msg("%s", chaosimg_errmsg());
	chaosimg_archive_close(a);
}

static void newest(const char *path, uint8_t id[CHAOSIMG_ID_SIZE])
{
	uint8_t *ids;
	size_t n;

	assert_int_equal(chaosimg_keyset_list(path, &ids, &n), 0);
	memcpy(id, ids + (n - 1) * CHAOSIMG_ID_SIZE, CHAOSIMG_ID_SIZE);
	free(ids);
}

static void assert_policies(const char *path, const char *clinical,
			    const char *identity, const char *pixels,
			    size_t authorities)
{
	const char *const want[3] = { clinical, identity, pixels };
	struct chaosimg_archive *a =
		arc_must_open(path, CHAOSIMG_ARCHIVE_RDONLY);
	struct chaosimg_policies *p[2];
	int i, c;

	assert_int_equal(chaosimg_policies_read(path, &p[0]), 0);
	assert_int_equal(chaosimg_policies_get(a, &p[1]), 0);
	for (i = 0; i < 2; i++) {
		assert_int_equal(p[i]->authorities, authorities);
		for (c = 0; c < 3; c++)
			assert_string_equal(p[i]->policy[c] ?
					    chaosimg_policy_text(p[i]->policy[c]) :
					    "", want[c]);
		chaosimg_policies_free(p[i]);
	}
	chaosimg_archive_close(a);
}

static void new_keysets_are_under_the_policies(void **state)
{
	char *path = arc_make("new");
	uint8_t first[CHAOSIMG_ID_SIZE], id[CHAOSIMG_ID_SIZE];
	uint8_t later[CHAOSIMG_ID_SIZE];
	struct chaosimg_archive *a;

	(void)state;
	newest(path, first);
	set(path, "radiologist@hospital", "clerk@hospital",
	    "radiologist@hospital AND radiologist@hospital OR x@board", id);
	newest(path, later);
	assert_memory_equal(id, later, sizeof(id));
	assert_int_equal(arc_opens(path, first, doctor), 0);
	assert_int_equal(arc_opens(path, id, doctor), CLINICAL | PIXELS);
	assert_int_equal(arc_opens(path, id, clerk), IDENTITY);
	a = arc_must_open(path, CHAOSIMG_ARCHIVE_NOLOCK);
	assert_int_equal(chaosimg_archive_rekey(a, later), 0);
	chaosimg_archive_close(a);
	assert_int_equal(arc_opens(path, later, doctor), CLINICAL | PIXELS);
	assert_policies(path, "radiologist@hospital", "clerk@hospital",
			"(radiologist@hospital AND radiologist@hospital) OR x@board",
			2);
}

/* Each change leaves what it does not name, and old keysets as they are. */
static void policies_come_and_go(void **state)
{
	char *path = arc_make("come");
	uint8_t id[3][CHAOSIMG_ID_SIZE];
	char *text[2];
	size_t len[2];

	(void)state;
	text[0] = arc_slurp(arc_config_file(path), &len[0]);
	set(path, "radiologist@hospital", NULL, "x@board", id[0]);
	set(path, NULL, "radiologist@hospital", "clerk@hospital", id[1]);
	assert_policies(path, "radiologist@hospital", "radiologist@hospital",
			"clerk@hospital", 1);
	set(path, "", "", "", id[2]);
	assert_policies(path, "", "", "", 0);
	text[1] = arc_slurp(arc_config_file(path), &len[1]);
	assert_non_null(memmem(text[1], len[1], "  ],\n  \"mac\"", 11));
	assert_int_equal(arc_opens(path, id[0], doctor), CLINICAL);
	assert_int_equal(arc_opens(path, id[1], doctor), CLINICAL | IDENTITY);
	assert_int_equal(arc_opens(path, id[1], clerk), PIXELS);
	assert_int_equal(arc_opens(path, id[2], doctor), 0);
	/* Three keysets were added, and nothing else. */
	assert_int_equal(len[1], len[0] + 3 * 40);
	free(text[0]);
	free(text[1]);
}

static void only_known_authorities_are_named(void **state)
{
	const char *const text[3] = { "x@state", NULL, "clerk@hospital" };
	const char *const other[3] = { "x@hospital", NULL, NULL };
	const char *const both[3] = { "x@hospital", NULL, "y@hospital" };
	char *path = arc_make("known");
	struct chaosimg_archive *a;
	uint64_t before;

	(void)state;
	set(path, NULL, NULL, "radiologist@hospital", NULL);
	before = arc_digest_of(path);
	a = arc_must_open(path, CHAOSIMG_ARCHIVE_NOLOCK);
	assert_int_equal(try_set(a, text, HOSPITAL, IMPOSTOR, NULL), -ENOENT);
	assert_non_null(strstr(chaosimg_errmsg(), "state is not known"));
	/* Not one by the name of another that a policy goes on to believe. */
	assert_int_equal(try_set(a, other, IMPOSTOR, AUTHORITIES, NULL),
			 -EEXIST);
	assert_int_equal(try_set(a, other, HOSPITAL, AUTHORITIES, NULL),
			 -EEXIST);
	assert_true(arc_digest_of(path) == before);
	/* What is known already need not be given again. */
	assert_int_equal(try_set(a, other, 0, 0, NULL), 0);
	assert_int_equal(try_set(a, both, HOSPITAL, AUTHORITIES, NULL),
			 -EINVAL);
	assert_int_equal(try_set(a, both, IMPOSTOR, AUTHORITIES, NULL), 0);
	chaosimg_archive_close(a);
	assert_policies(path, "x@hospital", "", "y@hospital", 1);
}

static void nobody_changes_them_without_the_key(void **state)
{
	char *path = arc_make("forged");
	struct chaosimg_policies *p;

	(void)state;
	set(path, "radiologist@hospital", NULL, NULL, NULL);
	arc_forge(arc_config_file(path), "radiologist@hosp", "xadiologist@hosp");
	/* Anybody can see it; who has the key knows better. */
	assert_int_equal(chaosimg_policies_read(path, &p), 0);
	assert_string_equal(chaosimg_policy_text(p->policy[0]),
			    "xadiologist@hospital");
	chaosimg_policies_free(p);
	assert_int_equal(arc_try_open(path, arc_key, 0), -EBADMSG);
	assert_non_null(strstr(chaosimg_errmsg(), "altered"));
}

static void there_is_one_text_of_them(void **state)
{
	static const char *const changes[][2] = {
		{ "\"identity\"", "\"identitz\"" },
		{ "\"identity\"", "\"clinical\"" },
		{ "\"policy\": \"a@board\"", "\"policy\": \"a@hospi\"" },
		{ "\"policy\": \"a@board\"", "\"policy\": \"(a@boa)\"" },
		{ "\"policy\": \"a@board\"", "\"policy\": \"a b@oar\"" },
		{ "\"name\": \"board\"", "\"name\": \"bored\"" },
		{ "\"name\": \"board\"", "\"mane\": \"board\"" },
		{ "\"key\": \"", "\"key\": \"G" },
		{ "\"policies\"", "\"policied\"" },
		{ "\"authorities\"", "\"authoritiez\"" },
	};
	char *path = arc_make("one-text"), *text, *file = arc_config_file(path);
	struct chaosimg_policies *p;
	size_t len, i;

	(void)state;
	set(path, "radiologist@hospital", "a@board", NULL, NULL);
	text = arc_slurp(file, &len);
	for (i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		arc_forge(file, changes[i][0], changes[i][1]);
		if (chaosimg_policies_read(path, &p) != -EBADMSG)
			fail_msg("%s was taken", changes[i][1]);
		arc_spit(file, text, len);
	}
	assert_int_equal(chaosimg_policies_read(path, &p), 0);
	chaosimg_policies_free(p);
	free(text);
}

/* --- older keysets --------------------------------------------------------- */

static char *keyset_file(const char *path, const uint8_t *id)
{
	static char file[700];
	char name[KEYSET_NAME_SIZE];

	keyset_name(id, name);
	snprintf(file, sizeof(file), "%s/keysets/%s", path, name);
	return file;
}

static void extend(const char *path, uint32_t want)
{
	struct chaosimg_archive *a =
		arc_must_open(path, CHAOSIMG_ARCHIVE_NOLOCK);
	uint32_t n;

	if (chaosimg_policies_extend(a, NULL, &n))
		fail_msg("%s", chaosimg_errmsg());
	assert_int_equal(n, want);
	chaosimg_archive_close(a);
}

static size_t size_of(const char *file)
{
	size_t len;

	free(arc_slurp(file, &len));
	return len;
}

static void older_keysets_are_wrapped_on_demand(void **state)
{
	char *path = arc_make("extend");
	uint8_t first[CHAOSIMG_ID_SIZE], id[CHAOSIMG_ID_SIZE];
	size_t len;

	(void)state;
	newest(path, first);
	set(path, "radiologist@hospital", NULL, NULL, id);
	extend(path, 2);
	assert_int_equal(arc_opens(path, first, doctor), CLINICAL);
	assert_int_equal(arc_opens(path, id, doctor), CLINICAL);
	len = size_of(keyset_file(path, first));
	extend(path, 2);
	assert_int_equal(size_of(keyset_file(path, first)), len);
	/* Others get in, and nobody is shut out. */
	set(path, "clerk@hospital", NULL, NULL, NULL);
	extend(path, 3);
	assert_int_equal(arc_opens(path, first, doctor), CLINICAL);
	assert_int_equal(arc_opens(path, first, clerk), CLINICAL);
	assert_int_equal(arc_opens(path, id, clerk), CLINICAL);
	assert_int_equal(arc_try_open(path, arc_key, 0), 0);
}

static void foreign_wraps_stay(void **state)
{
	char *path = arc_make("foreign"), *file, *text;
	uint8_t first[CHAOSIMG_ID_SIZE];
	size_t len;

	(void)state;
	newest(path, first);
	set(path, "radiologist@hospital", NULL, NULL, NULL);
	extend(path, 2);
	/* What is no wrap under a policy any more, but something unknown. */
	file = keyset_file(path, first);
	arc_forge(file, "\"under\": \"policy\"", "\"under\": \"ticket\"");
	assert_int_equal(arc_opens(path, first, doctor), 0);
	extend(path, 2);
	assert_int_equal(arc_opens(path, first, doctor), CLINICAL);
	text = arc_slurp(file, &len);
	assert_non_null(memmem(text, len, "\"ticket\"", 8));
	free(text);
}

static void there_is_nothing_to_extend_without_policies(void **state)
{
	char *path = arc_make("nothing");
	struct chaosimg_archive *a = arc_must_open(path, 0);
	uint32_t n;

	(void)state;
	assert_int_equal(chaosimg_policies_extend(a, NULL, &n), -ENOENT);
	chaosimg_archive_close(a);
}

/* --- who opens them -------------------------------------------------------- */

static void two_users_are_not_one(void **state)
{
	char *path = arc_make("two");
	struct chaosimg_user *eve;
	uint8_t id[CHAOSIMG_ID_SIZE];

	(void)state;
	set(path, "radiologist@hospital AND licensed@board", NULL, NULL, id);
	eve = arc_user(secret_of(BOARD), "eve", "licensed");
	assert_int_equal(arc_opens(path, id, doctor), 0);
	assert_int_equal(arc_opens(path, id, eve), 0);
	chaosimg_user_free(eve);
	/* One by another authority's hand is not the hospital's. */
	eve = arc_user(secret_of(IMPOSTOR), "eve", "radiologist");
	set(path, "radiologist@hospital", NULL, NULL, id);
	assert_int_equal(arc_opens(path, id, eve), 0);
	chaosimg_user_free(eve);
}

/* Text after @mark, of up to @size bytes, to the next quotation mark. */
static void cut(const char *file, const char *mark, char *out, size_t size)
{
	size_t len;
	char *text = arc_slurp(file, &len), *at;

	text[len] = '\0';
	at = strstr(text, mark);
	assert_non_null(at);
	at += strlen(mark);
	len = strcspn(at, "\"");
	assert_true(len < size);
	memcpy(out, at, len);
	out[len] = '\0';
	free(text);
}

static void a_wrap_belongs_to_its_keyset(void **state)
{
	static const char mark[] = "\"clinical\", \"key\": \"";
	static char mine[8192], other[8192];
	char *path = arc_make("place");
	uint8_t id[2][CHAOSIMG_ID_SIZE];
	unsigned int held;

	(void)state;
	set(path, "radiologist@hospital", NULL, "radiologist@hospital", id[0]);
	set(path, "radiologist@hospital", NULL, NULL, id[1]);
	cut(keyset_file(path, id[0]), mark, mine, sizeof(mine));
	cut(keyset_file(path, id[1]), mark, other, sizeof(other));
	arc_forge(keyset_file(path, id[1]), other, mine);
	assert_int_equal(chaosimg_keyset_opens(path, id[1], doctor, &held),
			 -EBADMSG);
	assert_non_null(strstr(chaosimg_errmsg(), "keysets/"));
	/* Nor is it another compartment's. */
	cut(keyset_file(path, id[0]), "\"pixels\", \"key\": \"", other,
	    sizeof(other));
	arc_forge(keyset_file(path, id[0]), other, mine);
	assert_int_equal(chaosimg_keyset_opens(path, id[0], doctor, &held),
			 -EBADMSG);
	/* To whom it does not open it does not matter. */
	assert_int_equal(arc_opens(path, id[0], clerk), 0);
}

static void damage_is_noticed(void **state)
{
	static const char *const changes[][2] = {
		{ "\"key\": \"63", "\"key\": \"73" },
		{ "\"key\": \"", "\"kex\": \"" },
		{ "\"clinical\", \"key\"", "\"clinicul\", \"key\"" },
	};
	char *path = arc_make("damage"), *text, *file;
	uint8_t id[CHAOSIMG_ID_SIZE];
	unsigned int held;
	size_t len, i;

	(void)state;
	set(path, "radiologist@hospital", NULL, NULL, id);
	file = keyset_file(path, id);
	text = arc_slurp(file, &len);
	for (i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		arc_forge(file, changes[i][0], changes[i][1]);
		assert_int_equal(chaosimg_keyset_opens(path, id, doctor, &held),
				 -EBADMSG);
		assert_int_equal(held, 0);
		/* It is none of the archive key's business. */
		assert_int_equal(arc_try_open(path, arc_key, 0), 0);
		arc_spit(file, text, len);
	}
	free(text);
}

/* --- limits ---------------------------------------------------------------- */

/* Sixty-four attributes of 32 authorities with the longest names there are. */
static char *largest_policy(char letter)
{
	static char text[POLICY_TEXT_MAX + 1];
	char name[32];
	size_t at = 0;
	int i;

	for (i = 0; i < CHAOSIMG_POLICY_LEAVES_MAX; i++) {
		snprintf(name, sizeof(name), "a%02d", i % 32);
		at += (size_t)snprintf(text + at, sizeof(text) - at,
				       "%s%c%054d@%s", i ? " AND " : "", letter,
				       i, name);
	}
	assert_true(at > 3900 && at < sizeof(text));
	return text;
}

static void make_many(struct chaosimg_authority *all[32])
{
	char *public = arc_in_top("many.public"), *secret = arc_in_top("many");
	char name[32];
	int i;

	for (i = 0; i < 32; i++) {
		snprintf(name, sizeof(name), "a%02d", i);
		assert_int_equal(chaosimg_authority_create(name, secret, public),
				 0);
		assert_int_equal(chaosimg_authority_read(public, &all[i]), 0);
		unlink(public);
		unlink(secret);
	}
}

static void the_largest_policies_fit(void **state)
{
	struct chaosimg_authority *all[32];
	char *path = arc_make("largest");
	struct chaosimg_archive *a = arc_must_open(path, 0);
	struct chaosimg_policy *p[3];
	struct chaosimg_policies_change c = {
		.set = 7, .authority = (const void *)all, .authorities = 32,
	};
	uint8_t id[CHAOSIMG_ID_SIZE];
	uint32_t n;
	int i;

	(void)state;
	make_many(all);
	for (i = 0; i < 3; i++) {
		assert_int_equal(chaosimg_policy_parse(largest_policy("xyz"[i]),
						       &p[i]), 0);
		c.policy[i] = p[i];
	}
	if (chaosimg_policies_set(a, &c, id))
		fail_msg("%s", chaosimg_errmsg());
	assert_int_equal(chaosimg_policies_extend(a, NULL, &n), 0);
	assert_int_equal(n, 2);
	assert_true(size_of(keyset_file(path, id)) > 400000);
	assert_int_equal(arc_opens(path, id, doctor), 0);
	chaosimg_archive_close(a);
	assert_int_equal(arc_try_open(path, arc_key, 0), 0);
	for (i = 0; i < 3; i++)
		chaosimg_policy_free(p[i]);
	for (i = 0; i < 32; i++)
		chaosimg_authority_free(all[i]);
}

static int set_in_want(const char *path)
{
	const char *const text[3] = { "clerk@hospital", NULL, NULL };
	struct chaosimg_archive *a;
	int ret = chaosimg_archive_open(path, arc_key, CHAOSIMG_ARCHIVE_NOLOCK,
					&a);

	return ret ? ret : try_set(a, text, HOSPITAL, IMPOSTOR, NULL);
}

static void a_change_that_fails_leaves_nothing(void **state)
{
	char *path = arc_make("want");
	struct chaosimg_archive *a = arc_must_open(path, 0);
	uint64_t before;
	int i;

	(void)state;
	/* So that the configuration is larger than the keyset. */
	for (i = 0; i < 40; i++)
		assert_int_equal(chaosimg_slot_add(a, arc_other_key, NULL), 0);
	chaosimg_archive_close(a);
	set(path, "radiologist@hospital", NULL, NULL, NULL);
	before = arc_digest_of(arc_config_file(path));
	/* No room for the keyset; then for it, but not for what names it. */
	assert_int_equal(arc_in_want(set_in_want, path, 100), -EFBIG);
	assert_int_equal(arc_in_want(set_in_want, path,
				     size_of(arc_config_file(path)) - 100),
			 -EFBIG);
	assert_true(arc_digest_of(arc_config_file(path)) == before);
	assert_policies(path, "radiologist@hospital", "", "", 1);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(new_keysets_are_under_the_policies),
		cmocka_unit_test(policies_come_and_go),
		cmocka_unit_test(only_known_authorities_are_named),
		cmocka_unit_test(nobody_changes_them_without_the_key),
		cmocka_unit_test(there_is_one_text_of_them),
		cmocka_unit_test(older_keysets_are_wrapped_on_demand),
		cmocka_unit_test(foreign_wraps_stay),
		cmocka_unit_test(there_is_nothing_to_extend_without_policies),
		cmocka_unit_test(two_users_are_not_one),
		cmocka_unit_test(a_wrap_belongs_to_its_keyset),
		cmocka_unit_test(damage_is_noticed),
		cmocka_unit_test(the_largest_policies_fit),
		cmocka_unit_test(a_change_that_fails_leaves_nothing),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
