/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The configuration of an archive, chaosimg.json, and of a single image.
 *
 * It has one valid text for each content: what is read must be, byte for
 * byte, what would be written. So no flipped bit goes unnoticed.
 */
#ifndef CHAOSIMG_CONFIG_H
#define CHAOSIMG_CONFIG_H

#include <json.h>

#include "archive.h"
#include "keyset.h"
#include "policies.h"
#include "slot.h"

#define CONFIG_NAME	"chaosimg.json"
#define CONFIG_VERSION	1

enum {
	CONFIG_KEYSETS_MAX = 4096,
	CONFIG_MAC_SIZE = 32,
};

enum config_kind {
	CONFIG_ARCHIVE,
	CONFIG_IMAGE,
};

/**
 * struct config - what the text says
 * @kind: an archive's or an image's
 * @id: of the archive or image
 * @created: seconds since 1970
 * @chunk_size: plaintext bytes in a chunk
 * @next_slot: the id that the next new slot gets
 * @slots: how many of @slot are in use
 * @slot: in the order of their ids
 * @keysets: how many of @keyset are in use
 * @keyset: ids, the newest last; an image has just one
 * @keyset_created: of an image's keyset, which has no file
 * @keyset_wrapped: an image's keyset
 * @policies: what new keysets are wrapped under; an image has none
 * @named: how many of @named_policies are in use
 * @named_policies: those that rules choose by a name, in the order of the names
 * @mac: under a key that is derived from the archive key
 */
struct config {
	enum config_kind kind;
	uint8_t id[CHAOSIMG_ID_SIZE];
	uint64_t created;
	uint32_t chunk_size;
	uint32_t next_slot;
	uint32_t slots;
	struct slot slot[CHAOSIMG_SLOTS_MAX];
	uint32_t keysets;
	uint8_t keyset[CONFIG_KEYSETS_MAX][CHAOSIMG_ID_SIZE];
	uint64_t keyset_created;
	uint8_t keyset_wrapped[KEYSET_WRAPPED];
	struct policies policies;
	uint32_t named;
	struct policies_named named_policies[POLICIES_NAMED_MAX];
	uint8_t mac[CONFIG_MAC_SIZE];
};

/**
 * config_new() - an empty configuration with a fresh id, for free()
 * @kind: an archive's or an image's
 * @chunk_size: 0 for the default
 * @out: receives it
 * Return: 0; -EINVAL for a bad chunk size; -ENOMEM; -EIO.
 */
int config_new(enum config_kind kind, uint32_t chunk_size, struct config **out);

/**
 * config_check() - is this a text of ours, of a version we know, undamaged?
 * @text: what was read
 * @len: its length
 * @where: where it was found, for the error text
 * @format: what "format" must be
 * @what: what to call it in an error text
 * @version: the newest version known
 * @root: receives the parsed text, for json_object_put()
 * Return: 0; -EBADMSG; -EPROTONOSUPPORT.
 */
int config_check(const char *text, size_t len, const char *where,
		 const char *format, const char *what, int version,
		 struct json_object **root);

/** config_parse() - from text; @out is for free(). Return: as config_check() */
int config_parse(const char *text, size_t len, const char *where,
		 enum config_kind kind, struct config **out);

/** config_render() - compute the MAC and write the text, for free() */
int config_render(struct config *cfg, const struct keyring *ring, char **text,
		  size_t *len);

/** config_verify() - check the MAC. Return: 0; -EBADMSG; -ENOMEM */
int config_verify(const struct config *cfg, const struct keyring *ring,
		  const char *where);

/**
 * config_load() - read an archive's configuration
 * @dirfd: the archive's directory
 * @path: the archive's, for the error text
 * @out: receives it, for free()
 * Return: as config_check(); the system's error.
 */
int config_load(int dirfd, const char *path, struct config **out);

/**
 * config_policies() - the policies of a name
 * @cfg: the configuration
 * @name: empty for the archive's own
 * Return: them, or NULL if there are none of that name.
 */
struct policies *config_policies(struct config *cfg, const char *name);

/** config_has_policy() - is there a policy of that name? @cfg: struct config */
bool config_has_policy(const void *cfg, const char *name);

/**
 * config_store() - write it; atomic, and durable on return
 * @dirfd: the archive's directory
 * @path: the archive's, for the error text
 * @cfg: the configuration
 * @ring: holds the archive key
 * Return: 0; -ENOSPC if it is too long to be read again; -ENOMEM; the system's
 * error.
 */
int config_store(int dirfd, const char *path, struct config *cfg,
		 const struct keyring *ring);

#endif
