// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Asks for chaosimg, in bursts, while the module comes and goes: it may be
 * missing, but never wrong.
 *
 *	churn SECONDS	(prints how often it was there, and how often not)
 */
#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "alg.h"
#include "tap.h"

static unsigned long there, missing;

/* What bind() says of an algorithm that is just coming or going. */
static bool is_missing(int err)
{
	return err == -ENOENT || err == -EAGAIN || err == -EINTR ||
		err == -ETIMEDOUT;
}

static bool ask(const struct alg_vector *v)
{
	int err, transform = alg_keyed("chaosimg", v->key);
	uint8_t out[8192];

	if (transform < 0) {
		missing++;
		if (!is_missing(transform))
			printf("bind: %s\n", strerror(-transform));
		return is_missing(transform);
	}
	there++;
	err = alg_simple(transform, true, v->iv, out, v->plain, v->len);
	close(transform);
	if (err)
		printf("encryption: %s\n", strerror(-err));
	else if (memcmp(out, v->cipher, v->len))
		printf("encryption of %zu bytes is wrong\n", v->len);
	return !err && !memcmp(out, v->cipher, v->len);
}

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

/* The module can go only while nobody uses it: three times as long as asked. */
static void rest(double burst_began)
{
	usleep(3e6 * (seconds() - burst_began));
}

int main(int argc, char **argv)
{
	double burst_began = seconds();
	time_t end = time(NULL) + (argc > 1 ? atoi(argv[1]) : 5);
	struct alg_vector *vectors;
	size_t i, count = alg_vectors(argv[0], &vectors);
	bool good = true;

	for (i = 0; time(NULL) < end && good; i++) {
		good = ask(&vectors[i % count]);
		if (i % 16 == 15) {
			rest(burst_began);
			burst_began = seconds();
		}
	}
	printf("there %lu times, missing %lu times\n", there, missing);
	return good && there ? 0 : 1;
}
