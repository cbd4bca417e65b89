// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Checking an archive with its key: configuration and keysets, and what all
 * parts of it need.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "archive_lock.h"
#include "bytes.h"
#include "config.h"
#include "error.h"
#include "fdname.h"
#include "fsck.h"
#include "hex.h"
#include "keyring.h"
#include "keyset_policy.h"
#include "rules.h"

#define KEYSETS		"keysets"
#define LEFT_OVER	"left over by a crash"

enum { PAUSE_MS = 200 };

/* What an archive's directory holds; lost+found is the file system's. */
static const char *const expected[] = {
	CONFIG_NAME, KEYSETS, "data", ARCHIVE_LOCK_NAME, RULES_FILE,
	"lost+found",
};

static struct fsck *fsck_of(const struct check *c)
{
	return c->ctx;
}

bool fsck_repairs(const struct check *c)
{
	return c->p->repair;
}

bool fsck_in_use(const struct check *c)
{
	const struct chaosimg_archive *a = fsck_of(c)->a;

	/* Our own lock keeps everybody else out. */
	return a->lock_fd < 0 && archive_lock_held(a->fd);
}

/* --- ids ------------------------------------------------------------------- */

static void idset_put(struct idset_slot *slot, size_t size, uint64_t id,
		      uint64_t ino)
{
	size_t i = id & (size - 1);

	while (slot[i].ino)
		i = (i + 1) & (size - 1);
	slot[i] = (struct idset_slot){ id, ino };
}

static int idset_grow(struct idset *s)
{
	size_t size = s->size ? 2 * s->size : 1024;
	struct idset_slot *slot = calloc(size, sizeof(*slot));

	if (!slot)
		return fail(ENOMEM, "out of memory");
	for (size_t i = 0; i < s->size; i++)
		if (s->slot[i].ino)
			idset_put(slot, size, s->slot[i].id, s->slot[i].ino);
	free(s->slot);
	s->slot = slot;
	s->size = size;
	return 0;
}

static int idset_add_locked(struct idset *s, uint64_t id, uint64_t ino)
{
	size_t i;

	if (4 * s->used >= 3 * s->size && idset_grow(s))
		return -ENOMEM;
	for (i = id & (s->size - 1); s->slot[i].ino;
	     i = (i + 1) & (s->size - 1))
		if (s->slot[i].id == id)
			return s->slot[i].ino == ino ? 0 : -EEXIST;
	s->slot[i] = (struct idset_slot){ id, ino };
	s->used++;
	return 0;
}

int idset_add(struct idset *s, const uint8_t id[CHAOSIMG_ID_SIZE], uint64_t ino)
{
	int err;

	pthread_mutex_lock(&s->lock);
	/* Of an ingest mount's directories, each half alone is much the same. */
	err = idset_add_locked(s, get_le64(id) ^ get_le64(id + 8), ino);
	pthread_mutex_unlock(&s->lock);
	return err;
}

/* --- findings -------------------------------------------------------------- */

static char *plain_path(const struct check_task *t)
{
	const char *dir = t->dir->plain;
	char *path;

	if (!dir || (!t->plain && strcmp(t->name, ".")))
		return NULL;
	if (!t->plain)
		return strdup(*dir ? dir : ".");
	return asprintf(&path, "%s%s%s", dir, *dir ? "/" : "", t->plain) < 0 ?
	       NULL : path;
}

int fsck_tell(struct check *c, struct check_task *t, const char *what,
	      enum chaosimg_remedy remedy, const char *repair)
{
	char *path = check_path(t->dir, t->name), *plain = plain_path(t);
	struct chaosimg_finding f = {
		.path = path, .plain = plain, .what = what, .remedy = remedy,
		.repair = repair, .record = -1,
	};

	if (path)
		check_found(c, &t->totals, &f);
	if (plain)
		explicit_bzero(plain, strlen(plain));
	free(plain);
	free(path);
	return path ? 0 : fail(ENOMEM, "out of memory");
}

static void tell_path(struct check *c, const char *path, const char *what,
		      enum chaosimg_remedy remedy, const char *repair)
{
	struct chaosimg_check_totals totals = { 0 };
	struct chaosimg_finding f = {
		.path = path, .what = what, .remedy = remedy, .repair = repair,
		.record = -1,
	};

