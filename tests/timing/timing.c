// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Does the cipher's time depend on a secret? Every implementation that this
 * CPU offers is timed with inputs of two classes, a fixed one and random ones,
 * in random order, and welch.c says whether the classes differ. Prints TAP.
 *
 * It needs a quiet machine, and can only ever find a leak, not prove that there
 * is none; so the controls first show what it does find.
 */
#include <getopt.h>
#include <math.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "cipher.h"
#include "ticks.h"
#include "welch.h"

enum {
	LEN = 1000,		/* all of a fast path, and a tail */
	POOL = 512,		/* inputs that are prepared at a time */
	CALIBRATION = 4,	/* pools that choose the limits */
	T_LEAK = 10,
	COUNT_MIN = 10000,	/* measurements that allow a verdict */
	TABLE = 1 << 20,
};

/* Which part of the input differs between the classes. */
enum secret { KEY, IV, MESSAGE, NOTHING };

struct input {
	struct chaosimg_cipher_key key;
	u8 k[32];
	u8 iv[CHAOSIMG_TWEAK];
	u8 msg[LEN];
	u8 class;
};

/**
 * struct subject - what is timed
 * @name: for the reader
 * @secret: what is fixed in one class, random in the other
 * @sealed: @msg is to be a ciphertext
 * @impl: the implementation; for controls, whichever makes the inputs
 * @run: is timed
 */
struct subject {
	const char *name;
	enum secret secret;
	bool sealed;
	const struct chaosimg_cipher_impl *impl;
	void (*run)(struct input *in, const struct chaosimg_cipher_impl *impl);
};

static struct input pool[POOL];
static u8 table[TABLE];
static volatile u8 sink;
static double seconds = 2;
static int failures, count;

/* --- inputs --------------------------------------------------------------- */

/* splitmix64: quick, and no secret of anybody's. */
static u64 random_state;

static u64 random64(void)
{
	u64 z = random_state += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

static void fill(u8 *p, size_t len)
{
	u64 word;

	for (; len; p += sizeof(word), len -= sizeof(word)) {
		word = random64();
		memcpy(p, &word, sizeof(word));
	}
}

/* Class 0 has zeros for the secret, class 1 random bytes; both write alike. */
static void fill_class(u8 *p, size_t len, int class)
{
	u8 mask = (u8)-class;
	size_t i;

	fill(p, len);
	for (i = 0; i < len; i++)
		p[i] &= mask;
}

static void prepare_one(const struct subject *s, struct input *in,
			const struct input *common)
{
	in->class = random64() >> 63;
	memcpy(in->k, common->k, sizeof(in->k));
	memcpy(in->iv, common->iv, sizeof(in->iv));
	memcpy(in->msg, common->msg, LEN);
	if (s->secret == KEY)
		fill_class(in->k, sizeof(in->k), in->class);
	else if (s->secret == IV)
		fill_class(in->iv, sizeof(in->iv), in->class);
	else
		fill_class(in->msg, LEN, in->class | (s->secret == NOTHING));
	chaosimg_cipher_set_key(&in->key, s->impl, in->k);
	if (s->sealed)
		chaosimg_encrypt(&in->key, in->iv, in->msg, in->msg, LEN);
}

static void prepare(const struct subject *s)
{
	struct input common;
	size_t i;

	fill(common.k, sizeof(common.k));
	fill(common.iv, sizeof(common.iv));
	fill(common.msg, LEN);
	for (i = 0; i < POOL; i++)
		prepare_one(s, &pool[i], &common);
}

/* --- what is timed -------------------------------------------------------- */

static void set_up(struct input *in, const struct chaosimg_cipher_impl *impl)
{
	chaosimg_cipher_set_key(&in->key, impl, in->k);
}

static void encrypt(struct input *in, const struct chaosimg_cipher_impl *impl)
{
	(void)impl;
	chaosimg_encrypt(&in->key, in->iv, in->msg, in->msg, LEN);
}

static void decrypt(struct input *in, const struct chaosimg_cipher_impl *impl)
{
	(void)impl;
	chaosimg_decrypt(&in->key, in->iv, in->msg, in->msg, LEN);
}

/* Bugs, for the controls: what a cipher's author might do. */
static bool all_zero_early(const u8 *p, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++) {
		if (p[i])
			return false;
		__asm__ volatile("" : : : "memory");
	}
	return true;
}

static void decrypt_compare(struct input *in,
			    const struct chaosimg_cipher_impl *impl)
{
	decrypt(in, impl);
	sink = all_zero_early(in->msg, CHAOSIMG_BLOCK);
}

static void secret_branch(struct input *in,
			  const struct chaosimg_cipher_impl *impl)
{
	u64 acc = 1;
	size_t i;

	(void)impl;
	for (i = 0; i < 64; i++) {
		if (in->msg[i] & 1)
			acc = acc * 0x9e3779b97f4a7c15u + 1;
		__asm__ volatile("" : "+r" (acc));
	}
	sink = (u8)acc;
}

static void secret_index(struct input *in,
			 const struct chaosimg_cipher_impl *impl)
{
	u8 acc = 0;
	size_t i;

	(void)impl;
	for (i = 0; i < 128; i += 2)
		acc ^= table[(in->msg[i] << 8 | in->msg[i + 1]) * 16 % TABLE];
	sink = acc;
}

/* --- measuring ------------------------------------------------------------ */

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/*
 * Every input is copied to one place before it is timed, so that the addresses
 * and what is in the cache are the same for both classes.
 */
static void measure_pool(const struct subject *s, uint64_t ticks[POOL])
{
	static struct input work;
	uint64_t begin;
	size_t i;

	prepare(s);
	for (i = 0; i < POOL; i++) {
		memcpy(&work, &pool[i], sizeof(work));
		begin = ticks_begin();
		s->run(&work, s->impl);
		ticks[i] = ticks_end() - begin;
	}
}

