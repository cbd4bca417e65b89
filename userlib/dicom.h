/* SPDX-License-Identifier: GPL-2.0-or-later */
/* DICOM recognition and the division of a file into compartments. */
#ifndef CHAOSIMG_DICOM_H
#define CHAOSIMG_DICOM_H

#include "chaosimg.h"

/**
 * struct dicom_source - where the parser reads from
 * @read: like pread(2): returns bytes read (short only at the end) or -errno
 * @ctx: for @read
 * @length: of the whole file
 */
struct dicom_source {
	ssize_t (*read)(void *ctx, void *buf, size_t len, uint64_t off);
	void *ctx;
	uint64_t length;
};

/** struct dicom_info - what a DICOM file is; as in struct chaosimg_file_info */
struct dicom_info {
	char modality[17];
	char transfer_syntax[65];
	uint32_t segments;
	struct chaosimg_segment segment[CHAOSIMG_SEGMENTS_MAX];
};

/**
 * dicom_parse() - is this DICOM, and which bytes belong to which compartment?
 * @src: the file
 * @info: filled in
 * Return: 1 if it is (then @info is complete, its segments cover the file from
 * offset 0 to the end without a gap); 0 if not; -errno if reading failed.
 */
int dicom_parse(const struct dicom_source *src, struct dicom_info *info);

#endif
