// SPDX-License-Identifier: GPL-2.0-or-later
/* Names, directory ids, symbolic links, extended attributes. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "archive.h"
#include "basenc.h"
#include "names.h"

static struct chaosimg_archive *archive, *other;
static uint8_t dir_a[CHAOSIMG_ID_SIZE], dir_b[CHAOSIMG_ID_SIZE];
static char top[] = "/tmp/test_names.XXXXXX";
static int top_fd;

/* xorshift64: the same names in every run */
static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* Any bytes but NUL and '/'; never "." or "..". */
static void random_name(uint64_t *state, size_t len, char *out)
{
	size_t i = 0;

	while (i < len) {
		uint8_t c = (uint8_t)(next_random(state) >> 32);

		if (c && c != '/' && c != '.')
			out[i++] = (char)c;
	}
	out[len] = '\0';
}

static int set_up(void **state)
{
	uint8_t id[CHAOSIMG_ID_SIZE], key[CHAOSIMG_KEY_SIZE];

	(void)state;
	memset(id, 0x11, sizeof(id));
	memset(key, 0x22, sizeof(key));
	memset(dir_a, 0x33, sizeof(dir_a));
	memset(dir_b, 0x44, sizeof(dir_b));
	if (archive_new(id, key, CHAOSIMG_CHUNK_DEFAULT, &archive))
		return -1;
	key[31] ^= 1;
	if (archive_new(id, key, CHAOSIMG_CHUNK_DEFAULT, &other))
		return -1;
	if (!mkdtemp(top))
		return -1;
	top_fd = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return top_fd < 0 ? -1 : 0;
}

static int tear_down(void **state)
{
	(void)state;
	chaosimg_archive_close(archive);
	chaosimg_archive_close(other);
	close(top_fd);
	return rmdir(top);
}

/* --- encodings ------------------------------------------------------------ */

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

/* --- names ---------------------------------------------------------------- */

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
		random_name(&seed, len, name);
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
	assert_int_equal(decrypt_name(dir_b, n.name, back), -EIO);
	assert_int_equal(decrypt_name(dir_a, elsewhere.name, back), -EIO);
	assert_int_equal(decrypt_name(dir_a, foreign.name, back), -EIO);
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
		random_name(&seed, lengths[i], name);
		encrypt_name(dir_a, name, &n);
		assert_int_equal(chaosimg_name_companion_add(top_fd, &n), 0);
		for (at = 0; n.name[at]; at++) {
			for (bit = 0; bit < 8; bit++) {
				n.name[at] ^= (char)(1 << bit);
				assert_int_equal(decrypt_name(dir_a, n.name,
							      back), -EIO);
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
		assert_int_equal(decrypt_name(dir_a, stored, back), -EIO);
	}
	for (len = 1; len < 20; len++) {
		snprintf(stored, sizeof(stored), "%s%.*s", n.name, (int)len,
			 "00000000000000000000");
		assert_int_equal(decrypt_name(dir_a, stored, back), -EIO);
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
		assert_int_equal(decrypt_name(dir_a, foreign[i], back), -EIO);
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
		assert_int_equal(decrypt_name(dir_a, stored, back), -EIO);
	}
}

