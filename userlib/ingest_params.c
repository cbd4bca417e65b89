// SPDX-License-Identifier: GPL-2.0-or-later
/* An archive's public parameters: written, and read where there is no key. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "chaosimg_ingest.h"
#include "config.h"
#include "config_file.h"
#include "config_json.h"
#include "error.h"
#include "fdname.h"
#include "hex.h"
#include "ingest.h"
#include "keyset_share.h"

#define PARAMS_FORMAT	"chaosimg-ingest"

enum { PARAMS_VERSION = 1 };

/* --- written ------------------------------------------------------------------ */

static int print_rules(FILE *out, const struct chaosimg_rules *rules)
{
	size_t len;
	const char *text = chaosimg_rules_text(rules, &len);
	struct json_object *string = json_object_new_string_len(text, (int)len);

	if (!string)
		return fail(ENOMEM, "no memory for parameters");
	fprintf(out, "  \"rules\": %s,\n",
		json_object_to_json_string_ext(string, JSON_C_TO_STRING_PLAIN));
	json_object_put(string);
	return 0;
}

static void print_compartments(FILE *out, const struct ingest_params *p)
{
	char key[2 * PUBLIC_KEY + 1];
	int c;

	fprintf(out, "  \"compartment_keys\": {");
	for (c = 0; c < COMPARTMENTS; c++) {
		hex_encode(p->compartment_key[c], PUBLIC_KEY, key);
		fprintf(out, "%s\n    \"%s\": \"%s\"", c ? "," : "",
			compartment_text(c), key);
	}
	fprintf(out, "\n  },\n");
}

static int print(FILE *out, const struct ingest_params *p)
{
	char id[2 * CHAOSIMG_ID_SIZE + 1], key[2 * PUBLIC_KEY + 1];

	hex_encode(p->archive_id, CHAOSIMG_ID_SIZE, id);
	hex_encode(p->public_key, PUBLIC_KEY, key);
	fprintf(out, "{\n  \"format\": \"%s\",\n  \"version\": %d,\n"
		"  \"archive_id\": \"%s\",\n  \"chunk_size\": %" PRIu32 ",\n"
		"  \"public_key\": \"%s\",\n", PARAMS_FORMAT, PARAMS_VERSION,
		id, p->chunk_size, key);
	print_compartments(out, p);
	policies_print(out, &p->policies);
	return p->rules ? print_rules(out, p->rules) : 0;
}

static int render(const struct ingest_params *p, char **text, size_t *len)
{
	FILE *out = open_memstream(text, len);
	int ret;

	if (!out)
		return fail(ENOMEM, "no memory for parameters");
	ret = print(out, p);
	if (fclose(out) && !ret)
		ret = fail(ENOMEM, "no memory for parameters");
	return ret ? ret : config_checksum_append(text, len);
}

static int write_new(const char *path, const char *text, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	int ret = 0;

	if (fd < 0)
		return fail_errno("%s", path);
	if (config_file_write_fd(fd, text, len) ||
	    config_file_sync_parent(path)) {
		ret = fail_errno("%s", path);
		unlink(path);
	}
	close(fd);
	return ret;
}

static int compartment_public(const struct keyring *ring,
			      enum chaosimg_compartment c, uint8_t *secret,
			      uint8_t out[PUBLIC_KEY])
{
	int ret = share_wrapping_key(ring, c, secret);

	if (!ret)
		ret = compartment_private(secret, secret + CHAOSIMG_KEY_SIZE);
	return ret ? ret : public_of(secret + CHAOSIMG_KEY_SIZE, out);
}

static int public_keys(const struct chaosimg_archive *a,
		       struct ingest_params *p)
{
	uint8_t *secret = secret_alloc(CHAOSIMG_KEY_SIZE + PUBLIC_KEY);
	int c, ret;

	if (!secret)
		return -ENOMEM;
	ret = archive_private(a->ring, secret);
	if (!ret)
		ret = public_of(secret, p->public_key);
	for (c = 0; c < COMPARTMENTS && !ret; c++)
		ret = compartment_public(a->ring, c, secret,
					 p->compartment_key[c]);
	secret_free(secret);
	return ret;
}

