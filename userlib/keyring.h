/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The keyring's life; what is read from it is in archive.h. */
#ifndef CHAOSIMG_KEYRING_H
#define CHAOSIMG_KEYRING_H

#include "archive.h"

/**
 * keyring_new() - a keyring without keysets
 * @key: the archive key; copied to locked memory
 * @out: receives it, for keyring_free()
 * Return: 0 or -ENOMEM.
 */
int keyring_new(const uint8_t key[CHAOSIMG_KEY_SIZE], struct keyring **out);

/** keyring_free() - wipe and free it and its keysets; NULL is allowed */
void keyring_free(struct keyring *ring);

/** keyring_archive_key() - the archive key, for wrapping it under a slot */
const uint8_t *keyring_archive_key(const struct keyring *ring);

/**
 * keyring_serve() - a keyset of the keyring serves new files from now on
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

#endif
