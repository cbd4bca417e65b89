// SPDX-License-Identifier: GPL-2.0-or-later
/* Strict reading of JSON members, on json-c. */
#include <errno.h>
#include <limits.h>

#include "config_json.h"
#include "error.h"
#include "hex.h"

enum {
	DEPTH_MAX = 8,
};

struct json_object *config_json_parse(const char *text, size_t len)
{
	struct json_tokener *tok = json_tokener_new_ex(DEPTH_MAX);
	struct json_object *root = NULL;

	if (!tok || len > INT_MAX)
		goto out;
	json_tokener_set_flags(tok, JSON_TOKENER_STRICT);
	root = json_tokener_parse_ex(tok, text, (int)len);
	if (json_tokener_get_error(tok) != json_tokener_success ||
	    !json_object_is_type(root, json_type_object)) {
		json_object_put(root);
		root = NULL;
	}
out:
	if (tok)
		json_tokener_free(tok);
	return root;
}

static int bad(const char *where, const char *member)
{
	return fail(EBADMSG, "%s: damaged: \"%s\" is missing or wrong", where,
		    member);
}

static int get(struct json_object *obj, const char *where, const char *member,
	       enum json_type type, struct json_object **out)
{
	if (!json_object_object_get_ex(obj, member, out) ||
	    !json_object_is_type(*out, type))
		return bad(where, member);
	return 0;
}

int config_json_text(struct json_object *obj, const char *where,
		     const char *member, const char **out)
{
	struct json_object *val;
	int ret = get(obj, where, member, json_type_string, &val);

	if (!ret)
		*out = json_object_get_string(val);
	return ret;
}

int config_json_hex(struct json_object *obj, const char *where,
		    const char *member, uint8_t *out, size_t len)
{
	struct json_object *val;
	int ret = get(obj, where, member, json_type_string, &val);

	if (ret)
		return ret;
	if ((size_t)json_object_get_string_len(val) != 2 * len ||
	    !hex_decode(json_object_get_string(val), out, len))
		return bad(where, member);
	return 0;
}

int config_json_u64(struct json_object *obj, const char *where,
		    const char *member, uint64_t *out)
{
	struct json_object *val;
	int ret = get(obj, where, member, json_type_int, &val);

	if (ret)
		return ret;
	if (json_object_get_int64(val) < 0)
		return bad(where, member);
	*out = (uint64_t)json_object_get_int64(val);
	return 0;
}

int config_json_u32(struct json_object *obj, const char *where,
		    const char *member, uint32_t min, uint32_t max,
		    uint32_t *out)
{
	uint64_t val;
	int ret = config_json_u64(obj, where, member, &val);

	if (ret)
		return ret;
	if (val < min || val > max)
		return bad(where, member);
	*out = (uint32_t)val;
	return 0;
}

int config_json_array(struct json_object *obj, const char *where,
		      const char *member, size_t min, size_t max,
		      struct json_object **out)
{
	int ret = get(obj, where, member, json_type_array, out);

	if (ret)
		return ret;
	if (json_object_array_length(*out) < min ||
	    json_object_array_length(*out) > max)
		return bad(where, member);
	return 0;
}
