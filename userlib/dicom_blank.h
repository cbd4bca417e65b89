/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Pictures without anything on them, of a given size and a given length. */
#ifndef CHAOSIMG_DICOM_BLANK_H
#define CHAOSIMG_DICOM_BLANK_H

#include "dicom_walk.h"

enum { DICOM_BLANK_RUNS = 20 };

/**
 * struct dicom_bytes - bytes that runs refer to
 * @p: allocated, or NULL
 * @len: how many are in use
 * @room: how many there is room for
 */
struct dicom_bytes {
	uint8_t *p;
	size_t len;
	size_t room;
};

/**
 * dicom_bytes_add() - append
 * @b: to this
 * @p: the bytes; NULL for zeros
 * @len: how many
 * @at: receives where they begin
 * Return: 0 or -ENOMEM.
 */
int dicom_bytes_add(struct dicom_bytes *b, const void *p, size_t len,
		    uint32_t *at);

/** struct dicom_run - @length bytes: those from @at on, again every @period */
struct dicom_run {
	uint64_t length;
	uint32_t at;
	uint32_t period;
};

/**
 * struct dicom_blank - one unit of a picture
 * @bytes: what @run refers to
 * @runs: how many of @run are in use
 * @err: the first error
 * @run: what it consists of, in turn
 */
struct dicom_blank {
	struct dicom_bytes *bytes;
	unsigned int runs;
	int err;
	struct dicom_run run[DICOM_BLANK_RUNS];
};

/**
 * dicom_blank_add() - append a run
 * @b: to this; an error is kept in it
 * @p: what is repeated; NULL for zeros
 * @period: its length
 * @length: of the run
 */
void dicom_blank_add(struct dicom_blank *b, const void *p, size_t period,
		     uint64_t length);

/**
 * dicom_blank_native() - pixels that are not compressed
 * @b: receives what is to be repeated up to the value's end
 * @p: how they are stored
 * @big_endian: so are the words they stand in
 * Return: 0 or -ENOMEM.
 */
int dicom_blank_native(struct dicom_blank *b, const struct dicom_picture *p,
		       bool big_endian);

/**
 * dicom_blank_frame() - one compressed frame
 * @b: receives it
 * @uid: the transfer syntax
 * @p: how pixels are stored
 * @size: its length in bytes
 * Return: 1; 0 if that transfer syntax has no blank frame here, or none of that
 * length; -ENOMEM.
 */
int dicom_blank_frame(struct dicom_blank *b, const char *uid,
		      const struct dicom_picture *p, uint64_t size);

#endif
