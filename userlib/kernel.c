// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The kernel's chaosimg through libkcapi. Every bit of a message hangs on all
 * of it, so a message must reach the kernel in one request; libkcapi's
 * one-shot calls cut long ones, its stream calls do not.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <kcapi.h>

#include "error.h"
#include "kernel.h"

/*
 * What fits the socket's buffers as Linux sets them by default (212992 bytes),
 * with a page to spare. A longer message would wait for a reader for ever.
 */
#define MESSAGE_MAX (212992 - 4096)

/**
 * struct kernel_key - one handle; its socket serves one request at a time
 * @broken: a request failed half-way, what the socket holds is unknown
 */
struct kernel_key {
	pthread_mutex_t lock;
	struct kcapi_handle *handle;
	bool broken;
};

static int open_handle(struct kcapi_handle **handle)
{
	int err;

	/* Its own messages on standard error are not a library's business. */
	kcapi_set_verbosity(KCAPI_LOG_NONE);
	err = kcapi_cipher_init(handle, "chaosimg", 0);
	if (err)
		return fail(ENOENT, "kernel: no chaosimg in the kernel crypto API (is chaosimg.ko loaded?)");
	if (kcapi_cipher_ivsize(*handle) == CHAOSIMG_IV_SIZE)
		return 0;
	kcapi_cipher_destroy(*handle);
	return fail(ENOENT, "kernel: its chaosimg is not this version's");
}

int kernel_probe(void)
{
	struct kcapi_handle *handle;
	int err = open_handle(&handle);

	if (!err)
		kcapi_cipher_destroy(handle);
	return err;
}

int kernel_key_new(const uint8_t key[CHAOSIMG_KEY_SIZE],
		   struct kernel_key **out)
{
	struct kernel_key *k = calloc(1, sizeof(*k));
	int err;

	if (!k)
		return fail(ENOMEM, "out of memory");
	if (open_handle(&k->handle)) {
		free(k);
		return -EIO;
	}
	err = kcapi_cipher_setkey(k->handle, key, CHAOSIMG_KEY_SIZE);
	if (err) {
		kcapi_cipher_destroy(k->handle);
		free(k);
		return fail(EIO, "kernel: chaosimg refused the key: %s",
			    strerror(-err));
	}
	pthread_mutex_init(&k->lock, NULL);
	*out = k;
	return 0;
}

void kernel_key_free(struct kernel_key *k)
{
	if (!k)
		return;
	kcapi_cipher_destroy(k->handle);
	pthread_mutex_destroy(&k->lock);
	free(k);
}

static int request(struct kcapi_handle *handle, bool encrypt,
		   const uint8_t *iv, struct iovec *in, struct iovec *out,
		   size_t len)
{
	ssize_t n;

	n = encrypt ? kcapi_cipher_stream_init_enc(handle, iv, NULL, 0) :
		kcapi_cipher_stream_init_dec(handle, iv, NULL, 0);
	if (n >= 0)
		n = kcapi_cipher_stream_update_last(handle, in, 2);
	if (n >= 0 && (size_t)n != len)
		return -EMSGSIZE;
	if (n >= 0)
		n = kcapi_cipher_stream_op(handle, out, 2);
	if (n >= 0 && (size_t)n != len)
		return -EMSGSIZE;
	return n < 0 ? (int)n : 0;
}

int kernel_crypt(struct kernel_key *k, bool encrypt,
		 const uint8_t iv[CHAOSIMG_IV_SIZE], struct iovec in[2],
		 struct iovec out[2])
{
	size_t len = in[0].iov_len + in[1].iov_len;
	int err = -EIO;

	if (len > MESSAGE_MAX)
		return fail(EIO, "kernel: a message of %zu bytes is too long, the longest is %d",
			    len, MESSAGE_MAX);
	pthread_mutex_lock(&k->lock);
	if (!k->broken)
		err = request(k->handle, encrypt, iv, in, out, len);
	if (err)
		k->broken = true;
	pthread_mutex_unlock(&k->lock);
	if (err)
		return fail(EIO, "kernel: chaosimg failed: %s", strerror(-err));
	return 0;
}
