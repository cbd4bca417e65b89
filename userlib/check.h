/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What scrub and fsck share: an ordered walk whose entries are checked by
 * several threads, findings, totals, and keeping to a rate.
 *
 * Entries are begun in the order of the walk and counted in that order, too:
 * so there is always a path before which all is done.
 */
#ifndef CHAOSIMG_CHECK_H
#define CHAOSIMG_CHECK_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>

#include "chaosimg_check.h"

enum {
	CHECK_THREADS_MAX = 64,
	CHECK_THREADS_DEFAULT = 4,
	/* Entries begun or waiting; each holds on to its directory. */
	CHECK_TASKS_MAX = 256,
	/* Directories in each other: each takes a descriptor, and some stack. */
	CHECK_DEPTH_MAX = 2000,
};

/**
 * struct check_dir - a directory on the walk, as long as an entry needs it
 * @refs: who holds it
 * @fd: the directory
 * @path: its stored path, from the archive on
 * @up: the one above, or NULL
 * @depth: how many are above
 * @plain: its plain path, or NULL [fsck]
 * @id: its id [fsck]
 * @id_known: @id is set [fsck]
 * @place_good: and belongs to this place [fsck]
 */
struct check_dir {
	_Atomic unsigned int refs;
	int fd;
	char *path;
	struct check_dir *up;
	unsigned int depth;
	char *plain;
	uint8_t id[CHAOSIMG_ID_SIZE];
	bool id_known;
	bool place_good;
};

/**
 * struct check_task - one entry to be checked
 * @next: in the order of the walk
 * @dir: where it is
 * @name: its name there; "." for @dir itself
 * @type: as in st_mode
 * @foreign: its name is none of an archive [scrub]
 * @bound: @binding is known [fsck]
 * @binding: of its name [fsck]
 * @plain: its plain name, or NULL [fsck]
 * @totals: what it comes to
 * @done: it is checked
 */
struct check_task {
	struct check_task *next;
	struct check_dir *dir;
	char name[CHAOSIMG_NAME_MAX + 1];
	mode_t type;
	bool foreign;
	bool bound;
	uint8_t binding[CHAOSIMG_BINDING_SIZE];
	char *plain;
	struct chaosimg_check_totals totals;
	bool done;
};

/**
 * struct check - one run of scrub or fsck
 * @p: what the caller wants
 * @run: checks an entry, in any thread; an error ends the whole run
 * @ctx: for @run
 * @lock: protects all that follows but @report and what is atomic
 * @work: there is a task, or the end
 * @room: a task is done
 * @first: the first task that is not counted yet
 * @last: the one made last
 * @todo: the next one to be begun
 * @tasks: from @first to @last
 * @closing: no task will come
 * @error: what went wrong
 * @errmsg: and its text
 * @threads: how many there are
 * @thread: they
 * @totals: of what is counted
 * @next_read: when the next bytes may be read, in ns of CLOCK_MONOTONIC
 * @report: held while the caller's functions run
 * @reported: when progress was last told
 * @saved: when a checkpoint was last told
 * @bytes: done so far, those of unfinished tasks included
 * @bytes_total: to do
 */
struct check {
	const struct chaosimg_check_params *p;
	int (*run)(struct check *c, struct check_task *t);
	void *ctx;

	pthread_mutex_t lock;
	pthread_cond_t work;
	pthread_cond_t room;
	struct check_task *first;
	struct check_task *last;
	struct check_task *todo;
	unsigned int tasks;
	bool closing;
	int error;
	char errmsg[256];
	unsigned int threads;
	pthread_t thread[CHECK_THREADS_MAX];
	struct chaosimg_check_totals totals;
	uint64_t next_read;

	pthread_mutex_t report;
	uint64_t reported;
	uint64_t saved;
	_Atomic uint64_t bytes;
	uint64_t bytes_total;
};

/* --- check.c: the run --- */

