// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * chaosimgfs: mounts a protected image archive. The process that was called
 * returns when the mount answers; the one behind it was forked off before any
 * key was in memory, as locked memory does not survive fork(2).
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <syslog.h>
#include <unistd.h>

#include "chaosimg_ingest.h"
#include "chaosimg_rules.h"
#include "fs.h"
#include "options.h"
#include "passphrase.h"
#include "session.h"

#define EXIT_USAGE	2
/* umount(8) returns before the daemon has sealed what was open. */
#define BUSY_SECONDS	2
#define BUSY_REPLACED	60
#define POLL_USEC	1000
#define WRITER_TIMEOUT	3600.0
#define READER_TIMEOUT	1.0

struct mounted fs = { .proc_fd = -1 };

static int ready_fd = -1;

static int complain(const char *what, const char *why)
{
	fprintf(stderr, "chaosimgfs: %s: %s\n", what, why);
	return -1;
}

/* The library's line names its object. */
static int complain_library(void)
{
	fprintf(stderr, "chaosimgfs: %s\n", chaosimg_errmsg());
	return -1;
}

static void warn_if_exposed(const char *path)
{
	struct stat st;

	if (!stat(path, &st) && S_ISREG(st.st_mode) && (st.st_mode & 077))
		fprintf(stderr, "chaosimgfs: %s: warning: open to group or others (mode %04o)\n",
			path, (unsigned int)(st.st_mode & 07777));
}

static int get_credential(const struct options *o,
			  struct chaosimg_credential **cred)
{
	int err;

	if (o->keyfile) {
		err = chaosimg_credential_keyfile(o->keyfile, cred);
	} else if (o->passfile) {
		err = chaosimg_credential_passfile(o->passfile, cred);
	} else {
		err = passphrase_ask("Passphrase: ", cred);
		if (err == -ENOTTY || err == -EINTR)
			return complain(o->archive, strerror(-err));
	}
	if (err)
		return complain_library();
	if (o->keyfile || o->passfile)
		warn_if_exposed(o->keyfile ? o->keyfile : o->passfile);
	return 0;
}

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static int choose_cipher(const struct options *o)
{
	if (!o->cipher || !chaosimg_archive_set_cipher(fs.archive, o->cipher))
		return 0;
	return complain(o->cipher, "no such cipher implementation here");
}

static int open_ingest(const struct options *o)
{
	if (chaosimg_ingest_open(o->archive, o->params, o->epoch, &fs.archive))
		return complain_library();
	chaosimg_archive_on_held(fs.archive, log_note_held, NULL);
	return choose_cipher(o);
}

static int open_archive(struct options *o)
{
	struct chaosimg_credential *cred;
	int err = get_credential(o, &cred);
	unsigned int flags;

	if (err)
		return err;
	if (chaosimg_credential_partial(cred) && !o->readonly) {
		fprintf(stderr, "chaosimgfs: %s: read-only, as the key opens compartments only\n",
			o->archive);
		o->readonly = true;
	}
	flags = o->readonly ? CHAOSIMG_ARCHIVE_RDONLY : CHAOSIMG_ARCHIVE_NOLOCK;
	err = chaosimg_archive_open(o->archive, cred, flags, &fs.archive);
	chaosimg_credential_free(cred);
	if (err)
		return complain_library();
	chaosimg_archive_on_held(fs.archive, log_note_held, NULL);
	return choose_cipher(o);
}

/* A mount that is just ending still holds the archive for a moment. */
static int lock_archive(const struct options *o)
{
	double until = seconds() +
		       (o->replace ? BUSY_REPLACED : BUSY_SECONDS);
	int err;

	for (;;) {
		err = chaosimg_archive_lock(fs.archive);
		if (err != -EBUSY || seconds() > until)
			break;
		usleep(POLL_USEC);
	}
	return err ? complain_library() : 0;
}

/* What this program cannot open, the one that has it open keeps. */
static int unlock_archive(struct options *o, const char *mountpoint)
{
	int err = o->ingest ? open_ingest(o) : open_archive(o);

	if (!err && o->replace)
		err = replace_mounted(fs.real, mountpoint);
	return err ? err : lock_archive(o);
}

static int set_up(const struct options *o)
{
	int err;

	pthread_mutex_init(&fs.long_names, NULL);
	fs.readonly = o->readonly;
	fs.ingest = o->ingest;
	fs.names = chaosimg_archive_held(fs.archive) & 1 << CHAOSIMG_IDENTITY;
	fs.writeback = !o->readonly && !o->no_writeback;
	fs.root = geteuid() == 0;
	fs.timeout = o->readonly ? READER_TIMEOUT : WRITER_TIMEOUT;
	fs.data_fd = chaosimg_archive_data_fd(fs.archive);
	fs.chunk_size = chaosimg_archive_chunk_size(fs.archive);
	fs.proc_fd = open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fs.proc_fd < 0)
		return complain("/proc/self/fd", strerror(errno));
	handles_init();
	err = inodes_init();
	return err ? complain(o->archive, strerror(-err)) : 0;
}

