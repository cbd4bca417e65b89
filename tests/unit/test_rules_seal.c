// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Files that are sealed in an archive with rules: no byte of a region is ever
 * stored for those who hold pixels alone, and they get the substitute.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "archive_env.h"
#include "dicom_file.h"
#include "dicom_mask.h"
#include "file.h"
#include "rng.h"
#include "rules.h"

enum { ROWS = 300, COLUMNS = 1000, PIXELS_LEN = ROWS * COLUMNS };

#define IDENTITY	(1u << I)

static const uint8_t binding[CHAOSIMG_BINDING_SIZE] = "a name's binding";
static uint64_t state = 1;
static size_t pixels_at;

/* --- an archive with rules, and what it says ------------------------------- */

static struct {
	char *dir;
	struct chaosimg_archive *a;
	int fd;
	unsigned int notices;
	char notice[256];
} arc;

static void on_held(void *ctx, int fd, bool all, const char *what)
{
	assert_false(all);
	assert_ptr_equal(ctx, &arc);
	arc.fd = fd;
	arc.notices++;
	snprintf(arc.notice, sizeof(arc.notice), "%s", what);
}

static void open_archive(const char *name)
{
	arc.dir = arc_make(name);
	arc.a = arc_must_open(arc.dir, CHAOSIMG_ARCHIVE_NOLOCK);
	arc.notices = 0;
	chaosimg_archive_on_held(arc.a, on_held, &arc);
}

static void set_rules(const char *text)
{
	struct chaosimg_rules *r;

	assert_int_equal(chaosimg_rules_parse(text, strlen(text), "RULES", &r),
			 0);
	assert_int_equal(chaosimg_rules_store(arc.a, r), 0);
	chaosimg_rules_free(r);
}

/* --- files ----------------------------------------------------------------- */

static void put_us(uint32_t tag, unsigned int v)
{
	dcm_header(tag, "US", 2);
	dcm_put_number(v, 2);
}

static void make_long_image(const char *modality, unsigned int rows,
			    uint32_t more)
{
	dcm_part10(EXPLICIT_LE);
	dcm_element(0x00080060, "CS", modality);
	dcm_element(0x00100010, "PN", "Doe^Jane");
	for (uint32_t i = 0; i < more; i++)
		dcm_element(0x00210010 + i, "LO", "some sixty bytes that nobody needs to know and that are here");
	put_us(0x00280002, 1);
	dcm_element(0x00280004, "CS", "MONOCHROME2 ");
	put_us(0x00280010, rows);
	put_us(0x00280011, COLUMNS);
	put_us(0x00280100, 8);
	put_us(0x00280101, 8);
	put_us(0x00280103, 0);
	dcm_header(0x7fe00010, "OW", PIXELS_LEN);
	pixels_at = dcm.len;
	for (size_t i = 0; i < PIXELS_LEN; i++)
		dcm.data[dcm.len++] = (uint8_t)rng_next(&state);
}

static void make_image(const char *modality, unsigned int rows)
{
	make_long_image(modality, rows, 0);
}

static int new_fd(const char *name)
{
	char path[512];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", arc.dir, name);
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	return fd;
}

static struct chaosimg_file *write_file(int fd, size_t step)
{
	struct chaosimg_file *f;

	assert_int_equal(chaosimg_file_create(arc.a, dup(fd), binding, &f), 0);
	for (size_t off = 0, n; off < dcm.len; off += n) {
		n = dcm.len - off < step ? dcm.len - off : step;
		assert_int_equal(chaosimg_file_write(f, dcm.data + off, n, off),
				 n);
	}
	return f;
}

/* Whose the record is that stands on the disk; -1 if there is none. */
static int set_on_disk(const struct chaosimg_file *f, uint64_t k)
{
	uint8_t rec[RECORD_PREFIX];

	if (pread(f->fd, rec, sizeof(rec),
		  (off_t)record_at(f->chunk_size, k)) != sizeof(rec) ||
	    record_is_zero(rec))
		return -1;
	return (int)record_set(rec);
}

