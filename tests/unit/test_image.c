// SPDX-License-Identifier: GPL-2.0-or-later
/* Single images: what comes back, and what is refused. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "archive.h"
#include "image_envelope.h"

static struct chaosimg_credential *key, *other_key;

static struct chaosimg_credential *new_key(void)
{
	char path[] = "/tmp/chaosimg-key-XXXXXX";
	struct chaosimg_credential *c;
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	close(fd);
	unlink(path);
	assert_int_equal(chaosimg_keyfile_create(path), 0);
	assert_int_equal(chaosimg_credential_keyfile(path, &c), 0);
	unlink(path);
	return c;
}

static int make_keys(void **state)
{
	(void)state;
	key = new_key();
	other_key = new_key();
	return 0;
}

static int free_keys(void **state)
{
	(void)state;
	chaosimg_credential_free(key);
	chaosimg_credential_free(other_key);
	return 0;
}

/* A file in memory. */
static int new_file(const void *data, size_t len)
{
	int fd = memfd_create("image", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, len), len);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	return fd;
}

static uint8_t *contents(int fd, size_t *len)
{
	struct stat st;
	uint8_t *buf;

	assert_int_equal(fstat(fd, &st), 0);
	*len = (size_t)st.st_size;
	buf = malloc(*len + 1);
	assert_int_equal(pread(fd, buf, *len, 0), st.st_size);
	return buf;
}

static uint8_t *random_data(size_t len)
{
	uint8_t *p = malloc(len + 1);

	assert_int_equal(random_bytes(p, len), 0);
	return p;
}

/* An encrypted file in memory. */
static int encrypted(const uint8_t *data, size_t len)
{
	int in = new_file(data, len), out = new_file("", 0);

	assert_int_equal(chaosimg_image_encrypt(key, in, out, NULL), 0);
	close(in);
	return out;
}

/* Is what decryption writes all of @data, or with an error a part of it? */
static int check_decrypt(int in, const uint8_t *data, size_t len)
{
	int out = new_file("", 0);
	int ret = chaosimg_image_decrypt(key, in, out, NULL);
	size_t got_len;
	uint8_t *got = contents(out, &got_len);

	if (ret)
		assert_true(got_len <= len);
	else
		assert_int_equal(got_len, len);
	assert_memory_equal(got, data, got_len);
	free(got);
	close(out);
	return ret;
}

static void every_length_comes_back(void **state)
{
	static const size_t lengths[] = {
		0, 1, 15, 16, 65535, 65536, 65537, 1048575, 1048576, 1048577,
		3000000,
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		uint8_t *data = random_data(lengths[i]);
		int fd = encrypted(data, lengths[i]);

		assert_int_equal(check_decrypt(fd, data, lengths[i]), 0);
		close(fd);
		free(data);
	}
}

static uint64_t last_progress;

static void note_progress(uint64_t done)
{
	assert_true(done >= last_progress);
	last_progress = done;
}

static void feed(int fd, const uint8_t *data, size_t len)
{
	size_t n;

	while (len) {
		n = len < 1000 ? len : 1000;
		if (write(fd, data, n) != (ssize_t)n)
			_exit(1);
		data += n;
		len -= n;
	}
	_exit(0);
}

