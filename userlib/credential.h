/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a person or machine brings to open a key slot. */
#ifndef CHAOSIMG_CREDENTIAL_H
#define CHAOSIMG_CREDENTIAL_H

#include "chaosimg.h"

enum {
	PASSPHRASE_MAX = 1024,
};

/** struct chaosimg_credential - a key or a passphrase, in locked memory */
struct chaosimg_credential {
	enum chaosimg_slot_type type;
	size_t len;
	uint8_t secret[];
};

#endif
