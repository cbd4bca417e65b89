/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The chaosimg cipher: the one interface of this folder, for the library and
 * for the kernel module alike. Documentation/cipher.rst is its specification.
 *
 * Nothing here allocates, sleeps or fails. An implementation with @simd set
 * must be called where vector registers may be used. Lengths are in bytes.
 */
#ifndef CHAOSIMG_CIPHER_H
#define CHAOSIMG_CIPHER_H

#include "types.h"

/* The kernel module has no arm64 implementation yet. */
#if defined(__AARCH64EL__) && !defined(__KERNEL__)
#define CHAOSIMG_ARM64
#endif

enum {
	CHAOSIMG_BLOCK = 16,
	CHAOSIMG_ROUNDS = 14,
	CHAOSIMG_TWEAK = 32,		/* the IV */
	CHAOSIMG_HPOWERS = 64,
	CHAOSIMG_IMPLS_MAX = 8,
};

/* What a CPU can do, as an implementation needs it. */
enum {
	/* AES-NI, PCLMULQDQ, SSSE3, SSE4.1 */
	CHAOSIMG_CPU_AESNI = 1 << 0,
	/* AVX-512 F/BW/VL, VAES, VPCLMULQDQ, GFNI */
	CHAOSIMG_CPU_AVX512 = 1 << 1,
	/* AVX2, VAES */
	CHAOSIMG_CPU_VAES_AVX2 = 1 << 2,
	/* ARMv8's AES and PMULL */
	CHAOSIMG_CPU_ARM64_CE = 1 << 3,
	/* VPCLMULQDQ on 256 bits */
	CHAOSIMG_CPU_VPCLMULQDQ = 1 << 4,
};

struct chaosimg_cipher_impl;

/* The two AES-256 schedules of a key. */
enum chaosimg_schedule {
	CHAOSIMG_MAIN,		/* of E */
	CHAOSIMG_CHAOS,		/* of the chaos key */
};

/**
 * struct chaosimg_cipher_key - a key, set up; read-only once it is set
 * @u: the AES-256 schedules in the implementation's form
 * @u.sliced: as bit planes, for generic
 * @u.v: for the others
 * @u.v.rk: as FIPS 197 has them
 * @u.v.hpow: powers of the hash key, in the order the implementation likes
 * @h: POLYVAL's key
 * @l: the frame's constant L
 * @impl: the implementation that it is set up for
 */
struct chaosimg_cipher_key {
	union {
		u64 sliced[2][CHAOSIMG_ROUNDS + 1][8];
		struct {
			u8 rk[2][CHAOSIMG_ROUNDS + 1][CHAOSIMG_BLOCK];
			u8 hpow[CHAOSIMG_HPOWERS][CHAOSIMG_BLOCK];
		} v;
	} u;
	u8 h[CHAOSIMG_BLOCK];
	u8 l[CHAOSIMG_BLOCK];
	const struct chaosimg_cipher_impl *impl;
} CHAOSIMG_ALIGNED(64);

/*
 * struct chaosimg_image - what one key and one IV make of each other
 * @tweak: POLYVAL's state after the length block and the tweak
 * @lu: the 14 matrices as packed LU factorisations; 0 is the identity
 * @flip: xor-ed to every word of the message: ~0 for chaosimg, 0 for HCTR2
 * @u: the implementation's form of the matrices; its image_size says how much
 *	of it is in use
 */
struct chaosimg_image {
	u8 tweak[CHAOSIMG_BLOCK];
	u64 lu[CHAOSIMG_ROUNDS];
	u64 flip;
	union {
		u64 mask[CHAOSIMG_ROUNDS][64];
		u8 nibble[CHAOSIMG_ROUNDS][2][16];
		u64 affine[2 * 8];	/* two registers of them */
	} u CHAOSIMG_ALIGNED(16);
} CHAOSIMG_ALIGNED(16);

/**
 * struct chaosimg_hash - POLYVAL over a message that comes in pieces
 * @acc: its accumulator (RFC 8452, section 3)
 * @part: the block that is not full yet
 * @used: bytes of @part in use
 * @flip: xor-ed to every word that is hashed
 */
struct chaosimg_hash {
	u8 acc[CHAOSIMG_BLOCK];
	u8 part[CHAOSIMG_BLOCK];
	size_t used;
	u64 flip;
};

