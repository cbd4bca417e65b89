/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The first bytes of a single image: its configuration, in a fixed space. */
#ifndef CHAOSIMG_IMAGE_ENVELOPE_H
#define CHAOSIMG_IMAGE_ENVELOPE_H

#include "config.h"

enum {
	/* The stored file begins after the envelope. */
	ENVELOPE_SIZE = 4096,
};

/** envelope_write() - sign the configuration and write it at offset 0 */
int envelope_write(int fd, const char *where, struct config *cfg,
		   const struct keyring *ring);

/**
 * envelope_read() - read it back; @out is for free()
 * @fd: the image
 * @where: what to call it in an error
 * @out: receives the configuration
 * Return: 0; -EBADMSG; -EPROTONOSUPPORT; the system's error.
 */
int envelope_read(int fd, const char *where, struct config **out);

#endif
