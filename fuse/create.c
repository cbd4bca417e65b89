// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * New entries. A file or directory gets its name when it is complete, so a
 * crash leaves none that cannot be used.
 */
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "fs.h"

/**
 * struct making - an entry that is being made
 * @tmp: its temporary name, if it has one
 */
struct making {
	struct inode *dir;
	struct chaosimg_stored_name sn;
	const struct fuse_ctx *ctx;
	mode_t mode;
	bool names_locked;
	char tmp[CHAOSIMG_NAME_MAX + 1];
};

/* From here on until making_end() the directory stays. */
static int making_begin(struct making *m, fuse_req_t req, fuse_ino_t parent,
			const char *name, mode_t mode)
{
	int err;

	if (fs.readonly)
		return -EROFS;
	m->dir = inode_of(parent);
	m->ctx = fuse_req_ctx(req);
	m->mode = mode;
	m->tmp[0] = '\0';
	err = entry_resolve(m->dir, name, &m->sn);
	if (!err && entry_reserved(&m->sn))
		err = -EPERM;
	if (!err)
		err = entry_lock(m->dir);
	if (err)
		return err;
	m->names_locked = entry_lock_names(&m->sn, NULL);
	err = chaosimg_name_companion_add(m->dir->fd, &m->sn);
	if (!err)
		return 0;
	entry_unlock_names(m->names_locked);
	entry_unlock(m->dir);
	return err;
}

static int making_end(struct making *m, int err)
{
	if (err && err != -EEXIST)
		chaosimg_name_companion_remove(m->dir->fd, &m->sn);
	entry_unlock_names(m->names_locked);
	entry_unlock(m->dir);
	return err;
}

/* Whose it is: the caller's; the group the directory's if that is so marked. */
static int give_to_caller(const struct making *m, int fd, const char *name,
			  bool *inherits)
{
	gid_t gid = m->ctx->gid;
	struct stat st;

	*inherits = false;
	if (!fs.root)
		return 0;
	if (fstatat(m->dir->fd, "", &st, AT_EMPTY_PATH))
		return -errno;
	*inherits = st.st_mode & S_ISGID;
	if (*inherits)
		gid = st.st_gid;
	if (m->ctx->uid == 0 && gid == 0 && !*inherits)
		return 0;
	return fchownat(fd, name, m->ctx->uid, gid,
			AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) ? -errno : 0;
}

static int rename_noreplace(int dirfd, const char *from, const char *to)
{
	struct stat st;

	if (!renameat2(dirfd, from, dirfd, to, RENAME_NOREPLACE))
		return 0;
	if (errno != EINVAL && errno != ENOSYS)
		return -errno;
	/* A file system without it; nobody else adds entries meanwhile. */
	if (!fstatat(dirfd, to, &st, AT_SYMLINK_NOFOLLOW))
		return -EEXIST;
	return renameat(dirfd, from, dirfd, to) ? -errno : 0;
}

/* --- regular files -------------------------------------------------------- */

static int open_new(struct making *m)
{
	mode_t mode = m->mode & 07777;
	int fd, err;

	fd = patient_open(m->dir->fd, ".", O_TMPFILE | O_RDWR, mode);
	if (fd >= 0)
		return fd;
	if (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL)
		return -errno;
	/* A file system without unnamed files. */
	err = entry_temporary(m->tmp);
	if (err)
		return err;
	fd = patient_open(m->dir->fd, m->tmp, O_CREAT | O_EXCL | O_RDWR, mode);
	if (fd >= 0)
		return fd;
	m->tmp[0] = '\0';
	return -errno;
}

static int prepare_new(const struct making *m, int fd)
{
	bool inherits;
	int err = give_to_caller(m, fd, "", &inherits);

	/* A change of owner took these away. */
	if (!err && m->mode & (S_ISUID | S_ISGID) &&
	    fchmod(fd, m->mode & 07777))
		err = -errno;
	return err;
}

