// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The mask of a deflated data set: it is inflated, masked, deflated again, and
 * made as long as it was by blocks that hold nothing (RFC 1951).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <zlib.h>

#include <openssl/crypto.h>

#include "dicom_mask.h"
#include "error.h"

enum {
	INFLATED_MAX = 64 << 20,
	DEFLATED_MAX = 8 << 20,	/* of the masked one */
	PREFIX = 128 + 4 + 8 + 20,
};

/* What makes a file of a data set: a transfer syntax, and no more. */
static void put_prefix(uint8_t p[PREFIX])
{
	memset(p, 0, PREFIX);
	memcpy(p + 128, "DICM\2\0\20\0UI\24\0" "1.2.840.10008.1.2.1", 31);
}

/** struct buffer - a file in memory */
struct buffer {
	uint8_t *p;
	size_t len;
};

static ssize_t read_buffer(void *ctx, void *out, size_t len, uint64_t off)
{
	const struct buffer *b = ctx;

	if (off >= b->len)
		return 0;
	if (len > b->len - off)
		len = b->len - (size_t)off;
	memcpy(out, b->p + off, len);
	return (ssize_t)len;
}

static void wipe_buffer(struct buffer *b)
{
	if (b->p)
		OPENSSL_cleanse(b->p, b->len);
	free(b->p);
	b->p = NULL;
	b->len = 0;
}

/* Make room for more to be inflated; 1 if there is, 0 if it is too much. */
static int widen(struct buffer *b)
{
	size_t len = b->len ? b->len * 2 : 1 << 16;
	uint8_t *p;

	if (len > INFLATED_MAX)
		return 0;
	p = malloc(len);
	if (!p)
		return fail(ENOMEM, "out of memory");
	if (b->len)
		memcpy(p, b->p, b->len);
	memset(p + b->len, 0, len - b->len);
	wipe_buffer(b);
	b->p = p;
	b->len = len;
	return 1;
}

/*
 * Inflate into @out, behind the prefix, as much as can be. Returns the number
 * of bytes there are then in @out, or -errno.
 */
static ssize_t inflate_part(z_stream *z, struct dicom_reader *r,
			    const struct dicom_part *part, struct buffer *out)
{
	uint64_t at = part->start;
	size_t used = PREFIX;
	int status = Z_OK, more = widen(out);
	const uint8_t *p;

	while (more > 0 && status == Z_OK) {
		if (!z->avail_in && at < part->end) {
			uint64_t left = part->end - at;
			size_t n = left < DICOM_WINDOW ? left : DICOM_WINDOW;
			int err = dicom_fetch(r, at, n, &p);

			if (err)
				return err < 0 ? err : -EIO;
			z->next_in = (Bytef *)p;
			z->avail_in = (uInt)n;
			at += n;
		}
		z->next_out = out->p + used;
		z->avail_out = (uInt)(out->len - used);
		status = inflate(z, Z_NO_FLUSH);
		used = out->len - z->avail_out;
		if (!z->avail_out)
			more = widen(out);
	}
	return more < 0 ? more : (ssize_t)used;
}

static ssize_t inflate_all(struct dicom_reader *r,
			   const struct dicom_part *part, struct buffer *out)
{
	z_stream z = { 0 };
	ssize_t len;

	if (inflateInit2(&z, -MAX_WBITS) != Z_OK)
		return fail(ENOMEM, "zlib does not start");
	len = inflate_part(&z, r, part, out);
	inflateEnd(&z);
	if (len > 0)
		put_prefix(out->p);
	return len;
}

/* Turn a file into its own mask, without its prefix. */
static int mask_buffer(struct buffer *b, size_t len,
		       const uint8_t uid_key[DICOM_UID_KEY])
{
	struct buffer file = { b->p, len };
	struct dicom_source src = { read_buffer, &file, len };
	struct dicom_info info;
	struct dicom_mask m;
	int err = dicom_mask_make_inflated(&src, uid_key, &info, &m);

	if (err < 0)
		return err;
	dicom_mask_apply(&m, 0, b->p, len, 0);
	dicom_mask_free(&m);
	return 0;
}

