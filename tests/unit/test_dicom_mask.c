// SPDX-License-Identifier: GPL-2.0-or-later
/* Masks of DICOM files made by hand; tests/mask.t has the real ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "archive.h"
#include "dicom_file.h"
#include "dicom_mask.h"

static const uint8_t key[DICOM_UID_KEY] = "test key", other_key[DICOM_UID_KEY];

/* --- fillers -------------------------------------------------------------- */

static void fill(uint32_t tag, const char *vr, size_t len, char out[257])
{
	memset(out, '?', 257);
	dicom_fill(tag, vr, (uint8_t *)out, len);
	assert_int_equal(out[len], '?');
	out[len] = '\0';
}

static void check_filler(uint32_t tag, const char *vr, size_t len,
			 const char *expected)
{
	char out[257];

	fill(tag, vr, len, out);
	assert_string_equal(out, expected);
}

static void test_times(void **state)
{
	(void)state;
	check_filler(0x00080020, "DA", 8, "19000101");
	check_filler(0x00080020, "DA", 10, "19000101  ");
	check_filler(0x00080020, "DA", 4, "    ");
	check_filler(0x00101010, "AS", 4, "000Y");
	check_filler(0x00101010, "AS", 2, "  ");
	check_filler(0x00080030, "TM", 1, " ");
	check_filler(0x00080030, "TM", 2, "00");
	check_filler(0x00080030, "TM", 5, "0000 ");
	check_filler(0x00080030, "TM", 6, "000000");
	check_filler(0x00080030, "TM", 7, "000000 ");
	check_filler(0x00080030, "TM", 8, "000000.0");
	check_filler(0x00080030, "TM", 14, "000000.000000 ");
	check_filler(0x0008002a, "DT", 3, "   ");
	check_filler(0x0008002a, "DT", 6, "190001");
	check_filler(0x0008002a, "DT", 9, "19000101 ");
	check_filler(0x0008002a, "DT", 14, "19000101000000");
	check_filler(0x0008002a, "DT", 15, "19000101000000 ");
	check_filler(0x0008002a, "DT", 26, "19000101000000.000000     ");
}

static void test_numbers(void **state)
{
	(void)state;
	check_filler(0x00101030, "DS", 0, "");
	check_filler(0x00101030, "DS", 1, "1");
	check_filler(0x00101030, "DS", 6, "1     ");
	check_filler(0x00280030, "DS", 3, "1\\1");	/* two of them */
	check_filler(0x00280030, "DS", 2, "1 ");	/* no room */
	check_filler(0x00200032, "DS", 12, "1  \\1  \\1   ");
	check_filler(0x00200037, "DS", 12, "1\\1\\1\\1\\1\\1 ");
	/* More than one can be long. */
	check_filler(0x00101030, "IS", 13, "1     \\1     ");
}

static void test_text(void **state)
{
	char out[257];

	(void)state;
	check_filler(0x00100040, "CS", 2, "O ");
	check_filler(0x00080008, "CS", 18, "                \\ ");
	check_filler(0x00080201, "SH", 6, "+0000 ");
	check_filler(0x00080201, "SH", 4, "    ");
	check_filler(0x00080050, "SH", 3, "XXX");
	fill(0x00100010, "PN", 200, out);
	assert_int_equal(out[64], '=');
	assert_int_equal(out[129], '=');
	assert_int_equal(out[194], '\\');
	fill(0x00181000, "LO", 200, out);
	assert_int_equal(strspn(out, "X"), 64);
	fill(0x00104000, "LT", 200, out);
	assert_int_equal(strspn(out, "X"), 200);
}

