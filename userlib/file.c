// SPDX-License-Identifier: GPL-2.0-or-later
/* Opening, settling and closing stored files. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <openssl/crypto.h>

#include "error.h"
#include "file.h"
#include "file_view.h"
#include "ingest.h"
#include "ingest_session.h"

static int locks_init(struct chaosimg_file *f)
{
	pthread_rwlockattr_t attr;
	int err;

	/* A flush must not wait for ever behind a stream of reads. */
	pthread_rwlockattr_init(&attr);
	pthread_rwlockattr_setkind_np(
		&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	err = pthread_rwlock_init(&f->rw, &attr);
	pthread_rwlockattr_destroy(&attr);
	if (!err)
		err = pthread_mutex_init(&f->header, NULL);
	if (!err)
		err = pthread_mutex_init(&f->sync, NULL);
	if (!err)
		err = pthread_mutex_init(&f->lock, NULL);
	if (!err)
		err = pthread_cond_init(&f->freed, NULL);
	return err ? fail(err, "locks: %s", strerror(err)) : 0;
}

static int file_new(struct chaosimg_archive *a, int fd, uint64_t base,
		    struct chaosimg_file **out)
{
	struct chaosimg_file *f = calloc(1, sizeof(*f));
	int err;

	if (!f) {
		close(fd);
		return fail(ENOMEM, "out of memory");
	}
	f->a = a;
	f->fd = fd;
	f->base = base;
	sets_all(&f->sets, SET_UNKNOWN);
	f->chunk_size = a->chunk_size;
	err = locks_init(f);
	if (err) {
		close(fd);
		free(f);
		return err;
	}
	*out = f;
	return 0;
}

/* Who opens it next knows nothing of the sync that failed: he has his own. */
static void leave_to_next(struct chaosimg_file *f)
{
	char why[256];

	snprintf(why, sizeof(why), "%s", chaosimg_errmsg());
	file_rewrite(f);
	fail(EIO, "%s", why);
}

static void file_free(struct chaosimg_file *f)
{
	if (f->sync_failed)
		leave_to_next(f);
	dirty_drop_all(f);
	free(f->dirty);
	head_drop(f);
	holes_free(&f->holes);
	sets_all(&f->sets, SET_UNKNOWN);
	plan_end(f);
	view_free(f->view);
	file_keys_free(f->keys);
	if (f->a->ingest)
		ingest_release(f->a, f->keyset);
	pthread_cond_destroy(&f->freed);
	pthread_mutex_destroy(&f->lock);
	pthread_mutex_destroy(&f->sync);
	pthread_mutex_destroy(&f->header);
	pthread_rwlock_destroy(&f->rw);
	if (f->fd >= 0)
		close(f->fd);
	OPENSSL_cleanse(&f->snap, sizeof(f->snap));
	free(f);
}

/* The keyset of @id; NULL for that of new files. */
static int find_keyset(struct chaosimg_file *f, const uint8_t *id)
{
	struct chaosimg_archive *a = f->a;

	if (a->ingest) {
		ingest_release(a, f->keyset);
		f->keyset = NULL;
		return ingest_hold(a, id, &f->keyset);
	}
	if (id)
		return keyset_of_file(a, id, &f->keyset);
	f->keyset = keyring_newest(a->ring);
	return f->keyset ? 0 : fail(ENOKEY, "no keyset");
}

int file_create_at(struct chaosimg_archive *a, int fd, uint64_t base,
		   const uint8_t binding[CHAOSIMG_BINDING_SIZE],
		   struct chaosimg_file **out)
{
	struct chaosimg_file *f;
	struct header h = { 0 };
	int err;

	err = file_new(a, fd, base, &f);
	if (err)
		return err;
	f->writable = true;
	f->young = true;
	h.chunk_size = a->chunk_size;
	h.bindings = 1;
	memcpy(h.binding[0], binding, CHAOSIMG_BINDING_SIZE);
	err = find_keyset(f, NULL);
	if (!err)
		err = random_public(h.file_id, sizeof(h.file_id));
	if (!err) {
		memcpy(h.keyset_id, f->keyset->id, sizeof(h.keyset_id));
		err = file_keys_new(a, f->keyset, h.file_id, &f->keys);
	}
	if (!err)
		err = header_write(f, &h, true);
	if (err) {
		file_free(f);
		return err;
	}
	f->stored = HEADER_SIZE;
	*out = f;
	return 0;
}

