// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Messages of megabytes, as one request: each driver says what the first one
 * does.
 */
#include <string.h>
#include <unistd.h>

#include "alg.h"
#include "tap.h"

enum { LARGEST = (2 << 20) + 4097 };

static uint8_t message[LARGEST], want[LARGEST], got[LARGEST];

static bool crypt_large(const char *driver, const uint8_t *key, bool encrypt,
			bool splice, uint8_t *dst, const uint8_t *src,
			size_t len)
{
	static const uint8_t iv[ALG_IV] = "an IV of 32 bytes, as it may be";
	struct iovec in = { (void *)(uintptr_t)src, len }, out = { dst, len };
	struct alg_request r = {
		.encrypt = encrypt,
		.splice = splice,
		.iv = iv,
		.in = &in,
		.out = &out,
		.in_count = 1,
		.out_count = 1,
	};
	int transform = alg_keyed(driver, key);
	int operation = alg_operation(transform);
	long n;

	alg_room(operation);
	n = alg_crypt(operation, &r);
	close(operation);
	close(transform);
	if (n != (long)len)
		tap_diag("%s, %zu bytes: %ld", driver, len, n);
	return n == (long)len;
}

static void test_size(const struct alg_driver *drivers, int count, size_t len)
{
	uint8_t key[ALG_KEY];
	bool good;
	int i;

	alg_fill(key, sizeof(key));
	alg_fill(message, len);
	for (i = 0; i < count; i++) {
		good = crypt_large(drivers[i].name, key, true, i & 1,
				   i ? got : want, message, len) &&
			(!i || !memcmp(got, want, len));
		good = good && crypt_large(drivers[i].name, key, false,
					   !(i & 1), got, want, len) &&
			!memcmp(got, message, len);
		tap_ok(good, "%s: a message of %zu bytes", drivers[i].name,
		       len);
	}
}

int main(void)
{
	static const size_t sizes[] = { 65536 + 16, 1 << 20, LARGEST };
	struct alg_driver drivers[ALG_DRIVERS_MAX];
	int count;
	size_t i;

	tap_begin();
	count = alg_drivers(drivers);
	if (!count)
		tap_skip_all("this kernel has no chaosimg");
	if (!alg_limits())
		tap_skip_all("needs root, to give sockets room");
	alg_seed();
	for (i = 0; i < sizeof(sizes) / sizeof(*sizes); i++)
		test_size(drivers, count, sizes[i]);
	tap_end();
}
