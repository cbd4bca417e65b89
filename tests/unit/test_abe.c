// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Keys under policies: who satisfies a policy gets the key, nobody else does,
 * also not two together; and no changed ciphertext is taken.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <xxhash.h>

#include "abe.h"
#include "abe_env.h"
#include "archive.h"
#include "bytes.h"
#include "rng.h"

enum { ONE, TWO, THREE, AUTHORITIES };
static const char *const names[] = { "one", "two", "three" };
static const struct chaosimg_authority *authority[AUTHORITIES];
static char top[] = "/tmp/chaosimg-abe.XXXXXX";
static const char context[] = "a context";

/* Several at once, each valid until some more were asked for. */
static const char *in_top(const char *name)
{
	static char path[64][128];
	static unsigned int turn;
	char *out = path[turn++ % 64];

	snprintf(out, sizeof(path[0]), "%s/%s", top, name);
	return out;
}

static const char *secret_of(unsigned int a)
{
	char name[32];

	snprintf(name, sizeof(name), "%s.secret", names[a]);
	return in_top(name);
}

/* "alice@one": what that authority issued to her, for these letters. */
static const char *issue(const char *user, unsigned int a, uint32_t letters)
{
	char text[ABE_LETTERS][2], name[64];
	const char *list[ABE_LETTERS];
	unsigned int i, n = 0;

	for (i = 0; i < ABE_LETTERS; i++) {
		if (i % AUTHORITIES != a || !(letters >> i & 1))
			continue;
		text[n][0] = (char)('a' + i);
		text[n][1] = '\0';
		list[n] = text[n];
		n++;
	}
	if (!n)
		return NULL;
	snprintf(name, sizeof(name), "%s@%s", user, names[a]);
	unlink(in_top(name));
	if (chaosimg_authority_issue(secret_of(a), user, list, n, in_top(name)))
		fail_msg("%s", chaosimg_errmsg());
	return in_top(name);
}

/* A user with these letters, from whichever authorities that takes. */
static struct chaosimg_user *new_user(const char *name, uint32_t letters)
{
	const char *issued[AUTHORITIES], *path = in_top("merged");
	struct chaosimg_user *u = NULL;
	unsigned int a, n = 0;

	unlink(path);
	for (a = 0; a < AUTHORITIES; a++) {
		issued[n] = issue(name, a, letters);
		n += issued[n] ? 1 : 0;
	}
	assert_int_equal(chaosimg_user_merge(path, issued, n), 0);
	if (chaosimg_user_read(path, &u))
		fail_msg("%s", chaosimg_errmsg());
	assert_string_equal(chaosimg_user_name(u), name);
	return u;
}

static int group_setup(void **state)
{
	unsigned int i;

	(void)state;
	if (!mkdtemp(top))
		return -1;
	for (i = 0; i < AUTHORITIES; i++) {
		struct chaosimg_authority *a;
		char name[32];

		snprintf(name, sizeof(name), "%s.public", names[i]);
		if (chaosimg_authority_create(names[i], secret_of(i),
					      in_top(name)) ||
		    chaosimg_authority_read(in_top(name), &a))
			return -1;
		authority[i] = a;
	}
	return 0;
}

static int group_teardown(void **state)
{
	char command[64];
	unsigned int i;

	(void)state;
	for (i = 0; i < AUTHORITIES; i++)
		chaosimg_authority_free((void *)authority[i]);
	snprintf(command, sizeof(command), "rm -rf %s", top);
	return system(command);
}

/**
 * struct sealed - a key under a policy
 * @key: the key
 * @bytes: the ciphertext
 * @len: its length
 */
struct sealed {
	uint8_t key[CHAOSIMG_KEY_SIZE];
	uint8_t *bytes;
	size_t len;
};

