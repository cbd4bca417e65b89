// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Pictures without anything on them. A compressed one consists of headers, of
 * code that says "as predicted" all over, and of what its format lets stand
 * between the parts to make it longer: fill bytes before a marker (JPEG,
 * JPEG-LS), comments (JPEG 2000), or codes that put out nothing (RLE).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dicom_blank.h"
#include "error.h"

int dicom_bytes_add(struct dicom_bytes *b, const void *p, size_t len,
		    uint32_t *at)
{
	size_t room = b->room ? b->room : 1024;
	uint8_t *more;

	*at = (uint32_t)b->len;
	if (len > UINT32_MAX - b->len)
		return fail(ENOMEM, "too much to keep of a DICOM file");
	while (room < b->len + len)
		room *= 2;
	if (room > b->room) {
		more = realloc(b->p, room);
		if (!more)
			return fail(ENOMEM, "out of memory");
		b->p = more;
		b->room = room;
	}
	if (p)
		memcpy(b->p + b->len, p, len);
	else
		memset(b->p + b->len, 0, len);
	b->len += len;
	return 0;
}

void dicom_blank_add(struct dicom_blank *b, const void *p, size_t period,
		     uint64_t length)
{
	uint32_t at;

	if (b->err || !length)
		return;
	if (b->runs == DICOM_BLANK_RUNS) {
		b->err = fail(ENOMEM, "a picture has too many parts");
		return;
	}
	b->err = dicom_bytes_add(b->bytes, p, period, &at);
	if (!b->err)
		b->run[b->runs++] = (struct dicom_run){
			length, at, (uint32_t)period
		};
}

static void add_once(struct dicom_blank *b, const void *p, size_t len)
{
	dicom_blank_add(b, p, len, len);
}

/* --- native -------------------------------------------------------------- */

static bool starts_with(const char *s, const char *with)
{
	return !strncmp(s, with, strlen(with));
}

/* Is zero not black, but a colour, in the second and third component? */
static bool has_chroma(const struct dicom_picture *p)
{
	return p->samples == 3 && p->bits_allocated == 8 &&
	       starts_with(p->photometric, "YBR_");
}

int dicom_blank_native(struct dicom_blank *b, const struct dicom_picture *p,
		       bool big_endian)
{
	static const uint8_t by_pixel[] = { 0, 128, 128 };
	static const uint8_t by_pair[] = { 0, 0, 128, 128 };
	uint64_t plane = (uint64_t)p->rows * p->columns;

	if (!has_chroma(p)) {
		dicom_blank_add(b, NULL, 1, 1);
	} else if (strstr(p->photometric, "422")) {
		add_once(b, by_pair, sizeof(by_pair));
	} else if (p->by_plane && plane) {
		dicom_blank_add(b, NULL, 1, plane);
		dicom_blank_add(b, by_pixel + 1, 1, 2 * plane);
	} else if (big_endian) {	/* bytes may stand swapped in words */
		dicom_blank_add(b, by_pixel + 1, 1, 1);
	} else {
		add_once(b, by_pixel, sizeof(by_pixel));
	}
	return b->err;
}

/* --- JPEG and JPEG-LS: ISO/IEC 10918-1 annex B, 14495-1 annexes A and C --- */

/** struct writer - the headers of a compressed picture */
struct writer {
	size_t len;
	uint8_t data[256];
};

static void put(struct writer *w, unsigned int v, int bytes)
{
	while (bytes--)
		w->data[w->len++] = (uint8_t)(v >> 8 * bytes);
}

enum jpeg {
	BASELINE = 0xffc0,
	EXTENDED = 0xffc1,
	LOSSLESS = 0xffc3,
	JPEG_LS = 0xfff7,
};

static void put_frame(struct writer *w, enum jpeg kind, unsigned int precision,
		      const struct dicom_picture *p, bool halved)
{
	put(w, kind, 2);
	put(w, 8 + 3u * p->samples, 2);
	put(w, precision, 1);
	put(w, p->rows, 2);
	put(w, p->columns, 2);
	put(w, p->samples, 1);
	for (unsigned int i = 1; i <= p->samples; i++) {
		put(w, i, 1);
		put(w, halved && i == 1 ? 0x22 : 0x11, 1);
		put(w, 0, 1);
	}
}

static void put_scan(struct writer *w, const struct dicom_picture *p,
		     unsigned int last_bytes)
{
	put(w, 0xffda, 2);
	put(w, 6 + 2u * p->samples, 2);
	put(w, p->samples, 1);
	for (unsigned int i = 1; i <= p->samples; i++) {
		put(w, i, 1);
		put(w, 0, 1);
	}
	put(w, last_bytes, 3);
}

