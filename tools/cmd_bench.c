// SPDX-License-Identifier: GPL-2.0-or-later
/* chaosimg bench: what this machine can do. */
#include <errno.h>
#include <getopt.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>

#include "bench.h"

enum {
	SECONDS = 10,
	SECONDS_MAX = 3600,
};

double bench_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

struct figure bench_figure(double *value, unsigned int rounds)
{
	qsort(value, rounds, sizeof(*value), ascending);
	return (struct figure){
		.median = (value[(rounds - 1) / 2] + value[rounds / 2]) / 2,
		.low = value[0],
		.high = value[rounds - 1],
		.rounds = rounds,
	};
}

struct pair bench_pair(struct samples *s)
{
	return (struct pair){
		.out = bench_figure(s->out, s->rounds),
		.in = bench_figure(s->in, s->rounds),
	};
}

double bench_load(const struct figure *disk, const struct figure *cpu)
{
	return disk->median / cpu->median;
}

/* --- the machine ----------------------------------------------------------- */

static void find_cpu(struct bench *b)
{
	FILE *f = fopen("/proc/cpuinfo", "re");
	struct utsname name;
	char line[256], *p;

	if (!uname(&name))
		snprintf(b->cpu, sizeof(b->cpu), "%s", name.machine);
	while (f && fgets(line, sizeof(line), f)) {
		p = strchr(line, ':');
		if (strncmp(line, "model name", 10) || !p)
			continue;
		p += 1 + strspn(p + 1, " \t");
		p[strcspn(p, "\n")] = '\0';
		escape(b->cpu, sizeof(b->cpu), p);
		break;
	}
	if (f)
		fclose(f);
}

static void find_machine(struct bench *b)
{
	cpu_set_t cores;

	find_cpu(b);
	b->cores = 1;
	if (!sched_getaffinity(0, sizeof(cores), &cores))
		b->cores = (unsigned int)CPU_COUNT(&cores);
	b->impls = chaosimg_cipher_list(b->impl, BENCH_IMPLS);
	if (b->impls > BENCH_IMPLS)
		b->impls = BENCH_IMPLS;
}

/* An archive says how large its chunks are; any other directory will do too. */
static void find_archive(struct bench *b)
{
	struct chaosimg_archive_info info;

	b->chunk_size = CHAOSIMG_CHUNK_DEFAULT;
	if (b->directory && !chaosimg_archive_info(b->directory, &info))
		b->chunk_size = info.chunk_size;
}

/* --- the command ----------------------------------------------------------- */

static int parse_seconds(const struct tool_command *cmd, const char *text,
			 unsigned int *seconds)
{
	unsigned long n;
	char *end;

	errno = 0;
	n = strtoul(text, &end, 10);
	if (errno || *end || *text < '0' || *text > '9' || !n ||
	    n > SECONDS_MAX)
		return misused(cmd, "seconds are not a number from 1 to %d: %s",
			       SECONDS_MAX, text);
	*seconds = (unsigned int)n;
	return DONE;
}

static int measure(struct bench *b, bool json)
{
	double seconds = b->seconds;
	int status = DONE;

	find_archive(b);
	find_machine(b);
	/* A directory that cannot be written to is found out at once. */
	if (b->directory) {
		seconds /= 2;
		status = bench_disk(b, seconds);
	}
	if (!status)
		status = bench_cpu(b, seconds);
	if (status)
		return status;
	return json ? bench_print_json(b) : bench_print(b);
}

static int run(const struct tool_command *cmd, int argc, char **argv)
{
	struct bench b = { .seconds = SECONDS };
	const char *seconds = NULL;
	bool json = false;
	int id, status;

	while ((id = next_option(cmd, argc, argv)) != OPT_END) {
		if (id == OPT_SECONDS)
			set_once(cmd, "--seconds", &seconds);
		else
			json = true;
	}
	if (argc - optind > 1)
		return misused(cmd, "at most one DIRECTORY is expected: %s",
			       argv[optind + 1]);
	b.directory = argv[optind];
	if (seconds) {
		status = parse_seconds(cmd, seconds, &b.seconds);
		if (status)
			return status;
	}
	return measure(&b, json);
}

static const struct tool_option options[] = {
	{ OPT_SECONDS, 0, "seconds", "N", "measure for about so long, 10 unless given" },
	{ OPT_JSON, 0, "json", NULL, "write JSON" },
	COMMON_OPTIONS
};

const struct tool_command cmd_bench = {
	.name = "bench",
	.summary = "measure what this machine can do",
	.usage = "bench [--seconds N] [--json] [DIRECTORY]",
	.about = "Measures the cipher's implementations, how fast records are sealed and opened,\n"
		 "and how long a passphrase takes to open an archive; with DIRECTORY, which may be\n"
		 "an archive, its disk too, and says whether disk or CPU takes the time. Needs no\n"
		 "key, and leaves no file behind. The machine should have nothing else to do.",
	.options = options,
	.run = run,
};
