// SPDX-License-Identifier: GPL-2.0-or-later
/* chaosimg policy: does a policy make sense, and whom does it let in? */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy.h"

static int read_authorities(struct policy_request *r)
{
	int i, j, err;

	for (i = 0; i < r->files; i++) {
		err = chaosimg_authority_read(r->file[i], &r->authority[i]);
		if (err)
			return failed_library(r->file[i], err);
		for (j = 0; j < i; j++)
			if (!strcmp(chaosimg_authority_name(r->authority[i]),
				    chaosimg_authority_name(r->authority[j])))
				return failed("%s: an authority of the same name is in %s",
					      r->file[i], r->file[j]);
	}
	return DONE;
}

static bool known(const struct policy_request *r, const char *attribute)
{
	const char *name = strchr(attribute, '@') + 1;
	int i;

	for (i = 0; i < r->files; i++)
		if (!strcmp(chaosimg_authority_name(r->authority[i]), name))
			return true;
	return false;
}

static int check_authorities(const struct policy_request *r,
			     const struct chaosimg_policy *p)
{
	const char *attribute;
	size_t i;

	for (i = 0; r->files && (attribute = chaosimg_policy_attribute(p, i));
	     i++)
		if (!known(r, attribute))
			return failed("policy: %s: the authority is not known",
				      attribute);
	return DONE;
}

static int check(const struct policy_request *r, const struct chaosimg_policy *p)
{
	int status, err;

	if (r->args != 1)
		return misused(r->cmd, "check: one POLICY is needed");
	status = check_authorities(r, p);
	if (status)
		return status;
	err = chaosimg_policy_check(p);
	if (err)
		return failed_library("policy", err);
	puts(chaosimg_policy_text(p));
	return DONE;
}

static bool same(const struct chaosimg_authority *a,
		 const struct chaosimg_authority *b)
{
	uint8_t id[2][CHAOSIMG_AUTHORITY_ID_SIZE];

	chaosimg_authority_id(a, id[0]);
	chaosimg_authority_id(b, id[1]);
	return !memcmp(id[0], id[1], sizeof(id[0]));
}

/* Of an authority that is known: not of another one by the same name. */
static bool counts(const struct policy_request *r, const struct chaosimg_user *u,
		   const char *attribute)
{
	const char *name = strchr(attribute, '@') + 1;
	const struct chaosimg_authority *a;
	size_t i;
	int j;

	for (i = 0; (a = chaosimg_user_authority(u, i)); i++) {
		if (strcmp(chaosimg_authority_name(a), name))
			continue;
		for (j = 0; j < r->files; j++)
			if (same(a, r->authority[j]))
				return true;
	}
	return !r->files;
}

static bool lets_in(const struct policy_request *r, const struct chaosimg_policy *p,
		    const struct chaosimg_user *u)
{
	const char *have[CHAOSIMG_USER_ATTRIBUTES_MAX], *attribute;
	size_t i, n = 0;

	for (i = 0; (attribute = chaosimg_user_attribute(u, i)); i++)
		if (counts(r, u, attribute))
			have[n++] = attribute;
	return chaosimg_policy_satisfied(p, have, n);
}

static int test(const struct policy_request *r, const struct chaosimg_policy *p)
{
	struct chaosimg_user *u;
	int i, status;

	if (r->args == 1)
		return misused(r->cmd, "test: a POLICY and a KEY are needed");
	for (i = 1; i < r->args; i++) {
		status = user_read(r->arg[i], &u);
		if (status)
			return status;
		printf("%-3s %s %s\n", lets_in(r, p, u) ? "yes" : "no",
		       r->arg[i], chaosimg_user_name(u));
		chaosimg_user_free(u);
	}
	return DONE;
}

static int with_policy(const struct policy_request *r,
		       int (*fn)(const struct policy_request *,
				 const struct chaosimg_policy *))
{
	struct chaosimg_policy *p;
	int status, err;

	if (!r->args)
		return misused(r->cmd, "%s: a POLICY is needed", r->action);
	err = chaosimg_policy_parse(r->arg[0], &p);
	if (err)
		return failed_library("policy", err);
	status = fn(r, p);
	chaosimg_policy_free(p);
	return status;
}

/* --- the command ----------------------------------------------------------- */

static bool is(const struct policy_request *r, const char *action)
{
	return !strcmp(r->action, action);
}

/* Options that only some actions take. */
static int check_options(const struct policy_request *r)
{
	bool set = r->existing || r->force || r->policy[CHAOSIMG_CLINICAL] ||
		   r->policy[CHAOSIMG_IDENTITY] || r->policy[CHAOSIMG_PIXELS];
	bool who = r->user || r->attributes;

	if (set && !is(r, "set"))
		return misused(r->cmd, "policies, --existing and --force are for set, not for %s",
			       r->action);
	if (r->name && (is(r, "check") || (is(r, "test") && !who)))
		return misused(r->cmd, "--name is for an ARCHIVE, not for a POLICY");
	if (who && !is(r, "test"))
		return misused(r->cmd, "--user and --attribute are for test, not for %s",
			       r->action);
	if (policy_has_key(r) && (is(r, "check") || (is(r, "test") && !who)))
		return misused(r->cmd, "a key is for an ARCHIVE, not for a POLICY");
	if (r->files && (is(r, "show") || is(r, "remove") || who))
		return misused(r->cmd, "--authority is for check, test and set of a POLICY");
	return DONE;
}

