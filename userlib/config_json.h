/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reading JSON strictly: every member must be there, of its type and length. */
#ifndef CHAOSIMG_CONFIG_JSON_H
#define CHAOSIMG_CONFIG_JSON_H

#include <stddef.h>
#include <stdint.h>

#include <json.h>

/**
 * config_json_parse() - parse one JSON object
 * @text: what was read
 * @len: its length
 * Return: the object, for json_object_put(); NULL if it is none or if
 * anything but white space follows.
 */
struct json_object *config_json_parse(const char *text, size_t len);

/*
 * The functions below read one member. Return: 0, or -EBADMSG with an error
 * text of @where and the member.
 */

/** config_json_text() - a string; it belongs to @obj */
int config_json_text(struct json_object *obj, const char *where,
		     const char *member, const char **out);

/** config_json_hex() - exactly @len bytes in hexadecimal */
int config_json_hex(struct json_object *obj, const char *where,
		    const char *member, uint8_t *out, size_t len);

/** config_json_u64() - an integer of at least 0, up to INT64_MAX */
int config_json_u64(struct json_object *obj, const char *where,
		    const char *member, uint64_t *out);

/** config_json_u32() - an integer from @min to @max */
int config_json_u32(struct json_object *obj, const char *where,
		    const char *member, uint32_t min, uint32_t max,
		    uint32_t *out);

/** config_json_array() - an array with from @min to @max elements */
int config_json_array(struct json_object *obj, const char *where,
		      const char *member, size_t min, size_t max,
		      struct json_object **out);

#endif
