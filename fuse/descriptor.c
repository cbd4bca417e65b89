// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Descriptors of stored objects. Where the system gives out file handles (see
 * open_by_handle_at(2); it takes root), an inode remembers a few bytes and is
 * opened when it is used; descriptors that were used last stay open for the
 * next use. Elsewhere each inode keeps its descriptor.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <syslog.h>
#include <unistd.h>

#include "fs.h"

#define IDLE_MAX	256
/* And what the requests need that are being worked on. */
#define RESERVE_MAX	(IDLE_MAX + 128)

/* As the system calls want it. */
union handle_buffer {
	struct file_handle h;
	uint8_t room[sizeof(struct file_handle) + HANDLE_MAX];
};

static struct {
	pthread_mutex_t lock;
	struct inode *oldest;
	struct inode *newest;
	size_t idle;
	size_t idle_max;
	int mount_id;
	bool handles;
	size_t places_max;
	_Atomic size_t places;
} known = { .lock = PTHREAD_MUTEX_INITIALIZER };

int handle_get(int dirfd, const char *name, struct handle *out)
{
	union handle_buffer b = { .h.handle_bytes = HANDLE_MAX };
	int mount_id, flags = *name ? 0 : AT_EMPTY_PATH;

	memset(out, 0, sizeof(*out));
	if (!known.handles)
		return 0;
	if (name_to_handle_at(dirfd, name, &b.h, &mount_id, flags))
		return errno == EOVERFLOW || errno == EOPNOTSUPP ? 0 : -errno;
	if (mount_id != known.mount_id)
		return 0;
	out->len = b.h.handle_bytes;
	out->type = b.h.handle_type;
	memcpy(out->bytes, b.h.f_handle, out->len);
	return 0;
}

static int handle_open(const struct handle *h, int flags)
{
	union handle_buffer b = { .h.handle_bytes = h->len,
				  .h.handle_type = h->type };
	int fd;

	memcpy(b.h.f_handle, h->bytes, h->len);
	fd = TEMP_FAILURE_RETRY(open_by_handle_at(fs.data_fd, &b.h,
						  flags | O_CLOEXEC));
	return fd < 0 ? -errno : fd;
}

static size_t lesser(size_t a, size_t b)
{
	return a < b ? a : b;
}

static void share_out(void)
{
	struct rlimit lim;

	known.idle_max = IDLE_MAX;
	known.places_max = SIZE_MAX;
	if (getrlimit(RLIMIT_NOFILE, &lim))
		return;
	known.idle_max = lesser(IDLE_MAX, lim.rlim_cur / 8);
	known.places_max = lim.rlim_cur - lesser(RESERVE_MAX, lim.rlim_cur / 4);
}

/* Is it only in the kernel's manual, or does it work here and for us? */
void handles_init(void)
{
	union handle_buffer b = { .h.handle_bytes = HANDLE_MAX };
	struct handle h;
	int fd;

	share_out();
	known.handles = !name_to_handle_at(fs.data_fd, "", &b.h,
					   &known.mount_id, AT_EMPTY_PATH);
	if (!known.handles || handle_get(fs.data_fd, "", &h))
		return;
	fd = handle_open(&h, O_PATH);
	known.handles = fd >= 0;
	if (fd >= 0)
		close(fd);
}

bool handles_work(void)
{
	return known.handles;
}

int place_take(unsigned int count)
{
	if (atomic_fetch_add(&known.places, count) + count <= known.places_max)
		return 0;
	place_give(count);
	log_often(LOG_WARNING, "too many files are open: raise the limit of open files (LimitNOFILE=, fs.nr_open), and mount again");
	return -ENFILE;
}

void place_give(unsigned int count)
{
	atomic_fetch_sub(&known.places, count);
}

/* --- those that are open and not used at the moment; needs the lock ------- */

static void idle_add(struct inode *in)
{
	in->older = known.newest;
	in->newer = NULL;
	if (known.newest)
		known.newest->newer = in;
	else
		known.oldest = in;
	known.newest = in;
	in->idle = true;
	known.idle++;
}

static void idle_remove(struct inode *in)
{
	if (in->older)
		in->older->newer = in->newer;
	else
		known.oldest = in->newer;
	if (in->newer)
		in->newer->older = in->older;
	else
		known.newest = in->older;
	in->idle = false;
	known.idle--;
}

/* --- using an inode ------------------------------------------------------- */

static bool use_open(struct inode *in)
{
	bool open;

	pthread_mutex_lock(&known.lock);
	open = in->fd >= 0;
	if (open)
		in->users++;
	if (in->idle)
		idle_remove(in);
	pthread_mutex_unlock(&known.lock);
	return open;
}

int inode_use(struct inode *in)
{
	int fd;

	if (use_open(in))
		return 0;
	fd = inode_reopen(in, O_PATH | O_NOFOLLOW);
	if (fd < 0)
		return fd;
	pthread_mutex_lock(&known.lock);
	if (in->fd < 0) {
		in->fd = fd;
		fd = -1;
	}
	if (in->idle)
		idle_remove(in);
	in->users++;
	pthread_mutex_unlock(&known.lock);
	/* Somebody else was faster. */
	if (fd >= 0)
		close(fd);
	return 0;
}

void inode_done(struct inode *in)
{
	struct inode *last;
	int fd = -1;

	pthread_mutex_lock(&known.lock);
	if (!--in->users && in->handle.len && !in->keep)
		idle_add(in);
	if (known.idle > known.idle_max) {
		last = known.oldest;
		idle_remove(last);
		fd = last->fd;
		last->fd = -1;
	}
	pthread_mutex_unlock(&known.lock);
	if (fd >= 0)
		close(fd);
}

void inode_keep(struct inode *in)
{
	pthread_mutex_lock(&known.lock);
	in->keep = true;
	pthread_mutex_unlock(&known.lock);
}

void inode_close(struct inode *in)
{
	pthread_mutex_lock(&known.lock);
	if (in->idle)
		idle_remove(in);
	pthread_mutex_unlock(&known.lock);
	if (in->fd >= 0)
		close(in->fd);
	in->fd = -1;
}

/* One that is kept stays open until the inode goes. Return: it, or -1. */
static int kept_descriptor(const struct inode *in)
{
	int fd = -1;

	pthread_mutex_lock(&known.lock);
	if (!in->handle.len || in->keep)
		fd = in->fd;
	pthread_mutex_unlock(&known.lock);
	return fd;
}

int inode_reopen(struct inode *in, int flags)
{
	int fd, tries = 0, kept = kept_descriptor(in);
	char number[16];

	if (kept < 0) {
		do {
			fd = handle_open(&in->handle, flags);
		} while (fd == -EMFILE && patience(++tries));
		return fd;
	}
	snprintf(number, sizeof(number), "%d", kept);
	fd = patient_open(fs.proc_fd, number, flags & ~O_NOFOLLOW, 0);
	return fd < 0 ? -errno : fd;
}

void inode_proc_path(const struct inode *in, char path[32])
{
	snprintf(path, 32, "/proc/self/fd/%d", in->fd);
}
