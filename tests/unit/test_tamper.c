// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a thief with write access can do to a stored file: flip any bit, cut or
 * extend it anywhere, move records and files about, put old parts back, and
 * damage the configuration and the keysets. A read may fail; it never gives
 * wrong bytes. Written against the public header alone: the layout of a stored
 * file is found out from the sizes.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "chaosimg.h"

#define CHUNK	4096
#define LENGTH	(2 * CHUNK + 1000)	/* three chunks, the last one partial */

/* The sanitizers make everything slower: they see every seventh case. */
#ifdef __SANITIZE_ADDRESS__
#define STEP	7
#else
#define STEP	1
#endif

enum outcome { REFUSED, SAME, WRONG };

struct image {
	uint8_t *p;
	size_t len;
};

static char top[64];
static struct chaosimg_credential *cred;
static struct chaosimg_archive *archive;
static const uint8_t binding_a[CHAOSIMG_BINDING_SIZE] = "the name of a..";
static const uint8_t binding_b[CHAOSIMG_BINDING_SIZE] = "the name of b..";
static uint8_t content_a[3 * CHUNK], content_b[3 * CHUNK];
static struct image image_a, image_b;
static size_t record, header;	/* stored sizes */
static int scratch = -1;

static void fill(uint8_t *p, size_t len, uint32_t seed)
{
	while (len--) {
		seed = seed * 1664525 + 1013904223;
		*p++ = seed >> 24;
	}
}

static const char *path_of(const char *name)
{
	static char buf[512];

	snprintf(buf, sizeof(buf), "%s/%s", top, name);
	return buf;
}

