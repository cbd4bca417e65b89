// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Listing directories. Offsets are the stored directory's own, so a huge one
 * streams through, however large it is.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fs.h"

enum {
	PLACES = 2,		/* descriptors: its own, and its inode's */
	ENTRIES_SIZE = 32768,	/* bytes that are read at a time */
	AHEAD = 64,		/* entries whose headers are fetched at a time */
};

/**
 * struct listing - an open directory; its inode is in use
 * @fd: the stored one
 * @pos: offset after the entry that was given last
 * @at: where in @entries the next one is
 * @used: bytes of @entries that were read
 * @ahead: so many entries more before headers are fetched again
 * @renewing: a file in it that is being moved to the newest keyset, or NULL
 * @entries: as the kernel gave them
 */
struct listing {
	pthread_mutex_t lock;
	struct inode *dir;
	int fd;
	off_t pos;
	size_t at;
	size_t used;
	unsigned int ahead;
	struct renewing *renewing;
	_Alignas(struct dirent64) char entries[ENTRIES_SIZE];
};

/**
 * struct answer - the entries that go to the kernel in one reply
 */
struct answer {
	fuse_req_t req;
	bool plus;
	char *buf;
	size_t size;
	size_t used;
};

static struct listing *listing_of(const struct fuse_file_info *fi)
{
	return (struct listing *)(uintptr_t)fi->fh;
}

static int listing_begin(struct inode *dir, struct listing **out)
{
	uint8_t id[CHAOSIMG_ID_SIZE];
	struct listing *l;
	int err = dir_id(dir, id), fd;

	if (err)
		return err;
	err = inode_use(dir);
	if (err)
		return err;
	fd = inode_reopen(dir, O_RDONLY | O_DIRECTORY);
	l = fd < 0 ? NULL : malloc(sizeof(*l));
	if (!l) {
		inode_done(dir);
		if (fd >= 0)
			close(fd);
		return fd < 0 ? fd : -ENOMEM;
	}
	memset(l, 0, offsetof(struct listing, entries));
	pthread_mutex_init(&l->lock, NULL);
	l->fd = fd;
	l->dir = dir;
	*out = l;
	return 0;
}

static int listing_open(struct inode *dir, struct listing **out)
{
	int err = place_take(PLACES);

	if (err)
		return err;
	err = listing_begin(dir, out);
	if (err)
		place_give(PLACES);
	return err;
}

static void listing_close(struct listing *l)
{
	renew_end(l->renewing);
	close(l->fd);
	inode_done(l->dir);
	pthread_mutex_destroy(&l->lock);
	free(l);
	place_give(PLACES);
}

void op_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct listing *l;
	int err = listing_open(inode_of(ino), &l);

	if (err) {
		fuse_reply_err(req, -err);
		return;
	}
	fi->fh = (uintptr_t)l;
	fi->cache_readdir = !fs.readonly;
	fi->keep_cache = !fs.readonly;
	if (fuse_reply_open(req, fi) == -ENOENT)
		listing_close(l);
}

int dir_renew(struct inode *dir, struct fuse_file_info *fi,
	      const struct chaosimgfs_renew *what)
{
	struct listing *l = listing_of(fi);
	int ret;

	pthread_mutex_lock(&l->lock);
	ret = renew_step(dir, &l->renewing, what);
	pthread_mutex_unlock(&l->lock);
	return ret;
}

void op_releasedir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)ino;
	listing_close(listing_of(fi));
	fuse_reply_err(req, 0);
}

/* Room for an entry of this name, without looking anything up yet. */
static bool fits(const struct answer *a, const char *name)
{
	size_t n = a->plus ?
		   fuse_add_direntry_plus(a->req, NULL, 0, name, NULL, 0) :
		   fuse_add_direntry(a->req, NULL, 0, name, NULL, 0);

	return n <= a->size - a->used;
}

static void add(struct answer *a, const char *name, off_t next,
		const struct fuse_entry_param *e)
{
	char *p = a->buf + a->used;
	size_t left = a->size - a->used;

	a->used += a->plus ?
		   fuse_add_direntry_plus(a->req, p, left, name, e, next) :
		   fuse_add_direntry(a->req, p, left, name, &e->attr, next);
}

static bool looks_up(const struct answer *a)
{
	return a->plus && !evict_due();
}

/* Attributes too, for the kernel to keep. */
static int look_up(struct listing *l, const struct dirent64 *d, const binding_t b,
		   struct fuse_entry_param *e)
{
	struct inode *in;
	struct stat st;
	int err = entry_find(l->dir, d->d_name, b, &in, &st);

	if (!err)
		entry_fill(in, &st, e);
	return err;
}

static void plain_entry(const struct dirent64 *d, struct fuse_entry_param *e)
{
	memset(e, 0, sizeof(*e));
	e->attr.st_ino = d->d_ino;
	e->attr.st_mode = DTTOIF(d->d_type);
}

/* Who removes a long name removes its companion, and may just be doing so. */
static bool is_gone(const struct listing *l, const struct dirent64 *d)
{
	struct stat st;

	return fstatat(l->fd, d->d_name, &st, AT_SYMLINK_NOFOLLOW) &&
	       errno == ENOENT;
}

