/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * In the kernel's place: requests to chaosimgfs's handlers through libfuse, in
 * one process and without a mount. It keeps to what the kernel promises:
 * numbers of objects and handles are those that it was given, and names hold
 * neither slashes nor NULs.
 */
#ifndef FUZZ_KERNEL_H
#define FUZZ_KERNEL_H

#include <linux/fuse.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "chaosimg.h"

/** struct kernel_reply - what came back; valid until the next request */
struct kernel_reply {
	size_t len;
	const uint8_t *data;
};

/**
 * kernel_mount() - as if the archive were mounted now
 * @a: the archive
 * @path: its folder
 * @readonly: as with -o ro
 * @writeback: the kernel would gather writes
 */
void kernel_mount(struct chaosimg_archive *a, const char *path, bool readonly,
		  bool writeback);

/** kernel_umount() - and as if it were unmounted; all that was open is sealed */
void kernel_umount(void);

/** kernel_user() - who asks from now on */
void kernel_user(uint32_t uid);

/**
 * kernel_ask() - one request, and its one answer
 * @opcode: FUSE_*
 * @node: the object's number
 * @part: what follows the request's header
 * @parts: how many
 * @r: receives the answer; may be NULL
 * Return: 0 or a negative errno value.
 */
int kernel_ask(uint32_t opcode, uint64_t node, const struct iovec *part,
	       int parts, struct kernel_reply *r);

/* One part, or a struct and a name. */
#define PART(v)		{ (void *)&(v), sizeof(v) }
#define NAME_PART(s)	{ (void *)(s), strlen(s) + 1 }

/** kernel_forget() - of what a look-up gave */
void kernel_forget(uint64_t node, uint64_t count);

#endif