static int memory_file(void)
{
	int fd = memfd_create("stored", MFD_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

static struct image load_fd(int fd)
{
	struct image im;
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	im.len = st.st_size;
	im.p = malloc(im.len + 1);
	assert_non_null(im.p);
	assert_int_equal(pread(fd, im.p, im.len, 0), im.len);
	return im;
}

static struct image copy_of(const struct image *im)
{
	struct image c = { malloc(im->len + 1), im->len };

	assert_non_null(c.p);
	memcpy(c.p, im->p, im->len);
	return c;
}

/* The stored form of a new file with this content. */
static struct image make(const uint8_t *content, size_t len,
			 const uint8_t *binding)
{
	struct chaosimg_file *f;
	int fd = memory_file(), keep = dup(fd);
	struct image im;

	assert_int_equal(chaosimg_file_create(archive, fd, binding, &f), 0);
	assert_int_equal(chaosimg_file_write(f, content, len, 0), len);
	assert_int_equal(chaosimg_file_close(f), 0);
	im = load_fd(keep);
	close(keep);
	return im;
}

/* Put an image into the scratch file and open that. */
static int open_image(const uint8_t *p, size_t len, const uint8_t *binding,
		      struct chaosimg_file **f)
{
	assert_int_equal(ftruncate(scratch, 0), 0);
	assert_int_equal(pwrite(scratch, p, len, 0), len);
	return chaosimg_file_open(archive, dup(scratch), binding, 0, f);
}

/* Read it in one go: refused, the same as @want, or wrong? */
static enum outcome try_length(const uint8_t *p, size_t len,
			       const uint8_t *binding, const uint8_t *want,
			       size_t want_len)
{
	static uint8_t buf[4 * CHUNK];
	struct chaosimg_file *f;
	enum outcome o = REFUSED;
	ssize_t n;

	if (open_image(p, len, binding, &f))
		return REFUSED;
	memset(buf, 0, sizeof(buf));
	n = chaosimg_file_read(f, buf, sizeof(buf), 0);
	if (n >= 0)
		o = n == (ssize_t)want_len && !memcmp(buf, want, n) ? SAME :
								      WRONG;
	else if (n != -EIO)
		o = WRONG;
	/* A reader that was refused a chunk may still read the others. */
	for (uint64_t off = 0; n < 0 && off < want_len; off += CHUNK) {
		ssize_t m = chaosimg_file_read(f, buf, CHUNK, off);

		if (m < 0)
			continue;
		if (off + m > want_len || memcmp(buf, want + off, m))
			o = WRONG;
	}
	chaosimg_file_close(f);
	return o;
}

static enum outcome try_image(const uint8_t *p, size_t len,
			      const uint8_t *binding, const uint8_t *want)
{
	return try_length(p, len, binding, want, LENGTH);
}

static int verify_image(const struct image *im)
{
	struct chaosimg_file *f;
	int ret = open_image(im->p, im->len, binding_a, &f);

	if (ret)
		return ret;
	ret = chaosimg_file_verify(f);
	chaosimg_file_close(f);
	return ret;
}

static void assert_refused(const struct image *im)
{
	assert_int_equal(try_image(im->p, im->len, binding_a, content_a),
			 REFUSED);
}

static void test_untouched(void **state)
{
	(void)state;
	assert_int_equal(try_image(image_a.p, image_a.len, binding_a,
				   content_a), SAME);
	assert_int_equal(verify_image(&image_a), 0);
}

/* The last eight bytes of a record. */
static bool in_checksum(size_t at)
{
	size_t end = header + ((at - header) / record + 1) * record;

	if (end > image_a.len)
		end = image_a.len;
	return at >= end - 8;
}

static void test_every_bit(void **state)
{
	struct image m = copy_of(&image_a);
	size_t bit, unused = 0;

	(void)state;
	for (bit = 0; bit < 8 * m.len; bit += STEP) {
		enum outcome o;

		m.p[bit / 8] ^= 1 << bit % 8;
		o = try_image(m.p, m.len, binding_a, content_a);
		if (o == WRONG)
			fail_msg("bit %zu of byte %zu: wrong bytes", bit % 8,
				 bit / 8);
		/*
		 * Nothing that is read depends on the header slot that is not
		 * in force, nor on the checksums, which are for scrubbing.
		 */
		if (o == SAME && bit / 8 >= header && !in_checksum(bit / 8))
			fail_msg("bit %zu of byte %zu: not noticed", bit % 8,
				 bit / 8);
		unused += o == SAME;
		m.p[bit / 8] ^= 1 << bit % 8;
	}
	print_message("# %zu of %zu bits changed nothing that is read\n", unused,
		      8 * m.len / STEP);
	free(m.p);
}

static void test_cut(void **state)
{
	size_t len;

	(void)state;
	for (len = 0; len < image_a.len; len += STEP)
		if (try_image(image_a.p, len, binding_a, content_a) != REFUSED)
			fail_msg("cut to %zu bytes: not refused", len);
}

/* With one header slot destroyed, the other one must not accept a cut. */
static void test_cut_with_half_a_header(void **state)
{
	struct image m = copy_of(&image_a);
	size_t len, slot;

	(void)state;
	for (slot = 0; slot < 2; slot++) {
		memset(m.p + slot * header / 2, 0xa5, header / 2);
		for (len = header / 2; len < m.len; len += 3 * STEP)
			if (try_image(m.p, len, binding_a, content_a) !=
			    REFUSED)
				fail_msg("slot %zu gone, cut to %zu bytes: not refused",
					 slot, len);
		memcpy(m.p, image_a.p, m.len);
	}
	free(m.p);
}

static void test_extend(void **state)
{
	struct image m = { malloc(image_a.len + 3 * record), 0 };
	size_t more;

	(void)state;
	memcpy(m.p, image_a.p, image_a.len);
	for (more = 1; more <= 2 * record + 1; more += more < 64 ? 1 : 61) {
		m.len = image_a.len + more;
		memset(m.p + image_a.len, 0, more);
		assert_refused(&m);
		fill(m.p + image_a.len, more, more);
		assert_refused(&m);
	}
	/* by one of its own records */
	memcpy(m.p + image_a.len, image_a.p + header, record);
	m.len = image_a.len + record;
	assert_refused(&m);
	free(m.p);
}

static void test_records_moved(void **state)
{
	struct image whole = make(content_a, 3 * CHUNK, binding_a);
	size_t i;

	(void)state;
	assert_int_equal(whole.len, header + 3 * record);
	assert_int_equal(try_length(whole.p, whole.len, binding_a, content_a,
				    3 * CHUNK), SAME);
	for (i = 0; i < 9; i++) {
		struct image m = copy_of(&whole);
		size_t a = header + i / 3 * record, b = header + i % 3 * record;

		memcpy(m.p + a, whole.p + b, record);	/* copied */
		assert_int_equal(try_length(m.p, m.len, binding_a, content_a,
					    3 * CHUNK), a == b ? SAME : REFUSED);
		memcpy(m.p + b, whole.p + a, record);	/* exchanged */
		assert_int_equal(try_length(m.p, m.len, binding_a, content_a,
					    3 * CHUNK), a == b ? SAME : REFUSED);
		free(m.p);
	}
	free(whole.p);
}

static void test_files_exchanged(void **state)
{
	(void)state;
	assert_int_equal(try_image(image_b.p, image_b.len, binding_a,
				   content_b), REFUSED);
	assert_int_equal(try_image(image_a.p, image_a.len, binding_b,
				   content_a), REFUSED);
}

static void test_parts_of_another_file(void **state)
{
	struct image m = copy_of(&image_a);
	size_t at, n;

	(void)state;
	for (at = header; at < m.len; at += record) {
		n = m.len - at < record ? m.len - at : record;
		memcpy(m.p + at, image_b.p + at, n);
		assert_int_not_equal(try_image(m.p, m.len, binding_a,
					       content_a), SAME);
		assert_refused(&m);
		memcpy(m.p + at, image_a.p + at, n);
	}
	/* the other file's header, whole and in halves */
	memcpy(m.p, image_b.p, header);
	assert_refused(&m);
	assert_int_equal(try_image(m.p, m.len, binding_b, content_b), REFUSED);
	memcpy(m.p, image_a.p, header / 2);
	assert_int_not_equal(try_image(m.p, m.len, binding_a, content_a),
			     WRONG);
	memcpy(m.p, image_b.p, header / 2);
	memcpy(m.p + header / 2, image_a.p + header / 2, header - header / 2);
	assert_int_not_equal(try_image(m.p, m.len, binding_a, content_a),
			     WRONG);
	free(m.p);
}

/* The first image, then the same file with its middle chunk overwritten. */
static void two_versions(struct image *old, struct image *new)
{
	struct chaosimg_file *f;
	int fd = memory_file(), keep = dup(fd);

	assert_int_equal(chaosimg_file_create(archive, fd, binding_a, &f), 0);
	assert_int_equal(chaosimg_file_write(f, content_a, LENGTH, 0), LENGTH);
	assert_int_equal(chaosimg_file_close(f), 0);
	*old = load_fd(keep);
	assert_int_equal(chaosimg_file_open(archive, dup(keep), binding_a,
					    CHAOSIMG_FILE_WRITE, &f), 0);
	assert_int_equal(chaosimg_file_write(f, content_b, CHUNK, CHUNK),
			 CHUNK);
	assert_int_equal(chaosimg_file_close(f), 0);
	*new = load_fd(keep);
	close(keep);
}

/* Each chunk that can be read must be one of the two versions. */
static void assert_old_or_new(const struct image *im)
{
	uint8_t buf[CHUNK];
	struct chaosimg_file *f;
	uint64_t off;

	if (open_image(im->p, im->len, binding_a, &f))
		return;
	for (off = 0; off < LENGTH; off += CHUNK) {
		ssize_t n = chaosimg_file_read(f, buf, CHUNK, off);
		ssize_t want = LENGTH - off < CHUNK ? LENGTH - off : CHUNK;

		if (n == -EIO)
			continue;
		assert_int_equal(n, want);
		assert_true(!memcmp(buf, content_a + off, n) ||
			    (off == CHUNK && !memcmp(buf, content_b, n)));
	}
	chaosimg_file_close(f);
}

static void test_old_record_replayed(void **state)
{
	struct image old, new;

	(void)state;
	two_versions(&old, &new);
	assert_int_equal(old.len, new.len);
	assert_int_equal(verify_image(&old), 0);
	assert_int_equal(verify_image(&new), 0);
	memcpy(new.p + header + record, old.p + header + record, record);
	assert_old_or_new(&new);
	assert_int_equal(verify_image(&new), -EIO);
	free(old.p);
	free(new.p);
}

static void test_old_header_replayed(void **state)
{
	struct image old, new, m;

	(void)state;
	two_versions(&old, &new);
	m = copy_of(&new);
	memcpy(m.p, old.p, header);
	assert_old_or_new(&m);
	assert_int_equal(verify_image(&m), -EIO);
	free(m.p);
	/* one slot of the two at a time, wherever they stand in the header */
	m = copy_of(&new);
	memcpy(m.p, old.p, header / 2);
	assert_old_or_new(&m);
	free(m.p);
	m = copy_of(&new);
	memcpy(m.p + header / 2, old.p + header / 2, header - header / 2);
	assert_old_or_new(&m);
	free(m.p);
	free(old.p);
	free(new.p);
}

/* Reads file a through a freshly opened archive; 0 when it came back whole. */
static int open_and_read(const char *dir)
{
	static uint8_t buf[LENGTH + 1];
	struct chaosimg_archive *a;
	struct chaosimg_file *f;
	int ret = chaosimg_archive_open(dir, cred, CHAOSIMG_ARCHIVE_RDONLY, &a);
	ssize_t n;

	if (ret)
		return ret;
	assert_int_equal(ftruncate(scratch, 0), 0);
	assert_int_equal(pwrite(scratch, image_a.p, image_a.len, 0),
			 image_a.len);
	ret = chaosimg_file_open(a, dup(scratch), binding_a, 0, &f);
	if (!ret) {
		n = chaosimg_file_read(f, buf, sizeof(buf), 0);
		if (n < 0)
			ret = n;
		else
			assert_true(n == LENGTH &&
				    !memcmp(buf, content_a, LENGTH));
		chaosimg_file_close(f);
	}
	chaosimg_archive_close(a);
	return ret;
}

static void overwrite(const char *path, const uint8_t *p, size_t len)
{
	int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, p, len), len);
	close(fd);
}

