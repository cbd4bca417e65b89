// SPDX-License-Identifier: GPL-2.0-or-later
/* What chaosimg says on standard error, always in one line. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tool.h"

#define LINE_SIZE 8192

void escape(char *out, size_t size, const char *text)
{
	const unsigned char *p;
	size_t n = 0;

	for (p = (const unsigned char *)text; *p && n + 5 < size; p++) {
		if (*p >= 0x20 && *p != 0x7f)
			out[n++] = (char)*p;
		else
			n += (size_t)snprintf(out + n, 5, "\\%03o", *p);
	}
	out[n] = '\0';
}

static void say(const char *hint, const char *fmt, va_list ap)
{
	char raw[LINE_SIZE], line[LINE_SIZE];

	progress_end();
	vsnprintf(raw, sizeof(raw), fmt, ap);
	escape(line, sizeof(line), raw);
	fprintf(stderr, "chaosimg: %s%s\n", line, hint);
}

void message(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say("", fmt, ap);
	va_end(ap);
}

int failed(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say("", fmt, ap);
	va_end(ap);
	return FAILED;
}

int failed_errno(const char *what)
{
	return failed("%s: %s", what, strerror(errno));
}

/* As a word of its own that the cause follows: "k" is not in "wrong key". */
static bool names(const char *cause, const char *what)
{
	size_t len = strlen(what);
	const char *p;

	for (p = cause; len && (p = strstr(p, what)); p++)
		if ((p == cause || p[-1] == ' ') &&
		    (p[len] == ':' || p[len] == '/'))
			return true;
	return false;
}

/* The library may know an object by its full path: the user's is enough. */
static const char *without_path(const char *cause, const char *path)
{
	size_t len = path ? strlen(path) : 0;

	if (len && !strncmp(cause, path, len) && !strncmp(cause + len, ": ", 2))
		return cause + len + 2;
	return cause;
}

static int report(const char *what, const char *path, int err, const char *so)
{
	const char *cause = without_path(chaosimg_errmsg(), path);

	if (!*cause)
		cause = strerror(-err);
	if (names(cause, what))
		return failed("%s%s", cause, so);
	return failed("%s: %s%s", what, cause, so);
}

int failed_library(const char *what, int err)
{
	char *path = realpath(what, NULL);
	int status = report(what, path, err, "");

	free(path);
	return status;
}

int failed_library_fd(const char *what, int fd, int err, const char *so)
{
	char link[40], path[4096];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1);
	path[n < 0 ? 0 : n] = '\0';
	return report(what, path, err, so);
}

int misused(const struct tool_command *cmd, const char *fmt, ...)
{
	char hint[64], prefixed[256];
	va_list ap;

	snprintf(hint, sizeof(hint), " (try 'chaosimg %s%s--help')",
		 cmd ? cmd->name : "", cmd ? " " : "");
	snprintf(prefixed, sizeof(prefixed), "%s%s%s", cmd ? cmd->name : "",
		 cmd ? ": " : "", fmt);
	va_start(ap, fmt);
	say(hint, prefixed, ap);
	va_end(ap);
	return MISUSED;
}

int finish_output(void)
{
	if (!fflush(stdout) && !ferror(stdout))
		return DONE;
	return failed_errno("standard output");
}

void format_time(uint64_t seconds, char out[32])
{
	time_t t = (time_t)seconds;
	struct tm tm;

	if (!gmtime_r(&t, &tm) ||
	    !strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &tm))
		snprintf(out, 32, "@%llu", (unsigned long long)seconds);
}