/** check_begin() - start the threads. Return: 0; -EINVAL; -ENOMEM; -EAGAIN */
int check_begin(struct check *c, const struct chaosimg_check_params *p,
		int (*run)(struct check *c, struct check_task *t), void *ctx);

/**
 * check_task_new() - an entry to be checked, for check_push()
 * @dir: where it is
 * @name: its name there; "." for the directory itself
 * @type: as in st_mode
 * Return: the task, or NULL.
 */
struct check_task *check_task_new(struct check_dir *dir, const char *name,
				  mode_t type);

/**
 * check_push() - have an entry checked
 * @c: the run
 * @t: the entry, the run's from now on
 * Return: 0; -EINTR if the caller wants to stop; -ENOMEM, also for no task;
 * what else ended the run.
 */
int check_push(struct check *c, struct check_task *t);

/**
 * check_end() - wait for the threads, and free what is left
 * @c: the run
 * @err: what ended the walk; 0 if nothing did
 * @totals: receives what was looked at
 * Return: 0 or the error of the run.
 */
int check_end(struct check *c, int err, struct chaosimg_check_totals *totals);

/** check_add() - count what was looked at outside of tasks */
void check_add(struct check *c, const struct chaosimg_check_totals *totals);

/** check_stopped() - is it to end early? */
bool check_stopped(struct check *c);

/** check_read() - before @len bytes are read: keep to the rate */
void check_read(struct check *c, uint64_t len);

/** check_done() - @len bytes are done: tell the caller now and then */
void check_done(struct check *c, uint64_t len);

/** check_pause() - sleep, but not if it is to end */
void check_pause(struct check *c, unsigned int ms);

/**
 * check_found() - tell the caller what is wrong
 * @c: the run
 * @totals: in which to count it
 * @f: the finding; @plain is left out unless the caller wants names
 */
void check_found(struct check *c, struct chaosimg_check_totals *totals,
		 const struct chaosimg_finding *f);

/* --- check_dir.c: directories --- */

/** check_path() - "@dir/@name", or @dir for "."; free() it; NULL: no memory */
char *check_path(const struct check_dir *dir, const char *name);

/**
 * check_dir_open() - open a directory below another
 * @up: that one, or NULL
 * @fd: where @name is looked up
 * @name: the directory
 * @out: receives it; check_dir_put() it
 * Return: 0; -ENOMEM; -ENAMETOOLONG if there are too many above; the system's
 * error.
 */
int check_dir_open(struct check_dir *up, int fd, const char *name,
		   struct check_dir **out);

struct check_dir *check_dir_get(struct check_dir *dir);
void check_dir_put(struct check_dir *dir);

/**
 * struct check_entry - an entry of a directory
 * @name: its name
 * @type: as in st_mode; 0 if it is gone already
 */
struct check_entry {
	char *name;
	mode_t type;
};

/**
 * struct check_list - a directory's entries, in the order of their bytes
 * @count: how many there are
 * @room: room in @entry
 * @entry: they
 */
struct check_list {
	size_t count;
	size_t room;
	struct check_entry *entry;
};

/** check_list_read() - all entries but "." and ".." */
int check_list_read(int fd, struct check_list *l);
void check_list_free(struct check_list *l);

/** check_cause() - the thread's error text, without @where before it */
const char *check_cause(const char *where);

/** check_is_temporary() - is it a temporary entry's name? */
bool check_is_temporary(const char *name);

/** check_count() - add up the sizes of all stored files below @fd, to do */
int check_count(struct check *c, int fd);

/** check_same() - do two looks at a file say that nothing was written? */
bool check_same(const struct stat *a, const struct stat *b);

/** check_quiet() - was it changed so long ago that nobody can be at it? */
bool check_quiet(const struct stat *st);

/** check_entry_quiet() - likewise an entry, and the directory it is in */
bool check_entry_quiet(int dirfd, const char *name);

#endif
