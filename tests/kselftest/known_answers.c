// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Known answers: every vector in both directions through every driver, by each
 * of libkcapi's ways into the kernel, and with the kernel's scatterlists cut at
 * every place; and what must be refused.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "alg.h"
#include "tap.h"

static struct alg_vector *vectors;
static size_t vector_count;

/* The longest vector, and room to begin at any offset in a page. */
enum { PAGE = 4096, ROOM = 4 * PAGE };

static uint8_t in_room[ROOM] __attribute__((aligned(PAGE)));
static uint8_t out_room[ROOM] __attribute__((aligned(PAGE)));

/* --- libkcapi ------------------------------------------------------------- */

#ifdef HAVE_LIBKCAPI
#include <kcapi.h>

/* A way into the kernel: one message from @src to @dst. */
typedef ssize_t (*way)(struct kcapi_handle *h, bool encrypt, const uint8_t *iv,
		       uint8_t *dst, const uint8_t *src, size_t len);

static ssize_t one_shot(struct kcapi_handle *h, bool encrypt, const uint8_t *iv,
			uint8_t *dst, const uint8_t *src, size_t len,
			int access)
{
	return encrypt ?
		kcapi_cipher_encrypt(h, src, len, iv, dst, len, access) :
		kcapi_cipher_decrypt(h, src, len, iv, dst, len, access);
}

static ssize_t way_sendmsg(struct kcapi_handle *h, bool encrypt,
			   const uint8_t *iv, uint8_t *dst, const uint8_t *src,
			   size_t len)
{
	return one_shot(h, encrypt, iv, dst, src, len, KCAPI_ACCESS_SENDMSG);
}

static ssize_t way_vmsplice(struct kcapi_handle *h, bool encrypt,
			    const uint8_t *iv, uint8_t *dst,
			    const uint8_t *src, size_t len)
{
	return one_shot(h, encrypt, iv, dst, src, len, KCAPI_ACCESS_VMSPLICE);
}

/* Three pieces in, two out. */
static ssize_t way_stream(struct kcapi_handle *h, bool encrypt,
			  const uint8_t *iv, uint8_t *dst, const uint8_t *src,
			  size_t len)
{
	uint8_t *p = (uint8_t *)(uintptr_t)src;
	size_t third = len / 3;
	struct iovec in[3] = {
		{ p, third },
		{ p + third, third },
		{ p + 2 * third, len - 2 * third },
	};
	struct iovec out[2] = {
		{ dst, len / 2 },
		{ dst + len / 2, len - len / 2 },
	};
	ssize_t n;

	n = encrypt ? kcapi_cipher_stream_init_enc(h, iv, &in[0], 1) :
		kcapi_cipher_stream_init_dec(h, iv, &in[0], 1);
	if (n >= 0)
		n = kcapi_cipher_stream_update(h, &in[1], 1);
	if (n >= 0)
		n = kcapi_cipher_stream_update_last(h, &in[2], 1);
	return n < 0 ? n : kcapi_cipher_stream_op(h, out, 2);
}

/*
 * Three requests of the same message at once; but one if the message ends
 * inside a block, as a socket divides what it holds at blocks.
 */
static ssize_t way_aio(struct kcapi_handle *h, bool encrypt, const uint8_t *iv,
		       uint8_t *dst, const uint8_t *src, size_t len)
{
	static uint8_t copies[2][ROOM];
	const int count = len % ALG_BLOCK ? 1 : 3;
	struct iovec in[3], out[3];
	ssize_t n;
	int i;

	for (i = 0; i < count; i++) {
		in[i].iov_base = (void *)(uintptr_t)src;
		out[i].iov_base = i ? copies[i - 1] : dst;
		in[i].iov_len = out[i].iov_len = len;
	}
	memset(copies, 0, sizeof(copies));
	n = encrypt ?
		kcapi_cipher_encrypt_aio(h, in, out, count, iv,
					 KCAPI_ACCESS_SENDMSG) :
		kcapi_cipher_decrypt_aio(h, in, out, count, iv,
					 KCAPI_ACCESS_SENDMSG);
	if (n != (ssize_t)(count * len))
		return n < 0 ? n : -EMSGSIZE;
	for (i = 1; i < count; i++)
		if (memcmp(copies[i - 1], dst, len))
			return -EBADMSG;
	return len;
}

