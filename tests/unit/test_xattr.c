// SPDX-License-Identifier: GPL-2.0-or-later
/* Extended attributes: their names and their values. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "names.h"
#include "names_env.h"
#include "rng.h"

static struct chaosimg_archive *archive, *other;

static int set_up(void **state)
{
	(void)state;
	return names_env_open(&archive, &other, NULL);
}

static int tear_down(void **state)
{
	(void)state;
	return names_env_close(archive, other, -1);
}

static void xattr_names_come_back(void **state)
{
	char name[129], stored[CHAOSIMG_NAME_MAX + 1];
	char again[CHAOSIMG_NAME_MAX + 1], back[CHAOSIMG_NAME_MAX + 1];
	uint64_t seed = 5;
	size_t len;

	(void)state;
	for (len = 1; len <= 127; len++) {
		names_random(&seed, len, name);
		assert_int_equal(chaosimg_xattr_name_encrypt(archive, name,
							     stored), 0);
		assert_int_equal(chaosimg_xattr_name_encrypt(archive, name,
							     again), 0);
		assert_string_equal(stored, again);
		assert_memory_equal(stored, "user.chaosimg.", 14);
		assert_int_equal(chaosimg_xattr_name_decrypt(archive, stored,
							     back), 0);
		assert_string_equal(back, name);
	}
	names_random(&seed, 128, name);
	assert_int_equal(chaosimg_xattr_name_encrypt(archive, name, stored),
			 -ENAMETOOLONG);
	assert_int_equal(chaosimg_xattr_name_encrypt(archive, "", stored),
			 -EINVAL);
}

static void bad_xattr_names_are_refused(void **state)
{
	char stored[CHAOSIMG_NAME_MAX + 1], back[CHAOSIMG_NAME_MAX + 1];
	static const uint8_t none[CHAOSIMG_ID_SIZE];
	struct chaosimg_stored_name n;
	size_t i;
	int bit;

	(void)state;
	assert_int_equal(chaosimg_xattr_name_decrypt(archive, "user.mime_type",
						     back), -ENOENT);
	assert_int_equal(chaosimg_xattr_name_decrypt(archive, "user.chaosimg.",
						     back), -EIO);
	assert_int_equal(chaosimg_xattr_name_encrypt(archive, "user.patient",
						     stored), 0);
	assert_int_equal(chaosimg_xattr_name_decrypt(other, stored, back),
			 -EIO);
	for (i = 14; stored[i]; i++) {
		for (bit = 0; bit < 8; bit++) {
			stored[i] ^= (char)(1 << bit);
			assert_int_equal(chaosimg_xattr_name_decrypt(archive,
					 stored, back), -EIO);
			stored[i] ^= (char)(1 << bit);
		}
	}
	/* A file's name is no attribute's name, whatever its directory. */
	assert_int_equal(chaosimg_name_encrypt(archive, none, "user.patient",
					       &n), 0);
	snprintf(stored + 14, sizeof(stored) - 14, "%.200s", n.name);
	assert_int_equal(chaosimg_xattr_name_decrypt(archive, stored, back),
			 -EIO);
}

static void xattr_values_come_back(void **state)
{
	static const size_t lengths[] = { 0, 1, 15, 16, 17, 255, 4096, 65536 };
	static uint8_t value[65536], back[65536];
	static uint8_t one[65536 + CHAOSIMG_XATTR_OVERHEAD], two[sizeof(one)];
	uint64_t seed = 6;
	size_t i, len;

	(void)state;
	for (i = 0; i < sizeof(value); i++)
		value[i] = (uint8_t)rng_next(&seed);
	for (i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		len = lengths[i];
		assert_int_equal(chaosimg_xattr_value_encrypt(archive, "user.a",
				 value, len, one), 0);
		assert_int_equal(chaosimg_xattr_value_encrypt(archive, "user.a",
				 value, len, two), 0);
		len += CHAOSIMG_XATTR_OVERHEAD;
		assert_memory_not_equal(one, two, len);
		memset(back, 0, sizeof(back));
		assert_int_equal(chaosimg_xattr_value_decrypt(archive, "user.a",
				 one, len, back), 0);
		assert_memory_equal(back, value, lengths[i]);
		assert_int_equal(chaosimg_xattr_value_decrypt(archive, "user.b",
				 one, len, back), -EIO);
		assert_int_equal(chaosimg_xattr_value_decrypt(other, "user.a",
				 one, len, back), -EIO);
	}
}

