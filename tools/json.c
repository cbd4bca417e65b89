// SPDX-License-Identifier: GPL-2.0-or-later
/* Reports for programs, made with json-c. */
#include <errno.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "json.h"
#include "tool.h"

/* Set if any value could not be made: a report is complete or an error. */
static bool incomplete;

static void put(struct json_object *to, const char *name,
		struct json_object *value)
{
	if (to && value && !json_object_object_add(to, name, value))
		return;
	json_object_put(value);
	incomplete = true;
}

void put_number(struct json_object *to, const char *name, uint64_t value)
{
	put(to, name, json_object_new_uint64(value));
}

void put_real(struct json_object *to, const char *name, double value,
	      int digits)
{
	char text[64];

	snprintf(text, sizeof(text), "%.*f", digits, value);
	put(to, name, json_object_new_double_s(value, text));
}

void put_boolean(struct json_object *to, const char *name, bool value)
{
	put(to, name, json_object_new_boolean(value));
}

static bool is_utf8(const char *text)
{
	locale_t utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", NULL), old;
	bool valid;

	if (!utf8)
		return false;
	old = uselocale(utf8);
	valid = mbstowcs(NULL, text, 0) != (size_t)-1;
	uselocale(old);
	freelocale(utf8);
	return valid;
}

/* Names are bytes, JSON is UTF-8: other names have each high byte escaped. */
void put_text(struct json_object *to, const char *name, const char *text)
{
	size_t size = 4 * strlen(text) + 8, n = 0;
	const unsigned char *p;
	char *out;

	if (is_utf8(text)) {
		put(to, name, json_object_new_string(text));
		return;
	}
	out = malloc(size);
	if (!out) {
		incomplete = true;
		return;
	}
	for (p = (const unsigned char *)text; *p; p++)
		n += (size_t)snprintf(out + n, size - n,
				      *p < 0x80 ? "%c" : "\\%03o", *p);
	put(to, name, json_object_new_string(out));
	free(out);
}

struct json_object *new_object(struct json_object *to, const char *name)
{
	struct json_object *object = json_object_new_object();

	put(to, name, object);
	return incomplete ? NULL : object;
}

struct json_object *new_array(struct json_object *to, const char *name)
{
	struct json_object *array = json_object_new_array();

	put(to, name, array);
	return incomplete ? NULL : array;
}

struct json_object *new_row(struct json_object *array)
{
	struct json_object *row = json_object_new_object();

	if (!array || !row || json_object_array_add(array, row)) {
		json_object_put(row);
		incomplete = true;
		return NULL;
	}
	return row;
}

int write_json(const char *what, struct json_object *root)
{
	const char *text = NULL;

	if (root && !incomplete)
		text = json_object_to_json_string_ext(root,
				JSON_C_TO_STRING_PRETTY |
				JSON_C_TO_STRING_NOSLASHESCAPE);
	if (text)
		puts(text);
	json_object_put(root);
	return text ? DONE : failed("%s: %s", what, strerror(ENOMEM));
}
