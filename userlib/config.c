// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The configuration: parsed, checked and written.
 *
 * json-c reads the text. It is written without it, because the text of a
 * given content must stay the same whatever version of json-c is installed.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "config.h"
#include "config_file.h"
#include "config_json.h"
#include "error.h"
#include "hex.h"

#define MAC_LABEL	"chaosimg config mac key v1"

static const struct {
	const char *format;
	const char *what;
} kinds[] = {
	[CONFIG_ARCHIVE] = { "chaosimg-archive", "archive" },
	[CONFIG_IMAGE] = { "chaosimg-image", "image" },
};

static bool chunk_size_valid(uint32_t size)
{
	return size >= CHAOSIMG_CHUNK_MIN && size <= CHAOSIMG_CHUNK_MAX &&
	       !(size & (size - 1));
}

int config_new(enum config_kind kind, uint32_t chunk_size, struct config **out)
{
	struct config *cfg;
	int ret;

	if (!chunk_size)
		chunk_size = CHAOSIMG_CHUNK_DEFAULT;
	if (!chunk_size_valid(chunk_size))
		return fail(EINVAL, "chunk size %" PRIu32 ": not a power of two from %d to %d",
			    chunk_size, CHAOSIMG_CHUNK_MIN, CHAOSIMG_CHUNK_MAX);
	cfg = calloc(1, sizeof(*cfg));
	if (!cfg)
		return fail(ENOMEM, "no memory for a configuration");
	cfg->kind = kind;
	cfg->chunk_size = chunk_size;
	cfg->created = (uint64_t)time(NULL);
	ret = random_bytes(cfg->id, sizeof(cfg->id));
	if (ret) {
		free(cfg);
		return ret;
	}
	*out = cfg;
	return 0;
}

/* --- writing -------------------------------------------------------------- */

static void print_slots(FILE *out, const struct config *cfg)
{
	uint32_t i;

	fprintf(out, "  \"slots\": [\n");
	for (i = 0; i < cfg->slots; i++) {
		fprintf(out, "    ");
		slot_print(out, &cfg->slot[i]);
		fprintf(out, i + 1 < cfg->slots ? ",\n" : "\n");
	}
	fprintf(out, "  ],\n");
}

static void print_keyset_ids(FILE *out, const struct config *cfg)
{
	char id[2 * CHAOSIMG_ID_SIZE + 1];
	uint32_t i;

	fprintf(out, "  \"keysets\": [\n");
	for (i = 0; i < cfg->keysets; i++) {
		hex_encode(cfg->keyset[i], CHAOSIMG_ID_SIZE, id);
		fprintf(out, "    \"%s\"%s\n", id,
			i + 1 < cfg->keysets ? "," : "");
	}
	fprintf(out, "  ],\n");
}

static void print_keyset(FILE *out, const struct config *cfg)
{
	char id[2 * CHAOSIMG_ID_SIZE + 1], wrapped[2 * KEYSET_WRAPPED + 1];

	hex_encode(cfg->keyset[0], CHAOSIMG_ID_SIZE, id);
	hex_encode(cfg->keyset_wrapped, KEYSET_WRAPPED, wrapped);
	fprintf(out, "  \"keyset\": {\"id\": \"%s\", \"created\": %" PRIu64
		", \"wrapped\": \"%s\"},\n", id, cfg->keyset_created, wrapped);
}

