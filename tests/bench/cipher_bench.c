// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Speed of the cipher in MB/s (10^6 bytes for each second of one core's time),
 * for each implementation that this machine can run, in place, and of OpenSSL's
 * AES-256-GCM beside them. Each figure is the median of 7 rounds, and the
 * contestants take turns in every round, so that a busy moment meets all.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/evp.h>

#include "cipher.h"

enum {
	ROUNDS = 7,
	SIZES = 3,
	ENTRIES = 2 * (CHAOSIMG_IMPLS_MAX + 1),
	ROUND_NS = 60000000,
};

static const size_t sizes[SIZES] = { 65536, 4096, 512 };

/* One contestant: an implementation, or GCM if @impl is NULL. */
struct entry {
	const struct chaosimg_cipher_impl *impl;
	bool encrypt;
	struct chaosimg_cipher_key key;
	EVP_CIPHER_CTX *gcm;
	double mbs[SIZES][ROUNDS];
};

static u8 buf[65536 + 16] CHAOSIMG_ALIGNED(64);
static const u8 raw_key[32] = "a key to measure with";

static u64 now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (u64)t.tv_sec * 1000000000 + (u64)t.tv_nsec;
}

static void gcm_message(struct entry *e, const u8 *iv, size_t len)
{
	u8 tag[16] = { 0 };
	int n, ok;

	ok = EVP_CipherInit_ex(e->gcm, NULL, NULL, NULL, iv, e->encrypt) == 1 &&
	     EVP_CipherUpdate(e->gcm, buf, &n, buf, (int)len) == 1;
	if (ok && e->encrypt)
		ok = EVP_CipherFinal_ex(e->gcm, buf + len, &n) == 1 &&
		     EVP_CIPHER_CTX_ctrl(e->gcm, EVP_CTRL_AEAD_GET_TAG, 16,
					 tag) == 1;
	else if (ok)	/* the tag is wrong; checking it takes as long */
		ok = EVP_CIPHER_CTX_ctrl(e->gcm, EVP_CTRL_AEAD_SET_TAG, 16,
					 tag) == 1 &&
		     EVP_CipherFinal_ex(e->gcm, buf + len, &n) != 1;
	if (!ok) {
		fprintf(stderr, "cipher_bench: AES-256-GCM failed\n");
		exit(1);
	}
}

static void message(struct entry *e, const u8 *iv, size_t len)
{
	if (!e->impl)
		gcm_message(e, iv, len);
	else if (e->encrypt)
		chaosimg_encrypt(&e->key, iv, buf, buf, len);
	else
		chaosimg_decrypt(&e->key, iv, buf, buf, len);
}

static double round_mbs(struct entry *e, size_t len)
{
	u8 iv[CHAOSIMG_TWEAK] = { 0 };
	u64 t0 = now_ns(), t;
	size_t n = 0, i;

	do {
		for (i = 0; i < 1 + 65536 / len / 4; i++, n++) {
			store_le64(iv, n);
			message(e, iv, len);
		}
		t = now_ns() - t0;
	} while (t < ROUND_NS);
	return (double)(n * len) * 1e3 / (double)t;
}

static int by_size(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void set_up(struct entry *e, const struct chaosimg_cipher_impl *impl,
		   bool encrypt)
{
	e->impl = impl;
	e->encrypt = encrypt;
	if (impl) {
		chaosimg_cipher_set_key(&e->key, impl, raw_key);
		return;
	}
	e->gcm = EVP_CIPHER_CTX_new();
	if (!e->gcm || EVP_CipherInit_ex(e->gcm, EVP_aes_256_gcm(), NULL,
					 raw_key, NULL, encrypt) != 1) {
		fprintf(stderr, "cipher_bench: no AES-256-GCM\n");
		exit(1);
	}
}

int main(void)
{
	const struct chaosimg_cipher_impl *impls[CHAOSIMG_IMPLS_MAX];
	static struct entry entry[ENTRIES];
	size_t i, s, count;
	int r;

	count = chaosimg_cipher_impls(chaosimg_cpu_features(), impls,
				      CHAOSIMG_IMPLS_MAX);
	for (i = 0; i <= count; i++) {
		set_up(&entry[2 * i], i < count ? impls[i] : NULL, true);
		set_up(&entry[2 * i + 1], i < count ? impls[i] : NULL, false);
	}
	count = 2 * (count + 1);
	for (r = 0; r < ROUNDS; r++)
		for (s = 0; s < SIZES; s++)
			for (i = 0; i < count; i++)
				entry[i].mbs[s][r] =
					round_mbs(&entry[i], sizes[s]);

	printf("%-24s", "MB/s, one core");
	for (s = 0; s < SIZES; s++)
		printf("%8zu B", sizes[s]);
	printf("\n");
	for (i = 0; i < count; i++) {
		printf("%-16s%-8s",
		       entry[i].impl ? entry[i].impl->name : "AES-256-GCM",
		       entry[i].encrypt ? "encrypt" : "decrypt");
		for (s = 0; s < SIZES; s++) {
			qsort(entry[i].mbs[s], ROUNDS, sizeof(double), by_size);
			printf("%10.0f", entry[i].mbs[s][ROUNDS / 2]);
		}
		printf("\n");
		chaosimg_wipe(&entry[i].key, sizeof(entry[i].key));
		EVP_CIPHER_CTX_free(entry[i].gcm);
	}
	return 0;
}