/* By the descriptor itself: that takes the right that handles take. */
static int link_file(const struct making *m, int fd)
{
	char path[32];

	if (handles_work() &&
	    !linkat(fd, "", m->dir->fd, m->sn.name, AT_EMPTY_PATH))
		return 0;
	if (handles_work() && errno != ENOENT)
		return -errno;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return linkat(AT_FDCWD, path, m->dir->fd, m->sn.name,
		      AT_SYMLINK_FOLLOW) ? -errno : 0;
}

static int publish_file(const struct making *m, const struct chaosimg_file *f)
{
	if (m->tmp[0])
		return rename_noreplace(m->dir->fd, m->tmp, m->sn.name);
	return link_file(m, chaosimg_file_fd(f));
}

/* The inode of a new file, with one reference and one handle. */
static int inode_of_file(struct chaosimg_file *f, const binding_t b,
			 struct inode **out, struct stat *st)
{
	bool fresh;
	int err = inode_get(chaosimg_file_fd(f), "", out, st, &fresh);

	if (err)
		return err;
	err = content_check_binding(*out, b);
	if (err)
		inode_put(*out, 1);
	else
		content_adopt(*out, f, st);
	return err;
}

/* The kernel lets nobody look at the directory until it has been told. */
static int publish_inode(const struct making *m, struct chaosimg_file *f,
			 struct inode **out, struct stat *st)
{
	int err = publish_file(m, f);

	if (err)
		return err;
	err = inode_of_file(f, m->sn.binding, out, st);
	if (err)
		unlinkat(m->dir->fd, m->sn.name, 0);
	return err;
}

/* Has a place already. */
static int make_placed(struct making *m, struct inode **out, struct stat *st)
{
	struct chaosimg_file *f;
	int fd = open_new(m), err;

	if (fd < 0)
		return fd;
	renew_notice();
	err = prepare_new(m, fd);
	if (err)
		close(fd);
	else
		err = chaosimg_file_create(fs.archive, fd, m->sn.binding, &f);
	if (!err) {
		err = publish_inode(m, f, out, st);
		if (err)
			chaosimg_file_close(f);
	}
	if (err && m->tmp[0])
		unlinkat(m->dir->fd, m->tmp, 0);
	return err;
}

/* A new file with one reference and one handle. */
static int make_file(struct making *m, struct inode **out, struct stat *st)
{
	int err = place_take(1);

	if (err)
		return err;
	err = make_placed(m, out, st);
	if (err)
		place_give(1);
	return err;
}

static int create_file(fuse_req_t req, fuse_ino_t parent, const char *name,
		       mode_t mode, struct inode **out, struct stat *st)
{
	struct making m;
	int err = making_begin(&m, req, parent, name, mode);

	if (err)
		return err;
	return making_end(&m, make_file(&m, out, st));
}

static int find_existing(fuse_ino_t parent, const char *name,
			 struct inode **out)
{
	struct inode *dir = inode_of(parent);
	struct chaosimg_stored_name sn;
	int err = entry_resolve(dir, name, &sn);

	if (!err)
		err = inode_use(dir);
	if (err)
		return err;
	err = entry_find(dir, sn.name, sn.binding, out, NULL);
	inode_done(dir);
	return err;
}

static int open_found(struct inode *in, int flags)
{
	int err = inode_is_reg(in) ? content_open(in, true) : -EEXIST;

	if (err || !(flags & O_TRUNC))
		return err;
	err = content_truncate(in, 0);
	if (err)
		content_close(in);
	return err;
}

/* Someone else was faster: then it is an ordinary open. */
static int open_existing(fuse_ino_t parent, const char *name, int flags,
			 struct inode **out, struct stat *st)
{
	int err = find_existing(parent, name, out);

	if (err)
		return err;
	err = open_found(*out, flags);
	if (err) {
		inode_put(*out, 1);
		return err;
	}
	if (!fstat(chaosimg_file_fd((*out)->file), st))
		return 0;
	err = -errno;
	content_close(*out);
	inode_put(*out, 1);
	return err;
}

