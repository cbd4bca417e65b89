// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What does the daemon's sandbox let through? Enters it anew for each system
 * call, makes the call with arguments that mean nothing, and prints
 *
 *	allowed|refused|killed NAME
 *
 * and the same for some uses of calls of which others are allowed. With the
 * argument "kernel": the sandbox for the kernel's cipher.
 */
#include <linux/netlink.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <seccomp.h>

#include "../../fuse/fs.h"

#define CALLS	512

static volatile bool refused;
static bool kernel_cipher;

/* What the sandbox wants of the daemon's other parts. */
void keeper_forbidden(int number)
{
	(void)number;
	refused = true;
}

void log_line(int priority, const char *fmt, ...)
{
	va_list ap;

	(void)priority;
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
}

/* A use of a call: its number, and three arguments. */
struct use {
	const char *name;
	long call;
	long arg[3];
};

static const struct use uses[] = {
	{ "memory-execute", SYS_mmap, { 0, 4096, PROT_READ | PROT_EXEC } },
	{ "memory-write", SYS_mmap, { 0, 4096, PROT_READ | PROT_WRITE } },
	{ "protect-execute", SYS_mprotect, { 0, 0, PROT_READ | PROT_EXEC } },
	{ "fork", SYS_clone, { 17 } },
	{ "internet", SYS_socket, { AF_INET, SOCK_STREAM } },
	{ "unix-socket", SYS_socket, { AF_UNIX, SOCK_DGRAM } },
	{ "packets", SYS_socket, { AF_PACKET, SOCK_RAW } },
	{ "kernel-crypto-list", SYS_socket, { AF_NETLINK, SOCK_RAW,
					      NETLINK_CRYPTO } },
	{ "routes", SYS_socket, { AF_NETLINK, SOCK_RAW, NETLINK_ROUTE } },
	{ "kernel-crypto", SYS_socket, { AF_ALG, SOCK_SEQPACKET } },
	{ "dumpable", SYS_prctl, { PR_SET_DUMPABLE, 1 } },
	{ "thread-name", SYS_prctl, { PR_SET_NAME, (long)"x" } },
	{ "set-limit", SYS_prlimit64, { 0, RLIMIT_CORE, (long)&uses } },
	{ "get-limit", SYS_prlimit64, { 0, RLIMIT_CORE, 0 } },
	{ "type-into-terminal", SYS_ioctl, { 0, 0x5412 } },
	{ "signal-init", SYS_tgkill, { 1, 1, 0 } },
};

static void __attribute__((noreturn)) child(int out, const struct use *u)
{
	/* What waits for ever is allowed. */
	alarm(1);
	if (sandbox_enter(kernel_cipher))
		_exit(1);
	if (write(out, "e", 1) != 1)
		_exit(1);
	syscall(u->call, u->arg[0], u->arg[1], u->arg[2], -1L, -1L, -1L);
	if (refused && write(out, "r", 1) != 1)
		_exit(1);
	_exit(0);
}

static void probe(const struct use *u)
{
	char seen[2] = "";
	int p[2], status;
	ssize_t n = 0, got;
	pid_t pid;

	if (pipe(p))
		exit(1);
	fflush(NULL);
	pid = fork();
	if (!pid)
		child(p[1], u);
	close(p[1]);
	while (n < 2 && (got = read(p[0], seen + n, 2 - n)) > 0)
		n += got;
	close(p[0]);
	if (waitpid(pid, &status, 0) != pid || seen[0] != 'e') {
		fprintf(stderr, "%s: not probed\n", u->name);
		exit(1);
	}
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS)
		printf("killed %s\n", u->name);
	else
		printf("%s %s\n", seen[1] == 'r' ? "refused" : "allowed",
		       u->name);
}

static void probe_number(int number)
{
	struct use u = { NULL, number, { -1, -1, -1 } };
	char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, number);

	if (!name)
		return;
	u.name = name;
	/* This one would leave the memory of its caller to two of them. */
	if (number != SYS_vfork)
		probe(&u);
	free(name);
}

int main(int argc, char **argv)
{
	size_t i;

	kernel_cipher = argc > 1 && !strcmp(argv[1], "kernel");
	for (i = 0; i < CALLS; i++)
		probe_number(i);
	for (i = 0; i < sizeof(uses) / sizeof(uses[0]); i++)
		probe(&uses[i]);
	return 0;
}
