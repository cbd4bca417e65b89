// SPDX-License-Identifier: GPL-2.0-or-later
/* chaosimg authority: an authority's keys, and what it issues. */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "access.h"
#include "tool.h"

static int init(const struct tool_command *cmd, int argc, char **argv)
{
	struct chaosimg_authority *a;
	int err;

	if (argc != 3)
		return misused(cmd, "init: a NAME, a SECRET and a PUBLIC file are needed");
	err = chaosimg_authority_create(argv[0], argv[1], argv[2]);
	if (err)
		return failed_library(argv[0], err);
	err = chaosimg_authority_read(argv[2], &a);
	if (err)
		return failed_library(argv[2], err);
	print_authority(a);
	chaosimg_authority_free(a);
	return DONE;
}

static int issue(const struct tool_command *cmd, const char *user,
		 const char *output, int argc, char **argv)
{
	int err;

	if (!user || !output)
		return misused(cmd, "issue: --user and --output are needed");
	if (argc < 2)
		return misused(cmd, "issue: a SECRET file and an ATTRIBUTE are needed");
	warn_if_exposed(argv[0]);
	err = chaosimg_authority_issue(argv[0], user,
				       (const char *const *)argv + 1,
				       (size_t)argc - 1, output);
	return err ? failed_library(argv[0], err) : DONE;
}

static int show(const struct tool_command *cmd, int argc, char **argv)
{
	struct chaosimg_authority *a;
	int i, err;

	if (!argc)
		return misused(cmd, "show: a PUBLIC file is needed");
	for (i = 0; i < argc; i++) {
		err = chaosimg_authority_read(argv[i], &a);
		if (err)
			return failed_library(argv[i], err);
		print_authority(a);
		chaosimg_authority_free(a);
	}
	return DONE;
}

static int run(const struct tool_command *cmd, int argc, char **argv)
{
	const char *user = NULL, *output = NULL, *action;
	int id;

	while ((id = next_option(cmd, argc, argv)) != OPT_END) {
		if (id == OPT_USER)
			set_once(cmd, "--user", &user);
		else
			set_once(cmd, "--output", &output);
	}
	argc -= optind;
	argv += optind;
	if (!argc)
		return misused(cmd, "an action is needed: init, issue or show");
	action = *argv;
	if (!strcmp(action, "issue"))
		return issue(cmd, user, output, argc - 1, argv + 1);
	if (user || output)
		return misused(cmd, "--user and --output are for issue");
	if (!strcmp(action, "init"))
		return init(cmd, argc - 1, argv + 1);
	if (!strcmp(action, "show"))
		return show(cmd, argc - 1, argv + 1);
	return misused(cmd, "no such action: %s", action);
}

static const struct tool_option options[] = {
	{ OPT_USER, 'u', "user", "USER", "issue: to whom" },
	{ OPT_OUTPUT, 'o', "output", "FILE",
	  "issue: write the user's key to this new file, for you alone" },
	COMMON_OPTIONS
};

const struct tool_command cmd_authority = {
	.name = "authority",
	.summary = "issue attributes to users",
	.usage = "authority init NAME SECRET PUBLIC\n"
		 "authority issue --user USER --output FILE SECRET ATTRIBUTE...\n"
		 "authority show PUBLIC...",
	.about = "An authority says who has which attributes, as \"radiologist\"; in a policy they\n"
		 "are radiologist@NAME. It makes its keys itself: SECRET stays with it, PUBLIC goes\n"
		 "to whoever encrypts, and authorities need not know of each other. USER is what\n"
		 "all of them call this one person. FILE goes to that person on a safe way.",
	.options = options,
	.run = run,
};
