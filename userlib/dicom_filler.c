// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What stands in place of a hidden DICOM value. The forms are those of PS3.5
 * table 6.2-1; all text is in ASCII, which every character set begins with.
 */
#include <errno.h>
#include <string.h>

#include <openssl/crypto.h>

#include "archive.h"
#include "dicom_division.h"
#include "dicom_filler.h"
#include "dicom_vr.h"
#include "error.h"

#define TAG_PATIENT_SEX		0x00100040u
#define TAG_TIMEZONE_OFFSET	0x00080201u

/* --- VRs ----------------------------------------------------------------- */

static bool vr_is(const char *vr, const char other[3])
{
	return vr[0] == other[0] && vr[1] == other[1];
}

/* The letters of repeating groups stand under the first of them. */
static uint32_t first_of_group(uint32_t tag)
{
	uint32_t kind = tag >> 24;

	return kind == 0x50 || kind == 0x60 ? tag & 0xff00ffff : tag;
}

static const char *listed_vr(uint32_t tag)
{
	size_t low = 0, high = dicom_text_tags;

	tag = first_of_group(tag);
	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (dicom_text_tag[mid] == tag)
			return dicom_text_vr + 2 * mid;
		if (dicom_text_tag[mid] < tag)
			low = mid + 1;
		else
			high = mid;
	}
	return "UN";
}

static bool is_private_creator(uint32_t tag)
{
	return tag & 0x10000 && (tag & 0xffff) >= 0x10 &&
	       (tag & 0xffff) <= 0xff;
}

const char *dicom_text_vr_of(uint32_t tag, const char *vr)
{
	if (vr[0] && !vr_is(vr, "UN"))
		return vr;
	return is_private_creator(tag) ? "LO" : listed_vr(tag);
}

/* --- fillers ------------------------------------------------------------- */

/* One value of a list of them is at most so long; 0: not a list, or binary. */
static size_t longest(const char *vr)
{
	static const struct {
		char vr[3];
		uint8_t len;
	} list[] = {
		{ "AE", 16 }, { "CS", 16 }, { "DS", 16 }, { "IS", 12 },
		{ "LO", 64 }, { "PN", 64 }, { "SH", 16 },
	};

	for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++)
		if (vr_is(vr, list[i].vr))
			return list[i].len;
	return 0;
}

static bool is_free_text(const char *vr)
{
	return vr_is(vr, "LT") || vr_is(vr, "ST") || vr_is(vr, "UT") ||
	       vr_is(vr, "UC") || vr_is(vr, "UR");
}

static bool is_number(const char *vr)
{
	return vr_is(vr, "DS") || vr_is(vr, "IS");
}

static bool is_time(const char *vr)
{
	return vr_is(vr, "DA") || vr_is(vr, "TM") || vr_is(vr, "DT") ||
	       vr_is(vr, "AS");
}

size_t dicom_fill_unit(const char *vr, uint8_t out[DICOM_FILLER_UNIT_MAX])
{
	size_t len = longest(vr);

	if (!len) {
		out[0] = is_free_text(vr) ? 'X' : is_time(vr) ? ' ' : 0;
		return 1;
	}
	memset(out, is_number(vr) || vr_is(vr, "CS") ? ' ' : 'X', len);
	if (is_number(vr))
		out[0] = '1';
	out[len] = '\\';
	if (!vr_is(vr, "PN"))
		return len + 1;
	/* A name has three groups of components, each as long. */
	out[len] = '=';
	memcpy(out + len + 1, out, len + 1);
	memcpy(out + 2 * len + 2, out, len);
	out[3 * len + 2] = '\\';
	return 3 * len + 3;
}

/* How many numbers a reader expects here. */
static size_t values_of(uint32_t tag, const char *vr, size_t len)
{
	tag = first_of_group(tag);
	for (size_t i = 0; i < dicom_severals; i++)
		if (dicom_several[i].tag == tag &&
		    len + 1 >= 2u * dicom_several[i].values)
			return dicom_several[i].values;
	return 1 + len / (longest(vr) + 1);
}

/* "1" is a size, a factor and a count that does no harm; "0" is not. */
static void fill_numbers(uint32_t tag, const char *vr, uint8_t *out, size_t len)
{
	size_t n = values_of(tag, vr, len);
	size_t width = (len + 1) / n;

	memset(out, ' ', len);
	for (size_t i = 0; i < n; i++) {
		out[i * width] = '1';
		if (i)
			out[i * width - 1] = '\\';
	}
}

