// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The cipher's implementations: against published vectors and ours, and
 * against each other where no vector reaches.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <json-c/json.h>

#include "cipher.h"

/*
 * What machines without 128-bit integers compile is tested on all of them:
 * once more generic, and the lattice.
 */
#define CHAOSIMG_NO_INT128
#define chaosimg_impl_generic impl_narrow
#define chaosimg_lattice narrow_lattice
#define chaosimg_matrix narrow_matrix
#define chaosimg_matrix_inverse narrow_matrix_inverse
extern const struct chaosimg_cipher_impl impl_narrow;
void narrow_lattice(u64 lu[CHAOSIMG_ROUNDS], const u8 seed[64], u64 w);
u64 narrow_matrix(u64 lu);
u64 narrow_matrix_inverse(u64 lu);
#include "../../cipher/chaos.c"
#include "../../cipher/generic.c"
#undef chaosimg_impl_generic
#undef chaosimg_lattice
#undef chaosimg_matrix
#undef chaosimg_matrix_inverse

enum { MESSAGE_MAX = 1 << 20, GUARD = 64 };

static const struct chaosimg_cipher_impl *impls[CHAOSIMG_IMPLS_MAX + 1];
static size_t impl_count;

static u8 plain[MESSAGE_MAX], expected[MESSAGE_MAX], got[MESSAGE_MAX + GUARD];

/* --- helpers ------------------------------------------------------------ */

/* splitmix64: the same numbers in every run. */
static u64 rng_state = 1;

static u64 rng(void)
{
	u64 z = rng_state += 0x9E3779B97F4A7C15ULL;

	z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9ULL;
	z = (z ^ z >> 27) * 0x94D049BB133111EBULL;
	return z ^ z >> 31;
}

static void fill(u8 *p, size_t len)
{
	while (len--)
		*p++ = (u8)rng();
}

static int nibble_of(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *p = strchr(digits, c);

	assert_true(c && p);
	return (int)(p - digits);
}

static size_t unhex(u8 *out, size_t max, const char *hex)
{
	size_t n = strlen(hex) / 2, i;

	assert_true(n <= max && strlen(hex) == 2 * n);
	for (i = 0; i < n; i++)
		out[i] = (u8)(nibble_of(hex[2 * i]) << 4 |
			      nibble_of(hex[2 * i + 1]));
	return n;
}

static size_t hex_member(json_object *o, const char *name, u8 *out, size_t max)
{
	json_object *m;

	assert_true(json_object_object_get_ex(o, name, &m));
	return unhex(out, max, json_object_get_string(m));
}

static json_object *load_vectors(const char *path, size_t count)
{
	json_object *v = json_object_from_file(path);

	assert_non_null(v);
	assert_int_equal(json_object_array_length(v), count);
	return v;
}

/* A vector has failed: which, and with what? */
static void same(const void *a, const void *b, size_t len, const char *impl,
		 const char *what, size_t n)
{
	if (memcmp(a, b, len))
		fail_msg("%s: %s %zu differs", impl, what, n);
}

/* --- vectors ------------------------------------------------------------ */

struct vector {
	u8 key[32], iv[32], p[8192], c[8192], maps[CHAOSIMG_ROUNDS][8];
	size_t len;
};

static void read_vector(json_object *o, struct vector *v)
{
	json_object *maps;
	size_t r;

	assert_int_equal(hex_member(o, "key", v->key, 32), 32);
	assert_int_equal(hex_member(o, "iv", v->iv, 32), 32);
	v->len = hex_member(o, "plaintext", v->p, sizeof(v->p));
	assert_int_equal(hex_member(o, "ciphertext", v->c, sizeof(v->c)),
			 v->len);
	assert_true(json_object_object_get_ex(o, "linear_maps", &maps));
	assert_int_equal(json_object_array_length(maps), CHAOSIMG_ROUNDS);
	for (r = 0; r < CHAOSIMG_ROUNDS; r++)
		assert_int_equal(8, unhex(v->maps[r], 8,
			json_object_get_string(
				json_object_array_get_idx(maps, r))));
}

