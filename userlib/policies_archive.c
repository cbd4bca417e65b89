// SPDX-License-Identifier: GPL-2.0-or-later
/* The policies of an archive, for whoever looks at them or changes them. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config_change.h"
#include "error.h"
#include "keyset_policy.h"

/* --- looked at ------------------------------------------------------------- */

static int decode(const struct policies *p, struct chaosimg_policies *out)
{
	unsigned int c;
	int ret = 0;

	for (c = 0; c < CHAOSIMG_COMPARTMENTS && !ret; c++)
		if (*p->policy[c])
			ret = chaosimg_policy_parse(p->policy[c],
						    &out->policy[c]);
	for (; out->authorities < p->authorities && !ret; out->authorities++) {
		const struct policies_authority *a =
			&p->authority[out->authorities];

		ret = authority_decode(a->name, a->name, a->key,
				       &out->authority[out->authorities]);
	}
	return ret;
}

static int give_one(const char *name, const struct policies *p,
		    struct chaosimg_policies **out)
{
	struct chaosimg_policies *given = calloc(1, sizeof(*given));

	if (!given)
		return fail(ENOMEM, "policies: no memory");
	*out = given;
	strcpy(given->name, name);
	return decode(p, given);
}

static int give(const struct config *cfg, struct chaosimg_policies **out)
{
	struct chaosimg_policies *first = NULL, **end;
	uint32_t i;
	int ret = give_one("", &cfg->policies, &first);

	for (i = 0, end = &first; i < cfg->named && !ret; i++) {
		end = &(*end)->next;
		ret = give_one(cfg->named_policies[i].name,
			       &cfg->named_policies[i].policies, end);
	}
	if (ret)
		chaosimg_policies_free(first);
	else
		*out = first;
	return ret;
}

static void free_one(struct chaosimg_policies *p)
{
	unsigned int i;

	for (i = 0; i < CHAOSIMG_COMPARTMENTS; i++)
		chaosimg_policy_free(p->policy[i]);
	for (i = 0; i < CHAOSIMG_AUTHORITIES_MAX; i++)
		chaosimg_authority_free(p->authority[i]);
	free(p);
}

void chaosimg_policies_free(struct chaosimg_policies *p)
{
	while (p) {
		struct chaosimg_policies *next = p->next;

		free_one(p);
		p = next;
	}
}

static int load_config(const char *path, int *fd, struct config **cfg)
{
	int ret;

	*fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (*fd < 0)
		return fail_errno("%s", path);
	ret = config_load(*fd, path, cfg);
	if (ret)
		close(*fd);
	return ret;
}

int chaosimg_policies_read(const char *path, struct chaosimg_policies **out)
{
	struct config *cfg;
	int fd, ret = load_config(path, &fd, &cfg);

	if (ret)
		return ret;
	close(fd);
	ret = give(cfg, out);
	free(cfg);
	return ret;
}

int chaosimg_policies_get(struct chaosimg_archive *a,
			  struct chaosimg_policies **out)
{
	char path[FDNAME_SIZE];
	struct config *cfg;
	int ret;

	fdname(a->fd, path);
	ret = config_load(a->fd, path, &cfg);
	if (ret)
		return ret;
	ret = config_verify(cfg, a->ring, path);
	if (!ret)
		ret = give(cfg, out);
	free(cfg);
	return ret;
}

int chaosimg_keyset_list(const char *path, uint8_t **ids, size_t *n)
{
	struct config *cfg;
	int fd, ret = load_config(path, &fd, &cfg);

	if (ret)
		return ret;
	close(fd);
	*n = cfg->keysets;
	*ids = malloc(*n * CHAOSIMG_ID_SIZE);
	if (*ids)
		memcpy(*ids, cfg->keyset, *n * CHAOSIMG_ID_SIZE);
	else
		ret = fail(ENOMEM, "%s: no memory", path);
	free(cfg);
	return ret;
}

/* --- keysets that are there ------------------------------------------------ */