	check_found(c, &totals, &f);
	check_add(c, &totals);
}

/* --- beside the tree ------------------------------------------------------- */

static bool ends_with(const char *name, const char *end)
{
	size_t n = strlen(name), m = strlen(end);

	return n >= m && !strcmp(name + n - m, end);
}

/* Somebody who changes the keys is done with it soon, unless we lock him out. */
static bool stays(struct check *c, int fd, const char *name)
{
	if (!fsck_repairs(c))
		check_pause(c, PAUSE_MS);
	return !faccessat(fd, name, F_OK, AT_SYMLINK_NOFOLLOW);
}

static void leftover(struct check *c, int fd, const char *name,
		     const char *path)
{
	enum chaosimg_remedy remedy = CHAOSIMG_REMEDY_WOULD;

	if (!stays(c, fd, name))
		return;
	if (fsck_repairs(c))
		remedy = unlinkat(fd, name, 0) ? CHAOSIMG_REMEDY_NONE :
						 CHAOSIMG_REMEDY_DONE;
	tell_path(c, path, LEFT_OVER, remedy, "remove it");
}

/* Return: 1, 0, or an error. */
static int is_listed(const struct chaosimg_archive *a, const char *name)
{
	char own[2 * CHAOSIMG_ID_SIZE + sizeof(".json")];
	struct config *cfg;
	int found = config_load(a->fd, "archive", &cfg);

	if (found)
		return found;
	for (uint32_t i = 0; i < cfg->keysets && !found; i++) {
		keyset_name(cfg->keyset[i], own);
		found = !strcmp(own, name);
	}
	free(cfg);
	return found;
}

static int look_at_wrap(void *ctx, const struct policy_wrap *w)
{
	size_t head;

	(void)ctx;
	return policy_head(w->ciphertext, w->len, &head);
}

/* The archive key opens it all the same: only users need these. */
static int check_policies(struct check *c, const char *name, const char *path)
{
	uint8_t id[CHAOSIMG_ID_SIZE];
	struct keyset_text t;
	int err;

	if (!hex_decode(name, id, sizeof(id)))
		return 0;
	err = keyset_read(fsck_of(c)->a, "archive", id, &t);
	if (err)
		return err == -ENOKEY ? 0 : err;	/* Just dropped. */
	err = keyset_policy_wraps(&t, look_at_wrap, NULL);
	json_object_put(t.root);
	if (err != -EBADMSG)
		return err;
	tell_path(c, path, "a wrap under a policy is damaged",
		  CHAOSIMG_REMEDY_NONE, NULL);
	return 0;
}

/* Those of ingest mounts are in no list. */
static bool is_ingest(const struct chaosimg_archive *a, const char *name)
{
	uint8_t id[CHAOSIMG_ID_SIZE];

	return hex_decode(name, id, sizeof(id)) &&
	       keyset_is_ingest(a, "archive", id);
}

/* A keyset is there before it is listed, and after. */
static int check_keyset(struct check *c, int fd, const char *name,
			const char *path)
{
	const struct chaosimg_archive *a = fsck_of(c)->a;
	int ret = is_ingest(a, name) ? 1 : is_listed(a, name);

	if (!ret && stays(c, fd, name))
		ret = is_listed(a, name);
	else if (!ret)
		ret = 1;
	if (!ret)
		tell_path(c, path, "not in the configuration's list",
			  CHAOSIMG_REMEDY_NONE, NULL);
	else if (ret > 0)
		return check_policies(c, name, path);
	return ret < 0 ? ret : 0;
}