/* A file in implicit VR does not say what a value is. */
static void test_vr(void **state)
{
	(void)state;
	assert_memory_equal(dicom_text_vr_of(0x00100010, ""), "PN", 2);
	assert_memory_equal(dicom_text_vr_of(0x00100010, "UN"), "PN", 2);
	assert_memory_equal(dicom_text_vr_of(0x00100010, "LO"), "LO", 2);
	assert_memory_equal(dicom_text_vr_of(0x00280010, ""), "UN", 2);
	assert_memory_equal(dicom_text_vr_of(0x00090010, ""), "LO", 2);
	assert_memory_equal(dicom_text_vr_of(0x00091010, ""), "UN", 2);
	assert_memory_equal(dicom_text_vr_of(0x60044000, ""), "LT", 2);
	assert_memory_equal(dicom_text_vr_of(0xffffffff, ""), "UN", 2);
	assert_memory_equal(dicom_text_vr_of(0, ""), "UN", 2);
}

/* --- UIDs ----------------------------------------------------------------- */

static void check_uid(const char *p, size_t len)
{
	bool start = true;

	for (size_t i = 0; i < len; i++) {
		assert_true(p[i] == '.' || (p[i] >= '0' && p[i] <= '9'));
		if (start)
			assert_true(p[i] != '.');
		if (start && p[i] == '0')
			assert_true(i + 1 == len || p[i + 1] == '.');
		start = p[i] == '.';
	}
	assert_false(start);
}

static void fill_uids(const uint8_t *k, char *value, size_t len)
{
	EVP_MAC_CTX *mac = hmac_new(k, DICOM_UID_KEY);

	assert_non_null(mac);
	assert_int_equal(dicom_fill_uids(mac, (uint8_t *)value, len), 0);
	EVP_MAC_CTX_free(mac);
}

static void test_uids(void **state)
{
	(void)state;
	for (size_t len = 1; len <= 64; len++) {
		char a[66], b[66], c[66], d[66];

		memset(a, '7', sizeof(a));
		a[len] = a[len + 1] = '\0';
		memcpy(b, a, sizeof(a));
		memcpy(c, a, sizeof(a));
		memcpy(d, a, sizeof(a));
		d[len - 1] = '8';
		fill_uids(key, a, len);
		check_uid(a, len);
		/* With padding it is the same one. */
		fill_uids(key, b, len + 1);
		assert_memory_equal(a, b, len + 1);
		fill_uids(other_key, c, len);
		fill_uids(key, d, len);
		if (len < 12)
			continue;
		assert_memory_not_equal(a, c, len);
		assert_memory_not_equal(a, d, len);
	}
}

static void test_uid_lists(void **state)
{
	char two[] = "1.2.3.4.5.6.7.8.9\\1.2.3.4.5.6.7.8.9";
	char none[] = "\\\\", text[200];

	(void)state;
	fill_uids(key, two, strlen(two));
	assert_int_equal(two[17], '\\');
	assert_memory_equal(two, two + 18, 17);
	check_uid(two, 17);
	fill_uids(key, none, 2);
	assert_string_equal(none, "\\\\");
	memset(text, 'q', sizeof(text));
	fill_uids(key, text, 200);
	check_uid(text, 64);
	for (int i = 64; i < 200; i++)
		assert_int_equal(text[i], 0);
}

/* --- whole files ---------------------------------------------------------- */

static uint8_t view[sizeof(dcm.data)];
static struct dicom_mask mask;

static ssize_t read_dcm(void *ctx, void *buf, size_t len, uint64_t off)
{
	(void)ctx;
	assert_true(off <= dcm.len && len <= dcm.len - off);
	if (++dcm.reads == dcm.fail_at)
		return -ENOTRECOVERABLE;
	memcpy(buf, dcm.data + off, len);
	return (ssize_t)len;
}

static int make(void)
{
	const struct dicom_source src = { read_dcm, NULL, dcm.len };

	return dicom_mask_make(&src, key, NULL, &dcm_info, &mask);
}

/* What who holds these sees of the file in @dcm, then in @view. */
static void look(unsigned int held)
{
	assert_true(make() >= 0);
	memcpy(view, dcm.data, dcm.len);
	dicom_mask_apply(&mask, held, view, dcm.len, 0);
	dicom_mask_free(&mask);
}

static bool shown(const char *text)
{
	return memmem(view, dcm.len, text, strlen(text)) != NULL;
}

