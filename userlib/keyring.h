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

#endif
