// SPDX-License-Identifier: GPL-2.0-or-later
/* chaosimg rekey: new keysets, files moved to them, old ones dropped. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "rekey.h"

#define RATE_MAX	(1 << 20)	/* MiB in a second */

struct request {
	const struct tool_command *cmd;
	const char *archive;
	struct credential_args credential;
	bool reencrypt;
	bool drop_old;
	uint64_t rate;
};

static int make_keyset(struct chaosimg_archive *a, const char *archive)
{
	uint8_t id[CHAOSIMG_ID_SIZE];
	char hex[2 * CHAOSIMG_ID_SIZE + 1];
	int err = chaosimg_archive_rekey(a, id);

	if (err)
		return failed_library(archive, err);
	bytes_to_hex(id, sizeof(id), hex);
	printf("keyset %s serves new files\n", hex);
	return DONE;
}

static int report(const struct reencryption *r)
{
	printf("files moved: %" PRIu64 ", bytes: %" PRIu64 "\n", r->moved,
	       r->bytes);
	if (!r->busy && !r->linked && !r->failed)
		return DONE;
	return failed("%s: files left under older keysets: %" PRIu64
		      " in use, %" PRIu64 " names of linked ones, %" PRIu64
		      " damaged", r->archive, r->busy, r->linked, r->failed);
}

static int drop(struct chaosimg_archive *a, const char *archive)
{
	uint32_t dropped;
	int err = chaosimg_keyset_drop(a, &dropped);

	if (err)
		return failed_library(archive, err);
	printf("keysets dropped: %" PRIu32 "\n", dropped);
	return DONE;
}

/* A writer's lock, unless a mount has it that can do the work instead. */
static int open_to_move(const struct request *r,
			const struct chaosimg_credential *cred,
			struct chaosimg_archive **a, int *mount)
{
	int err = chaosimg_archive_open(r->archive, cred, 0, a);

	*mount = -1;
	if (err == -EBUSY && !r->drop_old) {
		int status = find_mount(r->archive, mount);

		if (status)
			return status;
		err = chaosimg_archive_open(r->archive, cred,
					    CHAOSIMG_ARCHIVE_NOLOCK, a);
	}
	return err ? failed_library(r->archive, err) : DONE;
}

static int move_files(const struct request *req, struct chaosimg_archive *a,
		      int mount)
{
	struct reencryption r = {
		.archive = req->archive, .a = a, .mount = mount,
		.rate = req->rate,
	};
	int status = reencrypt(&r);

	return status ? status : report(&r);
}

static int work(const struct request *r,
		const struct chaosimg_credential *cred)
{
	struct chaosimg_archive *a = NULL;
	int mount = -1, status = DONE, err;

	if (r->reencrypt || r->drop_old) {
		status = open_to_move(r, cred, &a, &mount);
	} else {
		err = chaosimg_archive_open(r->archive, cred,
					    CHAOSIMG_ARCHIVE_NOLOCK, &a);
		if (err)
			return failed_library(r->archive, err);
		status = make_keyset(a, r->archive);
	}
	if (!status && r->reencrypt)
		status = move_files(r, a, mount);
	if (!status && r->drop_old)
		status = drop(a, r->archive);
	chaosimg_archive_close(a);
	if (mount >= 0)
		close(mount);
	return status;
}

static int parse_rate(const struct tool_command *cmd, const char *text,
		      uint64_t *rate)
{
	char *end;
	double mib;

	if (!text)
		return DONE;
	mib = strtod(text, &end);
	if (end == text || *end || !isfinite(mib) || mib * (1 << 20) < 1 ||
	    mib > RATE_MAX)
		return misused(cmd, "not a rate in MiB: %s", text);
	*rate = (uint64_t)(mib * (1 << 20));
	return DONE;
}

static int run(const struct tool_command *cmd, int argc, char **argv)
{
	struct chaosimg_credential *cred;
	struct request r = { .cmd = cmd };
	const char *rate = NULL;
	int id, status;

	while ((id = next_option(cmd, argc, argv)) != OPT_END) {
		if (id == OPT_KEYFILE)
			set_once(cmd, "--keyfile", &r.credential.keyfile);
		else if (id == OPT_PASSFILE)
			set_once(cmd, "--passfile", &r.credential.passfile);
		else if (id == OPT_RATE)
			set_once(cmd, "--rate", &rate);
		else if (id == OPT_REENCRYPT)
			r.reencrypt = true;
		else
			r.drop_old = true;
	}
	if (argc - optind != 1)
		return misused(cmd, "one ARCHIVE is needed");
	if (rate && !r.reencrypt)
		return misused(cmd, "a rate is for --reencrypt");
	r.archive = argv[optind];
	status = parse_rate(cmd, rate, &r.rate);
	if (!status)
		status = credential_get(cmd, &r.credential, r.archive, false,
					&cred);
	if (status)
		return status;
	status = work(&r, cred);
	chaosimg_credential_free(cred);
	return status;
}

static const struct tool_option options[] = {
	CREDENTIAL_OPTIONS,
	{ OPT_REENCRYPT, 0, "reencrypt", NULL,
	  "move old files to the newest keyset" },
	{ OPT_RATE, 0, "rate", "MIB", "move at most so many MiB in a second" },
	{ OPT_DROP_OLD, 0, "drop-old", NULL,
	  "drop keysets that no file needs any more" },
	COMMON_OPTIONS
};

const struct tool_command cmd_rekey = {
	.name = "rekey",
	.summary = "change the keys that encrypt images",
	.usage = "rekey [OPTION]... ARCHIVE\n"
		 "rekey --reencrypt [OPTION]... ARCHIVE\n"
		 "rekey --drop-old [OPTION]... ARCHIVE",
	.about = "Makes a new keyset: images that are stored from now on are encrypted under it.\n"
		 "With --reencrypt, moves the older ones to the newest keyset instead; this can be\n"
		 "interrupted at any time and goes on where it was. Both work while ARCHIVE is\n"
		 "mounted and in use. With --drop-old, removes all other keysets if no file needs\n"
		 "them; for that ARCHIVE must not be mounted for writing. Without a key's option,\n"
		 "asks for a passphrase.",
	.options = options,
	.run = run,
};