static int dispatch(const struct policy_request *r)
{
	if (is(r, "check"))
		return with_policy(r, check);
	if (is(r, "test") && !r->user && !r->attributes)
		return with_policy(r, test);
	if (is(r, "test"))
		return r->args ? policy_test_archive(r) :
		       misused(r->cmd, "test: an ARCHIVE is needed");
	if (is(r, "set"))
		return policy_set(r);
	if (is(r, "remove"))
		return policy_remove(r);
	if (is(r, "show"))
		return policy_show(r);
	return misused(r->cmd, "no such action: %s", r->action);
}

static int append(const struct tool_command *cmd, const char **list, size_t n,
		  size_t max, const char *what)
{
	if (n == max)
		return misused(cmd, "more than %zu %s", max, what);
	list[n] = optarg;
	return DONE;
}

static int take(struct policy_request *r, int id)
{
	switch (id) {
	case OPT_AUTHORITY:
		return append(r->cmd, r->file, (size_t)r->files++,
			      POLICY_FILES_MAX, "authorities");
	case OPT_ATTRIBUTE:
		return append(r->cmd, r->attribute, r->attributes++,
			      CHAOSIMG_USER_ATTRIBUTES_MAX, "attributes");
	case OPT_KEYFILE:
		set_once(r->cmd, "--keyfile", &r->credential.keyfile);
		break;
	case OPT_PASSFILE:
		set_once(r->cmd, "--passfile", &r->credential.passfile);
		break;
	case OPT_NAME:
		set_once(r->cmd, "--name", &r->name);
		break;
	case OPT_CLINICAL:
		set_once(r->cmd, "--clinical", &r->policy[CHAOSIMG_CLINICAL]);
		break;
	case OPT_IDENTITY:
		set_once(r->cmd, "--identity", &r->policy[CHAOSIMG_IDENTITY]);
		break;
	case OPT_PIXELS:
		set_once(r->cmd, "--pixels", &r->policy[CHAOSIMG_PIXELS]);
		break;
	case OPT_USER:
		set_once(r->cmd, "--user", &r->user);
		break;
	case OPT_EXISTING:
		r->existing = true;
		break;
	default:
		r->force = true;
	}
	return DONE;
}

static int run(const struct tool_command *cmd, int argc, char **argv)
{
	struct policy_request r = { .cmd = cmd };
	int id, i, status = DONE;

	while (!status && (id = next_option(cmd, argc, argv)) != OPT_END)
		status = take(&r, id);
	if (status)
		return status;
	if (argc - optind < 1)
		return misused(cmd, "an action is needed: check, test, set, show or remove");
	r.action = argv[optind];
	r.args = argc - optind - 1;
	r.arg = argv + optind + 1;
	status = check_options(&r);
	if (!status)
		status = read_authorities(&r);
	if (!status)
		status = dispatch(&r);
	for (i = 0; i < r.files; i++)
		chaosimg_authority_free(r.authority[i]);
	return status;
}

static const struct tool_option options[] = {
	CREDENTIAL_OPTIONS,
	{ OPT_AUTHORITY, 'a', "authority", "PUBLIC",
	  "an authority that counts; may be given several times" },
	{ OPT_NAME, 0, "name", "NAME",
	  "the policies that content rules choose by this name" },
	{ OPT_CLINICAL, 0, "clinical", "POLICY", "set: who sees this compartment" },
	{ OPT_IDENTITY, 0, "identity", "POLICY", "set: the same" },
	{ OPT_PIXELS, 0, "pixels", "POLICY", "set: the same" },
	{ OPT_EXISTING, 0, "existing", NULL, "set: for older keysets, too" },
	{ OPT_FORCE, 'f', "force", NULL,
	  "set: also a policy that check complains of" },
	{ OPT_USER, 'u', "user", "KEY", "test: what this user would see" },
	{ OPT_ATTRIBUTE, 0, "attribute", "NAME@AUTHORITY",
	  "test: or who has this one; may be given several times" },
	COMMON_OPTIONS
};

const struct tool_command cmd_policy = {
	.name = "policy",
	.summary = "say who sees what, by attributes",
	.usage = "policy check [--authority PUBLIC]... POLICY\n"
		 "policy test [--authority PUBLIC]... POLICY KEY...\n"
		 "policy test --user KEY|--attribute NAME@AUTHORITY... [OPTION]... ARCHIVE [FILE]\n"
		 "policy set [OPTION]... ARCHIVE\n"
		 "policy show [OPTION]... ARCHIVE\n"
		 "policy remove [OPTION]... ARCHIVE [COMPARTMENT]...",
	.about = "A POLICY combines attributes, as \"(radiologist@hospital AND ct@imaging) OR\n"
		 "2 OF (chief@hospital, licensed@board, auditor@state)\". check looks for what cannot\n"
		 "be meant, and prints it in its one form. test tells for each user's KEY whether it\n"
		 "satisfies the policy. With --authority, attributes of any authority that is not\n"
		 "among those given are refused by check, and do not count in test.\n"
		 "\n"
		 "set gives compartments of an ARCHIVE a policy each. Whoever satisfies it sees that\n"
		 "compartment of all images that are stored from now on, by his own KEY; images that\n"
		 "are there already stay as they are, but for --existing. remove takes policies away\n"
		 "(without a COMPARTMENT, all of them). Both make a new keyset at once. With --name,\n"
		 "they are for the images that the archive's content rules choose by that name, and\n"
		 "for no others; these have keysets of their own. show prints\n"
		 "the policies, and what each keyset is under; it verifies them if a key is given.\n"
		 "With --user or --attribute, test tells what somebody would see under which keyset,\n"
		 "or of a FILE. Both need no key, unless FILE is a path as a mount shows it.",
	.options = options,
	.run = run,
};
