// SPDX-License-Identifier: GPL-2.0-or-later
/* Options and --help of every subcommand, both from its one table. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tool.h"

#define OPTIONS_MAX 16

static void show_option(const struct tool_option *o)
{
	char left[64];

	snprintf(left, sizeof(left), "%c%c%s --%s%s%s",
		 o->letter ? '-' : ' ', o->letter ? o->letter : ' ',
		 o->letter ? "," : " ", o->name, o->arg ? " " : "",
		 o->arg ? o->arg : "");
	printf("  %-26s %s\n", left, o->help);
}

static void show_help(const struct tool_command *cmd)
{
	const struct tool_option *o;
	const char *line = cmd->usage;
	const char *lead = "Usage:";

	while (*line) {
		size_t len = strcspn(line, "\n");

		printf("%-6s chaosimg %.*s\n", lead, (int)len, line);
		line += len + (line[len] == '\n');
		lead = "";
	}
	printf("\n%s\n\nOptions:\n", cmd->about);
	for (o = cmd->options; o->name; o++)
		show_option(o);
}

static void fill(const struct tool_command *cmd, struct option *longs,
		 char *shorts)
{
	const struct tool_option *o;

	*shorts++ = ':';
	for (o = cmd->options; o->name; o++, longs++) {
		*longs = (struct option){
			.name = o->name, .val = o->id,
			.has_arg = o->arg ? required_argument : no_argument,
		};
		if (!o->letter)
			continue;
		*shorts++ = o->letter;
		if (o->arg)
			*shorts++ = ':';
	}
	*longs = (struct option){ 0 };
	*shorts = '\0';
}

static int by_letter(const struct tool_command *cmd, int letter)
{
	const struct tool_option *o;

	for (o = cmd->options; o->name; o++)
		if (o->letter && o->letter == letter)
			return o->id;
	return letter;
}

/* An option may carry a secret after its "=": only its name is repeated. */
static void bad_option(const struct tool_command *cmd, const char *what,
		       const char *arg)
{
	size_t len = strncmp(arg, "--", 2) ? 2 : strcspn(arg, "=");

	exit(misused(cmd, "%s: %.*s", what, (int)len, arg));
}

int next_option(const struct tool_command *cmd, int argc, char **argv)
{
	struct option longs[OPTIONS_MAX];
	char shorts[2 * OPTIONS_MAX + 2];
	char letter[3] = "-?";
	int id;

	fill(cmd, longs, shorts);
	opterr = 0;
	id = getopt_long(argc, argv, shorts, longs, NULL);
	if (id == -1)
		return OPT_END;
	id = by_letter(cmd, id);
	letter[1] = (char)optopt;
	switch (id) {
	case OPT_HELP:
		show_help(cmd);
		exit(finish_output());
	case OPT_VERSION:
		printf("chaosimg %s\n", chaosimg_version());
		exit(finish_output());
	case ':':
		bad_option(cmd, "an argument is missing after",
			   argv[optind - 1]);
		break;
	case '?':
		bad_option(cmd, "wrong option",
			   optopt > 0 && optopt < 256 ? letter :
			   argv[optind - 1]);
		break;
	}
	return id;
}

void set_once(const struct tool_command *cmd, const char *option,
	      const char **value)
{
	if (*value)
		exit(misused(cmd, "given twice: %s", option));
	*value = optarg;
}
