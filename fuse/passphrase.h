/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Asking for a passphrase. */
#ifndef CHAOSIMGFS_PASSPHRASE_H
#define CHAOSIMGFS_PASSPHRASE_H

#include "chaosimg.h"

/** passphrase_possible() - is there a terminal to ask on? */
bool passphrase_possible(void);

/**
 * passphrase_ask() - on the terminal that controls this process
 * @prompt: what to show
 * @out: receives the credential
 * Return: 0; -ENOTTY without a terminal; what
 * chaosimg_credential_passphrase() says.
 */
int passphrase_ask(const char *prompt, struct chaosimg_credential **out);

#endif
