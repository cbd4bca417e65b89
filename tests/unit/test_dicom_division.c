// SPDX-License-Identifier: GPL-2.0-or-later
/* Which element belongs where, and what is joined if there are too many. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dicom_division.h"
#include "dicom_file.h"

/* --- what belongs where --------------------------------------------------- */

static void test_repeating_groups_and_private(void **state)
{
	size_t m = dcm_part10(EXPLICIT_LE);

	(void)state;
	dcm_element(0x00090010, "LO", "ACME");
	dcm_element(0x00091001, "UN", "private.");
	dcm_element(0x50060010, "US", "cu");
	dcm_element(0x60020010, "US", "ro");
	dcm_element(0x60023000, "OW", "overlay.");
	dcm_element(0x60024000, "LT", "comments");
	dcm_element(0x7fe10010, "LO", "GEMS");
	dcm_expect({ 128, I }, { m + 8, C }, { 4, I }, { 12, C }, { 8, I },
		   { 8, C }, { 2, I }, { 10, C }, { 12, C }, { 8, P }, { 8, C },
		   { 8, I }, { 8, C }, { 4, I });
}

static void test_other_pixels(void **state)
{
	static const uint32_t tags[] = {
		0x56000020, 0x7f020010, 0x7fe00001, 0x7fe00002, 0x7fe00003,
		0x7fe00008, 0x7fe00009, 0x7fe00010,
	};
	size_t m;

	(void)state;
	for (size_t i = 0; i < sizeof(tags) / sizeof(tags[0]); i++) {
		m = dcm_part10(EXPLICIT_LE);
		dcm_element(tags[i], "OB", "data");
		dcm_expect({ 128, I }, { m + 12, C }, { 4, P });
	}
}

static void test_profile_table(void **state)
{
	(void)state;
	for (size_t i = 1; i < dicom_profile_tags; i++)
		assert_true(dicom_profile_tag[i - 1] < dicom_profile_tag[i]);
	for (size_t i = 0; i < dicom_profile_tags; i++)
		assert_int_equal(dicom_compartment(dicom_profile_tag[i]), I);
	assert_int_equal(dicom_compartment(0x00100010), I);
	assert_int_equal(dicom_compartment(0x00100011), C);
	assert_int_equal(dicom_compartment(0x00080060), C);
	assert_int_equal(dicom_compartment(0x00020100), I);
	assert_int_equal(dicom_compartment(0x00020102), I);
	assert_int_equal(dicom_compartment(0x00287fe0), I);
	assert_int_equal(dicom_compartment(0x00000000), C);
	assert_int_equal(dicom_compartment(0xfffefffe), C);
	assert_int_equal(dicom_compartment(0x50ff1234), I);
}

static void test_listed_sequence_is_whole(void **state)
{
	size_t m = dcm_part10(EXPLICIT_LE);

	(void)state;
	dcm_header(0x00081110, "SQ", UNDEF);	/* Referenced Study Sequence */
	dcm_begin_item(UNDEF);
	dcm_element(0x00080060, "CS", "CT");
	dcm_header(0x00081115, "SQ", UNDEF);
	dcm_begin_item(UNDEF);
	dcm_end_item();
	dcm_end_sequence();
	dcm_header(0x7fe00010, "OB", 2);
	dcm_put("px", 2);
	dcm_end_item();
	dcm_begin_item(10);
	dcm_element(0x00080060, "CS", "CT");
	dcm_end_sequence();
	dcm_element(0x00280010, "US", "ab");
	dcm_expect({ 128, I }, { m + 12, C },
		   { 8 + 10 + 12 + 8 + 8 + 8 + 14 + 8 + 8 + 10, I }, { 8, C },
		   { 10, C });
	assert_string_equal(dcm_info.modality, "");
}

static void test_private_sequence_is_whole(void **state)
{
	size_t m = dcm_part10(EXPLICIT_LE);

	(void)state;
	dcm_header(0x00290020, "UN", UNDEF);
	dcm.implicit = true;	/* what UN holds */
	dcm_begin_item(UNDEF);
	dcm_element(0x00280010, "US", "ab");
	dcm_end_item();
	dcm_end_sequence();
	dcm.implicit = false;
	dcm_element(0x00290021, "SQ", "garbage that is no item");
	dcm_element(0x00280010, "US", "ab");
	dcm_expect({ 128, I }, { m + 12, C }, { 8 + 10 + 8, I }, { 8 + 12, C },
		   { 23, I }, { 10, C });
}

