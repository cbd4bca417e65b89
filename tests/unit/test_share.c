// SPDX-License-Identifier: GPL-2.0-or-later
/* Shares of keysets: what each opens, and that nothing else does. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "archive_env.h"
#include "chaosimg_names.h"
#include "keyring.h"
#include "keyset.h"
#include "keyset_share.h"

enum { ALL = HELD_ALL };

static const uint8_t kek[CHAOSIMG_KEY_SIZE] = "a key to wrap shares under";

static struct opened_keyset opened(const struct keyset *ks)
{
	struct opened_keyset o = { .set.created = ks->created };

	memcpy(o.set.id, ks->id, sizeof(o.set.id));
	return o;
}

static void a_share_opens_where_it_belongs_only(void **state)
{
	char *path = arc_make("shares");
	struct chaosimg_archive *a = arc_must_open(path, 0);
	const struct keyset *ks = keyring_newest(a->ring);
	uint8_t wrapped[SHARE_WRAPPED_MAX], id[CHAOSIMG_ID_SIZE];
	int c, other;
	size_t i;

	(void)state;
	memcpy(id, a->id, sizeof(id));
	for (c = 0; c < COMPARTMENTS; c++) {
		struct opened_keyset o = opened(ks), bad;

		assert_int_equal(share_wrap(a, ks, c, kek, wrapped), 0);
		assert_int_equal(share_unwrap(id, c, kek, wrapped, "here", &o),
				 0);
		assert_int_equal(o.set.held, 1 << c);
		for (i = 0; i < KEY_COUNT; i++)
			assert_int_equal(!memcmp(o.set.key[i], ks->key[i],
						 CHAOSIMG_KEY_SIZE),
					 (int)i == c || i == KEY_STRUCTURE);
		/* Another compartment, keyset, time, archive, or key. */
		for (other = 0; other < COMPARTMENTS; other++) {
			bad = opened(ks);
			if (other != c)
				assert_int_equal(share_unwrap(id, other, kek,
					wrapped, "here", &bad), -EBADMSG);
		}
		bad = opened(ks);
		bad.set.id[3] ^= 1;
		assert_int_equal(share_unwrap(id, c, kek, wrapped, "here",
					      &bad), -EBADMSG);
		bad = opened(ks);
		bad.set.created++;
		assert_int_equal(share_unwrap(id, c, kek, wrapped, "here",
					      &bad), -EBADMSG);
		bad = opened(ks);
		id[0] ^= 1;
		assert_int_equal(share_unwrap(id, c, kek, wrapped, "here",
					      &bad), -EBADMSG);
		id[0] ^= 1;
		assert_int_equal(share_unwrap(id, c, ks->key[c], wrapped,
					      "here", &bad), -EBADMSG);
		for (i = 0; i < 8 * share_wrapped_size(c); i += 3) {
			wrapped[i / 8] ^= (uint8_t)(1 << i % 8);
			assert_int_equal(share_unwrap(id, c, kek, wrapped,
						      "here", &bad), -EBADMSG);
			wrapped[i / 8] ^= (uint8_t)(1 << i % 8);
		}
		assert_int_equal(bad.set.held, 0);
	}
	chaosimg_archive_close(a);
}

/* Shares that were made for two keysets of one id. */
static void shares_have_to_fit(void **state)
{
	char *path = arc_make("fit");
	struct chaosimg_archive *a = arc_must_open(path, 0);
	struct keyset ks = *keyring_newest(a->ring);
	struct opened_keyset o = opened(&ks);
	uint8_t wrapped[SHARE_WRAPPED_MAX];

	(void)state;
	assert_int_equal(share_wrap(a, &ks, CHAOSIMG_CLINICAL, kek, wrapped),
			 0);
	assert_int_equal(share_unwrap(a->id, CHAOSIMG_CLINICAL, kek, wrapped,
				      "here", &o), 0);
	ks.key[KEY_STRUCTURE][0] ^= 1;
	assert_int_equal(share_wrap(a, &ks, CHAOSIMG_PIXELS, kek, wrapped), 0);
	assert_int_equal(share_unwrap(a->id, CHAOSIMG_PIXELS, kek, wrapped,
				      "here", &o), -EBADMSG);
	assert_int_equal(o.set.held, held_bit(CHAOSIMG_CLINICAL));
	/* Nobody makes shares of what he has in part. */
	ks.held = held_bit(CHAOSIMG_PIXELS);
	assert_int_equal(share_wrap(a, &ks, CHAOSIMG_PIXELS, kek, wrapped),
			 -EACCES);
	chaosimg_archive_close(a);
}

/* --- compartment key files ------------------------------------------------- */

