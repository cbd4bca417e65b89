/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the subcommands of chaosimg share. */
#ifndef TOOL_H
#define TOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "chaosimg.h"

/*
 * Exit statuses. A function that returns one of these has printed the error,
 * as one line on standard error, before it returns anything but DONE.
 */
enum {
	DONE = 0,
	FAILED = 1,
	MISUSED = 2,
};

/* --- options (options.c) --------------------------------------------------- */

enum {
	OPT_END = 0,
	OPT_HELP = 256,
	OPT_VERSION,
	OPT_KEYFILE,
	OPT_PASSFILE,
	OPT_NEW_KEYFILE,
	OPT_NEW_PASSFILE,
	OPT_CHUNK_SIZE,
	OPT_SLOT,
	OPT_JSON,
	OPT_FORCE,
	OPT_ENCRYPT,
	OPT_DECRYPT,
	OPT_KEY,
	OPT_IV,
	OPT_IMPL,
	OPT_LIST,
	OPT_REENCRYPT,
	OPT_DROP_OLD,
	OPT_OUTPUT,
	OPT_ESCROW,
	OPT_RATE,
	OPT_STATE,
	OPT_THREADS,
	OPT_DRY_RUN,
	OPT_NAMES,
	OPT_SECONDS,
	OPT_USER,
	OPT_AUTHORITY,
	OPT_COMPARTMENTS,
	OPT_ATTRIBUTE,
	OPT_CLINICAL,
	OPT_IDENTITY,
	OPT_PIXELS,
	OPT_EXISTING,
	OPT_NAME,
};

/**
 * struct tool_option - one row serves both getopt_long() and --help
 * @id: an OPT_ value
 * @letter: its short form, or 0
 * @name: its long form, without dashes
 * @arg: what --help calls the argument; NULL if it takes none
 * @help: one line for --help
 */
struct tool_option {
	int id;
	char letter;
	const char *name;
	const char *arg;
	const char *help;
};

#define CREDENTIAL_OPTIONS						\
	{ OPT_KEYFILE, 0, "keyfile", "FILE", "open with this key file" },	\
	{ OPT_PASSFILE, 0, "passfile", "FILE",				\
	  "open with the passphrase on this file's first line" }
#define COMMON_OPTIONS							\
	{ OPT_HELP, 'h', "help", NULL, "show this help" },		\
	{ OPT_VERSION, 'V', "version", NULL, "show the version" },	\
	{ OPT_END, 0, NULL, NULL, NULL }

/**
 * struct tool_command - a subcommand
 * @name: as on the command line
 * @summary: one line for --help
 * @usage: its forms, each a line without "chaosimg"
 * @about: some lines for --help
 * @options: ends with OPT_END
 * @run: does it; returns an exit status
 */
struct tool_command {
	const char *name;
	const char *summary;
	const char *usage;
	const char *about;
	const struct tool_option *options;
	int (*run)(const struct tool_command *cmd, int argc, char **argv);
};

extern const struct tool_command cmd_init, cmd_keyfile, cmd_key, cmd_info,
	cmd_scrub, cmd_fsck, cmd_rekey, cmd_encrypt, cmd_decrypt, cmd_cipher, cmd_bench,
	cmd_authority, cmd_user, cmd_policy, cmd_rules, cmd_ingest;

/**
 * next_option() - getopt_long() over a command's table
 * @cmd: the subcommand
 * @argc: as for main(), from the subcommand on
 * @argv: as for main(), from the subcommand on
 * Return: an OPT_ value with its argument in optarg; OPT_END when only
 * operands are left. Handles --help and --version and wrong options itself:
 * then it does not return.
 */
int next_option(const struct tool_command *cmd, int argc, char **argv);

/**
 * set_once() - store an option's argument, which may be given only once
 * @cmd: the subcommand
 * @option: its name, for the message
 * @value: receives optarg
 *
 * Ends the program with MISUSED if it was given before.
 */
void set_once(const struct tool_command *cmd, const char *option,
	      const char **value);

/* --- messages (message.c) -------------------------------------------------- */

