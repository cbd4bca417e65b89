// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * DICOM recognition and division: files made by hand whose division is known,
 * broken ones, and real ones cut and changed everywhere. With file names as
 * arguments it prints what dicom_parse() makes of them, for tests/dicom.t.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dicom.h"
#include "dicom_division.h"

#define REAL "/usr/lib/python3/dist-packages/pydicom/data/"

enum { C = CHAOSIMG_CLINICAL, I = CHAOSIMG_IDENTITY, P = CHAOSIMG_PIXELS };

/* --- a file in memory --------------------------------------------------- */

static struct {
	uint8_t data[1 << 20];
	size_t len;
	bool implicit, big;
	unsigned int reads, fail_at;
} f;

static ssize_t read_memory(void *ctx, void *buf, size_t len, uint64_t off)
{
	uint64_t length = *(uint64_t *)ctx;

	/* The parser must not even ask for what is not there. */
	assert_true(off <= length && len <= length - off);
	if (++f.reads == f.fail_at)
		return -ENOTRECOVERABLE;
	memcpy(buf, f.data + off, len);
	return (ssize_t)len;
}

static void start(void)
{
	memset(&f, 0, sizeof(f));
}

static void put(const void *p, size_t n)
{
	assert_true(n <= sizeof(f.data) - f.len);
	memcpy(f.data + f.len, p, n);
	f.len += n;
}

static void put_number(uint32_t v, int bytes)
{
	for (int i = 0; i < bytes; i++) {
		uint8_t b = (uint8_t)(v >> 8 * (f.big ? bytes - 1 - i : i));

		put(&b, 1);
	}
}

static void put_tag(uint32_t tag)
{
	put_number(tag >> 16, 2);
	put_number(tag & 0xffff, 2);
}

static bool is_long(const char *vr)
{
	const char *list = "OB OD OF OL OV OW SQ SV UC UN UR UT UV";

	return strstr(list, vr) != NULL;
}

/* Returns the header's length. */
static size_t header(uint32_t tag, const char *vr, uint32_t length)
{
	size_t before = f.len;

	put_tag(tag);
	if (f.implicit) {
		put_number(length, 4);
		return 8;
	}
	put(vr, 2);
	if (is_long(vr))
		put_number(0, 2);
	put_number(length, is_long(vr) ? 4 : 2);
	return f.len - before;
}

static void element(uint32_t tag, const char *vr, const char *value)
{
	header(tag, vr, (uint32_t)strlen(value));
	put(value, strlen(value));
}

static void item(uint32_t tag, uint32_t length)
{
	put_tag(tag);
	put_number(length, 4);
}

#define UNDEF 0xffffffffu
#define begin_item(length) item(0xfffee000, length)
#define end_item() item(0xfffee00d, 0)
#define end_sequence() item(0xfffee0dd, 0)

static void magic(void)
{
	start();
	f.len = 128;
	put("DICM", 4);
}

/* 128 identity, then clinical: 4 + 12 + 8 bytes and the UID. */
static size_t part10(const char *uid)
{
	magic();
	header(0x00020001, "OB", 2);
	put("\0\1", 2);
	element(0x00020010, "UI", uid);
	return f.len - 128;
}

#define EXPLICIT_LE "1.2.840.10008.1.2.1"
#define IMPLICIT_LE "1.2.840.10008.1.2"
#define EXPLICIT_BE "1.2.840.10008.1.2.2"
#define DEFLATED "1.2.840.10008.1.2.1.99"
#define JPEG "1.2.840.10008.1.2.4.50"

/* --- what came out ------------------------------------------------------ */

static struct dicom_info info;

static bool in_set(const char *s, const char *set)
{
	return strspn(s, set) == strlen(s);
}

static void check_form(uint64_t length)
{
	uint64_t sum = 0;

	assert_in_range(info.segments, 1, CHAOSIMG_SEGMENTS_MAX);
	for (uint32_t i = 0; i < info.segments; i++) {
		assert_true(info.segment[i].length > 0);
		assert_true(info.segment[i].compartment <= CHAOSIMG_PIXELS);
		if (i)
			assert_int_not_equal(info.segment[i].compartment,
					     info.segment[i - 1].compartment);
		sum += info.segment[i].length;
	}
	assert_true(sum == length);
	assert_true(strlen(info.modality) <= 16);
	assert_true(strlen(info.transfer_syntax) <= 64);
	assert_true(in_set(info.modality,
			   "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_ "));
	assert_true(in_set(info.transfer_syntax, "0123456789."));
}

static int parse_prefix(size_t len)
{
	uint64_t length = len;
	struct dicom_source src = { read_memory, &length, length };
	int r;

	memset(&info, 0xa5, sizeof(info));
	r = dicom_parse(&src, &info);
	assert_true(r <= 1);
	if (r == 1)
		check_form(len);
	return r;
}

static int parse(void)
{
	return parse_prefix(f.len);
}

struct run {
	size_t length;
	int compartment;
};

/* The segments must be exactly these runs, joined where they are alike. */
static void check_runs(const struct run *r, size_t n)
{
	uint32_t s = 0;
	uint64_t used = 0;

	assert_int_equal(parse(), 1);
	for (size_t i = 0; i < n; i++) {
		if (!r[i].length)
			continue;
		assert_true(s < info.segments);
		assert_int_equal(info.segment[s].compartment,
				 r[i].compartment);
		used += r[i].length;
		assert_true(used <= info.segment[s].length);
		if (used == info.segment[s].length) {
			s++;
			used = 0;
		}
	}
	assert_int_equal(s, info.segments);
}

