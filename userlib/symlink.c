// SPDX-License-Identifier: GPL-2.0-or-later
/* Symbolic links' targets. */
#include <errno.h>
#include <string.h>

#include "basenc.h"
#include "error.h"
#include "names.h"

enum {
	SEALED_MAX = SYMLINK_MAX + VALUE_OVERHEAD,
	STORED_MAX = BASE64_LEN(SEALED_MAX),
};

_Static_assert(STORED_MAX <= 4095, "PATH_MAX, with the final NUL");

int chaosimg_symlink_encrypt(struct chaosimg_archive *a, const char *target,
			     char *out, size_t size)
{
	uint8_t sealed[SEALED_MAX];
	size_t len = strlen(target);
	int err;

	if (!names_held(a))
		return fail(EACCES, "a link cannot be encrypted without the compartment identity");
	if (a->ingest)
		return fail(EPERM, "an ingest mount has no keys for links");
	if (!len)
		return fail(EINVAL, "a symbolic link's target is empty");
	if (len > SYMLINK_MAX || BASE64_LEN(len + VALUE_OVERHEAD) >= size)
		return fail(ENAMETOOLONG, "a symbolic link's target of %zu "
			    "bytes is too long", len);
	err = name_value_seal(&a->names->symlink, "", target, len, sealed);
	if (err)
		return err;
	base64url_encode(sealed, len + VALUE_OVERHEAD, out);
	return 0;
}

size_t chaosimg_symlink_length(size_t stored_len)
{
	size_t sealed = stored_len / 4 * 3 + stored_len % 4 * 6 / 8;

	return sealed > VALUE_OVERHEAD ? sealed - VALUE_OVERHEAD : 0;
}

int chaosimg_symlink_decrypt(struct chaosimg_archive *a, const char *stored,
			     char *out, size_t size)
{
	size_t stored_len = strnlen(stored, STORED_MAX + 1);
	size_t len = chaosimg_symlink_length(stored_len);
	uint8_t sealed[SEALED_MAX];
	ssize_t n;
	int err;

	n = base64url_decode(stored, stored_len, sealed, sizeof(sealed));
	if (n < 0 || !len)
		return fail(EIO, "a symbolic link is damaged");
	/* Nobody could make it point anywhere: it has neither '.' nor '/'. */
	if (!names_held(a))
		len = stored_len;
	if (len >= size)
		return fail(ENAMETOOLONG, "a symbolic link's target of %zu "
			    "bytes is too long", len);
	if (!names_held(a)) {
		memcpy(out, stored, len + 1);
		return 0;
	}
	err = name_value_open(&a->names->symlink, "", sealed, (size_t)n, out);
	if (err == -ENOMEM)
		return fail(ENOMEM, "cannot decrypt a symbolic link");
	if (err || memchr(out, 0, len))
		return fail(EIO, "a symbolic link is damaged");
	out[len] = '\0';
	return 0;
}
