// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Extended attributes: names encrypted as files' names are, but the same in
 * the whole archive; values bound to the names.
 */
#include <errno.h>
#include <linux/limits.h>
#include <string.h>

#include "basenc.h"
#include "error.h"
#include "names.h"

#define XATTR_PREFIX	"user.chaosimg."

enum {
	PREFIX_LEN = sizeof(XATTR_PREFIX) - 1,
	SEALED_MAX = NAME_SIV_SIZE + XATTR_NAME_PLAIN_MAX + 1,
};

_Static_assert(PREFIX_LEN + BASE32_LEN(SEALED_MAX) <= XATTR_NAME_MAX,
	       "the longest stored name is allowed");
_Static_assert(CHAOSIMG_XATTR_OVERHEAD == VALUE_OVERHEAD,
	       "the public header says what a value costs");

/* Attributes' names depend on no directory. */
static const uint8_t nowhere[CHAOSIMG_ID_SIZE];

static int check_plain(const struct chaosimg_archive *a, const char *name)
{
	size_t len = strlen(name);

	if (!names_held(a))
		return fail(EACCES, "there are no attributes without the compartment identity");
	if (a->ingest)
		return fail(EOPNOTSUPP, "an ingest mount has no keys for attributes");
	if (!len)
		return fail(EINVAL, "an attribute's name is empty");
	if (len > XATTR_NAME_PLAIN_MAX)
		return fail(ENAMETOOLONG, "an attribute's name of %zu bytes is "
			    "too long", len);
	return 0;
}

int chaosimg_xattr_name_encrypt(struct chaosimg_archive *a, const char *name,
				char out[CHAOSIMG_NAME_MAX + 1])
{
	uint8_t sealed[NAME_SEALED_MAX];
	int err = check_plain(a, name);
	ssize_t n;

	if (err)
		return err;
	n = name_siv_seal(&a->names->xattr_name, nowhere, name, strlen(name),
			  sealed);
	if (n < 0)
		return (int)n;
	memcpy(out, XATTR_PREFIX, PREFIX_LEN);
	base32hex_encode(sealed, (size_t)n, out + PREFIX_LEN);
	return 0;
}

int chaosimg_xattr_name_decrypt(struct chaosimg_archive *a, const char *stored,
				char out[CHAOSIMG_NAME_MAX + 1])
{
	uint8_t sealed[SEALED_MAX];
	const char *text = stored + PREFIX_LEN;
	char buf[64];
	ssize_t n;

	if (!names_held(a))
		return fail(EACCES, "there are no attributes without the compartment identity");
	if (strncmp(stored, XATTR_PREFIX, PREFIX_LEN))
		return fail(ENOENT, "%s: not an attribute of the archive",
			    name_printable(stored, buf));
	n = base32hex_decode(text, strnlen(text, CHAOSIMG_NAME_MAX), sealed,
			     sizeof(sealed));
	if (n >= 0)
		n = name_siv_open(&a->names->xattr_name, nowhere, sealed,
				  (size_t)n, out);
	if (n <= 0 || n > XATTR_NAME_PLAIN_MAX)
		return fail(EIO, "%s: damaged", name_printable(stored, buf));
	return 0;
}

int chaosimg_xattr_value_encrypt(struct chaosimg_archive *a, const char *name,
				 const void *value, size_t len, void *out)
{
	int err = check_plain(a, name);

	if (err)
		return err;
	return name_value_seal(&a->names->xattr_value, name, value, len, out);
}

int chaosimg_xattr_value_decrypt(struct chaosimg_archive *a, const char *name,
				 const void *stored, size_t len, void *out)
{
	int err = check_plain(a, name);

	if (err)
		return err;
	err = name_value_open(&a->names->xattr_value, name, stored, len, out);
	if (err == -ENOMEM)
		return fail(ENOMEM, "cannot decrypt an attribute");
	if (err)
		return fail(EIO, "an attribute's value is damaged, or of "
			    "another attribute");
	return 0;
}
