// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Messages that lie in memory, in one or two pieces. For user space: the image
 * is on the stack, which in the kernel has no room for generic's masks.
 */
#include "cipher.h"

void chaosimg_encrypt_split(const struct chaosimg_cipher_key *key,
			    const u8 iv[CHAOSIMG_TWEAK], u8 *dst,
			    const u8 head[CHAOSIMG_BLOCK], const u8 *data,
			    size_t len)
{
	struct chaosimg_image image;

	chaosimg_frame_begin(key, &image, iv, CHAOSIMG_BLOCK + len);
	chaosimg_frame_encrypt(key, &image, dst, dst + CHAOSIMG_BLOCK, head,
			       data, len);
	chaosimg_frame_end(key, &image);
}

void chaosimg_decrypt_split(const struct chaosimg_cipher_key *key,
			    const u8 iv[CHAOSIMG_TWEAK],
			    u8 head[CHAOSIMG_BLOCK], u8 *data, const u8 *src,
			    size_t len)
{
	struct chaosimg_image image;

	chaosimg_frame_begin(key, &image, iv, CHAOSIMG_BLOCK + len);
	chaosimg_frame_decrypt(key, &image, head, data, src,
			       src + CHAOSIMG_BLOCK, len);
	chaosimg_frame_end(key, &image);
}

void chaosimg_encrypt(const struct chaosimg_cipher_key *key,
		      const u8 iv[CHAOSIMG_TWEAK], u8 *dst, const u8 *src,
		      size_t len)
{
	chaosimg_encrypt_split(key, iv, dst, src, src + CHAOSIMG_BLOCK,
			       len - CHAOSIMG_BLOCK);
}

void chaosimg_decrypt(const struct chaosimg_cipher_key *key,
		      const u8 iv[CHAOSIMG_TWEAK], u8 *dst, const u8 *src,
		      size_t len)
{
	chaosimg_decrypt_split(key, iv, dst, dst + CHAOSIMG_BLOCK, src,
			       len - CHAOSIMG_BLOCK);
}
