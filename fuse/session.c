// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The mount's life. One thread besides the workers waits for signals: it is
 * also the one that finds out when the mount answers.
 */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <syslog.h>
#include <unistd.h>

#include "device.h"
#include "fs.h"
#include "session.h"

/* Enough for all workers to be busy while a program reads what came before. */
#define READ_AHEAD_KIB	2048

static struct {
	struct fuse_session *se;
	const char *mountpoint;
	void (*ready)(void);
	pthread_t main;
	sigset_t signals;
	dev_t dev;
	bool began;
	_Atomic bool over;
} session;

static void libfuse_says(enum fuse_log_level level, const char *fmt, va_list ap)
{
	char line[1024];
	size_t n;

	vsnprintf(line, sizeof(line), fmt, ap);
	n = strlen(line);
	if (n && line[n - 1] == '\n')
		line[n - 1] = '\0';
	log_line((int)level, "%s", line);
}

/* The kernel reads no more than 128 KiB ahead unless it is told. */
static void raise_read_ahead(dev_t dev)
{
	char path[64];
	FILE *f;

	snprintf(path, sizeof(path), "/sys/class/bdi/%u:%u/read_ahead_kb",
		 major(dev), minor(dev));
	f = fopen(path, "we");
	if (!f)
		return;
	fprintf(f, "%d\n", READ_AHEAD_KIB);
	fclose(f);
}

/* What programs wrote is in the kernel's cache: have it sent. */
static void fetch_dirty(struct inode *in)
{
	fuse_lowlevel_notify_inval_inode(session.se, inode_number(in), 0, 0);
}

void session_attributes_changed(struct inode *in)
{
	/* From a negative offset on: no page is touched, or waited for. */
	fuse_lowlevel_notify_inval_inode(session.se, inode_number(in), -1, 0);
}

/* Someone may have mounted something else over it. */
static bool is_ours(void)
{
	dev_t dev;

	return mountpoint_device(session.mountpoint, &dev) &&
	       dev == session.dev;
}

/* Until main has noticed: the signal may come just before it waits. */
static void wake_main(void)
{
	while (!session.over) {
		pthread_kill(session.main, SIGUSR1);
		usleep(50000);
	}
}

static void stop(void)
{
	if (fs.writeback)
		inode_each(inode_is_open, fetch_dirty);
	/* Nobody uses it: then the kernel ends the session, in order. */
	if (is_ours() && !keeper_unmount(false))
		return;
	evict_stop();
	fuse_session_exit(session.se);
	wake_main();
}

static void *watch(void *unused)
{
	int sig;

	(void)unused;
	if (!device_wait() ||
	    !mountpoint_device(session.mountpoint, &session.dev))
		return NULL;
	raise_read_ahead(session.dev);
	session.ready();
	while (sigwait(&session.signals, &sig))
		;
	if (!session.over)
		stop();
	return NULL;
}

static void on_wake(int sig)
{
	(void)sig;
}

static void set_signals(void)
{
	struct sigaction wake = { .sa_handler = on_wake };
	struct sigaction ignore = { .sa_handler = SIG_IGN };

	sigemptyset(&session.signals);
	sigaddset(&session.signals, SIGTERM);
	sigaddset(&session.signals, SIGINT);
	sigaddset(&session.signals, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &session.signals, NULL);
	sigaction(SIGUSR1, &wake, NULL);
	sigaction(SIGPIPE, &ignore, NULL);
}

static struct fuse_session *make_session(const struct options *o)
{
	struct fuse_args args = FUSE_ARGS_INIT(0, NULL);
	struct fuse_session *se = NULL;
	char name[4200], *opts = NULL;

	snprintf(name, sizeof(name), "fsname=%s", fs.real);
	if (!fuse_opt_add_opt_escaped(&opts, name) &&
	    !fuse_opt_add_opt(&opts, "subtype=chaosimgfs") &&
	    !fuse_opt_add_opt(&opts, "default_permissions") &&
	    !(o->readonly && fuse_opt_add_opt(&opts, "ro")) &&
	    !(o->mount && fuse_opt_add_opt(&opts, o->mount)) &&
	    !fuse_opt_add_arg(&args, "chaosimgfs") &&
	    !fuse_opt_add_arg(&args, "-o") && !fuse_opt_add_arg(&args, opts))
		se = fuse_session_new(&args, &operations, sizeof(operations),
				      NULL);
	free(opts);
	fuse_opt_free_args(&args);
	return se;
}

/* Nothing of ours is mounted here any more; a broken connection still would be. */
static bool is_gone(void)
{
	struct stat st;

	return !stat(session.mountpoint, &st) && st.st_dev != session.dev;
}

static int serve(unsigned int threads)
{
	struct fuse_loop_config *cfg = fuse_loop_cfg_create();
	int err;

	if (!cfg)
		return -1;
	fuse_loop_cfg_set_max_threads(cfg, threads);
	fuse_loop_cfg_set_idle_threads(cfg, threads);
	err = fuse_session_loop_mt(session.se, cfg);
	fuse_loop_cfg_destroy(cfg);
	/* After umount -l the last close may end the session in this way. */
	if ((err == ECONNABORTED || err == -ECONNABORTED) && is_gone())
		err = 0;
	if (err)
		log_line(LOG_ERR, "%s: the session with the kernel broke: %s",
			 session.mountpoint, strerror(err < 0 ? -err : err));
	return err ? -1 : 0;
}

/* Or did whoever unmounted end the connection? */
static bool is_mounted(void)
{
	struct pollfd p = { .fd = fuse_session_fd(session.se) };

	return poll(&p, 1, 0) != 1 || !(p.revents & POLLERR);
}

static int run_mounted(unsigned int threads)
{
	pthread_t watcher;
	bool mounted;
	int err;

	if (device_start(session.se) || evict_start(session.se) ||
	    ingest_start() || pthread_create(&watcher, NULL, watch, NULL)) {
		ingest_stop();
		evict_stop();
		log_line(LOG_ERR, "%s: cannot start a thread",
			 session.mountpoint);
		return -1;
	}
	session.began = true;
	err = serve(threads);
	session.over = true;
	device_end();
	mounted = is_mounted();
	/* This ends the connection, and so whatever the watcher waits for. */
	fuse_session_unmount(session.se);
	if (mounted)
		keeper_unmount(true);
	pthread_kill(watcher, SIGTERM);
	pthread_join(watcher, NULL);
	ingest_stop();
	evict_stop();
	return err;
}

static bool is_kernel_cipher(const struct options *o)
{
	return o->cipher && !strcmp(o->cipher, "kernel");
}

bool session_began(void)
{
	return session.began;
}

int session_run(const struct options *o, const char *mountpoint,
		void (*ready)(void))
{
	int err = -1;

	fuse_set_log_func(libfuse_says);
	session.mountpoint = mountpoint;
	session.ready = ready;
	session.main = pthread_self();
	session.se = make_session(o);
	if (!session.se)
		return -1;
	set_signals();
	if (!fuse_session_mount(session.se, mountpoint)) {
		keeper_mounted();
		if (o->no_sandbox || !sandbox_enter(is_kernel_cipher(o)))
			err = run_mounted(o->threads);
		else
			fuse_session_unmount(session.se);
		inodes_end();
	}
	fuse_session_destroy(session.se);
	return err;
}