/* A Huffman table with one code, "0", for the symbol 0. */
static void put_huffman(struct writer *w, unsigned int class_and_id)
{
	put(w, 0xffc4, 2);
	put(w, 2 + 17 + 1, 2);
	put(w, class_and_id, 1);
	put(w, 1, 1);
	for (int i = 0; i < 15; i++)
		put(w, 0, 1);
	put(w, 0, 1);
}

static void put_quantization(struct writer *w)
{
	put(w, 0xffdb, 2);
	put(w, 2 + 65, 2);
	put(w, 0, 1);
	for (int i = 0; i < 64; i++)
		put(w, 1, 1);
}

/* How many bits of code, all zero, a picture takes. */
static uint64_t jpeg_bits(enum jpeg kind, const struct dicom_picture *p,
			  bool halved)
{
	unsigned int mcu = halved ? 16 : 8;
	uint64_t blocks = halved ? 6 : p->samples;

	if (kind == LOSSLESS)
		return (uint64_t)p->rows * p->columns * p->samples;
	/* One bit says that the mean is as before, one that there is no more. */
	return 2 * blocks * ((p->rows + mcu - 1u) / mcu) *
	       ((p->columns + mcu - 1u) / mcu);
}

/* What readers make of the precision decides what they allocate. */
static unsigned int precision_of(const struct dicom_picture *p)
{
	if (p->bits_allocated <= 8)
		return 8;
	return p->bits_stored > 8 ? p->bits_stored : p->bits_allocated;
}

/* Fill bytes, then the end of the image. */
static int end_jpeg(struct dicom_blank *b, uint64_t used, uint64_t size)
{
	static const uint8_t fill[] = { 0xff }, end[] = { 0xff, 0xd9 };

	if (size < used + sizeof(end)) {
		b->runs = 0;
		return 0;
	}
	dicom_blank_add(b, fill, 1, size - used - sizeof(end));
	add_once(b, end, sizeof(end));
	return b->err ? b->err : 1;
}

static int blank_jpeg(struct dicom_blank *b, enum jpeg kind,
		      const struct dicom_picture *p, uint64_t size)
{
	bool halved = kind != LOSSLESS && starts_with(p->photometric, "YBR_") &&
		      p->samples == 3;
	uint64_t bits = jpeg_bits(kind, p, halved);
	uint8_t last = (uint8_t)(0xff >> bits % 8);
	struct writer w = { 0 };
	unsigned int precision = precision_of(p);

	if (kind == BASELINE && precision > 8)
		kind = EXTENDED;
	if (kind == EXTENDED && precision > 8)
		precision = 12;
	put(&w, 0xffd8, 2);
	if (kind != LOSSLESS)
		put_quantization(&w);
	put_frame(&w, kind, precision, p, halved);
	put_huffman(&w, 0x00);
	if (kind != LOSSLESS)
		put_huffman(&w, 0x10);
	put_scan(&w, p, kind == LOSSLESS ? 0x010000 : 0x003f00);
	add_once(b, w.data, w.len);
	dicom_blank_add(b, NULL, 1, bits / 8);
	if (bits % 8)
		add_once(b, &last, 1);
	return end_jpeg(b, w.len + (bits + 7) / 8, size);
}

/* How many one bits say that all lines are as the one before (A.7.1). */
static uint64_t jpeg_ls_bits(const struct dicom_picture *p)
{
	static const uint8_t order[32] = {
		0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3,
		4, 4, 5, 5, 6, 6, 7, 7, 8, 9, 10, 11, 12, 13, 14, 15,
	};
	unsigned int index = 0;
	uint64_t bits = 0;

	for (unsigned int y = 0; y < p->rows; y++) {
		unsigned int left = p->columns;

		for (; left >= 1u << order[index]; bits++) {
			left -= 1u << order[index];
			index += index < 31;
		}
		bits += left > 0;
	}
	return bits;
}

