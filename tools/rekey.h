/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Moving old files to the newest keyset: what cmd_rekey.c has done. */
#ifndef REKEY_H
#define REKEY_H

#include "chaosimg_rekey.h"
#include "tool.h"

/**
 * struct reencryption - how it is done, and how far it got
 * @archive: its path, for messages
 * @a: the archive; locked for writing unless it is mounted
 * @mount: the root of its mount, which then does the work; or -1
 * @rate: bytes in a second; 0 for no limit
 * @moved: files that were moved
 * @bytes: their plaintext bytes
 * @busy: files left because they are open or were changed meanwhile
 * @linked: files left because they have several names
 * @failed: files left because they are damaged or the like
 */
struct reencryption {
	const char *archive;
	struct chaosimg_archive *a;
	int mount;
	uint64_t rate;
	uint64_t moved;
	uint64_t bytes;
	uint64_t busy;
	uint64_t linked;
	uint64_t failed;
};

/**
 * reencrypt() - move all files that need an older keyset
 * @r: the first four members are set
 *
 * What is left is named in messages. Return: DONE if nothing is.
 */
int reencrypt(struct reencryption *r);

/**
 * find_mount() - where an archive is mounted for writing
 * @archive: its path
 * @fd: receives the mount's root
 * Return: DONE, or FAILED if it is not mounted where this process sees it.
 */
int find_mount(const char *archive, int *fd);

#endif
