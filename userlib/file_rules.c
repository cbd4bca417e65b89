// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Rules while a file is being written: when its outline comes to pixels, what
 * stands in front of them says whether some belong to identity. Until the file
 * is sealed, then, all are stored as if they did. And it says under which policy
 * the file falls.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "file.h"
#include "rules.h"

/** struct begun - a file of which some is stored, and some about to be */
struct begun {
	struct chaosimg_file *f;
	const uint8_t *data;
	size_t len;
	uint64_t off;
};

/* Of one chunk, or of what is about to be stored. */
static ssize_t read_some(const struct begun *b, uint8_t *out, size_t len,
			 uint64_t off)
{
	struct chaosimg_file *f = b->f;
	struct range r = { .first = off / f->chunk_size };
	uint32_t from = off % f->chunk_size;
	int err;

	r.end = r.first + 1;
	if (off >= b->off && off < b->off + b->len) {
		if (len > b->off + b->len - off)
			len = (size_t)(b->off + b->len - off);
		memcpy(out, b->data + (off - b->off), len);
		return (ssize_t)len;
	}
	if (len > f->chunk_size - from)
		len = f->chunk_size - from;
	if (off < b->off && len > b->off - off)
		len = (size_t)(b->off - off);
	range_lock(f, &r);
	err = chunk_read(f, r.first, from, (uint32_t)len, out);
	range_unlock(f, &r);
	return err ? err : (ssize_t)len;
}

static ssize_t read_begun(void *ctx, void *buf, size_t len, uint64_t off)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = read_some(ctx, (uint8_t *)buf + done, len - done,
				      off + done);

		if (n <= 0)
			return n;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

/* The compartments of pixels, as far as can be told. */
static unsigned int set_by_rules(const struct rules_outcome *o)
{
	unsigned int set = held_bit(CHAOSIMG_PIXELS);

	if (o && o->cut.hold)
		set = held_bit(CHAOSIMG_IDENTITY);
	else if (o && dicom_cut_any(&o->cut))
		set |= held_bit(CHAOSIMG_IDENTITY);
	return set;
}

static bool apply(struct chaosimg_file *f, const struct dicom_source *src,
		  uint64_t from, unsigned int set)
{
	struct rules_outcome *o;
	bool turns;

	if (rules_apply(f->a, src, &f->rules_looked, &o)) {
		pthread_mutex_lock(&f->lock);
		if (f->outline.from == from)
			f->outline.set = HELD_ALL;
		f->ruled = from;
		pthread_mutex_unlock(&f->lock);
		return false;
	}
	if (set == held_bit(CHAOSIMG_PIXELS))
		set = set_by_rules(o);
	turns = policy_notice(f, o, from, set);
	free(o);
	return turns;
}

bool outline_rules(struct chaosimg_file *f, const void *data, size_t len,
		   uint64_t off)
{
	struct begun b = { f, data, len, off };
	struct dicom_source src = { .read = read_begun, .ctx = &b };
	unsigned int set;
	uint64_t from;
	bool found;

	pthread_mutex_lock(&f->lock);
	from = f->outline.from;
	set = f->outline.set;
	found = from && f->ruled != from;
	src.length = f->length > off + len ? f->length : off + len;
	pthread_mutex_unlock(&f->lock);
	/* Other values matter only to who may fall under a policy. */
	return found && (set == held_bit(CHAOSIMG_PIXELS) ||
			 keyring_has_policies(f->a->ring)) &&
	       apply(f, &src, from, set);
}
