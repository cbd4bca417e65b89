// SPDX-License-Identifier: GPL-2.0-or-later
/* Credentials: what --keyfile and --passfile name, or asked for. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "tool.h"

void warn_if_exposed(const char *path)
{
	struct stat st;

	if (!stat(path, &st) && S_ISREG(st.st_mode) && (st.st_mode & 077))
		message("%s: warning: open to group or others (mode %04o)",
			path, (unsigned int)(st.st_mode & 07777));
}

static int from_file(const char *path, bool keyfile,
		     struct chaosimg_credential **out)
{
	int err;

	if (keyfile)
		err = chaosimg_credential_keyfile(path, out);
	else
		err = chaosimg_credential_passfile(path, out);
	if (err)
		return failed_library(path, err);
	warn_if_exposed(path);
	return DONE;
}

static int ask(const struct tool_command *cmd, const char *question,
	       const char *object, char *answer, ssize_t *len)
{
	char shown[256], line[320];

	escape(shown, sizeof(shown), object);
	snprintf(line, sizeof(line), "%s %s: ", question, shown);
	*len = prompt_secret(line, answer);
	if (*len == -ENXIO)
		return misused(cmd, "no terminal to ask for the passphrase of %s",
			       object);
	if (*len < 0)
		return failed("terminal: %s", strerror((int)-*len));
	return DONE;
}

static int from_terminal(const struct tool_command *cmd, const char *object,
			 bool fresh, char pass[2][PROMPT_SIZE],
			 struct chaosimg_credential **out)
{
	ssize_t len, again;
	int status, err;

	status = ask(cmd, fresh ? "New passphrase for" : "Passphrase for",
		     object, pass[0], &len);
	if (!status && fresh) {
		status = ask(cmd, "Repeat the passphrase for", object, pass[1],
			     &again);
		if (!status && (len != again ||
				memcmp(pass[0], pass[1], (size_t)len)))
			status = failed("%s: the two passphrases differ",
					object);
	}
	if (status)
		return status;
	err = chaosimg_credential_passphrase(pass[0], (size_t)len, out);
	return err ? failed_library(object, err) : DONE;
}

static int from_locked_prompt(const struct tool_command *cmd,
			      const char *object, bool fresh,
			      struct chaosimg_credential **out)
{
	static char pass[2][PROMPT_SIZE];
	int status;

	if (mlock(pass, sizeof(pass)))
		return failed_errno("locking memory for a passphrase");
	status = from_terminal(cmd, object, fresh, pass, out);
	explicit_bzero(pass, sizeof(pass));
	munlock(pass, sizeof(pass));
	return status;
}

int credential_get(const struct tool_command *cmd,
		   const struct credential_args *args, const char *object,
		   bool fresh, struct chaosimg_credential **out)
{
	if (args->keyfile && args->passfile)
		return misused(cmd, "a key file and a passphrase file exclude each other");
	if (args->keyfile)
		return from_file(args->keyfile, true, out);
	if (args->passfile)
		return from_file(args->passfile, false, out);
	return from_locked_prompt(cmd, object, fresh, out);
}

int archive_get(const struct tool_command *cmd,
		const struct credential_args *args, const char *archive,
		unsigned int flags, struct chaosimg_archive **out)
{
	struct chaosimg_credential *cred;
	int status = credential_get(cmd, args, archive, false, &cred), err;

	if (status)
		return status;
	err = chaosimg_archive_open(archive, cred, flags, out);
	chaosimg_credential_free(cred);
	return err ? failed_library(archive, err) : DONE;
}
