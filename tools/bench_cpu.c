// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * chaosimg bench, without a disk: the cipher's implementations, OpenSSL's
 * AES-256-GCM, records, and the unlocking of an archive. All that share a
 * figure's unit take turns in every round, so that a busy moment meets all.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "bench.h"

enum {
	POOL = CHAOSIMG_CHUNK_MAX,
	NONCE = 12,
	TAG = 16,
};

/* Not a secret: nothing but this measurement is encrypted with it. */
static const uint8_t key[CHAOSIMG_KEY_SIZE] = "a key to measure with";

/**
 * struct bulk - messages in memory, encrypted and decrypted in place
 * @crypt: takes one message there or back; returns 0 or an error
 * @cipher: for the raw cipher
 * @gcm: for AES-256-GCM, to encrypt and to decrypt
 * @data: POOL bytes
 * @tag: of each message
 * @size: of a message
 */
struct bulk {
	int (*crypt)(struct bulk *b, bool encrypt, uint32_t number);
	struct chaosimg_cipher *cipher;
	EVP_CIPHER_CTX *gcm[2];
	uint8_t *data;
	uint8_t (*tag)[TAG];
	uint32_t size;
};

static int crypt_raw(struct bulk *b, bool encrypt, uint32_t number)
{
	uint8_t iv[CHAOSIMG_IV_SIZE] = { 0 }, *p = b->data + number * b->size;

	memcpy(iv, &number, sizeof(number));
	return chaosimg_cipher_crypt(b->cipher, encrypt, iv, p, p, b->size);
}

static int crypt_gcm(struct bulk *b, bool encrypt, uint32_t number)
{
	uint8_t nonce[NONCE] = { 0 }, *p = b->data + number * b->size;
	EVP_CIPHER_CTX *c = b->gcm[encrypt];
	int n, good;

	memcpy(nonce, &number, sizeof(number));
	good = EVP_CipherInit_ex(c, NULL, NULL, NULL, nonce, encrypt) == 1 &&
	       EVP_CipherUpdate(c, p, &n, p, (int)b->size) == 1;
	if (good && !encrypt)
		good = EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_TAG, TAG,
					   b->tag[number]) == 1;
	good = good && EVP_CipherFinal_ex(c, p + b->size, &n) == 1;
	if (good && encrypt)
		good = EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_GET_TAG, TAG,
					   b->tag[number]) == 1;
	return good ? 0 : -EIO;
}

static int crypt_all(struct bulk *b, bool encrypt)
{
	uint32_t i;
	int err = 0;

	for (i = 0; i < POOL / b->size && !err; i++)
		err = b->crypt(b, encrypt, i);
	return err;
}

static int bulk_round(struct bulk *b, double seconds, struct samples *s)
{
	double out = 0, in = 0, bytes = 0, t0, t1;
	int err;

	do {
		t0 = bench_now();
		err = crypt_all(b, true);
		t1 = bench_now();
		if (!err)
			err = crypt_all(b, false);
		out += t1 - t0;
		in += bench_now() - t1;
		bytes += POOL;
	} while (!err && out + in < seconds);
	if (err)
		return err;
	s->out[s->rounds] = bytes / out;
	s->in[s->rounds++] = bytes / in;
	return 0;
}

/* --- the cipher and GCM ---------------------------------------------------- */

static int raw_round(struct bulk *bulk, const char *impl, double seconds,
		     struct samples *s)
{
	int err = chaosimg_cipher_new(impl, key, &bulk->cipher);

	if (err)
		return failed_library(impl, err);
	bulk->crypt = crypt_raw;
	err = bulk_round(bulk, seconds, s);
	chaosimg_cipher_free(bulk->cipher);
	return err ? failed_library(impl, err) : DONE;
}

static int gcm_round(struct bulk *bulk, double seconds, struct samples *s)
{
	int i, err = 0;

	for (i = 0; i < 2; i++) {
		bulk->gcm[i] = EVP_CIPHER_CTX_new();
		if (!bulk->gcm[i] ||
		    EVP_CipherInit_ex(bulk->gcm[i], EVP_aes_256_gcm(), NULL,
				      key, NULL, i) != 1)
			err = -ENOMEM;
	}
	bulk->crypt = crypt_gcm;
	if (!err)
		err = bulk_round(bulk, seconds, s);
	EVP_CIPHER_CTX_free(bulk->gcm[0]);
	EVP_CIPHER_CTX_free(bulk->gcm[1]);
	return err ? failed("AES-256-GCM: OpenSSL failed") : DONE;
}

/* --- records --------------------------------------------------------------- */

struct worker {
	pthread_t thread;
	uint32_t chunk_size;
	double seconds;
	struct chaosimg_speed speed;
	int err;
	char why[512];
};

static void *work(void *arg)
{
	struct worker *w = arg;

	w->err = chaosimg_measure_records(NULL, w->chunk_size, w->seconds,
					  &w->speed);
	/* The error's text is this thread's own. */
	if (w->err)
		escape(w->why, sizeof(w->why), chaosimg_errmsg());
	return NULL;
}

static int join_all(struct worker *w, unsigned int count, struct samples *s)
{
	int status = DONE;
	unsigned int i;

	s->out[s->rounds] = s->in[s->rounds] = 0;
	for (i = 0; i < count; i++) {
		pthread_join(w[i].thread, NULL);
		if (w[i].err && !status)
			status = failed("records: %s", w[i].why);
		s->out[s->rounds] += w[i].speed.seal;
		s->in[s->rounds] += w[i].speed.open;
	}
	s->rounds++;
	return status;
}

