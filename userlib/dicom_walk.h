/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One walk over a DICOM file, for those who want to know of each part. */
#ifndef CHAOSIMG_DICOM_WALK_H
#define CHAOSIMG_DICOM_WALK_H

#include "dicom_element.h"

/** enum dicom_part_kind - what the bytes are */
enum dicom_part_kind {
	DICOM_HEADER,		/* of elements and items, delimiters, "DICM" */
	DICOM_VALUE,		/* of an element, without items */
	DICOM_FRAGMENTS,	/* encapsulated pixel data, offset table first */
	DICOM_OPAQUE,		/* has no form that anybody looks for */
	DICOM_UNREAD,		/* could not be read as what should be there */
	DICOM_DEFLATED,		/* a data set that is a deflated stream */
};

/**
 * struct dicom_picture - how pixels are stored (PS3.3 section C.7.6.3)
 * @rows: of a frame
 * @columns: of a frame
 * @samples: components of a pixel
 * @bits_allocated: bits that a sample takes
 * @bits_stored: bits of it that are used
 * @is_signed: samples are in two's complement
 * @by_plane: one component of all pixels stands before the next
 * @photometric: Photometric Interpretation, without padding
 * @frames: 1 if the data set does not say
 */
struct dicom_picture {
	uint16_t rows;
	uint16_t columns;
	uint16_t samples;
	uint16_t bits_allocated;
	uint16_t bits_stored;
	bool is_signed;
	bool by_plane;
	char photometric[17];
	uint32_t frames;
};

/**
 * struct dicom_part - some bytes of the file
 * @kind: what they are
 * @start: where they begin; before the end of the last part only if @kind is
 *	DICOM_UNREAD: then all from there on turned out to be unreadable
 * @end: where the next part begins
 * @compartment: what the division says
 * @tag: of values and fragments
 * @vr: as the file has it
 * @listed: they stand inside a sequence that is identity as a whole
 * @items: DICOM_UNREAD where there should be items, not elements
 * @depth: of values and fragments: 0 in the data set itself, 2 in the items of
 *	a sequence in it
 * @sequence: the tag of the sequence that they stand in
 * @syntax: how headers are encoded there
 * @picture: what the data set said of its pixels so far
 */
struct dicom_part {
	enum dicom_part_kind kind;
	uint64_t start;
	uint64_t end;
	enum chaosimg_compartment compartment;
	uint32_t tag;
	char vr[3];
	bool listed;
	bool items;
	unsigned int depth;
	uint32_t sequence;
	struct dicom_syntax syntax;
	const struct dicom_picture *picture;
};

/**
 * struct dicom_visitor - is told of each part in turn
 * @visit: returns 0 or -errno, which ends the walk
 * @ctx: for @visit
 *
 * @visit may fetch bytes through the reader.
 */
struct dicom_visitor {
	int (*visit)(void *ctx, struct dicom_reader *r,
		     const struct dicom_part *part);
	void *ctx;
};

/**
 * dicom_walk() - dicom_parse() that also tells of each part
 * @src: the file
 * @info: filled in as by dicom_parse()
 * @visitor: told of all parts up to the end of the file; NULL: nobody
 * Return: as dicom_parse(). If it is not 1, what the visitor was told is void.
 */
int dicom_walk(const struct dicom_source *src, struct dicom_info *info,
	       const struct dicom_visitor *visitor);

/** dicom_is_deflated() - is a data set of this transfer syntax deflated? */
bool dicom_is_deflated(const char *uid);

#endif
