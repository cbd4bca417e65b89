/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kernel's chaosimg by bare AF_ALG sockets, where a test wants to choose
 * how the kernel's scatterlists are cut, and the known answers.
 */
#ifndef ALG_H
#define ALG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

enum {
	ALG_KEY = 32,
	ALG_IV = 32,
	ALG_BLOCK = 16,
	ALG_DRIVERS_MAX = 8,
	ALG_PIECES_MAX = 200,
};

/** struct alg_driver - an implementation of chaosimg in /proc/crypto */
struct alg_driver {
	char name[64], type[64], selftest[64];
	int priority, users;
	unsigned int blocksize, min_key, max_key, iv;
};

/**
 * alg_drivers() - what is registered; asks the kernel for chaosimg first
 * Return: how many drivers were stored in @list, of ALG_DRIVERS_MAX.
 */
int alg_drivers(struct alg_driver *list);

/** alg_transform() - a transform without a key. Return: descriptor, -errno */
int alg_transform(const char *name);

/** alg_set_key() - Return: 0 or -errno */
int alg_set_key(int transform, const void *key, size_t len);

/** alg_keyed() - both at once. Return: descriptor, -errno */
int alg_keyed(const char *name, const void *key);

/** alg_operation() - a socket for requests. Return: descriptor, -errno */
int alg_operation(int transform);

/**
 * struct alg_request - one message
 * @splice: hand over the pages of @in themselves, cut as @in is; otherwise
 *	each piece is sent, and copied, by a call of its own
 */
struct alg_request {
	bool encrypt, splice;
	const uint8_t *iv;
	struct iovec *in, *out;
	size_t in_count, out_count;
};

/**
 * alg_crypt() - one request
 * Return: bytes, as many as went in; -errno. After an error the operation
 * socket is to be closed.
 */
long alg_crypt(int operation, const struct alg_request *request);

/** alg_simple() - one message in one piece, on a socket of its own */
int alg_simple(int transform, bool encrypt, const uint8_t *iv, void *dst,
	       const void *src, size_t len);

/**
 * alg_limits() - let sockets take scatterlists of hundreds of entries
 * What AF_ALG allocates for them counts against net.core.optmem_max; it is put
 * back when the program ends. Return: false unless allowed to.
 */
bool alg_limits(void);

/** alg_room() - let a socket hold messages of some megabytes (as root) */
void alg_room(int operation);

/** struct alg_vector - one known answer */
struct alg_vector {
	uint8_t key[ALG_KEY], iv[ALG_IV];
	uint8_t *plain, *cipher;
	size_t len;
};

/**
 * alg_vectors() - read chaosimg.json, which lies beside the program
 * Return: how many; ends the program if it cannot be read
 */
size_t alg_vectors(const char *program, struct alg_vector **list);

/* --- random numbers that a seed repeats ----------------------------------- */

/** alg_seed() - from the environment's SEED or from the kernel; printed */
void alg_seed(void);
/** alg_random() - the next 64 bits */
uint64_t alg_random(void);
void alg_fill(void *buf, size_t len);

#endif