/**
 * struct chaosimg_cipher_impl - one implementation of what the frame needs
 * @name: as users know it
 * @needs: CHAOSIMG_CPU_* bits
 * @simd: uses vector registers
 * @image_size: bytes of chaosimg_image.u that set_image() fills
 * @set_rounds: make one of the two schedules from its AES-256 key
 * @set_hash: derive what POLYVAL needs from h
 * @set_image: derive the own form of the matrices from lu
 * @aes: plain AES-256 of some blocks; @dst may be @src
 * @seed: the lattice's first state of an IV, and in return its counter's
 *	(cipher.rst, section 2); NULL if @aes is as good
 * @encrypt: E of one block
 * @decrypt: E^-1 of one block
 * @xctr: xor @len bytes with @flip and E(s ^ le(i)) for i = @first, ..;
 *	@dst may be @src
 * @polyval: for each block: acc = (acc ^ block ^ flip) * H
 * @xctr_polyval: xctr(), then polyval() of the whole blocks at @dst; NULL if
 *	it would be no faster than the two
 */
struct chaosimg_cipher_impl {
	const char *name;
	u32 needs;
	bool simd;
	size_t image_size;
	void (*set_rounds)(struct chaosimg_cipher_key *key,
			   enum chaosimg_schedule which, const u8 k[32]);
	void (*set_hash)(struct chaosimg_cipher_key *key);
	void (*set_image)(struct chaosimg_image *image);
	void (*aes)(const struct chaosimg_cipher_key *key,
		    enum chaosimg_schedule which, u8 *dst, const u8 *src,
		    size_t blocks);
	u64 (*seed)(const struct chaosimg_cipher_key *key,
		    u8 x[4 * CHAOSIMG_BLOCK], const u8 iv[CHAOSIMG_TWEAK]);
	void (*encrypt)(const struct chaosimg_cipher_key *key,
			const struct chaosimg_image *image,
			u8 dst[CHAOSIMG_BLOCK], const u8 src[CHAOSIMG_BLOCK]);
	void (*decrypt)(const struct chaosimg_cipher_key *key,
			const struct chaosimg_image *image,
			u8 dst[CHAOSIMG_BLOCK], const u8 src[CHAOSIMG_BLOCK]);
	void (*xctr)(const struct chaosimg_cipher_key *key,
		     const struct chaosimg_image *image,
		     const u8 s[CHAOSIMG_BLOCK], u64 first, u8 *dst,
		     const u8 *src, size_t len);
	void (*polyval)(const struct chaosimg_cipher_key *key,
			u8 acc[CHAOSIMG_BLOCK], const u8 *src, size_t blocks,
			u64 flip);
	void (*xctr_polyval)(const struct chaosimg_cipher_key *key,
			     const struct chaosimg_image *image,
			     const u8 s[CHAOSIMG_BLOCK], u64 first, u8 *dst,
			     const u8 *src, size_t len,
			     u8 acc[CHAOSIMG_BLOCK], u64 flip);
};

/* --- choice (impls.c, cpu.c) -------------------------------------------- */

/**
 * chaosimg_cipher_impls() - the implementations for a CPU, the best one first
 * @features: CHAOSIMG_CPU_* bits
 * @list: receives up to @max of them
 * @max: room in @list
 *
 * Return: how many there are; generic is always the last.
 */
size_t chaosimg_cipher_impls(u32 features,
			     const struct chaosimg_cipher_impl **list,
			     size_t max);

/**
 * chaosimg_cpu_features() - what this CPU can do (user space)
 *
 * Return: CHAOSIMG_CPU_* bits.
 */
u32 chaosimg_cpu_features(void);

/* --- keys (key.c) ------------------------------------------------------- */

/**
 * chaosimg_cipher_set_key() - set up a key for an implementation
 * @key: may be embedded and moved; wipe it with chaosimg_wipe()
 * @impl: the implementation
 * @k: the key (cipher.rst, section 1)
 */
void chaosimg_cipher_set_key(struct chaosimg_cipher_key *key,
			     const struct chaosimg_cipher_impl *impl,
			     const u8 k[32]);

/*
 * chaosimg_aes256_expand() - AES-256 key expansion (FIPS 197, 5.2)
 * @rk: receives the round keys
 * @k: the key
 */
void chaosimg_aes256_expand(u8 rk[CHAOSIMG_ROUNDS + 1][CHAOSIMG_BLOCK],
			    const u8 k[32]);

/* --- chaos (chaos.c) ---------------------------------------------------- */

/**
 * chaosimg_lattice() - run the lattice and draw 14 packed matrices
 * @lu: receives them (cipher.rst, sections 2 and 3)
 * @seed: the sites' first state
 * @w: the Weyl counter's
 */
void chaosimg_lattice(u64 lu[CHAOSIMG_ROUNDS], const u8 seed[64], u64 w);

