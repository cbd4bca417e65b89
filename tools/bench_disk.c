// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * chaosimg bench, the disk: one file, written from its beginning to its end and
 * synced, then read. It has no name, so it is gone when the program is, however
 * that ends. What it holds is as incompressible as an archive.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "bench.h"

enum {
	BLOCK = 1 << 20,
	PAGE = 4096,
};

#define BYTES_MAX	((uint64_t)1 << 30)

/**
 * struct disk - a file on it
 * @name: the directory
 * @fd: the file
 * @block: a piece of it
 * @written: blocks so far; no two of them are alike
 */
struct disk {
	const char *name;
	int fd;
	uint8_t *block;
	uint64_t written;
};

/* No page shall be like another: some disks store equal ones once. */
static void renew(struct disk *d)
{
	size_t i;

	d->written++;
	for (i = 0; i < BLOCK; i += PAGE)
		memcpy(d->block + i, &d->written, sizeof(d->written));
}

static int write_block(struct disk *d, uint64_t at)
{
	size_t done = 0;
	ssize_t n;

	renew(d);
	while (done < BLOCK) {
		n = pwrite(d->fd, d->block + done, BLOCK - done,
			   (off_t)(at + done));
		if (n < 0 && errno != EINTR)
			return failed_errno(d->name);
		if (n > 0)
			done += (size_t)n;
	}
	return DONE;
}

static int write_file(struct disk *d, uint64_t bytes, double *seconds)
{
	double begin;
	uint64_t at;
	int status = DONE;

	if (ftruncate(d->fd, 0) || fsync(d->fd))
		return failed_errno(d->name);
	begin = bench_now();
	for (at = 0; at < bytes && !status; at += BLOCK)
		status = write_block(d, at);
	if (!status && fsync(d->fd))
		status = failed_errno(d->name);
	*seconds = bench_now() - begin;
	return status;
}

static int read_file(struct disk *d, uint64_t bytes, double *seconds)
{
	double begin = bench_now();
	uint64_t at = 0;
	ssize_t n;

	while (at < bytes) {
		n = pread(d->fd, d->block, BLOCK, (off_t)at);
		if (n < 0 && errno != EINTR)
			return failed_errno(d->name);
		if (!n)
			return failed("%s: what was written is gone", d->name);
		if (n > 0)
			at += (uint64_t)n;
	}
	*seconds = bench_now() - begin;
	return DONE;
}

/* Which pages are still in memory? Where none can be told, all may be. */
static bool is_cold(int fd, uint64_t bytes)
{
	uint64_t pages = bytes / (uint64_t)sysconf(_SC_PAGESIZE);
	uint64_t resident = 0, i;
	unsigned char *state = malloc(pages);
	void *map = mmap(NULL, bytes, PROT_READ, MAP_SHARED, fd, 0);
	bool told = false;

	if (state && map != MAP_FAILED && !mincore(map, bytes, state)) {
		told = true;
		for (i = 0; i < pages; i++)
			resident += state[i] & 1;
	}
	if (map != MAP_FAILED)
		munmap(map, bytes);
	free(state);
	return told && resident < pages / 100 + 1;
}

static bool drop_cache(int fd, uint64_t bytes)
{
	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	return is_cold(fd, bytes);
}

/*
 * A file that takes about so long to write: twice as large each time, but never
 * more than an eighth of what is free.
 */
static int choose_size(struct disk *d, double seconds, uint64_t *bytes)
{
	struct statvfs st;
	uint64_t room;
	double took = 0;
	int status;

	if (fstatvfs(d->fd, &st))
		return failed_errno(d->name);
	room = (uint64_t)st.f_bavail * st.f_frsize / 8;
	if (room > BYTES_MAX)
		room = BYTES_MAX;
	if (room < BLOCK)
		return failed("%s: too little space is left to measure",
			      d->name);
	for (*bytes = BLOCK;; *bytes *= 2) {
		status = write_file(d, *bytes, &took);
		if (status || took * 2 > seconds || *bytes * 2 > room)
			return status;
	}
}

static int one_round(struct bench *b, struct disk *d, struct samples *s)
{
	double out, in = 0;
	int status = write_file(d, b->disk_bytes, &out);

	if (status)
		return status;
	b->cold &= drop_cache(d->fd, b->disk_bytes);
	status = read_file(d, b->disk_bytes, &in);
	if (status)
		return status;
	s->out[s->rounds] = (double)b->disk_bytes / out;
	s->in[s->rounds++] = (double)b->disk_bytes / in;
	return DONE;
}

static int rounds(struct bench *b, struct disk *d, double seconds)
{
	double end = bench_now() + seconds;
	struct samples s = { .rounds = 0 };
	int status;

	status = choose_size(d, seconds / (3 * BENCH_ROUNDS), &b->disk_bytes);
	b->cold = true;
	while (!status && s.rounds < BENCH_ROUNDS &&
	       (s.rounds < BENCH_ROUNDS_MIN || bench_now() < end)) {
		progress_stage("measuring the disk", s.rounds + 1,
			       BENCH_ROUNDS);
		status = one_round(b, d, &s);
	}
	progress_end();
	if (!status)
		b->disk = bench_pair(&s);
	return status;
}

static int fill_random(uint8_t *block)
{
	size_t done = 0;
	ssize_t n;

	while (done < BLOCK) {
		n = getrandom(block + done, BLOCK - done, 0);
		if (n < 0 && errno != EINTR)
			return failed_errno("getrandom");
		if (n > 0)
			done += (size_t)n;
	}
	return DONE;
}

int bench_disk(struct bench *b, double seconds)
{
	struct disk d = { .name = b->directory, .fd = -1 };
	int status;

	d.block = malloc(BLOCK);
	if (!d.block)
		return failed("%s: %s", d.name, strerror(ENOMEM));
	status = fill_random(d.block);
	if (!status)
		status = unnamed_open(d.name, &d.fd);
	if (!status)
		status = rounds(b, &d, seconds);
	if (d.fd >= 0)
		close(d.fd);
	free(d.block);
	return status;
}
