// SPDX-License-Identifier: GPL-2.0-or-later
/* What is DICOM though its magic is missing, and what is not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "dicom_file.h"
#include "rng.h"

/* --- bare data sets ------------------------------------------------------- */

static void bare(int syntax, int elements)
{
	static const uint32_t tags[] = {
		0x00080016, 0x00080060, 0x00100010, 0x00180015, 0x00200013,
	};
	static const char *const vr[] = { "UI", "CS", "PN", "CS", "IS" };
	static const char *const value[] = { "1.2.840.10008.5.1.4.1.1.2",
					     "CT", "Jane", "HEAD", "1" };

	dcm_start();
	dcm.implicit = syntax == 0;
	dcm.big = syntax == 2;
	for (int i = 0; i < elements; i++)
		dcm_element(tags[i], vr[i], value[i]);
}

static void test_bare(void **state)
{
	static const char *const uid[] = {
		IMPLICIT_LE, EXPLICIT_LE, EXPLICIT_BE,
	};

	(void)state;
	for (int i = 0; i < 3; i++) {
		bare(i, 5);
		dcm_expect({ 8 + 25 + 10 + 8, C }, { 4, I }, { 8 + 4 + 9, C });
		assert_string_equal(dcm_info.modality, "CT");
		assert_string_equal(dcm_info.transfer_syntax, uid[i]);
		bare(i, 3);
		assert_int_equal(dcm_parse(), 0);
		assert_string_equal(dcm_info.modality, "");
	}
	/* Meta information, but no preamble. */
	dcm_start();
	dcm_element(0x00020002, "UI", "1.2.840.10008.5.1.4.1.1.2");
	dcm_element(0x00020003, "UI", "1.2.3.4.");
	dcm_element(0x00020010, "UI", EXPLICIT_BE);
	dcm.big = true;
	dcm_element(0x00080060, "CS", "CT");
	dcm_element(0x00100010, "PN", "Jane");
	dcm_expect({ 8 + 25 + 8, C }, { 8, I }, { 8 + 19 + 10 + 8, C },
		   { 4, I });
	assert_string_equal(dcm_info.transfer_syntax, EXPLICIT_BE);
}

static void test_bare_order(void **state)
{
	(void)state;
	/* Out of order before there is enough to go by: not DICOM. */
	dcm_start();
	dcm_element(0x00080060, "CS", "CT");
	dcm_element(0x00080016, "UI", "1.2.840.10008.5.1.4.1.1.2");
	dcm_element(0x00100010, "PN", "Jane");
	dcm_element(0x00180015, "CS", "HEAD");
	assert_int_equal(dcm_parse(), 0);
	/* Afterwards: the rest is identity. */
	bare(1, 5);
	dcm_element(0x00180015, "CS", "HEAD");
	dcm_expect({ 8 + 25 + 10 + 8, C }, { 4, I }, { 8 + 4 + 9, C },
		   { 12, I });
	/* Numbers in a binary file may look like implicit VR. */
	dcm_start();
	dcm.implicit = true;
	for (uint32_t i = 1; i < 20; i++)
		dcm_element(0x00080000 + i, "", "1.2.840.");
	assert_int_equal(dcm_parse(), 0);
}

/* --- what is not DICOM ---------------------------------------------------- */

static void test_foreign_headers(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
	} head[] = {
		{ "", 0 },
		{ "\x89PNG\r\n\x1a\n\0\0\0\rIHDR", 16 },
		{ "\xff\xd8\xff\xe0\0\x10JFIF\0\1\1", 13 },
		{ "SQLite format 3\0\x10\0\1\1", 20 },
		{ "\x7f" "ELF\2\1\1", 7 },
		{ "PK\3\4\x14\0\x08\0\x08\0", 10 },
		{ "\x1f\x8b\x08\0", 4 },
		{ "GIF89a", 6 },
		{ "II*\0\x08\0\0\0", 8 },
		{ "MM\0*\0\0\0\x08", 8 },
		{ "%PDF-1.7\n", 9 },
		{ "{\"00080005\": {}}", 16 },
		{ "\x08\0\0\0\x04\0\0\0\x10\0\0\0", 12 },
		{ "\x08\0\x08\0\x08\0\x08\0", 8 },
		{ "\0\x08\0\x08", 4 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(head) / sizeof(head[0]); i++) {
		dcm_start();
		dcm_put(head[i].bytes, head[i].len);
		for (size_t len = dcm.len; len < 600; len++)
			assert_int_equal(dcm_parse_prefix(len), 0);
		assert_int_equal(dcm_parse_prefix(1 << 20), 0);
	}
}

static void test_repeated_bytes(void **state)
{
	(void)state;
	for (int v = 0; v < 256; v++) {
		dcm_start();
		memset(dcm.data, v, 8192);
		assert_int_equal(dcm_parse_prefix(8192), 0);
		/* Every second byte zero: UTF-16, or small numbers. */
		for (size_t i = 0; i < 8192; i += 2)
			dcm.data[i] = 0;
		assert_int_equal(dcm_parse_prefix(8192), 0);
		assert_int_equal(dcm_parse_prefix(8191), 0);
		memmove(dcm.data, dcm.data + 1, 8191);
		assert_int_equal(dcm_parse_prefix(8190), 0);
	}
}

static void test_random_bytes(void **state)
{
	static const uint8_t begin[][6] = {
		{ 8, 0 }, { 2, 0 }, { 0, 8 }, { 8, 0, 5, 0, 'C', 'S' },
		{ 0, 8, 0, 5, 'C', 'S' }, { 2, 0, 0, 0, 'U', 'L' },
	};
	uint64_t x = 88172645463325252ull;

	(void)state;
	for (int round = 0; round < 6000; round++) {
		dcm_start();
		for (size_t i = 0; i < 1024; i += 8) {
			uint64_t v = rng_next(&x);

			memcpy(dcm.data + i, &v, 8);
		}
		memcpy(dcm.data, begin[round % 6], round % 6 < 3 ? 2 : 6);
		assert_int_equal(dcm_parse_prefix(1024), 0);
	}
}

static void test_magic_alone(void **state)
{
	(void)state;
	dcm_magic();
	assert_int_equal(dcm_parse(), 0);
	dcm_put("DICM is also a word in a text", 29);
	assert_int_equal(dcm_parse(), 0);
	dcm_magic();
	dcm.len += 10000;
	assert_int_equal(dcm_parse(), 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bare),
		cmocka_unit_test(test_bare_order),
		cmocka_unit_test(test_foreign_headers),
		cmocka_unit_test(test_repeated_bytes),
		cmocka_unit_test(test_random_bytes),
		cmocka_unit_test(test_magic_alone),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
