/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Checking an archive with its key: what the parts of it share. */
#ifndef CHAOSIMG_FSCK_H
#define CHAOSIMG_FSCK_H

#include "archive.h"
#include "check.h"

/**
 * struct idset - ids seen so far, each with the inode that has it
 * @lock: protects the rest
 * @slot: a hash table; an inode number of 0 marks a free one
 * @used: of them
 * @size: of @slot, a power of two
 */
struct idset {
	pthread_mutex_t lock;
	struct idset_slot {
		uint64_t id;
		uint64_t ino;
	} *slot;
	size_t used;
	size_t size;
};

/**
 * idset_add() - note who has an id
 * @s: the set
 * @id: random bytes; the first half of them is compared
 * @ino: the inode
 * Return: 0; -EEXIST if another inode has it; -ENOMEM.
 */
int idset_add(struct idset *s, const uint8_t id[CHAOSIMG_ID_SIZE],
	      uint64_t ino);

/** struct fsck - a run over an archive */
struct fsck {
	struct chaosimg_archive *a;
	struct idset files;
	struct idset dirs;
};

/** fsck_repairs() - may this run change anything? Then nobody else does. */
bool fsck_repairs(const struct check *c);

/** fsck_in_use() - may somebody be writing? Then unfinished things are normal. */
bool fsck_in_use(const struct check *c);

/**
 * fsck_tell() - tell what is wrong with an entry
 * @c: the run
 * @t: the entry
 * @what: in one line
 * @remedy: whether it can be repaired, or is
 * @repair: how; NULL if it cannot be
 * Return: 0 or -ENOMEM.
 */
int fsck_tell(struct check *c, struct check_task *t, const char *what,
	      enum chaosimg_remedy remedy, const char *repair);

/** fsck_file() - check a stored file, and repair it. Return: 0; fatal errors */
int fsck_file(struct check *c, struct check_task *t);

/** fsck_link() - check a symbolic link. Return: 0; fatal errors */
int fsck_link(struct check *c, struct check_task *t);

/** fsck_attributes() - of a file or directory. Return: 0; fatal errors */
int fsck_attributes(struct check *c, struct check_task *t);

/** fsck_keys() - what is beside the encrypted tree. Return: 0; fatal errors */
int fsck_keys(struct check *c);

/** fsck_tree() - walk through the encrypted tree. Return: 0; fatal errors */
int fsck_tree(struct check *c);

/** fsck_fatal() - an error that is no finding: the run has to end */
static inline bool fsck_fatal(int err)
{
	return err == -ENOMEM || err == -EMFILE || err == -ENFILE ||
	       err == -EINTR;
}

#endif
