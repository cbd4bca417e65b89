// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The cipher's implementations on a machine without cmocka and json-c, such as
 * an emulated one: vectors from standard input, as tests/lib/vectors_text.py
 * writes them, and agreement with generic. Prints TAP.
 *
 *	cipher_vectors NAME..	the implementations that must be there, in order
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cipher.h"

enum { BYTES_MAX = 8192, GUARD = 16, VECTORS_MAX = 1000 };

static const struct chaosimg_cipher_impl *impls[CHAOSIMG_IMPLS_MAX];
static size_t impl_count;
static int count, failures;

/* --- helpers ------------------------------------------------------------ */

static void result(bool good, const char *impl, const char *what)
{
	printf("%s %d - %s: %s\n", good ? "ok" : "not ok", ++count, impl, what);
	failures += !good;
}

static __attribute__((noreturn, format(printf, 1, 2)))
void stop(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	printf("Bail out! ");
	vprintf(format, args);
	printf("\n");
	va_end(args);
	exit(1);
}

/* splitmix64: the same numbers in every run. */
static u64 rng(void)
{
	static u64 state = 1;
	u64 z = state += 0x9E3779B97F4A7C15ULL;

	z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9ULL;
	z = (z ^ z >> 27) * 0x94D049BB133111EBULL;
	return z ^ z >> 31;
}

static void fill(u8 *p, size_t len)
{
	while (len--)
		*p++ = (u8)rng();
}

static bool same(const u8 *a, const u8 *b, size_t len, const char *what,
		 size_t n)
{
	if (!memcmp(a, b, len))
		return true;
	printf("# %s %zu differs\n", what, n);
	return false;
}

/* --- vectors ------------------------------------------------------------ */

/*
 * A line: "chaosimg" or "hctr2", then key, IV or tweak, plaintext, ciphertext
 * and matrices in hexadecimal; "-" is empty.
 */
struct vector {
	bool hctr2;
	size_t tweak_len, len, maps_len;
	u8 key[32], tweak[256], p[BYTES_MAX], c[BYTES_MAX];
	u8 maps[8 * CHAOSIMG_ROUNDS];
};

static struct vector vectors[VECTORS_MAX];
static size_t vector_count;

static size_t unhex(u8 *out, size_t max)
{
	const char *hex = strtok(NULL, " \n");
	size_t n = 0;

	if (!hex)
		stop("vector %zu: a field is missing", vector_count);
	if (!strcmp(hex, "-"))
		return 0;
	for (; hex[2 * n]; n++)
		if (n == max || sscanf(hex + 2 * n, "%2hhx", &out[n]) != 1 ||
		    !hex[2 * n + 1])
			stop("vector %zu: bad field", vector_count);
	return n;
}

static void read_vector(char *line)
{
	struct vector *v = &vectors[vector_count];
	const char *kind = strtok(line, " \n");

	if (!kind || vector_count == VECTORS_MAX)
		stop("an empty line, or too many");
	v->hctr2 = !strcmp(kind, "hctr2");
	if (unhex(v->key, sizeof(v->key)) != sizeof(v->key))
		stop("vector %zu: bad key", vector_count);
	v->tweak_len = unhex(v->tweak, sizeof(v->tweak));
	v->len = unhex(v->p, sizeof(v->p));
	if (unhex(v->c, sizeof(v->c)) != v->len || v->len < CHAOSIMG_BLOCK)
		stop("vector %zu: bad lengths", vector_count);
	v->maps_len = unhex(v->maps, sizeof(v->maps));
	if (!v->hctr2 && (v->tweak_len != CHAOSIMG_TWEAK ||
			  v->maps_len != sizeof(v->maps)))
		stop("vector %zu: no IV or no matrices", vector_count);
	vector_count++;
}

static void read_vectors(void)
{
	char *line = NULL;
	size_t size = 0;

	while (getline(&line, &size, stdin) > 0)
		read_vector(line);
	free(line);
}

