/* SPDX-License-Identifier: GPL-2.0-or-later */
/* AES-256-GCM and a fixed-length MAC from OpenSSL, one context a thread. */
#ifndef CHAOSIMG_GCM_H
#define CHAOSIMG_GCM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GCM_NONCE_SIZE	12
#define GCM_TAG_SIZE	16
#define GCM_KEY_SIZE	32

/**
 * struct gcm_key - a key; to be kept in locked memory
 * @serial: unique among all keys of the process, from gcm_key_init(), so that
 *	a thread's context knows whether it holds this key already
 * @forget: no context holds it for longer than one call
 * @key: the key's bytes
 */
struct gcm_key {
	uint64_t serial;
	bool forget;
	uint8_t key[GCM_KEY_SIZE];
};

/**
 * gcm_key_init() - take over a key
 * @k: receives it
 * @key: the key's bytes
 * @forget: no thread's context, which is ordinary memory, keeps it after a call
 */
void gcm_key_init(struct gcm_key *k, const uint8_t key[GCM_KEY_SIZE],
		  bool forget);

/**
 * gcm_encrypt() - AES-256-GCM (NIST SP 800-38D)
 * @k: the key
 * @nonce: never used twice with a key
 * @aad: associated data
 * @aad_len: its length
 * @buf: @len bytes, encrypted in place
 * @len: bytes of @buf
 * @tag: receives the tag
 * Return: 0 or -EIO if OpenSSL fails.
 */
int gcm_encrypt(const struct gcm_key *k, const uint8_t nonce[GCM_NONCE_SIZE],
		const void *aad, size_t aad_len, uint8_t *buf, size_t len,
		uint8_t tag[GCM_TAG_SIZE]);

/**
 * gcm_decrypt() - the inverse, in place
 * @k: the key
 * @nonce: never used twice with a key
 * @aad: associated data
 * @aad_len: its length
 * @buf: @len bytes, decrypted in place
 * @len: bytes of @buf
 * @tag: the tag to check
 * Return: 0; -EBADMSG if the tag is wrong: @buf must then not be used.
 */
int gcm_decrypt(const struct gcm_key *k, const uint8_t nonce[GCM_NONCE_SIZE],
		const void *aad, size_t aad_len, uint8_t *buf, size_t len,
		const uint8_t tag[GCM_TAG_SIZE]);

/**
 * mac_two_blocks() - AES-256 CBC-MAC of exactly 32 bytes
 * @k: the key
 * @msg: the two blocks
 * @mac: receives the MAC
 *
 * For messages of one fixed length CBC-MAC is a pseudorandom function
 * (Bellare, Kilian, Rogaway: The Security of the Cipher Block Chaining
 * Message Authentication Code, 2000).
 */
int mac_two_blocks(const struct gcm_key *k, const uint8_t msg[32],
		   uint8_t mac[16]);

#endif
