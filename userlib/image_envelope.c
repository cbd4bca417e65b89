// SPDX-License-Identifier: GPL-2.0-or-later
/* magic || length of the text (4 bytes, little-endian) || text || zeros */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "error.h"
#include "image_envelope.h"

enum {
	MAGIC_SIZE = 16,
	TEXT_AT = MAGIC_SIZE + 4,
	TEXT_MAX = ENVELOPE_SIZE - TEXT_AT,
};

static const char magic[MAGIC_SIZE] = "chaosimg image\n";

static void put_le32(uint8_t *p, uint32_t v)
{
	int i;

	for (i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> 8 * i);
}

static uint32_t get_le32(const uint8_t *p)
{
	return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
	       (uint32_t)p[3] << 24;
}

static int write_at_0(int fd, const char *where, const uint8_t *buf)
{
	size_t done = 0;

	while (done < ENVELOPE_SIZE) {
		ssize_t n = pwrite(fd, buf + done, ENVELOPE_SIZE - done,
				   (off_t)done);

		if (n < 0 && errno != EINTR)
			return fail_errno("%s", where);
		if (n > 0)
			done += (size_t)n;
	}
	return 0;
}

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
		ret = write_at_0(fd, where, buf);
	} else {
		ret = fail(EFBIG, "%s: the configuration is too long", where);
	}
	free(text);
	return ret;
}

static int read_at_0(int fd, const char *where, uint8_t *buf)
{
	size_t done = 0;
	ssize_t n = 1;

	while (done < ENVELOPE_SIZE && n) {
		n = pread(fd, buf + done, ENVELOPE_SIZE - done, (off_t)done);
		if (n < 0 && errno != EINTR)
			return fail_errno("%s", where);
		if (n > 0)
			done += (size_t)n;
	}
	if (done < MAGIC_SIZE || memcmp(buf, magic, MAGIC_SIZE))
		return fail(EBADMSG, "%s: not a chaosimg image", where);
	if (done < ENVELOPE_SIZE)
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
