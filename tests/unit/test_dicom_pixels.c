// SPDX-License-Identifier: GPL-2.0-or-later
/* Encapsulated pixels, and files that are larger than memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "dicom_file.h"

/* --- encapsulated pixels -------------------------------------------------- */

static void fragment(const char *text)
{
	dcm_begin_item((uint32_t)strlen(text));
	dcm_put(text, strlen(text));
}

static void test_fragments(void **state)
{
	size_t m = dcm_part10(JPEG);

	(void)state;
	dcm_header(0x7fe00010, "OB", UNDEF);
	dcm_begin_item(0);
	fragment("first fragment");
	/* A delimiter inside a fragment is data. */
	dcm_begin_item(10);
	dcm_end_sequence();
	dcm_put("xx", 2);
	dcm_end_sequence();
	dcm_element(0xfffcfffc, "OB", "pad.");
	dcm_expect({ 128, I }, { m + 12, C }, { 8 + 22 + 18, P }, { 8 + 12, C },
		   { 4, I });
}

/* Some writers encapsulate without a VR, or with one that says nothing. */
static void test_fragments_without_vr(void **state)
{
	(void)state;
	for (int un = 0; un < 2; un++) {
		size_t m = dcm_part10(un ? JPEG : IMPLICIT_LE), h;

		dcm.implicit = !un;
		h = dcm_header(0x7fe00010, "UN", UNDEF);
		dcm_begin_item(0);
		fragment("first fragment");
		dcm_end_sequence();
		dcm_expect({ 128, I }, { m + h, C }, { 8 + 22, P }, { 8, C });
	}
}

/* A signature behind the pixels ends like they do, and is not pixels. */
static void test_signature_behind_fragments(void **state)
{
	size_t m = dcm_part10(JPEG);

	(void)state;
	dcm_header(0x7fe00010, "OB", UNDEF);
	dcm_begin_item(0);
	fragment("1234");
	dcm_end_sequence();
	dcm_header(0xfffafffa, "SQ", UNDEF);
	dcm_begin_item(12);
	dcm_element(0x04000120, "DT", "when");
	dcm_end_sequence();
	dcm_expect({ 128, I }, { m + 12, C }, { 8 + 12, P }, { 8 + 12, C },
		   { 8 + 12, I }, { 8, C });
}

static void test_endless_fragments(void **state)
{
	size_t m = dcm_part10(JPEG);

	(void)state;
	dcm_header(0x7fe00010, "OB", UNDEF);
	dcm_begin_item(0);
	fragment("1234");
	dcm_expect({ 128, I }, { m, C }, { 12 + 8 + 12, I });
	/* A length that is undefined, or points behind the end. */
	dcm_begin_item(UNDEF);
	dcm_end_sequence();
	dcm_expect({ 128, I }, { m, C }, { 12 + 8 + 12 + 8 + 8, I });
	dcm.len -= 16;
	dcm_begin_item(9);
	dcm_end_sequence();
	dcm_expect({ 128, I }, { m, C }, { 12 + 8 + 12 + 8 + 8, I });
}

static void many_fragments(bool table, bool signature)
{
	size_t m = dcm_part10(JPEG), frames = 2000, fragments;

	dcm_header(0x7fe00010, "OB", UNDEF);
	dcm_begin_item(table ? 4 * frames : 0);
	for (size_t i = 0; table && i < frames; i++)
		dcm_put_number((uint32_t)i * 12, 4);
	for (size_t i = 0; i < frames; i++)
		fragment("1234");
	fragments = 8 + (table ? 4 * frames : 0) + 12 * frames;
	dcm_end_sequence();
	if (!signature) {
		dcm_expect({ 128, I }, { m + 12, C }, { fragments, P },
			   { 8, C });
		return;
	}
	dcm_header(0xfffafffa, "SQ", UNDEF);
	dcm_begin_item(0);
	dcm_end_sequence();
	dcm_expect({ 128, I }, { m + 12, C }, { fragments, P }, { 8 + 12, C },
		   { 8, I }, { 8, C });
}

/* The delimiter at the end of the file is not always the pixels'. */
static void test_many_fragments_inside(void **state)
{
	size_t m = dcm_part10(JPEG), frames = 1000;

	(void)state;
	dcm_header(0x00880200, "SQ", UNDEF);
	dcm_begin_item(UNDEF);
	dcm_header(0x7fe00010, "OB", UNDEF);
	dcm_begin_item(0);
	for (size_t i = 0; i < frames; i++)
		fragment("1234");
	dcm_end_sequence();
	dcm_element(0xfffcfffc, "OB", "pad.");
	dcm_end_item();
	dcm_end_sequence();
	dcm_expect({ 128, I }, { m + 12 + 8 + 12, C }, { 8 + 12 * frames, P },
		   { 8 + 12, C }, { 4, I }, { 16, C });
}

