// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * In the kernel's place. The daemon's own way of setting itself up is what it
 * is tested with, so main.c is a part of this file, under another name.
 */
int chaosimgfs_main(int argc, char **argv);
#define main chaosimgfs_main
#include "../../fuse/main.c"
#undef main

#include <linux/fuse.h>
#include <sys/uio.h>

#include "kernel.h"

enum { REQUEST_MAX = 2 << 20 };

static struct {
	struct fuse_session *se;
	uint64_t unique;
	uint32_t uid;
	bool answered;
	int error;
	uint8_t *request;
	uint8_t *reply;
	size_t len;
} kernel;

static void check(bool good, const char *what)
{
	if (good)
		return;
	fprintf(stderr, "request %llu: %s\n",
		(unsigned long long)kernel.unique, what);
	abort();
}

/* Notices to the kernel have no number, and are not for us. */
static ssize_t take_reply(int fd, struct iovec *iov, int count, void *unused)
{
	struct fuse_out_header *out = iov[0].iov_base;
	size_t len = 0;
	int i;

	(void)fd;
	(void)unused;
	for (i = 0; i < count; i++)
		len += iov[i].iov_len;
	if (!out->unique)
		return (ssize_t)len;
	check(out->unique == kernel.unique, "answered by another's number");
	check(!kernel.answered, "answered twice");
	check(out->len == len && len <= REQUEST_MAX, "wrong length");
	check(out->error <= 0 && out->error > -1000, "no error number");
	kernel.answered = true;
	kernel.error = out->error;
	kernel.len = 0;
	for (i = 0; i < count; i++) {
		memcpy(kernel.reply + kernel.len, iov[i].iov_base,
		       iov[i].iov_len);
		kernel.len += iov[i].iov_len;
	}
	return (ssize_t)len;
}

static ssize_t no_read(int fd, void *buf, size_t len, void *unused)
{
	(void)fd;
	(void)buf;
	(void)len;
	(void)unused;
	return 0;
}

static bool wants_answer(uint32_t opcode)
{
	return opcode != FUSE_FORGET && opcode != FUSE_BATCH_FORGET;
}

int kernel_ask(uint32_t opcode, uint64_t node, const struct iovec *part,
	       int parts, struct kernel_reply *r)
{
	struct fuse_in_header in = { .opcode = opcode, .nodeid = node,
				     .unique = ++kernel.unique,
				     .uid = kernel.uid, .gid = kernel.uid,
				     .pid = 1, .len = sizeof(in) };
	struct fuse_buf buf = { .mem = kernel.request };
	int i;

	for (i = 0; i < parts; i++) {
		check(in.len + part[i].iov_len <= REQUEST_MAX, "too long");
		memcpy(kernel.request + in.len, part[i].iov_base,
		       part[i].iov_len);
		in.len += (uint32_t)part[i].iov_len;
	}
	memcpy(kernel.request, &in, sizeof(in));
	buf.size = in.len;
	kernel.answered = false;
	kernel.error = 0;
	kernel.len = sizeof(struct fuse_out_header);
	fuse_session_process_buf(kernel.se, &buf);
	check(kernel.answered == wants_answer(opcode), "no answer");
	if (getenv("FUZZ_LOG"))
		fprintf(stderr, "request %u to %llx: %d\n", opcode,
			(unsigned long long)node, kernel.error);
	if (r) {
		r->data = kernel.reply + sizeof(struct fuse_out_header);
		r->len = kernel.len - sizeof(struct fuse_out_header);
	}
	return kernel.error;
}

void kernel_forget(uint64_t node, uint64_t count)
{
	struct fuse_forget_in in = { .nlookup = count };

	kernel_ask(FUSE_FORGET, node, &(struct iovec)PART(in), 1, NULL);
}

void kernel_user(uint32_t uid)
{
	kernel.uid = uid;
}

static void start_session(bool writeback)
{
	static char name[] = "chaosimgfs", *argv[] = { name, NULL };
	struct fuse_args args = FUSE_ARGS_INIT(1, argv);
	const struct fuse_custom_io io = { .writev = take_reply,
					   .read = no_read };
	struct fuse_init_in in = {
		.major = FUSE_KERNEL_VERSION,
		.minor = FUSE_KERNEL_MINOR_VERSION,
		.max_readahead = 1 << 20,
		.flags = ~(uint32_t)FUSE_INIT_EXT,
	};
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (!writeback)
		in.flags &= ~(uint32_t)FUSE_WRITEBACK_CACHE;
	kernel.se = fuse_session_new(&args, &operations, sizeof(operations),
				     NULL);
	fuse_opt_free_args(&args);
	check(kernel.se && null >= 0, "no session");
	check(!fuse_session_custom_io(kernel.se, &io, null), "custom I/O");
	check(!kernel_ask(FUSE_INIT, 0, &(struct iovec)PART(in), 1, NULL),
	      "FUSE_INIT");
}

void kernel_mount(struct chaosimg_archive *a, const char *path, bool readonly,
		  bool writeback)
{
	struct options o = { .archive = (char *)path, .readonly = readonly,
			     .no_writeback = !writeback };

	if (!kernel.request) {
		kernel.request = malloc(REQUEST_MAX);
		kernel.reply = malloc(REQUEST_MAX);
		check(kernel.request && kernel.reply, "no memory");
	}
	kernel.uid = 0;
	fs.archive = a;
	fs.real = (char *)path;
	memset(&fs.top, 0, sizeof(fs.top));
	check(!set_up(&o), "set-up");
	start_session(writeback);
}

void kernel_umount(void)
{
	dirs_sync();
	fuse_session_destroy(kernel.se);
	kernel.se = NULL;
	inodes_end();
	close(fs.proc_fd);
}
