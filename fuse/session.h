/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The mount's life: from the session with the kernel to its clean end. */
#ifndef CHAOSIMGFS_SESSION_H
#define CHAOSIMGFS_SESSION_H

#include "options.h"

/**
 * session_run() - mount, serve until the end, unmount
 * @o: the command line
 * @mountpoint: its real path
 * @ready: called once when the mount answers
 *
 * fs has been set up. Return: 0, or -1 and it has been said why.
 */
int session_run(const struct options *o, const char *mountpoint,
		void (*ready)(void));

/** session_began() - Return: whether a program can have changed anything */
bool session_began(void);

struct inode;

/** session_attributes_changed() - what the kernel remembers is not true now */
void session_attributes_changed(struct inode *in);

#endif
