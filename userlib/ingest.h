/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Ingest mounts: who has an archive's public parameters alone can write images,
 * and read none. The keys are drawn here, and dropped when their time is over.
 */
#ifndef CHAOSIMG_INGEST_H
#define CHAOSIMG_INGEST_H

#include "archive.h"
#include "chaosimg_rules.h"
#include "policies.h"
#include "wrap_public.h"

/**
 * struct ingest_params - an archive's public parameters
 * @archive_id: its id
 * @chunk_size: plaintext bytes in a chunk
 * @public_key: what keysets are wrapped under for who has the archive key
 * @compartment_key: and for who has compartment key files
 * @policies: the policies that they are wrapped under, too
 * @rules: its content rules, or NULL
 */
struct ingest_params {
	uint8_t archive_id[CHAOSIMG_ID_SIZE];
	uint32_t chunk_size;
	uint8_t public_key[PUBLIC_KEY];
	uint8_t compartment_key[COMPARTMENTS][PUBLIC_KEY];
	struct policies policies;
	struct chaosimg_rules *rules;
};

/**
 * ingest_params_read() - read a file of public parameters
 * @path: the file
 * @out: receives them, for ingest_params_free()
 * Return: 0; -EBADMSG; -EPROTONOSUPPORT; -ENOMEM; the system's error.
 */
int ingest_params_read(const char *path, struct ingest_params **out);

/** ingest_params_free() - NULL is allowed */
void ingest_params_free(struct ingest_params *p);

/**
 * archive_new_ingest() - an archive object that has public parameters alone
 * @p: the parameters; taken over if it succeeds
 * @epoch: seconds after which a keyset is dropped
 * @out: receives it, for chaosimg_archive_close()
 * Return: 0; -EIO; -ENOMEM.
 */
int archive_new_ingest(struct ingest_params *p, uint32_t epoch,
		       struct chaosimg_archive **out);

/** ingest_new() - draw the session's keys. Return: 0; -EIO; -ENOMEM */
int ingest_new(uint32_t epoch, struct ingest **out);

/** ingest_adopt() - take over the parameters */
void ingest_adopt(struct ingest *in, struct ingest_params *p);

/** ingest_free() - wipe all; NULL is allowed */
void ingest_free(struct ingest *in);

/** ingest_begin() - the archive is locked: make keyset and directory. 0 or error */
int ingest_begin(struct chaosimg_archive *a);

/** ingest_session() - the session's id, from ingest_begin() on; and its keys */
const uint8_t *ingest_session(const struct ingest *in);
const uint8_t *ingest_names(const struct ingest *in);
const uint8_t *ingest_dir_mac(const struct ingest *in);
const uint8_t *ingest_uid_key(const struct ingest *in);

/** ingest_public_key() - the archive's */
const uint8_t *ingest_public_key(const struct ingest *in);

/** ingest_compartment_key() - a compartment's */
const uint8_t *ingest_compartment_key(const struct ingest *in,
				      enum chaosimg_compartment c);

/**
 * ingest_hold() - the keyset of a file, until ingest_release()
 * @a: the archive
 * @id: the keyset's id; NULL for a new file's, which is drawn if need be
 * @out: receives it
 * Return: 0; -EACCES if it was dropped; errors of making one.
 */
int ingest_hold(struct chaosimg_archive *a, const uint8_t *id,
		const struct keyset **out);

/** ingest_release() - the file is closed; NULL is allowed */
void ingest_release(struct chaosimg_archive *a, const struct keyset *ks);

#endif
