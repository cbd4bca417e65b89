// SPDX-License-Identifier: GPL-2.0-or-later
/* The text of an escrow, its typing errors, and configurations rebuilt. */
#include <ctype.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "archive.h"
#include "archive_env.h"
#include "escrow.h"
#include "rng.h"

static struct escrow sample(uint64_t seed)
{
	struct escrow e = { .chunk_size = CHAOSIMG_CHUNK_MIN << seed % 9 };
	size_t i;

	for (i = 0; i < sizeof(e.key); i++)
		e.key[i] = (uint8_t)rng_next(&seed);
	for (i = 0; i < sizeof(e.archive_id); i++)
		e.archive_id[i] = (uint8_t)rng_next(&seed);
	return e;
}

static bool same(const struct escrow *a, const struct escrow *b)
{
	return !memcmp(a->key, b->key, sizeof(a->key)) &&
	       !memcmp(a->archive_id, b->archive_id, sizeof(a->archive_id)) &&
	       a->chunk_size == b->chunk_size;
}

static void what_is_printed_can_be_read(void **state)
{
	char text[CHAOSIMG_ESCROW_SIZE];
	struct escrow e, back;
	uint64_t seed;
	char *p;

	(void)state;
	for (seed = 1; seed < 200; seed++) {
		e = sample(seed);
		assert_int_equal(escrow_format(&e, text), 0);
		assert_true(strlen(text) < sizeof(text));
		memset(&back, 0, sizeof(back));
		assert_int_equal(escrow_parse(text, strlen(text), &back), 0);
		assert_true(same(&e, &back));
		/* As people type: capitals, dashes, no comments, no newline. */
		p = strstr(text, "\n1 ");
		for (; *p; p++)
			*p = *p == ' ' && p[-1] != '\n' && !isdigit(p[-1]) ?
			     '-' : (char)toupper(*p);
		p = strstr(text, "chaosimg-escrow");
		assert_int_equal(escrow_parse(p, strlen(p) - 1, &back), 0);
		assert_true(same(&e, &back));
	}
}

/* An error is found, or it makes no difference. */
static void assert_found(const char *text, size_t len, const struct escrow *e)
{
	struct escrow back = { 0 };

	if (!escrow_parse(text, len, &back) && !same(e, &back))
		fail_msg("not found: %s", text);
}

static void every_single_wrong_character_is_found(void **state)
{
	char text[CHAOSIMG_ESCROW_SIZE], good[sizeof(text)];
	struct escrow e = sample(1), back;
	size_t len, i, refused = 0, tried = 0;
	char *data;
	int c;

	(void)state;
	assert_int_equal(escrow_format(&e, good), 0);
	len = strlen(good);
	data = strstr(good, "\n1 ") + 1;
	for (i = 0; i < len; i++) {
		for (c = ' '; c < 127; c++) {
			bool counts;

			strcpy(text, good);
			text[i] = (char)c;
			assert_found(text, len, &e);
			/* In the lines with the key only case is the same. */
			counts = good + i >= data && isalnum(good[i]) &&
				 tolower(c) != good[i];
			tried += counts;
			refused += counts && escrow_parse(text, len, &back);
		}
	}
	assert_int_equal(refused, tried);
	assert_true(tried > 6 * 22 * 90);
}

static void the_wrong_line_is_named(void **state)
{
	char text[CHAOSIMG_ESCROW_SIZE], want[64], *line;
	struct escrow e = sample(2), back;
	int n;

	(void)state;
	for (n = 1; n <= 6; n++) {
		assert_int_equal(escrow_format(&e, text), 0);
		snprintf(want, sizeof(want), "\n%d ", n);
		line = strstr(text, want) + 1;
		line[8] = line[8] == 'q' ? 'p' : 'q';
		assert_int_equal(escrow_parse(text, strlen(text), &back),
				 -EBADMSG);
		snprintf(want, sizeof(want), "error in line %d", n);
		assert_non_null(strstr(chaosimg_errmsg(), want));
		line[8] = ' ';
		assert_int_equal(escrow_parse(text, strlen(text), &back),
				 -EBADMSG);
		snprintf(want, sizeof(want), "line %d has 21 characters", n);
		assert_non_null(strstr(chaosimg_errmsg(), want));
		/* So far it is right. */
		*line = '\0';
		assert_int_equal(escrow_parse(text, strlen(text), &back),
				 -EAGAIN);
		snprintf(want, sizeof(want), "line %d is missing", n);
		assert_non_null(strstr(chaosimg_errmsg(), want));
	}
	assert_int_equal(escrow_parse("", 0, &back), -EAGAIN);
	assert_int_equal(escrow_parse("chaosimg-escrow 2", 17, &back),
			 -EPROTONOSUPPORT);
	assert_int_equal(escrow_parse("chaosimg-key-v1 12", 18, &back),
			 -EBADMSG);
}

