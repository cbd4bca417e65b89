/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Compartment key files: they open some compartments of one archive. */
#ifndef CHAOSIMG_COMPARTMENT_KEY_H
#define CHAOSIMG_COMPARTMENT_KEY_H

#include "credential.h"

/** compartment_key_begins() - does the line begin as that of such a file? */
bool compartment_key_begins(const char *line, size_t len);

/**
 * compartment_key_parse() - read the line of such a file
 * @path: the file, for the error text
 * @line: @len bytes and a NUL; clobbered
 * @len: its length
 * @out: receives the credential
 * Return: 0; -EBADMSG if it is damaged; -ENOMEM.
 */
int compartment_key_parse(const char *path, char *line, size_t len,
			  struct chaosimg_credential **out);

#endif
