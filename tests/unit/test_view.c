// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Files as those see them who hold some compartments: byte for byte what the
 * mask says, for pydicom's files and every set of keys; and what becomes of it
 * when mask and parts are damaged or do not fit.
 */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "dicom_mask.h"
#include "file.h"
#include "file_env.h"
#include "rng.h"

#define SAMPLES "/usr/lib/python3/dist-packages/pydicom/data/*/*"

enum { CHUNK = 4096, ROOM = 4 << 20, READS = 40 };

static const uint8_t binding[CHAOSIMG_BINDING_SIZE] = "a name's binding";
static struct chaosimg_archive *whole, *part[HELD_ALL + 1];
static uint64_t rng_state = 1;

/* An archive like the whole one, with the keys of @held and no others. */
static struct chaosimg_archive *make_partial(unsigned int held)
{
	struct keyset ks = *keyring_newest(whole->ring);
	struct chaosimg_archive *a;
	uint8_t key[CHAOSIMG_KEY_SIZE] = { 0 };
	int c;

	for (c = 0; c < COMPARTMENTS; c++)
		if (!(held & held_bit(c)))
			memset(ks.key[c], 0, sizeof(ks.key[c]));
	ks.held = held;
	if (archive_new(whole->id, key, CHUNK, &a))
		return NULL;
	a->flags = CHAOSIMG_ARCHIVE_RDONLY;
	a->held = held;
	return keyring_add(a->ring, &ks) ? NULL : a;
}

static int setup(void **state)
{
	unsigned int held;

	(void)state;
	whole = file_env_archive(CHUNK);
	for (held = 1; whole && held < HELD_ALL; held++) {
		part[held] = make_partial(held);
		if (!part[held])
			return -1;
	}
	return whole ? 0 : -1;
}

static int teardown(void **state)
{
	unsigned int held;

	(void)state;
	for (held = 1; held < HELD_ALL; held++)
		chaosimg_archive_close(part[held]);
	chaosimg_archive_close(whole);
	return 0;
}

/* --- a file, and what it must look like ------------------------------------- */

static struct {
	const char *name;
	uint8_t data[ROOM];
	uint64_t len;
	struct dicom_mask mask;
	bool dicom;
} want;

static ssize_t read_want(void *ctx, void *buf, size_t len, uint64_t off)
{
	(void)ctx;
	memcpy(buf, want.data + off, len);
	return (ssize_t)len;
}

static void take_want(const char *name)
{
	const struct dicom_source src = {
		.read = read_want, .length = want.len
	};
	uint8_t key[DICOM_UID_KEY];
	struct dicom_info info;
	int ret;

	want.name = name;
	dicom_mask_free(&want.mask);
	assert_int_equal(keyring_subkey(whole->ring, "chaosimg uid key v1",
					key, sizeof(key)), 0);
	ret = dicom_mask_make(&src, key, NULL, &info, &want.mask);
	assert_true(ret >= 0);
	want.dicom = ret;
}

static bool take_sample(const char *path)
{
	FILE *in = fopen(path, "rb");

	if (!in)
		return false;
	want.len = fread(want.data, 1, ROOM, in);
	fclose(in);
	if (!want.len || want.len == ROOM)
		return false;
	take_want(path);
	return true;
}

/* Stored and sealed. Return: a descriptor. */
static int store(void)
{
	int fd = memfd_create("stored", MFD_CLOEXEC);
	struct chaosimg_file *f;

	assert_true(fd >= 0);
	assert_int_equal(chaosimg_file_create(whole, dup(fd), binding, &f), 0);
	assert_int_equal(chaosimg_file_write(f, want.data, want.len, 0),
			 want.len);
	assert_int_equal(chaosimg_file_close(f), 0);
	return fd;
}

static int open_held(int fd, unsigned int held, struct chaosimg_file **f)
{
	return chaosimg_file_open(held == HELD_ALL ? whole : part[held],
				  dup(fd), binding, 0, f);
}

/* Of all of the file, by @held. */
static void expected(unsigned int held, uint8_t *out)
{
	memcpy(out, want.data, want.len);
	if (want.dicom)
		dicom_mask_apply(&want.mask, held, out, want.len, 0);
	else if (!(held & held_bit(CHAOSIMG_IDENTITY)))
		memset(out, 0, want.len);
}

