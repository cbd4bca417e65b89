/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * libchaosimg: protected archives of medical images.
 *
 * Archives, keys and files; chaosimg_names.h, chaosimg_check.h, chaosimg_rekey.h,
 * chaosimg_abe.h, chaosimg_rules.h and chaosimg_ingest.h have the rest.
 *
 * Every function that returns int returns 0, or a
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
#define CHAOSIMG_POLICY_NAME_MAX 64	/* characters of a policy's name */
#define CHAOSIMG_KEY_SIZE	32
#define CHAOSIMG_IV_SIZE	32
#define CHAOSIMG_BLOCK_SIZE	16	/* shortest message of the cipher */
#define CHAOSIMG_CHUNK_DEFAULT	8192
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
 *
 * It never holds a secret. Valid until the thread's next call into the library.
 *
 * Return: one line without a newline; empty if nothing has failed.
 */
const char *chaosimg_errmsg(void);

/**
 * chaosimg_version() - the library's version
 *
 * Return: a static string, as "1.0.0".
 */
const char *chaosimg_version(void);

/* --- the raw cipher ------------------------------------------------------- */

struct chaosimg_cipher;

/**
 * chaosimg_cipher_list() - the implementations that this machine can run
 * @names: receives pointers to static strings, the preferred one first
 * @max: room in @names
 *
 * Return: how many there are; at most @max were stored.
 */
size_t chaosimg_cipher_list(const char **names, size_t max);

/**
 * chaosimg_cipher_new() - a key for the raw chaosimg cipher
 * @impl: an implementation's name, "kernel" for the kernel's chaosimg through
 *	AF_ALG, or NULL for the preferred one
 * @key: the key
 * @out: receives the cipher; free it with chaosimg_cipher_free()
 *
 * The cipher is specified in Documentation/cipher.rst.
 *
 * Return: 0; -ENOENT for an implementation that does not exist or that this
 * machine cannot run; -ENOMEM; -EIO if the kernel refused the key.
 */
int chaosimg_cipher_new(const char *impl, const uint8_t key[CHAOSIMG_KEY_SIZE],
			struct chaosimg_cipher **out);

/**
 * chaosimg_cipher_crypt() - encrypt or decrypt one message
 * @c: the key; may be used by several threads at once
 * @encrypt: true to encrypt
 * @iv: the IV (tweak)
 * @dst: receives @len bytes; may be @src, must not overlap it otherwise
 * @src: the message, @len bytes
 * @len: at least CHAOSIMG_BLOCK_SIZE
 *
 * Return: 0; -EINVAL for a shorter message; -EIO if the kernel failed or has no
 * room for so long a message.
 */
int chaosimg_cipher_crypt(const struct chaosimg_cipher *c, bool encrypt,
			  const uint8_t iv[CHAOSIMG_IV_SIZE], uint8_t *dst,
			  const uint8_t *src, size_t len);

/**
 * chaosimg_cipher_free() - wipe and free
 * @c: the cipher; NULL is allowed
 */
void chaosimg_cipher_free(struct chaosimg_cipher *c);

/* --- credentials: what opens a key slot ----------------------------------- */

struct chaosimg_credential;

/**
 * chaosimg_keyfile_create() - make a key file with a fresh random key
 * @path: must not exist; made with mode 0600 and synced
 *
 * Format: Documentation/archive-format-keys.rst, "Key files".
 *
 * Return: 0; -EEXIST; -ENOMEM; -EIO without randomness; the system's error.
 */
int chaosimg_keyfile_create(const char *path);

/**
 * chaosimg_credential_keyfile() - read a key file
 * @path: a file, pipe or character device
 * @out: receives the credential; free it with chaosimg_credential_free()
 *
 * Of any kind: a key file, a compartment key file
 * (chaosimg_compartments_export()), or a user's key (chaosimg_abe.h; a regular
 * file). The last two are partial: chaosimg_credential_partial().
 *
 * Return: 0; -EBADMSG if it is not a key file or damaged; -EINVAL if it cannot
 * be read as a file; -ENOMEM; the system's error.
 */
int chaosimg_credential_keyfile(const char *path,
				struct chaosimg_credential **out);