/* Those of one policy are not for who satisfies another. */
static int extend(struct config_change *c, const char *name, uint32_t *keysets)
{
	const struct policies *p = config_policies(c->cfg, name);
	const struct keyset *ks;
	uint32_t i;
	int ret = 0;

	if (!p || !p->authorities)
		return fail(ENOENT, "%s: it has no policies%s%s", c->path,
			    *name ? " of the name " : "", name);
	for (i = 0; !ret && i < c->cfg->keysets; i++) {
		ret = keyset_demand(c->a, c->cfg->keyset[i], &ks);
		if (ret || strcmp(ks->policy, name))
			continue;
		ret = keyset_extend(c->a, c->path, ks->id, p);
		*keysets += !ret;
	}
	return ret;
}

int chaosimg_policies_extend(struct chaosimg_archive *a, const char *name,
			     uint32_t *keysets)
{
	struct config_change c;
	int ret = config_change_begin(&c, a);

	*keysets = 0;
	if (ret)
		return ret;
	ret = extend(&c, name ? name : "", keysets);
	config_change_cancel(&c);
	return ret;
}

/* --- what users can open --------------------------------------------------- */

static int read_keyset(const char *path, const uint8_t id[CHAOSIMG_ID_SIZE],
		       struct chaosimg_archive *place, struct keyset_text *t)
{
	struct config *cfg;
	int ret = load_config(path, &place->fd, &cfg);

	if (ret)
		return ret;
	memcpy(place->id, cfg->id, sizeof(place->id));
	free(cfg);
	ret = keyset_read(place, path, id, t);
	close(place->fd);
	return ret;
}

/** struct telling - whom to tell of policies */
struct telling {
	int (*fn)(void *ctx, enum chaosimg_compartment c,
		  const struct chaosimg_policy *p);
	void *ctx;
};

static int tell(void *ctx, const struct policy_wrap *w)
{
	const struct telling *t = ctx;
	struct chaosimg_policy *p;
	int ret = chaosimg_policy_of(w->ciphertext, w->len, &p);

	if (ret)
		return ret;
	ret = t->fn(t->ctx, w->compartment, p);
	chaosimg_policy_free(p);
	return ret;
}

int chaosimg_keyset_policies(const char *path,
			     const uint8_t id[CHAOSIMG_ID_SIZE],
			     int (*fn)(void *ctx, enum chaosimg_compartment c,
				       const struct chaosimg_policy *p),
			     void *ctx)
{
	struct chaosimg_archive place = { .ring = NULL };
	struct telling telling = { fn, ctx };
	struct keyset_text t;
	int ret = read_keyset(path, id, &place, &t);

	if (ret)
		return ret;
	ret = keyset_policy_wraps(&t, tell, &telling);
	json_object_put(t.root);
	return ret;
}

int chaosimg_keyset_policy(const char *path, const uint8_t id[CHAOSIMG_ID_SIZE],
			   char name[CHAOSIMG_POLICY_NAME_MAX + 1])
{
	struct chaosimg_archive place = { .ring = NULL };
	struct keyset_text t;
	int ret = read_keyset(path, id, &place, &t);

	if (ret)
		return ret;
	strcpy(name, t.policy);
	json_object_put(t.root);
	return 0;
}

/** struct opening - what a user opens */
struct opening {
	const struct keyset_text *t;
	const uint8_t *archive_id;
	const struct chaosimg_user *u;
	struct opened_keyset *o;
};

static int open_one(void *ctx, const struct policy_wrap *w)
{
	const struct opening *o = ctx;

	return policy_wrap_try(w, o->archive_id, o->u, o->t->where, o->o);
}

int chaosimg_keyset_opens(const char *path, const uint8_t id[CHAOSIMG_ID_SIZE],
			  const struct chaosimg_user *u, unsigned int *set)
{
	struct chaosimg_archive place = { .ring = NULL };
	struct keyset_text t;
	struct opening o = { &t, place.id, u, NULL };
	int ret = read_keyset(path, id, &place, &t);

	*set = 0;
	if (ret)
		return ret;
	o.o = secret_alloc(sizeof(*o.o));
	if (o.o) {
		memcpy(o.o->set.id, id, CHAOSIMG_ID_SIZE);
		o.o->set.created = t.created;
		strcpy(o.o->set.policy, t.policy);
		ret = keyset_policy_wraps(&t, open_one, &o);
		*set = o.o->set.held;
	} else {
		ret = -ENOMEM;
	}
	secret_free(o.o);
	json_object_put(t.root);
	return ret;
}
