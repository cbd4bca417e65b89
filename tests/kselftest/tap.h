/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * TAP by kselftest's conventions: version and plan first or last, "# " before
 * everything else, exit code 4 if all is skipped. Without kselftest.h, whose
 * place in the kernel tree changes, so that these tests build anywhere.
 */
#ifndef TAP_H
#define TAP_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

enum { TAP_FAIL = 1, TAP_SKIP = 4 };

static unsigned int tap_tests, tap_failed;

static inline void tap_begin(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	puts("TAP version 13");
}

/* One test's result. */
__attribute__((format(printf, 2, 3)))
static inline bool tap_ok(bool good, const char *name, ...)
{
	va_list args;

	printf("%sok %u ", good ? "" : "not ", ++tap_tests);
	va_start(args, name);
	vprintf(name, args);
	va_end(args);
	putchar('\n');
	tap_failed += !good;
	return good;
}

__attribute__((format(printf, 1, 2)))
static inline void tap_diag(const char *text, ...)
{
	va_list args;

	printf("# ");
	va_start(args, text);
	vprintf(text, args);
	va_end(args);
	putchar('\n');
}

static inline void tap_skip(const char *name, const char *why)
{
	printf("ok %u %s # SKIP %s\n", ++tap_tests, name, why);
}

/* The whole program. */
__attribute__((noreturn))
static inline void tap_skip_all(const char *why)
{
	printf("1..0 # SKIP %s\n", why);
	exit(TAP_SKIP);
}

__attribute__((noreturn))
static inline void tap_end(void)
{
	printf("1..%u\n", tap_tests);
	exit(tap_failed ? TAP_FAIL : 0);
}

#endif