/**
 * chaosimg_credential_passfile() - read a passphrase: a file's first line
 * @path: a file, pipe or character device; nothing behind the line is read
 * @out: receives the credential; free it with chaosimg_credential_free()
 *
 * Return: 0; -EINVAL for an empty or overlong (> 1024 bytes) passphrase, or if
 * it cannot be read as a file; -ENOMEM; the system's error.
 */
int chaosimg_credential_passfile(const char *path,
				 struct chaosimg_credential **out);

/**
 * chaosimg_credential_passphrase() - a passphrase in memory
 * @pass: the passphrase; it is copied, and the caller's copy is not wiped
 * @len: its length, 1 to 1024
 * @out: receives the credential; free it with chaosimg_credential_free()
 *
 * Return: 0; -EINVAL for another length; -ENOMEM.
 */
int chaosimg_credential_passphrase(const char *pass, size_t len,
				   struct chaosimg_credential **out);

/**
 * chaosimg_credential_partial() - is it for compartments only?
 * @c: the credential
 *
 * Return: true if it opens no key slot, but compartments of an archive, for
 * reading only: chaosimg_archive_open() needs CHAOSIMG_ARCHIVE_RDONLY then.
 */
bool chaosimg_credential_partial(const struct chaosimg_credential *c);

/**
 * chaosimg_credential_free() - wipe and free
 * @c: the credential; NULL is allowed
 */
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
 * @cred: opens the first key slot, number 0
 * @params: NULL for the defaults
 *
 * Return: 0; -ENOTEMPTY; -EINVAL for bad parameters; -ENOMEM; the system's
 * error. What was made is removed again on failure.
 */
int chaosimg_archive_create(const char *path,
			    const struct chaosimg_credential *cred,
			    const struct chaosimg_archive_params *params);

#define CHAOSIMG_ARCHIVE_RDONLY	1u	/* change nothing, take no lock */
/* Key slots may be changed while a mount holds the archive: take no lock. */
#define CHAOSIMG_ARCHIVE_NOLOCK	2u

/**
 * chaosimg_archive_open() - open an archive with a credential
 * @path: the archive's directory
 * @cred: tried on every key slot of its type
 * @flags: CHAOSIMG_ARCHIVE_*; without any, the archive is locked for writing
 *	until it is closed
 * @out: receives the archive; close it with chaosimg_archive_close()
 *
 * Nothing is changed on failure.
 *
 * Return: 0; -EKEYREJECTED; -EROFS for a credential of compartments without
 * CHAOSIMG_ARCHIVE_RDONLY; -EBADMSG; -EPROTONOSUPPORT; -ENOKEY; -EBUSY;
 * -ENOMEM; the system's error.
 */
int chaosimg_archive_open(const char *path,
			  const struct chaosimg_credential *cred,
			  unsigned int flags, struct chaosimg_archive **out);

/**
 * chaosimg_archive_lock() - lock what was opened with CHAOSIMG_ARCHIVE_NOLOCK
 * @a: the archive
 *
 * For who wants the keys at hand while another process still has the lock. What
 * that one changed meanwhile is noticed.
 *
 * Return: 0; -EBUSY; as chaosimg_archive_refresh().
 */
int chaosimg_archive_lock(struct chaosimg_archive *a);

/**
 * chaosimg_archive_close() - wipe the keys, drop the lock
 * @a: the archive, with no file open; NULL is allowed
 */
void chaosimg_archive_close(struct chaosimg_archive *a);

/**
 * chaosimg_archive_data_fd() - the encrypted tree's root
 * @a: the archive
 *
 * Return: a descriptor that stays the archive's.
 */
int chaosimg_archive_data_fd(const struct chaosimg_archive *a);

/**
 * chaosimg_archive_chunk_size() - plaintext bytes in a chunk
 * @a: the archive
 *
 * Return: a power of two, CHAOSIMG_CHUNK_MIN to CHAOSIMG_CHUNK_MAX.
 */
uint32_t chaosimg_archive_chunk_size(const struct chaosimg_archive *a);

/**
 * chaosimg_archive_readonly() - may nothing be changed?
 * @a: the archive
 *
 * Return: whether it was opened with CHAOSIMG_ARCHIVE_RDONLY.
 */
