// SPDX-License-Identifier: GPL-2.0-or-later
/* chaosimg keyfile: makes a key file. */
#include <getopt.h>

#include "tool.h"

static int run(const struct tool_command *cmd, int argc, char **argv)
{
	int err;

	while (next_option(cmd, argc, argv) != OPT_END)
		;
	if (argc - optind != 1)
		return misused(cmd, "one FILE is needed");
	err = chaosimg_keyfile_create(argv[optind]);
	return err ? failed_library(argv[optind], err) : DONE;
}

static const struct tool_option options[] = { COMMON_OPTIONS };

const struct tool_command cmd_keyfile = {
	.name = "keyfile",
	.summary = "make a key file",
	.usage = "keyfile FILE",
	.about = "Writes a fresh random key to FILE, which must not exist. Only its owner can\n"
		 "read it. Whoever has it, and the archive, has the images: keep a copy safe.",
	.options = options,
	.run = run,
};
