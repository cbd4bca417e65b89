// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The kernel and libchaosimg agree: random messages in both directions, each
 * driver against each implementation of the library.
 *
 * The environment's MESSAGES says how many.
 */
#define _GNU_SOURCE
#include <string.h>
#include <unistd.h>

#include "alg.h"
#include "tap.h"

#ifndef HAVE_LIBCHAOSIMG
int main(void)
{
	tap_begin();
	tap_skip_all("built without libchaosimg");
}
#else
#include <chaosimg.h>

enum {
	MESSAGES = 10000,
	PER_KEY = 100,
	LONGEST = 70000,
	SIDES_MAX = 16,
};

/**
 * struct side - one implementation, in the library or in the kernel
 * @cipher: the library's, or NULL
 * @operation: the kernel's socket
 * @wrong: how many messages came out wrong
 */
struct side {
	const char *name;
	bool in_user_space;
	struct chaosimg_cipher *cipher;
	int transform, operation;
	unsigned int wrong;
};

static struct side sides[SIDES_MAX];
static size_t side_count;
static struct alg_driver drivers[ALG_DRIVERS_MAX];

static void add_side(const char *name, bool library)
{
	struct side s = {
		.name = name,
		.in_user_space = library,
		.transform = -1,
		.operation = -1,
	};

	if (side_count < SIDES_MAX)
		sides[side_count++] = s;
}

/* The library's own first; "kernel" is the library's way into the kernel. */
static int find_sides(void)
{
	const char *names[SIDES_MAX];
	size_t i, count = chaosimg_cipher_list(names, SIDES_MAX);
	int k, kernel = alg_drivers(drivers);

	for (i = 0; i < count; i++)
		add_side(names[i], true);
	for (k = 0; k < kernel; k++)
		add_side(drivers[k].name, false);
	return kernel;
}

static void drop_key(struct side *s)
{
	chaosimg_cipher_free(s->cipher);
	s->cipher = NULL;
	if (s->operation >= 0)
		close(s->operation);
	if (s->transform >= 0)
		close(s->transform);
	s->operation = s->transform = -1;
}

static void set_key(struct side *s, const uint8_t *key)
{
	drop_key(s);
	if (s->in_user_space) {
		if (chaosimg_cipher_new(s->name, key, &s->cipher))
			tap_diag("%s: %s", s->name, chaosimg_errmsg());
		return;
	}
	s->transform = alg_keyed(s->name, key);
	if (s->transform >= 0)
		s->operation = alg_operation(s->transform);
}

static bool crypt_kernel(struct side *s, bool encrypt, const uint8_t *iv,
			 uint8_t *dst, const uint8_t *src, size_t len)
{
	size_t cut = alg_random() % (len + 1), skew = alg_random() % (len + 1);
	uint8_t *p = (uint8_t *)(uintptr_t)src;
	struct iovec in[2] = { { p, cut }, { p + cut, len - cut } };
	struct iovec out[2] = { { dst, skew }, { dst + skew, len - skew } };
	struct alg_request r = {
		.encrypt = encrypt,
		.splice = alg_random() & 1,
		.iv = iv,
		.in = in + !cut,
		.out = out + !skew,
		.in_count = 2 - !cut - (cut == len),
		.out_count = 2 - !skew - (skew == len),
	};

	return alg_crypt(s->operation, &r) == (long)len;
}

static bool crypt_side(struct side *s, bool encrypt, const uint8_t *iv,
		       uint8_t *dst, const uint8_t *src, size_t len)
{
	memset(dst, 0, len);
	if (!s->in_user_space)
		return crypt_kernel(s, encrypt, iv, dst, src, len);
	return s->cipher && !chaosimg_cipher_crypt(s->cipher, encrypt, iv, dst,
						   src, len);
}

/* Mostly short, at times longer than a mount's chunks. */
static size_t random_length(void)
{
	uint64_t r = alg_random();

	if (r % 500 == 0)
		return 16 + (r >> 16) % (LONGEST - 16);
	return 16 + (r >> 16) % (1 << (4 + r % 8));
}

/* One side's word against what the first one said. */
static void compare(struct side *s, bool encrypt, const uint8_t *iv,
		    const uint8_t *src, const uint8_t *want, size_t len)
{
	static uint8_t out[LONGEST];

	if (crypt_side(s, encrypt, iv, out, src, len) &&
	    !memcmp(out, want, len))
		return;
	if (!s->wrong++)
		tap_diag("%s: %s of %zu bytes", s->name,
			 encrypt ? "encryption" : "decryption", len);
}

static void one_message(void)
{
	static uint8_t plain[LONGEST], cipher[LONGEST];
	size_t i, len = random_length();
	uint8_t iv[ALG_IV];

	alg_fill(iv, sizeof(iv));
	alg_fill(plain, len);
	if (!crypt_side(&sides[0], true, iv, cipher, plain, len))
		sides[0].wrong++;
	compare(&sides[0], false, iv, cipher, plain, len);
	for (i = 1; i < side_count; i++) {
		compare(&sides[i], true, iv, plain, cipher, len);
		compare(&sides[i], false, iv, cipher, plain, len);
	}
}

static void run(unsigned int messages)
{
	uint8_t key[ALG_KEY];
	unsigned int i;
	size_t k;

	for (i = 0; i < messages; i++) {
		if (i % PER_KEY == 0) {
			alg_fill(key, sizeof(key));
			for (k = 0; k < side_count; k++)
				set_key(&sides[k], key);
		}
		one_message();
	}
	for (k = 0; k < side_count; k++)
		drop_key(&sides[k]);
}

int main(void)
{
	const char *asked = getenv("MESSAGES");
	unsigned int messages = asked ? strtoul(asked, NULL, 0) : MESSAGES;
	size_t i;

	tap_begin();
	if (!find_sides())
		tap_skip_all("this kernel has no chaosimg");
	alg_seed();
	run(messages);
	for (i = 0; i < side_count; i++)
		tap_ok(!sides[i].wrong, "%s%s: %u messages, %u of them wrong",
		       sides[i].in_user_space ? "library's " : "", sides[i].name,
		       messages, sides[i].wrong);
	tap_end();
}
#endif
