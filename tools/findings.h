/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How scrub and fsck tell what they found. */
#ifndef FINDINGS_H
#define FINDINGS_H

#include "chaosimg_check.h"
#include "tool.h"

/**
 * struct findings - a run's report
 * @archive: as given
 * @json: one JSON object at the end, instead of lines
 * @verb: what progress shows
 * @list: paths of all findings, NULL-terminated
 * @count: how many
 * @room: room in @list
 * @rows: the JSON array
 * @base: bytes that earlier runs did
 * @done: bytes done, those included
 * @total: bytes there are
 * @incomplete: there was no memory for all of the report
 */
struct findings {
	const char *archive;
	bool json;
	const char *verb;
	char **list;
	size_t count;
	size_t room;
	struct json_object *rows;
	uint64_t base;
	uint64_t done;
	uint64_t total;
	bool incomplete;
};

/** findings_begin() - a report on @archive */
void findings_begin(struct findings *f, const char *archive, const char *verb,
		    bool json);

/** findings_found() - for struct chaosimg_check_params; its @ctx is @f */
void findings_found(void *f, const struct chaosimg_finding *finding);

/** findings_progress() - likewise */
void findings_progress(void *f, uint64_t done, uint64_t total);

/**
 * findings_end() - the summary, or the JSON object
 * @f: the report
 * @totals: what was looked at
 * @complete: it was not interrupted
 * Return: DONE if nothing is wrong any more, else FAILED.
 */
int findings_end(struct findings *f, const struct chaosimg_check_totals *totals,
		 bool complete);

/** findings_free() */
void findings_free(struct findings *f);

/** percent_encode() - a path in letters, digits and "/._-%"; free() it */
char *percent_encode(const char *path);

/** percent_decode() - back again, in place. Return: false if it is none */
bool percent_decode(char *text);

/*
 * SIGINT, SIGTERM and SIGHUP are to end the work in order: signals_catch()
 * before it, signals_seen() as @stop of struct chaosimg_check_params, and
 * signals_obey() at the very end, which does not return if one came.
 */
void signals_catch(void);
bool signals_seen(void *unused);
void signals_obey(void);

/** threads_number() - an option's number of threads. Return: 0, or MISUSED */
int threads_number(const struct tool_command *cmd, const char *text,
		   unsigned int *out);

/** many_files_allowed() - each directory that is being checked is open */
void many_files_allowed(void);

#endif
