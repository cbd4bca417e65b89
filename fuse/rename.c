// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Renaming. What is moved is allowed at its new place before it gets there,
 * and loses its old one afterwards: a crash between leaves it usable.
 */
#include <stdio.h>
#include <unistd.h>

#include "fs.h"

/**
 * struct end - one end of a rename
 * @place: of a directory that stands under this name
 * @in: what stands there, or NULL
 */
struct end {
	struct inode *dir;
	struct chaosimg_stored_name sn;
	struct chaosimg_place place;
	struct inode *in;
};

static int end_find(struct end *e, fuse_ino_t parent, const char *name)
{
	int err;

	e->dir = inode_of(parent);
	e->in = NULL;
	err = entry_resolve(e->dir, name, &e->sn);
	if (!err && entry_reserved(&e->sn))
		err = -EPERM;
	if (err)
		return err;
	entry_place(e->dir, &e->sn, &e->place);
	err = inode_use(e->dir);
	if (err)
		return err;
	err = entry_find(e->dir, e->sn.name, e->sn.binding, &e->in, NULL);
	inode_done(e->dir);
	return err;
}

/* In order of address, so that two renames cannot wait for each other. */
static int lock_dirs(const struct end *a, const struct end *b)
{
	struct inode *first = a->dir < b->dir ? a->dir : b->dir;
	struct inode *second = a->dir < b->dir ? b->dir : a->dir;
	int err = entry_lock(first);

	if (err || first == second)
		return err;
	err = entry_lock(second);
	if (err)
		entry_unlock(first);
	return err;
}

static void unlock_dirs(const struct end *a, const struct end *b)
{
	entry_unlock(a->dir);
	if (a->dir != b->dir)
		entry_unlock(b->dir);
}

/* The directory's own times stay as they were: its entries did not change. */
static int bind_dir(struct inode *in, const struct chaosimg_place *one,
		    const struct chaosimg_place *other)
{
	uint8_t id[CHAOSIMG_ID_SIZE];
	struct timespec tv[2] = { { .tv_nsec = UTIME_OMIT } };
	struct stat st;
	int err = dir_id(in, id), fd;

	if (err)
		return err;
	fd = inode_reopen(in, O_RDONLY | O_DIRECTORY);
	if (fd < 0)
		return fd;
	err = fstat(fd, &st) ? -errno :
	      chaosimg_dir_bind(fs.archive, fd, id, one, other);
	tv[1] = st.st_mtim;
	if (!err)
		futimens(fd, tv);
	close(fd);
	return err;
}

/* Allow what stands at @from at @to too. */
static int permit(const struct end *from, const struct end *to)
{
	struct inode *in = from->in;
	int err;

	if (inode_is_dir(in))
		return bind_dir(in, &from->place, &to->place);
	if (!inode_is_reg(in))
		return 0;
	err = content_use(in);
	if (err)
		return err;
	err = content_bind(in, to->sn.binding);
	if (err)
		content_close(in);
	return err;
}

/*
 * It stands at @here now, and not at @there: the end of what permit() began.
 * If it was @moved, that has to be durable before the old place is forgotten;
 * if not, it has to be certain that it does not stand there.
 */
static void settle(struct inode *in, const struct end *here,
		   const struct end *there, bool moved)
{
	struct inode *dir = moved ? there->dir : NULL;
	struct inode *other = moved ? here->dir : NULL;
	bool sure = moved || !entry_holds(there->dir, there->sn.name, in);

	if (inode_is_dir(in)) {
		if (sure && !dirs_sync_two(dir, other))
			bind_dir(in, &here->place, NULL);
		pthread_mutex_lock(&in->lock);
		in->place = here->place;
		pthread_mutex_unlock(&in->lock);
	} else if (inode_is_reg(in)) {
		if (sure)
			content_unbind(in, there->sn.binding, dir, other);
		content_close(in);
	}
}

/* It may have been done all the same: over a network answers can get lost. */
static int failed(const struct end *a, const struct end *b)
{
	int err = -errno;

	return entry_holds(b->dir, b->sn.name, a->in) == 1 ? 0 : err;
}

static int exchange(const struct end *a, const struct end *b)
{
	return renameat2(a->dir->fd, a->sn.name, b->dir->fd, b->sn.name,
			 RENAME_EXCHANGE) ? failed(a, b) : 0;
}

static int plain_rename(const struct end *a, const struct end *b)
{
	return renameat(a->dir->fd, a->sn.name, b->dir->fd, b->sn.name) ?
	       failed(a, b) : 0;
}

