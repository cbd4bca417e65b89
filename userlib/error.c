// SPDX-License-Identifier: GPL-2.0-or-later
/* The thread's error text. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "chaosimg.h"
#include "error.h"

static _Thread_local char message[512];

int fail(int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(message, sizeof(message), fmt, ap);
	va_end(ap);
	return -err;
}

int fail_errno(const char *fmt, ...)
{
	int err = errno;
	size_t len;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(message, sizeof(message), fmt, ap);
	va_end(ap);
	len = strlen(message);
	snprintf(message + len, sizeof(message) - len, ": %s", strerror(err));
	return -err;
}

const char *chaosimg_errmsg(void)
{
	return message;
}

const char *chaosimg_version(void)
{
	return CHAOSIMG_VERSION;
}
