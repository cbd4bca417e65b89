// SPDX-License-Identifier: GPL-2.0-or-later
/* Locks on runs of chunks: first come, first served. */
#include "file.h"

static bool conflict(const struct range *a, const struct range *b)
{
	return (a->write || b->write) && a->first < b->end &&
	       b->first < a->end;
}

static bool has_to_wait(const struct chaosimg_file *f, const struct range *r)
{
	for (const struct range *o = f->ranges; o != r; o = o->next)
		if (conflict(o, r))
			return true;
	return false;
}

void range_lock(struct chaosimg_file *f, struct range *r)
{
	struct range **p;

	pthread_mutex_lock(&f->lock);
	for (p = &f->ranges; *p; p = &(*p)->next)
		;
	r->next = NULL;
	*p = r;
	while (has_to_wait(f, r))
		pthread_cond_wait(&f->freed, &f->lock);
	pthread_mutex_unlock(&f->lock);
}

void range_unlock(struct chaosimg_file *f, struct range *r)
{
	struct range **p;

	pthread_mutex_lock(&f->lock);
	for (p = &f->ranges; *p != r; p = &(*p)->next)
		;
	*p = r->next;
	pthread_cond_broadcast(&f->freed);
	pthread_mutex_unlock(&f->lock);
}
