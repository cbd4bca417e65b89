// SPDX-License-Identifier: GPL-2.0-or-later
/* Directories on the walk of scrub and fsck, and what is in them. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "chaosimg_names.h"
#include "check.h"
#include "error.h"

enum { QUIET_SECONDS = 10 };

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
	struct check_dir *dir;

	if (up && up->depth >= CHECK_DEPTH_MAX)
		return fail(ENAMETOOLONG, "nested too deeply to be checked");
	dir = calloc(1, sizeof(*dir));
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
	dir->depth = up ? up->depth + 1 : 0;
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

static int count_dir(struct check *c, int dirfd, const char *name,
		     unsigned int depth);

static int count_entry(struct check *c, int dirfd, const char *name,
		       unsigned int depth)
{
	struct stat st;

	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW))
		return 0;
	if (S_ISREG(st.st_mode))
		c->bytes_total += (uint64_t)st.st_size;
	return S_ISDIR(st.st_mode) ? count_dir(c, dirfd, name, depth + 1) : 0;
}

/* What cannot be read is not counted: checking it will say why. */
static int count_dir(struct check *c, int dirfd, const char *name,
		     unsigned int depth)
{
	int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW |
			O_CLOEXEC);
	DIR *dp = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *d;
	int err = 0;

	if (!dp) {
		if (fd >= 0)
			close(fd);
		return 0;
	}
	while (!err && depth < CHECK_DEPTH_MAX && (d = readdir(dp))) {
		if (!strcmp(d->d_name, ".") || !strcmp(d->d_name, ".."))
			continue;
		err = check_stopped(c) ? -EINTR :
		      count_entry(c, fd, d->d_name, depth);
	}
	closedir(dp);
	return err;
}

int check_count(struct check *c, int fd)
{
	return count_dir(c, fd, ".", 0);
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

bool check_quiet(const struct stat *st)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return st->st_ctim.tv_sec < now.tv_sec - QUIET_SECONDS;
}

bool check_entry_quiet(int dirfd, const char *name)
{
	struct stat dir, st;

	return !fstat(dirfd, &dir) && check_quiet(&dir) &&
	       !fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) &&
	       check_quiet(&st);
}
