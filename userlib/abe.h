/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Attribute-based encryption: what its parts know of each other.
 *
 *	abe_group.c	the groups, over blst
 *	abe_code.c	bytes and files
 *	abe_share.c	secrets shared along a policy's tree
 *	abe_scheme.c	the scheme of Rouselakis and Waters
 *	abe_parallel.c	its leaves on all processors
 *	abe_kem.c	the key encapsulation around it
 *	abe_authority.c, abe_user.c	the objects of chaosimg_abe.h
 */
#ifndef CHAOSIMG_ABE_INTERNAL_H
#define CHAOSIMG_ABE_INTERNAL_H

#include "abe_group.h"
#include "chaosimg_abe.h"
#include "policy.h"

enum {
	ABE_USER_ATTRIBUTES_MAX = CHAOSIMG_USER_ATTRIBUTES_MAX,
	ABE_SEED = 32,
	/* Numbers that sharing one secret takes: fewer than leaves. */
	ABE_SHARES_MAX = POLICY_LEAVES_MAX,
	/* One leaf's part of a ciphertext. */
	ABE_ROW = ABE_GT + 2 * ABE_G1 + ABE_G2,
	ABE_ID = CHAOSIMG_AUTHORITY_ID_SIZE,
	/* A public key without its name. */
	ABE_PUBLIC = ABE_GT + ABE_G1,
};

/**
 * struct chaosimg_authority - a public key
 * @name: what stands after the "@"
 * @id: a hash of name and key
 * @bytes: E and Y, as they are stored
 * @E: e(g1, g2) to the power of alpha
 * @Y: g1 times y
 */
struct chaosimg_authority {
	char name[CHAOSIMG_ATTRIBUTE_MAX + 1];
	uint8_t id[ABE_ID];
	uint8_t bytes[ABE_PUBLIC];
	blst_fp12 E;
	blst_p1 Y;
};

/** struct abe_secret - an authority's secret key; in locked memory */
struct abe_secret {
	char name[CHAOSIMG_ATTRIBUTE_MAX + 1];
	blst_fr alpha;
	blst_fr y;
};

/**
 * struct abe_attribute - a user's key for one attribute; in locked memory
 * @name: "attribute@authority"
 * @authority: which of the user's
 * @K: g2 * alpha + H(user) * y + F(attribute) * t
 * @L: g1 * t, which the paper calls K'
 * @F: F(attribute), so that it is hashed once
 */
struct abe_attribute {
	char name[POLICY_LEAF_MAX + 1];
	unsigned int authority;
	blst_p2_affine K;
	blst_p1_affine L;
	blst_p2_affine F;
};

/**
 * struct chaosimg_user - a user's keys
 * @name: whose
 * @hash: H(@name)
 * @authorities: how many of @authority are in use
 * @attributes: how many of @attribute are in use
 * @authority: who issued them
 * @attribute: the keys; in locked memory, room for ABE_USER_ATTRIBUTES_MAX
 *	or as many as there are
 */
struct chaosimg_user {
	char name[CHAOSIMG_USER_MAX + 1];
	blst_p2_affine hash;
	unsigned int authorities;
	unsigned int attributes;
	struct chaosimg_authority *authority[CHAOSIMG_AUTHORITIES_MAX];
	struct abe_attribute *attribute;
};

/* --- abe_code.c ------------------------------------------------------------ */

/** enum abe_type - what a file or message is */
enum abe_type {
	ABE_FILE_SECRET = 1,
	ABE_FILE_PUBLIC,
	ABE_FILE_USER,
	ABE_FILE_CIPHERTEXT,
};

enum {
	ABE_HEAD = 16,
	ABE_SUM = 8,
	ABE_FRAME = ABE_HEAD + ABE_SUM,
	ABE_FILE_MAX = 128 << 10,
};

/** struct abe_reader - what is left of a body; at any fault, all reads fail */
struct abe_reader {
	const uint8_t *at;
	size_t left;
	bool bad;
};

