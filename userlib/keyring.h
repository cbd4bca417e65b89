/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The keyring's life; what is read from it is in archive.h. */
#ifndef CHAOSIMG_KEYRING_H
#define CHAOSIMG_KEYRING_H

#include "archive.h"

struct opened_keyset;	/* keyset_share.h */

/**
 * keyring_new() - a keyring without keysets
 * @key: the archive key; copied to locked memory
 * @out: receives it, for keyring_free()
 * Return: 0 or -ENOMEM.
 */
int keyring_new(const uint8_t key[CHAOSIMG_KEY_SIZE], struct keyring **out);

/**
 * keyring_new_partial() - the same without an archive key
 * @cred: opens shares of keysets; held on to
 * @out: receives it, for keyring_free()
 */
int keyring_new_partial(const struct chaosimg_credential *cred,
			struct keyring **out);

/**
 * keyring_new_ingest() - the same for an ingest mount: no key opens anything
 * @names: the session's names key
 * @dir_mac: the session's directory MAC key
 * @out: receives it, for keyring_free()
 */
int keyring_new_ingest(const uint8_t names[CHAOSIMG_KEY_SIZE],
		       const uint8_t dir_mac[CHAOSIMG_KEY_SIZE],
		       struct keyring **out);

/** keyring_free() - wipe and free it and its keysets; NULL is allowed */
void keyring_free(struct keyring *ring);

/** keyring_whole() - does it have the archive key? */
bool keyring_whole(const struct keyring *ring);

/** keyring_credential() - what opens shares, of one that is not whole */
const struct chaosimg_credential *
keyring_credential(const struct keyring *ring);

/** keyring_archive_key() - the archive key, for wrapping it under a slot */
const uint8_t *keyring_archive_key(const struct keyring *ring);

/** keyring_dir_mac() - the directory MAC key; NULL until it is known */
const uint8_t *keyring_dir_mac(const struct keyring *ring);

/** keyring_names() - the names key; NULL if it is not held */
const uint8_t *keyring_names(const struct keyring *ring);

/** keyring_uids() - the key of UIDs in masks; NULL without the archive key */
const uint8_t *keyring_uids(const struct keyring *ring);

/** keyring_agrees() - do a keyset's shares say the same of the archive's keys? */
bool keyring_agrees(const struct keyring *ring, const struct opened_keyset *o);

/**
 * keyring_learn() - note what a keyset's shares say of the archive's keys
 * @ring: not whole, and nobody else uses it yet
 * @o: agrees with it
 */
void keyring_learn(struct keyring *ring, const struct opened_keyset *o);

/**
 * keyring_serve() - a keyset of the keyring serves its policy's new files now
 * @ring: the keyring
 * @id: the keyset's id
 *
 * Only forwards: one that already did, or was passed over, does not again,
 * even if somebody puts an older configuration back.
 */
void keyring_serve(struct keyring *ring, const uint8_t id[CHAOSIMG_ID_SIZE]);

/** keyring_pass_over() - it is older than the one that serves new files */
void keyring_pass_over(struct keyring *ring,
		       const uint8_t id[CHAOSIMG_ID_SIZE]);

/**
 * keyring_retire() - some policies are gone: nothing serves them any more
 * @ring: the keyring
 * @stays: is there such a policy?
 * @ctx: for @stays
 */
void keyring_retire(struct keyring *ring,
		    bool (*stays)(const void *ctx, const char *name),
		    const void *ctx);

#endif
