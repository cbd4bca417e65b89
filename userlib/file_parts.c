// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A sealed DICOM file's parts: what those read who hold some compartments. They
 * stand behind the last record, in records of their own, each part under its
 * compartment's key and the mask under the one that all readers have.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/crypto.h>
#include <xxhash.h>

#include "bytes.h"
#include "error.h"
#include "file.h"

enum { RUN_BYTES = 128 << 10 };	/* that are written at once */

#define FIRST_PART_CHUNK	(1ull << 63)

/* A part's records hold as much as a chunk's; the last one what is left. */
static uint32_t piece_len(uint32_t len, uint32_t chunk_size, uint32_t done)
{
	return len - done < chunk_size ? len - done : chunk_size;
}

/* Numbers that no chunk has. */
static uint64_t piece_number(unsigned int part, uint32_t chunk_size,
			     uint32_t done)
{
	return FIRST_PART_CHUNK | (uint64_t)part << 32 | done / chunk_size;
}

static unsigned int part_set(unsigned int part)
{
	return part == PART_MASK ? 0 : held_bit(part - PART_CLINICAL);
}

uint64_t parts_region(const uint32_t len[PART_COUNT], uint32_t chunk_size)
{
	uint64_t size = RECORD_CHECKSUM;

	for (unsigned int i = 0; i < PART_COUNT; i++)
		size += len[i] + chunk_count(len[i], chunk_size) *
				 (uint64_t)RECORD_OVERHEAD;
	return size;
}

bool parts_sane(const struct header *h)
{
	for (unsigned int i = 0; i < PART_COUNT; i++)
		if (h->parts.len[i] > PART_MAX ||
		    (h->parts.len[i] && !h->parts.length))
			return false;
	return !h->parts.length ||
	       (h->parts.offset == stored_size(h->length, h->chunk_size) &&
		h->parts.length == parts_region(h->parts.len, h->chunk_size));
}

/* --- building ---------------------------------------------------------------- */

int part_add(struct part *p, const void *data, size_t len)
{
	size_t room = p->room ? p->room : RUN_BYTES / 8;
	uint8_t *q;

	if (p->len + len > PART_MAX)
		return fail(EFBIG, "parts: longer than they may be");
	while (room < p->len + len)
		room *= 2;
	if (room > p->room) {
		q = malloc(room);
		if (!q)
			return fail(ENOMEM, "out of memory");
		if (p->len)
			memcpy(q, p->data, p->len);
		part_free(p);
		p->data = q;
		p->room = room;
	}
	memcpy(p->data + p->len, data, len);
	p->len += len;
	return 0;
}

void part_free(struct part *p)
{
	if (p->data)
		explicit_bzero(p->data, p->len);
	free(p->data);
	p->data = NULL;
	p->room = 0;
}

void parts_free(struct part parts[PART_COUNT])
{
	for (unsigned int i = 0; i < PART_COUNT; i++) {
		part_free(&parts[i]);
		parts[i].len = 0;
	}
}

/* --- writing ----------------------------------------------------------------- */

/**
 * struct region - while it is written
 * @p: where in the header that will name it
 * @sum: of what was written, or NULL if nothing was yet
 * @buf: what is made and not yet written; the thread's scratch buffer
 * @used: bytes of @buf
 * @at: where in the stored file they go
 */
struct region {
	struct chaosimg_file *f;
	struct parts *p;
	XXH3_state_t *sum;
	uint8_t *buf;
	size_t used;
	uint64_t at;
};

static int region_out(struct region *r)
{
	int err = write_full(r->f->fd, r->buf, r->used, r->f->base + r->at);

	r->at += r->used;
	r->used = 0;
	return err ? fail(-err, "parts: %s", strerror(-err)) : 0;
}

/* Most regions are one run, and need no sum that goes on. */
static int run_out(struct region *r)
{
	if (!r->sum) {
		r->sum = XXH3_createState();
		if (!r->sum)
			return fail(ENOMEM, "out of memory");
		XXH3_64bits_reset(r->sum);
	}
	XXH3_64bits_update(r->sum, r->buf, r->used);
	return region_out(r);
}

static uint64_t region_sum(struct region *r)
{
	if (!r->sum)
		return record_checksum(r->buf, r->used);
	XXH3_64bits_update(r->sum, r->buf, r->used);
	return XXH3_64bits_digest(r->sum);
}

static int write_piece(struct region *r, unsigned int part, uint32_t done,
		       const uint8_t *data, uint32_t len)
{
	struct chaosimg_file *f = r->f;
	uint64_t number = piece_number(part, f->chunk_size, done);
	uint8_t *rec = r->buf + r->used;
	int err = record_seal(f->keys, f->snap.file_id, number, part_set(part),
			      data, len, rec);

	if (!err)
		err = record_mac_xor(f->keys, number,
				     rec + record_tag_offset(rec, len),
				     r->p->mac);
	if (err)
		return err;
	r->used += record_size(len);
	return r->used < RUN_BYTES ? 0 : run_out(r);
}

static int write_part(struct region *r, unsigned int part, const struct part *p)
{
	int err = 0;

	r->p->len[part] = (uint32_t)p->len;
	for (uint32_t done = 0; !err && done < p->len;) {
		uint32_t n = piece_len((uint32_t)p->len, r->f->chunk_size, done);

		err = write_piece(r, part, done, p->data + done, n);
		done += n;
	}
	return err;
}

static int write_region(struct region *r, const struct part parts[PART_COUNT])
{
	int err = 0;

	for (unsigned int i = 0; !err && i < PART_COUNT; i++)
		err = write_part(r, i, &parts[i]);
	if (err)
		return err;
	put_le64(r->buf + r->used, region_sum(r));
	r->used += RECORD_CHECKSUM;
	return region_out(r);
}