/**
 * chaosimg_matrix() - A = L*U of a packed factorisation
 * @lu: the factorisation (cipher.rst, section 3)
 *
 * Return: the matrix; row i is byte i.
 */
u64 chaosimg_matrix(u64 lu);

/**
 * chaosimg_matrix_inverse() - the inverse of A = L*U
 * @lu: the factorisation
 *
 * Return: the inverse; row i is byte i.
 */
u64 chaosimg_matrix_inverse(u64 lu);

/* --- messages in memory (message.c, user space) ------------------------- */

/**
 * chaosimg_encrypt() - encrypt one message
 * @key: the key
 * @iv: the IV
 * @dst: receives @len bytes; may be @src
 * @src: the message
 * @len: at least CHAOSIMG_BLOCK
 */
void chaosimg_encrypt(const struct chaosimg_cipher_key *key,
		      const u8 iv[CHAOSIMG_TWEAK], u8 *dst, const u8 *src,
		      size_t len);

/**
 * chaosimg_decrypt() - the inverse
 * @key: the key
 * @iv: the IV
 * @dst: receives @len bytes; may be @src
 * @src: the ciphertext
 * @len: at least CHAOSIMG_BLOCK
 */
void chaosimg_decrypt(const struct chaosimg_cipher_key *key,
		      const u8 iv[CHAOSIMG_TWEAK], u8 *dst, const u8 *src,
		      size_t len);

/**
 * chaosimg_encrypt_split() - encrypt the message @head || @data
 * @key: the key
 * @iv: the IV
 * @dst: receives 16 + @len bytes
 * @head: the message's first block
 * @data: the rest; may be @dst + 16
 * @len: bytes of @data
 */
void chaosimg_encrypt_split(const struct chaosimg_cipher_key *key,
			    const u8 iv[CHAOSIMG_TWEAK], u8 *dst,
			    const u8 head[CHAOSIMG_BLOCK], const u8 *data,
			    size_t len);

/**
 * chaosimg_decrypt_split() - decrypt to @head || @data
 * @key: the key
 * @iv: the IV
 * @head: receives the message's first block
 * @data: receives @len bytes; may be @src + 16
 * @src: the ciphertext, 16 + @len bytes
 * @len: bytes of @data
 */
void chaosimg_decrypt_split(const struct chaosimg_cipher_key *key,
			    const u8 iv[CHAOSIMG_TWEAK],
			    u8 head[CHAOSIMG_BLOCK], u8 *data, const u8 *src,
			    size_t len);

/* --- the frame (frame.c) ------------------------------------------------ */

/*
 * The pieces, for messages that do not lie in one place. Encryption:
 *	begin; M = head ^ flip; hash N; MM = M ^ hash; UU = E(MM);
 *	S = MM ^ UU ^ L; V = xctr N; hash V; U = UU ^ hash; end
 */

/**
 * chaosimg_frame_begin() - derive all that hangs on the IV
 * @key: the key
 * @image: receives it; chaosimg_frame_end() wipes it
 * @iv: the IV
 * @len: of the whole message
 */
void chaosimg_frame_begin(const struct chaosimg_cipher_key *key,
			  struct chaosimg_image *image,
			  const u8 iv[CHAOSIMG_TWEAK], size_t len);

/**
 * chaosimg_frame_begin_raw() - the same with given matrices: HCTR2's frame
 * @key: the key
 * @image: receives what is derived
 * @lu: 14 packed matrices, all 0 for AES
 * @tweak: of any length
 * @tweak_len: its length
 * @flip: ~0 to complement the message, or 0
 * @len: of the whole message
 */
void chaosimg_frame_begin_raw(const struct chaosimg_cipher_key *key,
			      struct chaosimg_image *image,
			      const u64 lu[CHAOSIMG_ROUNDS], const u8 *tweak,
			      size_t tweak_len, u64 flip, size_t len);

/**
 * chaosimg_frame_end() - wipe what chaosimg_frame_begin() derived
 * @key: the key
 * @image: what was derived
 */
void chaosimg_frame_end(const struct chaosimg_cipher_key *key,
			struct chaosimg_image *image);

/**
 * chaosimg_frame_encrypt() - encrypt a message between begin and end
 * @key: the key
 * @image: from chaosimg_frame_begin()
 * @dst_head: receives U
 * @dst: receives V (@len bytes); may be @data
 * @head: the message's first block, M
 * @data: the rest, N
 * @len: bytes of @data
 */
