// SPDX-License-Identifier: GPL-2.0-or-later
/* Content rules: what is read, what is refused, and which files they match. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "archive_env.h"
#include "dicom_file.h"
#include "rules.h"

static struct chaosimg_rules *rules;
static struct rules_outcome outcome;

static int read_text(const char *text)
{
	return chaosimg_rules_parse(text, strlen(text), "RULES", &rules);
}

static void must_read(const char *text)
{
	int ret = read_text(text);

	if (ret)
		fail_msg("%s", chaosimg_errmsg());
}

static void free_rules(void)
{
	chaosimg_rules_free(rules);
	rules = NULL;
}

/* --- the text -------------------------------------------------------------- */

static void test_text(void **unused)
{
	const struct rule *rule;
	const struct dicom_rect *rect;
	size_t len;

	(void)unused;
	must_read("# ultrasound\n"
		  "rule us-1.A_b  # one\r\n"
		  "\tModality = US \"OT\"\n"
		  "\tnot Manufacturer ~ *philips* \"ge med*\" # not these\n"
		  "\tRows in 480..600 768 ..10 1000..\n"
		  "\t(0019,10AB) present\n"
		  "\tregion 0 0 1024 50\n"
		  "\tregion 10 65535 1 65535\n"
		  "\tpolicy department\n"
		  "\n"
		  "rule rest\n"
		  "hold frames\n"
		  "regions outside-ultrasound");
	assert_int_equal(chaosimg_rules_count(rules), 2);
	assert_string_equal(chaosimg_rules_name(rules, 0), "us-1.A_b");
	assert_string_equal(chaosimg_rules_name(rules, 1), "rest");
	assert_null(chaosimg_rules_name(rules, 2));
	assert_string_equal(chaosimg_rules_text(rules, &len) + len - 6,
			    "asound");
	rule = rule_at(rules, 0);
	assert_string_equal(rule->policy, "department");
	assert_int_equal(rule->conditions, 4);
	assert_int_equal(rule->regions, 2);
	assert_false(rule->hold || rule->outside);
	rect = (const struct dicom_rect *)rules->region.p + 1;
	assert_int_equal(rect->x, 10);
	assert_int_equal(rect->y, 65535);
	assert_int_equal(rule_condition_at(rules, 1)->negated, true);
	assert_int_equal(rule_condition_at(rules, 3)->tag, 0x001910ab);
	rule = rule_at(rules, 1);
	assert_true(rule->hold && rule->outside && !rule->conditions);
	free_rules();
	must_read("");
	assert_int_equal(chaosimg_rules_count(rules), 0);
	free_rules();
	must_read(" # nothing\n\n\r\n\t");
	free_rules();
}

static void check_wrong(const char *text, const char *message)
{
	assert_int_equal(read_text(text), -EINVAL);
	if (!strstr(chaosimg_errmsg(), message))
		fail_msg("%s: not %s", chaosimg_errmsg(), message);
	assert_null(rules);
}

