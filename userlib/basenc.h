/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Bytes as characters (RFC 4648): lower-case base32hex for names, which then
 * survive file systems that fold case, and base64url for symbolic links'
 * targets. Both without padding, and strict: one text for each byte string.
 */
#ifndef CHAOSIMG_BASENC_H
#define CHAOSIMG_BASENC_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Lengths of the text for n bytes, without the final NUL. */
#define BASE32_LEN(n)	(((n) * 8 + 4) / 5)
#define BASE64_LEN(n)	(((n) * 8 + 5) / 6)

/** base32hex_encode() - to BASE32_LEN(@len) characters and a NUL */
void base32hex_encode(const void *in, size_t len, char *out);

/**
 * base32hex_decode() - back again
 * @text: need not end in a NUL
 * @len: characters in @text
 * @out: receives the bytes
 * @max: room in @out
 * Return: bytes decoded; -1 if @text is not what base32hex_encode() makes, or
 * too long.
 */
ssize_t base32hex_decode(const char *text, size_t len, void *out, size_t max);

/** base64url_encode() - to BASE64_LEN(@len) characters and a NUL */
void base64url_encode(const void *in, size_t len, char *out);

/** base64url_decode() - as base32hex_decode() */
ssize_t base64url_decode(const char *text, size_t len, void *out, size_t max);

#endif
