/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the tests of stored files share. */
#ifndef FILE_ENV_H
#define FILE_ENV_H

#include "archive.h"

/*
 * An archive in memory with one keyset, always the same. Files of it can be
 * written to. NULL if that fails.
 */
struct chaosimg_archive *file_env_archive(uint32_t chunk_size);

#endif