static ssize_t read_dcm(void *ctx, void *buf, size_t len, uint64_t off)
{
	(void)ctx;
	memcpy(buf, dcm.data + off, len);
	return (ssize_t)len;
}

/* No record with a byte of a region may be for pixels alone. */
static void check_never(const struct chaosimg_file *f, uint32_t y,
			uint32_t height)
{
	uint64_t from = (pixels_at + (uint64_t)y * COLUMNS) / f->chunk_size;
	uint64_t to = (pixels_at + ((uint64_t)y + height) * COLUMNS - 1) /
		      f->chunk_size;

	for (uint64_t k = from; k <= to; k++) {
		int set = set_on_disk(f, k);

		assert_true(set < 0 || set & (int)IDENTITY);
	}
}

/* The mask that is stored, and the parts of identity and pixels. */
static void read_back(int fd, struct dicom_mask *m, struct part part[PART_COUNT])
{
	struct chaosimg_file *f;

	assert_int_equal(chaosimg_file_open(arc.a, dup(fd), binding, 0, &f), 0);
	assert_int_equal(parts_read(f, 15, part), 0);
	assert_int_equal(dicom_mask_unpack(part[PART_MASK].data,
					   part[PART_MASK].len, m), 0);
	for (uint64_t k = 0, end; k * f->chunk_size < dcm.len; k++)
		assert_int_equal(set_on_disk(f, k),
				 mask_set(m, k, f->chunk_size, &end));
	chaosimg_file_close(f);
}

static void blur(const struct dicom_mask *m, uint8_t *out)
{
	const struct dicom_source src = { read_dcm, NULL, dcm.len };
	struct dicom_blur *b;

	memcpy(out, dcm.data, dcm.len);
	assert_int_equal(dicom_blur_new(m->region, &src, &b), 0);
	assert_int_equal(dicom_blur_fill(b, out, dcm.len, 0), 0);
	dicom_blur_free(b);
}

/* Each byte of a mixed chunk, in the order of the parts. */
static void check_parts(const struct dicom_mask *m,
			const struct part part[PART_COUNT], uint32_t chunk)
{
	static uint8_t blurred[sizeof(dcm.data)];
	size_t identity = 0, pixels = 0;
	uint64_t end;

	blur(m, blurred);
	for (uint64_t i = 0; i < dcm.len; i++) {
		unsigned int set = mask_set(m, i / chunk, chunk, &end);
		unsigned int owner = dicom_mask_owner(m, i, &end);

		if (!(set & (set - 1)))
			continue;
		if (owner == DICOM_REGION || owner == I)
			assert_int_equal(part[PART_IDENTITY].data[identity++],
					 dcm.data[i]);
		if (owner == DICOM_REGION || owner == P)
			assert_int_equal(part[PART_PIXELS].data[pixels++],
					 blurred[i]);
	}
	assert_int_equal(identity, part[PART_IDENTITY].len);
	assert_int_equal(pixels, part[PART_PIXELS].len);
	assert_memory_not_equal(blurred, dcm.data, dcm.len);
}

/* --- tests ----------------------------------------------------------------- */

static void test_region(void **unused)
{
	static const size_t step[] = { 4096, 131072, sizeof(dcm.data), 1000 };
	struct part part[PART_COUNT];
	struct dicom_mask m;
	uint64_t end;

	(void)unused;
	open_archive("region");
	set_rules("rule a\nModality = US\nregion 100 40 500 30\n");
	for (size_t i = 0; i < sizeof(step) / sizeof(step[0]); i++) {
		int fd = new_fd("file");
		struct chaosimg_file *f;

		make_image("US", ROWS);
		f = write_file(fd, step[i]);
		check_never(f, 40, 30);
		assert_int_equal(chaosimg_file_sync(f), 0);
		check_never(f, 40, 30);
		assert_int_equal(chaosimg_file_close(f), 0);
		read_back(fd, &m, part);
		assert_non_null(m.region);
		assert_int_equal(dicom_mask_owner(&m, pixels_at + 40 * COLUMNS +
						  100, &end), DICOM_REGION);
		check_parts(&m, part, chaosimg_archive_chunk_size(arc.a));
		parts_free(part);
		dicom_mask_free(&m);
		close(fd);
	}
	assert_int_equal(arc.notices, 0);
	chaosimg_archive_close(arc.a);
}

