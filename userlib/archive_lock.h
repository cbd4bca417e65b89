/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ARCHIVE/lock: an empty file whose first two bytes are locked, by open file
 * description, so that a daemon keeps what its starter locked.
 */
#ifndef CHAOSIMG_ARCHIVE_LOCK_H
#define CHAOSIMG_ARCHIVE_LOCK_H

#include <stdbool.h>

#define ARCHIVE_LOCK_NAME	"lock"

/**
 * archive_lock_writer() - become the one writer of an archive
 * @dirfd: the archive's directory
 * @path: what to call it in an error
 * @create: make the file if it is missing
 * Return: a descriptor that holds the lock; -EBUSY; -ENOENT without an error
 * text if the file is missing; the system's error.
 */
int archive_lock_writer(int dirfd, const char *path, bool create);

/**
 * archive_lock_held() - does somebody else write to the archive?
 * @dirfd: the archive's directory
 * Return: whether that is known to be so.
 */
bool archive_lock_held(int dirfd);

/**
 * archive_lock_config() - wait to be the one that changes the configuration
 * @dirfd: the archive's directory
 * @path: what to call it in an error
 * Return: a descriptor that holds the lock, or the system's error.
 */
int archive_lock_config(int dirfd, const char *path);

#endif
