// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Access policies: what is read and how, what is refused and where; whom they
 * let in; and that shares along their tree give the secret to those, and
 * nothing to anybody else.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "abe.h"
#include "abe_env.h"
#include "rng.h"

static struct chaosimg_policy *must_parse(const char *text)
{
	struct chaosimg_policy *p = NULL;

	if (chaosimg_policy_parse(text, &p))
		fail_msg("%s: %s", text, chaosimg_errmsg());
	return p;
}

/* --- reading --------------------------------------------------------------- */

static const struct {
	const char *text;
	const char *form;
} forms[] = {
	{ "a@x", "a@x" },
	{ " ( ( a@x ) ) ", "a@x" },
	{ "a@x and b@y", "a@x AND b@y" },
	{ "a@x AND b@y OR c@z", "(a@x AND b@y) OR c@z" },
	{ "a@x AND (b@y OR c@z)", "a@x AND (b@y OR c@z)" },
	{ "(a@x AND b@y) AND c@z", "a@x AND b@y AND c@z" },
	{ "a@x OR (b@y OR (c@z OR d@z))", "a@x OR b@y OR c@z OR d@z" },
	{ "2 OF (a@x, b@x, c@x)", "2 OF (a@x, b@x, c@x)" },
	{ "3of@x", "3of@x" },
	{ "3 OF (a@x, b@x, c@x)", "a@x AND b@x AND c@x" },
	{ "1 of(a@x,b@x)", "a@x OR b@x" },
	{ "1 OF (a@x)", "a@x" },
	{ "1 OF (1 OF (a@x AND b@x)) AND c@x", "a@x AND b@x AND c@x" },
	{ "2 OF (a@x OR b@x, c@x AND d@x, 2 OF (a@x, b@y, c@z))",
	  "2 OF (a@x OR b@x, c@x AND d@x, 2 OF (a@x, b@y, c@z))" },
	{ "and@or OR of@and", "and@or OR of@and" },
	{ "CT:head/neck+contrast=yes@dept_1.example-org",
	  "CT:head/neck+contrast=yes@dept_1.example-org" },
};

static void forms_are_read(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		struct chaosimg_policy *p = must_parse(forms[i].text);

		assert_string_equal(chaosimg_policy_text(p), forms[i].form);
		chaosimg_policy_free(p);
	}
}

static const struct {
	const char *text;
	const char *said;
} wrong[] = {
	{ "", "column 1: there is no policy" },
	{ " \n", "column 1: there is no policy" },
	{ "a@x AND", "column 8: an attribute as name@authority is missing at the end" },
	{ "a@x b@x", "column 5: \"AND\" or \"OR\" is expected, not \"b@x\"" },
	{ "a AND b@x", "column 1: an attribute as name@authority is expected, not \"a\"" },
	{ "@x", "column 1: no attribute before the \"@\"" },
	{ "a@x OR a@", "column 9: no authority after the \"@\"" },
	{ "a@x@y", "column 3: not an authority's name" },
	{ "a\xc3\xa4@y", "column 1: not an attribute's name" },
	{ "(a@x", "column 5: \")\" is missing at the end" },
	{ "a@x)", "column 4: \"AND\" or \"OR\" is expected, not \")\"" },
	{ "()", "column 2: an attribute as name@authority is expected" },
	{ "0 OF (a@x, b@x)", "column 1: of 2, 1 to 2 can be asked for" },
	{ "a@x AND 3 OF (a@x, b@x)", "column 9: of 2, 1 to 2 can be asked for" },
	{ "99999999999999999999 OF (a@x, b@x)", "of 2, 1 to 2" },
	{ "4294967297 OF (a@x, b@x)", "of 2, 1 to 2" },
	{ "-1 OF (a@x, b@x)", "column 1: an attribute" },
	{ "2 OF a@x", "column 6: \"(\" is expected, not \"a@x\"" },
	{ "2 (a@x, b@x)", "column 3: \"OF\" is expected, not \"(\"" },
	{ "2 OF ()", "column 7: an attribute" },
	{ "2 OF (a@x,)", "column 11: an attribute" },
	{ "2 OF (a@x b@x)", "column 11: \",\" or \")\" is expected" },
	{ "a@x, b@x", "column 4: \"AND\" or \"OR\" is expected, not \",\"" },
	{ "NOT a@x", "column 1: an attribute as name@authority is expected, not \"NOT\"" },
	{ "a@x AND OR b@x", "column 9: an attribute" },
	{ "2", "column 2: \"OF\" is missing at the end" },
};

