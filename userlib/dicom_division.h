/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which compartment an attribute belongs to, and a file's list of segments. */
#ifndef CHAOSIMG_DICOM_DIVISION_H
#define CHAOSIMG_DICOM_DIVISION_H

#include "dicom.h"

/** struct dicom_tag_range - the tags t with (t & @mask) == @value */
struct dicom_tag_range {
	uint32_t mask;
	uint32_t value;
};

/* PS3.15 Table E.1-1 without its private attributes; see dicom_profile.c. */
extern const uint32_t dicom_profile_tag[];
extern const size_t dicom_profile_tags;
extern const struct dicom_tag_range dicom_profile_range[];
extern const size_t dicom_profile_ranges;

/**
 * dicom_compartment() - the compartment of an attribute's value
 * @tag: group in the upper, element in the lower 16 bits
 */
enum chaosimg_compartment dicom_compartment(uint32_t tag);

/**
 * struct dicom_division - segments while they are collected
 * @info: receives them; starts with none
 * @done: they cover the file up to here
 * @least: merging two neighbours hides as many bytes or more; 0 before the
 *	first were merged
 * @from: none in front of this one and its next hides as few
 */
struct dicom_division {
	struct dicom_info *info;
	uint64_t done;
	uint64_t least;
	uint32_t from;
};

/**
 * dicom_division_mark() - the bytes from @done up to @until are of @compartment
 * @d: the division
 * @until: offset of the first byte behind them
 * @compartment: theirs
 *
 * An @until that does not lie behind @done changes nothing. When the list is
 * full, the neighbours whose union hides the fewest bytes that are not
 * identity yet (the first such pair) become one identity segment.
 */
void dicom_division_mark(struct dicom_division *d, uint64_t until,
			 enum chaosimg_compartment compartment);

/** dicom_division_hide_last() - the last segment is identity, if it is pixels */
void dicom_division_hide_last(struct dicom_info *info);

#endif