/* A region's pixels that are overwritten after the file was sealed. */
static void test_changed(void **unused)
{
	struct part part[PART_COUNT];
	struct chaosimg_file *f;
	struct dicom_mask m;
	size_t at;
	int fd;

	(void)unused;
	open_archive("changed");
	set_rules("rule a\nregion 0 0 1000 300\n");
	make_image("US", ROWS);
	fd = new_fd("file");
	assert_int_equal(chaosimg_file_close(write_file(fd, 131072)), 0);
	assert_int_equal(chaosimg_file_open(arc.a, dup(fd), binding,
					    CHAOSIMG_FILE_WRITE, &f), 0);
	for (int i = 0; i < 20; i++) {
		at = pixels_at + rng_below(&state, PIXELS_LEN - 9000);
		memset(dcm.data + at, i, 9000);
		assert_int_equal(chaosimg_file_write(f, dcm.data + at, 9000,
						     at), 9000);
		check_never(f, 0, ROWS);
	}
	assert_int_equal(chaosimg_file_sync(f), 0);
	check_never(f, 0, ROWS);
	assert_int_equal(chaosimg_file_close(f), 0);
	read_back(fd, &m, part);
	check_parts(&m, part, chaosimg_archive_chunk_size(arc.a));
	parts_free(part);
	dicom_mask_free(&m);
	close(fd);
	chaosimg_archive_close(arc.a);
}

/* What one request brings is looked at once, however long the header is. */
static void test_long_header(void **unused)
{
	struct chaosimg_file *f;
	int fd;

	(void)unused;
	open_archive("long");
	set_rules("rule a\nhold frames\n");
	make_long_image("US", ROWS, 300);
	fd = new_fd("file");
	f = write_file(fd, sizeof(dcm.data));
	/* Its first chunks are still in memory. */
	check_never(f, 20, ROWS - 20);
	assert_int_equal(chaosimg_file_close(f), 0);
	close(fd);
	chaosimg_archive_close(arc.a);
}

/* The owner of the pixels after a file was written. */
static unsigned int owner_after(void)
{
	struct part part[PART_COUNT];
	struct dicom_mask m;
	unsigned int owner;
	uint64_t end;
	int fd = new_fd("file");

	assert_int_equal(chaosimg_file_close(write_file(fd, 131072)), 0);
	read_back(fd, &m, part);
	owner = dicom_mask_owner(&m, pixels_at, &end);
	parts_free(part);
	dicom_mask_free(&m);
	close(fd);
	return owner;
}

static void test_held(void **unused)
{
	int fd;
	struct chaosimg_file *f;

	(void)unused;
	open_archive("held");
	set_rules("rule a\nModality = US\nregion 100 40 500 30\n");
	make_image("US", ROWS - 1);
	fd = new_fd("other");
	f = write_file(fd, 131072);
	assert_int_equal(chaosimg_file_close(f), 0);
	close(fd);
	assert_true(arc.notices >= 1);
	assert_true(arc.fd >= 0);
	assert_string_equal(arc.notice,
			    "the length of the pixels is not that of the picture");
	assert_int_equal(owner_after(), I);
	/* What no rule asks about is as ever, and nothing is said. */
	arc.notices = 0;
	make_image("CT", ROWS - 1);
	assert_int_equal(owner_after(), P);
	assert_int_equal(arc.notices, 0);
	chaosimg_archive_close(arc.a);
}

