// SPDX-License-Identifier: GPL-2.0-or-later
/* chaosimg scrub: looks for damage, without a key. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <json-c/json.h>

#include "findings.h"

#define STATE_FORMAT	"chaosimg-scrub-state"
#define STATE_MAX	(64 << 20)
#define STATE_EVERY	30	/* seconds */
#define RATE_MAX	(1 << 20)	/* MiB in a second */

/**
 * struct scrub - one run
 * @f: its report; first, as callbacks get a pointer to it
 * @state: the file of the run's state, or NULL
 * @id: the archive's id as text; empty if the configuration is damaged
 * @position: where the next run begins, or NULL
 * @before: what earlier runs did
 * @again: what was damaged then
 * @now: what this run has done, up to @position
 * @saved: when the state was saved last
 */
struct scrub {
	struct findings f;
	const struct tool_command *cmd;
	const char *archive;
	const char *state;
	char id[2 * CHAOSIMG_ID_SIZE + 1];
	char *position;
	struct chaosimg_check_totals before;
	char **again;
	struct chaosimg_check_totals now;
	time_t saved;
};

/* --- the state ------------------------------------------------------------- */

#define EACH_TOTAL(DO)							\
	DO(directories) DO(files) DO(links) DO(others) DO(records) DO(bytes)	\
	DO(open) DO(temporary) DO(busy)

static int64_t number_of(struct json_object *root, const char *name)
{
	struct json_object *value;

	if (!json_object_object_get_ex(root, name, &value) ||
	    !json_object_is_type(value, json_type_int))
		return -1;
	return json_object_get_int64(value);
}

static char *path_of(struct json_object *value)
{
	char *path;

	if (!json_object_is_type(value, json_type_string))
		return NULL;
	path = strdup(json_object_get_string(value));
	if (path && percent_decode(path))
		return path;
	free(path);
	return NULL;
}

static bool parse_again(struct scrub *s, struct json_object *root)
{
	struct json_object *list;
	size_t i, n;

	if (!json_object_object_get_ex(root, "damaged", &list) ||
	    !json_object_is_type(list, json_type_array))
		return false;
	n = json_object_array_length(list);
	s->again = calloc(n + 1, sizeof(*s->again));
	for (i = 0; s->again && i < n; i++) {
		s->again[i] = path_of(json_object_array_get_idx(list, i));
		if (!s->again[i])
			return false;
	}
	return s->again != NULL;
}