static bool kcapi_answer(struct kcapi_handle *h, way w,
			 const struct alg_vector *v, bool encrypt)
{
	ssize_t n;

	memset(out_room, 0xa5, ROOM);
	memcpy(in_room, encrypt ? v->plain : v->cipher, v->len);
	n = w(h, encrypt, v->iv, out_room, in_room, v->len);
	if (n == (ssize_t)v->len && out_room[v->len] == 0xa5 &&
	    !memcmp(out_room, encrypt ? v->cipher : v->plain, v->len))
		return true;
	tap_diag("%s of %zu bytes: %zd", encrypt ? "encryption" : "decryption",
		 v->len, n);
	return false;
}

static bool kcapi_vector(const char *driver, way w, int flags,
			 const struct alg_vector *v)
{
	struct kcapi_handle *h;
	bool good;
	int err = kcapi_cipher_init(&h, driver, flags);

	if (err) {
		tap_diag("kcapi_cipher_init: %s", strerror(-err));
		return false;
	}
	good = kcapi_cipher_ivsize(h) == ALG_IV &&
		kcapi_cipher_blocksize(h) == ALG_BLOCK &&
		!kcapi_cipher_setkey(h, v->key, ALG_KEY) &&
		kcapi_answer(h, w, v, true) && kcapi_answer(h, w, v, false) &&
		kcapi_answer(h, w, v, true);
	kcapi_cipher_destroy(h);
	return good;
}

static void test_kcapi(const char *driver)
{
	static const struct {
		const char *name;
		way w;
		int flags;
	} ways[] = {
		{ "sendmsg", way_sendmsg, 0 },
		{ "vmsplice", way_vmsplice, 0 },
		{ "a stream of pieces", way_stream, 0 },
		{ "asynchronous requests", way_aio, KCAPI_INIT_AIO },
	};
	size_t i, k;
	bool good;

	for (k = 0; k < sizeof(ways) / sizeof(*ways); k++) {
		good = true;
		for (i = 0; i < vector_count; i++)
			good &= kcapi_vector(driver, ways[k].w, ways[k].flags,
					     &vectors[i]);
		tap_ok(good, "%s: all vectors by libkcapi, %s", driver,
		       ways[k].name);
	}
}
#else
static void test_kcapi(const char *driver)
{
	(void)driver;
	tap_skip("all vectors by libkcapi", "built without libkcapi");
}
#endif

/* --- scatterlists --------------------------------------------------------- */

/**
 * struct cut - how a message lies in memory
 * @offset: of its first byte in a page
 * @at: where it is cut in two, both before and after
 */
struct cut {
	size_t in_offset, in_at, out_offset, out_at;
	bool splice;
};

static size_t pieces(struct iovec *iov, uint8_t *p, size_t len, size_t at)
{
	size_t count = 0;

	if (at)
		iov[count++] = (struct iovec){ p, at };
	if (at < len)
		iov[count++] = (struct iovec){ p + at, len - at };
	return count;
}

