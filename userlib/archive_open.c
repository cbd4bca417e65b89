// SPDX-License-Identifier: GPL-2.0-or-later
/* Opening an archive, and what its configuration says without a key. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "archive_lock.h"
#include "config.h"
#include "credential.h"
#include "error.h"
#include "fdname.h"
#include "ingest.h"
#include "keyset_policy.h"
#include "keyring.h"

static int unlock_whole(const struct config *cfg, const char *where,
			const struct chaosimg_credential *cred,
			struct chaosimg_archive **out)
{
	uint8_t *key = secret_alloc(CHAOSIMG_KEY_SIZE);
	int ret;

	if (!key)
		return -ENOMEM;
	ret = slot_open_any(cfg->slot, cfg->slots, cfg->id, cred, where, key);
	if (!ret)
		ret = archive_new(cfg->id, key, cfg->chunk_size, out);
	secret_free(key);
	if (ret)
		return ret;
	ret = config_verify(cfg, (*out)->ring, where);
	if (ret) {
		chaosimg_archive_close(*out);
		*out = NULL;
	}
	return ret;
}

int archive_unlock(const struct config *cfg, const char *where,
		   const struct chaosimg_credential *cred,
		   struct chaosimg_archive **out)
{
	if (cred->kind != CREDENTIAL_SLOT)
		return fail(EKEYREJECTED, "%s: wrong key: it opens compartments of archives only",
			    where);
	return unlock_whole(cfg, where, cred, out);
}

/*
 * The configuration's MAC cannot be checked. What is used of it is its id and
 * the size of chunks, which wraps and headers repeat, and names of files.
 */
static int unlock_partial(const struct config *cfg, const char *where,
			  const struct chaosimg_credential *cred,
			  struct chaosimg_archive **out)
{
	if (cred->kind == CREDENTIAL_COMPARTMENTS &&
	    memcmp(cred->archive_id, cfg->id, sizeof(cfg->id)))
		return fail(EKEYREJECTED, "%s: wrong key: it is for compartments of another archive",
			    where);
	return archive_new_partial(cfg->id, cred, cfg->chunk_size, out);
}

static int load_keysets(struct chaosimg_archive *a, const char *path,
			const struct config *cfg)
{
	uint32_t i;
	int ret = 0;

	for (i = 0; i < cfg->keysets && !ret; i++)
		ret = keyset_load(a, path, cfg->keyset[i]);
	keyring_retire(a->ring, config_has_policy, cfg);
	return ret;
}

/* Some may be for others alone. */
static int load_shares(struct chaosimg_archive *a, const char *path,
		       const struct config *cfg)
{
	uint32_t i;
	int ret;

	for (i = 0; i < cfg->keysets; i++) {
		ret = keyset_load(a, path, cfg->keyset[i]);
		if (!ret)
			a->held |= keyring_find(a->ring, cfg->keyset[i])->held;
		else if (ret != -EACCES)
			return ret;
	}
	if (!a->held)
		return fail(EKEYREJECTED, "%s: wrong key: it opens no compartment of any keyset",
			    path);
	return names_init(a);
}

static int load_for_user(struct chaosimg_archive *a, const char *path,
			 const uint8_t *id, const struct chaosimg_user *u)
{
	uint8_t set;
	int ret = keyset_promises(a, path, id, u, &set);

	if (ret || !(set & ~a->held))
		return ret;
	ret = keyset_load_older(a, path, id);
	if (!ret)
		a->held |= keyring_find(a->ring, id)->held;
	/* By attributes of another authority that has the same name. */
	return ret == -EACCES ? 0 : ret;
}

/*
 * Each keyset costs pairings: here only as many are opened as tell what the
 * user holds at all, the others when a file needs them.
 */
static int load_by_attributes(struct chaosimg_archive *a, const char *path,
			      const struct config *cfg,
			      const struct chaosimg_user *u)
{
	uint32_t i;
	int ret = 0;

	for (i = cfg->keysets; i-- && !ret && a->held != HELD_ALL;)
		ret = load_for_user(a, path, cfg->keyset[i], u);
	if (!ret && !a->held)
		ret = fail(EACCES, "%s: the attributes of %s open nothing of it",
			   path, chaosimg_user_name(u));
	return ret ? ret : names_init(a);
}

static int load_partial(struct chaosimg_archive *a, const char *path,
			const struct config *cfg,
			const struct chaosimg_credential *cred)
{
	return cred->kind == CREDENTIAL_USER ?
	       load_by_attributes(a, path, cfg, cred->user) :
	       load_shares(a, path, cfg);
}

