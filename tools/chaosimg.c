// SPDX-License-Identifier: GPL-2.0-or-later
/* The chaosimg command: finds the subcommand and runs it. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "tool.h"

static const struct tool_command *const commands[] = {
	&cmd_init, &cmd_keyfile, &cmd_key, &cmd_info,
	&cmd_scrub, &cmd_fsck, &cmd_rekey,
	&cmd_encrypt, &cmd_decrypt, &cmd_cipher, &cmd_bench,
	&cmd_authority, &cmd_user, &cmd_policy, &cmd_rules, &cmd_ingest,
};

#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

static void show_help(void)
{
	size_t i;

	puts("Usage: chaosimg COMMAND [OPTION]... [ARGUMENT]...\n"
	     "       chaosimg --help | --version\n\n"
	     "Protected archives of medical images.\n\nCommands:");
	for (i = 0; i < COMMANDS; i++)
		printf("  %-10s %s\n", commands[i]->name,
		       commands[i]->summary);
	puts("\n'chaosimg COMMAND --help' tells more; so does chaosimg(1).");
}

/*
 * A descriptor that the caller closed must not be taken by a file that is
 * opened later; opened the wrong way round, its use still fails.
 */
static void reserve_standard_fds(void)
{
	int fd;

	for (fd = 0; fd < 3; fd++)
		if (fcntl(fd, F_GETFD) < 0 &&
		    open("/dev/null", fd ? O_RDONLY : O_WRONLY) != fd)
			exit(FAILED);
}

/* Secrets pass through this process: it must not leave a core dump. */
static void forbid_dumps(void)
{
	static const struct rlimit none;

	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	setrlimit(RLIMIT_CORE, &none);
}

static int run(int argc, char **argv)
{
	int status;
	size_t i;

	for (i = 0; i < COMMANDS; i++) {
		if (strcmp(argv[1], commands[i]->name))
			continue;
		status = commands[i]->run(commands[i], argc - 1, argv + 1);
		return status ? status : finish_output();
	}
	return misused(NULL, "no such command: %s", argv[1]);
}

int main(int argc, char **argv)
{
	reserve_standard_fds();
	forbid_dumps();
	/* A reader that goes away is an error like any other. */
	signal(SIGPIPE, SIG_IGN);
	if (argc < 2)
		return misused(NULL, "no command given");
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h")) {
		show_help();
		return finish_output();
	}
	if (!strcmp(argv[1], "--version") || !strcmp(argv[1], "-V")) {
		printf("chaosimg %s\n", chaosimg_version());
		return finish_output();
	}
	return run(argc, argv);
}
