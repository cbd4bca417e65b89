// SPDX-License-Identifier: GPL-2.0-or-later
/* How fast records are sealed and opened here: for chaosimg bench. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/crypto.h>

#include "error.h"
#include "keyset.h"
#include "record.h"

enum {
	/* As much as a large request of the kernel brings, or a single record. */
	BATCH = CHAOSIMG_CHUNK_MAX,
	/* Longer would say nothing more. */
	SECONDS_MAX = 3600,
};

/* A file that has keys and some chunks, but no place on any disk. */
struct trial {
	struct keyset *keyset;
	struct file_keys *keys;
	uint8_t file_id[CHAOSIMG_ID_SIZE];
	uint32_t chunk_size;
	uint8_t *plain;
	uint8_t *records;
};

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int derive_keys(struct trial *t, struct chaosimg_archive *a,
		       const char *impl)
{
	int err = chaosimg_archive_set_cipher(a, impl);

	if (!err)
		err = keyset_new(&t->keyset);
	return err ? err : file_keys_new(a, t->keyset, t->file_id, &t->keys);
}

static int make_keys(struct trial *t, const char *impl)
{
	uint8_t id[CHAOSIMG_ID_SIZE], key[CHAOSIMG_KEY_SIZE];
	struct chaosimg_archive *a;
	int err = random_bytes(t->file_id, sizeof(t->file_id));

	if (!err)
		err = random_bytes(id, sizeof(id));
	if (!err)
		err = random_bytes(key, sizeof(key));
	if (!err)
		err = archive_new(id, key, t->chunk_size, &a);
	OPENSSL_cleanse(key, sizeof(key));
	if (err)
		return err;
	err = derive_keys(t, a, impl);
	chaosimg_archive_close(a);
	return err;
}

static int make_room(struct trial *t)
{
	t->plain = malloc(BATCH);
	t->records = malloc(BATCH / t->chunk_size * record_size(t->chunk_size));
	if (!t->plain || !t->records)
		return fail(ENOMEM, "no memory for records");
	memset(t->plain, 0x5a, BATCH);
	return 0;
}

static int seal_batch(struct trial *t)
{
	size_t i;
	int err = 0;

	for (i = 0; i < BATCH / t->chunk_size && !err; i++)
		err = record_seal(t->keys, t->file_id, i, RECORD_FOREIGN,
				  t->plain + i * t->chunk_size, t->chunk_size,
				  t->records + i * record_size(t->chunk_size));
	return err;
}

/* Opening clobbers a record, so each is opened once after it was sealed. */
static int open_batch(struct trial *t)
{
	size_t i;
	int err = 0;

	for (i = 0; i < BATCH / t->chunk_size && !err; i++)
		err = record_open(t->keys, t->file_id, i,
				  t->records + i * record_size(t->chunk_size),
				  t->chunk_size,
				  t->plain + i * t->chunk_size);
	return err;
}

static int run(struct trial *t, double seconds, struct chaosimg_speed *out)
{
	double seal = 0, open = 0, bytes = 0, t0, t1;
	int err;

	/* The first touch of the memory is not what is to be measured. */
	err = seal_batch(t);
	if (!err)
		err = open_batch(t);
	while (!err && seal + open < seconds) {
		t0 = now();
		err = seal_batch(t);
		t1 = now();
		if (!err)
			err = open_batch(t);
		seal += t1 - t0;
		open += now() - t1;
		bytes += BATCH;
	}
	if (err)
		return err;
	out->seal = bytes / seal;
	out->open = bytes / open;
	return 0;
}

int chaosimg_measure_records(const char *impl, uint32_t chunk_size,
			     double seconds, struct chaosimg_speed *out)
{
	struct trial t = {
		.chunk_size = chunk_size ? chunk_size : CHAOSIMG_CHUNK_DEFAULT,
	};
	int err;

	if (t.chunk_size < CHAOSIMG_CHUNK_MIN ||
	    t.chunk_size > CHAOSIMG_CHUNK_MAX ||
	    (t.chunk_size & (t.chunk_size - 1)))
		return fail(EINVAL, "chunk size %u is not a power of two from %d to %d",
			    t.chunk_size, CHAOSIMG_CHUNK_MIN,
			    CHAOSIMG_CHUNK_MAX);
	if (!(seconds > 0 && seconds <= SECONDS_MAX))
		return fail(EINVAL, "cannot measure for %g seconds", seconds);
	err = make_keys(&t, impl);
	if (!err)
		err = make_room(&t);
	if (!err)
		err = run(&t, seconds, out);
	file_keys_free(t.keys);
	secret_free(t.keyset);
	free(t.plain);
	free(t.records);
	return err;
}
