// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A new archive. The configuration is written last: without it a half-made
 * archive is none. What was made is removed again if a later step fails.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "archive_lock.h"
#include "chaosimg_names.h"
#include "config.h"
#include "config_file.h"
#include "error.h"
#include "keyring.h"

/* What has been made so far. */
struct making {
	const char *path;
	struct chaosimg_archive *a;
	struct config *cfg;
	bool dir;
	bool keysets;
	bool data;
	bool lock;
	bool keyset_file;
	bool config;
};

static int check_empty(int fd, const char *path)
{
	struct dirent *e;
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	DIR *d = copy < 0 ? NULL : fdopendir(copy);
	int ret = 0;

	if (!d) {
		ret = fail_errno("%s", path);
		if (copy >= 0)
			close(copy);
		return ret;
	}
	while (!ret && (e = readdir(d)))
		if (strcmp(e->d_name, ".") && strcmp(e->d_name, ".."))
			ret = fail(ENOTEMPTY, "%s: the directory is not empty",
				   path);
	closedir(d);
	return ret;
}

/* A new directory is for its owner only; an existing one is left as it is. */
static int make_dir(struct making *m)
{
	if (!mkdir(m->path, 0700))
		m->dir = true;
	else if (errno != EEXIST)
		return fail_errno("%s", m->path);
	m->a->fd = open(m->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (m->a->fd < 0)
		return fail_errno("%s", m->path);
	return check_empty(m->a->fd, m->path);
}

/*
 * The root of the tree gets the mode that mkdir(1) gives, as the mount shows
 * it; ARCHIVE itself keeps others out of the stored files.
 */
static int make_entries(struct making *m)
{
	int dir = m->a->fd, fd;

	if (mkdirat(dir, "keysets", 0700))
		return fail_errno("%s/keysets", m->path);
	m->keysets = true;
	if (mkdirat(dir, "data", 0777))
		return fail_errno("%s/data", m->path);
	m->data = true;
	m->a->data_fd = openat(dir, "data", O_RDONLY | O_DIRECTORY |
			       O_NOFOLLOW | O_CLOEXEC);
	if (m->a->data_fd < 0)
		return fail_errno("%s/data", m->path);
	fd = openat(dir, ARCHIVE_LOCK_NAME,
		    O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return fail_errno("%s/" ARCHIVE_LOCK_NAME, m->path);
	m->lock = true;
	close(fd);
	return 0;
}

static int make_root(struct making *m)
{
	uint8_t id[CHAOSIMG_ID_SIZE];
	int ret = chaosimg_dir_init(m->a, m->a->data_fd, NULL, id);

	if (!ret && fsync(m->a->data_fd))
		ret = fail_errno("%s/data", m->path);
	return ret;
}

static int make_keyset(struct making *m)
{
	struct keyset *ks;
	int ret = keyset_new(&ks);

	if (ret)
		return ret;
	memcpy(m->cfg->keyset[0], ks->id, sizeof(ks->id));
	m->cfg->keysets = 1;
	/* So says a configuration that is rebuilt from the keysets. */
	m->cfg->created = ks->created;
	m->keyset_file = true;
	ret = keyset_store(m->a, m->path, ks, NULL, 0);
	secret_free(ks);
	return ret;
}

static int make_config(struct making *m)
{
	int ret;

	m->config = true;
	ret = config_store(m->a->fd, m->path, m->cfg, m->a->ring);
	if (!ret && m->dir && config_file_sync_parent(m->path))
		ret = fail_errno("%s", m->path);
	return ret;
}

static int make_all(struct making *m)
{
	int ret;

	ret = make_dir(m);
	if (!ret)
		ret = make_entries(m);
	if (!ret)
		ret = make_root(m);
	if (!ret)
		ret = make_keyset(m);
	if (!ret)
		ret = make_config(m);
	return ret;
}

static void remove_keyset_file(struct making *m)
{
	char path[sizeof("keysets/.json") + 2 * CHAOSIMG_ID_SIZE] = "keysets/";

	keyset_name(m->cfg->keyset[0], path + strlen(path));
	unlinkat(m->a->fd, path, 0);
}

static void remove_made(struct making *m)
{
	int dir = m->a->fd;

	if (m->config)
		unlinkat(dir, CONFIG_NAME, 0);
	if (m->keyset_file)
		remove_keyset_file(m);
	if (m->lock)
		unlinkat(dir, ARCHIVE_LOCK_NAME, 0);
	if (m->a->data_fd >= 0)
		unlinkat(m->a->data_fd, CHAOSIMG_DIR_ENTRY, 0);
	if (m->data)
		unlinkat(dir, "data", AT_REMOVEDIR);
	if (m->keysets)
		unlinkat(dir, "keysets", AT_REMOVEDIR);
	if (m->dir)
		rmdir(m->path);
}

int archive_first_key(struct config *cfg,
		      const struct chaosimg_credential *cred,
		      struct chaosimg_archive **out)
{
	uint8_t *key = secret_alloc(CHAOSIMG_KEY_SIZE);
	int ret;

	if (!key)
		return -ENOMEM;
	ret = random_bytes(key, CHAOSIMG_KEY_SIZE);
	if (!ret)
		ret = slot_create(&cfg->slot[0], 0, cfg->id, cred, key);
	if (!ret)
		ret = archive_new(cfg->id, key, cfg->chunk_size, out);
	cfg->slots = 1;
	cfg->next_slot = 1;
	secret_free(key);
	return ret;
}

int chaosimg_archive_create(const char *path,
			    const struct chaosimg_credential *cred,
			    const struct chaosimg_archive_params *params)
{
	struct making m = { .path = path };
	int ret;

	ret = config_new(CONFIG_ARCHIVE, params ? params->chunk_size : 0,
			 &m.cfg);
	if (ret)
		return ret;
	ret = archive_first_key(m.cfg, cred, &m.a);
	if (!ret) {
		ret = make_all(&m);
		if (ret)
			remove_made(&m);
	}
	chaosimg_archive_close(m.a);
	free(m.cfg);
	return ret;
}
