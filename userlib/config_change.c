// SPDX-License-Identifier: GPL-2.0-or-later
/* Changing the configuration of an archive that others may be using. */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "archive_lock.h"
#include "config_change.h"
#include "error.h"

int config_change_begin(struct config_change *c, struct chaosimg_archive *a)
{
	int ret;

	c->a = a;
	c->cfg = NULL;
	fdname(a->fd, c->path);
	if (chaosimg_archive_readonly(a))
		return fail(EROFS, "%s: opened read-only", c->path);
	c->lock = archive_lock_config(a->fd, c->path);
	if (c->lock < 0)
		return c->lock;
	ret = config_load(a->fd, c->path, &c->cfg);
	if (!ret)
		ret = config_verify(c->cfg, a->ring, c->path);
	if (ret) {
		free(c->cfg);
		close(c->lock);
	}
	return ret;
}

int config_change_end(struct config_change *c, int ret)
{
	if (!ret)
		ret = config_store(c->a->fd, c->path, c->cfg, c->a->ring);
	config_change_cancel(c);
	return ret;
}

void config_change_cancel(struct config_change *c)
{
	free(c->cfg);
	close(c->lock);
}
