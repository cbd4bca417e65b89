// SPDX-License-Identifier: GPL-2.0-or-later
/* Finding the mount of an archive. */
#include <errno.h>
#include <fcntl.h>
#include <mntent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rekey.h"

/* The last one in the list lies on top of the others. */
static char *search(FILE *mounts, const char *real)
{
	const struct mntent *m;
	char *found = NULL;

	while ((m = getmntent(mounts))) {
		if (strcmp(m->mnt_type, "fuse.chaosimgfs") ||
		    strcmp(m->mnt_fsname, real) || !hasmntopt(m, "rw"))
			continue;
		free(found);
		found = strdup(m->mnt_dir);
	}
	return found;
}

int find_mount(const char *archive, int *fd)
{
	FILE *mounts = setmntent("/proc/self/mounts", "re");
	char *real = realpath(archive, NULL), *dir = NULL;
	int status = DONE;

	if (mounts && real)
		dir = search(mounts, real);
	if (mounts)
		endmntent(mounts);
	free(real);
	if (!dir)
		return failed("%s: mounted for writing, but not where this process sees it; move its files there, or unmount it",
			      archive);
	*fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (*fd < 0)
		status = failed_errno(dir);
	free(dir);
	return status;
}
