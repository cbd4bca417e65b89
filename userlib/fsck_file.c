// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Checking a stored file with its key, and what can be repaired of it without
 * loss. Nothing is touched of a file of which any byte does not authenticate.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <xxhash.h>

#include "bytes.h"
#include "error.h"
#include "file.h"
#include "fsck.h"

enum {
	LOOKS = 6,
	FIRST_PAUSE_MS = 50,
	ROUNDS = 2,		/* of repairs: one can uncover another */
	STEP = 16,		/* chunks from one step to the next */
};

/**
 * struct look - what one look at a file shows
 * @c: the run
 * @chunk_size: the archive's
 * @st: the file
 * @gone: it is not there any more
 * @problem: what cannot be repaired; empty if there is nothing
 * @no_header: not even its header could be read
 * @records: it has
 * @told: bytes that progress was told of; looking again does not add to them
 * @open: it is not sealed
 * @bad_slot: a header slot that does not hold, or -1
 * @stale: names that it is still allowed under and does not have
 * @stray: there are bytes in holes
 * @bad_sums: records whose checksum is wrong, though they are authentic
 * @bad_sum: the first of them
 * @f: the file, while it is looked at
 */
struct look {
	struct check *c;
	uint32_t chunk_size;
	struct stat st;
	bool gone;
	char problem[256];
	bool no_header;
	uint64_t records;
	uint64_t told;
	bool open;
	int bad_slot;
	uint32_t stale;
	bool stray;
	uint64_t bad_sums;
	uint64_t bad_sum;
	struct chaosimg_file *f;
};

static struct fsck *fsck_of(const struct check *c)
{
	return c->ctx;
}

/* --- checksums: a wrong one is no harm, but scrub would tell of it ----------- */

/*
 * Read chunk @k's record as it stands. Return: its size without the checksum;
 * 0 if it has none in its place; -errno.
 */
static ssize_t read_record(struct chaosimg_file *f, uint64_t k, uint8_t *rec)
{
	uint32_t len = chunk_len(f->length, f->chunk_size, k);
	ssize_t n;

	if (dirty_find(f, k))	/* the journal stands for it */
		return 0;
	n = read_full(f->fd, rec, record_size(len),
		      record_at(f->chunk_size, k));
	if (n < RECORD_ZERO_SIZE)
		return n < 0 ? n : 0;
	if (record_is_zero(rec))
		return RECORD_ZERO_SIZE - RECORD_CHECKSUM;
	return (size_t)n == record_size(len) ? n - RECORD_CHECKSUM : 0;
}

static int check_sum(struct look *l, uint64_t k)
{
	uint8_t *rec = scratch(record_size(l->chunk_size));
	ssize_t n;

	if (!rec)
		return fail(ENOMEM, "out of memory");
	n = read_record(l->f, k, rec);
	if (n > 0 && XXH3_64bits(rec, (size_t)n) != get_le64(rec + n) &&
	    !l->bad_sums++)
		l->bad_sum = k;
	return n < 0 ? fail((int)-n, "%s", strerror((int)-n)) : 0;
}

/* Only over bytes that are authentic. */
static int mend_sum(struct chaosimg_file *f, uint64_t k, uint8_t *rec,
		    uint8_t *copy)
{
	uint32_t len = chunk_len(f->length, f->chunk_size, k);
	ssize_t n = read_record(f, k, rec);
	uint64_t at = record_at(f->chunk_size, k);
	uint64_t sum;
	int err;

	if (n <= 0)
		return (int)n;
	sum = XXH3_64bits(rec, (size_t)n);
	if (sum == get_le64(rec + n))
		return 0;
	memcpy(copy, rec, record_size(len));
	err = record_open(f->keys, f->snap.file_id, k, copy, len, NULL);
	if (err)
		return err;
	put_le64(rec + n, sum);
	err = write_full(f->fd, rec + n, RECORD_CHECKSUM, at + (uint64_t)n);
	return err ? fail(-err, "%s", strerror(-err)) : 0;
}

static int mend_sums(struct chaosimg_file *f)
{
	uint64_t chunks = chunk_count(f->length, f->chunk_size);
	size_t size = record_size(f->chunk_size);
	uint8_t *rec = calloc(2, size);
	int err = rec ? 0 : fail(ENOMEM, "out of memory");

	for (uint64_t k = 0; !err && k < chunks; k++) {
		const struct hole *h = holes_next(&f->holes, k);

		if (h && h->start <= k)
			k = h->start + h->count - 1;
		else
			err = mend_sum(f, k, rec, rec + size);
	}
	if (rec)
		explicit_bzero(rec, 2 * size);
	free(rec);
	return err;
}

/* --- looking ---------------------------------------------------------------- */

static int step(void *ctx, uint64_t k)
{
	struct look *l = ctx;

	uint64_t at = record_at(l->chunk_size, k);
	int err = check_sum(l, k);

	l->records++;
	if (err || k % STEP)
		return err;
	if (at > l->told) {
		check_done(l->c, at - l->told);
		l->told = at;
	}
	return check_stopped(l->c) ? -EINTR : 0;
}