static bool cut_answer(int op, const struct alg_vector *v, bool encrypt,
		       const struct cut *cut)
{
	uint8_t *src = in_room + cut->in_offset;
	uint8_t *dst = out_room + PAGE + cut->out_offset;
	struct iovec in[2], out[2];
	struct alg_request r = {
		.encrypt = encrypt,
		.splice = cut->splice,
		.iv = v->iv,
		.in = in,
		.out = out,
		.in_count = pieces(in, src, v->len, cut->in_at),
		.out_count = pieces(out, dst, v->len, cut->out_at),
	};
	long n;

	memcpy(src, encrypt ? v->plain : v->cipher, v->len);
	memset(dst - 16, 0xa5, v->len + 32);
	n = alg_crypt(op, &r);
	if (n == (long)v->len && dst[-1] == 0xa5 && dst[n] == 0xa5 &&
	    !memcmp(dst, encrypt ? v->cipher : v->plain, n))
		return true;
	tap_diag("%s of %zu bytes, in %zu+%zu, out %zu+%zu%s: %ld",
		 encrypt ? "encryption" : "decryption", v->len, cut->in_offset,
		 cut->in_at, cut->out_offset, cut->out_at,
		 cut->splice ? ", spliced" : "", n);
	return false;
}

/*
 * Every place in short messages, if @all; the ends, and some, in long ones. The
 * stride is odd, so that all offsets in a block come up.
 */
static size_t next_place(size_t at, size_t len, bool all)
{
	const size_t stride = len <= 300 ? 7 : 97;

	if (all && (len <= 300 || at < 40 || at + 40 >= len))
		return at + 1;
	if (at + stride < len)
		return at + stride;
	return at < len ? len : len + 1;
}

static bool cut_everywhere(int op, const struct alg_vector *v, bool splice,
			   bool all)
{
	struct cut cut = { .splice = splice };
	bool good = true;
	size_t at;

	for (at = 0; at <= v->len && good; at = next_place(at, v->len, all)) {
		cut.in_at = at;
		cut.in_offset = (at * 7) % PAGE;
		cut.out_offset = PAGE - 1 - (at * 5) % PAGE;
		cut.out_at = v->len - at;
		good = cut_answer(op, v, true, &cut);
		cut.out_at = at;
		good = good && cut_answer(op, v, false, &cut);
	}
	return good;
}

static bool cut_vector(const char *driver, const struct alg_vector *v,
		       bool splice, bool all)
{
	int op, transform = alg_keyed(driver, v->key);
	bool good;

	if (transform < 0)
		return false;
	op = alg_operation(transform);
	good = op >= 0 && cut_everywhere(op, v, splice, all);
	close(op);
	close(transform);
	return good;
}

static void test_cuts(const char *driver, bool splice)
{
	bool good = true;
	size_t i;

	/* There are two vectors of each length. */
	for (i = 0; i < vector_count; i++)
		good &= cut_vector(driver, &vectors[i], splice, !i ||
				   vectors[i].len != vectors[i - 1].len);
	tap_ok(good, "%s: all vectors, cut in two at every place, %s", driver,
	       splice ? "in spliced pages" : "sent");
}

/* A page for each few bytes: a scatterlist of hundreds of entries. */
static bool crumbs(int op, const struct alg_vector *v, bool encrypt,
		   size_t size)
{
	static uint8_t pages[2][ALG_PIECES_MAX][PAGE];
	struct iovec iov[2][ALG_PIECES_MAX];
	struct alg_request r = {
		.encrypt = encrypt,
		.splice = true,
		.iv = v->iv,
		.in = iov[0],
		.out = iov[1],
	};
	const uint8_t *src = encrypt ? v->plain : v->cipher;
	const uint8_t *want = encrypt ? v->cipher : v->plain;
	size_t i, n, done = 0, offset;
	long got;

	for (i = 0; done < v->len; i++, done += n) {
		n = size < v->len - done ? size : v->len - done;
		offset = (i * 61) % (PAGE - size);
		memcpy(pages[0][i] + offset, src + done, n);
		iov[0][i] = (struct iovec){ pages[0][i] + offset, n };
		iov[1][i] = (struct iovec){ pages[1][i] + offset / 2, n };
	}
	r.in_count = r.out_count = i;
	got = alg_crypt(op, &r);
	if (got != (long)v->len) {
		tap_diag("%zu pieces: %ld", i, got);
		return false;
	}
	for (i = 0, done = 0; done < v->len; done += iov[1][i++].iov_len)
		if (memcmp(iov[1][i].iov_base, want + done, iov[1][i].iov_len))
			return false;
	return true;
}

