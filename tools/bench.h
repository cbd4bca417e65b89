/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the parts of chaosimg bench tell each other. */
#ifndef TOOL_BENCH_H
#define TOOL_BENCH_H

#include "tool.h"

enum {
	BENCH_ROUNDS = 7,
	/* What takes long gets fewer, but no fewer than these. */
	BENCH_ROUNDS_MIN = 3,
	BENCH_IMPLS = 16,
};

/**
 * struct figure - a measurement and its spread
 * @median: of all rounds
 * @low: the lowest
 * @high: the highest
 * @rounds: how many there were; 0 if it could not be measured
 */
struct figure {
	double median;
	double low;
	double high;
	unsigned int rounds;
};

/**
 * struct pair - bytes a second, to and fro
 * @out: encrypted, sealed, or written
 * @in: decrypted, opened, or read
 */
struct pair {
	struct figure out;
	struct figure in;
};

/**
 * struct samples - a pair while it is being measured
 * @out: of each round
 * @in: of each round
 * @rounds: done so far
 */
struct samples {
	double out[BENCH_ROUNDS];
	double in[BENCH_ROUNDS];
	unsigned int rounds;
};

/**
 * struct bench - what is asked for, and what came out
 * @directory: whose disk is measured; NULL for none
 * @seconds: to be spent in all, about
 * @chunk_size: bytes in a message, or plaintext bytes in a record
 * @cpu: the processor's name
 * @cores: that this process may use
 * @impls: implementations of the cipher, the one in use first
 * @impl: their names
 * @cipher: of each, on one core
 * @gcm: AES-256-GCM of OpenSSL, on one core
 * @one: records, both layers, on one core
 * @all: on all cores
 * @unlock: seconds that a passphrase takes to open an archive
 * @disk: of @directory, with fsync(2) and with a cold cache
 * @disk_bytes: written and read in each round
 * @cold: the cache could be dropped before reading
 */
struct bench {
	const char *directory;
	unsigned int seconds;
	uint32_t chunk_size;
	char cpu[80];
	unsigned int cores;
	size_t impls;
	const char *impl[BENCH_IMPLS];
	struct pair cipher[BENCH_IMPLS];
	struct pair gcm;
	struct pair one;
	struct pair all;
	struct figure unlock;
	struct pair disk;
	uint64_t disk_bytes;
	bool cold;
};

/** bench_now() - seconds of a clock that only goes forward */
double bench_now(void);

/** bench_figure() - median and spread of some rounds; sorts them */
struct figure bench_figure(double *value, unsigned int rounds);

/** bench_pair() - the same for both directions */
struct pair bench_pair(struct samples *s);

/** bench_cpu() - all that needs no disk, in about @seconds. Return: status */
int bench_cpu(struct bench *b, double seconds);

/** bench_disk() - the directory's disk, in about @seconds. Return: status */
int bench_disk(struct bench *b, double seconds);

/**
 * bench_load() - what encryption takes of the time that the disk takes
 * @disk: its bytes a second
 * @cpu: bytes a second that one core seals or opens
 * Return: the ratio; above 1 the core is what one waits for.
 */
double bench_load(const struct figure *disk, const struct figure *cpu);

/* bench_report.c, bench_json.c. Return: exit status */
int bench_print(const struct bench *b);
int bench_print_json(const struct bench *b);

#endif