/* One line each, with the text's name, the line and what is wrong there. */
static void test_wrong(void **unused)
{
	static const struct {
		const char *text;
		const char *message;
	} list[] = {
		{ "hold frames\n", "RULES:1: \"rule\" and a name are expected" },
		{ "rule\n", "RULES:1: one name of a rule" },
		{ "rule a b\n", "RULES:1: one name of a rule" },
		{ "rule a/b\n", "RULES:1: \"a/b\" is not a name" },
		{ "rule \"a\"\n", "RULES:1: \"a\" is not a name" },
		{ "rule a\n", "RULES:1: rule a ends here and says nothing" },
		{ "rule a\nrule b\nhold frames\n",
		  "RULES:2: rule a ends here" },
		{ "rule a\nhold frames\nrule a\nhold frames\n",
		  "RULES:3: another rule has the name a" },
		{ "rule a\nhold\n", "RULES:2: hold: \"frames\"" },
		{ "rule a\nhold pixels\n", "RULES:2: hold: \"frames\"" },
		{ "rule a\nhold frames now\n", "RULES:2: hold: \"frames\"" },
		{ "rule a\nregions\n", "RULES:2: regions: " },
		{ "rule a\nregions inside\n", "RULES:2: regions: " },
		{ "rule a\npolicy\n", "RULES:2: one name of a policy" },
		{ "rule a\npolicy x!\n", "RULES:2: \"x!\" is not a name" },
		{ "rule a\npolicy x\npolicy y\n",
		  "RULES:3: the rule names a policy already" },
		{ "rule a\nregion 1 2 3\n", "RULES:2: region: four numbers" },
		{ "rule a\nregion 1 2 3 4 5\n", "RULES:2: region: four" },
		{ "rule a\nregion 1 2 0 4\n",
		  "RULES:2: region: \"0\" is not a number from 1 to 65535" },
		{ "rule a\nregion 1 -2 3 4\n",
		  "RULES:2: region: \"-2\" is not a number from 0 to 65535" },
		{ "rule a\nregion 1 2 3 65536\n", "RULES:2: region: \"65536\"" },
		{ "rule a\nregion 1 2 3 4294967299\n", "RULES:2: region: " },
		{ "rule a\nregion 1 2 3 99999999999999999999\n",
		  "RULES:2: region: " },
		{ "rule a\nregion 1 2 3 \"4\"\n", "RULES:2: region: \"4\"" },
		{ "rule a\nModalty = US\n", "RULES:2: \"Modalty\" is no" },
		{ "rule a\nmodality = US\n", "RULES:2: \"modality\" is no" },
		{ "rule a\n(0008,006) = US\n", "RULES:2: \"(0008,006)\" is no" },
		{ "rule a\n(0008,00g0) = US\n", "RULES:2: \"(0008,00g0)\"" },
		{ "rule a\n(7fe0,0010) present\n",
		  "RULES:2: (7fe0,0010): not an attribute in front of" },
		{ "rule a\n(0000,0002) = x\n", "RULES:2: (0000,0002): not" },
		{ "rule a\n\"Modality\" = US\n", "RULES:2: \"Modality\" is no" },
		{ "rule a\nnot\n", "RULES:2: not: a condition" },
		{ "rule a\nnot not Modality = US\n", "RULES:2: \"not\" is no" },
		{ "rule a\nModality\n", "RULES:2: Modality: one of =" },
		{ "rule a\nModality is US\n", "RULES:2: Modality: one of =" },
		{ "rule a\nModality \"=\" US\n", "RULES:2: Modality: one of =" },
		{ "rule a\nModality =\n", "RULES:2: a value is missing" },
		{ "rule a\nModality in\n", "RULES:2: a value is missing" },
		{ "rule a\nModality present US\n", "RULES:2: nothing is" },
		{ "rule a\nRows in 5..4\n", "RULES:2: \"5..4\" is not a range" },
		{ "rule a\nRows in ..\n", "RULES:2: \"..\" is not a range" },
		{ "rule a\nRows in 1..2..3\n", "RULES:2: \"1..2..3\" is not" },
		{ "rule a\nRows in 1-2\n", "RULES:2: \"1-2\" is not a range" },
		{ "rule a\nRows in 2147483648\n", "RULES:2: \"2147483648\"" },
		{ "rule a\nRows in \"5\"\n", "RULES:2: \"5\" is not a range" },
		{ "rule a\nModality = \"US\n", "RULES:2: a quotation mark is" },
		{ "rule a\nModality = U\"S\"\n", "RULES:2: a quotation mark in" },
		{ "rule a\nModality = \"U\"S\n", "RULES:2: a blank is missing" },
		{ "rule a\nModality = U\033S\n", "RULES:2: a control character" },
		{ "rule a\n\n\n# x\177\n", "RULES:4: a control character" },
	};

	(void)unused;
	for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
		check_wrong(list[i].text, list[i].message);
		assert_null(strchr(chaosimg_errmsg(), '\n'));
	}
	assert_int_equal(chaosimg_rules_parse("rule a\0\n", 8, "x", &rules),
			 -EINVAL);
	assert_non_null(strstr(chaosimg_errmsg(), "x:1: a control"));
}