/** abe_take() - Return: the next @len bytes, or NULL */
const uint8_t *abe_take(struct abe_reader *in, size_t len);

/** abe_take_number() - Return: the next @len (1 or 2) bytes' number, or 0 */
unsigned int abe_take_number(struct abe_reader *in, size_t len);

/**
 * abe_take_text() - a text with its length before it
 * @in: the reader
 * @width: of the length, 1 or 2 bytes
 * @out: receives it, NUL-terminated
 * @max: without the NUL
 */
void abe_take_text(struct abe_reader *in, size_t width, char *out, size_t max);

/** abe_take_public() - a public key. Return: 0, -EBADMSG or -ENOMEM */
int abe_take_public(struct abe_reader *in, const char *where,
		    struct chaosimg_authority **out);

/** abe_put() - Return: behind the @len bytes that were put at @out */
uint8_t *abe_put(uint8_t *out, const void *bytes, size_t len);

/** abe_put_text() - the counterpart of abe_take_text() */
uint8_t *abe_put_text(uint8_t *out, size_t width, const char *text);

/** abe_put_public() - the counterpart of abe_take_public() */
uint8_t *abe_put_public(uint8_t *out, const struct chaosimg_authority *a);

/** abe_public_size() - Return: bytes that abe_put_public() puts */
size_t abe_public_size(const struct chaosimg_authority *a);

/** abe_seal() - complete head and checksum around @len bytes in @frame */
void abe_seal(uint8_t *frame, enum abe_type type, size_t len);

/**
 * abe_open() - check head and checksum
 * @where: what to call it in an error
 * @type: what it has to be
 * @frame: @len bytes
 * @len: its length
 * @body: receives what is between
 * Return: 0, -EBADMSG or -EPROTONOSUPPORT.
 */
int abe_open(const char *where, enum abe_type type, const uint8_t *frame,
	     size_t len, struct abe_reader *body);

/**
 * abe_file_read() - read a file whole, into locked memory
 * @path: a file or pipe
 * @out: receives it, for secret_free()
 * @len: receives its length
 */
int abe_file_read(const char *path, uint8_t **out, size_t *len);

/**
 * abe_file_create() - write and sync a file
 * @path: must not exist
 * @mode: as for open(2)
 * @bytes: what to write
 * @len: length of @bytes
 */
int abe_file_create(const char *path, unsigned int mode, const void *bytes,
		    size_t len);

/* --- abe_share.c ----------------------------------------------------------- */

/** share_numbers() - random numbers that sharing one secret takes */
unsigned int share_numbers(const struct chaosimg_policy *p);

/**
 * share() - share a secret among the leaves
 * @p: the policy
 * @secret: what to share
 * @random: share_numbers() scalars
 * @out: receives one share for each leaf
 */
void share(const struct chaosimg_policy *p, const blst_fr *secret,
	   const blst_fr *random, blst_fr *out);

/**
 * struct share_use - how a leaf helps to get the secret back
 * @used: does it?
 * @small: its coefficient if that is a small number, else 0
 * @coefficient: its coefficient
 */
struct share_use {
	bool used;
	int64_t small;
	blst_fr coefficient;
};

/**
 * struct share_plan - which leaves to use, and how
 * @leaf: one for each leaf
 * @whole: is @scale 1?
 * @scale: times the sum of coefficients times shares, it is the secret
 */
struct share_plan {
	struct share_use leaf[POLICY_LEAVES_MAX];
	bool whole;
	blst_fr scale;
};

/**
 * share_select() - as few leaves as will do
 * @p: the policy
 * @have: for each leaf, whether its attribute is there
 * @out: receives which
 * Return: do they satisfy the policy?
 */
bool share_select(const struct chaosimg_policy *p, const bool *have,
		  struct share_plan *out);

/* --- abe_scheme.c ---------------------------------------------------------- */

/** abe_public_key() - a secret key's public one */
void abe_public_key(const struct abe_secret *secret,
		    struct chaosimg_authority *out);

