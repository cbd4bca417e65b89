// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The keeper: a second process, forked off before there is any key, that keeps
 * what the one with the keys gives up, the right to unmount. It is told what
 * to do in messages of two numbers; it reads nothing else. It also says which
 * forbidden calls there were, as a signal handler cannot, and when its master
 * died; then it sees to it that nobody waits for answers of the dead.
 */
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <syslog.h>
#include <unistd.h>

#include <cap-ng.h>

#include "fs.h"

#define KEEPER_FD	3

enum task {
	TASK_UNMOUNT,		/* if nobody uses it; is answered */
	TASK_DETACH,		/* even if; is answered */
	TASK_FORBIDDEN,		/* a call, and its number */
	TASK_MOUNTED,		/* from now on there is something to miss */
	TASK_END,
};

struct message {
	int32_t task;
	int32_t number;
};

static struct {
	const char *mountpoint;
	int fd;
	pthread_mutex_t lock;
} keeper = { .fd = -1, .lock = PTHREAD_MUTEX_INITIALIZER };

/* --- in the keeper -------------------------------------------------------- */

/* Only it may unmount what an ordinary user has mounted. */
static int fusermount(const char *mountpoint, bool detach)
{
	int status = -1;
	pid_t pid = fork();

	if (!pid) {
		execlp("fusermount3", "fusermount3", detach ? "-uqz" : "-uq",
		       "--", mountpoint, NULL);
		_exit(127);
	}
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return pid > 0 && !status ? 0 : EBUSY;
}

static int unmount(const char *mountpoint, bool detach)
{
	if (!umount2(mountpoint, UMOUNT_NOFOLLOW | (detach ? MNT_DETACH : 0)))
		return 0;
	return errno == EPERM ? fusermount(mountpoint, detach) : errno;
}

/* --- its master's death --- */

static volatile sig_atomic_t died;

static void on_death(int sig)
{
	(void)sig;
	died = 1;
}

/* Its main thread's, that is. The signal comes only while next() waits. */
static void notice_death(void)
{
	struct sigaction sa = { .sa_handler = on_death };
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	sigaction(SIGUSR1, &sa, NULL);
	prctl(PR_SET_PDEATHSIG, SIGUSR1, 0, 0, 0);
}

/*
 * A thread that waits for the kernel to write back cannot be killed, and would
 * keep the connection open for good: abort it. The open descriptor keeps the
 * mount where it is: nobody shall write below it.
 */
static void abort_mount(const char *mountpoint, dev_t mounted)
{
	int fd = open(mountpoint, O_PATH | O_CLOEXEC);
	dev_t dev;

	if (fd < 0)
		return;
	if (mountpoint_device(mountpoint, &dev) && dev == mounted)
		umount2(mountpoint, MNT_FORCE | UMOUNT_NOFOLLOW);
	close(fd);
}

/* --- what it is told --- */

static void reply(int32_t number)
{
	while (send(KEEPER_FD, &number, sizeof(number), MSG_NOSIGNAL) < 0 &&
	       errno == EINTR)
		;
}

static void wait_message(void)
{
	struct pollfd p = { .fd = KEEPER_FD, .events = POLLIN };
	sigset_t none;

	sigemptyset(&none);
	while (!died && ppoll(&p, 1, NULL, &none) < 1)
		;
}

/* What was said before it died counts. */
static bool next(struct message *m)
{
	ssize_t n;

	wait_message();
	do
		n = recv(KEEPER_FD, m, sizeof(*m), died ? MSG_DONTWAIT : 0);
	while (n < 0 && errno == EINTR);
	return n == sizeof(*m);
}

static void keep(const char *mountpoint)
{
	bool mounted = false;
	struct message m;
	dev_t dev = 0;

	while (next(&m)) {
		if (m.task == TASK_END)
			return;
		if (m.task == TASK_UNMOUNT || m.task == TASK_DETACH) {
			reply(unmount(mountpoint, m.task == TASK_DETACH));
		} else if (m.task == TASK_MOUNTED) {
			mounted = true;
			mountpoint_device(mountpoint, &dev);
		} else if (m.task == TASK_FORBIDDEN) {
			log_line(LOG_CRIT, "%s: system call %d was refused: no part of chaosimgfs makes it",
				 mountpoint, m.number);
		}
	}
	if (!mounted)
		return;
	if (died)
		abort_mount(mountpoint, dev);
	log_line(LOG_CRIT, "%s: chaosimgfs was killed (transport endpoint is not connected): mount again",
		 mountpoint);
}

