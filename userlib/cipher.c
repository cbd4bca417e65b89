// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The cipher for the rest of the library and for its users: an implementation
 * by name, ours or the kernel's, and keys in locked memory.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "archive.h"
#include "cipher.h"
#include "error.h"
#include "inner.h"
#include "kernel.h"

/**
 * struct inner_impl - one of ours, or the kernel's if @own is NULL
 */
struct inner_impl {
	const char *name;
	const struct chaosimg_cipher_impl *own;
};

struct inner_key {
	struct chaosimg_cipher_key key;
	struct kernel_key *kernel;
};

struct chaosimg_cipher {
	struct inner_key *key;
};

static const struct inner_impl kernel_impl = { .name = "kernel" };

/* --- choice --------------------------------------------------------------- */

static struct inner_impl own_impls[CHAOSIMG_IMPLS_MAX];
static size_t own_count;
static pthread_once_t own_once = PTHREAD_ONCE_INIT;

enum { PROOF_LEN = 1000 };	/* all of a fast path, and a tail */

static void prove_message(const struct chaosimg_cipher_impl *impl, u8 *out)
{
	struct chaosimg_cipher_key key;
	u8 k[CHAOSIMG_KEY_SIZE];
	size_t i;

	for (i = 0; i < sizeof(k); i++)
		k[i] = (u8)(i * 7 + 1);
	for (i = 0; i < PROOF_LEN; i++)
		out[i] = (u8)(i * i >> 3);
	chaosimg_cipher_set_key(&key, impl, k);
	chaosimg_encrypt(&key, k, out, out, PROOF_LEN);
	/* What is no ciphertext, so that decryption is proved by itself. */
	chaosimg_decrypt(&key, k, out + PROOF_LEN, out, PROOF_LEN);
	chaosimg_decrypt(&key, out, out + PROOF_LEN, out + PROOF_LEN,
			 PROOF_LEN);
}

bool inner_agrees(const struct chaosimg_cipher_impl *impl,
		  const struct chaosimg_cipher_impl *generic)
{
	u8 a[2 * PROOF_LEN], b[2 * PROOF_LEN];

	prove_message(impl, a);
	prove_message(generic, b);
	return !memcmp(a, b, sizeof(a));
}

static void find_own_impls(void)
{
	const struct chaosimg_cipher_impl *list[CHAOSIMG_IMPLS_MAX];
	size_t count = chaosimg_cipher_impls(chaosimg_cpu_features(), list,
					     CHAOSIMG_IMPLS_MAX);

	for (size_t i = 0; i < count; i++) {
		if (!inner_agrees(list[i], list[count - 1]))
			continue;
		own_impls[own_count].name = list[i]->name;
		own_impls[own_count++].own = list[i];
	}
}

size_t chaosimg_cipher_list(const char **names, size_t max)
{
	size_t i;

	pthread_once(&own_once, find_own_impls);
	for (i = 0; i < own_count && i < max; i++)
		names[i] = own_impls[i].name;
	if (kernel_probe())
		return own_count;
	if (i < max)
		names[i] = kernel_impl.name;
	return own_count + 1;
}

const struct inner_impl *inner_find(const char *name)
{
	size_t i;

	pthread_once(&own_once, find_own_impls);
	if (!name)
		return &own_impls[0];
	for (i = 0; i < own_count; i++)
		if (!strcmp(name, own_impls[i].name))
			return &own_impls[i];
	if (!strcmp(name, kernel_impl.name))
		return kernel_probe() ? NULL : &kernel_impl;
	fail(ENOENT, "%s: no such cipher implementation on this machine", name);
	return NULL;
}

/* --- keys ----------------------------------------------------------------- */

int inner_key_new(const struct inner_impl *impl,
		  const uint8_t key[CHAOSIMG_KEY_SIZE], struct inner_key **out)
{
	struct inner_key *k = secret_alloc(sizeof(*k));
	int err = 0;

	if (!k)
		return -ENOMEM;
	if (impl->own)
		chaosimg_cipher_set_key(&k->key, impl->own, key);
	else
		err = kernel_key_new(key, &k->kernel);
	if (err) {
		secret_free(k);
		return err;
	}
	*out = k;
	return 0;
}

void inner_key_free(struct inner_key *k)
{
	if (k)
		kernel_key_free(k->kernel);
	secret_free(k);
}

/* --- the inner layer ------------------------------------------------------ */

#define IOV(p, n) { .iov_base = (void *)(uintptr_t)(p), .iov_len = (n) }

int inner_encrypt(const struct inner_key *k, const uint8_t iv[CHAOSIMG_IV_SIZE],
		  uint8_t *dst, const uint8_t head[16], const uint8_t *data,
		  size_t len)
{
	struct iovec in[2] = { IOV(head, CHAOSIMG_BLOCK), IOV(data, len) };
	struct iovec out[2] = {
		IOV(dst, CHAOSIMG_BLOCK), IOV(dst + CHAOSIMG_BLOCK, len),
	};

	if (k->kernel)
		return kernel_crypt(k->kernel, true, iv, in, out);
	chaosimg_encrypt_split(&k->key, iv, dst, head, data, len);
	return 0;
}

int inner_decrypt(const struct inner_key *k, const uint8_t iv[CHAOSIMG_IV_SIZE],
		  uint8_t head[16], uint8_t *data, const uint8_t *src,
		  size_t len)
{
	struct iovec in[2] = {
		IOV(src, CHAOSIMG_BLOCK), IOV(src + CHAOSIMG_BLOCK, len),
	};
	struct iovec out[2] = { IOV(head, CHAOSIMG_BLOCK), IOV(data, len) };

	if (k->kernel)
		return kernel_crypt(k->kernel, false, iv, in, out);
	chaosimg_decrypt_split(&k->key, iv, head, data, src, len);
	return 0;
}

/* --- the public raw cipher ------------------------------------------------ */

int chaosimg_cipher_new(const char *impl, const uint8_t key[CHAOSIMG_KEY_SIZE],
			struct chaosimg_cipher **out)
{
	const struct inner_impl *i = inner_find(impl);
	struct chaosimg_cipher *c;
	int err;

	if (!i)
		return -ENOENT;
	c = calloc(1, sizeof(*c));
	if (!c)
		return fail(ENOMEM, "out of memory");
	err = inner_key_new(i, key, &c->key);
	if (err) {
		free(c);
		return err;
	}
	*out = c;
	return 0;
}

int chaosimg_cipher_crypt(const struct chaosimg_cipher *c, bool encrypt,
			  const uint8_t iv[CHAOSIMG_IV_SIZE], uint8_t *dst,
			  const uint8_t *src, size_t len)
{
	const size_t head = CHAOSIMG_BLOCK_SIZE;

	if (len < head)
		return fail(EINVAL, "a message of %zu bytes is too short for the cipher, the shortest is %zu",
			    len, head);
	if (encrypt)
		return inner_encrypt(c->key, iv, dst, src, src + head,
				     len - head);
	return inner_decrypt(c->key, iv, dst, dst + head, src, len - head);
}

void chaosimg_cipher_free(struct chaosimg_cipher *c)
{
	if (c)
		inner_key_free(c->key);
	free(c);
}
