// SPDX-License-Identifier: GPL-2.0-or-later
/* Names of files and directories, short and long. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "basenc.h"
#include "names.h"
#include "names_env.h"
#include "rng.h"

static struct chaosimg_archive *archive, *other;
static uint8_t dir_a[CHAOSIMG_ID_SIZE], dir_b[CHAOSIMG_ID_SIZE];
static int top_fd;

static int set_up(void **state)
{
	(void)state;
	memset(dir_a, 0x33, sizeof(dir_a));
	memset(dir_b, 0x44, sizeof(dir_b));
	return names_env_open(&archive, &other, &top_fd);
}

static int tear_down(void **state)
{
	(void)state;
	return names_env_close(archive, other, top_fd);
}

static void encrypt_name(const uint8_t *dir, const char *name,
			 struct chaosimg_stored_name *n)
{
	assert_int_equal(chaosimg_name_encrypt(archive, dir, name, n), 0);
}

static int decrypt_name(const uint8_t *dir, const char *stored, char *name)
{
	return chaosimg_name_decrypt(archive, dir, top_fd, stored, name, NULL);
}

static void names_of_every_length_come_back(void **state)
{
	char name[CHAOSIMG_NAME_MAX + 1], back[CHAOSIMG_NAME_MAX + 1];
	uint8_t binding[CHAOSIMG_BINDING_SIZE];
	struct chaosimg_stored_name n, again;
	uint64_t seed = 1;
	size_t len;

	(void)state;
	for (len = 1; len <= CHAOSIMG_NAME_MAX; len++) {
		names_random(&seed, len, name);
		encrypt_name(dir_a, name, &n);
		encrypt_name(dir_a, name, &again);
		assert_string_equal(n.name, again.name);
		assert_int_equal(!n.companion[0], len <= 128);
		assert_in_range(strlen(n.name), 1, CHAOSIMG_NAME_MAX);
		assert_int_equal(strspn(n.name, len > 128 ?
			"0123456789abcdefghijklmnopqrstuvz" :
			"0123456789abcdefghijklmnopqrstuv"), strlen(n.name));
		assert_int_equal(chaosimg_name_companion_add(top_fd, &n), 0);
		assert_int_equal(chaosimg_name_decrypt(archive, dir_a, top_fd,
				 n.name, back, binding), 0);
		assert_string_equal(back, name);
		assert_memory_equal(binding, n.binding, sizeof(binding));
		chaosimg_name_companion_remove(top_fd, &n);
	}
}

/* Also 'é' in either normal form, and what looks like the library's own. */
static void names_with_a_meaning_come_back(void **state)
{
	static const char *const names[] = {
		"...", ".a", "a.", "-", " ", "\n", "DOE^JANE", "\xc3\xa9",
		"e\xcc\x81", "chaosimg.dir", "chaosimg.tmp.x", "\xff\xfe",
		"IM000001.dcm", "z",
	};
	char back[CHAOSIMG_NAME_MAX + 1];
	struct chaosimg_stored_name n;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		encrypt_name(dir_a, names[i], &n);
		assert_int_equal(decrypt_name(dir_a, n.name, back), 0);
		assert_string_equal(back, names[i]);
	}
}