bool chaosimg_archive_readonly(const struct chaosimg_archive *a);

/**
 * chaosimg_archive_held() - which compartments can be read?
 * @a: the archive
 *
 * Of files under some keyset it may be fewer. What is not held is shown masked.
 * Without CHAOSIMG_IDENTITY names and targets of links are shown as they are
 * stored, and there are no extended attributes.
 *
 * Return: a set: bit 1 << n stands for enum chaosimg_compartment's n.
 */
unsigned int chaosimg_archive_held(const struct chaosimg_archive *a);

/**
 * chaosimg_archive_set_cipher() - choose the inner cipher's implementation
 * @a: the archive; no file of it may have been opened yet
 * @impl: as in chaosimg_cipher_new()
 *
 * Return: 0; -ENOENT; -ENOMEM; -EIO if the kernel refused a key.
 */
int chaosimg_archive_set_cipher(struct chaosimg_archive *a, const char *impl);

enum chaosimg_slot_type {
	CHAOSIMG_SLOT_KEYFILE,
	CHAOSIMG_SLOT_PASSPHRASE,
};

/**
 * struct chaosimg_slot_info - one key slot, as anyone may see it
 * @id: its number, never used twice in an archive
 * @type: what opens it
 * @created: seconds since 1970
 * @argon2_time: passes (RFC 9106); 0 for a key file
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
 * @version: of the format
 * @id: the archive's
 * @created: seconds since 1970
 * @chunk_size: plaintext bytes in a chunk
 * @keysets: how many there are
 * @slots: how many of @slot are in use
 * @slot: the key slots, numbers ascending
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
 * @path: the archive's directory
 * @info: filled in; checked for damage, but not authenticated
 *
 * Return: 0; -EBADMSG; -EPROTONOSUPPORT; -ENOMEM; the system's error.
 */
int chaosimg_archive_info(const char *path, struct chaosimg_archive_info *info);

/**
 * chaosimg_slot_add() - add a key slot to an opened archive
 * @a: the archive
 * @cred: opens the new slot
 * @id: receives the new slot's number, if not NULL
 *
 * A passphrase is stretched with Argon2id (RFC 9106): 3 passes, 64 MiB, 4
 * lanes.
 *
 * Return: 0; -ENOSPC if all slots are taken; -EROFS if opened read-only;
 * -EBADMSG; -EPROTONOSUPPORT; -ENOMEM; the system's error.
 */
int chaosimg_slot_add(struct chaosimg_archive *a,
		      const struct chaosimg_credential *cred, uint32_t *id);

/**
 * chaosimg_slot_remove() - remove a key slot
 * @a: the archive
 * @id: the slot's number
 *
 * Return: 0; -ENOENT; -EPERM for the last slot; -EROFS if opened read-only;
 * -EBADMSG; -EPROTONOSUPPORT; -ENOMEM; the system's error.
 */
int chaosimg_slot_remove(struct chaosimg_archive *a, uint32_t id);

/**
 * chaosimg_archive_rekey() - a new keyset, which serves files made from now on
 * @a: the archive; CHAOSIMG_ARCHIVE_NOLOCK lets a mount hold it meanwhile
 * @id: receives the new keyset's id, if not NULL
 *
 * Whoever has the archive open notices it by chaosimg_archive_refresh(), and
 * can read files under it even before. It is durable on return; after a crash
 * there is the new keyset, or only the old ones.
 *
 * Return: 0; -ENOSPC if there are too many keysets; -EROFS if opened
 * read-only; -EBADMSG; -EPROTONOSUPPORT; -ENOMEM; -EIO; the system's error.
 */
int chaosimg_archive_rekey(struct chaosimg_archive *a,
			   uint8_t id[CHAOSIMG_ID_SIZE]);

/**
 * chaosimg_archive_refresh() - notice a keyset that another process has made
 * @a: the archive
 *
 * One look at the configuration's times if nothing has changed. After an error
 * all goes on with the keysets that are known.
 *
 * Return: 0; -EBADMSG; -EPROTONOSUPPORT; -ENOKEY; -ENOMEM; the system's error.
 */
int chaosimg_archive_refresh(struct chaosimg_archive *a);