/* The longest part of @form that is itself of the right form, then spaces. */
static void fill_time(const char *vr, uint8_t *out, size_t len)
{
	static const char age[] = "000Y", date[] = "19000101";
	static const char time[] = "000000.000000";
	static const char both[] = "19000101000000.000000";
	const char *form = vr_is(vr, "AS") ? age : vr_is(vr, "DA") ? date :
			   vr_is(vr, "TM") ? time : both;
	size_t n = strlen(form), whole = n;

	if (form == time || form == both)
		whole = form == time ? 2 : 4;
	if (n > len)
		n = len < whole ? 0 : len;
	/* Fields have two digits, but the fraction, which has one at least. */
	if (n && form != age && form != date) {
		size_t fraction = form == time ? 6 : 14;

		if (n < fraction)
			n &= ~(size_t)1;
		else if (n == fraction + 1)
			n = fraction;
	}
	memset(out, ' ', len);
	memcpy(out, form, n);
}

void dicom_fill(uint32_t tag, const char *vr, uint8_t *out, size_t len)
{
	uint8_t unit[DICOM_FILLER_UNIT_MAX];
	size_t n;

	if (!len)
		return;
	if (is_number(vr)) {
		fill_numbers(tag, vr, out, len);
	} else if (is_time(vr)) {
		fill_time(vr, out, len);
	} else {
		n = dicom_fill_unit(vr, unit);
		memset(out, unit[0], len);
		for (size_t i = 0; n > 1 && i < len; i += n)
			memcpy(out + i, unit, n < len - i ? n : len - i);
	}
	/* Some have a form of their own. */
	if (tag == TAG_PATIENT_SEX && vr_is(vr, "CS"))
		out[0] = 'O';
	if (tag == TAG_TIMEZONE_OFFSET && vr_is(vr, "SH")) {
		memset(out, ' ', len);
		memcpy(out, "+0000", len < 5 ? 0 : 5);
	}
}

/* --- UIDs ---------------------------------------------------------------- */

/**
 * struct digits - decimal digits that follow from a key and a text
 * @block: an HMAC of the text and of the block's number
 * @used: bytes of it; 250 and above are left out, lest digits be biased
 */
struct digits {
	EVP_MAC_CTX *mac;
	const uint8_t *text;
	size_t len;
	uint8_t number;
	uint8_t block[32];
	unsigned int used;
};

static int next_block(struct digits *d)
{
	uint8_t in[1 + 64];

	in[0] = d->number++;
	memcpy(in + 1, d->text, d->len);
	d->used = 0;
	return hmac_next(d->mac, in, 1 + d->len, d->block);
}

static int next_digit(struct digits *d, uint8_t *out)
{
	uint8_t byte;
	int err;

	do {
		if (d->used == sizeof(d->block)) {
			err = next_block(d);
			if (err)
				return err;
		}
		byte = d->block[d->used++];
	} while (byte >= 250);
	*out = '0' + byte % 10;
	return 0;
}

/* A component of a UID, without a zero in front. */
static int put_component(struct digits *d, uint8_t *out, size_t len)
{
	int err = 0;

	for (size_t i = 0; !err && i < len; i++)
		do
			err = next_digit(d, out + i);
		while (!err && !i && out[0] == '0');
	return err;
}

static int put_uid(struct digits *d, uint8_t *out, size_t len)
{
	/* What is below 2.25 is less than 2^128: 38 digits always are. */
	const size_t most = 38;
	size_t at = len < 7 ? 2 : 5;
	int err = 0;

	if (len < 3) {
		memcpy(out, "12", len);
		return 0;
	}
	memcpy(out, "2.25.", at);
	while (!err && at < len) {
		size_t n = len - at;

		/* No point at the end, and a digit behind each. */
		if (n > most)
			n = n == most + 1 ? most - 1 : most;
		err = put_component(d, out + at, n);
		at += n;
		if (at < len)
			out[at++] = '.';
	}
	return err;
}

/* The part of a value that is not padding. */
static size_t without_padding(const uint8_t *p, size_t len)
{
	while (len && (p[len - 1] == '\0' || p[len - 1] == ' '))
		len--;
	return len;
}

static int fill_uid(EVP_MAC_CTX *mac, uint8_t *p, size_t len)
{
	uint8_t text[64];
	struct digits d = { .mac = mac, .text = text, .used = 32 };
	size_t n = without_padding(p, len);
	int err;

	/* No UID is so long. It says nothing, then. */
	if (n > 64)
		n = 64;
	memcpy(text, p, n);
	d.len = n;
	memset(p + n, 0, len - n);
	err = put_uid(&d, p, n);
	OPENSSL_cleanse(text, sizeof(text));
	OPENSSL_cleanse(d.block, sizeof(d.block));
	return err;
}