static int check_keysets(struct check *c)
{
	char path[sizeof(KEYSETS) + 1 + CHAOSIMG_NAME_MAX];
	int fd = openat(fsck_of(c)->a->fd, KEYSETS,
			O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct check_list l;
	int err;

	if (fd < 0)
		return fail_errno(KEYSETS);
	err = check_list_read(fd, &l);
	for (size_t i = 0; !err && i < l.count; i++) {
		const char *name = l.entry[i].name;

		snprintf(path, sizeof(path), KEYSETS "/%s", name);
		if (ends_with(name, ".json.new"))
			leftover(c, fd, name, path);
		else
			err = check_keyset(c, fd, name, path);
	}
	check_list_free(&l);
	close(fd);
	return err;
}

static int check_top(struct check *c)
{
	int fd = fsck_of(c)->a->fd, err;
	struct check_list l;

	err = check_list_read(fd, &l);
	for (size_t i = 0; !err && i < l.count; i++) {
		const char *name = l.entry[i].name;
		bool known = false;

		for (size_t k = 0; k < sizeof(expected) / sizeof(*expected); k++)
			known |= !strcmp(name, expected[k]);
		if (!strcmp(name, CONFIG_NAME ".new") ||
		    !strcmp(name, RULES_FILE ".new"))
			leftover(c, fd, name, name);
		else if (!known)
			tell_path(c, name, "not the archive's",
				  CHAOSIMG_REMEDY_NONE, NULL);
	}
	check_list_free(&l);
	return err;
}

static int check_rules(struct check *c)
{
	char path[FDNAME_SIZE], where[FDNAME_SIZE + sizeof(RULES_FILE)];
	struct chaosimg_archive *a = fsck_of(c)->a;
	struct chaosimg_rules *r;
	int err = chaosimg_rules_load(a, &r);

	if (!err)
		chaosimg_rules_free(r);
	if (!err || err == -ENOENT || err == -ENOMEM)
		return err == -ENOENT ? 0 : err;
	fdname(a->fd, path);
	snprintf(where, sizeof(where), "%s/" RULES_FILE, path);
	tell_path(c, RULES_FILE, check_cause(where), CHAOSIMG_REMEDY_NONE,
		  NULL);
	return 0;
}

/* The one who changes the keys is waited for: what is left then is left over. */
int fsck_keys(struct check *c)
{
	struct chaosimg_archive *a = fsck_of(c)->a;
	int lock = -1, err;

	if (fsck_repairs(c)) {
		lock = archive_lock_config(a->fd, "archive");
		if (lock < 0)
			return lock;
	}
	err = check_keysets(c);
	if (!err)
		err = check_top(c);
	if (!err)
		err = check_rules(c);
	if (lock >= 0)
		close(lock);
	return err;
}

/* --- entries --------------------------------------------------------------- */

static int run_task(struct check *c, struct check_task *t)
{
	int err = 0;

	if (S_ISREG(t->type) || S_ISDIR(t->type))
		err = fsck_attributes(c, t);
	if (err)
		return err;
	if (S_ISREG(t->type))
		return fsck_file(c, t);
	if (S_ISLNK(t->type))
		return fsck_link(c, t);
	if (S_ISDIR(t->type))
		t->totals.directories++;
	else
		t->totals.others++;
	return 0;
}

static int run_all(struct check *c)
{
	int err;

	/* What is repaired relies on what is on the disk, names above all. */
	if (fsck_repairs(c) && syncfs(fsck_of(c)->a->data_fd))
		return fail_errno("sync");
	err = fsck_keys(c);
	if (!err && c->p->progress)
		err = check_count(c, fsck_of(c)->a->data_fd);
	return err ? err : fsck_tree(c);
}

int chaosimg_fsck(struct chaosimg_archive *a,
		  const struct chaosimg_check_params *params,
		  struct chaosimg_check_totals *totals)
{
	struct fsck fsck = {
		.a = a,
		.files.lock = PTHREAD_MUTEX_INITIALIZER,
		.dirs.lock = PTHREAD_MUTEX_INITIALIZER,
	};
	struct check c;
	int err;

	memset(totals, 0, sizeof(*totals));
	if (!keyring_whole(a->ring))
		return fail(EACCES, "checking an archive needs all keys");
	if (params->repair && (chaosimg_archive_readonly(a) || a->lock_fd < 0))
		return fail(EROFS, "the archive is not open for writing");
	err = check_begin(&c, params, run_task, &fsck);
	if (err)
		return err;
	err = check_end(&c, run_all(&c), totals);
	if (!err && params->repair && syncfs(a->data_fd))
		err = fail_errno("sync");
	free(fsck.files.slot);
	free(fsck.dirs.slot);
	return err;
}