void op_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
	       struct fuse_file_info *fi)
{
	struct fuse_entry_param e;
	struct inode *in = NULL;
	struct stat st;
	int err = create_file(req, parent, name, mode, &in, &st);

	if (err == -EEXIST && !(fi->flags & O_EXCL))
		err = open_existing(parent, name, fi->flags, &in, &st);
	if (err) {
		fuse_reply_err(req, -err);
		return;
	}
	entry_fill(in, &st, &e);
	fi->keep_cache = 1;
	if (fuse_reply_create(req, &e, fi) == -ENOENT) {
		content_close(in);
		inode_put(in, 1);
	}
	evict_catch_up();
}

/* --- everything else ------------------------------------------------------ */

/* It is complete only now: its owner and mode were set, a name was added. */
static void reply_made(fuse_req_t req, int err, struct inode *in)
{
	struct stat st;

	if (!err) {
		err = inode_use(in);
		if (!err) {
			if (fstatat(in->fd, "", &st, AT_EMPTY_PATH))
				err = -errno;
			inode_done(in);
		}
		if (err)
			inode_put(in, 1);
	}
	entry_reply(req, err, in, &st);
}

static int make_special(struct making *m, dev_t rdev, struct inode **out)
{
	bool inherits;
	int err;

	if (mknodat(m->dir->fd, m->sn.name, m->mode, rdev))
		return -errno;
	err = give_to_caller(m, m->dir->fd, m->sn.name, &inherits);
	if (!err && fchmodat(m->dir->fd, m->sn.name, m->mode & 07777, 0))
		err = -errno;
	if (!err)
		err = entry_find_locked(m->dir, m->sn.name, m->sn.binding,
					out);
	if (err)
		unlinkat(m->dir->fd, m->sn.name, 0);
	return err;
}

void op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
	      dev_t rdev)
{
	struct inode *in = NULL;
	struct making m;
	struct stat st;
	int err;

	if (S_ISREG(mode)) {
		err = create_file(req, parent, name, mode, &in, &st);
		if (!err)
			content_close(in);
		reply_made(req, err, in);
		return;
	}
	err = making_begin(&m, req, parent, name, mode);
	if (!err)
		err = making_end(&m, make_special(&m, rdev, &in));
	reply_made(req, err, in);
}

static int make_symlink(struct making *m, const char *target,
			struct inode **out)
{
	char stored[PATH_MAX];
	bool inherits;
	int err = chaosimg_symlink_encrypt(fs.archive, target, stored,
					   sizeof(stored));

	if (err)
		return err;
	if (symlinkat(stored, m->dir->fd, m->sn.name))
		return -errno;
	err = give_to_caller(m, m->dir->fd, m->sn.name, &inherits);
	if (!err)
		err = entry_find_locked(m->dir, m->sn.name, m->sn.binding,
					out);
	if (err)
		unlinkat(m->dir->fd, m->sn.name, 0);
	return err;
}

void op_symlink(fuse_req_t req, const char *target, fuse_ino_t parent,
		const char *name)
{
	struct inode *in = NULL;
	struct making m;
	int err = making_begin(&m, req, parent, name, S_IFLNK | 0777);

	if (!err)
		err = making_end(&m, make_symlink(&m, target, &in));
	reply_made(req, err, in);
}

/* --- directories ---------------------------------------------------------- */

/* Id, owner and mode of a directory that has only a temporary name yet. */
static int prepare_dir(const struct making *m, int fd,
		       const struct chaosimg_place *place,
		       uint8_t id[CHAOSIMG_ID_SIZE])
{
	mode_t mode = m->mode & 07777;
	bool inherits;
	int err = chaosimg_dir_init(fs.archive, fd, place, id);

	if (!err)
		err = give_to_caller(m, fd, "", &inherits);
	if (err)
		return err;
	if (inherits)
		mode |= S_ISGID;
	return fchmod(fd, mode) ? -errno : 0;
}

