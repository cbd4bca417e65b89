// SPDX-License-Identifier: GPL-2.0-or-later
/* Random bytes: keys, ids, salts and nonces. */
#include <errno.h>
#include <limits.h>

#include <openssl/rand.h>

#include "archive.h"
#include "error.h"

int random_bytes(void *out, size_t len)
{
	if (len > INT_MAX || RAND_bytes(out, (int)len) != 1)
		return fail(EIO, "the random number generator failed");
	return 0;
}
