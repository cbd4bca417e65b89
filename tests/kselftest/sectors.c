// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Is a device what chaosimg-plain64 makes of another? Each sector is one
 * message; its IV is its number, counted in 512 bytes, and zeros.
 *
 *	sectors KEYFILE PLAIN ENCRYPTED SECTOR-SIZE COUNT
 *
 * Prints how many sectors were the same; fails if one was not.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "alg.h"
#include "tap.h"

enum { SECTOR_MAX = 4096 };

static int read_key(const char *path)
{
	uint8_t key[ALG_KEY];
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || read(fd, key, ALG_KEY) != ALG_KEY)
		return -1;
	close(fd);
	return alg_keyed("chaosimg-generic", key);
}

static bool same(int transform, int plain, int encrypted, size_t size,
		 uint64_t number)
{
	uint8_t in[SECTOR_MAX], want[SECTOR_MAX], out[SECTOR_MAX];
	uint64_t sector = number * (size / 512);
	uint8_t iv[ALG_IV] = { 0 };
	int i;

	for (i = 0; i < 8; i++)
		iv[i] = sector >> (8 * i);
	return pread(plain, in, size, number * size) == (ssize_t)size &&
		pread(encrypted, want, size, number * size) == (ssize_t)size &&
		!alg_simple(transform, true, iv, out, in, size) &&
		!memcmp(out, want, size);
}

int main(int argc, char **argv)
{
	int transform, plain, encrypted;
	size_t size;
	long i, count;

	if (argc != 6)
		return 2;
	transform = read_key(argv[1]);
	plain = open(argv[2], O_RDONLY | O_CLOEXEC);
	encrypted = open(argv[3], O_RDONLY | O_CLOEXEC);
	size = atoi(argv[4]);
	count = atol(argv[5]);
	if (transform < 0 || plain < 0 || encrypted < 0 || !size ||
	    size > SECTOR_MAX || count < 1)
		return 2;
	for (i = 0; i < count; i++)
		if (!same(transform, plain, encrypted, size, i))
			break;
	printf("%ld of %ld sectors are the same\n", i, count);
	return i == count ? 0 : 1;
}
