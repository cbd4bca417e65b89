// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a mount with some compartments would show of files, for tests/mask.t.
 *
 *	mask_file make DIR FILE..	DIR/N.KINDS for the Nth file from 0 and
 *		each set of compartments: c, i, p, ci, .., none, all
 *	mask_file mutate FILES SEED FILE..	so many damaged files, one by one:
 *		their masks must hold together; nothing is written
 *	mask_file count REPEAT FILE..	divide them, make and pack their masks,
 *		REPEAT times
 *	mask_file divide REPEAT FILE..	only divide them
 *
 * UID_KEY: the key for UIDs, in hexadecimal digits.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dicom_mask.h"

static uint8_t uid_key[DICOM_UID_KEY] = "a key for tests, and for nothing";

struct file {
	uint8_t *p;
	size_t len;
};

static void die(const char *what, const char *where)
{
	fprintf(stderr, "mask_file: %s: %s\n", where, what);
	exit(1);
}

static struct file load(const char *path)
{
	FILE *in = fopen(path, "rb");
	struct file f;

	if (!in || fseek(in, 0, SEEK_END))
		die(strerror(errno), path);
	f.len = (size_t)ftell(in);
	rewind(in);
	f.p = malloc(f.len + 1);
	if (!f.p || fread(f.p, 1, f.len, in) != f.len)
		die("cannot be read", path);
	fclose(in);
	return f;
}

static ssize_t read_file(void *ctx, void *buf, size_t len, uint64_t off)
{
	const struct file *f = ctx;

	if (off > f->len || len > f->len - off)
		abort();	/* nobody may ask for what is not there */
	memcpy(buf, f->p + off, len);
	return (ssize_t)len;
}

static int make(struct file *f, struct dicom_mask *m)
{
	const struct dicom_source src = { read_file, f, f->len };
	struct dicom_info info;

	return dicom_mask_make(&src, uid_key, NULL, &info, m);
}

/* What comes back from storing it, which must be the same. */
static void store(struct dicom_mask *m, const char *path)
{
	uint8_t *once, *twice;
	size_t once_len, twice_len;

	if (dicom_mask_pack(m, &once, &once_len))
		die("cannot be packed", path);
	dicom_mask_free(m);
	if (dicom_mask_unpack(once, once_len, m))
		die("cannot be unpacked", path);
	if (dicom_mask_pack(m, &twice, &twice_len))
		die("cannot be packed again", path);
	if (once_len != twice_len || memcmp(once, twice, once_len))
		die("is packed otherwise again", path);
	free(once);
	free(twice);
}

/* In steps of odd lengths, as a mount would be asked for it. */
static void apply(const struct dicom_mask *m, unsigned int held,
		  const struct file *f, uint8_t *out)
{
	memcpy(out, f->p, f->len);
	for (size_t off = 0, step = 1; off < f->len; off += step, step += 977) {
		if (step > f->len - off)
			step = f->len - off;
		dicom_mask_apply(m, held, out + off, step, off);
	}
}

static void save(const char *folder, int number, const char *kinds,
		 const uint8_t *p, size_t len)
{
	char path[4096];
	FILE *out;

	snprintf(path, sizeof(path), "%s/%d.%s", folder, number, kinds);
	out = fopen(path, "wb");
	if (!out || fwrite(p, 1, len, out) != len || fclose(out))
		die(strerror(errno), path);
}

static void make_views(const char *folder, int number, const char *path)
{
	static const char *const kinds[] = {
		"none", "c", "i", "ci", "p", "cp", "ip", "all",
	};
	struct file f = load(path);
	uint8_t *out = malloc(f.len + 1);
	struct dicom_mask m;
	int found = make(&f, &m);

	if (found < 0 || !out)
		die("no mask can be made", path);
	store(&m, path);
	for (unsigned int held = 0; held < 8; held++) {
		apply(&m, held, &f, out);
		save(folder, number, kinds[held], out, f.len);
	}
	printf("%d %d %s\n", number, found, path);
	dicom_mask_free(&m);
	free(out);
	free(f.p);
}

/* --- damage --------------------------------------------------------------- */

static uint64_t random_state;

/* xorshift64*: the same numbers from the same seed. */
static uint64_t draw(uint64_t below)
{
	random_state ^= random_state >> 12;
	random_state ^= random_state << 25;
	random_state ^= random_state >> 27;
	return (random_state * 0x2545f4914f6cdd1d >> 16) % below;
}

/* Where lengths, VRs and tags are: mostly the beginning. */
static size_t draw_place(size_t len)
{
	size_t window = draw(4) ? 4096 : len;

	return draw(window < len ? window : len);
}

