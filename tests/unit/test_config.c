// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Keys from keys, memory for secrets, and the configuration's text: only
 * what was written, in full and unaltered, is read again.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "config.h"
#include "config_file.h"
#include "hex.h"
#include "keyring.h"

/* --- HKDF ----------------------------------------------------------------- */

/* RFC 5869, appendix A.1 to A.3: the expand step */
static const struct {
	const char *prk;
	const char *info;
	const char *okm;
} hkdf_cases[] = {
	{ "077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5",
	  "f0f1f2f3f4f5f6f7f8f9",
	  "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf"
	  "34007208d5b887185865" },
	{ "06a6b88c5853361a06104c9ceb35b45cef760014904671014a193f40c15fc244",
	  "b0b1b2b3b4b5b6b7b8b9babbbcbdbebfc0c1c2c3c4c5c6c7c8c9cacbcccdcecf"
	  "d0d1d2d3d4d5d6d7d8d9dadbdcdddedfe0e1e2e3e4e5e6e7e8e9eaebecedeeef"
	  "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff",
	  "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c"
	  "59045a99cac7827271cb41c65e590e09da3275600c2f09b8367793a9aca3db71"
	  "cc30c58179ec3e87c14c01d5c1f3434f1d87" },
	{ "19ef24a32c717b167f33a91d6f648bdf96596776afdb6377ac434c1c293ccb04",
	  "",
	  "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d"
	  "9d201395faa4b61a96c8" },
};

static void hkdf_matches_rfc5869(void **state)
{
	uint8_t prk[32], info[80], want[82], got[82];
	size_t i, info_len, len;

	(void)state;
	for (i = 0; i < sizeof(hkdf_cases) / sizeof(hkdf_cases[0]); i++) {
		info_len = strlen(hkdf_cases[i].info) / 2;
		len = strlen(hkdf_cases[i].okm) / 2;
		assert_true(hex_decode(hkdf_cases[i].prk, prk, 32));
		assert_true(hex_decode(hkdf_cases[i].info, info, info_len));
		assert_true(hex_decode(hkdf_cases[i].okm, want, len));
		assert_int_equal(hkdf_expand(prk, info, info_len, got, len), 0);
		assert_memory_equal(got, want, len);
	}
}

static void hex_takes_only_lower_case_digits(void **state)
{
	char text[3] = "", again[3];
	uint8_t byte;
	int a, b;

	(void)state;
	for (a = -128; a < 128; a++) {
		for (b = -128; b < 128; b++) {
			bool digits = a && b && strchr("0123456789abcdef", a) &&
				      strchr("0123456789abcdef", b);

			text[0] = (char)a;
			text[1] = (char)b;
			assert_int_equal(hex_decode(text, &byte, 1), digits);
			if (!digits)
				continue;
			hex_encode(&byte, 1, again);
			assert_string_equal(again, text);
		}
	}
}

/* --- memory for secrets --------------------------------------------------- */

/* Has the mapping around @p these flags in /proc/self/smaps? */
static bool mapping_has(const void *p, const char *flag)
{
	FILE *f = fopen("/proc/self/smaps", "r");
	unsigned long from, to;
	bool inside = false, found = false;
	char line[512];

	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
			inside = from <= (unsigned long)p &&
				 (unsigned long)p < to;
		else if (inside && !strncmp(line, "VmFlags:", 8))
			found = strstr(line, flag);
	}
	if (f)
		fclose(f);
	return found;
}

static void secrets_are_locked_and_not_dumped(void **state)
{
	uint8_t *p = secret_alloc(100);
	size_t i;

	(void)state;
	assert_non_null(p);
	for (i = 0; i < 100; i++)
		assert_int_equal(p[i], 0);
	assert_true(mapping_has(p, " lo"));
	assert_true(mapping_has(p, " dd"));
	secret_free(p);
	secret_free(NULL);
}

