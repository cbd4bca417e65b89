// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Sealed DICOM files: which set of compartments each record is under, and what
 * the parts hold, against what the mask says of every single byte. Files are
 * pydicom's and some made here, written in several ways and changed again.
 */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>
#include <cmocka.h>

#include "chaosimg.h"
#include "dicom_file.h"
#include "dicom_mask.h"
#include "file.h"
#include "file_env.h"
#include "rng.h"

#define SAMPLES "/usr/lib/python3/dist-packages/pydicom/data/*/*"

enum { CHUNK = 4096, ROOM = 4 << 20, SETS = 8 };

static struct chaosimg_archive *archive;
static const uint8_t binding[CHAOSIMG_BINDING_SIZE] = "a name's binding";
static uint64_t rng_state = 1, written;

ssize_t pwrite64(int fd, const void *buf, size_t len, off64_t off);

/* This stands before the C library's. */
ssize_t pwrite64(int fd, const void *buf, size_t len, off64_t off)
{
	ssize_t n = syscall(SYS_pwrite64, fd, buf, len, off);

	written += n > 0 ? (uint64_t)n : 0;
	return n;
}

static int setup(void **state)
{
	(void)state;
	archive = file_env_archive(CHUNK);
	return archive ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	chaosimg_archive_close(archive);
	return 0;
}

/* --- what is wanted ------------------------------------------------------- */

/* A file's contents, and the mask that belongs to them. */
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

static void make_mask(void)
{
	const struct dicom_source src = {
		.read = read_want, .length = want.len
	};
	uint8_t key[DICOM_UID_KEY];
	struct dicom_info info;
	int ret;

	dicom_mask_free(&want.mask);
	assert_int_equal(keyring_subkey(archive->ring, "chaosimg uid key v1",
					key, sizeof(key)), 0);
	ret = dicom_mask_make(&src, key, NULL, &info, &want.mask);
	assert_true(ret >= 0);
	want.dicom = ret;
}

/* The set of one byte. */
static unsigned int set_of(uint64_t at)
{
	uint64_t end;
	unsigned int owner = dicom_mask_owner(&want.mask, at, &end);

	return owner == DICOM_EVERYONE ? 0 : 1u << owner;
}

static unsigned int wanted_set(uint64_t k, uint32_t len)
{
	unsigned int set = 0;

	for (uint64_t i = k * CHUNK; i < k * CHUNK + len; i++)
		set |= set_of(i);
	return want.dicom ? set : 1u << I;
}

/* --- what is there -------------------------------------------------------- */

#define check_that(cond, ...) do {					\
	if (!(cond)) {							\
		print_error("%s: ", want.name);				\
		fail_msg(__VA_ARGS__);					\
	}								\
} while (0)

/* Who holds @held opens this record only if all its bytes are for him. */
static void check_record(struct chaosimg_file *f, struct file_keys *k,
			 unsigned int held, uint64_t n, uint32_t len)
{
	static uint8_t rec[CHUNK + RECORD_OVERHEAD], out[CHUNK];
	unsigned int set = wanted_set(n, len);
	int err;

	if (holes_has(&f->holes, n))
		return;
	assert_int_equal(read_full(f->fd, rec, record_size(len),
				   record_at(CHUNK, n)), record_size(len));
	check_that(record_set(rec) == set, "chunk %d: set %u, not %u", (int)n,
		   record_set(rec), set);
	err = record_open(k, f->snap.file_id, n, rec, len, out);
	check_that(err == (set & ~held ? -EACCES : 0), "chunk %d: %d", (int)n,
		   err);
	if (!err)
		assert_memory_equal(out, want.data + n * CHUNK, len);
}

/* The bytes of mixed chunks that compartment @c has. */
static size_t part_bytes(unsigned int c, uint8_t *out)
{
	size_t n = 0;

	for (uint64_t k = 0; k * CHUNK < want.len; k++) {
		uint32_t len = chunk_len(want.len, CHUNK, k);
		unsigned int set = wanted_set(k, len);

		for (uint32_t i = 0; set & (set - 1) && i < len; i++)
			if (set_of(k * CHUNK + i) == 1u << c)
				out[n++] = want.data[k * CHUNK + i];
	}
	return n;
}