static void impossible_names_are_refused(void **state)
{
	struct chaosimg_stored_name n;
	char name[CHAOSIMG_NAME_MAX + 2];

	(void)state;
	assert_int_equal(chaosimg_name_encrypt(archive, dir_a, "", &n),
			 -EINVAL);
	assert_int_equal(chaosimg_name_encrypt(archive, dir_a, ".", &n),
			 -EINVAL);
	assert_int_equal(chaosimg_name_encrypt(archive, dir_a, "..", &n),
			 -EINVAL);
	assert_int_equal(chaosimg_name_encrypt(archive, dir_a, "a/b", &n),
			 -EINVAL);
	memset(name, 'a', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	assert_int_equal(chaosimg_name_encrypt(archive, dir_a, name, &n),
			 -ENAMETOOLONG);
}

static void names_depend_on_directory_and_key(void **state)
{
	struct chaosimg_stored_name n, elsewhere, foreign;
	char back[CHAOSIMG_NAME_MAX + 1];

	(void)state;
	encrypt_name(dir_a, "image", &n);
	encrypt_name(dir_b, "image", &elsewhere);
	assert_int_equal(chaosimg_name_encrypt(other, dir_a, "image", &foreign),
			 0);
	assert_string_not_equal(n.name, elsewhere.name);
	assert_memory_not_equal(n.binding, elsewhere.binding,
				sizeof(n.binding));
	assert_string_not_equal(n.name, foreign.name);
	assert_int_equal(decrypt_name(dir_b, n.name, back), -EBADMSG);
	assert_int_equal(decrypt_name(dir_a, elsewhere.name, back), -EBADMSG);
	assert_int_equal(decrypt_name(dir_a, foreign.name, back), -EBADMSG);
}

/* Short lengths do not show, and names that begin alike do not look alike. */
static void names_hide_length_and_likeness(void **state)
{
	struct chaosimg_stored_name x, y;
	size_t i, same = 0;

	(void)state;
	encrypt_name(dir_a, "a", &x);
	encrypt_name(dir_a, "abcdefghijklmnopqrstuvwxyzabcdef", &y);
	assert_int_equal(strlen(x.name), strlen(y.name));
	encrypt_name(dir_a, "DOE^JANE^1970-01-01", &x);
	encrypt_name(dir_a, "DOE^JANE^1970-01-02", &y);
	for (i = 0; x.name[i]; i++)
		same += x.name[i] == y.name[i];
	assert_in_range(same, 0, 12);	/* of 77; 2.4 expected by chance */
}

static void every_changed_bit_of_a_name_is_refused(void **state)
{
	static const size_t lengths[] = { 1, 31, 32, 33, 96, 128, 129, 255 };
	char name[CHAOSIMG_NAME_MAX + 1], back[CHAOSIMG_NAME_MAX + 1];
	struct chaosimg_stored_name n;
	uint64_t seed = 2;
	size_t i, at;
	int bit;

	(void)state;
	for (i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		names_random(&seed, lengths[i], name);
		encrypt_name(dir_a, name, &n);
		assert_int_equal(chaosimg_name_companion_add(top_fd, &n), 0);
		for (at = 0; n.name[at]; at++) {
			for (bit = 0; bit < 8; bit++) {
				n.name[at] ^= (char)(1 << bit);
				assert_int_equal(decrypt_name(dir_a, n.name,
							      back),
						 -EBADMSG);
				n.name[at] ^= (char)(1 << bit);
			}
		}
		chaosimg_name_companion_remove(top_fd, &n);
	}
}

static void a_cut_or_longer_name_is_refused(void **state)
{
	char back[CHAOSIMG_NAME_MAX + 1], stored[CHAOSIMG_NAME_MAX + 32];
	struct chaosimg_stored_name n;
	size_t len;

	(void)state;
	encrypt_name(dir_a, "a name of more than thirty-two bytes", &n);
	for (len = strlen(n.name); len-- > 0; ) {
		snprintf(stored, sizeof(stored), "%.*s", (int)len, n.name);
		assert_int_equal(decrypt_name(dir_a, stored, back), -EBADMSG);
	}
	for (len = 1; len < 20; len++) {
		snprintf(stored, sizeof(stored), "%s%.*s", n.name, (int)len,
			 "00000000000000000000");
		assert_int_equal(decrypt_name(dir_a, stored, back), -EBADMSG);
	}
}

static void own_entries_are_told_from_foreign_ones(void **state)
{
	static const char *const foreign[] = {
		"lost+found", "IM1.dcm", "chaosimg.dirx", "chaosimg.", ".x",
		"x.name", "z.name", "", "\n\033[31m", "README",
	};
	char back[CHAOSIMG_NAME_MAX + 1], name[201];
	struct chaosimg_stored_name n;
	size_t i;

	(void)state;
	assert_int_equal(decrypt_name(dir_a, ".", back), -ENOENT);
	assert_int_equal(decrypt_name(dir_a, "..", back), -ENOENT);
	assert_int_equal(decrypt_name(dir_a, CHAOSIMG_DIR_ENTRY, back),
			 -ENOENT);
	assert_int_equal(decrypt_name(dir_a, CHAOSIMG_TMP_PREFIX "1", back),
			 -ENOENT);
	memset(name, 'n', 200);
	name[200] = '\0';
	encrypt_name(dir_a, name, &n);
	assert_int_equal(decrypt_name(dir_a, n.companion, back), -ENOENT);
	for (i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++) {
		assert_int_equal(decrypt_name(dir_a, foreign[i], back), -EBADMSG);
		assert_null(strpbrk(chaosimg_errmsg(), "\n\033"));
	}
}

/* What nobody without the keys can make, but a bug could. */
static void sealed_nonsense_is_refused(void **state)
{
	static const struct {
		char bytes[64];
		size_t len;
	} nonsense[] = {
		{ "a/b", 3 }, { ".", 1 }, { "..", 2 }, { "a\0b", 3 },
		{ "a", 64 }, { "", 32 }, { "", 64 },
		{ "abcdefghijklmnopqrstuvwxyz012345", 33 },
	};
	char stored[CHAOSIMG_NAME_MAX + 1], back[CHAOSIMG_NAME_MAX + 1];
	uint8_t sealed[NAME_SEALED_MAX];
	ssize_t n;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(nonsense) / sizeof(nonsense[0]); i++) {
		n = name_siv_seal(&archive->names->name, dir_a,
				  nonsense[i].bytes, nonsense[i].len, sealed);
		assert_true(n > 0);
		base32hex_encode(sealed, (size_t)n, stored);
		assert_int_equal(decrypt_name(dir_a, stored, back), -EBADMSG);
	}
}

