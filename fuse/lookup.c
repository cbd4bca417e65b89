// SPDX-License-Identifier: GPL-2.0-or-later
/* Look-ups and attributes. */
#include <sys/statvfs.h>
#include <unistd.h>

#include "fs.h"

/* Only this mount changes the archive, so "there is none" may be kept too. */
static void reply_none(fuse_req_t req)
{
	struct fuse_entry_param e = { .entry_timeout = fs.timeout };

	fuse_reply_entry(req, &e);
}

static int look_up(struct inode *dir, const char *name, struct inode **out,
		   struct stat *st)
{
	struct chaosimg_stored_name sn;
	int err = entry_resolve(dir, name, &sn);

	if (!err)
		err = inode_use(dir);
	if (err)
		return err;
	err = entry_find(dir, sn.name, sn.binding, out, st);
	inode_done(dir);
	return err;
}

void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct inode *in = NULL;
	struct stat st;
	int err = look_up(inode_of(parent), name, &in, &st);

	if (err == -ENOENT && !fs.readonly)
		reply_none(req);
	else
		entry_reply(req, err, in, &st);
}

void op_forget(fuse_req_t req, fuse_ino_t ino, uint64_t nlookup)
{
	inode_put(inode_of(ino), nlookup);
	fuse_reply_none(req);
}

void op_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *f)
{
	size_t i;

	for (i = 0; i < count; i++)
		inode_put(inode_of(f[i].ino), f[i].nlookup);
	fuse_reply_none(req);
}

static void reply_attr(fuse_req_t req, struct inode *in)
{
	struct stat st;
	int err = inode_stat(in, &st);

	if (err)
		fuse_reply_err(req, -err);
	else
		fuse_reply_attr(req, &st, fs.timeout);
}

void op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)fi;
	reply_attr(req, inode_of(ino));
}

static int set_owner(struct inode *in, const struct stat *attr, int to_set)
{
	uid_t uid = to_set & FUSE_SET_ATTR_UID ? attr->st_uid : (uid_t)-1;
	gid_t gid = to_set & FUSE_SET_ATTR_GID ? attr->st_gid : (gid_t)-1;
	int err = inode_change_begin(in);

	if (err)
		return err;
	if (fchownat(in->fd, "", uid, gid, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW))
		err = -errno;
	inode_change_end(in);
	return err;
}

static int set_mode(struct inode *in, mode_t mode)
{
	char path[32];
	int err;

	if (S_ISLNK(in->type))
		return -EOPNOTSUPP;
	/* Opening the contents may change the mode for a moment. */
	err = inode_change_begin(in);
	if (err)
		return err;
	inode_proc_path(in, path);
	err = chmod(path, mode & 07777) ? -errno : 0;
	inode_change_end(in);
	return err;
}

static int set_times(struct inode *in, const struct stat *attr, int to_set)
{
	struct timespec tv[2] = {
		{ .tv_nsec = UTIME_OMIT }, { .tv_nsec = UTIME_OMIT }
	};

	if (to_set & FUSE_SET_ATTR_ATIME_NOW)
		tv[0].tv_nsec = UTIME_NOW;
	else if (to_set & FUSE_SET_ATTR_ATIME)
		tv[0] = attr->st_atim;
	if (to_set & FUSE_SET_ATTR_MTIME_NOW)
		tv[1].tv_nsec = UTIME_NOW;
	else if (to_set & FUSE_SET_ATTR_MTIME)
		tv[1] = attr->st_mtim;
	return content_set_times(in, tv);
}

/* Size first and times last: each may change what comes before it. */
static int set_attributes(struct inode *in, const struct stat *attr, int to_set)
{
	int err = 0;

	if (fs.readonly)
		return -EROFS;
	if (to_set & FUSE_SET_ATTR_SIZE)
		err = content_truncate(in, attr->st_size);
	if (!err && to_set & (FUSE_SET_ATTR_UID | FUSE_SET_ATTR_GID))
		err = set_owner(in, attr, to_set);
	if (!err && to_set & FUSE_SET_ATTR_MODE)
		err = set_mode(in, attr->st_mode);
	if (!err && to_set & (FUSE_SET_ATTR_ATIME | FUSE_SET_ATTR_MTIME |
			      FUSE_SET_ATTR_ATIME_NOW |
			      FUSE_SET_ATTR_MTIME_NOW))
		err = set_times(in, attr, to_set);
	return err;
}

void op_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int to_set,
		struct fuse_file_info *fi)
{
	struct inode *in = inode_of(ino);
	int err = set_attributes(in, attr, to_set);

	(void)fi;
	if (err)
		fuse_reply_err(req, -err);
	else
		reply_attr(req, in);
}

void op_statfs(fuse_req_t req, fuse_ino_t ino)
{
	struct statvfs st;

	(void)ino;
	if (fstatvfs(fs.data_fd, &st)) {
		fuse_reply_err(req, errno);
		return;
	}
	st.f_namemax = CHAOSIMG_NAME_MAX;
	fuse_reply_statfs(req, &st);
}