static char *repeated(const char *head, const char *part, int times,
		      const char *tail)
{
	size_t n = strlen(part);
	char *text = calloc(1, strlen(head) + (n + 12) * (size_t)times +
			    strlen(tail) + 32);
	char *p = stpcpy(text, head);

	for (int i = 0; i < times; i++)
		p += sprintf(p, part, i);
	strcpy(p, tail);
	return text;
}

/* As many as there may be, and one more. */
static void check_limit(const char *head, const char *part, int most,
			const char *tail, const char *message)
{
	char *text = repeated(head, part, most, tail);

	must_read(text);
	free_rules();
	free(text);
	text = repeated(head, part, most + 1, tail);
	check_wrong(text, message);
	free(text);
}

static void test_limits(void **unused)
{
	(void)unused;
	check_limit("", "rule a%d\nhold frames\n", CHAOSIMG_RULES_MAX, "",
		    "RULES:1025: more than 512 rules");
	check_limit("rule a\n", "Modality = US\n", RULE_CONDITIONS_MAX,
		    "hold frames\n", "RULES:34: more than 32 conditions");
	check_limit("rule a\n", "region 1 2 3 4\n", RULE_REGIONS_MAX, "",
		    "RULES:66: more than 64 regions");
	check_limit("rule a\nModality =", " x", RULE_WORDS_MAX - 2,
		    "\nhold frames\n", "RULES:2: more than 128 words");
	check_limit("rule ", "a", CHAOSIMG_RULE_NAME_MAX, "\nhold frames\n",
		    "is not a name");
	check_limit("rule a\nhold frames\n#", "a", RULE_LINE_MAX - 1, "\n",
		    "RULES:3: longer than 1024");
	check_limit("", "#\n", CHAOSIMG_RULES_TEXT_MAX / 2 - 1, " ",
		    "RULES: longer than 131072");
}

/* --- files ----------------------------------------------------------------- */

static ssize_t read_dcm(void *ctx, void *buf, size_t len, uint64_t off)
{
	(void)ctx;
	assert_true(off <= dcm.len && len <= dcm.len - off);
	if (++dcm.reads == dcm.fail_at)
		return -ENOTRECOVERABLE;
	memcpy(buf, dcm.data + off, len);
	return (ssize_t)len;
}

static int match(void)
{
	const struct dicom_source src = { read_dcm, NULL, dcm.len };

	return rules_match(rules, &src, &outcome);
}

/* Does a condition hold for the file in @dcm? */
static bool holds(const char *condition)
{
	char text[2048];

	snprintf(text, sizeof(text), "rule a\n%s\nhold frames\n", condition);
	must_read(text);
	assert_int_equal(match(), 1);
	assert_true(outcome.rules <= 1);
	free_rules();
	return outcome.rules;
}

static void put_us(uint32_t tag, unsigned int v)
{
	dcm_header(tag, "US", 2);
	dcm_put_number(v, 2);
}

static void put_item(uint32_t x0, uint32_t y0, uint32_t x1, uint32_t y1)
{
	const uint32_t v[] = { x0, y0, x1, y1 };

	dcm_begin_item(UNDEF);
	for (uint32_t i = 0; i < 4; i++) {
		dcm_header(0x00186018 + 2 * i, "UL", 4);
		dcm_put_number(v[i], 4);
	}
	dcm_element(0x00080060, "CS", "XX");	/* nobody's modality */
	dcm_end_item();
}

