/* SPDX-License-Identifier: GPL-2.0-or-later */
/* An archive's key as lines of text that a person can type in again. */
#ifndef CHAOSIMG_ESCROW_H
#define CHAOSIMG_ESCROW_H

#include "chaosimg.h"

/** struct escrow - what the text says; in locked memory */
struct escrow {
	uint8_t archive_id[CHAOSIMG_ID_SIZE];
	uint32_t chunk_size;
	uint8_t key[CHAOSIMG_KEY_SIZE];
};

/** escrow_format() - to text. Return: 0; -ENOMEM */
int escrow_format(const struct escrow *e, char text[CHAOSIMG_ESCROW_SIZE]);

/**
 * escrow_parse() - back again
 * @text: @len bytes
 * @len: its length
 * @e: receives it; in locked memory
 * Return: 0; -EAGAIN if more lines have to follow; -EBADMSG with the wrong line
 * in the error text; -EPROTONOSUPPORT; -ENOMEM.
 */
int escrow_parse(const char *text, size_t len, struct escrow *e);

#endif
