// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What sealing a file takes besides its snapshot: looking whether it is DICOM,
 * and then its mask, its parts, and each chunk's record under the set that the
 * mask says.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

#include "dicom_mask.h"
#include "error.h"
#include "file.h"
#include "ingest.h"
#include "keyring.h"
#include "rules.h"

enum {
	BATCH_BYTES = 1 << 20,	/* that are stored again at once */
	PARTS_MAX = 64 << 20,	/* bytes of chunks that are in parts */
};

/**
 * struct plan - what a file is to be once it is sealed
 * @closed: why all of it belongs to identity, whatever it is; or NULL
 * @dicom: it is DICOM, and @mask its mask
 * @want: the set of each chunk
 * @has_parts: @part is complete
 */
struct plan {
	const char *closed;
	bool dicom;
	bool has_parts;
	struct dicom_mask mask;
	struct sets want;
	struct part part[PART_COUNT];
};

/* --- whose bytes a chunk has -------------------------------------------------- */

unsigned int set_of_owner(unsigned int owner)
{
	if (owner == DICOM_REGION)
		return dicom_held(CHAOSIMG_IDENTITY) |
		       dicom_held(CHAOSIMG_PIXELS);
	return owner == DICOM_EVERYONE ? 0 : dicom_held(owner);
}

unsigned int mask_set(const struct dicom_mask *m, uint64_t k,
		      uint32_t chunk_size, uint64_t *end)
{
	uint64_t at = k * chunk_size, stop = at + chunk_size, to;
	uint32_t piece = m->pieces;
	unsigned int set;

	set = set_of_owner(dicom_mask_owner_from(m, &piece, at, &to));
	if (stop > m->length)
		stop = m->length;
	*end = to == m->length ? chunk_count(to, chunk_size) : to / chunk_size;
	if (*end > k)
		return set;
	for (*end = k + 1; to < stop && set != HELD_ALL;)
		set |= set_of_owner(dicom_mask_owner_from(m, &piece, to, &to));
	return set;
}

static bool is_mixed(unsigned int set)
{
	return set & (set - 1);
}

/* If memory runs out, all of them are unknown. */
static void sets_from_mask(struct sets *s, const struct dicom_mask *m,
			   uint32_t chunk_size)
{
	uint64_t chunks = chunk_count(m->length, chunk_size), end;

	for (uint64_t k = 0; k < chunks; k = end) {
		unsigned int set = mask_set(m, k, chunk_size, &end);

		sets_put(s, k, end - k, set);
	}
}

/* The set that chunk @k must have, as the chunks up to @end must. */
static unsigned int wanted_set(const struct chaosimg_file *f, uint64_t k,
			       uint64_t *end)
{
	return sets_get(&f->plan->want, k, end);
}

unsigned int chunk_set(struct chaosimg_file *f, uint64_t k, uint32_t len)
{
	unsigned int set;
	uint64_t end;

	if (f->plan)
		return wanted_set(f, k, &end);
	pthread_mutex_lock(&f->lock);
	set = dicom_outline_set(&f->outline, k * f->chunk_size, len);
	pthread_mutex_unlock(&f->lock);
	return set;
}

/* --- the mask and the parts ---------------------------------------------------- */

static ssize_t source_read(void *ctx, void *buf, size_t len, uint64_t off)
{
	struct chaosimg_file *f = ctx;
	uint8_t *out = buf;
	size_t done = 0;

	if (off >= f->length)
		return 0;
	if (len > f->length - off)
		len = f->length - off;
	while (done < len) {
		uint64_t k = (off + done) / f->chunk_size;
		uint32_t from = (off + done) % f->chunk_size;
		size_t n = f->chunk_size - from;
		int err;

		if (n > len - done)
			n = len - done;
		err = chunk_read(f, k, from, n, out + done);
		if (err)
			return err;
		done += n;
	}
	return len;
}

struct dicom_source file_source(struct chaosimg_file *f)
{
	return (struct dicom_source){
		.read = source_read, .ctx = f, .length = f->length
	};
}

