// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Scrubbing one stored file: header slots, size, the journal of an open file,
 * every record, and that nothing stands where nothing belongs. What looks
 * damaged is looked at again, as somebody may be writing.
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
#include "scrub.h"

enum bad_kind {
	BAD_SHORT,
	BAD_NEWER,
	BAD_SLOT,
	BAD_TWO_FILES,
	BAD_CHUNK_SIZE,
	BAD_LENGTH,
	BAD_SIZE,
	BAD_JOURNAL,
	BAD_PARTS,
	BAD_RECORD,		/* from here on: of records */
	BAD_CUT,
	BAD_STRAY,
	BAD_UNREADABLE,
};

enum {
	BAD_MAX = 65536,	/* of one file; more are only counted */
	LOOKS = 6,
	FIRST_PAUSE_MS = 50,
	STOP_EVERY = 16,	/* records */
	JOURNAL_ENTRY = 16,
	SECTOR = 512,
};

/** struct bad - one thing that is wrong; @at tells it from the others */
struct bad {
	uint64_t at;
	int64_t record;
	enum bad_kind kind;
};

/**
 * struct scan - one look at a file
 * @told: bytes of it that progress was told of
 * @h: the header that holds
 * @sealed_known: there is one
 * @other: the older one
 * @others: 1 if there is one
 * @journaled: chunks whose records in their places do not count
 */
struct scan {
	struct check *c;
	struct check_task *t;
	struct scrub_reader r;
	struct stat st;
	uint64_t told;
	uint64_t records;
	uint32_t chunk_size;
	bool sealed_known;
	struct header h;
	struct header other;
	int others;
	uint64_t *journaled;
	size_t journaled_count;
	size_t journaled_room;
	struct bad *bad;
	size_t bad_count;
	size_t bad_room;
	uint64_t bad_more;
};

static int add_bad(struct scan *s, enum bad_kind kind, uint64_t at,
		   int64_t record)
{
	if (s->bad_count == BAD_MAX) {
		s->bad_more++;
		return 0;
	}
	if (s->bad_count == s->bad_room) {
		size_t room = s->bad_room ? s->bad_room * 2 : 16;
		struct bad *b = reallocarray(s->bad, room, sizeof(*b));

		if (!b)
			return fail(ENOMEM, "out of memory");
		s->bad = b;
		s->bad_room = room;
	}
	s->bad[s->bad_count++] = (struct bad){ at, record, kind };
	return 0;
}

/* --- the header --- */

static bool valid_chunk_size(uint32_t n)
{
	return n >= CHAOSIMG_CHUNK_MIN && n <= CHAOSIMG_CHUNK_MAX &&
	       !(n & (n - 1));
}

static int check_header(struct scan *s)
{
	const struct scrub *scrub = s->c->ctx;
	const struct header *h = &s->h;

	if (!valid_chunk_size(h->chunk_size) ||
	    (scrub->chunk_size && h->chunk_size != scrub->chunk_size))
		return add_bad(s, BAD_CHUNK_SIZE, 0, -1);
	if (h->length > length_max(h->chunk_size))
		return add_bad(s, BAD_LENGTH, 0, -1);
	s->chunk_size = h->chunk_size;
	s->sealed_known = true;
	return 0;
}

/* Without a header: what the size says. */
static void guess_layout(struct scan *s)
{
	struct chaosimg_archive a = {
		.chunk_size = ((const struct scrub *)s->c->ctx)->chunk_size
	};

	memset(&s->h, 0, sizeof(s->h));
	s->chunk_size = a.chunk_size;
	if (a.chunk_size && !chaosimg_length_in_header(&a, s->r.size))
		s->h.length = chaosimg_length_from_stored(&a, s->r.size);
}

static int read_slots(struct scan *s, const uint8_t *raw)
{
	struct header h;
	int found = 0, err = 0;

	for (int i = 0; !err && i < HEADER_SLOTS; i++) {
		uint64_t at = (uint64_t)i * HEADER_SLOT;
		int ret = header_peek(raw + at, &h);

		if (ret == -EPROTONOSUPPORT)
			return add_bad(s, BAD_NEWER, at, -1);
		if (ret)
			err = add_bad(s, BAD_SLOT, at, -1);
		else if (!found++)
			s->h = h;
		else
			s->other = h;
	}
	if (err || !found) {
		guess_layout(s);
		return err;
	}
	s->others = found - 1;
	if (found == 2 && s->other.generation > s->h.generation) {
		h = s->h;
		s->h = s->other;
		s->other = h;
	}
	if (found == 2 && memcmp(s->h.file_id, s->other.file_id,
				 CHAOSIMG_ID_SIZE))
		return add_bad(s, BAD_TWO_FILES, 0, -1);
	return check_header(s);
}