/*
 * Names in the very characters of the encoding, at every length. Six of them
 * in a row come back by chance with about one seed in a hundred.
 */
static void no_plaintext_in_stored_names(void **state)
{
	char name[CHAOSIMG_NAME_MAX + 1], stored[CHAOSIMG_NAME_MAX + 1];
	struct chaosimg_stored_name n;
	uint64_t seed = 8;
	size_t len, i;

	(void)state;
	for (len = 6; len <= CHAOSIMG_NAME_MAX; len++) {
		for (i = 0; i < len; i++)
			name[i] = "0123456789abcdefghijklmnopqrstuv"
				[rng_next(&seed) >> 32 & 31];
		name[len] = '\0';
		encrypt_name(dir_a, name, &n);
		assert_false(names_has_run_of(n.name, name, 6));
		assert_false(names_has_run_of(n.target, name, 6));
		if (len > 127)
			continue;
		assert_int_equal(chaosimg_xattr_name_encrypt(archive, name,
							     stored), 0);
		assert_false(names_has_run_of(stored, name, 6));
	}
}

/* --- long names ----------------------------------------------------------- */

static void long_name(char fill, struct chaosimg_stored_name *n)
{
	char name[CHAOSIMG_NAME_MAX + 1];

	memset(name, fill, CHAOSIMG_NAME_MAX);
	name[CHAOSIMG_NAME_MAX] = '\0';
	encrypt_name(dir_a, name, n);
	assert_true(n->companion[0] != '\0');
}

static void set_link(const char *target, const char *name)
{
	unlinkat(top_fd, name, 0);
	assert_int_equal(symlinkat(target, top_fd, name), 0);
}

static void a_bad_companion_is_refused(void **state)
{
	char back[CHAOSIMG_NAME_MAX + 1];
	struct chaosimg_stored_name n, m;
	size_t i;
	int fd;

	(void)state;
	long_name('n', &n);
	long_name('m', &m);
	assert_int_equal(decrypt_name(dir_a, n.name, back), -EBADMSG);
	set_link(m.target, n.companion);
	assert_int_equal(decrypt_name(dir_a, n.name, back), -EBADMSG);
	for (i = 0; i < strlen(n.target); i += 7) {
		n.target[i] ^= 1;
		set_link(n.target, n.companion);
		n.target[i] ^= 1;
		assert_int_equal(decrypt_name(dir_a, n.name, back), -EBADMSG);
	}
	strcat(n.target, "00000000");
	set_link(n.target, n.companion);
	assert_int_equal(decrypt_name(dir_a, n.name, back), -EBADMSG);
	unlinkat(top_fd, n.companion, 0);
	fd = openat(top_fd, n.companion, O_CREAT | O_WRONLY, 0600);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(decrypt_name(dir_a, n.name, back), -EBADMSG);
	unlinkat(top_fd, n.companion, 0);
	/* What cannot be read is not said to be damaged. */
	assert_int_equal(chaosimg_name_decrypt(archive, dir_a, -1, n.name, back,
					       NULL), -EBADF);
}

/* A directory's own name must not be at home in another directory. */
static void a_long_name_belongs_to_its_directory(void **state)
{
	char back[CHAOSIMG_NAME_MAX + 1];
	struct chaosimg_stored_name n;

	(void)state;
	long_name('n', &n);
	assert_int_equal(chaosimg_name_companion_add(top_fd, &n), 0);
	assert_int_equal(decrypt_name(dir_a, n.name, back), 0);
	assert_int_equal(decrypt_name(dir_b, n.name, back), -EBADMSG);
	chaosimg_name_companion_remove(top_fd, &n);
}

