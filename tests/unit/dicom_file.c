// SPDX-License-Identifier: GPL-2.0-or-later
/* DICOM files that tests make by hand, in memory. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "dicom_file.h"

struct dcm_file dcm;
struct dicom_info dcm_info;

static ssize_t read_memory(void *ctx, void *buf, size_t len, uint64_t off)
{
	uint64_t length = *(uint64_t *)ctx;

	/* The parser must not even ask for what is not there. */
	assert_true(off <= length && len <= length - off);
	if (++dcm.reads == dcm.fail_at)
		return -ENOTRECOVERABLE;
	memcpy(buf, dcm.data + off, len);
	return (ssize_t)len;
}

void dcm_start(void)
{
	memset(&dcm, 0, sizeof(dcm));
}

void dcm_put(const void *p, size_t n)
{
	assert_true(n <= sizeof(dcm.data) - dcm.len);
	memcpy(dcm.data + dcm.len, p, n);
	dcm.len += n;
}

void dcm_put_number(uint32_t v, int bytes)
{
	for (int i = 0; i < bytes; i++) {
		uint8_t b = (uint8_t)(v >> 8 * (dcm.big ? bytes - 1 - i : i));

		dcm_put(&b, 1);
	}
}

static void dcm_put_tag(uint32_t tag)
{
	dcm_put_number(tag >> 16, 2);
	dcm_put_number(tag & 0xffff, 2);
}

static bool is_long(const char *vr)
{
	const char *list = "OB OD OF OL OV OW SQ SV UC UN UR UT UV";

	return strstr(list, vr) != NULL;
}

size_t dcm_header(uint32_t tag, const char *vr, uint32_t length)
{
	size_t before = dcm.len;

	dcm_put_tag(tag);
	if (dcm.implicit) {
		dcm_put_number(length, 4);
		return 8;
	}
	dcm_put(vr, 2);
	if (is_long(vr))
		dcm_put_number(0, 2);
	dcm_put_number(length, is_long(vr) ? 4 : 2);
	return dcm.len - before;
}

void dcm_element(uint32_t tag, const char *vr, const char *value)
{
	dcm_header(tag, vr, (uint32_t)strlen(value));
	dcm_put(value, strlen(value));
}

void dcm_item(uint32_t tag, uint32_t length)
{
	dcm_put_tag(tag);
	dcm_put_number(length, 4);
}

void dcm_magic(void)
{
	dcm_start();
	dcm.len = 128;
	dcm_put("DICM", 4);
}

size_t dcm_part10(const char *uid)
{
	dcm_magic();
	dcm_header(0x00020001, "OB", 2);
	dcm_put("\0\1", 2);
	dcm_element(0x00020010, "UI", uid);
	return dcm.len - 128;
}

/* --- what came out -------------------------------------------------------- */

static bool in_set(const char *s, const char *set)
{
	return strspn(s, set) == strlen(s);
}

void dcm_check_form(uint64_t length)
{
	uint64_t sum = 0;

	assert_in_range(dcm_info.segments, 1, CHAOSIMG_SEGMENTS_MAX);
	for (uint32_t i = 0; i < dcm_info.segments; i++) {
		assert_true(dcm_info.segment[i].length > 0);
		assert_true(dcm_info.segment[i].compartment <= CHAOSIMG_PIXELS);
		if (i)
			assert_int_not_equal(
				dcm_info.segment[i].compartment,
				dcm_info.segment[i - 1].compartment);
		sum += dcm_info.segment[i].length;
	}
	assert_true(sum == length);
	assert_true(strlen(dcm_info.modality) <= 16);
	assert_true(strlen(dcm_info.transfer_syntax) <= 64);
	assert_true(in_set(dcm_info.modality,
			   "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_ "));
	assert_true(in_set(dcm_info.transfer_syntax, "0123456789."));
}

int dcm_parse_prefix(size_t len)
{
	uint64_t length = len;
	struct dicom_source src = { read_memory, &length, length };
	int r;

	memset(&dcm_info, 0xa5, sizeof(dcm_info));
	r = dicom_parse(&src, &dcm_info);
	assert_true(r <= 1);
	if (r == 1)
		dcm_check_form(len);
	return r;
}

int dcm_parse(void)
{
	return dcm_parse_prefix(dcm.len);
}

void dcm_check_runs(const struct dcm_run *r, size_t n)
{
	uint32_t s = 0;
	uint64_t used = 0;

	assert_int_equal(dcm_parse(), 1);
	for (size_t i = 0; i < n; i++) {
		if (!r[i].length)
			continue;
		assert_true(s < dcm_info.segments);
		assert_int_equal(dcm_info.segment[s].compartment,
				 r[i].compartment);
		used += r[i].length;
		assert_true(used <= dcm_info.segment[s].length);
		if (used == dcm_info.segment[s].length) {
			s++;
			used = 0;
		}
	}
	assert_int_equal(s, dcm_info.segments);
}

int dcm_compartment_at(uint64_t off)
{
	for (uint32_t i = 0; i < dcm_info.segments; i++) {
		if (off < dcm_info.segment[i].length)
			return (int)dcm_info.segment[i].compartment;
		off -= dcm_info.segment[i].length;
	}
	return -1;
}

int dcm_compartment_of_text(const char *text)
{
	const uint8_t *p = memmem(dcm.data, dcm.len, text, strlen(text));
	uint64_t at;

	assert_non_null(p);
	at = (uint64_t)(p - dcm.data);
	for (size_t i = 1; i < strlen(text); i++)
		assert_int_equal(dcm_compartment_at(at + i),
				 dcm_compartment_at(at));
	return dcm_compartment_at(at);
}