static void test_not_dicom(void **state)
{
	uint64_t end;

	(void)state;
	dcm_start();
	dcm_put("a letter, not a picture", 23);
	assert_int_equal(make(), 0);
	assert_int_equal(dicom_mask_owner(&mask, 0, &end), CHAOSIMG_IDENTITY);
	assert_true(end == 23);
	dicom_mask_apply(&mask, dicom_held(C) | dicom_held(P), dcm.data, 23, 0);
	for (int i = 0; i < 23; i++)
		assert_int_equal(dcm.data[i], 0);
	dicom_mask_free(&mask);
	dcm_start();
	assert_int_equal(make(), 0);
	assert_true(mask.length == 0);
	dicom_mask_free(&mask);
}

static void test_who_sees_what(void **state)
{
	uint64_t end;
	size_t m;

	(void)state;
	m = dcm_part10(EXPLICIT_LE);
	dcm_element(0x00080060, "CS", "CT");
	dcm_element(0x00100010, "PN", "Doe^Jane");
	dcm_element(0x00180015, "CS", "HEAD");
	dcm_header(0x7fe00010, "OW", 6);
	dcm_put("pixels", 6);
	look(0);
	assert_true(shown("CT") && shown("XXXXXXXX") && !shown("Doe") &&
		    !shown("HEAD") && !shown("pixels"));
	look(dicom_held(C));
	assert_true(shown("HEAD") && !shown("Doe") && !shown("pixels"));
	look(dicom_held(I));
	assert_true(!shown("HEAD") && shown("Doe^Jane") && !shown("pixels"));
	look(dicom_held(P));
	assert_true(!shown("HEAD") && !shown("Doe") && shown("pixels"));
	look(dicom_held(C) | dicom_held(I) | dicom_held(P));
	assert_memory_equal(view, dcm.data, dcm.len);
	assert_int_equal(make(), 1);
	assert_int_equal(dicom_mask_owner(&mask, 0, &end), I);
	assert_true(end == 128);
	assert_int_equal(dicom_mask_owner(&mask, 128, &end), DICOM_EVERYONE);
	assert_true(end == 128 + m + 10 + 8);
	assert_int_equal(dicom_mask_owner(&mask, end + 3, &end), I);
	dicom_mask_free(&mask);
}

/*
 * A private value that begins like a sequence, and turns out to be text when
 * some of it has been taken for headers.
 */
static void test_taken_back(void **state)
{
	(void)state;
	dcm_part10(EXPLICIT_LE);
	dcm_element(0x00080060, "CS", "CT");
	dcm_header(0x00291010, "UN", 8 + 40);
	dcm_begin_item(40);
	dcm_put("Ja\0\0\4\0\0\0ne D", 12);	/* like implicit VR */
	dcm_put("Miller, Jane, born in 1970  ", 28);
	dcm_element(0x00180015, "CS", "HEAD");
	look(dicom_held(C) | dicom_held(P));
	assert_true(shown("HEAD") && !shown("Ja") && !shown("ne D") &&
		    !shown("Miller"));
	assert_int_equal(make(), 1);
	assert_null(memmem(mask.bytes.p, mask.bytes.len, "Ja", 2));
	dicom_mask_free(&mask);
	/* Without a length it may reach as far as the file does. */
	dcm_part10(EXPLICIT_LE);
	dcm_element(0x00080060, "CS", "CT");
	dcm_header(0x00291010, "UN", UNDEF);
	dcm_begin_item(UNDEF);
	dcm_put("Ja\0\0\4\0\0\0ne D", 12);
	dcm_put("Miller, Jane, born in 1970  ", 28);
	look(dicom_held(C) | dicom_held(P));
	assert_true(!shown("Ja") && !shown("ne D") && !shown("Miller"));
	assert_int_equal(make(), 1);
	assert_null(memmem(mask.bytes.p, mask.bytes.len, "Ja", 2));
	dicom_mask_free(&mask);
}

