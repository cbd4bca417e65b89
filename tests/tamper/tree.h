/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What stands in an archive's folder at one moment, kept in memory. */
#ifndef TAMPER_TREE_H
#define TAMPER_TREE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/**
 * struct object - a file, folder or link
 * @path: from the archive's folder on
 * @mode: as in st_mode
 * @ino: the same for hard links
 * @data: a file's contents, or a link's target with a NUL
 * @len: their length
 * @xattr: a file's one attribute: its stored name, or ""
 * @value: its stored value
 * @value_len: its length
 */
struct object {
	char path[700];
	mode_t mode;
	ino_t ino;
	uint8_t *data;
	size_t len;
	char xattr[256];
	uint8_t value[256];
	size_t value_len;
};

/** struct tree - all of them, folders before what is in them */
struct tree {
	struct object *object;
	size_t count;
};

/** tree_save() - what is in a folder now */
void tree_save(struct tree *t, const char *folder);

/** tree_restore() - make the folder hold that, and nothing else */
void tree_restore(const struct tree *t, const char *folder);

/** tree_find() - by its path, or NULL */
const struct object *tree_find(const struct tree *t, const char *path);

/** tree_remove() - a file or folder, with all that is in it; may be missing */
void tree_remove(const char *path);

#endif
