// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Which mount points are refused: used ones, and those that would loop. And what
 * is mounted there.
 */
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "fs.h"

static int refuse(const char *path, const char *why)
{
	fprintf(stderr, "chaosimgfs: %s: %s\n", path, why);
	return -1;
}

static bool same(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* Is @path, or any folder above it, the folder @top? -1: cannot be seen. */
static int stands_in(const char *path, const struct stat *top)
{
	struct stat here, above;
	int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int up, found = -1;

	if (fd < 0 || fstat(fd, &here))
		goto out;
	for (;;) {
		found = same(&here, top);
		if (found)
			break;
		up = openat(fd, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (up < 0 || fstat(up, &above)) {
			if (up >= 0)
				close(up);
			found = -1;
			break;
		}
		close(fd);
		fd = up;
		if (same(&here, &above))
			break;
		here = above;
	}
out:
	if (fd >= 0)
		close(fd);
	return found;
}

static int check_empty(const char *mountpoint)
{
	const struct dirent *d;
	DIR *dp = opendir(mountpoint);
	int extra = 0;

	if (!dp)
		return refuse(mountpoint, strerror(errno));
	while (!extra && (d = readdir(dp)))
		extra = strcmp(d->d_name, ".") && strcmp(d->d_name, "..");
	closedir(dp);
	return extra ? refuse(mountpoint, "mount point is not empty") : 0;
}

int mountpoint_check(const char *archive, const char *mountpoint)
{
	struct stat a, m;
	int in;

	if (stat(archive, &a))
		return refuse(archive, strerror(errno));
	if (!S_ISDIR(a.st_mode))
		return refuse(archive, strerror(ENOTDIR));
	if (stat(mountpoint, &m))
		return refuse(mountpoint, strerror(errno));
	if (!S_ISDIR(m.st_mode))
		return refuse(mountpoint, strerror(ENOTDIR));
	in = stands_in(mountpoint, &a);
	if (in)
		return refuse(mountpoint, in < 0 ? strerror(errno) :
			      "mount point is inside the archive");
	in = stands_in(archive, &m);
	if (in)
		return refuse(mountpoint, in < 0 ? strerror(errno) :
			      "the archive is inside the mount point");
	return check_empty(mountpoint);
}

bool mountpoint_device(const char *mountpoint, dev_t *dev)
{
	struct statx st;

	if (statx(AT_FDCWD, mountpoint, AT_STATX_DONT_SYNC, 0, &st))
		return false;
	*dev = makedev(st.stx_dev_major, st.stx_dev_minor);
	return true;
}
