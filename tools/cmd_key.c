// SPDX-License-Identifier: GPL-2.0-or-later
/* chaosimg key: adds, removes and lists an archive's key slots. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tool.h"

struct request {
	const struct tool_command *cmd;
	const char *archive;
	const char *slot;
	struct credential_args current;
	struct credential_args added;
};

static int open_archive(const struct request *r, struct chaosimg_archive **a)
{
	struct chaosimg_credential *cred;
	int status, err;

	status = credential_get(r->cmd, &r->current, r->archive, false, &cred);
	if (status)
		return status;
	/* The slots may be changed while the archive is mounted. */
	err = chaosimg_archive_open(r->archive, cred, CHAOSIMG_ARCHIVE_NOLOCK,
				    a);
	chaosimg_credential_free(cred);
	return err ? failed_library(r->archive, err) : DONE;
}

static int add(const struct request *r)
{
	struct chaosimg_credential *cred;
	struct chaosimg_archive *a;
	uint32_t slot;
	int status, err;

	if (r->slot)
		return misused(r->cmd, "a slot is for remove, not for add");
	status = open_archive(r, &a);
	if (status)
		return status;
	status = credential_get(r->cmd, &r->added, r->archive, true, &cred);
	if (!status) {
		err = chaosimg_slot_add(a, cred, &slot);
		chaosimg_credential_free(cred);
		if (err)
			status = failed_library(r->archive, err);
		else
			printf("slot %" PRIu32 " added\n", slot);
	}
	chaosimg_archive_close(a);
	return status;
}

static int parse_slot(const struct request *r, uint32_t *slot)
{
	unsigned long n;
	char *end;

	if (!r->slot)
		return misused(r->cmd, "remove needs --slot N");
	errno = 0;
	n = strtoul(r->slot, &end, 10);
	if (errno || *end || *r->slot < '0' || *r->slot > '9' ||
	    n > UINT32_MAX)
		return misused(r->cmd, "not a slot's number: %s", r->slot);
	*slot = (uint32_t)n;
	return DONE;
}

static int remove_slot(const struct request *r)
{
	struct chaosimg_archive *a;
	uint32_t slot = 0;
	int status, err;

	status = parse_slot(r, &slot);
	if (!status)
		status = open_archive(r, &a);
	if (status)
		return status;
	err = chaosimg_slot_remove(a, slot);
	if (err)
		status = failed_library(r->archive, err);
	else
		printf("slot %" PRIu32 " removed\n", slot);
	chaosimg_archive_close(a);
	return status;
}

static int list(const struct request *r)
{
	struct chaosimg_archive_info info;
	int err;

	if (r->slot || r->current.keyfile || r->current.passfile)
		return misused(r->cmd, "list needs no key and no slot");
	err = chaosimg_archive_info(r->archive, &info);
	if (err)
		return failed_library(r->archive, err);
	print_slots(&info);
	return DONE;
}

static int dispatch(struct request *r, const char *action)
{
	bool fresh = r->added.keyfile || r->added.passfile;

	if (fresh && strcmp(action, "add"))
		return misused(r->cmd, "a new key is for add, not for %s",
			       action);
	if (!strcmp(action, "add"))
		return add(r);
	if (!strcmp(action, "remove"))
		return remove_slot(r);
	if (!strcmp(action, "list"))
		return list(r);
	return misused(r->cmd, "neither add, remove nor list: %s", action);
}

static int run(const struct tool_command *cmd, int argc, char **argv)
{
	struct request r = { .cmd = cmd };
	int id, left;

	while ((id = next_option(cmd, argc, argv)) != OPT_END) {
		if (id == OPT_KEYFILE)
			set_once(cmd, "--keyfile", &r.current.keyfile);
		else if (id == OPT_PASSFILE)
			set_once(cmd, "--passfile", &r.current.passfile);
		else if (id == OPT_NEW_KEYFILE)
			set_once(cmd, "--new-keyfile", &r.added.keyfile);
		else if (id == OPT_NEW_PASSFILE)
			set_once(cmd, "--new-passfile", &r.added.passfile);
		else
			set_once(cmd, "--slot", &r.slot);
	}
	left = argc - optind;
	/* "key remove ARCHIVE 2" says the same as "--slot 2". */
	if (left == 3 && !r.slot && !strcmp(argv[optind], "remove"))
		r.slot = argv[optind + --left];
	if (left != 2)
		return misused(cmd, "add, remove or list and one ARCHIVE are needed");
	r.archive = argv[optind + 1];
	return dispatch(&r, argv[optind]);
}

static const struct tool_option options[] = {
	CREDENTIAL_OPTIONS,
	{ OPT_NEW_KEYFILE, 0, "new-keyfile", "FILE",
	  "add: the key file to be added" },
	{ OPT_NEW_PASSFILE, 0, "new-passfile", "FILE",
	  "add: the passphrase to be added is on its first line" },
	{ OPT_SLOT, 0, "slot", "N", "remove: the slot's number, as list shows it" },
	COMMON_OPTIONS
};

const struct tool_command cmd_key = {
	.name = "key",
	.summary = "add, remove or list an archive's keys",
	.usage = "key add [OPTION]... ARCHIVE\n"
		 "key remove [OPTION]... --slot N ARCHIVE\n"
		 "key list ARCHIVE",
	.about = "Each key slot of an archive holds one key file or passphrase that opens it.\n"
		 "Adding and removing slots touches no image and works while ARCHIVE is mounted.\n"
		 "The last slot cannot be removed. Passphrases that no option gives are asked for.",
	.options = options,
	.run = run,
};
