/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A folder for archives on the disk, and what tests do with them. */
#ifndef ARCHIVE_ENV_H
#define ARCHIVE_ENV_H

#include <stdint.h>
#include <sys/resource.h>

#include "chaosimg.h"

/* The folder, and the credentials in "key" and "other-key" in it. */
extern char arc_top[256];
extern struct chaosimg_credential *arc_key, *arc_other_key;

int arc_set_up(void **state);
int arc_tear_down(void **state);

/* A path in the folder; the eight newest of them stay. */
char *arc_in_top(const char *name);

/* --- files ---------------------------------------------------------------- */

/* The file's bytes, of up to 1 MiB, for the caller to free. */
char *arc_slurp(const char *path, size_t *len);
void arc_spit(const char *path, const char *text, size_t len);

/* One number for all that is in a directory: names, contents, times. */
uint64_t arc_digest_of(const char *path);

/* How many are in the directory. */
size_t arc_entries(const char *path);

/* The only file in ARCHIVE/keysets. */
char *arc_keyset_file(const char *dir);
char *arc_config_file(const char *dir);

/* Replace @from by @to of the same length, with a right checksum. */
void arc_forge(const char *file, const char *from, const char *to);

/* --- archives ------------------------------------------------------------- */

/* A new archive in the folder, under arc_key. */
char *arc_make(const char *name);

int arc_try_open(const char *path, const struct chaosimg_credential *cred,
		 unsigned int flags);
struct chaosimg_archive *arc_must_open(const char *path, unsigned int flags);

/* In a child that cannot write more than @limit bytes to any file. */
int arc_in_want(int (*fn)(const char *), const char *path, rlim_t limit);

/* --- users' attributes ----------------------------------------------------- */

struct chaosimg_user;

/* What an authority, whose secret is in a file, issues to a user. */
struct chaosimg_user *arc_user(const char *secret, const char *name,
			       const char *attribute);

/* Which compartments of a keyset the user can open. */
unsigned int arc_opens(const char *path, const uint8_t *id,
		       const struct chaosimg_user *u);

#endif