static void seal_text(const char *text, struct sealed *s)
{
	struct chaosimg_policy *p;

	if (chaosimg_policy_parse(text, &p))
		fail_msg("%s: %s", text, chaosimg_errmsg());
	if (chaosimg_policy_encapsulate(p, authority, AUTHORITIES, context,
					sizeof(context), s->key, &s->bytes,
					&s->len))
		fail_msg("%s: %s", text, chaosimg_errmsg());
	chaosimg_policy_free(p);
}

static int open_sealed(const struct chaosimg_user *u, const struct sealed *s,
		       uint8_t key[CHAOSIMG_KEY_SIZE])
{
	return chaosimg_policy_decapsulate(u, s->bytes, s->len, context,
					   sizeof(context), key);
}

static bool opens(const struct chaosimg_user *u, const struct sealed *s)
{
	uint8_t key[CHAOSIMG_KEY_SIZE], none[CHAOSIMG_KEY_SIZE] = { 0 };
	int ret = open_sealed(u, s, key);

	if (!ret) {
		assert_memory_equal(key, s->key, sizeof(key));
		return true;
	}
	assert_int_equal(ret, -EACCES);
	assert_memory_equal(key, none, sizeof(key));
	return false;
}

static void forged_sum(struct sealed *s)
{
	put_le64(s->bytes + s->len - ABE_SUM,
		 XXH3_64bits(s->bytes, s->len - ABE_SUM));
}

/* --- who gets the key ------------------------------------------------------ */

static const struct {
	const char *text;
	const char *letters;
	bool opens;
} cases[] = {
	{ "a@one", "a", true },
	{ "a@one", "b", false },
	{ "a@one AND b@two AND c@three", "abc", true },
	{ "a@one AND b@two AND c@three", "ab", false },
	{ "a@one OR b@two", "b", true },
	{ "2 OF (a@one, b@two, c@three)", "ac", true },
	{ "2 OF (a@one, b@two, c@three)", "c", false },
	{ "3 OF (a@one, b@two, c@three, d@one, e@two)", "bde", true },
	{ "(a@one AND b@two) OR (a@one AND c@three)", "ac", true },
	{ "2 OF (a@one AND b@two, 2 OF (a@one, c@three, d@one), e@two)",
	  "abd", true },
	{ "2 OF (a@one AND b@two, 2 OF (a@one, c@three, d@one), e@two)",
	  "bcde", true },
	{ "2 OF (a@one AND b@two, 2 OF (a@one, c@three, d@one), e@two)",
	  "bce", false },
};

static void every_form_opens_to_whom_it_says(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct chaosimg_user *u;
		uint32_t letters = 0;
		struct sealed s;
		const char *c;

		for (c = cases[i].letters; *c; c++)
			letters |= UINT32_C(1) << (*c - 'a');
		u = new_user("alice", letters);
		seal_text(cases[i].text, &s);
		assert_int_equal(opens(u, &s), cases[i].opens);
		free(s.bytes);
		chaosimg_user_free(u);
	}
}

/* A user with another one's keys beside his own, as an attacker would try. */
static void add_keys(struct chaosimg_user *u, const struct chaosimg_user *from)
{
	unsigned int i, j;

	for (i = 0; i < from->attributes; i++) {
		struct abe_attribute *to = &u->attribute[u->attributes];

		for (j = 0; j < u->attributes; j++)
			if (!strcmp(u->attribute[j].name,
				    from->attribute[i].name))
				break;
		if (j < u->attributes)
			continue;
		*to = from->attribute[i];
		for (j = 0; j < u->authorities; j++)
			if (!strcmp(u->authority[j]->name,
				    from->authority[to->authority]->name))
				break;
		assert_in_range(j, 0, u->authorities - 1);
		to->authority = j;
		u->attributes++;
	}
}

/* All three authorities, and room for all letters. */
static struct chaosimg_user *colluders(const char *name, uint32_t letters)
{
	struct chaosimg_user *u = new_user(name, letters | 7);
	struct abe_attribute *room;
	unsigned int i, n = 0;