/* Characters and lines that changed places, and lines of two escrows. */
static void what_is_mixed_up_is_found(void **state)
{
	char text[CHAOSIMG_ESCROW_SIZE], good[sizeof(text)], *a, *b;
	struct escrow e = sample(3), other = sample(4);
	size_t len, i;
	int n;

	(void)state;
	assert_int_equal(escrow_format(&e, good), 0);
	len = strlen(good);
	for (i = 1; i < len; i++) {
		strcpy(text, good);
		text[i] = good[i - 1];
		text[i - 1] = good[i];
		assert_found(text, len, &e);
		strcpy(text + i, good + i + 1);
		assert_found(text, len - 1, &e);
	}
	for (n = 1; n <= 6; n++) {
		char start[8];

		assert_int_equal(escrow_format(&other, text), 0);
		snprintf(start, sizeof(start), "\n%d ", n);
		a = strstr(text, start);
		b = strstr(good, start);
		memcpy(a, b, strcspn(b + 1, "\n") + 1);
		assert_int_equal(escrow_parse(text, strlen(text), &other),
				 -EBADMSG);
		assert_non_null(strstr(chaosimg_errmsg(), "belong together"));
		other = sample(4);
	}
	strcpy(text, good);
	strcat(text, "7  qqqq\n");
	assert_int_equal(escrow_parse(text, strlen(text), &other), -EBADMSG);
}

static void noise_is_refused(void **state)
{
	static const char some[] = "chaosimg-escrow 1\n2#3qpzry archive\t\r-";
	struct escrow e;
	uint64_t seed = 5;
	char text[600];
	int i, k;

	(void)state;
	for (i = 0; i < 20000; i++) {
		size_t len = rng_next(&seed) % sizeof(text);

		for (k = 0; k < (int)len; k++)
			text[k] = i & 1 ? (char)rng_next(&seed) :
				  some[rng_next(&seed) % (sizeof(some) - 1)];
		if (i & 2 && len > 18)
			memcpy(text, "chaosimg-escrow 1\n", 18);
		assert_int_not_equal(escrow_parse(text, len, &e), 0);
	}
}

/* --- restoring ------------------------------------------------------------ */

static int restore(const char *path, const char *text, bool replace,
		   struct chaosimg_restored *out)
{
	return chaosimg_escrow_restore(path, text, strlen(text), arc_other_key,
				       replace, out);
}

static char *escrow_of(const char *path)
{
	static char text[CHAOSIMG_ESCROW_SIZE];
	struct chaosimg_archive *a =
		arc_must_open(path, CHAOSIMG_ARCHIVE_RDONLY);

	assert_int_equal(chaosimg_escrow(a, text), 0);
	chaosimg_archive_close(a);
	return text;
}

static void a_lost_configuration_is_rebuilt(void **state)
{
	const struct chaosimg_archive_params params = { .chunk_size = 8192 };
	char *path = arc_in_top("lost"), *text, other[CHAOSIMG_ESCROW_SIZE];
	struct chaosimg_archive_info before, after;
	uint8_t newest[CHAOSIMG_ID_SIZE], now[CHAOSIMG_ID_SIZE];
	struct chaosimg_restored done;
	struct chaosimg_archive *a;

	(void)state;
	strcpy(other, escrow_of(arc_make("lost-other")));
	assert_int_equal(chaosimg_archive_create(path, arc_key, &params), 0);
	text = escrow_of(path);
	/* A keyset that came after the escrow was printed. */
	a = arc_must_open(path, 0);
	assert_int_equal(chaosimg_archive_rekey(a, newest), 0);
	chaosimg_archive_close(a);
	assert_int_equal(chaosimg_archive_info(path, &before), 0);
	/* Within the same second, as it may be. */
	assert_int_equal(restore(path, text, false, &done), -EEXIST);
	unlink(arc_config_file(path));
	assert_int_equal(restore(path, other, true, &done), -EKEYREJECTED);
	assert_int_equal(restore(path, "chaosimg-escrow 1\n", true, &done),
			 -EBADMSG);
	assert_int_not_equal(access(arc_config_file(path), F_OK), 0);
	assert_int_equal(restore(path, text, false, &done), 0);
	assert_int_equal(done.keysets, 2);
	assert_int_equal(done.damaged, 0);
	assert_int_equal(arc_try_open(path, arc_key, 0), -EKEYREJECTED);
	assert_int_equal(chaosimg_archive_open(path, arc_other_key, 0, &a), 0);
	chaosimg_archive_keyset(a, now);
	assert_memory_equal(now, newest, sizeof(now));
	chaosimg_archive_close(a);
	assert_int_equal(chaosimg_archive_info(path, &after), 0);
	assert_memory_equal(after.id, before.id, sizeof(after.id));
	assert_int_equal(after.chunk_size, 8192);
	assert_int_equal(after.created, before.created);
	assert_int_equal(after.slots, 1);
}

