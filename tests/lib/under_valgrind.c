// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Loaded into programs that valgrind 3.19 runs, so that all of the daemon can be
 * run but its filter of system calls, which would be valgrind's, too. It also says
 * what valgrind cannot see: secrets that were not given back.
 */
#include <fcntl.h>
#include <unistd.h>

#include <openssl/crypto.h>
#include <seccomp.h>
#include <valgrind/valgrind.h>

/* Valgrind does not know the call by which libseccomp asks what there is. */
static void __attribute__((constructor)) know_seccomp(void)
{
	seccomp_api_set(5);
}

int seccomp_load(const scmp_filter_ctx ctx)
{
	(void)ctx;
	return 0;
}

/*
 * Valgrind makes these calls in its own way, and with fuse-compatible hints an
 * assertion of its own then fails.
 */
ssize_t readlink(const char *restrict path, char *restrict buf, size_t size)
{
	return readlinkat(AT_FDCWD, path, buf, size);
}

int close_range(unsigned int first, unsigned int last, int flags)
{
	unsigned int fd, end = (unsigned int)sysconf(_SC_OPEN_MAX);

	(void)flags;
	for (fd = first; fd <= last && fd < end; fd++)
		close((int)fd);
	return 0;
}

/* OpenSSL, which has freed its own by now, keeps its arena if there are others. */
static void __attribute__((destructor)) count_secrets(void)
{
	if (CRYPTO_secure_malloc_initialized() && CRYPTO_secure_used())
		VALGRIND_PRINTF("%zu bytes of secrets are left\n",
				CRYPTO_secure_used());
}
