// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The leaves of a policy on all processors. Each takes milliseconds, and
 * somebody waits for a file meanwhile.
 */
#include <pthread.h>
#include <sched.h>
#include <signal.h>

#include "abe.h"

struct worker {
	abe_work_fn *work;
	void *arg;
	unsigned int number;
	pthread_t thread;
};

static void *run(void *arg)
{
	struct worker *w = arg;

	w->work(w->arg, w->number);
	return NULL;
}

/* Signals are for the threads that the application made. */
static bool start(struct worker *w)
{
	sigset_t all, old;
	bool ok;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &old);
	ok = !pthread_create(&w->thread, NULL, run, w);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return ok;
}

unsigned int abe_workers(unsigned int leaves)
{
	cpu_set_t cpus;
	unsigned int n = 1;

	if (!sched_getaffinity(0, sizeof(cpus), &cpus))
		n = (unsigned int)CPU_COUNT(&cpus);
	if (n > ABE_WORKERS_MAX)
		n = ABE_WORKERS_MAX;
	return leaves && leaves < n ? leaves : n;
}

void abe_parallel(unsigned int workers, abe_work_fn *work, void *arg)
{
	struct worker w[ABE_WORKERS_MAX];
	unsigned int started = 1, i;

	for (i = 1; i < workers; i++)
		w[i] = (struct worker){ .work = work, .arg = arg, .number = i };
	while (started < workers && start(&w[started]))
		started++;
	/* And what no thread could be had for. */
	for (i = started; i < workers; i++)
		work(arg, i);
	work(arg, 0);
	for (i = 1; i < started; i++)
		pthread_join(w[i].thread, NULL);
}
