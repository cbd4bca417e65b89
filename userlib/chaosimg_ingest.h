/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * libchaosimg: ingest. Who has an archive's public parameters alone can write
 * images for it, and read none. Documentation/access.rst tells what for.
 *
 * As in chaosimg.h, functions that return int return 0 or a negative errno
 * value, with one line in chaosimg_errmsg().
 */
#ifndef CHAOSIMG_INGEST_API_H
#define CHAOSIMG_INGEST_API_H

#include "chaosimg_names.h"

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)

#define CHAOSIMG_INGEST_EPOCH		3600	/* seconds, if nothing is said */
#define CHAOSIMG_INGEST_EPOCH_MAX	86400

/**
 * chaosimg_ingest_export() - write an archive's public parameters to a file
 * @a: the archive, opened with a key of the whole archive
 * @path: the file; must not be there yet
 *
 * There is no secret in it. Whoever alters it can have new images wrapped for
 * himself, so it should reach the device unaltered.
 *
 * Return: 0; -EEXIST; -EACCES if compartments only are open; -EBADMSG; -ENOMEM;
 * the system's error.
 */
int chaosimg_ingest_export(struct chaosimg_archive *a, const char *path);

/**
 * chaosimg_ingest_open() - open a directory to write images for an archive
 * @path: the directory: the archive itself, or an empty one whose contents
 *	will be copied there
 * @params: a file that chaosimg_ingest_export() made
 * @epoch: seconds that a keyset's keys are kept; when they are over, and no
 *	file is open under it, they are forgotten. For the last eighth of that
 *	it serves no new files.
 * @out: receives the archive, for chaosimg_archive_close()
 *
 * chaosimg_archive_lock() has to follow: it makes the first keyset, and the
 * directory that chaosimg_archive_data_fd() then is. There are no symbolic
 * links and no extended attributes. Files whose keys are forgotten fail to
 * open with -EACCES.
 *
 * Return: 0; -EINVAL if @epoch is 0 or more than CHAOSIMG_INGEST_EPOCH_MAX, or
 * @path is another archive; -EBADMSG; -EPROTONOSUPPORT; -ENOMEM; the system's
 * error.
 */
int chaosimg_ingest_open(const char *path, const char *params, uint32_t epoch,
			 struct chaosimg_archive **out);

/**
 * chaosimg_ingest_discard() - remove keyset and directory again
 * @a: an archive that chaosimg_ingest_open() opened; NULL is allowed
 *
 * For when nothing can have been made in it yet, as mounting it failed. Does
 * nothing if chaosimg_archive_lock() was not called, or failed, which removes
 * them itself.
 */
void chaosimg_ingest_discard(struct chaosimg_archive *a);

/**
 * chaosimg_ingest_expire() - forget keys whose time is over
 * @a: an archive that chaosimg_ingest_open() opened
 *
 * To be called from time to time, as nothing else does it while no file is made
 * or closed.
 */
void chaosimg_ingest_expire(struct chaosimg_archive *a);

/**
 * chaosimg_ingest_reserved() - is a stored name that of an ingest mount's root?
 * @stored: as in struct chaosimg_stored_name
 *
 * Nothing may be made or renamed there by anybody else.
 */
bool chaosimg_ingest_reserved(const char *stored);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif

#endif
