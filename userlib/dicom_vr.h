/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Value representations of attributes, where a file does not name them. */
#ifndef CHAOSIMG_DICOM_VR_H
#define CHAOSIMG_DICOM_VR_H

#include <stddef.h>
#include <stdint.h>

/**
 * struct dicom_several - an attribute that always has so many values
 * @tag: group in the upper, element in the lower 16 bits
 * @values: how many
 */
struct dicom_several {
	uint32_t tag;
	uint8_t values;
};

/* DICOM PS3.6, section 6; see dicom_vr.c. */
extern const uint32_t dicom_text_tag[];
extern const size_t dicom_text_tags;
extern const char dicom_text_vr[];
extern const struct dicom_several dicom_several[];
extern const size_t dicom_severals;

#endif