/* fusermount3 needs its own rights, so no_new_privs is for root alone. */
static void give_up_rights(void)
{
	if (geteuid())
		return;
	capng_get_caps_process();
	capng_clear(CAPNG_SELECT_BOTH);
	capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED |
		     CAPNG_BOUNDING_SET, CAP_SYS_ADMIN);
	capng_apply(CAPNG_SELECT_BOTH);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

/* Nothing of the caller's is held: whoever waits for its end shall not wait. */
static void leave_caller(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int fd;

	for (fd = 0; null >= 0 && fd <= STDERR_FILENO; fd++)
		dup2(null, fd);
	if (null > STDERR_FILENO)
		close(null);
	log_open();
}

static void __attribute__((noreturn))
be_keeper(const char *mountpoint, int fd, bool daemon)
{
	static const int ignored[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT,
				       SIGPIPE, SIGTSTP };
	size_t i;

	for (i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
		signal(ignored[i], SIG_IGN);
	prctl(PR_SET_NAME, "chaosimgfs-keep", 0, 0, 0);
	if (fd != KEEPER_FD)
		dup3(fd, KEEPER_FD, O_CLOEXEC);
	close_range(KEEPER_FD + 1, ~0U, 0);
	setsid();
	if (chdir("/"))
		_exit(EXIT_FAILURE);
	if (daemon)
		leave_caller();
	give_up_rights();
	notice_death();
	keep(mountpoint);
	close(KEEPER_FD);
	_exit(EXIT_SUCCESS);
}

/* --- in the process with the keys ------------------------------------------ */

int keeper_start(const char *mountpoint, bool daemon)
{
	int pair[2];
	pid_t pid;

	keeper.mountpoint = mountpoint;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return -errno;
	fflush(NULL);
	pid = fork();
	if (!pid)
		be_keeper(mountpoint, pair[1], daemon);
	close(pair[1]);
	if (pid > 0) {
		keeper.fd = pair[0];
		return 0;
	}
	close(pair[0]);
	return -EAGAIN;
}

void keeper_none(const char *mountpoint)
{
	keeper.mountpoint = mountpoint;
}

/* Safe in a signal handler. */
static bool tell(enum task task, int number, int flags)
{
	struct message m = { task, number };

	return send(keeper.fd, &m, sizeof(m), MSG_NOSIGNAL | flags) ==
	       sizeof(m);
}

int keeper_unmount(bool detach)
{
	int32_t err = EPERM;
	ssize_t n;

	/* Without a keeper it is libfuse that detaches. */
	if (keeper.fd < 0)
		return detach || !umount2(keeper.mountpoint, UMOUNT_NOFOLLOW) ?
		       0 : -errno;
	/* One question at a time, or answers would get to the wrong one. */
	pthread_mutex_lock(&keeper.lock);
	if (tell(detach ? TASK_DETACH : TASK_UNMOUNT, 0, 0)) {
		do
			n = recv(keeper.fd, &err, sizeof(err), 0);
		while (n < 0 && errno == EINTR);
		if (n != sizeof(err))
			err = EPERM;
	}
	pthread_mutex_unlock(&keeper.lock);
	return -err;
}

int keeper_detach_dead(void)
{
	return keeper.fd < 0 ? -unmount(keeper.mountpoint, true) :
			       keeper_unmount(true);
}

void keeper_mounted(void)
{
	if (keeper.fd >= 0)
		tell(TASK_MOUNTED, 0, 0);
}

/* Nobody waits for this: the keeper may be busy with an unmount. */
void keeper_forbidden(int number)
{
	if (keeper.fd >= 0)
		tell(TASK_FORBIDDEN, number, MSG_DONTWAIT);
}

void keeper_end(void)
{
	if (keeper.fd < 0)
		return;
	tell(TASK_END, 0, 0);
	close(keeper.fd);
	keeper.fd = -1;
}
