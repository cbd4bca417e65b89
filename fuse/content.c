// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Regular files' contents. All handles of a file share one chaosimg_file,
 * opened for writing whenever the archive is: the kernel's write-back cache
 * reads where a program only writes, and what a crash left open is settled
 * by whoever comes first.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "device.h"
#include "fs.h"
#include "session.h"

static _Atomic size_t open_count;

size_t content_count(void)
{
	return open_count;
}

/* Not touching the access time is for the owner and root alone. */
static int reopen_quietly(struct inode *in, int flags)
{
	int fd = inode_reopen(in, flags | O_NOATIME);

	return fd == -EPERM ? inode_reopen(in, flags) : fd;
}

/*
 * A file whose mode keeps its owner out. The kernel has checked who may do
 * what; without root's rights we have to let ourselves in to do it.
 */
static int reopen_used(struct inode *in, int flags)
{
	char path[32];
	struct stat st;
	int fd;

	if (fstatat(in->fd, "", &st, AT_EMPTY_PATH) || st.st_uid != geteuid())
		return -EACCES;
	inode_proc_path(in, path);
	if (chmod(path, (st.st_mode & 07777) | S_IRUSR | S_IWUSR))
		return -errno;
	fd = reopen_quietly(in, flags);
	if (chmod(path, st.st_mode & 07777))
		log_cause(in, NULL, "its mode could not be set back");
	return fd;
}

static int reopen_own(struct inode *in, int flags)
{
	int fd;

	if (fs.root || inode_use(in))
		return -EACCES;
	fd = reopen_used(in, flags);
	inode_done(in);
	return fd;
}

/* Descriptor for the contents: for writing if it may be had; needs in->lock. */
static int reopen_contents(struct inode *in, bool *writable)
{
	int fd;

	*writable = false;
	if (!fs.readonly) {
		fd = reopen_quietly(in, O_RDWR);
		if (fd == -EACCES)
			fd = reopen_own(in, O_RDWR);
		*writable = fd >= 0;
		if (fd != -EACCES && fd != -EROFS && fd != -EPERM)
			return fd;
	}
	return reopen_quietly(in, O_RDONLY);
}

uint64_t content_length(struct inode *in, const struct stat *st)
{
	uint64_t stored = (uint64_t)st->st_size;
	uint64_t length = chaosimg_length_from_stored(fs.archive, stored);
	int fd;

	if (!chaosimg_length_in_header(fs.archive, stored))
		return length;
	fd = reopen_quietly(in, O_RDONLY);
	if (fd == -EACCES && !fs.readonly)
		fd = reopen_own(in, O_RDONLY);
	/* Where that fails, opening it will say why. */
	if (fd >= 0) {
		chaosimg_length_read(fs.archive, fd, &length);
		close(fd);
	}
	return length;
}

/* After this time the kernel has written back what it had, asked or not. */
enum { WRITEBACK_SECONDS = 30 };

static time_t seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	return now.tv_sec;
}

/* Opening may have settled what a crash left, which nobody wrote now. */
static void keep_mtime(struct chaosimg_file *f, const struct stat *before)
{
	const struct timespec *old = &before->st_mtim;
	const struct timespec tv[2] = { { .tv_nsec = UTIME_OMIT }, *old };
	int fd = chaosimg_file_fd(f);
	struct stat st;

	if (!fstat(fd, &st) && (st.st_mtim.tv_sec != old->tv_sec ||
				st.st_mtim.tv_nsec != old->tv_nsec))
		futimens(fd, tv);
}

static int open_file(struct inode *in, const binding_t b,
		     struct chaosimg_file **f, bool *writable)
{
	unsigned int flags;
	struct stat st;
	int fd = reopen_contents(in, writable);
	int err;

	if (fd < 0)
		return fd;
	flags = *writable ? CHAOSIMG_FILE_WRITE : 0;
	if (seconds() < in->unsynced_until)
		flags |= CHAOSIMG_FILE_UNSYNCED;
	if (fstat(fd, &st)) {
		err = -errno;
		close(fd);
		return err;
	}
	err = chaosimg_file_open(fs.archive, fd, b, flags, f);
	if (!err && *writable)
		keep_mtime(*f, &st);
	return err ? log_damage(err, in, NULL) : 0;
}

