// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Once it is mounted and unlocked, the process that holds the keys gives up
 * every right that serving files does not take: capabilities, new privileges,
 * and the system calls that neither it nor its libraries make. Those are an
 * allow list. What is not on it fails with EPERM and is logged, since losing
 * images that were not written yet, to a call that some library begins to make
 * one day, would be worse; what nobody but an intruder tries kills.
 */
#include <linux/netlink.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <syslog.h>
#include <ucontext.h>
#include <unistd.h>

#include <cap-ng.h>
#include <seccomp.h>

#include "fs.h"

/* As the kernel's headers have it, which do not go together with libc's. */
#ifndef SYS_SECCOMP
#define SYS_SECCOMP	1
#endif
#ifndef PR_SET_VMA
#define PR_SET_VMA	0x53564d41
#endif

/*
 * Of root's. Without a user's own rights, as fuse checks permissions before it
 * asks, the daemon acts on everybody's files.
 */
static const unsigned int capabilities[] = {
	CAP_CHOWN,		/* a new file is given to who makes it */
	CAP_DAC_OVERRIDE,	/* others' files are read and written */
	CAP_DAC_READ_SEARCH,	/* open_by_handle_at(2) */
	CAP_FOWNER,		/* modes, times, attributes; link(2) to them */
	CAP_FSETID,		/* set-group-id for groups that are not ours */
	CAP_IPC_LOCK,		/* locked memory, only where there is a limit */
	CAP_MKNOD,		/* device nodes, where mknod(2) is allowed */
};

/* The most frequent ones first. */
static const int allowed[] = {
	/* requests and what answers them */
	SCMP_SYS(read), SCMP_SYS(writev), SCMP_SYS(pread64), SCMP_SYS(pwrite64),
	SCMP_SYS(preadv2), SCMP_SYS(futex), SCMP_SYS(openat), SCMP_SYS(close),
	SCMP_SYS(newfstatat), SCMP_SYS(statx), SCMP_SYS(name_to_handle_at),
	SCMP_SYS(open_by_handle_at), SCMP_SYS(fsync), SCMP_SYS(fdatasync),
	SCMP_SYS(getrandom), SCMP_SYS(getdents64), SCMP_SYS(lseek),
	SCMP_SYS(fstat), SCMP_SYS(ftruncate), SCMP_SYS(fallocate),
	SCMP_SYS(sync_file_range), SCMP_SYS(syncfs),
	SCMP_SYS(fstatfs), SCMP_SYS(write), SCMP_SYS(readlink),
	SCMP_SYS(readlinkat), SCMP_SYS(mkdirat), SCMP_SYS(mknodat),
	SCMP_SYS(linkat), SCMP_SYS(symlinkat), SCMP_SYS(unlinkat),
	SCMP_SYS(renameat), SCMP_SYS(renameat2), SCMP_SYS(fchmod),
	SCMP_SYS(fchmodat), SCMP_SYS(chmod), SCMP_SYS(fchown),
	SCMP_SYS(fchownat), SCMP_SYS(utimensat), SCMP_SYS(getxattr),
	SCMP_SYS(setxattr), SCMP_SYS(listxattr), SCMP_SYS(removexattr),
	SCMP_SYS(fgetxattr), SCMP_SYS(fsetxattr), SCMP_SYS(flistxattr),
	SCMP_SYS(fremovexattr), SCMP_SYS(fcntl), SCMP_SYS(dup), SCMP_SYS(dup2),
	SCMP_SYS(dup3),
	/* memory and its locks */
	SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(madvise), SCMP_SYS(brk),
	SCMP_SYS(mlock), SCMP_SYS(mlock2), SCMP_SYS(munlock),
	/* threads, signals, time */
	SCMP_SYS(exit), SCMP_SYS(exit_group), SCMP_SYS(rseq),
	SCMP_SYS(set_robust_list), SCMP_SYS(sched_yield),
	SCMP_SYS(sched_getaffinity), SCMP_SYS(sysinfo), SCMP_SYS(uname),
	SCMP_SYS(restart_syscall), SCMP_SYS(rt_sigaction),
	SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigreturn),
	SCMP_SYS(rt_sigtimedwait), SCMP_SYS(clock_gettime),
	SCMP_SYS(clock_getres), SCMP_SYS(clock_nanosleep), SCMP_SYS(nanosleep),
	SCMP_SYS(gettimeofday), SCMP_SYS(time), SCMP_SYS(getpid),
	SCMP_SYS(gettid), SCMP_SYS(getuid), SCMP_SYS(geteuid), SCMP_SYS(getgid),
	SCMP_SYS(getegid), SCMP_SYS(poll), SCMP_SYS(ppoll),
	/* syslog and the keeper; the sockets themselves: see below */
	SCMP_SYS(connect), SCMP_SYS(sendto), SCMP_SYS(recvfrom),
};

