/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What names, directory ids, symbolic links and extended attributes share:
 * their keys, and two ways to encrypt a short string. Each puts chaosimg
 * inside and a standard authenticated cipher with a key of its own outside.
 */
#ifndef CHAOSIMG_NAMES_H
#define CHAOSIMG_NAMES_H

#include <openssl/evp.h>

#include "archive.h"
#include "chaosimg_names.h"
#include "gcm.h"

enum {
	NAME_UNIT = 32,		/* names are padded to a multiple of this */
	NAME_PADDED_MAX = 256,
	NAME_SIV_SIZE = 16,
	NAME_SIV_KEY_SIZE = 64,
	NAME_SEALED_MAX = NAME_SIV_SIZE + NAME_PADDED_MAX,
	NAME_HASH_SIZE = 32,

	LABEL_SIZE = 16,	/* second half of an inner IV */

	SYMLINK_MAX = 3000,
	XATTR_NAME_PLAIN_MAX = 127,

	VALUE_ZEROS_SIZE = 16,
	VALUE_OVERHEAD = GCM_NONCE_SIZE + VALUE_ZEROS_SIZE + GCM_TAG_SIZE,
	VALUE_BOUND_MAX = XATTR_NAME_PLAIN_MAX,

	DIR_MAC_SIZE = 12,
};

/**
 * struct name_siv - deterministic: chaosimg inside AES-256-SIV
 * @label: LABEL_SIZE bytes that say what for
 * @inner: the inner layer's key
 * @enc: keyed context to encrypt; only ever copied, so any thread may use it
 * @dec: the same to decrypt
 */
struct name_siv {
	const char *label;
	struct inner_key *inner;
	EVP_CIPHER_CTX *enc;
	EVP_CIPHER_CTX *dec;
};

/** struct name_value - randomised: chaosimg inside AES-256-GCM; as above */
struct name_value {
	const char *label;
	struct inner_key *inner;
	struct gcm_key outer;
};

/** struct name_keys - all of them; read-only once names_new() is done */
struct name_keys {
	struct name_siv name;
	struct name_siv xattr_name;
	struct name_value xattr_value;
	struct name_value symlink;
	EVP_MAC_CTX *dir_mac;	/* keyed, only ever copied */
	EVP_MD *sha256;
};

/**
 * names_new() - derive the keys
 * @a: the archive, for its cipher
 * @names: the names key; without, there are only those for directories
 * @dir_mac: the directory MAC key
 * @out: receives them, for names_free()
 * Return: 0; -ENOMEM; -EIO.
 */
int names_new(const struct chaosimg_archive *a, const uint8_t *names,
	      const uint8_t *dir_mac, struct name_keys **out);

/**
 * name_siv_seal() - encrypt a name
 * @s: the keys
 * @context: what it depends on, a directory's id
 * @name: the name
 * @len: 1 to CHAOSIMG_NAME_MAX; no byte of @name may be 0
 * @out: the SIV, then the ciphertext
 * Return: length of @out, or -EIO, -ENOMEM.
 */
ssize_t name_siv_seal(const struct name_siv *s,
		      const uint8_t context[CHAOSIMG_ID_SIZE], const char *name,
		      size_t len, uint8_t out[NAME_SEALED_MAX]);

/**
 * name_siv_open() - back again
 * @s: the keys
 * @context: as for name_siv_seal()
 * @sealed: the SIV, then the ciphertext
 * @len: bytes of @sealed
 * @name: receives the name, NUL-terminated
 * Return: its length; -EIO if name_siv_seal() did not make it. No error text
 * is set.
 */
ssize_t name_siv_open(const struct name_siv *s,
		      const uint8_t context[CHAOSIMG_ID_SIZE],
		      const uint8_t *sealed, size_t len,
		      char name[CHAOSIMG_NAME_MAX + 1]);

/**
 * name_value_seal() - encrypt a value
 * @v: the keys
 * @bound: what it is bound to besides the label, at most VALUE_BOUND_MAX
 *	bytes; may be empty
 * @in: the value
 * @len: bytes of @in
 * @out: receives @len + VALUE_OVERHEAD bytes, must not overlap @in
 * Return: 0, -E2BIG, -EIO.
 */
int name_value_seal(const struct name_value *v, const char *bound,
		    const void *in, size_t len, void *out);

/**
 * name_value_open() - back again
 * @v: the keys
 * @bound: as for name_value_seal()
 * @sealed: what name_value_seal() made
 * @len: bytes of @sealed
 * @out: receives @len - VALUE_OVERHEAD bytes
 * Return: 0; -EIO if name_value_seal() did not make it; -ENOMEM. No error text
 * is set.
 */
int name_value_open(const struct name_value *v, const char *bound,
		    const void *sealed, size_t len, void *out);

/**
 * name_replace_link() - put a symbolic link in the place of another, atomically
 * @dirfd: the directory
 * @target: the link's new target
 * @name: the link's name
 * Return: 0 or the system's error.
 */
int name_replace_link(int dirfd, const char *target, const char *name);

/**
 * name_check_form() - could this be a stored name? Without a key
 * @dirfd: the directory, to read a long name's companion
 * @stored: the entry's name
 * Return: 0; -ENOENT, without an error text, for the library's own entries;
 * -EBADMSG if it could not; the system's error.
 */
int name_check_form(int dirfd, const char *stored);

/**
 * dir_peek() - a directory's id, not authenticated
 * @dirfd: the directory
 * @id: receives it
 * Return: at how many places it may stand; -EIO if it is missing or damaged.
 */
int dir_peek(int dirfd, uint8_t id[CHAOSIMG_ID_SIZE]);

/** name_printable() - a stored name for a message; anybody may have made it */
const char *name_printable(const char *stored, char buf[64]);

#endif