/**
 * chaosimg_archive_keyset() - which keyset serves new files
 * @a: the archive
 * @id: receives its id
 */
void chaosimg_archive_keyset(struct chaosimg_archive *a,
			     uint8_t id[CHAOSIMG_ID_SIZE]);

/**
 * chaosimg_compartments_export() - make a compartment key file
 * @a: the archive, opened with a key of a slot
 * @compartments: which it shall open: a set as of chaosimg_archive_held()
 * @path: must not exist; made with mode 0600 and synced
 *
 * It opens these compartments of all keysets, old and to come, and can not be
 * taken back. Format: Documentation/archive-format-keys.rst, "Compartment key
 * files".
 *
 * Return: 0; -EEXIST; -EINVAL for an empty or unknown set; -EACCES if @a was
 * opened for compartments only; -ENOMEM; the system's error.
 */
int chaosimg_compartments_export(struct chaosimg_archive *a,
				 unsigned int compartments, const char *path);

/* --- escrow ---------------------------------------------------------------- */

#define CHAOSIMG_ESCROW_SIZE	1024

/**
 * chaosimg_escrow() - the archive key as text that a person can type in again
 * @a: the archive
 * @text: receives it, NUL-terminated: the most secret thing that there is. Use
 *	locked memory, and wipe it
 *
 * Key slots and keysets may come and go: it stays right.
 * Format: Documentation/archive-format-keys.rst, "Escrow".
 *
 * Return: 0; -ENOMEM.
 */
int chaosimg_escrow(struct chaosimg_archive *a,
		    char text[CHAOSIMG_ESCROW_SIZE]);

/**
 * chaosimg_escrow_check() - is it typed right, as far as it goes?
 * @text: @len bytes
 * @len: its length
 *
 * Return: 0 if it is complete; -EAGAIN if more lines have to follow; -EBADMSG
 * with the wrong line in chaosimg_errmsg(); -EPROTONOSUPPORT; -ENOMEM.
 */
int chaosimg_escrow_check(const char *text, size_t len);

/**
 * struct chaosimg_restored - what came of it
 * @keysets: how many keysets the new configuration lists
 * @damaged: how many do not authenticate: files under them cannot be read
 */
struct chaosimg_restored {
	uint32_t keysets;
	uint32_t damaged;
};

/**
 * chaosimg_escrow_restore() - rebuild an archive's configuration
 * @path: the archive's directory; its keysets have to be there
 * @text: of the escrow, @len bytes
 * @len: its length
 * @cred: opens the one key slot that there will be
 * @replace: a configuration that is whole may be replaced, too
 * @out: filled in
 *
 * Return: 0; -EBADMSG if the text is wrong; -EKEYREJECTED if it is another
 * archive's; -ENOKEY if there is no keyset; -EEXIST; -EPROTONOSUPPORT; -ENOMEM;
 * the system's error. Nothing is changed on failure.
 */
int chaosimg_escrow_restore(const char *path, const char *text, size_t len,
			    const struct chaosimg_credential *cred,
			    bool replace, struct chaosimg_restored *out);

/* --- files ----------------------------------------------------------------- */

struct chaosimg_file;

/**
 * chaosimg_file_create() - write an empty file's header
 * @a: the archive
 * @fd: an empty file, opened for reading and writing, that the file object
 *	owns from now on (also on failure)
 * @binding: of the name under which it is about to appear
 * @out: receives the file; close it with chaosimg_file_close()
 *
 * Format: Documentation/archive-format.rst, "A stored file".
 *
 * Return: 0; -ENOMEM; -ENOKEY; -EIO; the system's error.
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
 * @a: the archive
 * @fd: the stored file, readable (and writable with CHAOSIMG_FILE_WRITE; also
 *	for reading unless the archive is read-only, so that a file which a
 *	crash left open can be settled); the file object owns it from now on,
 *	also on failure
 * @binding: of the name by which it was found; NULL to accept any
 * @flags: CHAOSIMG_FILE_*
 * @out: receives the file; close it with chaosimg_file_close()
 *
 * Who has the keys of some compartments reads the others' bytes as its mask has
 * them; of a file that is not sealed, or no DICOM if identity is missing, zeros.
 *
 * Return: 0; -EIO if damaged, cut, extended or of another place; -ENOKEY;
 * -EACCES if no compartment of its keyset is held; -EPROTONOSUPPORT; -EROFS for
 * writing to a read-only archive; -ENOMEM; the system's error.
 */
