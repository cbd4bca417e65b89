// SPDX-License-Identifier: GPL-2.0-or-later
/* chaosimg key: an archive's key slots, and its key on paper. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chaosimg_abe.h"
#include "escrow.h"

struct request {
	const struct tool_command *cmd;
	const char *archive;
	const char *slot;
	const char *output;
	const char *escrow;
	const char *compartments;
	const char *file;
	bool force;
	struct credential_args current;
	struct credential_args added;
};

static int open_archive(const struct request *r, struct chaosimg_archive **a)
{
	/* The slots may be changed while the archive is mounted. */
	return archive_get(r->cmd, &r->current, r->archive,
			   CHAOSIMG_ARCHIVE_NOLOCK, a);
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

static int escrow(const struct request *r)
{
	struct chaosimg_archive *a;
	int status;

	if (r->slot)
		return misused(r->cmd, "a slot is for remove, not for escrow");
	status = open_archive(r, &a);
	if (status)
		return status;
	status = escrow_write(a, r->archive, r->output);
	chaosimg_archive_close(a);
	return status;
}

static int note(void *ctx, enum chaosimg_compartment c,
		const struct chaosimg_policy *p)
{
	bool *any = ctx;

	(void)c;
	(void)p;
	*any = true;
	return 0;
}

/* They are in no escrow, but the newest keyset tells that there were some. */
static void warn_of_policies(const char *archive)
{
	bool any = false;
	uint8_t *ids;
	size_t n;

	if (chaosimg_keyset_list(archive, &ids, &n))
		return;
	chaosimg_keyset_policies(archive, ids + (n - 1) * CHAOSIMG_ID_SIZE,
				 note, &any);
	free(ids);
	if (any)
		message("%s: warning: its policies are lost: set them again, or new images are under none",
			archive);
}

static int rebuild(const struct request *r, const struct escrow_text *text)
{
	struct chaosimg_credential *cred;
	struct chaosimg_restored done;
	int status, err;

	/* Before a passphrase is asked for. */
	err = chaosimg_escrow_check(text->text, text->size);
	if (err)
		return failed_library(r->escrow, err);
	status = credential_get(r->cmd, &r->added, r->archive, true, &cred);
	if (status)
		return status;
	err = chaosimg_escrow_restore(r->archive, text->text, text->size, cred,
				      r->force, &done);
	chaosimg_credential_free(cred);
	if (err == -EEXIST)
		return failed("%s: its configuration is whole (--force replaces it)",
			      r->archive);
	if (err)
		return failed_library(r->archive, err);
	printf("configuration rebuilt: slot 0, keysets: %" PRIu32 "\n",
	       done.keysets);
	if (done.damaged)
		message("%s: warning: keysets that are damaged or another archive's: %" PRIu32 "; files under them cannot be read",
			r->archive, done.damaged);
	warn_of_policies(r->archive);
	return DONE;
}

static int restore(const struct request *r)
{
	struct escrow_text *text;
	int status;

	if (r->slot || r->current.keyfile || r->current.passfile)
		return misused(r->cmd, "restore needs no key and no slot, but --escrow");
	if (!r->escrow)
		return misused(r->cmd, "restore needs --escrow FILE");
	status = escrow_read(r->escrow, &text);
	if (!status)
		status = rebuild(r, text);
	escrow_wipe(text);
	return status;
}

/* "clinical,pixels" as a set */
static int parse_compartments(const struct request *r, unsigned int *set)
{
	char list[64], *at = list, *word;
	int c;

	if (!r->compartments)
		return misused(r->cmd, "export needs --compartments LIST");
	if (strlen(r->compartments) >= sizeof(list))
		return misused(r->cmd, "not a list of compartments: %s",
			       r->compartments);
	strcpy(list, r->compartments);
	*set = 0;
	while ((word = strsep(&at, ","))) {
		for (c = CHAOSIMG_CLINICAL; c <= CHAOSIMG_PIXELS; c++)
			if (!strcmp(word, compartment_name(c)))
				break;
		if (c > CHAOSIMG_PIXELS)
			return misused(r->cmd, "no such compartment: %s", word);
		*set |= 1u << c;
	}
	return DONE;
}

static int export(const struct request *r)
{
	struct chaosimg_archive *a;
	unsigned int set = 0;
	int status, err;

	if (r->slot)
		return misused(r->cmd, "a slot is for remove, not for export");
	if (!r->file)
		return misused(r->cmd, "export needs a FILE for the new key");
	status = parse_compartments(r, &set);
	if (!status)
		status = open_archive(r, &a);
	if (status)
		return status;
	err = chaosimg_compartments_export(a, set, r->file);
	chaosimg_archive_close(a);
	return err ? failed_library(r->file, err) : DONE;
}