/* The kernel zero-fills what lies between its length and ours: not with us. */
static int check_length(struct inode *in, struct chaosimg_file *f)
{
	uint64_t length = chaosimg_file_length(f);

	if (length == in->size)
		return 0;
	if (fs.writeback)
		inode_retire(in);
	else
		in->size = length;
	return -ESTALE;
}

/* First use: no handle yet. */
static int open_locked(struct inode *in, bool check)
{
	struct chaosimg_file *f;
	bool writable;
	int err;

	if (in->stale || !in->binding_count)
		return -ESTALE;
	err = open_file(in, in->bindings[0], &f, &writable);
	if (err)
		return err;
	if (check)
		err = check_length(in, f);
	if (err) {
		chaosimg_file_close(f);
		return err;
	}
	in->file = f;
	in->writable = writable;
	open_count++;
	return 0;
}

static void leave_place(struct inode *in)
{
	if (in->placed)
		place_give(1);
	in->placed = false;
}

/* Open it, if it is not, for a client to hold or for a moment. */
static int open_shared(struct inode *in, bool hold)
{
	int err = hold && !in->placed ? place_take(1) : 0;

	if (err)
		return err;
	in->placed |= hold;
	if (!in->file)
		err = open_locked(in, true);
	if (!err)
		in->handles++;
	else
		leave_place(in);
	return err;
}

static int open_for(struct inode *in, bool write, bool hold)
{
	bool denied;
	int err;

	if (write && fs.readonly)
		return -EROFS;
	pthread_mutex_lock(&in->lock);
	err = open_shared(in, hold);
	denied = !err && write && !in->writable;
	pthread_mutex_unlock(&in->lock);
	if (!denied)
		return err;
	content_close(in);
	return -EACCES;
}

int content_open(struct inode *in, bool write)
{
	return open_for(in, write, true);
}

int content_use(struct inode *in)
{
	return open_for(in, true, false);
}

int content_renewal(struct inode *in, struct inode *dir,
		    struct chaosimg_renewal **out)
{
	bool writable;
	int err = 0, fd;

	pthread_mutex_lock(&in->lock);
	if (in->handles)
		err = -EBUSY;
	else if (in->stale || !in->binding_count)
		err = -EAGAIN;
	fd = err ? err : reopen_contents(in, &writable);
	if (!err && fd < 0)
		err = fd;
	if (!err)
		err = chaosimg_renewal_begin(fs.archive, fd, in->bindings[0],
					     dir->fd, out);
	pthread_mutex_unlock(&in->lock);
	return log_damage(err, in, NULL);
}

void content_adopt(struct inode *in, struct chaosimg_file *f,
		   const struct stat *st)
{
	pthread_mutex_lock(&in->lock);
	in->file = f;
	open_count++;
	in->placed = true;
	in->handles = 1;
	in->writable = true;
	in->size = 0;
	/* Sealing it is no change, even if nothing is ever written. */
	in->mtime = st->st_mtim;
	in->mtime_known = true;
	pthread_mutex_unlock(&in->lock);
}

/* The stored mtime as the user shall see it; needs in->lock. */
static void restore_mtime(struct inode *in)
{
	const struct timespec tv[2] = { { .tv_nsec = UTIME_OMIT }, in->mtime };

	if (in->mtime_known)
		futimens(chaosimg_file_fd(in->file), tv);
}

/* Before the library writes for its own purposes. */
static void pin_mtime(struct inode *in)
{
	struct stat st;

	pthread_mutex_lock(&in->lock);
	if (!in->mtime_known && !fstat(chaosimg_file_fd(in->file), &st)) {
		in->mtime = st.st_mtim;
		in->mtime_known = true;
	}
	pthread_mutex_unlock(&in->lock);
}

static void unpin_mtime(struct inode *in)
{
	pthread_mutex_lock(&in->lock);
	restore_mtime(in);
	pthread_mutex_unlock(&in->lock);
}

/*
 * Closing may write what is left, and so change the mtime: that is set again by
 * a descriptor of our own.
 */