static void put_file(const char *syntax, int regions)
{
	dcm_part10(syntax);
	dcm.implicit = !strcmp(syntax, IMPLICIT_LE);
	dcm.big = !strcmp(syntax, EXPLICIT_BE);
	dcm_element(0x00080008, "CS", "DERIVED\\SECONDARY\\OTHER ");
	dcm_element(0x00080060, "CS", "US");
	dcm_element(0x00080070, "LO", " Philips Medical\303\204 ");
	dcm_element(0x00080080, "LO", "");
	dcm_element(0x00081090, "LO", "EPIQ*7C?");
	dcm_element(0x00091010, "UN", "private ");
	if (regions >= 0) {
		dcm_header(0x00186011, "SQ", UNDEF);
		for (int i = 0; i < regions; i++)
			put_item(100, 50 + (uint32_t)i, 199, 150);
		dcm_end_sequence();
	}
	dcm_element(0x00201208, "IS", " +7 ");
	put_us(0x00280010, 600);
	dcm_header(0x00281101, "US", 6);
	dcm_put_number(256, 2);
	dcm_put_number(0, 2);
	dcm_put_number(16, 2);
	dcm_header(0x00280106, "SS", 2);
	dcm_put_number((uint32_t)-5 & 0xffff, 2);
	dcm_header(0x00280030, "DS", 8);
	dcm_put("0.5\\0.25", 8);
	dcm_header(0x7fe00010, "OW", 4);
	dcm_put("ABCD", 4);
}

static const char *const syntaxes[] = { EXPLICIT_LE, IMPLICIT_LE, EXPLICIT_BE };

static void test_operators(void **unused)
{
	(void)unused;
	for (int i = 0; i < 3; i++) {
		put_file(syntaxes[i], -1);
		assert_true(holds(""));
		assert_true(holds("Modality = US"));
		assert_true(holds("Modality = CT us MR"));
		assert_false(holds("Modality = CT U USS"));
		assert_false(holds("Modality = \"\""));
		assert_true(holds("not Modality = CT"));
		assert_false(holds("not Modality = CT US"));
		assert_true(holds("Manufacturer = \"philips medical\303\204\""));
		assert_false(holds("Manufacturer = \"philips medical\303\244\""));
		assert_true(holds("Manufacturer ~ *MEDICAL*"));
		assert_true(holds("Manufacturer ~ x *l??"));
		assert_true(holds("Manufacturer ~ philips*"));
		assert_false(holds("Manufacturer ~ medical*"));
		assert_false(holds("Manufacturer ~ *medical"));
		assert_true(holds("ManufacturerModelName ~ epiq?7c?"));
		assert_true(holds("ManufacturerModelName ~ *q*7*"));
		assert_true(holds("ManufacturerModelName ~ ***"));
		assert_false(holds("ManufacturerModelName ~ epiq?7c"));
		assert_true(holds("(0009,1010) = private"));
		assert_true(holds("TransferSyntaxUID ~ 1.2.840.10008.1.2*"));
	}
}

static void test_absence(void **unused)
{
	(void)unused;
	put_file(EXPLICIT_LE, 1);
	assert_true(holds("Modality present"));
	assert_false(holds("InstitutionName present"));	/* empty */
	assert_false(holds("StationName present"));
	assert_true(holds("not StationName present"));
	assert_false(holds("StationName ~ *"));
	/* What is empty is as if it were not there. */
	assert_false(holds("InstitutionName ~ *"));
	assert_false(holds("InstitutionName = \"\""));
	assert_true(holds("not StationName = x"));
	/* Not what stands in sequences. */
	assert_false(holds("Modality = XX"));
	assert_false(holds("(0018,6018) present"));
}

static void test_several(void **unused)
{
	(void)unused;
	put_file(EXPLICIT_LE, -1);
	assert_true(holds("ImageType = SECONDARY"));
	assert_true(holds("ImageType = OTHER"));
	assert_false(holds("ImageType = PRIMARY"));
	assert_true(holds("ImageType ~ *SECOND*"));
	assert_true(holds("ImageType = derived\\secondary\\other"));
	assert_false(holds("ImageType = derived\\secondary"));
	assert_true(holds("ImageType ~ DERIVED\\*"));
	assert_false(holds("ImageType ~ SECONDARY\\*"));
}

