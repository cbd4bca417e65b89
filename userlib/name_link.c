// SPDX-License-Identifier: GPL-2.0-or-later
/* Replace one of the library's own symbolic links in one step. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "basenc.h"
#include "error.h"
#include "names.h"

enum { TMP_RANDOM = 10 };

int name_replace_link(int dirfd, const char *target, const char *name)
{
	char tmp[sizeof(CHAOSIMG_TMP_PREFIX) + BASE32_LEN(TMP_RANDOM)];
	uint8_t random[TMP_RANDOM];
	int err = random_public(random, sizeof(random));

	if (err)
		return err;
	strcpy(tmp, CHAOSIMG_TMP_PREFIX);
	base32hex_encode(random, sizeof(random), tmp + strlen(tmp));
	if (symlinkat(target, dirfd, tmp))
		return fail_errno("%s", name);
	if (!renameat(dirfd, tmp, dirfd, name))
		return 0;
	err = fail_errno("%s", name);
	unlinkat(dirfd, tmp, 0);
	return err;
}
