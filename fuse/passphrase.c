// SPDX-License-Identifier: GPL-2.0-or-later
/* Ask for a passphrase on the terminal, without showing it. */
#include <signal.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "passphrase.h"
#include "fs.h"

#define PASSPHRASE_MAX	1024

static volatile sig_atomic_t caught;

static void on_signal(int sig)
{
	caught = sig;
}

/* A line without its end; negative error. */
static ssize_t read_line(int fd, char *buf, size_t size)
{
	size_t len = 0;
	ssize_t n;

	while (len < size && !caught) {
		n = read(fd, buf + len, 1);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (!n || buf[len] == '\n')
			return len;
		len++;
	}
	return caught ? -EINTR : -EINVAL;
}

static ssize_t ask(int tty, const char *prompt, char *buf, size_t size)
{
	struct termios shown, hidden;
	ssize_t n;

	if (tcgetattr(tty, &shown))
		return -errno;
	hidden = shown;
	hidden.c_lflag &= ~(tcflag_t)ECHO;
	if (tcsetattr(tty, TCSAFLUSH, &hidden))
		return -errno;
	n = write(tty, prompt, strlen(prompt));
	n = read_line(tty, buf, size);
	tcsetattr(tty, TCSAFLUSH, &shown);
	if (write(tty, "\n", 1) < 0 && n >= 0)
		n = -errno;
	return n;
}

bool passphrase_possible(void)
{
	int tty = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);

	if (tty < 0)
		return false;
	close(tty);
	return true;
}

int passphrase_ask(const char *prompt, struct chaosimg_credential **out)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
	struct sigaction act = { .sa_handler = on_signal }, old[4];
	char buf[PASSPHRASE_MAX + 1];
	int tty = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);
	ssize_t n;
	size_t i;

	if (tty < 0)
		return -ENOTTY;
	for (i = 0; i < 4; i++)
		sigaction(signals[i], &act, &old[i]);
	n = ask(tty, prompt, buf, sizeof(buf));
	for (i = 0; i < 4; i++)
		sigaction(signals[i], &old[i], NULL);
	close(tty);
	if (n >= 0)
		n = chaosimg_credential_passphrase(buf, n, out);
	explicit_bzero(buf, sizeof(buf));
	if (caught)
		raise(caught);
	return n;
}
