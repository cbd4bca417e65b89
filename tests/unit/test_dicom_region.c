// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Labelled pixel regions: pictures of all kinds that can be cut, against a model
 * that looks at each pixel by itself; and those that cannot.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chaosimg.h"
#include "dicom_file.h"
#include "dicom_mask.h"
#include "rng.h"

#define REGION DICOM_REGION

static const uint8_t key[DICOM_UID_KEY] = "test key";
static struct dicom_mask mask;
static uint8_t view[sizeof(dcm.data)], blurred[sizeof(dcm.data)];
static uint64_t state = 1;

static uint32_t draw(uint32_t below)
{
	return (uint32_t)(rng_next(&state) >> 16) % below;
}

static ssize_t read_dcm(void *ctx, void *buf, size_t len, uint64_t off)
{
	(void)ctx;
	assert_true(off <= dcm.len && len <= dcm.len - off);
	if (++dcm.reads == dcm.fail_at)
		return -ENOTRECOVERABLE;
	memcpy(buf, dcm.data + off, len);
	return (ssize_t)len;
}

static int make(const struct dicom_cut *cut, struct dicom_mask *m)
{
	const struct dicom_source src = { read_dcm, NULL, dcm.len };

	return dicom_mask_make(&src, key, cut, &dcm_info, m);
}

/* --- pictures -------------------------------------------------------------- */

/* A picture, and where it begins in the file. */
static struct picture {
	const char *syntax, *vr, *photometric;
	unsigned int rows, columns, samples, planar, bits, stored, is_signed;
	unsigned int frames;
	size_t start, length;
} pic;

static void put_us(uint32_t tag, unsigned int v)
{
	dcm_header(tag, "US", 2);
	dcm_put_number(v, 2);
}

static void put_geometry(void)
{
	char frames[13];

	snprintf(frames, sizeof(frames), "%-12u", pic.frames);
	put_us(0x00280002, pic.samples);
	dcm_element(0x00280004, "CS", pic.photometric);
	if (pic.samples > 1)
		put_us(0x00280006, pic.planar);
	dcm_element(0x00280008, "IS", frames);
	put_us(0x00280010, pic.rows);
	put_us(0x00280011, pic.columns);
	put_us(0x00280100, pic.bits);
	put_us(0x00280101, pic.stored);
	put_us(0x00280102, pic.stored - 1);
	put_us(0x00280103, pic.is_signed);
}

static void put_file_start(void)
{
	dcm_part10(pic.syntax);
	dcm.implicit = !strcmp(pic.syntax, IMPLICIT_LE);
	dcm.big = !strcmp(pic.syntax, EXPLICIT_BE);
	dcm_element(0x00080060, "CS", "US");
	dcm_element(0x00100010, "PN", "Doe^Jane");
}

static void put_pixels(void)
{
	size_t len = (size_t)pic.rows * pic.columns * pic.samples *
		     pic.frames * pic.bits / 8;

	pic.length = len + len % 2;
	dcm_header(0x7fe00010, pic.vr, (uint32_t)pic.length);
	pic.start = dcm.len;
	assert_true(pic.length <= sizeof(dcm.data) - dcm.len - 64);
	for (size_t i = 0; i < pic.length; i++)
		dcm.data[dcm.len++] = (uint8_t)draw(256);
}

static void put_file(void)
{
	put_file_start();
	put_geometry();
	put_pixels();
	dcm_element(0xfffcfffc, "OB", "pad.");
}

static void plain_picture(void)
{
	pic = (struct picture){
		.syntax = EXPLICIT_LE, .vr = "OW", .photometric = "RGB ",
		.rows = 40, .columns = 50, .samples = 3, .bits = 8,
		.stored = 8, .frames = 2,
	};
}