static void test_un_sequence(void **state)
{
	size_t m = dcm_part10(EXPLICIT_LE);

	(void)state;
	dcm_header(0x00082218, "UN", UNDEF);
	dcm.implicit = true;
	dcm_begin_item(12);
	dcm_element(0x00100010, "PN", "Jane");
	dcm_end_sequence();
	dcm.implicit = false;
	/* The same with a length; only its first bytes tell. */
	dcm_header(0x00082218, "UN", 20);
	dcm.implicit = true;
	dcm_begin_item(12);
	dcm_element(0x00100010, "PN", "Jane");
	dcm_expect({ 128, I }, { m + 12 + 8 + 8, C }, { 4, I },
		   { 8 + 12 + 8 + 8, C }, { 4, I });
}

/* What UN holds is little endian even where nothing else is. */
static void test_un_in_big_endian(void **state)
{
	size_t m = dcm_part10(EXPLICIT_BE);

	(void)state;
	dcm.big = true;
	dcm_header(0x00082218, "UN", UNDEF);
	dcm.big = false;
	dcm.implicit = true;
	dcm_begin_item(UNDEF);
	dcm_element(0x00100010, "PN", "Jane");
	dcm_end_item();
	dcm_end_sequence();
	dcm.implicit = false;
	dcm.big = true;
	dcm_element(0x00280010, "US", "ab");
	dcm_expect({ 128, I }, { m + 12 + 8 + 8, C }, { 4, I },
		   { 8 + 8 + 10, C });
}

static void test_icon(void **state)
{
	size_t m = dcm_part10(EXPLICIT_LE);

	(void)state;
	dcm_header(0x00880200, "SQ", UNDEF);
	dcm_begin_item(UNDEF);
	dcm_element(0x00280010, "US", "ab");
	dcm_header(0x7fe00010, "OW", 4);
	dcm_put("icon", 4);
	dcm_end_item();
	dcm_end_sequence();
	dcm_element(0x00280010, "US", "ab");
	dcm_expect({ 128, I }, { m + 12 + 8 + 8, C }, { 2, I }, { 12, C },
		   { 4, P }, { 8 + 8 + 10, C });
}

/* --- too many segments ---------------------------------------------------- */

static void listed_elements(int n)
{
	dcm_part10(EXPLICIT_LE);
	for (int i = 0; i < n; i++) {
		char value[24];

		snprintf(value, sizeof(value), "secret%04d", i);
		dcm_element(0x00100010, "PN", value);
		if (i % 3 == 0)
			dcm_element(0x00280010, "US", "clinical");
	}
	dcm_element(0x00204000, "LT", "");
	dcm_header(0x00281201, "OW", 3000); /* a large clinical value */
	dcm.len += 3000;
	dcm_element(0x7fe00010, "OW",
		    "pixel data in quite a few bytes, really");
	dcm_element(0xfffcfffc, "OB", "padding.");
}

static void test_too_many_segments(void **state)
{
	(void)state;
	for (int n = 40; n <= 4000; n += n < 60 ? 1 : 970) {
		struct dicom_info first;

		listed_elements(n);
		assert_int_equal(dcm_parse(), 1);
		for (int i = 0; i < n; i++) {
			char value[24];

			snprintf(value, sizeof(value), "secret%04d", i);
			assert_int_equal(dcm_compartment_of_text(value), I);
		}
		assert_int_equal(dcm_compartment_of_text("pixel data in quite "
				 "a few bytes, really"), P);
		assert_int_equal(dcm_compartment_of_text("padding."), I);
		assert_int_equal(dcm_compartment_at(dcm.len - 1000), C);
		first = dcm_info;
		assert_int_equal(dcm_parse(), 1);
		assert_memory_equal(&first, &dcm_info, sizeof(dcm_info));
	}
}

