/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fsx: random operations on a folder, compared with a model in memory.
 *
 *	world.c		the model: files, names and handles; one operation
 *	extent.c	the operations on a handle's bytes
 *	sequence.c	lists of operations: made from a seed, printed, read
 *	shrink.c	find a short list that fails
 *	shared.c	several processes and threads in the same file
 *	main.c		the command
 */
#ifndef FSX_H
#define FSX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	FILE_MAX = 300000,	/* longest file */
	NAMES = 8,		/* half of them in each of two folders */
	FOLDERS = 2,
	SLOTS = 8,		/* open handles */
};

enum op_type {
	OP_OPEN, OP_CLOSE, OP_READ, OP_WRITE, OP_TRUNCATE, OP_FTRUNCATE,
	OP_MAP_READ, OP_MAP_WRITE, OP_UNMAP, OP_ALLOCATE, OP_SYNC, OP_RENAME,
	OP_LINK, OP_UNLINK, OP_COPY, OP_SEEK, OP_STAT, OP_LIST, OP_FORGET,
	OP_RENAME_FOLDER, OP_VERIFY, OP_REMOUNT,
	OP_TYPES
};

extern const char *const op_name[OP_TYPES];

/**
 * struct op - one operation; makes sense whatever was done before it
 * @type: which
 * @a: slot or name
 * @b: the other slot or name
 * @how: picks one of its variants
 * @off: an offset
 * @len: a length
 * @off2: another offset
 * @seed: of the bytes that are written
 */
struct op {
	enum op_type type;
	uint32_t a, b, how, off, len, off2, seed;
};

/**
 * struct settings - from the command line
 * @remount: command that unmounts and mounts again, or NULL
 * @fuse: what FUSE does not have must be refused
 * @no_direct: leave out O_DIRECT
 * @wrong_punch: let the model be wrong, to see that this is found
 * @chunk: offsets are often close to its multiples
 */
struct settings {
	const char *remount;
	bool fuse;
	bool no_direct;
	bool wrong_punch;
	uint32_t chunk;
};

extern struct settings settings;

/* --- world.c --- */

struct object {
	uint8_t *data;		/* FILE_MAX bytes; zeros from @len on */
	uint32_t len;
	unsigned int links, handles;
};

struct handle {
	struct object *o;	/* NULL: not open */
	int fd;
	int flags;
	uint8_t *map;
};

struct world {
	const char *root;
	int root_fd;
	struct object *name[NAMES];
	unsigned int folder_name[FOLDERS];
	struct handle handle[SLOTS];
	uint64_t counts[OP_TYPES];
	char *why;
	size_t why_size;
};

/**
 * world_new() - an empty folder and its model
 * @root: the folder, which is made
 * @why: receives the cause if something is wrong
 * @size: room there
 * Return: NULL if it cannot be made
 */
struct world *world_new(const char *root, char *why, size_t size);

/** world_do() - one operation; false if the folder is not like the model */
bool world_do(struct world *w, const struct op *op);

/** world_verify() - compare all of it */
bool world_verify(struct world *w);

/** world_free() - remove the folder if it is as it should be */
void world_free(struct world *w, bool remove);

/** wrong() - say why, and return false */
bool wrong(struct world *w, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/** expect() - was the answer of a system call this one? -errno for errors */
bool expect(struct world *w, const char *call, long got, long want);

/** compare() - bytes of a file against the model's */
bool compare(struct world *w, const char *how, const uint8_t *got,
	     const struct object *o, uint32_t off, uint32_t len);

/* --- extent.c: on the bytes of a handle that is open --- */

bool do_read(struct world *w, struct handle *h, const struct op *op);
bool do_write(struct world *w, struct handle *h, const struct op *op);
bool do_ftruncate(struct world *w, struct handle *h, const struct op *op);
bool do_map(struct world *w, struct handle *h, const struct op *op);
bool do_allocate(struct world *w, struct handle *h, const struct op *op);
bool do_copy(struct world *w, struct handle *h, const struct op *op);
bool do_seek(struct world *w, struct handle *h, const struct op *op);

/** fill() - bytes made from a seed */
void fill(uint8_t *p, size_t len, uint32_t seed);

/** object_resize() - its length, in the model */
void object_resize(struct object *o, uint32_t len);

/* --- sequence.c --- */

/** sequence_make() - @count operations from a seed */
struct op *sequence_make(uint64_t seed, size_t count);

/** sequence_print() - one line for each */
void sequence_print(const struct op *ops, size_t count);

/** sequence_read() - what was printed; the count in @count */
struct op *sequence_read(const char *path, size_t *count);

/* --- shrink.c --- */

/**
 * struct outcome - of a list of operations; in memory that processes share
 * @failed: an operation went wrong
 * @at: which one; or the count, if it was the comparison at the end
 * @done: operations that were done
 * @why: what went wrong
 */
struct outcome {
	bool failed;
	size_t at;
	uint64_t done;
	char why[512];
};

/** sequence_run() - do them in a process of its own */
void sequence_run(const char *root, const struct op *ops, size_t count,
		  struct outcome *out);

/** shrink() - leave out what is not needed to fail; returns the new count */
size_t shrink(const char *root, struct op *ops, size_t count,
	      struct outcome *out, unsigned int seconds);

/* --- shared.c --- */

/** shared_run() - processes and threads in the same files; 0 if all went well */
int shared_run(const char *root, unsigned int processes, unsigned int threads,
	       unsigned int seconds, uint64_t seed);

#endif