/* All but the last block, to the end of a byte; empty if that is too long. */
static int deflate_all(const uint8_t *in, size_t len, uint64_t room,
		       struct buffer *out)
{
	size_t most = room < DEFLATED_MAX ? (size_t)room : DEFLATED_MAX;
	z_stream z = { 0 };

	out->p = malloc(most + 1);
	if (!out->p)
		return fail(ENOMEM, "out of memory");
	if (deflateInit2(&z, Z_BEST_COMPRESSION, Z_DEFLATED, -MAX_WBITS, 8,
			 Z_DEFAULT_STRATEGY) != Z_OK)
		return fail(ENOMEM, "zlib does not start");
	z.next_in = (Bytef *)in;
	z.avail_in = (uInt)len;
	z.next_out = out->p;
	z.avail_out = (uInt)most;
	if (deflate(&z, Z_FULL_FLUSH) == Z_OK && z.avail_out)
		out->len = most - z.avail_out;
	deflateEnd(&z);
	return 0;
}

/*
 * Blocks that hold nothing, from the beginning of a byte to the end of one: a
 * stored one takes 5 bytes, with one or two of fixed codes before it 6 or 7.
 */
static const uint8_t empty5[] = { 0x00, 0x00, 0x00, 0xff, 0xff };
static const uint8_t empty6[] = { 0x02, 0x00, 0x00, 0x00, 0xff, 0xff };
static const uint8_t empty7[] = { 0x02, 0x08, 0x00, 0x00, 0x00, 0xff, 0xff };
static const uint8_t final2[] = { 0x03, 0x00 };

/* Can this many bytes be made of such blocks? */
static bool can_fill(uint64_t len)
{
	return len >= 10 || len == 0 || (len >= 5 && len <= 7);
}

static void add_empty(struct dicom_blank *b, uint64_t len)
{
	/* The remainder by 5, from blocks that are one or two bytes longer. */
	unsigned int twos = len % 5 / 2, ones = len % 5 % 2;

	dicom_blank_add(b, empty7, sizeof(empty7), twos * sizeof(empty7));
	dicom_blank_add(b, empty6, sizeof(empty6), ones * sizeof(empty6));
	len -= twos * sizeof(empty7) + ones * sizeof(empty6);
	dicom_blank_add(b, empty5, sizeof(empty5), len);
}

/*
 * A stream of that length; what does not fit is replaced by padding, an
 * element without a value, and where that does not fit by zeros.
 */
static int add_stream(struct dicom_blank *b, const struct buffer *deflated,
		      uint64_t len)
{
	static const uint8_t padding[] = {
		0x00, 0x0c, 0x00, 0xf3, 0xff,	/* 12 bytes are stored */
		0xfc, 0xff, 0xfc, 0xff, 'O', 'B', 0, 0, 0, 0, 0, 0,
	};
	const uint8_t *p = padding;
	size_t n = sizeof(padding);

	if (deflated->len && len >= deflated->len + sizeof(final2) &&
	    can_fill(len - deflated->len - sizeof(final2))) {
		p = deflated->p;
		n = deflated->len;
	} else if (len < n + sizeof(final2) ||
		   !can_fill(len - n - sizeof(final2))) {
		n = 0;
	}
	if (!n) {
		dicom_blank_add(b, NULL, 1, len);
		return b->err;
	}
	dicom_blank_add(b, p, n, n);
	add_empty(b, len - n - sizeof(final2));
	dicom_blank_add(b, final2, sizeof(final2), sizeof(final2));
	return b->err;
}

int dicom_mask_deflated(struct dicom_blank *b, struct dicom_reader *r,
			const struct dicom_part *part,
			const uint8_t uid_key[DICOM_UID_KEY])
{
	struct buffer plain = { 0 }, deflated = { 0 };
	uint64_t len = part->end - part->start;
	ssize_t n = inflate_all(r, part, &plain);
	int err = n < 0 ? (int)n : mask_buffer(&plain, (size_t)n, uid_key);

	if (!err)
		err = deflate_all(plain.p + PREFIX, (size_t)n - PREFIX,
				  len, &deflated);
	if (!err)
		err = add_stream(b, &deflated, len);
	wipe_buffer(&plain);
	wipe_buffer(&deflated);
	return err;
}
