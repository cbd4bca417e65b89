/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What all benchmarks in C need: the time, and values in order. */
#ifndef FIGURES_H
#define FIGURES_H

#include <stdlib.h>
#include <time.h>

/* By one of clock_gettime(2)'s clocks, in seconds. */
static inline double seconds_of(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static inline int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static inline void put_in_order(double *values, size_t n)
{
	qsort(values, n, sizeof(*values), ascending);
}

#endif
