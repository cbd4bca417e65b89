// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Speed of the cipher in MB/s (10^6 bytes for each second of one core's time),
 * for each implementation that this machine can run, in place and with a new IV
 * for each message, and of OpenSSL's AES-256-GCM beside them. In every round
 * all contestants take turns at every size, so that a busy moment meets all;
 * the figures are the rounds' median and extremes.
 *
 *	cipher_bench [--json] [--rounds N] [--peer FILE.so]
 *
 * A peer is one more cipher, in a shared object that holds what struct peer
 * names (tests/bench/hctr2-peer makes one).
 */
#include <dlfcn.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "cipher.h"
#include "figures.h"

enum {
	ROUNDS = 7,		/* at least, and unless told otherwise */
	ROUNDS_MAX = 999,
	SIZES = 5,
	WHOLE = 3,		/* the size that others are a share of */
	LEN_MAX = 1 << 20,
	CONTESTANTS = CHAOSIMG_IMPLS_MAX + 2,
	UNTIMED = 1 << 19,	/* bytes between two looks at the clock */
};

static const double turn_seconds = 0.025;
static const size_t sizes[SIZES] = { 512, 4096, 16384, 65536, LEN_MAX };

struct peer {
	const char *(*name)(void);		/* bench_peer_name */
	void (*set_key)(const u8 key[32]);	/* bench_peer_set_key */
	void (*crypt)(bool encrypt, u8 *buf, size_t len,
		      const u8 iv[CHAOSIMG_TWEAK]);	/* bench_peer_crypt */
};

/* GCM if it is neither one of ours nor a peer. */
struct contestant {
	const char *name;
	const struct chaosimg_cipher_impl *impl;
	const struct peer *peer;
	struct chaosimg_cipher_key key;
	EVP_CIPHER_CTX *gcm;
	double mbs[SIZES][2][ROUNDS_MAX];	/* to decrypt, to encrypt */
};

static struct contestant contestant[CONTESTANTS];
static size_t count;
static const struct contestant *gcm;
static u8 buf[LEN_MAX + 16] CHAOSIMG_ALIGNED(64);
static const u8 raw_key[32] = "a key to measure with";

static void die(const char *why)
{
	fprintf(stderr, "cipher_bench: %s\n", why);
	exit(1);
}

/* --- contestants ---------------------------------------------------------- */

static struct contestant *add(const char *name)
{
	struct contestant *c = &contestant[count++];

	c->name = name;
	return c;
}

static void add_ours(void)
{
	const struct chaosimg_cipher_impl *impls[CHAOSIMG_IMPLS_MAX];
	size_t n, i;

	n = chaosimg_cipher_impls(chaosimg_cpu_features(), impls,
				  CHAOSIMG_IMPLS_MAX);
	for (i = 0; i < n; i++) {
		struct contestant *c = add(impls[i]->name);

		c->impl = impls[i];
		chaosimg_cipher_set_key(&c->key, c->impl, raw_key);
	}
}

static void add_gcm(void)
{
	struct contestant *c = add("AES-256-GCM");

	c->gcm = EVP_CIPHER_CTX_new();
	if (!c->gcm || EVP_CipherInit_ex(c->gcm, EVP_aes_256_gcm(), NULL,
					 raw_key, NULL, 1) != 1)
		die("no AES-256-GCM");
	gcm = c;
}

static void add_peer(const char *path)
{
	static struct peer peer;
	void *so = dlopen(path, RTLD_NOW);

	if (!so)
		die(dlerror());
	peer.name = (const char *(*)(void))dlsym(so, "bench_peer_name");
	peer.set_key = (void (*)(const u8 *))dlsym(so, "bench_peer_set_key");
	peer.crypt = (void (*)(bool, u8 *, size_t, const u8 *))
		dlsym(so, "bench_peer_crypt");
	if (!peer.name || !peer.set_key || !peer.crypt)
		die("the peer is not complete");
	peer.set_key(raw_key);
	add(peer.name())->peer = &peer;
}

/* --- messages ------------------------------------------------------------- */

static void gcm_message(struct contestant *c, bool encrypt, const u8 *iv,
			size_t len)
{
	u8 tag[16] = { 0 };
	int n, ok;

	ok = EVP_CipherInit_ex(c->gcm, NULL, NULL, NULL, iv, encrypt) == 1 &&
	     EVP_CipherUpdate(c->gcm, buf, &n, buf, (int)len) == 1;
	if (ok && encrypt)
		ok = EVP_CipherFinal_ex(c->gcm, buf + len, &n) == 1 &&
		     EVP_CIPHER_CTX_ctrl(c->gcm, EVP_CTRL_AEAD_GET_TAG, 16,
					 tag) == 1;
	else if (ok)	/* the tag is wrong; checking it takes as long */
		ok = EVP_CIPHER_CTX_ctrl(c->gcm, EVP_CTRL_AEAD_SET_TAG, 16,
					 tag) == 1 &&
		     EVP_CipherFinal_ex(c->gcm, buf + len, &n) != 1;
	if (!ok)
		die("AES-256-GCM failed");
}

