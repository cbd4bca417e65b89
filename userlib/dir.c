// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Directory ids. A symbolic link in each directory holds its id and one or
 * two MACs, each of a place where the directory may stand. A symbolic link,
 * because it is made whole or not at all, and costs no block on the disk.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "basenc.h"
#include "error.h"
#include "ingest.h"
#include "ingest_session.h"
#include "names.h"

#define PLACE_LABEL	"chaosimg dirs v1"

enum {
	PLACES_MAX = 2,
	MACS_MAX = PLACES_MAX * DIR_MAC_SIZE,
	ENTRY_MAX = 2 * CHAOSIMG_ID_SIZE + MACS_MAX,
	TARGET_MAX = BASE64_LEN(ENTRY_MAX),
};

/* ext4 and others keep a target of less than 60 bytes in the inode itself. */
_Static_assert(BASE64_LEN(CHAOSIMG_ID_SIZE + MACS_MAX) < 60 &&
	       BASE64_LEN(2 * CHAOSIMG_ID_SIZE + DIR_MAC_SIZE) < 60,
	       "a directory's entry is a fast symbolic link");

/**
 * struct dir_entry - what a directory's entry holds
 * @id: the directory's id
 * @ingest: an ingest mount made it, or somebody in such a one
 * @session: if so, the session's id
 * @places: how many of @mac are used
 * @mac: of places
 */
struct dir_entry {
	uint8_t id[CHAOSIMG_ID_SIZE];
	bool ingest;
	uint8_t session[CHAOSIMG_ID_SIZE];
	int places;
	uint8_t mac[PLACES_MAX][DIR_MAC_SIZE];
};

/*
 * Where the root of a session stands, its maker need not know: in the root of
 * whatever tree it is copied to.
 */
static bool is_session_root(const struct dir_entry *e,
			    const struct chaosimg_place *place)
{
	return e->ingest && place && ingest_is_root(place->binding, e->session);
}

/*
 * Anybody could have made it: it is nowhere but in its session's directories,
 * and is the root of its own mount only.
 */
static bool may_stand(const struct chaosimg_archive *a,
		      const struct dir_entry *e,
		      const struct chaosimg_place *place)
{
	if (!e->ingest || is_session_root(e, place))
		return true;
	if (!place)
		return a->ingest;
	return ingest_is_dir(place->parent) && ingest_same(e->id, place->parent);
}

static int place_mac(struct chaosimg_archive *a, const struct name_keys *keys,
		     const struct dir_entry *e,
		     const struct chaosimg_place *place,
		     uint8_t out[DIR_MAC_SIZE])
{
	static const uint8_t no_name[CHAOSIMG_BINDING_SIZE];
	const bool root = !place || is_session_root(e, place);
	const uint8_t *parent = root ? a->id : place->parent;
	const uint8_t *binding = root ? no_name : place->binding;
	EVP_MAC_CTX *ctx = EVP_MAC_CTX_dup(keys->dir_mac);
	const uint8_t *id = e->id;
	const uint8_t *label = (const uint8_t *)PLACE_LABEL;
	uint8_t mac[32];
	size_t n;
	bool ok;

	ok = ctx && EVP_MAC_update(ctx, label, LABEL_SIZE) == 1 &&
	     EVP_MAC_update(ctx, id, CHAOSIMG_ID_SIZE) == 1 &&
	     EVP_MAC_update(ctx, parent, CHAOSIMG_ID_SIZE) == 1 &&
	     EVP_MAC_update(ctx, binding, CHAOSIMG_BINDING_SIZE) == 1 &&
	     EVP_MAC_final(ctx, mac, &n, sizeof(mac)) == 1;
	EVP_MAC_CTX_free(ctx);
	if (!ok)
		return fail(ENOMEM, "cannot authenticate a directory id");
	memcpy(out, mac, DIR_MAC_SIZE);
	return 0;
}

static void encode(const struct dir_entry *e, char target[TARGET_MAX + 1])
{
	uint8_t raw[ENTRY_MAX];
	size_t len = CHAOSIMG_ID_SIZE;

	memcpy(raw, e->id, CHAOSIMG_ID_SIZE);
	if (e->ingest) {
		memcpy(raw + len, e->session, CHAOSIMG_ID_SIZE);
		len += CHAOSIMG_ID_SIZE;
	}
	memcpy(raw + len, e->mac, (size_t)e->places * DIR_MAC_SIZE);
	len += (size_t)e->places * DIR_MAC_SIZE;
	base64url_encode(raw, len, target);
}

