// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The command line. Options may follow the positional arguments: mount(8)
 * calls "chaosimgfs ARCHIVE MOUNTPOINT -o OPTIONS", and puts everything there
 * that stands in the fstab line.
 */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chaosimg_ingest.h"
#include "fs.h"
#include "options.h"

#define DEFAULT_THREADS	16
#define MOST_THREADS	256

enum { KEY_IGNORE = 1, KEY_PASS };

#define OPTION(t, m) { t, offsetof(struct options, m), 1 }
#define IGNORE(t) FUSE_OPT_KEY(t, KEY_IGNORE)
#define PASS(t) FUSE_OPT_KEY(t, KEY_PASS)

static const struct fuse_opt specs[] = {
	OPTION("-f", foreground),
	OPTION("-h", help),
	OPTION("--help", help),
	OPTION("-V", version),
	OPTION("--version", version),
	OPTION("keyfile=%s", keyfile),
	OPTION("passfile=%s", passfile),
	OPTION("ingest", ingest),
	OPTION("params=%s", params),
	OPTION("ingest-epoch=%u", epoch),
	OPTION("cipher=%s", cipher),
	OPTION("threads=%u", threads),
	OPTION("no_writeback", no_writeback),
	OPTION("no_sandbox", no_sandbox),
	OPTION("replace", replace),
	OPTION("ro", readonly),
	{ "rw", offsetof(struct options, readonly), 0 },
	PASS("allow_other"), PASS("auto_unmount"),
	PASS("dev"), PASS("nodev"), PASS("suid"), PASS("nosuid"),
	PASS("exec"), PASS("noexec"), PASS("sync"), PASS("async"),
	PASS("dirsync"), PASS("noatime"),
	/* Always so, or for mount(8), systemd and the kernel's other parts. */
	IGNORE("default_permissions"), IGNORE("defaults"),
	IGNORE("atime"), IGNORE("diratime"), IGNORE("nodiratime"),
	IGNORE("relatime"), IGNORE("norelatime"), IGNORE("strictatime"),
	IGNORE("nostrictatime"), IGNORE("lazytime"), IGNORE("nolazytime"),
	IGNORE("auto"), IGNORE("noauto"), IGNORE("nofail"), IGNORE("_netdev"),
	IGNORE("user"), IGNORE("user="), IGNORE("nouser"), IGNORE("users"),
	IGNORE("owner"), IGNORE("group"), IGNORE("comment="),
	FUSE_OPT_END
};

static int wrong(const char *what, const char *why)
{
	fprintf(stderr, "chaosimgfs: %s: %s\n", what, why);
	return -1;
}

static int take_path(struct options *o, const char *arg)
{
	if (!o->archive)
		o->archive = strdup(arg);
	else if (!o->mountpoint)
		o->mountpoint = strdup(arg);
	else
		return wrong(arg, "one argument too many");
	return 0;
}

static int take(void *data, const char *arg, int key, struct fuse_args *out)
{
	struct options *o = data;

	(void)out;
	if (key == KEY_IGNORE)
		return 0;
	if (key == KEY_PASS)
		return fuse_opt_add_opt(&o->mount, arg);
	if (key == FUSE_OPT_KEY_NONOPT)
		return take_path(o, arg);
	if (!strncmp(arg, "x-", 2))
		return 0;
	return wrong(arg, "unknown option");
}

/* It has no key, so there is nothing to read, or to take over. */
static int check_ingest(const struct options *o)
{
	if (!o->ingest)
		return o->params || o->epoch != CHAOSIMG_INGEST_EPOCH ?
		       wrong("params, ingest-epoch", "are for ingest") : 0;
	if (!o->params)
		return wrong("ingest", "give params= with the archive's public parameters");
	if (o->keyfile || o->passfile || o->readonly || o->replace)
		return wrong("ingest", "goes with no key, nor with ro or replace");
	if (!o->epoch || o->epoch > CHAOSIMG_INGEST_EPOCH_MAX)
		return wrong("ingest-epoch", "must be from 1 to 86400 seconds");
	return 0;
}

static int check(const struct options *o)
{
	if (!o->archive || !o->mountpoint) {
		fprintf(stderr, "chaosimgfs: %s is missing; see --help\n",
			o->archive ? "MOUNTPOINT" : "ARCHIVE");
		return -1;
	}
	if (o->keyfile && o->passfile)
		return wrong("keyfile, passfile", "only one can be given");
	if (!o->threads || o->threads > MOST_THREADS)
		return wrong("threads", "must be from 1 to 256");
	return check_ingest(o);
}

int options_parse(int argc, char **argv, struct options *o)
{
	struct fuse_args args = FUSE_ARGS_INIT(argc, argv);
	int err;

	memset(o, 0, sizeof(*o));
	o->threads = DEFAULT_THREADS;
	o->epoch = CHAOSIMG_INGEST_EPOCH;
	err = fuse_opt_parse(&args, o, specs, take);
	fuse_opt_free_args(&args);
	if (err)
		return -1;
	return o->help || o->version ? 0 : check(o);
}

void options_free(struct options *o)
{
	free(o->archive);
	free(o->mountpoint);
	free(o->keyfile);
	free(o->passfile);
	free(o->params);
	free(o->cipher);
	free(o->mount);
	memset(o, 0, sizeof(*o));
}

void options_help(void)
{
	fputs("Usage: chaosimgfs [-f] -o keyfile=F|passfile=F[,OPTION..] "
	      "ARCHIVE MOUNTPOINT\n"
	      "Show the protected image archive ARCHIVE as plain files at "
	      "MOUNTPOINT.\n"
	      "\n"
	      "  -f              stay in the foreground, log to stderr\n"
	      "  -h, --help      show this help\n"
	      "  -V, --version   show the version\n"
	      "\n"
	      "Options after -o, separated by commas:\n"
	      "  keyfile=F       open the archive with this key file\n"
	      "  passfile=F      with the passphrase in a file's first line\n"
	      "                  (neither: ask for it on the terminal)\n"
	      "  allow_other     let other users in, as file modes permit;\n"
	      "                  without it, only whoever mounts\n"
	      "  ro              change nothing; may go beside another mount\n"
	      "  no_writeback    pass each write on at once\n"
	      "  threads=N       at most N requests at a time (16)\n"
	      "  replace         take the place of the daemon that serves the\n"
	      "                  mount, which nobody may use\n"
	      "  ingest          only write, without a key; needs params=F, and\n"
	      "                  ARCHIVE may be an empty folder\n"
	      "  params=F        what 'chaosimg ingest' wrote\n"
	      "  ingest-epoch=N  forget keys after N seconds (3600)\n"
	      "  no_sandbox      keep all rights, for debuggers\n"
	      "  cipher=NAME     the cipher's implementation\n"
	      "                  (see: chaosimg cipher --list)\n"
	      "and mount(8)'s dev, suid, exec, sync, noatime and the like.\n"
	      "\n"
	      "End it with umount(8), or fusermount3 -u.\n", stdout);
}