static void random_picture(void)
{
	static const char *const syntax[] = {
		IMPLICIT_LE, EXPLICIT_LE, EXPLICIT_BE,
	};

	pic.syntax = syntax[draw(3)];
	pic.rows = 1 + draw(draw(2) ? 20 : 140);
	pic.columns = 1 + draw(draw(2) ? 20 : 140);
	pic.samples = draw(2) ? 3 : 1;
	pic.photometric = pic.samples == 1 ? "MONOCHROME2 " : "RGB ";
	pic.planar = draw(2);
	pic.bits = draw(2) ? 16 : 8;
	pic.stored = draw(2) ? pic.bits : 1 + draw(pic.bits);
	pic.is_signed = draw(2);
	pic.frames = 1 + draw(3);
	pic.vr = pic.bits == 8 && draw(2) ? "OB" : "OW";
	/* Rows that begin within a word are not cut. */
	if (!strcmp(pic.syntax, EXPLICIT_BE) && pic.bits == 8)
		pic.columns += pic.columns % 2;
}

static void random_rect(struct dicom_rect *r)
{
	/* Some of them reach out of the picture, or are outside. */
	r->x = draw(pic.columns + pic.columns / 4 + 1);
	r->y = draw(pic.rows + pic.rows / 4 + 1);
	r->width = 1 + draw(pic.columns);
	r->height = 1 + draw(pic.rows);
	if (!draw(8))
		r->width = r->height = 65535;
}

static void random_cut(struct dicom_cut *cut)
{
	memset(cut, 0, sizeof(*cut));
	cut->outside = draw(2);
	cut->rects = draw(5) + !cut->outside;
	for (uint32_t i = 0; i < cut->rects; i++)
		random_rect(&cut->rect[i]);
	cut->shown = cut->outside ? 1 + draw(3) : 0;
	for (uint32_t i = 0; i < cut->shown; i++)
		random_rect(&cut->show[i]);
}

/* --- the model ------------------------------------------------------------- */

static bool in_rect(const struct dicom_rect *r, uint32_t n, unsigned int x,
		    unsigned int y)
{
	for (uint32_t i = 0; i < n; i++)
		if (x >= r[i].x && x < r[i].x + r[i].width && y >= r[i].y &&
		    y < r[i].y + r[i].height)
			return true;
	return false;
}

static bool model_in(const struct dicom_cut *cut, unsigned int x,
		     unsigned int y)
{
	return in_rect(cut->rect, cut->rects, x, y) ||
	       (cut->outside && !in_rect(cut->show, cut->shown, x, y));
}

static bool is_swapped(void)
{
	return !strcmp(pic.syntax, EXPLICIT_BE) && pic.bits == 8 &&
	       !strcmp(pic.vr, "OW");
}

/* Where the most significant byte of a sample is, and the other one. */
static size_t place(unsigned int frame, unsigned int y, unsigned int x,
		    unsigned int sample, unsigned int byte)
{
	size_t pixels = (size_t)pic.rows * pic.columns, i;

	if (pic.samples == 3 && pic.planar)
		i = (3 * (size_t)frame + sample) * pixels + y * pic.columns + x;
	else
		i = (frame * pixels + y * pic.columns + x) * pic.samples +
		    sample;
	if (pic.bits == 16)
		return pic.start + 2 * i +
		       (strcmp(pic.syntax, EXPLICIT_BE) ? 1 - byte : byte);
	return pic.start + (is_swapped() ? i ^ 1 : i);
}

static uint8_t expected[sizeof(dcm.data)];	/* owner of each byte */

static void model_owners(const struct dicom_cut *cut)
{
	memset(expected + pic.start, P, pic.length);
	for (unsigned int f = 0; f < pic.frames; f++)
		for (unsigned int y = 0; y < pic.rows; y++)
			for (unsigned int x = 0; x < pic.columns; x++)
				for (unsigned int s = 0; s < pic.samples; s++)
					for (unsigned int b = 0;
					     b < pic.bits / 8; b++)
						if (model_in(cut, x, y))
							expected[place(f, y, x, s, b)] = REGION;
	/* Whole words. */
	for (size_t i = pic.start; is_swapped() && i < pic.start + pic.length;
	     i += 2)
		if (expected[i] == REGION || expected[i + 1] == REGION)
			expected[i] = expected[i + 1] = REGION;
}

static long model_value(unsigned int f, unsigned int y, unsigned int x,
			unsigned int s)
{
	long v = dcm.data[place(f, y, x, s, 0)];

	if (pic.bits == 16)
		v = v * 256 + dcm.data[place(f, y, x, s, 1)];
	v %= 1L << pic.stored;
	if (pic.is_signed && v >= 1L << (pic.stored - 1))
		v -= 1L << pic.stored;
	return v;
}