int chaosimg_file_open(struct chaosimg_archive *a, int fd,
		       const uint8_t binding[CHAOSIMG_BINDING_SIZE],
		       unsigned int flags, struct chaosimg_file **out);

/**
 * chaosimg_file_close() - write what is buffered, seal, free
 * @f: the file; gone in any case; NULL is allowed
 *
 * What cannot be written is lost, but nothing that a flush had written before.
 *
 * Return: 0; the error of this last write: -EIO, -ENOMEM or the system's.
 */
int chaosimg_file_close(struct chaosimg_file *f);

/**
 * chaosimg_file_length() - how long the file is
 * @f: the file
 *
 * Return: plaintext bytes, buffered ones included.
 */
uint64_t chaosimg_file_length(const struct chaosimg_file *f);

/**
 * chaosimg_file_durable() - may it have been promised to survive a power cut?
 * @f: the file
 *
 * Return: false for a new file, and for one that was opened with
 * CHAOSIMG_FILE_UNSYNCED, until the first chaosimg_file_sync().
 */
bool chaosimg_file_durable(const struct chaosimg_file *f);

/**
 * chaosimg_file_clean() - is there nothing left that closing would write?
 * @f: the file; nobody else uses it meanwhile
 */
bool chaosimg_file_clean(const struct chaosimg_file *f);

/**
 * chaosimg_file_fd() - the stored file, for fstat() and the like
 * @f: the file
 *
 * Return: a descriptor that stays the file's.
 */
int chaosimg_file_fd(const struct chaosimg_file *f);

/**
 * chaosimg_file_read() - read at an offset
 * @f: the file
 * @buf: receives up to @len bytes
 * @len: bytes wanted
 * @off: offset in the plaintext
 *
 * Return: bytes read, fewer than @len only at the end of the file; -EIO if a
 * chunk is damaged (nothing of that chunk was returned); -ENOMEM; the system's
 * error.
 */
ssize_t chaosimg_file_read(struct chaosimg_file *f, void *buf, size_t len,
			   uint64_t off);

/**
 * chaosimg_file_write() - write at an offset; past the end leaves a hole
 * @f: the file
 * @buf: @len bytes
 * @len: bytes to write
 * @off: offset in the plaintext
 *
 * After an error an unknown part of the range is changed, as with write(2).
 *
 * Return: @len; -EFBIG past the largest file; -EROFS if not writable; -EIO if a
 * chunk that is changed in part is damaged; -ENOMEM; the system's error.
 */
ssize_t chaosimg_file_write(struct chaosimg_file *f, const void *buf,
			    size_t len, uint64_t off);

/**
 * chaosimg_file_await_start() - let the beginning of a new file be written first
 * @f: the file
 * @off: where the caller is about to write
 *
 * For who gets what a cache holds of a file in order, but in several threads:
 * from its beginning a file is known to be DICOM, and what was written before
 * that has to be kept in memory until it is sealed. Waits for chaosimg_file_write()
 * at offset 0 for 2 ms at most, and only if nothing was written yet.
 */
void chaosimg_file_await_start(struct chaosimg_file *f, uint64_t off);

/**
 * chaosimg_file_truncate() - set the length; growing leaves a hole
 * @f: the file
 * @length: plaintext bytes
 *
 * A durable file that is cut to 0 and synced so has no durable contents any
 * more, until chaosimg_file_sync() is called again.
 *
 * Return: 0; -EFBIG; -EROFS if not writable; -EIO if the new last chunk is
 * damaged; -ENOMEM; the system's error.
 */
int chaosimg_file_truncate(struct chaosimg_file *f, uint64_t length);

/**
 * chaosimg_file_allocate() - fallocate(2)
 * @f: the file
 * @mode: 0, FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE|FALLOC_FL_KEEP_SIZE,
 *	FALLOC_FL_ZERO_RANGE with or without FALLOC_FL_KEEP_SIZE
 * @off: offset in the plaintext
 * @len: bytes, at least 1
 *
 * Return: 0; -EOPNOTSUPP for another mode; -EINVAL for an empty range; -EFBIG;
 * -EROFS if not writable; -EIO if a chunk at its ends is damaged; -ENOMEM; the
 * system's error.
 */
