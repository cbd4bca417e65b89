// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * DICOM elements in all their forms: files made by hand whose division is
 * known. With file names as arguments it prints what dicom_parse() makes of
 * them, for tests/dicom.t.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "dicom_file.h"

/* --- the forms of elements ------------------------------------------------ */

static void test_values_and_headers(void **state)
{
	size_t m = dcm_part10(EXPLICIT_LE);

	(void)state;
	dcm_element(0x00080060, "CS", "CT");
	dcm_element(0x00100010, "PN", "Doe^Jane");
	dcm_element(0x00280010, "US", "\1\1");
	dcm_header(0x7fe00010, "OW", 6);
	dcm_put("pixels", 6);
	dcm_expect({ 128, I }, { m + 10, C }, { 8, C }, { 8, I }, { 10, C },
		   { 12, C }, { 6, P });
	assert_string_equal(dcm_info.modality, "CT");
	assert_string_equal(dcm_info.transfer_syntax, EXPLICIT_LE);
}

static void test_every_vr(void **state)
{
	static const char vrs[] =
		"AEASATCSDADSDTFDFLISLOLTPNSHSLSSSTTMUIULUS"
		"OBODOFOLOVOWSQSVUCUNURUTUV";

	(void)state;
	for (const char *p = vrs; *p; p += 2) {
		const char vr[3] = { p[0], p[1], '\0' };
		size_t m = dcm_part10(EXPLICIT_LE), h;

		/* One clinical, one listed; a sequence must be empty. */
		if (!strcmp(vr, "SQ")) {
			h = dcm_header(0x00180020, vr, 0);
			dcm_expect({ 128, I }, { m + h, C });
			continue;
		}
		h = dcm_header(0x00180020, vr, 4);
		dcm_put("abcd", 4);
		dcm_header(0x00200010, vr, 6);
		dcm_put("secret", 6);
		dcm_header(0x00280010, vr, 0);
		dcm_expect({ 128, I }, { m + h + 4 + h, C }, { 6, I },
			   { h, C });
	}
}

static void test_unknown_vr_hides_the_rest(void **state)
{
	size_t m = dcm_part10(EXPLICIT_LE);

	(void)state;
	dcm_element(0x00180010, "ZZ", "what");
	dcm_element(0x00180020, "CS", "SE");
	dcm_expect({ 128, I }, { m, C }, { 12 + 10, I });
}

static void three_syntaxes(int which)
{
	static const char *const uid[] = {
		IMPLICIT_LE, EXPLICIT_LE, EXPLICIT_BE,
	};
	size_t m = dcm_part10(uid[which]), h, s, o;

	dcm.implicit = which == 0;
	dcm.big = which == 2;
	h = dcm_header(0x00100010, "PN", 4);
	dcm_put("Doe ", 4);
	s = dcm_header(0x00082218, "SQ", 28 + 2 * h);
	dcm_begin_item(12 + 2 * h);
	dcm_element(0x00080018, "UI", "1.2.");		/* listed */
	dcm_element(0x00080104, "LO", "textmore");		/* not */
	dcm_begin_item(0);
	o = dcm_header(0x7fe00010, "OW", 2);
	dcm_put("px", 2);
	dcm_expect({ 128, I }, { m + h, C }, { 4, I }, { s + 8 + h, C },
		   { 4, I }, { h + 8 + 8 + o, C }, { 2, P });
	assert_string_equal(dcm_info.transfer_syntax, uid[which]);
}

static void test_syntaxes(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++)
		three_syntaxes(i);
}

/* Files exist whose meta information is wrong about the data set. */
static void test_wrong_transfer_syntax(void **state)
{
	size_t m;

	(void)state;
	m = dcm_part10(IMPLICIT_LE);
	dcm_element(0x00080005, "CS", "ISO_IR 100");
	dcm_element(0x00100010, "PN", "Doe ");
	dcm_expect({ 128, I }, { m + 18 + 8, C }, { 4, I });
	m = dcm_part10(EXPLICIT_LE);
	dcm.implicit = true;
	dcm_element(0x00080005, "CS", "ISO_IR 100");
	dcm_element(0x00100010, "PN", "Doe ");
	dcm_expect({ 128, I }, { m + 18 + 8, C }, { 4, I });
}

/* The same implicit mistake in a file so long that "UL" could be a length. */
static void test_vr_is_not_a_length(void **state)
{
	size_t m;

	(void)state;
	m = dcm_part10(IMPLICIT_LE);
	dcm_element(0x00080005, "CS", "ISO_IR 100");
	dcm_element(0x00100010, "PN", "Doe ");
	dcm_header(0x7fe00010, "OW", 1000000);
	dcm.len += 1000000;
	dcm_expect({ 128, I }, { m + 18 + 8, C }, { 4, I }, { 12, C },
		   { 1000000, P });
}