static char *export(const char *path, unsigned int set)
{
	struct chaosimg_archive *a = arc_must_open(path, 0);
	char *file = strdup(arc_in_top("compartments"));

	unlink(file);
	assert_int_equal(chaosimg_compartments_export(a, set, file), 0);
	chaosimg_archive_close(a);
	return file;
}

static int open_with(const char *path, const char *keyfile, unsigned int flags,
		     struct chaosimg_archive **a)
{
	struct chaosimg_credential *cred;
	int ret = chaosimg_credential_keyfile(keyfile, &cred);

	*a = NULL;
	if (ret)
		return ret;
	assert_true(chaosimg_credential_partial(cred));
	ret = chaosimg_archive_open(path, cred, flags, a);
	chaosimg_credential_free(cred);
	return ret;
}

static void has_keys_of(const struct keyset *got, const struct keyset *ks,
			unsigned int set)
{
	static const uint8_t none[CHAOSIMG_KEY_SIZE];
	int c;

	assert_int_equal(got->held, set);
	for (c = 0; c < KEY_COUNT; c++) {
		bool held = c == KEY_STRUCTURE || set & 1u << c;

		assert_memory_equal(got->key[c], held ? ks->key[c] : none,
				    CHAOSIMG_KEY_SIZE);
	}
}

static void a_compartment_key_opens_its_compartments(void **state)
{
	char *path = strdup(arc_make("partial"));
	struct chaosimg_archive *whole = arc_must_open(path, 0), *a;
	struct keyset first = *keyring_newest(whole->ring);
	const struct keyset *second, *got;
	unsigned int set;
	char *file;

	(void)state;
	for (set = 1; set <= ALL; set++) {
		chaosimg_archive_close(whole);
		file = export(path, set);
		whole = arc_must_open(path, 0);
		assert_int_equal(open_with(path, file, 0, &a), -EROFS);
		assert_int_equal(open_with(path, file, CHAOSIMG_ARCHIVE_NOLOCK,
					   &a), -EROFS);
		assert_int_equal(open_with(path, file, CHAOSIMG_ARCHIVE_RDONLY,
					   &a), 0);
		assert_int_equal(chaosimg_archive_held(a), set);
		assert_int_equal(names_held(a), !!(set & 2));
		got = keyring_find(a->ring, first.id);
		assert_non_null(got);
		has_keys_of(got, &first, set);
		/* One that is made later is found, too. */
		assert_int_equal(chaosimg_archive_rekey(whole, NULL), 0);
		second = keyring_newest(whole->ring);
		assert_int_equal(chaosimg_archive_refresh(a), 0);
		assert_int_equal(keyset_demand(a, second->id, &got), 0);
		has_keys_of(got, second, set);
		chaosimg_archive_close(a);
		free(file);
	}
	chaosimg_archive_close(whole);
	free(path);
}

static void a_partial_archive_gives_no_more(void **state)
{
	char *path = arc_make("no-more");
	char *file = export(path, ALL);
	char *again = arc_in_top("again");
	char text[CHAOSIMG_ESCROW_SIZE];
	struct chaosimg_credential *cred;
	struct chaosimg_archive *a;
	uint8_t key[CHAOSIMG_KEY_SIZE];

	(void)state;
	assert_int_equal(open_with(path, file, CHAOSIMG_ARCHIVE_RDONLY, &a),
			 0);
	assert_int_equal(chaosimg_compartments_export(a, 1, again), -EACCES);
	assert_int_equal(access(again, F_OK), -1);
	assert_int_equal(chaosimg_escrow(a, text), -EACCES);
	assert_int_equal(keyring_subkey(a->ring, "x", key, sizeof(key)),
			 -EACCES);
	assert_int_equal(chaosimg_archive_rekey(a, NULL), -EROFS);
	assert_int_equal(chaosimg_slot_remove(a, 0), -EROFS);
	chaosimg_archive_close(a);
	/* And opens no slot. */
	a = arc_must_open(path, 0);
	assert_int_equal(chaosimg_credential_keyfile(file, &cred), 0);
	assert_int_equal(chaosimg_slot_add(a, cred, NULL), -EINVAL);
	chaosimg_credential_free(cred);
	chaosimg_archive_close(a);
	free(file);
}