static int inode_of_dir(int dirfd, const struct chaosimg_place *place,
			const uint8_t id[CHAOSIMG_ID_SIZE], struct inode **out)
{
	struct stat st;
	bool fresh;
	int err = inode_get(dirfd, "", out, &st, &fresh);

	if (err)
		return err;
	pthread_mutex_lock(&(*out)->lock);
	(*out)->place = *place;
	memcpy((*out)->id, id, CHAOSIMG_ID_SIZE);
	(*out)->id_known = true;
	pthread_mutex_unlock(&(*out)->lock);
	return 0;
}

static int fill_dir(struct making *m, int fd, struct inode **out)
{
	uint8_t id[CHAOSIMG_ID_SIZE];
	struct chaosimg_place place;
	int err;

	entry_place(m->dir, &m->sn, &place);
	err = prepare_dir(m, fd, &place, id);
	if (!err)
		err = inode_of_dir(fd, &place, id, out);
	if (err)
		return err;
	err = rename_noreplace(m->dir->fd, m->tmp, m->sn.name);
	/* It may have been done all the same. */
	if (err && entry_holds(m->dir, m->sn.name, *out) == 1)
		err = 0;
	if (err)
		inode_put(*out, 1);
	return err;
}

/* It got no name, if it is certain that it still has the temporary one. */
static void unmake_dir(const struct making *m, int fd)
{
	struct stat st;

	if (fstatat(m->dir->fd, m->tmp, &st, AT_SYMLINK_NOFOLLOW))
		return;
	if (fd >= 0)
		unlinkat(fd, CHAOSIMG_DIR_ENTRY, 0);
	unlinkat(m->dir->fd, m->tmp, AT_REMOVEDIR);
}

static int make_dir(struct making *m, struct inode **out)
{
	int err = entry_temporary(m->tmp), fd;

	if (err)
		return err;
	if (mkdirat(m->dir->fd, m->tmp, 0700))
		return -errno;
	fd = patient_open(m->dir->fd, m->tmp,
			  O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	err = fd < 0 ? -errno : fill_dir(m, fd, out);
	if (!err)
		dir_made(*out);
	else
		unmake_dir(m, fd);
	if (fd >= 0)
		close(fd);
	return err;
}

void op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	struct inode *in = NULL;
	struct making m;
	int err = making_begin(&m, req, parent, name, S_IFDIR | mode);

	if (!err)
		err = making_end(&m, make_dir(&m, &in));
	reply_made(req, err, in);
}

/* --- further names -------------------------------------------------------- */

/* It may have been made all the same; only if not, forget the name. */
static int link_failed(const struct making *m, struct inode *in, bool bound)
{
	int err = -errno, holds = entry_holds(m->dir, m->sn.name, in);

	/* An existing name may be one of this very file. */
	if (holds == 1)
		return err == -EEXIST ? err : 0;
	if (bound && !holds)
		content_unbind(in, m->sn.binding, NULL, NULL);
	return err;
}

static int make_link(struct making *m, struct inode *in)
{
	bool bound = inode_is_reg(in);
	char path[32];
	int err = 0;

	if (bound)
		err = content_use(in);
	if (err)
		return err;
	if (bound)
		err = content_bind(in, m->sn.binding);
	inode_proc_path(in, path);
	if (!err && linkat(AT_FDCWD, path, m->dir->fd, m->sn.name,
			   AT_SYMLINK_FOLLOW))
		err = link_failed(m, in, bound);
	if (bound)
		content_close(in);
	return err;
}

void op_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent,
	     const char *name)
{
	struct inode *in = inode_of(ino);
	struct making m;
	int err;

	err = inode_is_dir(in) ? -EPERM : inode_use(in);
	if (!err) {
		err = making_begin(&m, req, parent, name, 0);
		if (!err)
			err = making_end(&m, make_link(&m, in));
		inode_done(in);
	}
	if (!err)
		inode_hold(in);
	reply_made(req, err, in);
}
