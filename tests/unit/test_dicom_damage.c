// SPDX-License-Identifier: GPL-2.0-or-later
/* Broken DICOM: made by hand, and real files cut and changed everywhere. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "dicom_file.h"

#define REAL "/usr/lib/python3/dist-packages/pydicom/data/"

/* --- nesting -------------------------------------------------------------- */

static void nest(int depth, bool defined)
{
	for (int i = depth; i > 0; i--) {
		uint32_t inner = (uint32_t)(i - 1) * 20 + 12;

		dcm_header(0x00082218, "SQ", defined ? inner + 8 : UNDEF);
		dcm_begin_item(defined ? inner : UNDEF);
	}
	dcm_element(0x00100010, "PN", "Jane");
	for (int i = 0; !defined && i < depth; i++) {
		dcm_end_item();
		dcm_end_sequence();
	}
	dcm_element(0x00280010, "US", "ab");
	dcm_header(0x7fe00010, "OW", 6);
	dcm_put("pixels", 6);
}

static void test_nesting(void **state)
{
	size_t m;

	(void)state;
	m = dcm_part10(EXPLICIT_LE);
	nest(64, false);
	dcm_expect({ 128, I }, { m + 64 * 20 + 8, C }, { 4, I },
		   { 64 * 16 + 10 + 12, C }, { 6, P });
	m = dcm_part10(EXPLICIT_LE);
	nest(64, true);
	dcm_expect({ 128, I }, { m + 64 * 20 + 8, C }, { 4, I }, { 10 + 12, C },
		   { 6, P });
}

static void test_nesting_too_deep(void **state)
{
	(void)state;
	/* The length says where to go on. */
	dcm_part10(EXPLICIT_LE);
	nest(65, true);
	assert_int_equal(dcm_parse(), 1);
	assert_int_equal(dcm_compartment_of_text("Jane"), I);
	assert_int_equal(dcm_compartment_of_text("pixels"), P);
	/* Nothing says where to go on. */
	dcm_part10(EXPLICIT_LE);
	nest(65, false);
	assert_int_equal(dcm_parse(), 1);
	assert_int_equal(dcm_compartment_of_text("Jane"), I);
	assert_int_equal(dcm_compartment_of_text("pixels"), I);
	dcm_part10(EXPLICIT_LE);
	nest(20000, false);
	assert_int_equal(dcm_parse(), 1);
	assert_int_equal(dcm_compartment_of_text("Jane"), I);
}

/* --- what breaks ---------------------------------------------------------- */

static void test_value_behind_end(void **state)
{
	size_t m = dcm_part10(EXPLICIT_LE);

	(void)state;
	dcm_element(0x00180020, "CS", "SE");
	dcm_header(0x7fe00010, "OW", 7);
	dcm_put("pixels", 6);
	dcm_expect({ 128, I }, { m + 10, C }, { 18, I });
}

static void test_broken_item_ends_with_its_sequence(void **state)
{
	size_t m = dcm_part10(EXPLICIT_LE);

	(void)state;
	dcm_header(0x00082218, "SQ", 8 + 10);
	dcm_begin_item(10);
	dcm_header(0x00180020, "CS", 3); /* one more than the item holds */
	dcm_put("ab", 2);
	dcm_element(0x00180020, "CS", "SE");
	dcm_header(0x00082218, "SQ", 8 + 10);
	dcm_begin_item(11); /* one more than the sequence holds */
	dcm_element(0x00180020, "CS", "SE");
	dcm_element(0x00180020, "CS", "SE");
	dcm_expect({ 128, I }, { m + 12 + 8, C }, { 10, I }, { 10 + 12, C },
		   { 18, I }, { 10, C });
}

static void test_missing_and_stray_delimiters(void **state)
{
	size_t m;

	(void)state;
	m = dcm_part10(EXPLICIT_LE);
	dcm_header(0x00082218, "SQ", UNDEF);
	dcm_begin_item(UNDEF);
	dcm_element(0x00180020, "CS", "SE");
	dcm_expect({ 128, I }, { m + 12 + 8 + 10, C });
	m = dcm_part10(EXPLICIT_LE);
	dcm_end_item();
	dcm_element(0x00180020, "CS", "SE");
	dcm_expect({ 128, I }, { m, C }, { 18, I });
	/* A delimiter with a length. */
	m = dcm_part10(EXPLICIT_LE);
	dcm_header(0x00082218, "SQ", UNDEF);
	dcm_item(0xfffee0dd, 2);
	dcm_put("xx", 2);
	dcm_expect({ 128, I }, { m + 12, C }, { 10, I });
	/* A sequence's delimiter in one with a length. */
	m = dcm_part10(EXPLICIT_LE);
	dcm_header(0x00082218, "SQ", 16);
	dcm_begin_item(0);
	dcm_end_sequence();
	dcm_expect({ 128, I }, { m + 12 + 8, C }, { 8, I });
}

static void test_trailing_garbage_is_identity(void **state)
{
	size_t m;

	(void)state;
	m = dcm_part10(EXPLICIT_LE);
	dcm_element(0x00180020, "CS", "SE");
	dcm_put("Patient: Jane Doe, born 1970\n", 29);
	dcm_expect({ 128, I }, { m + 10, C }, { 29, I });
	m = dcm_part10(EXPLICIT_LE);
	dcm_element(0x00180020, "CS", "SE");
	dcm.len += 512;
	dcm_expect({ 128, I }, { m + 10, C }, { 512, I });
	m = dcm_part10(EXPLICIT_LE);
	dcm_element(0x00180020, "CS", "SE");
	dcm.len += 7;
	dcm_expect({ 128, I }, { m + 10, C }, { 7, I });
}