/* The mean of the pixels of a block that are of the region. */
static long model_mean(unsigned int f, unsigned int by, unsigned int bx,
		       unsigned int s, unsigned int block)
{
	long sum = 0, n = 0, v;

	for (unsigned int y = by * block;
	     y < (by + 1) * block && y < pic.rows; y++)
		for (unsigned int x = bx * block;
		     x < (bx + 1) * block && x < pic.columns; x++)
			if (expected[place(f, y, x, s, 0)] == REGION) {
				sum += model_value(f, y, x, s);
				n++;
			}
	if (!n)
		return 0;
	v = 2 * sum + n;
	return v >= 0 ? v / (2 * n) : -((-v + 2 * n - 1) / (2 * n));
}

static void check_block(unsigned int f, unsigned int by, unsigned int bx,
			unsigned int s, unsigned int block)
{
	long mean = model_mean(f, by, bx, s, block);

	for (unsigned int y = by * block;
	     y < (by + 1) * block && y < pic.rows; y++)
		for (unsigned int x = bx * block;
		     x < (bx + 1) * block && x < pic.columns; x++) {
			size_t high = place(f, y, x, s, 0);
			size_t low = place(f, y, x, s, 1);

			if (expected[high] != REGION)
				continue;
			if (pic.bits == 8) {
				assert_int_equal(blurred[high], mean & 0xff);
				continue;
			}
			assert_int_equal(blurred[high], mean >> 8 & 0xff);
			assert_int_equal(blurred[low], mean & 0xff);
		}
}

static void check_blur(void)
{
	unsigned int longer = pic.rows > pic.columns ? pic.rows : pic.columns;
	unsigned int block = (longer + 15) / 16 > 32 ? (longer + 15) / 16 : 32;

	for (unsigned int f = 0; f < pic.frames; f++)
		for (unsigned int by = 0; by * block < pic.rows; by++)
			for (unsigned int bx = 0; bx * block < pic.columns;
			     bx++)
				for (unsigned int s = 0; s < pic.samples; s++)
					check_block(f, by, bx, s, block);
	for (size_t i = 0; i < dcm.len; i++)
		if (expected[i] != REGION)
			assert_int_equal(blurred[i], dcm.data[i]);
}

/* --- what the library makes of it ------------------------------------------ */

static void check_owners(void)
{
	uint64_t end = 0;

	for (uint64_t off = 0; off < dcm.len; off = end) {
		unsigned int owner = dicom_mask_owner(&mask, off, &end);

		assert_true(end > off && end <= dcm.len);
		for (uint64_t i = off; i < end; i++)
			assert_int_equal(owner, expected[i]);
	}
	/* From any place. */
	for (int i = 0; i < 50; i++) {
		uint64_t off = draw((uint32_t)dcm.len);

		assert_int_equal(dicom_mask_owner(&mask, off, &end),
				 expected[off]);
	}
}

/* The substitute, computed in pieces of any lengths, or out of order. */
static void blur(bool in_order)
{
	const struct dicom_source src = { read_dcm, NULL, dcm.len };
	struct dicom_blur *b;

	memcpy(blurred, dcm.data, dcm.len);
	assert_int_equal(dicom_blur_new(mask.region, &src, &b), 0);
	for (size_t off = 0, n; in_order && off < dcm.len; off += n) {
		n = 1 + draw(9000);
		if (n > dcm.len - off)
			n = dcm.len - off;
		assert_int_equal(dicom_blur_fill(b, blurred + off, n, off), 0);
	}
	if (!in_order) {
		size_t half = pic.start + draw((uint32_t)pic.length);

		assert_int_equal(dicom_blur_fill(b, blurred + half,
						 dcm.len - half, half), 0);
		assert_int_equal(dicom_blur_fill(b, blurred, half, 0), 0);
	}
	dicom_blur_free(b);
}