/* Trailing text becomes padding that can be read; a cut picture a picture. */
static void test_unread(void **state)
{
	(void)state;
	dcm_part10(EXPLICIT_LE);
	dcm_element(0x00080060, "CS", "CT");
	dcm_put("Patient: Jane Doe, born 1970, Main Street", 41);
	look(dicom_held(C) | dicom_held(P));
	assert_memory_equal(view + dcm.len - 41,
			    "\xfc\xff\xfc\xffOB\0\0\x1d\0\0\0", 12);
	dcm_part10(EXPLICIT_LE);
	dcm_element(0x00080060, "CS", "CT");
	dcm_header(0x7fe00010, "OW", 100);
	dcm_put("pixels", 6);
	look(dicom_held(C) | dicom_held(P));
	assert_true(shown("\xe0\x7f\x10") && !shown("pixels"));
	dcm_part10(EXPLICIT_LE);
	dcm_element(0x00080060, "CS", "CT");
	dcm_header(0x00100010, "PN", 100);
	dcm_put("Jane Doe, her name is", 21);
	look(dicom_held(C) | dicom_held(P));
	assert_true(!shown("PN") && !shown("Jane"));
}

static void put_us(uint32_t tag, uint16_t v)
{
	dcm_header(tag, "US", 2);
	dcm_put_number(v, 2);
}

static void put_geometry(const char *frames)
{
	put_us(0x00280002, 1);
	dcm_element(0x00280004, "CS", "MONOCHROME2 ");
	dcm_element(0x00280008, "IS", frames);
	put_us(0x00280010, 16);
	put_us(0x00280011, 16);
	put_us(0x00280100, 8);
	put_us(0x00280101, 8);
	put_us(0x00280103, 0);
}

/* The tables before the frames say where they are in the mask. */
static void test_frame_tables(void **state)
{
	const uint8_t *p, *item;

	(void)state;
	dcm_part10("1.2.840.10008.1.2.5");
	put_geometry("2 ");
	dcm_header(0x7fe00001, "OV", 16);
	dcm.len += 16;
	dcm_header(0x7fe00002, "OV", 16);
	dcm.len += 16;
	dcm_header(0x7fe00010, "OB", UNDEF);
	dcm_begin_item(0);
	dcm_begin_item(300);
	dcm.len += 300;
	dcm_begin_item(100);
	dcm.len += 100;
	dcm_end_sequence();
	look(dicom_held(C) | dicom_held(I));
	p = memmem(view, dcm.len, "\xe0\x7f\x01\0OV\0\0\x10\0\0\0", 12);
	assert_non_null(p);
	assert_int_equal(p[12], 0);
	assert_int_equal(p[20], 208);
	assert_int_equal(p[28 + 12], 200);
	assert_int_equal(p[28 + 20], 200);
	item = memmem(view, dcm.len, "\xfe\xff\x00\xe0\0\0\0\0", 8);
	assert_non_null(item);
	for (int i = 0; i < 2; i++) {
		/* One segment of 16 lines, each a run of 16 zeros. */
		p = item + 8 + 208 * i;
		assert_memory_equal(p, "\xfe\xff\x00\xe0\xc8\0\0\0", 8);
		assert_memory_equal(p + 8, "\1\0\0\0\x40\0\0\0", 8);
		for (int y = 0; y < 16; y++)
			assert_memory_equal(p + 8 + 64 + 2 * y, "\xf1\0", 2);
		for (int k = 8 + 64 + 32; k < 208; k++)
			assert_int_equal(p[k], 0x80);
	}
}

/* More frames than can be: then zeros, which no decoder takes for a picture. */
static void test_frames_that_do_not_fit(void **state)
{
	static const char *const frames[] = {
		"1000", "2147483647", "99999999999 ", "-1", "x ", "",
	};
	static const char *const syntax[] = {
		"1.2.840.10008.1.2.5", JPEG, "1.2.840.10008.1.2.4.70",
		"1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.90",
		"1.2.840.10008.1.2.4.102", "1.2.3",
	};

	(void)state;
	for (size_t i = 0; i < 6 * 7; i++) {
		for (uint32_t len = 0; len < 300; len += 2) {
			dcm_part10(syntax[i % 7]);
			put_geometry(frames[i / 7]);
			dcm_header(0x7fe00010, "OB", UNDEF);
			dcm_begin_item(0);
			dcm_begin_item(len);
			memset(dcm.data + dcm.len, 'q', len);
			dcm.len += len;
			dcm_end_sequence();
			look(dicom_held(C) | dicom_held(I));
			assert_false(len && shown("qq"));
			assert_memory_equal(view + dcm.len - 8,
					    "\xfe\xff\xdd\xe0\0\0\0\0", 8);
		}
	}
}

