// SPDX-License-Identifier: GPL-2.0-or-later
/* Progress of long work: on a terminal only. */
#include <inttypes.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "tool.h"

#define INTERVAL_MS 200

static struct {
	const char *verb;	/* NULL: not shown */
	uint64_t total;
	int64_t last;
	bool drawn;
} progress;

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * INT64_C(1000) + ts.tv_nsec / 1000000;
}

void progress_begin(const char *verb, uint64_t total)
{
	progress_end();
	if (!isatty(STDERR_FILENO))
		return;
	progress.verb = verb;
	progress.total = total;
	progress.last = now_ms();
}

void progress_update(uint64_t done)
{
	double mib = (double)done / (1 << 20);
	int64_t now;

	if (!progress.verb)
		return;
	now = now_ms();
	if (now - progress.last < INTERVAL_MS)
		return;
	progress.last = now;
	progress.drawn = true;
	if (done > progress.total)	/* unknown, or it grew meanwhile */
		fprintf(stderr, "\r%s: %.1f MiB\033[K", progress.verb, mib);
	else
		fprintf(stderr, "\r%s: %.1f MiB, %" PRIu64 " %%\033[K",
			progress.verb, mib,
			(uint64_t)((double)done * 100 / (double)progress.total));
	fflush(stderr);
}

void progress_stage(const char *what, unsigned int n, unsigned int of)
{
	if (!isatty(STDERR_FILENO))
		return;
	progress.drawn = true;
	fprintf(stderr, "\r%s: %u of %u\033[K", what, n, of);
	fflush(stderr);
}

void progress_end(void)
{
	if (progress.drawn)
		fputs("\r\033[K", stderr);
	progress.verb = NULL;
	progress.drawn = false;
}
