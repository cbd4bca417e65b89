/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the module's files share: the transform, the message, the self-test. */
#ifndef CHAOSIMG_KMOD_H
#define CHAOSIMG_KMOD_H

#include <linux/scatterlist.h>
#include <linux/types.h>

#include "../cipher/cipher.h"

enum {
	CHAOSIMG_KEY_SIZE = 32,
	CHAOSIMG_CTX_ALIGN = __alignof__(struct chaosimg_cipher_key),
};

/**
 * struct chaosimg_ctx - a transform
 * @impl: the driver's implementation
 * @fast_set: @fast holds the key; else only @generic does
 * @generic: the key for where vector registers may not be used
 * @fast: the key for @impl; not there if @impl is generic
 */
struct chaosimg_ctx {
	const struct chaosimg_cipher_impl *impl;
	bool fast_set;
	struct chaosimg_cipher_key generic;
	struct chaosimg_cipher_key fast;
};

/**
 * struct chaosimg_state - all that one request derives; holds secrets
 * @key: the form of the key in use
 * @hash: POLYVAL's state
 * @in: the first block as the block cipher gets it: MM, or UU to decrypt
 * @out: what the block cipher makes of it
 * @s: the keystream's start
 * @block: a block that lies across two pieces of memory
 * @work: bytes processed since the last rest
 * @may_sleep: the caller may be preempted
 * @simd: vector registers may be used
 * @in_simd: they are in use now
 * @image: what key and IV make of each other; the state's end, since fast
 *	implementations use only its beginning
 */
struct chaosimg_state {
	const struct chaosimg_cipher_key *key;
	struct chaosimg_hash hash;
	u8 in[CHAOSIMG_BLOCK];
	u8 out[CHAOSIMG_BLOCK];
	u8 s[CHAOSIMG_BLOCK];
	u8 block[CHAOSIMG_BLOCK];
	unsigned int work;
	bool may_sleep;
	bool simd;
	bool in_simd;
	struct chaosimg_image image;
};

/**
 * struct chaosimg_message - one message, wherever it lies
 * @src: read from here
 * @dst: written to here; @src itself, or memory apart from it
 * @len: bytes, at least CHAOSIMG_BLOCK
 * @iv: CHAOSIMG_TWEAK bytes
 * @decrypt: the direction
 * @may_sleep: whether to give way between pieces
 */
struct chaosimg_message {
	struct scatterlist *src;
	struct scatterlist *dst;
	unsigned int len;
	const u8 *iv;
	bool decrypt;
	bool may_sleep;
};

/**
 * chaosimg_set_key() - set up a transform's key in all forms it needs
 * @ctx: with its @impl set
 * @key: CHAOSIMG_KEY_SIZE bytes
 */
void chaosimg_set_key(struct chaosimg_ctx *ctx, const u8 *key);

/**
 * chaosimg_crypt() - encrypt or decrypt a message
 * @ctx: with a key; read only
 * @state: scratch memory; wiped on return
 * @message: what to process
 * Return: 0, or -EINVAL if the message or a scatterlist is too short.
 */
int chaosimg_crypt(const struct chaosimg_ctx *ctx,
		   struct chaosimg_state *state,
		   const struct chaosimg_message *message);

/**
 * chaosimg_selftest() - prove an implementation
 * @impl: tried on known answers, and against generic on random messages
 * @spoil: falsify its results, to show that this is noticed
 * Return: 0, -EBADMSG if a result is wrong (the log says which), or -ENOMEM.
 */
int chaosimg_selftest(const struct chaosimg_cipher_impl *impl, bool spoil);

#endif