static void secrets_stay_locked_in_a_daemon(void **state)
{
	uint8_t *p = secret_alloc(32);
	int status;
	pid_t pid;

	(void)state;
	assert_non_null(p);
	pid = fork();
	if (!pid)
		_exit(mapping_has(p, " lo") && mapping_has(p, " dd") ? 0 : 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	secret_free(p);
}

static void secrets_never_come_from_ordinary_memory(void **state)
{
	void *p[512];
	size_t n = 0;

	(void)state;
	while (n < 512 && (p[n] = secret_alloc(1 << 20)))
		assert_true(mapping_has(p[n++], " lo"));
	assert_true(n < 512);
	assert_non_null(strstr(chaosimg_errmsg(), "locked memory"));
	while (n)
		secret_free(p[--n]);
}

/* --- a keyring and a configuration to play with --------------------------- */

static const uint8_t archive_key[CHAOSIMG_KEY_SIZE] = { 1, 2, 3 };

/* Filled in by hand, as Argon2id is slow; one slot of each type. */
static struct config *sample(enum config_kind kind)
{
	struct config *cfg;

	assert_int_equal(config_new(kind, 0, &cfg), 0);
	cfg->slots = kind == CONFIG_IMAGE ? 1 : 2;
	cfg->next_slot = 7;
	cfg->slot[0] = (struct slot){
		.id = 2, .type = CHAOSIMG_SLOT_PASSPHRASE,
		.created = 1700000000, .time = 3, .memory = 65536, .lanes = 4, .salt_len = 32,
	};
	cfg->slot[1] = (struct slot){
		.id = 5, .type = CHAOSIMG_SLOT_KEYFILE, .created = 1700000001,
	};
	cfg->keysets = kind == CONFIG_IMAGE ? 1 : 3;
	cfg->keyset_created = 1700000002;
	random_bytes(cfg->keyset, 3 * CHAOSIMG_ID_SIZE);
	random_bytes(cfg->slot[0].salt, 32);
	random_bytes(cfg->slot[0].wrapped, sizeof(cfg->slot[0].wrapped));
	if (kind == CONFIG_IMAGE) {
		memset(cfg->keyset[1], 0, 2 * CHAOSIMG_ID_SIZE);
		memset(&cfg->slot[1], 0, sizeof(cfg->slot[1]));
		random_bytes(cfg->keyset_wrapped, KEYSET_WRAPPED);
	} else {
		cfg->keyset_created = 0;
	}
	return cfg;
}

static char *sample_text(enum config_kind kind, size_t *len)
{
	struct config *cfg = sample(kind);
	struct keyring *ring;
	char *text;

	assert_int_equal(keyring_new(archive_key, &ring), 0);
	assert_int_equal(config_render(cfg, ring, &text, len), 0);
	keyring_free(ring);
	free(cfg);
	return text;
}

static int parse(const char *text, size_t len, enum config_kind kind)
{
	struct config *cfg = NULL;
	int ret = config_parse(text, len, "here", kind, &cfg);

	free(cfg);
	return ret;
}

static void config_comes_back(void **state)
{
	enum config_kind kind;
	struct keyring *ring;
	size_t len, i;

	(void)state;
	assert_int_equal(keyring_new(archive_key, &ring), 0);
	for (kind = CONFIG_ARCHIVE; kind <= CONFIG_IMAGE; kind++) {
		struct config *cfg = sample(kind), *got;
		char *text;

		assert_int_equal(config_render(cfg, ring, &text, &len), 0);
		assert_int_equal(config_parse(text, len, "here", kind, &got),
				 0);
		assert_int_equal(got->slots, cfg->slots);
		/* Members one by one: padding may differ. */
		for (i = 0; i < cfg->slots; i++) {
			assert_int_equal(got->slot[i].id, cfg->slot[i].id);
			assert_memory_equal(got->slot[i].salt,
					    cfg->slot[i].salt, SALT_MAX);
			assert_memory_equal(got->slot[i].wrapped,
					    cfg->slot[i].wrapped,
					    sizeof(cfg->slot[i].wrapped));
		}
		assert_int_equal(got->created, cfg->created);
		assert_int_equal(got->next_slot, cfg->next_slot);
		assert_int_equal(got->keyset_created, cfg->keyset_created);
		assert_memory_equal(got->keyset, cfg->keyset,
				    sizeof(cfg->keyset));
		assert_memory_equal(got->keyset_wrapped, cfg->keyset_wrapped,
				    KEYSET_WRAPPED);
		assert_int_equal(config_verify(got, ring, "here"), 0);
		free(text);
		free(got);
		free(cfg);
	}
	keyring_free(ring);
}

static void every_flipped_bit_is_refused(void **state)
{
	enum config_kind kind;

	(void)state;
	for (kind = CONFIG_ARCHIVE; kind <= CONFIG_IMAGE; kind++) {
		size_t len, i;
		char *text = sample_text(kind, &len);

		assert_int_equal(parse(text, len, kind), 0);
		for (i = 0; i < 8 * len; i++) {
			text[i / 8] ^= (char)(1 << i % 8);
			assert_true(parse(text, len, kind) < 0);
			text[i / 8] ^= (char)(1 << i % 8);
		}
		assert_int_equal(parse(text, len, kind), 0);
		free(text);
	}
}

static void every_other_length_is_refused(void **state)
{
	size_t len, i;
	char *text = sample_text(CONFIG_ARCHIVE, &len);
	char *longer = malloc(len + 2);

	(void)state;
	for (i = 0; i < len; i++)
		assert_int_equal(parse(text, i, CONFIG_ARCHIVE), -EBADMSG);
	memcpy(longer, text, len);
	for (i = 0; i < 256; i++) {
		longer[len] = (char)i;
		assert_int_equal(parse(longer, len + 1, CONFIG_ARCHIVE),
				 -EBADMSG);
	}
	free(longer);
	free(text);
}

/*
 * Replace the first @from by @to and put the checksum right, as somebody
 * would who wants to get a bad text past it.
 */
static char *forge(const char *text, size_t len, const char *from,
		   const char *to, size_t *out_len)
{
	static const char sum[] = "  \"checksum\"";
	const char *at = memmem(text, len, from, strlen(from));
	char *out = malloc(len + strlen(to) + 1);
	char *end;

	assert_non_null(at);
	sprintf(out, "%.*s%s%s", (int)(at - text), text, to,
		at + strlen(from));
	end = strstr(out, sum);
	assert_non_null(end);
	*out_len = (size_t)(end - out);
	assert_int_equal(config_checksum_append(&out, out_len), 0);
	return out;
}

static void forged_texts_are_refused(void **state)
{
	static const struct {
		const char *from;
		const char *to;
	} forgery[] = {
		{ "\"version\": 1", "\"version\": 0" },
		{ "\"version\": 1", "\"version\": \"1\"" },
		{ "\"version\": 1", "\"version\": 1.0" },
		{ "\"version\": 1,", "\"version\": 1, \"extra\": 1," },
		{ "\"version\": 1", "\"version\":  1" },
		{ "\"version\": 1", "\"version\": -1" },
		{ "\"chunk_size\": 8192", "\"chunk_size\": 8193" },
		{ "\"chunk_size\": 8192", "\"chunk_size\": 2048" },
		{ "\"chunk_size\": 8192", "\"chunk_size\": 4294967296" },
		{ "\"chunk_size\": 8192,\n", "" },
		{ "\"chunk_size\"", "\"chunk_sizes\"" },
		{ "\"created\": ", "\"created\": 9999999999" },
		{ "\"created\": ", "\"created\": -" },
		{ "\"next_slot\": 7", "\"next_slot\": 5" },
		{ "\"next_slot\": 7", "\"next_slot\": 4294967296" },
		{ "\"id\": 2", "\"id\": 5" },
		{ "\"id\": 2", "\"id\": 6" },
		{ "\"id\": 2", "\"id\": 2.5" },
		{ "\"keyfile\"", "\"keyfob\"" },
		{ "\"keyfile\"", "\"passphrase\"" },
		{ "\"passphrase\"", "\"keyfile\"" },
		{ "\"argon2id\"", "\"argon2i\"" },
		{ "\"time\": 3", "\"time\": 0" },
		{ "\"time\": 3", "\"time\": 65" },
		{ "\"memory\": 65536", "\"memory\": 31" },
		{ "\"memory\": 65536", "\"memory\": 4194305" },
		{ "\"lanes\": 4", "\"lanes\": 0" },
		{ "\"lanes\": 4", "\"lanes\": 65" },
		{ "\"salt\": \"", "\"salt\": \"0" },
		{ "\"salt\": \"", "\"salt\": \"\", \"salz\": \"" },
		{ "\"wrapped\": \"", "\"wrapped\": \"00" },
		{ "\"wrapped\": \"", "\"wrapped\": \"\\u0030" },
		{ "\"slots\": [", "\"slots\": [\n    1," },
		{ "\"keysets\": [", "\"keysets\": [\n    1," },
		{ "\"keysets\": [", "\"keysets\": [],\n  \"k\": [" },
		{ "\"keysets\": [", "\"keysets\": [\n    \"00\"," },
		{ "\"mac\": \"", "\"mac\": \"00" },
		{ "\"mac\"", "\"mac\": 1,\n  \"mac\"" },
		{ "{\n", "{\n\n" },
		{ "{\n", "[{\n" },
	};
	size_t len, forged_len, i;
	char *text = sample_text(CONFIG_ARCHIVE, &len);

	(void)state;
	for (i = 0; i < sizeof(forgery) / sizeof(forgery[0]); i++) {
		char *forged = forge(text, len, forgery[i].from, forgery[i].to,
				     &forged_len);
		int ret = parse(forged, forged_len, CONFIG_ARCHIVE);

		if (ret != -EBADMSG)
			print_error("taken: %s -> %s\n", forgery[i].from,
				    forgery[i].to);
		assert_int_equal(ret, -EBADMSG);
		assert_non_null(strstr(chaosimg_errmsg(), "here: "));
		free(forged);
	}
	/* The forging itself does no harm. */
	{
		char *same = forge(text, len, "{", "{", &forged_len);

		assert_int_equal(parse(same, forged_len, CONFIG_ARCHIVE), 0);
		free(same);
	}
	free(text);
}

static void alterations_without_the_key_are_found(void **state)
{
	static const struct {
		const char *from;
		const char *to;
	} forgery[] = {
		{ "\"chunk_size\": 8192", "\"chunk_size\": 4096" },
		{ "\"next_slot\": 7", "\"next_slot\": 6" },
		{ "\"time\": 3", "\"time\": 1" },
		{ "\"memory\": 65536", "\"memory\": 64" },
		{ "\"created\": 1700000001", "\"created\": 1700000000" },
	};
	size_t len, forged_len, i;
	char *text = sample_text(CONFIG_ARCHIVE, &len);
	struct keyring *ring;

	(void)state;
	assert_int_equal(keyring_new(archive_key, &ring), 0);
	for (i = 0; i < sizeof(forgery) / sizeof(forgery[0]); i++) {
		char *forged = forge(text, len, forgery[i].from, forgery[i].to,
				     &forged_len);
		struct config *cfg;

		assert_int_equal(config_parse(forged, forged_len, "here",
					      CONFIG_ARCHIVE, &cfg), 0);
		assert_int_equal(config_verify(cfg, ring, "here"), -EBADMSG);
		free(cfg);
		free(forged);
	}
	keyring_free(ring);
	free(text);
}

static void newer_and_foreign_are_told_apart(void **state)
{
	static const char *const foreign[] = {
		"", "{}", "[]", "1", "null", "{\"format\": 1}",
		"{\"format\": \"zip\", \"version\": 9}", "\x7f" "ELF",
		"{\"a\":",
	};
	size_t len, newer_len, i;
	char *text = sample_text(CONFIG_ARCHIVE, &len);
	char *newer = forge(text, len, "\"version\": 1", "\"version\": 2",
			    &newer_len);

	(void)state;
	assert_int_equal(parse(newer, newer_len, CONFIG_ARCHIVE),
			 -EPROTONOSUPPORT);
	assert_non_null(strstr(chaosimg_errmsg(), "version 2 is newer"));
	/* Even one that has nothing else in common. */
	free(newer);
	newer = strdup("{\"format\": \"chaosimg-archive\", \"version\": 31}");
	assert_int_equal(parse(newer, strlen(newer), CONFIG_ARCHIVE),
			 -EPROTONOSUPPORT);
	for (i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++) {
		assert_int_equal(parse(foreign[i], strlen(foreign[i]),
				       CONFIG_ARCHIVE), -EBADMSG);
		assert_non_null(strstr(chaosimg_errmsg(),
				       "not a chaosimg archive"));
	}
	/* An image's text is no archive's, and the other way round. */
	assert_int_equal(parse(text, len, CONFIG_IMAGE), -EBADMSG);
	free(newer);
	free(text);
}

static void deep_json_is_refused(void **state)
{
	char deep[4096];

	(void)state;
	memset(deep, '[', sizeof(deep));
	assert_int_equal(parse(deep, sizeof(deep), CONFIG_ARCHIVE), -EBADMSG);
}

/* --- keysets -------------------------------------------------------------- */

static void keysets_are_bound_to_their_place(void **state)
{
	const uint8_t id[CHAOSIMG_ID_SIZE] = { 1 };
	const uint8_t other[CHAOSIMG_ID_SIZE] = { 2 };
	uint8_t wrapped[KEYSET_WRAPPED];
	struct keyring *ring;
	struct keyset *ks;
	size_t i;

	(void)state;
	assert_int_equal(keyring_new(archive_key, &ring), 0);
	assert_null(keyring_newest(ring));
	assert_int_equal(keyset_new(&ks), 0);
	assert_int_equal(keyset_wrap(ring, id, ks, wrapped), 0);
	assert_int_equal(keyset_unwrap(ring, other, ks->id, ks->created,
				       wrapped, "here"), -EBADMSG);
	assert_int_equal(keyset_unwrap(ring, id, other, ks->created, wrapped,
				       "here"), -EBADMSG);
	assert_int_equal(keyset_unwrap(ring, id, ks->id, ks->created + 1,
				       wrapped, "here"), -EBADMSG);
	for (i = 0; i < 8 * KEYSET_WRAPPED; i++) {
		wrapped[i / 8] ^= (uint8_t)(1 << i % 8);
		assert_int_equal(keyset_unwrap(ring, id, ks->id, ks->created,
					       wrapped, "here"), -EBADMSG);
		wrapped[i / 8] ^= (uint8_t)(1 << i % 8);
	}
	assert_null(keyring_newest(ring));
	assert_int_equal(keyset_unwrap(ring, id, ks->id, ks->created, wrapped,
				       "here"), 0);
	assert_memory_equal(keyring_newest(ring)->key, ks->key,
			    sizeof(ks->key));
	secret_free(ks);
	keyring_free(ring);
}

static void newest_keyset_serves_and_old_ones_stay(void **state)
{
	struct keyset *ks[3];
	struct keyring *ring;
	int i;

	(void)state;
	assert_int_equal(keyring_new(archive_key, &ring), 0);
	for (i = 0; i < 3; i++) {
		assert_int_equal(keyset_new(&ks[i]), 0);
		assert_null(keyring_find(ring, ks[i]->id));
		assert_int_equal(keyring_add(ring, ks[i]), 0);
		assert_memory_equal(keyring_newest(ring)->id, ks[i]->id,
				    CHAOSIMG_ID_SIZE);
	}
	for (i = 0; i < 3; i++) {
		assert_memory_equal(keyring_find(ring, ks[i]->id)->key,
				    ks[i]->key, sizeof(ks[i]->key));
		secret_free(ks[i]);
	}
	keyring_free(ring);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hkdf_matches_rfc5869),
		cmocka_unit_test(hex_takes_only_lower_case_digits),
		cmocka_unit_test(secrets_are_locked_and_not_dumped),
		cmocka_unit_test(secrets_stay_locked_in_a_daemon),
		cmocka_unit_test(secrets_never_come_from_ordinary_memory),
		cmocka_unit_test(config_comes_back),
		cmocka_unit_test(every_flipped_bit_is_refused),
		cmocka_unit_test(every_other_length_is_refused),
		cmocka_unit_test(forged_texts_are_refused),
		cmocka_unit_test(alterations_without_the_key_are_found),
		cmocka_unit_test(newer_and_foreign_are_told_apart),
		cmocka_unit_test(deep_json_is_refused),
		cmocka_unit_test(keysets_are_bound_to_their_place),
		cmocka_unit_test(newest_keyset_serves_and_old_ones_stay),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
