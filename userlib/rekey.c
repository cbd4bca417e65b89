// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * New keysets of an archive that is in use: made, noticed by those who have
 * it open, and found when a file under one is opened.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config_change.h"
#include "error.h"
#include "keyring.h"
#include "keyset_policy.h"
#include "rules.h"

/* --- made ----------------------------------------------------------------- */

static bool lists(const struct config *cfg, const uint8_t id[CHAOSIMG_ID_SIZE])
{
	uint32_t i;

	for (i = 0; i < cfg->keysets; i++)
		if (!memcmp(cfg->keyset[i], id, CHAOSIMG_ID_SIZE))
			return true;
	return false;
}

/* Their times tell their order, whatever the clock does. */
static int set_time(struct config_change *c, struct keyset *ks)
{
	const struct keyset *last;
	int ret = keyset_demand(c->a, c->cfg->keyset[c->cfg->keysets - 1],
				&last);

	if (!ret && ks->created <= last->created)
		ks->created = last->created + 1;
	return ret;
}

/* Under its policies as they are, or are about to be. */
static int store_keyset(struct config_change *c, const struct keyset *ks)
{
	struct policy_texts texts;
	int ret = keyset_policy_texts(c->a, ks,
				      config_policies(c->cfg, ks->policy),
				      &texts);

	if (!ret)
		ret = keyset_store(c->a, c->path, ks,
				   (const char *const *)texts.text, texts.n);
	policy_texts_free(&texts);
	return ret;
}

/* Its file is durable before a configuration names it. */
static int append_keyset(struct config_change *c, struct keyset *ks)
{
	struct config *cfg = c->cfg;
	int ret;

	if (cfg->keysets == CONFIG_KEYSETS_MAX)
		return fail(ENOSPC, "%s: it has %d keysets already; drop old ones",
			    c->path, CONFIG_KEYSETS_MAX);
	ret = set_time(c, ks);
	if (!ret)
		ret = store_keyset(c, ks);
	if (!ret)
		memcpy(cfg->keyset[cfg->keysets++], ks->id, sizeof(ks->id));
	return ret;
}

/*
 * The change failed, but a configuration that could not be synced may stand
 * there all the same, and then the keyset has to stay.
 */
static void discard_keyset(struct chaosimg_archive *a, const char *path,
			   const struct keyset *ks)
{
	char name[sizeof("keysets/.json") + 2 * CHAOSIMG_ID_SIZE] = "keysets/";
	struct config *cfg;

	if (config_load(a->fd, path, &cfg))
		return;
	keyset_name(ks->id, name + strlen(name));
	if (!lists(cfg, ks->id))
		unlinkat(a->fd, name, 0);
	free(cfg);
}

/* --- policies that change with them ---------------------------------------- */

static bool is_other(const void *ctx, const char *name)
{
	return strcmp(name, ctx) != 0;
}

static struct policies *find_or_add(struct config *cfg, const char *name)
{
	struct policies *p = config_policies(cfg, name);
	struct policies_named *n;

	if (p)
		return p;
	n = named_add(cfg->named_policies, &cfg->named, name);
	return n ? &n->policies : NULL;
}

/* None of it is left: then the name goes, too. */
static int remove_named(struct config_change *c, const char *name)
{
	int ret = rules_without_policy(c->a, name);

	if (!ret)
		named_remove(c->cfg->named_policies, &c->cfg->named,
			     named_find(c->cfg->named_policies, c->cfg->named,
					name));
	return ret;
}

static int change_named(struct config_change *c, const char *name,
			const struct chaosimg_policies_change *change)
{
	const struct policies *own = &c->cfg->policies;
	bool any = false;
	struct policies *p;
	int ret;

	if (!policy_name_valid(name))
		return fail(EINVAL, "policy: not a name: up to %d letters, digits, \"-\", \"_\" and \".\"",
			    CHAOSIMG_POLICY_NAME_MAX);
	for (int i = 0; i < CHAOSIMG_COMPARTMENTS; i++)
		any = any || (change->set >> i & 1 && change->policy[i]);
	if (!any && !config_policies(c->cfg, name))
		return fail(ENOENT, "%s: it has no policy %s", c->path, name);
	p = find_or_add(c->cfg, name);
	if (!p)
		return fail(ENOSPC, "%s: it has %d named policies already",
			    c->path, POLICIES_NAMED_MAX);
	ret = policies_change(p, change->set, change->policy, change->authority,
			      change->authorities, own);
	if (ret)
		return ret;
	return p->authorities ? rules_make(c->a, c->path) :
				remove_named(c, name);
}

static int change_policies(struct config_change *c,
			   const struct chaosimg_policies_change *change)
{
	if (change->name)
		return change_named(c, change->name, change);
	return policies_change(&c->cfg->policies, change->set, change->policy,
			       change->authority, change->authorities, NULL);
}

