// SPDX-License-Identifier: GPL-2.0-or-later
/* chaosimg policy set, remove and show: the policies of an archive. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy.h"

int policy_open(const struct policy_request *r, const char *archive,
		unsigned int flags, struct chaosimg_archive **a)
{
	return archive_get(r->cmd, &r->credential, archive, flags, a);
}

/* --- changing them --------------------------------------------------------- */

static int apply(struct chaosimg_archive *a, const char *archive,
		 const struct chaosimg_policies_change *change)
{
	static const uint8_t gone[CHAOSIMG_ID_SIZE];
	uint8_t id[CHAOSIMG_ID_SIZE];
	char hex[2 * CHAOSIMG_ID_SIZE + 1];
	int err = chaosimg_policies_set(a, change, id);

	if (err)
		return failed_library(archive, err);
	bytes_to_hex(id, sizeof(id), hex);
	if (!change->name)
		printf("keyset %s serves new files\n", hex);
	else if (!memcmp(id, gone, sizeof(id)))
		printf("policy %s is gone\n", change->name);
	else
		printf("keyset %s serves new files of policy %s\n", hex,
		       change->name);
	return DONE;
}

static int extend(struct chaosimg_archive *a, const char *archive,
		  const char *name)
{
	uint32_t n;
	int err = chaosimg_policies_extend(a, name, &n);

	if (err)
		return failed_library(archive, err);
	printf("keysets under these policies: %" PRIu32 "\n", n);
	return DONE;
}

static int change(const struct policy_request *r,
		  const struct chaosimg_policies_change *c)
{
	const char *archive = r->arg[0];
	struct chaosimg_archive *a;
	/* Policies may be changed while the archive is mounted. */
	int status = policy_open(r, archive, CHAOSIMG_ARCHIVE_NOLOCK, &a);

	if (status)
		return status;
	if (c->set)
		status = apply(a, archive, c);
	if (!status && r->existing)
		status = extend(a, archive, r->name);
	chaosimg_archive_close(a);
	return status;
}

static int parse(const struct policy_request *r, const char *text,
		 enum chaosimg_compartment c, struct chaosimg_policy **out)
{
	int err = chaosimg_policy_parse(text, out);

	if (err)
		return failed("%s: %s", compartment_name(c), chaosimg_errmsg());
	if (!r->force && chaosimg_policy_check(*out))
		return failed("%s: %s (--force sets it all the same)",
			      compartment_name(c), chaosimg_errmsg());
	return DONE;
}

int policy_set(const struct policy_request *r)
{
	struct chaosimg_policy *p[CHAOSIMG_COMPARTMENTS] = { NULL };
	struct chaosimg_policies_change c = {
		.name = r->name,
		.authority = (const struct chaosimg_authority *const *)
			     r->authority,
		.authorities = (size_t)r->files,
	};
	int i, status = DONE;

	if (r->args != 1)
		return misused(r->cmd, "set: one ARCHIVE is needed");
	for (i = 0; i < CHAOSIMG_COMPARTMENTS && !status; i++) {
		if (!r->policy[i])
			continue;
		status = parse(r, r->policy[i], (enum chaosimg_compartment)i,
			       &p[i]);
		c.policy[i] = p[i];
		c.set |= 1u << i;
	}
	if (!status && !c.set && !r->existing)
		status = misused(r->cmd, "set: a policy is needed, or --existing");
	if (!status)
		status = change(r, &c);
	for (i = 0; i < CHAOSIMG_COMPARTMENTS; i++)
		chaosimg_policy_free(p[i]);
	return status;
}

static int find_compartment(const struct policy_request *r, const char *name,
			    unsigned int *set)
{
	int i;

	for (i = 0; i < CHAOSIMG_COMPARTMENTS; i++) {
		if (strcmp(compartment_name((enum chaosimg_compartment)i), name))
			continue;
		*set |= 1u << i;
		return DONE;
	}
	return misused(r->cmd, "not a compartment: %s", name);
}