static bool parse_state(struct scrub *s, struct json_object *root)
{
	struct json_object *value;
	bool good;

	good = json_object_object_get_ex(root, "format", &value) &&
	       json_object_is_type(value, json_type_string) &&
	       !strcmp(json_object_get_string(value), STATE_FORMAT) &&
	       number_of(root, "version") == 1;
#define READ_TOTAL(name)						\
	good = good && number_of(root, #name) >= 0;			\
	s->before.name = good ? (uint64_t)number_of(root, #name) : 0;
	EACH_TOTAL(READ_TOTAL)
	if (!good || !json_object_object_get_ex(root, "position", &value))
		return false;
	s->position = path_of(value);
	return s->position && parse_again(s, root);
}

static bool same_archive(const struct scrub *s, struct json_object *root)
{
	struct json_object *id;

	return json_object_object_get_ex(root, "archive_id", &id) &&
	       json_object_is_type(id, json_type_string) &&
	       (!s->id[0] || !*json_object_get_string(id) ||
		!strcmp(json_object_get_string(id), s->id));
}

static int load_state(struct scrub *s)
{
	struct json_object *root;
	int status = DONE;

	if (access(s->state, F_OK) && errno == ENOENT)
		return DONE;
	root = json_object_from_file(s->state);
	if (!root || !parse_state(s, root))
		status = failed("%s: not the state of a scrub, or damaged; remove it to begin anew",
				s->state);
	else if (!same_archive(s, root))
		status = failed("%s: the state of a scrub of another archive",
				s->state);
	json_object_put(root);
	return status;
}

static struct json_object *render_state(struct scrub *s)
{
	struct json_object *root = json_object_new_object();
	struct json_object *list = json_object_new_array();
	char *path = percent_encode(s->position);

	if (!root || !list || !path) {
		json_object_put(root);
		json_object_put(list);
		free(path);
		return NULL;
	}
	json_object_object_add(root, "format",
			       json_object_new_string(STATE_FORMAT));
	json_object_object_add(root, "version", json_object_new_int(1));
	json_object_object_add(root, "archive_id",
			       json_object_new_string(s->id));
	json_object_object_add(root, "position", json_object_new_string(path));
	free(path);
#define WRITE_TOTAL(name)						\
	json_object_object_add(root, #name, json_object_new_uint64(	\
		s->before.name + s->now.name));
	EACH_TOTAL(WRITE_TOTAL)
	json_object_object_add(root, "damaged", list);
	for (size_t i = 0; i < s->f.count; i++) {
		path = percent_encode(s->f.list[i]);
		if (path)
			json_object_array_add(list,
					      json_object_new_string(path));
		free(path);
	}
	return root;
}

/* Whole or not at all: a crash must not cost what was done. */
static int save_state(struct scrub *s)
{
	struct json_object *root = render_state(s);
	struct output o;
	int status;

	if (!root)
		return failed("%s: %s", s->state, strerror(ENOMEM));
	status = output_open(&o, s->state, 0600, true);
	if (!status && json_object_to_fd(o.fd, root, JSON_C_TO_STRING_PRETTY)) {
		status = failed_errno(s->state);
		output_discard(&o);
	} else if (!status) {
		status = output_commit(&o);
	}
	json_object_put(root);
	return status;
}

static void checkpoint(void *ctx, const char *path,
		       const struct chaosimg_check_totals *totals)
{
	struct scrub *s = ctx;
	char *copy = strdup(path);
	time_t now = time(NULL);

	if (!copy)
		return;
	free(s->position);
	s->position = copy;
	s->now = *totals;
	if (!s->state || now - s->saved < STATE_EVERY)
		return;
	s->saved = now;
	save_state(s);
}

/* --- the run --------------------------------------------------------------- */

static int finish(struct scrub *s, int err,
		  struct chaosimg_check_totals *totals)
{
	bool complete = err != -EINTR;
	int status;

	if (err && complete) {
		progress_end();
		return failed_library(s->archive, err);
	}
#define ADD_TOTAL(name)	totals->name += s->before.name;
	EACH_TOTAL(ADD_TOTAL)
	status = findings_end(&s->f, totals, complete);
	if (complete && s->state && unlink(s->state) && errno != ENOENT)
		status = failed_errno(s->state);
	if (!complete && s->state && s->position && !save_state(s))
		message("%s: the next scrub with this state goes on where this one stopped",
			s->state);
	return complete ? status : FAILED;
}

static int scrub(struct scrub *s, struct chaosimg_check_params *p, bool json)
{
	struct chaosimg_check_totals totals;
	struct chaosimg_archive_info info;
	int status = DONE, err;

	if (!chaosimg_archive_info(s->archive, &info))
		bytes_to_hex(info.id, sizeof(info.id), s->id);
	if (s->state)
		status = load_state(s);
	if (status)
		return status;
	findings_begin(&s->f, s->archive, "scrubbing", json);
	s->f.base = s->before.bytes;
	s->saved = time(NULL);
	p->from = s->position ? strdup(s->position) : NULL;
	p->again = (const char *const *)s->again;
	p->found = findings_found;
	p->progress = isatty(STDERR_FILENO) ? findings_progress : NULL;
	p->checkpoint = checkpoint;
	p->stop = signals_seen;
	p->ctx = s;
	many_files_allowed();
	signals_catch();
	err = chaosimg_scrub(s->archive, p, &totals);
	free((char *)p->from);
	status = finish(s, err, &totals);
	findings_free(&s->f);
	return status;
}

static int parse_rate(const struct tool_command *cmd, const char *text,
		      uint64_t *rate)
{
	double mib;
	char *end;

	*rate = 0;
	if (!text)
		return DONE;
	errno = 0;
	mib = strtod(text, &end);
	if (errno || *end || *text < '0' || *text > '9' || !(mib >= 0.001) ||
	    !(mib <= RATE_MAX))
		return misused(cmd, "not a number of MiB in a second: %s",
			       text);
	*rate = (uint64_t)(mib * (1 << 20));
	return DONE;
}

static int run(const struct tool_command *cmd, int argc, char **argv)
{
	const char *rate = NULL, *threads = NULL;
	struct chaosimg_check_params p = { 0 };
	struct scrub s = { .cmd = cmd };
	bool json = false;
	int id, status;

	while ((id = next_option(cmd, argc, argv)) != OPT_END) {
		if (id == OPT_RATE)
			set_once(cmd, "--rate", &rate);
		else if (id == OPT_STATE)
			set_once(cmd, "--state", &s.state);
		else if (id == OPT_THREADS)
			set_once(cmd, "--threads", &threads);
		else
			json = true;
	}
	if (argc - optind != 1)
		return misused(cmd, "one ARCHIVE is needed");
	s.archive = argv[optind];
	status = parse_rate(cmd, rate, &p.rate);
	if (!status)
		status = threads_number(cmd, threads, &p.threads);
	if (!status)
		status = scrub(&s, &p, json);
	for (size_t i = 0; s.again && s.again[i]; i++)
		free(s.again[i]);
	free(s.again);
	free(s.position);
	signals_obey();
	return status;
}

static const struct tool_option options[] = {
	{ OPT_RATE, 0, "rate", "MIB", "read at most so many MiB in a second" },
	{ OPT_STATE, 0, "state", "FILE",
	  "go on where the last run with FILE was interrupted" },
	{ OPT_THREADS, 0, "threads", "N", "check N files at once" },
	{ OPT_JSON, 0, "json", NULL, "write JSON" },
	COMMON_OPTIONS
};

const struct tool_command cmd_scrub = {
	.name = "scrub",
	.summary = "look for damage, without a key",
	.usage = "scrub [OPTION]... ARCHIVE",
	.about = "Reads all that is stored, checks the checksums, and prints a line for each\n"
		 "damaged file. Needs no key, changes nothing, and works while ARCHIVE is mounted.\n"
		 "Exit status: 0 nothing is damaged, 1 something is, or it failed, 2 wrong use.",
	.options = options,
	.run = run,
};