	room = secret_alloc(2 * ABE_LETTERS * sizeof(*room));
	assert_non_null(room);
	for (i = 0; i < u->attributes; i++)
		if (letters >> (u->attribute[i].name[0] - 'a') & 1)
			room[n++] = u->attribute[i];
	secret_free(u->attribute);
	u->attribute = room;
	u->attributes = n;
	return u;
}

/*
 * Random policies; alice and bob with random attributes. Each opens what the
 * model says. If neither does, but both sets together would, then their keys
 * in one hand do not open it, under either name.
 */
static void users_open_what_is_theirs_and_do_not_add_up(void **state)
{
	const char *many = getenv("ABE_POLICIES");
	unsigned int n = many ? (unsigned int)atoi(many) : 40, tried = 0;
	static char text[1 << 16];
	uint64_t seed = 381;

	(void)state;
	while (n) {
		uint32_t letters[2] = { (uint32_t)rng_below(&seed, 1024),
					(uint32_t)rng_below(&seed, 1024) };
		struct abe_tree *t = abe_tree_new(&seed, 2);
		struct chaosimg_user *u[2];
		bool can[2], together;
		struct sealed s;
		int i;

		text[0] = '\0';
		abe_tree_text(t, &seed, text, sizeof(text));
		can[0] = abe_tree_holds(t, letters[0]);
		can[1] = abe_tree_holds(t, letters[1]);
		together = abe_tree_holds(t, letters[0] | letters[1]);
		abe_tree_free(t);
		/* Those where the keys would have to be put together. */
		if (n % 2 && (can[0] || can[1] || !together))
			continue;
		n--;
		seal_text(text, &s);
		u[0] = colluders("alice", letters[0]);
		u[1] = colluders("bob", letters[1]);
		for (i = 0; i < 2; i++)
			assert_int_equal(opens(u[i], &s), can[i]);
		if (together && !can[0] && !can[1]) {
			uint8_t key[CHAOSIMG_KEY_SIZE];

			add_keys(u[0], u[1]);
			assert_int_equal(open_sealed(u[0], &s, key), -EBADMSG);
			u[0]->hash = u[1]->hash;
			assert_int_equal(open_sealed(u[0], &s, key), -EBADMSG);
			tried++;
		}
		chaosimg_user_free(u[0]);
		chaosimg_user_free(u[1]);
		free(s.bytes);
	}
	assert_in_range(tried, 10, 1000000);
}

/* The same name and attribute, by another authority of the same name. */
static void an_impostor_issues_nothing_of_use(void **state)
{
	const char *attribute = "a", *path = in_top("forged");
	struct chaosimg_authority *impostor;
	const struct chaosimg_authority *both[2];
	struct chaosimg_user *u;
	struct chaosimg_policy *p;
	struct sealed s;
	uint8_t key[CHAOSIMG_KEY_SIZE];

	(void)state;
	assert_int_equal(chaosimg_authority_create("one", in_top("i.secret"),
						   in_top("i.public")), 0);
	assert_int_equal(chaosimg_authority_read(in_top("i.public"),
						 &impostor), 0);
	assert_int_equal(chaosimg_authority_issue(in_top("i.secret"), "alice",
						  &attribute, 1, path), 0);
	assert_int_equal(chaosimg_user_read(path, &u), 0);
	assert_int_equal(chaosimg_user_verify(u), 0);
	seal_text("a@one", &s);
	assert_false(opens(u, &s));
	/* And if the user says that the key is the real one's. */
	*u->authority[0] = *authority[ONE];
	assert_int_equal(chaosimg_user_verify(u), -EBADMSG);
	assert_int_equal(open_sealed(u, &s, key), -EBADMSG);
	/* Both at once is a mistake, whichever is meant. */
	both[0] = authority[ONE];
	both[1] = impostor;
	free(s.bytes);
	assert_int_equal(chaosimg_policy_parse("a@one", &p), 0);
	assert_int_equal(chaosimg_policy_encapsulate(p, both, 2, NULL, 0, key,
						     &s.bytes, &s.len),
			 -EINVAL);
	assert_non_null(strstr(chaosimg_errmsg(), "two authorities"));
	assert_int_equal(chaosimg_policy_encapsulate(p, &authority[TWO], 2,
						     NULL, 0, key, &s.bytes,
						     &s.len), -ENOENT);
	assert_non_null(strstr(chaosimg_errmsg(), "column 1: a@one"));
	chaosimg_policy_free(p);
	chaosimg_user_free(u);
	chaosimg_authority_free(impostor);
}

