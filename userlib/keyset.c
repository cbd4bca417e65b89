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

#include "bytes.h"
#include "config.h"
#include "config_file.h"
#include "config_json.h"
#include "error.h"
#include "hex.h"
#include "ingest.h"
#include "keyring.h"
#include "keyset.h"
#include "keyset_share.h"

#define KEYSET_LABEL	"chaosimg keyset wrapping key v1"
#define UNDER_ARCHIVE	"archive-key"
#define UNDER_PUBLIC	"archive-public"

enum {
	AAD_MIN = 2 * CHAOSIMG_ID_SIZE + 8,
	AAD_MAX = AAD_MIN + CHAOSIMG_POLICY_NAME_MAX,
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

/*
 * archive id || keyset id || creation time in 8 bytes, little-endian || its
 * policy's name. Return: its length
 */
static size_t make_aad(const uint8_t *archive_id, const struct keyset *ks,
		       uint8_t aad[AAD_MAX])
{
	size_t n = strlen(ks->policy);

	memcpy(aad, archive_id, CHAOSIMG_ID_SIZE);
	memcpy(aad + CHAOSIMG_ID_SIZE, ks->id, CHAOSIMG_ID_SIZE);
	put_le64(aad + 2 * CHAOSIMG_ID_SIZE, ks->created);
	memcpy(aad + AAD_MIN, ks->policy, n);
	return AAD_MIN + n;
}

int keyset_wrap(const struct keyring *ring,
		const uint8_t archive_id[CHAOSIMG_ID_SIZE],
		const struct keyset *ks, uint8_t wrapped[KEYSET_WRAPPED])
{
	uint8_t *kek = secret_alloc(CHAOSIMG_KEY_SIZE);
	uint8_t aad[AAD_MAX];
	size_t len;
	int ret;

	if (!kek)
		return -ENOMEM;
	len = make_aad(archive_id, ks, aad);
	ret = keyring_subkey(ring, KEYSET_LABEL, kek, CHAOSIMG_KEY_SIZE);
	if (!ret)
		ret = wrap_key(kek, aad, len, ks->key[0], KEYSET_KEYS,
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
	uint8_t aad[AAD_MAX];
	size_t len;
	int ret;

	if (!kek)
		return -ENOMEM;
	len = make_aad(archive_id, &o->set, aad);
	ret = keyring_subkey(ring, KEYSET_LABEL, kek, CHAOSIMG_KEY_SIZE);
	if (!ret)
		ret = unwrap_key(kek, aad, len, wrapped, o->set.key[0],
				 KEYSET_KEYS);
	if (ret == -EKEYREJECTED)
		ret = fail(EBADMSG, "%s: damaged: not of this archive, or altered",
			   where);
	o->set.held = HELD_ALL;
	secret_free(kek);
	return ret;
}

static int opened_new(const uint8_t *id, uint64_t created, const char *policy,
		      struct opened_keyset **out)
{
	struct opened_keyset *o = secret_alloc(sizeof(*o));

	if (!o)
		return -ENOMEM;
	memcpy(o->set.id, id, CHAOSIMG_ID_SIZE);
	o->set.created = created;
	strcpy(o->set.policy, policy);
	*out = o;
	return 0;
}

int keyset_unwrap(struct keyring *ring,
		  const uint8_t archive_id[CHAOSIMG_ID_SIZE],
		  const uint8_t id[CHAOSIMG_ID_SIZE], uint64_t created,
		  const uint8_t wrapped[KEYSET_WRAPPED], const char *where)
{
	struct opened_keyset *o;
	int ret = opened_new(id, created, "", &o);

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
	int fd = TEMP_FAILURE_RETRY(openat(a->fd, "keysets", O_RDONLY |
					   O_DIRECTORY | O_NOFOLLOW |
					   O_CLOEXEC));

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

/* The first wrap that is under that; NULL if there is none. */
static int find_wrap(struct json_object *wraps, const char *where,
		     const char *what, struct json_object **out)
{
	struct json_object *wrap;
	const char *under;
	size_t i;
	int ret;

	*out = NULL;
	for (i = 0; i < json_object_array_length(wraps); i++) {
		wrap = json_object_array_get_idx(wraps, i);
		ret = keyset_wrap_under(wrap, where, &under);
		if (ret)
			return ret;
		if (!strcmp(under, what)) {
			*out = wrap;
			break;
		}
	}
	return 0;
}

/* Return: 1 if an ingest mount made it, else 0; an error */
static int is_ingest(struct json_object *wraps, const char *where)
{
	struct json_object *wrap;
	int ret = find_wrap(wraps, where, UNDER_ARCHIVE, &wrap);

	if (ret || wrap)
		return ret;
	ret = find_wrap(wraps, where, UNDER_PUBLIC, &wrap);
	return ret ? ret : wrap != NULL;
}

static int unwrap_ingest(const struct chaosimg_archive *a,
			 const uint8_t *wrapped, const char *where,
			 struct opened_keyset *o)
{
	uint8_t *keys = secret_alloc(PUBLIC_KEY + KEYSET_INGEST_KEYS);
	uint8_t *opened, aad[AAD_MAX];
	size_t len;
	int ret;

	if (!keys)
		return -ENOMEM;
	opened = keys + PUBLIC_KEY;
	len = make_aad(a->id, &o->set, aad);
	ret = archive_private(a->ring, keys);
	if (!ret)
		ret = unwrap_private(keys, aad, len, wrapped, opened,
				     KEYSET_INGEST_KEYS);
	if (ret == -EKEYREJECTED)
		ret = fail(EBADMSG, "%s: damaged: not of this archive, or altered",
			   where);
	if (!ret) {
		memcpy(o->set.key, opened, KEYSET_KEYS);
		opened += KEYSET_KEYS;
		memcpy(o->names, opened, CHAOSIMG_KEY_SIZE);
		memcpy(o->dir_mac, opened + CHAOSIMG_KEY_SIZE,
		       CHAOSIMG_KEY_SIZE);
		o->set.held = HELD_ALL;
	}
	secret_free(keys);
	return ret;
}

int keyset_wrap_ingest(const struct chaosimg_archive *a,
		       const struct keyset *ks,
		       uint8_t wrapped[KEYSET_INGEST_WRAPPED])
{
	uint8_t *keys = secret_alloc(KEYSET_INGEST_KEYS);
	uint8_t aad[AAD_MAX];
	size_t len;
	int ret;

	if (!keys)
		return -ENOMEM;
	memcpy(keys, ks->key, KEYSET_KEYS);
	memcpy(keys + KEYSET_KEYS, keyring_names(a->ring), CHAOSIMG_KEY_SIZE);
	memcpy(keys + KEYSET_KEYS + CHAOSIMG_KEY_SIZE, keyring_dir_mac(a->ring),
	       CHAOSIMG_KEY_SIZE);
	len = make_aad(a->id, ks, aad);
	ret = wrap_public(ingest_public_key(a->ingest), aad, len, keys,
			  KEYSET_INGEST_KEYS, wrapped);
	secret_free(keys);
	return ret;
}

static int open_whole(struct chaosimg_archive *a, struct json_object *wraps,
		      const char *where, struct opened_keyset *o)
{
	uint8_t wrapped[KEYSET_INGEST_WRAPPED];
	struct json_object *wrap;
	const bool ingest = o->set.ingest;
	int ret = find_wrap(wraps, where, ingest ? UNDER_PUBLIC : UNDER_ARCHIVE,
			    &wrap);

	if (!ret && !wrap)
		ret = fail(ENOKEY, "%s: not wrapped under the archive key",
			   where);
	if (!ret)
		ret = config_json_hex(wrap, where, "wrapped", wrapped,
				      ingest ? KEYSET_INGEST_WRAPPED :
					       KEYSET_WRAPPED);
	if (ret)
		return ret;
	return ingest ? unwrap_ingest(a, wrapped, where, o) :
			unwrap(a->ring, a->id, wrapped, where, o);
}

static int open_shares(struct chaosimg_archive *a, struct json_object *wraps,
		       const char *where, struct opened_keyset *o)
{
	int ret = shares_open(a, wraps, where, o);

	/* Names' and directories' keys in an ingest mount's are its own. */
	if (ret || o->set.ingest)
		return ret;
	if (!keyring_agrees(a->ring, o))
		return fail(EBADMSG, "%s: damaged: another archive's shares",
			    where);
	if (!a->names)
		keyring_learn(a->ring, o);
	return 0;
}

/* @ingest: it may be an ingest mount's; a configuration never names these. */
static int open_wraps(struct chaosimg_archive *a, struct json_object *wraps,
		      const char *where, bool ingest, struct opened_keyset *o)
{
	int ret = is_ingest(wraps, where);

	if (ret < 0)
		return ret;
	o->set.ingest = ret && ingest;
	/* Anybody can make it, so it is for no policy, whatever it says. */
	if (o->set.ingest)
		o->set.policy[0] = '\0';
	if (keyring_whole(a->ring))
		return open_whole(a, wraps, where, o);
	return open_shares(a, wraps, where, o);
}

/* What is done with a keyset that proved authentic. */
typedef int add_fn(struct keyring *ring, const struct keyset *ks);

/* Only a keyset of a policy that has a name says so. */
static int parse_policy(struct keyset_text *t)
{
	struct json_object *member;
	const char *name;
	int ret;

	t->policy[0] = '\0';
	if (!json_object_object_get_ex(t->root, "policy", &member))
		return 0;
	ret = config_json_text(t->root, t->where, "policy", &name);
	if (!ret && !policy_name_valid(name))
		ret = fail(EBADMSG, "%s: damaged: not a policy's name",
			   t->where);
	if (!ret)
		strcpy(t->policy, name);
	return ret;
}

/* What it says of itself; and the wraps, which belong to the root. */
static int parse(struct keyset_text *t, const struct chaosimg_archive *a,
		 const uint8_t *id)
{
	uint8_t own[CHAOSIMG_ID_SIZE], archive[CHAOSIMG_ID_SIZE];
	struct json_object *root = t->root;
	const char *where = t->where;
	int ret;

	ret = config_json_hex(root, where, "id", own, sizeof(own));
	if (!ret)
		ret = config_json_hex(root, where, "archive_id", archive,
				      sizeof(archive));
	if (!ret)
		ret = config_json_u64(root, where, "created", &t->created);
	if (!ret)
		ret = parse_policy(t);
	if (ret)
		return ret;
	if (memcmp(archive, a->id, sizeof(archive)))
		return fail(EBADMSG, "%s: belongs to another archive", where);
	if (memcmp(own, id, sizeof(own)))
		return fail(EBADMSG, "%s: holds another keyset", where);
	return config_json_array(root, where, "wraps", 0, KEYSET_WRAPS_MAX,
				 &t->wraps);
}

static int open_text(struct chaosimg_archive *a, struct keyset_text *t,
		     const uint8_t *id, bool ingest, struct opened_keyset **out)
{
	struct opened_keyset *o;
	int ret = opened_new(id, t->created, t->policy, &o);

	if (ret)
		return ret;
	ret = open_wraps(a, t->wraps, t->where, ingest, o);
	if (ret)
		secret_free(o);
	else
		*out = o;
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
	ret = parse(t, a, id);
	if (ret)
		json_object_put(t->root);
	return ret;
}

static int open_file(struct chaosimg_archive *a, const char *path,
		     const uint8_t id[CHAOSIMG_ID_SIZE], bool ingest,
		     struct opened_keyset **out)
{
	struct keyset_text t;
	int ret = keyset_read(a, path, id, &t);

	if (ret)
		return ret;
	ret = open_text(a, &t, id, ingest, out);
	json_object_put(t.root);
	return ret;
}

static int load(struct chaosimg_archive *a, const char *path,
		const uint8_t id[CHAOSIMG_ID_SIZE], bool ingest, add_fn *add)
{
	struct opened_keyset *o;
	int ret = open_file(a, path, id, ingest, &o);

	if (ret)
		return ret;
	ret = add(a->ring, &o->set);
	secret_free(o);
	return ret;
}

int keyset_load(struct chaosimg_archive *a, const char *path,
		const uint8_t id[CHAOSIMG_ID_SIZE])
{
	return load(a, path, id, false, keyring_add);
}

int keyset_load_older(struct chaosimg_archive *a, const char *path,
		      const uint8_t id[CHAOSIMG_ID_SIZE])
{
	return load(a, path, id, false, keyring_add_older);
}

int keyset_load_any(struct chaosimg_archive *a, const char *path,
		    const uint8_t id[CHAOSIMG_ID_SIZE])
{
	return load(a, path, id, true, keyring_add_older);
}

int keyset_open_ingest(struct chaosimg_archive *a, const char *path,
		       const uint8_t id[CHAOSIMG_ID_SIZE],
		       struct opened_keyset **out)
{
	int ret = open_file(a, path, id, true, out);

	if (ret || (*out)->set.ingest)
		return ret;
	secret_free(*out);
	return fail(EBADMSG, "%s: a directory names a keyset that is no ingest mount's",
		    path);
}

bool keyset_is_ingest(const struct chaosimg_archive *a, const char *path,
		      const uint8_t id[CHAOSIMG_ID_SIZE])
{
	struct keyset_text t;
	bool is;

	if (keyset_read(a, path, id, &t))
		return false;
	is = is_ingest(t.wraps, t.where) == 1;
	json_object_put(t.root);
	return is;
}
