// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What it costs to divide DICOM files: each given file is written to a folder
 * of a mount, and the same bytes as no DICOM file, in turn, so that a machine
 * which is now slow and now fast is so for both. The time is that from open()
 * to the end of close(). What was written is removed again.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "figures.h"

enum { PIECE = 128 << 10, MAGIC_AT = 128, WARM_UP = 20 };

struct image {
	const char *name;
	uint8_t *data;
	size_t len;
	double *dicom, *other;	/* microseconds, of each turn */
};

static void load(struct image *im, const char *path, int turns)
{
	struct stat st;
	int fd = open(path, O_RDONLY);

	if (fd < 0 || fstat(fd, &st))
		err(1, "%s", path);
	im->name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
	im->len = (size_t)st.st_size;
	im->data = malloc(im->len + 1);
	im->dicom = calloc((size_t)turns, sizeof(double));
	im->other = calloc((size_t)turns, sizeof(double));
	if (!im->data || !im->dicom || !im->other)
		err(1, NULL);
	if (read(fd, im->data, im->len) != st.st_size)
		errx(1, "%s: cannot be read at once", path);
	if (im->len < MAGIC_AT + 4 || memcmp(im->data + MAGIC_AT, "DICM", 4))
		errx(1, "%s: no DICOM file with a preamble", path);
	close(fd);
}

static double now(void)
{
	return seconds_of(CLOCK_MONOTONIC) * 1e6;
}

static void fail(const char *path)
{
	int why = errno;

	unlink(path);
	errno = why;
	err(1, "%s", path);
}

static double write_once(const struct image *im, const char *path)
{
	double start = now(), took;
	int fd = open(path, O_CREAT | O_EXCL | O_WRONLY, 0600);

	if (fd < 0)
		err(1, "%s", path);
	for (size_t at = 0, n; at < im->len; at += n) {
		n = im->len - at < PIECE ? im->len - at : PIECE;
		if (write(fd, im->data + at, n) != (ssize_t)n)
			fail(path);
	}
	if (close(fd))
		fail(path);
	took = now() - start;
	if (unlink(path))
		err(1, "%s", path);
	return took;
}

/* Both forms, each second turn the other one first. */
static void turn(struct image *im, const char *path, int i)
{
	for (int k = 0; k < 2; k++) {
		bool damaged = (k + i) & 1;
		double took;

		im->data[MAGIC_AT] = damaged ? 'd' : 'D';
		took = write_once(im, path);
		if (i >= 0)
			(damaged ? im->other : im->dicom)[i] = took;
	}
}

static void report(struct image *im, int turns)
{
	double *ratio = calloc((size_t)turns, sizeof(double));
	size_t n = (size_t)turns;

	if (!ratio)
		err(1, NULL);
	for (size_t i = 0; i < n; i++)
		ratio[i] = im->dicom[i] / im->other[i];
	put_in_order(im->dicom, n);
	put_in_order(im->other, n);
	put_in_order(ratio, n);
	printf("%-24s %9zu bytes %8.0f us, other %8.0f, more %7.1f, ratio %.3f (%.3f .. %.3f)\n",
	       im->name, im->len, im->dicom[n / 2], im->other[n / 2],
	       im->dicom[n / 2] - im->other[n / 2], ratio[n / 2], ratio[n / 4],
	       ratio[n * 3 / 4]);
	free(ratio);
}

int main(int argc, char **argv)
{
	int turns = argc > 3 ? atoi(argv[2]) : 0, count = argc - 3;
	struct image *im;
	char *path;

	if (turns < 1)
		errx(2, "usage: seal_bench FOLDER TURNS FILE..");
	im = calloc((size_t)count, sizeof(*im));
	if (!im || asprintf(&path, "%s/seal_bench.tmp", argv[1]) < 0)
		err(1, NULL);
	for (int i = 0; i < count; i++)
		load(&im[i], argv[3 + i], turns);
	for (int i = -WARM_UP; i < turns; i++)
		for (int k = 0; k < count; k++)
			turn(&im[k], path, i);
	for (int i = 0; i < count; i++) {
		report(&im[i], turns);
		free(im[i].data);
		free(im[i].dicom);
		free(im[i].other);
	}
	free(im);
	free(path);
	return 0;
}
