/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Key slots: the archive key, wrapped under a key file or a passphrase. */
#ifndef CHAOSIMG_SLOT_H
#define CHAOSIMG_SLOT_H

#include <stdio.h>

#include <json.h>

#include "chaosimg.h"
#include "wrap.h"

enum {
	SALT_MIN = 16,
	SALT_MAX = 64,
};

/**
 * struct slot - as it stands in the configuration
 * @id: its number
 * @type: what opens it
 * @created: seconds since 1970
 * @time: Argon2id's passes
 * @memory: Argon2id's memory in KiB
 * @lanes: Argon2id's parallelism
 * @salt: Argon2id's salt
 * @salt_len: bytes of @salt in use
 * @wrapped: the archive key
 */
struct slot {
	uint32_t id;
	enum chaosimg_slot_type type;
	uint64_t created;
	uint32_t time;
	uint32_t memory;
	uint32_t lanes;
	uint8_t salt[SALT_MAX];
	size_t salt_len;
	uint8_t wrapped[CHAOSIMG_KEY_SIZE + WRAP_OVERHEAD];
};

/**
 * slot_create() - wrap an archive key for a credential
 * @s: filled in
 * @id: the slot's number
 * @archive_id: the archive's id
 * @cred: what will open it
 * @archive_key: what it holds
 * Return: 0; -ENOMEM if there is not enough for Argon2id; -EIO.
 */
int slot_create(struct slot *s, uint32_t id,
		const uint8_t archive_id[CHAOSIMG_ID_SIZE],
		const struct chaosimg_credential *cred,
		const uint8_t archive_key[CHAOSIMG_KEY_SIZE]);

/**
 * slot_open_any() - get the archive key out of the slot that a credential opens
 * @s: the slots
 * @count: how many
 * @archive_id: the archive's id
 * @cred: tried on those of its type
 * @where: whose slots they are, for the error text
 * @archive_key: in locked memory
 * Return: 0; -EKEYREJECTED if none opens; -ENOMEM.
 */
int slot_open_any(const struct slot *s, uint32_t count,
		  const uint8_t archive_id[CHAOSIMG_ID_SIZE],
		  const struct chaosimg_credential *cred, const char *where,
		  uint8_t archive_key[CHAOSIMG_KEY_SIZE]);

/** slot_parse() - from JSON. Return: 0, -EBADMSG, -EPROTONOSUPPORT */
int slot_parse(struct json_object *obj, const char *where, struct slot *s);

/** slot_print() - as canonical JSON */
void slot_print(FILE *out, const struct slot *s);

#endif
