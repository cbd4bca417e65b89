/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * libchaosimg: protected archives of medical images.
 *
 * The one public header. Every function that returns int returns 0, or a
 * negative errno value; chaosimg_errmsg() then holds one line that names the
 * object and the cause. All lengths are in bytes. Unless a function says
 * otherwise it may be called from any thread.
 */
#ifndef CHAOSIMG_H
#define CHAOSIMG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)

#define CHAOSIMG_ID_SIZE	16	/* archive, keyset, file and directory ids */
#define CHAOSIMG_BINDING_SIZE	16	/* what ties a file to its name */
#define CHAOSIMG_NAME_MAX	255	/* longest name, plain or stored */
#define CHAOSIMG_KEY_SIZE	32
#define CHAOSIMG_IV_SIZE	32
#define CHAOSIMG_BLOCK_SIZE	16	/* shortest message of the cipher */
#define CHAOSIMG_CHUNK_DEFAULT	65536
#define CHAOSIMG_CHUNK_MIN	4096
#define CHAOSIMG_CHUNK_MAX	1048576
#define CHAOSIMG_SEGMENTS_MAX	100
#define CHAOSIMG_BINDINGS_MAX	16	/* hard links of one file */

/* --- errors --------------------------------------------------------------- */

/*
 * Errors with a meaning of their own, besides the system's usual ones:
 *   -EKEYREJECTED	wrong key or passphrase
 *   -EBADMSG		damaged or foreign configuration or keyset
 *   -EPROTONOSUPPORT	a newer format version
 *   -ENOKEY		a keyset is missing
 *   -EBUSY		mounted for writing elsewhere
 *   -EIO		a stored file, name or directory is damaged or misplaced
 */

/**
 * chaosimg_errmsg() - what went wrong last in this thread
 * Return: one line without a newline; empty if nothing has failed. It never
 * holds a secret. Valid until the thread's next call into the library.
 */
const char *chaosimg_errmsg(void);

/** chaosimg_version() - the library's version, as "1.0.0" */
const char *chaosimg_version(void);

/* --- the raw cipher ------------------------------------------------------- */

struct chaosimg_cipher;

/**
 * chaosimg_cipher_list() - the implementations that this machine can run
 * @names: receives pointers to static strings, the preferred one first
 * @max: room in @names
 * Return: how many there are; at most @max were stored.
 */
size_t chaosimg_cipher_list(const char **names, size_t max);

/**
 * chaosimg_cipher_new() - a key for the raw chaosimg cipher
 * @impl: an implementation's name, "kernel" for the kernel's chaosimg through
 *        AF_ALG, or NULL for the preferred one
 * @key: the key
 * @out: receives the cipher; free it with chaosimg_cipher_free()
 * Return: 0; -ENOENT for an implementation that does not exist or that this
 * machine cannot run; -ENOMEM.
 */
int chaosimg_cipher_new(const char *impl, const uint8_t key[CHAOSIMG_KEY_SIZE],
			struct chaosimg_cipher **out);

/**
 * chaosimg_cipher_crypt() - encrypt or decrypt one message
 * @encrypt: true to encrypt
 * @iv: the IV (tweak)
 * @dst: receives @len bytes; may be @src, must not overlap it otherwise
 * @len: at least CHAOSIMG_BLOCK_SIZE
 * Return: 0, -EINVAL for a shorter message, -EIO if the kernel failed.
 */
int chaosimg_cipher_crypt(const struct chaosimg_cipher *c, bool encrypt,
			  const uint8_t iv[CHAOSIMG_IV_SIZE], uint8_t *dst,
			  const uint8_t *src, size_t len);

/** chaosimg_cipher_free() - wipe and free; NULL is allowed */
void chaosimg_cipher_free(struct chaosimg_cipher *c);

/* --- credentials: what opens a key slot ----------------------------------- */

struct chaosimg_credential;

