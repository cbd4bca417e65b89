/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Labelled pixel regions: parts of a picture that belong to identity, where
 * they are in the file, and what is shown in their place to who holds pixels
 * and not identity. Documentation/rules.rst says what can be cut out.
 */
#ifndef CHAOSIMG_DICOM_REGION_H
#define CHAOSIMG_DICOM_REGION_H

#include "dicom_walk.h"

enum {
	DICOM_RECTS_MAX = 256,
	DICOM_SHOWN_MAX = 64,
	/* A block of the substitute has at least so many rows and columns .. */
	DICOM_BLOCK_MIN = 32,
	/* .. and there are at most so many along a picture's longer side. */
	DICOM_BLOCKS_MAX = 16,
};

/** struct dicom_rect - pixels from (@x, @y) on; (0, 0) is the upper left one */
struct dicom_rect {
	uint32_t x;
	uint32_t y;
	uint32_t width;
	uint32_t height;
};

/**
 * struct dicom_cut - what of a file's pixels belongs to identity
 * @hold: all of them: the reason, a static text; else NULL
 * @outside: so does all that is outside of @show
 * @rects: how many of @rect are in use
 * @shown: how many of @show are in use
 * @rect: these, in each frame
 * @show: the file's ultrasound regions
 *
 * Neither of @rect nor @outside nor @hold: nothing.
 */
struct dicom_cut {
	const char *hold;
	bool outside;
	uint32_t rects;
	uint32_t shown;
	struct dicom_rect rect[DICOM_RECTS_MAX];
	struct dicom_rect show[DICOM_SHOWN_MAX];
};

/** dicom_cut_any() - does anything of the pixels belong to identity? */
static inline bool dicom_cut_any(const struct dicom_cut *c)
{
	return c->hold || c->outside || c->rects;
}

/** struct dicom_span - the bytes of a row from @from up to @until */
struct dicom_span {
	uint32_t from;
	uint32_t until;
};

/** struct dicom_band - rows with the same spans, from @y up to the next one */
struct dicom_band {
	uint32_t y;
	uint32_t span;
	uint32_t spans;
};

/**
 * struct dicom_layout - how the pixels of a picture lie in the file
 * @rows: of a plane
 * @columns: of a plane
 * @planes: frames, times three if each component has its own
 * @samples: that stand together in a plane, for each pixel
 * @bytes: of a sample, 1 or 2
 * @bits: of a sample that are used
 * @is_signed: it is in two's complement
 * @big_endian: its bytes are
 * @swapped: two bytes each are swapped
 */
struct dicom_layout {
	uint32_t rows;
	uint32_t columns;
	uint64_t planes;
	uint8_t samples;
	uint8_t bytes;
	uint8_t bits;
	bool is_signed;
	bool big_endian;
	bool swapped;
};

/**
 * struct dicom_region - the region of a picture
 * @layout: of the picture
 * @start: where the picture begins in the file
 * @cut: what the region is made of, within the picture
 * @block: rows and columns of a block
 * @bands: how many there are
 * @band: they cover a plane
 * @span: what they refer to, in ascending order
 */
struct dicom_region {
	struct dicom_layout layout;
	uint64_t start;
	struct dicom_cut cut;
	uint32_t block;
	uint32_t bands;
	struct dicom_band *band;
	struct dicom_span *span;
};

/**
 * dicom_layout_of() - can regions be cut out of this picture?
 * @part: Pixel Data, DICOM_VALUE
 * @transfer_syntax: what the file says it is in
 * @l: filled in
 * Return: NULL, or why they cannot, a static text.
 */
const char *dicom_layout_of(const struct dicom_part *part,
			    const char *transfer_syntax,
			    struct dicom_layout *l);

/**
 * dicom_layout_ok() - does a layout make sense?
 * @l: anything
 * @length: of the picture in the file; one byte of padding may be in it
 */
bool dicom_layout_ok(const struct dicom_layout *l, uint64_t length);

/**
 * dicom_region_new() - lay out a picture's region
 * @l: for which dicom_layout_ok()
 * @start: where the picture begins in the file
 * @cut: without @cut->hold; what lies outside of the picture is left out
 * @out: receives it, for dicom_region_free()
 * Return: 0 or -ENOMEM.
 */
int dicom_region_new(const struct dicom_layout *l, uint64_t start,
		     const struct dicom_cut *cut, struct dicom_region **out);

/** dicom_region_free() - NULL is allowed */
void dicom_region_free(struct dicom_region *r);

/**
 * dicom_region_at() - is this byte of the region?
 * @r: the region
 * @off: where it is in the file; not before the picture
 * @end: what is before this is alike; UINT64_MAX for all that follows
 */
bool dicom_region_at(const struct dicom_region *r, uint64_t off, uint64_t *end);

/** dicom_layout_row() - bytes of a row */
static inline uint32_t dicom_layout_row(const struct dicom_layout *l)
{
	return l->columns * l->samples * l->bytes;
}

/** dicom_layout_plane() - bytes of a plane */
static inline uint64_t dicom_layout_plane(const struct dicom_layout *l)
{
	return (uint64_t)l->rows * dicom_layout_row(l);
}

/* --- what is shown instead (dicom_blur.c) ---------------------------------- */

struct dicom_blur;

/**
 * dicom_blur_new() - begin to compute a region's substitute
 * @r: the region; it must stay
 * @src: the file, with its own pixels; it must stay
 * @out: receives it, for dicom_blur_free()
 * Return: 0 or -ENOMEM.
 */
int dicom_blur_new(const struct dicom_region *r, const struct dicom_source *src,
		   struct dicom_blur **out);

/**
 * dicom_blur_fill() - put the substitute in the region's place
 * @b: the state; from begin to end of the file is the fastest order
 * @buf: bytes of the file; those that are not of the region stay
 * @len: how many
 * @off: where they begin
 * Return: 0 or -errno if reading failed.
 *
 * The picture is divided into blocks from its upper left corner. Each sample
 * of a block that is of the region is the mean of all such. Takes memory for
 * one row of blocks.
 */
int dicom_blur_fill(struct dicom_blur *b, void *buf, size_t len, uint64_t off);

/** dicom_blur_free() - wipe and free; NULL is allowed */
void dicom_blur_free(struct dicom_blur *b);

#endif
