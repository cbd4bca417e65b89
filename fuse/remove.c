// SPDX-License-Identifier: GPL-2.0-or-later
/* Entries that go away. */
#include <unistd.h>

#include "fs.h"

static int unlink_name(struct inode *dir, const struct chaosimg_stored_name *sn)
{
	struct inode *in = NULL;
	bool locked;
	int err = entry_find(dir, sn->name, sn->binding, &in);

	/* A file that does not belong there may be removed all the same. */
	if (err && err != -EIO)
		return err;
	if (!err && inode_is_dir(in)) {
		inode_put(in, 1);
		return -EISDIR;
	}
	locked = entry_lock_names(sn, NULL);
	err = unlinkat(dir->fd, sn->name, 0) ? -errno : 0;
	if (!err)
		chaosimg_name_companion_remove(dir->fd, sn);
	entry_unlock_names(locked);
	if (!err && in && inode_is_reg(in))
		content_name_gone(in, sn->binding, dir);
	inode_put(in, 1);
	return err;
}

void op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct inode *dir = inode_of(parent);
	struct chaosimg_stored_name sn;
	int err = fs.readonly ? -EROFS : entry_resolve(dir, name, &sn);

	if (!err)
		err = unlink_name(dir, &sn);
	fuse_reply_err(req, -err);
}

static int remove_found(struct inode *parent,
			const struct chaosimg_stored_name *sn,
			struct inode *dir)
{
	bool locked;
	int err;

	if (!inode_is_dir(dir))
		return -ENOTDIR;
	pthread_rwlock_wrlock(&dir->entries);
	err = dir_empty(dir);
	if (!err)
		err = dir_discard(parent, sn->name, dir);
	pthread_rwlock_unlock(&dir->entries);
	if (err)
		return err;
	locked = entry_lock_names(sn, NULL);
	chaosimg_name_companion_remove(parent->fd, sn);
	entry_unlock_names(locked);
	return 0;
}

static int remove_dir(struct inode *parent,
		      const struct chaosimg_stored_name *sn)
{
	struct inode *dir;
	int err = entry_lock(parent);

	if (err)
		return err;
	err = entry_find(parent, sn->name, sn->binding, &dir);
	if (!err) {
		err = remove_found(parent, sn, dir);
		inode_put(dir, 1);
	}
	entry_unlock(parent);
	return err;
}

void op_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct inode *dir = inode_of(parent);
	struct chaosimg_stored_name sn;
	int err = fs.readonly ? -EROFS : entry_resolve(dir, name, &sn);

	if (!err)
		err = remove_dir(dir, &sn);
	fuse_reply_err(req, -err);
}