static bool same_info(const struct chaosimg_archive_info *x,
		      const struct chaosimg_archive_info *y)
{
	return x->version == y->version && x->created == y->created &&
	       x->chunk_size == y->chunk_size && x->slots == y->slots &&
	       !memcmp(x->id, y->id, sizeof(x->id)) &&
	       x->slot[0].id == y->slot[0].id &&
	       x->slot[0].type == y->slot[0].type &&
	       x->slot[0].created == y->slot[0].created;
}

/* Flip every bit of a file of the archive, and cut it everywhere. */
static void damage(const char *dir, const char *path, bool is_config)
{
	struct chaosimg_archive_info before, after;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t i, accepted = 0;
	struct image im;

	assert_true(fd >= 0);
	im = load_fd(fd);
	close(fd);
	assert_int_equal(chaosimg_archive_info(dir, &before), 0);
	for (i = 0; i < 8 * im.len; i += STEP) {
		im.p[i / 8] ^= 1 << i % 8;
		overwrite(path, im.p, im.len);
		if (!open_and_read(dir)) {
			accepted++;
			assert_true(is_config);
			assert_int_equal(chaosimg_archive_info(dir, &after), 0);
			assert_true(same_info(&before, &after));
		}
		im.p[i / 8] ^= 1 << i % 8;
	}
	/* a final newline may be missing, nothing else */
	for (i = 0; i + 2 < im.len; i += STEP) {
		overwrite(path, im.p, i);
		assert_int_not_equal(open_and_read(dir), 0);
	}
	overwrite(path, im.p, im.len);
	assert_int_equal(open_and_read(dir), 0);
	print_message("# %s: %zu of %zu flipped bits meant the same\n",
		      is_config ? "configuration" : "keyset", accepted,
		      8 * im.len / STEP);
	free(im.p);
}

