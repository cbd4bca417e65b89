// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Ingest mounts: who holds the archive key reads what they wrote, they forget
 * it themselves, and nothing that anybody made in this way passes for more.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/evp.h>

#include "archive_env.h"
#include "basenc.h"
#include "chaosimg_ingest.h"
#include "chaosimg_names.h"
#include "fsck.h"
#include "hex.h"
#include "ingest.h"
#include "ingest_session.h"
#include "keyring.h"
#include "keyset.h"

/* An archive and its parameters; and somebody who has only these. */
struct both {
	char path[512];
	char params[512];
	struct chaosimg_archive *in;
	struct chaosimg_archive *whole;
	uint8_t root[CHAOSIMG_ID_SIZE];
};

static void make(struct both *b, const char *name)
{
	struct chaosimg_archive *a;

	memset(b, 0, sizeof(*b));
	snprintf(b->path, sizeof(b->path), "%s", arc_make(name));
	snprintf(b->params, sizeof(b->params), "%.500s.params", b->path);
	a = arc_must_open(b->path, CHAOSIMG_ARCHIVE_RDONLY);
	assert_int_equal(chaosimg_ingest_export(a, b->params), 0);
	chaosimg_archive_close(a);
}

static void begin(struct both *b, uint32_t epoch)
{
	assert_int_equal(chaosimg_ingest_open(b->path, b->params, epoch,
					      &b->in), 0);
	assert_int_equal(chaosimg_archive_lock(b->in), 0);
}

static void open_whole(struct both *b)
{
	b->whole = arc_must_open(b->path, CHAOSIMG_ARCHIVE_NOLOCK);
	assert_int_equal(chaosimg_dir_load(b->whole, b->whole->data_fd, NULL,
					   b->root), 0);
}

static void end(struct both *b)
{
	chaosimg_archive_close(b->in);
	chaosimg_archive_close(b->whole);
}

