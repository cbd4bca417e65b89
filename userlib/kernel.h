/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The kernel's chaosimg, by its crypto API's sockets. */
#ifndef CHAOSIMG_KERNEL_H
#define CHAOSIMG_KERNEL_H

#include <sys/uio.h>

#include "chaosimg.h"

struct kernel_key;

/** kernel_probe() - is it there? Return: 0, or -ENOENT */
int kernel_probe(void);

/** kernel_key_new() - hand a key to the kernel. Return: 0, -ENOMEM, -EIO */
int kernel_key_new(const uint8_t key[CHAOSIMG_KEY_SIZE],
		   struct kernel_key **out);

/** kernel_key_free() - the kernel wipes its own copy; NULL is allowed */
void kernel_key_free(struct kernel_key *k);

/**
 * kernel_crypt() - one message, in two pieces on either side
 * @k: the key
 * @encrypt: true to encrypt
 * @iv: the IV
 * @in: the message
 * @out: receives as many bytes
 *
 * Safe from several threads; they take turns. Return: 0 or -EIO.
 */
int kernel_crypt(struct kernel_key *k, bool encrypt,
		 const uint8_t iv[CHAOSIMG_IV_SIZE], struct iovec in[2],
		 struct iovec out[2]);

#endif