#define expect(...) do {						\
	const struct run r_[] = { __VA_ARGS__ };			\
	check_runs(r_, sizeof(r_) / sizeof(r_[0]));			\
} while (0)

static int compartment_at(uint64_t off)
{
	for (uint32_t i = 0; i < info.segments; i++) {
		if (off < info.segment[i].length)
			return (int)info.segment[i].compartment;
		off -= info.segment[i].length;
	}
	return -1;
}

static int compartment_of_text(const char *text)
{
	const uint8_t *p = memmem(f.data, f.len, text, strlen(text));
	int first;

	assert_non_null(p);
	first = compartment_at((uint64_t)(p - f.data));
	for (size_t i = 1; i < strlen(text); i++)
		assert_int_equal(compartment_at((uint64_t)(p - f.data) + i),
				 first);
	return first;
}

/* --- the forms of elements ---------------------------------------------- */

static void test_values_and_headers(void **state)
{
	size_t m = part10(EXPLICIT_LE);

	(void)state;
	element(0x00080060, "CS", "CT");
	element(0x00100010, "PN", "Doe^Jane");
	element(0x00280010, "US", "\1\1");
	header(0x7fe00010, "OW", 6);
	put("pixels", 6);
	expect({ 128, I }, { m + 10, C }, { 8, C }, { 8, I }, { 10, C },
	       { 12, C }, { 6, P });
	assert_string_equal(info.modality, "CT");
	assert_string_equal(info.transfer_syntax, EXPLICIT_LE);
}

static void test_every_vr(void **state)
{
	static const char vrs[] =
		"AEASATCSDADSDTFDFLISLOLTPNSHSLSSSTTMUIULUS"
		"OBODOFOLOVOWSQSVUCUNURUTUV";

	(void)state;
	for (const char *p = vrs; *p; p += 2) {
		const char vr[3] = { p[0], p[1], '\0' };
		size_t m = part10(EXPLICIT_LE), h;

		/* One clinical, one listed; a sequence must be empty. */
		if (!strcmp(vr, "SQ")) {
			h = header(0x00180020, vr, 0);
			expect({ 128, I }, { m + h, C });
			continue;
		}
		h = header(0x00180020, vr, 4);
		put("abcd", 4);
		header(0x00200010, vr, 6);
		put("secret", 6);
		header(0x00280010, vr, 0);
		expect({ 128, I }, { m + h + 4 + h, C }, { 6, I }, { h, C });
	}
}

static void test_unknown_vr_hides_the_rest(void **state)
{
	size_t m = part10(EXPLICIT_LE);

	(void)state;
	element(0x00180010, "ZZ", "what");
	element(0x00180020, "CS", "SE");
	expect({ 128, I }, { m, C }, { 12 + 10, I });
}

static void three_syntaxes(int which)
{
	static const char *const uid[] = {
		IMPLICIT_LE, EXPLICIT_LE, EXPLICIT_BE,
	};
	size_t m = part10(uid[which]), h, s, o;

	f.implicit = which == 0;
	f.big = which == 2;
	h = header(0x00100010, "PN", 4);
	put("Doe ", 4);
	s = header(0x00082218, "SQ", 28 + 2 * h);
	begin_item(12 + 2 * h);
	element(0x00080018, "UI", "1.2.");		/* listed */
	element(0x00080104, "LO", "textmore");		/* not */
	begin_item(0);
	o = header(0x7fe00010, "OW", 2);
	put("px", 2);
	expect({ 128, I }, { m + h, C }, { 4, I }, { s + 8 + h, C }, { 4, I },
	       { h + 8 + 8 + o, C }, { 2, P });
	assert_string_equal(info.transfer_syntax, uid[which]);
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
	m = part10(IMPLICIT_LE);
	element(0x00080005, "CS", "ISO_IR 100");
	element(0x00100010, "PN", "Doe ");
	expect({ 128, I }, { m + 18 + 8, C }, { 4, I });
	m = part10(EXPLICIT_LE);
	f.implicit = true;
	element(0x00080005, "CS", "ISO_IR 100");
	element(0x00100010, "PN", "Doe ");
	expect({ 128, I }, { m + 18 + 8, C }, { 4, I });
}

/* The same implicit mistake in a file so long that "UL" could be a length. */
static void test_vr_is_not_a_length(void **state)
{
	size_t m;

	(void)state;
	m = part10(IMPLICIT_LE);
	element(0x00080005, "CS", "ISO_IR 100");
	element(0x00100010, "PN", "Doe ");
	header(0x7fe00010, "OW", 1000000);
	f.len += 1000000;
	expect({ 128, I }, { m + 18 + 8, C }, { 4, I }, { 12, C },
	       { 1000000, P });
}

static void test_meta_forms(void **state)
{
	(void)state;
	/* No meta information at all. */
	magic();
	element(0x00080060, "CS", "MR");
	expect({ 128, I }, { 4 + 10, C });
	assert_string_equal(info.transfer_syntax, EXPLICIT_LE);
	/* Meta information in implicit VR, without a transfer syntax. */
	magic();
	f.implicit = true;
	element(0x00020003, "UI", "1.2.3.");
	element(0x00080060, "CS", "MR");
	expect({ 128, I }, { 12, C }, { 6, I }, { 10, C });
	assert_string_equal(info.transfer_syntax, IMPLICIT_LE);
	assert_string_equal(info.modality, "MR");
	/* Nothing but the meta information. */
	part10(JPEG);
	assert_int_equal(parse(), 1);
	assert_string_equal(info.transfer_syntax, JPEG);
}

