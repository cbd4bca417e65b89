// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What is registered: the drivers that this CPU offers, no others, and
 * "chaosimg" means the one with the highest priority.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "alg.h"
#include "tap.h"

/* /proc/cpuinfo's words for what a driver needs. */
static const struct {
	const char *driver, *needs;
} known[] = {
	{ "chaosimg-generic", "" },
	{ "chaosimg-aesni", "aes pclmulqdq ssse3 sse4_1" },
	{ "chaosimg-vaes-avx2", "aes pclmulqdq ssse3 sse4_1 avx2 "
		"vaes" },
	{ "chaosimg-vaes-avx512", "aes pclmulqdq avx512f avx512bw avx512vl "
		"vaes vpclmulqdq gfni" },
};

enum { KNOWN = sizeof(known) / sizeof(*known) };

static struct alg_driver drivers[ALG_DRIVERS_MAX];
static int driver_count;

static bool cpu_has(const char *needs)
{
	char line[8192] = " ", word[64], padded[68];
	FILE *f = fopen("/proc/cpuinfo", "re");
	bool all = true;
	int n;

	while (f && fgets(line + 1, sizeof(line) - 1, f))
		if (!strncmp(line + 1, "flags", 5))
			break;
	if (f)
		fclose(f);
	line[strcspn(line, "\n")] = ' ';
	for (; sscanf(needs, "%63s%n", word, &n) == 1; needs += n) {
		snprintf(padded, sizeof(padded), " %s ", word);
		all = all && strstr(line, padded);
	}
	return all;
}

static const struct alg_driver *find(const char *name)
{
	int i;

	for (i = 0; i < driver_count; i++)
		if (!strcmp(drivers[i].name, name))
			return &drivers[i];
	return NULL;
}

static void test_known(const char *driver, const char *needs)
{
	const struct alg_driver *d = find(driver);
	int transform;

	if (cpu_has(needs)) {
		tap_ok(d, "%s: registered, as this CPU has what it needs",
		       driver);
		return;
	}
	transform = alg_transform(driver);
	tap_ok(!d && transform == -ENOENT,
	       "%s: refused, as this CPU lacks what it needs", driver);
	close(transform);
}

static void test_attributes(const struct alg_driver *d)
{
	size_t i;
	bool is_known = false;

	for (i = 0; i < KNOWN; i++)
		is_known |= !strcmp(d->name, known[i].driver);
	tap_ok(is_known, "%s: a driver of this project", d->name);
	tap_ok(!strcmp(d->type, "skcipher") && d->blocksize == ALG_BLOCK &&
	       d->min_key == ALG_KEY && d->max_key == ALG_KEY &&
	       d->iv == ALG_IV && !strcmp(d->selftest, "passed"),
	       "%s: %s, key %u to %u, IV %u, block %u, self-test %s", d->name,
	       d->type, d->min_key, d->max_key, d->iv, d->blocksize,
	       d->selftest);
}

/* Priorities rise in the order of known[], from 100. */
static void test_priorities(void)
{
	const struct alg_driver *d;
	int last = 0;
	bool rising = true;
	size_t i;

	for (i = 0; i < KNOWN; i++) {
		d = find(known[i].driver);
		if (!d)
			continue;
		rising = rising && d->priority > last;
		last = d->priority;
	}
	d = find(known[0].driver);
	tap_ok(rising && d && d->priority == 100,
	       "priorities rise from generic's 100");
}

/* A user of "chaosimg" is one of the best driver's users. */
static void test_preferred(void)
{
	struct alg_driver *best = &drivers[0];
	int i, before, transform;

	for (i = 1; i < driver_count; i++)
		if (drivers[i].priority > best->priority)
			best = &drivers[i];
	before = best->users;
	transform = alg_transform("chaosimg");
	driver_count = alg_drivers(drivers);
	tap_ok(best->users == before + 1, "\"chaosimg\" is %s", best->name);
	close(transform);
}

int main(void)
{
	int i;

	tap_begin();
	driver_count = alg_drivers(drivers);
	if (!driver_count)
		tap_skip_all("this kernel has no chaosimg");
	for (i = 0; i < KNOWN; i++)
		test_known(known[i].driver, known[i].needs);
	for (i = 0; i < driver_count; i++)
		test_attributes(&drivers[i]);
	test_priorities();
	test_preferred();
	tap_end();
}