/* Policies and rules are read with their MACs checked. */
static int collect(struct chaosimg_archive *a, struct ingest_params *p)
{
	char path[FDNAME_SIZE];
	struct config *cfg;
	int ret = public_keys(a, p);

	if (ret)
		return ret;
	fdname(a->fd, path);
	memcpy(p->archive_id, a->id, sizeof(p->archive_id));
	p->chunk_size = a->chunk_size;
	ret = config_load(a->fd, path, &cfg);
	if (ret)
		return ret;
	ret = config_verify(cfg, a->ring, path);
	p->policies = cfg->policies;
	free(cfg);
	if (!ret)
		ret = chaosimg_rules_load(a, &p->rules);
	return ret == -ENOENT ? 0 : ret;
}

int chaosimg_ingest_export(struct chaosimg_archive *a, const char *path)
{
	struct ingest_params *p = calloc(1, sizeof(*p));
	char *text = NULL;
	size_t len;
	int ret;

	if (!p)
		return fail(ENOMEM, "no memory for parameters");
	ret = collect(a, p);
	if (!ret)
		ret = render(p, &text, &len);
	if (!ret)
		ret = write_new(path, text, len);
	free(text);
	ingest_params_free(p);
	return ret;
}

/* --- read ---------------------------------------------------------------------- */

void ingest_params_free(struct ingest_params *p)
{
	if (!p)
		return;
	chaosimg_rules_free(p->rules);
	free(p);
}

static int parse_rules(struct json_object *root, const char *path,
		       struct ingest_params *p)
{
	struct json_object *member;
	const char *text;
	int ret;

	if (!json_object_object_get_ex(root, "rules", &member))
		return 0;
	ret = config_json_text(root, path, "rules", &text);
	if (!ret)
		ret = chaosimg_rules_parse(text,
				(size_t)json_object_get_string_len(member),
				path, &p->rules);
	return ret == -EINVAL ? -EBADMSG : ret;
}

static int parse_compartments(struct json_object *root, const char *path,
			      struct ingest_params *p)
{
	struct json_object *keys;
	int c, ret = 0;

	if (!json_object_object_get_ex(root, "compartment_keys", &keys) ||
	    !json_object_is_type(keys, json_type_object))
		return fail(EBADMSG, "%s: damaged: \"compartment_keys\" is missing or wrong",
			    path);
	for (c = 0; c < COMPARTMENTS && !ret; c++)
		ret = config_json_hex(keys, path, compartment_text(c),
				      p->compartment_key[c], PUBLIC_KEY);
	return ret;
}

static int parse(struct json_object *root, const char *path,
		 struct ingest_params *p)
{
	int ret = config_json_hex(root, path, "archive_id", p->archive_id,
				  sizeof(p->archive_id));

	if (!ret)
		ret = config_json_u32(root, path, "chunk_size",
				      CHAOSIMG_CHUNK_MIN, CHAOSIMG_CHUNK_MAX,
				      &p->chunk_size);
	if (!ret && p->chunk_size & (p->chunk_size - 1))
		ret = fail(EBADMSG, "%s: damaged: impossible chunk size", path);
	if (!ret)
		ret = config_json_hex(root, path, "public_key", p->public_key,
				      sizeof(p->public_key));
	if (!ret)
		ret = parse_compartments(root, path, p);
	if (!ret)
		ret = policies_parse(root, path, &p->policies);
	return ret ? ret : parse_rules(root, path, p);
}

static int parse_text(const char *text, size_t len, const char *path,
		      struct ingest_params **out)
{
	struct ingest_params *p = calloc(1, sizeof(*p));
	struct json_object *root;
	int ret;

	if (!p)
		return fail(ENOMEM, "no memory for parameters");
	ret = config_check(text, len, path, PARAMS_FORMAT,
			   "file of public parameters", PARAMS_VERSION, &root);
	if (!ret) {
		ret = parse(root, path, p);
		json_object_put(root);
	}
	if (ret)
		ingest_params_free(p);
	else
		*out = p;
	return ret;
}

int ingest_params_read(const char *path, struct ingest_params **out)
{
	char *text;
	size_t len;
	int ret = config_file_read(AT_FDCWD, path, path, &text, &len);

	if (ret == -ENOENT)
		return fail(ENOENT, "%s: %s", path, strerror(ENOENT));
	if (ret)
		return ret;
	ret = parse_text(text, len, path, out);
	free(text);
	return ret;
}
