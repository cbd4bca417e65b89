/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The inner layer of a record: chaosimg by one of this library's
 * implementations or by the kernel's.
 */
#ifndef CHAOSIMG_INNER_H
#define CHAOSIMG_INNER_H

#include <stddef.h>
#include <stdint.h>

#include "chaosimg.h"

struct chaosimg_cipher_impl;
struct inner_impl;
struct inner_key;

/**
 * inner_agrees() - does an implementation compute what generic does?
 * @impl: an implementation whose instructions this CPU offers
 * @generic: the one to believe
 *
 * Some emulators offer instructions and compute them wrongly (QEMU 7.2: VAES on
 * 256 bits), and compilers have given them wrong addresses (see LOADED() in
 * avx512.c). What was encrypted so could be read nowhere else, and what is stored
 * could not be read here, so an implementation that differs is not offered.
 *
 * Return: true if messages come out the same, encrypted and decrypted.
 */
bool inner_agrees(const struct chaosimg_cipher_impl *impl,
		  const struct chaosimg_cipher_impl *generic);

/** inner_find() - an implementation by name, NULL for the preferred one; NULL if none */
const struct inner_impl *inner_find(const char *name);

/** inner_key_new() - key set-up; in locked memory. Return: 0, -ENOMEM, -EIO */
int inner_key_new(const struct inner_impl *impl,
		  const uint8_t key[CHAOSIMG_KEY_SIZE], struct inner_key **out);

/** inner_key_free() - wipe and free; NULL is allowed */
void inner_key_free(struct inner_key *k);

/**
 * inner_encrypt() - encrypt the message @head || @data
 * @k: the key
 * @iv: the IV
 * @dst: receives 16 + @len bytes; must not overlap @data
 * @head: the first block
 * @data: the rest, @len bytes
 * @len: bytes of @data
 *
 * Safe from several threads with one key. Return: 0, or -EIO from the kernel.
 */
int inner_encrypt(const struct inner_key *k, const uint8_t iv[CHAOSIMG_IV_SIZE],
		  uint8_t *dst, const uint8_t head[16], const uint8_t *data,
		  size_t len);

/**
 * inner_decrypt() - decrypt @src (16 + @len bytes) to @head || @data
 * @k: the key
 * @iv: the IV
 * @head: receives the first block
 * @data: @src + 16, or memory that does not overlap @src
 * @src: the ciphertext
 * @len: bytes of @data
 */
int inner_decrypt(const struct inner_key *k, const uint8_t iv[CHAOSIMG_IV_SIZE],
		  uint8_t head[16], uint8_t *data, const uint8_t *src,
		  size_t len);

#endif
