// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Moving files to the newest keyset, of the policy that rules give to them. Each
 * file tells whether it has to be moved, so it can be ended at any moment and
 * begun again. While the
 * archive is mounted the mount does it, since only that knows what is in use;
 * otherwise it is done here, under the archive's lock.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "chaosimg_names.h"
#include "rekey.h"

enum {
	PASSES = 3,		/* for files that are open */
	STEP = 4 << 20,
	STEPS_IN_SECOND = 8,	/* when there is a limit */
	PATH_SIZE = 16384,
};

/**
 * struct walk - through the encrypted tree
 * @r: how, and the sums
 * @pass: counts from 1
 * @path: where it is, as stored
 * @began: when
 * @copied: bytes, also of what was given up
 */
struct walk {
	struct reencryption *r;
	unsigned int pass;
	char path[PATH_SIZE];
	struct timespec began;
	uint64_t copied;
};

/**
 * struct place - a directory
 * @fd: as stored
 * @mount: the same in the mount, or -1
 * @id: the directory's
 */
struct place {
	int fd;
	int mount;
	uint8_t id[CHAOSIMG_ID_SIZE];
};

/**
 * struct entry - a name in it
 * @stored: as stored
 * @plain: as the mount shows it
 * @binding: the name's
 */
struct entry {
	const char *stored;
	char plain[CHAOSIMG_NAME_MAX + 1];
	uint8_t binding[CHAOSIMG_BINDING_SIZE];
};

/* --- pace ----------------------------------------------------------------- */

static double elapsed(const struct timespec *since)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)(now.tv_sec - since->tv_sec) +
	       (double)(now.tv_nsec - since->tv_nsec) / 1e9;
}

static uint32_t step_size(const struct walk *w)
{
	uint64_t size = w->r->rate / STEPS_IN_SECOND;

	if (!size)
		return w->r->rate ? 1 : STEP;
	return size < STEP ? (uint32_t)size : STEP;
}

static void pace(struct walk *w, uint64_t n)
{
	double ahead;

	w->copied += n;
	progress_update(w->copied);
	if (!w->r->rate)
		return;
	ahead = (double)w->copied / (double)w->r->rate - elapsed(&w->began);
	if (ahead > 0) {
		struct timespec ts = { .tv_sec = (time_t)ahead };

		ts.tv_nsec = (long)((ahead - (double)ts.tv_sec) * 1e9);
		nanosleep(&ts, NULL);
	}
}

/* --- one file ------------------------------------------------------------- */

/* The copying itself. Return: 0 or a negative error */
static int copy(struct walk *w, struct chaosimg_renewal *copy,
		uint64_t *bytes)
{
	int64_t n;

	while ((n = chaosimg_renewal_step(copy, step_size(w))) > 0) {
		*bytes += (uint64_t)n;
		pace(w, (uint64_t)n);
	}
	return (int)n;
}

