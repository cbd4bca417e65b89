// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Names, companions, directories' ids, links' targets and extended attributes:
 * as somebody may have left them on the disk, and sealed by us around contents
 * of the input's choice. What decrypts is what would be encrypted to the same.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "basenc.h"
#include "fixture.h"
#include "names.h"

enum {
	NAME, NAME_SEALED, NAME_PLAIN, COMPANION, DIR_ENTRY, LINK, LINK_SEALED,
	LINK_PLAIN, XATTR, XATTR_SEALED, VALUE, VALUE_PLAIN, MODES,
};

static struct chaosimg_archive *a;
static const uint8_t dir_id[CHAOSIMG_ID_SIZE] = "a directory's id";
static int dir = -1;

/* What a look-up of the decrypted name has to find again. */
static void check_name(const char *stored)
{
	struct chaosimg_stored_name again;
	char name[CHAOSIMG_NAME_MAX + 1];
	uint8_t binding[CHAOSIMG_BINDING_SIZE];
	int ret = chaosimg_name_decrypt(a, dir_id, dir, stored, name, binding);

	must(!ret || ret == -EBADMSG || ret == -ENOENT || ret == -ENAMETOOLONG);
	name_check_form(dir, stored);
	if (ret)
		return;
	must(!chaosimg_name_encrypt(a, dir_id, name, &again));
	must(!strcmp(again.name, stored));
	must(!memcmp(again.binding, binding, sizeof(binding)));
}

/* @text may be anything that a directory entry can be called. */
static void name_raw(const char *text)
{
	if (*text && strlen(text) <= CHAOSIMG_NAME_MAX && !strchr(text, '/'))
		check_name(text);
}

/* Authentic outside; inside is what chaosimg makes of anything. */
static void name_sealed(struct input *in)
{
	uint8_t sealed[NAME_SEALED_MAX];
	char text[BASE32_LEN(NAME_SEALED_MAX) + 1], name[NAME_PADDED_MAX];
	size_t len = 1 + take_u8(in) % CHAOSIMG_NAME_MAX;
	ssize_t n;

	take(in, name, len);
	/* Zeros within it, slashes, "..": all that no name may be. */
	n = name_siv_seal(&a->names->name, dir_id, name, len, sealed);
	must(n > 0);
	base32hex_encode(sealed, (size_t)n, text);
	if (strlen(text) <= CHAOSIMG_NAME_MAX)
		check_name(text);
}

static void name_plain(const char *text)
{
	struct chaosimg_stored_name sn;
	int ret = chaosimg_name_encrypt(a, dir_id, text, &sn);

	must(!ret || ret == -EINVAL || ret == -ENAMETOOLONG);
	if (ret)
		return;
	must(!chaosimg_name_companion_add(dir, &sn));
	check_name(sn.name);
	chaosimg_name_companion_remove(dir, &sn);
	/* A look-up needs no companion, a listing does. */
	if (*sn.companion)
		must(chaosimg_name_decrypt(a, dir_id, dir, sn.name,
					   (char[256]){ 0 }, NULL) == -EBADMSG);
}

/* A long name's companion leads anywhere. */
static void companion(const char *text)
{
	static const char stored[] =
		"z0123456789abcdefghijklmnopqrstuv0123456789abcdefghij";
	char name[CHAOSIMG_NAME_MAX + 1], link[80];

	if (!*text)
		return;
	snprintf(link, sizeof(link), "%s.name", stored);
	must(!symlinkat(text, dir, link));
	must(chaosimg_name_decrypt(a, dir_id, dir, stored, name, NULL) == -EBADMSG);
	name_check_form(dir, stored);
	must(!unlinkat(dir, link, 0));
}

static void dir_entry(const char *text)
{
	struct chaosimg_place place = { "its parent", "its name" };
	uint8_t id[CHAOSIMG_ID_SIZE];
	int ret;

	if (!*text)
		return;
	must(!symlinkat(text, dir, CHAOSIMG_DIR_ENTRY));
	ret = chaosimg_dir_load(a, dir, &place, id);
	must(ret == -EIO);
	must(dir_peek(dir, id) != 0 || strlen(text));
	must(!unlinkat(dir, CHAOSIMG_DIR_ENTRY, 0));
	must(!chaosimg_dir_init(a, dir, &place, id));
	must(!chaosimg_dir_load(a, dir, &place, id));
	must(chaosimg_dir_load(a, dir, NULL, id) == -EIO);
	must(!unlinkat(dir, CHAOSIMG_DIR_ENTRY, 0));
}

static int link_open(const char *stored, char out[SYMLINK_MAX + 1])
{
	int ret = chaosimg_symlink_decrypt(a, stored, out, SYMLINK_MAX + 1);

	must(!ret || ret == -EIO || ret == -ENAMETOOLONG);
	if (!ret)
		must(strlen(out) == chaosimg_symlink_length(strlen(stored)));
	return ret;
}

