// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Which keysets are in use: what the headers of all stored files say. With the
 * proof that none of them needs an older keyset, these can go.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "chaosimg_names.h"
#include "chaosimg_rekey.h"
#include "config_change.h"
#include "error.h"
#include "file.h"
#include "hex.h"
#include "keyring.h"

int chaosimg_stored_keyset(int fd, uint8_t id[CHAOSIMG_ID_SIZE])
{
	uint8_t raw[HEADER_SIZE];
	ssize_t n = read_full(fd, raw, sizeof(raw), 0);
	struct header h;
	int i, err = 0;

	if (n < 0)
		return fail((int)-n, "header: %s", strerror((int)-n));
	if (n != HEADER_SIZE)
		return fail(EIO, "header: cut off");
	for (i = 0; i < HEADER_SLOTS; i++) {
		err = header_peek(raw + i * HEADER_SLOT, &h);
		if (err)
			continue;
		memcpy(id, h.keyset_id, CHAOSIMG_ID_SIZE);
		return 0;
	}
	return err;
}

/**
 * struct walk - through all stored files
 * @a: the archive; keysets that serve new files do not count
 * @usage: what was found
 */
struct walk {
	struct chaosimg_archive *a;
	struct chaosimg_keyset_usage *usage;
};

static int count_file(struct walk *w, int fd, const struct stat *st)
{
	uint8_t id[CHAOSIMG_ID_SIZE];
	int err = chaosimg_stored_keyset(fd, id);

	if (err == -EIO || err == -EPROTONOSUPPORT) {
		w->usage->unknown++;
	} else if (!err && !keyring_serves(w->a->ring, id)) {
		w->usage->files++;
		w->usage->bytes += (uint64_t)st->st_size;
	}
	w->usage->all++;
	return err == -EIO || err == -EPROTONOSUPPORT ? 0 : err;
}

static int walk_dir(struct walk *w, int fd);

static int walk_entry(struct walk *w, int dirfd, const char *name)
{
	struct stat st;
	int fd, err = 0;

	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW))
		return errno == ENOENT ? 0 : fail_errno("%s", name);
	if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
		return 0;
	fd = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK |
		    O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : fail_errno("%s", name);
	if (fstat(fd, &st))
		err = fail_errno("%s", name);
	else if (S_ISDIR(st.st_mode))
		return walk_dir(w, fd);
	else if (S_ISREG(st.st_mode))
		err = count_file(w, fd, &st);
	close(fd);
	return err;
}

/* Takes over the descriptor. */
static int walk_dir(struct walk *w, int fd)
{
	DIR *dp = fdopendir(fd);
	const struct dirent *d;
	int err = 0;

	if (!dp) {
		err = fail_errno("directory");
		close(fd);
		return err;
	}
	while (!err) {
		errno = 0;
		d = readdir(dp);
		if (!d) {
			err = errno ? fail_errno("directory") : 0;
			break;
		}
		/* What never got its name is nobody's file. */
		if (strcmp(d->d_name, ".") && strcmp(d->d_name, "..") &&
		    strncmp(d->d_name, CHAOSIMG_TMP_PREFIX,
			    strlen(CHAOSIMG_TMP_PREFIX)))
			err = walk_entry(w, dirfd(dp), d->d_name);
	}
	closedir(dp);
	return err;
}

int chaosimg_keyset_usage(struct chaosimg_archive *a,
			  struct chaosimg_keyset_usage *usage)
{
	struct walk w = { .a = a, .usage = usage };
	int fd;

	memset(usage, 0, sizeof(*usage));
	fd = openat(a->data_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? fail_errno("data") : walk_dir(&w, fd);
}

/* --- dropping ------------------------------------------------------------- */

/* "<id>.json", and none that serves new files? */
static bool is_older(struct chaosimg_archive *a, const char *name)
{
	char own[2 * CHAOSIMG_ID_SIZE + sizeof(".json")];
	uint8_t id[CHAOSIMG_ID_SIZE];

	if (strlen(name) != sizeof(own) - 1 ||
	    !hex_decode(name, id, sizeof(id)))
		return false;
	keyset_name(id, own);
	return !strcmp(name, own) && !keyring_serves(a->ring, id);
}

/*
 * Directories that an ingest mount made need the keyset that has the keys of
 * their names.
 */
static bool is_droppable(struct chaosimg_archive *a, const char *name)
{
	uint8_t id[CHAOSIMG_ID_SIZE];
	char path[FDNAME_SIZE];

	if (!is_older(a, name) || !hex_decode(name, id, sizeof(id)))
		return false;
	fdname(a->fd, path);
	return !keyset_is_ingest(a, path, id);
}

/* Those of an interrupted drop or rekey too, which no configuration names. */
static int remove_older(struct chaosimg_archive *a)
{
	int fd = openat(a->fd, "keysets",
			O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *dp = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *d;
	int err = 0;

	if (!dp) {
		err = fail_errno("keysets");
		if (fd >= 0)
			close(fd);
		return err;
	}
	while (!err && (d = readdir(dp)))
		if (is_droppable(a, d->d_name) &&
		    unlinkat(dirfd(dp), d->d_name, 0))
			err = fail_errno("keysets/%s", d->d_name);
	if (!err && fsync(dirfd(dp)))
		err = fail_errno("keysets");
	closedir(dp);
	return err;
}

static int check_usage(struct chaosimg_archive *a, const char *path,
		       struct chaosimg_keyset_usage *usage)
{
	int err = chaosimg_keyset_usage(a, usage);

	if (err)
		return err;
	if (usage->files)
		return fail(EBUSY, "%s: %llu files are still under older keysets",
			    path, (unsigned long long)usage->files);
	if (usage->unknown)
		return fail(EIO, "%s: of %llu damaged files nobody can tell which keyset they need",
			    path, (unsigned long long)usage->unknown);
	/* What stands under the newest keyset now has to stay so. */
	return syncfs(a->data_fd) ? fail_errno("%s: sync", path) : 0;
}

/* Does the configuration go on from what this process knows? */
static bool is_known(const struct config_change *c)
{
	const struct config *cfg = c->cfg;
	uint8_t own[CHAOSIMG_ID_SIZE];
	bool listed = false;
	uint32_t i;

	chaosimg_archive_keyset(c->a, own);
	for (i = 0; i < cfg->keysets && !listed; i++)
		listed = !memcmp(cfg->keyset[i], own, sizeof(own));
	return listed && keyring_find(c->a->ring, cfg->keyset[cfg->keysets - 1]);
}

static int drop(struct config_change *c, uint32_t *dropped)
{
	struct chaosimg_keyset_usage usage;
	struct config *cfg = c->cfg;
	uint32_t i, n = 0;
	int err;

	if (!is_known(c))
		return fail(EAGAIN, "%s: there is a newer keyset", c->path);
	err = check_usage(c->a, c->path, &usage);
	if (err)
		return err;
	for (i = 0; i < cfg->keysets; i++)
		if (keyring_serves(c->a->ring, cfg->keyset[i]))
			memmove(cfg->keyset[n++], cfg->keyset[i],
				CHAOSIMG_ID_SIZE);
	*dropped = cfg->keysets - n;
	cfg->keysets = n;
	return 0;
}

int chaosimg_keyset_drop(struct chaosimg_archive *a, uint32_t *dropped)
{
	struct config_change c;
	int err;

	if (a->lock_fd < 0)
		return fail(EINVAL, "the archive is not locked for writing");
	err = config_change_begin(&c, a);
	if (err)
		return err;
	err = config_change_end(&c, drop(&c, dropped));
	return err ? err : remove_older(a);
}
