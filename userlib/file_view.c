// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a file looks like to who holds some of its compartments.
 *
 * A chunk whose bytes are all of held compartments is read as always. Of one
 * with bytes of several compartments (a mixed one), those that are held are in
 * the parts; of all others nothing is read. The mask covers what is not held.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dicom_mask.h"
#include "error.h"
#include "file.h"
#include "file_view.h"

/**
 * struct mixed - a chunk with bytes of several compartments
 * @chunk: its number
 * @at: where its bytes begin in the part of each
 */
struct mixed {
	uint64_t chunk;
	uint32_t at[COMPARTMENTS];
};

/**
 * struct file_view - how a file is shown
 * @held: the compartments that are held
 * @blank: as zeros; then nothing else is in use
 * @mask: the file's mask
 * @part: the parts that are held
 * @mixed: the mixed chunks, ascending
 * @count: how many
 * @room: for how many there is room
 */
struct file_view {
	unsigned int held;
	bool blank;
	struct dicom_mask mask;
	struct part part[PART_COUNT];
	struct mixed *mixed;
	size_t count;
	size_t room;
};

static bool is_mixed(unsigned int set)
{
	return set & (set - 1);
}

/* --- opening ---------------------------------------------------------------- */

static int add_mixed(struct file_view *v, const struct mixed *m)
{
	size_t room = v->room ? 2 * v->room : 8;
	struct mixed *more;

	if (v->count == v->room) {
		more = realloc(v->mixed, room * sizeof(*more));
		if (!more)
			return fail(ENOMEM, "out of memory");
		v->mixed = more;
		v->room = room;
	}
	v->mixed[v->count++] = *m;
	return 0;
}

/* How many bytes of each compartment there are from @off to @stop. */
static void count_bytes(const struct dicom_mask *m, uint64_t off, uint64_t stop,
			uint64_t bytes[COMPARTMENTS])
{
	uint32_t piece = m->pieces;

	for (uint64_t end; off < stop; off = end) {
		unsigned int owner = dicom_mask_owner_from(m, &piece, off, &end);
		unsigned int set = set_of_owner(owner);

		if (end > stop)
			end = stop;
		for (int c = 0; c < COMPARTMENTS; c++)
			if (set & held_bit(c))
				bytes[c] += end - off;
	}
}

/* Where the mixed chunks are, and their bytes in the parts. */
static int find_mixed_chunks(struct file_view *v, const struct header *h)
{
	uint64_t chunks = chunk_count(h->length, h->chunk_size), end;
	uint64_t bytes[COMPARTMENTS] = { 0 };
	struct mixed m;
	int c, err = 0;

	for (m.chunk = 0; !err && m.chunk < chunks; m.chunk = end) {
		uint64_t at = m.chunk * h->chunk_size;

		if (!is_mixed(mask_set(&v->mask, m.chunk, h->chunk_size, &end)))
			continue;
		end = m.chunk + 1;
		for (c = 0; c < COMPARTMENTS; c++) {
			if (bytes[c] > PART_MAX)
				return fail(EIO, "parts: shorter than the mask says");
			m.at[c] = (uint32_t)bytes[c];
		}
		err = add_mixed(v, &m);
		count_bytes(&v->mask, at,
			    at + chunk_len(h->length, h->chunk_size, m.chunk),
			    bytes);
	}
	for (c = 0; !err && c < COMPARTMENTS; c++)
		if (bytes[c] != h->parts.len[PART_CLINICAL + c])
			err = fail(EIO, "parts: of another length than the mask says");
	return err;
}

static int load_parts(struct chaosimg_file *f, struct file_view *v)
{
	unsigned int which = 1u << PART_MASK | v->held << PART_CLINICAL;
	struct part *mask = &v->part[PART_MASK];
	int err = parts_read(f, which, v->part);

	/* Of each compartment that is held: none is missing in good order. */
	if (err == -EACCES)
		err = fail(EIO, "parts: a record is of other compartments");
	if (!err)
		err = dicom_mask_unpack(mask->data, mask->len, &v->mask);
	if (err)
		return err;
	part_free(mask);
	if (v->mask.length != f->snap.length)
		return fail(EIO, "mask: of another length than the file");
	return find_mixed_chunks(v, &f->snap);
}