/**
 * chaosimg_keyfile_create() - make a key file with a fresh random key
 * @path: must not exist; made with mode 0600 and synced
 * Return: 0, -EEXIST, or the system's error.
 */
int chaosimg_keyfile_create(const char *path);

/**
 * chaosimg_credential_keyfile() - read a key file
 * Return: 0; -EBADMSG if it is not a key file or damaged; the system's error.
 */
int chaosimg_credential_keyfile(const char *path,
				struct chaosimg_credential **out);

/**
 * chaosimg_credential_passfile() - read a passphrase: a file's first line
 * Return: 0; -EINVAL for an empty or overlong (> 1024 bytes) passphrase; the
 * system's error.
 */
int chaosimg_credential_passfile(const char *path,
				 struct chaosimg_credential **out);

/** chaosimg_credential_passphrase() - a passphrase in memory; it is copied */
int chaosimg_credential_passphrase(const char *pass, size_t len,
				   struct chaosimg_credential **out);

/** chaosimg_credential_free() - wipe and free; NULL is allowed */
void chaosimg_credential_free(struct chaosimg_credential *c);

/* --- archives -------------------------------------------------------------- */

struct chaosimg_archive;

/**
 * struct chaosimg_archive_params - what is chosen when an archive is made
 * @chunk_size: plaintext bytes in a chunk, a power of two from
 *	CHAOSIMG_CHUNK_MIN to CHAOSIMG_CHUNK_MAX; 0 for the default
 */
struct chaosimg_archive_params {
	uint32_t chunk_size;
};

/**
 * chaosimg_archive_create() - make a new, empty archive
 * @path: a directory that does not exist or is empty
 * Return: 0; -ENOTEMPTY; -EINVAL for bad parameters; the system's error.
 */
int chaosimg_archive_create(const char *path,
			    const struct chaosimg_credential *cred,
			    const struct chaosimg_archive_params *params);

#define CHAOSIMG_ARCHIVE_RDONLY	1u	/* change nothing, take no lock */
/* Key slots may be changed while a mount holds the archive: take no lock. */
#define CHAOSIMG_ARCHIVE_NOLOCK	2u

/**
 * chaosimg_archive_open() - open an archive with a credential
 * @flags: CHAOSIMG_ARCHIVE_*; without any, the archive is locked for writing
 *	until it is closed
 * Return: 0; -EKEYREJECTED; -EBADMSG; -EPROTONOSUPPORT; -ENOKEY; -EBUSY;
 * the system's error. Nothing is changed on failure.
 */
int chaosimg_archive_open(const char *path,
			  const struct chaosimg_credential *cred,
			  unsigned int flags, struct chaosimg_archive **out);

/** chaosimg_archive_close() - wipe the keys, drop the lock; NULL is allowed */
void chaosimg_archive_close(struct chaosimg_archive *a);

/** chaosimg_archive_data_fd() - descriptor of the encrypted tree's root */
int chaosimg_archive_data_fd(const struct chaosimg_archive *a);

/** chaosimg_archive_chunk_size() - plaintext bytes in a chunk */
uint32_t chaosimg_archive_chunk_size(const struct chaosimg_archive *a);

/** chaosimg_archive_readonly() - opened with CHAOSIMG_ARCHIVE_RDONLY? */
bool chaosimg_archive_readonly(const struct chaosimg_archive *a);

/**
 * chaosimg_archive_set_cipher() - choose the inner cipher's implementation
 * @impl: as in chaosimg_cipher_new()
 * Call it before any file is opened. Return: 0 or -ENOENT.
 */
int chaosimg_archive_set_cipher(struct chaosimg_archive *a, const char *impl);

enum chaosimg_slot_type {
	CHAOSIMG_SLOT_KEYFILE,
	CHAOSIMG_SLOT_PASSPHRASE,
};

