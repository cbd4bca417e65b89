// SPDX-License-Identifier: GPL-2.0-or-later
/* Open files: reading, writing, making durable. */
#include "fs.h"

static bool opens_for_writing(int flags)
{
	return (flags & O_ACCMODE) != O_RDONLY || flags & O_TRUNC;
}

/* The kernel empties its cache by itself; the file has a handle already. */
static int truncate_open(struct inode *in)
{
	int err = content_drop_suidgid(in);

	if (!err)
		err = chaosimg_file_truncate(in->file, 0);
	if (err)
		return log_damage(err, in, NULL);
	content_cut(in, 0);
	return 0;
}

void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct inode *in = inode_of(ino);
	int err = content_open(in, opens_for_writing(fi->flags));

	if (err) {
		fuse_reply_err(req, -err);
		return;
	}
	if (fi->flags & O_TRUNC)
		err = truncate_open(in);
	/* What is only read has nothing to be written when it is closed. */
	fi->noflush = !opens_for_writing(fi->flags);
	/* Only a mount that may write knows that nobody else does. */
	fi->keep_cache = !fs.readonly;
	if (err)
		fuse_reply_err(req, -err);
	if (err || fuse_reply_open(req, fi) == -ENOENT)
		content_close(in);
}

/* The end of a file may be hit; anything else that is short is a fault. */
static uint64_t expected(uint64_t length, size_t size, off_t off)
{
	if ((uint64_t)off >= length)
		return 0;
	return length - off < size ? length - off : size;
}

void op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
	     struct fuse_file_info *fi)
{
	struct inode *in = inode_of(ino);
	uint64_t before = chaosimg_file_length(in->file);
	void *buf = thread_buffer(size);
	ssize_t n;

	(void)fi;
	if (!buf) {
		fuse_reply_err(req, ENOMEM);
		return;
	}
	n = chaosimg_file_read(in->file, buf, size, off);
	if (n < 0)
		fuse_reply_err(req, -log_damage(n, in, NULL));
	else if ((uint64_t)n < expected(before, size, off) &&
		 (uint64_t)n < expected(chaosimg_file_length(in->file), size,
					off))
		fuse_reply_err(req, EIO);
	else
		fuse_reply_buf(req, buf, n);
}

/* The data stands in the request's own buffer: no copy before encryption. */
void op_write(fuse_req_t req, fuse_ino_t ino, const char *buf, size_t size,
	      off_t off, struct fuse_file_info *fi)
{
	struct inode *in = inode_of(ino);
	ssize_t n = content_drop_suidgid(in);

	/* The kernel's requests come in order, but to several threads. */
	if (!n && fi->writepage)
		chaosimg_file_await_start(in->file, (uint64_t)off);
	if (!n)
		n = chaosimg_file_write(in->file, buf, size, off);
	if (n < 0) {
		if (fi->writepage)
			lost_add(in, off, off + size);
		fuse_reply_err(req, -log_damage(n, in, NULL));
		return;
	}
	lost_remove(in, off, off + size);
	content_changed(in);
	fuse_reply_write(req, n);
}

void op_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)fi;
	fuse_reply_err(req, -content_flush(inode_of(ino)));
}

void op_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)fi;
	content_close(inode_of(ino));
	fuse_reply_err(req, 0);
}

/* Directories first: a durable file in an unusable one is of no use. */
void op_fsync(fuse_req_t req, fuse_ino_t ino, int datasync,
	      struct fuse_file_info *fi)
{
	int err = dirs_sync();

	(void)datasync;
	(void)fi;
	if (!err)
		err = content_sync(inode_of(ino));
	fuse_reply_err(req, -err);
}

void op_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t off,
		  off_t len, struct fuse_file_info *fi)
{
	struct inode *in = inode_of(ino);
	int err = chaosimg_file_allocate(in->file, mode, off, len);

	(void)fi;
	if (err)
		log_damage(err, in, NULL);
	else
		content_changed(in);
	fuse_reply_err(req, -err);
}

/*
 * Where data is that the kernel has not written back yet, only the kernel
 * knows; it does not ask itself before it asks us. Through mappings there is
 * such data without write-back, too. So wherever files can be changed, it is
 * told to answer alone (all is data, up to the end), which is always right.
 */
void op_lseek(fuse_req_t req, fuse_ino_t ino, off_t off, int whence,
	      struct fuse_file_info *fi)
{
	struct inode *in = inode_of(ino);
	int64_t n;

	(void)fi;
	if (!fs.readonly) {
		fuse_reply_err(req, ENOSYS);
		return;
	}
	n = chaosimg_file_seek(in->file, off, whence);
	if (n < 0)
		fuse_reply_err(req, -log_damage(n, in, NULL));
	else
		fuse_reply_lseek(req, n);
}
