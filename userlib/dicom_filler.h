/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What stands in place of a hidden DICOM value: its VR's form, its length. */
#ifndef CHAOSIMG_DICOM_FILLER_H
#define CHAOSIMG_DICOM_FILLER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/types.h>

enum {
	/* Longer values are a repeated unit. */
	DICOM_FILLER_MAX = 256,
	DICOM_FILLER_UNIT_MAX = 195,
	DICOM_UID_KEY = 32,
};

/**
 * dicom_text_vr_of() - the VR of an attribute whose value is text
 * @tag: group in the upper, element in the lower 16 bits
 * @vr: as the file has it: two letters, or empty
 * Return: @vr, if it says something; else what DICOM PS3.6 says of @tag, "LO"
 * for private creators, and "UN" for all whose values are not text.
 */
const char *dicom_text_vr_of(uint32_t tag, const char *vr);

/**
 * dicom_fill() - a value that has the right form and says nothing
 * @tag: the attribute
 * @vr: as returned by dicom_text_vr_of()
 * @out: receives it
 * @len: its length, at most DICOM_FILLER_MAX
 *
 * It depends on these three alone.
 */
void dicom_fill(uint32_t tag, const char *vr, uint8_t *out, size_t len);

/**
 * dicom_fill_unit() - the same for longer values: what they repeat
 * @vr: as above
 * @out: receives the unit
 * Return: its length, at least 1.
 */
size_t dicom_fill_unit(const char *vr, uint8_t out[DICOM_FILLER_UNIT_MAX]);

/**
 * dicom_fill_uids() - replace UIDs by others, the same one always by the same
 * @mac: of hmac_new(), with a key of DICOM_UID_KEY bytes: who does not have it
 *	can tell nothing but which are equal
 * @value: one UID, or several with backslashes between, padded or not
 * @len: of @value; it keeps the length, also that of each UID
 * Return: 0 or -ENOMEM.
 *
 * UIDs of seven characters and more become one below 2.25 (PS3.5 annex B.2);
 * two of the same length become the same one by chance only: for 44
 * characters that is as unlikely as for 126 random bits.
 */
int dicom_fill_uids(EVP_MAC_CTX *mac, uint8_t *value, size_t len);

/**
 * dicom_is_sop_class() - does this value name one of DICOM's storage classes?
 * @value: as stored
 * @len: of it
 */
bool dicom_is_sop_class(const uint8_t *value, size_t len);

/**
 * dicom_is_structure() - is a file no longer valid without this value?
 * @tag: the attribute
 *
 * That is so where a value says how others are to be read, and above all how
 * the pixels are. These say nothing of a patient, and every mount shows them.
 */
bool dicom_is_structure(uint32_t tag);

#endif
