// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * An archive's rules in use: read when the first file asks for them, and again
 * when they were changed.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "archive.h"
#include "error.h"
#include "rules.h"

enum { FRESH = 50 * 1000 * 1000 };	/* ns */

/**
 * struct rules_use - an archive's rules, as they were seen last
 * @lock: held to look at the rest
 * @known: there are some, or were
 * @seen: the file that they were read from
 * @fixed: they are those that an ingest mount was given
 * @rules: them; NULL if they could not be read
 * @notice: is told of what is held back; may be NULL
 * @ctx: for @notice
 */
struct rules_use {
	pthread_mutex_t lock;
	bool known;
	bool fixed;
	struct config_stamp seen;
	struct chaosimg_rules *rules;
	void (*notice)(void *ctx, int fd, bool all, const char *what);
	void *ctx;
};

int rules_use_new(struct chaosimg_archive *a)
{
	a->rules = calloc(1, sizeof(*a->rules));
	if (!a->rules)
		return fail(ENOMEM, "out of memory");
	pthread_mutex_init(&a->rules->lock, NULL);
	return 0;
}

void rules_use_fixed(struct chaosimg_archive *a, struct chaosimg_rules *rules)
{
	a->rules->fixed = true;
	a->rules->known = rules != NULL;
	a->rules->rules = rules ? rules_hold(rules) : NULL;
}

void rules_use_free(struct chaosimg_archive *a)
{
	if (!a->rules)
		return;
	chaosimg_rules_free(a->rules->rules);
	pthread_mutex_destroy(&a->rules->lock);
	free(a->rules);
	a->rules = NULL;
}

void chaosimg_archive_on_held(struct chaosimg_archive *a,
			      void (*notice)(void *ctx, int fd, bool all,
					     const char *what), void *ctx)
{
	pthread_mutex_lock(&a->rules->lock);
	a->rules->notice = notice;
	a->rules->ctx = ctx;
	pthread_mutex_unlock(&a->rules->lock);
}

static void tell(const struct rules_use *u, int fd, bool all, const char *what)
{
	if (u->notice)
		u->notice(u->ctx, fd, all, what);
}

void rules_tell(struct chaosimg_archive *a, int fd, bool all, const char *what)
{
	pthread_mutex_lock(&a->rules->lock);
	tell(a->rules, fd, all, what);
	pthread_mutex_unlock(&a->rules->lock);
}

static bool is_seen(const struct rules_use *u, const struct stat *st)
{
	return u->known && u->seen.dev == st->st_dev &&
	       u->seen.ino == st->st_ino &&
	       u->seen.ctime.tv_sec == st->st_ctim.tv_sec &&
	       u->seen.ctime.tv_nsec == st->st_ctim.tv_nsec;
}

/*
 * [lock] Rules that went away without others in their place, or others that
 * nobody with the key wrote, leave those that there were in force.
 */
static int look(struct chaosimg_archive *a)
{
	struct rules_use *u = a->rules;
	struct chaosimg_rules *rules;
	struct stat st;
	int err;

	if (u->fixed)
		return 0;
	if (fstatat(a->fd, RULES_FILE, &st, AT_SYMLINK_NOFOLLOW)) {
		if (errno == ENOENT)
			return 0;
		return u->rules ? 0 : fail_errno(RULES_FILE);
	}
	if (is_seen(u, &st))
		return 0;
	err = chaosimg_rules_load(a, &rules);
	if (err == -ENOMEM)
		return err;
	u->known = true;
	u->seen = (struct config_stamp){
		.dev = st.st_dev, .ino = st.st_ino, .ctime = st.st_ctim
	};
	if (err) {
		tell(u, -1, false, chaosimg_errmsg());
		return 0;
	}
	chaosimg_rules_free(u->rules);
	u->rules = rules;
	return 0;
}

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* [lock] For a file that came by a moment ago, what was seen then holds. */
static int look_for(struct chaosimg_archive *a, uint64_t *looked)
{
	uint64_t at = now();
	int err;

	if (*looked && at - *looked < FRESH)
		return 0;
	err = look(a);
	*looked = err ? 0 : at;
	return err;
}

/* The rules that are in force; @some: there are some, though none to be had. */
static int current(struct chaosimg_archive *a, uint64_t *looked,
		   struct chaosimg_rules **out, bool *some)
{
	int err;

	pthread_mutex_lock(&a->rules->lock);
	err = look_for(a, looked);
	*out = a->rules->rules ? rules_hold(a->rules->rules) : NULL;
	*some = a->rules->known;
	pthread_mutex_unlock(&a->rules->lock);
	return err;
}

/* Its policy's name is the rules', which may be gone before the outcome is. */
static void keep_name(struct rules_outcome *o)
{
	if (!o->policy)
		return;
	strcpy(o->named, o->policy);
	o->policy = o->named;
}

static int match(const struct chaosimg_rules *rules,
		 const struct dicom_source *src, struct rules_outcome *o)
{
	if (rules)
		return rules_match(rules, src, o);
	o->unsure = true;
	o->cut.hold = "the archive's rules cannot be read";
	return 0;
}

int rules_apply(struct chaosimg_archive *a, const struct dicom_source *src,
		uint64_t *looked, struct rules_outcome **out)
{
	struct chaosimg_rules *rules;
	bool some;
	int ret;

	*out = NULL;
	if (a->fd < 0)
		return 0;
	ret = current(a, looked, &rules, &some);
	/* Where there are policies for them to choose, there are rules. */
	some = some || keyring_has_policies(a->ring);
	if (ret || !some || (rules && !rules->rule.n)) {
		chaosimg_rules_free(rules);
		return ret;
	}
	*out = calloc(1, sizeof(**out));
	if (!*out)
		ret = fail(ENOMEM, "out of memory");
	else
		ret = match(rules, src, *out);
	if (ret >= 0)
		keep_name(*out);
	chaosimg_rules_free(rules);
	if (ret < 0) {
		free(*out);
		*out = NULL;
	}
	return ret < 0 ? ret : 0;
}
