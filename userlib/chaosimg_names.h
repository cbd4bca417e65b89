/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * libchaosimg: what names, folders, symbolic links and extended attributes of an
 * archive are stored as.
 *
 * As in chaosimg.h, functions that return int return 0 or a negative errno
 * value, with one line in chaosimg_errmsg().
 */
#ifndef CHAOSIMG_NAMES_API_H
#define CHAOSIMG_NAMES_API_H

#include "chaosimg.h"

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)

/**
 * struct chaosimg_stored_name - a name as it stands in the archive
 * @name: what the directory entry is called on the disk
 * @binding: what a file's header must hold to be valid under this name; the
 *	SIV of the encrypted name, so it depends on directory and name
 * @companion: for a name too long to be stored in full, the name of a symbolic
 *	link beside it whose target is @target; else empty
 * @target: the companion's target
 */
struct chaosimg_stored_name {
	char name[CHAOSIMG_NAME_MAX + 1];
	uint8_t binding[CHAOSIMG_BINDING_SIZE];
	char companion[CHAOSIMG_NAME_MAX + 1];
	char target[512];
};

/**
 * chaosimg_name_encrypt() - the stored name of a name in a directory
 * @a: the archive
 * @dir_id: the directory's id
 * @name: 1 to CHAOSIMG_NAME_MAX bytes, without '/', not "." or ".."
 * @out: receives the stored name
 *
 * Deterministic: chaosimg, AES-256-SIV (RFC 5297), base32hex (RFC 4648).
 * Format: Documentation/archive-format-names.rst, "Names".
 *
 * Return: 0; -ENAMETOOLONG; -EINVAL; -EACCES without the compartment identity;
 * -ENOMEM; -EIO if the kernel's cipher failed.
 */
int chaosimg_name_encrypt(struct chaosimg_archive *a,
			  const uint8_t dir_id[CHAOSIMG_ID_SIZE],
			  const char *name, struct chaosimg_stored_name *out);

/**
 * chaosimg_name_find() - the stored name of a name that is looked up
 * @a: the archive
 * @dir_id: the directory's id
 * @dirfd: the directory, to read a long name's companion; O_PATH is enough
 * @name: as chaosimg_name_decrypt() gave it, or a person
 * @out: receives the stored name, without a companion
 *
 * The same as chaosimg_name_encrypt(), but works without the compartment
 * identity, too: then it is the stored name that is looked up.
 *
 * Return: 0; -ENOENT if nothing can be called so; -EIO if a long name's
 * companion is damaged; as chaosimg_name_encrypt().
 */
int chaosimg_name_find(struct chaosimg_archive *a,
		       const uint8_t dir_id[CHAOSIMG_ID_SIZE], int dirfd,
		       const char *name, struct chaosimg_stored_name *out);

/**
 * chaosimg_name_decrypt() - the name behind a directory entry
 * @a: the archive
 * @dir_id: the directory's id
 * @dirfd: the directory, to read a long name's companion
 * @stored: the entry's name
 * @name: receives the name
 * @binding: receives the binding, if not NULL
 *
 * Without the compartment identity the name is @stored itself.
 *
 * Return: 0; -ENOENT for the library's own entries (directory id, companions,
 * temporary files), which a listing leaves out; -EBADMSG for a name that does
 * not belong here; the system's error if it cannot be read.
 */
int chaosimg_name_decrypt(struct chaosimg_archive *a,
			  const uint8_t dir_id[CHAOSIMG_ID_SIZE], int dirfd,
			  const char *stored, char name[CHAOSIMG_NAME_MAX + 1],
			  uint8_t binding[CHAOSIMG_BINDING_SIZE]);

/**
 * chaosimg_name_companion_add() - make a long name's companion
 * @dirfd: the directory
 * @n: the name; for a short one nothing is done
 *
 * To be called before the entry is made. One that is there stays, or is mended
 * if its target is wrong.
 *
 * Return: 0; the system's error.
 */
int chaosimg_name_companion_add(int dirfd, const struct chaosimg_stored_name *n);

/**
 * chaosimg_name_companion_remove() - remove it, after the entry is gone
 * @dirfd: the directory
 * @n: the name; if its entry is there after all, the companion stays
 */
void chaosimg_name_companion_remove(int dirfd,
				    const struct chaosimg_stored_name *n);

/**
 * struct chaosimg_place - where a directory stands
 * @parent: id of the directory above
 * @binding: of its name there
 */
struct chaosimg_place {
	uint8_t parent[CHAOSIMG_ID_SIZE];
	uint8_t binding[CHAOSIMG_BINDING_SIZE];
};

/**
 * chaosimg_dir_init() - give a new, still unnamed (temporary) directory its id
 * @a: the archive
 * @dirfd: the directory, empty
 * @place: where it is about to be; NULL for the archive's root
 * @id: receives the fresh random id
 *
 * Format: Documentation/archive-format-names.rst, "Directories".
 *
 * Return: 0; -EIO without randomness; -ENOMEM; the system's error.
 */
int chaosimg_dir_init(struct chaosimg_archive *a, int dirfd,
		      const struct chaosimg_place *place,
		      uint8_t id[CHAOSIMG_ID_SIZE]);

