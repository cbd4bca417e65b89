// SPDX-License-Identifier: GPL-2.0-or-later
/* Names as directory entries: what they are called on the disk, and back. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "basenc.h"
#include "error.h"
#include "hex.h"
#include "ingest_session.h"
#include "names.h"

/*
 * Encoded names are made of 0-9 and a-v. So a 'z' marks a hashed one, and
 * whatever has a '.' in it is the library's own.
 */
#define HASHED_MARK		"z"
#define COMPANION_SUFFIX	".name"

enum {
	HASHED_LEN = 1 + BASE32_LEN(NAME_HASH_SIZE),
	COMPANION_LEN = HASHED_LEN + sizeof(COMPANION_SUFFIX) - 1,
	TARGET_MAX = BASE32_LEN(NAME_SEALED_MAX),
};

_Static_assert(sizeof(((struct chaosimg_stored_name *)0)->target) > TARGET_MAX,
	       "a companion's target fits");

const char *name_printable(const char *stored, char buf[64])
{
	size_t i;

	for (i = 0; stored[i] && i < 60; i++)
		buf[i] = stored[i] > ' ' && stored[i] < 0x7f ? stored[i] : '?';
	strcpy(buf + i, stored[i] ? "..." : "");
	return buf;
}

/* Is a sealed name too long to be a directory entry itself? */
static bool needs_hash(size_t sealed_len)
{
	return BASE32_LEN(sealed_len) > CHAOSIMG_NAME_MAX;
}

static int hashed_name(const struct name_keys *k, const uint8_t *sealed,
		       size_t len, char out[HASHED_LEN + 1])
{
	uint8_t hash[NAME_HASH_SIZE];

	if (EVP_Digest(sealed, len, hash, NULL, k->sha256, NULL) != 1)
		return fail(ENOMEM, "cannot hash a long name");
	out[0] = HASHED_MARK[0];
	base32hex_encode(hash, sizeof(hash), out + 1);
	return 0;
}

static int store_hashed(const struct name_keys *k, const uint8_t *sealed,
			size_t len, struct chaosimg_stored_name *out)
{
	int err = hashed_name(k, sealed, len, out->name);

	if (err)
		return err;
	memcpy(out->companion, out->name, HASHED_LEN);
	strcpy(out->companion + HASHED_LEN, COMPANION_SUFFIX);
	base32hex_encode(sealed, len, out->target);
	return 0;
}

static int check_plain(const char *name, size_t len)
{
	if (len > CHAOSIMG_NAME_MAX)
		return fail(ENAMETOOLONG, "a name of %zu bytes is too long",
			    len);
	if (!len || !strcmp(name, ".") || !strcmp(name, "..") ||
	    memchr(name, '/', len))
		return fail(EINVAL, "not a file name");
	return 0;
}

static void bind(struct chaosimg_archive *a, const uint8_t *dir_id,
		 const uint8_t *sealed, uint8_t binding[CHAOSIMG_BINDING_SIZE])
{
	memcpy(binding, sealed, CHAOSIMG_BINDING_SIZE);
	if (ingest_session_of(a, dir_id))
		ingest_set_binding(binding);
}

/* The roots of ingest mounts' sessions stand in the root, and nowhere else. */
static bool is_session(const struct chaosimg_archive *a, const uint8_t *dir_id,
		       const char *prefix, const char *name,
		       uint8_t session[CHAOSIMG_ID_SIZE])
{
	return a->root_known && !memcmp(dir_id, a->root, CHAOSIMG_ID_SIZE) &&
	       ingest_parse(prefix, name, session);
}