static void errors_are_placed(void **state)
{
	struct chaosimg_policy *p;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		p = NULL;
		assert_int_equal(chaosimg_policy_parse(wrong[i].text, &p),
				 -EINVAL);
		assert_null(p);
		if (!strstr(chaosimg_errmsg(), wrong[i].said))
			fail_msg("%s: %s", wrong[i].text, chaosimg_errmsg());
		assert_null(strchr(chaosimg_errmsg(), '\n'));
	}
}

static void repeat(char *out, const char *what, unsigned int n)
{
	while (n--)
		out += sprintf(out, "%s", what);
}

/* One more than may be is refused; as many as may be are not. */
static void limits_hold(void **state)
{
	char text[2 * POLICY_TEXT_MAX], name[80] = "";
	struct chaosimg_policy *p;
	unsigned int i;

	(void)state;
	for (i = 0; i < 2; i++) {
		repeat(text, "a@x OR ", POLICY_LEAVES_MAX - 1 + i);
		strcat(text, "a@x");
		assert_int_equal(chaosimg_policy_parse(text, &p),
				 i ? -EINVAL : 0);
		if (!i)
			chaosimg_policy_free(p);
		repeat(text, "(", POLICY_DEPTH_MAX + i);
		strcat(text, "a@x");
		repeat(text + strlen(text), ")", POLICY_DEPTH_MAX + i);
		assert_int_equal(chaosimg_policy_parse(text, &p),
				 i ? -EINVAL : 0);
		if (!i)
			chaosimg_policy_free(p);
		repeat(name, "n", CHAOSIMG_ATTRIBUTE_MAX + i);
		sprintf(text, "%s@x", name);
		assert_int_equal(chaosimg_policy_parse(text, &p),
				 i ? -EINVAL : 0);
		if (!i)
			chaosimg_policy_free(p);
		sprintf(text, "x@%s", name);
		assert_int_equal(chaosimg_policy_parse(text, &p),
				 i ? -EINVAL : 0);
		if (!i)
			chaosimg_policy_free(p);
		memset(text, ' ', sizeof(text));
		strcpy(text + POLICY_TEXT_MAX - 3 + i, "a@x");
		assert_int_equal(chaosimg_policy_parse(text, &p),
				 i ? -EINVAL : 0);
		if (!i)
			chaosimg_policy_free(p);
	}
	repeat(text, "(", 4000);
	assert_int_equal(chaosimg_policy_parse(text, &p), -EINVAL);
	repeat(text, "1OF(", 1000);
	assert_int_equal(chaosimg_policy_parse(text, &p), -EINVAL);
	repeat(text, "1 OF(", 800);
	assert_int_equal(chaosimg_policy_parse(text, &p), -EINVAL);
}

/* AND within OR needs no brackets, but is printed with some. */
static void what_is_printed_can_be_read(void **state)
{
	char text[POLICY_TEXT_MAX] = "";
	struct chaosimg_policy *p, *again;
	unsigned int i, read = 0;

	(void)state;
	for (i = 0; i < 12; i++) {
		memmove(text + 16, text, strlen(text) + 1);
		memcpy(text, "a@x OR b@x AND (", 16);
		strcat(text, i ? ")" : "c@x)");
		if (chaosimg_policy_parse(text, &p))
			continue;
		read++;
		again = must_parse(chaosimg_policy_text(p));
		assert_string_equal(chaosimg_policy_text(again),
				    chaosimg_policy_text(p));
		chaosimg_policy_free(again);
		chaosimg_policy_free(p);
	}
	assert_in_range(read, 5, 11);
}

static const struct {
	const char *text;
	const char *said;
} odd[] = {
	{ "a@x AND b@x AND a@x", "column 17: a@x stands here a second time" },
	{ "a@x OR a@x", "column 8: a@x stands here a second time" },
	{ "2 OF (a@x, b@x, a@x)", "column 17: a@x stands here" },
	{ "a@x OR (a@x AND b@x)", "column 17: b@x makes no difference" },
	{ "a@x AND (a@x OR b@x)", "column 17: b@x makes no difference" },
	{ "2 OF (a@x OR b@x, a@x OR b@x, c@x AND a@x AND b@x)",
	  "column 31: c@x makes no difference" },
	{ "(a@x AND b@x) OR (a@x AND c@x)", NULL },
	{ "2 OF (a@x AND b@x, a@x OR c@x, d@x)", NULL },
	{ "a@x AND a@y", NULL },
};