/* --- a change -------------------------------------------------------------- */

/**
 * struct drawn - the keysets that a change makes
 * @n: how many
 * @set: them
 */
struct drawn {
	uint32_t n;
	struct keyset *set[POLICIES_NAMED_MAX + 1];
};

static int draw(struct drawn *d, const char *policy)
{
	struct keyset *ks;
	int ret = keyset_new(&ks);

	if (ret)
		return ret;
	strcpy(ks->policy, policy);
	d->set[d->n++] = ks;
	return 0;
}

/* One for each policy, the archive's own last; or for one that was changed. */
static int draw_keysets(struct drawn *d, struct config *cfg, const char *name,
			bool all)
{
	uint32_t i;
	int ret = 0;

	for (i = 0; all && i < cfg->named && !ret; i++)
		ret = draw(d, cfg->named_policies[i].name);
	/* If there is none such any more, it needs none. */
	if (!ret && config_policies(cfg, name))
		ret = draw(d, name);
	return ret;
}

static int rekey(struct chaosimg_archive *a,
		 const struct chaosimg_policies_change *change,
		 struct drawn *d)
{
	const char *name = change && change->name ? change->name : "";
	char why[512];
	struct config_change c;
	uint32_t i;
	int ret = config_change_begin(&c, a);

	if (ret)
		return ret;
	if (change)
		ret = change_policies(&c, change);
	if (!ret)
		ret = draw_keysets(d, c.cfg, name, !change);
	for (i = 0; i < d->n && !ret; i++)
		ret = append_keyset(&c, d->set[i]);
	ret = config_change_end(&c, ret);
	for (i = 0; i < d->n && !ret; i++)
		ret = keyring_add(a->ring, d->set[i]);
	if (!ret && !d->n)
		keyring_retire(a->ring, is_other, name);
	if (!ret)
		return 0;
	snprintf(why, sizeof(why), "%s", chaosimg_errmsg());
	for (i = 0; i < d->n; i++)
		discard_keyset(a, c.path, d->set[i]);
	return fail(-ret, "%s", why);
}

static int make(struct chaosimg_archive *a,
		const struct chaosimg_policies_change *change,
		uint8_t id[CHAOSIMG_ID_SIZE])
{
	struct drawn d = { .n = 0 };
	int ret = rekey(a, change, &d);

	if (!ret && id)
		memset(id, 0, CHAOSIMG_ID_SIZE);
	if (!ret && id && d.n)
		memcpy(id, d.set[d.n - 1]->id, CHAOSIMG_ID_SIZE);
	while (d.n)
		secret_free(d.set[--d.n]);
	return ret;
}

int chaosimg_archive_rekey(struct chaosimg_archive *a,
			   uint8_t id[CHAOSIMG_ID_SIZE])
{
	return make(a, NULL, id);
}

int chaosimg_policies_set(struct chaosimg_archive *a,
			  const struct chaosimg_policies_change *change,
			  uint8_t id[CHAOSIMG_ID_SIZE])
{
	return make(a, change, id);
}

/* --- noticed -------------------------------------------------------------- */

static int look(const struct chaosimg_archive *a, struct config_stamp *now)
{
	struct stat st;

	if (fstatat(a->fd, CONFIG_NAME, &st, AT_SYMLINK_NOFOLLOW))
		return fail_errno("%s", CONFIG_NAME);
	*now = (struct config_stamp){
		.dev = st.st_dev, .ino = st.st_ino, .ctime = st.st_ctim
	};
	return 0;
}

static bool same(const struct config_stamp *a, const struct config_stamp *b)
{
	return a->dev == b->dev && a->ino == b->ino &&
	       a->ctime.tv_sec == b->ctime.tv_sec &&
	       a->ctime.tv_nsec == b->ctime.tv_nsec;
}

/*
 * In the keyring, and of the archive. Anybody can make an ingest mount's keyset,
 * also with the id of another: nothing new must ever be stored under it.
 */
static const struct keyset *own(struct chaosimg_archive *a,
				const uint8_t id[CHAOSIMG_ID_SIZE])
{
	const struct keyset *ks = keyring_find(a->ring, id);

	return ks && !ks->ingest ? ks : NULL;
}

static int demand_listed(struct chaosimg_archive *a, const char *path,
			 const uint8_t id[CHAOSIMG_ID_SIZE],
			 const struct keyset **ks)
{
	int ret = 0;

	if (!own(a, id))
		ret = keyset_load_older(a, path, id);
	*ks = own(a, id);
	return ret;
}

static bool is_among(const char *const *list, uint32_t n, const char *name)
{
	while (n)
		if (!strcmp(list[--n], name))
			return true;
	return false;
}

/*
 * [keysets] The last one of each policy serves it; those before it are needed
 * only by files of theirs. @seen: room for as many names as there are keysets
 */