/**
 * struct chaosimg_slot_info - one key slot, as anyone may see it
 * @id: its number, never used twice in an archive
 * @created: seconds since 1970
 * @argon2_time: passes; 0 for a key file
 * @argon2_memory: KiB; 0 for a key file
 * @argon2_lanes: parallelism; 0 for a key file
 */
struct chaosimg_slot_info {
	uint32_t id;
	enum chaosimg_slot_type type;
	uint64_t created;
	uint32_t argon2_time;
	uint32_t argon2_memory;
	uint32_t argon2_lanes;
};

/**
 * struct chaosimg_archive_info - what the configuration says without a key
 */
struct chaosimg_archive_info {
	uint32_t version;
	uint8_t id[CHAOSIMG_ID_SIZE];
	uint64_t created;
	uint32_t chunk_size;
	uint32_t keysets;
	uint32_t slots;
	struct chaosimg_slot_info slot[64];
};

#define CHAOSIMG_SLOTS_MAX 64

/**
 * chaosimg_archive_info() - read the configuration without a key
 * It is then checked for damage, but not authenticated.
 * Return: 0; -EBADMSG; -EPROTONOSUPPORT; the system's error.
 */
int chaosimg_archive_info(const char *path, struct chaosimg_archive_info *info);

/**
 * chaosimg_slot_add() - add a key slot to an opened archive
 * @id: receives the new slot's number, if not NULL
 * Return: 0; -ENOSPC if all slots are taken; the system's error.
 */
int chaosimg_slot_add(struct chaosimg_archive *a,
		      const struct chaosimg_credential *cred, uint32_t *id);

/**
 * chaosimg_slot_remove() - remove a key slot
 * Return: 0; -ENOENT; -EPERM for the last slot; the system's error.
 */
int chaosimg_slot_remove(struct chaosimg_archive *a, uint32_t id);

/* --- names ----------------------------------------------------------------- */

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
 * @dir_id: the directory's id
 * @name: 1 to CHAOSIMG_NAME_MAX bytes, without '/', not "." or ".."
 * Return: 0; -ENAMETOOLONG; -EINVAL.
 */
int chaosimg_name_encrypt(struct chaosimg_archive *a,
			  const uint8_t dir_id[CHAOSIMG_ID_SIZE],
			  const char *name, struct chaosimg_stored_name *out);

/**
 * chaosimg_name_decrypt() - the name behind a directory entry
 * @dirfd: the directory, to read a long name's companion
 * @stored: the entry's name
 * @name: receives the name
 * @binding: receives the binding, if not NULL
 * Return: 0; -ENOENT for the library's own entries (directory id, companions,
 * temporary files), which a listing leaves out; -EIO for a name that does not
 * belong here.
 */
int chaosimg_name_decrypt(struct chaosimg_archive *a,
			  const uint8_t dir_id[CHAOSIMG_ID_SIZE], int dirfd,
			  const char *stored, char name[CHAOSIMG_NAME_MAX + 1],
			  uint8_t binding[CHAOSIMG_BINDING_SIZE]);

/**
 * chaosimg_name_companion_add() - make a long name's companion, before the entry
 * Does nothing for a short name, or if the companion exists.
 */
int chaosimg_name_companion_add(int dirfd, const struct chaosimg_stored_name *n);

/** chaosimg_name_companion_remove() - remove it, after the entry is gone */
void chaosimg_name_companion_remove(int dirfd,
				    const struct chaosimg_stored_name *n);

/**
 * struct chaosimg_place - where a directory stands: its parent and its name there
 */
struct chaosimg_place {
	uint8_t parent[CHAOSIMG_ID_SIZE];
	uint8_t binding[CHAOSIMG_BINDING_SIZE];
};

/**
 * chaosimg_dir_init() - give a new, still unnamed (temporary) directory its id
 * @dirfd: the directory, empty
 * @place: where it is about to be; NULL for the archive's root
 * @id: receives the fresh random id
 */
