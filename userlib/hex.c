// SPDX-License-Identifier: GPL-2.0-or-later
/* Hexadecimal digits; constant time, as key files hold a key in them. */
#include "hex.h"

static char digit(unsigned int n)
{
	/* 9 - n is negative for a to f: then 'a' - 10 - '0' is added. */
	return (char)('0' + n + (((9u - n) >> 8) & ('a' - 10 - '0')));
}

void hex_encode(const uint8_t *in, size_t len, char *out)
{
	size_t i;

	for (i = 0; i < len; i++) {
		*out++ = digit(in[i] >> 4);
		*out++ = digit(in[i] & 15);
	}
	*out = '\0';
}

/* All ones if lo <= c <= hi, else 0. */
static unsigned int between(unsigned int c, unsigned int lo, unsigned int hi)
{
	return (((c - lo) | (hi - c)) >> 31) - 1;
}

/* The digit's value; *bad becomes nonzero if it is none. */
static unsigned int value(char ch, unsigned int *bad)
{
	unsigned int c = (uint8_t)ch;
	unsigned int number = between(c, '0', '9');
	unsigned int letter = between(c, 'a', 'f');

	*bad |= ~(number | letter);
	return (number & (c - '0')) | (letter & (c - 'a' + 10));
}

bool hex_decode(const char *in, uint8_t *out, size_t len)
{
	unsigned int bad = 0;
	size_t i;

	for (i = 0; i < len; i++) {
		unsigned int high = value(in[2 * i], &bad);

		out[i] = (uint8_t)(high << 4 | value(in[2 * i + 1], &bad));
	}
	return !bad;
}
