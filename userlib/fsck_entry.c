// SPDX-License-Identifier: GPL-2.0-or-later
/* Symbolic links and extended attributes, authenticated. */
#include <errno.h>
#include <fcntl.h>
#include <linux/limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "error.h"
#include "fsck.h"
#include "names.h"

enum {
	LOOKS = 3,
	PAUSE_MS = 50,
};

static struct chaosimg_archive *archive_of(const struct check *c)
{
	return ((const struct fsck *)c->ctx)->a;
}

/* While others write, what does not hold is looked at again. */
static int look_again(struct check *c, struct check_task *t,
		      int (*look)(struct chaosimg_archive *a,
				  const struct check_task *t))
{
	int looks = fsck_repairs(c) ? 1 : LOOKS, err = 0;

	for (int i = 0; i < looks; i++) {
		if (i)
			check_pause(c, PAUSE_MS);
		err = look(archive_of(c), t);
		if (!err || fsck_fatal(err))
			return err;
		if (check_entry_quiet(t->dir->fd, t->name))
			break;
	}
	return fsck_tell(c, t, chaosimg_errmsg(), CHAOSIMG_REMEDY_NONE, NULL);
}

static int look_at_link(struct chaosimg_archive *a, const struct check_task *t)
{
	char stored[PATH_MAX], target[PATH_MAX];
	ssize_t n = readlinkat(t->dir->fd, t->name, stored, sizeof(stored) - 1);
	int err;

	if (n < 0)
		return errno == ENOENT || errno == EINVAL ? 0 :
		       fail_errno("a symbolic link");
	stored[n] = '\0';
	err = chaosimg_symlink_decrypt(a, stored, target, sizeof(target));
	explicit_bzero(target, sizeof(target));
	return err;
}

int fsck_link(struct check *c, struct check_task *t)
{
	t->totals.links++;
	return look_again(c, t, look_at_link);
}

static int look_at_value(struct chaosimg_archive *a, const char *path,
			 const char *stored, const char *name)
{
	char *box = malloc(2 * XATTR_SIZE_MAX);
	ssize_t n;
	int err = 0;

	if (!box)
		return fail(ENOMEM, "out of memory");
	n = lgetxattr(path, stored, box, XATTR_SIZE_MAX);
	if (n < 0)
		err = errno == ENODATA || errno == ENOENT ? 0 :
		      fail_errno("an attribute's value");
	else if (n < CHAOSIMG_XATTR_OVERHEAD)
		err = fail(EIO, "an attribute's value is damaged");
	else
		err = chaosimg_xattr_value_decrypt(a, name, box, (size_t)n,
						   box + XATTR_SIZE_MAX);
	explicit_bzero(box, 2 * XATTR_SIZE_MAX);
	free(box);
	return err;
}

static int look_at_list(struct chaosimg_archive *a, const char *path,
			const char *list, size_t len)
{
	char name[CHAOSIMG_NAME_MAX + 1];
	int err = 0;

	for (size_t i = 0; !err && i < len; i += strlen(list + i) + 1) {
		err = chaosimg_xattr_name_decrypt(a, list + i, name);
		if (err == -ENOENT)	/* not the archive's */
			err = 0;
		else if (err)
			err = fail(-err, "an attribute's name is damaged");
		else
			err = look_at_value(a, path, list + i, name);
	}
	explicit_bzero(name, sizeof(name));
	return err;
}

static int look_at_attributes(struct chaosimg_archive *a,
			      const struct check_task *t)
{
	char path[64 + CHAOSIMG_NAME_MAX];
	char *list = malloc(XATTR_LIST_MAX + 1);
	ssize_t n;
	int err;

	if (!list)
		return fail(ENOMEM, "out of memory");
	snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", t->dir->fd,
		 t->name);
	n = llistxattr(path, list, XATTR_LIST_MAX);
	if (n < 0)
		err = errno == EOPNOTSUPP || errno == ENOENT ? 0 :
		      fail_errno("attributes");
	else
		err = look_at_list(a, path, list, (size_t)n);
	free(list);
	return err;
}

int fsck_attributes(struct check *c, struct check_task *t)
{
	return look_again(c, t, look_at_attributes);
}
