// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * LD_PRELOAD: lets one of the program's system calls fail, or some take long;
 * which and how says a file that CHAOSIMG_FAULTS names.
 */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "faults.h"

#define EXPORT	__attribute__((visibility("default")))

/* What a call does, and so which faults it can have. */
enum {
	CHANGES = 1,
	SPACE = 2,
	WAITS = 4,
	DATA = 8,
};

enum verdict { PASS, FAIL, HALF, LOSE };

static struct faults *ctl;

__attribute__((constructor)) static void start(void)
{
	const char *path = getenv("CHAOSIMG_FAULTS");
	int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
	void *p;

	if (fd < 0)
		return;
	p = mmap(NULL, sizeof(*ctl), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p != MAP_FAILED)
		ctl = p;
	close(fd);
}

static bool applies(uint32_t kind, int traits)
{
	switch (kind) {
	case FAULTS_ONE:
		return true;
	case FAULTS_FULL:
		return traits & SPACE;
	case FAULTS_WAIT:
		return traits & WAITS;
	case FAULTS_SHORT:
		return traits & DATA;
	case FAULTS_LOST:
		return traits & CHANGES;
	default:
		return false;
	}
}

static void hold(const char *name)
{
	if (strcmp(name, ctl->what) ||
	    __atomic_fetch_sub(&ctl->left, 1, __ATOMIC_ACQ_REL) <= 0)
		return;
	__atomic_add_fetch(&ctl->tripped, 1, __ATOMIC_ACQ_REL);
	while (__atomic_load_n(&ctl->kind, __ATOMIC_ACQUIRE) == FAULTS_HOLD)
		usleep(1000);
}

static enum verdict judge(const char *name, int traits)
{
	uint32_t kind = ctl ? __atomic_load_n(&ctl->kind, __ATOMIC_ACQUIRE) : 0;
	bool first;

	if (kind == FAULTS_HOLD)
		hold(name);
	if (!kind || !applies(kind, traits))
		return PASS;
	if (__atomic_fetch_sub(&ctl->left, 1, __ATOMIC_ACQ_REL) > 0)
		return PASS;
	first = !__atomic_fetch_add(&ctl->tripped, 1, __ATOMIC_ACQ_REL);
	if (first)
		strncpy(ctl->what, name, sizeof(ctl->what) - 1);
	else if (kind != FAULTS_FULL)
		return PASS;
	if (kind == FAULTS_SHORT || (kind == FAULTS_FULL && first))
		return traits & DATA ? HALF : FAIL;
	return kind == FAULTS_LOST ? LOSE : FAIL;
}

static int refuse(void)
{
	errno = ctl->err;
	return -1;
}