static void test_deflated(void **state)
{
	size_t m = part10(DEFLATED);

	(void)state;
	element(0x00080060, "CS", "MR");	/* must not be looked at */
	expect({ 128, I }, { m, C }, { 10, I });
	assert_string_equal(info.modality, "");
	assert_string_equal(info.transfer_syntax, DEFLATED);
}

/* --- what belongs where ------------------------------------------------- */

static void test_repeating_groups_and_private(void **state)
{
	size_t m = part10(EXPLICIT_LE);

	(void)state;
	element(0x00090010, "LO", "ACME");
	element(0x00091001, "UN", "private.");
	element(0x50060010, "US", "cu");
	element(0x60020010, "US", "ro");
	element(0x60023000, "OW", "overlay.");
	element(0x60024000, "LT", "comments");
	element(0x7fe10010, "LO", "GEMS");
	expect({ 128, I }, { m + 8, C }, { 4, I }, { 12, C }, { 8, I },
	       { 8, C }, { 2, I }, { 10, C }, { 12, C }, { 8, P }, { 8, C },
	       { 8, I }, { 8, C }, { 4, I });
}

static void test_other_pixels(void **state)
{
	static const uint32_t tags[] = {
		0x56000020, 0x7f020010, 0x7fe00008, 0x7fe00009, 0x7fe00010,
	};
	size_t m;

	(void)state;
	for (size_t i = 0; i < sizeof(tags) / sizeof(tags[0]); i++) {
		m = part10(EXPLICIT_LE);
		element(tags[i], "OB", "data");
		expect({ 128, I }, { m + 12, C }, { 4, P });
	}
	/* Their tables of offsets say nothing of the picture. */
	m = part10(EXPLICIT_LE);
	element(0x7fe00001, "OV", "12345678");
	expect({ 128, I }, { m + 20, C });
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
	assert_int_equal(dicom_compartment(0x00000000), C);
	assert_int_equal(dicom_compartment(0xfffefffe), C);
	assert_int_equal(dicom_compartment(0x50ff1234), I);
}

static void test_listed_sequence_is_whole(void **state)
{
	size_t m = part10(EXPLICIT_LE);

	(void)state;
	header(0x00081110, "SQ", UNDEF);	/* Referenced Study Sequence */
	begin_item(UNDEF);
	element(0x00080060, "CS", "CT");
	header(0x00081115, "SQ", UNDEF);
	begin_item(UNDEF);
	end_item();
	end_sequence();
	header(0x7fe00010, "OB", 2);
	put("px", 2);
	end_item();
	begin_item(10);
	element(0x00080060, "CS", "CT");
	end_sequence();
	element(0x00280010, "US", "ab");
	expect({ 128, I }, { m + 12, C },
	       { 8 + 10 + 12 + 8 + 8 + 8 + 14 + 8 + 8 + 10, I }, { 8, C },
	       { 10, C });
	assert_string_equal(info.modality, "");
}

static void test_private_sequence_is_whole(void **state)
{
	size_t m = part10(EXPLICIT_LE);

	(void)state;
	header(0x00290020, "UN", UNDEF);
	f.implicit = true;	/* what UN holds */
	begin_item(UNDEF);
	element(0x00280010, "US", "ab");
	end_item();
	end_sequence();
	f.implicit = false;
	element(0x00290021, "SQ", "garbage that is no item");
	element(0x00280010, "US", "ab");
	expect({ 128, I }, { m + 12, C }, { 8 + 10 + 8, I }, { 8 + 12, C },
	       { 23, I }, { 10, C });
}

static void test_un_sequence(void **state)
{
	size_t m = part10(EXPLICIT_LE);

	(void)state;
	header(0x00082218, "UN", UNDEF);
	f.implicit = true;
	begin_item(12);
	element(0x00100010, "PN", "Jane");
	end_sequence();
	f.implicit = false;
	/* The same with a length; only its first bytes tell. */
	header(0x00082218, "UN", 20);
	f.implicit = true;
	begin_item(12);
	element(0x00100010, "PN", "Jane");
	expect({ 128, I }, { m + 12 + 8 + 8, C }, { 4, I },
	       { 8 + 12 + 8 + 8, C }, { 4, I });
}

/* What UN holds is little endian even where nothing else is. */
static void test_un_in_big_endian(void **state)
{
	size_t m = part10(EXPLICIT_BE);

	(void)state;
	f.big = true;
	header(0x00082218, "UN", UNDEF);
	f.big = false;
	f.implicit = true;
	begin_item(UNDEF);
	element(0x00100010, "PN", "Jane");
	end_item();
	end_sequence();
	f.implicit = false;
	f.big = true;
	element(0x00280010, "US", "ab");
	expect({ 128, I }, { m + 12 + 8 + 8, C }, { 4, I }, { 8 + 8 + 10, C });
}

static void test_icon(void **state)
{
	size_t m = part10(EXPLICIT_LE);

	(void)state;
	header(0x00880200, "SQ", UNDEF);
	begin_item(UNDEF);
	element(0x00280010, "US", "ab");
	header(0x7fe00010, "OW", 4);
	put("icon", 4);
	end_item();
	end_sequence();
	element(0x00280010, "US", "ab");
	expect({ 128, I }, { m + 12 + 8 + 8, C }, { 2, I }, { 12, C },
	       { 4, P }, { 8 + 8 + 10, C });
}

