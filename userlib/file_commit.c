// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Snapshots: how a file gets from one consistent state on the disk to the next.
 *
 * A header slot describes a complete state: length, holes, incremental MAC. A
 * chunk that the newest snapshot does not rely on is written in its place at
 * once. One that it relies on must survive until the next snapshot holds; its
 * new record first goes to a journal behind the file's end, then a header that
 * names the journal, and only then to its place. Where a power cut matters
 * (f->durable), a sync stands between each two of these steps. Being killed
 * needs no syncs, only this order.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "bytes.h"
#include "error.h"
#include "file.h"

enum {
	ENTRY_CHUNK = 0,	/* number of the chunk */
	ENTRY_LEN = 8,		/* its plaintext bytes */
	ENTRY_HEADER = 16,
	JOURNAL_ALIGN = 4096,
	JOURNAL_RUN = 128 << 10,	/* bytes that are written at once */
};

static int io_error(int err, const char *what)
{
	return fail(-err, "%s: %s", what, strerror(-err));
}

/* The kernel tells of what it dropped once, to one of those who ask. */
static int sync_once(struct chaosimg_file *f)
{
	int err = 0;

	pthread_mutex_lock(&f->sync);
	if (f->sync_failed)
		err = fail(EIO, "sync: an earlier one failed");
	else if (TEMP_FAILURE_RETRY(fdatasync(f->fd)))
		err = fail_errno("sync");
	if (err)
		f->sync_failed = true;
	pthread_mutex_unlock(&f->sync);
	return err;
}

int data_sync(struct chaosimg_file *f)
{
	uint64_t writes, headers;
	int err;

	pthread_mutex_lock(&f->lock);
	writes = f->writes;
	headers = f->headers;
	pthread_mutex_unlock(&f->lock);
	err = sync_once(f);
	if (err)
		return err;
	pthread_mutex_lock(&f->lock);
	if (f->writes_synced < writes)
		f->writes_synced = writes;
	if (f->headers_synced < headers)
		f->headers_synced = headers;
	pthread_mutex_unlock(&f->lock);
	return 0;
}

static bool unsynced_writes(struct chaosimg_file *f)
{
	bool unsynced;

	pthread_mutex_lock(&f->lock);
	unsynced = f->writes != f->writes_synced;
	pthread_mutex_unlock(&f->lock);
	return unsynced;
}

static bool unsynced_header(struct chaosimg_file *f)
{
	bool unsynced;

	pthread_mutex_lock(&f->lock);
	unsynced = f->headers != f->headers_synced;
	pthread_mutex_unlock(&f->lock);
	return unsynced;
}

static void count_write(struct chaosimg_file *f, bool header)
{
	pthread_mutex_lock(&f->lock);
	f->writes++;
	f->headers += header;
	pthread_mutex_unlock(&f->lock);
}

static int sync_if_durable(struct chaosimg_file *f)
{
	return f->durable ? data_sync(f) : 0;
}

/* --- headers --- */

/* Write @h, under the next generation, to the next slot or the same to both. */
static int header_put(struct chaosimg_file *f, const struct header *h, bool both)
{
	uint8_t slots[HEADER_SIZE];
	struct header new = *h;
	int slot, err = 0;

	both = both || f->torn;
	slot = both ? 0 : !f->slot;
	/* A power cut may tear the slot being written, so the other has to hold. */
	if (f->durable && unsynced_header(f))
		err = data_sync(f);
	for (int i = 0; !err && i < (both ? HEADER_SLOTS : 1); i++) {
		new.generation = f->snap.generation + 1 + i;
		err = header_pack(&new, f->keys, slots + i * HEADER_SLOT);
	}
	if (err)
		return err;
	err = write_full(f->fd, slots, both ? HEADER_SIZE : HEADER_SLOT,
			 f->base + (uint64_t)slot * HEADER_SLOT);
	/* A write that failed may have reached the disk all the same. */
	f->snap.generation = new.generation;
	f->unsure = err != 0;
	if (err)
		return io_error(err, "header");
	f->torn = false;
	if (h->sealed)
		f->young = false;
	count_write(f, true);
	f->slot = both ? HEADER_SLOTS - 1 : slot;
	return 0;
}

