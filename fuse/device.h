/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The connection to the kernel, as far as libfuse does not do it. */
#ifndef CHAOSIMGFS_DEVICE_H
#define CHAOSIMGFS_DEVICE_H

#include <stdbool.h>

struct fuse_session;

/**
 * device_start() - read requests and write answers here
 * @se: mounted, and not served yet
 *
 * Return: 0, or a negative errno value (ENOMEM).
 */
int device_start(struct fuse_session *se);

/**
 * device_wait() - wait until the mount answers
 *
 * Without asking it for anything: who waits for its own process's answer cannot
 * be killed, and so keeps the connection open for good if the others are.
 *
 * Return: false if it never will, as device_end() said.
 */
bool device_wait(void);

/* There will be no more answers. */
void device_end(void);

/**
 * device_kills_suidgid() - shall this thread's request clear these bits?
 *
 * Set for a write, a truncation or an opening with O_TRUNC by a caller that
 * lacks CAP_FSETID (FUSE_HANDLE_KILLPRIV_V2 in linux/fuse.h): set-user-id, and
 * set-group-id of what a group may execute.
 */
bool device_kills_suidgid(void);

#endif