static void test_numbers(void **unused)
{
	(void)unused;
	for (int i = 0; i < 3; i++) {
		put_file(syntaxes[i], -1);
		assert_true(holds("Rows = 600"));
		assert_true(holds("Rows ~ 6*"));
		assert_true(holds("Rows in 480..600"));
		assert_true(holds("Rows in 1 600 700"));
		assert_true(holds("Rows in 600.."));
		assert_true(holds("Rows in ..600"));
		assert_false(holds("Rows in ..599 601.."));
		assert_true(holds("not Rows in ..599"));
		assert_true(holds("(0020,1208) in 7"));
		assert_false(holds("(0020,1208) in 8.."));
		assert_false(holds("Modality in 0.."));
		assert_false(holds("(0028,0030) in 0.."));
		assert_true(holds("(0028,0030) = 0.25"));
	}
	put_file(EXPLICIT_LE, -1);	/* implicit VR does not say the sign */
	assert_true(holds("(0028,0106) = -5"));
	assert_false(holds("(0028,0106) in 0.."));
	assert_true(holds("(0028,1101) = 16"));
}

/* All that apply count; of the policies the first. */
static void test_together(void **unused)
{
	(void)unused;
	put_file(EXPLICIT_LE, -1);
	must_read("rule no\nModality = US\nRows = 1\npolicy no\nhold frames\n"
		  "rule one\nregion 1 2 3 4\n"
		  "rule two\nModality = US\npolicy two\nregion 5 6 7 8\n"
		  "region 9 10 11 12\n"
		  "rule three\npolicy three\n");
	assert_int_equal(match(), 1);
	assert_int_equal(outcome.rules, 3);
	assert_int_equal(outcome.rule[0], 1);
	assert_int_equal(outcome.rule[2], 3);
	assert_string_equal(outcome.policy, "two");
	assert_int_equal(outcome.cut.rects, 3);
	assert_int_equal(outcome.cut.rect[2].height, 12);
	assert_null(outcome.cut.hold);
	free_rules();
}

static void test_too_many_regions(void **unused)
{
	char *text = repeated("rule a\n", "region 1 2 3 4\n", 64, "");
	char all[8192] = "";

	(void)unused;
	put_file(EXPLICIT_LE, -1);
	for (int i = 0; i < 5; i++) {
		text[5] = (char)('a' + i);
		strcat(all, text);
	}
	free(text);
	must_read(all);
	assert_int_equal(match(), 1);
	assert_non_null(strstr(outcome.cut.hold, "more regions than"));
	free_rules();
}

static void test_ultrasound(void **unused)
{
	static const char text[] = "rule a\nregions outside-ultrasound\n";

	(void)unused;
	for (int i = 0; i < 3; i++) {
		put_file(syntaxes[i], 2);
		must_read(text);
		assert_int_equal(match(), 1);
		assert_null(outcome.cut.hold);
		assert_true(outcome.cut.outside);
		assert_int_equal(outcome.cut.shown, 2);
		assert_int_equal(outcome.cut.show[1].x, 100);
		assert_int_equal(outcome.cut.show[1].y, 51);
		assert_int_equal(outcome.cut.show[1].width, 100);
		assert_int_equal(outcome.cut.show[1].height, 100);
		for (int n = -1; n <= 0; n++) {
			put_file(syntaxes[i], n);
			assert_int_equal(match(), 1);
			assert_string_equal(outcome.cut.hold,
					    "the file names no ultrasound regions");
		}
		put_file(syntaxes[i], DICOM_SHOWN_MAX + 1);
		assert_int_equal(match(), 1);
		assert_non_null(strstr(outcome.cut.hold, "more ultrasound"));
		free_rules();
	}
	/* Of a rule that does not ask for it, nothing is heard of this. */
	put_file(EXPLICIT_LE, 0);
	must_read("rule a\nregion 1 2 3 4\n");
	assert_int_equal(match(), 1);
	assert_null(outcome.cut.hold);
	assert_int_equal(outcome.cut.shown, 0);
	free_rules();
}

