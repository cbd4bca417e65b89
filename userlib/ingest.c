// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What an ingest mount has: public parameters, keys of names and directories
 * that it drew, and keysets for as long as their time, and files, last.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "chaosimg_ingest.h"
#include "config.h"
#include "error.h"
#include "fdname.h"
#include "hex.h"
#include "ingest.h"
#include "ingest_session.h"
#include "keyset_policy.h"

enum { INGEST_TMP_SIZE = sizeof(CHAOSIMG_TMP_PREFIX) + INGEST_HEX };

/**
 * struct held_keyset - a keyset whose keys are still here
 * @set: its keys; first, so that a pointer to them is one to this
 * @users: files that are open under it
 * @full: when it serves no new files any more, CLOCK_BOOTTIME
 * @ends: when it is dropped
 * @next: older ones
 */
struct held_keyset {
	struct keyset set;
	unsigned int users;
	time_t full;
	time_t ends;
	struct held_keyset *next;
};

/**
 * struct ingest - in locked memory
 * @p: the parameters
 * @epoch: seconds that a keyset is kept
 * @lock: protects the rest
 * @list: keysets whose keys are here, the newest first
 * @session: the session's id, once there is one
 * @begun: keyset and directory of the session were made
 * @names: the session's names key
 * @dir_mac: the session's directory MAC key
 * @uid: the key of UIDs in masks
 */
struct ingest {
	struct ingest_params *p;
	uint32_t epoch;
	pthread_mutex_t lock;
	struct held_keyset *list;
	bool begun;
	uint8_t session[CHAOSIMG_ID_SIZE];
	uint8_t names[CHAOSIMG_KEY_SIZE];
	uint8_t dir_mac[CHAOSIMG_KEY_SIZE];
	uint8_t uid[CHAOSIMG_KEY_SIZE];
};

int ingest_new(uint32_t epoch, struct ingest **out)
{
	struct ingest *in = secret_alloc(sizeof(*in));
	int ret;

	if (!in)
		return -ENOMEM;
	pthread_mutex_init(&in->lock, NULL);
	in->epoch = epoch;
	ret = random_bytes(in->names, sizeof(in->names));
	if (!ret)
		ret = random_bytes(in->dir_mac, sizeof(in->dir_mac));
	if (!ret)
		ret = random_bytes(in->uid, sizeof(in->uid));
	if (ret) {
		ingest_free(in);
		return ret;
	}
	*out = in;
	return 0;
}

void ingest_adopt(struct ingest *in, struct ingest_params *p)
{
	in->p = p;
}

void ingest_free(struct ingest *in)
{
	struct held_keyset *h, *next;

	if (!in)
		return;
	for (h = in->list; h; h = next) {
		next = h->next;
		secret_free(h);
	}
	ingest_params_free(in->p);
	pthread_mutex_destroy(&in->lock);
	secret_free(in);
}

const uint8_t *ingest_session(const struct ingest *in)
{
	return in->session;
}

const uint8_t *ingest_names(const struct ingest *in)
{
	return in->names;
}

const uint8_t *ingest_dir_mac(const struct ingest *in)
{
	return in->dir_mac;
}

const uint8_t *ingest_uid_key(const struct ingest *in)
{
	return in->uid;
}

const uint8_t *ingest_public_key(const struct ingest *in)
{
	return in->p->public_key;
}

const uint8_t *ingest_compartment_key(const struct ingest *in,
				      enum chaosimg_compartment c)
{
	return in->p->compartment_key[c];
}

/* --- keysets ----------------------------------------------------------------- */

/* Time that a device sleeps counts. */
static time_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return t.tv_sec;
}

static void remove_keyset(const struct chaosimg_archive *a,
			  const uint8_t id[CHAOSIMG_ID_SIZE])
{
	char path[sizeof("keysets/") + KEYSET_NAME_SIZE] = "keysets/";

	keyset_name(id, path + strlen(path));
	unlinkat(a->fd, path, 0);
}

/* It is on the disk, wrapped, before any file is under it. */
static int store(struct chaosimg_archive *a, const struct keyset *ks)
{
	struct policy_texts wraps;
	char path[FDNAME_SIZE];
	int ret = keyset_policy_texts(a, ks, &a->ingest->p->policies, &wraps);

	fdname(a->fd, path);
	if (!ret)
		ret = keyset_store(a, path, ks, (const char *const *)wraps.text,
				   wraps.n);
	/* It may be there, although that failed. */
	if (ret)
		remove_keyset(a, ks->id);
	policy_texts_free(&wraps);
	return ret;
}

