// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Keeps asking for chaosimg while the module comes and goes: it may be missing,
 * but never wrong.
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

int main(int argc, char **argv)
{
	time_t end = time(NULL) + (argc > 1 ? atoi(argv[1]) : 5);
	struct alg_vector *vectors;
	size_t i, count = alg_vectors(argv[0], &vectors);
	bool good = true;

	for (i = 0; time(NULL) < end && good; i++) {
		good = ask(&vectors[i % count]);
		/* The module can go only while nobody uses it. */
		usleep(i % 16 ? 0 : 20000);
	}
	printf("there %lu times, missing %lu times\n", there, missing);
	return good && there ? 0 : 1;
}
