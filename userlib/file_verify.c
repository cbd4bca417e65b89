// SPDX-License-Identifier: GPL-2.0-or-later
/* Reading and authenticating all of a stored file. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

#include "dicom_mask.h"
#include "error.h"
#include "file.h"

/* Authenticate chunk @k and add its record to @mac. */
static int verify_chunk(struct chaosimg_file *f, uint64_t k, uint8_t *buf,
			uint8_t mac[16])
{
	uint32_t len = chunk_len(f->length, f->chunk_size, k);
	struct dirty *d = dirty_find(f, k);
	int err;

	if (d)
		return d->stored_len ? chunk_forget(f, k, d->stored_len, mac) :
				       0;
	err = chunk_read(f, k, 0, len, buf);
	return err ? err : chunk_forget(f, k, len, mac);
}

static int verify_all(struct chaosimg_file *f, uint8_t *buf,
		      int (*step)(void *ctx, uint64_t k), void *ctx)
{
	uint64_t chunks = chunk_count(f->length, f->chunk_size);
	uint8_t mac[16] = { 0 };
	int err = 0;

	for (uint64_t k = 0; !err && k < chunks; k++) {
		const struct hole *h = holes_next(&f->holes, k);

		if (h && h->start <= k) {
			k = h->start + h->count - 1;
			continue;
		}
		err = verify_chunk(f, k, buf, mac);
		if (!err && step)
			err = step(ctx, k);
	}
	if (!err && memcmp(mac, f->mac, sizeof(mac)))
		err = fail(EIO, "a chunk is older than the header: put back from a copy");
	return err;
}

/* --- a DICOM file's parts ---------------------------------------------------- */

/* Return: 0; -EIO if chunk @k's record is under another set than @set. */
static int check_set(struct chaosimg_file *f, uint64_t k, unsigned int set)
{
	uint8_t prefix[RECORD_PREFIX];

	if (read_full(f->fd, prefix, sizeof(prefix),
		      f->base + record_at(f->chunk_size, k)) != sizeof(prefix))
		return fail(EIO, "chunk %llu: cut off", (unsigned long long)k);
	if (record_is_zero(prefix) || record_set(prefix) == set)
		return 0;
	return fail(EIO, "chunk %llu: under the keys of other compartments than it belongs to",
		    (unsigned long long)k);
}

static int check_sets(struct chaosimg_file *f, const struct dicom_mask *m)
{
	uint64_t chunks = chunk_count(f->length, f->chunk_size), end;
	int err = 0;

	for (uint64_t k = 0; !err && k < chunks; k++) {
		const struct hole *h = holes_next(&f->holes, k);

		if (h && h->start <= k)
			k = h->start + h->count - 1;
		else
			err = check_set(f, k, mask_set(m, k, f->chunk_size,
						       &end));
	}
	return err;
}

static int verify_parts(struct chaosimg_file *f)
{
	struct part part[PART_COUNT];
	struct dicom_mask m;
	int err;

	if (!f->snap.sealed || !f->snap.parts.length)
		return 0;
	err = parts_read(f, (1 << PART_COUNT) - 1, part);
	if (err)
		return err;
	err = dicom_mask_unpack(part[PART_MASK].data, part[PART_MASK].len, &m);
	parts_free(part);
	if (err)
		return err;
	err = m.length == f->length ? check_sets(f, &m) :
				      fail(EIO, "parts: the mask of another file");
	dicom_mask_free(&m);
	return err ? err : parts_check_unread(f);
}

int file_verify(struct chaosimg_file *f, int (*step)(void *ctx, uint64_t k),
		void *ctx)
{
	uint8_t *buf;
	int err;

	if (f->keys->ks->held != HELD_ALL)
		return fail(EACCES, "verifying a file needs all keys");
	buf = malloc(f->chunk_size);
	if (!buf)
		return fail(ENOMEM, "out of memory");
	pthread_rwlock_wrlock(&f->rw);
	err = verify_all(f, buf, step, ctx);
	if (!err)
		err = verify_parts(f);
	pthread_rwlock_unlock(&f->rw);
	OPENSSL_cleanse(buf, f->chunk_size);
	free(buf);
	return err;
}

int chaosimg_file_verify(struct chaosimg_file *f)
{
	return file_verify(f, NULL, NULL);
}
