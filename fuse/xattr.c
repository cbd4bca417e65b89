// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Extended attributes: the users' own are stored, encrypted. The others would
 * mean something to the kernel below, and are not.
 */
#include <linux/limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>

#include "fs.h"

static bool is_users(const char *name)
{
	return !strncmp(name, "user.", 5) && name[5];
}

static void free_plain(void *p, size_t len)
{
	if (p)
		explicit_bzero(p, len);
	free(p);
}

static int set(struct inode *in, const char *name, const char *value,
	       size_t size, int flags)
{
	char stored[CHAOSIMG_NAME_MAX + 1], path[32];
	uint8_t *box;
	int err;

	if (fs.readonly)
		return -EROFS;
	if (!is_users(name))
		return -EOPNOTSUPP;
	err = chaosimg_xattr_name_encrypt(fs.archive, name, stored);
	if (err)
		return err;
	box = malloc(size + CHAOSIMG_XATTR_OVERHEAD);
	if (!box)
		return -ENOMEM;
	err = chaosimg_xattr_value_encrypt(fs.archive, name, value, size, box);
	if (!err)
		err = inode_change_begin(in);
	if (!err) {
		inode_proc_path(in, path);
		if (setxattr(path, stored, box, size + CHAOSIMG_XATTR_OVERHEAD,
			     flags))
			err = -errno;
		inode_change_end(in);
	}
	free(box);
	return err;
}

void op_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name,
		 const char *value, size_t size, int flags)
{
	fuse_reply_err(req, -set(inode_of(ino), name, value, size, flags));
}

static ssize_t get_stored(struct inode *in, const char *stored, void *box,
			  size_t room)
{
	char path[32];
	ssize_t n = inode_use(in);

	if (n)
		return n;
	inode_proc_path(in, path);
	n = getxattr(path, stored, box, room);
	if (n < 0)
		n = -errno;
	inode_done(in);
	return n;
}

/* Return: the plain length; @value is filled if @size is not 0. */
static ssize_t get(struct inode *in, const char *name, char *value, size_t size)
{
	char stored[CHAOSIMG_NAME_MAX + 1];
	size_t room = size ? size + CHAOSIMG_XATTR_OVERHEAD : 0;
	uint8_t *box;
	ssize_t n;
	int err = chaosimg_xattr_name_encrypt(fs.archive, name, stored);

	if (err)
		return err == -ENAMETOOLONG ? -ENODATA : err;
	box = malloc(room ? room : 1);
	if (!box)
		return -ENOMEM;
	n = get_stored(in, stored, box, room);
	if (n < 0) {
		err = n;
	} else if (n < CHAOSIMG_XATTR_OVERHEAD) {
		log_cause(in, NULL, "an extended attribute is damaged");
		err = -EIO;
	} else if (size) {
		err = chaosimg_xattr_value_decrypt(fs.archive, name, box, n,
						   value);
		log_damage(err, in, NULL);
	}
	free(box);
	return err ? err : n - CHAOSIMG_XATTR_OVERHEAD;
}

void op_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
	char *value;
	ssize_t n;

	/* The kernel asks for this one before a file's first write. */
	if (!strcmp(name, "security.capability")) {
		fuse_reply_err(req, ENODATA);
		return;
	}
	if (!is_users(name)) {
		fuse_reply_err(req, EOPNOTSUPP);
		return;
	}
	if (!fs.names) {
		fuse_reply_err(req, ENODATA);
		return;
	}
	value = malloc(size ? size : 1);
	n = value ? get(inode_of(ino), name, value, size) : -ENOMEM;
	if (n < 0)
		fuse_reply_err(req, -n);
	else if (size)
		fuse_reply_buf(req, value, n);
	else
		fuse_reply_xattr(req, n);
	free_plain(value, size);
}

/* Those that are not the archive's are left out. */
static size_t decrypt_list(struct inode *in, const char *list, size_t len,
			   char *out)
{
	char name[CHAOSIMG_NAME_MAX + 1];
	size_t pos, used = 0, n;
	int err;

	for (pos = 0; pos < len; pos += strlen(list + pos) + 1) {
		err = chaosimg_xattr_name_decrypt(fs.archive, list + pos, name);
		if (err) {
			log_damage(err, in, NULL);
			continue;
		}
		n = strlen(name) + 1;
		if (used + n > XATTR_LIST_MAX)
			break;
		memcpy(out + used, name, n);
		used += n;
	}
	return used;
}

/* Return: length of the plain list, in @out of XATTR_LIST_MAX bytes. */
static ssize_t list_names(struct inode *in, char *out)
{
	char path[32], *stored = malloc(XATTR_LIST_MAX + 1);
	ssize_t n = stored ? inode_use(in) : -ENOMEM;

	if (!n) {
		inode_proc_path(in, path);
		n = listxattr(path, stored, XATTR_LIST_MAX);
		if (n < 0)
			n = -errno;
		inode_done(in);
	}
	if (n > 0) {
		stored[n] = '\0';
		n = decrypt_list(in, stored, n, out);
	}
	free(stored);
	return n;
}

void op_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size)
{
	char *names = malloc(XATTR_LIST_MAX);
	ssize_t n = names ? 0 : -ENOMEM;

	if (names && fs.names)
		n = list_names(inode_of(ino), names);
	if (n < 0)
		fuse_reply_err(req, -n);
	else if (!size)
		fuse_reply_xattr(req, n);
	else if ((size_t)n > size)
		fuse_reply_err(req, ERANGE);
	else
		fuse_reply_buf(req, names, n);
	free_plain(names, names ? XATTR_LIST_MAX : 0);
}

void op_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name)
{
	char stored[CHAOSIMG_NAME_MAX + 1], path[32];
	struct inode *in = inode_of(ino);
	int err;

	if (fs.readonly)
		err = -EROFS;
	else if (!is_users(name))
		err = -EOPNOTSUPP;
	else
		err = chaosimg_xattr_name_encrypt(fs.archive, name, stored);
	if (!err)
		err = inode_change_begin(in);
	if (!err) {
		inode_proc_path(in, path);
		if (removexattr(path, stored))
			err = -errno;
		inode_change_end(in);
	}
	fuse_reply_err(req, -err);
}
