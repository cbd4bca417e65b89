/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the fuzz targets share: an archive whose keys are known and the same in
 * every run, so that a target can seal what it has made up; a folder in memory;
 * and taking numbers from the input.
 */
#ifndef FIXTURE_H
#define FIXTURE_H

#include <stdio.h>
#include <stdlib.h>

#include "archive.h"
#include "keyset.h"

#define FIXTURE_CHUNK	CHAOSIMG_CHUNK_MIN

extern const uint8_t fixture_id[CHAOSIMG_ID_SIZE];
extern const uint8_t fixture_key[CHAOSIMG_KEY_SIZE];

/* Ends the process, which libFuzzer then reports with the input. */
#define must(what)							\
	do {								\
		if (!(what)) {						\
			fprintf(stderr, "%s:%d: not so: %s (%s)\n",	\
				__FILE__, __LINE__, #what,		\
				chaosimg_errmsg());			\
			abort();					\
		}							\
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/** fixture_archive() - an archive without a folder, with one keyset */
struct chaosimg_archive *fixture_archive(void);

/**
 * fixture_blind() - what is allocated from now on is no leak
 * @on: or, from now on it is one again
 *
 * LeakSanitizer does not see what locked memory points to.
 */
void fixture_blind(bool on);

/** fixture_keyset() - the keyset in it */
const struct keyset *fixture_keyset(void);

/** fixture_folder() - a new folder in memory if possible; gone at the end */
const char *fixture_folder(void);

/** fixture_empty() - remove all that is in a folder */
void fixture_empty(const char *folder);

/** fixture_memory() - a file in memory */
int fixture_memory(const void *p, size_t len);

/** struct input - what is left of it; beyond its end everything is zero */
struct input {
	const uint8_t *p;
	size_t left;
};

uint8_t take_u8(struct input *in);
uint16_t take_u16(struct input *in);
uint32_t take_u32(struct input *in);
uint64_t take_u64(struct input *in);

/** take() - @len bytes, zeros where there are no more */
void take(struct input *in, void *out, size_t len);

/** take_size() - mostly small, sometimes anything, often near @unit */
uint64_t take_size(struct input *in, uint64_t unit);

#endif
