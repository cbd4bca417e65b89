// SPDX-License-Identifier: GPL-2.0-or-later
/* Finding a file in an archive, component by component, without a mount. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "chaosimg_names.h"
#include "tool.h"

struct walk {
	struct chaosimg_archive *a;
	struct found *found;
	bool stored;		/* the path's components are stored names */
	int dirfd;
	uint8_t dir_id[CHAOSIMG_ID_SIZE];
};

static int append(char *path, size_t size, const char *name)
{
	size_t len = strlen(path);
	int n = snprintf(path + len, size - len, "%s%s", len ? "/" : "", name);

	return n < 0 || (size_t)n >= size - len ? -ENAMETOOLONG : 0;
}

/* Both names of an entry, from the one that the path gives. */
static int translate(struct walk *w, const char *part,
		     struct chaosimg_stored_name *n,
		     char plain[CHAOSIMG_NAME_MAX + 1])
{
	if (!w->stored) {
		snprintf(plain, CHAOSIMG_NAME_MAX + 1, "%s", part);
		return chaosimg_name_find(w->a, w->dir_id, w->dirfd, plain,
					  n);
	}
	snprintf(n->name, sizeof(n->name), "%s", part);
	return chaosimg_name_decrypt(w->a, w->dir_id, w->dirfd, n->name, plain,
				     n->binding);
}

/* Nothing but files, directories and links is opened: a FIFO could block. */
static int open_entry(struct walk *w, const char *name)
{
	struct found *f = w->found;
	struct stat st;

	if (fstatat(w->dirfd, name, &st, AT_SYMLINK_NOFOLLOW))
		return -errno;
	f->fd = -1;
	if (S_ISLNK(st.st_mode)) {
		f->type = FOUND_SYMLINK;
		return 0;
	}
	if (!S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode))
		return -EINVAL;
	f->type = S_ISDIR(st.st_mode) ? FOUND_DIRECTORY : FOUND_FILE;
	f->fd = openat(w->dirfd, name,
		       O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	return f->fd < 0 ? -errno : 0;
}

static int step(struct walk *w, const char *part)
{
	struct chaosimg_stored_name n = { 0 };
	char plain[CHAOSIMG_NAME_MAX + 1];
	int err;

	if (!strcmp(part, ".."))
		return -EINVAL;
	if (strlen(part) > CHAOSIMG_NAME_MAX)
		return -ENAMETOOLONG;
	err = translate(w, part, &n, plain);
	if (!err)
		err = append(w->found->plain, sizeof(w->found->plain), plain);
	if (!err)
		err = append(w->found->stored, sizeof(w->found->stored),
			     n.name);
	if (err)
		return err;
	memcpy(w->found->binding, n.binding, sizeof(n.binding));
	return open_entry(w, n.name);
}

/* Make the entry just found the directory that the next step looks in. */
static int descend(struct walk *w)
{
	struct chaosimg_place place;

	if (w->found->type != FOUND_DIRECTORY)
		return -ENOTDIR;
	memcpy(place.parent, w->dir_id, sizeof(place.parent));
	memcpy(place.binding, w->found->binding, sizeof(place.binding));
	close(w->dirfd);
	w->dirfd = w->found->fd;
	w->found->fd = -1;
	return chaosimg_dir_load(w->a, w->dirfd, &place, w->dir_id);
}

static int walk_parts(struct walk *w, char *path)
{
	char *save, *part;
	bool first = true;
	int err;

	err = chaosimg_dir_load(w->a, w->dirfd, NULL, w->dir_id);
	for (part = strtok_r(path, "/", &save); part && !err;
	     part = strtok_r(NULL, "/", &save)) {
		if (!strcmp(part, "."))
			continue;
		if (!first)
			err = descend(w);
		if (!err)
			err = step(w, part);
		first = false;
	}
	return !err && first ? -EISDIR : err;
}

static int find(struct chaosimg_archive *a, const char *path, bool stored,
		struct found *out)
{
	struct walk w = { .a = a, .found = out, .stored = stored };
	char copy[sizeof(out->stored)];
	int err;

	if (strlen(path) >= sizeof(copy))
		return -ENAMETOOLONG;
	strcpy(copy, path);
	out->plain[0] = '\0';
	strcpy(out->stored, "data");
	out->fd = -1;
	w.dirfd = fcntl(chaosimg_archive_data_fd(a), F_DUPFD_CLOEXEC, 3);
	if (w.dirfd < 0)
		return -errno;
	err = walk_parts(&w, copy);
	close(w.dirfd);
	if (err && out->fd >= 0) {
		close(out->fd);
		out->fd = -1;
	}
	return err;
}

/* The part below data/, if the path can be a stored one; else NULL */
static const char *below_data(const char *archive, const char *path)
{
	size_t len = strlen(archive);

	while (len && archive[len - 1] == '/')
		len--;
	if (len && !strncmp(path, archive, len) && path[len] == '/')
		path += len + 1;
	while (!strncmp(path, "./", 2))
		path += 2;
	return strncmp(path, "data/", 5) ? NULL : path + 5;
}

static int describe(const char *path, int err)
{
	switch (err) {
	case -ENOENT:
		return failed("%s: no such file in the archive", path);
	case -EINVAL:
		return failed("%s: not a path in an archive", path);
	case -ENOTDIR:
	case -ENAMETOOLONG:
		return failed("%s: %s", path, strerror(-err));
	case -EISDIR:
		return failed("%s: is the archive's root", path);
	default:
		return failed_library(path, err);
	}
}

int lookup(struct chaosimg_archive *a, const char *archive, const char *path,
	   struct found *out)
{
	const char *stored = below_data(archive, path);
	int err;

	err = find(a, path, false, out);
	if (err && stored && (err == -ENOENT || err == -ENAMETOOLONG))
		err = find(a, stored, true, out);
	return err ? describe(path, err) : DONE;
}
