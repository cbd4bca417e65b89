/* SPDX-License-Identifier: GPL-2.0-or-later */
/* chaosimg key escrow and chaosimg key restore: what cmd_key.c has done. */
#ifndef ESCROW_H
#define ESCROW_H

#include "tool.h"

/**
 * escrow_write() - write an archive's escrow
 * @a: the archive
 * @archive: its path, for messages
 * @path: a new file for it; NULL for the terminal that is standard output
 */
int escrow_write(struct chaosimg_archive *a, const char *archive,
		 const char *path);

/**
 * struct escrow_text - a typed escrow, in locked memory
 * @size: how much has been read
 * @text: what has been read
 */
struct escrow_text {
	size_t size;
	char text[8192];
};

/**
 * escrow_read() - read one, line by line if a person types it
 * @path: a file, or "-" for standard input
 * @out: receives it; end with escrow_wipe(), also after a failure
 */
int escrow_read(const char *path, struct escrow_text **out);

/** escrow_wipe() - forget it; NULL is allowed */
void escrow_wipe(struct escrow_text *t);

#endif
