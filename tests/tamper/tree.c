// SPDX-License-Identifier: GPL-2.0-or-later
/* What stands in an archive's folder. */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "client.h"
#include "tree.h"

static struct tree *saving;
static size_t prefix;

static void save_xattr(struct object *o, const char *path)
{
	char list[1024];
	ssize_t n = llistxattr(path, list, sizeof(list)), at;

	for (at = 0; at < n; at += (ssize_t)strlen(list + at) + 1) {
		if (strncmp(list + at, "user.", 5))
			continue;
		must(strlen(list + at) < sizeof(o->xattr));
		strcpy(o->xattr, list + at);
		n = lgetxattr(path, o->xattr, o->value, sizeof(o->value));
		must(n >= 0);
		o->value_len = (size_t)n;
		return;
	}
}

static void save_data(struct object *o, const char *path)
{
	FILE *f;

	o->data = calloc(1, o->len + 1);
	must(o->data);
	if (S_ISLNK(o->mode)) {
		must(readlink(path, (char *)o->data, o->len) ==
		     (ssize_t)o->len);
		return;
	}
	f = fopen(path, "re");
	must(f && fread(o->data, 1, o->len, f) == o->len);
	fclose(f);
	save_xattr(o, path);
}

static int save_one(const char *path, const struct stat *st, int type,
		    struct FTW *ftw)
{
	struct object *o;

	(void)type;
	if (!ftw->level)
		return 0;
	saving->object = realloc(saving->object,
				 (saving->count + 1) * sizeof(*o));
	must(saving->object);
	o = &saving->object[saving->count++];
	memset(o, 0, sizeof(*o));
	must(strlen(path + prefix) < sizeof(o->path));
	strcpy(o->path, path + prefix);
	o->mode = st->st_mode;
	o->ino = st->st_ino;
	o->len = S_ISDIR(st->st_mode) ? 0 : (size_t)st->st_size;
	if (S_ISREG(st->st_mode) || S_ISLNK(st->st_mode))
		save_data(o, path);
	return 0;
}

void tree_save(struct tree *t, const char *folder)
{
	memset(t, 0, sizeof(*t));
	saving = t;
	prefix = strlen(folder) + 1;
	must(!nftw(folder, save_one, 16, FTW_PHYS));
}

static int remove_one(const char *path, const struct stat *st, int type,
		      struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

void tree_remove(const char *path)
{
	if (!remove(path) || errno == ENOENT)
		return;
	must(!nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS));
}

static const struct object *first_link(const struct tree *t,
				       const struct object *o)
{
	const struct object *p = t->object;

	while (p->ino != o->ino)
		p++;
	return p;
}

static void restore_file(const struct tree *t, const struct object *o,
			 const char *folder, const char *path)
{
	const struct object *first = first_link(t, o);
	char old[1000];
	int fd;

	if (first != o) {
		snprintf(old, sizeof(old), "%s/%s", folder, first->path);
		must(!link(old, path));
		return;
	}
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	must(fd >= 0 && write(fd, o->data, o->len) == (ssize_t)o->len);
	close(fd);
	if (*o->xattr)
		must(!lsetxattr(path, o->xattr, o->value, o->value_len, 0));
}

void tree_restore(const struct tree *t, const char *folder)
{
	char path[1000];
	size_t i;

	tree_remove(folder);
	must(!mkdir(folder, 0700));
	for (i = 0; i < t->count; i++) {
		const struct object *o = &t->object[i];

		snprintf(path, sizeof(path), "%s/%s", folder, o->path);
		if (S_ISDIR(o->mode))
			must(!mkdir(path, 0755));
		else if (S_ISLNK(o->mode))
			must(!symlink((const char *)o->data, path));
		else
			restore_file(t, o, folder, path);
	}
}

const struct object *tree_find(const struct tree *t, const char *path)
{
	size_t i;

	for (i = 0; i < t->count; i++)
		if (!strcmp(t->object[i].path, path))
			return &t->object[i];
	return NULL;
}