/* --- what was changed ------------------------------------------------------ */

/* Every byte, with the checksum left wrong and made right. */
static void no_changed_byte_is_taken(void **state)
{
	/* The second leaf is not the user's, and not needed. */
	struct chaosimg_user *u = new_user("alice", 1);
	struct sealed s;
	uint8_t key[CHAOSIMG_KEY_SIZE], none[CHAOSIMG_KEY_SIZE] = { 0 };
	uint64_t seed = 7;
	size_t i;

	(void)state;
	seal_text("a@one OR b@two", &s);
	assert_true(opens(u, &s));
	for (i = 0; i < s.len; i++) {
		uint8_t bit = (uint8_t)(1u << rng_below(&seed, 8));
		int ret;

		s.bytes[i] ^= bit;
		ret = open_sealed(u, &s, key);
		assert_true(ret == -EBADMSG || ret == -EPROTONOSUPPORT);
		assert_memory_equal(key, none, sizeof(key));
		if (i < s.len - ABE_SUM)
			forged_sum(&s);
		ret = open_sealed(u, &s, key);
		if (ret != -EBADMSG && ret != -EPROTONOSUPPORT &&
		    ret != -EACCES)
			fail_msg("byte %zu of %zu: %d", i, s.len, ret);
		assert_memory_equal(key, none, sizeof(key));
		s.bytes[i] ^= bit;
		forged_sum(&s);
	}
	assert_true(opens(u, &s));
	free(s.bytes);
	chaosimg_user_free(u);
}

static void no_other_length_is_taken(void **state)
{
	struct chaosimg_user *u = new_user("alice", 1);
	struct sealed s;
	uint8_t key[CHAOSIMG_KEY_SIZE];
	size_t len;

	(void)state;
	seal_text("a@one", &s);
	len = s.len;
	for (s.len = 0; s.len < len; s.len++) {
		/* A copy, so that a sanitizer sees what is read behind it. */
		struct sealed cut = s;

		cut.bytes = malloc(s.len ? s.len : 1);
		memcpy(cut.bytes, s.bytes, s.len);
		if (cut.len >= ABE_FRAME) {
			put_le32(cut.bytes + 12,
				 (uint32_t)(cut.len - ABE_FRAME));
			forged_sum(&cut);
		}
		assert_int_equal(open_sealed(u, &cut, key), -EBADMSG);
		free(cut.bytes);
	}
	s.bytes = realloc(s.bytes, len + 1);
	s.len = len + 1;
	put_le32(s.bytes + 12, (uint32_t)(s.len - ABE_FRAME));
	s.bytes[len - ABE_SUM] = 0;
	forged_sum(&s);
	assert_int_equal(open_sealed(u, &s, key), -EBADMSG);
	free(s.bytes);
	chaosimg_user_free(u);
}

static void another_context_is_refused(void **state)
{
	struct chaosimg_user *u = new_user("alice", 1);
	uint8_t key[CHAOSIMG_KEY_SIZE];
	struct sealed s;

	(void)state;
	seal_text("a@one", &s);
	assert_int_equal(chaosimg_policy_decapsulate(u, s.bytes, s.len,
						     "another", 7, key),
			 -EBADMSG);
	assert_int_equal(chaosimg_policy_decapsulate(u, s.bytes, s.len, NULL,
						     0, key), -EBADMSG);
	assert_true(opens(u, &s));
	free(s.bytes);
	chaosimg_user_free(u);
}

/*
 * A ciphertext of the underlying scheme that opens to a seed, but was not made
 * with the coins that this seed gives: all its numbers are shifted, so every
 * pairing equation holds as before.
 */
