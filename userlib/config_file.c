// SPDX-License-Identifier: GPL-2.0-or-later
/* Reading and replacing the archive's small text files. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <xxhash.h>

#include "config_file.h"
#include "error.h"

/* "  "checksum": "0123456789abcdef"\n}\n" */
#define CHECKSUM_FORMAT	"  \"checksum\": \"%016" PRIx64 "\"\n}\n"
#define CHECKSUM_LEN	35

static void checksum_line(const char *text, size_t len,
			  char line[CHECKSUM_LEN + 1])
{
	snprintf(line, CHECKSUM_LEN + 1, CHECKSUM_FORMAT,
		 (uint64_t)XXH3_64bits(text, len));
}

int config_checksum_append(char **text, size_t *len)
{
	char *longer = realloc(*text, *len + CHECKSUM_LEN + 1);

	if (!longer)
		return fail(ENOMEM, "no memory for a configuration");
	checksum_line(longer, *len, longer + *len);
	*text = longer;
	*len += CHECKSUM_LEN;
	return 0;
}

bool config_checksum_ok(const char *text, size_t len)
{
	char line[CHECKSUM_LEN + 1];

	if (len < CHECKSUM_LEN)
		return false;
	len -= CHECKSUM_LEN;
	checksum_line(text, len, line);
	return !memcmp(text + len, line, CHECKSUM_LEN);
}

static int read_all(int fd, const char *where, char *text, size_t *len)
{
	size_t done = 0;
	ssize_t n;

	do {
		n = read(fd, text + done, CONFIG_FILE_MAX + 1 - done);
		if (n < 0 && errno != EINTR)
			return fail_errno("%s", where);
		if (n > 0)
			done += (size_t)n;
	} while (n && done <= CONFIG_FILE_MAX);
	if (done > CONFIG_FILE_MAX)
		return fail(EBADMSG, "%s: damaged: too large", where);
	text[done] = '\0';
	*len = done;
	return 0;
}

static int read_regular(int fd, const char *where, char **text, size_t *len)
{
	struct stat st;
	int ret;

	if (fstat(fd, &st))
		return fail_errno("%s", where);
	if (!S_ISREG(st.st_mode))
		return fail(EBADMSG, "%s: not a regular file", where);
	*text = malloc(CONFIG_FILE_MAX + 2);
	if (!*text)
		return fail(ENOMEM, "%s: no memory", where);
	ret = read_all(fd, where, *text, len);
	if (ret) {
		free(*text);
		*text = NULL;
	}
	return ret;
}

int config_file_read(int dirfd, const char *name, const char *where,
		     char **text, size_t *len)
{
	/* Not blocked by a fifo that somebody put there. */
	int fd = TEMP_FAILURE_RETRY(openat(dirfd, name, O_RDONLY | O_NOFOLLOW |
					   O_NONBLOCK | O_CLOEXEC));
	int ret;

	if (fd < 0 && errno == ENOENT)
		return -ENOENT;
	if (fd < 0 && errno == ELOOP)
		return fail(EBADMSG, "%s: not a regular file", where);
	if (fd < 0)
		return fail_errno("%s", where);
	ret = read_regular(fd, where, text, len);
	close(fd);
	return ret;
}

int config_file_write_fd(int fd, const char *text, size_t len)
{
	while (len) {
		ssize_t n = write(fd, text, len);

		if (n < 0 && errno != EINTR)
			return -1;
		if (n > 0) {
			text += n;
			len -= (size_t)n;
		}
	}
	return TEMP_FAILURE_RETRY(fsync(fd));
}

static int write_new(int dirfd, const char *name, const char *text, size_t len)
{
	int fd = TEMP_FAILURE_RETRY(openat(dirfd, name, O_WRONLY | O_CREAT |
					   O_TRUNC | O_NOFOLLOW | O_CLOEXEC,
					   0600));
	int ret, err;

	if (fd < 0)
		return -1;
	ret = config_file_write_fd(fd, text, len);
	err = errno;
	/* What close() could still report, fsync() has. */
	close(fd);
	errno = err;
	return ret;
}

int config_file_write(int dirfd, const char *name, const char *where,
		      const char *text, size_t len)
{
	/* One name for all: a leftover of a crash is replaced by the next. */
	char tmp[128];
	int ret;

	snprintf(tmp, sizeof(tmp), "%s.new", name);
	if (write_new(dirfd, tmp, text, len) ||
	    renameat(dirfd, tmp, dirfd, name)) {
		ret = fail_errno("%s", where);
		unlinkat(dirfd, tmp, 0);
		return ret;
	}
	if (TEMP_FAILURE_RETRY(fsync(dirfd)))
		return fail_errno("%s", where);
	return 0;
}

int config_file_sync_parent(const char *path)
{
	char *copy = strdup(path);
	int fd, ret = -1;

	if (!copy)
		return -1;
	fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	free(copy);
	if (fd >= 0) {
		ret = TEMP_FAILURE_RETRY(fsync(fd));
		close(fd);
	}
	return ret;
}
