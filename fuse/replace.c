// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * An upgrade: a new daemon takes the place of the one that serves a mount, or of
 * one that was killed. All that can go wrong is tried before anything is given
 * up, and all that takes long is done before, so that the mount is away for a
 * moment only: what is written to the folder below is not encrypted.
 */
#include <mntent.h>
#include <stdio.h>
#include <string.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "fs.h"

#define TYPE	"fuse.chaosimgfs"

static int refuse(const char *path, const char *why)
{
	fprintf(stderr, "chaosimgfs: %s: %s\n", path, why);
	return -1;
}

/* The last line of a place is what is on top there. */
static bool is_mounted(const char *archive, const char *mountpoint)
{
	FILE *f = setmntent("/proc/self/mounts", "re");
	const struct mntent *m;
	bool found = false;

	while (f && (m = getmntent(f)))
		if (!strcmp(m->mnt_dir, mountpoint))
			found = !strcmp(m->mnt_type, TYPE) &&
				!strcmp(m->mnt_fsname, archive);
	if (f)
		endmntent(f);
	return found;
}

int replace_check(const char *archive, const char *mountpoint)
{
	return is_mounted(archive, mountpoint) ? 0 :
	       refuse(mountpoint, "this archive is not mounted here, so there is nothing to replace");
}

/* Attributes may still be in the kernel's cache; this it always asks for. */
bool replace_dead(const char *archive, const char *mountpoint)
{
	struct statfs st;

	return is_mounted(archive, mountpoint) && statfs(mountpoint, &st) &&
	       errno == ENOTCONN;
}

int replace_detach_dead(const char *archive, const char *mountpoint)
{
	bool was_dead = false;
	int err;

	while (replace_dead(archive, mountpoint)) {
		err = keeper_detach_dead();
		if (err)
			return refuse(mountpoint, strerror(-err));
		was_dead = true;
	}
	return was_dead ? mountpoint_check(archive, mountpoint) : 0;
}

/* What is written now need not be written while nothing is mounted. */
static void write_out(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return;
	syncfs(fd);
	close(fd);
}

int replace_mounted(const char *archive, const char *mountpoint)
{
	int err;

	if (replace_dead(archive, mountpoint))
		return 0;
	write_out(mountpoint);
	write_out(archive);
	err = keeper_unmount(false);
	if (err == -EBUSY)
		return refuse(mountpoint, "in use (fuser -vm says by whom); the old daemon goes on");
	if (err)
		return refuse(mountpoint, strerror(-err));
	return mountpoint_check(archive, mountpoint);
}
