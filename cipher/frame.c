// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The wide-block frame: HCTR2 (Crowley, Huckleberry, Biggers, 2021) with the
 * message complemented where it enters, over a block cipher whose S-boxes the
 * chaos chooses. The implementations supply AES, E, XCTR and POLYVAL.
 */
#include "cipher.h"

#define PIECE 4096

static void xor_block(u8 *dst, const u8 *a, const u8 *b)
{
	store_le64(dst, load_le64(a) ^ load_le64(b));
	store_le64(dst + 8, load_le64(a + 8) ^ load_le64(b + 8));
}

static void flip_block(u8 *dst, const u8 *src, u64 flip)
{
	store_le64(dst, load_le64(src) ^ flip);
	store_le64(dst + 8, load_le64(src + 8) ^ flip);
}

/* --- an image's beginning ----------------------------------------------- */

/* The lattice's first state, and in return its Weyl counter's. */
static u64 image_seed(const struct chaosimg_cipher_key *key,
		      u8 x[4 * CHAOSIMG_BLOCK], const u8 iv[CHAOSIMG_TWEAK])
{
	u8 c[CHAOSIMG_BLOCK];
	u64 w, i;

	if (key->impl->seed)
		return key->impl->seed(key, x, iv);
	key->impl->aes(key, CHAOSIMG_CHAOS, c, iv, 1);
	xor_block(c, c, iv + CHAOSIMG_BLOCK);
	key->impl->aes(key, CHAOSIMG_CHAOS, c, c, 1);
	w = load_le64(c);
	for (i = 0; i < 4; i++) {
		store_le64(x + CHAOSIMG_BLOCK * i, w ^ (i + 1));
		store_le64(x + CHAOSIMG_BLOCK * i + 8, load_le64(c + 8));
	}
	key->impl->aes(key, CHAOSIMG_CHAOS, x, x, 4);
	chaosimg_wipe(c, sizeof(c));
	return w;
}

static void image_chaos(const struct chaosimg_cipher_key *key,
			u64 lu[CHAOSIMG_ROUNDS], const u8 iv[CHAOSIMG_TWEAK])
{
	u8 x[4 * CHAOSIMG_BLOCK];
	u64 w = image_seed(key, x, iv);

	chaosimg_lattice(lu, x, w);
	chaosimg_wipe(x, sizeof(x));
}

/* The state of the hash after le(16*len(T) + 2 or 3) || pad(T). */
static void image_tweak(const struct chaosimg_cipher_key *key,
			struct chaosimg_image *image, const u8 *tweak,
			size_t tweak_len, u64 flip, size_t len)
{
	const bool partial = len % CHAOSIMG_BLOCK;
	u8 b[CHAOSIMG_BLOCK + CHAOSIMG_TWEAK] = { 0 };
	size_t used = CHAOSIMG_BLOCK, i;

	image->flip = flip;
	__builtin_memset(image->tweak, 0, CHAOSIMG_BLOCK);
	store_le64(b, 16 * (u64)tweak_len + 2 + partial);
	for (; tweak_len >= CHAOSIMG_BLOCK; tweak_len -= CHAOSIMG_BLOCK) {
		if (used == sizeof(b)) {
			key->impl->polyval(key, image->tweak, b,
					   sizeof(b) / CHAOSIMG_BLOCK, 0);
			used = 0;
		}
		__builtin_memcpy(b + used, tweak, CHAOSIMG_BLOCK);
		tweak += CHAOSIMG_BLOCK;
		used += CHAOSIMG_BLOCK;
	}
	key->impl->polyval(key, image->tweak, b, used / CHAOSIMG_BLOCK, 0);
	if (!tweak_len)
		return;
	for (i = 0; i < CHAOSIMG_BLOCK; i++)
		b[i] = i < tweak_len ? tweak[i] : 0;
	key->impl->polyval(key, image->tweak, b, 1, 0);
}