static bool maps_right(const struct chaosimg_cipher_key *key,
		       const struct vector *v, size_t n)
{
	struct chaosimg_image image;
	u8 rows[8 * CHAOSIMG_ROUNDS];
	int r;

	chaosimg_frame_begin(key, &image, v->tweak, v->len);
	for (r = 0; r < CHAOSIMG_ROUNDS; r++)
		store_le64(rows + 8 * r, chaosimg_matrix(image.lu[r]));
	chaosimg_frame_end(key, &image);
	return same(rows, v->maps, sizeof(rows), "matrices", n);
}

static bool chaosimg_right(const struct chaosimg_cipher_key *key,
			   const struct vector *v, size_t n)
{
	const u8 *iv = v->tweak;
	static u8 out[BYTES_MAX];
	u8 head[CHAOSIMG_BLOCK];
	bool good = maps_right(key, v, n);

	chaosimg_encrypt(key, iv, out, v->p, v->len);
	good &= same(out, v->c, v->len, "encryption", n);
	chaosimg_decrypt(key, iv, out, v->c, v->len);
	good &= same(out, v->p, v->len, "decryption", n);
	chaosimg_encrypt(key, iv, out, out, v->len);
	good &= same(out, v->c, v->len, "encryption in place", n);
	chaosimg_decrypt(key, iv, out, out, v->len);
	good &= same(out, v->p, v->len, "decryption in place", n);
	chaosimg_encrypt_split(key, iv, out, v->p, v->p + 16, v->len - 16);
	good &= same(out, v->c, v->len, "split encryption", n);
	chaosimg_decrypt_split(key, iv, head, out + 16, out, v->len - 16);
	good &= same(head, v->p, 16, "split decryption's head", n);
	return good & same(out + 16, v->p + 16, v->len - 16,
			   "split decryption", n);
}

static bool hctr2_right(const struct chaosimg_cipher_key *key,
			const struct vector *v, size_t n)
{
	static const u64 identity[CHAOSIMG_ROUNDS];
	static u8 out[BYTES_MAX];
	struct chaosimg_image image;
	bool good;

	chaosimg_frame_begin_raw(key, &image, identity, v->tweak, v->tweak_len,
				 0, v->len);
	chaosimg_frame_encrypt(key, &image, out, out + 16, v->p, v->p + 16,
			       v->len - 16);
	good = same(out, v->c, v->len, "HCTR2 encryption", n);
	chaosimg_frame_decrypt(key, &image, out, out + 16, v->c, v->c + 16,
			       v->len - 16);
	return good & same(out, v->p, v->len, "HCTR2 decryption", n);
}

static void check_vectors(const struct chaosimg_cipher_impl *impl, bool hctr2)
{
	struct chaosimg_cipher_key key;
	const struct vector *v;
	size_t n = 0, i;
	bool good = true;
	char what[64];

	for (i = 0; i < vector_count; i++) {
		v = &vectors[i];
		if (v->hctr2 != hctr2)
			continue;
		chaosimg_cipher_set_key(&key, impl, v->key);
		good &= hctr2 ? hctr2_right(&key, v, i) :
			chaosimg_right(&key, v, i);
		n++;
	}
	snprintf(what, sizeof(what), "%zu vectors of %s", n,
		 hctr2 ? "HCTR2-AES-256" : "chaosimg");
	result(good && n, impl->name, what);
}

/* --- agreement with generic --------------------------------------------- */

static bool guarded(const u8 *p)
{
	size_t i;

	for (i = 0; i < GUARD; i++)
		if (p[i] != 0xa5)
			return false;
	return true;
}

/* One random message at any alignment, in place or not, split or not. */
static bool agrees(const struct chaosimg_cipher_impl *impl, size_t len)
{
	static u8 plain[BYTES_MAX], want[BYTES_MAX];
	static u8 buf[16 + BYTES_MAX + GUARD];
	struct chaosimg_cipher_key key;
	u8 *out = buf + rng() % 16, k[32], iv[CHAOSIMG_TWEAK], head[16];
	bool good;

	fill(k, sizeof(k));
	fill(iv, sizeof(iv));
	fill(plain, len);
	chaosimg_cipher_set_key(&key, &chaosimg_impl_generic, k);
	chaosimg_encrypt(&key, iv, want, plain, len);
	chaosimg_cipher_set_key(&key, impl, k);
	memset(out + len, 0xa5, GUARD);
	chaosimg_encrypt(&key, iv, out, plain, len);
	good = same(out, want, len, "length", len);
	chaosimg_decrypt(&key, iv, out, out, len);
	good &= same(out, plain, len, "back, length", len);
	chaosimg_encrypt_split(&key, iv, out, plain, plain + 16, len - 16);
	good &= same(out, want, len, "split, length", len);
	chaosimg_decrypt_split(&key, iv, head, out + 16, out, len - 16);
	good &= same(head, plain, 16, "head, length", len);
	good &= same(out + 16, plain + 16, len - 16, "split back, length", len);
	return good & guarded(out + len);
}