static void check_reads(struct chaosimg_file *f, const uint8_t *must)
{
	static uint8_t got[ROOM];
	int i;

	assert_int_equal(chaosimg_file_length(f), want.len);
	assert_int_equal(chaosimg_file_read(f, got, ROOM, 0), want.len);
	if (memcmp(got, must, want.len))
		fail_msg("%s: is shown otherwise", want.name);
	for (i = 0; i < READS; i++) {
		uint64_t off = rng_next(&rng_state) % want.len;
		size_t len = rng_next(&rng_state) % (5 * CHUNK);
		ssize_t n = chaosimg_file_read(f, got, len, off);

		assert_int_equal(n, len < want.len - off ? len :
							   want.len - off);
		if (memcmp(got, must + off, (size_t)n))
			fail_msg("%s: %zu bytes from %llu are shown otherwise",
				 want.name, len, (unsigned long long)off);
	}
	assert_int_equal(chaosimg_file_read(f, got, 1, want.len), 0);
}

static void check_view(int fd, unsigned int held)
{
	static uint8_t must[ROOM];
	struct chaosimg_file *f;

	assert_int_equal(open_held(fd, held, &f), 0);
	expected(held, must);
	check_reads(f, must);
	assert_int_equal(chaosimg_file_write(f, must, 1, 0), -EROFS);
	assert_int_equal(chaosimg_file_truncate(f, 0), -EROFS);
	assert_int_equal(chaosimg_file_verify(f), -EACCES);
	if (f->view) {
		assert_int_equal(chaosimg_file_seek(f, 0, SEEK_DATA), 0);
		assert_int_equal(chaosimg_file_seek(f, 0, SEEK_HOLE), want.len);
	}
	assert_int_equal(chaosimg_file_close(f), 0);
}

/* Even without any check for what is held, the keys are not there. */
static void check_keys(int fd, unsigned int held)
{
	uint8_t rec[CHUNK + RECORD_OVERHEAD], out[CHUNK];
	struct keyset ks = *keyring_newest(part[held]->ring);
	struct chaosimg_file *f;
	struct file_keys *k;
	uint64_t n;

	ks.held = HELD_ALL;
	assert_int_equal(open_held(fd, held, &f), 0);
	assert_int_equal(file_keys_new(whole, &ks, f->snap.file_id, &k), 0);
	for (n = 0; n < chunk_count(want.len, CHUNK); n++) {
		uint32_t len = chunk_len(want.len, CHUNK, n);
		unsigned int set;

		if (holes_has(&f->holes, n))
			continue;
		assert_int_equal(read_full(fd, rec, record_size(len),
					   record_at(CHUNK, n)),
				 record_size(len));
		set = record_set(rec);
		assert_int_equal(record_open(k, f->snap.file_id, n, rec, len,
					     out), set & ~held ? -EIO : 0);
	}
	file_keys_free(k);
	assert_int_equal(chaosimg_file_close(f), 0);
}

static void files_look_as_their_masks_say(void **state)
{
	unsigned int held, files = 0;
	glob_t samples;
	size_t i;

	(void)state;
	if (glob(SAMPLES, 0, NULL, &samples))
		skip();
	for (i = 0; i < samples.gl_pathc; i++) {
		int fd;

		if (!take_sample(samples.gl_pathv[i]))
			continue;
		fd = store();
		for (held = 1; held < HELD_ALL; held++) {
			check_view(fd, held);
			check_keys(fd, held);
		}
		close(fd);
		files += want.dicom;
	}
	globfree(&samples);
	print_message("# %u DICOM files\n", files);
	assert_true(files > 50);
}

static void what_is_no_dicom_is_zeros(void **state)
{
	unsigned int held;
	int fd;

	(void)state;
	for (want.len = 1; want.len < 5 * CHUNK; want.len += 1999) {
		memset(want.data, 'x', want.len);
		take_want("letter");
		assert_false(want.dicom);
		fd = store();
		for (held = 1; held < HELD_ALL; held++)
			check_view(fd, held);
		close(fd);
	}
}

/* --- what is not sealed ------------------------------------------------------- */

static bool take_ct(void)
{
	return take_sample("/usr/lib/python3/dist-packages/pydicom/data/"
			   "test_files/CT_small.dcm");
}