/* The kernel's cipher is used through sockets, see userlib/kernel.c. */
static const int for_kernel_cipher[] = {
	SCMP_SYS(bind), SCMP_SYS(setsockopt), SCMP_SYS(accept),
	SCMP_SYS(accept4), SCMP_SYS(sendmsg), SCMP_SYS(recvmsg),
	SCMP_SYS(pipe2), SCMP_SYS(pipe), SCMP_SYS(splice),
	SCMP_SYS(vmsplice), SCMP_SYS(getsockname),
};

/* No library has a reason to, on any path. */
static const int deadly[] = {
	SCMP_SYS(execve), SCMP_SYS(execveat), SCMP_SYS(ptrace),
	SCMP_SYS(process_vm_readv), SCMP_SYS(process_vm_writev),
	SCMP_SYS(mount), SCMP_SYS(pivot_root), SCMP_SYS(chroot),
	SCMP_SYS(open_tree), SCMP_SYS(move_mount), SCMP_SYS(fsopen),
	SCMP_SYS(setns), SCMP_SYS(unshare), SCMP_SYS(bpf),
	SCMP_SYS(init_module), SCMP_SYS(finit_module),
	SCMP_SYS(delete_module), SCMP_SYS(kexec_load),
	SCMP_SYS(kexec_file_load), SCMP_SYS(reboot), SCMP_SYS(setuid),
	SCMP_SYS(setreuid), SCMP_SYS(setresuid), SCMP_SYS(setgid),
	SCMP_SYS(setregid), SCMP_SYS(setresgid), SCMP_SYS(setgroups),
	SCMP_SYS(perf_event_open), SCMP_SYS(userfaultfd),
	SCMP_SYS(pidfd_getfd), SCMP_SYS(add_key), SCMP_SYS(keyctl),
};

#define COUNT(list)	(sizeof(list) / sizeof((list)[0]))

#define THREAD_FLAGS	(CLONE_VM | CLONE_SIGHAND | CLONE_THREAD)

/* --- capabilities ---------------------------------------------------------- */

/* What was not there before (in a container, or of a user) cannot be kept. */
static int drop_capabilities(void)
{
	bool bound, keep[COUNT(capabilities)];
	struct rlimit lim;
	size_t i;

	if (capng_get_caps_process() || getrlimit(RLIMIT_MEMLOCK, &lim))
		return -1;
	bound = capng_have_capability(CAPNG_EFFECTIVE, CAP_SETPCAP);
	for (i = 0; i < COUNT(capabilities); i++)
		keep[i] = capng_have_capability(CAPNG_PERMITTED,
						capabilities[i]) &&
			  (capabilities[i] != CAP_IPC_LOCK ||
			   lim.rlim_cur != RLIM_INFINITY);
	capng_clear(CAPNG_SELECT_ALL);
	for (i = 0; i < COUNT(capabilities); i++)
		if (keep[i])
			capng_update(CAPNG_ADD, CAPNG_EFFECTIVE |
				     CAPNG_PERMITTED | CAPNG_BOUNDING_SET,
				     capabilities[i]);
	if (capng_apply(bound ? CAPNG_SELECT_BOTH : CAPNG_SELECT_CAPS))
		return -1;
	return 0;
}

/* --- system calls ----------------------------------------------------------- */

static int add(scmp_filter_ctx ctx, uint32_t action, const int *calls,
	       size_t count)
{
	size_t i;

	for (i = 0; i < count; i++)
		if (seccomp_rule_add(ctx, action, calls[i], 0))
			return -1;
	return 0;
}

static int allow_if(scmp_filter_ctx ctx, int call, struct scmp_arg_cmp cmp)
{
	return seccomp_rule_add_array(ctx, SCMP_ACT_ALLOW, call, 1, &cmp);
}

