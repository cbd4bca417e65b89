// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The policies that content rules choose by a name, as the configuration holds
 * them: in the order of their names, so that there is one text for each content.
 */
#include <errno.h>
#include <string.h>

#include "config_json.h"
#include "error.h"
#include "policies.h"

bool policy_name_valid(const char *name)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyz"
		"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
	size_t n = strlen(name);

	return n && n <= CHAOSIMG_POLICY_NAME_MAX && strspn(name, allowed) == n;
}

void named_print(FILE *out, const struct policies_named *list, uint32_t n)
{
	uint32_t i;

	if (!n)
		return;
	fprintf(out, "  \"named_policies\": [\n");
	for (i = 0; i < n; i++) {
		fprintf(out, "    {\"name\": \"%s\", ", list[i].name);
		policies_print_line(out, &list[i].policies);
		fprintf(out, i + 1 < n ? "},\n" : "}\n");
	}
	fprintf(out, "  ],\n");
}

static int bad(const char *where, const char *what)
{
	return fail(EBADMSG, "%s: damaged: %s", where, what);
}

static int parse_one(struct json_object *obj, const char *where,
		     struct policies_named *out)
{
	const char *name;
	int ret;

	if (!json_object_is_type(obj, json_type_object))
		return bad(where, "named policies are no object");
	ret = config_json_text(obj, where, "name", &name);
	if (ret)
		return ret;
	if (!policy_name_valid(name))
		return bad(where, "not a policy's name");
	strcpy(out->name, name);
	ret = policies_parse(obj, where, &out->policies);
	if (!ret && !out->policies.authorities)
		ret = bad(where, "a name without a policy");
	return ret;
}

int named_parse(struct json_object *root, const char *where,
		struct policies_named list[POLICIES_NAMED_MAX], uint32_t *n)
{
	struct json_object *array;
	size_t i, count;
	int ret;

	*n = 0;
	if (!json_object_object_get_ex(root, "named_policies", &array))
		return 0;
	ret = config_json_array(root, where, "named_policies", 1,
				POLICIES_NAMED_MAX, &array);
	if (ret)
		return ret;
	count = json_object_array_length(array);
	for (i = 0; i < count && !ret; i++) {
		ret = parse_one(json_object_array_get_idx(array, i), where,
				&list[i]);
		if (!ret && i && strcmp(list[i - 1].name, list[i].name) >= 0)
			ret = bad(where, "named policies out of order");
	}
	*n = (uint32_t)count;
	return ret;
}

struct policies_named *named_find(struct policies_named *list, uint32_t n,
				  const char *name)
{
	uint32_t i;

	for (i = 0; i < n; i++)
		if (!strcmp(list[i].name, name))
			return &list[i];
	return NULL;
}

struct policies_named *
named_add(struct policies_named list[POLICIES_NAMED_MAX], uint32_t *n,
	  const char *name)
{
	uint32_t i = *n;

	if (i == POLICIES_NAMED_MAX)
		return NULL;
	for (; i && strcmp(list[i - 1].name, name) > 0; i--)
		list[i] = list[i - 1];
	++*n;
	memset(&list[i], 0, sizeof(list[i]));
	strcpy(list[i].name, name);
	return &list[i];
}

void named_remove(struct policies_named *list, uint32_t *n,
		  struct policies_named *which)
{
	struct policies_named *end = list + --*n;

	for (; which < end; which++)
		which[0] = which[1];
	memset(end, 0, sizeof(*end));
}