int parts_write(struct chaosimg_file *f, const struct part parts[PART_COUNT],
		struct header *h)
{
	struct region r = { .f = f, .p = &h->parts };
	int err;

	memset(&h->parts, 0, sizeof(h->parts));
	r.at = h->parts.offset = stored_size(h->length, f->chunk_size);
	r.buf = scratch(RUN_BYTES + record_size(f->chunk_size) +
			RECORD_CHECKSUM);
	err = r.buf ? write_region(&r, parts) : fail(ENOMEM, "out of memory");
	XXH3_freeState(r.sum);
	h->parts.length = r.at - h->parts.offset;
	if (!err && TEMP_FAILURE_RETRY(ftruncate(f->fd, (off_t)
						 (f->base + sealed_size(h)))))
		err = fail_errno("resize");
	if (err)
		memset(&h->parts, 0, sizeof(h->parts));
	return err;
}

/* --- reading ----------------------------------------------------------------- */

static int open_piece(struct chaosimg_file *f, unsigned int part, uint32_t done,
		      uint8_t *rec, uint32_t len, uint8_t *out)
{
	static const char *const name[] = {
		"mask", "clinical", "identity", "pixels"
	};
	char why[160];
	int err = record_open(f->keys, f->snap.file_id,
			      piece_number(part, f->chunk_size, done), rec, len,
			      out);

	if (!err)
		return 0;
	snprintf(why, sizeof(why), "%s", chaosimg_errmsg());
	return fail(-err, "part %s: %s", name[part], why);
}

static int read_part(struct chaosimg_file *f, unsigned int part, uint8_t **rec,
		     struct part *out)
{
	uint32_t len = f->snap.parts.len[part];
	int err = 0;

	out->data = malloc(len ? len : 1);
	if (!out->data)
		return fail(ENOMEM, "out of memory");
	out->len = out->room = len;
	for (uint32_t done = 0; !err && done < len;) {
		uint32_t n = piece_len(len, f->chunk_size, done);

		err = open_piece(f, part, done, *rec, n, out->data + done);
		*rec += record_size(n);
		done += n;
	}
	return err;
}

/* No part may be older than the header: what is there adds up to its sum. */
static int check_mac(struct chaosimg_file *f, const uint8_t *rec)
{
	const struct parts *p = &f->snap.parts;
	uint8_t mac[16] = { 0 };
	int err = 0;

	for (unsigned int i = 0; i < PART_COUNT; i++)
		for (uint32_t done = 0; !err && done < p->len[i];) {
			uint32_t n = piece_len(p->len[i], f->chunk_size, done);

			err = record_mac_xor(f->keys,
					     piece_number(i, f->chunk_size,
							  done),
					     rec + record_tag_offset(rec, n),
					     mac);
			rec += record_size(n);
			done += n;
		}
	if (!err && CRYPTO_memcmp(mac, p->mac, sizeof(mac)))
		err = fail(EIO, "parts: damaged, or not those of the header");
	return err;
}

static int open_region(struct chaosimg_file *f, uint8_t *rec, unsigned int which,
		       struct part out[PART_COUNT])
{
	int err = check_mac(f, rec);

	for (unsigned int i = 0; !err && i < PART_COUNT; i++) {
		uint32_t len = f->snap.parts.len[i];

		if (which & (1u << i))
			err = read_part(f, i, &rec, &out[i]);
		else
			rec += len + chunk_count(len, f->chunk_size) *
				     RECORD_OVERHEAD;
	}
	return err;
}

int parts_read(struct chaosimg_file *f, unsigned int which,
	       struct part out[PART_COUNT])
{
	const struct parts *p = &f->snap.parts;
	uint8_t *region;
	ssize_t n;
	int err;

	memset(out, 0, PART_COUNT * sizeof(*out));
	if (!p->length)
		return fail(EIO, "parts: there are none");
	region = malloc(p->length);
	if (!region)
		return fail(ENOMEM, "out of memory");
	n = read_full(f->fd, region, p->length, f->base + p->offset);
	if (n < 0)
		err = fail((int)-n, "parts: %s", strerror((int)-n));
	else if ((uint64_t)n < p->length)
		err = fail(EIO, "parts: cut off");
	else
		err = open_region(f, region, which, out);
	explicit_bzero(region, p->length);
	free(region);
	if (err)
		parts_free(out);
	return err;
}

static bool is_zero(const uint8_t *p, size_t len)
{
	return !len || (!p[0] && !memcmp(p, p + 1, len - 1));
}

/* @buf: all that is behind the records, @len bytes. */
static int check_unread(const struct parts *p, const uint8_t *buf, size_t len)
{
	size_t end = p->length - RECORD_CHECKSUM;

	if (len < p->length)
		return fail(EIO, "parts: cut off");
	if (XXH3_64bits(buf, end) != get_le64(buf + end))
		return fail(EIO, "parts: authentic, but their checksum is damaged");
	if (!is_zero(buf + p->length, len - p->length))
		return fail(EIO, "parts: authentic, but there are bytes behind them");
	return 0;
}

int parts_check_unread(struct chaosimg_file *f)
{
	const struct parts *p = &f->snap.parts;
	uint64_t size = sealed_size(&f->snap) - p->offset;
	uint8_t *buf = malloc(size);
	ssize_t n;
	int err;

	if (!buf)
		return fail(ENOMEM, "out of memory");
	n = read_full(f->fd, buf, size, f->base + p->offset);
	err = n < 0 ? fail((int)-n, "parts: %s", strerror((int)-n)) :
		      check_unread(p, buf, (size_t)n);
	free(buf);
	return err;
}
