// SPDX-License-Identifier: GPL-2.0-or-later
/* chaosimg rules: an archive's content rules, and what they say of images. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "chaosimg_abe.h"
#include "chaosimg_rules.h"
#include "tool.h"

/* --- what they say of an image --------------------------------------------- */

/**
 * struct look - how images are looked at
 * @rules: what applies to them
 * @policies: what the archive has; NULL if there is none
 */
struct look {
	const struct chaosimg_rules *rules;
	const struct chaosimg_policies *policies;
};

/* Who sees what of it. */
static void print_policies(const struct look *l, const char *name,
			   const char *policy)
{
	const struct chaosimg_policies *p = l->policies;
	int c;

	while (p && strcmp(p->name, policy ? policy : ""))
		p = p->next;
	if (l->policies && !p)
		printf("%s: the archive has no policy %s: all of it belongs to identity\n",
		       name, policy);
	for (c = 0; p && c < CHAOSIMG_COMPARTMENTS; c++)
		if (p->policy[c])
			printf("%s: %s: %s\n", name,
			       compartment_name((enum chaosimg_compartment)c),
			       chaosimg_policy_text(p->policy[c]));
}

static void print_result(const struct look *l, const char *path,
			 const struct chaosimg_rules_result *r)
{
	const struct chaosimg_rules *rules = l->rules;
	char name[4096];
	uint32_t i;

	escape(name, sizeof(name), path);
	if (!r->dicom)
		printf("%s: not DICOM\n", name);
	else if (!r->rules)
		printf("%s: no rule applies\n", name);
	for (i = 0; i < r->rules; i++)
		printf("%s: rule %s\n", name,
		       chaosimg_rules_name(rules, r->rule[i]));
	if (r->policy)
		printf("%s: policy %s\n", name, r->policy);
	if (r->dicom)
		print_policies(l, name, r->policy);
	if (r->held)
		printf("%s: all frames are held back: %s\n", name, r->held);
	for (i = 0; i < r->rects; i++)
		printf("%s: region %" PRIu32 " %" PRIu32 " %" PRIu32 " %"
		       PRIu32 "\n", name, r->rect[i].x, r->rect[i].y,
		       r->rect[i].width, r->rect[i].height);
	if (r->more)
		printf("%s: and more regions\n", name);
	if (r->rows)
		printf("%s: picture of %" PRIu32 " x %" PRIu32
		       ", blocks of %" PRIu32 "\n", name, r->columns, r->rows,
		       r->block);
}

static int try_image(const struct look *l, const char *path)
{
	struct chaosimg_rules_result *r = malloc(sizeof(*r));
	int fd, err;

	if (!r)
		return failed("%s: %s", path, strerror(ENOMEM));
	fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0) {
		free(r);
		return failed_errno(path);
	}
	err = chaosimg_rules_test(l->rules, fd, r);
	if (!err)
		print_result(l, path, r);
	close(fd);
	free(r);
	return err ? failed_library(path, err) : DONE;
}

static int try_images(const struct look *l, int argc, char **argv)
{
	int i, status = DONE, one;

	for (i = 0; i < argc; i++) {
		one = try_image(l, argv[i]);
		if (one)
			status = one;
	}
	return status;
}

/* --- actions --------------------------------------------------------------- */

static int check(int argc, char **argv)
{
	struct look l = { .policies = NULL };
	struct chaosimg_rules *rules;
	int err = chaosimg_rules_read(argv[0], &rules), status = DONE;

	if (err)
		return failed_library(argv[0], err);
	l.rules = rules;
	if (argc == 1)
		printf("%" PRIu32 " rules\n", chaosimg_rules_count(rules));
	else
		status = try_images(&l, argc - 1, argv + 1);
	chaosimg_rules_free(rules);
	return status;
}

static int set(struct chaosimg_archive *a, const char *archive,
	       const char *path)
{
	struct chaosimg_rules *rules;
	int err = chaosimg_rules_read(path, &rules);

	if (err)
		return failed_library(path, err);
	err = chaosimg_rules_store(a, rules);
	chaosimg_rules_free(rules);
	return err ? failed_library(archive, err) : DONE;
}

static int load(struct chaosimg_archive *a, const char *archive,
		struct chaosimg_rules **rules)
{
	int err = chaosimg_rules_load(a, rules);

	if (err == -ENOENT)
		return failed("%s: has no rules", archive);
	return err ? failed_library(archive, err) : DONE;
}