/* Options that only one action takes. */
static int check_options(const struct request *r, const char *action)
{
	bool fresh = r->added.keyfile || r->added.passfile;

	if (fresh && strcmp(action, "add") && strcmp(action, "restore"))
		return misused(r->cmd, "a new key is for add and restore, not for %s",
			       action);
	if (r->output && strcmp(action, "escrow"))
		return misused(r->cmd, "an output is for escrow, not for %s",
			       action);
	if ((r->compartments || r->file) && strcmp(action, "export"))
		return misused(r->cmd, "--compartments and a second file are for export, not for %s",
			       action);
	if ((r->escrow || r->force) && strcmp(action, "restore"))
		return misused(r->cmd, "--escrow and --force are for restore, not for %s",
			       action);
	return DONE;
}

static int dispatch(struct request *r, const char *action)
{
	int status = check_options(r, action);

	if (status)
		return status;
	if (!strcmp(action, "add"))
		return add(r);
	if (!strcmp(action, "remove"))
		return remove_slot(r);
	if (!strcmp(action, "list"))
		return list(r);
	if (!strcmp(action, "escrow"))
		return escrow(r);
	if (!strcmp(action, "restore"))
		return restore(r);
	if (!strcmp(action, "export"))
		return export(r);
	return misused(r->cmd, "no such action: %s", action);
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
		else if (id == OPT_OUTPUT)
			set_once(cmd, "--output", &r.output);
		else if (id == OPT_ESCROW)
			set_once(cmd, "--escrow", &r.escrow);
		else if (id == OPT_COMPARTMENTS)
			set_once(cmd, "--compartments", &r.compartments);
		else if (id == OPT_FORCE)
			r.force = true;
		else
			set_once(cmd, "--slot", &r.slot);
	}
	left = argc - optind;
	/* "key remove ARCHIVE 2" says the same as "--slot 2". */
	if (left == 3 && !r.slot && !strcmp(argv[optind], "remove"))
		r.slot = argv[optind + --left];
	if (left == 3 && !strcmp(argv[optind], "export"))
		r.file = argv[optind + --left];
	if (left != 2)
		return misused(cmd, "an action and one ARCHIVE are needed");
	r.archive = argv[optind + 1];
	return dispatch(&r, argv[optind]);
}

static const struct tool_option options[] = {
	CREDENTIAL_OPTIONS,
	{ OPT_NEW_KEYFILE, 0, "new-keyfile", "FILE",
	  "add, restore: the key file to be added" },
	{ OPT_NEW_PASSFILE, 0, "new-passfile", "FILE",
	  "add, restore: the passphrase to be added is on its first line" },
	{ OPT_SLOT, 0, "slot", "N", "remove: the slot's number, as list shows it" },
	{ OPT_OUTPUT, 0, "output", "FILE",
	  "escrow: write it to this new file, for you alone" },
	{ OPT_COMPARTMENTS, 0, "compartments", "LIST",
	  "export: some of clinical,identity,pixels" },
	{ OPT_ESCROW, 0, "escrow", "FILE",
	  "restore: the typed escrow; - for standard input" },
	{ OPT_FORCE, 'f', "force", NULL,
	  "restore: replace a configuration that is whole" },
	COMMON_OPTIONS
};

const struct tool_command cmd_key = {
	.name = "key",
	.summary = "look after an archive's keys",
	.usage = "key add [OPTION]... ARCHIVE\n"
		 "key remove [OPTION]... --slot N ARCHIVE\n"
		 "key list ARCHIVE\n"
		 "key escrow [OPTION]... [--output FILE] ARCHIVE\n"
		 "key restore --escrow FILE [OPTION]... ARCHIVE\n"
		 "key export --compartments LIST [OPTION]... ARCHIVE FILE",
	.about = "Each key slot of an archive holds one key file or passphrase that opens it.\n"
		 "Adding and removing slots touches no image and works while ARCHIVE is mounted.\n"
		 "The last slot cannot be removed. Passphrases that no option gives are asked for.\n"
		 "An escrow is the archive's key on paper: a text that can be typed in again, to\n"
		 "rebuild a configuration that is lost, with one new slot. Export makes a key file\n"
		 "that opens some compartments of ARCHIVE, for reading; the rest is shown masked.",
	.options = options,
	.run = run,
};
