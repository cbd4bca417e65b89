// SPDX-License-Identifier: GPL-2.0-or-later
/* chaosimg encrypt: one image, without an archive. */
#include <unistd.h>

#include "image.h"

/* The library writes its output out of order: not to a pipe. */
static int to_standard_output(const struct image_args *args, int in)
{
	int out, status;

	if (isatty(STDOUT_FILENO))
		return failed("standard output: is a terminal; ciphertext is not for it");
	status = spool_open(&out);
	if (status)
		return status;
	status = image_run(args, chaosimg_image_encrypt, in, out,
			   "the temporary file");
	if (!status && lseek(out, 0, SEEK_SET))
		status = failed_errno("the temporary file");
	if (!status)
		status = copy_all(out, "the temporary file", STDOUT_FILENO,
				  "standard output");
	close(out);
	return status;
}

static int run(const struct tool_command *cmd, int argc, char **argv)
{
	struct image_args args = { .cmd = cmd, .fresh = true,
				   .verb = "encrypting" };
	int in, status;

	status = image_options(&args, argc, argv);
	if (!status)
		status = input_open(args.in, &in);
	if (status)
		return status;
	if (is_standard(args.out))
		status = to_standard_output(&args, in);
	else
		status = image_to_file(&args, chaosimg_image_encrypt, in, 0666);
	close(in);
	return status;
}

static const struct tool_option options[] = {
	CREDENTIAL_OPTIONS,
	IMAGE_OPTIONS,
	COMMON_OPTIONS
};

const struct tool_command cmd_encrypt = {
	.name = "encrypt",
	.summary = "encrypt one image, without an archive",
	.usage = "encrypt [OPTION]... IN OUT",
	.about = "Encrypts the file IN to OUT. \"-\" is standard input or output. OUT appears when\n"
		 "it is complete, or not at all. Without --keyfile and --passfile, asks for a new\n"
		 "passphrase. To standard output, the ciphertext is first collected in an unnamed\n"
		 "file in $TMPDIR (/var/tmp).",
	.options = options,
	.run = run,
};
