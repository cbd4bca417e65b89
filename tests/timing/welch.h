/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Do two classes of measurements differ? Welch's t-test, over all of them and
 * over those below each of several percentiles, as dudect does (Reparaz,
 * Balasch, Verbauwhede: Dude, is my code constant time?, 2017): what an
 * interrupt or a cache miss adds hides a small difference, and is cut off.
 */
#ifndef WELCH_H
#define WELCH_H

#include <stdint.h>
#include <stddef.h>

enum {
	CROPS = 26,
	/* Fewer of a class say nothing yet. */
	CLASS_MIN = 500,
};

/** struct welch - both classes' running means and squared deviations */
struct welch {
	double n[2];
	double mean[2];
	double m2[2];
};

/**
 * struct comparison - a t-test for each crop
 * @limit: measurements above it are left out; ascending, the last is infinite
 * @test: of what is left
 */
struct comparison {
	double limit[CROPS];
	struct welch test[CROPS];
};

/** welch_add() - one more measurement, @class 0 or 1 (Welford's update) */
void welch_add(struct welch *w, int class, double x);

/** welch_t() - Welch's t; 0 if a class has too few, infinite without variance */
double welch_t(const struct welch *w);

/**
 * comparison_init() - choose the percentiles' limits
 * @c: filled in
 * @sample: measurements of both classes, not to be added later; sorted here
 * @n: how many
 */
void comparison_init(struct comparison *c, uint64_t *sample, size_t n);

/** comparison_add() - one more measurement */
void comparison_add(struct comparison *c, int class, uint64_t ticks);

/**
 * comparison_t() - the largest |t| of all crops
 * @c: the comparison
 * @delta: receives that crop's difference of the means, in ticks: where |t| is
 *	between 5 and 10, see whether the next run shows it again
 */
double comparison_t(const struct comparison *c, double *delta);

#endif