static char *keyset_path(const char *dir)
{
	static char found[1024];
	char name[512];
	struct dirent *e;
	DIR *d;

	snprintf(name, sizeof(name), "%s/keysets", dir);
	d = opendir(name);
	assert_non_null(d);
	found[0] = 0;
	while ((e = readdir(d)))
		if (e->d_name[0] != '.')
			snprintf(found, sizeof(found), "%s/%s", name,
				 e->d_name);
	closedir(d);
	assert_true(found[0]);
	return found;
}

static void test_configuration(void **state)
{
	char dir[80], path[128];

	(void)state;
	snprintf(dir, sizeof(dir), "%s/archive", top);
	snprintf(path, sizeof(path), "%s/chaosimg.json", dir);
	damage(dir, path, true);
}

static void test_keyset(void **state)
{
	char dir[80];

	(void)state;
	snprintf(dir, sizeof(dir), "%s/archive", top);
	damage(dir, keyset_path(dir), false);
}

static void test_keyset_missing(void **state)
{
	char dir[80], *path, aside[128];

	(void)state;
	snprintf(dir, sizeof(dir), "%s/archive", top);
	snprintf(aside, sizeof(aside), "%s/aside", top);
	path = keyset_path(dir);
	assert_int_equal(rename(path, aside), 0);
	assert_int_equal(open_and_read(dir), -ENOKEY);
	assert_int_equal(rename(aside, path), 0);
	assert_int_equal(open_and_read(dir), 0);
}