#define REAL(name, type, params)					\
	static type (*real) params;					\
	if (!real)							\
		real = (type (*) params)dlsym(RTLD_NEXT, #name);

/* A call that returns 0 or -1, or a length. */
#define CALL(type, name, params, args, traits)				\
EXPORT type name params;						\
EXPORT type name params							\
{									\
	REAL(name, type, params)					\
	switch (judge(#name, traits)) {					\
	case PASS:							\
		return real args;					\
	case LOSE:							\
		(void)!real args;					\
		return refuse();					\
	default:							\
		return refuse();					\
	}								\
}

CALL(int, fdatasync, (int fd), (fd), WAITS | SPACE)
CALL(int, fsync, (int fd), (fd), WAITS | SPACE)
CALL(int, syncfs, (int fd), (fd), WAITS | SPACE)
CALL(int, ftruncate64, (int fd, off64_t len), (fd, len), CHANGES | WAITS)
CALL(int, fallocate64, (int fd, int mode, off64_t off, off64_t len),
     (fd, mode, off, len), CHANGES | SPACE | WAITS)
CALL(int, linkat, (int a, const char *b, int c, const char *d, int e),
     (a, b, c, d, e), CHANGES | SPACE)
CALL(int, renameat, (int a, const char *b, int c, const char *d),
     (a, b, c, d), CHANGES | SPACE)
/* Exchanging two names takes no space. */
CALL(int, renameat2, (int a, const char *b, int c, const char *d,
		      unsigned int e), (a, b, c, d, e),
     CHANGES | (e & RENAME_EXCHANGE ? 0 : SPACE))
CALL(int, unlinkat, (int a, const char *b, int c), (a, b, c), CHANGES)
CALL(int, mkdirat, (int a, const char *b, mode_t c), (a, b, c),
     CHANGES | SPACE)
CALL(int, symlinkat, (const char *a, int b, const char *c), (a, b, c),
     CHANGES | SPACE)
CALL(int, mknodat, (int a, const char *b, mode_t c, dev_t d), (a, b, c, d),
     CHANGES | SPACE)
CALL(int, fstat64, (int fd, struct stat64 *st), (fd, st), 0)
CALL(int, fstatat64, (int fd, const char *path, struct stat64 *st, int flags),
     (fd, path, st, flags), 0)
CALL(ssize_t, readlinkat, (int fd, const char *path, char *buf, size_t len),
     (fd, path, buf, len), 0)
CALL(int, fchown, (int fd, uid_t u, gid_t g), (fd, u, g), CHANGES)
CALL(int, fchownat, (int fd, const char *path, uid_t u, gid_t g, int flags),
     (fd, path, u, g, flags), CHANGES)
CALL(int, fchmod, (int fd, mode_t mode), (fd, mode), CHANGES)
CALL(int, fchmodat, (int fd, const char *path, mode_t mode, int flags),
     (fd, path, mode, flags), CHANGES)
CALL(int, chmod, (const char *path, mode_t mode), (path, mode), CHANGES)
CALL(int, futimens, (int fd, const struct timespec tv[2]), (fd, tv), CHANGES)
CALL(int, utimensat, (int fd, const char *path, const struct timespec tv[2],
		      int flags), (fd, path, tv, flags), CHANGES)
CALL(int, setxattr, (const char *path, const char *name, const void *value,
		     size_t size, int flags), (path, name, value, size, flags),
     CHANGES | SPACE)
CALL(int, fsetxattr, (int fd, const char *name, const void *value,
		      size_t size, int flags), (fd, name, value, size, flags),
     CHANGES | SPACE)
CALL(int, removexattr, (const char *path, const char *name), (path, name),
     CHANGES)
CALL(int, fremovexattr, (int fd, const char *name), (fd, name), CHANGES)
CALL(ssize_t, getxattr, (const char *path, const char *name, void *value,
			 size_t size), (path, name, value, size), 0)
CALL(ssize_t, fgetxattr, (int fd, const char *name, void *value, size_t size),
     (fd, name, value, size), 0)
CALL(ssize_t, listxattr, (const char *path, char *list, size_t size),
     (path, list, size), 0)
CALL(ssize_t, flistxattr, (int fd, char *list, size_t size), (fd, list, size),
     0)
CALL(int, open_by_handle_at, (int fd, struct file_handle *h, int flags),
     (fd, h, flags), WAITS)

/* A new file takes space; a reply that is lost leaves no descriptor. */
static int open_traits(int flags)
{
	const bool makes = flags & O_CREAT || (flags & O_TMPFILE) == O_TMPFILE;

	return WAITS | (makes ? SPACE : 0);
}

EXPORT int openat64(int dirfd, const char *path, int flags, ...);
EXPORT int openat64(int dirfd, const char *path, int flags, ...)
{
	va_list ap;
	mode_t mode;
	REAL(openat64, int, (int, const char *, int, ...))

	va_start(ap, flags);
	mode = va_arg(ap, mode_t);
	va_end(ap);
	if (judge("openat", open_traits(flags)) == PASS)
		return real(dirfd, path, flags, mode);
	return refuse();
}

EXPORT ssize_t pread64(int fd, void *buf, size_t len, off64_t off);
EXPORT ssize_t pread64(int fd, void *buf, size_t len, off64_t off)
{
	REAL(pread64, ssize_t, (int, void *, size_t, off64_t))

	switch (judge("pread", DATA | WAITS)) {
	case PASS:
		return real(fd, buf, len, off);
	case HALF:
		return real(fd, buf, len > 1 ? len / 2 : len, off);
	default:
		return refuse();
	}
}

EXPORT ssize_t pwrite64(int fd, const void *buf, size_t len, off64_t off);
EXPORT ssize_t pwrite64(int fd, const void *buf, size_t len, off64_t off)
{
	REAL(pwrite64, ssize_t, (int, const void *, size_t, off64_t))

	switch (judge("pwrite", CHANGES | SPACE | DATA | WAITS)) {
	case PASS:
		return real(fd, buf, len, off);
	case HALF:
		return real(fd, buf, len > 1 ? len / 2 : len, off);
	case LOSE:
		(void)!real(fd, buf, len, off);
		return refuse();
	default:
		return refuse();
	}
}

/* Of files; what is said to the log or to whoever waits is none. */
static bool is_file(int fd)
{
	struct stat st;
	int err = errno;
	bool regular = !fstat(fd, &st) && S_ISREG(st.st_mode);

	errno = err;
	return regular;
}

EXPORT ssize_t write(int fd, const void *buf, size_t len)
{
	REAL(write, ssize_t, (int, const void *, size_t))

	switch (fd > STDERR_FILENO && is_file(fd) ?
		judge("write", CHANGES | SPACE | DATA | WAITS) : PASS) {
	case PASS:
		return real(fd, buf, len);
	case HALF:
		return real(fd, buf, len > 1 ? len / 2 : len);
	case LOSE:
		(void)!real(fd, buf, len);
		return refuse();
	default:
		return refuse();
	}
}

EXPORT struct dirent64 *readdir64(DIR *dp);
EXPORT struct dirent64 *readdir64(DIR *dp)
{
	REAL(readdir64, struct dirent64 *, (DIR *))

	if (judge("readdir", 0) == PASS)
		return real(dp);
	errno = ctl->err;
	return NULL;
}