int chaosimg_dir_init(struct chaosimg_archive *a, int dirfd,
		      const struct chaosimg_place *place,
		      uint8_t id[CHAOSIMG_ID_SIZE]);

/**
 * chaosimg_dir_load() - read a directory's id and check that it belongs here
 * @place: where it was found; NULL for the archive's root
 * Return: 0; -EIO if the id is missing, damaged, or of another place.
 */
int chaosimg_dir_load(struct chaosimg_archive *a, int dirfd,
		      const struct chaosimg_place *place,
		      uint8_t id[CHAOSIMG_ID_SIZE]);

/**
 * chaosimg_dir_bind() - say at which places a directory may stand
 * @old: one place
 * @new: a second one, or NULL
 * Before a directory is renamed it is bound to both places, after it to the
 * new one, so that a crash between leaves it usable. Atomic; synced when @new
 * is given.
 */
int chaosimg_dir_bind(struct chaosimg_archive *a, int dirfd,
		      const uint8_t id[CHAOSIMG_ID_SIZE],
		      const struct chaosimg_place *old,
		      const struct chaosimg_place *new);

/** CHAOSIMG_DIR_ENTRY - the symbolic link in each directory that holds its id */
#define CHAOSIMG_DIR_ENTRY	"chaosimg.dir"
/** CHAOSIMG_TMP_PREFIX - names of temporary entries begin so */
#define CHAOSIMG_TMP_PREFIX	"chaosimg.tmp."

/**
 * chaosimg_symlink_encrypt() - a symbolic link's target, for the disk
 * @target: up to 3000 bytes
 * @out: receives the stored target, NUL-terminated
 * @size: room in @out; 4096 is always enough
 * Return: 0; -ENAMETOOLONG.
 */
int chaosimg_symlink_encrypt(struct chaosimg_archive *a, const char *target,
			     char *out, size_t size);

/** chaosimg_symlink_decrypt() - back again; -EIO if damaged */
int chaosimg_symlink_decrypt(struct chaosimg_archive *a, const char *stored,
			     char *out, size_t size);

/**
 * chaosimg_symlink_length() - length of the target that a stored one hides
 * @stored_len: strlen() of the stored target
 * Return: the plain length, without reading the link.
 */
size_t chaosimg_symlink_length(size_t stored_len);

/**
 * chaosimg_xattr_name_encrypt() - an extended attribute's name, for the disk
 * Return: 0; -ENAMETOOLONG for a name of more than 127 bytes.
 */
int chaosimg_xattr_name_encrypt(struct chaosimg_archive *a, const char *name,
				char out[CHAOSIMG_NAME_MAX + 1]);

/**
 * chaosimg_xattr_name_decrypt() - back again
 * Return: 0; -ENOENT for attributes that are not the archive's; -EIO if damaged.
 */
int chaosimg_xattr_name_decrypt(struct chaosimg_archive *a, const char *stored,
				char out[CHAOSIMG_NAME_MAX + 1]);

/** CHAOSIMG_XATTR_OVERHEAD - a stored value is longer by so many bytes */
#define CHAOSIMG_XATTR_OVERHEAD	44

/**
 * chaosimg_xattr_value_encrypt() - an extended attribute's value, for the disk
 * @name: the attribute's plain name; the value is bound to it
 * @out: receives @len + CHAOSIMG_XATTR_OVERHEAD bytes
 */
int chaosimg_xattr_value_encrypt(struct chaosimg_archive *a, const char *name,
				 const void *value, size_t len, void *out);

/**
 * chaosimg_xattr_value_decrypt() - back again
 * @out: receives @len - CHAOSIMG_XATTR_OVERHEAD bytes
 * Return: 0; -EIO if damaged or of another attribute.
 */
int chaosimg_xattr_value_decrypt(struct chaosimg_archive *a, const char *name,
				 const void *stored, size_t len, void *out);

/* --- files ----------------------------------------------------------------- */

struct chaosimg_file;

