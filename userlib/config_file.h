/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The archive's small text files on the disk: read whole, replaced
 * atomically; and the checksum line that ends each of them.
 */
#ifndef CHAOSIMG_CONFIG_FILE_H
#define CHAOSIMG_CONFIG_FILE_H

#include <stdbool.h>
#include <stddef.h>

enum {
	/* The largest configuration or keyset file that is read. */
	CONFIG_FILE_MAX = 1 << 20,
};

/**
 * config_file_read() - read a whole text file
 * @dirfd: the directory it is in
 * @name: its name there
 * @where: what to call it in an error
 * @text: receives the text, with a NUL after it; free() it
 * @len: receives its length
 * Return: 0; -ENOENT without an error text; -EBADMSG if it is no regular file
 * or too large; the system's error.
 */
int config_file_read(int dirfd, const char *name, const char *where,
		     char **text, size_t *len);

/**
 * config_file_write() - replace a text file, atomically and durably
 * @dirfd: the directory it is in
 * @name: its name there
 * @where: what to call it in an error
 * @text: the new text
 * @len: its length
 *
 * At any moment, and after a power cut at any moment, there is the old one or
 * the new one. Callers see to it that only one writes at a time.
 */
int config_file_write(int dirfd, const char *name, const char *where,
		      const char *text, size_t len);

/** config_file_write_fd() - write all and sync. Return: 0, or -1 and errno */
int config_file_write_fd(int fd, const char *text, size_t len);

/**
 * config_file_sync_parent() - make a new directory entry durable
 * @path: the entry
 * Return: 0, or -1 and errno.
 */
int config_file_sync_parent(const char *path);

/**
 * config_checksum_append() - end a text with the line of its checksum
 * @text: a JSON object but for its last member; grows, free() it
 * @len: its length; grows too
 * Return: 0 or -ENOMEM.
 */
int config_checksum_append(char **text, size_t *len);

/** config_checksum_ok() - does the text end in the line of its checksum? */
bool config_checksum_ok(const char *text, size_t len);

#endif
