// SPDX-License-Identifier: GPL-2.0-or-later
/* Lists of operations: from a seed, as text, and back. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fsx.h"

static uint64_t next(uint64_t *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 7;
	*x ^= *x << 17;
	return *x * 0x2545f4914f6cdd1du >> 16;
}

static uint32_t below(uint64_t *x, uint32_t n)
{
	return (uint32_t)(next(x) % n);
}

/* How often each is done, of some 1,000. */
static const unsigned int weight[OP_TYPES] = {
	[OP_OPEN] = 110, [OP_CLOSE] = 40, [OP_READ] = 160, [OP_WRITE] = 200,
	[OP_TRUNCATE] = 20, [OP_FTRUNCATE] = 40, [OP_MAP_READ] = 60,
	[OP_MAP_WRITE] = 60, [OP_UNMAP] = 20, [OP_ALLOCATE] = 60,
	[OP_SYNC] = 8, [OP_RENAME] = 25, [OP_LINK] = 10, [OP_UNLINK] = 12,
	[OP_COPY] = 40, [OP_SEEK] = 30, [OP_STAT] = 50, [OP_LIST] = 10,
	[OP_FORGET] = 20, [OP_RENAME_FOLDER] = 5, [OP_VERIFY] = 20,
};

enum { REMOUNT_EVERY = 20000 };

static enum op_type pick_type(uint64_t *x)
{
	unsigned int sum = 0, n;

	if (settings.remount && !below(x, REMOUNT_EVERY))
		return OP_REMOUNT;
	for (int i = 0; i < OP_TYPES; i++)
		sum += weight[i];
	n = below(x, sum);
	for (int i = 0; i < OP_TYPES; i++) {
		if (n < weight[i])
			return i;
		n -= weight[i];
	}
	return OP_VERIFY;
}

/* Often at the edge of a page or a chunk, or just beside it. */
static uint32_t pick_off(uint64_t *x)
{
	uint32_t unit = below(x, 2) ? settings.chunk : 4096;
	uint32_t off = below(x, FILE_MAX);

	switch (below(x, 5)) {
	case 0:
		off -= off % unit;
		break;
	case 1:
		off -= off % unit;
		off += below(x, 5);
		off -= off > 2 ? 2 : 0;
		break;
	case 2:
		off = below(x, 2 * unit);
		break;
	}
	return off < FILE_MAX ? off : FILE_MAX - 1;
}

static uint32_t pick_len(uint64_t *x)
{
	switch (below(x, 12)) {
	case 0:
		return settings.chunk * (1 + below(x, 2));
	case 1:
		return 4096 * (1 + below(x, 4));
	case 2:
		return below(x, 3 * settings.chunk);
	case 3:
		return below(x, 4);
	default:
		return below(x, 9000);
	}
}

struct op *sequence_make(uint64_t seed, size_t count)
{
	struct op *ops = calloc(count, sizeof(*ops));
	uint64_t x = seed * 0x9e3779b97f4a7c15u | 1;

	if (!ops)
		abort();
	for (int i = 0; i < 8; i++)
		next(&x);
	for (size_t i = 0; i < count; i++)
		ops[i] = (struct op){
			.type = pick_type(&x), .a = below(&x, 8),
			.b = below(&x, 8), .how = below(&x, 720720),
			.off = pick_off(&x), .len = pick_len(&x),
			.off2 = pick_off(&x), .seed = below(&x, 1u << 31),
		};
	return ops;
}

void sequence_print(const struct op *ops, size_t count)
{
	for (size_t i = 0; i < count; i++)
		printf("%s %u %u %u %u %u %u %u\n", op_name[ops[i].type],
		       ops[i].a, ops[i].b, ops[i].how, ops[i].off, ops[i].len,
		       ops[i].off2, ops[i].seed);
}

static bool parse(const char *line, struct op *op)
{
	char name[32];

	if (sscanf(line, "%31s %u %u %u %u %u %u %u", name, &op->a, &op->b,
		   &op->how, &op->off, &op->len, &op->off2, &op->seed) != 8)
		return false;
	for (int i = 0; i < OP_TYPES; i++) {
		op->type = i;
		if (!strcmp(name, op_name[i]))
			return op->off < FILE_MAX && op->off2 < FILE_MAX;
	}
	return false;
}

struct op *sequence_read(const char *path, size_t *count)
{
	struct op *ops = NULL;
	FILE *f = fopen(path, "re");
	char line[256];

	*count = 0;
	if (!f) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		exit(2);
	}
	while (fgets(line, sizeof(line), f)) {
		ops = reallocarray(ops, *count + 1, sizeof(*ops));
		if (!ops)
			abort();
		if (!parse(line, &ops[(*count)++])) {
			fprintf(stderr, "not an operation: %s", line);
			exit(2);
		}
	}
	fclose(f);
	return ops;
}
