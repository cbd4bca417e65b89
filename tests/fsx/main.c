// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * fsx - random operations on a folder, compared with a model in memory
 *
 *	fsx [OPTION..] FOLDER
 *
 *	--seed N	begin with this seed (default: the time)
 *	--ops N		operations of each list (20000)
 *	--seconds N	go on with further seeds for so long (10)
 *	--jobs N	so many at once, each with files of its own (1)
 *	--shared PxT	instead: P processes with T threads in the same files
 *	--replay FILE	instead: what was printed as failing
 *	--remount CMD	unmounts FOLDER's file system and mounts it again
 *	--chunk N	offsets are often close to multiples of this (65536)
 *	--fuse		what FUSE does not have must be refused
 *	--no-direct	leave out O_DIRECT
 *	--wrong-punch	let the model be wrong, to see that this is found
 *
 * A list that fails is shrunk and printed; exit status 1.
 */
#include <err.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "fsx.h"

enum { SHRINK_SECONDS = 60 };

static struct {
	uint64_t seed;
	size_t ops;
	unsigned int seconds, jobs, processes, threads;
	const char *replay, *folder;
} opt = { .ops = 20000, .seconds = 10, .jobs = 1 };

static int report(struct op *ops, size_t count, struct outcome *o,
		  const char *root)
{
	char path[512];

	printf("# operation %zu: %s\n", o->at, o->why);
	fflush(stdout);
	snprintf(path, sizeof(path), "%s.shrunk", root);
	count = shrink(path, ops, count, o, SHRINK_SECONDS);
	printf("# shrunk to %zu, for --replay: %s\n", count, o->why);
	sequence_print(ops, count);
	return 1;
}

static int run_seed(uint64_t seed, uint64_t *total)
{
	struct op *ops = sequence_make(seed, opt.ops);
	struct outcome o;
	char root[400];
	int status = 0;

	snprintf(root, sizeof(root), "%s/fsx.%" PRIu64, opt.folder, seed);
	sequence_run(root, ops, opt.ops, &o);
	*total += o.done;
	if (o.failed) {
		printf("# seed %" PRIu64 " failed\n", seed);
		status = report(ops, opt.ops, &o, root);
	}
	free(ops);
	return status;
}

/* Seeds of their own for each job. */
static int job(unsigned int index, double end)
{
	uint64_t seed = opt.seed + index, total = 0;
	struct timespec t;
	int status = 0;

	do {
		status = run_seed(seed, &total);
		seed += opt.jobs;
		clock_gettime(CLOCK_MONOTONIC, &t);
	} while (!status && t.tv_sec + t.tv_nsec / 1e9 < end);
	printf("# seeds %" PRIu64 "..%" PRIu64 " in steps of %u: %" PRIu64 " operations\n",
	       opt.seed + index, seed - opt.jobs, opt.jobs, total);
	return status;
}

static int run_jobs(void)
{
	struct timespec t;
	int status, bad = 0;
	double end;

	clock_gettime(CLOCK_MONOTONIC, &t);
	end = t.tv_sec + t.tv_nsec / 1e9 + opt.seconds;
	for (unsigned int i = 0; i < opt.jobs; i++) {
		pid_t pid;

		fflush(NULL);
		pid = fork();
		if (pid < 0)
			err(2, "fork");
		if (!pid)
			exit(job(i, end));
	}
	while (wait(&status) > 0)
		bad |= status != 0;
	return bad;
}

static int run_replay(void)
{
	struct outcome o;
	char root[400];
	size_t count;
	struct op *ops = sequence_read(opt.replay, &count);

	snprintf(root, sizeof(root), "%s/fsx.replay.%d", opt.folder,
		 (int)getpid());
	sequence_run(root, ops, count, &o);
	if (o.failed)
		printf("# operation %zu: %s\n", o.at, o.why);
	free(ops);
	return o.failed;
}

static void parse(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "seed", 1, NULL, 's' }, { "ops", 1, NULL, 'o' },
		{ "seconds", 1, NULL, 't' }, { "jobs", 1, NULL, 'j' },
		{ "shared", 1, NULL, 'p' }, { "replay", 1, NULL, 'r' },
		{ "remount", 1, NULL, 'm' }, { "chunk", 1, NULL, 'c' },
		{ "fuse", 0, NULL, 'f' }, { "no-direct", 0, NULL, 'd' },
		{ "wrong-punch", 0, NULL, 'w' }, { NULL, 0, NULL, 0 }
	};
	int c;

	opt.seed = (uint64_t)time(NULL) * 1000;
	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		switch (c) {
		case 's': opt.seed = strtoull(optarg, NULL, 10); break;
		case 'o': opt.ops = strtoull(optarg, NULL, 10); break;
		case 't': opt.seconds = strtoul(optarg, NULL, 10); break;
		case 'j': opt.jobs = strtoul(optarg, NULL, 10); break;
		case 'p':
			if (sscanf(optarg, "%ux%u", &opt.processes,
				   &opt.threads) != 2)
				errx(2, "--shared PxT");
			break;
		case 'r': opt.replay = optarg; break;
		case 'm': settings.remount = optarg; break;
		case 'c': settings.chunk = strtoul(optarg, NULL, 10); break;
		case 'f': settings.fuse = true; break;
		case 'd': settings.no_direct = true; break;
		case 'w': settings.wrong_punch = true; break;
		default: exit(2);
		}
	}
	if (optind + 1 != argc || !opt.ops || !settings.chunk ||
	    settings.chunk > FILE_MAX)
		errx(2, "usage: fsx [OPTION..] FOLDER");
	if (settings.remount && (opt.jobs > 1 || opt.processes))
		errx(2, "one alone can mount again");
	opt.folder = argv[optind];
}

int main(int argc, char **argv)
{
	char root[400];

	parse(argc, argv);
	if (opt.replay)
		return run_replay();
	if (!opt.processes)
		return run_jobs();
	snprintf(root, sizeof(root), "%s/fsx.%" PRIu64, opt.folder, opt.seed);
	return shared_run(root, opt.processes, opt.threads, opt.seconds,
			  opt.seed);
}
