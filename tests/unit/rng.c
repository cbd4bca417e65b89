// SPDX-License-Identifier: GPL-2.0-or-later
/* Numbers that look random and are the same in every run. */
#include "rng.h"

uint64_t rng_next(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

uint64_t rng_below(uint64_t *state, uint64_t below)
{
	return rng_next(state) % below;
}