static int records_round(uint32_t chunk_size, unsigned int threads,
			 double seconds, struct samples *s)
{
	struct worker *w = calloc(threads, sizeof(*w));
	unsigned int started = 0;
	int status, err = 0;

	if (!w)
		return failed("records: %s", strerror(ENOMEM));
	for (; started < threads && !err; started += !err) {
		w[started].chunk_size = chunk_size;
		w[started].seconds = seconds;
		err = pthread_create(&w[started].thread, NULL, work,
				     &w[started]);
	}
	status = join_all(w, started, s);
	if (err && !status)
		status = failed("a thread: %s", strerror(err));
	free(w);
	return status;
}

/* --- rounds ---------------------------------------------------------------- */

/* All samples of one run: implementations, then GCM, one core, all cores. */
struct session {
	struct bulk bulk;
	struct samples cipher[BENCH_IMPLS];
	struct samples gcm, one, all;
};

static int one_round(struct bench *b, struct session *s, double seconds)
{
	int status = DONE;
	size_t i;

	for (i = 0; i < b->impls && !status; i++)
		status = raw_round(&s->bulk, b->impl[i], seconds,
				   &s->cipher[i]);
	if (!status)
		status = gcm_round(&s->bulk, seconds, &s->gcm);
	if (!status)
		status = records_round(b->chunk_size, 1, seconds, &s->one);
	if (!status)
		status = records_round(b->chunk_size, b->cores, seconds,
				       &s->all);
	return status;
}

static int all_rounds(struct bench *b, struct session *s, double seconds)
{
	double each = seconds / (double)(BENCH_ROUNDS * (b->impls + 3));
	int status = DONE;
	unsigned int r;
	size_t i;

	for (r = 0; r < BENCH_ROUNDS && !status; r++) {
		progress_stage("measuring the CPU", r + 1, BENCH_ROUNDS);
		status = one_round(b, s, each);
	}
	progress_end();
	if (status)
		return status;
	for (i = 0; i < b->impls; i++)
		b->cipher[i] = bench_pair(&s->cipher[i]);
	b->gcm = bench_pair(&s->gcm);
	b->one = bench_pair(&s->one);
	b->all = bench_pair(&s->all);
	return DONE;
}

/* The kernel's cipher may have no room for a message of this size. */
static int try_once(struct bulk *bulk, const char *impl)
{
	int err = chaosimg_cipher_new(impl, key, &bulk->cipher);

	if (err)
		return err;
	err = crypt_raw(bulk, true, 0);
	chaosimg_cipher_free(bulk->cipher);
	return err;
}

static void leave_out_unable(struct bench *b, struct bulk *bulk)
{
	size_t i, kept = 0;

	for (i = 0; i < b->impls; i++) {
		if (!try_once(bulk, b->impl[i]))
			b->impl[kept++] = b->impl[i];
		else
			message("%s is left out: %s", b->impl[i],
				chaosimg_errmsg());
	}
	b->impls = kept;
}

static int throughput(struct bench *b, double seconds)
{
	struct session *s = calloc(1, sizeof(*s));
	int status;

	if (!s)
		return failed("bench: %s", strerror(ENOMEM));
	s->bulk.size = b->chunk_size;
	s->bulk.data = malloc(POOL);
	s->bulk.tag = calloc(POOL / b->chunk_size, TAG);
	if (s->bulk.data && s->bulk.tag) {
		memset(s->bulk.data, 0x5a, POOL);
		leave_out_unable(b, &s->bulk);
		status = all_rounds(b, s, seconds);
	} else {
		status = failed("bench: %s", strerror(ENOMEM));
	}
	free(s->bulk.data);
	free(s->bulk.tag);
	free(s);
	return status;
}

/* --- unlocking ------------------------------------------------------------- */

static int memory_file(int *fd)
{
	*fd = memfd_create("chaosimg bench", MFD_CLOEXEC);
	return *fd < 0 ? failed_errno("memfd_create") : DONE;
}

/* A single image has the key slot of an archive; this one is empty. */
static int unlock_rounds(struct bench *b,
			 const struct chaosimg_credential *cred, int empty,
			 int image, double seconds)
{
	double took[BENCH_ROUNDS], end = bench_now() + seconds, t0;
	unsigned int r;
	int err;

	err = chaosimg_image_encrypt(cred, empty, image, NULL);
	for (r = 0; r < BENCH_ROUNDS && !err; r++) {
		if (r >= BENCH_ROUNDS_MIN && bench_now() > end)
			break;
		progress_stage("unlocking", r + 1, BENCH_ROUNDS);
		t0 = bench_now();
		err = chaosimg_image_decrypt(cred, image, empty, NULL);
		took[r] = bench_now() - t0;
	}
	progress_end();
	if (err)
		return failed_library("unlocking", err);
	b->unlock = bench_figure(took, r);
	return DONE;
}

static int unlock(struct bench *b, double seconds)
{
	static const char pass[] = "a passphrase to measure with";
	struct chaosimg_credential *cred;
	int empty = -1, image = -1, status, err;

	err = chaosimg_credential_passphrase(pass, strlen(pass), &cred);
	if (err)
		return failed_library("unlocking", err);
	status = memory_file(&empty);
	if (!status)
		status = memory_file(&image);
	if (!status)
		status = unlock_rounds(b, cred, empty, image, seconds);
	if (empty >= 0)
		close(empty);
	if (image >= 0)
		close(image);
	chaosimg_credential_free(cred);
	return status;
}

int bench_cpu(struct bench *b, double seconds)
{
	double unlocking = seconds / 4;
	int status = unlock(b, unlocking);

	return status ? status : throughput(b, seconds - unlocking);
}
