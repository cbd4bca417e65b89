/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Programs that use a mounted archive, by paths ("" is its root), on
 * tests/fuzz/kernel.h. All return 0 or a negative errno value.
 */
#ifndef TAMPER_CLIENT_H
#define TAMPER_CLIENT_H

#include <linux/fuse.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "../fuzz/kernel.h"

/* Ends the process: the test itself went wrong, or found something. */
#define must(what)							\
	do {								\
		if (!(what)) {						\
			dprintf(2, "%s:%d: not so: %s (%s)\n",		\
				__FILE__, __LINE__, #what,		\
				chaosimg_errmsg());			\
			abort();					\
		}							\
	} while (0)

/** client_lookup() - a child's number and attributes; forget it afterwards */
int client_lookup(uint64_t dir, const char *name, struct fuse_entry_out *e);

/** client_read() - all of a file, for free(); a damaged chunk ends it */
int client_read(uint64_t node, uint8_t **data, size_t *len);

/** client_readlink() - a link's target, NUL-terminated, for free() */
int client_readlink(uint64_t node, char **target);

/** client_getxattr() - an attribute's value, for free() */
int client_getxattr(uint64_t node, const char *name, uint8_t **value,
		    size_t *len);

/** client_list() - the names in a directory, each with its NUL, then "" */
int client_list(uint64_t dir, char **names);

/* Changing: by paths, and nothing here may fail. */
void client_write(const char *path, const void *data, size_t len, uint64_t off);
/* The same, synced, and the file stays open for good. */
void client_leave_open(const char *path, const void *data, size_t len,
		       uint64_t off);
void client_truncate(const char *path, uint64_t len);
void client_mkdir(const char *path);
void client_symlink(const char *target, const char *path);
void client_link(const char *old, const char *path);
void client_rename(const char *old, const char *path);
void client_unlink(const char *path);
void client_setxattr(const char *path, const char *name, const char *value);

#endif
