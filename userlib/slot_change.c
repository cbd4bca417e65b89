// SPDX-License-Identifier: GPL-2.0-or-later
/* Adding and removing key slots, also while a mount holds the archive. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "config_change.h"
#include "error.h"
#include "keyring.h"

static int append_slot(struct config_change *c,
		       const struct chaosimg_credential *cred)
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
	struct config_change c;
	uint32_t added;
	int ret;

	ret = config_change_begin(&c, a);
	if (ret)
		return ret;
	added = c.cfg->next_slot;
	ret = config_change_end(&c, append_slot(&c, cred));
	if (!ret && id)
		*id = added;
	return ret;
}

static int drop_slot(struct config_change *c, uint32_t id)
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
	struct config_change c;
	int ret;

	ret = config_change_begin(&c, a);
	if (ret)
		return ret;
	return config_change_end(&c, drop_slot(&c, id));
}
