/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A change of an archive's configuration: read, authenticated, changed and
 * replaced under a lock, since several processes may do so, and a mount may
 * hold the archive meanwhile.
 */
#ifndef CHAOSIMG_CONFIG_CHANGE_H
#define CHAOSIMG_CONFIG_CHANGE_H

#include "config.h"
#include "fdname.h"

/**
 * struct config_change - a change under way
 * @a: the archive
 * @path: what to call it in an error
 * @lock: holds the lock of the configuration
 * @cfg: what is about to be changed
 */
struct config_change {
	struct chaosimg_archive *a;
	char path[FDNAME_SIZE];
	int lock;
	struct config *cfg;
};

/**
 * config_change_begin() - lock, read and authenticate the configuration
 * @c: filled in; after success config_change_end() has to follow
 * @a: the archive
 * Return: 0; -EROFS if it was opened read-only; -EBADMSG; -EPROTONOSUPPORT;
 * -ENOMEM; the system's error.
 */
int config_change_begin(struct config_change *c, struct chaosimg_archive *a);

/**
 * config_change_end() - replace the configuration, if all went well till now
 * @c: the change
 * @ret: how it went; it is written only if that is 0
 * Return: @ret, or the error of writing it.
 */
int config_change_end(struct config_change *c, int ret);

/** config_change_cancel() - leave it as it is, and let others change it */
void config_change_cancel(struct config_change *c);

#endif
