/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reading DICOM data element and item headers (PS3.5 section 7). */
#ifndef CHAOSIMG_DICOM_ELEMENT_H
#define CHAOSIMG_DICOM_ELEMENT_H

#include "dicom.h"

#define DICOM_ITEM		0xfffee000u
#define DICOM_ITEM_END		0xfffee00du
#define DICOM_SEQUENCE_END	0xfffee0ddu
#define DICOM_PIXEL_DATA	0x7fe00010u

/* What the functions below return, besides -errno. */
enum {
	DICOM_OK = 0,
	DICOM_BROKEN = 1,	/* the bytes are not DICOM */
};

enum { DICOM_WINDOW = 4096 };

/**
 * struct dicom_reader - a window on the source
 * @src: the file
 * @off: where the window begins in it
 * @len: bytes of @window in use
 * @window: its bytes
 *
 * Values are skipped, so the window moves from header to header.
 */
struct dicom_reader {
	const struct dicom_source *src;
	uint64_t off;
	size_t len;
	uint8_t window[DICOM_WINDOW];
};

/** struct dicom_syntax - how headers are encoded */
struct dicom_syntax {
	bool explicit_vr;
	bool big_endian;
};

/**
 * struct dicom_element - one header
 * @tag: group in the upper, element in the lower 16 bits
 * @vr: two letters, empty if the header has none (implicit VR and items)
 * @undefined: the length is undefined, @length 0
 * @length: of the value, in bytes
 * @value: where the value begins
 */
struct dicom_element {
	uint32_t tag;
	char vr[3];
	bool undefined;
	uint32_t length;
	uint64_t value;
};

/** dicom_fetch_anew() - the same for what is not in the window */
int dicom_fetch_anew(struct dicom_reader *r, uint64_t off, size_t len,
		     const uint8_t **out);

/**
 * dicom_fetch() - look at bytes of the file
 * @r: the reader
 * @off: where it begins in the file
 * @len: at most DICOM_WINDOW
 * @out: receives a pointer that is valid until the next call
 * Return: DICOM_OK; DICOM_BROKEN if they do not lie in the file; -EIO if the
 * source is shorter than it said; the source's error.
 */
static inline int dicom_fetch(struct dicom_reader *r, uint64_t off, size_t len,
			      const uint8_t **out)
{
	uint64_t at = off - r->off;	/* beyond @r->len if it is in front */

	if (at > r->len || len > r->len - at)
		return dicom_fetch_anew(r, off, len, out);
	*out = r->window + at;
	return DICOM_OK;
}

/** dicom_get16() - an integer in the syntax's byte order */
uint16_t dicom_get16(const uint8_t *p, struct dicom_syntax syntax);
/** dicom_get32() - the same with four bytes */
uint32_t dicom_get32(const uint8_t *p, struct dicom_syntax syntax);

/**
 * dicom_read_item() - the header of an item or delimiter, or any tag and length
 * @r: the reader
 * @off: where it begins in the file
 * @end: nothing behind it belongs to this header or its value
 * @syntax: how headers are encoded
 * @e: receives the header
 *
 * A delimiter with a length is broken, too.
 */
int dicom_read_item(struct dicom_reader *r, uint64_t off, uint64_t end,
		    struct dicom_syntax syntax, struct dicom_element *e);

/**
 * dicom_read_element() - the header of a data element
 * @r: the reader
 * @off: where it begins in the file
 * @end: as above
 * @syntax: how headers are encoded
 * @e: receives the header
 *
 * In explicit VR an element whose VR is not two capital letters is read as
 * implicit VR: some writers switch to it within a file. Groups that no data
 * set holds (0, FFFE and FFFF) and VRs that do not exist are broken.
 */
int dicom_read_element(struct dicom_reader *r, uint64_t off, uint64_t end,
		       struct dicom_syntax syntax, struct dicom_element *e);

/** dicom_vr_is() - compare an element's VR */
static inline bool dicom_vr_is(const struct dicom_element *e, const char vr[3])
{
	return e->vr[0] == vr[0] && e->vr[1] == vr[1];
}

#endif