static void message(struct contestant *c, bool encrypt, const u8 *iv,
		    size_t len)
{
	if (c->peer)
		c->peer->crypt(encrypt, buf, len, iv);
	else if (!c->impl)
		gcm_message(c, encrypt, iv, len);
	else if (encrypt)
		chaosimg_encrypt(&c->key, iv, buf, buf, len);
	else
		chaosimg_decrypt(&c->key, iv, buf, buf, len);
}

static double now(void)
{
	return seconds_of(CLOCK_THREAD_CPUTIME_ID);
}

/* In MB/s. To look at the clock takes as long as some KiB, so it is seldom. */
static double turn(struct contestant *c, bool encrypt, size_t len)
{
	u8 iv[CHAOSIMG_TWEAK] = { 0 };
	double start = now(), took;
	size_t n = 0, i;

	do {
		for (i = 0; i < 1 + UNTIMED / len; i++, n++) {
			store_le64(iv, n);
			message(c, encrypt, iv, len);
		}
		took = now() - start;
	} while (took < turn_seconds);
	return (double)(n * len) * 1e-6 / took;
}

static void measure(int rounds)
{
	size_t s, i;
	int r;

	for (r = 0; r < rounds; r++)
		for (s = 0; s < SIZES; s++)
			for (i = 0; i < 2 * count; i++)
				contestant[i / 2].mbs[s][i % 2][r] =
					turn(&contestant[i / 2], i % 2,
					     sizes[s]);
}

/* --- figures -------------------------------------------------------------- */

struct figure {
	double median, min, max;
};

static struct figure figure(const struct contestant *c, size_t s, bool encrypt,
			    int rounds)
{
	double sorted[ROUNDS_MAX];
	struct figure f;

	memcpy(sorted, c->mbs[s][encrypt], (size_t)rounds * sizeof(double));
	put_in_order(sorted, (size_t)rounds);
	f.median = (sorted[rounds / 2] + sorted[(rounds - 1) / 2]) / 2;
	f.min = sorted[0];
	f.max = sorted[rounds - 1];
	return f;
}

static void print_line(const struct contestant *c, size_t s, bool encrypt,
		       int rounds)
{
	const struct figure f = figure(c, s, encrypt, rounds);
	const struct figure whole = figure(c, WHOLE, encrypt, rounds);
	const struct figure of = figure(gcm, s, encrypt, rounds);

	printf("%-15s %-7s %8zu %8.0f %7.0f..%-6.0f %6.2f %8.2f\n", c->name,
	       encrypt ? "encrypt" : "decrypt", sizes[s], f.median, f.min,
	       f.max, f.median / of.median, f.median / whole.median);
}

static void print_table(int rounds)
{
	size_t i, s;

	printf("MB/s, one core; medians of %d rounds, min..max, and shares\n",
	       rounds);
	printf("%-15s %-7s %8s %8s %15s %6s %8s\n", "", "", "bytes", "median",
	       "", "of GCM", "of 64 KiB");
	for (i = 0; i < 2 * count; i++)
		for (s = 0; s < SIZES; s++)
			print_line(&contestant[i / 2], s, !(i % 2), rounds);
}

static void print_json(int rounds)
{
	const char *sep = "[";
	struct figure f;
	size_t i, s;

	for (i = 0; i < 2 * count; i++)
		for (s = 0; s < SIZES; s++, sep = ",") {
			f = figure(&contestant[i / 2], s, !(i % 2), rounds);
			printf("%s\n {\"impl\": \"%s\", \"direction\": \"%s\", "
			       "\"bytes\": %zu, \"mb_per_s\": "
			       "{\"median\": %.1f, \"min\": %.1f, "
			       "\"max\": %.1f}}", sep, contestant[i / 2].name,
			       i % 2 ? "decrypt" : "encrypt", sizes[s],
			       f.median, f.min, f.max);
		}
	printf("\n]\n");
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "rounds", required_argument, NULL, 'r' },
		{ "peer", required_argument, NULL, 'p' },
		{ NULL, 0, NULL, 0 },
	};
	bool json = false;
	int rounds = ROUNDS, o;
	size_t i;

	add_ours();
	add_gcm();
	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (o == 'j')
			json = true;
		else if (o == 'r')
			rounds = atoi(optarg);
		else if (o == 'p' && count < CONTESTANTS)
			add_peer(optarg);
		else
			die("usage: [--json] [--rounds N] [--peer FILE.so]");
	}
	if (optind < argc || rounds < ROUNDS || rounds > ROUNDS_MAX)
		die("rounds are 7 to 999, and other arguments there are none");
	measure(rounds);
	if (json)
		print_json(rounds);
	else
		print_table(rounds);
	for (i = 0; i < count; i++) {
		chaosimg_wipe(&contestant[i].key, sizeof(contestant[i].key));
		EVP_CIPHER_CTX_free(contestant[i].gcm);
	}
	return 0;
}
