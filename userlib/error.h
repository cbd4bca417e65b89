/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The thread's error text, behind chaosimg_errmsg(). */
#ifndef CHAOSIMG_ERROR_H
#define CHAOSIMG_ERROR_H

/**
 * fail() - set the thread's error text
 * @err: a positive errno value
 * @fmt: what happened, as for printf(3), in one line
 * Return: -@err, so that callers can write "return fail(EIO, ..);".
 */
int fail(int err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/** fail_errno() - the same with errno's value and ": " strerror() appended */
int fail_errno(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