static void changed_xattr_values_are_refused(void **state)
{
	uint8_t stored[20 + CHAOSIMG_XATTR_OVERHEAD], back[64];
	size_t i;

	(void)state;
	assert_int_equal(chaosimg_xattr_value_encrypt(archive, "user.a",
			 "twenty bytes of text", 20, stored), 0);
	for (i = 0; i < sizeof(stored) * 8; i++) {
		stored[i / 8] ^= (uint8_t)(1 << i % 8);
		assert_int_equal(chaosimg_xattr_value_decrypt(archive, "user.a",
				 stored, sizeof(stored), back), -EIO);
		stored[i / 8] ^= (uint8_t)(1 << i % 8);
	}
	for (i = 0; i < sizeof(stored); i++)
		assert_int_equal(chaosimg_xattr_value_decrypt(archive, "user.a",
				 stored, i, back), -EIO);
}

/* The inner layer must catch what the outer one lets through. */
static void zeros_must_come_back(void **state)
{
	static const char aad[] = "chaosimg xval v1user.a";
	uint8_t stored[20 + CHAOSIMG_XATTR_OVERHEAD], back[20];
	struct name_value *v = &archive->names->xattr_value;
	uint8_t *ct = stored + 12, *tag = stored + sizeof(stored) - 16;
	size_t i;

	(void)state;
	for (i = 0; i < 36; i++) {
		assert_int_equal(chaosimg_xattr_value_encrypt(archive, "user.a",
				 "twenty bytes of text", 20, stored), 0);
		assert_int_equal(gcm_decrypt(&v->outer, stored, aad,
				 sizeof(aad) - 1, ct, 36, tag), 0);
		ct[i] ^= 0x80;
		assert_int_equal(gcm_encrypt(&v->outer, stored, aad,
				 sizeof(aad) - 1, ct, 36, tag), 0);
		memset(back, 0xaa, sizeof(back));
		assert_int_equal(chaosimg_xattr_value_decrypt(archive, "user.a",
				 stored, sizeof(stored), back), -EIO);
		assert_true(!back[0] && !memcmp(back, back + 1, 19));
	}
}

/* Made by a second implementation, in Python, from the documentation alone. */
static void values_are_as_documented(void **state)
{
	static const uint8_t value[] = {
		0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09,
		0x0a, 0x0b, 0x80, 0x3a, 0x65, 0x48, 0x01, 0x69, 0xb1, 0x96,
		0xf2, 0x61, 0x07, 0x7d, 0xe7, 0xa6, 0x5d, 0x20, 0x9a, 0x27,
		0x1b, 0x8b, 0x95, 0xb7, 0xe1, 0x71, 0x7b, 0x89, 0xe5, 0x57,
		0x56, 0xef, 0x36, 0x13, 0x4c, 0x9f, 0xc2, 0x59, 0x13, 0x18,
		0x88, 0x81,
	};
	static const uint8_t empty[] = {
		0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09,
		0x0a, 0x0b, 0x46, 0xdf, 0x1b, 0xbe, 0xac, 0xe7, 0x44, 0x14,
		0xec, 0x6b, 0xb1, 0xc3, 0x23, 0x11, 0x49, 0xf9, 0xdd, 0x24,
		0x5e, 0x83, 0xd7, 0xab, 0xcb, 0x41, 0xe3, 0x08, 0x11, 0x15,
		0x79, 0x0f, 0x77, 0x6a,
	};
	char back[128];

	(void)state;
	assert_int_equal(chaosimg_xattr_value_decrypt(archive, "user.patient",
			 value, sizeof(value), back), 0);
	assert_memory_equal(back, "DOE^JANE", 8);
	assert_int_equal(chaosimg_xattr_value_decrypt(archive, "user.patient",
			 empty, sizeof(empty), back), 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(xattr_names_come_back),
		cmocka_unit_test(bad_xattr_names_are_refused),
		cmocka_unit_test(xattr_values_come_back),
		cmocka_unit_test(changed_xattr_values_are_refused),
		cmocka_unit_test(zeros_must_come_back),
		cmocka_unit_test(values_are_as_documented),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
