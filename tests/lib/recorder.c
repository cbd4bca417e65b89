// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * LD_PRELOAD=recorder.so CHAOSIMG_RECORD=FILE COMMAND: append to FILE a line for
 * each call that changed what is stored, after it was made: for
 * tests/lib/crash_states.py. chaosimgfs needs its option no_sandbox for that.
 * Objects are named by their inode numbers:
 *
 *	write INO OFFSET HEX		truncate INO LENGTH
 *	punch INO OFFSET LENGTH		sync INO, or 0 for all
 *	create DIR NAME INO		tmpfile INO
 *	mkdir DIR NAME INO		symlink DIR NAME INO TARGET
 *	link DIR NAME INO		unlink DIR NAME
 *	rename DIR NAME DIR NAME FLAGS	xattr INO NAME HEX	noxattr INO NAME
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/xattr.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

static pthread_mutex_t one = PTHREAD_MUTEX_INITIALIZER;
static int out = -1;

/* One call at a time, of all processes that are recorded. */
static void lock(void)
{
	pthread_mutex_lock(&one);
	if (syscall(SYS_flock, out, LOCK_EX))
		abort();
}

static void unlock(void)
{
	if (syscall(SYS_flock, out, LOCK_UN))
		abort();
	pthread_mutex_unlock(&one);
}

