// SPDX-License-Identifier: GPL-2.0-or-later
/* What the commands for attributes and policies share. */
#include <stdio.h>

#include "access.h"
#include "tool.h"

void print_authority(const struct chaosimg_authority *a)
{
	uint8_t id[CHAOSIMG_AUTHORITY_ID_SIZE];
	char hex[2 * sizeof(id) + 1];

	chaosimg_authority_id(a, id);
	bytes_to_hex(id, sizeof(id), hex);
	printf("%s %s\n", hex, chaosimg_authority_name(a));
}

int user_read(const char *path, struct chaosimg_user **out)
{
	int err = chaosimg_user_read(path, out);

	if (err)
		return failed_library(path, err);
	warn_if_exposed(path);
	return DONE;
}