static void check_maps(const struct chaosimg_cipher_key *key,
		       const struct vector *v, size_t n)
{
	struct chaosimg_image image;
	u8 rows[8];
	int r;

	chaosimg_frame_begin(key, &image, v->iv, v->len);
	for (r = 0; r < CHAOSIMG_ROUNDS; r++) {
		store_le64(rows, chaosimg_matrix(image.lu[r]));
		same(rows, v->maps[r], 8, key->impl->name, "matrices of", n);
	}
	chaosimg_frame_end(key, &image);
}

static void check_vector(const struct chaosimg_cipher_key *key,
			 const struct vector *v, size_t n)
{
	const char *name = key->impl->name;
	u8 head[16];

	chaosimg_encrypt(key, v->iv, got, v->p, v->len);
	same(got, v->c, v->len, name, "encryption of", n);
	chaosimg_decrypt(key, v->iv, got, v->c, v->len);
	same(got, v->p, v->len, name, "decryption of", n);
	chaosimg_encrypt(key, v->iv, got, got, v->len);
	same(got, v->c, v->len, name, "encryption in place of", n);
	chaosimg_decrypt(key, v->iv, got, got, v->len);
	same(got, v->p, v->len, name, "decryption in place of", n);
	chaosimg_encrypt_split(key, v->iv, got, v->p, v->p + 16, v->len - 16);
	same(got, v->c, v->len, name, "split encryption of", n);
	chaosimg_decrypt_split(key, v->iv, head, got + 16, got, v->len - 16);
	same(head, v->p, 16, name, "split decryption of", n);
	same(got + 16, v->p + 16, v->len - 16, name, "split decryption of", n);
}

static void test_chaosimg_vectors(void **state)
{
	json_object *all = load_vectors("tests/vectors/chaosimg.json", 45);
	static struct vector v;
	struct chaosimg_cipher_key key;
	size_t i, n;

	(void)state;
	for (n = 0; n < 45; n++) {
		read_vector(json_object_array_get_idx(all, n), &v);
		for (i = 0; i < impl_count; i++) {
			chaosimg_cipher_set_key(&key, impls[i], v.key);
			check_maps(&key, &v, n);
			check_vector(&key, &v, n);
		}
	}
	json_object_put(all);
}

static void check_hctr2(json_object *o, size_t n)
{
	static const u64 identity[CHAOSIMG_ROUNDS];
	struct chaosimg_cipher_key key;
	struct chaosimg_image image;
	u8 k[32], tweak[256], p[1024], c[1024], out[1024];
	json_object *input;
	size_t i, len, tweak_len;

	assert_true(json_object_object_get_ex(o, "input", &input));
	assert_int_equal(hex_member(input, "key_hex", k, 32), 32);
	tweak_len = hex_member(input, "tweak_hex", tweak, sizeof(tweak));
	len = hex_member(o, "plaintext_hex", p, sizeof(p));
	assert_int_equal(hex_member(o, "ciphertext_hex", c, sizeof(c)), len);
	for (i = 0; i < impl_count; i++) {
		chaosimg_cipher_set_key(&key, impls[i], k);
		chaosimg_frame_begin_raw(&key, &image, identity, tweak,
					 tweak_len, 0, len);
		chaosimg_frame_encrypt(&key, &image, out, out + 16, p, p + 16,
				       len - 16);
		same(out, c, len, impls[i]->name, "HCTR2 encryption", n);
		chaosimg_frame_decrypt(&key, &image, out, out + 16, c, c + 16,
				       len - 16);
		same(out, p, len, impls[i]->name, "HCTR2 decryption", n);
	}
}

static void test_hctr2_vectors(void **state)
{
	json_object *all = load_vectors("tests/vectors/hctr2-aes256.json", 350);
	size_t n;

	(void)state;
	for (n = 0; n < 350; n++)
		check_hctr2(json_object_array_get_idx(all, n), n);
	json_object_put(all);
}

