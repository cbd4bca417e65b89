/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Scrubbing: what the parts of it share. */
#ifndef CHAOSIMG_SCRUB_H
#define CHAOSIMG_SCRUB_H

#include "check.h"
#include "header.h"

/**
 * struct scrub - a run over an archive
 * @chunk_size: plaintext bytes in a chunk; 0 if the configuration is damaged
 * @id: the archive's id
 * @looking_again: at what the caller asked for by its path
 */
struct scrub {
	uint32_t chunk_size;
	uint8_t id[CHAOSIMG_ID_SIZE];
	bool looking_again;
};

/**
 * scrub_file() - look for damage in a stored file
 * @c: the run
 * @t: the entry
 * Return: 0, also if there is some; -EINTR; -ENOMEM.
 */
int scrub_file(struct check *c, struct check_task *t);

/**
 * scrub_form() - look at the form of what has no checksum
 * @c: the run
 * @t: the entry: its name, its attributes, a link's target, a directory's id
 * Return: 0, also if something is wrong; -ENOMEM.
 */
int scrub_form(struct check *c, struct check_task *t);

/** scrub_found() - tell of damage, if not told yet. Return: 0 or -ENOMEM */
int scrub_found(struct check *c, struct check_task *t, const char *what,
		int64_t record, uint64_t offset, uint64_t records);

/* --- scrub_reader.c: large reads, past the page cache --- */

/**
 * struct scrub_reader - reads a file from its beginning to its end
 * @c: the run
 * @fd: the file
 * @direct: past the page cache
 * @size: its size
 * @buf: what was read
 * @at: where in the file that begins
 * @len: how many bytes it is
 */
struct scrub_reader {
	struct check *c;
	int fd;
	bool direct;
	uint64_t size;
	uint8_t *buf;
	uint64_t at;
	size_t len;
};

/** scrub_reader_open() - of @name in @dirfd. Return: 0 or -errno */
int scrub_reader_open(struct scrub_reader *r, struct check *c, int dirfd,
		      const char *name);

/** scrub_reader_rewind() - forget what was read, and see how long it is now */
int scrub_reader_rewind(struct scrub_reader *r, struct stat *st);

/**
 * scrub_reader_get() - bytes of the file
 * @r: the reader
 * @at: offset
 * @len: how many, at most SCRUB_GET_MAX
 * @out: receives a pointer to them, valid until the next call
 * Return: how many there are, fewer only at the end; -EIO and the like.
 */
ssize_t scrub_reader_get(struct scrub_reader *r, uint64_t at, size_t len,
			 const uint8_t **out);

/**
 * scrub_parts() - look at a sealed file's parts, and at what is behind them
 * @r: the file
 * @h: its header, which names them
 * Return: 1 if they are as they were written; 0; -EIO and the like.
 */
int scrub_parts(struct scrub_reader *r, const struct header *h);

/** scrub_reader_close() - and leave the page cache as it was, about */
void scrub_reader_close(struct scrub_reader *r);

#endif
