// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Messages in scatterlists: the frame of cipher/frame.c, driven piece by piece
 * over memory that is cut anywhere. Nothing is allocated. Vector registers are
 * held, and preemption with them kept off, for SECTION bytes at a time.
 */
#include <linux/highmem.h>
#include <linux/kernel.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/string.h>

#include "kmod.h"
#include "simd.h"

enum {
	SECTION = 4096,		/* bytes between two rests */
	IMAGE_WORK = 1024,	/* deriving an image takes as long as these */
	STACK_USED = 1024,	/* more than the cipher's functions take */
};

/* --- sections ------------------------------------------------------------- */

static void rest(struct chaosimg_state *st)
{
	if (st->in_simd)
		chaosimg_simd_end();
	st->in_simd = false;
	st->work = 0;
	if (st->may_sleep)
		cond_resched();
}

/* Before every call of the cipher; @bytes are at most SECTION. */
static void work(struct chaosimg_state *st, unsigned int bytes)
{
	if (st->work + bytes > SECTION)
		rest(st);
	st->work += bytes;
	if (!st->simd || st->in_simd)
		return;
	chaosimg_simd_begin();
	st->in_simd = true;
}

/* --- a place in a scatterlist --------------------------------------------- */

struct cursor {
	struct scatterlist *sg;
	unsigned int off;
};

/* How many bytes lie in one piece here; 0 at the list's end. */
static unsigned int cursor_run(struct cursor *c)
{
	unsigned int in_page;

	while (c->sg && c->off == c->sg->length) {
		c->sg = sg_next(c->sg);
		c->off = 0;
	}
	if (!c->sg)
		return 0;
	in_page = PAGE_SIZE - offset_in_page(c->sg->offset + c->off);
	return min(c->sg->length - c->off, in_page);
}

static struct page *cursor_page(const struct cursor *c)
{
	const unsigned int at = c->sg->offset + c->off;

	return pfn_to_page(page_to_pfn(sg_page(c->sg)) + (at >> PAGE_SHIFT));
}

static u8 *cursor_map(const struct cursor *c)
{
	return (u8 *)kmap_local_page(cursor_page(c)) +
		offset_in_page(c->sg->offset + c->off);
}

static int cursor_read(struct cursor *c, u8 *buf, unsigned int len)
{
	unsigned int n;
	u8 *p;

	for (; len; len -= n, buf += n, c->off += n) {
		n = min(len, cursor_run(c));
		if (!n)
			return -EINVAL;
		p = cursor_map(c);
		memcpy(buf, p, n);
		kunmap_local(p);
	}
	return 0;
}

static int cursor_write(struct cursor *c, const u8 *buf, unsigned int len)
{
	unsigned int n;
	u8 *p;

	for (; len; len -= n, buf += n, c->off += n) {
		n = min(len, cursor_run(c));
		if (!n)
			return -EINVAL;
		p = cursor_map(c);
		memcpy(p, buf, n);
		flush_dcache_page(cursor_page(c));
		kunmap_local(p);
	}
	return 0;
}

static int cursor_skip(struct cursor *c, unsigned int len)
{
	unsigned int n;

	for (; len; len -= n, c->off += n) {
		n = min(len, cursor_run(c));
		if (!n)
			return -EINVAL;
	}
	return 0;
}

/* --- the frame, by pieces ------------------------------------------------- */

/* Hash a list's next @len bytes into st->hash. */
static int hash_list(struct chaosimg_state *st, struct cursor src,
		     unsigned int len, u64 flip)
{
	unsigned int n;
	u8 *p;

	chaosimg_hash_init(&st->image, &st->hash, flip);
	for (; len; len -= n, src.off += n) {
		n = min3(len, cursor_run(&src), (unsigned int)SECTION);
		if (!n)
			return -EINVAL;
		work(st, n);
		p = cursor_map(&src);
		chaosimg_hash_update(st->key, &st->hash, p, n);
		kunmap_local(p);
	}
	return 0;
}

static void xctr_and_hash(struct chaosimg_state *st, u64 first, u8 *dst,
			  const u8 *src, unsigned int n)
{
	chaosimg_xctr_hash(st->key, &st->image, &st->hash, st->s, first, dst,
			   src, n);
}

static void xctr_piece(struct chaosimg_state *st, u64 first,
		       struct cursor *dst, struct cursor *src, unsigned int n)
{
	u8 *s, *d;

	work(st, n);
	s = cursor_map(src);
	d = cursor_map(dst);
	xctr_and_hash(st, first, d, s, n);
	flush_dcache_page(cursor_page(dst));
	kunmap_local(d);
	kunmap_local(s);
	src->off += n;
	dst->off += n;
}

