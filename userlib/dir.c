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
#include "names.h"

#define PLACE_LABEL	"chaosimg dirs v1"

enum {
	PLACES_MAX = 2,
	ENTRY_MAX = CHAOSIMG_ID_SIZE + PLACES_MAX * DIR_MAC_SIZE,
	TARGET_MAX = BASE64_LEN(ENTRY_MAX),
};

/* ext4 and others keep a target of less than 60 bytes in the inode itself. */
_Static_assert(TARGET_MAX < 60, "a directory's entry is a fast symbolic link");

static int place_mac(struct chaosimg_archive *a, const uint8_t *id,
		     const struct chaosimg_place *place,
		     uint8_t out[DIR_MAC_SIZE])
{
	static const uint8_t no_name[CHAOSIMG_BINDING_SIZE];
	const uint8_t *parent = place ? place->parent : a->id;
	const uint8_t *binding = place ? place->binding : no_name;
	EVP_MAC_CTX *ctx = EVP_MAC_CTX_dup(a->names->dir_mac);
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

int chaosimg_dir_init(struct chaosimg_archive *a, int dirfd,
		      const struct chaosimg_place *place,
		      uint8_t id[CHAOSIMG_ID_SIZE])
{
	uint8_t entry[CHAOSIMG_ID_SIZE + DIR_MAC_SIZE];
	char target[TARGET_MAX + 1];
	int err = random_public(entry, CHAOSIMG_ID_SIZE);

	if (!err)
		err = place_mac(a, entry, place, entry + CHAOSIMG_ID_SIZE);
	if (err)
		return err;
	base64url_encode(entry, sizeof(entry), target);
	if (symlinkat(target, dirfd, CHAOSIMG_DIR_ENTRY))
		return fail_errno("%s", CHAOSIMG_DIR_ENTRY);
	memcpy(id, entry, CHAOSIMG_ID_SIZE);
	return 0;
}

/* Return: how many places it names, or an error. */
static int read_entry(int dirfd, uint8_t entry[ENTRY_MAX])
{
	char target[TARGET_MAX + 1];
	ssize_t n = readlinkat(dirfd, CHAOSIMG_DIR_ENTRY, target,
			       sizeof(target));
	size_t macs;

	if (n < 0 && (errno == ENOENT || errno == EINVAL)) {
		fail(EIO, "%s: missing in a directory", CHAOSIMG_DIR_ENTRY);
		return -ENOENT;
	}
	if (n < 0)
		return fail_errno("%s", CHAOSIMG_DIR_ENTRY);
	n = base64url_decode(target, (size_t)n, entry, ENTRY_MAX);
	if (n <= CHAOSIMG_ID_SIZE)
		return fail(EIO, "%s: damaged", CHAOSIMG_DIR_ENTRY);
	macs = (size_t)n - CHAOSIMG_ID_SIZE;
	if (macs % DIR_MAC_SIZE)
		return fail(EIO, "%s: damaged", CHAOSIMG_DIR_ENTRY);
	return (int)(macs / DIR_MAC_SIZE);
}

int dir_peek(int dirfd, uint8_t id[CHAOSIMG_ID_SIZE])
{
	uint8_t entry[ENTRY_MAX];
	int places = read_entry(dirfd, entry);

	if (places > 0)
		memcpy(id, entry, CHAOSIMG_ID_SIZE);
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

int chaosimg_dir_load(struct chaosimg_archive *a, int dirfd,
		      const struct chaosimg_place *place,
		      uint8_t id[CHAOSIMG_ID_SIZE])
{
	uint8_t entry[ENTRY_MAX], mac[DIR_MAC_SIZE];
	const uint8_t *stored = entry + CHAOSIMG_ID_SIZE;
	int i, err, places = read_entry(dirfd, entry);

	if (places == -ENOENT)
		return renew(a, dirfd, place, id);
	if (places < 0)
		return places;
	err = place_mac(a, entry, place, mac);
	if (err)
		return err;
	for (i = 0; i < places; i++, stored += DIR_MAC_SIZE) {
		if (CRYPTO_memcmp(stored, mac, DIR_MAC_SIZE))
			continue;
		memcpy(id, entry, CHAOSIMG_ID_SIZE);
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
	size_t len = CHAOSIMG_ID_SIZE + DIR_MAC_SIZE;
	char target[TARGET_MAX + 1];
	uint8_t entry[ENTRY_MAX];
	int err;

	memcpy(entry, id, CHAOSIMG_ID_SIZE);
	err = place_mac(a, id, place, entry + CHAOSIMG_ID_SIZE);
	if (!err && second) {
		err = place_mac(a, id, second, entry + len);
		len += DIR_MAC_SIZE;
	}
	if (err)
		return err;
	base64url_encode(entry, len, target);
	err = name_replace_link(dirfd, target, CHAOSIMG_DIR_ENTRY);
	return err || !second ? err : sync_dir(dirfd);
}
