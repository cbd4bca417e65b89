// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Several processes, each with several threads, in the same two files. In the
 * first each worker has stripes of its own, which share pages and chunks with
 * the others' but no byte; to the second all append records.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "fsx.h"

enum {
	STRIPE = 3001,
	ROUNDS = 30,		/* stripes of each worker */
	RECORD = 64,
	RECORDS_MAX = 20000,	/* of each worker */
	WORKERS_MAX = 64,
};

/* In memory that all processes share. */
struct common {
	uint64_t done[WORKERS_MAX];
	uint32_t appended[WORKERS_MAX];
	char why[512];
	bool failed;
	uint8_t model[];
};

struct worker {
	unsigned int index;
	uint64_t rng;
	int fd;			/* its process's */
	uint8_t *map;
};

static struct common *common;
static unsigned int workers;
static size_t size;
static char striped[512], appended[512];
static double until;

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static uint32_t rnd(struct worker *w, uint32_t n)
{
	w->rng ^= w->rng << 13;
	w->rng ^= w->rng >> 7;
	w->rng ^= w->rng << 17;
	return (uint32_t)((w->rng >> 20) % n);
}

static bool failed(const struct worker *w, const char *what, size_t at)
{
	if (!common->failed)
		snprintf(common->why, sizeof(common->why),
			 "worker %u, after %" PRIu64 " operations: %s at %zu: %s",
			 w->index, common->done[w->index], what, at,
			 strerror(errno));
	common->failed = true;
	return false;
}

/* A part of a stripe of its own. */
static size_t pick(struct worker *w, size_t *len)
{
	size_t from = rnd(w, STRIPE);

	*len = 1 + rnd(w, STRIPE - from);
	return (rnd(w, ROUNDS) * (size_t)workers + w->index) * STRIPE + from;
}

static bool check(struct worker *w, const uint8_t *got, size_t at, size_t len,
		  const char *what)
{
	errno = 0;
	for (size_t i = 0; i < len; i++)
		if (got[i] != common->model[at + i])
			return failed(w, what, at + i);
	return true;
}

static bool append(struct worker *w)
{
	uint32_t *n = &common->appended[w->index];
	char record[RECORD + 1];
	int fd;
	bool good;

	if (*n == RECORDS_MAX)
		return true;
	snprintf(record, sizeof(record), "%02u %08u %-*s\n", w->index, *n,
		 RECORD - 13, "a record of the one whose number stands first");
	fd = open(appended, O_WRONLY | O_APPEND);
	good = fd >= 0 && write(fd, record, RECORD) == RECORD;
	good = !close(fd) && good;
	++*n;
	return good || failed(w, "append", *n);
}

static bool one(struct worker *w)
{
	uint8_t buf[STRIPE];
	size_t len, at = pick(w, &len);
	int fd;

	switch (rnd(w, 12)) {
	case 0 ... 2:
		fill(buf, len, rnd(w, 1u << 30));
		memcpy(common->model + at, buf, len);
		return pwrite(w->fd, buf, len, at) == (ssize_t)len ||
		       failed(w, "pwrite", at);
	case 3 ... 4:
		fill(common->model + at, len, rnd(w, 1u << 30));
		memcpy(w->map + at, common->model + at, len);
		return true;
	case 5 ... 6:
		return check(w, w->map + at, at, len, "mapped");
	case 7:
		fd = open(striped, O_RDONLY);
		if (fd < 0 || pread(fd, buf, len, at) != (ssize_t)len)
			return failed(w, "another handle", at);
		close(fd);
		return check(w, buf, at, len, "another handle");
	case 8:
		return append(w);
	case 9:
		if (rnd(w, 100))
			return true;
		return !fdatasync(w->fd) || failed(w, "fdatasync", 0);
	case 10:
		if (!rnd(w, 20))
			posix_fadvise(w->fd, 0, 0, POSIX_FADV_DONTNEED);
		return true;
	default:
		return (pread(w->fd, buf, len, at) == (ssize_t)len ||
			failed(w, "pread", at)) &&
		       check(w, buf, at, len, "pread");
	}
}

