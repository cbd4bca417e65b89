// SPDX-License-Identifier: GPL-2.0-or-later
/* What the kernel may ask for, and what is agreed with it at the start. */
#include "fs.h"

#define MAX_BACKGROUND	64

/*
 * Reads and writes of at most this size: what the kernel has more to ask for
 * comes in several requests, on which as many workers are.
 */
#define MAX_REQUEST	(128 << 10)

static void want(struct fuse_conn_info *conn, unsigned int cap, bool on)
{
	if (on)
		conn->want |= conn->capable & cap;
	else
		conn->want &= ~cap;
}

void op_init(void *userdata, struct fuse_conn_info *conn)
{
	(void)userdata;
	fs.writeback = fs.writeback && conn->capable & FUSE_CAP_WRITEBACK_CACHE;
	want(conn, FUSE_CAP_WRITEBACK_CACHE, fs.writeback);
	want(conn, FUSE_CAP_ASYNC_READ | FUSE_CAP_PARALLEL_DIROPS |
	     FUSE_CAP_READDIRPLUS | FUSE_CAP_READDIRPLUS_AUTO |
	     FUSE_CAP_CACHE_SYMLINKS | FUSE_CAP_ASYNC_DIO, true);
	/*
	 * Without the write-back cache, the kernel lets pages that a mapping has
	 * changed be written while an open truncates; not while SETATTR does.
	 */
	want(conn, FUSE_CAP_ATOMIC_O_TRUNC, fs.writeback);
	/* Nobody else changes what a mount that may write has cached. */
	want(conn, FUSE_CAP_AUTO_INVAL_DATA, fs.readonly);
	/* Data is encrypted in memory: pipes would only be a detour. */
	want(conn, FUSE_CAP_SPLICE_READ | FUSE_CAP_SPLICE_WRITE |
	     FUSE_CAP_SPLICE_MOVE, false);
	/* Set-user-id bits: its second version, which device.c asks for. */
	want(conn, FUSE_CAP_HANDLE_KILLPRIV, false);
	/* Locks are the kernel's own: all who use the mount see them. */
	want(conn, FUSE_CAP_POSIX_LOCKS | FUSE_CAP_FLOCK_LOCKS |
	     FUSE_CAP_POSIX_ACL | FUSE_CAP_EXPORT_SUPPORT, false);
	conn->max_write = MAX_REQUEST;
	conn->max_background = MAX_BACKGROUND;
	conn->congestion_threshold = MAX_BACKGROUND * 3 / 4;
	conn->time_gran = 1;
}

const struct fuse_lowlevel_ops operations = {
	.init = op_init,
	.lookup = op_lookup,
	.forget = op_forget,
	.forget_multi = op_forget_multi,
	.getattr = op_getattr,
	.setattr = op_setattr,
	.statfs = op_statfs,
	.create = op_create,
	.mknod = op_mknod,
	.mkdir = op_mkdir,
	.symlink = op_symlink,
	.link = op_link,
	.readlink = op_readlink,
	.unlink = op_unlink,
	.rmdir = op_rmdir,
	.rename = op_rename,
	.opendir = op_opendir,
	.readdir = op_readdir,
	.readdirplus = op_readdirplus,
	.releasedir = op_releasedir,
	.fsyncdir = op_fsyncdir,
	.open = op_open,
	.read = op_read,
	.write = op_write,
	.flush = op_flush,
	.release = op_release,
	.fsync = op_fsync,
	.fallocate = op_fallocate,
	.lseek = op_lseek,
	.setxattr = op_setxattr,
	.getxattr = op_getxattr,
	.listxattr = op_listxattr,
	.removexattr = op_removexattr,
	.ioctl = op_ioctl,
};
