// SPDX-License-Identifier: GPL-2.0-or-later
/* How scrub and fsck tell what they found. */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <json-c/json.h>

#include "findings.h"

#define THREADS_MAX	64
#define LINE_SIZE	16384

/* --- paths ----------------------------------------------------------------- */

static bool is_plain(unsigned char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
	       (c >= 'A' && c <= 'Z') || (c && strchr("/._-", c));
}

char *percent_encode(const char *path)
{
	char *out = malloc(3 * strlen(path) + 1), *to = out;
	const unsigned char *p;

	for (p = (const unsigned char *)path; out && *p; p++) {
		if (is_plain(*p))
			*to++ = (char)*p;
		else
			to += sprintf(to, "%%%02X", *p);
	}
	if (out)
		*to = '\0';
	return out;
}

bool percent_decode(char *text)
{
	char *to = text;

	for (; *text; text++) {
		uint8_t byte = (uint8_t)*text;
		char hex[3];

		if (*text == '%') {
			memcpy(hex, text + 1, text[1] ? 2 : 1);
			hex[2] = '\0';
			if (!hex_to_bytes(hex, &byte, 1) || !byte)
				return false;
			text += 2;
		}
		*to++ = (char)byte;
	}
	*to = '\0';
	return true;
}

/* --- one by one ------------------------------------------------------------ */

static void put(struct findings *f, struct json_object *to, const char *name,
		struct json_object *value)
{
	if (!to || !value || json_object_object_add(to, name, value))
		f->incomplete = true;
}

static void put_number(struct findings *f, struct json_object *to,
		       const char *name, uint64_t value)
{
	put(f, to, name, json_object_new_uint64(value));
}

/* Anybody may have made the path: it need not be UTF-8. */
static void put_path(struct findings *f, struct json_object *to,
		     const char *name, const char *path)
{
	char *safe = percent_encode(path);

	put(f, to, name, safe ? json_object_new_string(safe) : NULL);
	free(safe);
}

static void remember(struct findings *f, const char *path)
{
	if (f->count + 1 >= f->room) {
		size_t room = f->room ? 2 * f->room : 64;
		char **list = reallocarray(f->list, room, sizeof(*list));

		if (!list) {
			f->incomplete = true;
			return;
		}
		f->list = list;
		f->room = room;
	}
	f->list[f->count] = strdup(path);
	f->incomplete |= !f->list[f->count];
	f->count += f->list[f->count] != NULL;
	f->list[f->count] = NULL;
}

static void add_row(struct findings *f, const struct chaosimg_finding *found)
{
	struct json_object *row = json_object_new_object();

	if (!row || json_object_array_add(f->rows, row)) {
		json_object_put(row);
		f->incomplete = true;
		return;
	}
	put_path(f, row, "path", found->path);
	if (found->plain)
		put_path(f, row, "plain", found->plain);
	put(f, row, "what", json_object_new_string(found->what));
	if (found->record >= 0) {
		put_number(f, row, "record", (uint64_t)found->record);
		put_number(f, row, "records", found->records);
	}
	put_number(f, row, "offset", found->offset);
	if (found->remedy == CHAOSIMG_REMEDY_NONE)
		return;
	put(f, row, "repair", json_object_new_string(found->repair));
	put(f, row, "repaired", json_object_new_boolean(
		found->remedy == CHAOSIMG_REMEDY_DONE));
}

static void print_line(const struct chaosimg_finding *found)
{
	char path[LINE_SIZE], plain[LINE_SIZE] = "";

	escape(path, sizeof(path), found->path);
	if (found->plain)
		escape(plain, sizeof(plain), found->plain);
	printf("%s%s%s%s: %s", path, found->plain ? " (" : "", plain,
	       found->plain ? ")" : "", found->what);
	if (found->remedy == CHAOSIMG_REMEDY_WOULD)
		printf(" (can be repaired: %s)", found->repair);
	else if (found->remedy == CHAOSIMG_REMEDY_DONE)
		printf(" (repaired: %s)", found->repair);
	putchar('\n');
	fflush(stdout);
}

void findings_found(void *ctx, const struct chaosimg_finding *found)
{
	struct findings *f = ctx;

	remember(f, found->path);
	if (f->json) {
		add_row(f, found);
		return;
	}
	progress_end();
	print_line(found);
	progress_begin(f->verb, f->total);
}