int header_write(struct chaosimg_file *f, const struct header *h, bool both)
{
	int err = header_put(f, h, both);
	uint64_t generation = f->snap.generation;

	if (err)
		return err;
	f->snap = *h;
	f->snap.generation = generation;
	return 0;
}

/* No header that holds names the parts any more: give their space back. */
static int cut_parts(struct chaosimg_file *f)
{
	uint64_t at = f->region_at;

	if (!at)
		return 0;
	if (TEMP_FAILURE_RETRY(ftruncate(f->fd, (off_t)(f->base + at))))
		return fail_errno("resize");
	pthread_mutex_lock(&f->lock);
	f->region_at = 0;
	f->stored = at;
	f->writes++;
	pthread_mutex_unlock(&f->lock);
	return 0;
}

void parts_written(struct chaosimg_file *f, const struct header *h)
{
	pthread_mutex_lock(&f->lock);
	f->region_at = stored_size(h->length, f->chunk_size);
	f->writes++;
	if (h->parts.length)
		f->stored = sealed_size(h);
	else
		stored_refresh(f);
	pthread_mutex_unlock(&f->lock);
}

/* Say that the file is open. Its parts end with the first change. */
static int put_open(struct chaosimg_file *f)
{
	struct header h = f->snap;
	int err;

	if (h.parts.length) {
		sets_from_parts(f);
		f->content_changed = true;
	}
	h.sealed = false;
	memset(&h.parts, 0, sizeof(h.parts));
	err = header_put(f, &h, false);
	if (err)
		return err;
	f->snap.sealed = false;
	memset(&f->snap.parts, 0, sizeof(f->snap.parts));
	return sync_if_durable(f);
}

int mark_open(struct chaosimg_file *f)
{
	int err = 0;

	pthread_mutex_lock(&f->header);
	if (f->snap.sealed || f->unsure)
		err = put_open(f);
	if (!err)
		err = cut_parts(f);
	pthread_mutex_unlock(&f->header);
	return err;
}

/* The working state as a header. */
static void snapshot(struct chaosimg_file *f, struct header *h)
{
	*h = f->snap;
	memset(&h->journal, 0, sizeof(h->journal));
	memset(&h->parts, 0, sizeof(h->parts));
	h->length = f->length;
	memcpy(h->mac, f->mac, sizeof(h->mac));
	h->holes = (uint32_t)f->holes.count;
	for (uint32_t i = 0; i < h->holes; i++)
		h->hole[i] = f->holes.hole[i];
}

/* --- the journal --- */

static bool entry_sane(const struct chaosimg_file *f, const uint8_t *entry,
		       const struct header *h, uint64_t left, uint64_t *k,
		       uint32_t *len)
{
	*k = get_le64(entry + ENTRY_CHUNK);
	*len = get_le32(entry + ENTRY_LEN);
	return *len && *len == chunk_len(h->length, f->chunk_size, *k) &&
	       record_size(*len) <= left - ENTRY_HEADER;
}

/* Read a part of the journal: 0; -EBADMSG if it is not there; -errno. */
static int journal_read(struct chaosimg_file *f, void *buf, size_t len,
			uint64_t at)
{
	ssize_t n = read_full(f->fd, buf, len, f->base + at);

	if (n < 0)
		return io_error((int)n, "journal");
	return (size_t)n == len ? 0 : fail(EBADMSG, "journal: cut off");
}

/* Call @fn for each entry, its record in the thread's scratch buffer. */
static int journal_walk(struct chaosimg_file *f, const struct header *h,
			int (*fn)(struct chaosimg_file *f, uint64_t k,
				  uint32_t len, uint8_t *rec, void *ctx),
			void *ctx)
{
	const struct journal *j = &h->journal;
	uint64_t at = j->offset, left = j->length;
	uint32_t count = 0, len;
	uint64_t k;

	for (; left; count++) {
		size_t most = ENTRY_HEADER + record_size(f->chunk_size);
		uint8_t *entry = scratch(most);
		int err;

		if (!entry)
			return fail(ENOMEM, "out of memory");
		if (left < ENTRY_HEADER)
			return fail(EBADMSG, "journal: damaged");
		err = journal_read(f, entry, left < most ? left : most, at);
		if (!err && !entry_sane(f, entry, h, left, &k, &len))
			err = fail(EBADMSG, "journal: damaged");
		if (!err)
			err = fn(f, k, len, entry + ENTRY_HEADER, ctx);
		if (err)
			return err;
		at += ENTRY_HEADER + record_size(len);
		left -= ENTRY_HEADER + record_size(len);
	}
	return count == j->count ? 0 : fail(EBADMSG, "journal: damaged");
}