/* FIPS 197, appendix C.3: by E with the identity, and by plain AES. */
static void test_fips197(void **state)
{
	static const u64 identity[CHAOSIMG_ROUNDS];
	u8 k[32], p[16], c[16], out[9 * 16], in[9 * 16];
	struct chaosimg_cipher_key key;
	struct chaosimg_image image;
	size_t i, b;

	(void)state;
	for (i = 0; i < 32; i++)
		k[i] = (u8)i;
	unhex(p, 16, "00112233445566778899aabbccddeeff");
	unhex(c, 16, "8ea2b7ca516745bfeafc49904b496089");
	for (b = 0; b < 9; b++)
		memcpy(in + 16 * b, p, 16);
	for (i = 0; i < impl_count; i++) {
		chaosimg_cipher_set_key(&key, impls[i], k);
		chaosimg_frame_begin_raw(&key, &image, identity, NULL, 0, 0,
					 16);
		chaosimg_block_encrypt(&key, &image, out, p);
		same(out, c, 16, impls[i]->name, "E", 0);
		chaosimg_block_decrypt(&key, &image, out, c);
		same(out, p, 16, impls[i]->name, "E^-1", 0);
		memset(out, 0, sizeof(out));
		impls[i]->aes(&key, CHAOSIMG_MAIN, out, in, 9);
		for (b = 0; b < 9; b++)
			same(out + 16 * b, c, 16, impls[i]->name, "AES", b);
	}
}

/* RFC 8452, appendix A. */
static void test_polyval_vector(void **state)
{
	struct chaosimg_cipher_key key;
	u8 zero[32] = { 0 }, x[32], sum[16], acc[16];
	size_t i;

	(void)state;
	unhex(x, 32, "4f4f95668c83dfb6401762bb2d01a262"
		     "d1a24ddd2721d006bbe45f20d3c9f362");
	unhex(sum, 16, "f7a3b47b846119fae5b7866cf5e5b77e");
	for (i = 0; i < impl_count; i++) {
		chaosimg_cipher_set_key(&key, impls[i], zero);
		unhex(key.h, 16, "25629347589242761d31f826ba4b757b");
		impls[i]->set_hash(&key);
		memset(acc, 0, 16);
		impls[i]->polyval(&key, acc, x, 2, 0);
		same(acc, sum, 16, impls[i]->name, "POLYVAL", 0);
		memset(acc, 0, 16);
		impls[i]->polyval(&key, acc, x, 1, 0);
		impls[i]->polyval(&key, acc, x + 16, 1, 0);
		same(acc, sum, 16, impls[i]->name, "POLYVAL in two", 0);
	}
}

/* --- agreement ---------------------------------------------------------- */

/* All implementations and all forms of a call give generic's bytes. */
static void check_agreement(size_t len)
{
	const struct chaosimg_cipher_impl *generic = &chaosimg_impl_generic;
	struct chaosimg_cipher_key key;
	u8 k[32], iv[32], head[16];
	u8 *out = got + rng() % 16;	/* at any alignment */
	size_t i;

	fill(k, 32);
	fill(iv, 32);
	fill(plain, len);
	chaosimg_cipher_set_key(&key, generic, k);
	chaosimg_encrypt(&key, iv, expected, plain, len);
	for (i = 0; i < impl_count; i++) {
		chaosimg_cipher_set_key(&key, impls[i], k);
		memset(out + len, 0xa5, 16);
		chaosimg_encrypt(&key, iv, out, plain, len);
		same(out, expected, len, impls[i]->name, "length", len);
		chaosimg_decrypt(&key, iv, out, out, len);
		same(out, plain, len, impls[i]->name, "back, length", len);
		chaosimg_encrypt_split(&key, iv, out, plain, plain + 16,
				       len - 16);
		same(out, expected, len, impls[i]->name, "split, length", len);
		chaosimg_decrypt_split(&key, iv, head, out + 16, out, len - 16);
		same(head, plain, 16, impls[i]->name, "head, length", len);
		same(out + 16, plain + 16, len - 16, impls[i]->name,
		     "split back, length", len);
		for (size_t g = 0; g < 16; g++)
			assert_int_equal(out[len + g], 0xa5);
	}
}

static void test_agreement_short(void **state)
{
	size_t len;

	(void)state;
	for (len = 16; len <= 1700; len++)	/* three strides of 512 */
		check_agreement(len);
}

static void test_agreement_long(void **state)
{
	static const size_t len[] = {
		4095, 4096, 4097, 4111, 4112, 4113, 8192 + 16, 65536 + 16,
		65536 + 5, MESSAGE_MAX - 1, MESSAGE_MAX,
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(len) / sizeof(len[0]); i++)
		check_agreement(len[i]);
}