static void sense_is_checked(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		struct chaosimg_policy *p = must_parse(odd[i].text);
		int ret = chaosimg_policy_check(p);

		assert_int_equal(ret, odd[i].said ? -EINVAL : 0);
		if (ret && !strstr(chaosimg_errmsg(), odd[i].said))
			fail_msg("%s: %s", odd[i].text, chaosimg_errmsg());
		chaosimg_policy_free(p);
	}
}

/* --- whom it lets in ------------------------------------------------------- */

static bool satisfied(const struct chaosimg_policy *p, uint32_t letters)
{
	char names[ABE_LETTERS][16];
	const char *have[ABE_LETTERS];
	unsigned int i, n = 0;

	for (i = 0; i < ABE_LETTERS; i++) {
		if (!(letters >> i & 1))
			continue;
		strcpy(names[n], abe_attribute_of(i));
		have[n] = names[n];
		n++;
	}
	return chaosimg_policy_satisfied(p, have, n);
}

/* Random policies, also with attributes in several places. */
static void the_model_agrees(void **state)
{
	static char text[1 << 16];
	uint64_t seed = 2015;
	unsigned int i, parsed = 0, held = 0;
	uint32_t letters;

	(void)state;
	for (i = 0; i < 2000; i++) {
		struct abe_tree *t = abe_tree_new(&seed, 3);
		struct chaosimg_policy *p, *again;

		text[0] = '\0';
		abe_tree_text(t, &seed, text, sizeof(text));
		if (chaosimg_policy_parse(text, &p)) {
			assert_non_null(strstr(chaosimg_errmsg(), "more than"));
			abe_tree_free(t);
			continue;
		}
		parsed++;
		again = must_parse(chaosimg_policy_text(p));
		assert_string_equal(chaosimg_policy_text(again),
				    chaosimg_policy_text(p));
		for (letters = 0; letters < 1 << ABE_LETTERS; letters += 1 +
		     (uint32_t)rng_below(&seed, 31)) {
			bool want = abe_tree_holds(t, letters);

			held += want;
			assert_int_equal(satisfied(p, letters), want);
			assert_int_equal(satisfied(again, letters), want);
		}
		chaosimg_policy_free(again);
		chaosimg_policy_free(p);
		abe_tree_free(t);
	}
	assert_in_range(parsed, 1500, 2000);
	assert_in_range(held, 10000, 120000);
}

/* --- shares ---------------------------------------------------------------- */

static bool is_zero(const blst_fr *a)
{
	static const blst_fr zero;

	return !memcmp(a, &zero, sizeof(zero));
}

/**
 * struct matrix - what shares are made of
 * @columns: 1 for the secret, and one for each random number
 * @cell: of each leaf's share, how often it holds that
 */
struct matrix {
	unsigned int columns;
	blst_fr cell[POLICY_LEAVES_MAX][POLICY_LEAVES_MAX + 1];
};

static void find_matrix(const struct chaosimg_policy *p, struct matrix *m)
{
	blst_fr random[POLICY_LEAVES_MAX], out[POLICY_LEAVES_MAX], secret;
	unsigned int i, j;

	m->columns = 1 + share_numbers(p);
	assert_in_range(m->columns, 1, POLICY_LEAVES_MAX);
	for (j = 0; j < m->columns; j++) {
		memset(random, 0, sizeof(random));
		scalar_small(&secret, !j);
		if (j)
			scalar_small(&random[j - 1], 1);
		share(p, &secret, random, out);
		for (i = 0; i < p->leaves; i++)
			m->cell[i][j] = out[i];
	}
}

/* row[to] -= row[from] * factor */
static void reduce(struct matrix *m, unsigned int to, unsigned int from,
		   unsigned int at)
{
	blst_fr factor, inverse, x;
	unsigned int j;

	blst_fr_eucl_inverse(&inverse, &m->cell[from][at]);
	blst_fr_mul(&factor, &m->cell[to][at], &inverse);
	for (j = 0; j < m->columns; j++) {
		blst_fr_mul(&x, &m->cell[from][j], &factor);
		blst_fr_sub(&m->cell[to][j], &m->cell[to][j], &x);
	}
}

/*
 * Is (1, 0, .., 0) a combination of these rows? That is when, after the random
 * numbers' columns are eliminated, a row is left that holds the secret.
 */
static bool spans(const struct matrix *all, const bool *have,
		  unsigned int leaves)
{
	static struct matrix m;
	bool used[POLICY_LEAVES_MAX] = { false };
	unsigned int i, j, pivot;

	m = *all;
	for (j = 1; j < m.columns; j++) {
		for (pivot = 0; pivot < leaves; pivot++)
			if (have[pivot] && !used[pivot] &&
			    !is_zero(&m.cell[pivot][j]))
				break;
		if (pivot == leaves)
			continue;
		used[pivot] = true;
		for (i = 0; i < leaves; i++)
			if (have[i] && !used[i])
				reduce(&m, i, pivot, j);
	}
	for (i = 0; i < leaves; i++)
		if (have[i] && !used[i] && !is_zero(&m.cell[i][0]))
			return true;
	return false;
}

