// SPDX-License-Identifier: GPL-2.0-or-later
/* Reading symbolic links. */
#include <limits.h>
#include <unistd.h>

#include "fs.h"

void op_readlink(fuse_req_t req, fuse_ino_t ino)
{
	char stored[PATH_MAX + 1], target[PATH_MAX + 1];
	struct inode *in = inode_of(ino);
	int err = inode_use(in);
	ssize_t n;

	if (err) {
		fuse_reply_err(req, -err);
		return;
	}
	n = readlinkat(in->fd, "", stored, sizeof(stored) - 1);
	err = n < 0 ? errno : 0;
	inode_done(in);
	if (err) {
		fuse_reply_err(req, err);
		return;
	}
	stored[n] = '\0';
	err = chaosimg_symlink_decrypt(fs.archive, stored, target,
				       sizeof(target));
	if (err)
		fuse_reply_err(req, -log_damage(err, in, NULL));
	else
		fuse_reply_readlink(req, target);
}