static void *work(void *arg)
{
	struct worker *w = arg;

	while (!common->failed && now() < until && one(w))
		common->done[w->index]++;
	return NULL;
}

static void process(unsigned int first, unsigned int threads, uint64_t seed)
{
	struct worker w[WORKERS_MAX];
	pthread_t id[WORKERS_MAX];
	int fd = open(striped, O_RDWR);
	uint8_t *map;

	map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (fd < 0 || map == MAP_FAILED)
		err(2, "%s", striped);
	for (unsigned int i = 0; i < threads; i++) {
		w[i] = (struct worker){
			.index = first + i, .fd = fd, .map = map,
			.rng = (seed + first + i) * 0x9e3779b97f4a7c15u | 1,
		};
		if (pthread_create(&id[i], NULL, work, &w[i]))
			errx(2, "no thread");
	}
	for (unsigned int i = 0; i < threads; i++)
		pthread_join(id[i], NULL);
	munmap(map, size);
	if (close(fd))
		failed(&w[0], "close", 0);
	exit(0);
}

/* Every worker's records, each once and in order. */
static bool check_records(void)
{
	uint32_t next[WORKERS_MAX] = { 0 }, index, n;
	char record[RECORD + 1] = "";
	FILE *f = fopen(appended, "re");

	while (f && fread(record, RECORD, 1, f) == 1) {
		if (sscanf(record, "%u %u", &index, &n) != 2 ||
		    index >= workers || n != next[index]++) {
			printf("# appended: not what comes next: %s", record);
			return false;
		}
	}
	fclose(f);
	for (unsigned int i = 0; i < workers; i++)
		if (next[i] != common->appended[i])
			return false;
	return true;
}

static bool check_stripes(void)
{
	uint8_t *got = malloc(size + 1);
	FILE *f = fopen(striped, "re");
	bool good = got && f && fread(got, 1, size + 1, f) == size &&
		    !memcmp(got, common->model, size);

	fclose(f);
	free(got);
	return good;
}

static void prepare(const char *root)
{
	int fd;

	common = mmap(NULL, sizeof(*common) + size, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (common == MAP_FAILED)
		err(2, "memory");
	snprintf(striped, sizeof(striped), "%s.striped", root);
	snprintf(appended, sizeof(appended), "%s.appended", root);
	fd = open(striped, O_RDWR | O_CREAT | O_EXCL, 0600);
	if (fd < 0 || ftruncate(fd, size) || close(fd))
		err(2, "%s", striped);
	fd = open(appended, O_RDWR | O_CREAT | O_EXCL, 0600);
	if (fd < 0 || close(fd))
		err(2, "%s", appended);
}

int shared_run(const char *root, unsigned int processes, unsigned int threads,
	       unsigned int seconds, uint64_t seed)
{
	uint64_t total = 0;
	bool good = true;
	int status;

	workers = processes * threads;
	if (!workers || workers > WORKERS_MAX)
		errx(2, "from 1 to %d workers", WORKERS_MAX);
	size = (size_t)workers * ROUNDS * STRIPE;
	prepare(root);
	until = now() + seconds;
	fflush(NULL);
	for (unsigned int i = 0; i < processes; i++)
		if (!fork())
			process(i * threads, threads, seed);
	while (wait(&status) > 0)
		good = good && !status;
	for (unsigned int i = 0; i < workers; i++)
		total += common->done[i];
	printf("# seed %" PRIu64 ": %" PRIu64 " operations of %u processes with %u threads each\n",
	       seed, total, processes, threads);
	if (common->failed)
		printf("# %s\n", common->why);
	else if (good && !check_stripes())
		printf("# %s: not what was written\n", striped), good = false;
	else if (good && !check_records())
		printf("# %s: not what was appended\n", appended), good = false;
	return good && !common->failed ? 0 : 1;
}
