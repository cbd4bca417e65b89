// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Keys and ciphertexts as bytes, and the files they are in.
 * Format: Documentation/access.rst, "Formats".
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <xxhash.h>

#include "abe.h"
#include "archive.h"
#include "bytes.h"
#include "config_file.h"
#include "error.h"

static const char magic[8] = { 'c', 'h', 'a', 'o', 's', 'a', 'b', 'e' };
enum { VERSION = 1, AT_VERSION = 8, AT_TYPE = 9, AT_ZERO = 10, AT_LEN = 12 };

/* --- reading --------------------------------------------------------------- */

const uint8_t *abe_take(struct abe_reader *in, size_t len)
{
	const uint8_t *at = in->at;

	if (in->bad || len > in->left) {
		in->bad = true;
		return NULL;
	}
	in->at += len;
	in->left -= len;
	return at;
}

unsigned int abe_take_number(struct abe_reader *in, size_t len)
{
	const uint8_t *at = abe_take(in, len);

	if (!at)
		return 0;
	return len == 1 ? *at : get_le16(at);
}

void abe_take_text(struct abe_reader *in, size_t width, char *out, size_t max)
{
	size_t len = abe_take_number(in, width);
	const uint8_t *at;

	out[0] = '\0';
	if (!len || len > max)
		in->bad = true;
	at = abe_take(in, len);
	if (!at)
		return;
	if (memchr(at, 0, len)) {
		in->bad = true;
		return;
	}
	memcpy(out, at, len);
	out[len] = '\0';
}

static bool public_ok(struct abe_reader *in, struct chaosimg_authority *a)
{
	const uint8_t *bytes;
	blst_p1_affine y;

	abe_take_text(in, 1, a->name, CHAOSIMG_ATTRIBUTE_MAX);
	bytes = abe_take(in, ABE_PUBLIC);
	if (!bytes || !policy_name_ok(a->name, strlen(a->name)) ||
	    !gt_read(&a->E, bytes) || !g1_read(&y, bytes + ABE_GT))
		return false;
	blst_p1_from_affine(&a->Y, &y);
	memcpy(a->bytes, bytes, ABE_PUBLIC);
	return true;
}

int abe_take_public(struct abe_reader *in, const char *where,
		    struct chaosimg_authority **out)
{
	struct chaosimg_authority *a = calloc(1, sizeof(*a));
	int ret;

	if (!a)
		return fail(ENOMEM, "%s: no memory", where);
	if (public_ok(in, a))
		ret = abe_authority_id(a);
	else
		ret = fail(EBADMSG, "%s: damaged: not an authority's public key",
			   where);
	if (ret)
		free(a);
	else
		*out = a;
	return ret;
}

/* --- writing --------------------------------------------------------------- */

uint8_t *abe_put(uint8_t *out, const void *bytes, size_t len)
{
	memcpy(out, bytes, len);
	return out + len;
}

uint8_t *abe_put_text(uint8_t *out, size_t width, const char *text)
{
	size_t len = strlen(text);

	if (width == 1)
		*out = (uint8_t)len;
	else
		put_le16(out, (uint16_t)len);
	return abe_put(out + width, text, len);
}

uint8_t *abe_put_public(uint8_t *out, const struct chaosimg_authority *a)
{
	return abe_put(abe_put_text(out, 1, a->name), a->bytes, ABE_PUBLIC);
}

size_t abe_public_size(const struct chaosimg_authority *a)
{
	return 1 + strlen(a->name) + ABE_PUBLIC;
}

/* --- the frame ------------------------------------------------------------- */

void abe_seal(uint8_t *frame, enum abe_type type, size_t len)
{
	memcpy(frame, magic, sizeof(magic));
	frame[AT_VERSION] = VERSION;
	frame[AT_TYPE] = (uint8_t)type;
	put_le16(frame + AT_ZERO, 0);
	put_le32(frame + AT_LEN, (uint32_t)len);
	put_le64(frame + ABE_HEAD + len, XXH3_64bits(frame, ABE_HEAD + len));
}

static const char *type_name(enum abe_type type)
{
	switch (type) {
	case ABE_FILE_SECRET:
		return "an authority's secret key";
	case ABE_FILE_PUBLIC:
		return "an authority's public key";
	case ABE_FILE_USER:
		return "a user's key";
	case ABE_FILE_CIPHERTEXT:
		return "a key under a policy";
	}
	return "something that is not known here";
}

int abe_open(const char *where, enum abe_type type, const uint8_t *frame,
	     size_t len, struct abe_reader *body)
{
	if (len < ABE_FRAME || memcmp(frame, magic, sizeof(magic)))
		return fail(EBADMSG, "%s: not %s", where, type_name(type));
	if (frame[AT_VERSION] != VERSION)
		return fail(EPROTONOSUPPORT, "%s: format version %u is not known",
			    where, frame[AT_VERSION]);
	len -= ABE_FRAME;
	if (get_le16(frame + AT_ZERO) || get_le32(frame + AT_LEN) != len)
		return fail(EBADMSG, "%s: damaged: wrong length", where);
	if (get_le64(frame + ABE_HEAD + len) !=
	    XXH3_64bits(frame, ABE_HEAD + len))
		return fail(EBADMSG, "%s: damaged: wrong checksum", where);
	if (frame[AT_TYPE] != type)
		return fail(EBADMSG, "%s: not %s, but %s", where,
			    type_name(type), type_name(frame[AT_TYPE]));
	*body = (struct abe_reader){ .at = frame + ABE_HEAD, .left = len };
	return 0;
}

/* --- files ----------------------------------------------------------------- */

static int read_all(int fd, const char *path, uint8_t **out, size_t *len)
{
	size_t room = 0;

	for (*len = 0;;) {
		uint8_t *more;
		ssize_t n;

		if (*len == room) {
			room = room ? 2 * room : 4096;
			if (room > ABE_FILE_MAX)
				return fail(EBADMSG, "%s: too large for a key",
					    path);
			more = secret_alloc(room);
			if (!more)
				return -ENOMEM;
			if (*len)
				memcpy(more, *out, *len);
			secret_free(*out);
			*out = more;
		}
		n = read(fd, *out + *len, room - *len);
		if (n < 0 && errno != EINTR)
			return fail_errno("%s", path);
		if (!n)
			return 0;
		if (n > 0)
			*len += (size_t)n;
	}
}

int abe_file_read(const char *path, uint8_t **out, size_t *len)
{
	int fd = open(path, O_RDONLY | O_NOCTTY | O_CLOEXEC);
	int ret;

	if (fd < 0)
		return fail_errno("%s", path);
	*out = NULL;
	ret = read_all(fd, path, out, len);
	close(fd);
	if (ret) {
		secret_free(*out);
		*out = NULL;
	}
	return ret;
}

int abe_file_create(const char *path, unsigned int mode, const void *bytes,
		    size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	int ret;

	if (fd < 0)
		return fail_errno("%s", path);
	ret = config_file_write_fd(fd, bytes, len);
	if (!ret)
		ret = config_file_sync_parent(path);
	if (ret) {
		ret = fail_errno("%s", path);
		unlink(path);
	}
	close(fd);
	return ret;
}