/* A new one is of the session that its parent is of. */
static int new_id(struct chaosimg_archive *a, const struct chaosimg_place *place,
		  struct dir_entry *e)
{
	const uint8_t *session = place ? ingest_session_of(a, place->parent) :
				 a->ingest ? ingest_session(a->ingest) : NULL;
	int err;

	e->ingest = session;
	if (session) {
		memcpy(e->session, session, sizeof(e->session));
		return ingest_dir_id(session, e->id);
	}
	do
		err = random_public(e->id, CHAOSIMG_ID_SIZE);
	while (!err && ingest_is_dir(e->id));
	return err;
}

int chaosimg_dir_init(struct chaosimg_archive *a, int dirfd,
		      const struct chaosimg_place *place,
		      uint8_t id[CHAOSIMG_ID_SIZE])
{
	struct dir_entry e = { .places = 1 };
	char target[TARGET_MAX + 1];
	int err = new_id(a, place, &e);

	if (!err)
		err = place_mac(a, names_of(a, e.id), &e, place, e.mac[0]);
	if (err)
		return err;
	encode(&e, target);
	if (symlinkat(target, dirfd, CHAOSIMG_DIR_ENTRY))
		return fail_errno("%s", CHAOSIMG_DIR_ENTRY);
	memcpy(id, e.id, CHAOSIMG_ID_SIZE);
	return 0;
}

/* Return: how many places it names, or an error. */
static int read_entry(int dirfd, struct dir_entry *e)
{
	uint8_t raw[ENTRY_MAX];
	char target[TARGET_MAX + 1];
	ssize_t n = readlinkat(dirfd, CHAOSIMG_DIR_ENTRY, target,
			       sizeof(target));
	size_t macs, at = CHAOSIMG_ID_SIZE;

	if (n < 0 && (errno == ENOENT || errno == EINVAL)) {
		fail(EIO, "%s: missing in a directory", CHAOSIMG_DIR_ENTRY);
		return -ENOENT;
	}
	if (n < 0)
		return fail_errno("%s", CHAOSIMG_DIR_ENTRY);
	n = base64url_decode(target, (size_t)n, raw, ENTRY_MAX);
	if (n <= CHAOSIMG_ID_SIZE)
		return fail(EIO, "%s: damaged", CHAOSIMG_DIR_ENTRY);
	memcpy(e->id, raw, CHAOSIMG_ID_SIZE);
	e->ingest = ((size_t)n - at) % DIR_MAC_SIZE;
	if (e->ingest && (size_t)n > at + CHAOSIMG_ID_SIZE) {
		memcpy(e->session, raw + at, CHAOSIMG_ID_SIZE);
		at += CHAOSIMG_ID_SIZE;
	}
	macs = (size_t)n - at;
	if (macs % DIR_MAC_SIZE || macs > MACS_MAX ||
	    (e->ingest && !(ingest_is_dir(e->id) &&
			    ingest_same(e->id, e->session))))
		return fail(EIO, "%s: damaged", CHAOSIMG_DIR_ENTRY);
	memcpy(e->mac, raw + at, macs);
	e->places = (int)(macs / DIR_MAC_SIZE);
	return e->places;
}

int dir_peek(int dirfd, uint8_t id[CHAOSIMG_ID_SIZE])
{
	struct dir_entry e;
	int places = read_entry(dirfd, &e);

	if (places > 0)
		memcpy(id, e.id, CHAOSIMG_ID_SIZE);
	return places == -ENOENT ? -EIO : places;
}

/* Is there nothing in it, and has been for longer than @a is open? */
static bool left_empty(const struct chaosimg_archive *a, int dirfd)
{
	int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dp = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *d;
	struct stat st;
	int entries = 0;
	bool old;

	if (!dp) {
		if (fd >= 0)
			close(fd);
		return false;
	}
	old = !fstat(fd, &st) && (st.st_ctim.tv_sec < a->since.tv_sec ||
				  (st.st_ctim.tv_sec == a->since.tv_sec &&
				   st.st_ctim.tv_nsec < a->since.tv_nsec));
	errno = 0;
	while ((d = readdir(dp)))
		if (strcmp(d->d_name, ".") && strcmp(d->d_name, ".."))
			entries++;
	old = old && !errno && !entries;
	closedir(dp);
	return old;
}