static void link_sealed(struct input *in)
{
	char text[4096], out[SYMLINK_MAX + 1];
	uint8_t sealed[SYMLINK_MAX + VALUE_OVERHEAD], plain[SYMLINK_MAX];
	size_t len = in->left < sizeof(plain) ? in->left : sizeof(plain);

	take(in, plain, len);
	must(!name_value_seal(&a->names->symlink, "", plain, len, sealed));
	base64url_encode(sealed, len + VALUE_OVERHEAD, text);
	must(!link_open(text, out) == (len && !memchr(plain, 0, len)));
}

static void link_plain(const char *text)
{
	char stored[4096], out[SYMLINK_MAX + 1];
	int ret = chaosimg_symlink_encrypt(a, text, stored, sizeof(stored));

	must(!ret || ret == -EINVAL || ret == -ENAMETOOLONG);
	must(ret || (!link_open(stored, out) && !strcmp(out, text)));
}

static void check_attribute(const char *stored)
{
	char name[CHAOSIMG_NAME_MAX + 1], again[CHAOSIMG_NAME_MAX + 1];
	int ret = chaosimg_xattr_name_decrypt(a, stored, name);

	must(!ret || ret == -EIO || ret == -ENOENT);
	must(ret || (!chaosimg_xattr_name_encrypt(a, name, again) &&
		     !strcmp(again, stored)));
}

static void attribute(const char *text)
{
	char stored[CHAOSIMG_NAME_MAX + 1];

	snprintf(stored, sizeof(stored), "user.chaosimg.%s", text);
	check_attribute(stored);
	if (strlen(text) <= CHAOSIMG_NAME_MAX)
		check_attribute(text);
}

static void attribute_sealed(struct input *in)
{
	static const uint8_t nowhere[CHAOSIMG_ID_SIZE];
	char stored[600], name[NAME_PADDED_MAX];
	uint8_t sealed[NAME_SEALED_MAX];
	size_t len = 1 + take_u8(in) % CHAOSIMG_NAME_MAX;
	ssize_t n;

	take(in, name, len);
	n = name_siv_seal(&a->names->xattr_name, nowhere, name, len, sealed);
	must(n > 0);
	strcpy(stored, "user.chaosimg.");
	base32hex_encode(sealed, (size_t)n, stored + strlen(stored));
	if (strlen(stored) <= CHAOSIMG_NAME_MAX)
		check_attribute(stored);
}

static void value(struct input *in, bool plain)
{
	size_t len = in->left;
	char *stored = malloc(len + CHAOSIMG_XATTR_OVERHEAD);
	char *out = malloc(len + CHAOSIMG_XATTR_OVERHEAD);

	must(stored && out);
	if (plain) {
		must(!chaosimg_xattr_value_encrypt(a, "user.a", in->p, len,
						   stored));
		len += CHAOSIMG_XATTR_OVERHEAD;
		must(!chaosimg_xattr_value_decrypt(a, "user.a", stored, len,
						   out));
		must(!memcmp(out, in->p, in->left));
		must(chaosimg_xattr_value_decrypt(a, "user.b", stored, len,
						  out) == -EIO);
	} else {
		must(chaosimg_xattr_value_decrypt(a, "user.a", in->p, len,
						  out) == -EIO);
	}
	free(stored);
	free(out);
}

/* Bytes as characters: one text for each byte string. */
static void basenc(const char *text)
{
	uint8_t bytes[4096];
	char again[6600];
	size_t len = strlen(text);
	ssize_t n = base32hex_decode(text, len, bytes, sizeof(bytes));

	if (n >= 0) {
		base32hex_encode(bytes, (size_t)n, again);
		must(!strcmp(again, text));
	}
	n = base64url_decode(text, len, bytes, sizeof(bytes));
	if (n >= 0) {
		base64url_encode(bytes, (size_t)n, again);
		must(!strcmp(again, text));
	}
}

static void run(int mode, struct input *in, const char *text)
{
	char out[SYMLINK_MAX + 1];

	switch (mode) {
	case NAME:
		basenc(text);
		return name_raw(text);
	case NAME_SEALED:
		return name_sealed(in);
	case NAME_PLAIN:
		return name_plain(text);
	case COMPANION:
		return companion(text);
	case DIR_ENTRY:
		return dir_entry(text);
	case LINK:
		must(link_open(text, out));
		return;
	case LINK_SEALED:
		return link_sealed(in);
	case LINK_PLAIN:
		return link_plain(text);
	case XATTR:
		return attribute(text);
	case XATTR_SEALED:
		return attribute_sealed(in);
	default:
		return value(in, mode == VALUE_PLAIN);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	char text[4096];
	int mode;

	if (dir < 0) {
		a = fixture_archive();
		dir = open(fixture_folder(), O_RDONLY | O_DIRECTORY);
		must(dir >= 0);
	}
	mode = take_u8(&in) % MODES;
	snprintf(text, sizeof(text), "%.*s", (int)in.left, (const char *)in.p);
	run(mode, &in, text);
	return 0;
}