static int open_data(struct chaosimg_archive *a, const char *path)
{
	a->data_fd = openat(a->fd, "data", O_RDONLY | O_DIRECTORY |
			    O_NOFOLLOW | O_CLOEXEC);
	return a->data_fd < 0 ? fail_errno("%s/data", path) : 0;
}

static bool wants_lock(unsigned int flags)
{
	return !(flags & (CHAOSIMG_ARCHIVE_RDONLY | CHAOSIMG_ARCHIVE_NOLOCK));
}

/*
 * A lock file that is missing, as after restoring a backup without empty
 * files, is made only now that everything else has succeeded.
 */
static int lock_late(struct chaosimg_archive *a, const char *path)
{
	if (!wants_lock(a->flags) || a->lock_fd >= 0)
		return 0;
	a->lock_fd = archive_lock_writer(a->fd, path, true);
	return a->lock_fd < 0 ? a->lock_fd : 0;
}

/* Takes over the descriptors only if it succeeds. */
static int open_locked(int fd, int lock_fd, const char *path,
		       const struct chaosimg_credential *cred,
		       unsigned int flags, struct chaosimg_archive **out)
{
	bool partial = chaosimg_credential_partial(cred);
	struct chaosimg_archive *a = NULL;
	struct config *cfg;
	int ret;

	ret = config_load(fd, path, &cfg);
	if (ret)
		return ret;
	ret = partial ? unlock_partial(cfg, path, cred, &a) :
			unlock_whole(cfg, path, cred, &a);
	if (!ret) {
		a->fd = fd;
		a->lock_fd = lock_fd;
		a->flags = flags;
		ret = partial ? load_partial(a, path, cfg, cred) :
				load_keysets(a, path, cfg);
	}
	if (!ret)
		ret = open_data(a, path);
	if (!ret)
		ret = lock_late(a, path);
	free(cfg);
	if (ret && a) {
		a->fd = a->lock_fd = -1;
		chaosimg_archive_close(a);
	}
	if (!ret)
		*out = a;
	return ret;
}

int chaosimg_archive_open(const char *path,
			  const struct chaosimg_credential *cred,
			  unsigned int flags, struct chaosimg_archive **out)
{
	int lock_fd = -1, ret = 0, fd;

	if (chaosimg_credential_partial(cred) &&
	    !(flags & CHAOSIMG_ARCHIVE_RDONLY))
		return fail(EROFS, "%s: the key opens compartments, for reading only",
			    path);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return fail_errno("%s", path);
	if (wants_lock(flags)) {
		/* First, so that nobody changes what is about to be read. */
		lock_fd = archive_lock_writer(fd, path, false);
		if (lock_fd < 0 && lock_fd != -ENOENT)
			ret = lock_fd;
	}
	if (!ret)
		ret = open_locked(fd, lock_fd, path, cred, flags, out);
	if (ret) {
		close(fd);
		if (lock_fd >= 0)
			close(lock_fd);
	}
	return ret;
}

int chaosimg_archive_lock(struct chaosimg_archive *a)
{
	char path[FDNAME_SIZE];
	int fd;

	if (a->lock_fd >= 0 || a->flags & CHAOSIMG_ARCHIVE_RDONLY)
		return 0;
	fdname(a->fd, path);
	fd = archive_lock_writer(a->fd, path, true);
	if (fd < 0)
		return fd;
	a->lock_fd = fd;
	a->flags &= ~CHAOSIMG_ARCHIVE_NOLOCK;
	if (a->ingest)
		return ingest_begin(a);
	return chaosimg_archive_refresh(a);
}

static void fill_slot(const struct slot *s, struct chaosimg_slot_info *info)
{
	info->id = s->id;
	info->type = s->type;
	info->created = s->created;
	info->argon2_time = s->time;
	info->argon2_memory = s->memory;
	info->argon2_lanes = s->lanes;
}

int chaosimg_archive_info(const char *path, struct chaosimg_archive_info *info)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct config *cfg;
	uint32_t i;
	int ret;

	if (fd < 0)
		return fail_errno("%s", path);
	ret = config_load(fd, path, &cfg);
	close(fd);
	if (ret)
		return ret;
	memset(info, 0, sizeof(*info));
	info->version = CONFIG_VERSION;
	memcpy(info->id, cfg->id, sizeof(info->id));
	info->created = cfg->created;
	info->chunk_size = cfg->chunk_size;
	info->keysets = cfg->keysets;
	info->slots = cfg->slots;
	for (i = 0; i < cfg->slots; i++)
		fill_slot(&cfg->slot[i], &info->slot[i]);
	free(cfg);
	return 0;
}
