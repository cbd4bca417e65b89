// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Keys under policies as they were made once have to open for ever. With
 * ABE_NEW_VECTORS=FILE it writes new ones there, for tests/abe-model.t.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <json-c/json.h>

#include "abe.h"
#include "archive.h"
#include "hex.h"

#define VECTORS	"tests/vectors/abe.json"

enum { COUNT = 4 };

static uint8_t *bytes(json_object *o, const char *name, size_t *len)
{
	json_object *m;
	uint8_t *out;

	assert_true(json_object_object_get_ex(o, name, &m));
	*len = strlen(json_object_get_string(m)) / 2;
	out = malloc(*len + 1);
	assert_true(hex_decode(json_object_get_string(m), out, *len));
	return out;
}

static void one_opens(json_object *o, const char *policy)
{
	size_t user_len, context_len, len, key_len;
	uint8_t *user = bytes(o, "user", &user_len);
	uint8_t *context = bytes(o, "context", &context_len);
	uint8_t *ciphertext = bytes(o, "ciphertext", &len);
	uint8_t *key = bytes(o, "key", &key_len), got[CHAOSIMG_KEY_SIZE];
	struct chaosimg_policy *p;
	struct chaosimg_user *u;

	assert_int_equal(abe_user_decode("vector", user, user_len, &u), 0);
	assert_int_equal(chaosimg_user_verify(u), 0);
	assert_int_equal(chaosimg_policy_of(ciphertext, len, &p), 0);
	assert_string_equal(chaosimg_policy_text(p), policy);
	assert_int_equal(chaosimg_policy_decapsulate(u, ciphertext, len,
						     context, context_len, got),
			 0);
	assert_int_equal(key_len, sizeof(got));
	assert_memory_equal(got, key, sizeof(got));
	chaosimg_policy_free(p);
	chaosimg_user_free(u);
	free(key);
	free(ciphertext);
	free(context);
	free(user);
}

/* The user has a and c of one, and d of two. */
static const char *const policies[COUNT] = {
	"a@one",
	"b@two OR (a@one AND c@one)",
	"2 OF (a@one, b@two AND c@one, b@two OR c@one, e@two)",
	"3 OF (b@two, a@one, e@two, c@one, d@two) AND 1-a:b+c/d=e_f.g@three",
};

static void those_of_then_open_now(void **state)
{
	json_object *all = json_object_from_file(VECTORS);
	size_t i;

	(void)state;
	assert_non_null(all);
	assert_int_equal(json_object_array_length(all), COUNT);
	for (i = 0; i < COUNT; i++)
		one_opens(json_object_array_get_idx(all, i), policies[i]);
	json_object_put(all);
}

/* --- new ones -------------------------------------------------------------- */

static void must(int ret)
{
	if (ret)
		fail_msg("%s", chaosimg_errmsg());
}

static void add_hex(json_object *o, const char *name, const void *in,
		    size_t len)
{
	char *hex = malloc(2 * len + 1);

	hex_encode(in, len, hex);
	json_object_object_add(o, name, json_object_new_string(hex));
	free(hex);
}

static struct chaosimg_user *
new_user(const struct chaosimg_authority *authority[3])
{
	static const char *const names[] = { "one", "two", "three" };
	static const char *const one[] = { "a", "c" };
	static const char *const two[] = { "d" };
	static const char *const three[] = { "1-a:b+c/d=e_f.g" };
	static const char *const *const lists[] = { one, two, three };
	static const char *const issued[] = { "i0", "i1", "i2" };
	struct chaosimg_authority *a;
	struct chaosimg_user *u;
	int i;

	for (i = 0; i < 3; i++) {
		unlink("s");
		unlink("p");
		must(chaosimg_authority_create(names[i], "s", "p"));
		must(chaosimg_authority_read("p", &a));
		authority[i] = a;
		must(chaosimg_authority_issue("s", "J\xc3\xb6rg <j@example.org>",
					      lists[i], i ? 1 : 2, issued[i]));
	}
	must(chaosimg_user_merge("user", issued, 3));
	must(chaosimg_user_read("user", &u));
	return u;
}

static json_object *new_vector(const struct chaosimg_user *u,
			       const struct chaosimg_authority **authority,
			       const char *text)
{
	json_object *o = json_object_new_object();
	uint8_t key[CHAOSIMG_KEY_SIZE], *out;
	struct chaosimg_policy *p;
	size_t len;

	must(chaosimg_policy_parse(text, &p));
	must(chaosimg_policy_encapsulate(p, authority, 3, text, strlen(text),
					 key, &out, &len));
	add_hex(o, "context", text, strlen(text));
	add_hex(o, "key", key, sizeof(key));
	add_hex(o, "ciphertext", out, len);
	free(out);
	must(abe_user_encode(u, &out, &len));
	add_hex(o, "user", out, len);
	secret_free(out);
	chaosimg_policy_free(p);
	return o;
}

static void new_ones_are_written(void **state)
{
	const struct chaosimg_authority *authority[3];
	const char *path = getenv("ABE_NEW_VECTORS");
	char top[] = "/tmp/chaosimg-abe.XXXXXX";
	json_object *all = json_object_new_array();
	struct chaosimg_user *u;
	int i;

	(void)state;
	assert_non_null(mkdtemp(top));
	assert_int_equal(chdir(top), 0);
	u = new_user(authority);
	for (i = 0; i < COUNT; i++)
		json_object_array_add(all, new_vector(u, authority,
						      policies[i]));
	assert_int_equal(json_object_to_file_ext(path, all,
				JSON_C_TO_STRING_PRETTY), 0);
	json_object_put(all);
	chaosimg_user_free(u);
	for (i = 0; i < 3; i++)
		chaosimg_authority_free((void *)authority[i]);
	assert_int_equal(system("rm s p i0 i1 i2 user && rmdir \"$PWD\""), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(those_of_then_open_now),
	};
	const struct CMUnitTest making[] = {
		cmocka_unit_test(new_ones_are_written),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	if (getenv("ABE_NEW_VECTORS"))
		return cmocka_run_group_tests(making, NULL, NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
