/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Keys under public keys of an archive and its compartments: whoever has one can
 * wrap, and only who has the archive's or compartment's key can unwrap.
 */
#ifndef CHAOSIMG_WRAP_PUBLIC_H
#define CHAOSIMG_WRAP_PUBLIC_H

#include "archive.h"
#include "wrap.h"

enum {
	PUBLIC_KEY = 32,
	WRAP_PUBLIC_OVERHEAD = PUBLIC_KEY + WRAP_OVERHEAD,
};

/**
 * archive_private() - the secret half of an archive's X25519 key pair
 * @ring: holds the archive key
 * @out: receives it; use locked memory
 * Return: 0; -EACCES without the archive key; -ENOMEM.
 */
int archive_private(const struct keyring *ring, uint8_t out[PUBLIC_KEY]);

/** compartment_private() - the same of a compartment's, from its wrapping key */
int compartment_private(const uint8_t key[CHAOSIMG_KEY_SIZE],
			uint8_t out[PUBLIC_KEY]);

/** public_of() - the public half that belongs to a secret one. 0 or -ENOMEM */
int public_of(const uint8_t secret[PUBLIC_KEY], uint8_t out[PUBLIC_KEY]);

/**
 * wrap_public() - encrypt @in under a public key
 * @pub: the public key
 * @aad: associated data
 * @aad_len: its length
 * @in: @len bytes
 * @len: bytes of the plaintext
 * @out: receives an ephemeral public key, and what wrap_key() makes:
 *	@len + WRAP_PUBLIC_OVERHEAD bytes
 * Return: 0; -EINVAL if the public key is none; -EIO; -ENOMEM.
 */
int wrap_public(const uint8_t pub[PUBLIC_KEY], const void *aad, size_t aad_len,
		const uint8_t *in, size_t len, uint8_t *out);

/**
 * unwrap_private() - decrypt what wrap_public() made
 * @secret: the secret half
 * @aad: associated data
 * @aad_len: its length
 * @in: @len + WRAP_PUBLIC_OVERHEAD bytes
 * @out: receives @len bytes, zeros on failure; use locked memory
 * @len: bytes of the plaintext
 * Return: 0; -EKEYREJECTED for another key, other associated data, or damage;
 * -ENOMEM.
 */
int unwrap_private(const uint8_t secret[PUBLIC_KEY], const void *aad,
		   size_t aad_len, const uint8_t *in, uint8_t *out, size_t len);

#endif
