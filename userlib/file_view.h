/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a file looks like to who holds some of its compartments: its own bytes
 * where they are of these, its mask's everywhere else.
 */
#ifndef CHAOSIMG_FILE_VIEW_H
#define CHAOSIMG_FILE_VIEW_H

#include <sys/types.h>

#include "chaosimg.h"

struct file_view;

/**
 * view_open() - find out how a file is to be shown
 * @f: the file; its header is known
 * @out: receives the view, for view_free(); NULL if the file is shown as it is
 * Return: 0; -EIO if its parts are damaged; -ENOMEM; the system's error.
 *
 * A file that is not sealed, and what is not DICOM without identity, is shown
 * as zeros.
 */
int view_open(struct chaosimg_file *f, struct file_view **out);

/** view_free() - wipe and free; NULL is allowed */
void view_free(struct file_view *v);

/**
 * view_read() - read what is shown
 * @f: the file, which has a view
 * @out: receives @len bytes
 * @len: bytes wanted, within the file
 * @off: offset in the plaintext
 * Return: 0 or an error.
 */
int view_read(struct chaosimg_file *f, uint8_t *out, size_t len, uint64_t off);

#endif