/* The root's id, before anyone is told that all is well. */
static int check_root(void)
{
	uint8_t id[CHAOSIMG_ID_SIZE];
	int err = dir_id(&fs.top, id);

	/* Damage it has told itself. */
	if (err && !is_damage(err))
		complain_library();
	return err ? -1 : 0;
}

/* The mount answers: leave the caller's terminal, and let the caller go. */
static void announce(void)
{
	int null;

	if (ready_fd < 0)
		return;
	log_open();
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null >= 0) {
		dup2(null, STDIN_FILENO);
		dup2(null, STDOUT_FILENO);
		dup2(null, STDERR_FILENO);
		if (null > STDERR_FILENO)
			close(null);
	}
	if (write(ready_fd, "", 1) != 1)
		log_line(LOG_WARNING, "whoever mounted is gone");
	close(ready_fd);
	ready_fd = -1;
}

static int start_keeper(const struct options *o, const char *mountpoint)
{
	int err = 0;

	if (o->no_sandbox)
		keeper_none(mountpoint);
	else
		err = keeper_start(mountpoint, !o->foreground);
	return err ? complain("a second process", strerror(-err)) : 0;
}

/* What was never mounted has nothing to be synced, and leaves nothing. */
static int finish(const struct options *o)
{
	int err = 0;

	if (session_began() && !o->readonly && syncfs(fs.data_fd)) {
		log_line(LOG_ERR, "%s: sync: %s", o->archive, strerror(errno));
		err = -1;
	}
	if (o->ingest && !session_began())
		chaosimg_ingest_discard(fs.archive);
	chaosimg_archive_close(fs.archive);
	if (fs.proc_fd >= 0)
		close(fs.proc_fd);
	return err;
}

static int serve_archive(struct options *o, const char *mountpoint)
{
	int err;

	harden_process();
	err = start_keeper(o, mountpoint);
	harden_memory();
	if (!err)
		err = unlock_archive(o, mountpoint);
	if (!err)
		err = set_up(o);
	if (!err)
		err = check_root();
	if (!err)
		err = replace_detach_dead(fs.real, mountpoint);
	if (!err && !o->foreground) {
		setsid();
		err = chdir("/");
	}
	if (!err)
		err = session_run(o, mountpoint, announce);
	if (finish(o))
		err = -1;
	keeper_end();
	return err ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* The caller: wait for the daemon's word, or for its end. */
static int wait_ready(int fd, pid_t daemon)
{
	int status;
	ssize_t n;
	char c;

	do
		n = read(fd, &c, 1);
	while (n < 0 && errno == EINTR);
	close(fd);
	if (n == 1)
		return EXIT_SUCCESS;
	if (waitpid(daemon, &status, 0) == daemon && WIFEXITED(status) &&
	    WEXITSTATUS(status))
		return WEXITSTATUS(status);
	return EXIT_FAILURE;
}

static int detach(struct options *o, const char *mountpoint)
{
	int p[2];
	pid_t pid;

	if (pipe2(p, O_CLOEXEC))
		return complain("pipe", strerror(errno)), EXIT_FAILURE;
	fflush(NULL);
	pid = fork();
	if (pid < 0)
		return complain("fork", strerror(errno)), EXIT_FAILURE;
	if (pid) {
		close(p[1]);
		return wait_ready(p[0], pid);
	}
	close(p[0]);
	ready_fd = p[1];
	return serve_archive(o, mountpoint);
}

static int check_mountpoint(const struct options *o, const char *mountpoint)
{
	if (o->replace)
		return replace_check(fs.real, mountpoint);
	if (replace_dead(fs.real, mountpoint))
		return 0;
	return mountpoint_check(o->archive, o->mountpoint);
}

static int run(struct options *o)
{
	static char mountpoint[PATH_MAX];

	if (!o->ingest && !o->keyfile && !o->passfile && !passphrase_possible())
		return complain(o->archive, "give keyfile= or passfile=, "
				"there is no terminal to ask on"), EXIT_USAGE;
	fs.real = realpath(o->archive, NULL);
	if (!fs.real)
		return complain(o->archive, strerror(errno)), EXIT_FAILURE;
	if (!realpath(o->mountpoint, mountpoint))
		return complain(o->mountpoint, strerror(errno)), EXIT_FAILURE;
	if (check_mountpoint(o, mountpoint))
		return EXIT_FAILURE;
	return o->foreground ? serve_archive(o, mountpoint) :
			       detach(o, mountpoint);
}

static int start(int argc, char **argv, struct options *o)
{
	if (options_parse(argc, argv, o))
		return EXIT_USAGE;
	if (o->help) {
		options_help();
		return EXIT_SUCCESS;
	}
	if (o->version) {
		printf("chaosimgfs %s\n", chaosimg_version());
		return EXIT_SUCCESS;
	}
	return run(o);
}

int main(int argc, char **argv)
{
	struct options o;
	int status = start(argc, argv, &o);

	options_free(&o);
	free(fs.real);
	fs.real = NULL;
	return status;
}
