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

/* Under the policies as they are, or are about to be. */
static int store_keyset(struct config_change *c, const struct keyset *ks)
{
	struct policy_texts texts;
	int ret = keyset_policy_texts(c->a, ks, &c->cfg->policies, &texts);

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

static int change_policies(struct config_change *c,
			   const struct chaosimg_policies_change *change)
{
	return policies_change(&c->cfg->policies, change->set, change->policy,
			       change->authority, change->authorities);
}

static int rekey(struct chaosimg_archive *a,
		 const struct chaosimg_policies_change *change,
		 struct keyset *ks)
{
	char why[512];
	struct config_change c;
	int ret = config_change_begin(&c, a);

	if (ret)
		return ret;
	if (change)
		ret = change_policies(&c, change);
	ret = config_change_end(&c, ret ? ret : append_keyset(&c, ks));
	if (!ret)
		return keyring_add(a->ring, ks);
	snprintf(why, sizeof(why), "%s", chaosimg_errmsg());
	discard_keyset(a, c.path, ks);
	return fail(-ret, "%s", why);
}

static int make(struct chaosimg_archive *a,
		const struct chaosimg_policies_change *change,
		uint8_t id[CHAOSIMG_ID_SIZE])
{
	struct keyset *ks;
	int ret = keyset_new(&ks);

	if (ret)
		return ret;
	ret = rekey(a, change, ks);
	if (!ret && id)
		memcpy(id, ks->id, CHAOSIMG_ID_SIZE);
	secret_free(ks);
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

/* [keysets] Those before the last one are needed only by files of theirs. */
static int adopt(struct chaosimg_archive *a, const char *path,
		 const struct config *cfg)
{
	const uint8_t *newest = cfg->keyset[cfg->keysets - 1];
	uint32_t i;
	int ret = 0;

	if (!own(a, newest))
		ret = keyset_load_older(a, path, newest);
	if (ret)
		return ret;
	keyring_serve(a->ring, newest);
	for (i = 0; !ret && i + 1 < cfg->keysets; i++) {
		if (!own(a, cfg->keyset[i]))
			ret = keyset_load_older(a, path, cfg->keyset[i]);
		keyring_pass_over(a->ring, cfg->keyset[i]);
	}
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
		ret = adopt(a, path, cfg);
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