/**
 * chaosimg_dir_load() - read a directory's id and check that it belongs here
 * @a: the archive
 * @dirfd: the directory
 * @place: where it was found; NULL for the archive's root
 * @id: receives the id
 *
 * Return: 0; -EIO if the id is missing, damaged, or of another place; -ENOMEM;
 * the system's error.
 */
int chaosimg_dir_load(struct chaosimg_archive *a, int dirfd,
		      const struct chaosimg_place *place,
		      uint8_t id[CHAOSIMG_ID_SIZE]);

/**
 * chaosimg_dir_bind() - say at which places a directory may stand
 * @a: the archive
 * @dirfd: the directory; O_PATH is enough
 * @id: its id
 * @place: one place
 * @second: another one, or NULL
 *
 * Before a directory is renamed it is bound to both places, after it to the
 * new one, so that a crash between leaves it usable. Atomic; synced when
 * @second is given.
 *
 * Return: 0; -ENOMEM; the system's error.
 */
int chaosimg_dir_bind(struct chaosimg_archive *a, int dirfd,
		      const uint8_t id[CHAOSIMG_ID_SIZE],
		      const struct chaosimg_place *place,
		      const struct chaosimg_place *second);

/* CHAOSIMG_DIR_ENTRY: the symbolic link in each directory that holds its id */
#define CHAOSIMG_DIR_ENTRY	"chaosimg.dir"
/* CHAOSIMG_TMP_PREFIX: names of temporary entries begin so */
#define CHAOSIMG_TMP_PREFIX	"chaosimg.tmp."

/**
 * chaosimg_symlink_encrypt() - a symbolic link's target, for the disk
 * @a: the archive
 * @target: 1 to 3000 bytes
 * @out: receives the stored target, NUL-terminated
 * @size: room in @out; 4096 is always enough
 *
 * Format: Documentation/archive-format-names.rst, "Symbolic links".
 *
 * Return: 0; -ENAMETOOLONG, also if @size is too small; -EINVAL if it is empty;
 * -ENOMEM; -EIO without randomness.
 */
int chaosimg_symlink_encrypt(struct chaosimg_archive *a, const char *target,
			     char *out, size_t size);

/**
 * chaosimg_symlink_decrypt() - back again
 * @a: the archive
 * @stored: the stored target, NUL-terminated
 * @out: receives the target, NUL-terminated
 * @size: room in @out; 4096 is always enough
 *
 * Without the compartment identity the target is @stored itself.
 *
 * Return: 0; -EIO if damaged; -ENAMETOOLONG if @size is too small; -ENOMEM.
 */
int chaosimg_symlink_decrypt(struct chaosimg_archive *a, const char *stored,
			     char *out, size_t size);

/**
 * chaosimg_symlink_length() - length of the target that a stored one hides
 * @stored_len: strlen() of the stored target
 *
 * Return: the plain length, without reading the link.
 */
size_t chaosimg_symlink_length(size_t stored_len);

/**
 * chaosimg_xattr_name_encrypt() - an extended attribute's name, for the disk
 * @a: the archive
 * @name: 1 to 127 bytes, with its prefix ("user.")
 * @out: receives the stored name
 *
 * Format: Documentation/archive-format-names.rst, "Extended attributes".
 *
 * Return: 0; -ENAMETOOLONG; -EINVAL if it is empty; -ENOMEM; -EIO if the
 * kernel's cipher failed.
 */
int chaosimg_xattr_name_encrypt(struct chaosimg_archive *a, const char *name,
				char out[CHAOSIMG_NAME_MAX + 1]);

/**
 * chaosimg_xattr_name_decrypt() - back again
 * @a: the archive
 * @stored: the stored name
 * @out: receives the plain name
 *
 * Return: 0; -ENOENT for attributes that are not the archive's; -EIO if it is
 * damaged.
 */
int chaosimg_xattr_name_decrypt(struct chaosimg_archive *a, const char *stored,
				char out[CHAOSIMG_NAME_MAX + 1]);

/* CHAOSIMG_XATTR_OVERHEAD: a stored value is longer by so many bytes */
#define CHAOSIMG_XATTR_OVERHEAD	44

/**
 * chaosimg_xattr_value_encrypt() - an extended attribute's value, for the disk
 * @a: the archive
 * @name: the attribute's plain name; the value is bound to it
 * @value: the value
 * @len: its length; may be 0
 * @out: receives @len + CHAOSIMG_XATTR_OVERHEAD bytes
 *
 * Return: 0; -EINVAL or -ENAMETOOLONG for a bad name; -ENOMEM; -EIO without
 * randomness.
 */
int chaosimg_xattr_value_encrypt(struct chaosimg_archive *a, const char *name,
				 const void *value, size_t len, void *out);

/**
 * chaosimg_xattr_value_decrypt() - back again
 * @a: the archive
 * @name: the attribute's plain name
 * @stored: the stored value
 * @len: its length
 * @out: receives @len - CHAOSIMG_XATTR_OVERHEAD bytes
 *
 * Return: 0; -EIO if damaged or of another attribute; -EINVAL or -ENAMETOOLONG
 * for a bad name; -ENOMEM.
 */
int chaosimg_xattr_value_decrypt(struct chaosimg_archive *a, const char *name,
				 const void *stored, size_t len, void *out);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif

#endif
