// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a scrub can tell of names, links, attributes and directories' ids. They
 * have no checksum, only tags that need a key: so it is their form.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "basenc.h"
#include "error.h"
#include "names.h"
#include "scrub.h"

#define XATTR_PREFIX	"user.chaosimg."

enum {
	LOOKS = 3,
	PAUSE_MS = 50,
};

/* Also of a directory in the one above; the root's is "data". */
static const char *own_name(const struct check_task *t)
{
	if (strcmp(t->name, "."))
		return t->name;
	return t->dir->up ? strrchr(t->dir->path, '/') + 1 : t->dir->path;
}

static int check_name(struct check_task *t)
{
	const struct check_dir *dir = t->dir;
	int err;

	if (!strcmp(t->name, "."))
		dir = dir->up;
	if (!dir)
		return 0;
	err = name_check_form(dir->fd, own_name(t));
	t->foreign = err && err != -ENOENT;
	return t->foreign ? err : 0;
}

static int check_link(struct check_task *t)
{
	char target[PATH_MAX];
	uint8_t sealed[PATH_MAX];
	ssize_t n = readlinkat(t->dir->fd, t->name, target, sizeof(target));

	if (n < 0)
		return errno == ENOENT ? 0 : fail_errno("link");
	n = base64url_decode(target, (size_t)n, sealed, sizeof(sealed));
	if (n > VALUE_OVERHEAD && n <= SYMLINK_MAX + VALUE_OVERHEAD)
		return 0;
	return fail(EIO, "a symbolic link is damaged");
}

static bool xattr_name_good(const char *name)
{
	const char *text = name + sizeof(XATTR_PREFIX) - 1;
	uint8_t sealed[NAME_SEALED_MAX];
	ssize_t n = base32hex_decode(text, strlen(text), sealed,
				     sizeof(sealed));

	return n > NAME_SIV_SIZE && !((n - NAME_SIV_SIZE) % NAME_UNIT);
}

static int check_xattr(const char *path, const char *name)
{
	ssize_t n;

	if (strncmp(name, XATTR_PREFIX, sizeof(XATTR_PREFIX) - 1))
		return 0;
	if (!xattr_name_good(name))
		return fail(EIO, "an attribute's name is damaged");
	n = lgetxattr(path, name, NULL, 0);
	if (n < 0 && errno != ENODATA && errno != ENOENT)
		return fail_errno("an attribute");
	return n < 0 || n >= CHAOSIMG_XATTR_OVERHEAD ? 0 :
	       fail(EIO, "an attribute's value is damaged");
}

static int check_xattr_list(const char *path, char *list)
{
	ssize_t len = llistxattr(path, list, XATTR_LIST_MAX);
	int err = 0;

	/* A file system without any, or an entry that is gone. */
	if (len < 0)
		return errno == EOPNOTSUPP || errno == ENOENT ? 0 :
		       fail_errno("attributes");
	list[len] = '\0';
	for (ssize_t i = 0; !err && i < len; i += (ssize_t)strlen(list + i) + 1)
		err = check_xattr(path, list + i);
	return err;
}

static int check_xattrs(struct check_task *t)
{
	char path[64 + CHAOSIMG_NAME_MAX];
	char *list = malloc(XATTR_LIST_MAX + 1);
	int err;

	if (!list)
		return fail(ENOMEM, "out of memory");
	snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", t->dir->fd,
		 t->name);
	err = check_xattr_list(path, list);
	free(list);
	return err;
}

static int check_dir_id(struct check_task *t)
{
	uint8_t id[CHAOSIMG_ID_SIZE];
	int places = dir_peek(t->dir->fd, id);

	return places < 0 ? places : 0;
}

static int check_once(struct check_task *t)
{
	int err = check_name(t);

	if (!err && S_ISLNK(t->type))
		err = check_link(t);
	if (!err && S_ISDIR(t->type))
		err = check_dir_id(t);
	if (!err && (S_ISDIR(t->type) || S_ISREG(t->type)))
		err = check_xattrs(t);
	return err;
}

/* Is it still there, under the same path? */
static bool is_there(const struct check_task *t)
{
	const struct check_dir *dir = t->dir;
	struct stat a, b;

	if (strcmp(t->name, "."))
		return !fstatat(dir->fd, t->name, &a, AT_SYMLINK_NOFOLLOW);
	if (!dir->up)
		return true;
	return !fstatat(dir->up->fd, own_name(t), &a, AT_SYMLINK_NOFOLLOW) &&
	       !fstat(dir->fd, &b) && a.st_ino == b.st_ino;
}

int scrub_form(struct check *c, struct check_task *t)
{
	int err = check_once(t);
	char buf[64];

	/* It may be on its way. */
	for (int i = 1; err && i < LOOKS &&
	     !check_entry_quiet(t->dir->fd, t->name); i++) {
		check_pause(c, PAUSE_MS);
		if (!is_there(t))
			return 0;
		err = check_once(t);
	}
	if (!err || err == -ENOMEM)
		return err;
	return scrub_found(c, t, check_cause(name_printable(own_name(t), buf)),
			   -1, 0, 0);
}
