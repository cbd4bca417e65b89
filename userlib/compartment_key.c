// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Compartment key files, of one line as a key file has it: the archive's id,
 * and for each compartment the key that its shares in all keysets are wrapped
 * under. Documentation/archive-format-keys.rst, "Compartment key files".
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <xxhash.h>

#include "compartment_key.h"
#include "error.h"
#include "hex.h"
#include "keyset_share.h"

#define MAGIC	"chaosimg-compartments-v1 "

enum {
	MAGIC_LEN = sizeof(MAGIC) - 1,
	ID_LEN = 2 * CHAOSIMG_ID_SIZE,
	KEY_LEN = 2 * CHAOSIMG_KEY_SIZE,
	SUM_LEN = 1 + 16,
	/* " clinical:" and a key */
	WORD_MAX = 10 + KEY_LEN,
	LEN_MAX = MAGIC_LEN + ID_LEN + COMPARTMENTS * WORD_MAX + SUM_LEN,
};

/* " " and the checksum of what is before it. */
static void make_sum(const char *line, size_t len, char sum[SUM_LEN + 1])
{
	snprintf(sum, SUM_LEN + 1, " %016" PRIx64,
		 (uint64_t)XXH3_64bits(line, len));
}

/* --- writing --------------------------------------------------------------- */

static char *put_key(char *at, enum chaosimg_compartment c, const uint8_t *key)
{
	*at++ = ' ';
	at = stpcpy(at, compartment_text(c));
	*at++ = ':';
	hex_encode(key, CHAOSIMG_KEY_SIZE, at);
	return at + KEY_LEN;
}

/* @line and @key are in locked memory. */
static int make_line(const struct chaosimg_archive *a,
		     unsigned int compartments, char *line, uint8_t *key)
{
	char *at = stpcpy(line, MAGIC);
	int c, ret = 0;

	hex_encode(a->id, CHAOSIMG_ID_SIZE, at);
	at += ID_LEN;
	for (c = 0; c < COMPARTMENTS && !ret; c++) {
		if (!(compartments & held_bit(c)))
			continue;
		ret = share_wrapping_key(a->ring, c, key);
		at = put_key(at, c, key);
	}
	make_sum(line, (size_t)(at - line), at);
	strcat(at, "\n");
	return ret;
}

int chaosimg_compartments_export(struct chaosimg_archive *a,
				 unsigned int compartments, const char *path)
{
	char *line = secret_alloc(LEN_MAX + 2);
	uint8_t *key = secret_alloc(CHAOSIMG_KEY_SIZE);
	int ret = -ENOMEM;

	if (!compartments || compartments & ~(unsigned int)HELD_ALL)
		ret = fail(EINVAL, "no such compartments");
	else if (line && key)
		ret = make_line(a, compartments, line, key);
	if (!ret)
		ret = credential_write(path, line, strlen(line));
	secret_free(key);
	secret_free(line);
	return ret;
}

/* --- reading --------------------------------------------------------------- */

bool compartment_key_begins(const char *line, size_t len)
{
	return len >= MAGIC_LEN && !memcmp(line, MAGIC, MAGIC_LEN);
}

/* "clinical:" and its key. Return: which it was, or -1. */
static int take_key(char *word, struct chaosimg_credential *cred)
{
	char *hex = strchr(word, ':');
	int c;

	if (!hex)
		return -1;
	*hex++ = '\0';
	c = compartment_parse(word);
	if (c < 0 || strlen(hex) != KEY_LEN ||
	    !hex_decode(hex, cred->secret + c * CHAOSIMG_KEY_SIZE,
			CHAOSIMG_KEY_SIZE))
		return -1;
	cred->held |= held_bit(c);
	return c;
}

/* What is between magic and checksum: an id, and keys in their order. */
static bool take_all(char *text, struct chaosimg_credential *cred)
{
	char *word = strsep(&text, " ");
	int c, last = -1;

	if (strlen(word) != ID_LEN ||
	    !hex_decode(word, cred->archive_id, CHAOSIMG_ID_SIZE))
		return false;
	while ((word = strsep(&text, " "))) {
		c = take_key(word, cred);
		if (c <= last)
			return false;
		last = c;
	}
	return last >= 0;
}

int compartment_key_parse(const char *path, char *line, size_t len,
			  struct chaosimg_credential **out)
{
	struct chaosimg_credential *cred;
	char sum[SUM_LEN + 1];
	int ret;

	if (len > LEN_MAX || len < MAGIC_LEN + SUM_LEN || strlen(line) != len)
		return fail(EBADMSG, "%s: damaged compartment key file: wrong length",
			    path);
	len -= SUM_LEN;
	make_sum(line, len, sum);
	if (memcmp(sum, line + len, SUM_LEN))
		return fail(EBADMSG, "%s: damaged compartment key file: wrong checksum",
			    path);
	line[len] = '\0';
	ret = credential_new(CREDENTIAL_COMPARTMENTS, NULL,
			     COMPARTMENTS * CHAOSIMG_KEY_SIZE, &cred);
	if (ret)
		return ret;
	if (take_all(line + MAGIC_LEN, cred)) {
		*out = cred;
		return 0;
	}
	chaosimg_credential_free(cred);
	return fail(EBADMSG, "%s: damaged compartment key file: not in its form",
		    path);
}