/* Each set of compartments, against what they ought to see. */
static void check_views(const struct dicom_mask *uncut)
{
	static uint8_t blank[sizeof(dcm.data)];

	memcpy(blank, dcm.data, dcm.len);
	dicom_mask_apply(uncut, 0, blank, dcm.len, 0);
	for (unsigned int held = 0; held < 8; held++) {
		bool identity = held & dicom_held(I);

		memcpy(view, identity ? dcm.data : blurred, dcm.len);
		for (size_t off = 0, n; off < dcm.len; off += n) {
			n = 1 + draw(5000);
			if (n > dcm.len - off)
				n = dcm.len - off;
			dicom_mask_apply(&mask, held, view + off, n, off);
		}
		for (size_t i = 0; i < dcm.len; i++) {
			unsigned int o = expected[i];
			uint8_t want = blank[i];

			if (o == REGION && identity)
				want = dcm.data[i];
			else if (o == REGION && held & dicom_held(P))
				want = blurred[i];
			else if (o < DICOM_EVERYONE && held & dicom_held(o))
				want = dcm.data[i];
			assert_int_equal(view[i], want);
		}
	}
}

static void repack(void)
{
	uint8_t *once, *twice;
	size_t once_len, twice_len;

	assert_int_equal(dicom_mask_pack(&mask, &once, &once_len), 0);
	dicom_mask_free(&mask);
	assert_int_equal(dicom_mask_unpack(once, once_len, &mask), 0);
	assert_int_equal(dicom_mask_pack(&mask, &twice, &twice_len), 0);
	assert_int_equal(once_len, twice_len);
	assert_memory_equal(once, twice, once_len);
	free(once);
	free(twice);
}

static void check_cut(const struct dicom_cut *cut)
{
	struct dicom_mask uncut;
	uint64_t end = 0;

	assert_int_equal(make(NULL, &uncut), 1);
	for (uint64_t off = 0; off < dcm.len; off = end) {
		unsigned int owner = dicom_mask_owner(&uncut, off, &end);

		memset(expected + off, (int)owner, end - off);
	}
	model_owners(cut);
	assert_int_equal(make(cut, &mask), 1);
	assert_null(mask.held);
	assert_non_null(mask.region);
	dcm_check_form(dcm.len);
	for (uint32_t i = 0; i < dcm_info.segments; i++)
		assert_int_not_equal(dcm_info.segment[i].compartment, P);
	repack();
	check_owners();
	blur(true);
	check_blur();
	memcpy(view, blurred, dcm.len);
	blur(false);
	assert_memory_equal(view, blurred, dcm.len);
	check_views(&uncut);
	dicom_mask_free(&mask);
	dicom_mask_free(&uncut);
}

static void test_random(void **unused)
{
	static struct dicom_cut cut;
	const char *seed = getenv("SEED"), *times = getenv("TIMES");
	int n = times ? atoi(times) : 300;

	(void)unused;
	state = seed ? strtoull(seed, NULL, 10) : 1;
	for (int i = 0; i < n; i++) {
		random_picture();
		put_file();
		random_cut(&cut);
		check_cut(&cut);
	}
}

/* As many rectangles as there may be, in all directions. */
static void test_many_rects(void **unused)
{
	static struct dicom_cut cut;

	(void)unused;
	plain_picture();
	put_file();
	memset(&cut, 0, sizeof(cut));
	cut.outside = true;
	cut.rects = DICOM_RECTS_MAX;
	cut.shown = DICOM_SHOWN_MAX;
	for (uint32_t i = 0; i < cut.rects; i++)
		cut.rect[i] = (struct dicom_rect){ 7 * i % 50, 3 * i % 40, 1,
						   1 };
	for (uint32_t i = 0; i < cut.shown; i++)
		cut.show[i] = (struct dicom_rect){ 11 * i % 50, 5 * i % 40, 3,
						   2 };
	check_cut(&cut);
}

/* --- what cannot be cut ---------------------------------------------------- */

static const struct dicom_cut corner = {
	.rects = 1, .rect[0] = { 0, 0, 10, 10 },
};

