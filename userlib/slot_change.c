// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Adding and removing key slots. The configuration is read, authenticated,
 * changed and replaced under a lock, since several processes may do so, and
 * a mount may hold the archive meanwhile.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "archive_lock.h"
#include "config.h"
#include "error.h"
#include "fdname.h"
#include "keyring.h"

/* A change under way. */
struct change {
	struct chaosimg_archive *a;
	char path[FDNAME_SIZE];
	int lock;
	struct config *cfg;
};

static int change_begin(struct change *c, struct chaosimg_archive *a)
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

/* @ret: how the change went; it is written only if that is 0 */
static int change_end(struct change *c, int ret)
{
	if (!ret)
		ret = config_store(c->a->fd, c->path, c->cfg, c->a->ring);
	free(c->cfg);
	close(c->lock);
	return ret;
}

static int append_slot(struct change *c, const struct chaosimg_credential *cred)
{
	struct config *cfg = c->cfg;
	int ret;

	if (cfg->slots == CHAOSIMG_SLOTS_MAX || cfg->next_slot == UINT32_MAX)
		return fail(ENOSPC, "%s: all key slots are taken", c->path);
	ret = slot_create(&cfg->slot[cfg->slots], cfg->next_slot, cfg->id, cred,
			  keyring_archive_key(c->a->ring));
	if (ret)
		return ret;
	cfg->slots++;
	cfg->next_slot++;
	return 0;
}

int chaosimg_slot_add(struct chaosimg_archive *a,
		      const struct chaosimg_credential *cred, uint32_t *id)
{
	struct change c;
	uint32_t added;
	int ret;

	ret = change_begin(&c, a);
	if (ret)
		return ret;
	added = c.cfg->next_slot;
	ret = change_end(&c, append_slot(&c, cred));
	if (!ret && id)
		*id = added;
	return ret;
}

static int drop_slot(struct change *c, uint32_t id)
{
	struct config *cfg = c->cfg;
	uint32_t i;

	for (i = 0; i < cfg->slots && cfg->slot[i].id != id; i++)
		;
	if (i == cfg->slots)
		return fail(ENOENT, "%s: there is no key slot %" PRIu32,
			    c->path, id);
	if (cfg->slots == 1)
		return fail(EPERM, "%s: the last key slot cannot be removed",
			    c->path);
	cfg->slots--;
	memmove(&cfg->slot[i], &cfg->slot[i + 1],
		(cfg->slots - i) * sizeof(cfg->slot[0]));
	return 0;
}

int chaosimg_slot_remove(struct chaosimg_archive *a, uint32_t id)
{
	struct change c;
	int ret;

	ret = change_begin(&c, a);
	if (ret)
		return ret;
	return change_end(&c, drop_slot(&c, id));
}
