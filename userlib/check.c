// SPDX-License-Identifier: GPL-2.0-or-later
/* The run that scrub and fsck share: threads, findings, totals, rate. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "error.h"

enum {
	NS_MS = 1000000,
	REPORT_EVERY = 100 * NS_MS,
	NAP_MS = 50,
};

#define SAVE_EVERY	(2000 * (uint64_t)NS_MS)
#define NS_SECOND	(1000 * (uint64_t)NS_MS)

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NS_SECOND + (uint64_t)ts.tv_nsec;
}

bool check_stopped(struct check *c)
{
	bool failed;

	if (c->p->stop && c->p->stop(c->p->ctx))
		return true;
	pthread_mutex_lock(&c->lock);
	failed = c->error != 0;
	pthread_mutex_unlock(&c->lock);
	return failed;
}

/* --- keeping to the rate --- */

static void sleep_ms(unsigned int ms)
{
	struct timespec ts = { ms / 1000, (long)(ms % 1000) * NS_MS };

	nanosleep(&ts, NULL);
}

void check_pause(struct check *c, unsigned int ms)
{
	while (ms && !check_stopped(c)) {
		unsigned int nap = ms < NAP_MS ? ms : NAP_MS;

		sleep_ms(nap);
		ms -= nap;
	}
}

void check_read(struct check *c, uint64_t len)
{
	uint64_t now, at;

	if (!c->p->rate)
		return;
	now = now_ns();
	pthread_mutex_lock(&c->lock);
	at = c->next_read > now ? c->next_read : now;
	c->next_read = at + (uint64_t)((double)len * (double)NS_SECOND /
				       (double)c->p->rate);
	pthread_mutex_unlock(&c->lock);
	if (at > now)
		check_pause(c, (unsigned int)((at - now) / NS_MS));
}

/* --- the caller's functions --- */

void check_done(struct check *c, uint64_t len)
{
	uint64_t done = atomic_fetch_add(&c->bytes, len) + len, now;

	if (!c->p->progress || pthread_mutex_trylock(&c->report))
		return;
	now = now_ns();
	if (now - c->reported >= REPORT_EVERY) {
		c->reported = now;
		c->p->progress(c->p->ctx, done, c->bytes_total);
	}
	pthread_mutex_unlock(&c->report);
}

void check_found(struct check *c, struct chaosimg_check_totals *totals,
		 const struct chaosimg_finding *f)
{
	struct chaosimg_finding shown = *f;

	totals->problems++;
	if (f->remedy == CHAOSIMG_REMEDY_DONE)
		totals->repaired++;
	if (!c->p->names)
		shown.plain = NULL;
	if (!c->p->found)
		return;
	pthread_mutex_lock(&c->report);
	c->p->found(c->p->ctx, &shown);
	pthread_mutex_unlock(&c->report);
}

/* Tell how far it is done. Caller holds no lock. */
static void checkpoint(struct check *c, bool at_once)
{
	struct chaosimg_check_totals totals;
	uint64_t now = now_ns();
	char *path = NULL;

	if (!c->p->checkpoint)
		return;
	pthread_mutex_lock(&c->report);
	if (at_once || now - c->saved >= SAVE_EVERY) {
		pthread_mutex_lock(&c->lock);
		totals = c->totals;
		if (c->first)
			path = check_path(c->first->dir, c->first->name);
		pthread_mutex_unlock(&c->lock);
	}
	if (path) {
		c->saved = now;
		c->p->checkpoint(c->p->ctx, path, &totals);
	}
	free(path);
	pthread_mutex_unlock(&c->report);
}

/* --- tasks --- */

static void add_totals(struct chaosimg_check_totals *to,
		       const struct chaosimg_check_totals *t)
{
	to->directories += t->directories;
	to->files += t->files;
	to->links += t->links;
	to->others += t->others;
	to->records += t->records;
	to->bytes += t->bytes;
	to->open += t->open;
	to->temporary += t->temporary;
	to->busy += t->busy;
	to->problems += t->problems;
	to->repaired += t->repaired;
}

void check_add(struct check *c, const struct chaosimg_check_totals *totals)
{
	pthread_mutex_lock(&c->lock);
	add_totals(&c->totals, totals);
	pthread_mutex_unlock(&c->lock);
}

static void task_free(struct check_task *t)
{
	check_dir_put(t->dir);
	if (t->plain)
		explicit_bzero(t->plain, strlen(t->plain));
	free(t->plain);
	free(t);
}

struct check_task *check_task_new(struct check_dir *dir, const char *name,
				  mode_t type)
{
	struct check_task *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	snprintf(t->name, sizeof(t->name), "%s", name);
	t->dir = check_dir_get(dir);
	t->type = type;
	return t;
}

/* [lock] Count what is done from the first task on. */
static void count_done(struct check *c)
{
	struct check_task *t;

	while (c->first && c->first->done) {
		t = c->first;
		add_totals(&c->totals, &t->totals);
		c->first = t->next;
		if (!c->first)
			c->last = NULL;
		c->tasks--;
		task_free(t);
	}
	pthread_cond_signal(&c->room);
}