static void a_file_that_is_open_shows_nothing(void **state)
{
	int fd = memfd_create("stored", MFD_CLOEXEC);
	static uint8_t got[ROOM];
	struct chaosimg_file *f, *p;
	unsigned int held;
	size_t i;

	(void)state;
	if (!take_ct())
		skip();
	assert_int_equal(chaosimg_file_create(whole, dup(fd), binding, &f), 0);
	assert_int_equal(chaosimg_file_write(f, want.data, want.len, 0),
			 want.len);
	assert_int_equal(chaosimg_file_sync(f), 0);
	assert_int_equal(chaosimg_file_write(f, "x", 1, 7000), 1);
	assert_int_equal(commit(f, 0), 0);
	for (held = 1; held < HELD_ALL; held++) {
		assert_int_equal(open_held(fd, held, &p), 0);
		assert_int_equal(chaosimg_file_read(p, got, ROOM, 0),
				 want.len);
		for (i = 0; i < want.len; i++)
			assert_int_equal(got[i], 0);
		assert_int_equal(chaosimg_file_close(p), 0);
	}
	assert_int_equal(chaosimg_file_close(f), 0);
	close(fd);
}

/* --- damage --------------------------------------------------------------------- */

static void flip(int fd, uint64_t at)
{
	uint8_t byte;

	assert_int_equal(pread(fd, &byte, 1, (off_t)at), 1);
	byte ^= 1;
	assert_int_equal(pwrite(fd, &byte, 1, (off_t)at), 1);
}

/* It is refused, or does not matter to this reader. */
static unsigned int refused(int fd, unsigned int held)
{
	static uint8_t must[ROOM], got[ROOM];
	struct chaosimg_file *f;
	ssize_t n;
	int err = open_held(fd, held, &f);

	if (err) {
		assert_int_equal(err, -EIO);
		return 1;
	}
	expected(held, must);
	n = chaosimg_file_read(f, got, ROOM, 0);
	if (n < 0)
		assert_int_equal(n, -EIO);
	else
		assert_memory_equal(got, must, want.len);
	chaosimg_file_close(f);
	return n < 0;
}

/* Return: a file; where its parts are stored */
static int store_with_parts(struct parts *parts)
{
	struct chaosimg_file *f;
	int fd = store();

	assert_int_equal(open_held(fd, 1, &f), 0);
	*parts = f->snap.parts;
	assert_true(parts->length > 0);
	chaosimg_file_close(f);
	return fd;
}

static void damage_gives_an_error_or_nothing(void **state)
{
	unsigned int held, count = 0;
	struct parts parts;
	uint64_t at, end;
	int fd;

	(void)state;
	if (!take_ct())
		skip();
	fd = store_with_parts(&parts);
	end = parts.offset + parts.length;
	for (at = HEADER_SIZE; at < end; at += 97) {
		flip(fd, at);
		for (held = 1; held < HELD_ALL; held++)
			count += refused(fd, held);
		flip(fd, at);
	}
	print_message("# %u times refused\n", count);
	assert_true(count > 100);
	for (held = 1; held < HELD_ALL; held++)
		check_view(fd, held);
	close(fd);
}

/* Its first byte says which compartments' keys a record is under. */
static void a_record_of_other_compartments_is_damage(void **state)
{
	unsigned int held, count = 0;
	struct parts parts;
	uint64_t k;
	int fd;

	(void)state;
	if (!take_ct())
		skip();
	fd = store_with_parts(&parts);
	for (k = 0; k <= chunk_count(want.len, CHUNK); k++) {
		bool last = k == chunk_count(want.len, CHUNK);
		uint64_t at = last ? parts.offset : record_at(CHUNK, k);

		flip(fd, at);
		for (held = 1; held < HELD_ALL; held++)
			count += refused(fd, held);
		flip(fd, at);
	}
	assert_true(count > HELD_ALL);
	close(fd);
}