static void test_meta_forms(void **state)
{
	(void)state;
	/* No meta information at all. */
	dcm_magic();
	dcm_element(0x00080060, "CS", "MR");
	dcm_expect({ 128, I }, { 4 + 10, C });
	assert_string_equal(dcm_info.transfer_syntax, EXPLICIT_LE);
	/* Meta information in implicit VR, without a transfer syntax. */
	dcm_magic();
	dcm.implicit = true;
	dcm_element(0x00020003, "UI", "1.2.3.");
	dcm_element(0x00080060, "CS", "MR");
	dcm_expect({ 128, I }, { 12, C }, { 6, I }, { 10, C });
	assert_string_equal(dcm_info.transfer_syntax, IMPLICIT_LE);
	assert_string_equal(dcm_info.modality, "MR");
	/* Nothing but the meta information. */
	dcm_part10(JPEG);
	assert_int_equal(dcm_parse(), 1);
	assert_string_equal(dcm_info.transfer_syntax, JPEG);
}

static void test_deflated(void **state)
{
	size_t m = dcm_part10(DEFLATED);

	(void)state;
	dcm_element(0x00080060, "CS", "MR");	/* must not be looked at */
	dcm_expect({ 128, I }, { m, C }, { 10, I });
	assert_string_equal(dcm_info.modality, "");
	assert_string_equal(dcm_info.transfer_syntax, DEFLATED);
}

/* A private transfer syntax says nothing of the data set's form. */
static void test_private_transfer_syntax(void **state)
{
	size_t m = dcm_part10("1.2.840.113619.5.2");

	(void)state;
	dcm.implicit = true;
	dcm_element(0x00080060, "CS", "MR");
	dcm_element(0x00100010, "PN", "Jane");
	dcm_expect({ 128, I }, { m + 10 + 8, C }, { 4, I });
	assert_string_equal(dcm_info.modality, "MR");
}

/* --- strings -------------------------------------------------------------- */

static void check_modality(const char *stored, const char *shown)
{
	dcm_part10(EXPLICIT_LE);
	dcm_element(0x00080060, "CS", stored);
	assert_int_equal(dcm_parse(), 1);
	assert_string_equal(dcm_info.modality, shown);
}

static void test_strings(void **state)
{
	(void)state;
	check_modality("CT", "CT");
	check_modality(" US ", "US");
	check_modality("", "");
	check_modality("    ", "");
	check_modality("MR\nevil\x1b", "MR______");
	check_modality("ABCDEFGHIJKLMNOPQRST", "ABCDEFGHIJKLMNOP");
	dcm_part10("1.2.840.10008.1.2.1\n; x");
	assert_int_equal(dcm_parse(), 1);
	assert_string_equal(dcm_info.transfer_syntax, EXPLICIT_LE);
	dcm_part10("1.23456789.123456789.123456789.123456789.123456789.12345678"
		   "9.123456789.12");
	assert_int_equal(dcm_parse(), 1);
	assert_int_equal(strlen(dcm_info.transfer_syntax), 64);
	/* A modality in a sequence, or a syntax in the data set, is another. */
	dcm_part10(EXPLICIT_LE);
	dcm_header(0x00082218, "SQ", 18);
	dcm_begin_item(10);
	dcm_element(0x00080060, "CS", "MR");
	dcm_element(0x00080060, "CS", "CT");
	dcm_element(0x00020010, "UI", "9.9.9.");
	assert_int_equal(dcm_parse(), 1);
	assert_string_equal(dcm_info.modality, "CT");
	assert_string_equal(dcm_info.transfer_syntax, EXPLICIT_LE);
}

/* --- for tests/dicom.t ---------------------------------------------------- */

static ssize_t read_fd(void *ctx, void *buf, size_t len, uint64_t off)
{
	ssize_t n = pread(*(int *)ctx, buf, len, (off_t)off);

	return n < 0 ? -errno : n;
}

static int print_file(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct dicom_source src = { read_fd, &fd, 0 };
	int r;

	if (fd < 0) {
		perror(path);
		return 1;
	}
	src.length = (uint64_t)lseek(fd, 0, SEEK_END);
	r = dicom_parse(&src, &dcm_info);
	printf("file %s\nresult %d\nmodality %s\nsyntax %s\n", path, r,
	       dcm_info.modality, dcm_info.transfer_syntax);
	for (uint32_t i = 0; r == 1 && i < dcm_info.segments; i++)
		printf("segment %d %llu\n", dcm_info.segment[i].compartment,
		       (unsigned long long)dcm_info.segment[i].length);
	close(fd);
	return r < 0;
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values_and_headers),
		cmocka_unit_test(test_every_vr),
		cmocka_unit_test(test_unknown_vr_hides_the_rest),
		cmocka_unit_test(test_syntaxes),
		cmocka_unit_test(test_wrong_transfer_syntax),
		cmocka_unit_test(test_vr_is_not_a_length),
		cmocka_unit_test(test_meta_forms),
		cmocka_unit_test(test_deflated),
		cmocka_unit_test(test_private_transfer_syntax),
		cmocka_unit_test(test_strings),
	};
	int failed = 0;

	for (int i = 1; i < argc; i++)
		failed |= print_file(argv[i]);
	if (argc > 1)
		return failed;
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