int chaosimg_name_encrypt(struct chaosimg_archive *a,
			  const uint8_t dir_id[CHAOSIMG_ID_SIZE],
			  const char *name, struct chaosimg_stored_name *out)
{
	const struct name_keys *k = names_of(a, dir_id);
	uint8_t sealed[NAME_SEALED_MAX];
	size_t len = strlen(name);
	ssize_t n;
	int err = check_plain(name, len);

	if (!err && is_session(a, dir_id, INGEST_SHOWN, name, out->binding)) {
		ingest_stored_name(out->binding, out->name);
		ingest_set_binding(out->binding);
		out->companion[0] = out->target[0] = '\0';
		return 0;
	}
	if (!err && !k->name.inner)
		err = fail(EACCES, "a name cannot be encrypted without the compartment identity");
	if (err)
		return err;
	n = name_siv_seal(&k->name, dir_id, name, len, sealed);
	if (n < 0)
		return (int)n;
	bind(a, dir_id, sealed, out->binding);
	out->companion[0] = '\0';
	out->target[0] = '\0';
	if (needs_hash((size_t)n))
		return store_hashed(k, sealed, (size_t)n, out);
	base32hex_encode(sealed, (size_t)n, out->name);
	return 0;
}

static bool is_hashed(const char *stored)
{
	uint8_t hash[NAME_HASH_SIZE];

	return stored[0] == HASHED_MARK[0] &&
	       strnlen(stored, HASHED_LEN) == HASHED_LEN &&
	       base32hex_decode(stored + 1, HASHED_LEN - 1, hash,
				sizeof(hash)) == NAME_HASH_SIZE;
}

/* Entries that are no file's: what a listing leaves out without a word. */
static bool is_own(const char *stored)
{
	if (!strcmp(stored, ".") || !strcmp(stored, "..") ||
	    !strcmp(stored, CHAOSIMG_DIR_ENTRY))
		return true;
	if (!strncmp(stored, CHAOSIMG_TMP_PREFIX,
		     sizeof(CHAOSIMG_TMP_PREFIX) - 1))
		return true;
	return is_hashed(stored) &&
	       !strcmp(stored + HASHED_LEN, COMPANION_SUFFIX);
}

/* The sealed name behind a hashed one. Return: its length or an error. */
static ssize_t read_companion(const struct name_keys *k, int dirfd,
			      const char *stored, uint8_t *sealed)
{
	char path[COMPANION_LEN + 1], target[TARGET_MAX + 1];
	char name[HASHED_LEN + 1];
	ssize_t n;
	int err;

	memcpy(path, stored, HASHED_LEN);
	strcpy(path + HASHED_LEN, COMPANION_SUFFIX);
	n = readlinkat(dirfd, path, target, sizeof(target));
	if (n < 0 && (errno == ENOENT || errno == EINVAL))
		return fail(EBADMSG, "%s: missing; the long name is lost",
			    path);
	if (n < 0)
		return fail_errno("%s", path);
	n = base32hex_decode(target, (size_t)n, sealed, NAME_SEALED_MAX);
	if (n < 0 || !needs_hash((size_t)n))
		return fail(EBADMSG, "%s: damaged", path);
	err = hashed_name(k, sealed, (size_t)n, name);
	if (err)
		return err;
	if (strcmp(name, stored))
		return fail(EBADMSG, "%s: another name's, or damaged", path);
	return n;
}

static ssize_t read_sealed(const struct name_keys *k, int dirfd,
			   const char *stored, uint8_t *sealed)
{
	size_t len = strnlen(stored, CHAOSIMG_NAME_MAX + 1);
	char buf[64];
	ssize_t n;

	if (len == HASHED_LEN && is_hashed(stored))
		return read_companion(k, dirfd, stored, sealed);
	n = base32hex_decode(stored, len, sealed, NAME_SEALED_MAX);
	if (n < 0 || needs_hash((size_t)n))
		return fail(EBADMSG, "%s: not a name of this archive",
			    name_printable(stored, buf));
	return n;
}

static bool has_form(size_t sealed_len)
{
	return sealed_len > NAME_SIV_SIZE &&
	       (sealed_len - NAME_SIV_SIZE) % NAME_UNIT == 0;
}

/* Without its key a name is shown as it stands there, if it may be one. */
static int show_stored(struct chaosimg_archive *a, const uint8_t *dir_id,
		       const char *stored, const uint8_t *sealed, size_t len,
		       char name[CHAOSIMG_NAME_MAX + 1],
		       uint8_t binding[CHAOSIMG_BINDING_SIZE])
{
	char buf[64];

	if (!has_form(len))
		return fail(EBADMSG, "%s: not a name of an archive",
			    name_printable(stored, buf));
	strcpy(name, stored);
	if (binding)
		bind(a, dir_id, sealed, binding);
	return 0;
}

