/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the commands for attributes and policies share. */
#ifndef TOOL_ACCESS_H
#define TOOL_ACCESS_H

#include "chaosimg_abe.h"

/** print_authority() - name and id, as one line */
void print_authority(const struct chaosimg_authority *a);

/** user_read() - a user's key, with a warning if it is exposed */
int user_read(const char *path, struct chaosimg_user **out);

#endif
