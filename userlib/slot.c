// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Key slots.
 *
 * slot secret = the key file's key, or Argon2id(passphrase)
 * slot key = HKDF-Expand(slot secret, label || archive id || slot id)
 * wrapped = AES-256-GCM(slot key, archive key), bound to the archive and to
 * all that the configuration says of the slot
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <argon2.h>

#include "archive.h"
#include "config_json.h"
#include "credential.h"
#include "error.h"
#include "hex.h"
#include "slot.h"

#define SLOT_LABEL	"chaosimg slot key v1"

/* What new slots use: RFC 9106, section 4, the second recommended option. */
enum {
	ARGON2_TIME = 3,
	ARGON2_MEMORY_KIB = 64 << 10,
	ARGON2_LANES = 4,
	ARGON2_SALT = 32,
};

/* What is accepted from a configuration before it is authenticated. */
enum {
	ARGON2_TIME_MAX = 64,
	ARGON2_MEMORY_KIB_MAX = 4 << 20,
	ARGON2_LANES_MAX = 64,
};

static const char *const type_name[] = {
	[CHAOSIMG_SLOT_KEYFILE] = "keyfile",
	[CHAOSIMG_SLOT_PASSPHRASE] = "passphrase",
};

/* Everything but the wrapped key; also its associated data. */
static void print_head(FILE *out, const struct slot *s)
{
	char salt[2 * SALT_MAX + 1];

	fprintf(out, "{\"id\": %" PRIu32 ", \"type\": \"%s\", \"created\": %"
		PRIu64, s->id, type_name[s->type], s->created);
	if (s->type != CHAOSIMG_SLOT_PASSPHRASE)
		return;
	hex_encode(s->salt, s->salt_len, salt);
	fprintf(out, ", \"kdf\": \"argon2id\", \"time\": %" PRIu32
		", \"memory\": %" PRIu32 ", \"lanes\": %" PRIu32
		", \"salt\": \"%s\"", s->time, s->memory, s->lanes, salt);
}

void slot_print(FILE *out, const struct slot *s)
{
	char wrapped[2 * sizeof(s->wrapped) + 1];

	print_head(out, s);
	hex_encode(s->wrapped, sizeof(s->wrapped), wrapped);
	fprintf(out, ", \"wrapped\": \"%s\"}", wrapped);
}

static int parse_type(struct json_object *obj, const char *where,
		      struct slot *s)
{
	const char *name;
	int ret = config_json_text(obj, where, "type", &name);

	if (ret)
		return ret;
	if (!strcmp(name, type_name[CHAOSIMG_SLOT_KEYFILE]))
		s->type = CHAOSIMG_SLOT_KEYFILE;
	else if (!strcmp(name, type_name[CHAOSIMG_SLOT_PASSPHRASE]))
		s->type = CHAOSIMG_SLOT_PASSPHRASE;
	else
		return fail(EBADMSG, "%s: damaged: a key slot of no known type",
			    where);
	return 0;
}

static int parse_argon2(struct json_object *obj, const char *where,
			struct slot *s)
{
	const char *name, *salt;
	int ret;

	ret = config_json_text(obj, where, "kdf", &name);
	if (!ret && strcmp(name, "argon2id"))
		ret = fail(EBADMSG, "%s: damaged: unknown \"kdf\"", where);
	if (!ret)
		ret = config_json_u32(obj, where, "lanes", 1, ARGON2_LANES_MAX,
				      &s->lanes);
	if (!ret)
		ret = config_json_u32(obj, where, "time", 1, ARGON2_TIME_MAX,
				      &s->time);
	if (!ret)
		ret = config_json_u32(obj, where, "memory", 8 * s->lanes,
				      ARGON2_MEMORY_KIB_MAX, &s->memory);
	if (!ret)
		ret = config_json_text(obj, where, "salt", &salt);
	if (ret)
		return ret;
	s->salt_len = strlen(salt) / 2;
	if (s->salt_len < SALT_MIN || s->salt_len > SALT_MAX)
		return fail(EBADMSG, "%s: damaged: \"salt\" has a wrong length",
			    where);
	return config_json_hex(obj, where, "salt", s->salt, s->salt_len);
}

int slot_parse(struct json_object *obj, const char *where, struct slot *s)
{
	int ret;

	memset(s, 0, sizeof(*s));
	if (!json_object_is_type(obj, json_type_object))
		return fail(EBADMSG, "%s: damaged: a key slot is no object",
			    where);
	ret = config_json_u32(obj, where, "id", 0, UINT32_MAX - 1, &s->id);
	if (!ret)
		ret = parse_type(obj, where, s);
	if (!ret)
		ret = config_json_u64(obj, where, "created", &s->created);
	if (!ret && s->type == CHAOSIMG_SLOT_PASSPHRASE)
		ret = parse_argon2(obj, where, s);
	if (!ret)
		ret = config_json_hex(obj, where, "wrapped", s->wrapped,
				      sizeof(s->wrapped));
	return ret;
}

/* The slot secret of a passphrase. RFC 9106 */
static int stretch(const struct slot *s, const struct chaosimg_credential *cred,
		   uint8_t secret[CHAOSIMG_KEY_SIZE])
{
	argon2_context ctx = {
		.out = secret,
		.outlen = CHAOSIMG_KEY_SIZE,
		.pwd = (uint8_t *)cred->secret,
		.pwdlen = (uint32_t)cred->len,
		.salt = (uint8_t *)s->salt,
		.saltlen = (uint32_t)s->salt_len,
		.t_cost = s->time,
		.m_cost = s->memory,
		.lanes = s->lanes,
		.threads = s->lanes,
		.version = ARGON2_VERSION_13,
		.flags = ARGON2_DEFAULT_FLAGS,
	};
	int ret = argon2id_ctx(&ctx);

	if (ret == ARGON2_OK)
		return 0;
	return fail(ENOMEM, "key slot %" PRIu32 ": Argon2id with %" PRIu32
		    " KiB: %s", s->id, s->memory, argon2_error_message(ret));
}