/* [lock] */
static int draw(struct chaosimg_archive *a)
{
	struct ingest *in = a->ingest;
	struct held_keyset *h = secret_alloc(sizeof(*h));
	struct keyset *ks;
	int ret;

	if (!h)
		return -ENOMEM;
	ret = keyset_new(&ks);
	if (!ret) {
		h->set = *ks;
		h->set.ingest = true;
		secret_free(ks);
		ret = store(a, &h->set);
	}
	if (ret) {
		secret_free(h);
		return ret;
	}
	h->ends = now() + in->epoch;
	/* Who has just made a file can still rename it. */
	h->full = h->ends - in->epoch / 8;
	h->next = in->list;
	in->list = h;
	return 0;
}

/* [lock] Those whose time is over, unless a file is open. */
static void drop(struct ingest *in)
{
	struct held_keyset **at = &in->list, *h;
	const time_t t = now();

	while ((h = *at)) {
		if (h->users || t < h->ends) {
			at = &h->next;
			continue;
		}
		*at = h->next;
		secret_free(h);
	}
}

static struct held_keyset *find(struct ingest *in, const uint8_t *id)
{
	struct held_keyset *h = in->list;

	if (!id)
		return h && now() < h->full ? h : NULL;
	while (h && memcmp(h->set.id, id, CHAOSIMG_ID_SIZE))
		h = h->next;
	return h;
}

int ingest_hold(struct chaosimg_archive *a, const uint8_t *id,
		const struct keyset **out)
{
	struct ingest *in = a->ingest;
	struct held_keyset *h;
	int ret = 0;

	pthread_mutex_lock(&in->lock);
	drop(in);
	h = find(in, id);
	if (!h && id)
		ret = fail(EACCES, "the keys of this file are not here any more");
	else if (!h)
		ret = draw(a);
	if (!ret) {
		h = h ? h : in->list;
		h->users++;
		*out = &h->set;
	}
	pthread_mutex_unlock(&in->lock);
	return ret;
}

void ingest_release(struct chaosimg_archive *a, const struct keyset *ks)
{
	struct ingest *in = a->ingest;

	if (!ks)
		return;
	pthread_mutex_lock(&in->lock);
	((struct held_keyset *)ks)->users--;
	drop(in);
	pthread_mutex_unlock(&in->lock);
}

void chaosimg_ingest_expire(struct chaosimg_archive *a)
{
	pthread_mutex_lock(&a->ingest->lock);
	drop(a->ingest);
	pthread_mutex_unlock(&a->ingest->lock);
}

bool chaosimg_ingest_reserved(const char *stored)
{
	return !strncmp(stored, INGEST_STORED, strlen(INGEST_STORED));
}

/* --- opening ----------------------------------------------------------------- */

/* The archive itself, or a folder that is going to be copied into it. */
static int check_archive(int fd, const char *path,
			 const struct ingest_params *p)
{
	struct config *cfg;
	int ret = 0;

	if (faccessat(fd, CONFIG_NAME, F_OK, 0))
		return errno == ENOENT ? 0 : fail_errno("%s", path);
	ret = config_load(fd, path, &cfg);
	if (ret)
		return ret;
	if (memcmp(cfg->id, p->archive_id, sizeof(cfg->id)))
		ret = fail(EINVAL, "%s: another archive than the parameters are of",
			   path);
	free(cfg);
	return ret;
}

int chaosimg_ingest_open(const char *path, const char *params, uint32_t epoch,
			 struct chaosimg_archive **out)
{
	struct ingest_params *p;
	int fd, ret;

	if (!epoch || epoch > CHAOSIMG_INGEST_EPOCH_MAX)
		return fail(EINVAL, "a keyset can serve for 1 to %d seconds",
			    CHAOSIMG_INGEST_EPOCH_MAX);
	ret = ingest_params_read(params, &p);
	if (ret)
		return ret;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ret = fd < 0 ? fail_errno("%s", path) : check_archive(fd, path, p);
	if (!ret)
		ret = archive_new_ingest(p, epoch, out);
	if (ret) {
		ingest_params_free(p);
		if (fd >= 0)
			close(fd);
		return ret;
	}
	(*out)->fd = fd;
	(*out)->flags = CHAOSIMG_ARCHIVE_NOLOCK;
	return 0;
}