int chaosimg_file_create(struct chaosimg_archive *a, int fd,
			 const uint8_t binding[CHAOSIMG_BINDING_SIZE],
			 struct chaosimg_file **out)
{
	return file_create_at(a, fd, 0, binding, out);
}

/* --- opening --- */

enum {
	FETCHED_ANYWAY = 16 << 10,	/* with the header, by the kernel */
	FETCHED = 32 << 10,
	SLOT_TRIES = 3,
	SLOT_USEC = 2000,
};

/**
 * struct slots - the header's slots as read
 * @h: valid ones, the newest first
 * @index: where each stood
 */
struct slots {
	struct header h[HEADER_SLOTS];
	int index[HEADER_SLOTS];
	int count;
};

static int find_keys(struct chaosimg_file *f, const struct header *h)
{
	int err = find_keyset(f, h->keyset_id);

	return err ? err :
	       file_keys_new(f->a, f->keyset, h->file_id, &f->keys);
}

static int header_sane(const struct chaosimg_file *f, const struct header *h)
{
	uint64_t chunks = chunk_count(h->length, f->chunk_size);

	if (h->chunk_size != f->chunk_size)
		return fail(EIO, "header: chunk size %u is not the archive's",
			    h->chunk_size);
	if (h->length > length_max(f->chunk_size))
		return fail(EIO, "header: impossible length");
	if (h->journal.length &&
	    (h->journal.offset < stored_size(h->length, f->chunk_size) ||
	     h->journal.offset > INT64_MAX - f->base ||
	     h->journal.length > INT64_MAX - f->base - h->journal.offset))
		return fail(EIO, "header: impossible journal");
	if (!parts_sane(h))
		return fail(EIO, "header: impossible parts");
	for (uint32_t i = 0; i < h->holes; i++)
		if (h->hole[i].start + h->hole[i].count > chunks)
			return fail(EIO, "header: impossible hole");
	return 0;
}

/* Read one slot; the keys are derived from the first that looks like one. */
static int read_slot(struct chaosimg_file *f, uint8_t *raw, struct header *h,
		     uint8_t file_id[CHAOSIMG_ID_SIZE])
{
	int err = header_peek(raw, h);

	if (err)
		return err;
	if (!f->keys) {
		err = find_keys(f, h);
		if (err)
			return err;
		memcpy(file_id, h->file_id, CHAOSIMG_ID_SIZE);
	} else if (memcmp(file_id, h->file_id, CHAOSIMG_ID_SIZE)) {
		return fail(EIO, "header: slots of two files");
	}
	err = header_unpack(raw, f->keys, h);
	return err ? err : header_sane(f, h);
}

/*
 * Who opens a file will read it: the disk shall fetch what stands behind the
 * header while that is authenticated. Only asked for by reading does the kernel
 * go on reading ahead, and by more than a page at a time; it begins for those
 * who do not wait for it, too.
 */
static ssize_t read_header(const struct chaosimg_file *f,
			   uint8_t raw[HEADER_SIZE])
{
	uint8_t *buf = f->stored > FETCHED_ANYWAY ? scratch(FETCHED) : NULL;
	struct iovec v = { buf, FETCHED };

	if (!buf || preadv2(f->fd, &v, 1, (off_t)f->base, RWF_NOWAIT) <
			    HEADER_SIZE)
		return read_full(f->fd, raw, HEADER_SIZE, f->base);
	memcpy(raw, buf, HEADER_SIZE);
	return HEADER_SIZE;
}

static int read_slots(struct chaosimg_file *f, struct slots *s)
{
	uint8_t raw[HEADER_SIZE] = { 0 }, file_id[CHAOSIMG_ID_SIZE];
	ssize_t n = read_header(f, raw);
	int err, first_err = 0;

	if (n < 0)
		return fail((int)-n, "header: %s", strerror((int)-n));
	if (n < HEADER_SLOT)
		return fail(EIO, "header: cut off");
	for (int i = 0; i < HEADER_SLOTS; i++) {
		struct header *h = &s->h[s->count];

		err = read_slot(f, raw + i * HEADER_SLOT, h, file_id);
		/* A newer format's slot must not be overwritten as damaged. */
		if (err == -EPROTONOSUPPORT || err == -ENOKEY ||
		    err == -ENOMEM)
			return err;
		if (err) {
			first_err = first_err ? first_err : err;
			if (f->keys && !s->count) {
				file_keys_free(f->keys);
				f->keys = NULL;
			}
			continue;
		}
		s->index[s->count++] = i;
	}
	if (!s->count)
		return first_err;
	if (s->count == 2 && s->h[1].generation > s->h[0].generation) {
		struct header h = s->h[0];

		s->h[0] = s->h[1];
		s->h[1] = h;
		s->index[0] = 1;
		s->index[1] = 0;
	}
	return 0;
}