/* Implicit VR behind explicit VR is taken for garbage. */
static void test_trailing_garbage_like_implicit_vr(void **state)
{
	size_t m = dcm_part10(EXPLICIT_LE);

	(void)state;
	dcm_element(0x00180020, "CS", "SE");
	dcm_put("name\4\0\0\0Jane", 12);
	dcm_expect({ 128, I }, { m + 10, C }, { 12, I });
}

static void test_read_errors(void **state)
{
	unsigned int reads;

	(void)state;
	dcm_part10(EXPLICIT_LE);
	dcm_header(0x00181000, "UN", 5000);
	dcm.len += 5000;
	dcm_element(0x00180020, "CS", "SE");
	dcm_header(0x7fe00010, "OW", 5000);
	dcm.len += 5000;
	dcm_element(0xfffcfffc, "OB", "pad.");
	assert_int_equal(dcm_parse(), 1);
	reads = dcm.reads;
	assert_true(reads >= 3);
	for (unsigned int i = 1; i <= reads; i++) {
		dcm.reads = 0;
		dcm.fail_at = i;
		assert_int_equal(dcm_parse(), -ENOTRECOVERABLE);
	}
}

static ssize_t read_short(void *ctx, void *buf, size_t len, uint64_t off)
{
	uint64_t have = *(uint64_t *)ctx;
	size_t n = off >= have ? 0 : have - off < len ? have - off : len;

	memcpy(buf, dcm.data + off, n);
	return (ssize_t)n;
}

static void test_source_shorter_than_it_says(void **state)
{
	uint64_t have = 140;
	struct dicom_source src = { read_short, &have, 0 };

	(void)state;
	dcm_part10(EXPLICIT_LE);
	src.length = dcm.len;
	assert_int_equal(dicom_parse(&src, &dcm_info), -EIO);
}

/* --- real files ----------------------------------------------------------- */

static const char *const real[] = {
	"test_files/nested_priv_SQ.dcm",
	"test_files/priv_SQ.dcm",
	"test_files/UN_sequence.dcm",
	"test_files/ExplVR_BigEndNoMeta.dcm",
	"test_files/ExplVR_LitEndNoMeta.dcm",
	"test_files/no_meta_group_length.dcm",
	"test_files/rtstruct.dcm",
	"test_files/rtplan.dcm",
	"test_files/JPEG2000-embedded-sequence-delimiter.dcm",
	"test_files/SC_rgb_rle_2frame.dcm",
	"test_files/rtdose_rle_1frame.dcm",
	"charset_files/chrSQEncoding.dcm",
	"test_files/image_dfl.dcm",
	"test_files/test-SR.dcm",
	"test_files/dicomdirtests/DICOMDIR-implicit",
};

enum { REAL_FILES = sizeof(real) / sizeof(real[0]) };

static void load(const char *name)
{
	char path[256];
	FILE *in;

	dcm_start();
	snprintf(path, sizeof(path), "%s%s", REAL, name);
	in = fopen(path, "rb");
	if (!in)
		fail_msg("%s: %s (Debian: python3-pydicom)", path,
			 strerror(errno));
	dcm.len = fread(dcm.data, 1, sizeof(dcm.data), in);
	fclose(in);
	assert_true(dcm.len > 0);
}

static void test_cut_everywhere(void **state)
{
	(void)state;
	for (int i = 0; i < REAL_FILES; i++) {
		load(real[i]);
		assert_int_equal(dcm_parse(), 1);
		for (size_t len = 0; len < dcm.len; len++)
			dcm_parse_prefix(len);
	}
}

/* What a cut file is divided into must not be less private than before. */
static void test_cut_is_as_private(void **state)
{
	(void)state;
	for (int i = 0; i < REAL_FILES; i++) {
		static uint8_t whole[1 << 16];

		load(real[i]);
		assert_int_equal(dcm_parse(), 1);
		if (dcm_info.segments == CHAOSIMG_SEGMENTS_MAX)
			continue;	/* other pairs would be merged */
		for (size_t k = 0; k < dcm.len; k++)
			whole[k] = (uint8_t)dcm_compartment_at(k);
		for (size_t len = 0; len < dcm.len; len += 1 + len / 97) {
			if (!dcm_parse_prefix(len))
				continue;
			for (size_t k = 0; k < len; k++)
				if (whole[k] == I)
					assert_int_equal(dcm_compartment_at(k),
							 I);
		}
	}
}

static void test_change_everywhere(void **state)
{
	static const uint8_t change[] = { 0x01, 0x10, 0x80, 0xff };

	(void)state;
	for (int i = 0; i < REAL_FILES; i++) {
		load(real[i]);
		for (size_t k = 0; k < dcm.len; k++) {
			uint8_t old = dcm.data[k];

			for (int c = 0; c < 4; c++) {
				dcm.data[k] = old ^ change[c];
				dcm_parse();
			}
			dcm.data[k] = 0;
			dcm_parse();
			dcm.data[k] = old;
		}
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nesting),
		cmocka_unit_test(test_nesting_too_deep),
		cmocka_unit_test(test_value_behind_end),
		cmocka_unit_test(test_broken_item_ends_with_its_sequence),
		cmocka_unit_test(test_missing_and_stray_delimiters),
		cmocka_unit_test(test_trailing_garbage_is_identity),
		cmocka_unit_test(test_trailing_garbage_like_implicit_vr),
		cmocka_unit_test(test_read_errors),
		cmocka_unit_test(test_source_shorter_than_it_says),
		cmocka_unit_test(test_cut_everywhere),
		cmocka_unit_test(test_cut_is_as_private),
		cmocka_unit_test(test_change_everywhere),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