static void a_damaged_configuration_is_rebuilt(void **state)
{
	static const char *const damage[] = { "", "{}", "\n\n", "nonsense" };
	char *path = arc_make("damaged"), *text = escrow_of(path);
	struct chaosimg_restored done;
	size_t i, len;
	char *config;

	(void)state;
	config = arc_slurp(arc_config_file(path), &len);
	for (i = 0; i < 4; i++) {
		arc_spit(arc_config_file(path), damage[i], strlen(damage[i]));
		assert_int_equal(restore(path, text, false, &done), 0);
		assert_int_equal(arc_try_open(path, arc_other_key, 0), 0);
	}
	/* Altered, with a right checksum. */
	arc_spit(arc_config_file(path), config, len);
	arc_forge(arc_config_file(path), "\"next_slot\": 1",
		  "\"next_slot\": 7");
	assert_int_equal(restore(path, text, false, &done), 0);
	assert_int_equal(arc_try_open(path, arc_other_key, 0), 0);
	/* Whole, but nobody has a key any more. */
	arc_spit(arc_config_file(path), config, len);
	assert_int_equal(restore(path, text, false, &done), -EEXIST);
	assert_int_equal(restore(path, text, true, &done), 0);
	assert_int_equal(arc_try_open(path, arc_key, 0), -EKEYREJECTED);
	assert_int_equal(arc_try_open(path, arc_other_key, 0), 0);
	/* A newer program's is left alone. */
	arc_spit(arc_config_file(path), config, len);
	arc_forge(arc_config_file(path), "\"version\": 1", "\"version\": 2");
	assert_int_equal(restore(path, text, true, &done), -EPROTONOSUPPORT);
	free(config);
}

static void keysets_that_are_not_there_are_told(void **state)
{
	char *path = arc_make("half"), *text = escrow_of(path), name[600];
	char *foreign = arc_make("half-foreign"), *keyset, *file;
	struct chaosimg_restored done;
	size_t len;

	(void)state;
	/* Under a name of its own, but another archive's. */
	keyset = arc_slurp(arc_keyset_file(foreign), &len);
	file = arc_keyset_file(foreign);
	snprintf(name, sizeof(name), "%s/keysets/%s", path,
		 strrchr(file, '/') + 1);
	arc_spit(name, keyset, len);
	unlink(arc_config_file(path));
	assert_int_equal(restore(path, text, false, &done), 0);
	assert_int_equal(done.keysets, 1);
	assert_int_equal(done.damaged, 1);
	assert_int_equal(arc_try_open(path, arc_other_key, 0), 0);
	unlink(arc_config_file(path));
	unlink(name);
	unlink(arc_keyset_file(path));
	assert_int_equal(restore(path, text, false, &done), -ENOKEY);
	assert_int_not_equal(access(arc_config_file(path), F_OK), 0);
	free(keyset);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_printed_can_be_read),
		cmocka_unit_test(every_single_wrong_character_is_found),
		cmocka_unit_test(the_wrong_line_is_named),
		cmocka_unit_test(what_is_mixed_up_is_found),
		cmocka_unit_test(noise_is_refused),
		cmocka_unit_test(a_lost_configuration_is_rebuilt),
		cmocka_unit_test(a_damaged_configuration_is_rebuilt),
		cmocka_unit_test(keysets_that_are_not_there_are_told),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, arc_set_up, arc_tear_down);
}
