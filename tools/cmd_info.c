// SPDX-License-Identifier: GPL-2.0-or-later
/* chaosimg info: what an archive is, and what a file in it is. */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tool.h"

static int archive_info(const char *path, bool json)
{
	struct chaosimg_archive_info info;
	int err = chaosimg_archive_info(path, &info);

	if (err)
		return failed_library(path, err);
	return json ? print_archive_json(path, &info) :
		      print_archive(path, &info);
}

static int opened_info(struct chaosimg_archive *a, struct found *found,
		       const char *path, struct chaosimg_file_info *info)
{
	struct chaosimg_file *f;
	int err;

	err = chaosimg_file_open(a, found->fd, found->binding, 0, &f);
	found->fd = -1;		/* the library has it */
	if (err)
		return failed_library(path, err);
	err = chaosimg_file_info(f, info);
	if (err)
		failed_library(path, err);
	chaosimg_file_close(f);
	return err ? FAILED : DONE;
}

static int file_info(struct chaosimg_archive *a, const char *archive,
		     const char *path, bool json)
{
	struct chaosimg_file_info *info = calloc(1, sizeof(*info));
	struct found *found = calloc(1, sizeof(*found));
	int status;

	if (!info || !found) {
		status = failed("%s: %s", path, strerror(ENOMEM));
		goto out;
	}
	found->fd = -1;
	status = lookup(a, archive, path, found);
	if (!status && found->type == FOUND_FILE)
		status = opened_info(a, found, path, info);
	if (!status)
		status = json ? print_file_json(found, info) :
				print_file(found, info);
	if (found->fd >= 0)
		close(found->fd);
out:
	free(found);
	free(info);
	return status;
}

static int keyed_info(const struct tool_command *cmd,
		      const struct credential_args *args, const char *archive,
		      const char *path, bool json)
{
	struct chaosimg_archive *a;
	int status = archive_get(cmd, args, archive, CHAOSIMG_ARCHIVE_RDONLY,
				 &a);

	if (status)
		return status;
	status = file_info(a, archive, path, json);
	chaosimg_archive_close(a);
	return status;
}

static int run(const struct tool_command *cmd, int argc, char **argv)
{
	struct credential_args args = { 0 };
	bool json = false;
	int id;

	while ((id = next_option(cmd, argc, argv)) != OPT_END) {
		if (id == OPT_KEYFILE)
			set_once(cmd, "--keyfile", &args.keyfile);
		else if (id == OPT_PASSFILE)
			set_once(cmd, "--passfile", &args.passfile);
		else
			json = true;
	}
	switch (argc - optind) {
	case 1:
		if (args.keyfile || args.passfile)
			return misused(cmd, "a key is for a FILE; the ARCHIVE alone needs none");
		return archive_info(argv[optind], json);
	case 2:
		return keyed_info(cmd, &args, argv[optind], argv[optind + 1],
				  json);
	default:
		return misused(cmd, "one ARCHIVE is needed, and at most one FILE");
	}
}

static const struct tool_option options[] = {
	CREDENTIAL_OPTIONS,
	{ OPT_JSON, 0, "json", NULL, "write JSON" },
	COMMON_OPTIONS
};

const struct tool_command cmd_info = {
	.name = "info",
	.summary = "tell what an archive is, or a file in it",
	.usage = "info [--json] ARCHIVE\n"
		 "info [OPTION]... ARCHIVE FILE",
	.about = "Of an ARCHIVE: its format, parameters and key slots; this needs no key.\n"
		 "Of a FILE in it: whether it is DICOM, its modality, transfer syntax,\n"
		 "compartments, keyset and state. FILE is a path as a mount shows it, or as it is\n"
		 "stored and the log names it (data/..). Without a key's option, asks for a\n"
		 "passphrase.",
	.options = options,
	.run = run,
};
