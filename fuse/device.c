// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What libfuse 3.14 neither asks the kernel for nor passes on: so requests are
 * read and answers written here (fuse_session_custom_io()).
 *
 * Without FUSE_HANDLE_KILLPRIV_V2 the kernel asks for an attribute before each
 * write(2), and for a file's mode before each chown(2). With it, some requests
 * say that set-user-id bits must go.
 */
#include <linux/fuse.h>
#include <semaphore.h>
#include <sys/uio.h>
#include <unistd.h>

#include "device.h"
#include "fs.h"

static struct {
	uint64_t unique;	/* of the request */
	uint32_t flags;		/* what the kernel offers */
	bool over;		/* it was answered */
	_Atomic bool known;	/* and the kernel has the answer */
	sem_t done;		/* it has, or there will be none */
} init;

/* What a worker knows of the request that it serves. */
static _Thread_local bool kill_suidgid;

bool device_kills_suidgid(void)
{
	return kill_suidgid;
}

/* linux/fuse.h; the kernel has checked the lengths of its own requests. */
static bool asks_kill_suidgid(const struct fuse_in_header *h)
{
	const void *in = h + 1;

	switch (h->opcode) {
	case FUSE_WRITE:
		return ((const struct fuse_write_in *)in)->write_flags &
		       FUSE_WRITE_KILL_SUIDGID;
	case FUSE_SETATTR:
		return ((const struct fuse_setattr_in *)in)->valid &
		       FATTR_KILL_SUIDGID;
	case FUSE_OPEN:
		return ((const struct fuse_open_in *)in)->open_flags &
		       FUSE_OPEN_KILL_SUIDGID;
	case FUSE_CREATE:
		return ((const struct fuse_create_in *)in)->open_flags &
		       FUSE_OPEN_KILL_SUIDGID;
	default:
		return false;
	}
}

static void received(const struct fuse_in_header *h)
{
	const struct fuse_init_in *in = (const void *)(h + 1);

	kill_suidgid = asks_kill_suidgid(h);
	if (h->opcode != FUSE_INIT)
		return;
	init.unique = h->unique;
	init.flags = in->flags;
}

/* Each read() gives one whole request. */
static ssize_t device_read(int fd, void *buf, size_t size, void *unused)
{
	ssize_t n = read(fd, buf, size);

	(void)unused;
	if (n >= (ssize_t)sizeof(struct fuse_in_header))
		received(buf);
	return n;
}

static void add_to_init(const struct iovec *iov, int count)
{
	const struct fuse_out_header *h = iov[0].iov_base;
	struct fuse_init_out *out;

	if (!init.unique || h->unique != init.unique)
		return;
	init.over = true;
	if (count < 2 || iov[1].iov_len < sizeof(*out))
		return;
	out = iov[1].iov_base;
	out->flags |= init.flags & FUSE_HANDLE_KILLPRIV_V2;
}

/* Until INIT is answered there is one worker. */
static ssize_t device_writev(int fd, struct iovec *iov, int count, void *unused)
{
	bool was_over = init.over;
	ssize_t n;

	(void)unused;
	if (!was_over)
		add_to_init(iov, count);
	n = writev(fd, iov, count);
	if (!was_over && init.over) {
		init.known = n > 0;
		sem_post(&init.done);
	}
	return n;
}

bool device_wait(void)
{
	while (sem_wait(&init.done))
		;
	return init.known;
}

void device_end(void)
{
	sem_post(&init.done);
}

int device_start(struct fuse_session *se)
{
	const struct fuse_custom_io io = {
		.read = device_read, .writev = device_writev,
	};

	sem_init(&init.done, 0, 0);
	return fuse_session_custom_io(se, &io, fuse_session_fd(se));
}
