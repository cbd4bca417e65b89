// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Keysets: made, wrapped and loaded.
 *
 * A keyset's file lists its wraps, each under something else. Who has the
 * archive key uses the one under it, others their shares; each passes over
 * what it does not know.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "config.h"
#include "config_file.h"
#include "config_json.h"
#include "error.h"
#include "hex.h"
#include "keyring.h"
#include "keyset.h"
#include "keyset_share.h"

#define KEYSET_LABEL	"chaosimg keyset wrapping key v1"

enum {
	AAD_SIZE = 2 * CHAOSIMG_ID_SIZE + 8,
};

int keyset_new(struct keyset **out)
{
	struct keyset *ks = secret_alloc(sizeof(*ks));
	int ret;

	if (!ks)
		return -ENOMEM;
	ks->created = (uint64_t)time(NULL);
	ks->held = HELD_ALL;
	ret = random_bytes(ks->id, sizeof(ks->id));
	if (!ret)
		ret = random_bytes(ks->key, sizeof(ks->key));
	if (ret) {
		secret_free(ks);
		return ret;
	}
	*out = ks;
	return 0;
}

/* archive id || keyset id || creation time in 8 bytes, little-endian */
static void make_aad(const uint8_t *archive_id, const uint8_t *id,
		     uint64_t created, uint8_t aad[AAD_SIZE])
{
	int i;

	memcpy(aad, archive_id, CHAOSIMG_ID_SIZE);
	memcpy(aad + CHAOSIMG_ID_SIZE, id, CHAOSIMG_ID_SIZE);
	for (i = 0; i < 8; i++)
		aad[2 * CHAOSIMG_ID_SIZE + i] = (uint8_t)(created >> 8 * i);
}

int keyset_wrap(const struct keyring *ring,
		const uint8_t archive_id[CHAOSIMG_ID_SIZE],
		const struct keyset *ks, uint8_t wrapped[KEYSET_WRAPPED])
{
	uint8_t *kek = secret_alloc(CHAOSIMG_KEY_SIZE);
	uint8_t aad[AAD_SIZE];
	int ret;

	if (!kek)
		return -ENOMEM;
	make_aad(archive_id, ks->id, ks->created, aad);
	ret = keyring_subkey(ring, KEYSET_LABEL, kek, CHAOSIMG_KEY_SIZE);
	if (!ret)
		ret = wrap_key(kek, aad, sizeof(aad), ks->key[0], KEYSET_KEYS,
			       wrapped);
	secret_free(kek);
	return ret;
}

/* @o has the keyset's id and time. */
static int unwrap(const struct keyring *ring, const uint8_t *archive_id,
		  const uint8_t wrapped[KEYSET_WRAPPED], const char *where,
		  struct opened_keyset *o)
{
	uint8_t *kek = secret_alloc(CHAOSIMG_KEY_SIZE);
	uint8_t aad[AAD_SIZE];
	int ret;

	if (!kek)
		return -ENOMEM;
	make_aad(archive_id, o->set.id, o->set.created, aad);
	ret = keyring_subkey(ring, KEYSET_LABEL, kek, CHAOSIMG_KEY_SIZE);
	if (!ret)
		ret = unwrap_key(kek, aad, sizeof(aad), wrapped, o->set.key[0],
				 KEYSET_KEYS);
	if (ret == -EKEYREJECTED)
		ret = fail(EBADMSG, "%s: damaged: not of this archive, or altered",
			   where);
	o->set.held = HELD_ALL;
	secret_free(kek);
	return ret;
}

static int opened_new(const uint8_t *id, uint64_t created,
		      struct opened_keyset **out)
{
	struct opened_keyset *o = secret_alloc(sizeof(*o));

	if (!o)
		return -ENOMEM;
	memcpy(o->set.id, id, CHAOSIMG_ID_SIZE);
	o->set.created = created;
	*out = o;
	return 0;
}

int keyset_unwrap(struct keyring *ring,
		  const uint8_t archive_id[CHAOSIMG_ID_SIZE],
		  const uint8_t id[CHAOSIMG_ID_SIZE], uint64_t created,
		  const uint8_t wrapped[KEYSET_WRAPPED], const char *where)
{
	struct opened_keyset *o;
	int ret = opened_new(id, created, &o);

	if (ret)
		return ret;
	ret = unwrap(ring, archive_id, wrapped, where, o);
	if (!ret)
		ret = keyring_add(ring, &o->set);
	secret_free(o);
	return ret;
}

void keyset_name(const uint8_t id[CHAOSIMG_ID_SIZE],
		 char name[KEYSET_NAME_SIZE])
{
	hex_encode(id, CHAOSIMG_ID_SIZE, name);
	strcpy(name + 2 * CHAOSIMG_ID_SIZE, ".json");
}

int keysets_open(const struct chaosimg_archive *a, const char *path)
{
	int fd = openat(a->fd, "keysets",
			O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0 && errno == ENOENT)
		return fail(ENOKEY, "%s/keysets: missing", path);
	return fd < 0 ? fail_errno("%s/keysets", path) : fd;
}