static unsigned int small, large;

static void check_selection(const struct chaosimg_policy *p, const bool *have,
			    bool want, const blst_fr *secret,
			    const blst_fr *shares)
{
	struct share_plan plan;
	blst_fr sum = { { 0 } }, x;
	unsigned int i;

	assert_int_equal(share_select(p, have, &plan), want);
	if (!want)
		return;
	for (i = 0; i < p->leaves; i++) {
		const struct share_use *use = &plan.leaf[i];
		int64_t k = use->small;

		if (!use->used)
			continue;
		assert_true(have[i]);
		x = use->coefficient;
		if (k) {
			blst_fr_from_uint64(&x, (uint64_t[4]){
				(uint64_t)(k < 0 ? -k : k) });
			blst_fr_cneg(&x, &x, k < 0);
			small++;
		} else {
			large++;
		}
		blst_fr_mul(&x, &shares[i], &x);
		blst_fr_add(&sum, &sum, &x);
	}
	if (!plan.whole)
		blst_fr_mul(&sum, &sum, &plan.scale);
	assert_memory_equal(&sum, secret, sizeof(sum));
}

/* Coefficients that do not fit in 64 bits. */
static void large_coefficients_work_too(void **state)
{
	blst_fr random[POLICY_LEAVES_MAX], shares[POLICY_LEAVES_MAX], secret;
	char text[POLICY_TEXT_MAX] = "31 OF (";
	struct chaosimg_policy *p;
	bool have[POLICY_LEAVES_MAX];
	unsigned int i;

	(void)state;
	for (i = 0; i < POLICY_LEAVES_MAX; i++) {
		sprintf(text + strlen(text), "%sa%u@x", i ? ", " : "", i);
		assert_int_equal(scalar_random(&random[i]), 0);
		/* More than 31 of them, at no regular distance. */
		have[i] = (i * i * 7 + i) % 64 < 36;
	}
	strcat(text, ")");
	p = must_parse(text);
	assert_int_equal(scalar_random(&secret), 0);
	share(p, &secret, random, shares);
	large = 0;
	check_selection(p, have, true, &secret, shares);
	assert_int_equal(large, 31);
	chaosimg_policy_free(p);
}

static void shares_give_the_secret_to_whom_they_should(void **state)
{
	static char text[1 << 16];
	static struct matrix m;
	blst_fr random[POLICY_LEAVES_MAX], shares[POLICY_LEAVES_MAX], secret;
	bool have[POLICY_LEAVES_MAX];
	uint64_t seed = 12381;
	unsigned int i, j, n, can = 0, cannot = 0;

	(void)state;
	for (n = 0; n < 300; n++) {
		struct abe_tree *t = abe_tree_new(&seed, 3);
		struct chaosimg_policy *p;

		text[0] = '\0';
		abe_tree_text(t, &seed, text, sizeof(text));
		abe_tree_free(t);
		if (chaosimg_policy_parse(text, &p))
			continue;
		find_matrix(p, &m);
		assert_int_equal(scalar_random(&secret), 0);
		for (i = 0; i < m.columns - 1; i++)
			assert_int_equal(scalar_random(&random[i]), 0);
		share(p, &secret, random, shares);
		for (j = 0; j < 12; j++) {
			bool want;

			/* Leaf by leaf, whatever their attributes are. */
			for (i = 0; i < p->leaves; i++)
				have[i] = rng_below(&seed, 12) < j;
			want = policy_holds(p, have);
			assert_int_equal(spans(&m, have, p->leaves), want);
			check_selection(p, have, want, &secret, shares);
			can += want;
			cannot += !want;
		}
		chaosimg_policy_free(p);
	}
	assert_in_range(can, 500, 3000);
	assert_in_range(cannot, 500, 3000);
	assert_in_range(small, 1000, 1000000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(forms_are_read),
		cmocka_unit_test(errors_are_placed),
		cmocka_unit_test(limits_hold),
		cmocka_unit_test(what_is_printed_can_be_read),
		cmocka_unit_test(sense_is_checked),
		cmocka_unit_test(the_model_agrees),
		cmocka_unit_test(shares_give_the_secret_to_whom_they_should),
		cmocka_unit_test(large_coefficients_work_too),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