static int slot_key(const struct slot *s,
		    const uint8_t archive_id[CHAOSIMG_ID_SIZE],
		    const struct chaosimg_credential *cred,
		    uint8_t key[CHAOSIMG_KEY_SIZE])
{
	enum { LABEL = sizeof(SLOT_LABEL) - 1 };
	uint8_t info[LABEL + CHAOSIMG_ID_SIZE + 4];
	uint8_t *secret = secret_alloc(CHAOSIMG_KEY_SIZE);
	int i, ret = 0;

	if (!secret)
		return -ENOMEM;
	if (cred->type == CHAOSIMG_SLOT_PASSPHRASE)
		ret = stretch(s, cred, secret);
	else
		memcpy(secret, cred->secret, CHAOSIMG_KEY_SIZE);
	memcpy(info, SLOT_LABEL, LABEL);
	memcpy(info + LABEL, archive_id, CHAOSIMG_ID_SIZE);
	for (i = 0; i < 4; i++)
		info[LABEL + CHAOSIMG_ID_SIZE + i] = (uint8_t)(s->id >> 8 * i);
	if (!ret)
		ret = hkdf_expand(secret, info, sizeof(info), key,
				  CHAOSIMG_KEY_SIZE);
	secret_free(secret);
	return ret;
}

/* archive id || the slot's text up to the wrapped key; free() it */
static int slot_aad(const struct slot *s,
		    const uint8_t archive_id[CHAOSIMG_ID_SIZE], char **aad,
		    size_t *len)
{
	FILE *out = open_memstream(aad, len);

	if (!out)
		return fail(ENOMEM, "no memory for a key slot");
	fwrite(archive_id, 1, CHAOSIMG_ID_SIZE, out);
	print_head(out, s);
	if (fclose(out)) {
		free(*aad);
		return fail(ENOMEM, "no memory for a key slot");
	}
	return 0;
}

static int new_params(struct slot *s, uint32_t id, enum chaosimg_slot_type type)
{
	memset(s, 0, sizeof(*s));
	s->id = id;
	s->type = type;
	s->created = (uint64_t)time(NULL);
	if (type != CHAOSIMG_SLOT_PASSPHRASE)
		return 0;
	s->time = ARGON2_TIME;
	s->memory = ARGON2_MEMORY_KIB;
	s->lanes = ARGON2_LANES;
	s->salt_len = ARGON2_SALT;
	return random_bytes(s->salt, s->salt_len);
}

int slot_create(struct slot *s, uint32_t id,
		const uint8_t archive_id[CHAOSIMG_ID_SIZE],
		const struct chaosimg_credential *cred,
		const uint8_t archive_key[CHAOSIMG_KEY_SIZE])
{
	uint8_t *key = secret_alloc(CHAOSIMG_KEY_SIZE);
	char *aad = NULL;
	size_t aad_len;
	int ret;

	if (!key)
		return -ENOMEM;
	if (cred->kind != CREDENTIAL_SLOT) {
		secret_free(key);
		return fail(EINVAL, "a key of compartments opens no key slot");
	}
	ret = new_params(s, id, cred->type);
	if (!ret)
		ret = slot_key(s, archive_id, cred, key);
	if (!ret)
		ret = slot_aad(s, archive_id, &aad, &aad_len);
	if (!ret) {
		ret = wrap_key(key, aad, aad_len, archive_key,
			       CHAOSIMG_KEY_SIZE, s->wrapped);
		free(aad);
	}
	secret_free(key);
	return ret;
}

static int slot_open(const struct slot *s,
		     const uint8_t archive_id[CHAOSIMG_ID_SIZE],
		     const struct chaosimg_credential *cred,
		     uint8_t archive_key[CHAOSIMG_KEY_SIZE])
{
	uint8_t *key = secret_alloc(CHAOSIMG_KEY_SIZE);
	char *aad = NULL;
	size_t aad_len;
	int ret;

	if (!key)
		return -ENOMEM;
	ret = slot_key(s, archive_id, cred, key);
	if (!ret)
		ret = slot_aad(s, archive_id, &aad, &aad_len);
	if (!ret) {
		ret = unwrap_key(key, aad, aad_len, s->wrapped, archive_key,
				 CHAOSIMG_KEY_SIZE);
		free(aad);
	}
	secret_free(key);
	return ret;
}

int slot_open_any(const struct slot *s, uint32_t count,
		  const uint8_t archive_id[CHAOSIMG_ID_SIZE],
		  const struct chaosimg_credential *cred, const char *where,
		  uint8_t archive_key[CHAOSIMG_KEY_SIZE])
{
	bool tried = false;
	uint32_t i;
	int ret;

	for (i = 0; i < count; i++) {
		if (s[i].type != cred->type)
			continue;
		tried = true;
		ret = slot_open(&s[i], archive_id, cred, archive_key);
		if (ret != -EKEYREJECTED)
			return ret;
	}
	return fail(EKEYREJECTED, "%s: wrong key: no slot %s %s", where,
		    tried ? "opens with this" : "takes a",
		    cred->type == CHAOSIMG_SLOT_PASSPHRASE ? "passphrase" :
		    "key file");
}