int dicom_fill_uids(EVP_MAC_CTX *mac, uint8_t *value, size_t len)
{
	int err = 0;

	while (!err && len) {
		const uint8_t *end = memchr(value, '\\', len);
		size_t n = end ? (size_t)(end - value) : len;

		err = fill_uid(mac, value, n);
		if (!end)
			return err;
		value += n + 1;
		len -= n + 1;
	}
	return err;
}

bool dicom_is_sop_class(const uint8_t *value, size_t len)
{
	static const char root[] = "1.2.840.10008.5.1.4.";
	size_t n = without_padding(value, len);

	/* The longest in PS3.6 table A-1 has 31 characters. */
	if (n <= strlen(root) || n > 34 || memcmp(value, root, strlen(root)))
		return false;
	for (size_t i = 0; i < n; i++)
		if (value[i] != '.' && (value[i] < '0' || value[i] > '9'))
			return false;
	return true;
}

/* --- structure ----------------------------------------------------------- */

static const struct dicom_tag_range structure[] = {
	{ 0x0000ffff, 0x00000000 },	/* group lengths */
	{ 0xffffffff, 0x00020001 },	/* File Meta Information Version */
	{ 0xffffffff, 0x00020002 },	/* Media Storage SOP Class UID */
	{ 0xffffffff, 0x00020010 },	/* Transfer Syntax UID */
	{ 0xffffffff, 0x00020012 },	/* Implementation Class UID */
	{ 0xffffffff, 0x00020013 },	/* Implementation Version Name */
	{ 0xffffffff, 0x00041200 },	/* Offset of the First Directory .. */
	{ 0xffffffff, 0x00041202 },	/* Offset of the Last Directory .. */
	{ 0xffffffff, 0x00041212 },	/* File-set Consistency Flag */
	{ 0xffffffff, 0x00041400 },	/* Offset of the Next Directory Record */
	{ 0xffffffff, 0x00041410 },	/* Record In-use Flag */
	{ 0xffffffff, 0x00041420 },	/* Offset of Lower-Level Directory .. */
	{ 0xffffffff, 0x00041430 },	/* Directory Record Type */
	{ 0xffffffff, 0x00080005 },	/* Specific Character Set */
	{ 0xffffffff, 0x00080016 },	/* SOP Class UID */
	{ 0xffffffff, 0x00080060 },	/* Modality */
	{ 0xffffffff, 0x00081150 },	/* Referenced SOP Class UID */
	{ 0xffffffff, 0x00280002 },	/* Samples per Pixel */
	{ 0xffffffff, 0x00280004 },	/* Photometric Interpretation */
	{ 0xffffffff, 0x00280006 },	/* Planar Configuration */
	{ 0xffffffff, 0x00280008 },	/* Number of Frames */
	{ 0xffffffff, 0x00280009 },	/* Frame Increment Pointer */
	{ 0xfffffffe, 0x00280010 },	/* Rows, Columns */
	{ 0xfffffffc, 0x00280100 },	/* Bits .., Pixel Representation */
	{ 0xfffffff8, 0x00281100 },	/* Palettes: descriptors */
	{ 0xfffffff8, 0x00281200 },	/* .. and their colours */
	{ 0xfffffffc, 0x00281220 },	/* .. the same, in segments */
	{ 0xffffffff, 0x00283002 },	/* LUT Descriptor */
	{ 0xffffffff, 0x003a0005 },	/* Number of Waveform Channels */
	{ 0xffffffff, 0x003a0010 },	/* Number of Waveform Samples */
	{ 0xffffffff, 0x54001004 },	/* Waveform Bits Allocated */
	{ 0xffffffff, 0x54001006 },	/* Waveform Sample Interpretation */
	{ 0xff00fffe, 0x60000010 },	/* Overlay Rows, Columns */
	{ 0xff00ffff, 0x60000015 },	/* Number of Frames in Overlay */
	{ 0xff00ffff, 0x60000040 },	/* Overlay Type */
	{ 0xff00ffff, 0x60000050 },	/* Overlay Origin */
	{ 0xff00ffff, 0x60000051 },	/* Image Frame Origin */
	{ 0xff00ffff, 0x60000100 },	/* Overlay Bits Allocated */
	{ 0xff00ffff, 0x60000102 },	/* Overlay Bit Position */
};

bool dicom_is_structure(uint32_t tag)
{
	/* Private elements are not: they may mean anything. */
	if (tag & 0x10000)
		return !(tag & 0xffff);
	for (size_t i = 0; i < sizeof(structure) / sizeof(structure[0]); i++)
		if ((tag & structure[i].mask) == structure[i].value)
			return true;
	return false;
}