/* [lock] The first error is the one that is told. */
static void set_error(struct check *c, int err)
{
	if (!c->error) {
		c->error = err;
		snprintf(c->errmsg, sizeof(c->errmsg), "%s", chaosimg_errmsg());
	}
	pthread_cond_broadcast(&c->work);
	pthread_cond_signal(&c->room);
}

static struct check_task *next_task(struct check *c)
{
	struct check_task *t;

	pthread_mutex_lock(&c->lock);
	while (!c->todo && !c->closing && !c->error)
		pthread_cond_wait(&c->work, &c->lock);
	t = c->error ? NULL : c->todo;
	if (t)
		c->todo = t->next;
	pthread_mutex_unlock(&c->lock);
	return t;
}

/* Others' reads come first, where the disk's scheduler knows of that. */
static void be_idle(void)
{
	const int who_process = 1, class_idle = 3 << 13;

	syscall(SYS_ioprio_set, who_process, 0, class_idle);
}

static void *work(void *arg)
{
	struct check *c = arg;
	struct check_task *t;

	be_idle();
	while (!check_stopped(c) && (t = next_task(c))) {
		int err = c->run(c, t);

		pthread_mutex_lock(&c->lock);
		t->done = !err;
		if (err)
			set_error(c, err);
		count_done(c);
		pthread_mutex_unlock(&c->lock);
		checkpoint(c, false);
	}
	/* Also when the caller wants an end, a waiting walk has to hear of it. */
	pthread_mutex_lock(&c->lock);
	if (!c->closing || c->todo)
		set_error(c, -EINTR);
	pthread_mutex_unlock(&c->lock);
	return NULL;
}

int check_push(struct check *c, struct check_task *t)
{
	bool stop = c->p->stop && c->p->stop(c->p->ctx);
	int err;

	if (!t)
		return fail(ENOMEM, "out of memory");
	pthread_mutex_lock(&c->lock);
	while (c->tasks >= CHECK_TASKS_MAX && !c->error && !stop)
		pthread_cond_wait(&c->room, &c->lock);
	/* Also at the end: it is where the next run goes on. */
	if (c->last)
		c->last->next = t;
	else
		c->first = t;
	c->last = t;
	if (!c->todo)
		c->todo = t;
	c->tasks++;
	err = stop ? -EINTR : c->error;
	pthread_cond_signal(&c->work);
	pthread_mutex_unlock(&c->lock);
	return err;
}

/* --- begin and end --- */

static unsigned int default_threads(void)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);

	if (n < 1)
		return 1;
	return n < CHECK_THREADS_DEFAULT ? (unsigned int)n :
					   CHECK_THREADS_DEFAULT;
}

static void join_all(struct check *c)
{
	pthread_mutex_lock(&c->lock);
	c->closing = true;
	pthread_cond_broadcast(&c->work);
	pthread_mutex_unlock(&c->lock);
	for (unsigned int i = 0; i < c->threads; i++)
		pthread_join(c->thread[i], NULL);
}

static void release(struct check *c)
{
	struct check_task *t, *next;

	for (t = c->first; t; t = next) {
		next = t->next;
		task_free(t);
	}
	pthread_mutex_destroy(&c->lock);
	pthread_mutex_destroy(&c->report);
	pthread_cond_destroy(&c->work);
	pthread_cond_destroy(&c->room);
}

int check_begin(struct check *c, const struct chaosimg_check_params *p,
		int (*run)(struct check *c, struct check_task *t), void *ctx)
{
	unsigned int want = p->threads ? p->threads : default_threads();
	int err = 0;

	if (want > CHECK_THREADS_MAX)
		return fail(EINVAL, "at most %d threads", CHECK_THREADS_MAX);
	memset(c, 0, sizeof(*c));
	c->p = p;
	c->run = run;
	c->ctx = ctx;
	pthread_mutex_init(&c->lock, NULL);
	pthread_mutex_init(&c->report, NULL);
	pthread_cond_init(&c->work, NULL);
	pthread_cond_init(&c->room, NULL);
	c->saved = now_ns();
	for (; !err && c->threads < want; c->threads += !err)
		err = pthread_create(&c->thread[c->threads], NULL, work, c);
	if (!err)
		return 0;
	join_all(c);
	release(c);
	return fail(err, "threads: %s", strerror(err));
}

int check_end(struct check *c, int err, struct chaosimg_check_totals *totals)
{
	if (err) {
		pthread_mutex_lock(&c->lock);
		set_error(c, err);
		pthread_mutex_unlock(&c->lock);
	}
	join_all(c);
	err = c->error;
	if (err)
		checkpoint(c, true);
	else if (c->p->progress)
		c->p->progress(c->p->ctx, c->bytes, c->bytes_total);
	*totals = c->totals;
	for (const struct check_task *t = c->first; t; t = t->next)
		totals->problems += t->done ? t->totals.problems : 0;
	if (err)
		fail(-err, "%s", err == -EINTR ? "interrupted" : c->errmsg);
	release(c);
	return err;
}
