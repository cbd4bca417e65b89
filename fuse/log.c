// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What chaosimgfs says: to stderr until it is a daemon, then to syslog. Stored
 * names only, never the names behind them.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "fs.h"

#define REPEAT_SECONDS	5
#define REPEAT_SLOTS	64

static bool to_syslog;

void log_open(void)
{
	openlog("chaosimgfs", LOG_PID, LOG_DAEMON);
	to_syslog = true;
}

void log_line(int priority, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	if (to_syslog) {
		vsyslog(priority, fmt, ap);
	} else {
		char line[8192];

		vsnprintf(line, sizeof(line), fmt, ap);
		fprintf(stderr, "chaosimgfs: %s\n", line);
	}
	va_end(ap);
}

/* FNV-1a: spreads lines over the slots, nothing more */
static uint64_t line_hash(const char *s)
{
	uint64_t h = 0xcbf29ce484222325;

	for (; *s; s++)
		h = (h ^ (uint8_t)*s) * 0x100000001b3;
	return h;
}

/* The same line within a few seconds says nothing new. */
static bool said_just_now(const char *line)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	static struct { uint64_t hash; time_t when; } seen[REPEAT_SLOTS];
	uint64_t h = line_hash(line);
	struct timespec now;
	bool repeated;
	size_t slot = h % REPEAT_SLOTS;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	pthread_mutex_lock(&lock);
	repeated = seen[slot].hash == h && seen[slot].when &&
		   now.tv_sec - seen[slot].when < REPEAT_SECONDS;
	if (!repeated) {
		seen[slot].hash = h;
		seen[slot].when = now.tv_sec ? now.tv_sec : 1;
	}
	pthread_mutex_unlock(&lock);
	return repeated;
}

void log_often(int priority, const char *line)
{
	if (!said_just_now(line))
		log_line(priority, "%s", line);
}

/* The stored path of an open object, relative to the archive. */
static void stored_path(int fd, char *out, size_t size)
{
	static const char gone[] = " (deleted)";
	size_t prefix = strlen(fs.real);
	char link[32], path[4096];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1);
	path[n > 0 ? n : 0] = '\0';
	if (n > (ssize_t)sizeof(gone) &&
	    !strcmp(path + n - (sizeof(gone) - 1), gone))
		path[n - (sizeof(gone) - 1)] = '\0';
	if (!strncmp(path, fs.real, prefix) && path[prefix] == '/')
		snprintf(out, size, "%s", path + prefix + 1);
	else
		snprintf(out, size, "%s", path);
}

bool is_damage(int err)
{
	return err == -EIO || err == -EBADMSG || err == -ENOKEY ||
	       err == -EPROTONOSUPPORT;
}

static void say_cause(int priority, struct inode *in, const char *name,
		      const char *cause)
{
	char path[4096] = "?", line[6144];

	if (!inode_use(in)) {
		stored_path(in->fd, path, sizeof(path));
		inode_done(in);
	}
	snprintf(line, sizeof(line), "%s%s%s: %s", path, name ? "/" : "",
		 name ? name : "", cause);
	log_often(priority, line);
}

void log_cause(struct inode *in, const char *name, const char *cause)
{
	say_cause(LOG_ERR, in, name, cause);
}

/*
 * A descriptor of a file that was made without a name leads to no name, so this
 * is said by who knows the inode, in the same thread and soon.
 */
static _Thread_local struct {
	const char *why;
	bool all;
	dev_t dev;
	ino_t ino;
} held;

void log_note_held(void *ctx, int fd, bool all, const char *what)
{
	struct stat st;

	(void)ctx;
	if (fd < 0) {
		log_often(LOG_ERR, what);
		return;
	}
	if (fstat(fd, &st))
		return;
	held.why = what;
	held.all = all;
	held.dev = st.st_dev;
	held.ino = st.st_ino;
}

void log_held(struct inode *in)
{
	char cause[256];

	if (!held.why)
		return;
	snprintf(cause, sizeof(cause), "%s held back from who lacks identity: %s",
		 held.all ? "all of it is" : "all pixels are", held.why);
	held.why = NULL;
	if (held.dev == in->dev && held.ino == in->ino)
		say_cause(LOG_WARNING, in, NULL, cause);
}

int log_damage(int err, struct inode *in, const char *name)
{
	if (is_damage(err))
		log_cause(in, name, chaosimg_errmsg());
	return err;
}