/* --- encapsulated pixels ------------------------------------------------ */

static void fragment(const char *text)
{
	begin_item((uint32_t)strlen(text));
	put(text, strlen(text));
}

static void test_fragments(void **state)
{
	size_t m = part10(JPEG);

	(void)state;
	header(0x7fe00010, "OB", UNDEF);
	begin_item(0);
	fragment("first fragment");
	/* A delimiter inside a fragment is data. */
	begin_item(10);
	end_sequence();
	put("xx", 2);
	end_sequence();
	element(0xfffcfffc, "OB", "pad.");
	expect({ 128, I }, { m + 12, C }, { 8 + 22 + 18, P }, { 8 + 12, C },
	       { 4, I });
}

/* Some writers encapsulate without a VR, or with one that says nothing. */
static void test_fragments_without_vr(void **state)
{
	(void)state;
	for (int un = 0; un < 2; un++) {
		size_t m = part10(un ? JPEG : IMPLICIT_LE), h;

		f.implicit = !un;
		h = header(0x7fe00010, "UN", UNDEF);
		begin_item(0);
		fragment("first fragment");
		end_sequence();
		expect({ 128, I }, { m + h, C }, { 8 + 22, P }, { 8, C });
	}
}

/* A private transfer syntax says nothing of the data set's form. */
static void test_private_transfer_syntax(void **state)
{
	size_t m = part10("1.2.840.113619.5.2");

	(void)state;
	f.implicit = true;
	element(0x00080060, "CS", "MR");
	element(0x00100010, "PN", "Jane");
	expect({ 128, I }, { m + 10 + 8, C }, { 4, I });
	assert_string_equal(info.modality, "MR");
}

/* A signature behind the pixels ends like they do, and is not pixels. */
static void test_signature_behind_fragments(void **state)
{
	size_t m = part10(JPEG);

	(void)state;
	header(0x7fe00010, "OB", UNDEF);
	begin_item(0);
	fragment("1234");
	end_sequence();
	header(0xfffafffa, "SQ", UNDEF);
	begin_item(12);
	element(0x04000120, "DT", "when");
	end_sequence();
	expect({ 128, I }, { m + 12, C }, { 8 + 12, P }, { 8 + 12, C },
	       { 8 + 12, I }, { 8, C });
}

static void test_endless_fragments(void **state)
{
	size_t m = part10(JPEG);

	(void)state;
	header(0x7fe00010, "OB", UNDEF);
	begin_item(0);
	fragment("1234");
	expect({ 128, I }, { m, C }, { 12 + 8 + 12, I });
	/* A length that is undefined, or points behind the end. */
	begin_item(UNDEF);
	end_sequence();
	expect({ 128, I }, { m, C }, { 12 + 8 + 12 + 8 + 8, I });
	f.len -= 16;
	begin_item(9);
	end_sequence();
	expect({ 128, I }, { m, C }, { 12 + 8 + 12 + 8 + 8, I });
}

static void many_fragments(bool table, bool signature)
{
	size_t m = part10(JPEG), frames = 2000, fragments;

	header(0x7fe00010, "OB", UNDEF);
	begin_item(table ? 4 * frames : 0);
	for (size_t i = 0; table && i < frames; i++)
		put_number((uint32_t)i * 12, 4);
	for (size_t i = 0; i < frames; i++)
		fragment("1234");
	fragments = 8 + (table ? 4 * frames : 0) + 12 * frames;
	end_sequence();
	if (!signature) {
		expect({ 128, I }, { m + 12, C }, { fragments, P }, { 8, C });
		return;
	}
	header(0xfffafffa, "SQ", UNDEF);
	begin_item(0);
	end_sequence();
	expect({ 128, I }, { m + 12, C }, { fragments, P }, { 8 + 12, C },
	       { 8, I }, { 8, C });
}

/* The delimiter at the end of the file is not always the pixels'. */
static void test_many_fragments_inside(void **state)
{
	size_t m = part10(JPEG), frames = 1000;

	(void)state;
	header(0x00880200, "SQ", UNDEF);
	begin_item(UNDEF);
	header(0x7fe00010, "OB", UNDEF);
	begin_item(0);
	for (size_t i = 0; i < frames; i++)
		fragment("1234");
	end_sequence();
	element(0xfffcfffc, "OB", "pad.");
	end_item();
	end_sequence();
	expect({ 128, I }, { m + 12 + 8 + 12, C }, { 8 + 12 * frames, P },
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
		size_t m = part10(JPEG);

		header(0x7fe00010, "OB", UNDEF);
		begin_item(4);
		put_number(offset[i], 4);
		fragment("1234");
		fragment("5678");
		end_sequence();
		expect({ 128, I }, { m + 12, C }, { 8 + 4 + 24, P },
		       { 8, C });
	}
}

/* --- a source larger than memory ---------------------------------------- */

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
		uint64_t in = s->fragment && at >= f.len ?
			      (at - f.len) % s->fragment : 8;
		uint64_t size = s->fragment - 8;
		uint8_t head[8] = { 0xfe, 0xff, 0, 0xe0, (uint8_t)size,
				    (uint8_t)(size >> 8),
				    (uint8_t)(size >> 16),
				    (uint8_t)(size >> 24) };

		if (at < f.len)
			out[i] = f.data[at];
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
	int r = dicom_parse(&src, &info);

	if (r == 1)
		check_form(s->length);
	return r;
}

