/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What chaosimg encrypt and chaosimg decrypt have in common. */
#ifndef IMAGE_H
#define IMAGE_H

#include "tool.h"

#define IMAGE_OPTIONS							\
	{ OPT_FORCE, 'f', "force", NULL, "replace OUT if it exists" }

/**
 * struct image_args - one image to encrypt or decrypt
 * @cmd: the subcommand
 * @verb: as "encrypting"
 * @in: IN
 * @in_name: @in, or what messages call standard input
 * @out: OUT
 * @credential: what the options say
 * @fresh: a passphrase is being chosen
 * @in_pieces: what is written before an error stays written
 * @replace: OUT may exist
 */
struct image_args {
	const struct tool_command *cmd;
	const char *verb;
	const char *in;
	const char *in_name;
	const char *out;
	struct credential_args credential;
	bool fresh;
	bool in_pieces;
	bool replace;
};

typedef int image_fn(const struct chaosimg_credential *cred, int in, int out,
		     void (*progress)(uint64_t done));

/** image_options() - read the command line. Return: DONE or MISUSED */
int image_options(struct image_args *args, int argc, char **argv);

/**
 * image_run() - get the credential and let the library do the work
 * @args: the command line
 * @fn: the library's function
 * @in: to read from
 * @out: to write to
 * @out_name: what messages call @out
 */
int image_run(const struct image_args *args, image_fn *fn, int in, int out,
	      const char *out_name);

/**
 * image_to_file() - the same to OUT, which appears complete or not at all
 * @args: the command line
 * @fn: the library's function
 * @in: to read from
 * @mode: of a new file, before the umask
 */
int image_to_file(const struct image_args *args, image_fn *fn, int in,
		  mode_t mode);

#endif
