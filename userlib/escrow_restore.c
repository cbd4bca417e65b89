// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Making an escrow, and rebuilding a lost configuration from it. What tells
 * that both belong together are the keysets: only under the right archive key
 * do they authenticate.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "archive_lock.h"
#include "config.h"
#include "error.h"
#include "escrow.h"
#include "hex.h"
#include "keyring.h"

int chaosimg_escrow(struct chaosimg_archive *a, char text[CHAOSIMG_ESCROW_SIZE])
{
	struct escrow *e;
	int err;

	if (!keyring_whole(a->ring))
		return fail(EACCES, "an escrow needs the archive key");
	e = secret_alloc(sizeof(*e));
	if (!e)
		return -ENOMEM;
	memcpy(e->archive_id, a->id, sizeof(e->archive_id));
	memcpy(e->key, keyring_archive_key(a->ring), sizeof(e->key));
	e->chunk_size = a->chunk_size;
	err = escrow_format(e, text);
	secret_free(e);
	return err;
}

int chaosimg_escrow_check(const char *text, size_t len)
{
	struct escrow *e = secret_alloc(sizeof(*e));
	int err;

	if (!e)
		return -ENOMEM;
	err = escrow_parse(text, len, e);
	secret_free(e);
	return err;
}

/* --- rebuilding ----------------------------------------------------------- */

/**
 * struct rebuilding - a configuration that is being rebuilt
 * @path: the archive's
 * @fd: the archive's directory
 * @lock: holds the lock of the configuration
 * @e: the escrow
 * @a: an archive object around its key
 * @cfg: the new configuration
 * @out: what is told about it
 */
struct rebuilding {
	const char *path;
	int fd;
	int lock;
	struct escrow *e;
	struct chaosimg_archive *a;
	struct config *cfg;
	struct chaosimg_restored *out;
};

/* A configuration that is whole is not replaced by mistake. */
static int check_old(const struct rebuilding *r, bool replace)
{
	struct config *old;
	int err = config_load(r->fd, r->path, &old);

	if (err == -EBADMSG)
		return 0;
	if (err)
		return err;
	if (memcmp(old->id, r->e->archive_id, sizeof(old->id)))
		err = -EBADMSG;
	else
		err = config_verify(old, r->a->ring, r->path);
	free(old);
	if (err == -EBADMSG)
		return 0;
	if (!err && !replace)
		err = fail(EEXIST, "%s: its configuration is whole", r->path);
	return err;
}

static void add_keyset(struct rebuilding *r, const uint8_t *id)
{
	struct config *cfg = r->cfg;

	if (cfg->keysets == CONFIG_KEYSETS_MAX ||
	    keyset_is_ingest(r->a, r->path, id))
		return;
	if (keyset_load_older(r->a, r->path, id))
		r->out->damaged++;
	else
		memcpy(cfg->keyset[cfg->keysets++], id, CHAOSIMG_ID_SIZE);
}

static int read_keysets(struct rebuilding *r, DIR *dp)
{
	char name[2 * CHAOSIMG_ID_SIZE + sizeof(".json")];
	uint8_t id[CHAOSIMG_ID_SIZE];
	const struct dirent *d;

	for (;;) {
		errno = 0;
		d = readdir(dp);
		if (!d)
			break;
		if (strlen(d->d_name) != sizeof(name) - 1 ||
		    !hex_decode(d->d_name, id, sizeof(id)))
			continue;
		keyset_name(id, name);
		if (!strcmp(name, d->d_name))
			add_keyset(r, id);
	}
	return errno ? fail_errno("%s/keysets", r->path) : 0;
}

