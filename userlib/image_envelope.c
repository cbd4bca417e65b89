// SPDX-License-Identifier: GPL-2.0-or-later
/* magic || length of the text (4 bytes, little-endian) || text || zeros */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "error.h"
#include "file.h"
#include "image_envelope.h"

enum {
	MAGIC_SIZE = 16,
	TEXT_AT = MAGIC_SIZE + 4,
	TEXT_MAX = ENVELOPE_SIZE - TEXT_AT,
};

static const char magic[MAGIC_SIZE] = "chaosimg image\n";

int envelope_write(int fd, const char *where, struct config *cfg,
		   const struct keyring *ring)
{
	uint8_t buf[ENVELOPE_SIZE] = { 0 };
	char *text;
	size_t len;
	int ret;

	ret = config_render(cfg, ring, &text, &len);
	if (ret)
		return ret;
	if (len <= TEXT_MAX) {
		memcpy(buf, magic, MAGIC_SIZE);
		put_le32(buf + MAGIC_SIZE, (uint32_t)len);
		memcpy(buf + TEXT_AT, text, len);
		ret = write_full(fd, buf, ENVELOPE_SIZE, 0);
		if (ret) {
			errno = -ret;
			ret = fail_errno("%s", where);
		}
	} else {
		ret = fail(EFBIG, "%s: the configuration is too long", where);
	}
	free(text);
	return ret;
}

static int read_at_0(int fd, const char *where, uint8_t *buf)
{
	ssize_t n = read_full(fd, buf, ENVELOPE_SIZE, 0);

	if (n < 0) {
		errno = (int)-n;
		return fail_errno("%s", where);
	}
	if (n < MAGIC_SIZE || memcmp(buf, magic, MAGIC_SIZE))
		return fail(EBADMSG, "%s: not a chaosimg image", where);
	if (n < ENVELOPE_SIZE)
		return fail(EBADMSG, "%s: damaged: cut short", where);
	return 0;
}

int envelope_read(int fd, const char *where, struct config **out)
{
	uint8_t buf[ENVELOPE_SIZE];
	uint32_t len, i;
	int ret;

	ret = read_at_0(fd, where, buf);
	if (ret)
		return ret;
	len = get_le32(buf + MAGIC_SIZE);
	if (len > TEXT_MAX)
		return fail(EBADMSG, "%s: damaged: bad length", where);
	for (i = TEXT_AT + len; i < ENVELOPE_SIZE; i++)
		if (buf[i])
			return fail(EBADMSG, "%s: damaged: bad padding", where);
	return config_parse((const char *)buf + TEXT_AT, len, where,
			    CONFIG_IMAGE, out);
}