static void test_pixels_are_not_read(void **state)
{
	struct sparse s = { 0 };
	size_t m = part10(EXPLICIT_LE);

	(void)state;
	header(0x7fe00010, "OW", 0xfffffffe);
	s.length = f.len + 0xfffffffeull + 12;
	assert_int_equal(parse_sparse(&s), 1);
	/* The zeros behind it are no elements. */
	assert_int_equal(info.segments, 4);
	assert_int_equal(info.segment[1].length, m + 12);
	assert_true(info.segment[2].length == 0xfffffffeull);
	assert_int_equal(info.segment[3].compartment, I);
	assert_in_range(s.reads, 1, 4);
	assert_in_range(s.bytes, 1, 4 * 4096);
}

static void test_few_reads_for_many_fragments(void **state)
{
	struct sparse s = { .fragment = 1 << 20 };

	(void)state;
	part10(JPEG);
	header(0x7fe00010, "OB", UNDEF);
	begin_item(0);
	s.length = f.len + (100000ull << 20) + 8;
	assert_int_equal(parse_sparse(&s), 1);
	assert_int_equal(info.segments, 4);
	assert_int_equal(info.segment[2].compartment, P);
	assert_true(info.segment[2].length == 8 + (100000ull << 20));
	assert_in_range(s.reads, 1, 300);
}

/* Hostile: nothing but empty items, in a file of 16 EiB. */
static void test_work_is_bounded(void **state)
{
	struct sparse s = { .fragment = 8, .length = UINT64_MAX };

	(void)state;
	part10(EXPLICIT_LE);
	header(0x00082218, "SQ", UNDEF);
	assert_int_equal(parse_sparse(&s), 1);
	assert_int_equal(info.segment[info.segments - 1].compartment, I);
	assert_in_range(s.bytes, 1, 64 << 20);
}

/* --- nesting ------------------------------------------------------------ */

static void nest(int depth, bool defined)
{
	for (int i = depth; i > 0; i--) {
		uint32_t inner = (uint32_t)(i - 1) * 20 + 12;

		header(0x00082218, "SQ", defined ? inner + 8 : UNDEF);
		begin_item(defined ? inner : UNDEF);
	}
	element(0x00100010, "PN", "Jane");
	for (int i = 0; !defined && i < depth; i++) {
		end_item();
		end_sequence();
	}
	element(0x00280010, "US", "ab");
	header(0x7fe00010, "OW", 6);
	put("pixels", 6);
}

static void test_nesting(void **state)
{
	size_t m;

	(void)state;
	m = part10(EXPLICIT_LE);
	nest(64, false);
	expect({ 128, I }, { m + 64 * 20 + 8, C }, { 4, I },
	       { 64 * 16 + 10 + 12, C }, { 6, P });
	m = part10(EXPLICIT_LE);
	nest(64, true);
	expect({ 128, I }, { m + 64 * 20 + 8, C }, { 4, I }, { 10 + 12, C },
	       { 6, P });
}

static void test_nesting_too_deep(void **state)
{
	(void)state;
	/* The length says where to go on. */
	part10(EXPLICIT_LE);
	nest(65, true);
	assert_int_equal(parse(), 1);
	assert_int_equal(compartment_of_text("Jane"), I);
	assert_int_equal(compartment_of_text("pixels"), P);
	/* Nothing says where to go on. */
	part10(EXPLICIT_LE);
	nest(65, false);
	assert_int_equal(parse(), 1);
	assert_int_equal(compartment_of_text("Jane"), I);
	assert_int_equal(compartment_of_text("pixels"), I);
	part10(EXPLICIT_LE);
	nest(20000, false);
	assert_int_equal(parse(), 1);
	assert_int_equal(compartment_of_text("Jane"), I);
}

/* --- what breaks -------------------------------------------------------- */

static void test_value_behind_end(void **state)
{
	size_t m = part10(EXPLICIT_LE);

	(void)state;
	element(0x00180020, "CS", "SE");
	header(0x7fe00010, "OW", 7);
	put("pixels", 6);
	expect({ 128, I }, { m + 10, C }, { 18, I });
}

static void test_broken_item_ends_with_its_sequence(void **state)
{
	size_t m = part10(EXPLICIT_LE);

	(void)state;
	header(0x00082218, "SQ", 8 + 10);
	begin_item(10);
	header(0x00180020, "CS", 3);	/* one more than the item holds */
	put("ab", 2);
	element(0x00180020, "CS", "SE");
	header(0x00082218, "SQ", 8 + 10);
	begin_item(11);			/* one more than the sequence holds */
	element(0x00180020, "CS", "SE");
	element(0x00180020, "CS", "SE");
	expect({ 128, I }, { m + 12 + 8, C }, { 10, I }, { 10 + 12, C },
	       { 18, I }, { 10, C });
}