static void look_at_slots(struct look *l, struct chaosimg_file *f)
{
	uint8_t raw[HEADER_SIZE];
	struct header h;

	l->bad_slot = -1;
	if (read_full(f->fd, raw, sizeof(raw), 0) != sizeof(raw))
		return;
	for (int i = 0; i < HEADER_SLOTS; i++)
		if (header_unpack(raw + i * HEADER_SLOT, f->keys, &h))
			l->bad_slot = i;
	explicit_bzero(&h, sizeof(h));
}

/*
 * If the slot that does not hold was the newer one, and said that the file is
 * longer or has fewer holes, then to settle the file would take that away.
 */
static int check_rest(const struct look *l, const struct chaosimg_file *f)
{
	uint64_t size = stored_size(f->snap.length, f->chunk_size);

	if (!l->open || l->bad_slot < 0 ||
	    (f->stored <= size && !stray_any(f)))
		return 0;
	return fail(EIO, "left open by a crash, and header slot %d does not hold: it may have said more than the other one, which says %llu bytes",
		    l->bad_slot, (unsigned long long)f->snap.length);
}

static int look_inside(struct look *l, struct check_task *t,
		       struct chaosimg_file *f)
{
	uint64_t from, to;
	int err;

	l->f = f;
	err = file_verify(f, step, l);
	if (err)
		return err;
	look_at_slots(l, f);
	l->open = !f->snap.sealed;
	if (l->st.st_nlink == 1 && t->bound)
		l->stale = f->snap.bindings - 1;
	if (!l->open) {
		err = stray_find(f, &from, &to);
		l->stray = err > 0;
	}
	err = err < 0 ? fail(-err, "%s", strerror(-err)) : check_rest(l, f);
	if (!err && idset_add(&fsck_of(l->c)->files, f->snap.file_id,
			      l->st.st_ino))
		err = fail(EIO, "a copy: another stored file has the same id");
	return err;
}

static int open_stored(struct check_task *t, int flags)
{
	return openat(t->dir->fd, t->name, flags | O_NOFOLLOW | O_NONBLOCK |
		      O_CLOEXEC);
}

/* Return: 0, whatever is found; fatal errors. */
static int look(struct look *l, struct check *c, struct check_task *t)
{
	struct chaosimg_file *f;
	int fd = open_stored(t, O_RDONLY), err;

	*l = (struct look){
		.c = c, .chunk_size = fsck_of(c)->a->chunk_size,
		.told = l->told, .bad_slot = -1,
	};
	if (fd < 0 || fstat(fd, &l->st)) {
		err = fail_errno("cannot be opened");
		l->gone = err == -ENOENT;
		if (fd >= 0)
			close(fd);
	} else {
		err = file_open_at(fsck_of(c)->a, fd, 0,
				   t->bound ? t->binding : NULL, FILE_AS_IT_IS,
				   &f);
		l->no_header = err != 0;
		if (!err) {
			err = look_inside(l, t, f);
			posix_fadvise(f->fd, 0, 0, POSIX_FADV_DONTNEED);
			chaosimg_file_close(f);
		}
	}
	if (err && !fsck_fatal(err) && !l->gone)
		snprintf(l->problem, sizeof(l->problem), "%s",
			 chaosimg_errmsg());
	return fsck_fatal(err) ? err : 0;
}

static bool suspicious(const struct look *l)
{
	return l->problem[0] || l->bad_slot >= 0 || l->stray || l->bad_sums;
}

static bool agree(const struct look *a, const struct look *b)
{
	return !strcmp(a->problem, b->problem) && a->bad_slot == b->bad_slot &&
	       a->stray == b->stray && a->bad_sum == b->bad_sum &&
	       a->bad_sums == b->bad_sums;
}

/* Nobody changed it for long, nor while it was looked at. */
static bool is_quiet(const struct look *l, const struct check_task *t)
{
	struct stat now;

	return !l->gone && check_quiet(&l->st) &&
	       !fstatat(t->dir->fd, t->name, &now, AT_SYMLINK_NOFOLLOW) &&
	       check_same(&now, &l->st);
}

/*
 * Others may be writing: what does not hold has to be the same in two looks at
 * an unchanged file, or in all.
 */
static int look_twice(struct look *l, struct check *c, struct check_task *t)
{
	unsigned int pause = FIRST_PAUSE_MS;
	struct look old;
	bool all_agree = true;
	int err = look(l, c, t);

	if (fsck_repairs(c) || is_quiet(l, t))
		return err;
	for (int i = 1; !err && suspicious(l) && i < LOOKS; i++, pause *= 2) {
		old = *l;
		check_pause(c, pause);
		err = check_stopped(c) ? -EINTR : look(l, c, t);
		all_agree = all_agree && agree(&old, l);
		if (agree(&old, l) && check_same(&old.st, &l->st))
			return err;
	}
	if (!err && suspicious(l) && !all_agree) {
		t->totals.busy++;
		l->problem[0] = '\0';
		l->bad_slot = -1;
		l->stray = false;
		l->bad_sums = 0;
	}
	return err;
}

/* --- repairing -------------------------------------------------------------- */