static int entry_check(struct chaosimg_file *f, uint64_t k, uint32_t len,
		       uint8_t *rec, void *mac)
{
	int err = record_mac_xor(f->keys, k, rec + record_tag_offset(rec, len),
				 mac);

	if (err)
		return err;
	if (record_open(f->keys, f->snap.file_id, k, rec, len, NULL))
		return fail(EBADMSG, "journal: damaged");
	return 0;
}

int journal_check(struct chaosimg_file *f, const struct header *h)
{
	uint8_t mac[16] = { 0 };
	int err = journal_walk(f, h, entry_check, mac);

	if (!err && memcmp(mac, h->journal.mac, sizeof(mac)))
		err = fail(EBADMSG, "journal: damaged");
	return err;
}

static int entry_apply(struct chaosimg_file *f, uint64_t k, uint32_t len,
		       uint8_t *rec, void *ctx)
{
	int err = write_full(f->fd, rec, record_size(len),
			     f->base + record_at(f->chunk_size, k));

	(void)ctx;
	return err ? io_error(err, "journal") : 0;
}

/*
 * Only reading: the record in memory stands for the one in its place, which
 * may be either, so it counts as having none.
 */
static int entry_overlay(struct chaosimg_file *f, uint64_t k, uint32_t len,
			 uint8_t *rec, void *ctx)
{
	struct dirty *d;
	int err = dirty_make(f, k, true, &d);

	(void)ctx;
	if (!err)
		err = record_mac_xor(f->keys, k,
				     rec + record_tag_offset(rec, len), f->mac);
	if (err)
		return err;
	d->stored_len = 0;
	return record_open(f->keys, f->snap.file_id, k, rec, len, d->data);
}

int journal_overlay(struct chaosimg_file *f, const struct header *h)
{
	return journal_walk(f, h, entry_overlay, NULL);
}

/*
 * Make one changed chunk's entry. @h gathers the incremental MACs as they will
 * be when the journal is in place.
 */
static int entry_make(struct chaosimg_file *f, const struct dirty *d,
		      struct header *h, uint8_t *entry, size_t *size)
{
	uint32_t len = chunk_len(h->length, f->chunk_size, d->chunk);
	unsigned int set = chunk_set(f, d->chunk, len);
	uint8_t *rec = entry + ENTRY_HEADER;
	uint8_t delta[16] = { 0 };
	int err;

	memset(entry, 0, ENTRY_HEADER);
	put_le64(entry + ENTRY_CHUNK, d->chunk);
	put_le32(entry + ENTRY_LEN, len);
	err = record_seal(f->keys, h->file_id, d->chunk, set, d->data, len,
			  rec);
	if (!err)
		err = record_mac_xor(f->keys, d->chunk,
				     rec + record_tag_offset(rec, len), delta);
	if (!err)
		err = dirty_forget(f, d, h->mac);
	if (err)
		return err;
	for (int i = 0; i < 16; i++) {
		h->journal.mac[i] ^= delta[i];
		h->mac[i] ^= delta[i];
	}
	*size = ENTRY_HEADER + record_size(len);
	h->journal.count++;
	sets_put(&f->sets, d->chunk, 1, set);
	return 0;
}

/* Make entries for the dirty chunks from @i on, as many as go out together. */
static int journal_add(struct chaosimg_file *f, size_t *i, struct header *h)
{
	uint8_t *buf = scratch(JOURNAL_RUN + ENTRY_HEADER +
			       record_size(f->chunk_size));
	size_t used = 0, size;
	int err = buf ? 0 : fail(ENOMEM, "out of memory");

	for (; !err && used < JOURNAL_RUN && *i < f->dirty_count; ++*i) {
		err = entry_make(f, f->dirty[*i], h, buf + used, &size);
		if (!err)
			used += size;
	}
	if (err)
		return err;
	err = write_full(f->fd, buf, used,
			 f->base + h->journal.offset + h->journal.length);
	h->journal.length += used;
	return err ? io_error(err, "journal") : 0;
}