/* All of the file's pixels must belong to identity, and it must be said. */
static void check_held(const char *why)
{
	struct dicom_mask uncut;
	uint64_t end = 0, other;

	assert_int_equal(make(NULL, &uncut), 1);
	assert_int_equal(make(&corner, &mask), 1);
	assert_non_null(mask.held);
	assert_string_equal(mask.held, why);
	assert_null(mask.region);
	for (uint64_t off = 0; off < dcm.len; off = end) {
		unsigned int was = dicom_mask_owner(&uncut, off, &end);

		for (; off < end; off = other) {
			unsigned int now = dicom_mask_owner(&mask, off, &other);

			assert_int_equal(now, was == P ? I : was);
			if (other > end)
				other = end;
		}
	}
	dcm_check_form(dcm.len);
	for (uint32_t i = 0; i < dcm_info.segments; i++)
		assert_int_not_equal(dcm_info.segment[i].compartment, P);
	repack();
	/* Without identity, a blank picture. */
	memcpy(view, dcm.data, dcm.len);
	memcpy(blurred, dcm.data, dcm.len);
	dicom_mask_apply(&mask, dicom_held(C) | dicom_held(P), view, dcm.len,
			 0);
	dicom_mask_apply(&uncut, dicom_held(C), blurred, dcm.len, 0);
	assert_memory_equal(view, blurred, dcm.len);
	dicom_mask_free(&mask);
	dicom_mask_free(&uncut);
}

static void test_bits(void **unused)
{
	static const char why[] =
		"pixels are not of 8 or 16 bits, grey or in full colour";

	(void)unused;
	plain_picture();
	pic.bits = pic.stored = 32;
	put_file();
	check_held(why);
	plain_picture();
	pic.bits = 8;
	pic.samples = 4;
	put_file();
	check_held(why);
	plain_picture();
	pic.photometric = "YBR_FULL_422";
	put_file();
	check_held(why);
	plain_picture();
	pic.bits = 1;	/* the length is then right for no picture */
	put_file();
	check_held(why);
}

static void test_length(void **unused)
{
	static const char why[] =
		"the length of the pixels is not that of the picture";

	(void)unused;
	for (int i = 0; i < 4; i++) {
		plain_picture();
		put_file_start();
		put_geometry();
		pic.rows += i == 0;
		pic.frames -= i == 1;
		pic.columns -= i == 2;
		put_pixels();
		if (i == 3) {	/* two bytes more */
			dcm_put("xx", 2);
			dcm.data[pic.start - 4] += 2;
		}
		check_held(why);
	}
	/* No rows, or none that are known. */
	plain_picture();
	pic.rows = 0;
	put_file_start();
	put_geometry();
	dcm_header(0x7fe00010, "OW", 4);
	dcm_put("ABCD", 4);
	check_held(why);
	plain_picture();
	put_file_start();
	put_pixels();
	check_held("pixels are not of 8 or 16 bits, grey or in full colour");
}

static void test_words(void **unused)
{
	(void)unused;
	plain_picture();
	pic.syntax = EXPLICIT_BE;
	pic.samples = 1;
	pic.columns = 51;
	put_file();
	check_held("rows begin within a word");
	plain_picture();
	pic.syntax = EXPLICIT_BE;
	pic.vr = "OB";
	pic.bits = 16;
	put_file();
	check_held("the order of the pixels' bytes is not known");
}

static void test_syntaxes(void **unused)
{
	(void)unused;
	plain_picture();
	pic.syntax = JPEG;
	put_file();
	check_held("the transfer syntax is not one of plain pixels");
	plain_picture();
	pic.syntax = EXPLICIT_BE;
	put_file_start();
	dcm.big = false;	/* it says so, and is not */
	dcm.len -= 2 * 8 + 2 + 8;
	dcm_element(0x00080060, "CS", "US");
	put_geometry();
	put_pixels();
	check_held("the file is not in the transfer syntax that it names");
}

static void test_compressed(void **unused)
{
	(void)unused;
	plain_picture();
	pic.syntax = JPEG;
	put_file_start();
	put_geometry();
	dcm_header(0x7fe00002, "OV", 8);
	dcm_put("\4\0\0\0\0\0\0\0", 8);
	dcm_header(0x7fe00010, "OB", UNDEF);
	dcm_begin_item(0);
	dcm_begin_item(4);
	dcm_put("JPEG", 4);
	dcm_end_sequence();
	check_held("the frames are compressed");
}