/* All that the MAC is over: the text up to the line of the MAC; free() it */
static int render_body(const struct config *cfg, char **text, size_t *len)
{
	char id[2 * CHAOSIMG_ID_SIZE + 1];
	FILE *out = open_memstream(text, len);

	if (!out)
		return fail(ENOMEM, "no memory for a configuration");
	hex_encode(cfg->id, sizeof(cfg->id), id);
	fprintf(out, "{\n  \"format\": \"%s\",\n  \"version\": %d,\n"
		"  \"archive_id\": \"%s\",\n  \"created\": %" PRIu64 ",\n"
		"  \"chunk_size\": %" PRIu32 ",\n  \"next_slot\": %" PRIu32
		",\n", kinds[cfg->kind].format, CONFIG_VERSION, id,
		cfg->created, cfg->chunk_size, cfg->next_slot);
	print_slots(out, cfg);
	if (cfg->kind == CONFIG_IMAGE)
		print_keyset(out, cfg);
	else
		print_keyset_ids(out, cfg);
	policies_print(out, &cfg->policies);
	named_print(out, cfg->named_policies, cfg->named);
	if (fclose(out)) {
		free(*text);
		*text = NULL;
		return fail(ENOMEM, "no memory for a configuration");
	}
	return 0;
}

/* The body, the line of the MAC and the line of the checksum. */
static int finish(const struct config *cfg, char **text, size_t *len)
{
	char mac[2 * CONFIG_MAC_SIZE + 1];
	char *longer;
	int n;

	hex_encode(cfg->mac, sizeof(cfg->mac), mac);
	n = asprintf(&longer, "%s  \"mac\": \"%s\",\n", *text, mac);
	if (n < 0)
		return fail(ENOMEM, "no memory for a configuration");
	free(*text);
	*text = longer;
	*len = (size_t)n;
	return config_checksum_append(text, len);
}

static int compute_mac(const struct keyring *ring, const char *text, size_t len,
		       uint8_t mac[CONFIG_MAC_SIZE])
{
	uint8_t *key = secret_alloc(CHAOSIMG_KEY_SIZE);
	size_t n;
	int ret;

	if (!key)
		return -ENOMEM;
	ret = keyring_subkey(ring, MAC_LABEL, key, CHAOSIMG_KEY_SIZE);
	if (!ret && !EVP_Q_mac(NULL, "HMAC", NULL, "SHA256", NULL, key,
			       CHAOSIMG_KEY_SIZE, (const uint8_t *)text, len,
			       mac, CONFIG_MAC_SIZE, &n))
		ret = fail(ENOMEM, "HMAC-SHA256: no memory");
	secret_free(key);
	return ret;
}

int config_render(struct config *cfg, const struct keyring *ring, char **text,
		  size_t *len)
{
	int ret;

	ret = render_body(cfg, text, len);
	if (ret)
		return ret;
	ret = compute_mac(ring, *text, *len, cfg->mac);
	if (!ret)
		ret = finish(cfg, text, len);
	if (ret) {
		free(*text);
		*text = NULL;
	}
	return ret;
}

int config_verify(const struct config *cfg, const struct keyring *ring,
		  const char *where)
{
	uint8_t mac[CONFIG_MAC_SIZE];
	char *text;
	size_t len;
	int ret;

	ret = render_body(cfg, &text, &len);
	if (ret)
		return ret;
	ret = compute_mac(ring, text, len, mac);
	if (!ret && CRYPTO_memcmp(mac, cfg->mac, sizeof(mac)))
		ret = fail(EBADMSG, "%s: the configuration was altered by someone without the key",
			   where);
	free(text);
	return ret;
}

/* --- reading -------------------------------------------------------------- */

/* Not ours, or ours with a damaged beginning? Only the error text differs. */
static int foreign(const char *text, size_t len, const char *where,
		   const char *format, const char *what)
{
	if (memmem(text, len, format, strlen(format)) ||
	    memmem(text, len, "\"archive_id\"", strlen("\"archive_id\"")))
		return fail(EBADMSG, "%s: damaged: not the text of one %s",
			    where, what);
	return fail(EBADMSG, "%s: not a chaosimg %s", where, what);
}

static bool has_format(struct json_object *root, const char *format)
{
	struct json_object *val;

	return json_object_object_get_ex(root, "format", &val) &&
	       json_object_is_type(val, json_type_string) &&
	       !strcmp(json_object_get_string(val), format);
}