static int journal_write(struct chaosimg_file *f, struct header *h)
{
	uint64_t at = record_at(f->chunk_size,
				chunk_count(h->length, f->chunk_size));
	int err = 0;

	if (at < f->stored)
		at = f->stored;
	at = (at + JOURNAL_ALIGN - 1) / JOURNAL_ALIGN * JOURNAL_ALIGN;
	h->journal.offset = at;
	for (size_t i = 0; !err && i < f->dirty_count;)
		err = journal_add(f, &i, h);
	if (err)
		return err;
	f->stored = h->journal.offset + h->journal.length;
	return 0;
}

/* --- commit --- */

/* Write the chunks that no snapshot relies on to their places. */
static int store_new_chunks(struct chaosimg_file *f)
{
	size_t i = 0;

	while (i < f->dirty_count) {
		struct dirty *d = f->dirty[i];
		uint32_t len = chunk_len(f->length, f->chunk_size, d->chunk);
		int err;

		if (in_snapshot(f, d->chunk)) {
			i++;
			continue;
		}
		if (!len) {	/* a write that failed half-way */
			dirty_drop(f, d);
			continue;
		}
		err = dirty_store(f, d, len);
		if (err)
			return err;
		dirty_drop(f, d);
	}
	return 0;
}

/* Holes that the header has no room for become short records of zeros. */
static int store_zero(struct chaosimg_file *f, uint64_t k)
{
	uint8_t rec[RECORD_ZERO_SIZE], delta[16] = { 0 };
	uint32_t len = chunk_len(f->length, f->chunk_size, k);
	uint64_t at = record_at(f->chunk_size, k);
	struct dirty *d;
	int err;

	/* A chunk that the snapshot relies on has to go through the journal. */
	if (in_snapshot(f, k))
		return dirty_make(f, k, true, &d);
	err = mark_open(f);
	if (!err)
		err = record_seal_zero(f->keys, f->snap.file_id, k, len, rec);
	if (!err)
		err = record_mac_xor(f->keys, k,
				     rec + record_tag_offset(rec, len), delta);
	if (err)
		return err;
	err = write_full(f->fd, rec, sizeof(rec), f->base + at);
	if (err) {
		stored_refresh(f);
		return io_error(err, "hole");
	}
	for (int i = 0; i < 16; i++)
		f->mac[i] ^= delta[i];
	if (at + sizeof(rec) > f->stored)
		f->stored = at + sizeof(rec);
	count_write(f, false);
	f->filled = true;
	sets_put(&f->sets, k, 1, SET_ANY);
	return holes_remove(&f->holes, k, 1) ? fail(ENOMEM, "out of memory") : 0;
}

static int limit_holes(struct chaosimg_file *f)
{
	while (f->holes.count > HEADER_HOLES) {
		const struct hole *least = &f->holes.hole[0];

		for (size_t i = 1; i < f->holes.count; i++)
			if (f->holes.hole[i].count < least->count)
				least = &f->holes.hole[i];
		for (struct hole h = *least; h.count; h.start++, h.count--) {
			int err = store_zero(f, h.start);

			if (err)
				return err;
		}
	}
	return 0;
}

static int resize_to(struct chaosimg_file *f, uint64_t size)
{
	if (size == f->stored)
		return 0;
	if (TEMP_FAILURE_RETRY(ftruncate(f->fd, (off_t)(f->base + size)))) {
		int err = fail_errno("resize");

		stored_refresh(f);
		return err;
	}
	count_write(f, false);
	f->stored = size;
	f->region_at = 0;
	return 0;
}

static int resize(struct chaosimg_file *f)
{
	return resize_to(f, stored_size(f->length, f->chunk_size));
}

int commit_cut(struct chaosimg_file *f)
{
	uint64_t length = f->length > f->snap.length ? f->length :
						       f->snap.length;
	uint64_t size = stored_size(length, f->chunk_size);

	if (f->snap.sealed || f->snap.journal.length || f->stored <= size)
		return 0;
	return resize_to(f, size);
}

/* No header names the journal, or none that counts: give its space back. */
static void journal_undo(struct chaosimg_file *f, uint64_t stored)
{
	if (!ftruncate(f->fd, (off_t)(f->base + stored)))
		count_write(f, false);
	stored_refresh(f);
}

