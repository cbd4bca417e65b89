// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Does the cipher take the same path whatever its secrets are? Steps through
 * every instruction of the implementations that valgrind does not know, as far as
 * this CPU offers them, with random keys, IVs and messages: the addresses of
 * the instructions must be the same each time. Of the addresses of data it says
 * nothing. Prints TAP.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/random.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cipher.h"

enum { RUNS = 3, LEN_MAX = 1000 };

/* One of them is run in a child, between two breakpoints. */
struct subject {
	const char *name;
	const struct chaosimg_cipher_impl *impl;
	void (*run)(const struct subject *s);
	size_t len;
};

static struct chaosimg_cipher_key key;
static u8 k[32], iv[CHAOSIMG_TWEAK], msg[LEN_MAX];
static volatile u8 sink;
static int failures, count;

static void set_up(const struct subject *s)
{
	chaosimg_cipher_set_key(&key, s->impl, k);
}

static void encrypt(const struct subject *s)
{
	chaosimg_encrypt(&key, iv, msg, msg, s->len);
}

static void decrypt(const struct subject *s)
{
	chaosimg_decrypt(&key, iv, msg, msg, s->len);
}

/* What must be found, or the rest shows nothing. */
static void secret_branch(const struct subject *s)
{
	size_t i;

	for (i = 0; i < s->len; i++)
		if (msg[i] & 1)
			sink += 3;
}

static void breakpoint(void)
{
	__asm__ volatile("int3" : : : "memory");
}

static void child(const struct subject *s)
{
	if (getrandom(k, sizeof(k), 0) != sizeof(k) ||
	    getrandom(iv, sizeof(iv), 0) != sizeof(iv) ||
	    getrandom(msg, 256, 0) != 256)
		_exit(1);
	memcpy(msg + 256, msg, 256);
	chaosimg_cipher_set_key(&key, s->impl, k);
	if (ptrace(PTRACE_TRACEME, 0, NULL, NULL))
		_exit(1);
	breakpoint();
	s->run(s);
	breakpoint();
	_exit(0);
}

struct path {
	unsigned long long hash;
	unsigned long steps;
};

static bool stopped(pid_t pid, bool *at_breakpoint)
{
	siginfo_t info;
	int status;

	if (waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status) ||
	    WSTOPSIG(status) != SIGTRAP ||
	    ptrace(PTRACE_GETSIGINFO, pid, NULL, &info))
		return false;
	*at_breakpoint = info.si_code == SI_KERNEL;
	return true;
}

static bool follow(pid_t pid, struct path *p)
{
	struct user_regs_struct regs;
	bool end = false;

	if (!stopped(pid, &end) || !end)
		return false;
	for (;;) {
		if (ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL) ||
		    !stopped(pid, &end))
			return false;
		if (end)
			return true;
		if (ptrace(PTRACE_GETREGS, pid, NULL, &regs))
			return false;
		p->hash = (p->hash ^ regs.rip) * 0x9e3779b97f4a7c15ULL;
		p->hash ^= p->hash >> 29;
		p->steps++;
	}
}

/* A child is a copy of this process: its addresses are the same each time. */
static bool trace(const struct subject *s, struct path *p)
{
	pid_t pid = fork();
	bool good;

	if (pid < 0)
		return false;
	if (!pid)
		child(s);
	memset(p, 0, sizeof(*p));
	good = follow(pid, p);
	kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	return good;
}

static void judge(const struct subject *s, const char *who, bool want_same)
{
	struct path first, p;
	bool good = trace(s, &first), same = true;
	int i;

	for (i = 1; i < RUNS && good; i++) {
		good = trace(s, &p);
		same &= p.hash == first.hash && p.steps == first.steps;
	}
	good = good && same == want_same && first.steps > 100;
	failures += !good;
	printf("%s %d - %s: %s, %zu bytes: %lu instructions, %s\n",
	       good ? "ok" : "not ok", ++count, who, s->name, s->len,
	       first.steps, same ? "the same each time" : "not always the same");
	fflush(stdout);
}

static void check(const struct chaosimg_cipher_impl *impl)
{
	static const size_t lens[] = { 40, LEN_MAX };
	struct subject s = { "key set-up", impl, set_up, 32 };
	size_t i;

	judge(&s, impl->name, true);
	for (i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		s = (struct subject){ "encryption", impl, encrypt, lens[i] };
		judge(&s, impl->name, true);
		s = (struct subject){ "decryption", impl, decrypt, lens[i] };
		judge(&s, impl->name, true);
	}
}

int main(void)
{
	const struct chaosimg_cipher_impl *impls[CHAOSIMG_IMPLS_MAX];
	const struct subject control = {
		"a secret branch is found", &chaosimg_impl_generic,
		secret_branch, 100,
	};
	size_t n = chaosimg_cipher_impls(chaosimg_cpu_features(), impls,
					 CHAOSIMG_IMPLS_MAX), i;

	judge(&control, "control", false);
	for (i = 0; i < n; i++)
		if (!strncmp(impls[i]->name, "vaes-", 5))
			check(impls[i]);
	printf("1..%d\n", count);
	return failures != 0;
}