static int blank_jpeg_ls(struct dicom_blank *b, const struct dicom_picture *p,
			 uint64_t size)
{
	static const uint8_t pair[] = { 0xff, 0x7f };	/* 8 and 7 bits */
	uint64_t bits = jpeg_ls_bits(p), pairs = bits / 15, left = bits % 15;
	uint8_t last[2] = { (uint8_t)(0xff00 >> left), 0 };
	size_t last_len = left > 0;
	struct writer w = { 0 };

	if (left >= 8) {	/* behind 0xff, a zero bit is always inserted */
		last[0] = 0xff;
		last[1] = (uint8_t)((0xff00 >> (left - 8)) & 0xff) >> 1;
		last_len = 2;
	}
	put(&w, 0xffd8, 2);
	put_frame(&w, JPEG_LS, p->bits_stored > 1 ? p->bits_stored : 8, p,
		  false);
	/* The components of each pixel stand together. */
	put_scan(&w, p, p->samples > 1 ? 0x000200 : 0);
	add_once(b, w.data, w.len);
	dicom_blank_add(b, pair, sizeof(pair), 2 * pairs);
	add_once(b, last, last_len);
	return end_jpeg(b, w.len + 2 * pairs + last_len, size);
}

/* --- JPEG 2000: ISO/IEC 15444-1 annexes A and B; 15444-15 ----------------- */

enum { COMMENT_MIN = 7, COMMENT = 4098 };

static void put_comment(struct writer *w, unsigned int total)
{
	put(w, 0xff64, 2);
	put(w, total - 2, 2);
	put(w, 0, 2);		/* its text is binary */
}

static void put_size(struct writer *w, const struct dicom_picture *p,
		     bool high_throughput)
{
	put(w, 0xff4f, 2);
	put(w, 0xff51, 2);
	put(w, 38 + 3u * p->samples, 2);
	put(w, high_throughput ? 0x4000 : 0, 2);
	for (int i = 0; i < 2; i++) {	/* the image, and its only tile */
		put(w, p->columns, 4);
		put(w, p->rows, 4);
		put(w, 0, 4);
		put(w, 0, 4);
	}
	put(w, p->samples, 2);
	for (unsigned int i = 0; i < p->samples; i++) {
		put(w, (p->bits_stored - 1u) | p->is_signed << 7, 1);
		put(w, 0x0101, 2);
	}
	if (high_throughput) {
		put(w, 0xff50, 2);
		put(w, 8, 2);
		put(w, 0x00020000, 4);
		put(w, 0, 2);
	}
}

static void put_coding(struct writer *w, const struct dicom_picture *p,
		       bool high_throughput)
{
	bool transformed = p->samples == 3 &&
			   (starts_with(p->photometric, "YBR_RCT") ||
			    starts_with(p->photometric, "YBR_ICT"));

	put(w, 0xff52, 2);
	put(w, 12, 2);
	put(w, 0, 2);
	put(w, 1, 2);			/* layers */
	put(w, transformed, 1);
	put(w, 0, 1);			/* decompositions */
	put(w, 0x0404, 2);		/* code-blocks of 64 by 64 */
	put(w, high_throughput ? 0x40 : 0, 1);
	put(w, 1, 1);			/* reversible */
	put(w, 0xff5c, 2);
	put(w, 4, 2);
	put(w, 0x40, 1);
	put(w, (p->bits_stored + transformed) << 3 & 0xff, 1);
}

/* @len bytes of comments; what is left must hold one, or go behind the end. */
static void add_comments(struct dicom_blank *b, uint64_t len)
{
	uint64_t whole = len / COMMENT;
	unsigned int left = len % COMMENT;
	uint8_t comment[COMMENT] = { 0 };
	struct writer w = { 0 };

	if (whole && left && left < COMMENT_MIN) {
		whole--;
		left += COMMENT;
	}
	put_comment(&w, COMMENT);
	memcpy(comment, w.data, w.len);
	if (whole)
		dicom_blank_add(b, comment, COMMENT, whole * COMMENT);
	if (!left)
		return;
	w.len = 0;
	put_comment(&w, left);
	add_once(b, w.data, w.len);
	dicom_blank_add(b, NULL, 1, left - w.len);
}

static int blank_jpeg2000(struct dicom_blank *b, const struct dicom_picture *p,
			  uint64_t size, bool high_throughput)
{
	static const uint8_t end[] = { 0xff, 0xd9 };
	struct writer head = { 0 }, tile = { 0 };
	uint64_t used, left;

	if (!p->bits_stored || p->bits_stored > 30)
		return 0;
	put_size(&head, p, high_throughput);
	put_coding(&head, p, high_throughput);
	put(&tile, 0xff90, 2);
	put(&tile, 10, 2);
	put(&tile, 0, 2);
	put(&tile, 14u + p->samples, 4);
	put(&tile, 0x0001, 2);
	put(&tile, 0xff93, 2);
	put(&tile, 0, p->samples);	/* a packet with nothing, for each */
	used = head.len + tile.len + sizeof(end);
	if (size < used)
		return 0;
	left = size - used;
	add_once(b, head.data, head.len);
	if (left >= COMMENT_MIN)
		add_comments(b, left);
	add_once(b, tile.data, tile.len);
	add_once(b, end, sizeof(end));
	if (left < COMMENT_MIN)
		dicom_blank_add(b, NULL, 1, left);
	return b->err ? b->err : 1;
}

