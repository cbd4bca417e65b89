/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Keys under keys: AES-256-GCM with a fresh random nonce. */
#ifndef CHAOSIMG_WRAP_H
#define CHAOSIMG_WRAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "chaosimg.h"

enum {
	WRAP_NONCE = 12,
	WRAP_TAG = 16,
	WRAP_OVERHEAD = WRAP_NONCE + WRAP_TAG,
};

/**
 * wrap_key() - encrypt @in under @kek
 * @kek: the key to encrypt under
 * @aad: associated data
 * @aad_len: its length
 * @in: @len bytes
 * @len: bytes of the plaintext
 * @out: receives nonce || ciphertext || tag, @len + WRAP_OVERHEAD bytes
 * Return: 0, -EIO or -ENOMEM.
 */
int wrap_key(const uint8_t kek[CHAOSIMG_KEY_SIZE], const void *aad,
	     size_t aad_len, const uint8_t *in, size_t len, uint8_t *out);

/**
 * unwrap_key() - decrypt what wrap_key() made
 * @kek: the key it is under
 * @aad: associated data
 * @aad_len: its length
 * @in: nonce || ciphertext || tag, @len + WRAP_OVERHEAD bytes
 * @out: receives @len bytes, zeros on failure; use locked memory
 * @len: bytes of the plaintext
 * Return: 0; -EKEYREJECTED for another key, other associated data, or damage;
 * -ENOMEM.
 */
int unwrap_key(const uint8_t kek[CHAOSIMG_KEY_SIZE], const void *aad,
	       size_t aad_len, const uint8_t *in, uint8_t *out, size_t len);

#endif