/*
 * Who has not all keys is shown nothing of a file that is not sealed. If only
 * one slot is left, it may be the other one that says it is.
 */
static bool seal_unknown(const struct chaosimg_file *f, const struct slots *s)
{
	return s->count < HEADER_SLOTS && !s->h[0].sealed && s->h[0].length &&
	       f->keys->ks->held != HELD_ALL;
}

/* Somebody may just be writing the slot. */
static int read_both_slots(struct chaosimg_file *f, struct slots *s)
{
	int err, tries = SLOT_TRIES;

	for (;;) {
		err = read_slots(f, s);
		if (err || !seal_unknown(f, s))
			return err;
		if (!--tries)
			return fail(EIO, "header: a slot is damaged that may say the file is sealed");
		file_keys_free(f->keys);
		f->keys = NULL;
		s->count = 0;
		usleep(SLOT_USEC);
	}
}

/* Make the working state that of header @i. */
static int adopt(struct chaosimg_file *f, const struct slots *s, int i)
{
	const struct header *h = &s->h[i];

	f->snap = *h;
	f->slot = s->index[i];
	f->length = h->length;
	memcpy(f->mac, h->mac, sizeof(f->mac));
	f->holes.count = 0;
	for (uint32_t n = 0; n < h->holes; n++)
		if (holes_add(&f->holes, h->hole[n].start, h->hole[n].count))
			return fail(ENOMEM, "out of memory");
	return 0;
}

/*
 * A crash left the file open. Its newest slot whose journal, if it names one,
 * is whole says what the file is.
 */
static int adopt_open(struct chaosimg_file *f, const struct slots *s)
{
	int err = 0;

	for (int i = 0; i < s->count; i++) {
		err = adopt(f, s, i);
		if (err)
			return err;
		if (!s->h[i].journal.length)
			return 0;
		err = journal_check(f, &s->h[i]);
		if (err != -EBADMSG)
			return err;
	}
	return fail(EIO, "journal: damaged");
}

/* Finish what a crash interrupted, and seal. */
static int settle(struct chaosimg_file *f)
{
	int err = stray_settle(f);

	if (err)
		return err;
	f->changed = true;
	f->content_changed = true;
	return commit(f, COMMIT_SEAL);
}

/* A full disk must not keep anybody from reading. */
static bool settle_later(int err, unsigned int flags)
{
	return !(flags & CHAOSIMG_FILE_WRITE) &&
	       (err == -ENOSPC || err == -EDQUOT);
}

static int open_unsealed(struct chaosimg_file *f, const struct slots *s,
			 unsigned int flags)
{
	int err = adopt_open(f, s);

	if (!err && f->writable) {
		err = settle(f);
		if (!settle_later(err, flags))
			return err;
		f->writable = false;
		err = 0;
	}
	if (!err && f->snap.journal.length && f->keys->ks->held == HELD_ALL)
		err = journal_overlay(f, &f->snap);
	return err;
}

static int open_slots(struct chaosimg_file *f, const struct slots *s,
		      unsigned int flags)
{
	uint64_t want;
	int err;

	if (!s->h[0].sealed)
		return open_unsealed(f, s, flags);
	err = adopt(f, s, 0);
	f->region_at = f->snap.parts.offset;
	want = sealed_size(&f->snap);
	if (!err && f->stored != want)
		err = fail(EIO, "%s: %llu bytes are stored, %llu belong here",
			   f->stored < want ? "cut off" : "extended",
			   (unsigned long long)f->stored,
			   (unsigned long long)want);
	return err;
}

/*
 * Anybody can make an ingest mount's file, and allow it to stand anywhere: it
 * stands where an ingest mount would have put it, or nowhere.
 */