static void show_session(const uint8_t session[CHAOSIMG_ID_SIZE],
			 char name[CHAOSIMG_NAME_MAX + 1], uint8_t *binding)
{
	strcpy(name, INGEST_SHOWN);
	hex_encode(session, CHAOSIMG_ID_SIZE, name + strlen(name));
	if (!binding)
		return;
	memcpy(binding, session, CHAOSIMG_BINDING_SIZE);
	ingest_set_binding(binding);
}

int chaosimg_name_decrypt(struct chaosimg_archive *a,
			  const uint8_t dir_id[CHAOSIMG_ID_SIZE], int dirfd,
			  const char *stored, char name[CHAOSIMG_NAME_MAX + 1],
			  uint8_t binding[CHAOSIMG_BINDING_SIZE])
{
	const struct name_keys *k = names_of(a, dir_id);
	uint8_t sealed[NAME_SEALED_MAX];
	char buf[64];
	ssize_t n, len;

	if (is_session(a, dir_id, INGEST_STORED, stored, sealed)) {
		show_session(sealed, name, binding);
		return 0;
	}
	if (is_own(stored))
		return fail(ENOENT, "%s: the archive's own",
			    name_printable(stored, buf));
	n = read_sealed(k, dirfd, stored, sealed);
	if (n < 0)
		return (int)n;
	if (!k->name.inner)
		return show_stored(a, dir_id, stored, sealed, (size_t)n, name,
				   binding);
	len = name_siv_open(&k->name, dir_id, sealed, (size_t)n, name);
	if (len < 0 || check_plain(name, (size_t)len))
		return fail(EBADMSG, "%s: not a name of this directory",
			    name_printable(stored, buf));
	if (binding)
		bind(a, dir_id, sealed, binding);
	return 0;
}

int name_check_form(int dirfd, const char *stored)
{
	struct name_keys no_key = { .sha256 = (EVP_MD *)EVP_sha256() };
	uint8_t sealed[NAME_SEALED_MAX];
	char buf[64];
	ssize_t n;

	if (ingest_parse(INGEST_STORED, stored, sealed))
		return 0;
	if (is_own(stored))
		return -ENOENT;
	n = read_sealed(&no_key, dirfd, stored, sealed);
	if (n < 0)
		return (int)n;
	if (has_form((size_t)n))
		return 0;
	return fail(EBADMSG, "%s: not a name of an archive",
		    name_printable(stored, buf));
}

/* What does not look like a stored name is not there. */
static int find_stored(struct chaosimg_archive *a, const uint8_t *dir_id,
		       int dirfd, const char *name,
		       struct chaosimg_stored_name *out)
{
	size_t len = strnlen(name, CHAOSIMG_NAME_MAX + 1);
	uint8_t sealed[NAME_SEALED_MAX];
	struct stat st;
	ssize_t n;

	if (len == HASHED_LEN && is_hashed(name)) {
		if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW))
			return fail_errno("%s", name);
		n = read_companion(a->names, dirfd, name, sealed);
		if (n < 0)
			return n == -EBADMSG ? -EIO : (int)n;
	} else {
		n = base32hex_decode(name, len, sealed, NAME_SEALED_MAX);
		if (n < 0 || needs_hash((size_t)n) || !has_form((size_t)n))
			return fail(ENOENT, "not the name of a stored file");
	}
	strcpy(out->name, name);
	bind(a, dir_id, sealed, out->binding);
	out->companion[0] = '\0';
	out->target[0] = '\0';
	return 0;
}

int chaosimg_name_find(struct chaosimg_archive *a,
		       const uint8_t dir_id[CHAOSIMG_ID_SIZE], int dirfd,
		       const char *name, struct chaosimg_stored_name *out)
{
	uint8_t session[CHAOSIMG_ID_SIZE];

	if (names_of(a, dir_id)->name.inner ||
	    is_session(a, dir_id, INGEST_SHOWN, name, session))
		return chaosimg_name_encrypt(a, dir_id, name, out);
	return find_stored(a, dir_id, dirfd, name, out);
}