int view_open(struct chaosimg_file *f, struct file_view **out)
{
	const struct header *h = &f->snap;
	unsigned int held = f->keys->ks->held;
	struct file_view *v;
	int err = 0;

	*out = NULL;
	if (held == HELD_ALL)
		return 0;
	if (h->sealed && !h->dicom.present &&
	    held & held_bit(CHAOSIMG_IDENTITY))
		return 0;
	v = calloc(1, sizeof(*v));
	if (!v)
		return fail(ENOMEM, "out of memory");
	v->held = held;
	v->blank = !h->sealed || !h->parts.length;
	if (!v->blank)
		err = load_parts(f, v);
	if (err)
		view_free(v);
	else
		*out = v;
	return err;
}

void view_free(struct file_view *v)
{
	if (!v)
		return;
	parts_free(v->part);
	dicom_mask_free(&v->mask);
	free(v->mixed);
	free(v);
}

/* --- reading ---------------------------------------------------------------- */

static uint64_t chunk_end(const struct chaosimg_file *f, uint64_t off)
{
	uint64_t k = off / f->chunk_size;

	return k * f->chunk_size + chunk_len(f->snap.length, f->chunk_size, k);
}

/* Is there a record with all of its bytes, and are its keys here? */
static bool is_open(const struct chaosimg_file *f, uint64_t off)
{
	unsigned int set;
	uint64_t end;

	set = mask_set(&f->view->mask, off / f->chunk_size, f->chunk_size, &end);
	return set && !(set & ~f->view->held);
}

static const struct mixed *find_mixed(const struct file_view *v, uint64_t chunk)
{
	size_t low = 0, high = v->count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (v->mixed[mid].chunk == chunk)
			return &v->mixed[mid];
		if (v->mixed[mid].chunk < chunk)
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}

/* Whose part the bytes are taken from, or -1 if none of them is held. */
static int choose_part(const struct file_view *v, unsigned int set)
{
	set &= v->held;
	if (set & held_bit(CHAOSIMG_IDENTITY))
		return CHAOSIMG_IDENTITY;
	return set ? __builtin_ctz(set) : -1;
}

/* Bytes @off to @stop of a mixed chunk, those that are held, from the parts. */
static void gather(const struct file_view *v, const struct mixed *m,
		   uint32_t chunk_size, uint8_t *out, uint64_t off,
		   uint64_t stop)
{
	uint64_t at = m->chunk * chunk_size, end, part_at[COMPARTMENTS];
	uint32_t piece = v->mask.pieces;
	int c, from;

	for (c = 0; c < COMPARTMENTS; c++)
		part_at[c] = m->at[c];
	for (; at < stop; at = end) {
		unsigned int owner = dicom_mask_owner_from(&v->mask, &piece, at,
							   &end);
		unsigned int set = set_of_owner(owner);
		uint64_t skip = off > at ? off - at : 0;

		if (end > stop)
			end = stop;
		from = choose_part(v, set);
		if (from >= 0 && skip < end - at)
			memcpy(out + (at + skip - off),
			       v->part[PART_CLINICAL + from].data +
			       part_at[from] + skip, end - at - skip);
		for (c = 0; c < COMPARTMENTS; c++)
			if (set & held_bit(c))
				part_at[c] += end - at;
	}
}

/* As much from @off on as is had in one way. Return: how much, or an error. */
static ssize_t read_some(struct chaosimg_file *f, uint8_t *out, size_t len,
			 uint64_t off)
{
	const struct file_view *v = f->view;
	uint64_t end = chunk_end(f, off), stop = off + len;
	const struct mixed *m;
	int err = 0;

	if (is_open(f, off)) {
		while (end < stop && is_open(f, end))
			end = chunk_end(f, end);
		end = end < stop ? end : stop;
		err = plain_read(f, out, end - off, off);
	} else {
		end = end < stop ? end : stop;
		m = find_mixed(v, off / f->chunk_size);
		if (m)
			gather(v, m, f->chunk_size, out, off, end);
	}
	return err ? err : (ssize_t)(end - off);
}

int view_read(struct chaosimg_file *f, uint8_t *out, size_t len, uint64_t off)
{
	const struct file_view *v = f->view;
	size_t done = 0;
	ssize_t n;

	memset(out, 0, len);
	while (!v->blank && done < len) {
		n = read_some(f, out + done, len - done, off + done);
		if (n < 0)
			return (int)n;
		done += (size_t)n;
	}
	if (!v->blank)
		dicom_mask_apply(&v->mask, v->held, out, len, off);
	return 0;
}
