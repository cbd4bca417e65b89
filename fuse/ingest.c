// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * An ingest mount forgets its keysets in time, also when nobody asks it for
 * anything: a thread sees to that.
 */
#include <time.h>

#include "chaosimg_ingest.h"
#include "fs.h"

static struct {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t end;
	bool running;
	bool over;
} forgetting = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.end = PTHREAD_COND_INITIALIZER,
};

static void *forget(void *unused)
{
	struct timespec until;

	(void)unused;
	pthread_mutex_lock(&forgetting.lock);
	while (!forgetting.over) {
		/* One that nobody can set back. */
		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_sec++;
		pthread_cond_clockwait(&forgetting.end, &forgetting.lock,
				       CLOCK_MONOTONIC, &until);
		chaosimg_ingest_expire(fs.archive);
	}
	pthread_mutex_unlock(&forgetting.lock);
	return NULL;
}

int ingest_start(void)
{
	if (!fs.ingest)
		return 0;
	if (pthread_create(&forgetting.thread, NULL, forget, NULL))
		return -1;
	forgetting.running = true;
	return 0;
}

void ingest_stop(void)
{
	if (!forgetting.running)
		return;
	pthread_mutex_lock(&forgetting.lock);
	forgetting.over = true;
	pthread_cond_signal(&forgetting.end);
	pthread_mutex_unlock(&forgetting.lock);
	pthread_join(forgetting.thread, NULL);
	forgetting.running = false;
}
