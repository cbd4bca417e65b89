// SPDX-License-Identifier: GPL-2.0-or-later
/* chaosimg user: a user's key, from what authorities issued. */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "access.h"
#include "tool.h"

static int add(const struct tool_command *cmd, int argc, char **argv)
{
	int err;

	if (argc < 2)
		return misused(cmd, "add: a KEY and an ISSUED file are needed");
	err = chaosimg_user_merge(argv[0], (const char *const *)argv + 1,
				  (size_t)argc - 1);
	return err ? failed_library(argv[0], err) : DONE;
}

static void print_user(const struct chaosimg_user *u)
{
	const struct chaosimg_authority *a;
	const char *attribute;
	size_t i;

	printf("user %s\n", chaosimg_user_name(u));
	for (i = 0; (attribute = chaosimg_user_attribute(u, i)); i++)
		printf("attribute %s\n", attribute);
	for (i = 0; (a = chaosimg_user_authority(u, i)); i++) {
		printf("authority ");
		print_authority(a);
	}
}

static int show(const struct tool_command *cmd, int argc, char **argv)
{
	struct chaosimg_user *u;
	int status, err;

	if (argc != 1)
		return misused(cmd, "show: one KEY is needed");
	status = user_read(argv[0], &u);
	if (status)
		return status;
	err = chaosimg_user_verify(u);
	if (err)
		status = failed_library(argv[0], err);
	else
		print_user(u);
	chaosimg_user_free(u);
	return status;
}

static int run(const struct tool_command *cmd, int argc, char **argv)
{
	while (next_option(cmd, argc, argv) != OPT_END)
		;
	argc -= optind;
	argv += optind;
	if (!argc)
		return misused(cmd, "an action is needed: add or show");
	if (!strcmp(*argv, "add"))
		return add(cmd, argc - 1, argv + 1);
	if (!strcmp(*argv, "show"))
		return show(cmd, argc - 1, argv + 1);
	return misused(cmd, "no such action: %s", *argv);
}

static const struct tool_option options[] = { COMMON_OPTIONS };

const struct tool_command cmd_user = {
	.name = "user",
	.summary = "keep a user's attributes in one key",
	.usage = "user add KEY ISSUED...\n"
		 "user show KEY",
	.about = "Authorities issue a user's attributes in a file each. add puts them into one KEY,\n"
		 "which is made if it is not there, and replaced as a whole if it is; each is\n"
		 "verified, and has to be the same user's. show verifies a key and tells what is in\n"
		 "it, and the id of each authority, which that authority can confirm.",
	.options = options,
	.run = run,
};
