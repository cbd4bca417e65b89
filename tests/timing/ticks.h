/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The CPU's own clock, and barriers so that it measures what it embraces. */
#ifndef TICKS_H
#define TICKS_H

#include <stdint.h>

#if defined(__x86_64__)
#include <x86intrin.h>

#define TICKS "ticks of the TSC"

static inline uint64_t ticks_begin(void)
{
	uint64_t t;

	_mm_mfence();
	_mm_lfence();
	t = __rdtsc();
	_mm_lfence();
	return t;
}

/* RDTSCP waits for what comes before it, LFENCE keeps what follows behind it. */
static inline uint64_t ticks_end(void)
{
	unsigned int cpu;
	uint64_t t = __rdtscp(&cpu);

	_mm_lfence();
	return t;
}

#elif defined(__aarch64__)

#define TICKS "ticks of CNTVCT_EL0"

static inline uint64_t ticks_begin(void)
{
	uint64_t t;

	__asm__ volatile("dsb sy\n\tisb\n\tmrs %0, cntvct_el0\n\tisb"
			 : "=r" (t) : : "memory");
	return t;
}

static inline uint64_t ticks_end(void)
{
	return ticks_begin();
}

#else
#include <time.h>

#define TICKS "nanoseconds"

static inline uint64_t ticks_begin(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static inline uint64_t ticks_end(void)
{
	return ticks_begin();
}

#endif
#endif
