/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * libchaosimg: looking for damage in an archive, without a key (scrub) and with
 * it (fsck).
 *
 * As in chaosimg.h, functions that return int return 0 or a negative errno
 * value, with one line in chaosimg_errmsg().
 */
#ifndef CHAOSIMG_CHECK_API_H
#define CHAOSIMG_CHECK_API_H

#include "chaosimg.h"

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)

enum chaosimg_remedy {
	CHAOSIMG_REMEDY_NONE,	/* nothing can be done without loss */
	CHAOSIMG_REMEDY_WOULD,	/* it can be repaired without loss */
	CHAOSIMG_REMEDY_DONE,	/* it has been */
};

/**
 * struct chaosimg_finding - something that is not as it should be
 * @path: stored path, from the archive's directory on; any bytes but NUL
 * @plain: the path as a mount shows it; NULL if unknown or not asked for
 * @what: what is wrong, in one line
 * @remedy: whether it can be repaired
 * @repair: how, in a few words, if it can be
 * @record: number of the first damaged record; -1 if it is not about records
 * @offset: where that record, or what is damaged, begins in the stored file
 * @records: how many records of this file are damaged
 */
struct chaosimg_finding {
	const char *path;
	const char *plain;
	const char *what;
	enum chaosimg_remedy remedy;
	const char *repair;
	int64_t record;
	uint64_t offset;
	uint64_t records;
};

/**
 * struct chaosimg_check_totals - what was looked at
 * @directories: how many, the root included
 * @files: regular files
 * @links: symbolic links
 * @others: devices, sockets, FIFOs
 * @records: of files
 * @bytes: of stored files
 * @open: files that are open for writing, or were left so
 * @temporary: entries that are being made, or were left so
 * @busy: files that changed all the time and could not be checked
 * @problems: findings
 * @repaired: those of them that were repaired
 */
struct chaosimg_check_totals {
	uint64_t directories;
	uint64_t files;
	uint64_t links;
	uint64_t others;
	uint64_t records;
	uint64_t bytes;
	uint64_t open;
	uint64_t temporary;
	uint64_t busy;
	uint64_t problems;
	uint64_t repaired;
};

/**
 * struct chaosimg_check_params - how to check; callbacks may be NULL
 * @threads: files checked at once, at most 64; 0 for a default
 * @rate: most bytes to be read in a second; 0 for no limit
 * @from: chaosimg_scrub(): the path that the last checkpoint gave, or NULL
 * @again: chaosimg_scrub(): paths of findings to look at first, NULL-terminated;
 *	or NULL
 * @repair: chaosimg_fsck(): repair what can be repaired without loss
 * @names: chaosimg_fsck(): give plain paths, too
 * @found: something is wrong
 * @progress: called now and then with bytes done and to do
 * @checkpoint: called now and then: all that comes before @path is done, and
 *	is in @totals
 * @stop: true ends the work soon; asked from any thread, also at once
 * @ctx: for the callbacks
 *
 * All callbacks but @stop are called by one thread at a time.
 */
struct chaosimg_check_params {
	unsigned int threads;
	uint64_t rate;
	const char *from;
	const char *const *again;
	bool repair;
	bool names;
	void (*found)(void *ctx, const struct chaosimg_finding *finding);
	void (*progress)(void *ctx, uint64_t done, uint64_t total);
	void (*checkpoint)(void *ctx, const char *path,
			   const struct chaosimg_check_totals *totals);
	bool (*stop)(void *ctx);
	void *ctx;
};

/**
 * chaosimg_scrub() - look for damage, without a key
 * @path: the archive's directory
 * @params: how
 * @totals: receives what was looked at
 *
 * Reads all that is stored, past the page cache where that is possible, and
 * checks all that has a checksum; of what has none, its form. Changes nothing,
 * takes no lock, and works while others write: what changes meanwhile is
 * looked at again.
 *
 * Return: 0, also if something is wrong; -EINTR if it was stopped, after a last
 * checkpoint; -EBADMSG if @path is no archive; -EINVAL; -ENOMEM; the system's
 * error.
 */
int chaosimg_scrub(const char *path, const struct chaosimg_check_params *params,
		   struct chaosimg_check_totals *totals);

/**
 * chaosimg_fsck() - authenticate all that is stored
 * @a: the archive; open for writing to repair. Opened with
 *	CHAOSIMG_ARCHIVE_RDONLY it may be in use by others
 * @params: how
 * @totals: receives what was looked at
 *
 * Return: 0, also if something is wrong; -EINTR if it was stopped; -EROFS if it
 * shall repair what is open read-only; -EACCES if @a was opened for compartments
 * only; -EINVAL; -ENOMEM; the system's error.
 */
int chaosimg_fsck(struct chaosimg_archive *a,
		  const struct chaosimg_check_params *params,
		  struct chaosimg_check_totals *totals);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif

#endif