/* The other slot may be from when the file was open and showed nothing. */
static void a_damaged_slot_does_not_blank_a_file(void **state)
{
	unsigned int held, count = 0;
	struct chaosimg_file *f;
	int fd, slot;

	(void)state;
	if (!take_ct())
		skip();
	fd = store();
	assert_int_equal(chaosimg_file_open(whole, dup(fd), binding,
					    CHAOSIMG_FILE_WRITE, &f), 0);
	assert_int_equal(chaosimg_file_write(f, want.data, 1, 0), 1);
	assert_int_equal(chaosimg_file_close(f), 0);
	for (slot = 0; slot < HEADER_SLOTS; slot++) {
		flip(fd, slot * HEADER_SLOT + 1000);
		for (held = 1; held < HELD_ALL; held++)
			count += refused(fd, held);
		flip(fd, slot * HEADER_SLOT + 1000);
	}
	assert_int_equal(count, HELD_ALL - 1);
	for (held = 1; held < HELD_ALL; held++)
		check_view(fd, held);
	close(fd);
}

/* --- parts that do not fit ------------------------------------------------------- */

/* Whoever has any key can write a header and a mask that are authentic. */
static void put_parts(int fd, struct part parts[PART_COUNT])
{
	struct chaosimg_file *f;
	struct header h;

	assert_int_equal(open_held(fd, HELD_ALL, &f), 0);
	h = f->snap;
	assert_int_equal(parts_write(f, parts, &h), 0);
	assert_int_equal(header_write(f, &h, true), 0);
	f->changed = false;
	chaosimg_file_close(f);
}

static void get_parts(int fd, struct part parts[PART_COUNT])
{
	struct chaosimg_file *f;

	assert_int_equal(open_held(fd, HELD_ALL, &f), 0);
	assert_int_equal(parts_read(f, 15, parts), 0);
	chaosimg_file_close(f);
}

static void parts_that_do_not_fit_are_refused(void **state)
{
	struct part parts[PART_COUNT], other[PART_COUNT];
	struct chaosimg_file *f;
	unsigned int held;
	size_t len, i;
	int fd, fd2;

	(void)state;
	if (!take_sample("/usr/lib/python3/dist-packages/pydicom/data/"
			 "test_files/MR_small.dcm"))
		skip();
	fd2 = store();
	get_parts(fd2, other);
	assert_true(take_ct());
	fd = store();
	get_parts(fd, parts);
	/* Cut short, each of them; and another file's mask. */
	for (i = 0; i < PART_COUNT; i++) {
		len = parts[i].len;
		for (parts[i].len = 0; parts[i].len + 1 < len;
		     parts[i].len += 1 + len / 7) {
			put_parts(fd, parts);
			for (held = 1; held < HELD_ALL; held++)
				assert_int_equal(open_held(fd, held, &f), -EIO);
		}
		parts[i].len = len;
	}
	for (i = 0; i < PART_COUNT; i++) {
		struct part own = parts[i];

		if (other[i].len == own.len)
			continue;
		parts[i] = other[i];
		put_parts(fd, parts);
		parts[i] = own;
		for (held = 1; held < HELD_ALL; held++)
			assert_int_equal(open_held(fd, held, &f), -EIO);
	}
	/* A mask of noise leads to no harm. */
	for (i = 0; i < 300; i++) {
		size_t at = rng_next(&rng_state) % parts[PART_MASK].len;
		uint8_t old = parts[PART_MASK].data[at];
		static uint8_t got[ROOM];

		parts[PART_MASK].data[at] = (uint8_t)rng_next(&rng_state);
		put_parts(fd, parts);
		parts[PART_MASK].data[at] = old;
		held = 1 + i % (HELD_ALL - 1);
		if (open_held(fd, held, &f))
			continue;
		chaosimg_file_read(f, got, ROOM, 0);
		chaosimg_file_close(f);
	}
	put_parts(fd, parts);
	for (held = 1; held < HELD_ALL; held++)
		check_view(fd, held);
	parts_free(parts);
	parts_free(other);
	close(fd);
	close(fd2);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(files_look_as_their_masks_say),
		cmocka_unit_test(what_is_no_dicom_is_zeros),
		cmocka_unit_test(a_file_that_is_open_shows_nothing),
		cmocka_unit_test(damage_gives_an_error_or_nothing),
		cmocka_unit_test(a_record_of_other_compartments_is_damage),
		cmocka_unit_test(a_damaged_slot_does_not_blank_a_file),
		cmocka_unit_test(parts_that_do_not_fit_are_refused),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, setup, teardown);
}