static void test_polyval_agreement(void **state)
{
	struct chaosimg_cipher_key key;
	u8 k[32], start[16], want[16], acc[16];
	size_t blocks, i;
	u64 flip;

	(void)state;
	fill(k, 32);
	for (blocks = 0; blocks <= 100; blocks++) {
		flip = blocks & 1 ? ~0ULL : 0;
		fill(start, 16);
		fill(plain, 16 * blocks);
		for (i = 0; i < impl_count; i++) {
			chaosimg_cipher_set_key(&key, impls[i], k);
			memcpy(acc, start, 16);
			impls[i]->polyval(&key, acc, plain, blocks, flip);
			if (!i)
				memcpy(want, acc, 16);
			same(acc, want, 16, impls[i]->name, "blocks", blocks);
		}
	}
}

/* The counter is of 64 bits: a carry past 32 must not be lost. */
static void test_xctr_counter(void **state)
{
	struct chaosimg_cipher_key key;
	struct chaosimg_image image;
	const u64 first = 0xFFFFFFF0ULL;
	u8 k[32], iv[32], s[16], in[16];
	size_t i, b;

	(void)state;
	fill(k, 32);
	fill(iv, 32);
	fill(s, 16);
	memset(plain, 0, 64 * 16);
	for (i = 0; i < impl_count; i++) {
		chaosimg_cipher_set_key(&key, impls[i], k);
		chaosimg_frame_begin(&key, &image, iv, 64 * 16);
		chaosimg_xctr(&key, &image, s, first, got, plain, 64 * 16);
		for (b = 0; b < 64; b++) {
			store_le64(in, load_le64(s) ^ (first + b));
			memcpy(in + 8, s + 8, 8);
			chaosimg_block_encrypt(&key, &image, in, in);
			store_le64(in, ~load_le64(in));
			store_le64(in + 8, ~load_le64(in + 8));
			same(got + 16 * b, in, 16, impls[i]->name, "block", b);
		}
		chaosimg_frame_end(&key, &image);
	}
}

/* --- pieces ------------------------------------------------------------- */

static void hash_pieces(const struct chaosimg_cipher_key *key,
			const struct chaosimg_image *image, const u8 *src,
			size_t len, u64 flip, u8 out[16])
{
	struct chaosimg_hash hash;
	size_t n;

	chaosimg_hash_init(image, &hash, flip);
	for (; len; len -= n, src += n) {
		n = rng() % 70;
		if (n > len)
			n = len;
		chaosimg_hash_update(key, &hash, src, n);
	}
	chaosimg_hash_final(key, &hash, out);
}

static void xor_16(u8 *dst, const u8 *a, const u8 *b)
{
	int i;

	for (i = 0; i < 16; i++)
		dst[i] = a[i] ^ b[i];
}

/* Encrypt as one does whose message lies in pieces. */
static void encrypt_pieces(const struct chaosimg_cipher_key *key, const u8 *iv,
			   u8 *dst, const u8 *src, size_t len)
{
	struct chaosimg_image image;
	u8 mm[16], uu[16], s[16], h[16];
	size_t off, n;
	int i;

	chaosimg_frame_begin(key, &image, iv, len);
	hash_pieces(key, &image, src + 16, len - 16, image.flip, h);
	for (i = 0; i < 16; i++)
		mm[i] = src[i] ^ (u8)image.flip ^ h[i];
	chaosimg_block_encrypt(key, &image, uu, mm);
	xor_16(s, mm, uu);
	xor_16(s, s, key->l);
	for (off = 16; off < len; off += n) {
		n = 16 * (1 + rng() % 40);
		if (n > len - off)
			n = len - off;
		chaosimg_xctr(key, &image, s, off / 16, dst + off, src + off,
			      n);
	}
	hash_pieces(key, &image, dst + 16, len - 16, 0, h);
	xor_16(dst, uu, h);
	chaosimg_frame_end(key, &image);
}