static int check_version(struct json_object *root, const char *where, int known)
{
	uint64_t version;
	int ret;

	ret = config_json_u64(root, where, "version", &version);
	if (ret)
		return ret;
	if (version > (uint64_t)known)
		return fail(EPROTONOSUPPORT, "%s: format version %" PRIu64
			    " is newer than this program", where, version);
	if (version != (uint64_t)known)
		return fail(EBADMSG, "%s: damaged: no such format version",
			    where);
	return 0;
}

int config_check(const char *text, size_t len, const char *where,
		 const char *format, const char *what, int version,
		 struct json_object **root)
{
	int ret;

	*root = config_json_parse(text, len);
	if (!*root || !has_format(*root, format))
		ret = foreign(text, len, where, format, what);
	else
		ret = check_version(*root, where, version);
	if (!ret && !config_checksum_ok(text, len))
		ret = fail(EBADMSG, "%s: damaged: wrong checksum", where);
	if (ret) {
		json_object_put(*root);
		*root = NULL;
	}
	return ret;
}

static int parse_slots(struct json_object *root, const char *where,
		       struct config *cfg)
{
	struct json_object *slots;
	size_t i;
	int ret;

	ret = config_json_array(root, where, "slots", 1,
				cfg->kind == CONFIG_IMAGE ? 1 :
				CHAOSIMG_SLOTS_MAX, &slots);
	if (ret)
		return ret;
	cfg->slots = (uint32_t)json_object_array_length(slots);
	for (i = 0; i < cfg->slots; i++) {
		struct slot *s = &cfg->slot[i];

		ret = slot_parse(json_object_array_get_idx(slots, i), where, s);
		if (ret)
			return ret;
		if (s->id >= cfg->next_slot || (i && s->id <= s[-1].id))
			return fail(EBADMSG, "%s: damaged: key slots out of order",
				    where);
	}
	return 0;
}

static int parse_keyset_ids(struct json_object *root, const char *where,
			    struct config *cfg)
{
	struct json_object *ids, *id;
	size_t i;
	int ret;

	ret = config_json_array(root, where, "keysets", 1, CONFIG_KEYSETS_MAX,
				&ids);
	if (ret)
		return ret;
	cfg->keysets = (uint32_t)json_object_array_length(ids);
	for (i = 0; i < cfg->keysets; i++) {
		id = json_object_array_get_idx(ids, i);
		if (!json_object_is_type(id, json_type_string) ||
		    json_object_get_string_len(id) != 2 * CHAOSIMG_ID_SIZE ||
		    !hex_decode(json_object_get_string(id), cfg->keyset[i],
				CHAOSIMG_ID_SIZE))
			return fail(EBADMSG, "%s: damaged: a bad keyset id",
				    where);
	}
	return 0;
}

static int parse_keyset(struct json_object *root, const char *where,
			struct config *cfg)
{
	struct json_object *ks;
	int ret;

	if (!json_object_object_get_ex(root, "keyset", &ks) ||
	    !json_object_is_type(ks, json_type_object))
		return fail(EBADMSG, "%s: damaged: no keyset", where);
	cfg->keysets = 1;
	ret = config_json_hex(ks, where, "id", cfg->keyset[0],
			      CHAOSIMG_ID_SIZE);
	if (!ret)
		ret = config_json_u64(ks, where, "created",
				      &cfg->keyset_created);
	if (!ret)
		ret = config_json_hex(ks, where, "wrapped", cfg->keyset_wrapped,
				      KEYSET_WRAPPED);
	return ret;
}

static int parse_members(struct json_object *root, const char *where,
			 struct config *cfg)
{
	int ret;