int chaosimg_file_allocate(struct chaosimg_file *f, int mode, uint64_t off,
			   uint64_t len);

/**
 * chaosimg_file_seek() - lseek(2)'s SEEK_DATA and SEEK_HOLE
 * @f: the file
 * @off: where to begin
 * @whence: SEEK_DATA or SEEK_HOLE; holes are whole chunks
 *
 * Return: the offset found; -ENXIO past the end or without further data;
 * -EINVAL for another @whence.
 */
int64_t chaosimg_file_seek(struct chaosimg_file *f, uint64_t off, int whence);

/**
 * chaosimg_file_flush() - write what is buffered and seal
 * @f: the file
 *
 * Afterwards the file survives the process being killed. Call it at each
 * close(2); a later write opens the file again.
 *
 * Return: 0; -EIO; -ENOMEM; the system's error.
 */
int chaosimg_file_flush(struct chaosimg_file *f);

/**
 * chaosimg_file_sync() - the same, and on stable storage: fsync(2)
 * @f: the file
 *
 * After an error Linux may have dropped what it could not write: take it as
 * lost, as on any of its file systems. A second call that succeeds does not say
 * that it is there.
 *
 * Return: 0; -EIO; -ENOMEM; the system's error.
 */
int chaosimg_file_sync(struct chaosimg_file *f);

/**
 * chaosimg_file_bind() - allow a further name, before it is made
 * @f: the file
 * @binding: of the name
 *
 * Synced if the file may be durable.
 *
 * Return: 0; -EMLINK if there are too many; -EIO; the system's error.
 */
int chaosimg_file_bind(struct chaosimg_file *f,
		       const uint8_t binding[CHAOSIMG_BINDING_SIZE]);

/**
 * chaosimg_file_unbind() - forget a name that is gone
 * @f: the file
 * @binding: of the name
 *
 * If the file is durable, the name's going has to be durable before this call.
 *
 * Return: 0; -EIO; the system's error.
 */
int chaosimg_file_unbind(struct chaosimg_file *f,
			 const uint8_t binding[CHAOSIMG_BINDING_SIZE]);

/**
 * chaosimg_file_bound() - may the file stand under this name?
 * @f: the file
 * @binding: of the name
 *
 * Return: whether its header allows it.
 */
bool chaosimg_file_bound(struct chaosimg_file *f,
			 const uint8_t binding[CHAOSIMG_BINDING_SIZE]);

/**
 * chaosimg_length_from_stored() - plaintext length of a stored file
 * @a: the archive
 * @stored: its size on the disk
 *
 * What stat(2) shall say without reading the file. Exact for every file that
 * is not open or left open by a crash, unless chaosimg_length_in_header() says
 * otherwise; chaosimg_file_open() checks it.
 *
 * Return: plaintext bytes; 0 if nothing is so short.
 */
uint64_t chaosimg_length_from_stored(const struct chaosimg_archive *a,
				     uint64_t stored);

/**
 * chaosimg_length_in_header() - is that what only its header tells?
 * @a: the archive
 * @stored: its size on the disk
 *
 * Return: true for a DICOM file, which has more than its records on the disk.
 */
bool chaosimg_length_in_header(const struct chaosimg_archive *a,
			       uint64_t stored);

/**
 * chaosimg_length_read() - plaintext length of such a file
 * @a: the archive
 * @fd: the stored file, for reading
 * @length: receives it, as the header says, which is not authenticated here
 *
 * Return: 0; -EIO if its header is damaged, or of another sort of file; the
 * system's error.
 */
int chaosimg_length_read(const struct chaosimg_archive *a, int fd,
			 uint64_t *length);

/**
 * chaosimg_length_fetch() - begin to read what chaosimg_length_read() needs
 * @a: the archive
 * @fd: a stored file, for reading
 *
 * For who will ask for the lengths of many: the disk may read all at a time.
 * Nothing is waited for.
 *
 * Return: true if it has been begun; false if it is in memory, if the file's
 * length does not stand in its header, or if its file system cannot do so.
 */