static void test_pieces(void **state)
{
	struct chaosimg_cipher_key key;
	u8 k[32], iv[32];
	size_t i, n, len;

	(void)state;
	for (n = 0; n < 60; n++) {
		len = 16 + rng() % 3000;
		fill(k, 32);
		fill(iv, 32);
		fill(plain, len);
		chaosimg_cipher_set_key(&key, &chaosimg_impl_generic, k);
		chaosimg_encrypt(&key, iv, expected, plain, len);
		for (i = 0; i < impl_count; i++) {
			chaosimg_cipher_set_key(&key, impls[i], k);
			encrypt_pieces(&key, iv, got, plain, len);
			same(got, expected, len, impls[i]->name, "length", len);
		}
	}
}

/* XCTR and the hash at once, of a piece of any length and after any other. */
static void check_xctr_hash(const struct chaosimg_cipher_key *key,
			    const struct chaosimg_image *image, size_t len,
			    size_t before)
{
	const u64 first = 1 + rng() % 1000, flip = rng() % 2 ? ~0ULL : 0;
	const char *name = key->impl->name;
	struct chaosimg_hash hash;
	u8 s[16], want[16], h[16];
	size_t i;

	fill(s, 16);
	fill(plain, len);
	chaosimg_xctr(key, image, s, first, expected, plain, len);
	chaosimg_hash_init(image, &hash, flip);
	chaosimg_hash_update(key, &hash, s, before);
	chaosimg_hash_update(key, &hash, expected, len);
	chaosimg_hash_final(key, &hash, want);

	chaosimg_hash_init(image, &hash, flip);
	chaosimg_hash_update(key, &hash, s, before);
	memset(got + len, 0xa5, GUARD);
	if (rng() % 2) {
		memcpy(got, plain, len);
		chaosimg_xctr_hash(key, image, &hash, s, first, got, got, len);
	} else {
		chaosimg_xctr_hash(key, image, &hash, s, first, got, plain,
				   len);
	}
	chaosimg_hash_final(key, &hash, h);
	same(got, expected, len, name, "XCTR of", len);
	same(h, want, 16, name, "hash of", len);
	for (i = 0; i < GUARD; i++)
		assert_int_equal(got[len + i], 0xa5);
}

static void test_xctr_hash(void **state)
{
	struct chaosimg_cipher_key key;
	struct chaosimg_image image;
	u8 k[32], iv[32];
	size_t i, n;

	(void)state;
	for (i = 0; i < impl_count; i++) {
		fill(k, 32);
		fill(iv, 32);
		chaosimg_cipher_set_key(&key, impls[i], k);
		chaosimg_frame_begin(&key, &image, iv, 16);
		for (n = 0; n < 200; n++)
			check_xctr_hash(&key, &image, rng() % 2500,
					n % 4 ? 0 : rng() % 16);
		for (n = 0; n <= 2048; n += 512)
			check_xctr_hash(&key, &image, n, 0);
		chaosimg_frame_end(&key, &image);
	}
}

/* --- chaos -------------------------------------------------------------- */

static const u64 edge[] = {
	0, ~0ULL, 1, 1ULL << 63, 0x00FF00FF00FF00FFULL, 0xAAAAAAAAAAAAAAAAULL,
	0x7F3F1F0F07030100ULL, 0x0080C0E0F0F8FCFEULL, 0x8040201008040201ULL,
};

enum { EDGES = sizeof(edge) / sizeof(edge[0]) };

static u8 matrix_times(u64 rows, u8 x)
{
	u8 y = 0;
	int i;

	for (i = 0; i < 8; i++)
		y |= (u8)(__builtin_parity((u8)(rows >> 8 * i) & x) << i);
	return y;
}

/* From the definition: triangular factors, row by row. */
static u64 plain_matrix(u64 lu)
{
	u64 a = 0;
	int i, j;

	for (i = 0; i < 8; i++) {
		u8 row = 0;

		for (j = 0; j <= i; j++) {
			u8 upper = (u8)(lu >> 8 * j) & (u8)~((2 << j) - 1);

			if (j == i || lu >> (8 * i + j) & 1)
				row ^= upper | (u8)(1 << j);
		}
		a |= (u64)row << 8 * i;
	}
	return a;
}

static void check_matrix(u64 lu)
{
	u64 a = chaosimg_matrix(lu), b = chaosimg_matrix_inverse(lu);
	int x;

	assert_true(a == plain_matrix(lu));
	for (x = 0; x < 256; x++)
		assert_int_equal(matrix_times(b, matrix_times(a, (u8)x)), x);
}

