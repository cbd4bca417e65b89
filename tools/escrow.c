// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * An archive's key on paper: written to a terminal, or to a file for its owner
 * alone, and nowhere else; read from a file, or as it is typed.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "escrow.h"

static int write_all(int fd, const char *text, size_t len)
{
	while (len) {
		ssize_t n = write(fd, text, len);

		if (n < 0 && errno != EINTR)
			return -1;
		if (n > 0) {
			text += n;
			len -= (size_t)n;
		}
	}
	return 0;
}

static int to_file(const char *path, const char *text)
{
	struct output o;
	int status = output_open(&o, path, 0600, false);

	if (status)
		return status;
	if (!write_all(o.fd, text, strlen(text)))
		return output_commit(&o);
	status = failed_errno(path);
	output_discard(&o);
	return status;
}

/* Not by way of stdio, whose buffers nobody wipes. */
static int to_terminal(const char *text)
{
	if (write_all(STDOUT_FILENO, text, strlen(text)))
		return failed_errno("standard output");
	return DONE;
}

int escrow_write(struct chaosimg_archive *a, const char *archive,
		 const char *path)
{
	static char text[CHAOSIMG_ESCROW_SIZE];
	int status, err;

	if (!path && !isatty(STDOUT_FILENO))
		return failed("%s: standard output is no terminal; --output FILE writes the escrow to a file for you alone",
			      archive);
	if (mlock(text, sizeof(text)))
		return failed_errno("locking memory for the escrow");
	err = chaosimg_escrow(a, text);
	if (err)
		status = failed_library(archive, err);
	else
		status = path ? to_file(path, text) : to_terminal(text);
	explicit_bzero(text, sizeof(text));
	munlock(text, sizeof(text));
	if (!status)
		message("%s: warning: this is the key itself: whoever has it opens the archive, whatever its slots are; clear the %s when it is on paper",
			archive, path ? "file" : "screen");
	return status;
}

/* --- reading -------------------------------------------------------------- */

/* More of it. Return: bytes; 0 at the end; -1 and errno */
static ssize_t read_more(int fd, struct escrow_text *t)
{
	ssize_t n;

	do {
		n = read(fd, t->text + t->size, sizeof(t->text) - t->size);
	} while (n < 0 && errno == EINTR);
	if (n > 0)
		t->size += (size_t)n;
	return n;
}

/* A wrong line is typed again; a terminal gives one at a time. */
static int read_typed(int fd, struct escrow_text *t)
{
	size_t good = 0;
	int err = -EAGAIN;

	message("type the escrow, line by line; lines that begin with # can be left out");
	while (err && t->size < sizeof(t->text)) {
		ssize_t n = read_more(fd, t);

		if (n < 0)
			return failed_errno("terminal");
		if (!n)
			break;
		err = chaosimg_escrow_check(t->text, t->size);
		if (err && err != -EAGAIN) {
			message("%s; type it again", chaosimg_errmsg());
			t->size = good;
		}
		good = t->size;
	}
	return DONE;
}

static int read_file(int fd, const char *path, struct escrow_text *t)
{
	ssize_t n;

	do {
		n = read_more(fd, t);
	} while (n > 0);
	if (n < 0)
		return failed_errno(path);
	if (t->size == sizeof(t->text))
		return failed("%s: not an escrow: too long", path);
	return DONE;
}

int escrow_read(const char *path, struct escrow_text **out)
{
	static struct escrow_text t;
	int fd, status;

	*out = NULL;
	status = input_open(path, &fd);
	if (status)
		return status;
	if (mlock(&t, sizeof(t))) {
		status = failed_errno("locking memory for the escrow");
	} else {
		*out = &t;
		status = isatty(fd) ? read_typed(fd, &t) :
				      read_file(fd, path, &t);
	}
	if (fd != STDIN_FILENO)
		close(fd);
	return status;
}

void escrow_wipe(struct escrow_text *t)
{
	if (!t)
		return;
	explicit_bzero(t, sizeof(*t));
	munlock(t, sizeof(*t));
}