static void other_coins_are_refused(void **state)
{
	struct chaosimg_user *u = new_user("alice", 1);
	struct abe_coins *coins = secret_alloc(sizeof(*coins));
	uint8_t *rows, gt[2][ABE_GT], key[CHAOSIMG_KEY_SIZE];
	const struct abe_attribute *mine = &u->attribute[0];
	const struct abe_attribute *none[1] = { NULL };
	struct share_plan plan = {
		.leaf = { { .used = true, .small = 1 } }, .whole = true,
	};
	struct chaosimg_policy *p;
	struct sealed s;

	(void)state;
	seal_text("a@one", &s);
	rows = s.bytes + s.len - ABE_SUM - ABE_ROW;
	assert_int_equal(abe_unmask(u, &mine, &plan, 1, rows, gt[0]), 0);
	/* The same row times one for the secret 0 with another t. */
	assert_int_equal(chaosimg_policy_parse("a@one", &p), 0);
	assert_int_equal(scalar_random(&coins->t[0]), 0);
	{
		uint8_t other[ABE_ROW];
		blst_p1_affine a1;
		blst_p2_affine a2;
		blst_fp12 f, g;
		blst_p1 c;
		blst_p2 c4;
		int i;

		assert_int_equal(abe_rows(p, authority, none, coins,
					  other), 0);
		assert_true(gt_read(&f, rows));
		assert_true(gt_read(&g, other));
		blst_fp12_mul(&f, &f, &g);
		gt_write(rows, &f);
		for (i = 0; i < 2; i++) {
			size_t at = ABE_GT + (size_t)i * ABE_G1;

			assert_true(g1_read(&a1, rows + at));
			blst_p1_from_affine(&c, &a1);
			assert_true(g1_read(&a1, other + at));
			blst_p1_add_or_double_affine(&c, &c, &a1);
			g1_write(rows + at, &c);
		}
		assert_true(g2_read(&a2, rows + ABE_GT + 2 * ABE_G1));
		blst_p2_from_affine(&c4, &a2);
		assert_true(g2_read(&a2, other + ABE_GT + 2 * ABE_G1));
		blst_p2_add_or_double_affine(&c4, &c4, &a2);
		g2_write(rows + ABE_GT + 2 * ABE_G1, &c4);
	}
	forged_sum(&s);
	assert_int_equal(abe_unmask(u, &mine, &plan, 1, rows, gt[1]), 0);
	assert_memory_equal(gt[0], gt[1], ABE_GT);
	assert_int_equal(open_sealed(u, &s, key), -EBADMSG);
	free(s.bytes);
	chaosimg_policy_free(p);
	secret_free(coins);
	chaosimg_user_free(u);
}

static void the_policy_can_be_read_without_a_key(void **state)
{
	struct chaosimg_policy *p;
	struct sealed s;

	(void)state;
	seal_text("a@one and(b@two)", &s);
	assert_int_equal(chaosimg_policy_of(s.bytes, s.len, &p), 0);
	assert_string_equal(chaosimg_policy_text(p), "a@one AND b@two");
	assert_string_equal(chaosimg_policy_attribute(p, 1), "b@two");
	assert_null(chaosimg_policy_attribute(p, 2));
	chaosimg_policy_free(p);
	s.bytes[20] ^= 1;
	assert_int_equal(chaosimg_policy_of(s.bytes, s.len, &p), -EBADMSG);
	free(s.bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_form_opens_to_whom_it_says),
		cmocka_unit_test(users_open_what_is_theirs_and_do_not_add_up),
		cmocka_unit_test(an_impostor_issues_nothing_of_use),
		cmocka_unit_test(no_changed_byte_is_taken),
		cmocka_unit_test(no_other_length_is_taken),
		cmocka_unit_test(another_context_is_refused),
		cmocka_unit_test(other_coins_are_refused),
		cmocka_unit_test(the_policy_can_be_read_without_a_key),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