static void summarize(const struct dicom_info *info, struct dicom_summary *d)
{
	memset(d, 0, sizeof(*d));
	d->present = true;
	memcpy(d->modality, info->modality, sizeof(d->modality));
	memcpy(d->transfer_syntax, info->transfer_syntax,
	       sizeof(d->transfer_syntax));
	d->segments = info->segments;
	for (uint32_t i = 0; i < info->segments; i++)
		d->segment[i] = info->segment[i].length << 2 |
				info->segment[i].compartment;
}

/* What the archive's rules ask for, but at least @hold, if that is not NULL. */
static int mask_by_rules(struct chaosimg_file *f, const uint8_t *key,
			 const char *hold, struct dicom_info *info,
			 struct plan *p)
{
	struct dicom_source src = file_source(f);
	struct rules_outcome *o;
	int ret = rules_apply(f->a, &src, &f->rules_looked, &o);

	if (ret)
		return ret;
	if (o && hold)
		o->cut.hold = hold;
	p->closed = policy_settle(f, o);
	if (p->closed)
		rules_tell(f->a, f->fd, true, p->closed);
	else
		ret = dicom_mask_make(&src, key, o ? &o->cut : NULL, info,
				      &p->mask);
	if (ret > 0 && p->mask.held)
		rules_tell(f->a, f->fd, false, p->mask.held);
	free(o);
	return ret;
}

static const uint8_t *uid_key(const struct chaosimg_archive *a)
{
	return a->ingest ? ingest_uid_key(a->ingest) : keyring_uids(a->ring);
}

/* Return: 1 if it is DICOM and divided, 0, -errno */
static int make_mask(struct chaosimg_file *f, const char *hold, struct plan *p)
{
	struct dicom_info info;
	const uint8_t *key = uid_key(f->a);
	int ret = key ? mask_by_rules(f, key, hold, &info, p) :
			fail(EACCES, "this needs the archive key");

	if (ret > 0)
		summarize(&info, &f->snap.dicom);
	return ret;
}

/*
 * A mixed chunk's bytes to the parts of their compartments. @blurred is the same
 * chunk as those see it who hold pixels and not identity.
 */
static int add_chunk(const struct plan *p, struct part part[PART_COUNT],
		     const uint8_t *data, const uint8_t *blurred, uint64_t at,
		     uint64_t end)
{
	uint32_t piece = p->mask.pieces;
	int err = 0;

	for (uint64_t to; !err && at < end;
	     data += to - at, blurred += to - at, at = to) {
		unsigned int owner = dicom_mask_owner_from(&p->mask, &piece, at,
							   &to);

		if (to > end)
			to = end;
		if (owner == DICOM_REGION) {
			err = part_add(&part[PART_IDENTITY], data, to - at);
			if (!err)
				err = part_add(&part[PART_PIXELS], blurred,
					       to - at);
		} else if (owner != DICOM_EVERYONE) {
			err = part_add(&part[PART_CLINICAL + owner], data,
				       to - at);
		}
	}
	return err;
}

/* Chunk @k, as it is and as it is shown without identity. */
static int read_chunk(struct chaosimg_file *f, struct dicom_blur *blur,
		      uint64_t k, uint32_t len, uint8_t *buf, uint8_t *blurred)
{
	int err = chunk_read(f, k, 0, len, buf);

	if (err || !blur)
		return err;
	memcpy(blurred, buf, len);
	return dicom_blur_fill(blur, blurred, len, k * f->chunk_size);
}

/* @blur: NULL if there is no region; @buf and @blurred hold a chunk each. */
static int gather_chunks(struct chaosimg_file *f, struct plan *p,
			 struct dicom_blur *blur, uint8_t *buf,
			 uint8_t *blurred)
{
	uint64_t chunks = chunk_count(f->length, f->chunk_size), end, bytes = 0;
	int err = 0;

	for (uint64_t k = 0; !err && k < chunks; k = end) {
		uint32_t len = chunk_len(f->length, f->chunk_size, k);
		uint64_t at = k * f->chunk_size;

		if (!is_mixed(sets_get(&p->want, k, &end)))
			continue;
		end = k + 1;
		bytes += len;
		if (bytes > PARTS_MAX)
			return fail(EFBIG, "parts: longer than they may be");
		err = read_chunk(f, blur, k, len, buf, blurred);
		if (!err)
			err = add_chunk(p, p->part, buf, blurred, at, at + len);
	}
	return err;
}

