/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tampering with an archive: what its parts share.
 *
 *	tamper.c	the archive, the runs, what may come of them, the figures
 *	contents.c	what is in the archive
 *	mutate.c	what is done to what is stored, and the list of it all
 *	mutate_file.c	what is done to files
 *	tree.c		an archive's folder, kept in memory
 *	client.c	programs that use the mount
 */
#ifndef TAMPER_H
#define TAMPER_H

#include <stdbool.h>

#include "client.h"
#include "tree.h"

#define TAMPER_CHUNK	4096
#define TAMPER_RECORD	(TAMPER_CHUNK + 56)	/* archive-format.rst */
#define TAMPER_HEADER	4096
#define TOUCHED_MAX	12
#define NOTE		"user.note"

/* What may come of a mutation for the objects that it touches. */
enum {
	MAY_REFUSE = 1,		/* an error, with a line in the log */
	MAY_OLDER = 2,		/* as it was at an earlier time, as a whole */
	MAY_MIX = 4,		/* each chunk as it is, or as it was */
	MAY_MISS = 8,		/* not there */
	MAY_OTHER_LINK = 16,	/* another link's target, another file's value */
	MAY_SPECIAL = 32,	/* a FIFO or empty folder: without contents */
	MUST_CHANGE = 64,	/* what is read may not be what it was */
	ALL_OLDER = 128,	/* everything may be as it was */
	CHECKED = 256,		/* fsck has to find it */
	SCRUBBED = 512,		/* and so has scrub, which has no key */
};

/** struct mutation - one kind */
struct mutation {
	const char *name;
	unsigned int may;
	bool (*apply)(void);
};

/** struct stage - the archive at its three times, and the mutation's traces */
struct stage {
	char folder[200];
	struct tree now;
	struct tree old;
	struct tree other;
	char touched[TOUCHED_MAX][700];
	int touched_count;
	mode_t touched_mode;
	const char *link;	/* another name of what was touched, or NULL */
};

extern struct stage stage;
extern const struct mutation mutations[];
extern const size_t mutation_count;

/* --- contents.c --- */

/** contents_draw() - decide on what it is */
void contents_draw(void);

/** contents_fill() - of a new archive that is mounted */
void contents_fill(void);

/** contents_change() - some time later */
void contents_change(void);

/* --- tamper.c --- */

/** chance() - a number below @below */
uint64_t chance(uint64_t below);

/**
 * touch() - what is stored at this path, and below it, is not what it was
 * @path: from the archive's folder on; its hard links are touched with it
 */
void touch(const char *path);

#endif