static void damage(struct file *f)
{
	static const uint8_t special[] = { 0x00, 0x01, 0x7f, 0x80, 0xff, 0xfe };
	int times = 1 + (int)draw(6);

	while (times-- && f->len > 1) {
		size_t at = draw_place(f->len), other = draw_place(f->len);
		size_t n = 1 + draw(16);

		if (n > f->len - at)
			n = f->len - at;
		if (n > f->len - other)
			n = f->len - other;
		switch (draw(6)) {
		case 0:
			f->p[at] ^= (uint8_t)(1 << draw(8));
			break;
		case 1:
			memset(f->p + at, special[draw(6)], n);
			break;
		case 2:
			memmove(f->p + at, f->p + other, n);
			break;
		case 3:
			f->len = 1 + at;
			break;
		case 4:	/* some bytes less */
			memmove(f->p + at, f->p + at + n, f->len - at - n);
			f->len -= n;
			break;
		case 5:	/* an item's header */
			if (n >= 8)
				memcpy(f->p + at, "\xfe\xff\x00\xe0\xff\xff\xff\xff",
				       8);
			break;
		}
	}
}

/*
 * The mask of a file must be of its length, come back from storage, hide
 * nothing of what is held, and say the same when it is read otherwise.
 */
static void check(struct file *f, const char *path)
{
	uint8_t *out = malloc(f->len + 1), *again = malloc(f->len + 1);
	struct dicom_mask m;
	uint64_t off = 0, end = 0;

	if (make(f, &m) < 0 || !out || !again)
		die("no mask can be made", path);
	store(&m, path);
	apply(&m, 7, f, out);
	memcpy(again, f->p, f->len);
	dicom_mask_apply(&m, 7, again, f->len, 0);
	if (memcmp(out, again, f->len))
		die("depends on how it is read", path);
	for (; off < f->len; off = end)
		if (dicom_mask_owner(&m, off, &end) > DICOM_EVERYONE ||
		    end <= off || end > f->len)
			die("has no owner for a byte", path);
	if (memcmp(out, f->p, f->len))
		die("is not what it was for who has all", path);
	dicom_mask_free(&m);
	free(out);
	free(again);
}

/* Packed masks may be damaged, too. */
static void check_packed(struct file *f, const char *path)
{
	struct dicom_mask m;
	struct file packed;
	uint8_t *out = malloc(f->len + 1);

	if (make(f, &m) < 0 || dicom_mask_pack(&m, &packed.p, &packed.len) ||
	    !out)
		die("no mask can be made", path);
	dicom_mask_free(&m);
	damage(&packed);
	if (!dicom_mask_unpack(packed.p, packed.len, &m)) {
		if (m.length <= f->len)
			dicom_mask_apply(&m, 0, out, m.length, 0);
		dicom_mask_free(&m);
	}
	free(packed.p);
	free(out);
}

static void mutate(long files, long seed, char **path, int paths)
{
	random_state = 0x9e3779b97f4a7c15 ^ (uint64_t)seed;
	for (long i = 0; i < files; i++) {
		const char *from = path[i % paths];
		struct file f = load(from);

		damage(&f);
		check(&f, from);
		if (i % 4 == 0)
			check_packed(&f, from);
		free(f.p);
	}
	printf("%ld damaged files\n", files);
}

static void repeat(long times, bool mask, char **path, int paths)
{
	for (int i = 0; i < paths; i++) {
		struct file f = load(path[i]);
		const struct dicom_source src = { read_file, &f, f.len };
		struct dicom_info info;
		struct dicom_mask m;
		uint8_t *packed;
		size_t len;

		for (long k = 0; k < times; k++) {
			if (!mask) {
				dicom_parse(&src, &info);
				continue;
			}
			if (make(&f, &m) < 0 ||
			    dicom_mask_pack(&m, &packed, &len))
				die("no mask can be made", path[i]);
			dicom_mask_free(&m);
			free(packed);
		}
		free(f.p);
	}
}

static void take_uid_key(void)
{
	const char *text = getenv("UID_KEY");

	for (size_t i = 0; text && i < sizeof(uid_key); i++)
		if (sscanf(text + 2 * i, "%2" SCNx8, &uid_key[i]) != 1)
			die("not a key", "UID_KEY");
}

int main(int argc, char **argv)
{
	take_uid_key();
	if (argc > 3 && !strcmp(argv[1], "make")) {
		for (int i = 3; i < argc; i++)
			make_views(argv[2], i - 3, argv[i]);
	} else if (argc > 4 && !strcmp(argv[1], "mutate")) {
		mutate(atol(argv[2]), atol(argv[3]), argv + 4, argc - 4);
	} else if (argc > 3 && !strcmp(argv[1], "count")) {
		repeat(atol(argv[2]), true, argv + 3, argc - 3);
	} else if (argc > 3 && !strcmp(argv[1], "divide")) {
		repeat(atol(argv[2]), false, argv + 3, argc - 3);
	} else {
		fprintf(stderr, "usage: mask_file make|mutate|count|divide ..\n");
		return 2;
	}
	return 0;
}