static int forget_stale(struct chaosimg_file *f, const struct check_task *t)
{
	struct header h = f->snap;
	int err = 0;

	for (uint32_t i = 0; !err && i < h.bindings; i++)
		if (memcmp(h.binding[i], t->binding, CHAOSIMG_BINDING_SIZE))
			err = chaosimg_file_unbind(f, h.binding[i]);
	return err;
}

/* Opening it for writing has settled and sealed it, if it was open. */
static int repair_opened(const struct look *l, const struct check_task *t,
			 struct chaosimg_file *f)
{
	struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, l->st.st_mtim };
	int err = 0;

	if (l->bad_slot >= 0 && !l->open)
		err = header_write(f, &f->snap, false);
	if (!err && l->stale)
		err = forget_stale(f, t);
	if (!err && l->stray)
		err = stray_clear(f);
	if (!err && l->bad_sums)
		err = mend_sums(f);
	if (!err)
		err = chaosimg_file_sync(f);
	if (!err)
		err = data_sync(f);
	/* Its contents have not changed. */
	if (!err)
		futimens(f->fd, times);
	return err;
}

static int repair(const struct look *l, struct check *c, struct check_task *t)
{
	struct chaosimg_file *f;
	int fd = open_stored(t, O_RDWR), err;

	if (fd < 0)
		return fail_errno("cannot be opened for writing");
	err = file_open_at(fsck_of(c)->a, fd, 0, t->binding,
			   CHAOSIMG_FILE_WRITE, &f);
	if (err)
		return err;
	err = repair_opened(l, t, f);
	chaosimg_file_close(f);
	return err;
}

static bool can_repair(const struct look *l)
{
	return !l->problem[0] &&
	       (l->open || l->bad_slot >= 0 || l->stale || l->stray ||
		l->bad_sums);
}

static int tell_repairs(const struct look *l, struct check *c,
			struct check_task *t, enum chaosimg_remedy remedy)
{
	char what[64];
	int err = 0;

	if (l->open)
		err = fsck_tell(c, t, "left open by a crash", remedy,
				"settle and seal it");
	if (!err && l->bad_slot >= 0) {
		snprintf(what, sizeof(what), "header slot %d does not hold",
			 l->bad_slot);
		err = fsck_tell(c, t, what, remedy, "write it anew");
	}
	if (!err && l->stale)
		err = fsck_tell(c, t, "allowed under names that are gone",
				remedy, "forget them");
	if (!err && l->stray)
		err = fsck_tell(c, t, "bytes where there should be none",
				remedy, "clear them");
	if (!err && l->bad_sums) {
		snprintf(what, sizeof(what),
			 "record %llu: authentic, but its checksum is wrong",
			 (unsigned long long)l->bad_sum);
		err = fsck_tell(c, t, what, remedy, "write it anew");
	}
	return err;
}

static int repair_all(struct look *l, struct check *c, struct check_task *t)
{
	for (int i = 0; can_repair(l) && i < ROUNDS; i++) {
		struct look before = *l;
		char why[256];
		int err = repair(&before, c, t);

		snprintf(why, sizeof(why), "cannot be repaired: %s",
			 chaosimg_errmsg());
		if (err)
			return fsck_fatal(err) ? err :
			       fsck_tell(c, t, why, CHAOSIMG_REMEDY_NONE, NULL);
		err = look(l, c, t);
		if (!err)
			err = tell_repairs(&before, c, t, l->problem[0] ?
					   CHAOSIMG_REMEDY_NONE :
					   CHAOSIMG_REMEDY_DONE);
		if (err)
			return err;
	}
	if (can_repair(l))
		return tell_repairs(l, c, t, CHAOSIMG_REMEDY_NONE);
	return 0;
}

static int judge(struct look *l, struct check *c, struct check_task *t)
{
	int err = 0;

	if ((l->open || l->stale) && fsck_in_use(c)) {
		t->totals.open += l->open;
		l->open = false;
		l->stale = 0;
		l->bad_slot = -1;
	}
	t->totals.open += l->open;
	if (can_repair(l) && fsck_repairs(c) && t->bound)
		err = repair_all(l, c, t);
	else if (can_repair(l))
		err = tell_repairs(l, c, t, t->bound ? CHAOSIMG_REMEDY_WOULD :
				   CHAOSIMG_REMEDY_NONE);
	/* Of a file that is not the archive's one line is enough. */
	if (!err && l->problem[0] && !(t->foreign && l->no_header))
		err = fsck_tell(c, t, l->problem, CHAOSIMG_REMEDY_NONE, NULL);
	return err;
}

int fsck_file(struct check *c, struct check_task *t)
{
	struct look l = { .told = 0 };
	int err = look_twice(&l, c, t);

	if (err || l.gone)
		return err;
	err = judge(&l, c, t);
	if (err)
		return err;
	t->totals.files++;
	t->totals.records += l.records;
	t->totals.bytes += (uint64_t)l.st.st_size;
	if ((uint64_t)l.st.st_size > l.told)
		check_done(c, (uint64_t)l.st.st_size - l.told);
	return 0;
}