/* A block that a boundary cuts, or that a boundary follows too soon. */
static int xctr_cut_block(struct chaosimg_state *st, u64 first,
			  struct cursor *dst, struct cursor *src,
			  unsigned int n)
{
	int err = cursor_read(src, st->block, n);

	if (err)
		return err;
	work(st, n);
	xctr_and_hash(st, first, st->block, st->block, n);
	return cursor_write(dst, st->block, n);
}

/* XCTR over the lists' next @len bytes, and the hash of what comes out. */
static int xctr_list(struct chaosimg_state *st, struct cursor dst,
		     struct cursor src, unsigned int len, u64 flip)
{
	unsigned int n;
	u64 first = 1;
	int err = 0;

	chaosimg_hash_init(&st->image, &st->hash, flip);
	for (; len && !err; len -= n, first += n / CHAOSIMG_BLOCK) {
		n = min3(len, cursor_run(&src), cursor_run(&dst));
		n = min_t(unsigned int, n, SECTION);
		if (n < len)
			n -= n % CHAOSIMG_BLOCK;
		if (n) {
			xctr_piece(st, first, &dst, &src, n);
		} else {
			n = min_t(unsigned int, len, CHAOSIMG_BLOCK);
			err = xctr_cut_block(st, first, &dst, &src, n);
		}
	}
	return err;
}

/* @block ^= the hash and @flip */
static void add_hash(struct chaosimg_state *st, u8 *block, u64 flip)
{
	u8 h[CHAOSIMG_BLOCK];
	int i;

	work(st, CHAOSIMG_BLOCK);
	chaosimg_hash_final(st->key, &st->hash, h);
	for (i = 0; i < CHAOSIMG_BLOCK; i++)
		block[i] ^= h[i] ^ (u8)flip;
	memzero_explicit(h, sizeof(h));
}

/* The one block between the two hashes, and S. */
static void middle(struct chaosimg_state *st, bool decrypt)
{
	int i;

	work(st, CHAOSIMG_BLOCK);
	if (decrypt)
		chaosimg_block_decrypt(st->key, &st->image, st->out, st->in);
	else
		chaosimg_block_encrypt(st->key, &st->image, st->out, st->in);
	for (i = 0; i < CHAOSIMG_BLOCK; i++)
		st->s[i] = st->in[i] ^ st->out[i] ^ st->key->l[i];
}

/* Both directions: the complement belongs to the side of the plaintext. */
static int crypt_lists(struct chaosimg_state *st,
		       const struct chaosimg_message *m)
{
	const unsigned int len = m->len - CHAOSIMG_BLOCK;
	struct cursor src = { m->src }, dst = { m->dst }, head = dst;
	u64 flip_in, flip_out;
	int err;

	err = cursor_read(&src, st->in, CHAOSIMG_BLOCK) ?:
		cursor_skip(&dst, CHAOSIMG_BLOCK);
	if (err)
		return err;
	work(st, IMAGE_WORK);
	chaosimg_frame_begin(st->key, &st->image, m->iv, m->len);
	flip_in = m->decrypt ? 0 : st->image.flip;
	flip_out = st->image.flip ^ flip_in;

	err = hash_list(st, src, len, flip_in);
	if (err)
		return err;
	add_hash(st, st->in, flip_in);
	middle(st, m->decrypt);
	err = xctr_list(st, dst, src, len, flip_out);
	if (err)
		return err;
	add_hash(st, st->out, flip_out);
	return cursor_write(&head, st->out, CHAOSIMG_BLOCK);
}

/* What compilers spill is not named anywhere: overwrite where it has been. */
static noinline void wipe_stack(void)
{
	u8 below[STACK_USED];

	memzero_explicit(below, sizeof(below));
}

int chaosimg_crypt(const struct chaosimg_ctx *ctx, struct chaosimg_state *st,
		   const struct chaosimg_message *m)
{
	int err;

	if (m->len < CHAOSIMG_BLOCK)
		return -EINVAL;
	st->simd = ctx->fast_set && chaosimg_simd_usable();
	st->key = st->simd ? &ctx->fast : &ctx->generic;
	st->may_sleep = m->may_sleep;
	st->in_simd = false;
	st->work = 0;
	err = crypt_lists(st, m);
	rest(st);
	chaosimg_frame_end(st->key, &st->image);
	memzero_explicit(st, offsetof(struct chaosimg_state, image));
	wipe_stack();
	return err;
}

void chaosimg_set_key(struct chaosimg_ctx *ctx, const u8 *key)
{
	chaosimg_cipher_set_key(&ctx->generic, &chaosimg_impl_generic, key);
	ctx->fast_set = ctx->impl->simd && chaosimg_simd_usable();
	if (ctx->fast_set) {
		chaosimg_simd_begin();
		chaosimg_cipher_set_key(&ctx->fast, ctx->impl, key);
		chaosimg_simd_end();
	}
	wipe_stack();
}