static bool may_bind(const struct chaosimg_file *f,
		     const uint8_t binding[CHAOSIMG_BINDING_SIZE])
{
	return !f->keyset->ingest || ingest_is_binding(binding);
}

static bool is_bound(const struct chaosimg_file *f, const struct header *h,
		     const uint8_t binding[CHAOSIMG_BINDING_SIZE])
{
	return header_bound(h, binding) && may_bind(f, binding);
}

int file_open_at(struct chaosimg_archive *a, int fd, uint64_t base,
		 const uint8_t binding[CHAOSIMG_BINDING_SIZE],
		 unsigned int flags, struct chaosimg_file **out)
{
	struct slots s = { .count = 0 };
	struct chaosimg_file *f;
	struct stat st;
	int err;

	err = file_new(a, fd, base, &f);
	if (err)
		return err;
	f->writable = !chaosimg_archive_readonly(a) && a->fd >= 0 &&
		      !(flags & FILE_AS_IT_IS);
	f->durable = !(flags & CHAOSIMG_FILE_UNSYNCED);
	f->headers = 1;		/* the last one may not be on the disk yet */
	if (fstat(fd, &st)) {
		err = fail_errno("stat");
		goto out;
	}
	f->stored = (uint64_t)st.st_size > base ? st.st_size - base : 0;
	err = read_both_slots(f, &s);
	if (!err && binding && !is_bound(f, &s.h[0], binding))
		err = fail(EIO, "header: stands under a name that is not its own (moved or exchanged on the disk)");
	if (!err)
		err = open_slots(f, &s, flags);
	if (!err)
		sets_adopt(f);
	/* There is nothing in it that could be lost. */
	f->young = !err && f->writable && !f->durable && !f->length;
	if (!err)
		err = view_open(f, &f->view);
	if (!err && (flags & CHAOSIMG_FILE_WRITE) && !f->writable)
		err = fail(EROFS, "the archive is open for reading only");
out:
	OPENSSL_cleanse(&s, sizeof(s));
	if (err)
		file_free(f);
	else
		*out = f;
	return err;
}

int chaosimg_file_open(struct chaosimg_archive *a, int fd,
		       const uint8_t binding[CHAOSIMG_BINDING_SIZE],
		       unsigned int flags, struct chaosimg_file **out)
{
	return file_open_at(a, fd, 0, binding, flags, out);
}

/* --- closing --- */

/* How long the file can be if @d is dropped. */
static uint64_t length_without(const struct chaosimg_file *f,
			       const struct dirty *d)
{
	uint64_t end = d->chunk * f->chunk_size + d->stored_len;
	uint32_t len = chunk_len(f->length, f->chunk_size, d->chunk);

	/* What the last snapshot has beyond it is not lost. */
	if (d->stored_len == len ||
	    (d->stored_len < len && end < f->snap.length))
		return f->length;
	return end;
}

/*
 * The last changes could not be written, so what is left of them is dropped:
 * the file ends before the first byte that is only in memory. But what the
 * last snapshot had stays, and what it had as a hole is a hole again.
 */
static int abandon(struct chaosimg_file *f)
{
	uint64_t length = f->length;
	int err;

	for (size_t i = 0; i < f->dirty_count; i++) {
		uint64_t left = length_without(f, f->dirty[i]);

		/* A last record that was to be shorter stays as it is. */
		if (left > f->length)
			f->length = length = left;
	}
	for (size_t i = 0; i < f->dirty_count; i++) {
		uint64_t left = length_without(f, f->dirty[i]);

		length = left < length ? left : length;
	}
	err = file_cut(f, length);
	while (!err && f->dirty_count) {
		struct dirty *d = f->dirty[0];

		if (!d->stored_len &&
		    chunk_len(length, f->chunk_size, d->chunk) &&
		    holes_add(&f->holes, d->chunk, 1))
			err = -ENOMEM;
		sets_put(&f->sets, d->chunk, 1, SET_UNKNOWN);
		dirty_drop(f, d);
	}
	return err ? err : commit(f, COMMIT_SEAL);
}

int chaosimg_file_close(struct chaosimg_file *f)
{
	int err = 0;

	if (!f)
		return 0;
	if (f->writable) {
		err = commit(f, COMMIT_SEAL);
		if (err && !f->unfinished) {
			char why[256];

			snprintf(why, sizeof(why), "%s", chaosimg_errmsg());
			abandon(f);
			fail(-err, "%s", why);
		}
	}
	file_free(f);
	return err;
}

