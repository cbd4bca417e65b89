// SPDX-License-Identifier: GPL-2.0-or-later
/* Keysets under policies: made so, wrapped so later, and looked at. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "keyset_policy.h"

/* --- made ------------------------------------------------------------------ */

static int add_text(struct policy_texts *out, const struct policy_wrap *w)
{
	char *text = policy_wrap_text(w);

	if (!text)
		return fail(ENOMEM, "no memory for a keyset");
	out->text[out->n++] = text;
	return 0;
}

int keyset_policy_texts(const struct chaosimg_archive *a,
			const struct keyset *ks, const struct policies *p,
			struct policy_texts *out)
{
	struct policy_wrap w;
	unsigned int c;
	int ret = 0;

	out->n = 0;
	for (c = 0; c < CHAOSIMG_COMPARTMENTS && !ret; c++) {
		if (!*p->policy[c])
			continue;
		ret = policy_wrap_make(a, ks, p, c, &w);
		if (ret)
			break;
		ret = add_text(out, &w);
		policy_wrap_free(&w);
	}
	return ret;
}

void policy_texts_free(struct policy_texts *t)
{
	while (t->n)
		free(t->text[--t->n]);
}

/* --- looked at ------------------------------------------------------------- */

static int look(struct json_object *object, const char *where,
		int (*fn)(void *ctx, const struct policy_wrap *w), void *ctx)
{
	struct policy_wrap w;
	const char *under;
	int ret = keyset_wrap_under(object, where, &under);

	if (ret || strcmp(under, "policy"))
		return ret;
	ret = policy_wrap_parse(object, where, &w);
	if (ret)
		return ret;
	ret = fn(ctx, &w);
	policy_wrap_free(&w);
	return ret;
}

int keyset_policy_wraps(const struct keyset_text *t,
			int (*fn)(void *ctx, const struct policy_wrap *w),
			void *ctx)
{
	size_t i;
	int ret = 0;

	for (i = 0; i < json_object_array_length(t->wraps) && !ret; i++)
		ret = look(json_object_array_get_idx(t->wraps, i), t->where,
			   fn, ctx);
	return ret;
}

/** struct promise - what a user should be able to open */
struct promise {
	const char *attribute[CHAOSIMG_USER_ATTRIBUTES_MAX];
	size_t n;
	uint8_t set;
};

static int promised(void *ctx, const struct policy_wrap *w)
{
	struct promise *pr = ctx;
	struct chaosimg_policy *p;
	int ret = policy_peek(w->ciphertext, w->len, &p);

	if (ret)
		return ret;
	if (chaosimg_policy_satisfied(p, pr->attribute, pr->n))
		pr->set |= held_bit(w->compartment);
	chaosimg_policy_free(p);
	return 0;
}

int keyset_promises(const struct chaosimg_archive *a, const char *path,
		    const uint8_t id[CHAOSIMG_ID_SIZE],
		    const struct chaosimg_user *u, uint8_t *set)
{
	struct promise pr = { .set = 0 };
	struct keyset_text t;
	int ret = keyset_read(a, path, id, &t);

	if (ret)
		return ret;
	while ((pr.attribute[pr.n] = chaosimg_user_attribute(u, pr.n)) &&
	       ++pr.n < CHAOSIMG_USER_ATTRIBUTES_MAX)
		;
	ret = keyset_policy_wraps(&t, promised, &pr);
	*set = pr.set;
	json_object_put(t.root);
	return ret;
}

/* --- wrapped later --------------------------------------------------------- */

/**
 * struct extension - the wraps that a keyset gets
 * @t: its file
 * @fresh: those under the policies
 * @fresh_n: how many
 * @text: of all; the last @made of them are for free()
 * @texts: how many
 * @made: how many of them are new
 */
struct extension {
	struct keyset_text t;
	struct policy_wrap fresh[CHAOSIMG_COMPARTMENTS];
	unsigned int fresh_n;
	const char *text[KEYSET_WRAPS_MAX + CHAOSIMG_COMPARTMENTS];
	size_t texts;
	size_t made;
};

/* Policy and authorities are the same, byte for byte. */
static bool same_terms(const struct policy_wrap *a, const struct policy_wrap *b)
{
	size_t head;

	return a->compartment == b->compartment && a->len == b->len &&
	       !policy_head(b->ciphertext, b->len, &head) &&
	       !memcmp(a->ciphertext, b->ciphertext, head);
}

/* Is it replaced by one of the new ones? A damaged one opens for nobody. */
static int replaced(const struct extension *e, struct json_object *object,
		    bool *yes)
{
	struct policy_wrap old;
	unsigned int i;
	size_t head;
	int ret = policy_wrap_parse(object, e->t.where, &old);

	if (!ret)
		ret = policy_head(old.ciphertext, old.len, &head);
	*yes = ret == -EBADMSG;
	for (i = 0; i < e->fresh_n && !ret && !*yes; i++)
		*yes = same_terms(&old, &e->fresh[i]);
	policy_wrap_free(&old);
	return ret == -ENOMEM ? ret : 0;
}

/* keyset_store() makes those under the archive key and of shares anew. */
static int keep(struct extension *e, struct json_object *object)
{
	const char *under;
	bool gone = false;
	int ret = keyset_wrap_under(object, e->t.where, &under);

	if (ret)
		return ret;
	if (!strcmp(under, "archive-key") || !strcmp(under, "compartment"))
		return 0;
	if (!strcmp(under, "policy"))
		ret = replaced(e, object, &gone);
	if (!ret && !gone)
		e->text[e->texts++] = json_object_to_json_string_ext(object,
						JSON_C_TO_STRING_PLAIN);
	return ret;
}

static int add_fresh(struct extension *e)
{
	while (e->made < e->fresh_n) {
		char *text = policy_wrap_text(&e->fresh[e->made]);

		if (!text)
			return fail(ENOMEM, "no memory for a keyset");
		e->text[e->texts++] = text;
		e->made++;
	}
	return 0;
}

static int extend(struct extension *e, const struct chaosimg_archive *a,
		  const char *path, const struct keyset *ks,
		  const struct policies *p)
{
	unsigned int c;
	size_t i;
	int ret = 0;

	for (c = 0; c < CHAOSIMG_COMPARTMENTS && !ret; c++) {
		if (!*p->policy[c])
			continue;
		ret = policy_wrap_make(a, ks, p, c, &e->fresh[e->fresh_n]);
		e->fresh_n += !ret;
	}
	for (i = 0; i < json_object_array_length(e->t.wraps) && !ret; i++)
		ret = keep(e, json_object_array_get_idx(e->t.wraps, i));
	if (!ret)
		ret = add_fresh(e);
	return ret ? ret : keyset_store(a, path, ks, e->text, e->texts);
}

int keyset_extend(struct chaosimg_archive *a, const char *path,
		  const uint8_t id[CHAOSIMG_ID_SIZE], const struct policies *p)
{
	struct extension e = { .fresh_n = 0 };
	const struct keyset *ks;
	int ret = keyset_demand(a, id, &ks);

	if (!ret)
		ret = keyset_read(a, path, id, &e.t);
	if (ret)
		return ret;
	ret = extend(&e, a, path, ks, p);
	while (e.made--)
		free((char *)e.text[--e.texts]);
	while (e.fresh_n)
		policy_wrap_free(&e.fresh[--e.fresh_n]);
	json_object_put(e.t.root);
	return ret;
}