static void test_many_fragments(void **state)
{
	(void)state;
	many_fragments(false, false);
	many_fragments(true, false);
	many_fragments(true, true);
}

static void test_bad_offset_table(void **state)
{
	static const uint32_t offset[] = { 5, 1000000, 0xfffffff0, 24 };

	(void)state;
	for (int i = 0; i < 4; i++) {
		size_t m = dcm_part10(JPEG);

		dcm_header(0x7fe00010, "OB", UNDEF);
		dcm_begin_item(4);
		dcm_put_number(offset[i], 4);
		fragment("1234");
		fragment("5678");
		dcm_end_sequence();
		dcm_expect({ 128, I }, { m + 12, C }, { 8 + 4 + 24, P },
			   { 8, C });
	}
}

/* --- a source larger than memory ------------------------------------------ */

struct sparse {
	uint64_t length;
	uint64_t fragment;	/* an item's header at each multiple, or 0 */
	uint64_t bytes;
	unsigned int reads;
};

/* The file in memory, then zeros or fragments, then a delimiter. */
static ssize_t read_sparse(void *ctx, void *buf, size_t len, uint64_t off)
{
	static const uint8_t end[8] = { 0xfe, 0xff, 0xdd, 0xe0 };
	struct sparse *s = ctx;
	uint8_t *out = buf;

	assert_true(off <= s->length && len <= s->length - off);
	s->reads++;
	s->bytes += len;
	for (size_t i = 0; i < len; i++) {
		uint64_t at = off + i;
		uint64_t in = s->fragment && at >= dcm.len ?
			      (at - dcm.len) % s->fragment : 8;
		uint64_t size = s->fragment - 8;
		uint8_t head[8] = { 0xfe, 0xff, 0, 0xe0, (uint8_t)size,
				    (uint8_t)(size >> 8),
				    (uint8_t)(size >> 16),
				    (uint8_t)(size >> 24) };

		if (at < dcm.len)
			out[i] = dcm.data[at];
		else if (at >= s->length - 8)
			out[i] = end[at - (s->length - 8)];
		else
			out[i] = in < 8 ? head[in] : 0;
	}
	return (ssize_t)len;
}

static int parse_sparse(struct sparse *s)
{
	struct dicom_source src = { read_sparse, s, s->length };
	int r = dicom_parse(&src, &dcm_info);

	if (r == 1)
		dcm_check_form(s->length);
	return r;
}

static void test_pixels_are_not_read(void **state)
{
	struct sparse s = { 0 };
	size_t m = dcm_part10(EXPLICIT_LE);

	(void)state;
	dcm_header(0x7fe00010, "OW", 0xfffffffe);
	s.length = dcm.len + 0xfffffffeull + 12;
	assert_int_equal(parse_sparse(&s), 1);
	/* The zeros behind it are no elements. */
	assert_int_equal(dcm_info.segments, 4);
	assert_int_equal(dcm_info.segment[1].length, m + 12);
	assert_true(dcm_info.segment[2].length == 0xfffffffeull);
	assert_int_equal(dcm_info.segment[3].compartment, I);
	assert_in_range(s.reads, 1, 4);
	assert_in_range(s.bytes, 1, 4 * 4096);
}

static void test_few_reads_for_many_fragments(void **state)
{
	struct sparse s = { .fragment = 1 << 20 };

	(void)state;
	dcm_part10(JPEG);
	dcm_header(0x7fe00010, "OB", UNDEF);
	dcm_begin_item(0);
	s.length = dcm.len + (100000ull << 20) + 8;
	assert_int_equal(parse_sparse(&s), 1);
	assert_int_equal(dcm_info.segments, 4);
	assert_int_equal(dcm_info.segment[2].compartment, P);
	assert_true(dcm_info.segment[2].length == 8 + (100000ull << 20));
	assert_in_range(s.reads, 1, 300);
}

/* Hostile: nothing but empty items, in a file of 16 EiB. */
static void test_work_is_bounded(void **state)
{
	struct sparse s = { .fragment = 8, .length = UINT64_MAX };

	(void)state;
	dcm_part10(EXPLICIT_LE);
	dcm_header(0x00082218, "SQ", UNDEF);
	assert_int_equal(parse_sparse(&s), 1);
	assert_int_equal(dcm_info.segment[dcm_info.segments - 1].compartment,
			 I);
	assert_in_range(s.bytes, 1, 64 << 20);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fragments),
		cmocka_unit_test(test_fragments_without_vr),
		cmocka_unit_test(test_signature_behind_fragments),
		cmocka_unit_test(test_endless_fragments),
		cmocka_unit_test(test_many_fragments_inside),
		cmocka_unit_test(test_many_fragments),
		cmocka_unit_test(test_bad_offset_table),
		cmocka_unit_test(test_pixels_are_not_read),
		cmocka_unit_test(test_few_reads_for_many_fragments),
		cmocka_unit_test(test_work_is_bounded),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