static void check_agreement(const struct chaosimg_cipher_impl *impl)
{
	bool good = true;
	size_t len;
	int i;

	for (len = 16; len <= 400; len++)
		good &= agrees(impl, len);
	result(good, impl->name, "agrees with generic on 16..400 bytes");
	for (good = true, i = 0; i < 60; i++)
		good &= agrees(impl, 16 + rng() % (BYTES_MAX - 15));
	result(good, impl->name, "and on random lengths");
}

static void check_polyval(const struct chaosimg_cipher_impl *impl)
{
	struct chaosimg_cipher_key key;
	u8 k[32], acc[16], want[16], x[100 * 16];
	bool good = true;
	size_t blocks;
	u64 flip;

	fill(k, sizeof(k));
	for (blocks = 0; blocks <= 100; blocks++) {
		flip = blocks & 1 ? ~0ULL : 0;
		fill(want, sizeof(want));
		fill(x, sizeof(x));
		memcpy(acc, want, sizeof(acc));
		chaosimg_cipher_set_key(&key, &chaosimg_impl_generic, k);
		key.impl->polyval(&key, want, x, blocks, flip);
		chaosimg_cipher_set_key(&key, impl, k);
		key.impl->polyval(&key, acc, x, blocks, flip);
		good &= same(acc, want, sizeof(acc), "POLYVAL of", blocks);
	}
	result(good, impl->name, "POLYVAL of 0..100 blocks");
}

/* The counter is of 64 bits: a carry past 32 must not be lost. */
static void check_counter(const struct chaosimg_cipher_impl *impl)
{
	static const u8 zero[64 * 16];
	const u64 first = 0xFFFFFFF0ULL;
	u8 k[32], iv[32], s[16], in[16], out[64 * 16];
	struct chaosimg_cipher_key key;
	struct chaosimg_image image;
	bool good = true;
	size_t b;

	fill(k, sizeof(k));
	fill(iv, sizeof(iv));
	fill(s, sizeof(s));
	chaosimg_cipher_set_key(&key, impl, k);
	chaosimg_frame_begin(&key, &image, iv, sizeof(out));
	chaosimg_xctr(&key, &image, s, first, out, zero, sizeof(out));
	for (b = 0; b < 64; b++) {
		memcpy(in, s, sizeof(in));
		store_le64(in, load_le64(s) ^ (first + b));
		chaosimg_block_encrypt(&key, &image, in, in);
		store_le64(in, ~load_le64(in));
		store_le64(in + 8, ~load_le64(in + 8));
		good &= same(out + 16 * b, in, sizeof(in), "block", b);
	}
	chaosimg_frame_end(&key, &image);
	result(good, impl->name, "XCTR counts past 32 bits");
}

int main(int argc, char **argv)
{
	bool good;
	size_t i;

	impl_count = chaosimg_cipher_impls(chaosimg_cpu_features(), impls,
					   CHAOSIMG_IMPLS_MAX);
	good = impl_count == (size_t)argc - 1;
	for (i = 0; good && i < impl_count; i++)
		good = !strcmp(impls[i]->name, argv[i + 1]);
	result(good, "this machine", "the right implementations, in order");
	read_vectors();
#ifdef __x86_64__
	if (chaosimg_cpu_features() & CHAOSIMG_CPU_VPCLMULQDQ)
		impls[impl_count++] = &chaosimg_impl_avx2_pclmul;
#endif
	for (i = 0; i < impl_count; i++) {
		check_vectors(impls[i], false);
		check_vectors(impls[i], true);
		check_agreement(impls[i]);
		check_polyval(impls[i]);
		check_counter(impls[i]);
	}
	printf("1..%d\n", count);
	return failures != 0;
}
