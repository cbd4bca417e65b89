// SPDX-License-Identifier: GPL-2.0-or-later
/* chaosimg fsck: authenticates all that is stored, and repairs. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <unistd.h>

#include "findings.h"

struct request {
	const struct tool_command *cmd;
	const char *archive;
	struct credential_args args;
	bool dry_run;
	bool json;
};

static int open_archive(const struct request *r, struct chaosimg_archive **a)
{
	struct chaosimg_credential *cred;
	int status, err;

	status = credential_get(r->cmd, &r->args, r->archive, false, &cred);
	if (status)
		return status;
	err = chaosimg_archive_open(r->archive, cred, r->dry_run ?
				    CHAOSIMG_ARCHIVE_RDONLY : 0, a);
	chaosimg_credential_free(cred);
	if (err == -EBUSY)
		return failed("%s; --dry-run checks it all the same",
			      chaosimg_errmsg());
	return err ? failed_library(r->archive, err) : DONE;
}

static int fsck(const struct request *r, struct chaosimg_check_params *p)
{
	struct chaosimg_check_totals totals;
	struct chaosimg_archive *a;
	struct findings f;
	int status, err;

	many_files_allowed();
	status = open_archive(r, &a);
	if (status)
		return status;
	findings_begin(&f, r->archive, "checking", r->json);
	p->repair = !r->dry_run;
	p->found = findings_found;
	p->progress = isatty(STDERR_FILENO) ? findings_progress : NULL;
	p->stop = signals_seen;
	p->ctx = &f;
	signals_catch();
	err = chaosimg_fsck(a, p, &totals);
	if (!err || err == -EINTR) {
		status = findings_end(&f, &totals, !err);
		if (err)
			status = FAILED;
	} else {
		progress_end();
		status = failed_library(r->archive, err);
	}
	findings_free(&f);
	chaosimg_archive_close(a);
	return status;
}

static int run(const struct tool_command *cmd, int argc, char **argv)
{
	struct chaosimg_check_params p = { 0 };
	struct request r = { .cmd = cmd };
	const char *threads = NULL;
	int id, status;

	while ((id = next_option(cmd, argc, argv)) != OPT_END) {
		if (id == OPT_KEYFILE)
			set_once(cmd, "--keyfile", &r.args.keyfile);
		else if (id == OPT_PASSFILE)
			set_once(cmd, "--passfile", &r.args.passfile);
		else if (id == OPT_THREADS)
			set_once(cmd, "--threads", &threads);
		else if (id == OPT_DRY_RUN)
			r.dry_run = true;
		else if (id == OPT_NAMES)
			p.names = true;
		else
			r.json = true;
	}
	if (argc - optind != 1)
		return misused(cmd, "one ARCHIVE is needed");
	r.archive = argv[optind];
	status = threads_number(cmd, threads, &p.threads);
	if (!status)
		status = fsck(&r, &p);
	signals_obey();
	return status;
}

static const struct tool_option options[] = {
	CREDENTIAL_OPTIONS,
	{ OPT_DRY_RUN, 'n', "dry-run", NULL,
	  "change nothing, tell what would be repaired" },
	{ OPT_NAMES, 0, "names", NULL, "show plain paths, too" },
	{ OPT_THREADS, 0, "threads", "N", "check N files at once" },
	{ OPT_JSON, 0, "json", NULL, "write JSON" },
	COMMON_OPTIONS
};

const struct tool_command cmd_fsck = {
	.name = "fsck",
	.summary = "authenticate an archive, and repair it",
	.usage = "fsck [OPTION]... ARCHIVE",
	.about = "Authenticates all that is stored, and repairs what can be repaired without\n"
		 "loss. While ARCHIVE is mounted, only --dry-run is possible.\n"
		 "Exit status: 0 nothing is wrong any more, 1 something is, or it failed,\n"
		 "2 wrong use.",
	.options = options,
	.run = run,
};
