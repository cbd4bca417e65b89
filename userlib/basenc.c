// SPDX-License-Identifier: GPL-2.0-or-later
/* Bytes as characters: base32hex and base64url (RFC 4648). */
#include "basenc.h"

/*
 * What is encoded here is ciphertext and public ids, so neither direction
 * needs to be constant time.
 */
static void encode(const char *alphabet, unsigned int bits, const uint8_t *in,
		   size_t len, char *out)
{
	unsigned int acc = 0, have = 0;
	size_t i;

	for (i = 0; i < len; i++) {
		acc = acc << 8 | in[i];
		for (have += 8; have >= bits; ) {
			have -= bits;
			*out++ = alphabet[acc >> have & ((1u << bits) - 1)];
		}
		acc &= (1u << have) - 1;
	}
	if (have)
		*out++ = alphabet[acc << (bits - have)];
	*out = '\0';
}

static ssize_t decode(int (*value)(char), unsigned int bits, const char *text,
		      size_t len, uint8_t *out, size_t max)
{
	unsigned int acc = 0, have = 0;
	size_t i, n = 0;
	int v;

	for (i = 0; i < len; i++) {
		v = value(text[i]);
		if (v < 0)
			return -1;
		acc = acc << bits | (unsigned int)v;
		have += bits;
		if (have < 8)
			continue;
		if (n == max)
			return -1;
		have -= 8;
		out[n++] = (uint8_t)(acc >> have);
		acc &= (1u << have) - 1;
	}
	/* No character that carries no bit, and no bit that carries nothing. */
	if (have >= bits || acc)
		return -1;
	return (ssize_t)n;
}

static int base32hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'v')
		return c - 'a' + 10;
	return -1;
}

static int base64url_value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '-')
		return 62;
	return c == '_' ? 63 : -1;
}

void base32hex_encode(const void *in, size_t len, char *out)
{
	encode("0123456789abcdefghijklmnopqrstuv", 5, in, len, out);
}

ssize_t base32hex_decode(const char *text, size_t len, void *out, size_t max)
{
	return decode(base32hex_value, 5, text, len, out, max);
}

void base64url_encode(const void *in, size_t len, char *out)
{
	encode("ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	       "abcdefghijklmnopqrstuvwxyz0123456789-_", 6, in, len, out);
}

ssize_t base64url_decode(const char *text, size_t len, void *out, size_t max)
{
	return decode(base64url_value, 6, text, len, out, max);
}