static void test_missing_and_stray_delimiters(void **state)
{
	size_t m;

	(void)state;
	m = part10(EXPLICIT_LE);
	header(0x00082218, "SQ", UNDEF);
	begin_item(UNDEF);
	element(0x00180020, "CS", "SE");
	expect({ 128, I }, { m + 12 + 8 + 10, C });
	m = part10(EXPLICIT_LE);
	end_item();
	element(0x00180020, "CS", "SE");
	expect({ 128, I }, { m, C }, { 18, I });
	/* A delimiter with a length. */
	m = part10(EXPLICIT_LE);
	header(0x00082218, "SQ", UNDEF);
	item(0xfffee0dd, 2);
	put("xx", 2);
	expect({ 128, I }, { m + 12, C }, { 10, I });
	/* A sequence's delimiter in one with a length. */
	m = part10(EXPLICIT_LE);
	header(0x00082218, "SQ", 16);
	begin_item(0);
	end_sequence();
	expect({ 128, I }, { m + 12 + 8, C }, { 8, I });
}

static void test_trailing_garbage_is_identity(void **state)
{
	size_t m;

	(void)state;
	m = part10(EXPLICIT_LE);
	element(0x00180020, "CS", "SE");
	put("Patient: Jane Doe, born 1970\n", 29);
	expect({ 128, I }, { m + 10, C }, { 29, I });
	m = part10(EXPLICIT_LE);
	element(0x00180020, "CS", "SE");
	f.len += 512;
	expect({ 128, I }, { m + 10, C }, { 512, I });
	m = part10(EXPLICIT_LE);
	element(0x00180020, "CS", "SE");
	f.len += 7;
	expect({ 128, I }, { m + 10, C }, { 7, I });
}

/* Implicit VR behind explicit VR is taken for garbage. */
static void test_trailing_garbage_like_implicit_vr(void **state)
{
	size_t m = part10(EXPLICIT_LE);

	(void)state;
	element(0x00180020, "CS", "SE");
	put("name\4\0\0\0Jane", 12);
	expect({ 128, I }, { m + 10, C }, { 12, I });
}

static void test_read_errors(void **state)
{
	unsigned int reads;

	(void)state;
	part10(EXPLICIT_LE);
	header(0x00181000, "UN", 5000);
	f.len += 5000;
	element(0x00180020, "CS", "SE");
	header(0x7fe00010, "OW", 5000);
	f.len += 5000;
	element(0xfffcfffc, "OB", "pad.");
	assert_int_equal(parse(), 1);
	reads = f.reads;
	assert_true(reads >= 3);
	for (unsigned int i = 1; i <= reads; i++) {
		f.reads = 0;
		f.fail_at = i;
		assert_int_equal(parse(), -ENOTRECOVERABLE);
	}
}

static ssize_t read_short(void *ctx, void *buf, size_t len, uint64_t off)
{
	uint64_t have = *(uint64_t *)ctx;
	size_t n = off >= have ? 0 : have - off < len ? have - off : len;

	memcpy(buf, f.data + off, n);
	return (ssize_t)n;
}

static void test_source_shorter_than_it_says(void **state)
{
	uint64_t have = 140;
	struct dicom_source src = { read_short, &have, 0 };

	(void)state;
	part10(EXPLICIT_LE);
	src.length = f.len;
	assert_int_equal(dicom_parse(&src, &info), -EIO);
}

/* --- strings ------------------------------------------------------------ */

static void check_modality(const char *stored, const char *shown)
{
	part10(EXPLICIT_LE);
	element(0x00080060, "CS", stored);
	assert_int_equal(parse(), 1);
	assert_string_equal(info.modality, shown);
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
	part10("1.2.840.10008.1.2.1\n; x");
	assert_int_equal(parse(), 1);
	assert_string_equal(info.transfer_syntax, EXPLICIT_LE);
	part10("1.23456789.123456789.123456789.123456789.123456789.12345678"
	       "9.123456789.12");
	assert_int_equal(parse(), 1);
	assert_int_equal(strlen(info.transfer_syntax), 64);
	/* A modality in a sequence, or a syntax in the data set, is another. */
	part10(EXPLICIT_LE);
	header(0x00082218, "SQ", 18);
	begin_item(10);
	element(0x00080060, "CS", "MR");
	element(0x00080060, "CS", "CT");
	element(0x00020010, "UI", "9.9.9.");
	assert_int_equal(parse(), 1);
	assert_string_equal(info.modality, "CT");
	assert_string_equal(info.transfer_syntax, EXPLICIT_LE);
}

/* --- too many segments -------------------------------------------------- */

static void listed_elements(int n)
{
	part10(EXPLICIT_LE);
	for (int i = 0; i < n; i++) {
		char value[24];

		snprintf(value, sizeof(value), "secret%04d", i);
		element(0x00100010, "PN", value);
		if (i % 3 == 0)
			element(0x00280010, "US", "clinical");
	}
	element(0x00204000, "LT", "");
	header(0x00281201, "OW", 3000);		/* a large clinical value */
	f.len += 3000;
	element(0x7fe00010, "OW", "pixel data in quite a few bytes, really");
	element(0xfffcfffc, "OB", "padding.");
}

static void test_too_many_segments(void **state)
{
	(void)state;
	for (int n = 40; n <= 4000; n += n < 60 ? 1 : 970) {
		struct dicom_info first;

		listed_elements(n);
		assert_int_equal(parse(), 1);
		for (int i = 0; i < n; i++) {
			char value[24];

			snprintf(value, sizeof(value), "secret%04d", i);
			assert_int_equal(compartment_of_text(value), I);
		}
		assert_int_equal(compartment_of_text("pixel data in quite a "
						     "few bytes, really"), P);
		assert_int_equal(compartment_of_text("padding."), I);
		assert_int_equal(compartment_at(f.len - 1000), C);
		first = info;
		assert_int_equal(parse(), 1);
		assert_memory_equal(&first, &info, sizeof(info));
	}
}

