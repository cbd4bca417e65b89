/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Content rules, as they are in memory; Documentation/rules.rst. */
#ifndef CHAOSIMG_RULES_INTERNAL_H
#define CHAOSIMG_RULES_INTERNAL_H

#include <stdatomic.h>

#include "chaosimg_rules.h"
#include "dicom_region.h"

enum {
	RULE_LINE_MAX = 1024,		/* bytes of a line */
	RULE_WORDS_MAX = 128,		/* words in it */
	RULE_CONDITIONS_MAX = 32,	/* of a rule */
	RULE_REGIONS_MAX = 64,		/* of a rule */
	RULE_VALUE_MAX = DICOM_WINDOW,	/* bytes of a value that are looked at */
};

#define RULE_NUMBER_MAX	2147483647u

#define RULES_FILE	"rules"		/* in the archive's folder */

/** enum rule_operator - how a condition looks at an attribute */
enum rule_operator {
	RULE_EQUAL,	/* is one of these */
	RULE_LIKE,	/* fits one of these patterns */
	RULE_IN,	/* is a number in one of these ranges */
	RULE_PRESENT,	/* has a value */
};

/**
 * struct rule_operand - what a value is compared with
 * @text: where it begins in the text
 * @len: its length
 * @low: the least number of a range
 * @high: the greatest
 */
struct rule_operand {
	uint32_t text;
	uint32_t len;
	uint32_t low;
	uint32_t high;
};

/**
 * struct rule_condition - one condition
 * @tag: of the attribute
 * @operator: how it is looked at
 * @negated: the contrary
 * @operand: the first of its operands
 * @operands: how many it has; one of them has to do
 */
struct rule_condition {
	uint32_t tag;
	enum rule_operator operator;
	bool negated;
	uint32_t operand;
	uint32_t operands;
};

/**
 * struct rule - one rule
 * @name: its name
 * @policy: of the policy, or empty
 * @condition: the first of its conditions
 * @conditions: how many it has; all have to hold
 * @region: the first of its regions
 * @regions: how many it has
 * @outside: what is outside of the ultrasound regions is one, too
 * @hold: all pixels are
 */
struct rule {
	char name[CHAOSIMG_RULE_NAME_MAX + 1];
	char policy[CHAOSIMG_RULE_NAME_MAX + 1];
	uint32_t condition;
	uint32_t conditions;
	uint32_t region;
	uint32_t regions;
	bool outside;
	bool hold;
};

/** struct rule_list - an array that grows */
struct rule_list {
	void *p;
	uint32_t n;
	uint32_t room;
};

/**
 * struct chaosimg_rules - rules
 * @text: what they were read from, and a NUL
 * @len: the text's length
 * @rule: struct rule
 * @condition: struct rule_condition
 * @operand: struct rule_operand
 * @region: struct dicom_rect
 * @holders: beyond the first one who frees them
 */
struct chaosimg_rules {
	char *text;
	size_t len;
	struct rule_list rule;
	struct rule_list condition;
	struct rule_list operand;
	struct rule_list region;
	atomic_uint holders;
};

static inline const struct rule *rule_at(const struct chaosimg_rules *r,
					 uint32_t i)
{
	return (const struct rule *)r->rule.p + i;
}

static inline const struct rule_condition *
rule_condition_at(const struct chaosimg_rules *r, uint32_t i)
{
	return (const struct rule_condition *)r->condition.p + i;
}

/**
 * rules_without_policy() - does no rule of an archive name a policy?
 * @a: the archive; its configuration is locked
 * @name: the policy's name
 * Return: 0; -EBUSY if one does; as chaosimg_rules_load().
 */
int rules_without_policy(struct chaosimg_archive *a, const char *name);

/**
 * rules_make() - have an archive have rules, if need be none
 * @a: the archive; its configuration is locked
 * @where: what to call it in an error
 * Return: 0; -ENOMEM; the system's error.
 */
int rules_make(struct chaosimg_archive *a, const char *where);

/** rules_hold() - one more is to free them. Return: @r */
static inline struct chaosimg_rules *rules_hold(struct chaosimg_rules *r)
{
	atomic_fetch_add(&r->holders, 1);
	return r;
}

/**
 * rules_file_check() - what can be told of an archive's rules without a key
 * @dirfd: the archive's folder
 * @where: what to call them in an error
 * Return: 0; -ENOENT without an error text; -EBADMSG if they are damaged;
 * -EPROTONOSUPPORT; -ENOMEM; the system's error.
 */
int rules_file_check(int dirfd, const char *where);

/**
 * rules_attribute() - the attribute of a keyword
 * @keyword: as in DICOM PS3.6, without a NUL
 * @len: its length
 * @tag: receives its tag
 * Return: is it one that is known here?
 */
bool rules_attribute(const char *keyword, size_t len, uint32_t *tag);

/**
 * rules_holds() - does a value fulfil a condition, its negation aside?
 * @r: the rules
 * @c: the condition
 * @vr: as the file has it: two letters, or empty
 * @value: the first RULE_VALUE_MAX bytes of the value
 * @len: how many there are
 * @big_endian: numbers in it are
 */
bool rules_holds(const struct chaosimg_rules *r,
		 const struct rule_condition *c, const char *vr,
		 const uint8_t *value, size_t len, bool big_endian);

/**
 * struct rules_outcome - what rules say of a file
 * @policy: the name of the first policy in those that apply, or NULL
 * @named: where rules_apply() keeps it
 * @unsure: there are rules, and they cannot be used
 * @rules: how many apply
 * @rule: which
 * @cut: which pixels belong to identity
 */
struct rules_outcome {
	const char *policy;
	char named[CHAOSIMG_RULE_NAME_MAX + 1];
	bool unsure;
	uint32_t rules;
	uint32_t rule[CHAOSIMG_RULES_MAX];
	struct dicom_cut cut;
};

/**
 * rules_match() - which rules apply to a file?
 * @r: the rules
 * @src: the file
 * @out: filled in
 * Return: 1; 0 if it is not DICOM: then none do; -errno if reading failed, or
 * -ENOMEM.
 *
 * Reads the headers in front of the pixels and the values that the rules look
 * at.
 */
int rules_match(const struct chaosimg_rules *r, const struct dicom_source *src,
		struct rules_outcome *out);

/* --- rules_use.c: those of an archive, for the files in it ---------------- */

/** rules_use_new() - begin to look for an archive's rules. Return: 0, -ENOMEM */
int rules_use_new(struct chaosimg_archive *a);

/** rules_use_fixed() - use these and no others; NULL for none */
void rules_use_fixed(struct chaosimg_archive *a, struct chaosimg_rules *rules);

/** rules_use_free() - end it */
void rules_use_free(struct chaosimg_archive *a);

/**
 * rules_apply() - what do an archive's rules say of a file?
 * @a: the archive
 * @src: the file
 * @looked: of this file, 0 at first: when rules were last looked for because of
 *	it, in ns of CLOCK_MONOTONIC_COARSE; changed under the rules' lock
 * @out: receives it, for free(); NULL if there are no rules
 * Return: 0; -errno if reading the file failed; -ENOMEM.
 *
 * For a file that took no longer than 50 ms to be written they are looked for
 * once. If there are rules that cannot be used, all pixels are held back.
 */
int rules_apply(struct chaosimg_archive *a, const struct dicom_source *src,
		uint64_t *looked, struct rules_outcome **out);

/** rules_tell() - what chaosimg_archive_on_held() asked to be told of */
void rules_tell(struct chaosimg_archive *a, int fd, bool all, const char *what);

#endif