static int find_keysets(struct rebuilding *r)
{
	int fd = openat(r->fd, "keysets",
			O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *dp = fd < 0 ? NULL : fdopendir(fd);
	int err;

	if (!dp) {
		err = fail_errno("%s/keysets", r->path);
		if (fd >= 0)
			close(fd);
		return err;
	}
	err = read_keysets(r, dp);
	closedir(dp);
	r->out->keysets = r->cfg->keysets;
	if (err || r->cfg->keysets)
		return err;
	if (r->out->damaged)
		return fail(EKEYREJECTED, "%s: the escrow is another archive's: it opens none of the keysets",
			    r->path);
	return fail(ENOKEY, "%s/keysets: there are none", r->path);
}

static bool is_older(const struct rebuilding *r, const uint8_t *a,
		     const uint8_t *b)
{
	uint64_t at = keyring_find(r->a->ring, a)->created;
	uint64_t bt = keyring_find(r->a->ring, b)->created;

	return at != bt ? at < bt : memcmp(a, b, CHAOSIMG_ID_SIZE) < 0;
}

/* By age, the newest last; it serves new files. */
static void sort_keysets(struct rebuilding *r)
{
	struct config *cfg = r->cfg;
	uint8_t id[CHAOSIMG_ID_SIZE];
	uint32_t i, k;

	for (i = 1; i < cfg->keysets; i++) {
		memcpy(id, cfg->keyset[i], sizeof(id));
		for (k = i; k && is_older(r, id, cfg->keyset[k - 1]); k--)
			memcpy(cfg->keyset[k], cfg->keyset[k - 1], sizeof(id));
		memcpy(cfg->keyset[k], id, sizeof(id));
	}
	cfg->created = keyring_find(r->a->ring, cfg->keyset[0])->created;
}

static int rebuild(struct rebuilding *r, const struct chaosimg_credential *cred,
		   bool replace)
{
	struct config *cfg = r->cfg;
	int err = check_old(r, replace);

	if (!err)
		err = find_keysets(r);
	if (err)
		return err;
	sort_keysets(r);
	memcpy(cfg->id, r->e->archive_id, sizeof(cfg->id));
	err = slot_create(&cfg->slot[0], 0, cfg->id, cred, r->e->key);
	cfg->slots = 1;
	cfg->next_slot = 1;
	if (!err)
		err = config_store(r->fd, r->path, cfg, r->a->ring);
	return err;
}

static int rebuild_locked(struct rebuilding *r,
			  const struct chaosimg_credential *cred, bool replace)
{
	int err = archive_new(r->e->archive_id, r->e->key, r->e->chunk_size,
			      &r->a);

	if (err)
		return err;
	r->a->fd = r->fd;
	err = config_new(CONFIG_ARCHIVE, r->e->chunk_size, &r->cfg);
	if (err)
		return err;
	r->lock = archive_lock_config(r->fd, r->path);
	return r->lock < 0 ? r->lock : rebuild(r, cred, replace);
}

static int restore(struct rebuilding *r, const char *text, size_t len,
		   const struct chaosimg_credential *cred, bool replace)
{
	int err = escrow_parse(text, len, r->e);

	if (err == -EAGAIN)
		err = -EBADMSG;
	if (err)
		return err;
	r->fd = open(r->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (r->fd < 0)
		return fail_errno("%s", r->path);
	err = rebuild_locked(r, cred, replace);
	free(r->cfg);
	if (r->lock >= 0)
		close(r->lock);
	/* The descriptor is the archive object's from when there is one. */
	if (r->a)
		chaosimg_archive_close(r->a);
	else
		close(r->fd);
	return err;
}

int chaosimg_escrow_restore(const char *path, const char *text, size_t len,
			    const struct chaosimg_credential *cred,
			    bool replace, struct chaosimg_restored *out)
{
	struct rebuilding r = { .path = path, .lock = -1, .out = out };
	int err;

	memset(out, 0, sizeof(*out));
	r.e = secret_alloc(sizeof(*r.e));
	if (!r.e)
		return -ENOMEM;
	err = restore(&r, text, len, cred, replace);
	secret_free(r.e);
	return err;
}