void chaosimg_frame_begin_raw(const struct chaosimg_cipher_key *key,
			      struct chaosimg_image *image,
			      const u64 lu[CHAOSIMG_ROUNDS], const u8 *tweak,
			      size_t tweak_len, u64 flip, size_t len)
{
	int i;

	for (i = 0; i < CHAOSIMG_ROUNDS; i++)
		image->lu[i] = lu[i];
	key->impl->set_image(image);
	image_tweak(key, image, tweak, tweak_len, flip, len);
}

/* The tweak comes first: CPUs hash it while they wait for the seed. */
void chaosimg_frame_begin(const struct chaosimg_cipher_key *key,
			  struct chaosimg_image *image,
			  const u8 iv[CHAOSIMG_TWEAK], size_t len)
{
	image_tweak(key, image, iv, CHAOSIMG_TWEAK, ~0ULL, len);
	image_chaos(key, image->lu, iv);
	key->impl->set_image(image);
}

void chaosimg_frame_end(const struct chaosimg_cipher_key *key,
			struct chaosimg_image *image)
{
	chaosimg_wipe(image, __builtin_offsetof(struct chaosimg_image, u) +
		      key->impl->image_size);
}

/* --- pieces ------------------------------------------------------------- */

void chaosimg_hash_init(const struct chaosimg_image *image,
			struct chaosimg_hash *hash, u64 flip)
{
	__builtin_memcpy(hash->acc, image->tweak, CHAOSIMG_BLOCK);
	hash->used = 0;
	hash->flip = flip;
}

void chaosimg_hash_update(const struct chaosimg_cipher_key *key,
			  struct chaosimg_hash *hash, const u8 *src, size_t len)
{
	if (hash->used) {
		while (len && hash->used < CHAOSIMG_BLOCK) {
			hash->part[hash->used++] = *src++;
			len--;
		}
		if (hash->used < CHAOSIMG_BLOCK)
			return;
		key->impl->polyval(key, hash->acc, hash->part, 1, hash->flip);
		hash->used = 0;
	}
	key->impl->polyval(key, hash->acc, src, len / CHAOSIMG_BLOCK,
			   hash->flip);
	src += len - len % CHAOSIMG_BLOCK;
	len %= CHAOSIMG_BLOCK;
	while (len--)
		hash->part[hash->used++] = *src++;
}

void chaosimg_hash_final(const struct chaosimg_cipher_key *key,
			 struct chaosimg_hash *hash, u8 out[CHAOSIMG_BLOCK])
{
	const size_t used = hash->used % CHAOSIMG_BLOCK;
	size_t i;

	if (used) {
		for (i = 0; i < used; i++)
			hash->part[i] ^= (u8)hash->flip;
		hash->part[i++] = 1;
		for (; i < CHAOSIMG_BLOCK; i++)
			hash->part[i] = 0;
		key->impl->polyval(key, hash->acc, hash->part, 1, 0);
	}
	__builtin_memcpy(out, hash->acc, CHAOSIMG_BLOCK);
	chaosimg_wipe(hash, sizeof(*hash));
}

void chaosimg_block_encrypt(const struct chaosimg_cipher_key *key,
			    const struct chaosimg_image *image,
			    u8 dst[CHAOSIMG_BLOCK],
			    const u8 src[CHAOSIMG_BLOCK])
{
	key->impl->encrypt(key, image, dst, src);
}

void chaosimg_block_decrypt(const struct chaosimg_cipher_key *key,
			    const struct chaosimg_image *image,
			    u8 dst[CHAOSIMG_BLOCK],
			    const u8 src[CHAOSIMG_BLOCK])
{
	key->impl->decrypt(key, image, dst, src);
}

void chaosimg_xctr(const struct chaosimg_cipher_key *key,
		   const struct chaosimg_image *image,
		   const u8 s[CHAOSIMG_BLOCK], u64 first, u8 *dst,
		   const u8 *src, size_t len)
{
	key->impl->xctr(key, image, s, first, dst, src, len);
}