/* Return: measurements made; @c and the median, in ticks, are filled in. */
static size_t measure(const struct subject *s, struct comparison *c,
		      uint64_t *median)
{
	static uint64_t sample[CALIBRATION * POOL];
	uint64_t ticks[POOL];
	double end;
	size_t i, n;

	for (i = 0; i < CALIBRATION; i++)
		measure_pool(s, sample + i * POOL);
	comparison_init(c, sample, CALIBRATION * POOL);
	*median = sample[CALIBRATION * POOL / 2];
	end = now() + seconds;
	for (n = 0; n < COUNT_MIN || now() < end; n += POOL) {
		measure_pool(s, ticks);
		for (i = 0; i < POOL; i++)
			comparison_add(c, pool[i].class, ticks[i]);
	}
	return n;
}

/* --- results -------------------------------------------------------------- */

static void result(bool good, const char *what)
{
	failures += !good;
	printf("%s %d - %s\n", good ? "ok" : "not ok", ++count, what);
	fflush(stdout);
}

static void judge(const struct subject *s, const char *who, bool leaks)
{
	struct comparison c;
	uint64_t median;
	size_t n = measure(s, &c, &median);
	double delta, t = comparison_t(&c, &delta);
	char line[200];

	snprintf(line, sizeof(line),
		 "%s: %s: |t| = %.1f (%zu measurements of about %llu ticks, a difference of %.2f)",
		 who, s->name, t, n, (unsigned long long)median, delta);
	result((t > T_LEAK) == leaks, line);
}

/* x = 1..5 and 2, 4, .. 12, by hand: means 3 and 7, variances 2.5 and 14. */
static void known_answer(void)
{
	struct welch w = { 0 };
	double want = (3 - 7) / sqrt(2.5 / 5 + 14.0 / 6);
	int i;

	for (i = 1; i <= 6; i++) {
		if (i < 6)
			welch_add(&w, 0, i);
		welch_add(&w, 1, 2 * i);
	}
	result(fabs(welch_t(&w) - want) < 1e-12, "Welch's t of a worked example");
}

/* What must be found, or the rest shows nothing, and what must not. */
static void controls(const struct chaosimg_cipher_impl *impl)
{
	const struct subject leaky[] = {
		{ "a secret branch is found", MESSAGE, false, impl,
		  secret_branch },
		{ "a secret index is found", MESSAGE, false, impl,
		  secret_index },
	};
	const struct subject equal = {
		"two classes alike do not differ", NOTHING, false, impl,
		encrypt,
	};
	size_t i;

	known_answer();
	for (i = 0; i < sizeof(leaky) / sizeof(leaky[0]); i++)
		judge(&leaky[i], "control", true);
	judge(&equal, "control", false);
}

static void check(const struct chaosimg_cipher_impl *impl)
{
	const struct subject subjects[] = {
		{ "key set-up, key", KEY, false, impl, set_up },
		{ "encryption, key", KEY, false, impl, encrypt },
		{ "encryption, IV", IV, false, impl, encrypt },
		{ "encryption, message", MESSAGE, false, impl, encrypt },
		{ "decryption, key", KEY, true, impl, decrypt },
		{ "decryption, IV", IV, true, impl, decrypt },
		{ "decryption, message", MESSAGE, true, impl, decrypt },
	};
	const struct subject bug = {
		"a comparison of 16 bytes that stops early is found", MESSAGE,
		true, impl, decrypt_compare,
	};
	size_t i;

	for (i = 0; i < sizeof(subjects) / sizeof(subjects[0]); i++)
		judge(&subjects[i], impl->name, false);
	judge(&bug, impl->name, true);
}

/* --- the command line ----------------------------------------------------- */

/* Moving to another core in the midst of it would only add noise. */
static void stay_here(void)
{
	cpu_set_t one;
	int cpu = sched_getcpu();

	if (cpu < 0)
		return;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	sched_setaffinity(0, sizeof(one), &one);
}

static void usage(void)
{
	fprintf(stderr, "usage: timing [-s SECONDS] [-i IMPLEMENTATION]\n"
		"SECONDS (more than 0, 2 unless given) are spent on each test.\n");
	exit(2);
}

static const char *parse(int argc, char **argv)
{
	const char *only = NULL;
	char *end;
	int c;

	while ((c = getopt(argc, argv, "s:i:")) != -1) {
		if (c == 'i')
			only = optarg;
		else if (c == 's')
			seconds = strtod(optarg, &end);
		if (c == '?' || (c == 's' && (*end || !(seconds > 0))))
			usage();
	}
	if (optind != argc)
		usage();
	return only;
}

int main(int argc, char **argv)
{
	const struct chaosimg_cipher_impl *impls[CHAOSIMG_IMPLS_MAX];
	const char *only = parse(argc, argv);
	size_t n, i, checked = 0;

	if (getrandom(&random_state, sizeof(random_state), 0) !=
	    sizeof(random_state))
		return 1;
	fill(table, sizeof(table));
	stay_here();
	printf("# messages of %d bytes, " TICKS "; |t| > %d is a leak\n", LEN,
	       T_LEAK);
	n = chaosimg_cipher_impls(chaosimg_cpu_features(), impls,
				  CHAOSIMG_IMPLS_MAX);
	controls(impls[0]);
	for (i = 0; i < n; i++) {
		if (only && strcmp(only, impls[i]->name))
			continue;
		check(impls[i]);
		checked++;
	}
	if (!checked) {
		fprintf(stderr, "timing: %s: this CPU does not offer it\n", only);
		return 2;
	}
	printf("1..%d\n", count);
	return failures != 0;
}
