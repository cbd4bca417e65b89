// SPDX-License-Identifier: GPL-2.0-or-later
/* chaosimg policy: does a policy make sense, and whom does it let in? */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "access.h"
#include "tool.h"

enum {
	/* Files of public keys on the command line. */
	FILES_MAX = CHAOSIMG_AUTHORITIES_MAX,
};

/**
 * struct request - what the command line asks for
 * @cmd: the subcommand
 * @files: how many of @file and @authority are in use
 * @file: the authorities' public keys
 * @authority: what is in them
 */
struct request {
	const struct tool_command *cmd;
	int files;
	const char *file[FILES_MAX];
	struct chaosimg_authority *authority[FILES_MAX];
};

static int read_authorities(struct request *r)
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

static bool known(const struct request *r, const char *attribute)
{
	const char *name = strchr(attribute, '@') + 1;
	int i;

	for (i = 0; i < r->files; i++)
		if (!strcmp(chaosimg_authority_name(r->authority[i]), name))
			return true;
	return false;
}

static int check_authorities(const struct request *r,
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

static int check(const struct request *r, const struct chaosimg_policy *p,
		 int argc)
{
	int status, err;

	if (argc)
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
static bool counts(const struct request *r, const struct chaosimg_user *u,
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

static bool lets_in(const struct request *r, const struct chaosimg_policy *p,
		    const struct chaosimg_user *u)
{
	const char *have[CHAOSIMG_USER_ATTRIBUTES_MAX], *attribute;
	size_t i, n = 0;

	for (i = 0; (attribute = chaosimg_user_attribute(u, i)); i++)
		if (counts(r, u, attribute))
			have[n++] = attribute;
	return chaosimg_policy_satisfied(p, have, n);
}

static int test(const struct request *r, const struct chaosimg_policy *p,
		int argc, char **argv)
{
	struct chaosimg_user *u;
	int i, status;

	if (!argc)
		return misused(r->cmd, "test: a POLICY and a KEY are needed");
	for (i = 0; i < argc; i++) {
		status = user_read(argv[i], &u);
		if (status)
			return status;
		printf("%-3s %s %s\n", lets_in(r, p, u) ? "yes" : "no",
		       argv[i], chaosimg_user_name(u));
		chaosimg_user_free(u);
	}
	return DONE;
}

static int dispatch(struct request *r, const char *action, int argc,
		    char **argv)
{
	struct chaosimg_policy *p;
	int status, err;

	if (strcmp(action, "check") && strcmp(action, "test"))
		return misused(r->cmd, "no such action: %s", action);
	if (!argc)
		return misused(r->cmd, "%s: a POLICY is needed", action);
	err = chaosimg_policy_parse(argv[0], &p);
	if (err)
		return failed_library("policy", err);
	status = read_authorities(r);
	if (!status)
		status = action[0] == 'c' ? check(r, p, argc - 1) :
			 test(r, p, argc - 1, argv + 1);
	chaosimg_policy_free(p);
	return status;
}

static int run(const struct tool_command *cmd, int argc, char **argv)
{
	struct request r = { .cmd = cmd };
	int status, i;

	while (next_option(cmd, argc, argv) != OPT_END) {
		if (r.files == FILES_MAX)
			return misused(cmd, "more than %d authorities",
				       FILES_MAX);
		r.file[r.files++] = optarg;
	}
	if (argc - optind < 1)
		return misused(cmd, "an action is needed: check or test");
	status = dispatch(&r, argv[optind], argc - optind - 1,
			  argv + optind + 1);
	for (i = 0; i < r.files; i++)
		chaosimg_authority_free(r.authority[i]);
	return status;
}

static const struct tool_option options[] = {
	{ OPT_AUTHORITY, 'a', "authority", "PUBLIC",
	  "an authority that counts; may be given several times" },
	COMMON_OPTIONS
};

const struct tool_command cmd_policy = {
	.name = "policy",
	.summary = "check an access policy, and whom it lets in",
	.usage = "policy check [--authority PUBLIC]... POLICY\n"
		 "policy test [--authority PUBLIC]... POLICY KEY...",
	.about = "A POLICY combines attributes, as \"(radiologist@hospital AND ct@imaging) OR\n"
		 "2 OF (chief@hospital, licensed@board, auditor@state)\". check looks for what cannot\n"
		 "be meant, and prints it in its one form. test tells for each user's KEY whether it\n"
		 "satisfies the policy. With --authority, attributes of any authority that is not\n"
		 "among those given are refused by check, and do not count in test.",
	.options = options,
	.run = run,
};