/* The same name must not stand under two entries. */
static void a_short_name_in_long_form_is_refused(void **state)
{
	char stored[64] = "z", companion[80], target[400];
	char back[CHAOSIMG_NAME_MAX + 1];
	uint8_t sealed[NAME_SEALED_MAX], hash[NAME_HASH_SIZE];
	ssize_t n;

	(void)state;
	n = name_siv_seal(&archive->names->name, dir_a, "short", 5, sealed);
	assert_true(n > 0);
	assert_int_equal(EVP_Digest(sealed, (size_t)n, hash, NULL, EVP_sha256(),
				    NULL), 1);
	base32hex_encode(hash, sizeof(hash), stored + 1);
	base32hex_encode(sealed, (size_t)n, target);
	snprintf(companion, sizeof(companion), "%s.name", stored);
	set_link(target, companion);
	assert_int_equal(decrypt_name(dir_a, stored, back), -EBADMSG);
	unlinkat(top_fd, companion, 0);
}

static void companions_are_kept_as_long_as_needed(void **state)
{
	char back[CHAOSIMG_NAME_MAX + 1];
	struct chaosimg_stored_name n, m;
	int fd;

	(void)state;
	long_name('n', &n);
	long_name('m', &m);
	assert_int_equal(chaosimg_name_companion_add(top_fd, &n), 0);
	assert_int_equal(chaosimg_name_companion_add(top_fd, &n), 0);
	/* A damaged one is mended. */
	set_link(m.target, n.companion);
	assert_int_equal(chaosimg_name_companion_add(top_fd, &n), 0);
	assert_int_equal(decrypt_name(dir_a, n.name, back), 0);
	/* It stays while the entry is there. */
	fd = openat(top_fd, n.name, O_CREAT | O_WRONLY, 0600);
	assert_true(fd >= 0);
	close(fd);
	chaosimg_name_companion_remove(top_fd, &n);
	assert_int_equal(decrypt_name(dir_a, n.name, back), 0);
	assert_int_equal(unlinkat(top_fd, n.name, 0), 0);
	chaosimg_name_companion_remove(top_fd, &n);
	assert_int_equal(faccessat(top_fd, n.companion, F_OK,
				   AT_SYMLINK_NOFOLLOW), -1);
	/* A short name has none to add or remove. */
	encrypt_name(dir_a, "short", &n);
	assert_int_equal(chaosimg_name_companion_add(-1, &n), 0);
	chaosimg_name_companion_remove(-1, &n);
}

/* --- the documented format ------------------------------------------------ */

/* Made by a second implementation, in Python, from the documentation alone. */
static void names_are_as_documented(void **state)
{
	static const char target[] =
		"n88j1mnsp6f53b2ai5tunuv0jl8pegk1qtdm7brs31kktndkblfqlv3gvvbf1n"
		"jsns7h1iua7540dlo5riqblhasr43ut7rek4r0gu3asnhm3h9gprnm4jdp2hb5"
		"ckjodr4vgl6ss4oa0607s1m83jcig2kr077qj9usmdt95tcddg2u8q29neb811"
		"ork61l5c17va89a9smls7aav37d9ktsvb11eanv06pnvnu5huob35oopogp4re"
		"ncp322t3u5avkur52busj13b384mrl98lnq511ouna8gjjn3r5ln7239j782nl"
		"c2c5j422m4hbd8iok4pjfpvc8vreli4uvogobphju2kissj7fflvsi0rmd7hfe"
		"3c0geofgi96adom63ol88f1gr79vrophb8k657eq6eiljeinieuakdkj20i089"
		"ig";
	char stored[CHAOSIMG_NAME_MAX + 1];
	struct chaosimg_stored_name n;

	(void)state;
	encrypt_name(dir_a, "DOE^JANE", &n);
	assert_string_equal(n.name, "r5ms4bpqdfhrk130ckd2eo84v484eturuejtd2hj3m"
			    "cv1i77ifeni28shpforu43q91f92kvcqtvi");
	long_name('n', &n);
	assert_string_equal(n.name, "zo90cievm88dh620aeki7g48i07kg1sct8cpvfohcp"
			    "g0f45j225t0");
	assert_string_equal(n.companion, "zo90cievm88dh620aeki7g48i07kg1sct8cpv"
			    "fohcpg0f45j225t0.name");
	assert_string_equal(n.target, target);
	assert_int_equal(chaosimg_xattr_name_encrypt(archive, "user.patient",
						     stored), 0);
	assert_string_equal(stored, "user.chaosimg.8cg4tj90i5djtgvplvsssuf5glpi"
			    "mb30k2fhijsu16bc4k8eb3qg4km71i5bog28223a866g8klb"
			    "g");
}

/* --- threads -------------------------------------------------------------- */

