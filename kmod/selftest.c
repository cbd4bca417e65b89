// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The proof that each implementation gives at load: known answers, and random
 * messages against generic in one piece, all with memory cut at random. The
 * gaps between the pieces are checked, too.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/gfp.h>
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/random.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "kmod.h"
#include "vectors.h"

enum {
	ROUNDS = 32,		/* random messages */
	MESSAGE_MAX = 6000,
	PIECES_MAX = 48,
	GAP_MAX = 64,
	ORDER = 2,
	GAP_BYTE = 0xa5,
};

#define ARENA (PAGE_SIZE << ORDER)

/* Pieces of an arena, with gaps between them. */
struct layout {
	u8 *arena;
	struct scatterlist sg[PIECES_MAX];
};

struct selftest {
	struct chaosimg_ctx ctx, reference;
	struct chaosimg_state state;
	struct layout src, dst;
	bool spoil;
	u8 *expected;			/* an arena */
	u8 key[CHAOSIMG_KEY_SIZE], iv[CHAOSIMG_TWEAK];
	u8 plaintext[MESSAGE_MAX], ciphertext[MESSAGE_MAX];
};

static unsigned int random_below(unsigned int n)
{
	return get_random_u32() % n;
}

/* --- memory --------------------------------------------------------------- */

/* Small pieces and large ones, at odd offsets, and a few of nothing. */
static unsigned int random_piece(unsigned int len)
{
	return random_below(random_below(2) ? 40 : len + 1);
}

static void cut_at_random(struct layout *l, unsigned int len)
{
	unsigned int pieces, off = 0, n;

	sg_init_table(l->sg, PIECES_MAX);
	for (pieces = 1; len; pieces++, len -= n) {
		n = pieces == PIECES_MAX ? len : min(len, random_piece(len));
		off += random_below(GAP_MAX);
		sg_set_buf(&l->sg[pieces - 1], l->arena + off, n);
		off += n;
		if (n == len)
			sg_mark_end(&l->sg[pieces - 1]);
	}
}

/* What the arena must hold, with @data in the pieces. */
static void lay_out(u8 *arena, struct layout *l, const u8 *data)
{
	struct scatterlist *sg;

	memset(arena, GAP_BYTE, ARENA);
	for (sg = l->sg; sg; sg = sg_next(sg)) {
		memcpy(arena + ((u8 *)sg_virt(sg) - l->arena), data,
		       sg->length);
		data += sg->length;
	}
}

/* --- one message ---------------------------------------------------------- */

static int run(struct selftest *t, struct layout *src, struct layout *dst,
	       unsigned int len, bool decrypt)
{
	const struct chaosimg_message message = {
		.src = src->sg,
		.dst = dst->sg,
		.len = len,
		.iv = t->iv,
		.decrypt = decrypt,
		.may_sleep = true,
	};

	return chaosimg_crypt(&t->ctx, &t->state, &message);
}

/* @from must become @to, in place or not, and nothing else may change. */
static int try(struct selftest *t, const u8 *from, const u8 *to,
	       unsigned int len, bool decrypt, bool in_place)
{
	struct layout *dst = in_place ? &t->src : &t->dst;
	int err;

	cut_at_random(&t->src, len);
	lay_out(t->src.arena, &t->src, from);
	if (!in_place) {
		cut_at_random(dst, len);
		memset(dst->arena, GAP_BYTE, ARENA);
	}
	lay_out(t->expected, dst, to);
	err = run(t, &t->src, dst, len, decrypt);
	if (t->spoil)
		dst->arena[random_below(ARENA)] ^= 1 << random_below(8);
	if (!err && !memcmp(dst->arena, t->expected, ARENA))
		return 0;
	pr_err("chaosimg-%s is wrong: %s of %u bytes%s\n", t->ctx.impl->name,
	       decrypt ? "decryption" : "encryption", len,
	       in_place ? " in place" : "");
	return -EBADMSG;
}

static int try_all(struct selftest *t, unsigned int len)
{
	int i, err = 0;

	for (i = 0; i < 4 && !err; i++)
		err = i & 1 ? try(t, t->ciphertext, t->plaintext, len, true,
				  i & 2) :
			try(t, t->plaintext, t->ciphertext, len, false, i & 2);
	return err;
}

/* --- known answers, and generic's ----------------------------------------- */

static int known_answers(struct selftest *t)
{
	const struct vector *v;
	int err = 0;

	for (v = vectors; v < vectors + ARRAY_SIZE(vectors) && !err; v++) {
		chaosimg_set_key(&t->ctx, (const u8 *)v->key);
		memcpy(t->iv, v->iv, sizeof(t->iv));
		memcpy(t->plaintext, v->plaintext, v->len);
		memcpy(t->ciphertext, v->ciphertext, v->len);
		err = try_all(t, v->len);
	}
	return err;
}

/* generic, in one piece that begins at a page. */
static int reference_encrypt(struct selftest *t, unsigned int len)
{
	struct scatterlist sg;
	const struct chaosimg_message message = {
		.src = &sg,
		.dst = &sg,
		.len = len,
		.iv = t->iv,
		.may_sleep = true,
	};
	int err;

	sg_init_one(&sg, t->src.arena, len);
	memcpy(t->src.arena, t->plaintext, len);
	err = chaosimg_crypt(&t->reference, &t->state, &message);
	memcpy(t->ciphertext, t->src.arena, len);
	return err;
}

static int random_messages(struct selftest *t)
{
	unsigned int len;
	int i, err = 0;

	for (i = 0; i < ROUNDS && !err; i++) {
		get_random_bytes(t->key, sizeof(t->key));
		get_random_bytes(t->iv, sizeof(t->iv));
		len = CHAOSIMG_BLOCK + random_below(i % 2 ? 600 :
				MESSAGE_MAX - CHAOSIMG_BLOCK + 1);
		get_random_bytes(t->plaintext, len);
		chaosimg_set_key(&t->ctx, t->key);
		if (i % 4 == 3)
			t->ctx.fast_set = false;	/* must fall back */
		chaosimg_set_key(&t->reference, t->key);
		err = reference_encrypt(t, len) ?: try_all(t, len);
	}
	return err;
}

int chaosimg_selftest(const struct chaosimg_cipher_impl *impl, bool spoil)
{
	struct selftest *t = kvzalloc(sizeof(*t), GFP_KERNEL);
	int err = -ENOMEM;

	if (!t)
		return err;
	t->ctx.impl = impl;
	t->reference.impl = &chaosimg_impl_generic;
	t->spoil = spoil;
	t->src.arena = (u8 *)__get_free_pages(GFP_KERNEL, ORDER);
	t->dst.arena = (u8 *)__get_free_pages(GFP_KERNEL, ORDER);
	t->expected = (u8 *)__get_free_pages(GFP_KERNEL, ORDER);
	if (t->src.arena && t->dst.arena && t->expected)
		err = known_answers(t) ?: random_messages(t);
	free_pages((unsigned long)t->expected, ORDER);
	free_pages((unsigned long)t->dst.arena, ORDER);
	free_pages((unsigned long)t->src.arena, ORDER);
	kvfree(t);
	return err;
}
