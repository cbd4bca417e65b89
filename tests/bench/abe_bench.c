// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a key under a policy costs:
 *
 *	abe_bench [ROUNDS]
 *
 * prints, for ANDs and thresholds over several numbers of attributes from two
 * authorities, the medians of encapsulating and decapsulating in milliseconds,
 * and the ciphertext's bytes. All cases take turns in every round.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "chaosimg_abe.h"
#include "figures.h"

enum { MOST = 50, ROUNDS_MAX = 1000 };

static const struct {
	unsigned int k, n;
} cases[] = {
	{ 1, 1 }, { 2, 2 }, { 5, 5 }, { 10, 10 }, { 20, 20 }, { 50, 50 },
	{ 1, 10 }, { 2, 10 }, { 5, 10 }, { 9, 10 }, { 25, 50 },
};

#define CASES (sizeof(cases) / sizeof(cases[0]))

static double milliseconds[CASES][2][ROUNDS_MAX];
static const struct chaosimg_authority *authority[2];

static void must(int ret)
{
	if (!ret)
		return;
	fprintf(stderr, "abe_bench: %s\n", chaosimg_errmsg());
	exit(1);
}

static double now(void)
{
	return seconds_of(CLOCK_MONOTONIC) * 1e3;
}

static struct chaosimg_policy *policy(unsigned int k, unsigned int n)
{
	struct chaosimg_policy *p;
	char text[4096];
	unsigned int i;
	int at = sprintf(text, "%u OF (", k);

	for (i = 0; i < n; i++)
		at += sprintf(text + at, "%sa%u@%s", i ? ", " : "", i,
			      i % 2 ? "y" : "x");
	strcpy(text + at, ")");
	must(chaosimg_policy_parse(text, &p));
	return p;
}

static struct chaosimg_user *user(void)
{
	static const char *const secret[] = { "x.secret", "y.secret" };
	static const char *const public[] = { "x.public", "y.public" };
	static const char *const issued[] = { "x.user", "y.user" };
	char name[MOST][8];
	const char *list[MOST];
	struct chaosimg_authority *a;
	struct chaosimg_user *u;
	unsigned int i, j, n;

	for (i = 0; i < 2; i++) {
		must(chaosimg_authority_create(i ? "y" : "x", secret[i],
					       public[i]));
		must(chaosimg_authority_read(public[i], &a));
		authority[i] = a;
		for (j = i, n = 0; j < MOST; j += 2, n++) {
			sprintf(name[n], "a%u", j);
			list[n] = name[n];
		}
		must(chaosimg_authority_issue(secret[i], "user", list, n,
					      issued[i]));
	}
	must(chaosimg_user_merge("user", issued, 2));
	must(chaosimg_user_read("user", &u));
	return u;
}

static double median(double *of, unsigned int n)
{
	put_in_order(of, n);
	return of[n / 2];
}

static size_t round_of(const struct chaosimg_user *u, unsigned int c,
		       unsigned int r)
{
	struct chaosimg_policy *p = policy(cases[c].k, cases[c].n);
	uint8_t key[2][CHAOSIMG_KEY_SIZE], *sealed;
	double start = now(), half;
	size_t len;

	must(chaosimg_policy_encapsulate(p, authority, 2, NULL, 0, key[0],
					 &sealed, &len));
	half = now();
	must(chaosimg_policy_decapsulate(u, sealed, len, NULL, 0, key[1]));
	milliseconds[c][1][r] = now() - half;
	milliseconds[c][0][r] = half - start;
	if (memcmp(key[0], key[1], sizeof(key[0])))
		abort();
	free(sealed);
	chaosimg_policy_free(p);
	return len;
}

int main(int argc, char **argv)
{
	unsigned int rounds = argc > 1 ? (unsigned int)atoi(argv[1]) : 21;
	char top[] = "/tmp/abe_bench.XXXXXX";
	struct chaosimg_user *u;
	size_t len[CASES];
	unsigned int c, r;

	if (!rounds || rounds > ROUNDS_MAX || !mkdtemp(top) || chdir(top))
		return 2;
	u = user();
	for (r = 0; r < rounds; r++)
		for (c = 0; c < CASES; c++)
			len[c] = round_of(u, c, r);
	printf("policy      encapsulate  decapsulate  bytes\n");
	for (c = 0; c < CASES; c++)
		printf("%2u of %-2u %11.2f ms %9.2f ms %6zu\n", cases[c].k,
		       cases[c].n, median(milliseconds[c][0], rounds),
		       median(milliseconds[c][1], rounds), len[c]);
	chaosimg_user_free(u);
	/* Random keys, of no use to anybody. */
	return system("rm -f x.* y.* user && rmdir \"$PWD\"") ? 1 : 0;
}
