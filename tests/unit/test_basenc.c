// SPDX-License-Identifier: GPL-2.0-or-later
/* Bytes as characters in names and links: base32hex and base64url. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "basenc.h"

/* RFC 4648, 10, with base32hex in lower case and without padding */
static const struct {
	const char *bytes, *base32, *base64;
} rfc4648[] = {
	{ "", "", "" },
	{ "f", "co", "Zg" },
	{ "fo", "cpng", "Zm8" },
	{ "foo", "cpnmu", "Zm9v" },
	{ "foob", "cpnmuog", "Zm9vYg" },
	{ "fooba", "cpnmuoj1", "Zm9vYmE" },
	{ "foobar", "cpnmuoj1e8", "Zm9vYmFy" },
};

static void encodings_follow_rfc4648(void **state)
{
	char text[32], bytes[8];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rfc4648) / sizeof(rfc4648[0]); i++) {
		const char *b = rfc4648[i].bytes;
		size_t len = strlen(b);

		base32hex_encode(b, len, text);
		assert_string_equal(text, rfc4648[i].base32);
		assert_int_equal(strlen(text), BASE32_LEN(len));
		assert_int_equal(base32hex_decode(text, strlen(text), bytes, 8),
				 len);
		assert_memory_equal(bytes, b, len);
		base64url_encode(b, len, text);
		assert_string_equal(text, rfc4648[i].base64);
		assert_int_equal(strlen(text), BASE64_LEN(len));
		assert_int_equal(base64url_decode(text, strlen(text), bytes, 8),
				 len);
		assert_memory_equal(bytes, b, len);
	}
	base64url_encode("\xfb\xff", 2, text);
	assert_string_equal(text, "-_8");
}

/* Two texts for the same bytes would be two entries for the same file. */
static void encodings_have_one_text_for_each_value(void **state)
{
	static const char *const bad32[] = {
		"cp", "cpn", "c", "cpnmuoj", "CO", "w0", "c.", "co======",
		"c o", "cpnmuoj1e9",
	};
	static const char *const bad64[] = {
		"Zh", "Zm9", "Z", "Zm9vY", "Zg==", "Z+", "Z/", "Zm9v\n",
	};
	char bytes[16];
	size_t i;

	(void)state;
	assert_int_equal(base32hex_decode("cpnmu", 5, bytes, 2), -1);
	assert_int_equal(base64url_decode("Zm9v", 4, bytes, 2), -1);
	for (i = 0; i < sizeof(bad32) / sizeof(bad32[0]); i++)
		assert_int_equal(base32hex_decode(bad32[i], strlen(bad32[i]),
						  bytes, sizeof(bytes)), -1);
	for (i = 0; i < sizeof(bad64) / sizeof(bad64[0]); i++)
		assert_int_equal(base64url_decode(bad64[i], strlen(bad64[i]),
						  bytes, sizeof(bytes)), -1);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(encodings_follow_rfc4648),
		cmocka_unit_test(encodings_have_one_text_for_each_value),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
