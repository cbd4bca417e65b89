/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * libchaosimg: moving stored files to the newest keyset: that of the policy, which
 * rules may give to a file, or of the archive's own, so the one that the file
 * would get if it were written now.
 *
 * As in chaosimg.h, functions that return int return 0 or a negative errno
 * value, with one line in chaosimg_errmsg().
 */
#ifndef CHAOSIMG_REKEY_H
#define CHAOSIMG_REKEY_H

#include <sys/ioctl.h>

#include "chaosimg.h"

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)

struct chaosimg_renewal;

/**
 * chaosimg_renewal_due() - may a stored file have to be moved?
 * @a: the archive
 * @fd: the stored file, readable
 *
 * If there are policies that rules choose, only chaosimg_renewal_begin() can
 * tell.
 *
 * Return: 1 if so, 0 if not; -EIO if the header is damaged; -EPROTONOSUPPORT;
 * the system's error.
 */
int chaosimg_renewal_due(struct chaosimg_archive *a, int fd);

/**
 * chaosimg_renewal_begin() - begin to write a stored file anew
 * @a: the archive
 * @fd: the stored file, readable and writable; owned by this function, also on
 *	failure
 * @binding: of the name by which it was found; NULL to accept any
 * @dirfd: the directory it is in, readable
 * @out: receives what chaosimg_renewal_end() ends
 *
 * Nobody may have the file open for writing at this moment. From here on to
 * chaosimg_renewal_replace() others may do with it what they like.
 *
 * Return: 0; -EALREADY if it is under the newest keyset; -EMLINK if it has
 * several names; -EIO if it is damaged; -ENOKEY; -ENOMEM; the system's error.
 */
int chaosimg_renewal_begin(struct chaosimg_archive *a, int fd,
			   const uint8_t binding[CHAOSIMG_BINDING_SIZE],
			   int dirfd, struct chaosimg_renewal **out);

/**
 * chaosimg_renewal_step() - copy some of it
 * @r: the renewal
 * @budget: about how many plaintext bytes
 *
 * Everything is authenticated before it is copied, also that no record was put
 * back from an older state. In the last step the copy gets owner, mode, times
 * and extended attributes, and is synced.
 *
 * Return: how many bytes; 0 when the copy is complete; -EAGAIN if the file was
 * changed meanwhile; -EIO if it is damaged; -ENOMEM; the system's error.
 */
int64_t chaosimg_renewal_step(struct chaosimg_renewal *r, uint64_t budget);

/**
 * chaosimg_renewal_replace() - put the complete copy in the file's place
 * @r: the renewal
 * @stored: the file's stored name
 *
 * The caller sees to it that nobody has the file open for writing or changes
 * its name or attributes during this call.
 *
 * Return: 0; -EAGAIN if the file is not what was copied any more; -EMLINK;
 * -ENOMEM; the system's error.
 */
int chaosimg_renewal_replace(struct chaosimg_renewal *r, const char *stored);

/**
 * chaosimg_renewal_fd() - the copy
 * @r: the renewal
 *
 * Return: a descriptor that stays the renewal's.
 */
int chaosimg_renewal_fd(const struct chaosimg_renewal *r);

/**
 * chaosimg_renewal_end() - free it; what has not got its name is gone
 * @r: the renewal; NULL is allowed
 */
void chaosimg_renewal_end(struct chaosimg_renewal *r);

/**
 * struct chaosimgfs_renew - one file in a mounted directory
 * @name: its name there, NUL-terminated
 * @budget: about how many bytes may be copied at once; 0 for as many as allowed
 */
struct chaosimgfs_renew {
	char name[CHAOSIMG_NAME_MAX + 1];
	uint32_t budget;
};

/*
 * CHAOSIMGFS_RENEW: the same for a file of a mounted archive: an ioctl on the
 * open directory that it is in, by root or who mounted. It returns how many
 * bytes were copied, and has to be repeated until that is 0: then the file is
 * under the newest keyset. Errors are those of the functions above, or EBUSY if
 * the file is open; EPERM; EROFS. Closing the directory ends what is half-done.
 */
#define CHAOSIMGFS_RENEW	_IOW('C', 1, struct chaosimgfs_renew)

/**
 * chaosimg_stored_keyset() - which keyset a stored file needs; needs no key
 * @fd: the stored file, readable
 * @id: receives the keyset's id
 *
 * Return: 0; -EIO if the header is damaged; -EPROTONOSUPPORT; the system's
 * error.
 */
int chaosimg_stored_keyset(int fd, uint8_t id[CHAOSIMG_ID_SIZE]);

/**
 * struct chaosimg_keyset_usage - what the files of an archive need
 * @all: files
 * @files: files that need another keyset than those that serve new files
 * @bytes: their stored size
 * @unknown: files whose header is damaged
 */
struct chaosimg_keyset_usage {
	uint64_t all;
	uint64_t files;
	uint64_t bytes;
	uint64_t unknown;
};

/**
 * chaosimg_keyset_usage() - look at all stored files' headers
 * @a: the archive
 * @usage: filled in; exact if nobody writes meanwhile
 *
 * Return: 0; the system's error.
 */
int chaosimg_keyset_usage(struct chaosimg_archive *a,
			  struct chaosimg_keyset_usage *usage);

/**
 * chaosimg_keyset_drop() - forget all keysets but the newest
 * @a: the archive, locked for writing
 * @dropped: receives how many the configuration had listed
 *
 * Return: 0; -EBUSY if a file needs one of them; -EIO if that cannot be told
 * of a damaged file; -EAGAIN if the newest keyset is not @a's; -EINVAL if @a
 * was opened without a lock; -EBADMSG; -ENOMEM; the system's error.
 */
int chaosimg_keyset_drop(struct chaosimg_archive *a, uint32_t *dropped);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif

#endif
