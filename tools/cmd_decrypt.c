// SPDX-License-Identifier: GPL-2.0-or-later
/* chaosimg decrypt: one image, without an archive. */
#include <sys/stat.h>
#include <unistd.h>

#include "image.h"

/*
 * The library needs a file that it can seek in. What cannot is first copied
 * to one: that is ciphertext, so it may touch the disk.
 */
static int make_seekable(const char *name, int *in)
{
	struct stat st;
	int spool, status;

	if (!fstat(*in, &st) && S_ISREG(st.st_mode) &&
	    !lseek(*in, 0, SEEK_CUR))
		return DONE;
	status = spool_open(&spool);
	if (status)
		return status;
	progress_begin("reading", 0);
	status = copy_all(*in, name, spool, "the temporary file");
	progress_end();
	if (!status && lseek(spool, 0, SEEK_SET))
		status = failed_errno("the temporary file");
	if (status) {
		close(spool);
		return status;
	}
	close(*in);
	*in = spool;
	return DONE;
}

static int run(const struct tool_command *cmd, int argc, char **argv)
{
	struct image_args args = { .cmd = cmd, .verb = "decrypting" };
	int in, status;

	status = image_options(&args, argc, argv);
	if (!status)
		status = input_open(args.in, &in);
	if (status)
		return status;
	args.in_pieces = is_standard(args.out);
	status = make_seekable(args.in_name, &in);
	if (!status && args.in_pieces)
		status = image_run(&args, chaosimg_image_decrypt, in,
				   STDOUT_FILENO, "standard output");
	else if (!status)
		/* A patient's image in the clear: for its owner only. */
		status = image_to_file(&args, chaosimg_image_decrypt, in, 0600);
	close(in);
	return status;
}

static const struct tool_option options[] = {
	CREDENTIAL_OPTIONS,
	IMAGE_OPTIONS,
	COMMON_OPTIONS
};

const struct tool_command cmd_decrypt = {
	.name = "decrypt",
	.summary = "decrypt what encrypt made",
	.usage = "decrypt [OPTION]... IN OUT",
	.about = "Decrypts the file IN, made by 'chaosimg encrypt', to OUT. \"-\" is standard input\n"
		 "or output. OUT appears when it is complete and authentic, or not at all; to\n"
		 "standard output each chunk is written once it is authenticated, so if the exit\n"
		 "status is not 0 what was written is incomplete. Without --keyfile and\n"
		 "--passfile, asks for the passphrase.",
	.options = options,
	.run = run,
};
