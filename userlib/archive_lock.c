// SPDX-License-Identifier: GPL-2.0-or-later
/* Locks: one writer, and one change of the configuration, at a time. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "archive_lock.h"
#include "error.h"

enum {
	BYTE_WRITER = 0,
	BYTE_CONFIG = 1,
};

static int open_lock(int dirfd, const char *path, bool create)
{
	int flags = O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
	struct stat st;
	int fd;

	fd = TEMP_FAILURE_RETRY(openat(dirfd, ARCHIVE_LOCK_NAME,
				       flags | (create ? O_CREAT : 0), 0600));
	if (fd < 0 && errno == ENOENT)
		return -ENOENT;
	if (fd < 0)
		return fail_errno("%s/" ARCHIVE_LOCK_NAME, path);
	if (fstat(fd, &st) || !S_ISREG(st.st_mode)) {
		close(fd);
		return fail(EBADMSG, "%s/" ARCHIVE_LOCK_NAME
			    ": not a regular file", path);
	}
	return fd;
}

static int lock_byte(int fd, off_t byte, int cmd)
{
	struct flock fl = {
		.l_type = F_WRLCK,
		.l_whence = SEEK_SET,
		.l_start = byte,
		.l_len = 1,
	};
	int ret;

	do {
		ret = fcntl(fd, cmd, &fl);
	} while (ret && errno == EINTR);
	return ret;
}

int archive_lock_writer(int dirfd, const char *path, bool create)
{
	int fd = open_lock(dirfd, path, create);
	int ret;

	if (fd < 0 || !lock_byte(fd, BYTE_WRITER, F_OFD_SETLK))
		return fd;
	if (errno == EAGAIN || errno == EACCES)
		ret = fail(EBUSY, "%s: already mounted for writing", path);
	else
		ret = fail_errno("%s/" ARCHIVE_LOCK_NAME, path);
	close(fd);
	return ret;
}

bool archive_lock_held(int dirfd)
{
	struct flock fl = {
		.l_type = F_WRLCK,
		.l_whence = SEEK_SET,
		.l_start = BYTE_WRITER,
		.l_len = 1,
	};
	int fd = openat(dirfd, ARCHIVE_LOCK_NAME,
			O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	bool held;

	if (fd < 0)
		return false;
	held = !fcntl(fd, F_OFD_GETLK, &fl) && fl.l_type != F_UNLCK;
	close(fd);
	return held;
}

int archive_lock_config(int dirfd, const char *path)
{
	int fd = open_lock(dirfd, path, true);
	int ret;

	if (fd < 0 || !lock_byte(fd, BYTE_CONFIG, F_OFD_SETLKW))
		return fd;
	ret = fail_errno("%s/" ARCHIVE_LOCK_NAME, path);
	close(fd);
	return ret;
}