/*
 * On file systems that do not keep the order in which entries of different
 * directories are made, a power cut can leave a new directory its name but not
 * its id. The id is its first entry, so it has nothing to lose: it gets another.
 * One that is just being removed looks the same, but was changed just now.
 */
static int renew(struct chaosimg_archive *a, int dirfd,
		 const struct chaosimg_place *place,
		 uint8_t id[CHAOSIMG_ID_SIZE])
{
	if (place && a->lock_fd >= 0 && left_empty(a, dirfd))
		return chaosimg_dir_init(a, dirfd, place, id);
	return fail(EIO, "%s: missing in a directory", CHAOSIMG_DIR_ENTRY);
}

static int keys_of(struct chaosimg_archive *a, const struct dir_entry *e,
		   const struct name_keys **keys)
{
	if (e->ingest)
		return ingest_session_keys(a, e->session, keys);
	*keys = a->names;
	return 0;
}

static void note_root(struct chaosimg_archive *a, const uint8_t *id)
{
	if (a->root_known || a->ingest)
		return;
	pthread_mutex_lock(&a->keysets);
	memcpy(a->root, id, CHAOSIMG_ID_SIZE);
	a->root_known = true;
	pthread_mutex_unlock(&a->keysets);
}

int chaosimg_dir_load(struct chaosimg_archive *a, int dirfd,
		      const struct chaosimg_place *place,
		      uint8_t id[CHAOSIMG_ID_SIZE])
{
	const struct name_keys *keys;
	uint8_t mac[DIR_MAC_SIZE];
	struct dir_entry e;
	int i, err, places = read_entry(dirfd, &e);

	if (places == -ENOENT)
		return renew(a, dirfd, place, id);
	if (places < 0)
		return places;
	err = keys_of(a, &e, &keys);
	if (!err)
		err = place_mac(a, keys, &e, place, mac);
	if (err)
		return err;
	for (i = 0; i < places && may_stand(a, &e, place); i++) {
		if (CRYPTO_memcmp(e.mac[i], mac, DIR_MAC_SIZE))
			continue;
		memcpy(id, e.id, CHAOSIMG_ID_SIZE);
		if (!place)
			note_root(a, id);
		return 0;
	}
	return fail(EIO, "%s: a directory that does not belong here",
		    CHAOSIMG_DIR_ENTRY);
}

/* fsync(2), also for a descriptor opened with O_PATH. */
static int sync_dir(int dirfd)
{
	int fd, err = 0;

	if (!TEMP_FAILURE_RETRY(fsync(dirfd)))
		return 0;
	if (errno != EBADF)
		return fail_errno("%s", CHAOSIMG_DIR_ENTRY);
	fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return fail_errno("%s", CHAOSIMG_DIR_ENTRY);
	if (TEMP_FAILURE_RETRY(fsync(fd)))
		err = fail_errno("%s", CHAOSIMG_DIR_ENTRY);
	close(fd);
	return err;
}

int chaosimg_dir_bind(struct chaosimg_archive *a, int dirfd,
		      const uint8_t id[CHAOSIMG_ID_SIZE],
		      const struct chaosimg_place *place,
		      const struct chaosimg_place *second)
{
	const uint8_t *session = ingest_session_of(a, id);
	struct dir_entry e = { .places = second ? 2 : 1 };
	char target[TARGET_MAX + 1];
	int err;

	memcpy(e.id, id, CHAOSIMG_ID_SIZE);
	e.ingest = session;
	if (session)
		memcpy(e.session, session, CHAOSIMG_ID_SIZE);
	if (!may_stand(a, &e, place) || (second && !may_stand(a, &e, second)))
		return fail(EXDEV, "what an ingest mount made stays in its directories");
	err = place_mac(a, names_of(a, id), &e, place, e.mac[0]);
	if (!err && second)
		err = place_mac(a, names_of(a, id), &e, second, e.mac[1]);
	if (err)
		return err;
	encode(&e, target);
	err = name_replace_link(dirfd, target, CHAOSIMG_DIR_ENTRY);
	return err || !second ? err : sync_dir(dirfd);
}