static int gather_mask(struct plan *p)
{
	uint8_t *mask;
	size_t len;
	int err = dicom_mask_pack(&p->mask, &mask, &len);

	if (err)
		return err;
	err = part_add(&p->part[PART_MASK], mask, len);
	free(mask);
	return err;
}

static int find_sets(struct plan *p, uint32_t chunk_size)
{
	uint64_t end;

	sets_all(&p->want, SET_UNKNOWN);
	sets_from_mask(&p->want, &p->mask, chunk_size);
	return sets_get(&p->want, 0, &end) == SET_UNKNOWN ?
		       fail(ENOMEM, "out of memory") : 0;
}

static int gather_parts(struct chaosimg_file *f, struct plan *p)
{
	struct dicom_source src = file_source(f);
	uint8_t *buf = buffer_get(f->chunk_size);
	uint8_t *blurred = buffer_get(f->chunk_size);
	struct dicom_blur *blur = NULL;
	int err = buf && blurred ? find_sets(p, f->chunk_size) :
				   fail(ENOMEM, "out of memory");

	if (!err)
		err = gather_mask(p);
	if (!err && p->mask.region)
		err = dicom_blur_new(p->mask.region, &src, &blur);
	if (!err)
		err = gather_chunks(f, p, blur, buf, blurred);
	dicom_blur_free(blur);
	buffer_put(buf, f->chunk_size);
	buffer_put(blurred, f->chunk_size);
	return err;
}

/* Where a region makes the parts too long, all pixels are held back. */
static int gather_or_hold(struct chaosimg_file *f, struct plan *p)
{
	int ret = gather_parts(f, p);

	if (ret != -EFBIG || !p->mask.region)
		return ret;
	dicom_mask_free(&p->mask);
	parts_free(p->part);
	ret = make_mask(f, "the parts with regions would be too long", p);
	if (ret > 0)
		return gather_parts(f, p);
	/* It was one a moment ago: then it is as private as can be. */
	memset(&f->snap.dicom, 0, sizeof(f->snap.dicom));
	sets_all(&p->want, RECORD_FOREIGN);
	p->dicom = false;
	return ret;
}

static void plan_free(struct chaosimg_file *f)
{
	if (!f->plan)
		return;
	dicom_mask_free(&f->plan->mask);
	sets_all(&f->plan->want, 0);
	parts_free(f->plan->part);
	free(f->plan);
	f->plan = NULL;
}

/*
 * A damaged chunk must not keep the rest of the file from being sealed: then it
 * is no DICOM file, or has no parts. Return: 0 or -ENOMEM.
 */
static int make_plan(struct chaosimg_file *f, struct plan *p)
{
	int ret = make_mask(f, NULL, p);

	if (ret == -ENOMEM)
		return ret;
	if (ret <= 0)
		memset(&f->snap.dicom, 0, sizeof(f->snap.dicom));
	p->dicom = ret > 0;
	f->snap.dicom.unknown = ret < 0;
	if (ret < 0)
		return 1;
	sets_all(&p->want, RECORD_FOREIGN);
	ret = p->dicom ? gather_or_hold(f, p) : 0;
	if (ret == -ENOMEM)
		return ret;
	p->has_parts = p->dicom && !ret;
	return 0;
}

int plan_begin(struct chaosimg_file *f)
{
	struct plan *p = calloc(1, sizeof(*p));
	int err = p ? make_plan(f, p) : fail(ENOMEM, "out of memory");

	f->plan = p;
	if (err)
		plan_free(f);
	return err < 0 ? err : 0;
}

void plan_end(struct chaosimg_file *f)
{
	plan_free(f);
}

int plan_write_parts(struct chaosimg_file *f, struct header *h)
{
	int err;

	memset(&h->parts, 0, sizeof(h->parts));
	if (!f->plan || !f->plan->has_parts)
		return 0;
	err = parts_write(f, f->plan->part, h);
	parts_written(f, h);
	file_keys_trim(f->keys);
	return err;
}

/* --- records under another set than they must have ---------------------------- */

