// SPDX-License-Identifier: GPL-2.0-or-later
/* Files that appear under their name when they are complete, or never. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tool.h"

/* The output whose temporary name a signal must remove. */
static struct output *volatile named;

static void remove_and_die(int signo)
{
	if (named)
		unlinkat(named->dirfd, named->temp, 0);
	signal(signo, SIG_DFL);
	raise(signo);
}

static void guard(struct output *o)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP,
				       SIGQUIT };
	size_t i;

	named = o;
	for (i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		if (signal(signals[i], remove_and_die) == SIG_IGN)
			signal(signals[i], SIG_IGN);
}

static int choose_temp(struct output *o)
{
	uint64_t r;

	if (getrandom(&r, sizeof(r), 0) != sizeof(r))
		return -1;
	snprintf(o->temp, sizeof(o->temp), ".chaosimg.%016llx",
		 (unsigned long long)r);
	return 0;
}

static int open_folder(struct output *o)
{
	const char *slash = strrchr(o->path, '/');
	char dir[4096] = ".";

	o->base = slash ? slash + 1 : o->path;
	if (slash && (size_t)(slash - o->path) + 2 > sizeof(dir)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	if (slash)
		snprintf(dir, sizeof(dir), "%.*s",
			 (int)(slash - o->path) + 1, o->path);
	o->dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return o->dirfd < 0 ? -1 : 0;
}

/* Never through a symbolic link, and never in place of a device. */
static int check_target(struct output *o)
{
	struct stat st;

	if (fstatat(o->dirfd, o->base, &st, AT_SYMLINK_NOFOLLOW)) {
		if (errno != ENOENT || !*o->base)
			return failed_errno(o->path);
		return DONE;
	}
	if (!S_ISREG(st.st_mode))
		return failed("%s: exists and is not a regular file", o->path);
	if (!o->replace)
		return failed("%s: exists already (--force replaces it)",
			      o->path);
	return DONE;
}

static int open_file(struct output *o, mode_t mode)
{
	o->fd = openat(o->dirfd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, mode);
	if (o->fd >= 0)
		return 0;
	if (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL)
		return -1;
	/* This file system knows no unnamed files. */
	if (choose_temp(o))
		return -1;
	guard(o);
	o->fd = openat(o->dirfd, o->temp,
		       O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, mode);
	return o->fd < 0 ? -1 : 0;
}

int output_open(struct output *o, const char *path, mode_t mode, bool replace)
{
	int status;

	*o = (struct output){ .path = path, .fd = -1, .dirfd = -1,
			      .replace = replace };
	if (open_folder(o))
		return failed_errno(path);
	status = check_target(o);
	if (!status && open_file(o, mode)) {
		named = NULL;
		o->temp[0] = '\0';
		status = failed_errno(path);
	}
	if (status)
		output_discard(o);
	return status;
}

static int link_unnamed(struct output *o, const char *name)
{
	char self[40];

	snprintf(self, sizeof(self), "/proc/self/fd/%d", o->fd);
	return linkat(AT_FDCWD, self, o->dirfd, name, AT_SYMLINK_FOLLOW);
}

static int rename_to_new(struct output *o)
{
	if (!renameat2(o->dirfd, o->temp, o->dirfd, o->base, RENAME_NOREPLACE))
		return 0;
	if (errno != EINVAL)
		return -1;
	/* Some network file systems cannot; a link does not replace either. */
	if (linkat(o->dirfd, o->temp, o->dirfd, o->base, 0))
		return -1;
	unlinkat(o->dirfd, o->temp, 0);
	return 0;
}

static int give_name(struct output *o)
{
	if (!o->temp[0] && !o->replace)
		return link_unnamed(o, o->base);
	if (!o->replace)
		return rename_to_new(o);
	if (!o->temp[0]) {
		if (choose_temp(o))
			return -1;
		guard(o);
		if (link_unnamed(o, o->temp)) {
			named = NULL;
			o->temp[0] = '\0';
			return -1;
		}
	}
	return renameat(o->dirfd, o->temp, o->dirfd, o->base);
}

int output_commit(struct output *o)
{
	int status = DONE;

	if (fsync(o->fd) || give_name(o)) {
		status = failed_errno(o->path);
	} else {
		named = NULL;
		o->temp[0] = '\0';
		if (fsync(o->dirfd))
			status = failed_errno(o->path);
	}
	output_discard(o);
	return status;
}

void output_discard(struct output *o)
{
	if (o->temp[0])
		unlinkat(o->dirfd, o->temp, 0);
	named = NULL;
	if (o->fd >= 0)
		close(o->fd);
	if (o->dirfd >= 0)
		close(o->dirfd);
	o->fd = o->dirfd = -1;
	o->temp[0] = '\0';
}