void findings_progress(void *ctx, uint64_t done, uint64_t total)
{
	struct findings *f = ctx;

	if (total != f->total) {
		f->total = total;
		progress_begin(f->verb, total);
	}
	f->done = f->base + done;
	progress_update(f->done);
}

/* --- all together ---------------------------------------------------------- */

void findings_begin(struct findings *f, const char *archive, const char *verb,
		    bool json)
{
	memset(f, 0, sizeof(*f));
	f->archive = archive;
	f->verb = verb;
	f->json = json;
	if (json)
		f->rows = json_object_new_array();
	progress_begin(verb, 0);
}

static void print_summary(const struct chaosimg_check_totals *t, bool complete)
{
	printf("%s%" PRIu64 " directories, %" PRIu64 " files, %" PRIu64
	       " links, %.1f MiB: ", complete ? "" : "interrupted after ",
	       t->directories, t->files, t->links,
	       (double)t->bytes / (1 << 20));
	if (!t->problems)
		printf("clean");
	else if (t->repaired)
		printf("%" PRIu64 " problems, %" PRIu64 " repaired",
		       t->problems, t->repaired);
	else
		printf("%" PRIu64 " problem%s", t->problems,
		       t->problems == 1 ? "" : "s");
	if (t->busy)
		printf(", %" PRIu64 " files could not be checked as they changed",
		       t->busy);
	putchar('\n');
}

static int print_object(struct findings *f,
			const struct chaosimg_check_totals *t, bool complete)
{
	struct json_object *root = json_object_new_object();
	const char *text = NULL;

	put_path(f, root, "archive", f->archive);
	put(f, root, "complete", json_object_new_boolean(complete));
	put_number(f, root, "directories", t->directories);
	put_number(f, root, "files", t->files);
	put_number(f, root, "links", t->links);
	put_number(f, root, "others", t->others);
	put_number(f, root, "records", t->records);
	put_number(f, root, "bytes", t->bytes);
	put_number(f, root, "open", t->open);
	put_number(f, root, "temporary", t->temporary);
	put_number(f, root, "busy", t->busy);
	put_number(f, root, "problems", t->problems);
	put_number(f, root, "repaired", t->repaired);
	put(f, root, "findings", f->rows);
	f->rows = NULL;
	if (!f->incomplete)
		text = json_object_to_json_string_ext(root,
				JSON_C_TO_STRING_PRETTY |
				JSON_C_TO_STRING_NOSLASHESCAPE);
	if (text)
		puts(text);
	json_object_put(root);
	return text ? DONE : failed("%s: %s", f->archive, strerror(ENOMEM));
}

int findings_end(struct findings *f, const struct chaosimg_check_totals *totals,
		 bool complete)
{
	int status = DONE;

	progress_end();
	if (f->json)
		status = print_object(f, totals, complete);
	else
		print_summary(totals, complete);
	if (totals->problems > totals->repaired)
		status = FAILED;
	return status;
}

void findings_free(struct findings *f)
{
	while (f->count)
		free(f->list[--f->count]);
	free(f->list);
	json_object_put(f->rows);
}

/* --- signals, options ------------------------------------------------------ */

/* Asked by every thread, and no lock may be taken in a handler. */
static _Atomic int signal_seen;

static void on_signal(int number)
{
	signal_seen = number;
}

void signals_catch(void)
{
	struct sigaction action = { .sa_handler = on_signal }, old;
	static const int numbers[] = { SIGINT, SIGTERM, SIGHUP };

	for (size_t i = 0; i < 3; i++) {
		/* nohup(1) and the like mean it. */
		if (!sigaction(numbers[i], NULL, &old) &&
		    old.sa_handler != SIG_IGN)
			sigaction(numbers[i], &action, NULL);
	}
}

bool signals_seen(void *unused)
{
	(void)unused;
	return signal_seen != 0;
}

void signals_obey(void)
{
	if (!signal_seen)
		return;
	finish_output();
	signal(signal_seen, SIG_DFL);
	raise(signal_seen);
}

int threads_number(const struct tool_command *cmd, const char *text,
		   unsigned int *out)
{
	unsigned long n;
	char *end;

	*out = 0;
	if (!text)
		return DONE;
	errno = 0;
	n = strtoul(text, &end, 10);
	if (errno || *end || *text < '0' || *text > '9' || !n ||
	    n > THREADS_MAX)
		return misused(cmd, "not a number of threads from 1 to %d: %s",
			       THREADS_MAX, text);
	*out = (unsigned int)n;
	return DONE;
}

void many_files_allowed(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}