__attribute__((constructor)) static void begin(void)
{
	const char *path = getenv("CHAOSIMG_RECORD");

	if (path)
		out = (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY |
				   O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

/* One line, then @data in hexadecimal digits. */
static void say(const void *data, size_t len, const char *form, ...)
	__attribute__((format(printf, 3, 4)));
static void say(const void *data, size_t len, const char *form, ...)
{
	char *line = malloc(5000 + 2 * len);
	const uint8_t *p = data;
	va_list args;
	int n;

	if (!line)
		abort();
	va_start(args, form);
	n = vsnprintf(line, 5000, form, args);
	va_end(args);
	for (size_t i = 0; i < len; i++)
		n += sprintf(line + n, "%02x", p[i]);
	line[n++] = '\n';
	if (syscall(SYS_write, out, line, n) != n)
		abort();
	free(line);
}

static unsigned long ino_at(int dirfd, const char *name, int flags)
{
	struct stat st;
	int err = errno;

	if (fstatat(dirfd, name, &st, flags))
		st.st_ino = 0;
	errno = err;
	return st.st_ino;
}

static unsigned long ino_of(int fd)
{
	return ino_at(fd, "", AT_EMPTY_PATH);
}

/* The directory in which @path is made or removed, and the name there. */
static unsigned long dir_of(int dirfd, const char *path, const char **name)
{
	const char *slash = strrchr(path, '/');
	char up[4096];

	*name = slash ? slash + 1 : path;
	if (!slash)
		return dirfd == AT_FDCWD ? ino_at(AT_FDCWD, ".", 0) :
					   ino_of(dirfd);
	snprintf(up, sizeof(up), "%.*s/", (int)(slash - path), path);
	return ino_at(dirfd, up, 0);
}

/* --- contents --- */

EXPORT ssize_t pwrite64(int fd, const void *buf, size_t len, off64_t off)
{
	ssize_t n;

	lock();
	n = syscall(SYS_pwrite64, fd, buf, len, off);
	if (n > 0)
		say(buf, (size_t)n, "write %lu %lld ", ino_of(fd),
		    (long long)off);
	unlock();
	return n;
}

EXPORT ssize_t write(int fd, const void *buf, size_t len)
{
	struct stat st;
	ssize_t n;

	if (fstat(fd, &st) || !S_ISREG(st.st_mode))
		return syscall(SYS_write, fd, buf, len);
	lock();
	n = syscall(SYS_write, fd, buf, len);
	if (n > 0)
		say(buf, (size_t)n, "write %lu %lld ", (unsigned long)st.st_ino,
		    (long long)lseek(fd, 0, SEEK_CUR) - n);
	unlock();
	return n;
}

EXPORT int ftruncate64(int fd, off64_t len)
{
	int ret;

	lock();
	ret = (int)syscall(SYS_ftruncate, fd, len);
	if (!ret)
		say(NULL, 0, "truncate %lu %lld", ino_of(fd), (long long)len);
	unlock();
	return ret;
}

EXPORT int fallocate64(int fd, int mode, off64_t off, off64_t len)
{
	int ret;

	lock();
	ret = (int)syscall(SYS_fallocate, fd, mode, off, len);
	if (!ret && mode & FALLOC_FL_PUNCH_HOLE)
		say(NULL, 0, "punch %lu %lld %lld", ino_of(fd), (long long)off,
		    (long long)len);
	unlock();
	return ret;
}

static int synced(long call, int fd)
{
	int ret;

	lock();
	ret = (int)syscall(call, fd);
	if (!ret)
		say(NULL, 0, "sync %lu", call == SYS_syncfs ? 0 : ino_of(fd));
	unlock();
	return ret;
}

EXPORT int fsync(int fd)
{
	return synced(SYS_fsync, fd);
}

EXPORT int fdatasync(int fd)
{
	return synced(SYS_fdatasync, fd);
}

EXPORT int syncfs(int fd)
{
	return synced(SYS_syncfs, fd);
}

/* --- attributes --- */

static void say_xattr(unsigned long ino, const char *name, const void *value,
		      size_t len)
{
	say(value, len, "xattr %lu %s ", ino, name);
}

EXPORT int setxattr(const char *path, const char *name, const void *value,
		    size_t len, int flags)
{
	int ret;

	lock();
	ret = (int)syscall(SYS_setxattr, path, name, value, len, flags);
	if (!ret)
		say_xattr(ino_at(AT_FDCWD, path, 0), name, value, len);
	unlock();
	return ret;
}

EXPORT int fsetxattr(int fd, const char *name, const void *value, size_t len,
		     int flags)
{
	int ret;

	lock();
	ret = (int)syscall(SYS_fsetxattr, fd, name, value, len, flags);
	if (!ret)
		say_xattr(ino_of(fd), name, value, len);
	unlock();
	return ret;
}

EXPORT int removexattr(const char *path, const char *name)
{
	int ret;

	lock();
	ret = (int)syscall(SYS_removexattr, path, name);
	if (!ret)
		say(NULL, 0, "noxattr %lu %s", ino_at(AT_FDCWD, path, 0), name);
	unlock();
	return ret;
}

EXPORT int fremovexattr(int fd, const char *name)
{
	int ret;

	lock();
	ret = (int)syscall(SYS_fremovexattr, fd, name);
	if (!ret)
		say(NULL, 0, "noxattr %lu %s", ino_of(fd), name);
	unlock();
	return ret;
}

/* --- names --- */

EXPORT int openat64(int dirfd, const char *path, int flags, ...)
{
	bool temporary = (flags & O_TMPFILE) == O_TMPFILE;
	unsigned long was;
	const char *name;
	mode_t mode = 0;
	va_list args;
	int fd;

	if (temporary || flags & O_CREAT) {
		va_start(args, flags);
		mode = va_arg(args, mode_t);
		va_end(args);
	}
	if (!temporary && !(flags & (O_CREAT | O_TRUNC)))
		return (int)syscall(SYS_openat, dirfd, path, flags, mode);
	lock();
	was = temporary ? 0 : ino_at(dirfd, path, AT_SYMLINK_NOFOLLOW);
	fd = (int)syscall(SYS_openat, dirfd, path, flags, mode);
	if (fd >= 0 && temporary) {
		say(NULL, 0, "tmpfile %lu", ino_of(fd));
	} else if (fd >= 0 && !was) {
		unsigned long dir = dir_of(dirfd, path, &name);

		say(NULL, 0, "create %lu %s %lu", dir, name, ino_of(fd));
	} else if (fd >= 0 && flags & O_TRUNC) {
		say(NULL, 0, "truncate %lu 0", ino_of(fd));
	}
	unlock();
	return fd;
}

EXPORT int open64(const char *path, int flags, ...)
{
	mode_t mode = 0;
	va_list args;

	if (flags & (O_CREAT | O_TMPFILE)) {
		va_start(args, flags);
		mode = va_arg(args, mode_t);
		va_end(args);
	}
	return openat64(AT_FDCWD, path, flags, mode);
}

/* The checked ones of the C library, when there is no mode. */
EXPORT int __openat64_2(int dirfd, const char *path, int flags);
EXPORT int __openat64_2(int dirfd, const char *path, int flags)
{
	return openat64(dirfd, path, flags);
}

EXPORT int __open64_2(const char *path, int flags);
EXPORT int __open64_2(const char *path, int flags)
{
	return openat64(AT_FDCWD, path, flags);
}

/* @form: what was made at @path. */
static int made(int ret, const char *what, int dirfd, const char *path,
		const char *target)
{
	const char *name;
	unsigned long dir = dir_of(dirfd, path, &name);

	if (!ret)
		say(NULL, 0, "%s %lu %s %lu%s%s", what, dir, name,
		    ino_at(dirfd, path, AT_SYMLINK_NOFOLLOW),
		    target ? " " : "", target ? target : "");
	unlock();
	return ret;
}

EXPORT int mkdirat(int dirfd, const char *path, mode_t mode)
{
	lock();
	return made((int)syscall(SYS_mkdirat, dirfd, path, mode), "mkdir",
		    dirfd, path, NULL);
}

EXPORT int mkdir(const char *path, mode_t mode)
{
	return mkdirat(AT_FDCWD, path, mode);
}

EXPORT int symlinkat(const char *target, int dirfd, const char *path)
{
	lock();
	return made((int)syscall(SYS_symlinkat, target, dirfd, path), "symlink",
		    dirfd, path, target);
}

EXPORT int linkat(int from, const char *old, int dirfd, const char *path,
		  int flags)
{
	lock();
	return made((int)syscall(SYS_linkat, from, old, dirfd, path, flags),
		    "link", dirfd, path, NULL);
}

EXPORT int unlinkat(int dirfd, const char *path, int flags)
{
	const char *name;
	unsigned long dir;
	int ret;

	lock();
	dir = dir_of(dirfd, path, &name);
	ret = (int)syscall(SYS_unlinkat, dirfd, path, flags);
	if (!ret)
		say(NULL, 0, "unlink %lu %s", dir, name);
	unlock();
	return ret;
}

EXPORT int unlink(const char *path)
{
	return unlinkat(AT_FDCWD, path, 0);
}

EXPORT int rmdir(const char *path)
{
	return unlinkat(AT_FDCWD, path, AT_REMOVEDIR);
}

EXPORT int renameat2(int from, const char *old, int to, const char *new,
		     unsigned int flags)
{
	const char *name, *name2;
	unsigned long dir, dir2;
	int ret;

	lock();
	dir = dir_of(from, old, &name);
	dir2 = dir_of(to, new, &name2);
	ret = (int)syscall(SYS_renameat2, from, old, to, new, flags);
	if (!ret)
		say(NULL, 0, "rename %lu %s %lu %s %u", dir, name, dir2, name2,
		    flags);
	unlock();
	return ret;
}

EXPORT int renameat(int from, const char *old, int to, const char *new)
{
	return renameat2(from, old, to, new, 0);
}

EXPORT int rename(const char *old, const char *new)
{
	return renameat2(AT_FDCWD, old, AT_FDCWD, new, 0);
}