/* Those of a file that a crash left open: the records tell. */
static unsigned int stored_set(struct chaosimg_file *f, uint64_t k)
{
	uint8_t prefix[RECORD_PREFIX];

	if (read_full(f->fd, prefix, sizeof(prefix),
		      f->base + record_at(f->chunk_size, k)) != sizeof(prefix))
		return SET_UNKNOWN;
	return record_is_zero(prefix) ? SET_ANY : record_set(prefix);
}

static bool is_right(struct chaosimg_file *f, uint64_t k, unsigned int want,
		     unsigned int have)
{
	if (have == SET_UNKNOWN)
		have = stored_set(f, k);
	return have == want || have == SET_ANY;
}

/* Store chunk @k again. Only who relies on it makes it wait for the journal. */
static int store_again(struct chaosimg_file *f, uint64_t k, size_t *waiting)
{
	uint32_t len = chunk_len(f->length, f->chunk_size, k);
	struct dirty *d;
	int err = dirty_make(f, k, false, &d);

	if (err == -ENOMEM)
		return err;
	/* Damaged: there is no telling what belongs to whom. */
	if (err)
		f->plan->has_parts = false;
	if (err)
		return 0;
	f->changed = true;
	if (in_snapshot(f, k)) {
		++*waiting;
		return 0;
	}
	err = dirty_store(f, d, len);
	if (!err)
		dirty_drop(f, d);
	return err;
}

/* Chunks @k .. @end - 1 must have the set @want, and all have @have. */
static int store_run_again(struct chaosimg_file *f, uint64_t k, uint64_t end,
			   unsigned int want, unsigned int have)
{
	size_t waiting = 0;
	int err = 0;

	for (; !err && k < end; k++) {
		const struct hole *h = holes_next(&f->holes, k);

		if (h && h->start <= k) {
			k = h->start + h->count - 1;
			continue;
		}
		if (dirty_find(f, k) || is_right(f, k, want, have))
			continue;
		err = store_again(f, k, &waiting);
		if (!err && waiting * f->chunk_size >= BATCH_BYTES) {
			err = commit_snapshot(f);
			waiting = 0;
		}
		/* Cut off here, whatever length the header claims. */
		if (record_at(f->chunk_size, k) >= f->stored)
			break;
	}
	return err;
}

int plan_store(struct chaosimg_file *f)
{
	uint64_t chunks = chunk_count(f->length, f->chunk_size), end, same;
	int err = 0;

	for (uint64_t k = 0; !err && f->plan && k < chunks; k = end) {
		unsigned int want = wanted_set(f, k, &end), have;

		have = sets_get(&f->sets, k, &same);
		end = end < same ? end : same;
		end = end < chunks ? end : chunks;
		if (have != want && have != SET_ANY)
			err = store_run_again(f, k, end, want, have);
	}
	return err;
}

/* --- what is known before a change --------------------------------------------- */

void sets_adopt(struct chaosimg_file *f)
{
	const struct dicom_summary *d = &f->snap.dicom;
	uint64_t at = 0, from = 0, to = 0, len;
	unsigned int set = HELD_ALL;
	bool divided = d->present || d->unknown;

	sets_all(&f->sets, f->snap.sealed && !divided ? RECORD_FOREIGN :
						      SET_UNKNOWN);
	for (uint32_t i = 0; i < d->segments; i++, at += len) {
		len = d->segment[i] >> 2;
		if (len <= to - from)
			continue;
		from = at;
		to = at + len;
		set = dicom_held(d->segment[i] & 3) & HELD_ALL;
	}
	dicom_outline_known(&f->outline, divided, from, to, set);
}

void sets_from_parts(struct chaosimg_file *f)
{
	struct part part[PART_COUNT];
	struct dicom_mask m;

	if (f->sets.count || f->sets.rest != SET_UNKNOWN)
		return;
	/* If it cannot be read, the records tell. */
	if (parts_read(f, 1 << PART_MASK, part))
		return;
	if (!dicom_mask_unpack(part[PART_MASK].data, part[PART_MASK].len, &m)) {
		pthread_mutex_lock(&f->lock);
		if (m.length == f->snap.length)
			sets_from_mask(&f->sets, &m, f->chunk_size);
		pthread_mutex_unlock(&f->lock);
		dicom_mask_free(&m);
	}
	parts_free(part);
}