/* As long as there is room, nothing is merged. */
static void test_just_enough_segments(void **state)
{
	(void)state;
	dcm_part10(EXPLICIT_LE);
	for (int i = 0; i < 49; i++)
		dcm_element(0x00100010, "PN", "Jane");
	dcm_element(0x00280010, "US", "ab");
	assert_int_equal(dcm_parse(), 1);
	assert_int_equal(dcm_info.segments, CHAOSIMG_SEGMENTS_MAX);
	assert_int_equal(dcm_info.segment[2].length, 4);
	assert_int_equal(dcm_info.segment[99].length, 10);
	/* One more: the first of the cheapest headers joins its neighbours. */
	dcm_element(0x00100010, "PN", "Jane");
	assert_int_equal(dcm_parse(), 1);
	assert_int_equal(dcm_info.segments, CHAOSIMG_SEGMENTS_MAX - 1);
	assert_int_equal(dcm_info.segment[2].compartment, I);
	assert_int_equal(dcm_info.segment[2].length, 4 + 8 + 4);
	assert_int_equal(dcm_info.segment[4].length, 4);
	assert_int_equal(dcm_info.segment[97].length, 18);
	assert_int_equal(dcm_info.segment[98].length, 4);
}

/* --- the rule, without what makes it quick ---------------------------------- */

static struct chaosimg_segment list[CHAOSIMG_SEGMENTS_MAX + 1];
static uint32_t listed;

static void list_remove(uint32_t i)
{
	listed--;
	memmove(list + i, list + i + 1, (listed - i) * sizeof(list[0]));
}

/* Neighbours of one compartment are one segment. */
static void list_join(void)
{
	for (uint32_t i = 0; i + 1 < listed;) {
		if (list[i].compartment == list[i + 1].compartment) {
			list[i].length += list[i + 1].length;
			list_remove(i + 1);
		} else {
			i++;
		}
	}
}

static uint64_t not_hidden(const struct chaosimg_segment *s)
{
	return s->compartment == CHAOSIMG_IDENTITY ? 0 : s->length;
}

static void list_merge(void)
{
	uint32_t best = 0;

	for (uint32_t i = 1; i + 1 < listed; i++)
		if (not_hidden(list + i) + not_hidden(list + i + 1) <
		    not_hidden(list + best) + not_hidden(list + best + 1))
			best = i;
	list[best].compartment = list[best + 1].compartment =
		CHAOSIMG_IDENTITY;
	list_join();
}

static void list_add(uint64_t length, enum chaosimg_compartment c)
{
	if (listed == CHAOSIMG_SEGMENTS_MAX && list[listed - 1].compartment != c)
		list_merge();
	list[listed].length = length;
	list[listed++].compartment = c;
	list_join();
}

/* What the maker of a mask does to pixels that are cut. */
static void hide_pixels(struct dicom_info *info)
{
	dicom_division_hide_last(info);
	if (list[listed - 1].compartment == CHAOSIMG_PIXELS)
		list[listed - 1].compartment = CHAOSIMG_IDENTITY;
	list_join();
}

static void check_list(const struct dicom_info *info)
{
	assert_int_equal(info->segments, listed);
	for (uint32_t i = 0; i < listed; i++) {
		assert_int_equal(info->segment[i].length, list[i].length);
		assert_int_equal(info->segment[i].compartment,
				 list[i].compartment);
	}
}

static void test_merging(void **state)
{
	static struct dicom_info info;

	(void)state;
	for (unsigned int seed = 1; seed <= 60; seed++) {
		struct dicom_division d = { .info = &info };
		int most = seed % 3 ? 12 : 3000;

		memset(&info, 0, sizeof(info));
		listed = 0;
		srand(seed);
		for (int i = 0; i < 1000; i++) {
			enum chaosimg_compartment c = CHAOSIMG_PIXELS;
			uint64_t length = 1 + (uint64_t)(rand() % most);

			if (rand() % 7)
				c = i % 2 ? CHAOSIMG_IDENTITY :
					    CHAOSIMG_CLINICAL;
			dicom_division_mark(&d, d.done + length, c);
			list_add(length, c);
			if (c == CHAOSIMG_PIXELS && rand() % 2)
				hide_pixels(&info);
			check_list(&info);
		}
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_repeating_groups_and_private),
		cmocka_unit_test(test_other_pixels),
		cmocka_unit_test(test_profile_table),
		cmocka_unit_test(test_listed_sequence_is_whole),
		cmocka_unit_test(test_private_sequence_is_whole),
		cmocka_unit_test(test_un_sequence),
		cmocka_unit_test(test_un_in_big_endian),
		cmocka_unit_test(test_icon),
		cmocka_unit_test(test_too_many_segments),
		cmocka_unit_test(test_just_enough_segments),
		cmocka_unit_test(test_merging),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
