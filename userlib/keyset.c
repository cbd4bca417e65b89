// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Keysets: made, wrapped, stored and loaded.
 *
 * A keyset's file lists its wraps, each under something else. This program
 * knows the archive key and passes over what it does not know.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
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
#include "keyset.h"

#define KEYSET_FORMAT	"chaosimg-keyset"
#define KEYSET_VERSION	1
#define KEYSET_LABEL	"chaosimg keyset wrapping key v1"

enum {
	NAME_SIZE = 2 * CHAOSIMG_ID_SIZE + sizeof(".json"),
	AAD_SIZE = 2 * CHAOSIMG_ID_SIZE + 8,
	WRAPS_MAX = 64,
};

int keyset_new(struct keyset **out)
{
	struct keyset *ks = secret_alloc(sizeof(*ks));
	int ret;

	if (!ks)
		return -ENOMEM;
	ks->created = (uint64_t)time(NULL);
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

/* What is done with a keyset that proved authentic. */
typedef int add_fn(struct keyring *ring, const struct keyset *ks);

static int unwrap(struct keyring *ring, const uint8_t *archive_id,
		  const uint8_t *id, uint64_t created,
		  const uint8_t wrapped[KEYSET_WRAPPED], const char *where,
		  add_fn *add)
{
	uint8_t *kek = secret_alloc(CHAOSIMG_KEY_SIZE);
	struct keyset *ks = secret_alloc(sizeof(*ks));
	uint8_t aad[AAD_SIZE];
	int ret = -ENOMEM;

	if (!kek || !ks)
		goto out;
	make_aad(archive_id, id, created, aad);
	memcpy(ks->id, id, CHAOSIMG_ID_SIZE);
	ks->created = created;
	ret = keyring_subkey(ring, KEYSET_LABEL, kek, CHAOSIMG_KEY_SIZE);
	if (!ret)
		ret = unwrap_key(kek, aad, sizeof(aad), wrapped, ks->key[0],
				 KEYSET_KEYS);
	if (ret == -EKEYREJECTED)
		ret = fail(EBADMSG, "%s: damaged: not of this archive, or altered",
			   where);
	if (!ret)
		ret = add(ring, ks);
out:
	secret_free(ks);
	secret_free(kek);
	return ret;
}

int keyset_unwrap(struct keyring *ring,
		  const uint8_t archive_id[CHAOSIMG_ID_SIZE],
		  const uint8_t id[CHAOSIMG_ID_SIZE], uint64_t created,
		  const uint8_t wrapped[KEYSET_WRAPPED], const char *where)
{
	return unwrap(ring, archive_id, id, created, wrapped, where,
		      keyring_add);
}

void keyset_name(const uint8_t id[CHAOSIMG_ID_SIZE],
		 char name[2 * CHAOSIMG_ID_SIZE + sizeof(".json")])
{
	hex_encode(id, CHAOSIMG_ID_SIZE, name);
	strcpy(name + 2 * CHAOSIMG_ID_SIZE, ".json");
}

static int render(const struct chaosimg_archive *a, const struct keyset *ks,
		  const uint8_t wrapped[KEYSET_WRAPPED], char **text,
		  size_t *len)
{
	char id[2 * CHAOSIMG_ID_SIZE + 1], archive[sizeof(id)];
	char hex[2 * KEYSET_WRAPPED + 1];
	FILE *out = open_memstream(text, len);

	if (!out)
		return fail(ENOMEM, "no memory for a keyset");
	hex_encode(ks->id, sizeof(ks->id), id);
	hex_encode(a->id, sizeof(a->id), archive);
	hex_encode(wrapped, KEYSET_WRAPPED, hex);
	fprintf(out, "{\n  \"format\": \"%s\",\n  \"version\": %d,\n"
		"  \"id\": \"%s\",\n  \"archive_id\": \"%s\",\n"
		"  \"created\": %" PRIu64 ",\n  \"wraps\": [\n"
		"    {\"under\": \"archive-key\", \"wrapped\": \"%s\"}\n"
		"  ],\n", KEYSET_FORMAT, KEYSET_VERSION, id, archive,
		ks->created, hex);
	if (fclose(out))
		return fail(ENOMEM, "no memory for a keyset");
	return config_checksum_append(text, len);
}

static int open_keysets(const struct chaosimg_archive *a, const char *path)
{
	int fd = openat(a->fd, "keysets",
			O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0 && errno == ENOENT)
		return fail(ENOKEY, "%s/keysets: missing", path);
	return fd < 0 ? fail_errno("%s/keysets", path) : fd;
}

static int store_text(const struct chaosimg_archive *a, const char *path,
		      const char *name, const char *text, size_t len)
{
	int fd = open_keysets(a, path);
	int ret;

	if (fd < 0)
		return fd;
	ret = config_file_write(fd, name, path, text, len);
	close(fd);
	return ret;
}

int keyset_store(const struct chaosimg_archive *a, const char *path,
		 const struct keyset *ks)
{
	uint8_t wrapped[KEYSET_WRAPPED];
	char name[NAME_SIZE];
	char *text = NULL;
	size_t len;
	int ret;

	ret = keyset_wrap(a->ring, a->id, ks, wrapped);
	if (!ret)
		ret = render(a, ks, wrapped, &text, &len);
	keyset_name(ks->id, name);
	if (!ret)
		ret = store_text(a, path, name, text, len);
	free(text);
	return ret;
}

/* The wrap under the archive key; the others are for somebody else. */
static int find_wrap(struct json_object *root, const char *where,
		     uint8_t wrapped[KEYSET_WRAPPED])
{
	struct json_object *wraps, *wrap;
	const char *under;
	size_t i;
	int ret;

	ret = config_json_array(root, where, "wraps", 0, WRAPS_MAX, &wraps);
	if (ret)
		return ret;
	for (i = 0; i < json_object_array_length(wraps); i++) {
		wrap = json_object_array_get_idx(wraps, i);
		if (!json_object_is_type(wrap, json_type_object))
			return fail(EBADMSG, "%s: damaged: a wrap is no object",
				    where);
		ret = config_json_text(wrap, where, "under", &under);
		if (ret)
			return ret;
		if (!strcmp(under, "archive-key"))
			return config_json_hex(wrap, where, "wrapped", wrapped,
					       KEYSET_WRAPPED);
	}
	return fail(ENOKEY, "%s: not wrapped under the archive key", where);
}

static int parse(struct json_object *root, const char *where,
		 struct chaosimg_archive *a, const uint8_t *id, add_fn *add)
{
	uint8_t wrapped[KEYSET_WRAPPED];
	uint8_t own[CHAOSIMG_ID_SIZE], archive[CHAOSIMG_ID_SIZE];
	uint64_t created;
	int ret;

	ret = config_json_hex(root, where, "id", own, sizeof(own));
	if (!ret)
		ret = config_json_hex(root, where, "archive_id", archive,
				      sizeof(archive));
	if (!ret)
		ret = config_json_u64(root, where, "created", &created);
	if (ret)
		return ret;
	if (memcmp(archive, a->id, sizeof(archive)))
		return fail(EBADMSG, "%s: belongs to another archive", where);
	if (memcmp(own, id, sizeof(own)))
		return fail(EBADMSG, "%s: holds another keyset", where);
	ret = find_wrap(root, where, wrapped);
	if (ret)
		return ret;
	return unwrap(a->ring, a->id, id, created, wrapped, where, add);
}

static int load_text(struct chaosimg_archive *a, const char *where,
		     const uint8_t *id, const char *text, size_t len,
		     add_fn *add)
{
	struct json_object *root;
	int ret;

	ret = config_check(text, len, where, KEYSET_FORMAT, "keyset",
			   KEYSET_VERSION, &root);
	if (ret)
		return ret;
	ret = parse(root, where, a, id, add);
	json_object_put(root);
	return ret;
}

static int load(struct chaosimg_archive *a, const char *path,
		const uint8_t id[CHAOSIMG_ID_SIZE], add_fn *add)
{
	char name[NAME_SIZE], where[256];
	char *text = NULL;
	size_t len;
	int fd, ret;

	fd = open_keysets(a, path);
	if (fd < 0)
		return fd;
	keyset_name(id, name);
	snprintf(where, sizeof(where), "%.200s/keysets/%s", path, name);
	ret = config_file_read(fd, name, where, &text, &len);
	close(fd);
	if (ret == -ENOENT)
		return fail(ENOKEY, "%s: missing keyset", where);
	if (!ret)
		ret = load_text(a, where, id, text, len, add);
	free(text);
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