static void test_disorder(void **unused)
{
	(void)unused;
	plain_picture();
	put_file_start();
	put_geometry();
	put_us(0x00280010, pic.rows);	/* and what does a reader take? */
	put_pixels();
	check_held("elements are not in ascending order");
}

static void test_cut_off(void **unused)
{
	(void)unused;
	plain_picture();
	put_file();
	dcm.len = pic.start + 1000;
	check_held("the pixels are cut off");
}

/* A second picture, an icon and an overlay are held back, the first one cut. */
static void test_others(void **unused)
{
	size_t icon, overlay;
	uint64_t end;

	(void)unused;
	plain_picture();
	put_file_start();
	put_geometry();
	dcm_header(0x00880200, "SQ", UNDEF);
	dcm_begin_item(UNDEF);
	put_us(0x00280010, 2);
	put_us(0x00280011, 2);
	dcm_header(0x7fe00010, "OW", 4);
	icon = dcm.len;
	dcm_put("icon", 4);
	dcm_end_item();
	dcm_end_sequence();
	dcm_header(0x60003000, "OW", 8);
	overlay = dcm.len;
	dcm_put("overlay.", 8);
	put_pixels();
	assert_int_equal(make(&corner, &mask), 1);
	assert_null(mask.held);
	assert_int_equal(dicom_mask_owner(&mask, icon, &end), I);
	assert_int_equal(dicom_mask_owner(&mask, overlay, &end), I);
	assert_int_equal(dicom_mask_owner(&mask, pic.start, &end), REGION);
	assert_true(end == pic.start + 30);
	assert_int_equal(dicom_mask_owner(&mask, end, &end), P);
	assert_true(end == pic.start + 150);
	dicom_mask_free(&mask);
	put_pixels();
	assert_int_equal(make(&corner, &mask), 1);
	assert_non_null(mask.held);
	assert_int_equal(dicom_mask_owner(&mask, pic.start, &end), I);
	dicom_mask_free(&mask);
}

static void test_said(void **unused)
{
	struct dicom_cut cut = { .hold = "a rule says so" };

	(void)unused;
	plain_picture();
	put_file();
	assert_int_equal(make(&cut, &mask), 1);
	assert_string_equal(mask.held, cut.hold);
	dicom_mask_free(&mask);
	/* A cut of nothing is none. */
	cut.hold = NULL;
	assert_int_equal(make(&cut, &mask), 1);
	assert_null(mask.held);
	assert_null(mask.region);
	dicom_mask_free(&mask);
}

/* --- a large one ----------------------------------------------------------- */

enum { LARGE_ROWS = 600, LARGE_COLUMNS = 800, LARGE_FRAMES = 200 };

static uint64_t large_read;

/* 275 MiB of pixels behind the header that is in @dcm. */
static ssize_t read_large(void *ctx, void *buf, size_t len, uint64_t off)
{
	uint8_t *out = buf;

	(void)ctx;
	for (size_t i = 0; i < len; i++)
		out[i] = off + i < pic.start ? dcm.data[off + i] :
			 (uint8_t)((off + i - pic.start) >> 3);
	large_read += len;
	return (ssize_t)len;
}