static void test_matrices(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < EDGES; i++)
		check_matrix(edge[i]);
	for (i = 0; i < 1000; i++)
		check_matrix(rng());
}

/* The S-boxes of edge matrices, forward and back, agree everywhere. */
static void test_edge_matrices(void **state)
{
	struct chaosimg_cipher_key key;
	struct chaosimg_image image;
	u64 lu[CHAOSIMG_ROUNDS];
	u8 k[32], p[16], want[16], out[16];
	size_t i, n, r;

	(void)state;
	fill(k, 32);
	for (n = 0; n < EDGES + 50; n++) {
		for (r = 0; r < CHAOSIMG_ROUNDS; r++)
			lu[r] = n < EDGES ? edge[n] : edge[rng() % EDGES];
		fill(p, 16);
		for (i = 0; i < impl_count; i++) {
			chaosimg_cipher_set_key(&key, impls[i], k);
			chaosimg_frame_begin_raw(&key, &image, lu, NULL, 0, 0,
						 16);
			chaosimg_block_encrypt(&key, &image, out, p);
			if (!i)
				memcpy(want, out, 16);
			same(out, want, 16, impls[i]->name, "E", n);
			chaosimg_block_decrypt(&key, &image, out, out);
			same(out, p, 16, impls[i]->name, "E^-1", n);
		}
	}
}

/* With and without 128-bit integers, at the edges and anywhere. */
static void test_lattice(void **state)
{
	u64 a[CHAOSIMG_ROUNDS], b[CHAOSIMG_ROUNDS], w;
	u8 seed[64];
	int n;

	(void)state;
	for (n = 0; n < 200; n++) {
		fill(seed, 64);
		w = rng();
		if (n < 4) {
			memset(seed, n & 1 ? 0xff : 0, 64);
			w = n & 2 ? ~0ULL : 0;
		}
		chaosimg_lattice(a, seed, w);
		narrow_lattice(b, seed, w);
		assert_memory_equal(a, b, sizeof(a));
		/* The Weyl counter gets even a fixed point moving. */
		assert_true(a[0] != a[4] && a[4] != a[8] && a[8] != a[12]);
	}
}

/* --- choice and hygiene ------------------------------------------------- */

static void test_choice(void **state)
{
	const struct chaosimg_cipher_impl *list[CHAOSIMG_IMPLS_MAX];
	size_t n, i;

	(void)state;
	assert_int_equal(chaosimg_cipher_impls(0, list, 1), 1);
	assert_ptr_equal(list[0], &chaosimg_impl_generic);
	n = chaosimg_cipher_impls(~0U, list, CHAOSIMG_IMPLS_MAX);
	assert_true(n <= CHAOSIMG_IMPLS_MAX);
	assert_ptr_equal(list[n - 1], &chaosimg_impl_generic);
	assert_int_equal(chaosimg_cipher_impls(~0U, list, 0), n);
	for (i = 0; i < n; i++)
		if (list[i]->needs)
			assert_true(chaosimg_cipher_impls(list[i]->needs, list,
							  1) >= 2);
}

#ifdef __x86_64__
/* Where several would do, the fastest is chosen. */
static void test_order(void **state)
{
	static const char *const names[] = {
		"vaes-avx512", "vaes-avx2", "aesni", "generic",
	};
	const struct chaosimg_cipher_impl *list[CHAOSIMG_IMPLS_MAX];
	size_t i;

	(void)state;
	assert_int_equal(chaosimg_cipher_impls(~0U, list, 4), 4);
	for (i = 0; i < 4; i++)
		assert_string_equal(list[i]->name, names[i]);
	chaosimg_cipher_impls(~(u32)CHAOSIMG_CPU_AVX512, list, 1);
	assert_string_equal(list[0]->name, "vaes-avx2");
	/* Of the two by that name, the one that the CPU has all for. */
	assert_ptr_equal(list[0], &chaosimg_impl_avx2);
	chaosimg_cipher_impls(~(u32)(CHAOSIMG_CPU_AVX512 |
				     CHAOSIMG_CPU_VPCLMULQDQ), list, 2);
	assert_ptr_equal(list[0], &chaosimg_impl_avx2_pclmul);
	assert_ptr_equal(list[1], &chaosimg_impl_aesni);
	/* VAES without AES-NI does not exist, but must not be run either. */
	chaosimg_cipher_impls(CHAOSIMG_CPU_VAES_AVX2, list, 1);
	assert_string_equal(list[0]->name, "generic");
}