static void pipes_do_in_small_pieces(void **state)
{
	size_t len = 2500000;
	uint8_t *data = random_data(len);
	int p[2], out = new_file("", 0), status;
	pid_t pid;

	(void)state;
	assert_int_equal(pipe(p), 0);
	pid = fork();
	if (!pid)
		feed(p[1], data, len);
	close(p[1]);
	last_progress = 0;
	assert_int_equal(chaosimg_image_encrypt(key, p[0], out, note_progress),
			 0);
	assert_int_equal(last_progress, len);
	close(p[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(check_decrypt(out, data, len), 0);
	close(out);
	free(data);
}

static void decryption_appends_where_the_output_stands(void **state)
{
	int in = encrypted((const uint8_t *)"image", 5);
	int out = new_file("before ", 7);
	size_t len;
	uint8_t *got;

	(void)state;
	assert_int_equal(lseek(out, 0, SEEK_END), 7);
	assert_int_equal(chaosimg_image_decrypt(key, in, out, NULL), 0);
	got = contents(out, &len);
	assert_int_equal(len, 12);
	assert_memory_equal(got, "before image", 12);
	free(got);
	close(in);
	close(out);
}

static void wrong_credentials_are_refused(void **state)
{
	int in = encrypted((const uint8_t *)"image", 5), out = new_file("", 0);
	struct chaosimg_credential *pass;
	size_t len;

	(void)state;
	assert_int_equal(chaosimg_credential_passphrase("x", 1, &pass), 0);
	assert_int_equal(chaosimg_image_decrypt(other_key, in, out, NULL),
			 -EKEYREJECTED);
	assert_int_equal(chaosimg_image_decrypt(pass, in, out, NULL),
			 -EKEYREJECTED);
	assert_non_null(strstr(chaosimg_errmsg(), "wrong key"));
	free(contents(out, &len));
	assert_int_equal(len, 0);
	chaosimg_credential_free(pass);
	close(in);
	close(out);
}

static void passphrase_decrypts(void **state)
{
	struct chaosimg_credential *pass;
	int in = new_file("image", 5), mid = new_file("", 0);
	int out = new_file("", 0);
	uint8_t *got;
	size_t len;

	(void)state;
	assert_int_equal(chaosimg_credential_passphrase("x", 1, &pass), 0);
	assert_int_equal(chaosimg_image_encrypt(pass, in, mid, NULL), 0);
	assert_int_equal(chaosimg_image_decrypt(pass, mid, out, NULL), 0);
	got = contents(out, &len);
	assert_int_equal(len, 5);
	assert_memory_equal(got, "image", 5);
	free(got);
	chaosimg_credential_free(pass);
	close(in);
	close(mid);
	close(out);
}

static void output_must_be_empty_and_regular(void **state)
{
	int in = new_file("image", 5), out = new_file("x", 1), p[2];

	(void)state;
	assert_int_equal(chaosimg_image_encrypt(key, in, out, NULL), -EINVAL);
	assert_int_equal(pipe(p), 0);
	assert_int_equal(chaosimg_image_encrypt(key, in, p[1], NULL), -EINVAL);
	assert_int_equal(chaosimg_image_decrypt(key, p[0], out, NULL), -EINVAL);
	/* The image has not been read meanwhile. */
	assert_int_equal(lseek(in, 0, SEEK_CUR), 0);
	close(p[0]);
	close(p[1]);
	close(in);
	close(out);
}

static void unfinished_encryption_is_no_image(void **state)
{
	int in = open("/", O_RDONLY | O_DIRECTORY), out = new_file("", 0);

	(void)state;
	assert_int_equal(chaosimg_image_encrypt(key, in, out, NULL), -EISDIR);
	assert_int_equal(check_decrypt(out, (const uint8_t *)"", 0), -EBADMSG);
	assert_non_null(strstr(chaosimg_errmsg(), "not a chaosimg image"));
	close(in);
	close(out);
}

static void other_files_are_no_images(void **state)
{
	uint8_t *data = random_data(10000);
	int in = new_file(data, 10000), out = new_file("", 0);

	(void)state;
	assert_int_equal(chaosimg_image_decrypt(key, in, out, NULL), -EBADMSG);
	assert_non_null(strstr(chaosimg_errmsg(), "not a chaosimg image"));
	assert_int_equal(ftruncate(in, 0), 0);
	assert_int_equal(chaosimg_image_decrypt(key, in, out, NULL), -EBADMSG);
	close(in);
	close(out);
	free(data);
}

static void every_flipped_bit_is_harmless(void **state)
{
	static const char image[] = "a small image of 32 bytes or so";
	const uint8_t *data = (const uint8_t *)image;
	int fd = encrypted(data, sizeof(image)), ret;
	size_t len, i;
	uint8_t *stored = contents(fd, &len);
	size_t refused = 0;

	(void)state;
	for (i = 0; i < 8 * len; i++) {
		uint8_t byte = stored[i / 8] ^ (uint8_t)(1 << i % 8);

		assert_int_equal(pwrite(fd, &byte, 1, (off_t)(i / 8)), 1);
		/* check_decrypt() sees to it that no wrong byte comes out. */
		ret = check_decrypt(fd, data, sizeof(image));
		if (i / 8 < ENVELOPE_SIZE)
			assert_true(ret < 0);
		refused += ret < 0;
		assert_int_equal(pwrite(fd, &stored[i / 8], 1, (off_t)(i / 8)),
				 1);
	}
	print_message("# %zu of %zu flipped bits refused, the rest harmless\n",
		      refused, 8 * len);
	assert_int_equal(check_decrypt(fd, data, sizeof(image)), 0);
	close(fd);
	free(stored);
}

static void every_cut_is_refused(void **state)
{
	uint8_t *data = random_data(150000), *stored;
	int fd = encrypted(data, 150000);
	size_t len, i;

	(void)state;
	stored = contents(fd, &len);
	/* All short ones, then every so many, and the last ones. */
	for (i = 0; i < len; i += i < 5000 || i + 100 > len ? 1 : 997) {
		assert_int_equal(ftruncate(fd, (off_t)i), 0);
		assert_true(check_decrypt(fd, data, 150000) < 0);
		assert_int_equal(pwrite(fd, stored + i, len - i, (off_t)i),
				 len - i);
	}
	assert_int_equal(check_decrypt(fd, data, 150000), 0);
	assert_int_equal(pwrite(fd, "x", 1, (off_t)len), 1);
	assert_true(check_decrypt(fd, data, 150000) < 0);
	close(fd);
	free(stored);
	free(data);
}

/* The body of one image under the envelope of another. */
static void swapped_bodies_are_refused(void **state)
{
	int a = encrypted((const uint8_t *)"one", 3);
	int b = encrypted((const uint8_t *)"two", 3);
	size_t len;
	uint8_t *stored = contents(b, &len);

	(void)state;
	assert_int_equal(pwrite(a, stored + ENVELOPE_SIZE, len - ENVELOPE_SIZE,
				ENVELOPE_SIZE), len - ENVELOPE_SIZE);
	assert_true(check_decrypt(a, (const uint8_t *)"one", 3) < 0);
	free(stored);
	close(a);
	close(b);
}

static void no_plaintext_is_stored(void **state)
{
	uint8_t *data = random_data(100000), *stored;
	int fd = encrypted(data, 100000);
	size_t len, i;

	(void)state;
	stored = contents(fd, &len);
	for (i = 0; i + 16 <= 100000; i += 16)
		assert_null(memmem(stored, len, data + i, 16));
	free(stored);
	free(data);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_length_comes_back),
		cmocka_unit_test(pipes_do_in_small_pieces),
		cmocka_unit_test(decryption_appends_where_the_output_stands),
		cmocka_unit_test(wrong_credentials_are_refused),
		cmocka_unit_test(passphrase_decrypts),
		cmocka_unit_test(output_must_be_empty_and_regular),
		cmocka_unit_test(unfinished_encryption_is_no_image),
		cmocka_unit_test(other_files_are_no_images),
		cmocka_unit_test(every_flipped_bit_is_harmless),
		cmocka_unit_test(every_cut_is_refused),
		cmocka_unit_test(swapped_bodies_are_refused),
		cmocka_unit_test(no_plaintext_is_stored),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, make_keys, free_keys);
}