static bool has_run_of(const char *stored, const char *plain, size_t run)
{
	char part[16];
	size_t i;

	for (i = 0; i + run <= strlen(plain); i++) {
		memcpy(part, plain + i, run);
		part[run] = '\0';
		if (strstr(stored, part))
			return true;
	}
	return false;
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
				[next_random(&seed) >> 32 & 31];
		name[len] = '\0';
		encrypt_name(dir_a, name, &n);
		assert_false(has_run_of(n.name, name, 6));
		assert_false(has_run_of(n.target, name, 6));
		if (len > 127)
			continue;
		assert_int_equal(chaosimg_xattr_name_encrypt(archive, name,
							     stored), 0);
		assert_false(has_run_of(stored, name, 6));
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
	assert_int_equal(decrypt_name(dir_a, n.name, back), -EIO);
	set_link(m.target, n.companion);
	assert_int_equal(decrypt_name(dir_a, n.name, back), -EIO);
	for (i = 0; i < strlen(n.target); i += 7) {
		n.target[i] ^= 1;
		set_link(n.target, n.companion);
		n.target[i] ^= 1;
		assert_int_equal(decrypt_name(dir_a, n.name, back), -EIO);
	}
	strcat(n.target, "00000000");
	set_link(n.target, n.companion);
	assert_int_equal(decrypt_name(dir_a, n.name, back), -EIO);
	unlinkat(top_fd, n.companion, 0);
	fd = openat(top_fd, n.companion, O_CREAT | O_WRONLY, 0600);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(decrypt_name(dir_a, n.name, back), -EIO);
	unlinkat(top_fd, n.companion, 0);
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
	assert_int_equal(decrypt_name(dir_b, n.name, back), -EIO);
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
	assert_int_equal(decrypt_name(dir_a, stored, back), -EIO);
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

/* --- directories ---------------------------------------------------------- */

static int make_dir(const char *name)
{
	int fd;

	assert_int_equal(mkdirat(top_fd, name, 0700), 0);
	fd = openat(top_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

/* Fails if the directory holds anything but its id. */
static void drop_dir(const char *name, int fd)
{
	unlinkat(fd, CHAOSIMG_DIR_ENTRY, 0);
	close(fd);
	assert_int_equal(unlinkat(top_fd, name, AT_REMOVEDIR), 0);
}

static struct chaosimg_place place_of(const uint8_t *parent, const char *name)
{
	struct chaosimg_stored_name n;
	struct chaosimg_place place;

	encrypt_name(parent, name, &n);
	memcpy(place.parent, parent, sizeof(place.parent));
	memcpy(place.binding, n.binding, sizeof(place.binding));
	return place;
}

static void a_directory_loads_at_its_place_only(void **state)
{
	struct chaosimg_place here = place_of(dir_a, "study");
	struct chaosimg_place renamed = place_of(dir_a, "other study");
	struct chaosimg_place moved = place_of(dir_b, "study");
	uint8_t id[CHAOSIMG_ID_SIZE], back[CHAOSIMG_ID_SIZE];
	int fd = make_dir("d");

	(void)state;
	assert_int_equal(chaosimg_dir_load(archive, fd, &here, back), -EIO);
	assert_int_equal(chaosimg_dir_init(archive, fd, &here, id), 0);
	assert_int_equal(chaosimg_dir_load(archive, fd, &here, back), 0);
	assert_memory_equal(id, back, sizeof(id));
	assert_int_equal(chaosimg_dir_load(archive, fd, &renamed, back), -EIO);
	assert_int_equal(chaosimg_dir_load(archive, fd, &moved, back), -EIO);
	assert_int_equal(chaosimg_dir_load(archive, fd, NULL, back), -EIO);
	assert_int_equal(chaosimg_dir_load(other, fd, &here, back), -EIO);
	/* Never a second id: it would orphan every name in the directory. */
	assert_int_equal(chaosimg_dir_init(archive, fd, &here, back), -EEXIST);
	drop_dir("d", fd);
}

static void the_root_belongs_to_the_archive(void **state)
{
	struct chaosimg_place here = place_of(dir_a, "study");
	uint8_t id[CHAOSIMG_ID_SIZE], back[CHAOSIMG_ID_SIZE];
	int fd = make_dir("d");

	(void)state;
	assert_int_equal(chaosimg_dir_init(archive, fd, NULL, id), 0);
	assert_int_equal(chaosimg_dir_load(archive, fd, NULL, back), 0);
	assert_memory_equal(id, back, sizeof(id));
	assert_int_equal(chaosimg_dir_load(archive, fd, &here, back), -EIO);
	assert_int_equal(chaosimg_dir_load(other, fd, NULL, back), -EIO);
	drop_dir("d", fd);
}

static void exchanged_directory_ids_are_noticed(void **state)
{
	struct chaosimg_place x = place_of(dir_a, "x");
	struct chaosimg_place y = place_of(dir_a, "y");
	uint8_t id_x[CHAOSIMG_ID_SIZE], id_y[CHAOSIMG_ID_SIZE];
	int fd_x = make_dir("x"), fd_y = make_dir("y");

	(void)state;
	assert_int_equal(chaosimg_dir_init(archive, fd_x, &x, id_x), 0);
	assert_int_equal(chaosimg_dir_init(archive, fd_y, &y, id_y), 0);
	assert_memory_not_equal(id_x, id_y, sizeof(id_x));
	assert_int_equal(renameat2(fd_x, CHAOSIMG_DIR_ENTRY, fd_y,
				   CHAOSIMG_DIR_ENTRY, RENAME_EXCHANGE), 0);
	assert_int_equal(chaosimg_dir_load(archive, fd_x, &x, id_x), -EIO);
	assert_int_equal(chaosimg_dir_load(archive, fd_y, &y, id_y), -EIO);
	drop_dir("x", fd_x);
	drop_dir("y", fd_y);
}

static void check_damaged_dir(int fd, const struct chaosimg_place *place,
			      const char *target)
{
	uint8_t id[CHAOSIMG_ID_SIZE];

	unlinkat(fd, CHAOSIMG_DIR_ENTRY, 0);
	assert_int_equal(symlinkat(target, fd, CHAOSIMG_DIR_ENTRY), 0);
	assert_int_equal(chaosimg_dir_load(archive, fd, place, id), -EIO);
}

static void a_damaged_directory_id_is_refused(void **state)
{
	struct chaosimg_place here = place_of(dir_a, "study");
	char good[128] = "", bad[128];
	uint8_t id[CHAOSIMG_ID_SIZE];
	int bit, fd = make_dir("d");
	size_t i, len;

	(void)state;
	assert_int_equal(chaosimg_dir_init(archive, fd, &here, id), 0);
	len = (size_t)readlinkat(fd, CHAOSIMG_DIR_ENTRY, good, 100);
	assert_in_range(len, 1, 59);
	for (i = 0; i < len; i++) {
		for (bit = 0; bit < 8; bit++) {
			strcpy(bad, good);
			bad[i] ^= (char)(1 << bit);
			if (!bad[0])
				continue;	/* no such link */
			check_damaged_dir(fd, &here, bad);
		}
		if (i) {
			snprintf(bad, sizeof(bad), "%.*s", (int)i, good);
			check_damaged_dir(fd, &here, bad);
		}
		/* 54 characters would be a second place, which does no harm. */
		if (i + 1 == 54 - len)
			continue;
		snprintf(bad, sizeof(bad), "%s%.*s", good, (int)i + 1, good);
		check_damaged_dir(fd, &here, bad);
	}
	drop_dir("d", fd);
}

static void a_directory_is_bound_to_two_places_then_one(void **state)
{
	struct chaosimg_place x = place_of(dir_a, "x");
	struct chaosimg_place y = place_of(dir_b, "y");
	uint8_t id[CHAOSIMG_ID_SIZE], back[CHAOSIMG_ID_SIZE];
	int fd = make_dir("d"), path_fd;
	char target[128];
	ssize_t len;

	(void)state;
	assert_int_equal(chaosimg_dir_init(archive, fd, &x, id), 0);
	assert_int_equal(chaosimg_dir_bind(archive, fd, id, &x, &y), 0);
	assert_int_equal(chaosimg_dir_load(archive, fd, &x, back), 0);
	assert_int_equal(chaosimg_dir_load(archive, fd, &y, back), 0);
	assert_memory_equal(id, back, sizeof(id));
	assert_int_equal(chaosimg_dir_load(archive, fd, NULL, back), -EIO);
	len = readlinkat(fd, CHAOSIMG_DIR_ENTRY, target, sizeof(target));
	assert_in_range(len, 1, 59);
	assert_int_equal(chaosimg_dir_bind(archive, fd, id, &y, NULL), 0);
	assert_int_equal(chaosimg_dir_load(archive, fd, &x, back), -EIO);
	assert_int_equal(chaosimg_dir_load(archive, fd, &y, back), 0);
	assert_memory_equal(id, back, sizeof(id));
	/* A file system may hold directories by O_PATH descriptors. */
	path_fd = openat(top_fd, "d", O_PATH | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(chaosimg_dir_bind(archive, path_fd, id, &y, &x), 0);
	assert_int_equal(chaosimg_dir_load(archive, path_fd, &x, back), 0);
	close(path_fd);
	drop_dir("d", fd);	/* and no temporary entry is left */
}

/* --- symbolic links ------------------------------------------------------- */

static void symlinks_of_every_length_come_back(void **state)
{
	static char target[3002], stored[4096], back[4096];
	uint64_t seed = 4;
	size_t len;

	(void)state;
	for (len = 1; len <= 3000; len += len < 300 || len > 2990 ? 1 : 7) {
		random_name(&seed, len, target);
		assert_int_equal(chaosimg_symlink_encrypt(archive, target,
				 stored, sizeof(stored)), 0);
		assert_int_equal(chaosimg_symlink_length(strlen(stored)), len);
		assert_int_equal(chaosimg_symlink_decrypt(archive, stored, back,
							  len + 1), 0);
		assert_string_equal(back, target);
		assert_int_equal(chaosimg_symlink_decrypt(archive, stored, back,
							  len), -ENAMETOOLONG);
	}
	memset(target, 'a', 3001);
	assert_int_equal(chaosimg_symlink_encrypt(archive, target, stored,
			 sizeof(stored)), -ENAMETOOLONG);
	assert_int_equal(chaosimg_symlink_encrypt(archive, "", stored,
			 sizeof(stored)), -EINVAL);
	assert_int_equal(chaosimg_symlink_encrypt(archive, "x", stored, 60),
			 -ENAMETOOLONG);
	assert_int_equal(chaosimg_symlink_encrypt(archive, "x", stored, 61), 0);
}

static void symlinks_do_not_repeat(void **state)
{
	char one[128], two[128];

	(void)state;
	assert_int_equal(chaosimg_symlink_encrypt(archive, "../DOE^JANE", one,
						  sizeof(one)), 0);
	assert_int_equal(chaosimg_symlink_encrypt(archive, "../DOE^JANE", two,
						  sizeof(two)), 0);
	assert_string_not_equal(one, two);
	assert_false(has_run_of(one, "../DOE^JANE", 6));
}

static void a_changed_symlink_is_refused(void **state)
{
	char stored[256], back[256], longer[260];
	size_t i, len;
	int bit;

	(void)state;
	assert_int_equal(chaosimg_symlink_encrypt(archive, "../patients/1",
						  stored, sizeof(stored)), 0);
	assert_int_equal(chaosimg_symlink_decrypt(other, stored, back,
						  sizeof(back)), -EIO);
	len = strlen(stored);
	for (i = 0; i < len; i++) {
		for (bit = 0; bit < 8; bit++) {
			stored[i] ^= (char)(1 << bit);
			assert_int_equal(chaosimg_symlink_decrypt(archive,
					 stored, back, sizeof(back)), -EIO);
			stored[i] ^= (char)(1 << bit);
		}
		snprintf(longer, sizeof(longer), "%.*s", (int)i, stored);
		assert_int_equal(chaosimg_symlink_decrypt(archive, longer, back,
							  sizeof(back)), -EIO);
	}
	snprintf(longer, sizeof(longer), "%sAAAA", stored);
	assert_int_equal(chaosimg_symlink_decrypt(archive, longer, back,
						  sizeof(back)), -EIO);
	assert_int_equal(chaosimg_symlink_length(0), 0);
	assert_int_equal(chaosimg_symlink_length(58), 0);
	assert_int_equal(chaosimg_symlink_length(60), 1);
}

/* --- extended attributes -------------------------------------------------- */

static void xattr_names_come_back(void **state)
{
	char name[129], stored[CHAOSIMG_NAME_MAX + 1];
	char again[CHAOSIMG_NAME_MAX + 1], back[CHAOSIMG_NAME_MAX + 1];
	uint64_t seed = 5;
	size_t len;

	(void)state;
	for (len = 1; len <= 127; len++) {
		random_name(&seed, len, name);
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
	random_name(&seed, 128, name);
	assert_int_equal(chaosimg_xattr_name_encrypt(archive, name, stored),
			 -ENAMETOOLONG);
	assert_int_equal(chaosimg_xattr_name_encrypt(archive, "", stored),
			 -EINVAL);
}

static void bad_xattr_names_are_refused(void **state)
{
	char stored[CHAOSIMG_NAME_MAX + 1], back[CHAOSIMG_NAME_MAX + 1];
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
	memset(dir_b, 0, sizeof(dir_b));
	encrypt_name(dir_b, "user.patient", &n);
	memset(dir_b, 0x44, sizeof(dir_b));
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
		value[i] = (uint8_t)next_random(&seed);
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

/* --- the documented format ------------------------------------------------ */

/* Made by a second implementation, in Python, from the documentation alone. */
static void names_are_as_documented(void **state)
{
	static const char target[] =
		"untc4jvs0qloksa1guodddmr3l0fjbjhva412hsl88kfua9qhbnsm09j7cs4kn"
		"hrcreso2im0ol1hcfnl83a6uu7uqjoaici5p3elcfutj9p6858m8ub1608d85p"
		"fmovsu9nlki0khg6mmtdpnvurjvsrp01mf2fijlcet800s3ke3e2feu4gi532n"
		"bevusua1r0m2q9h5uop1bpn54tdqcb67ujp2i3n43npkc766265bd57viegcmr"
		"7cnav5odkbjb613rfrgl3gucprq2vh5ot4agre8oib9g1cfena7t2v0f46udk1"
		"48kkr9u8nmorjjqq7s689oc8mu02u0ibkkcdr2tdnai4ou2r30n8bg3gnt9r84"
		"2vpuampnesnuc58731djh1togadbvq9cmv8g6cv2sb3k04fmlspejpmeambssk"
		"f0";
	char stored[CHAOSIMG_NAME_MAX + 1];
	struct chaosimg_stored_name n;

	(void)state;
	encrypt_name(dir_a, "DOE^JANE", &n);
	assert_string_equal(n.name, "mrohlu30ikj8f8hc61c0fe3tr4d9fjdiathj3s8uab"
			    "q68cpkloaaigra6r2ni349c2i82o23ps4s2");
	long_name('n', &n);
	assert_string_equal(n.name, "zdilobq90o7sm8pmba56sj3kl0rv0873s22pta0q1j"
			    "adq8cp60nk0");
	assert_string_equal(n.companion, "zdilobq90o7sm8pmba56sj3kl0rv0873s22pt"
			    "a0q1jadq8cp60nk0.name");
	assert_string_equal(n.target, target);
	assert_int_equal(chaosimg_xattr_name_encrypt(archive, "user.patient",
						     stored), 0);
	assert_string_equal(stored, "user.chaosimg.1u4utf6ksm07pdc9pehi9p7kq385"
			    "mqu5p4ao4qqbioq3dcmltoihp4a9qa54kqt36avfj9ht1ej0"
			    "m");
}

static void values_are_as_documented(void **state)
{
	static const char link[] = "AAECAwQFBgcICQoL9yg_qYiD3zu9tUg6OOxrkibn9vt"
		"55TmCWEqIKOkAZ62bLNTmHL1tQagp-w";
	static const uint8_t value[] = {
		0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09,
		0x0a, 0x0b, 0x26, 0xbc, 0xf8, 0xf0, 0xe2, 0x1c, 0xe3, 0x3c,
		0x0d, 0x40, 0x29, 0x41, 0xe1, 0x80, 0x15, 0xb7, 0xc1, 0x39,
		0xb4, 0x07, 0xb3, 0xc8, 0xd1, 0x4d, 0x1a, 0xf6, 0x9d, 0x47,
		0x1b, 0x22, 0x66, 0x8d, 0x31, 0x22, 0xeb, 0xb4, 0x92, 0xe3,
		0xf6, 0x96,
	};
	static const uint8_t empty[] = {
		0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09,
		0x0a, 0x0b, 0x12, 0x13, 0xc7, 0x00, 0x5c, 0xae, 0xa3, 0x92,
		0xa0, 0x42, 0x1c, 0x22, 0xb9, 0x97, 0xb1, 0x0b, 0x96, 0xb1,
		0x06, 0x4d, 0x8f, 0x86, 0x1f, 0x77, 0xdd, 0x0f, 0x12, 0xed,
		0xc6, 0x29, 0x1f, 0xe4,
	};
	char back[128];

	(void)state;
	assert_int_equal(chaosimg_symlink_decrypt(archive, link, back,
						  sizeof(back)), 0);
	assert_string_equal(back, "../DOE^JANE");
	assert_int_equal(chaosimg_xattr_value_decrypt(archive, "user.patient",
			 value, sizeof(value), back), 0);
	assert_memory_equal(back, "DOE^JANE", 8);
	assert_int_equal(chaosimg_xattr_value_decrypt(archive, "user.patient",
			 empty, sizeof(empty), back), 0);
}

static void directory_ids_are_as_documented(void **state)
{
	struct chaosimg_place here = place_of(dir_a, "DOE^JANE");
	uint8_t id[CHAOSIMG_ID_SIZE];
	int i, fd = make_dir("d");

	(void)state;
	assert_int_equal(symlinkat("AAECAwQFBgcICQoLDA0OD9slW1zsCwd6N9hXsg", fd,
				   CHAOSIMG_DIR_ENTRY), 0);
	assert_int_equal(chaosimg_dir_load(archive, fd, NULL, id), 0);
	for (i = 0; i < CHAOSIMG_ID_SIZE; i++)
		assert_int_equal(id[i], i);
	unlinkat(fd, CHAOSIMG_DIR_ENTRY, 0);
	assert_int_equal(symlinkat("AAECAwQFBgcICQoLDA0OD46U35mqyUeoPUkiiA", fd,
				   CHAOSIMG_DIR_ENTRY), 0);
	assert_int_equal(chaosimg_dir_load(archive, fd, &here, id), 0);
	drop_dir("d", fd);
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

		random_name(&seed, 1 + (size_t)i, e->name);
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
		cmocka_unit_test(encodings_follow_rfc4648),
		cmocka_unit_test(encodings_have_one_text_for_each_value),
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
		cmocka_unit_test(a_directory_loads_at_its_place_only),
		cmocka_unit_test(the_root_belongs_to_the_archive),
		cmocka_unit_test(exchanged_directory_ids_are_noticed),
		cmocka_unit_test(a_damaged_directory_id_is_refused),
		cmocka_unit_test(a_directory_is_bound_to_two_places_then_one),
		cmocka_unit_test(symlinks_of_every_length_come_back),
		cmocka_unit_test(symlinks_do_not_repeat),
		cmocka_unit_test(a_changed_symlink_is_refused),
		cmocka_unit_test(xattr_names_come_back),
		cmocka_unit_test(bad_xattr_names_are_refused),
		cmocka_unit_test(xattr_values_come_back),
		cmocka_unit_test(changed_xattr_values_are_refused),
		cmocka_unit_test(zeros_must_come_back),
		cmocka_unit_test(names_are_as_documented),
		cmocka_unit_test(values_are_as_documented),
		cmocka_unit_test(directory_ids_are_as_documented),
		cmocka_unit_test(threads_do_not_disturb_each_other),
		cmocka_unit_test(a_reopened_archive_has_its_own_keys),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
