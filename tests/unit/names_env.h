/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the tests of names, directory ids, links and attributes share. */
#ifndef NAMES_ENV_H
#define NAMES_ENV_H

#include "archive.h"
#include "chaosimg_names.h"

/*
 * Two archives in memory that differ in their key alone; and, unless @top is
 * NULL, an empty directory. Returns 0 or -1, as cmocka's set-up does.
 */
int names_env_open(struct chaosimg_archive **archive,
		   struct chaosimg_archive **other, int *top);

/* Fails if something is left in the directory; @top is -1 for none. */
int names_env_close(struct chaosimg_archive *archive,
		    struct chaosimg_archive *other, int top);

/* Any bytes but NUL and '/'; never "." or "..". */
void names_random(uint64_t *state, size_t len, char *out);

/* Are there @run characters of @plain in a row in @stored? */
bool names_has_run_of(const char *stored, const char *plain, size_t run);

#endif