/* As long as there is room, nothing is merged. */
static void test_just_enough_segments(void **state)
{
	(void)state;
	part10(EXPLICIT_LE);
	for (int i = 0; i < 49; i++)
		element(0x00100010, "PN", "Jane");
	element(0x00280010, "US", "ab");
	assert_int_equal(parse(), 1);
	assert_int_equal(info.segments, CHAOSIMG_SEGMENTS_MAX);
	assert_int_equal(info.segment[2].length, 4);
	assert_int_equal(info.segment[99].length, 10);
	/* One more: the first of the cheapest headers joins its neighbours. */
	element(0x00100010, "PN", "Jane");
	assert_int_equal(parse(), 1);
	assert_int_equal(info.segments, CHAOSIMG_SEGMENTS_MAX - 1);
	assert_int_equal(info.segment[2].compartment, I);
	assert_int_equal(info.segment[2].length, 4 + 8 + 4);
	assert_int_equal(info.segment[4].length, 4);
	assert_int_equal(info.segment[97].length, 18);
	assert_int_equal(info.segment[98].length, 4);
}

/* --- bare data sets ----------------------------------------------------- */

static void bare(int syntax, int elements)
{
	static const uint32_t tags[] = {
		0x00080016, 0x00080060, 0x00100010, 0x00180015, 0x00200013,
	};
	static const char *const vr[] = { "UI", "CS", "PN", "CS", "IS" };
	static const char *const value[] = { "1.2.840.10008.5.1.4.1.1.2",
					     "CT", "Jane", "HEAD", "1" };

	start();
	f.implicit = syntax == 0;
	f.big = syntax == 2;
	for (int i = 0; i < elements; i++)
		element(tags[i], vr[i], value[i]);
}

static void test_bare(void **state)
{
	static const char *const uid[] = {
		IMPLICIT_LE, EXPLICIT_LE, EXPLICIT_BE,
	};

	(void)state;
	for (int i = 0; i < 3; i++) {
		bare(i, 5);
		expect({ 8 + 25 + 10 + 8, C }, { 4, I }, { 8 + 4 + 9, C });
		assert_string_equal(info.modality, "CT");
		assert_string_equal(info.transfer_syntax, uid[i]);
		bare(i, 3);
		assert_int_equal(parse(), 0);
		assert_string_equal(info.modality, "");
	}
	/* Meta information, but no preamble. */
	start();
	element(0x00020002, "UI", "1.2.840.10008.5.1.4.1.1.2");
	element(0x00020003, "UI", "1.2.3.4.");
	element(0x00020010, "UI", EXPLICIT_BE);
	f.big = true;
	element(0x00080060, "CS", "CT");
	element(0x00100010, "PN", "Jane");
	expect({ 8 + 25 + 8, C }, { 8, I }, { 8 + 19 + 10 + 8, C }, { 4, I });
	assert_string_equal(info.transfer_syntax, EXPLICIT_BE);
}

static void test_bare_order(void **state)
{
	(void)state;
	/* Out of order before there is enough to go by: not DICOM. */
	start();
	element(0x00080060, "CS", "CT");
	element(0x00080016, "UI", "1.2.840.10008.5.1.4.1.1.2");
	element(0x00100010, "PN", "Jane");
	element(0x00180015, "CS", "HEAD");
	assert_int_equal(parse(), 0);
	/* Afterwards: the rest is identity. */
	bare(1, 5);
	element(0x00180015, "CS", "HEAD");
	expect({ 8 + 25 + 10 + 8, C }, { 4, I }, { 8 + 4 + 9, C }, { 12, I });
	/* Numbers in a binary file may look like implicit VR. */
	start();
	f.implicit = true;
	for (uint32_t i = 1; i < 20; i++)
		element(0x00080000 + i, "", "1.2.840.");
	assert_int_equal(parse(), 0);
}

/* --- what is not DICOM -------------------------------------------------- */

static uint64_t next_random(uint64_t *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 7;
	return *x ^= *x << 17;
}

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
		start();
		put(head[i].bytes, head[i].len);
		for (size_t len = f.len; len < 600; len++)
			assert_int_equal(parse_prefix(len), 0);
		assert_int_equal(parse_prefix(1 << 20), 0);
	}
}

static void test_repeated_bytes(void **state)
{
	(void)state;
	for (int v = 0; v < 256; v++) {
		start();
		memset(f.data, v, 8192);
		assert_int_equal(parse_prefix(8192), 0);
		/* Every second byte zero: UTF-16, or small numbers. */
		for (size_t i = 0; i < 8192; i += 2)
			f.data[i] = 0;
		assert_int_equal(parse_prefix(8192), 0);
		assert_int_equal(parse_prefix(8191), 0);
		memmove(f.data, f.data + 1, 8191);
		assert_int_equal(parse_prefix(8190), 0);
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
		start();
		for (size_t i = 0; i < 1024; i += 8) {
			uint64_t v = next_random(&x);

			memcpy(f.data + i, &v, 8);
		}
		memcpy(f.data, begin[round % 6], round % 6 < 3 ? 2 : 6);
		assert_int_equal(parse_prefix(1024), 0);
	}
}

static void test_magic_alone(void **state)
{
	(void)state;
	magic();
	assert_int_equal(parse(), 0);
	put("DICM is also a word in a text", 29);
	assert_int_equal(parse(), 0);
	magic();
	f.len += 10000;
	assert_int_equal(parse(), 0);
}

