// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The policies in an archive's configuration. Which authorities stand beside
 * them, and in which order, follows from the policies: so there is one text
 * for each content, as of all of the configuration.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "config_json.h"
#include "error.h"
#include "hex.h"
#include "keyset_share.h"
#include "policies.h"

/* --- whom they name -------------------------------------------------------- */

/** struct named - the authorities that policies name, each once */
struct named {
	uint32_t n;
	char name[CHAOSIMG_AUTHORITIES_MAX][CHAOSIMG_ATTRIBUTE_MAX + 1];
};

static int add_name(struct named *list, const char *name)
{
	uint32_t i;

	for (i = 0; i < list->n; i++)
		if (!strcmp(list->name[i], name))
			return 0;
	if (list->n == CHAOSIMG_AUTHORITIES_MAX)
		return fail(EINVAL, "policies: more than %d authorities",
			    CHAOSIMG_AUTHORITIES_MAX);
	strcpy(list->name[list->n++], name);
	return 0;
}

static int add_names(struct named *list, const char *text)
{
	struct chaosimg_policy *policy;
	unsigned int i;
	int ret = chaosimg_policy_parse(text, &policy);

	if (ret)
		return ret;
	if (strcmp(policy->text, text))
		ret = fail(EINVAL, "policy: not in its one form");
	for (i = 0; i < policy->leaves && !ret; i++)
		ret = add_name(list, policy_authority(&policy->leaf[i]));
	chaosimg_policy_free(policy);
	return ret;
}

/* Of those compartments' policies. */
static int find_named(const struct policies *p, unsigned int set,
		      struct named *list)
{
	unsigned int c;
	int ret = 0;

	list->n = 0;
	for (c = 0; c < CHAOSIMG_COMPARTMENTS && !ret; c++)
		if (set >> c & 1 && *p->policy[c])
			ret = add_names(list, p->policy[c]);
	return ret;
}

/* --- writing --------------------------------------------------------------- */

static void print_policies(FILE *out, const struct policies *p,
			   const char *separator)
{
	const char *between = "";
	int c;

	for (c = 0; c < CHAOSIMG_COMPARTMENTS; c++) {
		if (!*p->policy[c])
			continue;
		fprintf(out, "%s{\"compartment\": \"%s\", \"policy\": \"%s\"}",
			between, compartment_text((enum chaosimg_compartment)c),
			p->policy[c]);
		between = separator;
	}
}

static void print_authorities(FILE *out, const struct policies *p,
			      const char *separator)
{
	char key[2 * POLICY_AUTHORITY_KEY + 1];
	uint32_t i;

	for (i = 0; i < p->authorities; i++) {
		hex_encode(p->authority[i].key, POLICY_AUTHORITY_KEY, key);
		fprintf(out, "%s{\"name\": \"%s\", \"key\": \"%s\"}",
			i ? separator : "", p->authority[i].name, key);
	}
}

void policies_print(FILE *out, const struct policies *p)
{
	if (!p->authorities)
		return;
	fprintf(out, "  \"policies\": [\n    ");
	print_policies(out, p, ",\n    ");
	fprintf(out, "\n  ],\n  \"authorities\": [\n    ");
	print_authorities(out, p, ",\n    ");
	fprintf(out, "\n  ],\n");
}

void policies_print_line(FILE *out, const struct policies *p)
{
	fprintf(out, "\"policies\": [");
	print_policies(out, p, ", ");
	fprintf(out, "], \"authorities\": [");
	print_authorities(out, p, ", ");
	fprintf(out, "]");
}

/* --- reading --------------------------------------------------------------- */

static int bad(const char *where, const char *what)
{
	return fail(EBADMSG, "%s: damaged: %s", where, what);
}

static int parse_policy(struct json_object *obj, const char *where,
			struct policies *p)
{
	const char *name, *text;
	int c, ret;

	if (!json_object_is_type(obj, json_type_object))
		return bad(where, "a policy is no object");
	ret = config_json_text(obj, where, "compartment", &name);
	if (!ret)
		ret = config_json_text(obj, where, "policy", &text);
	if (ret)
		return ret;
	c = compartment_parse(name);
	if (c < 0 || *p->policy[c])
		return bad(where, "a policy of no compartment, or a second one");
	if (!*text || strlen(text) > POLICY_TEXT_MAX)
		return bad(where, "no policy");
	strcpy(p->policy[c], text);
	return 0;
}

static int parse_authority(struct json_object *obj, const char *where,
			   const char *name, struct policies_authority *a)
{
	const char *own;
	int ret;

	if (!json_object_is_type(obj, json_type_object))
		return bad(where, "an authority is no object");
	ret = config_json_text(obj, where, "name", &own);
	if (ret)
		return ret;
	if (strcmp(own, name))
		return bad(where, "other authorities than the policies name");
	strcpy(a->name, name);
	return config_json_hex(obj, where, "key", a->key, sizeof(a->key));
}

static int parse_authorities(struct json_object *root, const char *where,
			     struct policies *p)
{
	struct json_object *list;
	struct named named;
	int ret = find_named(p, ~0u, &named);

	if (ret == -EINVAL)
		return bad(where, "not a policy");
	if (!ret)
		ret = config_json_array(root, where, "authorities", named.n,
					named.n, &list);
	for (; p->authorities < named.n && !ret; p->authorities++)
		ret = parse_authority(json_object_array_get_idx(list,
								p->authorities),
				      where, named.name[p->authorities],
				      &p->authority[p->authorities]);
	return ret;
}

int policies_parse(struct json_object *root, const char *where,
		   struct policies *p)
{
	struct json_object *list;
	size_t i;
	int ret;