	ret = config_json_hex(root, where, "archive_id", cfg->id,
			      sizeof(cfg->id));
	if (!ret)
		ret = config_json_u64(root, where, "created", &cfg->created);
	if (!ret)
		ret = config_json_u32(root, where, "chunk_size",
				      CHAOSIMG_CHUNK_MIN, CHAOSIMG_CHUNK_MAX,
				      &cfg->chunk_size);
	if (!ret && !chunk_size_valid(cfg->chunk_size))
		ret = fail(EBADMSG, "%s: damaged: bad chunk size", where);
	if (!ret)
		ret = config_json_u32(root, where, "next_slot", 1, UINT32_MAX,
				      &cfg->next_slot);
	if (!ret)
		ret = parse_slots(root, where, cfg);
	if (!ret && cfg->kind == CONFIG_IMAGE)
		ret = parse_keyset(root, where, cfg);
	else if (!ret)
		ret = parse_keyset_ids(root, where, cfg);
	if (!ret && cfg->kind == CONFIG_ARCHIVE)
		ret = policies_parse(root, where, &cfg->policies);
	if (!ret && cfg->kind == CONFIG_ARCHIVE)
		ret = named_parse(root, where, cfg->named_policies,
				  &cfg->named);
	if (!ret)
		ret = config_json_hex(root, where, "mac", cfg->mac,
				      sizeof(cfg->mac));
	return ret;
}

/* Is the text what would be written for its content? */
static int check_canonical(const struct config *cfg, const char *where,
			   const char *text, size_t len)
{
	char *again;
	size_t again_len;
	int ret;

	ret = render_body(cfg, &again, &again_len);
	if (ret)
		return ret;
	ret = finish(cfg, &again, &again_len);
	if (!ret && (again_len != len || memcmp(again, text, len)))
		ret = fail(EBADMSG, "%s: damaged: not in canonical form",
			   where);
	free(again);
	return ret;
}

int config_parse(const char *text, size_t len, const char *where,
		 enum config_kind kind, struct config **out)
{
	struct config *cfg = calloc(1, sizeof(*cfg));
	struct json_object *root;
	int ret;

	if (!cfg)
		return fail(ENOMEM, "%s: no memory", where);
	cfg->kind = kind;
	ret = config_check(text, len, where, kinds[kind].format,
			   kinds[kind].what, CONFIG_VERSION, &root);
	if (!ret) {
		ret = parse_members(root, where, cfg);
		json_object_put(root);
	}
	if (!ret)
		ret = check_canonical(cfg, where, text, len);
	if (ret) {
		free(cfg);
		return ret;
	}
	*out = cfg;
	return 0;
}

int config_load(int dirfd, const char *path, struct config **out)
{
	char where[256];
	char *text = NULL;
	size_t len;
	int ret;

	snprintf(where, sizeof(where), "%.230s/" CONFIG_NAME, path);
	ret = config_file_read(dirfd, CONFIG_NAME, where, &text, &len);
	if (ret == -ENOENT)
		return fail(EBADMSG, "%s: not a chaosimg archive: there is no "
			    CONFIG_NAME, path);
	if (!ret)
		ret = config_parse(text, len, where, CONFIG_ARCHIVE, out);
	free(text);
	return ret;
}

int config_store(int dirfd, const char *path, struct config *cfg,
		 const struct keyring *ring)
{
	char *text;
	size_t len;
	int ret;

	ret = config_render(cfg, ring, &text, &len);
	if (ret)
		return ret;
	if (len > CONFIG_FILE_MAX)
		ret = fail(ENOSPC, "%s: too many policies and keysets for its configuration",
			   path);
	else
		ret = config_file_write(dirfd, CONFIG_NAME, path, text, len);
	free(text);
	return ret;
}

struct policies *config_policies(struct config *cfg, const char *name)
{
	struct policies_named *n;

	if (!*name)
		return &cfg->policies;
	n = named_find(cfg->named_policies, cfg->named, name);
	return n ? &n->policies : NULL;
}

bool config_has_policy(const void *cfg, const char *name)
{
	return config_policies((struct config *)cfg, name);
}
