// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * After a sync that failed. The kernel may have dropped what it could not write,
 * and calls those pages clean: it reports that once, and the next sync succeeds
 * all the same. What is still in its memory is read once more, compared with
 * what the file must be, and written anew; only then a sync counts again.
 */
#include <errno.h>
#include <string.h>

#include <openssl/crypto.h>

#include "error.h"
#include "file.h"

static int lost(const char *what)
{
	return fail(EIO, "%s: lost after a sync that failed", what);
}

enum { RUN = 64 << 10 };

static bool all_zero(const uint8_t *p, size_t len)
{
	return !len || (!*p && !memcmp(p, p + 1, len - 1));
}

/* Holes stay holes. */
static int write_again(struct chaosimg_file *f)
{
	uint8_t *buf = scratch(RUN);
	uint64_t at = f->base;
	ssize_t n = RUN;
	int err = 0;

	if (!buf)
		return fail(ENOMEM, "out of memory");
	for (; !err && n == RUN; at += RUN) {
		n = read_full(f->fd, buf, RUN, at);
		if (n < 0)
			err = (int)n;
		else if (!all_zero(buf, n))
			err = write_full(f->fd, buf, n, at);
	}
	return err ? fail(-err, "sync: %s", strerror(-err)) : 0;
}

static int check_header(struct chaosimg_file *f)
{
	uint8_t slot[HEADER_SLOT];
	struct header h;
	ssize_t n = read_full(f->fd, slot, sizeof(slot),
			      f->base + (uint64_t)f->slot * HEADER_SLOT);
	int err = 0;

	if (n != HEADER_SLOT || header_unpack(slot, f->keys, &h) ||
	    (!f->unsure && h.generation != f->snap.generation))
		err = lost("header");
	OPENSSL_cleanse(&h, sizeof(h));
	return err;
}

/* Chunk @k's record of @len plaintext bytes; added to @mac. */
static int check_record(struct chaosimg_file *f, uint64_t k, uint32_t len,
			uint8_t mac[16])
{
	uint8_t *rec = scratch(record_size(f->chunk_size));
	uint64_t tag;
	ssize_t n;
	int err;

	if (!rec)
		return fail(ENOMEM, "out of memory");
	n = read_full(f->fd, rec, record_size(len),
		      f->base + record_at(f->chunk_size, k));
	tag = n < RECORD_PREFIX ? 0 : record_tag_offset(rec, len);
	if (!tag || (size_t)n < tag + GCM_TAG_SIZE + RECORD_CHECKSUM)
		return lost("record");
	err = record_mac_xor(f->keys, k, rec + tag, mac);
	if (!err && record_open(f->keys, f->snap.file_id, k, rec, len, NULL))
		err = lost("record");
	return err;
}

/* What the file has on the disk of chunk @k, if that counts; 0 if nothing. */
static uint32_t stored_len(const struct chaosimg_file *f, uint64_t k)
{
	const struct dirty *d = dirty_find(f, k);

	if (!d)
		return chunk_len(f->length, f->chunk_size, k);
	/* In the journal, and perhaps on its way to its place. */
	return f->unfinished ? 0 : d->stored_len;
}

/* Each record is authentic by itself; their sum says that none is older. */
static int check_records(struct chaosimg_file *f)
{
	const uint8_t *want = f->unfinished ? f->snap.mac : f->mac;
	uint64_t chunks = chunk_count(f->length, f->chunk_size);
	uint8_t mac[16] = { 0 };
	int err = 0;

	if (f->unfinished)
		memcpy(mac, f->snap.journal.mac, sizeof(mac));
	for (uint64_t k = 0; !err && k < chunks; k++) {
		const struct hole *h = holes_next(&f->holes, k);
		uint32_t len;

		if (h && h->start <= k) {
			k = h->start + h->count - 1;
			continue;
		}
		len = stored_len(f, k);
		if (len)
			err = check_record(f, k, len, mac);
	}
	if (!err && memcmp(mac, want, sizeof(mac)))
		err = lost("record");
	return err;
}

static int check_parts(struct chaosimg_file *f)
{
	struct part parts[PART_COUNT];

	if (!f->snap.parts.length)
		return 0;
	if (parts_read(f, ~0u, parts))
		return lost("parts");
	parts_free(parts);
	return 0;
}

int file_rewrite(struct chaosimg_file *f)
{
	int err = write_again(f);

	if (!err)
		err = check_header(f);
	if (!err && f->snap.journal.length && journal_check(f, &f->snap))
		err = lost("journal");
	if (!err)
		err = check_parts(f);
	return err ? err : check_records(f);
}

int file_resync(struct chaosimg_file *f)
{
	int err;

	if (!f->sync_failed)
		return 0;
	err = file_rewrite(f);
	if (err)
		return err;
	pthread_mutex_lock(&f->lock);
	f->writes++;
	f->headers++;
	pthread_mutex_unlock(&f->lock);
	f->sync_failed = false;
	/* What comes next may rely on what that sync was for. */
	err = f->durable ? data_sync(f) : 0;
	return err ? err : commit_cut(f);
}
