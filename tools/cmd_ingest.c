// SPDX-License-Identifier: GPL-2.0-or-later
/* chaosimg ingest: what a device needs that only writes. */
#include <getopt.h>
#include <string.h>

#include "chaosimg_ingest.h"
#include "tool.h"

static int export(const struct tool_command *cmd,
		  const struct credential_args *args, const char *archive,
		  const char *file)
{
	struct chaosimg_archive *a;
	int status, err;

	status = archive_get(cmd, args, archive, CHAOSIMG_ARCHIVE_RDONLY, &a);
	if (status)
		return status;
	err = chaosimg_ingest_export(a, file);
	chaosimg_archive_close(a);
	return err ? failed_library(file, err) : DONE;
}

static int run(const struct tool_command *cmd, int argc, char **argv)
{
	struct credential_args args = { 0 };
	int id;

	while ((id = next_option(cmd, argc, argv)) != OPT_END)
		set_once(cmd, id == OPT_KEYFILE ? "--keyfile" : "--passfile",
			 id == OPT_KEYFILE ? &args.keyfile : &args.passfile);
	if (argc - optind != 3 || strcmp(argv[optind], "params"))
		return misused(cmd, "params, an ARCHIVE and a new FILE are needed");
	return export(cmd, &args, argv[optind + 1], argv[optind + 2]);
}

static const struct tool_option options[] = {
	CREDENTIAL_OPTIONS,
	COMMON_OPTIONS
};

const struct tool_command cmd_ingest = {
	.name = "ingest",
	.summary = "let a device write images, and read none",
	.usage = "ingest params [OPTION]... ARCHIVE FILE",
	.about = "Write the public parameters of ARCHIVE to the new FILE: its id, its public\n"
		 "keys, its policies and its content rules. There is no secret in it. With it,\n"
		 "'chaosimgfs -o ingest,params=FILE' writes images that whoever holds a key of\n"
		 "ARCHIVE can read, and cannot read them itself once it has forgotten the keys.\n"
		 "When policies or rules are changed, devices need a new FILE.",
	.options = options,
	.run = run,
};