/* Each read may fail; nothing is left behind, which valgrind and ASan see. */
static void test_read_errors(void **state)
{
	unsigned int reads;

	(void)state;
	dcm_part10(DEFLATED);
	dcm_put("\x4b\x04\x00", 3);
	dcm.len += 9000;
	assert_int_equal(make(), 1);
	dicom_mask_free(&mask);
	reads = dcm.reads;
	assert_true(reads >= 2);
	for (unsigned int i = 1; i <= reads; i++) {
		dcm.reads = 0;
		dcm.fail_at = i;
		assert_int_equal(make(), -ENOTRECOVERABLE);
	}
}

/* --- deflated -------------------------------------------------------------- */

/* A stored block (RFC 1951) with what has been put behind @from. */
static void store_block(size_t from)
{
	size_t len = dcm.len - from;
	uint8_t head[5] = {
		1, (uint8_t)len, (uint8_t)(len >> 8), (uint8_t)~len,
		(uint8_t)(~len >> 8),
	};

	memmove(dcm.data + from + 5, dcm.data + from, len);
	memcpy(dcm.data + from, head, 5);
	dcm.len += 5;
}

/* A stream in a stream, and one that is too short for anything. */
static void test_deflated(void **state)
{
	size_t from;

	(void)state;
	dcm_part10(DEFLATED);
	from = dcm.len;
	dcm_element(0x00020010, "UI", DEFLATED);
	dcm_element(0x00100010, "PN", "Jane");
	store_block(from);
	look(dicom_held(C) | dicom_held(P));
	assert_false(shown("Jane"));
	for (size_t cut = 0; cut < 60; cut++) {
		dcm_part10(DEFLATED);
		from = dcm.len;
		dcm_element(0x00080060, "CS", "CT");
		dcm_element(0x00100010, "PN", "Jane Doe^^^^");
		dcm_element(0x00180015, "CS", "HEAD");
		store_block(from);
		dcm.len -= cut < dcm.len - from ? cut : 0;
		look(dicom_held(C) | dicom_held(P));
		assert_false(shown("Jane") || shown("HEAD"));
		look(dicom_held(I));
		assert_memory_equal(view + 128, dcm.data + 128, dcm.len - 128);
	}
}

/* --- packed ---------------------------------------------------------------- */

static void test_damaged_pack(void **state)
{
	uint8_t *packed;
	size_t len;

	(void)state;
	dcm_part10(EXPLICIT_LE);
	dcm_element(0x00100010, "PN", "Doe^Jane");
	dcm_header(0x7fe00010, "OW", 6);
	dcm_put("pixels", 6);
	assert_int_equal(make(), 1);
	assert_int_equal(dicom_mask_pack(&mask, &packed, &len), 0);
	dicom_mask_free(&mask);
	for (size_t i = 0; i < len; i++)
		assert_int_equal(dicom_mask_unpack(packed, i, &mask), -EIO);
	for (size_t i = 0; i < len * 8; i++) {
		packed[i / 8] ^= (uint8_t)(1 << i % 8);
		if (!dicom_mask_unpack(packed, len, &mask)) {
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
		cmocka_unit_test(test_times),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_vr),
		cmocka_unit_test(test_uids),
		cmocka_unit_test(test_uid_lists),
		cmocka_unit_test(test_not_dicom),
		cmocka_unit_test(test_who_sees_what),
		cmocka_unit_test(test_taken_back),
		cmocka_unit_test(test_unread),
		cmocka_unit_test(test_frame_tables),
		cmocka_unit_test(test_frames_that_do_not_fit),
		cmocka_unit_test(test_read_errors),
		cmocka_unit_test(test_deflated),
		cmocka_unit_test(test_damaged_pack),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