static void test_crumbs(const char *driver)
{
	static const size_t sizes[] = { 1, 3, 15, 16, 17, 33, 100, 1000 };
	size_t i, k;
	bool good = true;
	int op, transform;

	for (i = 0; i < vector_count; i++) {
		transform = alg_keyed(driver, vectors[i].key);
		op = alg_operation(transform);
		for (k = 0; k < sizeof(sizes) / sizeof(*sizes) && good; k++) {
			if (vectors[i].len / sizes[k] + 1 > ALG_PIECES_MAX)
				continue;
			good = crumbs(op, &vectors[i], true, sizes[k]) &&
				crumbs(op, &vectors[i], false, sizes[k]);
			if (!good)
				tap_diag("%zu bytes in pieces of %zu",
					 vectors[i].len, sizes[k]);
		}
		close(op);
		close(transform);
	}
	tap_ok(good, "%s: all vectors, in crumbs of many pages", driver);
}

/* --- what must be refused ------------------------------------------------- */

static void test_key_lengths(const char *driver)
{
	uint8_t key[128] = { 1, 2, 3 };
	int err, transform = alg_transform(driver);
	bool good = transform >= 0;
	size_t len;

	for (len = 0; len <= sizeof(key); len++) {
		err = alg_set_key(transform, key, len);
		if (err == (len == ALG_KEY ? 0 : -EINVAL))
			continue;
		tap_diag("a key of %zu bytes: %d", len, err);
		good = false;
	}
	close(transform);
	tap_ok(good, "%s: keys of 32 bytes, and no others", driver);
}

static void test_lengths(const char *driver)
{
	const struct alg_vector *v = &vectors[0];
	int err, transform = alg_keyed(driver, v->key);
	uint8_t out[ALG_BLOCK];
	bool good = transform >= 0;
	size_t len;

	for (len = 1; len < ALG_BLOCK; len++) {
		err = alg_simple(transform, len & 1, v->iv, out, v->plain, len);
		if (err == -EINVAL)
			continue;
		tap_diag("a message of %zu bytes: %d", len, err);
		good = false;
	}
	/* It must be as good as before. */
	good = good && !alg_simple(transform, true, v->iv, out, v->plain,
				   ALG_BLOCK) &&
		!memcmp(out, v->cipher, ALG_BLOCK);
	close(transform);
	tap_ok(good, "%s: messages shorter than 16 bytes are refused", driver);
}

static void test_no_key(const char *driver)
{
	const struct alg_vector *v = &vectors[0];
	int transform = alg_transform(driver);
	uint8_t out[ALG_BLOCK];

	tap_ok(alg_simple(transform, true, v->iv, out, v->plain, ALG_BLOCK) ==
	       -ENOKEY, "%s: nothing without a key", driver);
	close(transform);
}

/* --- all of it ------------------------------------------------------------ */

static void test_driver(const struct alg_driver *d, bool many_pieces)
{
	test_kcapi(d->name);
	test_cuts(d->name, false);
	test_cuts(d->name, true);
	if (many_pieces)
		test_crumbs(d->name);
	else
		tap_skip("in crumbs of many pages", "needs root");
	test_key_lengths(d->name);
	test_lengths(d->name);
	test_no_key(d->name);
}

int main(int argc, char **argv)
{
	struct alg_driver drivers[ALG_DRIVERS_MAX];
	bool many_pieces;
	int i, count;

	(void)argc;
	tap_begin();
	count = alg_drivers(drivers);
	if (!count)
		tap_skip_all("this kernel has no chaosimg");
	many_pieces = alg_limits();
	vector_count = alg_vectors(argv[0], &vectors);
	for (i = 0; i < count; i++)
		test_driver(&drivers[i], many_pieces);
	tap_end();
}
