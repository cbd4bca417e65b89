// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Keysets that come while the archive is mounted: new files get the newest,
 * and old files are moved to it when "chaosimg rekey" asks for it, with an
 * ioctl on the directory. Only this process knows what is open and what is
 * just being renamed, so it is the one to put a copy in a file's place.
 *
 * Whoever has the file's old inode then gets ESTALE, upon which the kernel
 * looks the name up again: nobody is told anything but that.
 */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "fs.h"

/* How long a busy directory is waited for, and how much is done at once. */
enum { WAIT_SECONDS = 2, BUDGET_MAX = 64 << 20 };

/**
 * struct renewing - a file that is being moved to the newest keyset
 * @name: its name
 * @sn: its stored name
 * @in: its inode; a reference is held
 * @copy: what the library has of it
 */
struct renewing {
	char name[CHAOSIMG_NAME_MAX + 1];
	struct chaosimg_stored_name sn;
	struct inode *in;
	struct chaosimg_renewal *copy;
};

/* --- new files ------------------------------------------------------------ */

static void refresh(void)
{
	char line[600];

	if (!chaosimg_archive_refresh(fs.archive))
		return;
	snprintf(line, sizeof(line), "no new keyset can be noticed: %s",
		 chaosimg_errmsg());
	log_often(LOG_ERR, line);
}

void renew_notice(void)
{
	static _Atomic time_t last;
	struct timespec now;
	time_t seen = last;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	if (now.tv_sec != seen &&
	    atomic_compare_exchange_strong(&last, &seen, now.tv_sec))
		refresh();
}

/* --- old files ------------------------------------------------------------ */

void renew_end(struct renewing *r)
{
	if (!r)
		return;
	chaosimg_renewal_end(r->copy);
	inode_put(r->in, 1);
	free(r);
}

static int begin_found(struct inode *dir, struct renewing *r)
{
	int err = entry_find(dir, r->sn.name, r->sn.binding, &r->in, NULL);

	if (err)
		return err;
	if (!inode_is_reg(r->in))
		return -EINVAL;
	return content_renewal(r->in, dir, &r->copy);
}

static int begin(struct inode *dir, const char *name, struct renewing **out)
{
	struct renewing *r = calloc(1, sizeof(*r));
	int err;

	if (!r)
		return -ENOMEM;
	strcpy(r->name, name);
	refresh();
	err = entry_resolve(dir, name, &r->sn);
	if (!err)
		err = inode_use(dir);
	if (!err) {
		err = begin_found(dir, r);
		inode_done(dir);
	}
	if (err)
		renew_end(r);
	else
		*out = r;
	return err;
}

/*
 * Nobody looks the name up, or changes it, in the directory; nobody opens the
 * file or changes its attributes.
 */
static int replace(struct inode *dir, struct renewing *r)
{
	struct timespec until;
	int err;

	/*
	 * Not pthread_rwlock_clockwrlock(): ThreadSanitizer does not see that it
	 * locks. If the clock is set back, it waits for whoever has the lock.
	 */
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += WAIT_SECONDS;
	if (pthread_rwlock_timedwrlock(&dir->entries, &until))
		return -EBUSY;
	pthread_mutex_lock(&r->in->lock);
	if (r->in->handles)
		err = -EBUSY;
	else if (r->in->stale)
		err = -EAGAIN;
	else
		err = chaosimg_renewal_replace(r->copy, r->sn.name);
	if (!err) {
		inode_retire(r->in);
		/* Who syncs the new file must find it by its name afterwards. */
		dir_made(dir);
	}
	pthread_mutex_unlock(&r->in->lock);
	pthread_rwlock_unlock(&dir->entries);
	if (!err)
		dirs_sync();
	return err;
}

/* Return: bytes that were copied; 0 when all is done; negative error */
static int work(struct inode *dir, struct renewing *r, uint32_t budget)
{
	int64_t n = chaosimg_renewal_step(r->copy, budget);
	int err;

	if (n < 0)
		return log_damage((int)n, r->in, NULL);
	if (n)
		return (int)n;
	err = inode_use(dir);
	if (err)
		return err;
	err = replace(dir, r);
	inode_done(dir);
	return err;
}

int renew_step(struct inode *dir, struct renewing **r,
	       const struct chaosimgfs_renew *what)
{
	uint32_t budget = what->budget;
	int ret = 0;

	if (*r && strcmp((*r)->name, what->name)) {
		renew_end(*r);
		*r = NULL;
	}
	if (!*r)
		ret = begin(dir, what->name, r);
	if (ret)
		return ret;
	if (!budget || budget > BUDGET_MAX)
		budget = BUDGET_MAX;
	ret = work(dir, *r, budget);
	if (ret <= 0) {
		renew_end(*r);
		*r = NULL;
	}
	return ret;
}

/* Who may cause so much work: root, or who mounted. */
static bool may(fuse_req_t req)
{
	uid_t uid = fuse_req_ctx(req)->uid;

	return !uid || uid == geteuid();
}

void op_ioctl(fuse_req_t req, fuse_ino_t ino, unsigned int cmd, void *arg,
	      struct fuse_file_info *fi, unsigned int flags, const void *in_buf,
	      size_t in_size, size_t out_size)
{
	const struct chaosimgfs_renew *what = in_buf;
	int ret;

	(void)arg;
	(void)out_size;
	if (cmd != (unsigned int)CHAOSIMGFS_RENEW ||
	    !(flags & FUSE_IOCTL_DIR) || in_size != sizeof(*what))
		ret = -ENOTTY;
	else if (fs.readonly)
		ret = -EROFS;
	else if (!may(req))
		ret = -EPERM;
	else if (!memchr(what->name, 0, sizeof(what->name)))
		ret = -ENAMETOOLONG;
	else
		ret = dir_renew(inode_of(ino), fi, what);
	if (ret < 0)
		fuse_reply_err(req, -ret);
	else
		fuse_reply_ioctl(req, ret, NULL, 0);
}
