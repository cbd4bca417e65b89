// SPDX-License-Identifier: GPL-2.0-or-later
/* Entries that go away. */
#include <unistd.h>

#include "fs.h"

static int unlink_name(struct inode *dir, const struct chaosimg_stored_name *sn)
{
	bool locked;
	int err;

	/* A copy that is about to take the name must find it gone. */
	pthread_rwlock_rdlock(&dir->entries);
	locked = entry_lock_names(sn, NULL);
	err = unlinkat(dir->fd, sn->name, 0) ? -errno : 0;
	if (!err)
		chaosimg_name_companion_remove(dir->fd, sn);
	entry_unlock_names(locked);
	pthread_rwlock_unlock(&dir->entries);
	return err;
}

/* Who has it open goes on using it. */
static int unlink_found(struct inode *dir,
			const struct chaosimg_stored_name *sn, struct inode *in)
{
	int err = inode_is_dir(in) ? -EISDIR : inode_use(in);

	if (err)
		return err;
	err = unlink_name(dir, sn);
	if (!err)
		content_name_gone(in, sn->binding, dir);
	inode_done(in);
	return err;
}

static int unlink_entry(struct inode *dir,
			const struct chaosimg_stored_name *sn)
{
	struct inode *in;
	int err = inode_use(dir);

	if (err)
		return err;
	err = entry_find(dir, sn->name, sn->binding, &in, NULL);
	if (!err) {
		err = unlink_found(dir, sn, in);
		inode_put(in, 1);
	} else if (err == -EIO) {
		/* What does not belong there may be removed all the same. */
		err = unlink_name(dir, sn);
	}
	inode_done(dir);
	return err;
}

void op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct inode *dir = inode_of(parent);
	struct chaosimg_stored_name sn;
	int err = fs.readonly ? -EROFS : entry_resolve(dir, name, &sn);

	if (!err)
		err = unlink_entry(dir, &sn);
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
	err = inode_use(dir);
	if (err)
		return err;
	pthread_rwlock_wrlock(&dir->entries);
	err = dir_empty(dir);
	if (!err)
		err = dir_discard(parent, sn->name, dir);
	pthread_rwlock_unlock(&dir->entries);
	inode_done(dir);
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
	err = entry_find_locked(parent, sn->name, sn->binding, &dir);
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
