// SPDX-License-Identifier: GPL-2.0-or-later
/* Hexadecimal numbers, some of which are keys. */
#include <string.h>

#include "tool.h"

/* 1 if lo <= c <= hi, else 0; no branch, for c, lo, hi < 256 */
static unsigned int between(unsigned int c, unsigned int lo, unsigned int hi)
{
	return (((c - lo) | (hi - c)) >> 31) ^ 1;
}

/* The digit's value; 16 or more if it is none */
static unsigned int digit(unsigned char c)
{
	unsigned int number = 0 - between(c, '0', '9');
	unsigned int letter = 0 - between(c | 0x20u, 'a', 'f');

	return (number & (c - '0')) | (letter & ((c | 0x20u) - 'a' + 10)) |
	       (~(number | letter) & 16);
}

bool hex_to_bytes(const char *hex, uint8_t *out, size_t len)
{
	unsigned int bad = 0;
	size_t i;

	if (strlen(hex) != 2 * len)
		return false;
	for (i = 0; i < len; i++) {
		unsigned int hi = digit((unsigned char)hex[2 * i]);
		unsigned int lo = digit((unsigned char)hex[2 * i + 1]);

		bad |= (hi | lo) & 16;
		out[i] = (uint8_t)(hi << 4 | lo);
	}
	return !bad;
}

void bytes_to_hex(const uint8_t *in, size_t len, char *out)
{
	static const char digits[] = "0123456789abcdef";
	size_t i;

	for (i = 0; i < len; i++) {
		out[2 * i] = digits[in[i] >> 4];
		out[2 * i + 1] = digits[in[i] & 15];
	}
	out[2 * len] = '\0';
}
