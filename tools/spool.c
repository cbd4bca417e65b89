// SPDX-License-Identifier: GPL-2.0-or-later
/* Standard input and output where a seekable file is needed. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tool.h"

bool is_standard(const char *path)
{
	return !strcmp(path, "-");
}

int input_open(const char *path, int *fd)
{
	struct stat st;
	int in = STDIN_FILENO;

	if (!is_standard(path))
		in = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	else
		path = "standard input";
	if (in < 0 || fstat(in, &st))
		return failed_errno(path);
	if (S_ISDIR(st.st_mode)) {
		close(in);
		return failed("%s: is a directory", path);
	}
	*fd = in;
	return DONE;
}

/* A signal in between would leave the file behind, under a name. */
static int open_and_unlink(const char *dir, int *fd)
{
	char path[4096];
	sigset_t all, old;
	int err;

	if (snprintf(path, sizeof(path), "%s/chaosimg.XXXXXX", dir) >=
	    (int)sizeof(path))
		return failed("%s: %s", dir, strerror(ENAMETOOLONG));
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &old);
	*fd = mkostemp(path, O_CLOEXEC);
	err = errno;
	if (*fd >= 0)
		unlink(path);
	sigprocmask(SIG_SETMASK, &old, NULL);
	errno = err;
	return *fd < 0 ? failed_errno(dir) : DONE;
}

int unnamed_open(const char *dir, int *fd)
{
	*fd = open(dir, O_TMPFILE | O_RDWR | O_EXCL | O_CLOEXEC, 0600);
	if (*fd >= 0)
		return DONE;
	if (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL)
		return failed_errno(dir);
	return open_and_unlink(dir, fd);
}

int spool_open(int *fd)
{
	const char *dir = getenv("TMPDIR");

	/* Spools may be large: /tmp is often in memory. */
	return unnamed_open(dir && *dir ? dir : "/var/tmp", fd);
}

static int write_all(int fd, const char *buf, size_t len)
{
	while (len) {
		ssize_t n = write(fd, buf, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		buf += n;
		len -= (size_t)n;
	}
	return 0;
}

int copy_all(int from, const char *from_name, int to, const char *to_name)
{
	static char buf[128 << 10];
	uint64_t done = 0;
	ssize_t n;

	for (;;) {
		n = read(from, buf, sizeof(buf));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return failed_errno(from_name);
		if (!n)
			return DONE;
		if (write_all(to, buf, (size_t)n))
			return failed_errno(to_name);
		done += (size_t)n;
		progress_update(done);
	}
}