/** abe_hash_user() - H */
void abe_hash_user(blst_p2_affine *out, const char *user);

/** abe_hash_attribute() - F, of "attribute@authority" by its authority's id */
void abe_hash_attribute(blst_p2_affine *out, const uint8_t authority[ABE_ID],
			const char *name);

/** abe_attribute_key() - issue one; its name and F are there. Return: 0 or -EIO */
int abe_attribute_key(const struct abe_secret *secret,
		      const blst_p2_affine *user, struct abe_attribute *out);

/** abe_attribute_ok() - is it what its authority issues? -ENOMEM counts as no */
bool abe_attribute_ok(const struct chaosimg_authority *a,
		      const blst_p2_affine *user,
		      const struct abe_attribute *attribute);

/**
 * struct abe_coins - all that is random in a ciphertext; in locked memory
 * @z: the secret that the policy's tree shares
 * @t: one for each leaf
 * @lambda: the shares of z
 * @omega: the shares of 0
 */
struct abe_coins {
	blst_fr z;
	blst_fr t[POLICY_LEAVES_MAX];
	blst_fr lambda[POLICY_LEAVES_MAX];
	blst_fr omega[POLICY_LEAVES_MAX];
};

/**
 * abe_rows() - the leaves' parts of a ciphertext
 * @p: the policy
 * @authority: for each leaf, whose it is
 * @key: for each leaf, a user's key that knows its F, or NULL
 * @coins: determine everything
 * @out: receives ABE_ROW bytes for each leaf
 * Return: 0 or -ENOMEM.
 */
int abe_rows(const struct chaosimg_policy *p,
	     const struct chaosimg_authority *const *authority,
	     const struct abe_attribute *const *key,
	     const struct abe_coins *coins, uint8_t *out);

/** abe_mask() - e(g1, g2) to the power of z, in bytes */
void abe_mask(const blst_fr *z, uint8_t out[ABE_GT]);

/**
 * abe_unmask() - the same from a ciphertext
 * @u: the user
 * @key: for each leaf, which of the user's attributes it is, or NULL
 * @plan: whether and how each leaf is used
 * @leaves: how many
 * @rows: the ciphertext's
 * @out: receives it
 * Return: 0; -EBADMSG if a row that is used holds no points of the groups;
 * -ENOMEM.
 */
int abe_unmask(const struct chaosimg_user *u,
	       const struct abe_attribute *const *key,
	       const struct share_plan *plan, unsigned int leaves,
	       const uint8_t *rows, uint8_t out[ABE_GT]);

/* --- abe_parallel.c -------------------------------------------------------- */

enum { ABE_WORKERS_MAX = 8 };

/** abe_workers() - how many are worth it for that many leaves */
unsigned int abe_workers(unsigned int leaves);

/** typedef abe_work_fn - what worker number @worker does; it cannot fail() */
typedef void abe_work_fn(void *arg, unsigned int worker);

/**
 * abe_parallel() - let workers 0 to @workers - 1 do their part, and wait
 * @workers: how many, at most ABE_WORKERS_MAX
 * @work: what each does; several at a time, if there are threads
 * @arg: passed on to @work
 */
void abe_parallel(unsigned int workers, abe_work_fn *work, void *arg);

/* --- abe_authority.c, abe_user.c ------------------------------------------- */

/** abe_authority_id() - fill in its @id from name and @bytes. Return: 0, -EIO */
int abe_authority_id(struct chaosimg_authority *a);

/** abe_user_decode() - from the bytes of a file. Return: as for the file */
int abe_user_decode(const char *where, const uint8_t *bytes, size_t len,
		    struct chaosimg_user **out);

/**
 * abe_user_encode() - the bytes of a file
 * @u: the user
 * @out: receives them, in locked memory, for secret_free()
 * @len: receives their length
 */
int abe_user_encode(const struct chaosimg_user *u, uint8_t **out, size_t *len);

/** abe_user_name_ok() - may a user be called so? */
bool abe_user_name_ok(const char *name);

#endif
