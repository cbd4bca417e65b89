// SPDX-License-Identifier: GPL-2.0-or-later
/* The chunks of a file that were never written and read as zeros. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "holes.h"

/* Index of the first hole that ends after chunk @k. */
static size_t find(const struct holes *h, uint64_t k)
{
	size_t lo = 0, hi = h->count;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (h->hole[mid].start + h->hole[mid].count > k)
			hi = mid;
		else
			lo = mid + 1;
	}
	return lo;
}

static int reserve(struct holes *h, size_t room)
{
	struct hole *p;

	if (room <= h->room)
		return 0;
	room = room < 8 ? 8 : room * 2;
	p = reallocarray(h->hole, room, sizeof(*p));
	if (!p)
		return -ENOMEM;
	h->hole = p;
	h->room = room;
	return 0;
}

/* Replace the holes @from .. @to - 1 by @n others. */
static void splice(struct holes *h, size_t from, size_t to,
		   const struct hole *with, size_t n)
{
	memmove(h->hole + from + n, h->hole + to,
		(h->count - to) * sizeof(*h->hole));
	if (n)
		memcpy(h->hole + from, with, n * sizeof(*with));
	h->count = h->count - (to - from) + n;
}

bool holes_has(const struct holes *h, uint64_t k)
{
	size_t i;

	if (!h->count)
		return false;
	i = find(h, k);
	return i < h->count && h->hole[i].start <= k;
}

int holes_add(struct holes *h, uint64_t start, uint64_t count)
{
	struct hole new = { start, count };
	uint64_t end = start + count;
	size_t from, to;

	if (!count)
		return 0;
	if (reserve(h, h->count + 1))
		return -ENOMEM;
	/* Holes that touch the new one are merged with it. */
	from = start ? find(h, start - 1) : 0;
	for (to = from; to < h->count && h->hole[to].start <= end; to++) {
		const struct hole *o = &h->hole[to];

		if (o->start < new.start)
			new.start = o->start;
		if (o->start + o->count > end)
			end = o->start + o->count;
	}
	new.count = end - new.start;
	splice(h, from, to, &new, 1);
	return 0;
}

int holes_remove(struct holes *h, uint64_t start, uint64_t count)
{
	uint64_t end = start + count;
	struct hole rest[2];
	size_t from, to, n = 0;

	if (!count || !h->count)
		return 0;
	if (reserve(h, h->count + 1))
		return -ENOMEM;
	from = find(h, start);
	for (to = from; to < h->count && h->hole[to].start < end; to++) {
		const struct hole *o = &h->hole[to];
		uint64_t o_end = o->start + o->count;

		if (o->start < start)
			rest[n++] = (struct hole){ o->start, start - o->start };
		if (o_end > end)
			rest[n++] = (struct hole){ end, o_end - end };
	}
	splice(h, from, to, rest, n);
	return 0;
}

const struct hole *holes_next(const struct holes *h, uint64_t k)
{
	size_t i = find(h, k);

	return i < h->count ? &h->hole[i] : NULL;
}

void holes_free(struct holes *h)
{
	free(h->hole);
	memset(h, 0, sizeof(*h));
}