/* Rules that change meanwhile; that go; that somebody else writes. */
static void test_rules_change(void **unused)
{
	char path[512], *text;
	size_t len;

	(void)unused;
	open_archive("change");
	snprintf(path, sizeof(path), "%s/rules", arc.dir);
	make_image("US", ROWS);
	assert_int_equal(owner_after(), P);
	set_rules("rule a\nhold frames\n");
	assert_int_equal(owner_after(), I);
	assert_string_equal(arc.notice, "a rule says so");
	text = arc_slurp(path, &len);
	set_rules("");
	assert_int_equal(owner_after(), P);
	set_rules("rule a\nregion 0 0 1 1\n");
	assert_int_equal(owner_after(), DICOM_REGION);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(owner_after(), DICOM_REGION);
	text[0] ^= 1;
	arc_spit(path, text, len);
	arc.notices = 0;
	assert_int_equal(owner_after(), DICOM_REGION);
	assert_int_equal(arc.notices, 1);
	assert_int_equal(arc.fd, -1);
	assert_non_null(strstr(arc.notice, "wrong checksum"));
	/* Who never saw others holds everything back. */
	chaosimg_archive_close(arc.a);
	arc.a = arc_must_open(arc.dir, CHAOSIMG_ARCHIVE_NOLOCK);
	chaosimg_archive_on_held(arc.a, on_held, &arc);
	assert_int_equal(owner_after(), I);
	assert_string_equal(arc.notice, "the archive's rules cannot be read");
	free(text);
	chaosimg_archive_close(arc.a);
}

/* Where nobody can tell whether there are rules, nothing is for pixels alone. */
static void test_rules_out_of_sight(void **unused)
{
	int none = open("/dev/null", O_RDONLY | O_CLOEXEC), folder, fd;
	struct chaosimg_file *f;

	(void)unused;
	assert_true(none >= 0);
	open_archive("sight");
	folder = dup(arc.a->fd);
	make_image("US", ROWS);
	fd = new_fd("image");
	assert_true(dup2(none, arc.a->fd) >= 0);
	assert_int_equal(chaosimg_file_close(write_file(fd, 131072)), 0);
	assert_true(dup2(folder, arc.a->fd) >= 0);
	assert_int_equal(chaosimg_file_open(arc.a, dup(fd), binding, 0, &f), 0);
	assert_false(f->snap.dicom.present);
	assert_true(f->snap.dicom.unknown);
	assert_int_equal(set_on_disk(f, 10), HELD_ALL);
	chaosimg_file_close(f);
	close(fd);
	close(folder);
	close(none);
	chaosimg_archive_close(arc.a);
}

/* What is not DICOM is not looked at any more closely. */
static void test_foreign(void **unused)
{
	struct chaosimg_file *f;
	int fd;

	(void)unused;
	open_archive("foreign");
	set_rules("rule a\nhold frames\n");
	dcm_start();
	memset(dcm.data, 'x', 100000);
	dcm.len = 100000;
	fd = new_fd("file");
	assert_int_equal(chaosimg_file_close(write_file(fd, 131072)), 0);
	assert_int_equal(arc.notices, 0);
	assert_int_equal(chaosimg_file_open(arc.a, dup(fd), binding, 0, &f), 0);
	assert_int_equal(set_on_disk(f, 1), IDENTITY);
	chaosimg_file_close(f);
	close(fd);
	chaosimg_archive_close(arc.a);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_region),
		cmocka_unit_test(test_changed),
		cmocka_unit_test(test_long_header),
		cmocka_unit_test(test_held),
		cmocka_unit_test(test_rules_change),
		cmocka_unit_test(test_rules_out_of_sight),
		cmocka_unit_test(test_foreign),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, arc_set_up, arc_tear_down);
}
