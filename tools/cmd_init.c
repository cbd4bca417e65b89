// SPDX-License-Identifier: GPL-2.0-or-later
/* chaosimg init: makes an archive. */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>

#include "tool.h"

static int parse_chunk_size(const struct tool_command *cmd, const char *text,
			    uint32_t *size)
{
	unsigned long n;
	char *end;

	errno = 0;
	n = strtoul(text, &end, 10);
	if (errno || *end || *text < '0' || *text > '9' ||
	    n < CHAOSIMG_CHUNK_MIN || n > CHAOSIMG_CHUNK_MAX || (n & (n - 1)))
		return misused(cmd, "chunk size is not a power of two from %d to %d: %s",
			       CHAOSIMG_CHUNK_MIN, CHAOSIMG_CHUNK_MAX, text);
	*size = (uint32_t)n;
	return DONE;
}

static int run(const struct tool_command *cmd, int argc, char **argv)
{
	struct chaosimg_archive_params params = { 0 };
	struct chaosimg_credential *cred = NULL;
	struct credential_args args = { 0 };
	const char *chunk_size = NULL;
	int id, status, err;

	while ((id = next_option(cmd, argc, argv)) != OPT_END) {
		if (id == OPT_KEYFILE)
			set_once(cmd, "--keyfile", &args.keyfile);
		else if (id == OPT_PASSFILE)
			set_once(cmd, "--passfile", &args.passfile);
		else
			set_once(cmd, "--chunk-size", &chunk_size);
	}
	if (argc - optind != 1)
		return misused(cmd, "one ARCHIVE is needed");
	if (chunk_size) {
		status = parse_chunk_size(cmd, chunk_size, &params.chunk_size);
		if (status)
			return status;
	}
	status = credential_get(cmd, &args, argv[optind], true, &cred);
	if (status)
		return status;
	err = chaosimg_archive_create(argv[optind], cred, &params);
	chaosimg_credential_free(cred);
	return err ? failed_library(argv[optind], err) : DONE;
}

static const struct tool_option options[] = {
	CREDENTIAL_OPTIONS,
	{ OPT_CHUNK_SIZE, 0, "chunk-size", "N",
	  "bytes in a chunk: 4096 to 1048576, default 8192" },
	COMMON_OPTIONS
};

const struct tool_command cmd_init = {
	.name = "init",
	.summary = "make an archive",
	.usage = "init [OPTION]... ARCHIVE",
	.about = "Makes an empty archive in the directory ARCHIVE, which must not exist or be\n"
		 "empty. Without --keyfile and --passfile, asks for a passphrase.",
	.options = options,
	.run = run,
};
