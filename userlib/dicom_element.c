// SPDX-License-Identifier: GPL-2.0-or-later
/* Reading DICOM data element and item headers (PS3.5 section 7). */
#include <errno.h>
#include <string.h>

#include "dicom_element.h"
#include "error.h"

static const uint32_t undefined_length = 0xffffffff;

/*
 * Up to a place in the file that is a multiple of the window: what a chunk holds
 * behind that has to be decrypted, and may not be needed.
 */
static size_t window_len(const struct dicom_reader *r, uint64_t off, size_t need)
{
	uint64_t left = r->src->length - off;
	size_t len = DICOM_WINDOW - (size_t)(off % DICOM_WINDOW);

	if (len < need)
		len = DICOM_WINDOW;
	return left < len ? (size_t)left : len;
}

static int move_window(struct dicom_reader *r, uint64_t off, size_t need)
{
	size_t len = window_len(r, off, need);
	ssize_t got;

	r->len = 0;
	got = r->src->read(r->src->ctx, r->window, len, off);
	if (got < 0)
		return (int)got;
	if ((size_t)got < need || (size_t)got > len)
		return fail(EIO, "the file ends before its length");
	r->off = off;
	r->len = (size_t)got;
	return DICOM_OK;
}

int dicom_fetch_anew(struct dicom_reader *r, uint64_t off, size_t len,
		     const uint8_t **out)
{
	int err;

	if (len > r->src->length || off > r->src->length - len)
		return DICOM_BROKEN;
	err = move_window(r, off, len);
	if (!err)
		*out = r->window + (off - r->off);
	return err;
}

uint16_t dicom_get16(const uint8_t *p, struct dicom_syntax syntax)
{
	return syntax.big_endian ? (uint16_t)(p[0] << 8 | p[1]) :
				   (uint16_t)(p[1] << 8 | p[0]);
}

uint32_t dicom_get32(const uint8_t *p, struct dicom_syntax syntax)
{
	uint32_t first = dicom_get16(p, syntax);
	uint32_t second = dicom_get16(p + 2, syntax);

	return syntax.big_endian ? first << 16 | second : second << 16 | first;
}

static uint32_t get_tag(const uint8_t *p, struct dicom_syntax syntax)
{
	return (uint32_t)dicom_get16(p, syntax) << 16 |
	       dicom_get16(p + 2, syntax);
}

static void set_length(struct dicom_element *e, uint32_t length)
{
	e->undefined = length == undefined_length;
	e->length = e->undefined ? 0 : length;
}

static bool value_fits(const struct dicom_element *e, uint64_t end)
{
	return e->value <= end && e->length <= end - e->value;
}

/* Tag and 32-bit length: items, delimiters and implicit VR. */
static void decode_plain(const uint8_t *p, uint64_t off,
			 struct dicom_syntax syntax, struct dicom_element *e)
{
	memset(e, 0, sizeof(*e));
	e->tag = get_tag(p, syntax);
	set_length(e, dicom_get32(p + 4, syntax));
	e->value = off + 8;
}

int dicom_read_item(struct dicom_reader *r, uint64_t off, uint64_t end,
		    struct dicom_syntax syntax, struct dicom_element *e)
{
	const uint8_t *p;
	int err;

	if (off > end || end - off < 8)
		return DICOM_BROKEN;
	err = dicom_fetch(r, off, 8, &p);
	if (err)
		return err;
	decode_plain(p, off, syntax, e);
	if (e->tag == DICOM_ITEM_END || e->tag == DICOM_SEQUENCE_END)
		return e->length || e->undefined ? DICOM_BROKEN : DICOM_OK;
	return value_fits(e, end) ? DICOM_OK : DICOM_BROKEN;
}

#define VR(a, b) ((a) << 8 | (b))

/* PS3.5 section 7.1.2: those with a 16-bit and those with a 32-bit length. */
static bool vr_is_short(const uint8_t *vr)
{
	switch (VR(vr[0], vr[1])) {
	case VR('A', 'E'): case VR('A', 'S'): case VR('A', 'T'):
	case VR('C', 'S'): case VR('D', 'A'): case VR('D', 'S'):
	case VR('D', 'T'): case VR('F', 'D'): case VR('F', 'L'):
	case VR('I', 'S'): case VR('L', 'O'): case VR('L', 'T'):
	case VR('P', 'N'): case VR('S', 'H'): case VR('S', 'L'):
	case VR('S', 'S'): case VR('S', 'T'): case VR('T', 'M'):
	case VR('U', 'I'): case VR('U', 'L'): case VR('U', 'S'):
		return true;
	}
	return false;
}

static bool vr_is_long(const uint8_t *vr)
{
	switch (VR(vr[0], vr[1])) {
	case VR('O', 'B'): case VR('O', 'D'): case VR('O', 'F'):
	case VR('O', 'L'): case VR('O', 'V'): case VR('O', 'W'):
	case VR('S', 'Q'): case VR('S', 'V'): case VR('U', 'C'):
	case VR('U', 'N'): case VR('U', 'R'): case VR('U', 'T'):
	case VR('U', 'V'):
		return true;
	}
	return false;
}

static bool is_capital(uint8_t c)
{
	return c >= 'A' && c <= 'Z';
}

/* Zeros after the last element shall not pass for elements. */
static bool tag_is_possible(uint32_t tag)
{
	uint32_t group = tag >> 16;

	return group > 0 && group < 0xfffe;
}

static int decode_explicit(struct dicom_reader *r, uint64_t off,
			   struct dicom_syntax syntax, struct dicom_element *e)
{
	const uint8_t *p;
	int err;

	err = dicom_fetch(r, off, 8, &p);
	if (err)
		return err;
	e->vr[0] = (char)p[4];
	e->vr[1] = (char)p[5];
	if (vr_is_short(p + 4)) {
		e->undefined = false;
		e->length = dicom_get16(p + 6, syntax);
		return DICOM_OK;
	}
	if (!vr_is_long(p + 4))
		return DICOM_BROKEN;
	err = dicom_fetch(r, off, 12, &p);
	if (err)
		return err;
	set_length(e, dicom_get32(p + 8, syntax));
	e->value = off + 12;
	return DICOM_OK;
}

int dicom_read_element(struct dicom_reader *r, uint64_t off, uint64_t end,
		       struct dicom_syntax syntax, struct dicom_element *e)
{
	const uint8_t *p;
	int err;

	if (off > end || end - off < 8)
		return DICOM_BROKEN;
	err = dicom_fetch(r, off, 8, &p);
	if (err)
		return err;
	decode_plain(p, off, syntax, e);
	if (!tag_is_possible(e->tag))
		return DICOM_BROKEN;
	if (syntax.explicit_vr && is_capital(p[4]) && is_capital(p[5])) {
		err = decode_explicit(r, off, syntax, e);
		if (err)
			return err;
	}
	return value_fits(e, end) ? DICOM_OK : DICOM_BROKEN;
}