/* --- RLE: PS3.5 annex G -------------------------------------------------- */

enum { RLE_HEADER = 64, RLE_SEGMENTS_MAX = 15, RLE_RUN = 128 };

/* One line of @columns bytes that are @v; lines are coded by themselves. */
static size_t rle_line(unsigned int columns, uint8_t v,
		       uint8_t out[2 * (UINT16_MAX / RLE_RUN + 1)])
{
	size_t n = 0;

	while (columns) {
		unsigned int run = columns < RLE_RUN ? columns : RLE_RUN;

		out[n++] = (uint8_t)(run == 1 ? 0 : 257 - run);
		out[n++] = v;
		columns -= run;
	}
	return n;
}

static int blank_rle(struct dicom_blank *b, const struct dicom_picture *p,
		     uint64_t size)
{
	static const uint8_t nothing[] = { 0x80 };
	uint8_t head[RLE_HEADER] = { 0 };
	uint8_t line[2 * (UINT16_MAX / RLE_RUN + 1)];
	unsigned int bytes = p->bits_allocated / 8, n = p->samples * bytes;
	size_t len = rle_line(p->columns, 0, line);
	uint64_t segment = (uint64_t)len * p->rows;

	if (p->bits_allocated % 8 || !n || n > RLE_SEGMENTS_MAX ||
	    size < RLE_HEADER || segment > (size - RLE_HEADER) / n ||
	    segment > UINT32_MAX / RLE_SEGMENTS_MAX)
		return 0;
	head[0] = (uint8_t)n;
	for (unsigned int i = 0; i < n; i++) {
		uint64_t at = RLE_HEADER + i * segment;

		for (int k = 0; k < 4; k++)
			head[4 + 4 * i + k] = (uint8_t)(at >> 8 * k);
	}
	add_once(b, head, sizeof(head));
	for (unsigned int i = 0; i < n; i++) {
		rle_line(p->columns, i && has_chroma(p) ? 128 : 0, line);
		dicom_blank_add(b, line, len, segment);
	}
	dicom_blank_add(b, nothing, 1, size - RLE_HEADER - n * segment);
	return b->err ? b->err : 1;
}

/* --- which -------------------------------------------------------------- */

static int blank_plain(struct dicom_blank *b, const struct dicom_picture *p,
		       uint64_t size)
{
	int err = dicom_blank_native(b, p, false);

	if (err || b->runs != 1)
		return err;
	b->run[0].length = size;
	return 1;
}

int dicom_blank_frame(struct dicom_blank *b, const char *uid,
		      const struct dicom_picture *p, uint64_t size)
{
	static const char prefix[] = "1.2.840.10008.1.2.";
	char *end;
	long n;

	if (!p->rows || !p->columns || !p->samples || p->samples > 4 ||
	    !p->bits_allocated || p->bits_stored > p->bits_allocated ||
	    strncmp(uid, prefix, strlen(prefix)))
		return 0;
	uid += strlen(prefix);
	if (!strcmp(uid, "5"))
		return blank_rle(b, p, size);
	if (!strcmp(uid, "1.98"))
		return blank_plain(b, p, size);
	if (strncmp(uid, "4.", 2))
		return 0;
	n = strtol(uid + 2, &end, 10);
	if (*end || p->bits_allocated > 16)
		return 0;
	if (n == 50)
		return blank_jpeg(b, BASELINE, p, size);
	/* Progressive decoders take sequential code as well. */
	if ((n >= 51 && n <= 56) || (n >= 59 && n <= 64))
		return blank_jpeg(b, EXTENDED, p, size);
	if (n == 57 || n == 58 || n == 65 || n == 66 || n == 70)
		return blank_jpeg(b, LOSSLESS, p, size);
	if (n == 80 || n == 81)
		return blank_jpeg_ls(b, p, size);
	if (n >= 90 && n <= 93)
		return blank_jpeg2000(b, p, size, false);
	if (n >= 201 && n <= 203)
		return blank_jpeg2000(b, p, size, true);
	return 0;
}
