// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Lets the first allocation fail, then the second, and so on, till none is left
 * to fail: what fails says so, nothing comes out wrong, and the transform works
 * afterwards. With CONFIG_FAILSLAB; failslab.sh sets it up.
 *
 *	failures requests
 *	failures load MODULE.ko
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "alg.h"
#include "tap.h"

enum { MOST = 2000 };

static int fail_nth_fd = -1;

/* Lets this task's allocation number @nth from now on fail. */
static void fail_nth(unsigned int nth)
{
	char text[16];
	int n = snprintf(text, sizeof(text), "%u", nth);

	if (pwrite(fail_nth_fd, text, n, 0) != n)
		abort();
}

/* Was there one to fail? */
static bool failed_one(void)
{
	char text[16] = "";
	bool injected = pread(fail_nth_fd, text, sizeof(text) - 1, 0) > 0 &&
		!atoi(text);

	fail_nth(0);
	return injected;
}

/* --- requests ------------------------------------------------------------- */

static const struct alg_vector *vector;

/* What the system says where there is no memory, for a socket's file too. */
static bool out_of_memory(const char *what, int err)
{
	if (err == -ENOMEM || err == -ENFILE || err == -ENOBUFS ||
	    err == -EAGAIN || err == -ENOENT)
		return true;
	tap_diag("%s: %s", what, strerror(-err));
	return false;
}

static bool right(const char *driver, uint8_t *out)
{
	int err, transform = alg_keyed(driver, vector->key);

	if (transform < 0)
		return out_of_memory("transform", transform);
	err = alg_simple(transform, true, vector->iv, out, vector->plain,
			 vector->len);
	close(transform);
	if (err)
		return out_of_memory("encryption", err);
	if (!memcmp(out, vector->cipher, vector->len))
		return true;
	tap_diag("wrong ciphertext");
	return false;
}

static void test_requests(const char *driver)
{
	uint8_t out[8192];
	unsigned int nth, wrong = 0;
	bool more = true;

	for (nth = 1; nth < MOST && more; nth++) {
		memset(out, 0, sizeof(out));
		fail_nth(nth);
		wrong += !right(driver, out);
		more = failed_one();
		memset(out, 0, sizeof(out));
		wrong += !right(driver, out) ||
			memcmp(out, vector->cipher, vector->len);
	}
	tap_ok(!wrong && !more && nth > 3,
	       "%s: %u allocations failed, one at a time; %u wrong", driver,
	       nth - 2, wrong);
}

/* --- loading the module --------------------------------------------------- */

static int load(const char *path)
{
	int err, fd = open(path, O_RDONLY | O_CLOEXEC);

	err = syscall(SYS_finit_module, fd, "", 0) ? -errno : 0;
	close(fd);
	return err;
}

/* The kernel's own tests of what has been registered may still use it. */
static bool unload(void)
{
	int tries;

	for (tries = 0; tries < 100; tries++) {
		if (!syscall(SYS_delete_module, "chaosimg", O_NONBLOCK))
			return true;
		usleep(100000);
	}
	return false;
}

static void test_load(const char *path)
{
	unsigned int nth, refused = 0, wrong = 0;
	bool more = true;
	int err;

	for (nth = 1; nth < MOST && more; nth++) {
		fail_nth(nth);
		err = load(path);
		more = failed_one();
		refused += !!err;
		if (!err && !unload())
			wrong++;
	}
	err = load(path);
	tap_ok(!wrong && !more && !err && refused,
	       "%u allocations failed while loading, %u of them fatal",
	       nth - 2, refused);
}

int main(int argc, char **argv)
{
	struct alg_driver drivers[ALG_DRIVERS_MAX];
	struct alg_vector *vectors;
	int i, count;

	tap_begin();
	fail_nth_fd = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
	if (fail_nth_fd < 0)
		tap_skip_all("this kernel has no fault injection");
	if (argc == 3) {
		test_load(argv[2]);
		tap_end();
	}
	count = alg_drivers(drivers);
	if (!count)
		tap_skip_all("this kernel has no chaosimg");
	i = alg_vectors(argv[0], &vectors);
	/* The longest, which needs most. */
	for (vector = vectors; --i > 0;)
		if (vectors[i].len > vector->len)
			vector = &vectors[i];
	for (i = 0; i < count; i++)
		test_requests(drivers[i].name);
	tap_end();
}