/* Another archive under the same key file: nothing of it fits here. */
static void test_parts_of_another_archive(void **state)
{
	const struct chaosimg_archive_params params = { CHUNK };
	char dir[80], other[80], mine[1100], cmd[3000];

	(void)state;
	snprintf(dir, sizeof(dir), "%s/archive", top);
	snprintf(other, sizeof(other), "%s/other", top);
	assert_int_equal(chaosimg_archive_create(other, cred, &params), 0);
	assert_int_equal(open_and_read(other), -ENOKEY);	/* its file */

	snprintf(cmd, sizeof(cmd), "cp -a %s %s.save && "
		 "cp %s/chaosimg.json %s/chaosimg.json", dir, dir, other, dir);
	assert_int_equal(system(cmd), 0);
	assert_int_not_equal(open_and_read(dir), 0);
	snprintf(cmd, sizeof(cmd), "cp %s.save/chaosimg.json %s/", dir, dir);
	assert_int_equal(system(cmd), 0);
	assert_int_equal(open_and_read(dir), 0);

	snprintf(mine, sizeof(mine), "%s", keyset_path(dir));
	snprintf(cmd, sizeof(cmd), "cp %s %s", keyset_path(other), mine);
	assert_int_equal(system(cmd), 0);
	assert_int_not_equal(open_and_read(dir), 0);
	snprintf(cmd, sizeof(cmd), "rm -r %s && mv %s.save %s", dir, dir, dir);
	assert_int_equal(system(cmd), 0);
	assert_int_equal(open_and_read(dir), 0);
}

static void find_layout(void)
{
	struct image one = make(content_a, CHUNK, binding_a);
	struct image two = make(content_a, 2 * CHUNK, binding_a);

	record = two.len - one.len;
	header = one.len - record;
	assert_true(record > CHUNK && record < CHUNK + 256);
	free(one.p);
	free(two.p);
}

static int setup(void **state)
{
	const struct chaosimg_archive_params params = { CHUNK };

	(void)state;
	snprintf(top, sizeof(top), "/tmp/chaosimg-tamper.XXXXXX");
	assert_non_null(mkdtemp(top));
	fill(content_a, sizeof(content_a), 1);
	fill(content_b, sizeof(content_b), 2);
	assert_int_equal(chaosimg_keyfile_create(path_of("key")), 0);
	assert_int_equal(chaosimg_credential_keyfile(path_of("key"), &cred), 0);
	assert_int_equal(chaosimg_archive_create(path_of("archive"), cred,
						 &params), 0);
	assert_int_equal(chaosimg_archive_open(path_of("archive"), cred, 0,
					       &archive), 0);
	scratch = memory_file();
	find_layout();
	image_a = make(content_a, LENGTH, binding_a);
	image_b = make(content_b, LENGTH, binding_b);
	return 0;
}

static int teardown(void **state)
{
	char cmd[128];

	(void)state;
	chaosimg_archive_close(archive);
	chaosimg_credential_free(cred);
	free(image_a.p);
	free(image_b.p);
	close(scratch);
	snprintf(cmd, sizeof(cmd), "rm -rf '%s'", top);
	return system(cmd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_untouched),
		cmocka_unit_test(test_every_bit),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_cut_with_half_a_header),
		cmocka_unit_test(test_extend),
		cmocka_unit_test(test_records_moved),
		cmocka_unit_test(test_files_exchanged),
		cmocka_unit_test(test_parts_of_another_file),
		cmocka_unit_test(test_old_record_replayed),
		cmocka_unit_test(test_old_header_replayed),
		cmocka_unit_test(test_configuration),
		cmocka_unit_test(test_keyset),
		cmocka_unit_test(test_keyset_missing),
		cmocka_unit_test(test_parts_of_another_archive),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, setup, teardown);
}