static int make_folder(int fd, const char *name, mode_t mode)
{
	char path[FDNAME_SIZE];

	if (!mkdirat(fd, name, mode) || errno == EEXIST)
		return 0;
	fdname(fd, path);
	return fail_errno("%s/%s", path, name);
}

static int open_folder(int fd, const char *name)
{
	return TEMP_FAILURE_RETRY(openat(fd, name, O_RDONLY | O_DIRECTORY |
					 O_NOFOLLOW | O_CLOEXEC));
}

/* Owner and mode are those of data/, which stays when the mount ends. */
static int take_after(int data, int fd)
{
	struct stat st;

	if (fstat(data, &st) ||
	    (!geteuid() && fchown(fd, st.st_uid, st.st_gid)) ||
	    fchmod(fd, st.st_mode & 07777))
		return fail_errno("data");
	return 0;
}

static void temporary_name(const struct ingest *in, char tmp[INGEST_TMP_SIZE])
{
	strcpy(tmp, CHAOSIMG_TMP_PREFIX);
	hex_encode(in->session, CHAOSIMG_ID_SIZE, tmp + strlen(tmp));
}

/* Under a temporary name until it has its id. */
static int make_root(struct chaosimg_archive *a, int data)
{
	char tmp[INGEST_TMP_SIZE], name[INGEST_NAME_SIZE];
	uint8_t id[CHAOSIMG_ID_SIZE];
	int ret;

	temporary_name(a->ingest, tmp);
	ingest_stored_name(a->ingest->session, name);
	if (mkdirat(data, tmp, 0700))
		return fail_errno("data/%s", tmp);
	a->data_fd = open_folder(data, tmp);
	if (a->data_fd < 0)
		return fail_errno("data/%s", tmp);
	ret = take_after(data, a->data_fd);
	if (!ret)
		ret = chaosimg_dir_init(a, a->data_fd, NULL, id);
	if (!ret && (TEMP_FAILURE_RETRY(fsync(a->data_fd)) ||
		     renameat(data, tmp, data, name) ||
		     TEMP_FAILURE_RETRY(fsync(data))))
		ret = fail_errno("data/%s", name);
	return ret;
}

static int begin(struct chaosimg_archive *a, int data)
{
	struct ingest *in = a->ingest;
	const struct keyset *ks;
	int ret = ingest_hold(a, NULL, &ks);

	if (ret)
		return ret;
	memcpy(in->session, ks->id, sizeof(in->session));
	in->begun = true;
	ingest_release(a, ks);
	return make_root(a, data);
}

/* The keyset last: without it nobody could look into the directory. */
void chaosimg_ingest_discard(struct chaosimg_archive *a)
{
	char tmp[INGEST_TMP_SIZE], name[INGEST_NAME_SIZE];
	int data;

	if (!a || !a->ingest->begun)
		return;
	a->ingest->begun = false;
	temporary_name(a->ingest, tmp);
	ingest_stored_name(a->ingest->session, name);
	data = open_folder(a->fd, "data");
	if (data >= 0) {
		/* Under that name it would be missed. */
		renameat(data, name, data, tmp);
		if (a->data_fd >= 0)
			unlinkat(a->data_fd, CHAOSIMG_DIR_ENTRY, 0);
		unlinkat(data, tmp, AT_REMOVEDIR);
		unlinkat(data, name, AT_REMOVEDIR);
		close(data);
	}
	remove_keyset(a, a->ingest->session);
}

int ingest_begin(struct chaosimg_archive *a)
{
	int data, ret = make_folder(a->fd, "keysets", 0700);

	if (!ret)
		ret = make_folder(a->fd, "data", 0777);
	if (!ret && TEMP_FAILURE_RETRY(fsync(a->fd)))
		ret = fail_errno("keysets, data");
	if (ret)
		return ret;
	data = open_folder(a->fd, "data");
	if (data < 0)
		return fail_errno("data");
	ret = begin(a, data);
	close(data);
	if (ret)
		chaosimg_ingest_discard(a);
	return ret;
}