/* Those of which only some uses are. */
static int add_uses(scmp_filter_ctx ctx)
{
	if (/* no code that was written, or brought along */
	    allow_if(ctx, SCMP_SYS(mmap),
		     SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0)) ||
	    allow_if(ctx, SCMP_SYS(mprotect),
		     SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0)) ||
	    /* threads, no processes; libc asks clone3 first */
	    allow_if(ctx, SCMP_SYS(clone),
		     SCMP_A0(SCMP_CMP_MASKED_EQ, THREAD_FLAGS,
			     THREAD_FLAGS)) ||
	    seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS),
			     SCMP_SYS(clone3), 0) ||
	    /* to itself, also to say that it aborts */
	    allow_if(ctx, SCMP_SYS(tgkill),
		     SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid())) ||
	    /* is it a terminal? */
	    allow_if(ctx, SCMP_SYS(ioctl), SCMP_A1(SCMP_CMP_EQ, TCGETS)) ||
	    /* limits are asked for, not changed */
	    allow_if(ctx, SCMP_SYS(prlimit64), SCMP_A2(SCMP_CMP_EQ, 0)) ||
	    allow_if(ctx, SCMP_SYS(prctl),
		     SCMP_A0(SCMP_CMP_EQ, PR_SET_NAME)) ||
	    allow_if(ctx, SCMP_SYS(prctl),
		     SCMP_A0(SCMP_CMP_EQ, PR_SET_VMA)) ||
	    allow_if(ctx, SCMP_SYS(socket), SCMP_A0(SCMP_CMP_EQ, AF_UNIX)))
		return -1;
	/* The keeper unmounts; libfuse is to believe that it did. */
	return seccomp_rule_add(ctx, SCMP_ACT_ERRNO(0), SCMP_SYS(umount2), 0);
}

static int add_kernel_cipher(scmp_filter_ctx ctx)
{
	/* libkcapi asks what the kernel has, too. */
	if (allow_if(ctx, SCMP_SYS(socket), SCMP_A0(SCMP_CMP_EQ, AF_ALG)) ||
	    seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(socket), 2,
			     SCMP_A0(SCMP_CMP_EQ, AF_NETLINK),
			     SCMP_A2(SCMP_CMP_EQ, NETLINK_CRYPTO)))
		return -1;
	return add(ctx, SCMP_ACT_ALLOW, for_kernel_cipher,
		   COUNT(for_kernel_cipher));
}

static int filter_calls(bool kernel_cipher)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_TRAP);
	size_t i;
	int err;

	if (!ctx)
		return -1;
	/* It runs nobody else's code: old kernels need not slow it down. */
	err = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH,
			       SCMP_ACT_KILL_PROCESS) ||
	      seccomp_attr_set(ctx, SCMP_FLTATR_CTL_SSB, 1) ||
	      add(ctx, SCMP_ACT_ALLOW, allowed, COUNT(allowed)) ||
	      add_uses(ctx) ||
	      (kernel_cipher && add_kernel_cipher(ctx)) ||
	      add(ctx, SCMP_ACT_KILL_PROCESS, deadly, COUNT(deadly));
	for (i = 0; !err && i < COUNT(allowed); i++)
		err = seccomp_syscall_priority(ctx, allowed[i], 255 - i);
	if (!err)
		err = seccomp_load(ctx);
	seccomp_release(ctx);
	return err ? -1 : 0;
}

/* --- what was refused -------------------------------------------------------- */

static void fail_call(ucontext_t *u)
{
#if defined(__x86_64__)
	u->uc_mcontext.gregs[REG_RAX] = -EPERM;
#elif defined(__aarch64__)
	u->uc_mcontext.regs[0] = -EPERM;
#else
#error "say where this CPU returns a system call's result"
#endif
}

/* Each call is worth one line. Anyone's kill(2) is not one. */
static void on_forbidden(int sig, siginfo_t *info, void *context)
{
	static _Atomic bool said[1024];
	unsigned int call = info->si_syscall;
	int saved = errno;

	(void)sig;
	if (info->si_code != SYS_SECCOMP)
		return;
	if (!said[call % COUNT(said)]) {
		said[call % COUNT(said)] = true;
		keeper_forbidden(info->si_syscall);
	}
	errno = saved;
	fail_call(context);
}

static int watch_forbidden(void)
{
	struct sigaction act = { .sa_sigaction = on_forbidden,
				 .sa_flags = SA_SIGINFO };

	sigemptyset(&act.sa_mask);
	return sigaction(SIGSYS, &act, NULL);
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || \
	__has_feature(memory_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

int sandbox_enter(bool kernel_cipher)
{
	/* Sanitizers start processes of their own, and trace this one. */
	if (SANITIZED)
		return 0;
	if (drop_capabilities() || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    watch_forbidden() || filter_calls(kernel_cipher)) {
		log_line(LOG_ERR, "rights cannot be given up on this system (seccomp, capabilities); the option no_sandbox does without");
		return -1;
	}
	return 0;
}