static int move_here(struct walk *w, const struct place *p,
		     const struct entry *e, uint64_t *bytes)
{
	struct chaosimg_renewal *r;
	int fd = openat(p->fd, e->stored, O_RDWR | O_NOFOLLOW | O_NONBLOCK |
			O_NOATIME | O_CLOEXEC);
	int err;

	if (fd < 0 && errno == EPERM)
		fd = openat(p->fd, e->stored, O_RDWR | O_NOFOLLOW |
			    O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	err = chaosimg_renewal_begin(w->r->a, fd, e->binding, p->fd, &r);
	if (err)
		return err;
	err = copy(w, r, bytes);
	if (!err)
		err = chaosimg_renewal_replace(r, e->stored);
	chaosimg_renewal_end(r);
	return err;
}

static int move_in_mount(struct walk *w, const struct place *p,
			 const struct entry *e, uint64_t *bytes)
{
	struct chaosimgfs_renew what = { .budget = step_size(w) };
	struct statx stx;
	int n;

	snprintf(what.name, sizeof(what.name), "%s", e->plain);
	while ((n = ioctl(p->mount, CHAOSIMGFS_RENEW, &what)) > 0) {
		*bytes += (uint64_t)n;
		pace(w, (uint64_t)n);
	}
	if (n < 0)
		return -errno;
	/* The kernel looks the name up again, and lets go of the old file. */
	statx(p->mount, e->plain, AT_STATX_FORCE_SYNC | AT_SYMLINK_NOFOLLOW,
	      STATX_INO, &stx);
	return 0;
}

/* Nothing further could succeed either. */
static bool is_fatal(int err)
{
	return err == -ENOSPC || err == -EDQUOT || err == -EROFS ||
	       err == -EPERM || err == -ENOTTY || err == -ENOTCONN ||
	       err == -ENOMEM || err == -EMFILE || err == -ENFILE;
}

/* In a mount the daemon's log has more. */
static const char *cause(const struct walk *w, int err)
{
	if (w->r->mount >= 0 || !*chaosimg_errmsg())
		return err == -EMLINK ? "it has several names" :
		       err == -EBUSY ? "it is open" :
		       err == -EAGAIN ? "it was changed meanwhile" :
		       strerror(-err);
	return chaosimg_errmsg();
}

/* Return: DONE, or FAILED if that is the end */
static int left(struct walk *w, int err)
{
	struct reencryption *r = w->r;
	bool busy = err == -EBUSY || err == -EAGAIN;

	if (err == -EALREADY || err == -ENOENT)
		return DONE;
	if (is_fatal(err))
		return failed("%s: data%s: %s", r->archive, w->path,
			      cause(w, err));
	if (busy)
		r->busy++;
	else if (err == -EMLINK)
		r->linked++;
	else
		r->failed++;
	/* Each of them once. */
	if (w->pass == (busy ? PASSES : 1))
		message("%s: data%s: left as it is: %s", r->archive, w->path,
			cause(w, err));
	return DONE;
}

/* Return: 1 if it may have to be moved, 0 if not; negative error */
static int is_old(const struct walk *w, const struct place *p,
		  const struct entry *e)
{
	int fd = openat(p->fd, e->stored, O_RDONLY | O_NOFOLLOW | O_NONBLOCK |
			O_NOCTTY | O_CLOEXEC);
	int err;

	if (fd < 0)
		return -errno;
	err = chaosimg_renewal_due(w->r->a, fd);
	close(fd);
	return err;
}

static int visit_file(struct walk *w, const struct place *p,
		      const struct entry *e)
{
	uint64_t bytes = 0;
	int err = is_old(w, p, e);

	if (!err)
		return DONE;
	if (err > 0)
		err = p->mount >= 0 ? move_in_mount(w, p, e, &bytes) :
				      move_here(w, p, e, &bytes);
	if (err)
		return left(w, err);
	w->r->moved++;
	w->r->bytes += bytes;
	return DONE;
}

/* --- the tree ------------------------------------------------------------- */

static int visit(struct walk *w, const struct place *p, const char *stored);

/* Takes over the directory's descriptor. */
static int list(struct walk *w, const struct place *p, int fd)
{
	DIR *dp = fdopendir(fd);
	const struct dirent *d;
	int status = DONE;

	if (!dp) {
		close(fd);
		return failed_errno(w->r->archive);
	}
	while (!status) {
		errno = 0;
		d = readdir(dp);
		if (!d && errno)
			status = failed_errno(w->r->archive);
		if (!d)
			break;
		if (strcmp(d->d_name, ".") && strcmp(d->d_name, ".."))
			status = visit(w, p, d->d_name);
	}
	closedir(dp);
	return status;
}

static int enter(struct walk *w, struct place *p, const struct place *parent,
		 const struct entry *e)
{
	struct chaosimg_place place;
	int copy, err;

	memcpy(place.parent, parent->id, sizeof(place.parent));
	memcpy(place.binding, e->binding, sizeof(place.binding));
	err = chaosimg_dir_load(w->r->a, p->fd, &place, p->id);
	if (!err && parent->mount >= 0) {
		p->mount = openat(parent->mount, e->plain, O_RDONLY |
				  O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		err = p->mount < 0 ? -errno : 0;
	}
	if (err)
		return left(w, err);
	copy = fcntl(p->fd, F_DUPFD_CLOEXEC, 0);
	return copy < 0 ? failed_errno(w->r->archive) : list(w, p, copy);
}

static int visit_dir(struct walk *w, const struct place *parent,
		     const struct entry *e)
{
	struct place p = { .mount = -1 };
	int status;

	p.fd = openat(parent->fd, e->stored, O_RDONLY | O_DIRECTORY |
		      O_NOFOLLOW | O_CLOEXEC);
	if (p.fd < 0)
		return left(w, -errno);
	status = enter(w, &p, parent, e);
	close(p.fd);
	if (p.mount >= 0)
		close(p.mount);
	return status;
}

static int visit_named(struct walk *w, const struct place *p, struct entry *e)
{
	struct stat st;
	int err = 0;

	if (fstatat(p->fd, e->stored, &st, AT_SYMLINK_NOFOLLOW))
		return left(w, -errno);
	if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
		return DONE;
	err = chaosimg_name_decrypt(w->r->a, p->id, p->fd, e->stored, e->plain,
				    e->binding);
	if (err)
		return left(w, err);
	return S_ISDIR(st.st_mode) ? visit_dir(w, p, e) : visit_file(w, p, e);
}

static int visit(struct walk *w, const struct place *p, const char *stored)
{
	size_t len = strlen(w->path);
	struct entry e = { .stored = stored };
	int status;

	if (len + strlen(stored) + 2 > sizeof(w->path))
		return failed("%s: data%s: the path is too long",
			      w->r->archive, w->path);
	snprintf(w->path + len, sizeof(w->path) - len, "/%s", stored);
	status = visit_named(w, p, &e);
	w->path[len] = '\0';
	return status;
}

static int pass(struct walk *w)
{
	struct place top = { .fd = chaosimg_archive_data_fd(w->r->a),
			     .mount = w->r->mount };
	struct reencryption *r = w->r;
	int fd, err;

	r->busy = r->linked = r->failed = 0;
	err = chaosimg_dir_load(r->a, top.fd, NULL, top.id);
	if (err)
		return failed_library(r->archive, err);
	fd = openat(top.fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? failed_errno(r->archive) : list(w, &top, fd);
}

int reencrypt(struct reencryption *r)
{
	struct chaosimg_keyset_usage usage;
	struct walk w = { .r = r };
	int status = DONE, err;

	err = chaosimg_keyset_usage(r->a, &usage);
	if (err)
		return failed_library(r->archive, err);
	clock_gettime(CLOCK_MONOTONIC, &w.began);
	progress_begin("moving", usage.bytes);
	while (!status && w.pass++ < PASSES) {
		if (w.pass > 1)
			sleep(1);
		status = pass(&w);
		if (!r->busy)
			break;
	}
	progress_end();
	return status;
}
