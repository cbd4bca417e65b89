// SPDX-License-Identifier: GPL-2.0-or-later
/* What chaosimg encrypt and chaosimg decrypt have in common. */
#include <errno.h>
#include <getopt.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "image.h"

int image_options(struct image_args *args, int argc, char **argv)
{
	int id;

	while ((id = next_option(args->cmd, argc, argv)) != OPT_END) {
		if (id == OPT_KEYFILE)
			set_once(args->cmd, "--keyfile",
				 &args->credential.keyfile);
		else if (id == OPT_PASSFILE)
			set_once(args->cmd, "--passfile",
				 &args->credential.passfile);
		else
			args->replace = true;
	}
	if (argc - optind != 2)
		return misused(args->cmd, "IN and OUT are needed");
	args->in = argv[optind];
	args->out = argv[optind + 1];
	args->in_name = is_standard(args->in) ? "standard input" : args->in;
	return DONE;
}

/* Errors that only writing can give. */
static bool is_output_error(int err)
{
	return err == -ENOSPC || err == -EDQUOT || err == -EFBIG ||
	       err == -EPIPE || err == -EROFS;
}

/* Errors that are found before the first byte is written. */
static bool is_early_error(int err)
{
	return err == -EKEYREJECTED || err == -EBADMSG ||
	       err == -EPROTONOSUPPORT;
}

static int explain(const struct image_args *args, int err, int in,
		   const char *out_name)
{
	const char *so = "";

	if (args->in_pieces && !is_early_error(err))
		so = " (standard output is incomplete)";
	if (is_output_error(err))
		return failed("%s: %s%s", out_name, strerror(-err), so);
	return failed_library_fd(args->in_name, in, err, so);
}

int image_run(const struct image_args *args, image_fn *fn, int in, int out,
	      const char *out_name)
{
	struct chaosimg_credential *cred;
	struct stat st;
	int status, err;

	status = credential_get(args->cmd, &args->credential, args->in_name,
				args->fresh, &cred);
	if (status)
		return status;
	progress_begin(args->verb, fstat(in, &st) ? 0 : (uint64_t)st.st_size);
	err = fn(cred, in, out, progress_update);
	progress_end();
	chaosimg_credential_free(cred);
	return err ? explain(args, err, in, out_name) : DONE;
}

int image_to_file(const struct image_args *args, image_fn *fn, int in,
		  mode_t mode)
{
	struct output o;
	int status;

	status = output_open(&o, args->out, mode, args->replace);
	if (status)
		return status;
	status = image_run(args, fn, in, o.fd, args->out);
	if (status)
		output_discard(&o);
	else
		status = output_commit(&o);
	return status;
}