	memset(p, 0, sizeof(*p));
	if (!json_object_object_get_ex(root, "policies", &list))
		return 0;
	ret = config_json_array(root, where, "policies", 1,
				CHAOSIMG_COMPARTMENTS, &list);
	for (i = 0; !ret && i < json_object_array_length(list); i++)
		ret = parse_policy(json_object_array_get_idx(list, i), where, p);
	return ret ? ret : parse_authorities(root, where, p);
}

/* --- changing -------------------------------------------------------------- */

static const struct policies_authority *known(const struct policies *p,
					      const char *name)
{
	uint32_t i;

	for (i = 0; i < p->authorities; i++)
		if (!strcmp(p->authority[i].name, name))
			return &p->authority[i];
	return NULL;
}

static bool is_key(const struct policies_authority *a,
		   const struct chaosimg_authority *given)
{
	return !memcmp(a->key, authority_key(given), sizeof(a->key));
}

/* One name is one authority, also for the policies that stay. */
static int check_given(const struct policies *old, unsigned int set,
		       const struct chaosimg_authority *const *given, size_t n)
{
	struct named staying;
	uint32_t i;
	size_t j;
	int ret = find_named(old, ~set, &staying);

	for (i = 0; i < staying.n && !ret; i++) {
		const char *name = staying.name[i];

		for (j = 0; j < n && !ret; j++)
			if (!strcmp(chaosimg_authority_name(given[j]), name) &&
			    !is_key(known(old, name), given[j]))
				ret = fail(EEXIST, "policies: one that stays believes another authority that is called %s",
					   name);
	}
	return ret;
}

/* @also: see policies_change() */
static int choose(const struct policies *old, const struct policies *also,
		  const struct chaosimg_authority *const *given, size_t n,
		  const char *name, struct policies_authority *out)
{
	const struct policies_authority *a = known(old, name);
	bool found = false;
	size_t i;

	if (!a && also)
		a = known(also, name);
	memset(out, 0, sizeof(*out));
	if (a)
		*out = *a;
	for (i = 0; i < n; i++) {
		if (strcmp(chaosimg_authority_name(given[i]), name))
			continue;
		if (found && !is_key(out, given[i]))
			return fail(EINVAL, "policy: two authorities are called %s",
				    name);
		memcpy(out->key, authority_key(given[i]), sizeof(out->key));
		found = true;
	}
	strcpy(out->name, name);
	return a || found ? 0 : fail(ENOENT, "policy: the authority %s is not known",
				     name);
}

static int change(struct policies *p, const struct policies *old,
		  const struct policies *also,
		  const struct chaosimg_authority *const *given, size_t n)
{
	struct named named;
	int ret = find_named(p, ~0u, &named);

	for (p->authorities = 0; !ret && p->authorities < named.n;
	     p->authorities++)
		ret = choose(old, also, given, n, named.name[p->authorities],
			     &p->authority[p->authorities]);
	return ret;
}

/* Nothing is left of what was there. */
static void put_policy(struct policies *p, unsigned int c,
		       const struct chaosimg_policy *policy)
{
	memset(p->policy[c], 0, sizeof(p->policy[c]));
	if (policy)
		strcpy(p->policy[c], policy->text);
}

/* Nothing is left of those that are not named any more. */
static void clear_rest(struct policies *p)
{
	memset(&p->authority[p->authorities], 0,
	       (CHAOSIMG_AUTHORITIES_MAX - p->authorities) *
	       sizeof(p->authority[0]));
}

int policies_change(struct policies *p, unsigned int set,
		    const struct chaosimg_policy *const *policy,
		    const struct chaosimg_authority *const *given, size_t n,
		    const struct policies *also)
{
	struct policies *old = malloc(sizeof(*old));
	unsigned int c;
	int ret;

	if (!old)
		return fail(ENOMEM, "policies: no memory");
	*old = *p;
	ret = check_given(old, set, given, n);
	for (c = 0; c < CHAOSIMG_COMPARTMENTS; c++)
		if (set >> c & 1)
			put_policy(p, c, policy[c]);
	if (!ret)
		ret = change(p, old, also, given, n);
	if (ret)
		*p = *old;
	else
		clear_rest(p);
	free(old);
	return ret;
}

/* --- a key under one ------------------------------------------------------- */

static int encapsulate(const struct policies *p,
		       const struct chaosimg_policy *policy,
		       struct chaosimg_authority **all, const void *context,
		       size_t context_len, uint8_t *key, uint8_t **out,
		       size_t *len)
{
	uint32_t i;
	int ret = 0;

	for (i = 0; i < p->authorities && !ret; i++)
		ret = authority_decode(p->authority[i].name,
				       p->authority[i].name,
				       p->authority[i].key, &all[i]);
	return ret ? ret :
	       chaosimg_policy_encapsulate(policy,
					   (const struct chaosimg_authority *const *)all,
					   p->authorities, context, context_len,
					   key, out, len);
}

int policies_encapsulate(const struct policies *p, enum chaosimg_compartment c,
			 const void *context, size_t context_len,
			 uint8_t key[CHAOSIMG_KEY_SIZE], uint8_t **out,
			 size_t *len)
{
	struct chaosimg_authority *all[CHAOSIMG_AUTHORITIES_MAX] = { NULL };
	struct chaosimg_policy *policy;
	uint32_t i;
	int ret = chaosimg_policy_parse(p->policy[c], &policy);

	if (ret)
		return ret;
	ret = encapsulate(p, policy, all, context, context_len, key, out, len);
	for (i = 0; i < p->authorities; i++)
		chaosimg_authority_free(all[i]);
	chaosimg_policy_free(policy);
	return ret;
}
