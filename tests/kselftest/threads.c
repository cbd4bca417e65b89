// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Many requests at once: sixteen threads on one transform, and two hundred
 * transforms with a key each. What is right was computed before, by generic.
 */
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "alg.h"
#include "tap.h"

enum {
	THREADS = 16,
	ROUNDS = 60,
	MESSAGES = 24,
	LONGEST = 20000,
	TRANSFORMS = 200,
};

static struct message {
	uint8_t iv[ALG_IV], plain[LONGEST], cipher[LONGEST];
	size_t len;
} messages[MESSAGES];

static uint8_t key[ALG_KEY];

static bool make_messages(void)
{
	int transform = alg_keyed("chaosimg-generic", key);
	struct message *m;
	bool good = true;

	for (m = messages; m < messages + MESSAGES; m++) {
		m->len = ALG_BLOCK + alg_random() %
			(m < messages + 4 ? LONGEST - ALG_BLOCK : 2000);
		alg_fill(m->iv, sizeof(m->iv));
		alg_fill(m->plain, m->len);
		good = good && !alg_simple(transform, true, m->iv, m->cipher,
					   m->plain, m->len);
	}
	close(transform);
	return good;
}

/* --- threads on one transform --------------------------------------------- */

/**
 * struct worker - one thread
 * @first: the message that it begins with
 * @wrong: how many it got wrong
 */
struct worker {
	pthread_t thread;
	int transform;
	unsigned int first, wrong;
};

static bool crypt_message(int operation, const struct message *m, bool encrypt,
			  uint8_t *buf)
{
	const uint8_t *src = encrypt ? m->plain : m->cipher;
	struct iovec in = { (void *)(uintptr_t)src, m->len };
	struct iovec out = { buf, m->len };
	struct alg_request r = {
		.encrypt = encrypt,
		.iv = m->iv,
		.in = &in,
		.out = &out,
		.in_count = 1,
		.out_count = 1,
	};

	return alg_crypt(operation, &r) == (long)m->len &&
		!memcmp(buf, encrypt ? m->cipher : m->plain, m->len);
}

static void *work(void *data)
{
	struct worker *w = data;
	int operation = alg_operation(w->transform);
	uint8_t buf[LONGEST];
	unsigned int i;

	for (i = 0; i < ROUNDS; i++)
		if (!crypt_message(operation,
				   &messages[(w->first + i) % MESSAGES],
				   i & 1, buf))
			w->wrong++;
	close(operation);
	return NULL;
}

static void test_threads(const char *driver)
{
	struct worker workers[THREADS];
	int i, transform = alg_keyed(driver, key);
	unsigned int wrong = 0;

	for (i = 0; i < THREADS; i++) {
		workers[i] = (struct worker){
			.transform = transform,
			.first = i,
		};
		if (pthread_create(&workers[i].thread, NULL, work, &workers[i]))
			abort();
	}
	for (i = 0; i < THREADS; i++) {
		pthread_join(workers[i].thread, NULL);
		wrong += workers[i].wrong;
	}
	close(transform);
	tap_ok(!wrong, "%s: %d requests, %d threads, one transform: %u wrong",
	       driver, THREADS * ROUNDS, THREADS, wrong);
}

/* --- many transforms ------------------------------------------------------ */

static void transform_key(uint8_t *k, int i)
{
	memcpy(k, key, ALG_KEY);
	k[i % ALG_KEY] ^= i + 1;
	k[(i + 1) % ALG_KEY] ^= i >> 3;
}

static bool check_transform(int transform, int i, const char *driver)
{
	const struct message *m = &messages[4 + i % (MESSAGES - 4)];
	uint8_t k[ALG_KEY], here[LONGEST], there[LONGEST];
	int other;
	bool good;

	transform_key(k, i);
	other = alg_keyed(driver, k);
	good = !alg_simple(transform, true, m->iv, here, m->plain, m->len) &&
		!alg_simple(other, true, m->iv, there, m->plain, m->len) &&
		!memcmp(here, there, m->len) &&
		memcmp(here, m->cipher, m->len) &&
		!alg_simple(transform, false, m->iv, there, here, m->len) &&
		!memcmp(there, m->plain, m->len);
	close(other);
	return good;
}

static void test_transforms(const char *driver)
{
	int i, transforms[TRANSFORMS];
	uint8_t k[ALG_KEY];
	bool good = true;

	for (i = 0; i < TRANSFORMS; i++) {
		transform_key(k, i);
		transforms[i] = alg_keyed(driver, k);
		good = good && transforms[i] >= 0;
	}
	for (i = TRANSFORMS - 1; i >= 0 && good; i--)
		good = check_transform(transforms[i], i, "chaosimg-generic");
	for (i = 0; i < TRANSFORMS; i++)
		close(transforms[i]);
	tap_ok(good, "%s: %d transforms, a key for each", driver, TRANSFORMS);
}

int main(void)
{
	struct alg_driver drivers[ALG_DRIVERS_MAX];
	int i, count;

	tap_begin();
	count = alg_drivers(drivers);
	if (!count)
		tap_skip_all("this kernel has no chaosimg");
	alg_seed();
	alg_fill(key, sizeof(key));
	tap_ok(make_messages(), "%d messages by chaosimg-generic", MESSAGES);
	for (i = 0; i < count; i++) {
		test_threads(drivers[i].name);
		test_transforms(drivers[i].name);
	}
	tap_end();
}
