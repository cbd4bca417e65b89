// SPDX-License-Identifier: GPL-2.0-or-later
/* Directories on the walk of scrub and fsck, and what is in them. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "error.h"

char *check_path(const struct check_dir *dir, const char *name)
{
	char *path;

	if (!strcmp(name, "."))
		return strdup(dir->path);
	return asprintf(&path, "%s/%s", dir->path, name) < 0 ? NULL : path;
}

int check_dir_open(struct check_dir *up, int fd, const char *name,
		   struct check_dir **out)
{
	struct check_dir *dir = calloc(1, sizeof(*dir));

	if (dir)
		dir->path = up ? check_path(up, name) : strdup(name);
	if (!dir || !dir->path) {
		free(dir);
		return fail(ENOMEM, "out of memory");
	}
	dir->fd = openat(fd, name,
			 O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir->fd < 0) {
		int err = fail_errno("%s", dir->path);

		free(dir->path);
		free(dir);
		return err;
	}
	dir->refs = 1;
	dir->up = up ? check_dir_get(up) : NULL;
	*out = dir;
	return 0;
}

struct check_dir *check_dir_get(struct check_dir *dir)
{
	dir->refs++;
	return dir;
}

void check_dir_put(struct check_dir *dir)
{
	while (dir && !--dir->refs) {
		struct check_dir *up = dir->up;

		close(dir->fd);
		free(dir->path);
		if (dir->plain)
			explicit_bzero(dir->plain, strlen(dir->plain));
		free(dir->plain);
		free(dir);
		dir = up;
	}
}

/* --- listings --- */

static mode_t type_of(int fd, const struct dirent *d)
{
	struct stat st;

	/* Not every file system says. */
	if (d->d_type != DT_UNKNOWN)
		return DTTOIF(d->d_type);
	if (fstatat(fd, d->d_name, &st, AT_SYMLINK_NOFOLLOW))
		return 0;
	return st.st_mode & S_IFMT;
}

static int list_add(struct check_list *l, const char *name, mode_t type)
{
	if (l->count == l->room) {
		size_t room = l->room ? l->room * 2 : 64;
		struct check_entry *e = reallocarray(l->entry, room,
						     sizeof(*e));

		if (!e)
			return fail(ENOMEM, "out of memory");
		l->entry = e;
		l->room = room;
	}
	l->entry[l->count].type = type;
	l->entry[l->count].name = strdup(name);
	if (!l->entry[l->count].name)
		return fail(ENOMEM, "out of memory");
	l->count++;
	return 0;
}

static int compare(const void *a, const void *b)
{
	const struct check_entry *x = a, *y = b;

	return strcmp(x->name, y->name);
}

static int read_all(DIR *dp, struct check_list *l)
{
	const struct dirent *d;
	int err = 0;

	for (errno = 0; !err && (d = readdir(dp)); errno = 0) {
		if (strcmp(d->d_name, ".") && strcmp(d->d_name, ".."))
			err = list_add(l, d->d_name, type_of(dirfd(dp), d));
	}
	return err || !errno ? err : fail_errno("reading a directory");
}

int check_list_read(int fd, struct check_list *l)
{
	/* Of its own, as a copied descriptor would share the position. */
	int own = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), err;
	DIR *dp = own < 0 ? NULL : fdopendir(own);

	memset(l, 0, sizeof(*l));
	if (!dp) {
		err = fail_errno("opening a directory");
		if (own >= 0)
			close(own);
		return err;
	}
	err = read_all(dp, l);
	closedir(dp);
	if (err)
		check_list_free(l);
	else if (l->count)
		qsort(l->entry, l->count, sizeof(*l->entry), compare);
	return err;
}

void check_list_free(struct check_list *l)
{
	while (l->count)
		free(l->entry[--l->count].name);
	free(l->entry);
	memset(l, 0, sizeof(*l));
}

const char *check_cause(const char *where)
{
	const char *said = chaosimg_errmsg();
	size_t len = strlen(where);

	return !strncmp(said, where, len) && !strncmp(said + len, ": ", 2) ?
	       said + len + 2 : said;
}

bool check_is_temporary(const char *name)
{
	return !strncmp(name, CHAOSIMG_TMP_PREFIX,
			sizeof(CHAOSIMG_TMP_PREFIX) - 1);
}

static int count_entry(struct check *c, DIR *dp, const char *name,
		       uint64_t *bytes)
{
	struct stat st;
	int fd, err;

	if (!strcmp(name, ".") || !strcmp(name, "..") ||
	    fstatat(dirfd(dp), name, &st, AT_SYMLINK_NOFOLLOW))
		return 0;
	if (S_ISREG(st.st_mode))
		*bytes += (uint64_t)st.st_size;
	if (!S_ISDIR(st.st_mode))
		return 0;
	fd = openat(dirfd(dp), name,
		    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return 0;
	err = check_count(c, fd, bytes);
	close(fd);
	return err;
}

/* What cannot be read is not counted: checking it will say why. */
int check_count(struct check *c, int fd, uint64_t *bytes)
{
	int own = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dp = own < 0 ? NULL : fdopendir(own);
	const struct dirent *d;
	int err = 0;

	if (!dp) {
		if (own >= 0)
			close(own);
		return 0;
	}
	while (!err && (d = readdir(dp)))
		err = check_stopped(c) ? -EINTR :
		      count_entry(c, dp, d->d_name, bytes);
	closedir(dp);
	return err;
}

bool check_same(const struct stat *a, const struct stat *b)
{
	return a->st_ino == b->st_ino && a->st_dev == b->st_dev &&
	       a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
	       a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
	       a->st_ctim.tv_sec == b->st_ctim.tv_sec &&
	       a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}