/**
 * chaosimg_file_create() - write an empty file's header
 * @fd: an empty file, opened for reading and writing, that the file object
 *	owns from now on (also on failure)
 * @binding: of the name under which it is about to appear
 */
int chaosimg_file_create(struct chaosimg_archive *a, int fd,
			 const uint8_t binding[CHAOSIMG_BINDING_SIZE],
			 struct chaosimg_file **out);

#define CHAOSIMG_FILE_WRITE	1u	/* opened for writing too */
/*
 * The caller made the file, or saw chaosimg_file_durable() say false, moments
 * ago: a power cut may take it, so no order of writes need be forced.
 */
#define CHAOSIMG_FILE_UNSYNCED	2u

/**
 * chaosimg_file_open() - open a stored file
 * @fd: the stored file, readable (and writable with CHAOSIMG_FILE_WRITE; also
 *	for reading unless the archive is read-only, so that a file which a
 *	crash left open can be settled); the file object owns it from now on
 * @binding: of the name by which it was found; NULL to accept any
 * @flags: CHAOSIMG_FILE_*
 * Return: 0; -EIO if damaged, cut, extended or of another place; -ENOKEY;
 * -EPROTONOSUPPORT; -ENOMEM.
 */
int chaosimg_file_open(struct chaosimg_archive *a, int fd,
		       const uint8_t binding[CHAOSIMG_BINDING_SIZE],
		       unsigned int flags, struct chaosimg_file **out);

/**
 * chaosimg_file_close() - write what is buffered, seal, free
 * Return: 0 or the first error of this or an earlier, unreported write. The
 * object is gone in any case. NULL is allowed.
 */
int chaosimg_file_close(struct chaosimg_file *f);

/** chaosimg_file_length() - plaintext bytes, buffered ones included */
uint64_t chaosimg_file_length(const struct chaosimg_file *f);

/**
 * chaosimg_file_durable() - may something of it be promised to survive a power
 * cut? False for a new file until its first chaosimg_file_sync().
 */
bool chaosimg_file_durable(const struct chaosimg_file *f);

/** chaosimg_file_fd() - the stored file's descriptor, for fstat() and the like */
int chaosimg_file_fd(const struct chaosimg_file *f);

/**
 * chaosimg_file_read() - read at an offset
 * Return: bytes read, fewer than @len only at the end of the file; -EIO if a
 * chunk is damaged (nothing of that chunk was returned).
 */
ssize_t chaosimg_file_read(struct chaosimg_file *f, void *buf, size_t len,
			   uint64_t off);

/**
 * chaosimg_file_write() - write at an offset; past the end leaves a hole
 * Return: @len, or a negative error and then an unknown part of the range is
 * changed, as with write(2). -EFBIG past the largest file.
 */
ssize_t chaosimg_file_write(struct chaosimg_file *f, const void *buf,
			    size_t len, uint64_t off);

/** chaosimg_file_truncate() - set the length; growing leaves a hole */
int chaosimg_file_truncate(struct chaosimg_file *f, uint64_t length);

/**
 * chaosimg_file_allocate() - fallocate(2)
 * @mode: 0, FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE|FALLOC_FL_KEEP_SIZE,
 *	FALLOC_FL_ZERO_RANGE with or without FALLOC_FL_KEEP_SIZE
 * Return: 0; -EOPNOTSUPP for another mode; -ENOSPC and the like.
 */
int chaosimg_file_allocate(struct chaosimg_file *f, int mode, uint64_t off,
			   uint64_t len);

/** chaosimg_file_seek() - lseek(2)'s SEEK_DATA and SEEK_HOLE; -ENXIO, -EINVAL */
int64_t chaosimg_file_seek(struct chaosimg_file *f, uint64_t off, int whence);

/**
 * chaosimg_file_flush() - write what is buffered and seal
 * Afterwards the file survives the process being killed. Call it at each
 * close(2); a later write opens the file again.
 */