/* Locations that are none do not show anything. */
static void test_bad_ultrasound(void **unused)
{
	static const uint32_t bad[][4] = {
		{ 10, 10, 9, 20 }, { 10, 10, 20, 9 }, { 0, 0, 65535, 1 },
		{ 0, 0, 4294967295u, 1 }, { 4294967295u, 0, 4294967295u, 1 },
	};

	(void)unused;
	must_read("rule a\nregions outside-ultrasound\n");
	for (size_t i = 0; i < 5; i++) {
		dcm_part10(EXPLICIT_LE);
		dcm_header(0x00186011, "SQ", UNDEF);
		put_item(bad[i][0], bad[i][1], bad[i][2], bad[i][3]);
		dcm_end_sequence();
		assert_int_equal(match(), 1);
		assert_int_equal(outcome.cut.shown, 0);
	}
	/* One number is missing. */
	dcm_part10(EXPLICIT_LE);
	dcm_header(0x00186011, "SQ", UNDEF);
	dcm_begin_item(UNDEF);
	dcm_header(0x00186018, "UL", 4);
	dcm_put_number(1, 4);
	dcm_header(0x0018601c, "UL", 4);
	dcm_put_number(100, 4);
	dcm_header(0x0018601e, "UL", 4);
	dcm_put_number(100, 4);
	dcm_end_item();
	dcm_end_sequence();
	assert_int_equal(match(), 1);
	assert_int_equal(outcome.cut.shown, 0);
	free_rules();
}

static void test_others(void **unused)
{
	unsigned int reads;

	(void)unused;
	must_read("rule a\npolicy x\nhold frames\nModality = US\n");
	dcm_start();
	dcm_put("a letter, not a picture", 23);
	assert_int_equal(match(), 0);
	assert_int_equal(outcome.rules, 0);
	assert_null(outcome.cut.hold);
	assert_null(outcome.policy);
	/* Each read may fail. */
	put_file(EXPLICIT_LE, 2);
	assert_int_equal(match(), 1);
	reads = dcm.reads;
	for (unsigned int i = 1; i <= reads; i++) {
		dcm.reads = 0;
		dcm.fail_at = i;
		assert_int_equal(match(), -ENOTRECOVERABLE);
		assert_null(outcome.cut.hold);
	}
	free_rules();
}

/* Of a long value, the beginning is looked at. */
static void test_long_value(void **unused)
{
	(void)unused;
	dcm_part10(EXPLICIT_LE);
	dcm_element(0x00080060, "CS", "US");
	dcm_header(0x00204000, "LT", 9000);
	memset(dcm.data + dcm.len, 'x', 9000);
	memcpy(dcm.data + dcm.len + 4090, "before", 6);
	memcpy(dcm.data + dcm.len + 8000, "behind", 6);
	dcm.len += 9000;
	assert_true(holds("ImageComments ~ *before*"));
	assert_false(holds("ImageComments ~ *behind*"));
}

/* A star in a pattern must not take time without bounds. */
static void test_many_stars(void **unused)
{
	char condition[1024] = "ImageComments ~ ";

	(void)unused;
	dcm_part10(EXPLICIT_LE);
	dcm_element(0x00080060, "CS", "US");
	dcm_header(0x00204000, "LT", 4000);
	memset(dcm.data + dcm.len, 'x', 4000);
	dcm.len += 4000;
	for (int i = 0; i < 400; i++)
		strcat(condition, "x*");
	strcat(condition, "y");
	assert_false(holds(condition));
}