/** message() - one line on standard error; control characters are escaped */
void message(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/** failed() - the same. Return: FAILED */
int failed(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/** failed_errno() - names @what and errno's cause. Return: FAILED */
int failed_errno(const char *what);

/**
 * failed_library() - the library's line, with the object's name if it lacks it
 * @what: the object
 * @err: what the library returned, in case it left no line
 * Return: FAILED
 */
int failed_library(const char *what, int err);

/**
 * failed_library_fd() - the same for an open file
 * @what: the object
 * @fd: what the library calls it by
 * @err: what the library returned
 * @so: what follows from it, at the end
 */
int failed_library_fd(const char *what, int fd, int err, const char *so);

/** misused() - wrong usage, with a hint. Return: MISUSED */
int misused(const struct tool_command *cmd, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/** escape() - copy text with control characters as \ooo, cut to @size */
void escape(char *out, size_t size, const char *text);

/** finish_output() - flush standard output. Return: DONE or FAILED */
int finish_output(void);

/** format_time() - seconds since 1970 as ISO 8601, UTC */
void format_time(uint64_t seconds, char out[32]);

/* --- progress (progress.c) ------------------------------------------------- */

/**
 * progress_begin() - start to show progress, if standard error is a terminal
 * @verb: as "encrypting"
 * @total: bytes to come; 0 if unknown
 */
void progress_begin(const char *verb, uint64_t total);

/** progress_update() - @done bytes are done; cheap enough for every chunk */
void progress_update(uint64_t done);

/**
 * progress_stage() - show a stage, if standard error is a terminal
 * @what: its name
 * @n: which of its rounds has begun, from 1
 * @of: how many there will be
 */
void progress_stage(const char *what, unsigned int n, unsigned int of);

/** progress_end() - clear the line */
void progress_end(void);

/* --- secrets (credential.c, prompt.c, hex.c) ------------------------------- */

/** struct credential_args - what the options say about a credential */
struct credential_args {
	const char *keyfile;
	const char *passfile;
};

/**
 * credential_get() - from a key file, a passphrase file, or the terminal
 * @cmd: the subcommand
 * @args: what the options say
 * @object: what it opens, for the prompt
 * @fresh: a passphrase that is being chosen: asked for twice
 * @out: receives it
 * Return: DONE, FAILED or MISUSED
 */
int credential_get(const struct tool_command *cmd,
		   const struct credential_args *args, const char *object,
		   bool fresh, struct chaosimg_credential **out);

/**
 * archive_get() - open an archive with what the options say
 * @cmd: the subcommand
 * @args: the credential
 * @archive: its directory
 * @flags: as for chaosimg_archive_open()
 * @out: receives it
 * Return: DONE, FAILED or MISUSED
 */
int archive_get(const struct tool_command *cmd,
		const struct credential_args *args, const char *archive,
		unsigned int flags, struct chaosimg_archive **out);

/** warn_if_exposed() - say so if others than its owner may read a file */
void warn_if_exposed(const char *path);

/** PROMPT_SIZE - room for a line that a terminal delivers, and a NUL */
#define PROMPT_SIZE	4097

/**
 * prompt_secret() - ask for a line on the terminal, without echo
 * @question: what to show
 * @answer: receives the line, NUL-terminated; use locked memory
 * Return: its length; -ENXIO if there is no terminal; -errno.
 */
ssize_t prompt_secret(const char *question, char answer[PROMPT_SIZE]);

/**
 * hex_to_bytes() - exactly 2 * @len hexadecimal digits, without secret branches
 * @hex: the digits, NUL-terminated
 * @out: receives @len bytes
 * @len: bytes wanted
 * Return: true if that is what @hex is
 */
bool hex_to_bytes(const char *hex, uint8_t *out, size_t len);

/** bytes_to_hex() - @out receives 2 * @len digits and a NUL */
void bytes_to_hex(const uint8_t *in, size_t len, char *out);

/* --- input and output (output.c, spool.c) ---------------------------------- */

/**
 * struct output - a file that appears complete, or not at all
 * @path: as given
 * @base: its last part
 * @dirfd: the directory it is in
 * @fd: the file
 * @replace: it may replace an existing file
 * @temp: its name until then; empty while it has none
 */
struct output {
	const char *path;
	const char *base;
	int dirfd;
	int fd;
	bool replace;
	char temp[40];
};

/**
 * output_open() - begin a file
 * @o: filled in
 * @path: where it shall appear
 * @mode: before the umask
 * @replace: an existing regular file may be replaced in the end
 */
int output_open(struct output *o, const char *path, mode_t mode, bool replace);

/** output_commit() - sync it and give it its name; it is closed in any case */
int output_commit(struct output *o);

/** output_discard() - leave nothing behind */
void output_discard(struct output *o);

/** input_open() - a file, or standard input for "-"; no directory */
int input_open(const char *path, int *fd);

/** unnamed_open() - a file in a directory that has no name and so goes by itself */
int unnamed_open(const char *dir, int *fd);

/** spool_open() - an unlinked temporary file, for ciphertext only */
int spool_open(int *fd);

/** copy_all() - copy to the end of @from; names for the messages */
int copy_all(int from, const char *from_name, int to, const char *to_name);

/** is_standard() - "-" ? */
bool is_standard(const char *path);

/* --- archives (lookup.c, report*.c, uid.c) --------------------------------- */

enum found_type { FOUND_FILE, FOUND_DIRECTORY, FOUND_SYMLINK };

/**
 * struct found - a file in an archive
 * @type: what it is
 * @fd: open for reading; -1 for a symbolic link
 * @binding: of its name
 * @plain: its path as a mount shows it
 * @stored: its path below the archive's directory
 */
struct found {
	enum found_type type;
	int fd;
	uint8_t binding[CHAOSIMG_BINDING_SIZE];
	char plain[4096];
	char stored[16384];
};

/**
 * lookup() - find a file by its plain or its stored path
 * @a: the archive
 * @archive: its path, for messages
 * @path: as a mount shows it, or as it stands below @archive ("data/..");
 *	if both exist, the former
 * @out: receives it
 */
int lookup(struct chaosimg_archive *a, const char *archive, const char *path,
	   struct found *out);

/** print_slots() - the key slots as a table */
void print_slots(const struct chaosimg_archive_info *info);

/* report.c, report_json.c: an archive, and a file in one. Return: exit status */
int print_archive(const char *path, const struct chaosimg_archive_info *info);
int print_archive_json(const char *path,
		       const struct chaosimg_archive_info *info);
int print_file(const struct found *found,
	       const struct chaosimg_file_info *info);
int print_file_json(const struct found *found,
		    const struct chaosimg_file_info *info);

/* The words both reports use. */
const char *slot_type_name(enum chaosimg_slot_type type);
const char *compartment_name(enum chaosimg_compartment compartment);
const char *found_type_name(enum found_type type);

/** transfer_syntax_name() - a transfer syntax's name, or NULL (PS3.6, A-1) */
const char *transfer_syntax_name(const char *uid);

#endif