static int adopt(struct chaosimg_archive *a, const char *path,
		 struct config *cfg, const char **seen)
{
	uint32_t i, n = 0;
	int ret = 0;

	for (i = cfg->keysets; i-- && !ret;) {
		const struct keyset *ks;

		ret = demand_listed(a, path, cfg->keyset[i], &ks);
		if (ret)
			break;
		if (is_among(seen, n, ks->policy) ||
		    !config_policies(cfg, ks->policy))
			keyring_pass_over(a->ring, ks->id);
		else
			keyring_serve(a->ring, ks->id);
		if (!is_among(seen, n, ks->policy))
			seen[n++] = ks->policy;
	}
	keyring_retire(a->ring, config_has_policy, cfg);
	return ret;
}

static int adopt_config(struct chaosimg_archive *a, const char *path,
			struct config *cfg)
{
	const char **seen = calloc(cfg->keysets, sizeof(*seen));
	int ret = seen ? adopt(a, path, cfg, seen) :
			 fail(ENOMEM, "%s: no memory", path);

	free(seen);
	return ret;
}

static int reread(struct chaosimg_archive *a)
{
	char path[FDNAME_SIZE];
	struct config *cfg;
	int ret;

	fdname(a->fd, path);
	ret = config_load(a->fd, path, &cfg);
	if (ret)
		return ret;
	if (memcmp(cfg->id, a->id, sizeof(cfg->id)))
		ret = fail(EBADMSG, "%s: " CONFIG_NAME " is another archive's",
			   path);
	if (!ret)
		ret = config_verify(cfg, a->ring, path);
	if (!ret)
		ret = adopt_config(a, path, cfg);
	free(cfg);
	return ret;
}

int chaosimg_archive_refresh(struct chaosimg_archive *a)
{
	struct config_stamp now;
	int ret;

	/* Who cannot authenticate it finds keysets when files need them. */
	if (!keyring_whole(a->ring))
		return 0;
	/* Looked at before it is read: a change in between is seen next time. */
	ret = look(a, &now);
	if (ret)
		return ret;
	pthread_mutex_lock(&a->keysets);
	if (!same(&now, &a->seen)) {
		ret = reread(a);
		if (!ret)
			a->seen = now;
	}
	pthread_mutex_unlock(&a->keysets);
	return ret;
}

void chaosimg_archive_keyset(struct chaosimg_archive *a,
			     uint8_t id[CHAOSIMG_ID_SIZE])
{
	const struct keyset *ks = keyring_newest(a->ring);

	if (ks)
		memcpy(id, ks->id, CHAOSIMG_ID_SIZE);
	else
		memset(id, 0, CHAOSIMG_ID_SIZE);
}

/* --- found ---------------------------------------------------------------- */

typedef int load_fn(struct chaosimg_archive *a, const char *path,
		    const uint8_t id[CHAOSIMG_ID_SIZE]);

typedef const struct keyset *find_fn(struct chaosimg_archive *a,
				     const uint8_t id[CHAOSIMG_ID_SIZE]);

static const struct keyset *any(struct chaosimg_archive *a,
				const uint8_t id[CHAOSIMG_ID_SIZE])
{
	return keyring_find(a->ring, id);
}

static int from_disk(struct chaosimg_archive *a,
		     const uint8_t id[CHAOSIMG_ID_SIZE], find_fn *find,
		     load_fn *load)
{
	char path[FDNAME_SIZE];
	int ret;

	/* Somebody else may have found it meanwhile. */
	if (find(a, id))
		return 0;
	fdname(a->fd, path);
	ret = load(a, path, id);
	/* To the file it makes no difference why its keys are not to be had. */
	if (ret == -EBADMSG || ret == -EPROTONOSUPPORT)
		ret = -ENOKEY;
	return ret;
}

static int demand(struct chaosimg_archive *a,
		  const uint8_t id[CHAOSIMG_ID_SIZE], find_fn *find,
		  load_fn *load, const struct keyset **out)
{
	int ret;

	*out = find(a, id);
	if (*out)
		return 0;
	if (a->fd < 0)
		return fail(ENOKEY, "header: of another keyset");
	pthread_mutex_lock(&a->keysets);
	ret = from_disk(a, id, find, load);
	pthread_mutex_unlock(&a->keysets);
	if (!ret)
		*out = find(a, id);
	return ret;
}

int keyset_demand(struct chaosimg_archive *a,
		  const uint8_t id[CHAOSIMG_ID_SIZE], const struct keyset **out)
{
	return demand(a, id, own, keyset_load_older, out);
}

int keyset_of_file(struct chaosimg_archive *a,
		   const uint8_t id[CHAOSIMG_ID_SIZE],
		   const struct keyset **out)
{
	return demand(a, id, any, keyset_load_any, out);
}