int chaosimg_file_flush(struct chaosimg_file *f);

/** chaosimg_file_sync() - the same, and on stable storage: fsync(2) */
int chaosimg_file_sync(struct chaosimg_file *f);

/**
 * chaosimg_file_bind() - allow a further name, before it is made
 * Synced if the file may be durable. Return: 0; -EMLINK if there are too many.
 */
int chaosimg_file_bind(struct chaosimg_file *f,
		       const uint8_t binding[CHAOSIMG_BINDING_SIZE]);

/**
 * chaosimg_file_unbind() - a name is gone
 * If the file is durable, its going has to be durable before this call.
 */
int chaosimg_file_unbind(struct chaosimg_file *f,
			 const uint8_t binding[CHAOSIMG_BINDING_SIZE]);

/** chaosimg_file_bound() - may the file stand under this name? */
bool chaosimg_file_bound(struct chaosimg_file *f,
			 const uint8_t binding[CHAOSIMG_BINDING_SIZE]);

/**
 * chaosimg_length_from_stored() - plaintext length of a stored file
 * @stored: its size on the disk
 * What stat(2) shall say without reading the file. Exact for every file that
 * is not open or left open by a crash; chaosimg_file_open() checks it.
 */
uint64_t chaosimg_length_from_stored(const struct chaosimg_archive *a,
				     uint64_t stored);

enum chaosimg_compartment {
	CHAOSIMG_CLINICAL,
	CHAOSIMG_IDENTITY,
	CHAOSIMG_PIXELS,
};

/** struct chaosimg_segment - a run of bytes of one compartment */
struct chaosimg_segment {
	uint64_t length;
	enum chaosimg_compartment compartment;
};

/**
 * struct chaosimg_file_info - what a stored file is
 * @sealed: false while it is open for writing, or left so by a crash
 * @dicom: it parsed as DICOM when it was sealed
 * @modality: (0008,0060), may be empty
 * @transfer_syntax: (0002,0010), or what a bare data set was parsed as
 * @segment: runs that follow each other from offset 0 to the end
 */
struct chaosimg_file_info {
	uint8_t file_id[CHAOSIMG_ID_SIZE];
	uint8_t keyset_id[CHAOSIMG_ID_SIZE];
	uint64_t length;
	uint64_t stored;
	uint64_t generation;
	bool sealed;
	bool dicom;
	char modality[17];
	char transfer_syntax[65];
	uint32_t segments;
	struct chaosimg_segment segment[CHAOSIMG_SEGMENTS_MAX];
};

int chaosimg_file_info(struct chaosimg_file *f, struct chaosimg_file_info *info);

/**
 * chaosimg_file_verify() - read and authenticate every chunk, and the
 * incremental MAC, which also finds an older record put back in its place
 * Return: 0, or -EIO with the first bad chunk in chaosimg_errmsg().
 */
int chaosimg_file_verify(struct chaosimg_file *f);

/* --- single images, without an archive ------------------------------------- */

/**
 * chaosimg_image_encrypt() - encrypt a stream into one self-contained file
 * @in: read to its end
 * @out: an empty regular file, open for reading and writing
 * @progress: called now and then with the plaintext bytes done; may be NULL
 * Return: 0, or an error; @out's contents are then to be thrown away.
 */
int chaosimg_image_encrypt(const struct chaosimg_credential *cred, int in,
			   int out, void (*progress)(uint64_t done));

/**
 * chaosimg_image_decrypt() - decrypt a file made by chaosimg_image_encrypt()
 * @in: a regular file
 * @out: written from its current position on; only authenticated bytes
 * Return: 0; -EKEYREJECTED; -EBADMSG if it is no such file; -EIO if damaged:
 * what was written to @out till then is authentic but incomplete.
 */
int chaosimg_image_decrypt(const struct chaosimg_credential *cred, int in,
			   int out, void (*progress)(uint64_t done));

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif

#endif
