/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Numbers that look random and are the same in every run: xorshift64. */
#ifndef RNG_H
#define RNG_H

#include <stdint.h>

/* The next number; the seed is any but 0. */
uint64_t rng_next(uint64_t *state);

/* One from 0 to @below - 1. */
uint64_t rng_below(uint64_t *state, uint64_t below);

#endif