bool chaosimg_length_fetch(const struct chaosimg_archive *a, int fd);

enum chaosimg_compartment {
	CHAOSIMG_CLINICAL,
	CHAOSIMG_IDENTITY,
	CHAOSIMG_PIXELS,
};

/**
 * struct chaosimg_segment - a run of bytes of one compartment
 * @length: plaintext bytes
 * @compartment: which
 */
struct chaosimg_segment {
	uint64_t length;
	enum chaosimg_compartment compartment;
};

/**
 * struct chaosimg_file_info - what a stored file is
 * @file_id: its own id
 * @keyset_id: of the keyset that its keys come from
 * @length: plaintext bytes
 * @stored: bytes on the disk
 * @generation: how often its header was written
 * @sealed: false while it is open for writing, or left so by a crash
 * @dicom: it parsed as DICOM (PS3.10) when it was sealed
 * @modality: (0008,0060), may be empty
 * @transfer_syntax: (0002,0010), or what a bare data set was parsed as
 * @segments: how many of @segment are in use; 0 if it is not DICOM
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

/**
 * chaosimg_file_info() - what is known of a file
 * @f: the file
 * @info: filled in
 *
 * Return: 0.
 */
int chaosimg_file_info(struct chaosimg_file *f, struct chaosimg_file_info *info);

/**
 * chaosimg_file_verify() - read and authenticate all of a file
 * @f: the file
 *
 * Every chunk, and the incremental MAC, which also finds an older record put
 * back in its place.
 *
 * Return: 0; -EIO with the first bad chunk in chaosimg_errmsg(); -EACCES without
 * all keys; -ENOMEM; the system's error.
 */
int chaosimg_file_verify(struct chaosimg_file *f);

/* --- single images, without an archive ------------------------------------- */

/**
 * chaosimg_image_encrypt() - encrypt a stream into one self-contained file
 * @cred: what will open it
 * @in: read to its end
 * @out: an empty regular file, open for reading and writing
 * @progress: called now and then with the plaintext bytes done; may be NULL
 *
 * After an error @out's contents are to be thrown away.
 * Format: Documentation/archive-format-keys.rst, "Single images".
 *
 * Return: 0; -EINVAL if @out is not empty or not a regular file; -ENOMEM; -EIO;
 * the system's error.
 */
int chaosimg_image_encrypt(const struct chaosimg_credential *cred, int in,
			   int out, void (*progress)(uint64_t done));

/**
 * chaosimg_image_decrypt() - decrypt a file made by chaosimg_image_encrypt()
 * @cred: opens it
 * @in: a regular file
 * @out: written from its current position on; only authenticated bytes
 * @progress: called now and then with the plaintext bytes done; may be NULL
 *
 * Return: 0; -EKEYREJECTED; -EINVAL if @in is not a regular file; -EBADMSG if
 * it is no such file; -EPROTONOSUPPORT; -ENOMEM; the system's error; -EIO if
 * damaged: what was written to @out till then is authentic but incomplete.
 */
int chaosimg_image_decrypt(const struct chaosimg_credential *cred, int in,
			   int out, void (*progress)(uint64_t done));

/* --- what this machine can do ---------------------------------------------- */

/**
 * struct chaosimg_speed - what one thread gets done
 * @seal: plaintext bytes a second, encrypted
 * @open: plaintext bytes a second, authenticated and decrypted
 */
struct chaosimg_speed {
	double seal;
	double open;
};

/**
 * chaosimg_measure_records() - how fast this thread seals and opens records
 * @impl: the inner cipher's implementation, as in chaosimg_cipher_new()
 * @chunk_size: plaintext bytes in a record, as in an archive; 0 for the default
 * @seconds: measure for about so long; at most 3600
 * @out: filled in
 *
 * Both layers, in memory, under random keys: what an archive's images cost
 * without its disk.
 *
 * Return: 0; -EINVAL for a bad size or time; -ENOENT; -ENOMEM; -EIO without
 * randomness, or if the kernel's cipher failed.
 */
int chaosimg_measure_records(const char *impl, uint32_t chunk_size,
			     double seconds, struct chaosimg_speed *out);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif

#endif
