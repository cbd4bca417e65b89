/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the parts of chaosimg policy know of each other. */
#ifndef TOOL_POLICY_H
#define TOOL_POLICY_H

#include "access.h"
#include "tool.h"

enum {
	/* Files of public keys on the command line. */
	POLICY_FILES_MAX = CHAOSIMG_AUTHORITIES_MAX,
};

/**
 * struct policy_request - what the command line asks for
 * @cmd: the subcommand
 * @action: what to do
 * @args: how many of @arg there are
 * @arg: the operands after the action
 * @files: how many of @file and @authority are in use
 * @file: the authorities' public keys
 * @authority: what is in them
 * @credential: the archive's key
 * @name: of the policies, or NULL for the archive's own
 * @policy: for each compartment, or NULL
 * @user: a user's key, or NULL
 * @attributes: how many of @attribute are in use
 * @attribute: attributes that somebody may have
 * @existing: older keysets, too
 * @force: even if it makes little sense
 */
struct policy_request {
	const struct tool_command *cmd;
	const char *action;
	int args;
	char **arg;
	int files;
	const char *file[POLICY_FILES_MAX];
	struct chaosimg_authority *authority[POLICY_FILES_MAX];
	struct credential_args credential;
	const char *name;
	const char *policy[CHAOSIMG_COMPARTMENTS];
	const char *user;
	size_t attributes;
	const char *attribute[CHAOSIMG_USER_ATTRIBUTES_MAX];
	bool existing;
	bool force;
};

/** policy_has_key() - do the options name an archive's key? */
static inline bool policy_has_key(const struct policy_request *r)
{
	return r->credential.keyfile || r->credential.passfile;
}

/** policy_open() - open the archive; asks for a passphrase if no option says */
int policy_open(const struct policy_request *r, const char *archive,
		unsigned int flags, struct chaosimg_archive **a);

/** policy_set() - policy set [OPTION]... ARCHIVE; the authorities are read */
int policy_set(const struct policy_request *r);

/** policy_remove() - policy remove [OPTION]... ARCHIVE [COMPARTMENT]... */
int policy_remove(const struct policy_request *r);

/** policy_show() - policy show [OPTION]... ARCHIVE */
int policy_show(const struct policy_request *r);

/** policy_test_archive() - policy test [OPTION]... ARCHIVE [FILE] */
int policy_test_archive(const struct policy_request *r);

#endif
