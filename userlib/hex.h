/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Bytes as lower-case hexadecimal digits; no tables, no branches on them. */
#ifndef CHAOSIMG_HEX_H
#define CHAOSIMG_HEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** hex_encode() - @out receives 2 * @len digits and a NUL */
void hex_encode(const uint8_t *in, size_t len, char *out);

/** hex_decode() - @len bytes from 2 * @len digits. Return: are all digits? */
bool hex_decode(const char *in, uint8_t *out, size_t len);

#endif
