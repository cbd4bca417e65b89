// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Copying what the file system knows of a file besides its contents. Extended
 * attributes are copied as they are stored; ACLs are among them.
 */
#include <errno.h>
#include <linux/limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "error.h"
#include "renewal.h"

/* One file's attributes' names, each with its NUL. */
struct names {
	char list[XATTR_LIST_MAX];
	size_t len;
};

static int read_names(int fd, struct names *n)
{
	ssize_t len = flistxattr(fd, n->list, sizeof(n->list));

	if (len < 0 && errno != EOPNOTSUPP)
		return fail_errno("extended attributes");
	n->len = len < 0 ? 0 : (size_t)len;
	return 0;
}

/* Return: length of the value in @buf of XATTR_SIZE_MAX bytes; -1 and errno */
static ssize_t value(int fd, const char *name, char *buf)
{
	return fgetxattr(fd, name, buf, XATTR_SIZE_MAX);
}

/* Return: 1 if both have the same value, else 0; negative error */
static int same_value(int a, int b, const char *name, char *buf[2])
{
	ssize_t n = value(a, name, buf[0]), m;

	if (n < 0)
		return errno == ENODATA ? 0 :
		       fail_errno("extended attribute");
	m = value(b, name, buf[1]);
	if (m < 0)
		return errno == ENODATA ? 0 :
		       fail_errno("extended attribute");
	return n == m && !memcmp(buf[0], buf[1], (size_t)n);
}

static int copy_value(int from, int to, const char *name, char *buf[2])
{
	int same = same_value(from, to, name, buf);
	ssize_t n;

	if (same)
		return same < 0 ? same : 0;
	n = value(from, name, buf[0]);
	if (n < 0 || fsetxattr(to, name, buf[0], (size_t)n, 0))
		return fail_errno("extended attribute");
	return 0;
}

static bool has(const struct names *n, const char *name)
{
	size_t pos;

	for (pos = 0; pos < n->len; pos += strlen(n->list + pos) + 1)
		if (!strcmp(n->list + pos, name))
			return true;
	return false;
}

/**
 * struct pair - two files' attributes
 * @fd: the files
 * @names: of their extended attributes
 * @buf: room for a value of each
 */
struct pair {
	int fd[2];
	struct names names[2];
	char *buf[2];
};

static void pair_free(struct pair *p)
{
	if (!p)
		return;
	free(p->buf[0]);
	free(p->buf[1]);
	free(p);
}

static int pair_new(int a, int b, struct pair **out)
{
	struct pair *p = calloc(1, sizeof(*p));
	int err = 0, i;

	if (!p)
		return fail(ENOMEM, "out of memory");
	p->fd[0] = a;
	p->fd[1] = b;
	for (i = 0; !err && i < 2; i++) {
		p->buf[i] = malloc(XATTR_SIZE_MAX);
		err = p->buf[i] ? read_names(p->fd[i], &p->names[i]) :
				  fail(ENOMEM, "out of memory");
	}
	if (err)
		pair_free(p);
	else
		*out = p;
	return err;
}

/* A new file may have inherited some that the other does not have. */
static int copy_xattrs(struct pair *p)
{
	const struct names *from = &p->names[0], *to = &p->names[1];
	size_t pos;
	int err = 0;

	for (pos = 0; pos < to->len; pos += strlen(to->list + pos) + 1)
		if (!has(from, to->list + pos) &&
		    fremovexattr(p->fd[1], to->list + pos))
			return fail_errno("extended attribute");
	for (pos = 0; !err && pos < from->len;
	     pos += strlen(from->list + pos) + 1)
		err = copy_value(p->fd[0], p->fd[1], from->list + pos, p->buf);
	return err;
}

static int copy_all(struct pair *p)
{
	struct timespec tv[2];
	struct stat st;
	int err;

	if (fstat(p->fd[0], &st))
		return fail_errno("stat");
	if (fchown(p->fd[1], st.st_uid, st.st_gid))
		return fail_errno("owner");
	err = copy_xattrs(p);
	if (err)
		return err;
	/* After the owner, which takes some bits away, and the ACL. */
	if (fchmod(p->fd[1], st.st_mode & 07777))
		return fail_errno("mode");
	tv[0] = st.st_atim;
	tv[1] = st.st_mtim;
	return futimens(p->fd[1], tv) ? fail_errno("times") : 0;
}

int attributes_copy(int from, int to)
{
	struct pair *p;
	int err = pair_new(from, to, &p);

	if (err)
		return err;
	err = copy_all(p);
	pair_free(p);
	return err;
}

/* Not the size: a copy that is sealed under other rules has other parts. */
static bool same_stat(const struct stat *a, const struct stat *b)
{
	return a->st_mode == b->st_mode && a->st_uid == b->st_uid &&
	       a->st_gid == b->st_gid &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
	       a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

static int differ(void)
{
	return fail(EAGAIN, "its attributes were changed meanwhile");
}

static int compare(struct pair *p)
{
	const struct names *n = &p->names[0];
	struct stat st[2];
	size_t pos;
	int same;

	if (fstat(p->fd[0], &st[0]) || fstat(p->fd[1], &st[1]))
		return fail_errno("stat");
	if (!same_stat(&st[0], &st[1]) || n->len != p->names[1].len)
		return differ();
	for (pos = 0; pos < n->len; pos += strlen(n->list + pos) + 1) {
		same = same_value(p->fd[0], p->fd[1], n->list + pos, p->buf);
		if (same < 1)
			return same < 0 ? same : differ();
	}
	return 0;
}

int attributes_same(int a, int b)
{
	struct pair *p;
	int err = pair_new(a, b, &p);

	if (err)
		return err;
	err = compare(p);
	pair_free(p);
	return err;
}