/* --- what is known of it --- */

uint64_t chaosimg_file_length(const struct chaosimg_file *f)
{
	pthread_mutex_t *lock = (pthread_mutex_t *)&f->lock;
	uint64_t length;

	pthread_mutex_lock(lock);
	length = f->length;
	pthread_mutex_unlock(lock);
	return length;
}

bool chaosimg_file_durable(const struct chaosimg_file *f)
{
	return f->durable;
}

bool chaosimg_file_clean(const struct chaosimg_file *f)
{
	return !f->writable || (!f->changed && !f->unfinished && !f->unsure &&
				!f->sync_failed && f->snap.sealed);
}

int chaosimg_file_fd(const struct chaosimg_file *f)
{
	return f->fd;
}

int chaosimg_file_info(struct chaosimg_file *f, struct chaosimg_file_info *info)
{
	const struct header *h = &f->snap;

	memset(info, 0, sizeof(*info));
	pthread_rwlock_rdlock(&f->rw);
	memcpy(info->file_id, h->file_id, sizeof(info->file_id));
	memcpy(info->keyset_id, h->keyset_id, sizeof(info->keyset_id));
	info->length = chaosimg_file_length(f);
	pthread_mutex_lock(&f->lock);
	info->stored = f->stored;
	info->sealed = !f->changed;
	pthread_mutex_unlock(&f->lock);
	pthread_mutex_lock(&f->header);
	info->generation = h->generation;
	info->sealed = info->sealed && h->sealed;
	pthread_mutex_unlock(&f->header);
	info->dicom = h->dicom.present;
	memcpy(info->modality, h->dicom.modality, sizeof(info->modality));
	memcpy(info->transfer_syntax, h->dicom.transfer_syntax,
	       sizeof(info->transfer_syntax));
	info->segments = h->dicom.segments;
	for (uint32_t i = 0; i < info->segments; i++) {
		info->segment[i].length = h->dicom.segment[i] >> 2;
		info->segment[i].compartment = h->dicom.segment[i] & 3;
	}
	pthread_rwlock_unlock(&f->rw);
	return 0;
}

/* --- names --- */

int chaosimg_file_bind(struct chaosimg_file *f,
		       const uint8_t binding[CHAOSIMG_BINDING_SIZE])
{
	struct header h;
	int err;

	pthread_rwlock_wrlock(&f->rw);
	err = file_resync(f);
	h = f->snap;
	if (!err && !may_bind(f, binding))
		err = fail(EXDEV, "what an ingest mount made stays in its directories");
	if (err || header_bound(&h, binding))
		goto out;
	else if (h.bindings == CHAOSIMG_BINDINGS_MAX)
		err = fail(EMLINK, "a file can have %d names",
			   CHAOSIMG_BINDINGS_MAX);
	if (err)
		goto out;
	memcpy(h.binding[h.bindings++], binding, CHAOSIMG_BINDING_SIZE);
	err = header_write(f, &h, false);
	if (!err && f->durable)
		err = data_sync(f);
out:
	pthread_rwlock_unlock(&f->rw);
	return err;
}

int chaosimg_file_unbind(struct chaosimg_file *f,
			 const uint8_t binding[CHAOSIMG_BINDING_SIZE])
{
	struct header h;
	uint32_t n = 0;
	int err;

	pthread_rwlock_wrlock(&f->rw);
	err = file_resync(f);
	h = f->snap;
	for (uint32_t i = 0; i < h.bindings; i++)
		if (memcmp(h.binding[i], binding, CHAOSIMG_BINDING_SIZE))
			memmove(h.binding[n++], h.binding[i],
				CHAOSIMG_BINDING_SIZE);
	if (!err && n != h.bindings) {
		h.bindings = n;
		err = header_write(f, &h, false);
	}
	pthread_rwlock_unlock(&f->rw);
	return err;
}

bool chaosimg_file_bound(struct chaosimg_file *f,
			 const uint8_t binding[CHAOSIMG_BINDING_SIZE])
{
	bool bound;

	pthread_rwlock_rdlock(&f->rw);
	bound = is_bound(f, &f->snap, binding);
	pthread_rwlock_unlock(&f->rw);
	return bound;
}