static int close_file(struct inode *in)
{
	const struct timespec tv[2] = { { .tv_nsec = UTIME_OMIT }, in->mtime };
	int fd = dup(chaosimg_file_fd(in->file));
	int err = chaosimg_file_close(in->file);
	struct stat st;

	if (fd < 0)
		return err;
	if (in->mtime_known)
		futimens(fd, tv);
	if (!fstat(fd, &st))
		in->stored = st.st_size;
	close(fd);
	return err;
}

/* Most have been flushed by now, or were only read. */
static int close_clean(struct inode *in)
{
	struct stat st;

	if (!fstat(chaosimg_file_fd(in->file), &st))
		in->stored = st.st_size;
	return chaosimg_file_close(in->file);
}

int content_close(struct inode *in)
{
	int err = 0;

	pthread_mutex_lock(&in->lock);
	if (--in->handles) {
		pthread_mutex_unlock(&in->lock);
		return 0;
	}
	in->size = chaosimg_file_length(in->file);
	in->unsynced_until = chaosimg_file_durable(in->file) ?
			     0 : seconds() + WRITEBACK_SECONDS;
	err = chaosimg_file_clean(in->file) ? close_clean(in) : close_file(in);
	in->file = NULL;
	open_count--;
	leave_place(in);
	log_held(in);
	if (err)
		log_damage(err, in, NULL);
	in->mtime_known = false;
	lost_forget(in);
	pthread_mutex_unlock(&in->lock);
	evict_wanted();
	return err;
}

/* With write-back the kernel keeps the mtime, and says what it is. */
void content_changed(struct inode *in)
{
	if (fs.writeback)
		return;
	pthread_mutex_lock(&in->lock);
	clock_gettime(CLOCK_REALTIME_COARSE, &in->mtime);
	in->mtime_known = true;
	pthread_mutex_unlock(&in->lock);
}

int content_flush(struct inode *in)
{
	int err = chaosimg_file_flush(in->file);

	unpin_mtime(in);
	log_held(in);
	return err ? log_damage(err, in, NULL) : 0;
}

int content_sync(struct inode *in)
{
	int err = chaosimg_file_sync(in->file);

	unpin_mtime(in);
	log_held(in);
	return err ? log_damage(err, in, NULL) : lost_check(in);
}

/*
 * Root below would keep the bits. The kernel's copy of them goes with the next
 * look at the file, but an execution does not look: so it is told.
 */
int content_drop_suidgid(struct inode *in)
{
	int fd = chaosimg_file_fd(in->file);
	mode_t drop = S_ISUID;
	struct stat st;

	if (!device_kills_suidgid())
		return 0;
	if (fstat(fd, &st))
		return -errno;
	if (st.st_mode & S_IXGRP)
		drop |= S_ISGID;
	if (!(st.st_mode & drop))
		return 0;
	if (fchmod(fd, st.st_mode & 07777 & ~drop))
		return -errno;
	session_attributes_changed(in);
	return 0;
}

void content_cut(struct inode *in, uint64_t length)
{
	lost_remove(in, length, UINT64_MAX);
	content_changed(in);
}

int content_truncate(struct inode *in, uint64_t length)
{
	int err = content_use(in), later;

	if (err)
		return err;
	err = content_drop_suidgid(in);
	if (!err)
		err = chaosimg_file_truncate(in->file, length);
	if (err)
		log_damage(err, in, NULL);
	else
		content_cut(in, length);
	later = content_close(in);
	return err ? err : later;
}

static int set_times(struct inode *in, const struct timespec tv[2])
{
	int err = in->stale ? -ESTALE : inode_use(in);

	if (err)
		return err;
	if (utimensat(in->fd, "", tv, AT_EMPTY_PATH))
		err = -errno;
	inode_done(in);
	return err;
}

static int set_times_open(struct inode *in, const struct timespec tv[2])
{
	int fd = chaosimg_file_fd(in->file);
	struct stat st;

	if (futimens(fd, tv))
		return -errno;
	if (tv[1].tv_nsec == UTIME_OMIT)
		return 0;
	in->mtime_known = !fstat(fd, &st);
	if (in->mtime_known)
		in->mtime = st.st_mtim;
	return 0;
}

