// SPDX-License-Identifier: GPL-2.0-or-later
/* Asking for a passphrase on the terminal. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "tool.h"

/* Signals that would leave the terminal without echo. */
static const int caught[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP };

#define CAUGHT (sizeof(caught) / sizeof(caught[0]))

static volatile sig_atomic_t arrived;

static void note_signal(int signo)
{
	arrived = signo;
}

struct terminal {
	int fd;
	struct termios tio;
	sigset_t mask;
	struct sigaction old[CAUGHT];
};

/*
 * The signals are blocked from here on, and let in only while ppoll() waits:
 * so none is missed between a look at @arrived and the wait.
 */
static void catch_signals(struct terminal *t)
{
	struct sigaction sa = { .sa_handler = note_signal };
	sigset_t set;
	size_t i;

	arrived = 0;
	sigemptyset(&set);
	for (i = 0; i < CAUGHT; i++)
		sigaddset(&set, caught[i]);
	sigprocmask(SIG_BLOCK, &set, &t->mask);
	for (i = 0; i < CAUGHT; i++) {
		sigaction(caught[i], NULL, &t->old[i]);
		if (t->old[i].sa_handler != SIG_IGN)
			sigaction(caught[i], &sa, NULL);
	}
}

static void release_signals(struct terminal *t)
{
	size_t i;

	for (i = 0; i < CAUGHT; i++)
		sigaction(caught[i], &t->old[i], NULL);
	sigprocmask(SIG_SETMASK, &t->mask, NULL);
}

static int echo_off(struct terminal *t)
{
	struct termios tio;

	if (tcgetattr(t->fd, &t->tio))
		return -errno;
	tio = t->tio;
	tio.c_lflag &= ~(tcflag_t)(ECHO | ECHONL);
	tio.c_lflag |= ICANON | ISIG;
	return tcsetattr(t->fd, TCSAFLUSH, &tio) ? -errno : 0;
}

/* Return: length of the line; -EINTR after a signal; -errno */
static ssize_t read_line(struct terminal *t, char *answer)
{
	struct pollfd p = { .fd = t->fd, .events = POLLIN };
	ssize_t n;

	if (ppoll(&p, 1, NULL, &t->mask) < 0)
		return -errno;
	n = read(t->fd, answer, PROMPT_SIZE - 1);
	if (n < 0)
		return -errno;
	if (n && answer[n - 1] == '\n')
		n--;
	answer[n] = '\0';
	return n;
}

static ssize_t ask(struct terminal *t, const char *question, char *answer)
{
	ssize_t n;

	catch_signals(t);
	n = echo_off(t);
	if (!n) {
		n = -EIO;
		if (dprintf(t->fd, "%s", question) >= 0)
			n = read_line(t, answer);
		tcsetattr(t->fd, TCSAFLUSH, &t->tio);
		dprintf(t->fd, "\n");
	}
	release_signals(t);
	return n;
}

ssize_t prompt_secret(const char *question, char answer[PROMPT_SIZE])
{
	struct terminal t;
	ssize_t n;

	t.fd = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (t.fd < 0)
		return -ENXIO;
	do {
		n = ask(&t, question, answer);
		if (n == -EINTR && arrived) {
			explicit_bzero(answer, PROMPT_SIZE);
			/* Ends the process, or stops it for a while. */
			raise(arrived);
		}
	} while (n == -EINTR);
	close(t.fd);
	return n;
}