int keyset_wrap_under(struct json_object *wrap, const char *where,
		      const char **under)
{
	if (!json_object_is_type(wrap, json_type_object))
		return fail(EBADMSG, "%s: damaged: a wrap is no object", where);
	return config_json_text(wrap, where, "under", under);
}

/* The wrap under the archive key; the others are for somebody else. */
static int find_wrap(struct json_object *wraps, const char *where,
		     uint8_t wrapped[KEYSET_WRAPPED])
{
	struct json_object *wrap;
	const char *under;
	size_t i;
	int ret;

	for (i = 0; i < json_object_array_length(wraps); i++) {
		wrap = json_object_array_get_idx(wraps, i);
		ret = keyset_wrap_under(wrap, where, &under);
		if (ret)
			return ret;
		if (!strcmp(under, "archive-key"))
			return config_json_hex(wrap, where, "wrapped", wrapped,
					       KEYSET_WRAPPED);
	}
	return fail(ENOKEY, "%s: not wrapped under the archive key", where);
}

static int open_wraps(struct chaosimg_archive *a, struct json_object *wraps,
		      const char *where, struct opened_keyset *o)
{
	uint8_t wrapped[KEYSET_WRAPPED];
	int ret;

	if (keyring_whole(a->ring)) {
		ret = find_wrap(wraps, where, wrapped);
		return ret ? ret : unwrap(a->ring, a->id, wrapped, where, o);
	}
	ret = shares_open(a, wraps, where, o);
	if (ret)
		return ret;
	if (!keyring_agrees(a->ring, o))
		return fail(EBADMSG, "%s: damaged: another archive's shares",
			    where);
	if (!a->names)
		keyring_learn(a->ring, o);
	return 0;
}

/* What is done with a keyset that proved authentic. */
typedef int add_fn(struct keyring *ring, const struct keyset *ks);

/* Its id and time; and the wraps, which belong to @root. */
static int parse(struct json_object *root, const char *where,
		 const struct chaosimg_archive *a, const uint8_t *id,
		 uint64_t *created, struct json_object **wraps)
{
	uint8_t own[CHAOSIMG_ID_SIZE], archive[CHAOSIMG_ID_SIZE];
	int ret;

	ret = config_json_hex(root, where, "id", own, sizeof(own));
	if (!ret)
		ret = config_json_hex(root, where, "archive_id", archive,
				      sizeof(archive));
	if (!ret)
		ret = config_json_u64(root, where, "created", created);
	if (ret)
		return ret;
	if (memcmp(archive, a->id, sizeof(archive)))
		return fail(EBADMSG, "%s: belongs to another archive", where);
	if (memcmp(own, id, sizeof(own)))
		return fail(EBADMSG, "%s: holds another keyset", where);
	return config_json_array(root, where, "wraps", 0, KEYSET_WRAPS_MAX,
				 wraps);
}

static int open_text(struct chaosimg_archive *a, struct keyset_text *t,
		     const uint8_t *id, add_fn *add)
{
	struct opened_keyset *o;
	int ret = opened_new(id, t->created, &o);

	if (ret)
		return ret;
	ret = open_wraps(a, t->wraps, t->where, o);
	if (!ret)
		ret = add(a->ring, &o->set);
	secret_free(o);
	return ret;
}

static int read_text(int fd, const char *name, const char *where,
		     struct json_object **root)
{
	char *text = NULL;
	size_t len;
	int ret;

	ret = config_file_read(fd, name, where, &text, &len);
	if (ret == -ENOENT)
		return fail(ENOKEY, "%s: missing keyset", where);
	if (!ret)
		ret = config_check(text, len, where, KEYSET_FORMAT, "keyset",
				   KEYSET_VERSION, root);
	free(text);
	return ret;
}

int keyset_read(const struct chaosimg_archive *a, const char *path,
		const uint8_t id[CHAOSIMG_ID_SIZE], struct keyset_text *t)
{
	char name[KEYSET_NAME_SIZE];
	int fd, ret;

	fd = keysets_open(a, path);
	if (fd < 0)
		return fd;
	keyset_name(id, name);
	snprintf(t->where, sizeof(t->where), "%.200s/keysets/%s", path, name);
	ret = read_text(fd, name, t->where, &t->root);
	close(fd);
	if (ret)
		return ret;
	ret = parse(t->root, t->where, a, id, &t->created, &t->wraps);
	if (ret)
		json_object_put(t->root);
	return ret;
}

static int load(struct chaosimg_archive *a, const char *path,
		const uint8_t id[CHAOSIMG_ID_SIZE], add_fn *add)
{
	struct keyset_text t;
	int ret = keyset_read(a, path, id, &t);

	if (ret)
		return ret;
	ret = open_text(a, &t, id, add);
	json_object_put(t.root);
	return ret;
}

int keyset_load(struct chaosimg_archive *a, const char *path,
		const uint8_t id[CHAOSIMG_ID_SIZE])
{
	return load(a, path, id, keyring_add);
}

int keyset_load_older(struct chaosimg_archive *a, const char *path,
		      const uint8_t id[CHAOSIMG_ID_SIZE])
{
	return load(a, path, id, keyring_add_older);
}
