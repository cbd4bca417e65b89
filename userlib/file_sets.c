// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Which sets of compartments the records of an open file are under, as runs of
 * chunks: what was written is known, and what a sealed header vouches for.
 */
#include <stdlib.h>
#include <string.h>

#include "file.h"

/* Index of the run that chunk @k is in; there is one. */
static size_t find(const struct sets *s, uint64_t k)
{
	size_t low = 0, high = s->count;

	while (high - low > 1) {
		size_t mid = (low + high) / 2;

		if (s->run[mid].start <= k)
			low = mid;
		else
			high = mid;
	}
	return low;
}

unsigned int sets_get(const struct sets *s, uint64_t k, uint64_t *end)
{
	size_t i;

	*end = UINT64_MAX;
	if (!s->count)
		return s->rest;
	i = find(s, k);
	if (i + 1 < s->count)
		*end = s->run[i + 1].start;
	return s->run[i].set;
}

void sets_all(struct sets *s, unsigned int set)
{
	free(s->run);
	*s = (struct sets){ .rest = (uint8_t)set };
}

static bool reserve(struct sets *s, size_t room)
{
	struct set_run *p;

	if (room <= s->room)
		return true;
	room = room < 8 ? 8 : room * 2;
	p = reallocarray(s->run, room, sizeof(*p));
	if (!p)
		return false;
	s->run = p;
	s->room = room;
	if (!s->count)
		s->run[s->count++] = (struct set_run){ 0, s->rest };
	return true;
}

/* Drop run @i if it is as the one before. */
static void join(struct sets *s, size_t i)
{
	if (i >= s->count || s->run[i].set != s->run[i - 1].set)
		return;
	memmove(s->run + i, s->run + i + 1,
		(--s->count - i) * sizeof(*s->run));
}

void sets_put(struct sets *s, uint64_t k, uint64_t count, unsigned int set)
{
	uint64_t end, to = k + count;
	size_t first, last, n = 0;
	struct set_run with[3];
	unsigned int tail;

	if (sets_get(s, k, &end) == set && to <= end)
		return;
	if (!reserve(s, s->count + 3)) {
		sets_all(s, SET_UNKNOWN);
		return;
	}
	first = find(s, k);
	last = find(s, to - 1);
	tail = sets_get(s, to - 1, &end);
	if (s->run[first].start < k)
		with[n++] = s->run[first];
	with[n++] = (struct set_run){ k, (uint8_t)set };
	if (to < end)
		with[n++] = (struct set_run){ to, (uint8_t)tail };
	memmove(s->run + first + n, s->run + last + 1,
		(s->count - last - 1) * sizeof(*s->run));
	memcpy(s->run + first, with, n * sizeof(*with));
	s->count += n - (last - first + 1);
	/* From behind, so that indices stay right. */
	for (size_t i = first + n; i >= (first ? first : 1); i--)
		join(s, i);
}