/*
 * What has no name: the archive's own and damage are left out. What cannot be
 * read may be a whole file, which a program must not take for removed.
 */
static int nameless(struct listing *l, const struct dirent64 *d, int err)
{
	if (err == -ENOENT)
		return 1;
	if (err == -EBADMSG && is_gone(l, d))
		return 1;
	log_damage(err, l->dir, d->d_name);
	return err == -EBADMSG ? 1 : err;
}

/* Return: more than 0; 0 if there is no room for it; an error */
static int give(struct listing *l, const struct dirent64 *d, struct answer *a)
{
	char name[CHAOSIMG_NAME_MAX + 1];
	struct fuse_entry_param e;
	binding_t b;
	int err;

	plain_entry(d, &e);
	if (!strcmp(d->d_name, ".") || !strcmp(d->d_name, "..")) {
		if (!fits(a, d->d_name))
			return 0;
		add(a, d->d_name, d->d_off, &e);
		return 1;
	}
	err = chaosimg_name_decrypt(fs.archive, l->dir->id, l->fd,
				    d->d_name, name, b);
	if (err)
		return nameless(l, d, err);
	if (!fits(a, name))
		return 0;
	err = looks_up(a) ? look_up(l, d, b, &e) : 0;
	if (err == -ENOENT)
		return 1;
	if (err)
		plain_entry(d, &e);
	add(a, name, d->d_off, &e);
	return 1;
}

static const struct dirent64 *entry_at(const struct listing *l, size_t at)
{
	return (const void *)(l->entries + at);
}

/* Return: more than 0 if there are entries, 0 behind the last. */
static int read_entries(struct listing *l)
{
	ssize_t n = getdents64(l->fd, l->entries, sizeof(l->entries));

	l->at = 0;
	l->used = n > 0 ? (size_t)n : 0;
	l->ahead = 0;
	return n < 0 ? -errno : n > 0;
}

static bool fetch_header(int dirfd, const char *name)
{
	int fd = openat(dirfd, name,
			O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	bool begun = fd >= 0 && chaosimg_length_fetch(fs.archive, fd);

	if (fd >= 0)
		close(fd);
	return begun;
}

/*
 * Looking up a DICOM file waits for its header, so the disk shall read those
 * of the next entries at the same time. Where the first is in memory or not
 * needed, so will most be.
 */
static void fetch_ahead(struct listing *l)
{
	const struct dirent64 *d;
	bool begun = false;
	size_t at = l->at;
	int n = 0;

	l->ahead = AHEAD;
	while (n++ < AHEAD && at < l->used) {
		d = entry_at(l, at);
		at += d->d_reclen;
		if (d->d_type != DT_REG)
			continue;
		if (!fetch_header(l->fd, d->d_name) && !begun)
			return;
		begun = true;
	}
}

/* Return: more than 0; 0 at the end or if there is no room; an error */
static int step(struct listing *l, struct answer *a)
{
	int ret = l->at == l->used ? read_entries(l) : 1;
	const struct dirent64 *d;

	if (ret <= 0)
		return ret;
	if (!l->ahead && looks_up(a))
		fetch_ahead(l);
	d = entry_at(l, l->at);
	ret = give(l, d, a);
	if (ret <= 0)
		return ret;
	l->pos = d->d_off;
	l->at += d->d_reclen;
	l->ahead -= l->ahead != 0;
	return ret;
}

/* An error is told when all before it has been given. */
static int fill(struct listing *l, off_t off, struct answer *a)
{
	int ret;

	if (off != l->pos) {
		if (lseek(l->fd, off, SEEK_SET) < 0)
			return -errno;
		l->pos = off;
		l->at = l->used;
	}
	do
		ret = step(l, a);
	while (ret > 0);
	return a->used ? 0 : ret;
}

static void list(fuse_req_t req, size_t size, off_t off,
		 struct fuse_file_info *fi, bool plus)
{
	struct answer a = { req, plus, thread_buffer(size), size, 0 };
	struct listing *l = listing_of(fi);
	int err;

	if (!a.buf) {
		fuse_reply_err(req, ENOMEM);
		return;
	}
	pthread_mutex_lock(&l->lock);
	err = fill(l, off, &a);
	pthread_mutex_unlock(&l->lock);
	if (err)
		fuse_reply_err(req, -err);
	else
		fuse_reply_buf(req, a.buf, a.used);
}

void op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		struct fuse_file_info *fi)
{
	(void)ino;
	list(req, size, off, fi, false);
}

void op_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		    struct fuse_file_info *fi)
{
	(void)ino;
	list(req, size, off, fi, true);
}

void op_fsyncdir(fuse_req_t req, fuse_ino_t ino, int datasync,
		 struct fuse_file_info *fi)
{
	int err = dirs_sync();

	(void)ino;
	(void)datasync;
	if (!err && TEMP_FAILURE_RETRY(fsync(listing_of(fi)->fd)))
		err = -errno;
	fuse_reply_err(req, -err);
}