enum { THREADS = 4, NAMES = 64, ROUNDS = 20 };

struct expected {
	char name[CHAOSIMG_NAME_MAX + 1];
	struct chaosimg_stored_name n;
};

static struct expected expected[2][NAMES];

/* cmocka's assertions are for the main thread: a thread counts its failures. */
static size_t check_names(struct chaosimg_archive *a, const struct expected *e)
{
	char back[CHAOSIMG_NAME_MAX + 1], link[256], target[256];
	struct chaosimg_stored_name n;
	size_t bad = 0;
	int i;

	for (i = 0; i < NAMES; i++, e++) {
		bad += chaosimg_name_encrypt(a, dir_a, e->name, &n) ||
			strcmp(n.name, e->n.name);
		bad += chaosimg_name_decrypt(a, dir_a, -1, e->n.name, back,
					     NULL) || strcmp(back, e->name);
		bad += chaosimg_symlink_encrypt(a, e->name, link,
						sizeof(link)) ||
			chaosimg_symlink_decrypt(a, link, target,
						 sizeof(target)) ||
			strcmp(target, e->name);
	}
	return bad;
}

static void *run_thread(void *arg)
{
	size_t bad = 0;
	int i;

	(void)arg;
	for (i = 0; i < ROUNDS; i++) {
		bad += check_names(archive, expected[0]);
		bad += check_names(other, expected[1]);
	}
	return (void *)bad;
}

static void threads_do_not_disturb_each_other(void **state)
{
	pthread_t thread[THREADS];
	uint64_t seed = 7;
	void *bad;
	int i;

	(void)state;
	for (i = 0; i < NAMES; i++) {
		struct expected *e = &expected[0][i], *f = &expected[1][i];

		names_random(&seed, 1 + (size_t)i, e->name);
		memcpy(f->name, e->name, sizeof(f->name));
		encrypt_name(dir_a, e->name, &e->n);
		assert_int_equal(chaosimg_name_encrypt(other, dir_a, f->name,
						       &f->n), 0);
	}
	for (i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, run_thread,
						NULL), 0);
	for (i = 0; i < THREADS; i++) {
		pthread_join(thread[i], &bad);
		assert_int_equal((size_t)bad, 0);
	}
}

/* What a thread may have kept of a closed archive must not reach the next. */
static void a_reopened_archive_has_its_own_keys(void **state)
{
	uint8_t id[CHAOSIMG_ID_SIZE] = { 1 }, key[CHAOSIMG_KEY_SIZE] = { 2 };
	char first[CHAOSIMG_NAME_MAX + 1], link[128], back[128];
	struct chaosimg_stored_name n;
	struct chaosimg_archive *a;
	int i;

	(void)state;
	for (i = 0; i < 4; i++) {
		key[0] = (uint8_t)(i & 1);
		assert_int_equal(archive_new(id, key, CHAOSIMG_CHUNK_DEFAULT,
					     &a), 0);
		assert_int_equal(chaosimg_name_encrypt(a, dir_a, "x", &n), 0);
		if (!i)
			strcpy(first, n.name);
		assert_int_equal(!strcmp(first, n.name), !(i & 1));
		if (i)
			assert_int_equal(chaosimg_symlink_decrypt(a, link, back,
					 sizeof(back)), -EIO);
		assert_int_equal(chaosimg_symlink_encrypt(a, "x", link,
							  sizeof(link)), 0);
		chaosimg_archive_close(a);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_of_every_length_come_back),
		cmocka_unit_test(names_with_a_meaning_come_back),
		cmocka_unit_test(impossible_names_are_refused),
		cmocka_unit_test(names_depend_on_directory_and_key),
		cmocka_unit_test(names_hide_length_and_likeness),
		cmocka_unit_test(every_changed_bit_of_a_name_is_refused),
		cmocka_unit_test(a_cut_or_longer_name_is_refused),
		cmocka_unit_test(own_entries_are_told_from_foreign_ones),
		cmocka_unit_test(sealed_nonsense_is_refused),
		cmocka_unit_test(no_plaintext_in_stored_names),
		cmocka_unit_test(a_bad_companion_is_refused),
		cmocka_unit_test(a_long_name_belongs_to_its_directory),
		cmocka_unit_test(a_short_name_in_long_form_is_refused),
		cmocka_unit_test(companions_are_kept_as_long_as_needed),
		cmocka_unit_test(names_are_as_documented),
		cmocka_unit_test(threads_do_not_disturb_each_other),
		cmocka_unit_test(a_reopened_archive_has_its_own_keys),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