static void foreign_and_damaged_compartment_keys_are_refused(void **state)
{
	char *path = arc_make("mine"), *other = arc_make("other");
	char *file = export(path, 5);
	struct chaosimg_archive *a;
	struct stat st;
	size_t len, i;
	char *text;

	(void)state;
	assert_int_equal(stat(file, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(open_with(other, file, CHAOSIMG_ARCHIVE_RDONLY, &a),
			 -EKEYREJECTED);
	assert_non_null(strstr(chaosimg_errmsg(), "another archive"));
	text = arc_slurp(file, &len);
	for (i = 0; i < 8 * (len - 1); i++) {
		struct chaosimg_credential *cred;

		text[i / 8] ^= (char)(1 << i % 8);
		arc_spit(file, text, len);
		assert_int_equal(chaosimg_credential_keyfile(file, &cred),
				 -EBADMSG);
		text[i / 8] ^= (char)(1 << i % 8);
	}
	free(text);
	free(file);
}

/* --- keysets' files -------------------------------------------------------- */

static size_t count(const char *text, const char *word)
{
	size_t n = 0;

	while ((text = strstr(text, word))) {
		text++;
		n++;
	}
	return n;
}

static char *keyset_text(const char *path)
{
	size_t len;
	char *text = arc_slurp(arc_keyset_file(path), &len);

	text[len] = '\0';
	return text;
}

static void wraps_of_others_do_not_hinder(void **state)
{
	static const char *const more[] = {
		"{\"under\": \"policies\", \"x\": \"1\"}",
		"{\"under\": \"later\", \"list\": [1, {\"a\": 2}]}",
	};
	const char *many[KEYSET_WRAPS_MAX - COMPARTMENTS];
	char *path = arc_make("wraps");
	struct chaosimg_archive *a = arc_must_open(path, 0), *partial;
	const struct keyset *ks = keyring_newest(a->ring);
	char *file, *text;
	size_t i;

	(void)state;
	for (i = 0; i < KEYSET_WRAPS_MAX - COMPARTMENTS; i++)
		many[i] = more[0];
	assert_int_equal(keyset_store(a, path, ks, many, i), -ENOSPC);
	assert_int_equal(keyset_store(a, path, ks, many, i - 1), 0);
	assert_int_equal(keyset_store(a, path, ks, more, 2), 0);
	text = keyset_text(path);
	assert_int_equal(count(text, "\"archive-key\""), 1);
	assert_int_equal(count(text, "\"compartment\":"), COMPARTMENTS);
	assert_int_equal(count(text, "\"policies\""), 1);
	assert_int_equal(count(text, "\"later\""), 1);
	free(text);
	chaosimg_archive_close(a);
	/* Everybody can still open it. */
	file = export(path, 4);
	assert_int_equal(open_with(path, file, CHAOSIMG_ARCHIVE_RDONLY,
				   &partial), 0);
	chaosimg_archive_close(partial);
	free(file);
}

/* Who removes shares from a keyset's file makes less to be read, not more. */
static void shares_that_are_missing_or_wrong(void **state)
{
	char *path = arc_make("missing");
	char *file = export(path, 5), *keyset = arc_keyset_file(path);
	struct chaosimg_archive *a;

	(void)state;
	arc_forge(keyset, "\"pixels\"", "\"voxels\"");
	assert_int_equal(open_with(path, file, CHAOSIMG_ARCHIVE_RDONLY, &a),
			 -EBADMSG);
	arc_forge(keyset, "\"voxels\"", "\"pixels\"");
	/* Under something that nobody knows, clinical's is passed over. */
	arc_forge(keyset, "\"under\": \"compartment\"",
		  "\"under\": \"Compartment\"");
	assert_int_equal(open_with(path, file, CHAOSIMG_ARCHIVE_RDONLY, &a),
			 0);
	assert_int_equal(chaosimg_archive_held(a), held_bit(CHAOSIMG_PIXELS));
	chaosimg_archive_close(a);
	arc_forge(keyset, "\"pixels\"", "\"PIXELS\"");
	arc_forge(keyset, "\"under\": \"compartment\"",
		  "\"under\": \"Compartment\"");
	arc_forge(keyset, "\"under\": \"compartment\"",
		  "\"under\": \"Compartment\"");
	assert_int_equal(open_with(path, file, CHAOSIMG_ARCHIVE_RDONLY, &a),
			 -EKEYREJECTED);
	/* To who has the archive key it makes no difference. */
	a = arc_must_open(path, CHAOSIMG_ARCHIVE_RDONLY);
	assert_int_equal(chaosimg_archive_held(a), ALL);
	chaosimg_archive_close(a);
	free(file);
}

/* --- names ----------------------------------------------------------------- */

/* Names and links of the archive @a, as who has no names key sees them in @p. */
static void look_at_name(struct chaosimg_archive *a, struct chaosimg_archive *p,
			 const uint8_t id[CHAOSIMG_ID_SIZE], const char *plain)
{
	char shown[CHAOSIMG_NAME_MAX + 1];
	uint8_t binding[CHAOSIMG_BINDING_SIZE];
	struct chaosimg_stored_name n, found;

	assert_int_equal(chaosimg_name_encrypt(a, id, plain, &n), 0);
	assert_int_equal(chaosimg_name_companion_add(a->data_fd, &n), 0);
	assert_int_equal(mkdirat(a->data_fd, n.name, 0700), 0);
	assert_int_equal(chaosimg_name_decrypt(p, id, p->data_fd, n.name, shown,
					       binding), 0);
	assert_string_equal(shown, n.name);
	assert_memory_equal(binding, n.binding, sizeof(binding));
	assert_int_equal(chaosimg_name_find(p, id, p->data_fd, shown, &found),
			 0);
	assert_string_equal(found.name, n.name);
	assert_memory_equal(found.binding, n.binding, sizeof(found.binding));
	assert_int_equal(chaosimg_name_find(a, id, a->data_fd, plain, &found),
			 0);
	assert_string_equal(found.name, n.name);
	if (n.companion[0]) {
		assert_int_equal(unlinkat(a->data_fd, n.companion, 0), 0);
		assert_int_equal(chaosimg_name_find(p, id, p->data_fd, shown,
						    &found), -EIO);
		assert_int_equal(chaosimg_name_decrypt(p, id, p->data_fd,
						       n.name, shown, NULL),
				 -EBADMSG);
	}
	assert_int_equal(unlinkat(a->data_fd, n.name, AT_REMOVEDIR), 0);
}

static void nothing_else_is_there(struct chaosimg_archive *p,
				  const uint8_t id[CHAOSIMG_ID_SIZE])
{
	static const char *const none[] = {
		"DOE^JANE", "chaosimg.dir", "chaosimg.tmp.x", "0", "00000000",
		"z0000000000000000000000000000000000000000000000000000",
	};
	struct chaosimg_stored_name n;
	char out[PATH_MAX];
	size_t i;

	for (i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		assert_int_equal(chaosimg_name_find(p, id, p->data_fd, none[i],
						    &n), -ENOENT);
	assert_int_equal(chaosimg_name_encrypt(p, id, "x", &n), -EACCES);
	assert_int_equal(chaosimg_symlink_encrypt(p, "x", out, sizeof(out)),
			 -EACCES);
	assert_int_equal(chaosimg_xattr_name_encrypt(p, "user.x", out),
			 -EACCES);
	assert_int_equal(chaosimg_xattr_value_encrypt(p, "user.x", "", 0, out),
			 -EACCES);
}

static void names_are_shown_as_they_are_stored(void **state)
{
	static const char *const wrong[] = {
		"../../etc/passwd", "/etc/passwd", ".", "AAAA", "A",
		"AAECAwQFBgcICQoLaHWkf-BEtjx6yo6x-s0ubOq63emEdhlmMprzI44nG1JI9V/x",
	};
	char *path = arc_make("names"), *file = export(path, 5);
	struct chaosimg_archive *a = arc_must_open(path, 0), *p;
	uint8_t id[CHAOSIMG_ID_SIZE];
	char name[CHAOSIMG_NAME_MAX + 1], link[PATH_MAX], shown[PATH_MAX];
	size_t len, i;

	(void)state;
	assert_int_equal(open_with(path, file, CHAOSIMG_ARCHIVE_RDONLY, &p), 0);
	/* Where directories stand is checked all the same. */
	assert_int_equal(chaosimg_dir_load(p, p->data_fd, NULL, id), 0);
	assert_int_equal(chaosimg_dir_load(p, p->data_fd,
		&(struct chaosimg_place){ .parent = { 1 } }, id), -EIO);
	for (len = 1; len <= CHAOSIMG_NAME_MAX; len++) {
		memset(name, 'n', len);
		name[len] = '\0';
		look_at_name(a, p, id, name);
	}
	nothing_else_is_there(p, id);
	assert_int_equal(chaosimg_symlink_encrypt(a, "../x", link, sizeof(link)),
			 0);
	assert_int_equal(chaosimg_symlink_decrypt(p, link, shown,
						  sizeof(shown)), 0);
	assert_string_equal(shown, link);
	for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_int_equal(chaosimg_symlink_decrypt(p, wrong[i], shown,
							  sizeof(shown)), -EIO);
	chaosimg_archive_close(p);
	chaosimg_archive_close(a);
	free(file);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_share_opens_where_it_belongs_only),
		cmocka_unit_test(shares_have_to_fit),
		cmocka_unit_test(a_compartment_key_opens_its_compartments),
		cmocka_unit_test(a_partial_archive_gives_no_more),
		cmocka_unit_test(foreign_and_damaged_compartment_keys_are_refused),
		cmocka_unit_test(wraps_of_others_do_not_hinder),
		cmocka_unit_test(shares_that_are_missing_or_wrong),
		cmocka_unit_test(names_are_shown_as_they_are_stored),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, arc_set_up, arc_tear_down);
}
