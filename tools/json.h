/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reports for programs. What could not be made is remembered, so that callers
 * need not check: such a report becomes an error and not a report with holes.
 */
#ifndef TOOL_JSON_H
#define TOOL_JSON_H

#include <stdbool.h>
#include <stdint.h>

struct json_object;

/** put_number() - add a whole number; @to may be NULL */
void put_number(struct json_object *to, const char *name, uint64_t value);

/** put_real() - add a number, with @digits after its point */
void put_real(struct json_object *to, const char *name, double value,
	      int digits);

/** put_boolean() - add true or false */
void put_boolean(struct json_object *to, const char *name, bool value);

/** put_text() - add a string; if it is not UTF-8, with its high bytes escaped */
void put_text(struct json_object *to, const char *name, const char *text);

/** new_object() - add an empty object. Return: it, or NULL */
struct json_object *new_object(struct json_object *to, const char *name);

/** new_array() - add an empty array. Return: it, or NULL */
struct json_object *new_array(struct json_object *to, const char *name);

/** new_row() - append an empty object to an array. Return: it, or NULL */
struct json_object *new_row(struct json_object *array);

/**
 * write_json() - print a report and free it
 * @what: what it is about, for the error
 * @root: the report, or NULL
 * Return: exit status
 */
int write_json(const char *what, struct json_object *root);

#endif