static int show(struct chaosimg_archive *a, const char *archive)
{
	struct chaosimg_rules *rules;
	const char *text;
	size_t len;
	int status = load(a, archive, &rules);

	if (status)
		return status;
	text = chaosimg_rules_text(rules, &len);
	fwrite(text, 1, len, stdout);
	chaosimg_rules_free(rules);
	return DONE;
}

static int test(struct chaosimg_archive *a, const char *archive, int argc,
		char **argv)
{
	struct chaosimg_rules *rules;
	struct chaosimg_policies *p = NULL;
	int status = load(a, archive, &rules), err;

	if (status)
		return status;
	err = chaosimg_policies_get(a, &p);
	if (err)
		status = failed_library(archive, err);
	else
		status = try_images(&(struct look){ rules, p }, argc, argv);
	chaosimg_policies_free(p);
	chaosimg_rules_free(rules);
	return status;
}

static int act(struct chaosimg_archive *a, const char *action, int argc,
	       char **argv)
{
	if (!strcmp(action, "set"))
		return set(a, argv[0], argv[1]);
	if (!strcmp(action, "show"))
		return show(a, argv[0]);
	return test(a, argv[0], argc - 1, argv + 1);
}

static int with_archive(const struct tool_command *cmd,
			const struct credential_args *args, const char *action,
			int argc, char **argv)
{
	unsigned int flags = strcmp(action, "set") ? CHAOSIMG_ARCHIVE_RDONLY :
						     CHAOSIMG_ARCHIVE_NOLOCK;
	struct chaosimg_archive *a;
	int status = archive_get(cmd, args, argv[0], flags, &a);

	if (status)
		return status;
	status = act(a, action, argc, argv);
	chaosimg_archive_close(a);
	return status;
}

static int dispatch(const struct tool_command *cmd,
		    const struct credential_args *args, const char *action,
		    int argc, char **argv)
{
	if (!strcmp(action, "check")) {
		if (args->keyfile || args->passfile)
			return misused(cmd, "check: needs no key");
		if (argc < 1)
			return misused(cmd, "check: RULES are needed");
		return check(argc, argv);
	}
	if (!strcmp(action, "set")) {
		if (argc != 2)
			return misused(cmd, "set: an ARCHIVE and RULES are needed");
	} else if (!strcmp(action, "show")) {
		if (argc != 1)
			return misused(cmd, "show: one ARCHIVE is needed");
	} else if (!strcmp(action, "test")) {
		if (argc < 2)
			return misused(cmd, "test: an ARCHIVE and an IMAGE are needed");
	} else {
		return misused(cmd, "no such action: %s", action);
	}
	return with_archive(cmd, args, action, argc, argv);
}

static int run(const struct tool_command *cmd, int argc, char **argv)
{
	struct credential_args args = { 0 };
	int id;

	while ((id = next_option(cmd, argc, argv)) != OPT_END) {
		if (id == OPT_KEYFILE)
			set_once(cmd, "--keyfile", &args.keyfile);
		else
			set_once(cmd, "--passfile", &args.passfile);
	}
	if (argc - optind < 1)
		return misused(cmd, "an action is needed: check, set, show or test");
	return dispatch(cmd, &args, argv[optind], argc - optind - 1,
			argv + optind + 1);
}

static const struct tool_option options[] = {
	CREDENTIAL_OPTIONS,
	COMMON_OPTIONS
};

const struct tool_command cmd_rules = {
	.name = "rules",
	.summary = "content rules: which images get what, and which pixels are hidden",
	.usage = "rules check RULES [IMAGE]...\n"
		 "rules set [OPTION]... ARCHIVE RULES\n"
		 "rules show [OPTION]... ARCHIVE\n"
		 "rules test [OPTION]... ARCHIVE IMAGE...",
	.about = "RULES is a text that matches on DICOM attributes and names a policy, or regions\n"
		 "of the picture that belong to identity. check reads it; set makes it the\n"
		 "archive's, for images that are written from then on; show prints the archive's.\n"
		 "check and test tell of each IMAGE, a plain file, which rules apply and which\n"
		 "regions result, test also under which policies it falls. Policies that rules name\n"
		 "have to be there first (policy set --name). Without a key's option, set, show and\n"
		 "test ask for a passphrase.",
	.options = options,
	.run = run,
};