/* --- real files --------------------------------------------------------- */

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

	start();
	snprintf(path, sizeof(path), "%s%s", REAL, name);
	in = fopen(path, "rb");
	if (!in)
		fail_msg("%s: %s (Debian: python3-pydicom)", path,
			 strerror(errno));
	f.len = fread(f.data, 1, sizeof(f.data), in);
	fclose(in);
	assert_true(f.len > 0);
}

static void test_cut_everywhere(void **state)
{
	(void)state;
	for (int i = 0; i < REAL_FILES; i++) {
		load(real[i]);
		assert_int_equal(parse(), 1);
		for (size_t len = 0; len < f.len; len++)
			parse_prefix(len);
	}
}

/* What a cut file is divided into must not be less private than before. */
static void test_cut_is_as_private(void **state)
{
	(void)state;
	for (int i = 0; i < REAL_FILES; i++) {
		static uint8_t whole[1 << 16];

		load(real[i]);
		assert_int_equal(parse(), 1);
		if (info.segments == CHAOSIMG_SEGMENTS_MAX)
			continue;	/* other pairs would be merged */
		for (size_t k = 0; k < f.len; k++)
			whole[k] = (uint8_t)compartment_at(k);
		for (size_t len = 0; len < f.len; len += 1 + len / 97) {
			if (!parse_prefix(len))
				continue;
			for (size_t k = 0; k < len; k++)
				if (whole[k] == I)
					assert_int_equal(compartment_at(k), I);
		}
	}
}

static void test_change_everywhere(void **state)
{
	static const uint8_t change[] = { 0x01, 0x10, 0x80, 0xff };

	(void)state;
	for (int i = 0; i < REAL_FILES; i++) {
		load(real[i]);
		for (size_t k = 0; k < f.len; k++) {
			uint8_t old = f.data[k];

			for (int c = 0; c < 4; c++) {
				f.data[k] = old ^ change[c];
				parse();
			}
			f.data[k] = 0;
			parse();
			f.data[k] = old;
		}
	}
}

/* --- for tests/dicom.t -------------------------------------------------- */

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
	r = dicom_parse(&src, &info);
	printf("file %s\nresult %d\nmodality %s\nsyntax %s\n", path, r,
	       info.modality, info.transfer_syntax);
	for (uint32_t i = 0; r == 1 && i < info.segments; i++)
		printf("segment %d %llu\n", info.segment[i].compartment,
		       (unsigned long long)info.segment[i].length);
	close(fd);
	return r < 0;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values_and_headers),
		cmocka_unit_test(test_every_vr),
		cmocka_unit_test(test_unknown_vr_hides_the_rest),
		cmocka_unit_test(test_syntaxes),
		cmocka_unit_test(test_wrong_transfer_syntax),
		cmocka_unit_test(test_vr_is_not_a_length),
		cmocka_unit_test(test_meta_forms),
		cmocka_unit_test(test_deflated),
		cmocka_unit_test(test_repeating_groups_and_private),
		cmocka_unit_test(test_other_pixels),
		cmocka_unit_test(test_profile_table),
		cmocka_unit_test(test_listed_sequence_is_whole),
		cmocka_unit_test(test_private_sequence_is_whole),
		cmocka_unit_test(test_un_sequence),
		cmocka_unit_test(test_un_in_big_endian),
		cmocka_unit_test(test_icon),
		cmocka_unit_test(test_fragments),
		cmocka_unit_test(test_fragments_without_vr),
		cmocka_unit_test(test_private_transfer_syntax),
		cmocka_unit_test(test_signature_behind_fragments),
		cmocka_unit_test(test_endless_fragments),
		cmocka_unit_test(test_many_fragments_inside),
		cmocka_unit_test(test_many_fragments),
		cmocka_unit_test(test_bad_offset_table),
		cmocka_unit_test(test_pixels_are_not_read),
		cmocka_unit_test(test_few_reads_for_many_fragments),
		cmocka_unit_test(test_work_is_bounded),
		cmocka_unit_test(test_nesting),
		cmocka_unit_test(test_nesting_too_deep),
		cmocka_unit_test(test_value_behind_end),
		cmocka_unit_test(test_broken_item_ends_with_its_sequence),
		cmocka_unit_test(test_missing_and_stray_delimiters),
		cmocka_unit_test(test_trailing_garbage_is_identity),
		cmocka_unit_test(test_trailing_garbage_like_implicit_vr),
		cmocka_unit_test(test_read_errors),
		cmocka_unit_test(test_source_shorter_than_it_says),
		cmocka_unit_test(test_strings),
		cmocka_unit_test(test_too_many_segments),
		cmocka_unit_test(test_just_enough_segments),
		cmocka_unit_test(test_bare),
		cmocka_unit_test(test_bare_order),
		cmocka_unit_test(test_foreign_headers),
		cmocka_unit_test(test_repeated_bytes),
		cmocka_unit_test(test_random_bytes),
		cmocka_unit_test(test_magic_alone),
		cmocka_unit_test(test_cut_everywhere),
		cmocka_unit_test(test_cut_is_as_private),
		cmocka_unit_test(test_change_everywhere),
	};
	int failed = 0;

	for (int i = 1; i < argc; i++)
		failed |= print_file(argv[i]);
	if (argc > 1)
		return failed;
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