/* In pieces that are hashed while they are still in the first-level cache. */
void chaosimg_xctr_hash(const struct chaosimg_cipher_key *key,
			const struct chaosimg_image *image,
			struct chaosimg_hash *hash, const u8 s[CHAOSIMG_BLOCK],
			u64 first, u8 *dst, const u8 *src, size_t len)
{
	const size_t tail = len % CHAOSIMG_BLOCK;
	size_t n;

	if (key->impl->xctr_polyval && !hash->used) {
		key->impl->xctr_polyval(key, image, s, first, dst, src, len,
					hash->acc, hash->flip);
		if (tail)
			chaosimg_hash_update(key, hash, dst + len - tail, tail);
		return;
	}
	for (; len; len -= n, first += PIECE / CHAOSIMG_BLOCK) {
		n = len < PIECE ? len : PIECE;
		key->impl->xctr(key, image, s, first, dst, src, n);
		chaosimg_hash_update(key, hash, dst, n);
		dst += n;
		src += n;
	}
}

/* --- whole messages ----------------------------------------------------- */

/* XCTR over all of @src, and the hash of what comes out with @flip. */
static void xctr_and_hash(const struct chaosimg_cipher_key *key,
			  const struct chaosimg_image *image,
			  const u8 s[CHAOSIMG_BLOCK], u8 *dst, const u8 *src,
			  size_t len, u64 flip, u8 out[CHAOSIMG_BLOCK])
{
	struct chaosimg_hash hash;

	chaosimg_hash_init(image, &hash, flip);
	chaosimg_xctr_hash(key, image, &hash, s, 1, dst, src, len);
	chaosimg_hash_final(key, &hash, out);
}

static void hash_all(const struct chaosimg_cipher_key *key,
		     const struct chaosimg_image *image, const u8 *src,
		     size_t len, u64 flip, u8 out[CHAOSIMG_BLOCK])
{
	struct chaosimg_hash hash;

	chaosimg_hash_init(image, &hash, flip);
	chaosimg_hash_update(key, &hash, src, len);
	chaosimg_hash_final(key, &hash, out);
}

void chaosimg_frame_encrypt(const struct chaosimg_cipher_key *key,
			    const struct chaosimg_image *image,
			    u8 dst_head[CHAOSIMG_BLOCK], u8 *dst,
			    const u8 head[CHAOSIMG_BLOCK], const u8 *data,
			    size_t len)
{
	u8 mm[CHAOSIMG_BLOCK], uu[CHAOSIMG_BLOCK], s[CHAOSIMG_BLOCK];
	u8 h[CHAOSIMG_BLOCK];

	flip_block(mm, head, image->flip);
	hash_all(key, image, data, len, image->flip, h);
	xor_block(mm, mm, h);
	key->impl->encrypt(key, image, uu, mm);
	xor_block(s, mm, uu);
	xor_block(s, s, key->l);
	xctr_and_hash(key, image, s, dst, data, len, 0, h);
	xor_block(dst_head, uu, h);
	chaosimg_wipe(mm, sizeof(mm));
	chaosimg_wipe(uu, sizeof(uu));
	chaosimg_wipe(s, sizeof(s));
	chaosimg_wipe(h, sizeof(h));
}

void chaosimg_frame_decrypt(const struct chaosimg_cipher_key *key,
			    const struct chaosimg_image *image,
			    u8 dst_head[CHAOSIMG_BLOCK], u8 *dst,
			    const u8 head[CHAOSIMG_BLOCK], const u8 *data,
			    size_t len)
{
	u8 mm[CHAOSIMG_BLOCK], uu[CHAOSIMG_BLOCK], s[CHAOSIMG_BLOCK];
	u8 h[CHAOSIMG_BLOCK];

	hash_all(key, image, data, len, 0, h);
	xor_block(uu, head, h);
	key->impl->decrypt(key, image, mm, uu);
	xor_block(s, mm, uu);
	xor_block(s, s, key->l);
	xctr_and_hash(key, image, s, dst, data, len, image->flip, h);
	xor_block(mm, mm, h);
	flip_block(dst_head, mm, image->flip);
	chaosimg_wipe(mm, sizeof(mm));
	chaosimg_wipe(uu, sizeof(uu));
	chaosimg_wipe(s, sizeof(s));
	chaosimg_wipe(h, sizeof(h));
}