static void test_large(void **unused)
{
	uint64_t length = 3ull * LARGE_ROWS * LARGE_COLUMNS * LARGE_FRAMES;
	struct dicom_source src = { .read = read_large };
	struct dicom_cut cut = { .rects = 1, .rect[0] = { 100, 20, 300, 30 } };
	struct dicom_blur *b;
	uint64_t region = 0, end = 0;
	uint8_t *packed, buf[900];
	size_t len;

	(void)unused;
	plain_picture();
	pic.rows = LARGE_ROWS;
	pic.columns = LARGE_COLUMNS;
	pic.frames = LARGE_FRAMES;
	put_file_start();
	put_geometry();
	dcm_header(0x7fe00010, "OW", (uint32_t)length);
	pic.start = dcm.len;
	src.length = dcm.len + length;
	assert_int_equal(dicom_mask_make(&src, key, &cut, &dcm_info, &mask), 1);
	assert_true(large_read < 20000);
	assert_int_equal(dicom_mask_pack(&mask, &packed, &len), 0);
	assert_true(len < 2000);
	free(packed);
	for (uint64_t off = 0; off < src.length; off = end)
		if (dicom_mask_owner(&mask, off, &end) == REGION)
			region += end - off;
	assert_true(region == 3ull * 300 * 30 * LARGE_FRAMES);
	/* The last frame costs no look at the others. */
	large_read = 0;
	assert_int_equal(dicom_blur_new(mask.region, &src, &b), 0);
	end = pic.start + 3ull * ((LARGE_FRAMES - 1) * LARGE_ROWS + 20) *
	      LARGE_COLUMNS + 300;
	assert_int_equal(dicom_blur_fill(b, buf, sizeof(buf), end), 0);
	assert_true(large_read < 50 * 3 * LARGE_COLUMNS + (64 << 10));
	for (size_t i = 150; i < sizeof(buf); i++)
		assert_int_equal(buf[i], buf[i % 150 % 3 + i / 150 * 150]);
	dicom_blur_free(b);
	dicom_mask_free(&mask);
}

/* --- errors and damage ----------------------------------------------------- */

static void test_read_errors(void **unused)
{
	const struct dicom_source src = { read_dcm, NULL, 0 };
	struct dicom_source whole = src;
	struct dicom_blur *b;

	(void)unused;
	plain_picture();
	pic.rows = pic.columns = 200;
	put_file();
	whole.length = dcm.len;
	assert_int_equal(make(&corner, &mask), 1);
	assert_int_equal(dicom_blur_new(mask.region, &whole, &b), 0);
	dcm.reads = 0;
	dcm.fail_at = 1;
	memcpy(blurred, dcm.data, dcm.len);
	assert_int_equal(dicom_blur_fill(b, blurred, dcm.len, 0),
			 -ENOTRECOVERABLE);
	/* What is known of a block is not taken for true after that. */
	dcm.fail_at = 0;
	assert_int_equal(dicom_blur_fill(b, blurred, dcm.len, 0), 0);
	assert_memory_not_equal(blurred + pic.start, dcm.data + pic.start, 30);
	dicom_blur_free(b);
	dicom_mask_free(&mask);
}

static void test_damaged_pack(void **unused)
{
	struct dicom_cut cut = {
		.outside = true, .rects = 1, .rect[0] = { 3, 4, 20, 6 },
		.shown = 1, .show[0] = { 0, 5, 45, 30 },
	};
	uint8_t *packed;
	uint64_t end;
	size_t len;

	(void)unused;
	plain_picture();
	put_file();
	assert_int_equal(make(&cut, &mask), 1);
	assert_int_equal(dicom_mask_pack(&mask, &packed, &len), 0);
	dicom_mask_free(&mask);
	for (size_t i = 0; i < len; i++)
		assert_int_equal(dicom_mask_unpack(packed, i, &mask), -EIO);
	for (size_t i = 0; i < len * 8; i++) {
		packed[i / 8] ^= (uint8_t)(1 << i % 8);
		if (!dicom_mask_unpack(packed, len, &mask)) {
			for (uint64_t off = 0; off < mask.length &&
					       off < 20000; off = end) {
				dicom_mask_owner(&mask, off, &end);
				assert_true(end > off && end <= mask.length);
			}
			if (mask.length <= sizeof(view))
				dicom_mask_apply(&mask, 0, view, mask.length,
						 0);
			dicom_mask_free(&mask);
		}
		packed[i / 8] ^= (uint8_t)(1 << i % 8);
	}
	free(packed);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_many_rects),
		cmocka_unit_test(test_bits),
		cmocka_unit_test(test_length),
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_syntaxes),
		cmocka_unit_test(test_compressed),
		cmocka_unit_test(test_disorder),
		cmocka_unit_test(test_cut_off),
		cmocka_unit_test(test_others),
		cmocka_unit_test(test_said),
		cmocka_unit_test(test_large),
		cmocka_unit_test(test_read_errors),
		cmocka_unit_test(test_damaged_pack),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