int policy_remove(const struct policy_request *r)
{
	struct chaosimg_policies_change c = { .name = r->name };
	int i, status = DONE;

	if (!r->args)
		return misused(r->cmd, "remove: an ARCHIVE is needed");
	for (i = 1; i < r->args && !status; i++)
		status = find_compartment(r, r->arg[i], &c.set);
	if (r->args == 1)
		c.set = (1u << CHAOSIMG_COMPARTMENTS) - 1;
	return status ? status : change(r, &c);
}

/* --- showing them ---------------------------------------------------------- */

static int print_wrap(void *ctx, enum chaosimg_compartment c,
		      const struct chaosimg_policy *p)
{
	const char *keyset = ctx;

	printf("keyset %s %s %s\n", keyset, compartment_name(c),
	       chaosimg_policy_text(p));
	return 0;
}

/* @only: the name of those that are wanted, or NULL for all */
static int print_keyset(const char *archive, const uint8_t *id,
			const char *only)
{
	char hex[2 * CHAOSIMG_ID_SIZE + 1], name[CHAOSIMG_POLICY_NAME_MAX + 1];
	int err = chaosimg_keyset_policy(archive, id, name);

	if (err || (only && strcmp(only, name)))
		return err;
	bytes_to_hex(id, CHAOSIMG_ID_SIZE, hex);
	if (*name)
		printf("keyset %s named %s\n", hex, name);
	return chaosimg_keyset_policies(archive, id, print_wrap, hex);
}

static int print_keysets(const char *archive, const char *only)
{
	uint8_t *ids;
	size_t i, n;
	int err = chaosimg_keyset_list(archive, &ids, &n);

	if (err)
		return failed_library(archive, err);
	for (i = 0; i < n && !err; i++)
		err = print_keyset(archive, ids + i * CHAOSIMG_ID_SIZE, only);
	free(ids);
	return err ? failed_library(archive, err) : DONE;
}

static void print_named(const char *name)
{
	if (*name)
		printf("named %s ", name);
}

static void print_policies(const struct chaosimg_policies *p)
{
	size_t i;

	for (i = 0; i < CHAOSIMG_COMPARTMENTS; i++) {
		print_named(p->name);
		printf("%s %s\n", compartment_name((enum chaosimg_compartment)i),
		       p->policy[i] ? chaosimg_policy_text(p->policy[i]) : "-");
	}
	for (i = 0; i < p->authorities; i++) {
		print_named(p->name);
		printf("authority ");
		print_authority(p->authority[i]);
	}
}

static int print_all(const struct policy_request *r,
		     const struct chaosimg_policies *p)
{
	bool any = !r->name;

	printf("verified %s\n", policy_has_key(r) ? "yes" : "no");
	for (; p; p = p->next) {
		if (r->name && strcmp(r->name, p->name))
			continue;
		print_policies(p);
		any = true;
	}
	return any ? print_keysets(r->arg[0], r->name) :
		     failed("%s: it has no policy %s", r->arg[0], r->name);
}

static int read_policies(const struct policy_request *r, const char *archive,
			 struct chaosimg_policies **p)
{
	struct chaosimg_archive *a;
	int status, err;

	if (!policy_has_key(r)) {
		err = chaosimg_policies_read(archive, p);
		return err ? failed_library(archive, err) : DONE;
	}
	status = policy_open(r, archive, CHAOSIMG_ARCHIVE_RDONLY, &a);
	if (status)
		return status;
	err = chaosimg_policies_get(a, p);
	if (err)
		status = failed_library(archive, err);
	chaosimg_archive_close(a);
	return status;
}

int policy_show(const struct policy_request *r)
{
	struct chaosimg_policies *p;
	int status;

	if (r->args != 1)
		return misused(r->cmd, "show: one ARCHIVE is needed");
	status = read_policies(r, r->arg[0], &p);
	if (status)
		return status;
	status = print_all(r, p);
	chaosimg_policies_free(p);
	return status;
}
