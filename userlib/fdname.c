// SPDX-License-Identifier: GPL-2.0-or-later
/* Names of open files, from /proc. */
#include <stdio.h>
#include <unistd.h>

#include "fdname.h"

void fdname(int fd, char name[FDNAME_SIZE])
{
	char link[64];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, name, FDNAME_SIZE - 1);
	if (n > 0)
		name[n] = '\0';
	else
		snprintf(name, FDNAME_SIZE, "file descriptor %d", fd);
}