void chaosimg_frame_encrypt(const struct chaosimg_cipher_key *key,
			    const struct chaosimg_image *image,
			    u8 dst_head[CHAOSIMG_BLOCK], u8 *dst,
			    const u8 head[CHAOSIMG_BLOCK], const u8 *data,
			    size_t len);

/**
 * chaosimg_frame_decrypt() - the inverse
 * @key: the key
 * @image: from chaosimg_frame_begin()
 * @dst_head: receives the message's first block
 * @dst: receives the rest (@len bytes); may be @data
 * @head: U
 * @data: V
 * @len: bytes of @data
 */
void chaosimg_frame_decrypt(const struct chaosimg_cipher_key *key,
			    const struct chaosimg_image *image,
			    u8 dst_head[CHAOSIMG_BLOCK], u8 *dst,
			    const u8 head[CHAOSIMG_BLOCK], const u8 *data,
			    size_t len);

/**
 * chaosimg_hash_init() - Hash(T, X) of a message without its first block
 * @image: from chaosimg_frame_begin()
 * @hash: the state
 * @flip: image->flip for X = N, given as plaintext; 0 for X = V
 */
void chaosimg_hash_init(const struct chaosimg_image *image,
			struct chaosimg_hash *hash, u64 flip);

/**
 * chaosimg_hash_update() - the next piece of X
 * @key: the key
 * @hash: the state
 * @src: the piece
 * @len: its bytes, any number
 */
void chaosimg_hash_update(const struct chaosimg_cipher_key *key,
			  struct chaosimg_hash *hash, const u8 *src,
			  size_t len);

/**
 * chaosimg_hash_final() - pad, give the hash, wipe the state
 * @key: the key
 * @hash: the state
 * @out: receives the hash
 */
void chaosimg_hash_final(const struct chaosimg_cipher_key *key,
			 struct chaosimg_hash *hash, u8 out[CHAOSIMG_BLOCK]);

/**
 * chaosimg_block_encrypt() - E (cipher.rst, section 4)
 * @key: the key
 * @image: from chaosimg_frame_begin()
 * @dst: receives a block
 * @src: a block
 */
void chaosimg_block_encrypt(const struct chaosimg_cipher_key *key,
			    const struct chaosimg_image *image,
			    u8 dst[CHAOSIMG_BLOCK],
			    const u8 src[CHAOSIMG_BLOCK]);

/**
 * chaosimg_block_decrypt() - E^-1
 * @key: the key
 * @image: from chaosimg_frame_begin()
 * @dst: receives a block
 * @src: a block
 */
void chaosimg_block_decrypt(const struct chaosimg_cipher_key *key,
			    const struct chaosimg_image *image,
			    u8 dst[CHAOSIMG_BLOCK],
			    const u8 src[CHAOSIMG_BLOCK]);

/**
 * chaosimg_xctr() - turn a piece of plaintext into V, or of V into plaintext
 * @key: the key
 * @image: from chaosimg_frame_begin()
 * @s: S = MM ^ UU ^ L
 * @first: number of the piece's first block, from 1
 * @dst: receives @len bytes; may be @src
 * @src: the piece
 * @len: a multiple of 16 for every piece but the last
 */
void chaosimg_xctr(const struct chaosimg_cipher_key *key,
		   const struct chaosimg_image *image,
		   const u8 s[CHAOSIMG_BLOCK], u64 first, u8 *dst,
		   const u8 *src, size_t len);

/**
 * chaosimg_xctr_hash() - chaosimg_xctr(), and the hash of what comes out
 * @key: the key
 * @image: from chaosimg_frame_begin()
 * @hash: gets the piece at @dst
 * @s: S = MM ^ UU ^ L
 * @first: number of the piece's first block, from 1
 * @dst: receives @len bytes; may be @src
 * @src: the piece
 * @len: a multiple of 16 for every piece but the last
 */
void chaosimg_xctr_hash(const struct chaosimg_cipher_key *key,
			const struct chaosimg_image *image,
			struct chaosimg_hash *hash, const u8 s[CHAOSIMG_BLOCK],
			u64 first, u8 *dst, const u8 *src, size_t len);

extern const struct chaosimg_cipher_impl chaosimg_impl_generic;
extern const struct chaosimg_cipher_impl chaosimg_impl_aesni;
extern const struct chaosimg_cipher_impl chaosimg_impl_avx2;
/* The same under the same name, with PCLMULQDQ in place of VPCLMULQDQ. */
extern const struct chaosimg_cipher_impl chaosimg_impl_avx2_pclmul;
extern const struct chaosimg_cipher_impl chaosimg_impl_avx512;
extern const struct chaosimg_cipher_impl chaosimg_impl_arm64;

#endif