static void check_parts(struct chaosimg_file *f, unsigned int held)
{
	static uint8_t bytes[ROOM];
	unsigned int which = 1 << PART_MASK | held << PART_CLINICAL;
	struct part part[PART_COUNT];
	uint8_t *packed;
	size_t len;

	if (parts_read(f, which, part))
		check_that(false, "%s", chaosimg_errmsg());
	assert_int_equal(dicom_mask_pack(&want.mask, &packed, &len), 0);
	check_that(part[PART_MASK].len == len &&
		   !memcmp(part[PART_MASK].data, packed, len), "another mask");
	free(packed);
	for (unsigned int c = 0; c < 3; c++) {
		if (!(held & 1u << c))
			continue;
		len = part_bytes(c, bytes);
		check_that(part[PART_CLINICAL + c].len == len &&
			   !memcmp(part[PART_CLINICAL + c].data, bytes, len),
			   "part %u has other bytes", c);
	}
	parts_free(part);
	if (held == HELD_ALL)
		return;
	check_that(parts_read(f, f->snap.parts.len[PART_CLINICAL + 1] ? 15 : 1,
			      part) == (held & 2 ||
			      !f->snap.parts.len[PART_CLINICAL + 1] ? 0 :
			      -EACCES) || held & 2,
		   "identity is opened without its key");
	parts_free(part);
}

/* As one who holds these compartments. */
static void check_held(struct chaosimg_file *f, unsigned int held)
{
	struct keyset ks = *keyring_newest(archive->ring);
	struct file_keys *all = f->keys;

	ks.held = held;
	for (unsigned int c = 0; c < 3; c++)
		if (!(held & 1u << c))
			memset(ks.key[c], 0, sizeof(ks.key[c]));
	assert_int_equal(file_keys_new(archive, &ks, f->snap.file_id, &f->keys),
			 0);
	for (uint64_t k = 0; k * CHUNK < want.len; k++)
		check_record(f, f->keys, held, k, chunk_len(want.len, CHUNK, k));
	if (want.dicom)
		check_parts(f, held);
	file_keys_free(f->keys);
	f->keys = all;
}