/* The line that begins with "flags", or NULL. */
static char *cpuinfo_flags(void)
{
	FILE *f = fopen("/proc/cpuinfo", "r");
	char *line = NULL;
	size_t size = 0;
	bool found = false;

	while (f && !found && getline(&line, &size, f) > 0)
		found = !strncmp(line, "flags", 5);
	if (f)
		fclose(f);
	if (found)
		return line;
	free(line);
	return NULL;
}

/* Is each of @names among the flags? */
static bool all_flags(const char *flags, const char *names)
{
	char word[32];
	int n;

	word[0] = ' ';
	for (; sscanf(names, "%29s%n", word + 1, &n) == 1; names += n) {
		strcat(word, " ");
		if (!strstr(flags, word))
			return false;
	}
	return true;
}

/* The kernel asks the CPU, too, and hides what it does not save. */
static void test_features(void **state)
{
	const u32 features = chaosimg_cpu_features();
	char *flags = cpuinfo_flags();

	(void)state;
	if (!flags)
		skip();
	flags[strcspn(flags, "\n")] = ' ';
	assert_int_equal(!!(features & CHAOSIMG_CPU_AESNI),
			 all_flags(flags, "aes pclmulqdq ssse3 sse4_1"));
	assert_int_equal(!!(features & CHAOSIMG_CPU_VAES_AVX2),
			 all_flags(flags, "avx2 vaes"));
	assert_int_equal(!!(features & CHAOSIMG_CPU_VPCLMULQDQ),
			 all_flags(flags, "vpclmulqdq vaes"));
	assert_int_equal(!!(features & CHAOSIMG_CPU_AVX512),
			 all_flags(flags, "avx512f avx512bw avx512vl vaes "
				   "vpclmulqdq gfni"));
	free(flags);
}
#endif

/* All that set_image() fills and all that the seed left is wiped. */
static void test_frame_end(void **state)
{
	static struct chaosimg_image image;
	struct chaosimg_cipher_key key;
	const u8 *p = (const u8 *)&image;
	u8 k[32];
	size_t i, n;

	(void)state;
	fill(k, 32);
	for (i = 0; i < impl_count; i++) {
		memset(&image, 0, sizeof(image));
		chaosimg_cipher_set_key(&key, impls[i], k);
		chaosimg_frame_begin(&key, &image, k, 100);
		chaosimg_frame_end(&key, &image);
		for (n = 0; n < sizeof(image); n++)
			if (p[n])
				fail_msg("%s leaves byte %zu", impls[i]->name,
					 n);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fips197),
		cmocka_unit_test(test_polyval_vector),
		cmocka_unit_test(test_hctr2_vectors),
		cmocka_unit_test(test_chaosimg_vectors),
		cmocka_unit_test(test_agreement_short),
		cmocka_unit_test(test_agreement_long),
		cmocka_unit_test(test_polyval_agreement),
		cmocka_unit_test(test_xctr_counter),
		cmocka_unit_test(test_pieces),
		cmocka_unit_test(test_xctr_hash),
		cmocka_unit_test(test_matrices),
		cmocka_unit_test(test_edge_matrices),
		cmocka_unit_test(test_lattice),
		cmocka_unit_test(test_choice),
#ifdef __x86_64__
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_features),
#endif
		cmocka_unit_test(test_frame_end),
	};

	impl_count = chaosimg_cipher_impls(chaosimg_cpu_features(), impls,
					   CHAOSIMG_IMPLS_MAX);
	impls[impl_count++] = &impl_narrow;
#ifdef __x86_64__
	if (chaosimg_cpu_features() & CHAOSIMG_CPU_VAES_AVX2)
		impls[impl_count++] = &chaosimg_impl_avx2_pclmul;
#endif
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("cipher", tests, NULL, NULL);
}
