/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What an open file is called, for error texts. */
#ifndef CHAOSIMG_FDNAME_H
#define CHAOSIMG_FDNAME_H

enum {
	FDNAME_SIZE = 256,
};

/** fdname() - the path of an open file, as far as the system knows it */
void fdname(int fd, char name[FDNAME_SIZE]);

#endif
