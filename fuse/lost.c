// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the kernel had gathered and then could not write, it drops and calls
 * clean: it says so to whoever syncs or closes next, and no more after that. So
 * here no sync succeeds until those bytes were written again, or the file is
 * closed by all.
 */
#include <stdlib.h>

#include "fs.h"

struct span {
	uint64_t from, to;
};

/**
 * struct lost - bytes of a file that are lost
 * @span: where they are, in no order, apart from each other
 * @count: how many spans there are
 * @room: how many there is room for
 * @all: there was no memory to say where
 */
struct lost {
	struct span *span;
	size_t count, room;
	bool all;
};

static void append(struct lost *l, uint64_t from, uint64_t to)
{
	size_t room = l->room ? 2 * l->room : 8;
	struct span *more;

	if (from >= to)
		return;
	if (l->count == l->room) {
		more = reallocarray(l->span, room, sizeof(*more));
		if (!more) {
			l->all = true;
			return;
		}
		l->span = more;
		l->room = room;
	}
	l->span[l->count++] = (struct span){ from, to };
}

static void take_out(struct lost *l, uint64_t from, uint64_t to)
{
	size_t i = 0;

	while (i < l->count) {
		struct span s = l->span[i];

		if (s.to <= from || to <= s.from) {
			i++;
			continue;
		}
		l->span[i] = l->span[--l->count];
		append(l, s.from, from < s.to ? from : s.to);
		append(l, to > s.from ? to : s.from, s.to);
	}
}

void lost_add(struct inode *in, uint64_t from, uint64_t to)
{
	pthread_mutex_lock(&in->lock);
	if (!in->lost)
		in->lost = calloc(1, sizeof(*in->lost));
	if (in->lost) {
		take_out(in->lost, from, to);
		append(in->lost, from, to);
	}
	pthread_mutex_unlock(&in->lock);
}

void lost_remove(struct inode *in, uint64_t from, uint64_t to)
{
	pthread_mutex_lock(&in->lock);
	if (in->lost)
		take_out(in->lost, from, to);
	pthread_mutex_unlock(&in->lock);
}

void lost_forget(struct inode *in)
{
	if (!in->lost)
		return;
	free(in->lost->span);
	free(in->lost);
	in->lost = NULL;
}

int lost_check(struct inode *in)
{
	bool any;

	pthread_mutex_lock(&in->lock);
	any = in->lost && (in->lost->count || in->lost->all);
	pthread_mutex_unlock(&in->lock);
	if (!any)
		return 0;
	log_cause(in, NULL, "cannot be synced: what could not be written was not written again");
	return -EIO;
}
