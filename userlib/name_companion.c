// SPDX-License-Identifier: GPL-2.0-or-later
/* Companions: the symbolic links that hold names too long for an entry. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "error.h"
#include "names.h"

static bool is_right(int dirfd, const struct chaosimg_stored_name *n)
{
	char target[sizeof(n->target)];
	ssize_t len = readlinkat(dirfd, n->companion, target, sizeof(target));

	return len >= 0 && (size_t)len == strlen(n->target) &&
	       !memcmp(target, n->target, (size_t)len);
}

int chaosimg_name_companion_add(int dirfd, const struct chaosimg_stored_name *n)
{
	if (!n->companion[0])
		return 0;
	if (!symlinkat(n->target, dirfd, n->companion))
		return 0;
	if (errno != EEXIST)
		return fail_errno("%s", n->companion);
	/* The name tells the target, so a wrong one is only damage: mend it. */
	if (is_right(dirfd, n))
		return 0;
	return name_replace_link(dirfd, n->target, n->companion);
}

static bool entry_exists(int dirfd, const struct chaosimg_stored_name *n)
{
	struct stat st;

	return !fstatat(dirfd, n->name, &st, AT_SYMLINK_NOFOLLOW) ||
	       errno != ENOENT;
}

/*
 * Somebody else may be making the entry at this moment. If it is there after
 * all, the companion comes back; if it is not yet there, its maker finds the
 * companion gone when it adds it once more behind the entry.
 */
void chaosimg_name_companion_remove(int dirfd,
				    const struct chaosimg_stored_name *n)
{
	if (!n->companion[0] || entry_exists(dirfd, n))
		return;
	unlinkat(dirfd, n->companion, 0);
	if (entry_exists(dirfd, n))
		chaosimg_name_companion_add(dirfd, n);
}