static void check_stored(int fd)
{
	static uint8_t got[ROOM + 1];
	struct chaosimg_file *f;
	uint64_t length = 0;
	struct stat st;

	make_mask();
	if (chaosimg_file_open(archive, dup(fd), binding, 0, &f))
		check_that(false, "%s", chaosimg_errmsg());
	check_that(chaosimg_file_read(f, got, sizeof(got), 0) ==
		   (ssize_t)want.len && !memcmp(got, want.data, want.len),
		   "other contents");
	check_that(!chaosimg_file_verify(f), "%s", chaosimg_errmsg());
	check_that(f->snap.sealed && f->snap.dicom.present == want.dicom &&
		   want.dicom == (f->snap.parts.length > 0),
		   "sealed %d, DICOM %d, parts %d", f->snap.sealed,
		   f->snap.dicom.present, f->snap.parts.length > 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(chaosimg_length_in_header(archive, st.st_size),
			 want.dicom);
	if (want.dicom)
		assert_int_equal(chaosimg_length_read(archive, fd, &length), 0);
	else
		length = chaosimg_length_from_stored(archive, st.st_size);
	assert_int_equal(length, want.len);
	if (want.dicom)
		for (unsigned int held = 0; held < SETS; held++)
			check_held(f, held);
	else
		check_held(f, HELD_ALL);
	chaosimg_file_close(f);
}

/* --- writing -------------------------------------------------------------- */

enum { ONCE, PAGES, REQUESTS, SWAPPED, BACKWARDS, WAYS };

static void put(struct chaosimg_file *f, uint64_t off, uint64_t len)
{
	if (off >= want.len)
		return;
	if (len > want.len - off)
		len = want.len - off;
	assert_int_equal(chaosimg_file_write(f, want.data + off, len, off), len);
}

static void write_all(struct chaosimg_file *f, int way)
{
	static const uint64_t step[] = { ROOM, 4096, 131072, 16384, 8192 };
	uint64_t n = step[way], count = want.len / n + 1;

	for (uint64_t i = 0; i < count; i++) {
		uint64_t at = way == SWAPPED ? i ^ 1 :
			      way == BACKWARDS ? count - 1 - i : i;

		put(f, at * n, n);
	}
	if (way == SWAPPED)
		put(f, (count ^ 1) * n, n), put(f, count * n, n);
}

/* Return: the stored file. */
static int store(int way)
{
	int fd = open("/tmp", O_TMPFILE | O_RDWR, 0600);
	struct chaosimg_file *f;

	assert_true(fd >= 0);
	assert_int_equal(chaosimg_file_create(archive, dup(fd), binding, &f), 0);
	written = 0;
	write_all(f, way);
	if (chaosimg_file_close(f))
		check_that(false, "%s", chaosimg_errmsg());
	return fd;
}

/* Writing it cost no more than what is there now, and another header. */
static void check_cost(int fd, int way)
{
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	check_that(way == BACKWARDS ||
		   written <= (uint64_t)st.st_size + HEADER_SIZE,
		   "way %d: %llu bytes written, %llu are there", way,
		   (unsigned long long)written, (unsigned long long)st.st_size);
}

static void change(int fd)
{
	uint64_t at = rng_below(&rng_state, want.len ? want.len : 1);
	uint64_t len = 1 + rng_below(&rng_state, 3 * CHUNK);
	struct chaosimg_file *f;

	if (chaosimg_file_open(archive, dup(fd), binding, CHAOSIMG_FILE_WRITE,
			       &f))
		check_that(false, "%s", chaosimg_errmsg());
	switch (rng_below(&rng_state, 4)) {
	case 0:		/* grows, or is written over */
		for (uint64_t i = at; i < at + len; i++)
			want.data[i] = (uint8_t)rng_below(&rng_state, 256);
		if (at + len > want.len)
			want.len = at + len;
		put(f, at, len);
		break;
	case 1:		/* the same bytes again, so it stays what it is */
		put(f, at, len);
		break;
	case 2:
		memset(want.data + at, 0, want.len - at);
		want.len = at;
		assert_int_equal(chaosimg_file_truncate(f, at), 0);
		break;
	case 3:		/* a hole behind it, not of whole chunks */
		memset(want.data + want.len, 0, len);
		want.len += len;
		assert_int_equal(chaosimg_file_truncate(f, want.len), 0);
		break;
	}
	if (chaosimg_file_close(f))
		check_that(false, "%s", chaosimg_errmsg());
}

/* --- the files ------------------------------------------------------------ */

static bool load(const char *path)
{
	FILE *in = fopen(path, "rb");

	want.name = path;
	memset(want.data, 0, sizeof(want.data));
	want.len = in ? fread(want.data, 1, ROOM / 2, in) : 0;
	if (in)
		fclose(in);
	return want.len && want.len < ROOM / 2;
}

/* As few as that are whole, and mixed at their beginning only. */
static void make_picture(const char *name, uint32_t pixels, bool compressed)
{
	dcm_start();
	dcm_part10(compressed ? JPEG : EXPLICIT_LE);
	dcm_element(0x00080060, "CS", "CT");
	dcm_element(0x00100010, "PN", "DOE^JANE^OF^A^LONG^NAME ");
	dcm_element(0x00180015, "CS", "HEAD");
	dcm_header(0x7fe00010, "OB", compressed ? UNDEF : pixels);
	if (compressed) {
		dcm_begin_item(0);
		dcm_begin_item(pixels);
	}
	for (uint32_t i = 0; i < pixels; i++)
		dcm_put(&(uint8_t){ (uint8_t)(i * 7 + (i >> 8)) }, 1);
	if (compressed)
		dcm_end_sequence();
	want.name = name;
	memset(want.data, 0, sizeof(want.data));
	memcpy(want.data, dcm.data, dcm.len);
	want.len = dcm.len;
}

static void test_pictures(void **state)
{
	(void)state;
	for (uint32_t pixels = 2; pixels < 600000; pixels = pixels * 5 & ~1u)
		for (int way = 0; way < WAYS; way++) {
			int fd;

			make_picture("native", pixels, false);
			fd = store(way);
			check_stored(fd);
			check_cost(fd, way);
			close(fd);
			make_picture("compressed", pixels, true);
			fd = store(way);
			check_stored(fd);
			check_cost(fd, way);
			close(fd);
		}
}

static void test_samples(void **state)
{
	size_t seen = 0;
	glob_t found;

	(void)state;
	if (glob(SAMPLES, 0, NULL, &found))
		skip();
	for (size_t i = 0; i < found.gl_pathc; i++) {
		int fd;

		if (!load(found.gl_pathv[i]))
			continue;
		fd = store((int)(i % WAYS));
		check_stored(fd);
		seen += want.dicom;
		for (int n = 0; n < 4; n++) {
			change(fd);
			check_stored(fd);
		}
		close(fd);
	}
	globfree(&found);
	print_message("# %zu DICOM files\n", seen);
	assert_true(seen > 50);
}

/* What is not DICOM costs nothing more, and has no parts. */
static void test_foreign(void **state)
{
	(void)state;
	want.name = "foreign";
	for (int way = 0; way < BACKWARDS; way++) {
		int fd;

		want.len = 300000;
		for (uint64_t i = 0; i < want.len; i++)
			want.data[i] = (uint8_t)rng_below(&rng_state, 256);
		fd = store(way);
		check_stored(fd);
		check_cost(fd, way);
		close(fd);
	}
}

/* No part may be put back from an older state of the file. */
static void test_old_part(void **state)
{
	uint8_t old[CHUNK + RECORD_OVERHEAD];
	struct part part[PART_COUNT];
	struct chaosimg_file *f;
	uint64_t at;
	size_t len;
	int fd;

	(void)state;
	make_picture("replaced", 9000, false);
	fd = store(ONCE);
	assert_int_equal(chaosimg_file_open(archive, dup(fd), binding,
					    CHAOSIMG_FILE_WRITE, &f), 0);
	len = record_size(f->snap.parts.len[PART_MASK]);
	at = f->snap.parts.offset;
	assert_int_equal(read_full(fd, old, len, at), len);
	put(f, 0, 100);
	assert_int_equal(chaosimg_file_flush(f), 0);
	assert_int_equal(at, f->snap.parts.offset);
	assert_int_equal(parts_read(f, 15, part), 0);
	parts_free(part);
	assert_int_equal(write_full(fd, old, len, at), 0);
	assert_int_equal(parts_read(f, 15, part), -EIO);
	assert_int_equal(chaosimg_file_close(f), 0);
	close(fd);
}

static bool in_memory(int fd)
{
	uint8_t *page = mmap(NULL, HEADER_SIZE, PROT_READ, MAP_SHARED, fd, 0);
	unsigned char there = 0;

	assert_ptr_not_equal(page, MAP_FAILED);
	assert_int_equal(mincore(page, HEADER_SIZE, &there), 0);
	munmap(page, HEADER_SIZE);
	return there & 1;
}

/* Return: false if the file system keeps it, or has no RWF_NOWAIT. */
static bool drop(int fd)
{
	uint8_t byte;
	struct iovec v = { &byte, 1 };

	if (preadv2(fd, &v, 1, 0, RWF_NOWAIT) < 0)
		return false;
	assert_int_equal(fsync(fd), 0);
	assert_int_equal(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
	return !in_memory(fd);
}

/* A disk that is quick may have read it when the call looks: then once more. */
static void fetch_from_disk(int fd)
{
	int tries = 20, wait = 1000;

	while (!chaosimg_length_fetch(archive, fd)) {
		assert_true(in_memory(fd));
		assert_true(tries--);
		if (!drop(fd))
			usleep(10000);
	}
	while (!in_memory(fd) && wait--)
		usleep(10000);
	assert_true(in_memory(fd));
}

/* The disk reads the header of a DICOM file while others are asked for. */
static void test_fetch(void **state)
{
	int dicom, other;

	(void)state;
	want.name = "foreign";
	want.len = 30000;
	memset(want.data, 1, want.len);
	other = store(ONCE);
	make_picture("fetched", 9000, false);
	dicom = store(ONCE);
	assert_false(chaosimg_length_fetch(archive, other));
	assert_false(chaosimg_length_fetch(archive, dicom));
	if (drop(other)) {
		assert_false(chaosimg_length_fetch(archive, other));
		assert_false(in_memory(other));
	}
	if (drop(dicom)) {
		fetch_from_disk(dicom);
		assert_false(chaosimg_length_fetch(archive, dicom));
	} else {
		print_message("# the disk's part was not tried\n");
	}
	close(dicom);
	close(other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pictures),
		cmocka_unit_test(test_samples),
		cmocka_unit_test(test_foreign),
		cmocka_unit_test(test_old_part),
		cmocka_unit_test(test_fetch),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, setup, teardown);
}
