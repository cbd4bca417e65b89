// SPDX-License-Identifier: GPL-2.0-or-later
/* Welch's t-test over cropped measurements. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "welch.h"

void welch_add(struct welch *w, int class, double x)
{
	double delta = x - w->mean[class];

	w->n[class]++;
	w->mean[class] += delta / w->n[class];
	w->m2[class] += delta * (x - w->mean[class]);
}

double welch_t(const struct welch *w)
{
	double delta = w->mean[0] - w->mean[1], error = 0;
	int class;

	for (class = 0; class < 2; class++) {
		if (w->n[class] < 2)
			return 0;
		error += w->m2[class] / (w->n[class] - 1) / w->n[class];
	}
	if (delta == 0)
		return 0;
	return delta / sqrt(error);
}

static int ascending(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* Denser towards the slow end, up to the 1,024th part: 1 - 2^-(i/2.5). */
void comparison_init(struct comparison *c, uint64_t *sample, size_t n)
{
	double share;
	int i;

	memset(c, 0, sizeof(*c));
	qsort(sample, n, sizeof(*sample), ascending);
	for (i = 0; i < CROPS - 1; i++) {
		share = 1 - exp2(-(i + 1) / 2.5);
		c->limit[i] = (double)sample[(size_t)(share * (double)(n - 1))];
	}
	c->limit[CROPS - 1] = INFINITY;
}

void comparison_add(struct comparison *c, int class, uint64_t ticks)
{
	int i;

	for (i = CROPS - 1; i >= 0 && (double)ticks <= c->limit[i]; i--)
		welch_add(&c->test[i], class, (double)ticks);
}

double comparison_t(const struct comparison *c, double *delta)
{
	double t, most = 0;
	int i;

	*delta = 0;
	for (i = 0; i < CROPS; i++) {
		if (c->test[i].n[0] < CLASS_MIN || c->test[i].n[1] < CLASS_MIN)
			continue;
		t = fabs(welch_t(&c->test[i]));
		if (t <= most)
			continue;
		most = t;
		*delta = c->test[i].mean[0] - c->test[i].mean[1];
	}
	return most;
}