static int file_fd(int dirfd, const char *name, int flags)
{
	int fd = openat(dirfd, name, flags | O_RDWR | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	return fd;
}

static void write_file(struct chaosimg_archive *a, int dirfd, const char *name,
		       const uint8_t *binding)
{
	struct chaosimg_file *f;

	assert_int_equal(chaosimg_file_create(a, file_fd(dirfd, name, O_CREAT),
					      binding, &f), 0);
	assert_int_equal(chaosimg_file_write(f, "images", 6, 0), 6);
	assert_int_equal(chaosimg_file_close(f), 0);
}

static int read_file(struct chaosimg_archive *a, int dirfd, const char *name,
		     const uint8_t *binding)
{
	struct chaosimg_file *f;
	char text[8] = "";
	int ret = chaosimg_file_open(a, file_fd(dirfd, name, 0), binding, 0, &f);

	if (ret)
		return ret;
	assert_int_equal(chaosimg_file_read(f, text, sizeof(text), 0), 6);
	assert_string_equal(text, "images");
	assert_int_equal(chaosimg_file_close(f), 0);
	return 0;
}

/* The session's directory as the archive's holder finds it. */
static int enter(struct both *b, uint8_t id[CHAOSIMG_ID_SIZE])
{
	char name[CHAOSIMG_NAME_MAX + 1] = INGEST_SHOWN;
	struct chaosimg_stored_name sn;
	struct chaosimg_place place;
	int fd;

	hex_encode(ingest_session(b->in->ingest), CHAOSIMG_ID_SIZE,
		   name + strlen(name));
	assert_int_equal(chaosimg_name_encrypt(b->whole, b->root, name, &sn),
			 0);
	assert_true(chaosimg_ingest_reserved(sn.name));
	fd = openat(b->whole->data_fd, sn.name, O_RDONLY | O_DIRECTORY);
	assert_true(fd >= 0);
	memcpy(place.parent, b->root, sizeof(place.parent));
	memcpy(place.binding, sn.binding, sizeof(place.binding));
	assert_int_equal(chaosimg_dir_load(b->whole, fd, &place, id), 0);
	return fd;
}

static void a_public_wrap_opens_for_its_secret_only(void **state)
{
	uint8_t secret[2][PUBLIC_KEY] = { "one", "two" }, pub[PUBLIC_KEY];
	uint8_t in[40] = "keys", out[40];
	uint8_t wrapped[sizeof(in) + WRAP_PUBLIC_OVERHEAD];
	static const uint8_t low[PUBLIC_KEY];
	size_t i;

	(void)state;
	assert_int_equal(public_of(secret[0], pub), 0);
	assert_int_equal(wrap_public(pub, "aad", 3, in, sizeof(in), wrapped),
			 0);
	assert_int_equal(unwrap_private(secret[0], "aad", 3, wrapped, out,
					sizeof(out)), 0);
	assert_memory_equal(in, out, sizeof(in));
	assert_int_equal(unwrap_private(secret[1], "aad", 3, wrapped, out,
					sizeof(out)), -EKEYREJECTED);
	assert_int_equal(unwrap_private(secret[0], "aax", 3, wrapped, out,
					sizeof(out)), -EKEYREJECTED);
	for (i = 0; i < sizeof(wrapped); i++) {
		wrapped[i] ^= 4;
		assert_int_equal(unwrap_private(secret[0], "aad", 3, wrapped,
						out, sizeof(out)),
				 -EKEYREJECTED);
		wrapped[i] ^= 4;
	}
	memset(wrapped, 0, PUBLIC_KEY);
	assert_int_equal(unwrap_private(secret[0], "aad", 3, wrapped, out,
					sizeof(out)), -EKEYREJECTED);
	assert_int_equal(wrap_public(low, "aad", 3, in, sizeof(in), wrapped),
			 -EINVAL);
}

static void what_is_written_is_read_with_the_archive_key(void **state)
{
	uint8_t id[CHAOSIMG_ID_SIZE], top[CHAOSIMG_ID_SIZE];
	char name[CHAOSIMG_NAME_MAX + 1];
	struct chaosimg_stored_name sn;
	uint8_t binding[CHAOSIMG_BINDING_SIZE];
	struct both b;
	int fd;

	(void)state;
	make(&b, "written");
	begin(&b, 60);
	assert_int_equal(chaosimg_dir_load(b.in, b.in->data_fd, NULL, top), 0);
	assert_int_equal(chaosimg_name_encrypt(b.in, top, "CT", &sn), 0);
	write_file(b.in, b.in->data_fd, sn.name, sn.binding);
	open_whole(&b);
	fd = enter(&b, id);
	assert_memory_equal(id, top, sizeof(id));
	assert_int_equal(chaosimg_name_decrypt(b.whole, id, fd, sn.name, name,
					       binding), 0);
	assert_string_equal(name, "CT");
	assert_memory_equal(binding, sn.binding, sizeof(binding));
	assert_int_equal(read_file(b.whole, fd, sn.name, binding), 0);
	/* The other way round nothing opens. */
	assert_int_equal(chaosimg_name_encrypt(b.whole, b.root, "MR", &sn), 0);
	write_file(b.whole, b.whole->data_fd, sn.name, sn.binding);
	assert_int_equal(read_file(b.in, b.whole->data_fd, sn.name, NULL),
			 -EACCES);
	assert_int_equal(chaosimg_dir_load(b.in, b.whole->data_fd, NULL, id),
			 -EIO);
	close(fd);
	end(&b);
}

static void keys_are_forgotten_when_nothing_is_open(void **state)
{
	const uint8_t binding[CHAOSIMG_BINDING_SIZE] = "1234567890ingest";
	struct chaosimg_file *f;
	struct both b;

	(void)state;
	make(&b, "forgotten");
	begin(&b, 1);
	write_file(b.in, b.in->data_fd, "a", binding);
	assert_int_equal(read_file(b.in, b.in->data_fd, "a", binding), 0);
	assert_int_equal(chaosimg_file_create(b.in,
			file_fd(b.in->data_fd, "b", O_CREAT), binding, &f), 0);
	sleep(2);
	chaosimg_ingest_expire(b.in);
	/* Who is writing may finish. */
	assert_int_equal(chaosimg_file_write(f, "images", 6, 0), 6);
	assert_int_equal(chaosimg_file_close(f), 0);
	assert_int_equal(read_file(b.in, b.in->data_fd, "a", binding),
			 -EACCES);
	assert_int_equal(read_file(b.in, b.in->data_fd, "b", binding),
			 -EACCES);
	write_file(b.in, b.in->data_fd, "c", binding);
	assert_int_equal(read_file(b.in, b.in->data_fd, "c", binding), 0);
	open_whole(&b);
	assert_int_equal(read_file(b.whole, b.in->data_fd, "a", binding), 0);
	assert_int_equal(read_file(b.whole, b.in->data_fd, "b", binding), 0);
	end(&b);
}

/* --- several at once ---------------------------------------------------------- */

enum { WRITERS = 4, SECONDS = 3 };

/* cmocka's assertions are for one thread: another one leaves what it got. */
struct job {
	struct both *b;
	int number;
	unsigned int files;
	int64_t wrong;
	char why[256];
};

static const uint8_t anywhere[CHAOSIMG_BINDING_SIZE] = "1234567890ingest";

static int write_one(struct job *j, int fd)
{
	struct chaosimg_file *f;
	ssize_t n;
	int ret = chaosimg_file_create(j->b->in, fd, anywhere, &f);

	if (ret)
		return ret;
	n = chaosimg_file_write(f, "images", 6, 0);
	ret = chaosimg_file_close(f);
	return n == 6 ? ret : (int)n;
}

/* What was made can be read for a while. */
static int read_one(struct job *j, int fd)
{
	struct chaosimg_file *f;
	char text[8] = "";
	ssize_t n;
	int ret = chaosimg_file_open(j->b->in, fd, anywhere, 0, &f);

	if (ret)
		return ret == -EACCES ? 0 : ret;
	n = chaosimg_file_read(f, text, sizeof(text), 0);
	ret = chaosimg_file_close(f);
	return n == 6 && !strcmp(text, "images") ? ret : -EIO;
}

static int open_one(struct job *j, int flags)
{
	char name[32];

	snprintf(name, sizeof(name), "%d-%u", j->number, j->files);
	return openat(j->b->in->data_fd, name, flags | O_RDWR | O_CLOEXEC,
		      0600);
}

/* Keysets come and go meanwhile. */
static void *write_on(void *arg)
{
	struct job *j = arg;
	const time_t end = time(NULL) + SECONDS;

	while (time(NULL) < end && !j->wrong) {
		j->wrong = write_one(j, open_one(j, O_CREAT));
		if (!j->wrong)
			j->wrong = read_one(j, open_one(j, 0));
		j->files++;
		chaosimg_ingest_expire(j->b->in);
	}
	if (j->wrong)
		snprintf(j->why, sizeof(j->why), "%s", chaosimg_errmsg());
	return NULL;
}

static void keysets_change_under_writers(void **state)
{
	struct job job[WRITERS];
	pthread_t thread[WRITERS];
	char name[32];
	struct both b;

	(void)state;
	make(&b, "writers");
	begin(&b, 1);
	for (int i = 0; i < WRITERS; i++) {
		job[i] = (struct job){ .b = &b, .number = i };
		assert_int_equal(pthread_create(&thread[i], NULL, write_on,
						&job[i]), 0);
	}
	for (int i = 0; i < WRITERS; i++)
		pthread_join(thread[i], NULL);
	open_whole(&b);
	for (int i = 0; i < WRITERS; i++) {
		if (job[i].wrong)
			fail_msg("%" PRId64 " %s", job[i].wrong, job[i].why);
		while (job[i].files) {
			snprintf(name, sizeof(name), "%d-%u", i,
				 --job[i].files);
			assert_int_equal(read_file(b.whole, b.in->data_fd,
						   name, anywhere), 0);
		}
	}
	end(&b);
}

/* Stored names are there for all to see, so anybody knows their bindings. */
static void its_files_stand_nowhere_else(void **state)
{
	struct chaosimg_stored_name sn;
	struct chaosimg_file *f;
	struct both b;
	int fd;

	(void)state;
	make(&b, "files");
	begin(&b, 60);
	open_whole(&b);
	fd = b.whole->data_fd;
	assert_int_equal(chaosimg_name_encrypt(b.whole, b.root, "CT", &sn), 0);
	write_file(b.in, fd, sn.name, sn.binding);
	assert_int_equal(read_file(b.whole, fd, sn.name, sn.binding), -EIO);
	assert_int_equal(chaosimg_file_open(b.whole, file_fd(fd, sn.name, 0),
					    NULL, CHAOSIMG_FILE_WRITE, &f), 0);
	assert_false(chaosimg_file_bound(f, sn.binding));
	assert_int_equal(chaosimg_file_bind(f, b.root), -EXDEV);
	assert_int_equal(chaosimg_file_close(f), 0);
	end(&b);
}

/* A directory's entry as somebody with a session's keys can make it. */
static void plant(struct both *b, int fd, const struct chaosimg_place *place)
{
	const uint8_t *session = ingest_session(b->in->ingest);
	uint8_t raw[2 * CHAOSIMG_ID_SIZE + DIR_MAC_SIZE], text[64], mac[32];
	char target[BASE64_LEN(sizeof(raw)) + 1];
	size_t n;

	assert_int_equal(ingest_dir_id(session, raw), 0);
	memcpy(raw + 16, session, 16);
	memcpy(text, "chaosimg dirs v1", 16);
	memcpy(text + 16, raw, 16);
	memcpy(text + 32, place->parent, 16);
	memcpy(text + 48, place->binding, 16);
	assert_non_null(EVP_Q_mac(NULL, "HMAC", NULL, "SHA256", NULL,
				  ingest_dir_mac(b->in->ingest), 32, text,
				  sizeof(text), mac, sizeof(mac), &n));
	memcpy(raw + 32, mac, DIR_MAC_SIZE);
	base64url_encode(raw, sizeof(raw), target);
	assert_int_equal(symlinkat(target, fd, CHAOSIMG_DIR_ENTRY), 0);
}

static int load_planted(struct both *b, const char *name,
			const uint8_t parent[CHAOSIMG_ID_SIZE],
			const uint8_t binding[CHAOSIMG_BINDING_SIZE])
{
	struct chaosimg_place place;
	uint8_t id[CHAOSIMG_ID_SIZE];
	int fd, ret;

	memcpy(place.parent, parent, sizeof(place.parent));
	memcpy(place.binding, binding, sizeof(place.binding));
	assert_int_equal(mkdirat(b->whole->data_fd, name, 0700), 0);
	fd = openat(b->whole->data_fd, name, O_RDONLY | O_DIRECTORY);
	plant(b, fd, &place);
	ret = chaosimg_dir_load(b->whole, fd, &place, id);
	close(fd);
	return ret;
}

static void its_directories_stand_nowhere_else(void **state)
{
	uint8_t id[CHAOSIMG_ID_SIZE], other[CHAOSIMG_ID_SIZE];
	struct chaosimg_stored_name sn;
	struct chaosimg_place place;
	struct both b;
	int fd;

	(void)state;
	make(&b, "dirs");
	begin(&b, 60);
	open_whole(&b);
	fd = enter(&b, id);
	assert_int_equal(chaosimg_name_encrypt(b.whole, b.root, "study", &sn),
			 0);
	assert_int_equal(load_planted(&b, "one", b.root, sn.binding), -EIO);
	/* The same below the session's root is one of its directories. */
	assert_int_equal(load_planted(&b, "two", id, sn.binding), 0);
	memcpy(other, id, sizeof(other));
	other[0] ^= 1;
	assert_int_equal(load_planted(&b, "three", other, sn.binding), -EIO);
	/* And it cannot be moved out. */
	memcpy(place.parent, b.root, sizeof(place.parent));
	memcpy(place.binding, sn.binding, sizeof(place.binding));
	assert_int_equal(chaosimg_dir_bind(b.whole, fd, id, &place, NULL),
			 -EXDEV);
	close(fd);
	end(&b);
}

/* Whoever made it knows its names' key, and which images are in it. */
static void it_does_not_stand_for_the_whole_archive(void **state)
{
	uint8_t id[CHAOSIMG_ID_SIZE];
	struct both b;
	int fd;

	(void)state;
	make(&b, "whole");
	begin(&b, 60);
	open_whole(&b);
	fd = enter(&b, id);
	assert_int_equal(chaosimg_dir_load(b.whole, fd, NULL, id), -EIO);
	assert_int_equal(chaosimg_dir_load(b.in, fd, NULL, id), 0);
	close(fd);
	end(&b);
}

/* Before there were ingest mounts, ids were drawn with any end. */
static void an_older_directory_may_have_such_an_id(void **state)
{
	static const uint8_t old[CHAOSIMG_ID_SIZE] = "an old one's ing";
	struct chaosimg_stored_name sn;
	struct chaosimg_place place;
	char name[CHAOSIMG_NAME_MAX + 1];
	uint8_t id[CHAOSIMG_ID_SIZE], binding[CHAOSIMG_BINDING_SIZE];
	struct both b;
	int fd;

	(void)state;
	make(&b, "older");
	open_whole(&b);
	assert_true(ingest_is_dir(old));
	memcpy(place.parent, b.root, sizeof(place.parent));
	memset(place.binding, 7, sizeof(place.binding));
	assert_int_equal(mkdirat(b.whole->data_fd, "d", 0700), 0);
	fd = openat(b.whole->data_fd, "d", O_RDONLY | O_DIRECTORY);
	assert_int_equal(chaosimg_dir_bind(b.whole, fd, old, &place, NULL), 0);
	assert_int_equal(chaosimg_dir_load(b.whole, fd, &place, id), 0);
	assert_memory_equal(id, old, sizeof(id));
	assert_int_equal(chaosimg_name_encrypt(b.whole, id, "CT", &sn), 0);
	assert_false(ingest_is_binding(sn.binding));
	assert_int_equal(chaosimg_name_decrypt(b.whole, id, fd, sn.name, name,
					       binding), 0);
	assert_string_equal(name, "CT");
	assert_memory_equal(binding, sn.binding, sizeof(binding));
	close(fd);
	end(&b);
}

/* All of a session's begin and end alike. */
static void fsck_tells_its_directories_apart(void **state)
{
	static const uint8_t session[CHAOSIMG_ID_SIZE] = "a session's id.";
	struct idset s = { .lock = PTHREAD_MUTEX_INITIALIZER };
	uint8_t id[CHAOSIMG_ID_SIZE];

	(void)state;
	for (uint64_t ino = 1; ino < 20000; ino++) {
		assert_int_equal(ingest_dir_id(session, id), 0);
		assert_int_equal(idset_add(&s, id, ino), 0);
	}
	assert_int_equal(idset_add(&s, id, 1), -EEXIST);
	free(s.slot);
}

/* --- compartments ------------------------------------------------------------ */

static struct chaosimg_credential *compartments(struct both *b,
						unsigned int set)
{
	char *path = arc_in_top("part.key");
	struct chaosimg_credential *cred;

	unlink(path);
	assert_int_equal(chaosimg_compartments_export(b->whole, set, path), 0);
	assert_int_equal(chaosimg_credential_keyfile(path, &cred), 0);
	return cred;
}

static void compartments_open_their_part(void **state)
{
	const unsigned int clinical = held_bit(CHAOSIMG_CLINICAL);
	const unsigned int identity = held_bit(CHAOSIMG_IDENTITY);
	uint8_t id[CHAOSIMG_ID_SIZE];
	struct chaosimg_credential *cred;
	struct chaosimg_stored_name sn;
	struct both b;
	int fd;

	(void)state;
	make(&b, "compartments");
	begin(&b, 60);
	open_whole(&b);
	assert_int_equal(chaosimg_dir_load(b.in, b.in->data_fd, NULL, id), 0);
	assert_int_equal(chaosimg_name_encrypt(b.in, id, "CT", &sn), 0);
	write_file(b.in, b.in->data_fd, sn.name, sn.binding);
	for (unsigned int set = clinical; set <= HELD_ALL; set++) {
		struct both part = b;
		struct chaosimg_stored_name found;

		cred = compartments(&b, set);
		assert_int_equal(chaosimg_archive_open(b.path, cred,
				 CHAOSIMG_ARCHIVE_RDONLY, &part.whole), 0);
		chaosimg_credential_free(cred);
		assert_int_equal(chaosimg_dir_load(part.whole,
				 part.whole->data_fd, NULL, part.root), 0);
		fd = enter(&part, id);
		assert_int_equal(chaosimg_name_find(part.whole, id, fd,
				 set & identity ? "CT" : sn.name, &found), 0);
		assert_string_equal(found.name, sn.name);
		assert_memory_equal(found.binding, sn.binding,
				    sizeof(sn.binding));
		/* What is no image is of identity. */
		if (set & identity)
			assert_int_equal(read_file(part.whole, fd, sn.name,
						   sn.binding), 0);
		close(fd);
		chaosimg_archive_close(part.whole);
	}
	end(&b);
}

/* Its id is in the configuration, for all to see. */
static void no_keyset_of_the_archive_is_replaced(void **state)
{
	struct chaosimg_credential *cred;
	struct chaosimg_archive *a;
	struct keyset ks;
	struct both b;

	(void)state;
	make(&b, "replaced");
	begin(&b, 60);
	open_whole(&b);
	ks = *keyring_newest(b.whole->ring);
	memset(ks.key, 1, sizeof(ks.key));
	assert_int_equal(keyset_store(b.in, b.path, &ks, NULL, 0), 0);
	assert_int_equal(chaosimg_archive_open(b.path, arc_key,
					       CHAOSIMG_ARCHIVE_NOLOCK, &a),
			 -ENOKEY);
	/* Nor for who knows the archive by its shares only. */
	cred = compartments(&b, HELD_ALL);
	assert_int_equal(chaosimg_archive_open(b.path, cred,
					       CHAOSIMG_ARCHIVE_RDONLY, &a),
			 -EKEYREJECTED);
	chaosimg_credential_free(cred);
	end(&b);
}

static int try_params(struct both *b, const char *path, const char *params)
{
	struct chaosimg_archive *a = NULL;
	int ret = chaosimg_ingest_open(path, params, 60, &a);

	(void)b;
	assert_null(a);
	assert_null(strchr(chaosimg_errmsg(), '\n'));
	assert_non_null(strstr(chaosimg_errmsg(), ret == -EINVAL ? path :
			       params));
	return ret;
}

static void bad_parameters_are_told_of(void **state)
{
	char *bad = arc_in_top("bad.params"), *text;
	struct chaosimg_archive *a;
	struct both b, other;
	size_t len;

	(void)state;
	make(&b, "params");
	make(&other, "params-other");
	assert_int_equal(try_params(&b, b.path, arc_in_top("none")), -ENOENT);
	arc_spit(bad, "nonsense\n", 9);
	assert_int_equal(try_params(&b, b.path, bad), -EBADMSG);
	assert_int_equal(try_params(&b, other.path, b.params), -EINVAL);
	text = arc_slurp(b.params, &len);
	*strchr(strstr(text, "public_key") + 14, 'a') = 'b';
	arc_spit(bad, text, len);
	assert_int_equal(try_params(&b, b.path, bad), -EBADMSG);
	free(text);
	assert_int_equal(chaosimg_ingest_open(b.path, b.params, 0, &a),
			 -EINVAL);
	a = arc_must_open(b.path, CHAOSIMG_ARCHIVE_RDONLY);
	assert_int_equal(chaosimg_ingest_export(a, b.params), -EEXIST);
	chaosimg_archive_close(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_public_wrap_opens_for_its_secret_only),
		cmocka_unit_test(what_is_written_is_read_with_the_archive_key),
		cmocka_unit_test(keys_are_forgotten_when_nothing_is_open),
		cmocka_unit_test(keysets_change_under_writers),
		cmocka_unit_test(its_files_stand_nowhere_else),
		cmocka_unit_test(its_directories_stand_nowhere_else),
		cmocka_unit_test(it_does_not_stand_for_the_whole_archive),
		cmocka_unit_test(an_older_directory_may_have_such_an_id),
		cmocka_unit_test(fsck_tells_its_directories_apart),
		cmocka_unit_test(compartments_open_their_part),
		cmocka_unit_test(no_keyset_of_the_archive_is_replaced),
		cmocka_unit_test(bad_parameters_are_told_of),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, arc_set_up, arc_tear_down);
}