/*
 * Over an empty directory, which for the disk is not empty: its id is in it.
 * So they change places, which is atomic, and then the old one goes.
 */
static int replace_dir(const struct end *from, const struct end *to)
{
	int err = dir_empty(to->in);

	if (err)
		return err;
	bind_dir(to->in, &to->place, &from->place);
	err = exchange(from, to);
	if (err == -EINVAL || err == -ENOSYS) {
		/* A file system that cannot do it. */
		err = dir_discard(to->dir, to->sn.name, to->in);
		return err ? err : plain_rename(from, to);
	}
	if (err)
		return err;
	err = dir_discard(from->dir, from->sn.name, to->in);
	if (err)
		exchange(from, to);
	return err;
}

static int move(const struct end *from, const struct end *to)
{
	if (to->in && inode_is_dir(to->in))
		return replace_dir(from, to);
	return plain_rename(from, to);
}

static int rename_over(const struct end *from, const struct end *to)
{
	bool locked = entry_lock_names(&from->sn, &to->sn);
	int err = chaosimg_name_companion_add(to->dir->fd, &to->sn);

	if (!err)
		err = permit(from, to);
	if (!err) {
		err = move(from, to);
		if (err)
			settle(from->in, from, to, false);
		else
			settle(from->in, to, from, true);
	}
	if (!err)
		chaosimg_name_companion_remove(from->dir->fd, &from->sn);
	else if (!to->in)
		chaosimg_name_companion_remove(to->dir->fd, &to->sn);
	entry_unlock_names(locked);
	if (!err && to->in && !inode_is_dir(to->in))
		content_name_gone(to->in, to->sn.binding, to->dir);
	return err;
}

/*
 * What is replaced may still be open: hold on to it. A directory stays empty
 * meanwhile; like its parent's, its lock comes before that of long names.
 */
static int rename_over_used(const struct end *from, const struct end *to)
{
	const bool dir = to->in && inode_is_dir(to->in);
	int err = to->in ? inode_use(to->in) : 0;

	if (err)
		return err;
	if (dir)
		pthread_rwlock_wrlock(&to->in->entries);
	err = rename_over(from, to);
	if (dir)
		pthread_rwlock_unlock(&to->in->entries);
	if (to->in)
		inode_done(to->in);
	return err;
}

static int rename_exchange(const struct end *a, const struct end *b)
{
	int err = permit(a, b);

	if (err)
		return err;
	err = permit(b, a);
	if (err) {
		settle(a->in, a, b, false);
		return err;
	}
	err = exchange(a, b);
	settle(a->in, err ? a : b, err ? b : a, !err);
	settle(b->in, err ? b : a, err ? a : b, !err);
	return err;
}

static int check_types(const struct end *from, const struct end *to)
{
	if (!to->in)
		return 0;
	if (inode_is_dir(from->in) && !inode_is_dir(to->in))
		return -ENOTDIR;
	if (!inode_is_dir(from->in) && inode_is_dir(to->in))
		return -EISDIR;
	return 0;
}

static int rename_ends(const struct end *from, const struct end *to,
		       unsigned int flags)
{
	int err;

	/* Two names of one file: POSIX wants nothing done. */
	if (from->in == to->in)
		return flags & RENAME_NOREPLACE ? -EEXIST : 0;
	if (flags & RENAME_EXCHANGE)
		return to->in ? rename_exchange(from, to) : -ENOENT;
	if (flags & RENAME_NOREPLACE && to->in)
		return -EEXIST;
	err = check_types(from, to);
	return err ? err : rename_over_used(from, to);
}

void op_rename(fuse_req_t req, fuse_ino_t parent, const char *name,
	       fuse_ino_t newparent, const char *newname, unsigned int flags)
{
	struct end from = { 0 }, to = { 0 };
	int err = 0;

	if (fs.readonly)
		err = -EROFS;
	else if (flags & ~(RENAME_EXCHANGE | RENAME_NOREPLACE))
		err = -EINVAL;
	if (!err)
		err = end_find(&from, parent, name);
	if (!err) {
		err = end_find(&to, newparent, newname);
		if (err == -ENOENT)
			err = 0;
	}
	if (!err)
		err = lock_dirs(&from, &to);
	if (!err) {
		err = rename_ends(&from, &to, flags);
		unlock_dirs(&from, &to);
	}
	inode_put(from.in, 1);
	inode_put(to.in, 1);
	fuse_reply_err(req, -err);
}