static int scan_header(struct scan *s)
{
	const uint8_t *raw;
	ssize_t n = scrub_reader_get(&s->r, 0, HEADER_SIZE, &raw);

	if (n < 0)
		return n == -EINTR ? -EINTR :
		       add_bad(s, BAD_UNREADABLE, 0, -1);
	if (n < HEADER_SIZE)
		return add_bad(s, BAD_SHORT, 0, -1);
	return read_slots(s, raw);
}

/* --- records --- */

static bool all_zero(const uint8_t *p, size_t len)
{
	return !len || (!p[0] && !memcmp(p, p + 1, len - 1));
}

static bool sum_good(const uint8_t *p, size_t covered)
{
	return XXH3_64bits(p, covered) == get_le64(p + covered);
}

static int compare_u64(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static bool is_journaled(const struct scan *s, uint64_t k)
{
	return s->journaled_count &&
	       bsearch(&k, s->journaled, s->journaled_count, sizeof(k),
		       compare_u64);
}

/* @n bytes are there, and @need of them would be a whole record. */
static bool record_good(const uint8_t *p, size_t n, size_t need,
			enum bad_kind *kind)
{
	const size_t covered = RECORD_ZERO_SIZE - RECORD_CHECKSUM;

	if (n >= RECORD_ZERO_SIZE && record_is_zero(p) && sum_good(p, covered)) {
		*kind = BAD_STRAY;
		return all_zero(p + RECORD_ZERO_SIZE, n - RECORD_ZERO_SIZE);
	}
	if (n == need && sum_good(p, need - RECORD_CHECKSUM))
		return true;
	if (all_zero(p, n < RECORD_PREFIX ? n : RECORD_PREFIX)) {
		*kind = BAD_STRAY;
		return all_zero(p, n);
	}
	*kind = n < need ? BAD_CUT : BAD_RECORD;
	return false;
}

/* A hole: there may be many more behind it. */
static uint64_t skip_hole(const struct scan *s, uint64_t k, uint64_t chunks)
{
	off_t at = (off_t)record_at(s->chunk_size, k);
	off_t data = lseek(s->r.fd, at, SEEK_DATA);
	uint64_t next;

	if (data < 0)
		return errno == ENXIO ? chunks : k + 1;
	next = ((uint64_t)data - HEADER_SIZE) /
	       (s->chunk_size + (uint64_t)RECORD_OVERHEAD);
	return next > k ? next : k + 1;
}

/* --- what was being written into a hole, in a file that is not sealed --- */

/* Is any of the sectors at @at, or what is there of it, all zeros? */
static bool sector_missing(const uint8_t *p, size_t n, uint64_t at)
{
	size_t i = 0;

	while (i < n) {
		size_t part = SECTOR - (at + i) % SECTOR;

		if (part > n - i)
			part = n - i;
		if (all_zero(p + i, part))
			return true;
		i += part;
	}
	return false;
}

/*
 * Is there a record of another length than the header's @need, as of what is,
 * was or will be the last chunk; whole, or cut off at a sector's end? @most is
 * that of a whole chunk.
 */
static bool other_length(const uint8_t *p, size_t n, size_t need, size_t most,
			 uint64_t at)
{
	size_t end = n;

	while (end && !p[end - 1])
		end--;
	/* A checksum may end with zeros, too. */
	for (size_t i = end; i <= n && i <= end + RECORD_CHECKSUM; i++)
		if (i > RECORD_OVERHEAD && sum_good(p, i - RECORD_CHECKSUM))
			return true;
	return end > need && end < most &&
	       (SECTOR - (at + end) % SECTOR) % SECTOR < RECORD_CHECKSUM;
}

/*
 * Only who has the key knows which chunks of an open file are holes, and a
 * write into one may be under way, or may have been when its writer died.
 */
static bool interrupted(struct scan *s, uint64_t at, const uint8_t *p,
			size_t n, size_t need)
{
	size_t most = record_size(s->chunk_size);
	size_t there = s->r.size - at < most ? s->r.size - at : most;
	ssize_t all;

	if (!s->sealed_known || s->h.sealed)
		return false;
	if (sector_missing(p, n, at))
		return true;
	all = scrub_reader_get(&s->r, at, there, &p);
	return all > 0 && other_length(p, (size_t)all, need, most, at);
}

/* Return: the number of the next record to look at, or an error. */
static int64_t scan_record(struct scan *s, uint64_t k, uint64_t chunks)
{
	uint64_t at = record_at(s->chunk_size, k);
	size_t need = record_size(chunk_len(s->h.length, s->chunk_size, k));
	size_t want = s->r.size - at < need ? s->r.size - at : need;
	enum bad_kind kind;
	const uint8_t *p;
	bool zero;
	ssize_t n;
	int err = 0;

	n = scrub_reader_get(&s->r, at, want, &p);
	if (n == -EINTR || n == -ENOMEM)
		return n;
	zero = n > 0 && all_zero(p, (size_t)n);
	if (n < 0)
		err = add_bad(s, BAD_UNREADABLE, at, (int64_t)k);
	else if (!is_journaled(s, k) &&
		 !record_good(p, (size_t)n, need, &kind) &&
		 !interrupted(s, at, p, (size_t)n, need))
		err = add_bad(s, kind, at, (int64_t)k);
	if (err)
		return err;
	s->records++;
	if (zero)
		return (int64_t)skip_hole(s, k, chunks);
	return (int64_t)k + 1;
}

static void tell_progress(struct scan *s, uint64_t at)
{
	if (at > (uint64_t)s->st.st_size)
		at = (uint64_t)s->st.st_size;
	if (at <= s->told)
		return;
	check_done(s->c, at - s->told);
	s->told = at;
}

static int scan_records(struct scan *s)
{
	uint64_t chunks = chunk_count(s->h.length, s->chunk_size), count = 0;

	for (uint64_t k = 0; k < chunks; count++) {
		int64_t next;

		/* Of what is not there the size tells. */
		if (record_at(s->chunk_size, k) >= s->r.size)
			break;
		if (count % STOP_EVERY == 0) {
			tell_progress(s, record_at(s->chunk_size, k));
			if (check_stopped(s->c))
				return -EINTR;
		}
		next = scan_record(s, k, chunks);
		if (next < 0)
			return (int)next;
		k = (uint64_t)next;
	}
	return 0;
}

/* --- the journal of a file that is open --- */

static int add_journaled(struct scan *s, uint64_t k)
{
	if (s->journaled_count == s->journaled_room) {
		size_t room = s->journaled_room ? s->journaled_room * 2 : 64;
		uint64_t *p = reallocarray(s->journaled, room, sizeof(*p));

		if (!p)
			return fail(ENOMEM, "out of memory");
		s->journaled = p;
		s->journaled_room = room;
	}
	s->journaled[s->journaled_count++] = k;
	return 0;
}

/* Return: its length; 0 if there is no good entry; -errno. */
static ssize_t journal_entry(struct scan *s, uint64_t at, uint64_t left)
{
	const uint8_t *p;
	uint32_t len;
	uint64_t k;
	ssize_t n;

	if (left < JOURNAL_ENTRY)
		return 0;
	n = scrub_reader_get(&s->r, at, JOURNAL_ENTRY, &p);
	if (n < JOURNAL_ENTRY)
		return n == -EINTR ? n : 0;
	k = get_le64(p);
	len = get_le32(p + 8);
	left -= JOURNAL_ENTRY;
	if (!len || len != chunk_len(s->h.length, s->chunk_size, k) ||
	    record_size(len) > left || get_le32(p + 12))
		return 0;
	n = scrub_reader_get(&s->r, at + JOURNAL_ENTRY, record_size(len), &p);
	if (n < 0 || (size_t)n < record_size(len))
		return n == -EINTR ? n : 0;
	if (!sum_good(p, record_size(len) - RECORD_CHECKSUM))
		return 0;
	if (add_journaled(s, k))
		return -ENOMEM;
	return JOURNAL_ENTRY + (ssize_t)record_size(len);
}

/* Return: 1 if it is whole, 0 if not, -errno. */
static int journal_good(struct scan *s)
{
	uint64_t at = s->h.journal.offset, left = s->h.journal.length;

	s->journaled_count = 0;
	if (left && (at < stored_size(s->h.length, s->chunk_size) ||
		     at > s->r.size || left > s->r.size - at))
		return 0;
	while (left) {
		ssize_t n = journal_entry(s, at, left);

		if (n <= 0)
			return (int)n;
		at += (uint64_t)n;
		left -= (uint64_t)n;
	}
	if (s->journaled_count)
		qsort(s->journaled, s->journaled_count, sizeof(*s->journaled),
		      compare_u64);
	return 1;
}

/* As when it is opened: a slot whose journal is not whole does not hold. */
static int scan_journal(struct scan *s)
{
	int good = journal_good(s);

	if (!good && s->others &&
	    s->other.chunk_size == s->chunk_size &&
	    s->other.length <= length_max(s->chunk_size)) {
		s->h = s->other;
		good = journal_good(s);
	}
	if (good)
		return good < 0 ? good : 0;
	s->journaled_count = 0;
	return add_bad(s, BAD_JOURNAL, s->h.journal.offset, -1);
}

/* --- a look --- */

static int scan_size(struct scan *s)
{
	uint64_t want = sealed_size(&s->h);

	if (s->h.sealed ? s->r.size == want : s->r.size >= want)
		return 0;
	return add_bad(s, BAD_SIZE, UINT64_MAX, -1);
}

static int scan_parts(struct scan *s)
{
	int good = scrub_parts(&s->r, &s->h);

	if (good == -EINTR || good == -ENOMEM)
		return good;
	return good > 0 ? 0 : add_bad(s, BAD_PARTS, s->h.parts.offset, -1);
}

static int scan(struct scan *s)
{
	int err = scrub_reader_rewind(&s->r, &s->st);

	s->bad_count = 0;
	s->bad_more = 0;
	s->records = 0;
	s->others = 0;
	s->chunk_size = 0;
	s->sealed_known = false;
	s->journaled_count = 0;
	if (!err)
		err = scan_header(s);
	if (err || !s->chunk_size)
		return err;
	if (s->sealed_known && !s->h.sealed)
		err = scan_journal(s);
	if (!err && s->sealed_known)
		err = scan_size(s);
	if (!err)
		err = scan_records(s);
	if (!err && s->sealed_known && s->h.parts.length)
		err = scan_parts(s);
	return err;
}

/* --- what is told --- */

static const char *record_words(enum bad_kind kind)
{
	switch (kind) {
	case BAD_CUT:
		return "cut off";
	case BAD_STRAY:
		return "bytes where there should be none";
	case BAD_UNREADABLE:
		return "cannot be read";
	default:
		return "damaged";
	}
}

static void header_words(const struct scan *s, const struct bad *b, char *out,
			 size_t size)
{
	switch (b->kind) {
	case BAD_SHORT:
		snprintf(out, size, "too short for a stored file");
		break;
	case BAD_NEWER:
		snprintf(out, size, "made by a newer version, cannot be checked");
		break;
	case BAD_SLOT:
		snprintf(out, size, "header slot %d damaged",
			 (int)(b->at / HEADER_SLOT));
		break;
	case BAD_TWO_FILES:
		snprintf(out, size, "header slots of two files");
		break;
	case BAD_CHUNK_SIZE:
		snprintf(out, size, "chunk size %u is not the archive's",
			 s->h.chunk_size);
		break;
	case BAD_LENGTH:
		snprintf(out, size, "impossible length");
		break;
	case BAD_SIZE:
		snprintf(out, size, "%s: %llu bytes are stored, %llu belong here",
			 s->r.size > sealed_size(&s->h) ?
			 "extended" : "cut off", (unsigned long long)s->r.size,
			 (unsigned long long)sealed_size(&s->h));
		break;
	case BAD_JOURNAL:
		snprintf(out, size, "journal damaged");
		break;
	case BAD_PARTS:
		snprintf(out, size, "parts damaged");
		break;
	default:
		snprintf(out, size, "header cannot be read");
	}
}

static bool is_record(const struct bad *b)
{
	return b->record >= 0;
}

/* One line: what is wrong with the header, then the first record of those. */
static int tell(struct scan *s)
{
	char what[512] = "", words[160];
	const struct bad *first = NULL;
	uint64_t records = s->bad_more, at = s->bad[0].at;
	size_t used = 0;

	for (size_t i = 0; i < s->bad_count; i++) {
		const struct bad *b = &s->bad[i];

		if (is_record(b)) {
			first = first ? first : b;
			records++;
			continue;
		}
		header_words(s, b, words, sizeof(words));
		if (used < sizeof(what))
			used += (size_t)snprintf(what + used,
						 sizeof(what) - used, "%s%s",
						 used ? "; " : "", words);
	}
	if (first && used < sizeof(what))
		used += (size_t)snprintf(what + used, sizeof(what) - used,
					 "%srecord %lld at %llu: %s",
					 used ? "; " : "",
					 (long long)first->record,
					 (unsigned long long)first->at,
					 record_words(first->kind));
	if (records > 1 && used < sizeof(what))
		snprintf(what + used, sizeof(what) - used, ", and %llu more",
			 (unsigned long long)records - 1);
	return scrub_found(s->c, s->t, what, first ? first->record : -1,
			   first ? first->at : at == UINT64_MAX ? 0 : at,
			   records);
}

/* Keep in @s what an earlier look found, too. Both are in the order of a look. */
static void intersect(struct scan *s, const struct bad *old, size_t count)
{
	size_t kept = 0;

	for (size_t i = 0; i < s->bad_count; i++)
		for (size_t j = 0; j < count; j++) {
			if (old[j].at != s->bad[i].at)
				continue;
			s->bad[kept++] = s->bad[i];
			break;
		}
	s->bad_count = kept;
	s->bad_more = kept ? s->bad_more : 0;
}

/* Return: 1 if it stands under its name no more, 0 if it does. */
static int replaced(const struct scan *s)
{
	struct stat st;

	return fstatat(s->t->dir->fd, s->t->name, &st, AT_SYMLINK_NOFOLLOW) ||
	       st.st_ino != s->st.st_ino || st.st_dev != s->st.st_dev;
}

/*
 * Look again until two looks at an unchanged file find the same, or nothing
 * that every look found is left.
 */
static int look_again(struct scan *s)
{
	unsigned int pause = FIRST_PAUSE_MS;
	struct stat now;
	int err = 0;

	if (check_quiet(&s->st) && !fstat(s->r.fd, &now) &&
	    check_same(&now, &s->st) && !replaced(s))
		return 0;
	for (int i = 1; !err && s->bad_count && i < LOOKS; i++, pause *= 2) {
		struct bad *old = s->bad;
		size_t count = s->bad_count;
		struct stat before = s->st;

		check_pause(s->c, pause);
		s->bad = NULL;
		s->bad_room = 0;
		err = check_stopped(s->c) ? -EINTR : scan(s);
		if (!err)
			intersect(s, old, count);
		free(old);
		if (replaced(s))
			s->bad_count = 0;
		if (check_same(&before, &s->st))
			break;
	}
	return err;
}

static int scrub_opened(struct scan *s)
{
	int err = scan(s);

	if (!err && s->bad_count)
		err = look_again(s);
	/* Of a file that is not the archive's one line is enough. */
	if (!err && s->bad_count && !(s->t->foreign && !s->sealed_known))
		err = tell(s);
	if (!err) {
		tell_progress(s, (uint64_t)s->st.st_size);
		s->t->totals.files++;
		s->t->totals.records += s->records;
		s->t->totals.bytes += s->r.size;
		s->t->totals.open += s->sealed_known && !s->h.sealed;
	}
	return err;
}

int scrub_file(struct check *c, struct check_task *t)
{
	struct scan *s = calloc(1, sizeof(*s));
	int err;

	if (!s)
		return fail(ENOMEM, "out of memory");
	s->c = c;
	s->t = t;
	err = scrub_reader_open(&s->r, c, t->dir->fd, t->name);
	if (!err) {
		err = scrub_opened(s);
		scrub_reader_close(&s->r);
	} else if (err == -ENOENT) {
		err = 0;
	} else if (err != -ENOMEM && err != -EMFILE && err != -ENFILE) {
		err = scrub_found(c, t, chaosimg_errmsg(), -1, 0, 0);
	}
	free(s->bad);
	free(s->journaled);
	free(s);
	return err;
}
