/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * libchaosimg: content rules. A small text says which DICOM files get which
 * policy, and which of their pixels belong to identity, by their attributes.
 * Documentation/rules.rst describes the text.
 *
 * As in chaosimg.h, functions that return int return 0 or a negative errno
 * value, with one line in chaosimg_errmsg().
 */
#ifndef CHAOSIMG_RULES_H
#define CHAOSIMG_RULES_H

#include "chaosimg.h"

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)

#define CHAOSIMG_RULES_TEXT_MAX	131072	/* bytes of a text */
#define CHAOSIMG_RULES_MAX	512	/* rules in it */
#define CHAOSIMG_RULE_NAME_MAX	64	/* characters of a name */
#define CHAOSIMG_RESULT_RECTS_MAX 1024	/* that a result tells of */

struct chaosimg_rules;

/**
 * chaosimg_rules_parse() - read rules
 * @text: the text; need not end in a NUL
 * @len: its length
 * @where: what to call it in an error: "WHERE:LINE: cause"
 * @out: receives them; free them with chaosimg_rules_free()
 *
 * Return: 0; -EINVAL if any line of it is wrong: then none of it is used;
 * -ENOMEM.
 */
int chaosimg_rules_parse(const char *text, size_t len, const char *where,
			 struct chaosimg_rules **out);

/**
 * chaosimg_rules_read() - the same from a file
 * @path: the file
 * @out: receives them
 *
 * Return: also the system's error.
 */
int chaosimg_rules_read(const char *path, struct chaosimg_rules **out);

/** chaosimg_rules_free() - free rules; NULL is allowed */
void chaosimg_rules_free(struct chaosimg_rules *r);

/** chaosimg_rules_count() - how many there are */
uint32_t chaosimg_rules_count(const struct chaosimg_rules *r);

/** chaosimg_rules_name() - the name of a rule; NULL if there is none such */
const char *chaosimg_rules_name(const struct chaosimg_rules *r, uint32_t i);

/**
 * chaosimg_rules_text() - the text that they were read from
 * @r: the rules
 * @len: receives its length
 *
 * Return: the text; it lives as long as @r.
 */
const char *chaosimg_rules_text(const struct chaosimg_rules *r, size_t *len);

/**
 * chaosimg_rules_store() - make them an archive's rules
 * @a: the archive
 * @r: replace those that it has
 *
 * They are for what is sealed from then on.
 *
 * Return: 0; -ENOENT if they name a policy that the archive does not have;
 * -EROFS if @a was opened read-only; -EBADMSG; -ENOMEM; the system's error.
 */
int chaosimg_rules_store(struct chaosimg_archive *a,
			 const struct chaosimg_rules *r);

/**
 * chaosimg_rules_load() - an archive's rules
 * @a: the archive
 * @out: receives them; free them with chaosimg_rules_free()
 *
 * Return: 0; -ENOENT if it has none; -EBADMSG if they are damaged or were
 * altered by someone without the key; -EACCES if @a was opened with keys of
 * compartments; -EPROTONOSUPPORT; -ENOMEM; the system's error.
 */
int chaosimg_rules_load(struct chaosimg_archive *a,
			struct chaosimg_rules **out);

/**
 * chaosimg_archive_on_held() - be told of pixels that are held back
 * @a: the archive; no file of it is being written yet
 * @notice: called when a file is sealed that rules ask to cut, and that cannot
 *	be cut, with its stored file's descriptor and why, a static text, in
 *	the thread that seals; with @all, when all of it belongs to identity,
 *	not only its pixels, as it is not under the policy that rules give to
 *	it; and with -1 when the archive's rules cannot be used. It must not call
 *	the library with @a.
 * @ctx: for @notice
 */
void chaosimg_archive_on_held(struct chaosimg_archive *a,
			      void (*notice)(void *ctx, int fd, bool all,
					     const char *what), void *ctx);

/** struct chaosimg_rect - pixels of a frame; (0, 0) is the upper left one */
struct chaosimg_rect {
	uint32_t x;
	uint32_t y;
	uint32_t width;
	uint32_t height;
};

/**
 * struct chaosimg_rules_result - what rules say of a file
 * @dicom: it is DICOM; if not, all else is zero
 * @rules: how many apply
 * @rule: which, in the order of the text
 * @policy: the name of the first policy in them, or NULL
 * @held: why all pixels belong to identity, or NULL; a static text
 * @rows: of the picture that regions are cut out of, or 0
 * @columns: of it
 * @block: rows and columns of the blocks that are shown in their place
 * @rects: how many of @rect are in use; they do not overlap
 * @rect: the regions, in each frame
 * @more: there are more than fit
 *
 * @policy lives as long as the rules.
 */
struct chaosimg_rules_result {
	bool dicom;
	uint32_t rules;
	uint32_t rule[CHAOSIMG_RULES_MAX];
	const char *policy;
	const char *held;
	uint32_t rows;
	uint32_t columns;
	uint32_t block;
	uint32_t rects;
	struct chaosimg_rect rect[CHAOSIMG_RESULT_RECTS_MAX];
	bool more;
};

/**
 * chaosimg_rules_test() - what would become of a file?
 * @r: the rules
 * @fd: the file, as it is without encryption
 * @out: filled in
 *
 * Return: 0; -EINVAL if @fd is no regular file; -ENOMEM; the system's error.
 */
int chaosimg_rules_test(const struct chaosimg_rules *r, int fd,
			struct chaosimg_rules_result *out);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif

#endif
