// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The text of an escrow: raw; a right one with characters changed as a person
 * does who types it in; and lines whose own checksums are right around a payload
 * of the input's choice, which only its last four bytes betray.
 */
#include <errno.h>
#include <string.h>

#include "escrow.h"
#include "fixture.h"

enum { RAW, TYPED, ANY_KEY, MODES };

static struct escrow *parsed;

static int parse(const char *text, size_t len)
{
	char again[CHAOSIMG_ESCROW_SIZE];
	int ret = escrow_parse(text, len, parsed);

	must(!ret || ret == -EAGAIN || ret == -EBADMSG ||
	     ret == -EPROTONOSUPPORT);
	must(chaosimg_escrow_check(text, len) == ret);
	if (ret)
		return ret;
	must(parsed->chunk_size >= CHAOSIMG_CHUNK_MIN &&
	     parsed->chunk_size <= CHAOSIMG_CHUNK_MAX);
	must(!escrow_format(parsed, again));
	must(!escrow_parse(again, strlen(again), parsed));
	return 0;
}

/* Where the six lines begin; what stands before them may be left out. */
static char *lines_of(char *text)
{
	char *at = strstr(text, "\n1 ");

	must(at);
	return at + 1;
}

static void typed(struct input *in)
{
	char text[2 * CHAOSIMG_ESCROW_SIZE];
	struct escrow e = { .chunk_size = 8192 };
	size_t len, at;

	memcpy(e.archive_id, fixture_id, sizeof(e.archive_id));
	memcpy(e.key, fixture_key, sizeof(e.key));
	must(!escrow_format(&e, text));
	must(!parse(text, strlen(text)));
	while (in->left >= 3) {
		len = strlen(text);
		at = take_u16(in) % (len + 1);
		switch (take_u8(in) % 4) {
		case 0:
			text[at] = (char)take_u8(in);
			text[len] = '\0';
			break;
		case 1:
			memmove(text + at, text + at + (at < len),
				len - at + (at == len));
			break;
		case 2:
			if (len + 2 > sizeof(text))
				break;
			memmove(text + at + 1, text + at, len - at + 1);
			text[at] = (char)take_u8(in);
			break;
		default:
			text[at] = '\0';
		}
	}
	/* Whatever was typed: it is this key, or it is refused. */
	if (!parse(text, strlen(text)))
		must(!memcmp(parsed->key, fixture_key, sizeof(e.key)) &&
		     !memcmp(parsed->archive_id, fixture_id, 16));
}

static void any_key(struct input *in)
{
	char text[CHAOSIMG_ESCROW_SIZE], cut[CHAOSIMG_ESCROW_SIZE];
	struct escrow e;
	size_t len;

	e.chunk_size = CHAOSIMG_CHUNK_MIN << take_u8(in) % 9;
	take(in, e.archive_id, sizeof(e.archive_id));
	take(in, e.key, sizeof(e.key));
	must(!escrow_format(&e, text));
	must(!parse(text, strlen(text)));
	must(!memcmp(parsed->key, e.key, sizeof(e.key)));
	/* Up to any line's end it wants more. */
	len = (size_t)(lines_of(text) - text) + take_u8(in) % 6 * 37;
	if (len < strlen(text)) {
		memcpy(cut, text, len);
		must(parse(cut, len));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	int mode = take_u8(&in) % MODES;

	if (!parsed)
		parsed = secret_alloc(sizeof(*parsed));
	must(parsed);
	if (mode == TYPED)
		typed(&in);
	else if (mode == ANY_KEY)
		any_key(&in);
	else
		parse((const char *)in.p, in.left);
	return 0;
}
