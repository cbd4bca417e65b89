/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The command line of chaosimgfs, also as mount(8) and fstab give it. */
#ifndef CHAOSIMGFS_OPTIONS_H
#define CHAOSIMGFS_OPTIONS_H

#include <stdbool.h>

/**
 * struct options - what was asked for
 * @archive: ARCHIVE as given
 * @mountpoint: MOUNTPOINT as given
 * @keyfile: or NULL
 * @passfile: or NULL
 * @params: an archive's public parameters, or NULL
 * @cipher: or NULL for the best
 * @mount: options for libfuse and the kernel, joined with commas; or NULL
 * @threads: requests at a time
 * @epoch: ingest-epoch, seconds
 * @foreground: -f
 * @readonly: ro
 * @no_writeback: no_writeback
 * @no_sandbox: no_sandbox
 * @replace: replace
 * @ingest: ingest
 * @help: --help
 * @version: --version
 */
struct options {
	char *archive;
	char *mountpoint;
	char *keyfile;
	char *passfile;
	char *params;
	char *cipher;
	char *mount;
	unsigned int threads;
	unsigned int epoch;
	int foreground;
	int readonly;
	int no_writeback;
	int no_sandbox;
	int replace;
	int ingest;
	int help;
	int version;
};

/**
 * options_parse() - read the command line
 * @argc: as for main()
 * @argv: as for main()
 * @o: filled in; for options_free()
 * Return: 0; -1 for wrong usage, which has been said on stderr.
 */
int options_parse(int argc, char **argv, struct options *o);

/** options_free() - what options_parse() allocated, also if it failed */
void options_free(struct options *o);

/** options_help() - on standard output */
void options_help(void);

#endif