/*
 * As a whole: a file that is just being closed sets its own mtime. With
 * write-back the kernel sets that of each file that was just removed, which
 * nobody will see.
 */
int content_set_times(struct inode *in, const struct timespec tv[2])
{
	int err = 0;

	pthread_mutex_lock(&in->lock);
	if (in->file)
		err = set_times_open(in, tv);
	else if (!in->keep)
		err = set_times(in, tv);
	pthread_mutex_unlock(&in->lock);
	return err;
}

/* --- the names under which a file may stand ------------------------------- */

static bool has_binding(const struct inode *in, const binding_t b)
{
	unsigned int i;

	for (i = 0; i < in->binding_count; i++)
		if (!memcmp(in->bindings[i], b, sizeof(binding_t)))
			return true;
	return false;
}

static int add_binding(struct inode *in, const binding_t b)
{
	binding_t *more;

	if (has_binding(in, b))
		return 0;
	if (!in->bindings) {
		more = &in->binding;
	} else {
		more = malloc((in->binding_count + 1) * sizeof(binding_t));
		if (!more)
			return -ENOMEM;
		memcpy(more, in->bindings,
		       in->binding_count * sizeof(binding_t));
		if (in->bindings != &in->binding)
			free(in->bindings);
	}
	in->bindings = more;
	memcpy(more[in->binding_count++], b, sizeof(binding_t));
	return 0;
}

static void remove_binding(struct inode *in, const binding_t b)
{
	unsigned int i;

	for (i = 0; i < in->binding_count; i++) {
		if (memcmp(in->bindings[i], b, sizeof(binding_t)))
			continue;
		memmove(in->bindings[i], in->bindings[--in->binding_count],
			sizeof(binding_t));
		return;
	}
}

/* A second name: the header must allow it, and the name known so far. */
static int check_second(struct inode *in, const binding_t b)
{
	struct chaosimg_file *f = in->file;
	bool writable;
	int err = 0;

	if (!f)
		err = open_file(in, NULL, &f, &writable);
	if (err)
		return err;
	if (!chaosimg_file_bound(f, b)) {
		err = -EXDEV;
	} else if (in->binding_count &&
		   !chaosimg_file_bound(f, in->bindings[0])) {
		inode_retire(in);
		err = -ESTALE;
	}
	if (!in->file)
		chaosimg_file_close(f);
	return err ? err : add_binding(in, b);
}

int content_check_binding(struct inode *in, const binding_t b)
{
	int err = 0;

	pthread_mutex_lock(&in->lock);
	if (!in->bindings)
		err = add_binding(in, b);
	else if (!has_binding(in, b))
		err = check_second(in, b);
	pthread_mutex_unlock(&in->lock);
	return err;
}

int content_bind(struct inode *in, const binding_t b)
{
	int err = content_use(in), later;

	if (err)
		return err;
	pin_mtime(in);
	err = chaosimg_file_bind(in->file, b);
	unpin_mtime(in);
	if (!err) {
		pthread_mutex_lock(&in->lock);
		err = add_binding(in, b);
		pthread_mutex_unlock(&in->lock);
	} else {
		log_damage(err, in, NULL);
	}
	later = content_close(in);
	return err ? err : later;
}

void content_unbind(struct inode *in, const binding_t b,
		    struct inode *dir, struct inode *other)
{
	if (!content_use(in)) {
		/* A name too many does less harm than one too few. */
		if (!chaosimg_file_durable(in->file) ||
		    !dirs_sync_two(dir, other)) {
			pin_mtime(in);
			chaosimg_file_unbind(in->file, b);
			unpin_mtime(in);
		}
		content_close(in);
	}
	pthread_mutex_lock(&in->lock);
	remove_binding(in, b);
	pthread_mutex_unlock(&in->lock);
}

/* Who found the last name in time may open the file all the same: keep it. */
void content_name_gone(struct inode *in, const binding_t b,
		       struct inode *dir)
{
	struct stat st;

	if (fstatat(in->fd, "", &st, AT_EMPTY_PATH))
		return;
	if (!st.st_nlink)
		inode_keep(in);
	else if (inode_is_reg(in))
		content_unbind(in, b, dir, NULL);
}
