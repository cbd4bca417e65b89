// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The kernel's chaosimg through libkcapi. Every bit of a message hangs on all
 * of it, so a message must reach the kernel in one request; libkcapi's
 * one-shot calls cut long ones, its stream calls do not.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <kcapi.h>

#include "error.h"
#include "kernel.h"

enum {
	BUFFER_DEFAULT = 212992,	/* of a socket, unless set otherwise */
	PAGE = 4096,
};

/**
 * struct kernel_key - one handle; its socket serves one request at a time
 * @max: the longest message; a longer one would wait for a reader for ever
 * @broken: a request failed half-way, what the socket holds is unknown
 */
struct kernel_key {
	pthread_mutex_t lock;
	struct kcapi_handle *handle;
	size_t max;
	bool broken;
};

static size_t read_size(const char *path)
{
	FILE *f = fopen(path, "re");
	size_t size;

	if (!f)
		return BUFFER_DEFAULT;
	if (fscanf(f, "%zu", &size) != 1)
		size = BUFFER_DEFAULT;
	fclose(f);
	return size;
}

/* The kernel counts whole pages, and wants one to spare. */
static size_t longest_message(void)
{
	size_t in = read_size("/proc/sys/net/core/wmem_default");
	size_t out = read_size("/proc/sys/net/core/rmem_default");
	size_t pages = (in < out ? in : out) / PAGE;

	return pages > 1 ? (pages - 1) * PAGE : 0;
}

static int open_handle(struct kcapi_handle **handle)
{
	int err;

	kcapi_set_verbosity(KCAPI_LOG_NONE);
	err = kcapi_cipher_init(handle, "chaosimg", 0);
	if (err == -EAFNOSUPPORT || err == -EOPNOTSUPP)
		return fail(ENOENT, "kernel: this kernel has no crypto sockets (AF_ALG)");
	if (err == -ENOENT)
		return fail(ENOENT, "kernel: no chaosimg in the kernel crypto API (is chaosimg.ko loaded?)");
	if (err)
		return fail(ENOENT, "kernel: chaosimg cannot be used: %s",
			    strerror(-err));
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
	k->max = longest_message();
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

/*
 * The data go with the first call, which copies them, and an empty last call
 * says that this was all: libkcapi would splice a last call's data page by
 * page, and hang where they are not aligned.
 */
static int request(struct kcapi_handle *handle, bool encrypt,
		   const uint8_t *iv, struct iovec *in, struct iovec *out,
		   size_t len)
{
	struct iovec none = { NULL, 0 };
	ssize_t n;

	n = encrypt ? kcapi_cipher_stream_init_enc(handle, iv, in, 2) :
		kcapi_cipher_stream_init_dec(handle, iv, in, 2);
	if (n >= 0 && (size_t)n != len)
		return -EMSGSIZE;
	if (n >= 0)
		n = kcapi_cipher_stream_update_last(handle, &none, 1);
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

	if (len > k->max)
		return fail(EIO, "kernel: a message of %zu bytes is too long for a socket's buffer, the longest is %zu",
			    len, k->max);
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