/*
 * Chunks that the snapshot relies on have changed: go through the journal. The
 * header stays open as long as the journal makes the stored file longer.
 */
static int commit_journal(struct chaosimg_file *f, struct header *h)
{
	uint64_t stored = f->stored;
	int err = mark_open(f);

	if (err)
		return err;
	err = journal_write(f, h);
	/*
	 * The header may reach the disk before the journal does: then the
	 * journal does not check out and the older slot holds.
	 */
	if (!err)
		err = header_write(f, h, false);
	if (err) {
		journal_undo(f, stored);
		return err;
	}
	return commit_finish(f);
}

int commit_finish(struct chaosimg_file *f)
{
	struct header h = f->snap;
	int err = file_resync(f);

	if (err || !h.journal.length)
		return err;
	f->unfinished = true;
	err = sync_if_durable(f);
	if (!err)
		err = journal_walk(f, &h, entry_apply, NULL);
	if (!err)
		err = sync_if_durable(f);
	memset(&h.journal, 0, sizeof(h.journal));
	if (!err)
		err = header_write(f, &h, false);
	if (err)
		return err;
	memcpy(f->mac, h.mac, sizeof(f->mac));
	dirty_drop_all(f);
	f->unfinished = false;
	/* Only now nothing can name the journal any more. */
	err = sync_if_durable(f);
	return err ? err : commit_cut(f);
}

/* Nothing on the disk is in the way of the new snapshot. */
static int commit_plain(struct chaosimg_file *f, const struct header *h)
{
	uint64_t size = stored_size(h->length, f->chunk_size);
	int err = 0;

	/* Growing comes before the header, cutting after it. */
	if (f->stored < size || (f->region_at && f->region_at < size)) {
		err = mark_open(f);
		if (!err)
			err = resize(f);
	}
	if (!err)
		err = header_write(f, h, h->sealed);
	if (!err && f->stored > sealed_size(h)) {
		err = sync_if_durable(f);
		if (!err)
			err = resize(f);
	}
	return err;
}

/*
 * A sealed header promises the stored size. Where something durable could be
 * lost by a promise that a power cut breaks, it has to wait for the sync; the
 * other slot, open, then describes the same state.
 */
static int seal(struct chaosimg_file *f)
{
	struct header h = f->snap;
	int err;

	err = plan_write_parts(f, &h);
	if (!err && f->durable && unsynced_writes(f))
		err = data_sync(f);
	h.sealed = true;
	return err ? err : header_write(f, &h, false);
}

/* Write all that has changed; sealed at once only if nothing durable is at stake. */
static int commit_changes(struct chaosimg_file *f, bool sealed)
{
	struct header h;
	int err, without = 0;

	err = limit_holes(f);
	if (!err)
		err = store_new_chunks(f);
	/* The zeros of a hole may be durable too. */
	if (!err && f->filled)
		err = sync_if_durable(f);
	if (err)
		return err;
	f->filled = false;
	snapshot(f, &h);
	/* A file that has yet to be cut must not be called sealed. */
	h.sealed = sealed && !f->dirty_count && !f->durable &&
		   f->stored <= stored_size(f->length, f->chunk_size);
	/* Whatever becomes of the parts, the snapshot is not lost. */
	if (h.sealed)
		without = plan_write_parts(f, &h);
	if (without)
		h.sealed = false;
	err = f->dirty_count ? commit_journal(f, &h) : commit_plain(f, &h);
	if (!err)
		f->changed = false;
	return err ? err : without;
}

int commit_snapshot(struct chaosimg_file *f)
{
	return commit_changes(f, false);
}

static int commit_planned(struct chaosimg_file *f, unsigned int flags)
{
	int err = plan_store(f);

	if (!err && f->changed)
		err = commit_changes(f, flags != 0);
	if (!err && (flags & COMMIT_SEAL) && !f->snap.sealed)
		err = seal(f);
	if (err || !flags)
		return err;
	head_drop(f);
	if (f->snap.sealed)
		f->content_changed = false;
	return 0;
}

int commit(struct chaosimg_file *f, unsigned int flags)
{
	int err = commit_finish(f);

	if (!err && f->content_changed &&
	    ((flags & COMMIT_SEAL) || (flags && !f->durable)))
		err = plan_begin(f);
	if (!err)
		err = commit_planned(f, flags);
	plan_end(f);
	return err;
}