/* --- in an archive --------------------------------------------------------- */

static const char stored_text[] = "rule a\n  hold frames   # all\n";

static int load(struct chaosimg_archive *a)
{
	return chaosimg_rules_load(a, &rules);
}

static void check_damage(struct chaosimg_archive *a, const char *file,
			 const char *text, size_t len)
{
	char *copy = malloc(len + 1);

	for (size_t i = 0; i < len; i++) {
		memcpy(copy, text, len);
		copy[i] ^= 1;
		arc_spit(file, copy, len);
		assert_int_equal(load(a), -EBADMSG);
		arc_spit(file, text, i);
		assert_int_equal(load(a), -EBADMSG);
	}
	memcpy(copy, text, len);
	copy[len] = 'x';
	arc_spit(file, copy, len + 1);
	assert_int_equal(load(a), -EBADMSG);
	arc_spit(file, text, len);
	assert_int_equal(load(a), 0);
	free_rules();
	free(copy);
}

static void test_archive(void **unused)
{
	char *dir = arc_make("rules"), *other = arc_make("other"), *text;
	struct chaosimg_archive *a = arc_must_open(dir,
						   CHAOSIMG_ARCHIVE_NOLOCK);
	struct chaosimg_archive *b = arc_must_open(other,
						   CHAOSIMG_ARCHIVE_NOLOCK);
	char file[512], other_file[512];
	size_t len;

	(void)unused;
	snprintf(file, sizeof(file), "%s/rules", dir);
	snprintf(other_file, sizeof(other_file), "%s/rules", other);
	assert_int_equal(load(a), -ENOENT);
	must_read(stored_text);
	assert_int_equal(chaosimg_rules_store(a, rules), 0);
	free_rules();
	assert_int_equal(load(a), 0);
	assert_string_equal(chaosimg_rules_text(rules, &len), stored_text);
	free_rules();
	text = arc_slurp(file, &len);
	assert_memory_equal(text, stored_text, strlen(stored_text));
	check_damage(a, file, text, len);
	/* Another archive's, and with a right checksum. */
	arc_spit(other_file, text, len);
	assert_int_equal(load(b), -EBADMSG);
	assert_non_null(strstr(chaosimg_errmsg(), "without the key"));
	free(text);
	/* What lacks a newline gets one; nothing at all is rules, too. */
	must_read("rule a\nhold frames");
	assert_int_equal(chaosimg_rules_store(a, rules), 0);
	free_rules();
	assert_int_equal(load(a), 0);
	assert_string_equal(chaosimg_rules_text(rules, &len),
			    "rule a\nhold frames\n");
	free_rules();
	must_read("");
	assert_int_equal(chaosimg_rules_store(a, rules), 0);
	free_rules();
	assert_int_equal(load(a), 0);
	assert_int_equal(chaosimg_rules_count(rules), 0);
	free_rules();
	chaosimg_archive_close(a);
	chaosimg_archive_close(b);
}

static void test_read_only(void **unused)
{
	char *dir = arc_make("read-only");
	struct chaosimg_archive *a = arc_must_open(dir,
						   CHAOSIMG_ARCHIVE_RDONLY);

	(void)unused;
	must_read(stored_text);
	assert_int_equal(chaosimg_rules_store(a, rules), -EROFS);
	free_rules();
	assert_int_equal(load(a), -ENOENT);
	chaosimg_archive_close(a);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_wrong),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_operators),
		cmocka_unit_test(test_absence),
		cmocka_unit_test(test_several),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_together),
		cmocka_unit_test(test_too_many_regions),
		cmocka_unit_test(test_ultrasound),
		cmocka_unit_test(test_bad_ultrasound),
		cmocka_unit_test(test_others),
		cmocka_unit_test(test_long_value),
		cmocka_unit_test(test_many_stars),
		cmocka_unit_test(test_archive),
		cmocka_unit_test(test_read_only),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, arc_set_up, arc_tear_down);
}
