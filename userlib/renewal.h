/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What of a stored file its file system knows, for a copy of it. */
#ifndef CHAOSIMG_RENEWAL_H
#define CHAOSIMG_RENEWAL_H

/**
 * attributes_copy() - owner, mode, times, ACLs and extended attributes
 * @from: a file
 * @to: a new one
 * Return: 0, or the system's error.
 */
int attributes_copy(int from, int to);

/**
 * attributes_same() - are they the same, but for the time of the last access?
 * @a: a file
 * @b: its copy
 * Return: 0; -EAGAIN if they differ; -ENOMEM; the system's error.
 */
int attributes_same(int a, int b);

#endif
