// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * From a list of operations that fails to a short one. Each operation makes
 * sense whatever came before, so any of them can be left out; a list that
 * still fails is kept (delta debugging: Zeller and Hildebrandt, 2002).
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "fsx.h"

static void run(const char *root, const struct op *ops, size_t count,
		struct outcome *out)
{
	struct world *w = world_new(root, out->why, sizeof(out->why));

	out->failed = true;
	out->at = 0;
	if (!w)
		return;
	for (size_t i = 0; i < count; i++) {
		out->at = i;
		if (!world_do(w, &ops[i]))
			goto end;
		out->done++;
	}
	out->at = count;
	out->failed = !world_verify(w);
end:
	world_free(w, true);
}

void sequence_run(const char *root, const struct op *ops, size_t count,
		  struct outcome *out)
{
	struct outcome *shared = mmap(NULL, sizeof(*shared),
				      PROT_READ | PROT_WRITE,
				      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int status;
	pid_t pid;

	if (shared == MAP_FAILED)
		abort();
	fflush(NULL);
	pid = fork();
	if (!pid) {
		run(root, ops, count, shared);
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		abort();
	*out = *shared;
	munmap(shared, sizeof(*shared));
	if (WIFSIGNALED(status)) {
		out->failed = true;
		snprintf(out->why, sizeof(out->why), "ended by signal %d (%s)",
			 WTERMSIG(status), strsignal(WTERMSIG(status)));
	}
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

/* Does it still fail without operations @from .. @to - 1? Then drop them. */
static bool without(const char *root, struct op *ops, size_t *count, size_t from,
		    size_t to, struct outcome *out)
{
	size_t left = *count - (to - from);
	struct op *try = calloc(left + 1, sizeof(*try));
	static unsigned int attempt;
	struct outcome o;
	char path[512];

	if (!try)
		abort();
	memcpy(try, ops, from * sizeof(*try));
	memcpy(try + from, ops + to, (*count - to) * sizeof(*try));
	snprintf(path, sizeof(path), "%s.%u", root, attempt++);
	sequence_run(path, try, left, &o);
	if (o.failed) {
		if (o.at < left)
			left = o.at + 1;
		memcpy(ops, try, left * sizeof(*try));
		*count = left;
		*out = o;
	}
	free(try);
	return o.failed;
}

size_t shrink(const char *root, struct op *ops, size_t count,
	      struct outcome *out, unsigned int seconds)
{
	double end = now() + seconds;
	size_t step;

	if (out->at < count)
		count = out->at + 1;
	for (step = count / 2 ? count / 2 : 1; step; step /= 2) {
		bool less = false;

		for (size_t i = 0; i < count && now() < end;) {
			size_t to = i + step < count ? i + step : count;

			if (without(root, ops, &count, i, to, out))
				less = true;
			else
				i = to;
		}
		/* One more round with single ones, as long as that helps. */
		if (step == 1 && less && now() < end)
			step = 2;
	}
	return count;
}
