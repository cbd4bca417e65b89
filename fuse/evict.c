// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Each object that the kernel remembers costs memory, and a descriptor where
 * there are no file handles, and it forgets only when its own memory gets
 * short. So in time it is asked to forget what has been known for longest and
 * nobody has open. New kernels are given numbers (FUSE_NOTIFY_PRUNE, Linux
 * 6.18), older ones names, which have to be read from the disk.
 */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <unistd.h>

#include "fs.h"

/* About 24 MiB of inodes. A test has fewer. */
#ifndef INODES_MAX
#define INODES_MAX	98304
#endif

enum { RETRIES = 100, RETRY_USEC = 5000, CATCH_UP_USEC = 20000 };

enum {
	PRUNE_BATCH = 512,
	PRUNE_CODE = 9,		/* FUSE_NOTIFY_PRUNE */
};

/* As <linux/fuse.h> has it, which may be older than the kernel. */
struct prune {
	struct {
		uint32_t len;
		int32_t error;
		uint64_t unique;
	} out;
	uint32_t count;
	uint32_t padding;
	uint64_t spare;
	uint64_t nodeid[PRUNE_BATCH];
};

static struct {
	struct fuse_session *se;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wanted;
	size_t high;
	size_t start;
	size_t low;
	int spare;
	bool no_prune;
	_Atomic size_t next;
	_Atomic bool over;
	_Atomic bool running;
} evict = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.wanted = PTHREAD_COND_INITIALIZER,
	.high = SIZE_MAX,
	.next = SIZE_MAX,
	.spare = -1,
};

/*
 * What is open cannot be forgotten, however much there is. It counts where each
 * inode costs a descriptor.
 */
static size_t forgettable(void)
{
	size_t open = handles_work() ? content_count() : 0;
	size_t count = inode_count();

	return count > open ? count - open : 0;
}

static bool enough(void)
{
	return evict.over || forgettable() <= evict.low;
}

/* What cannot be forgotten now is used; the kernel says nothing of it. */
static void forget_entry(struct inode *dir, const uint8_t *id, int fd,
			 const struct dirent *d)
{
	char name[CHAOSIMG_NAME_MAX + 1];

	if (!inode_unused(dir->dev, d->d_ino) ||
	    chaosimg_name_decrypt(fs.archive, id, fd, d->d_name, name, NULL))
		return;
	fuse_lowlevel_notify_inval_entry(evict.se, inode_number(dir), name,
					 strlen(name));
}

/* There may be none left already: then take the one that was put aside. */
static DIR *open_dir(struct inode *dir)
{
	int fd;
	DIR *dp;

	if (evict.spare >= 0)
		close(evict.spare);
	evict.spare = -1;
	fd = inode_reopen(dir, O_RDONLY | O_DIRECTORY);
	if (fd < 0)
		return NULL;
	dp = fdopendir(fd);
	if (!dp)
		close(fd);
	return dp;
}

static void forget_in(struct inode *dir)
{
	uint8_t id[CHAOSIMG_ID_SIZE];
	const struct dirent *d;
	DIR *dp;

	if (enough() || dir_id(dir, id))
		return;
	dp = open_dir(dir);
	while (dp && !enough() && (d = readdir(dp)))
		forget_entry(dir, id, dirfd(dp), d);
	if (dp)
		closedir(dp);
	if (evict.spare < 0)
		evict.spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static bool prune(const fuse_ino_t *ino, size_t count)
{
	struct prune p = { .count = count, .out.error = PRUNE_CODE };
	size_t i;

	p.out.len = offsetof(struct prune, nodeid) +
		    count * sizeof(p.nodeid[0]);
	for (i = 0; i < count; i++)
		p.nodeid[i] = ino[i];
	return write(fuse_session_fd(evict.se), &p, p.out.len) >= 0;
}

/* Return: false if the kernel does not know how to. */
static bool forget_old(void)
{
	fuse_ino_t ino[PRUNE_BATCH];
	size_t at = 0, n;

	if (evict.no_prune)
		return false;
	for (;;) {
		n = inode_old(evict.low, &at, ino, PRUNE_BATCH);
		if (!n || evict.over)
			return true;
		if (!prune(ino, n) && errno == EINVAL) {
			evict.no_prune = true;
			return false;
		}
	}
}

/* If little could be forgotten, the next try comes when there is more. */
static void *evict_run(void *unused)
{
	(void)unused;
	pthread_mutex_lock(&evict.lock);
	while (!evict.over) {
		if (forgettable() < evict.next) {
			pthread_cond_wait(&evict.wanted, &evict.lock);
			continue;
		}
		pthread_mutex_unlock(&evict.lock);
		if (!forget_old())
			inode_each(inode_is_dir, forget_in);
		evict.next = forgettable() + evict.high / 16;
		if (evict.next < evict.start)
			evict.next = evict.start;
		pthread_mutex_lock(&evict.lock);
	}
	pthread_mutex_unlock(&evict.lock);
	return NULL;
}

bool evict_due(void)
{
	return forgettable() >= evict.high;
}

/*
 * The more there are too many, the longer. The kernel has its reply, so nobody
 * holds a lock meanwhile that forgetting needs, and who walks through all these
 * files waits only when all threads do.
 */
void evict_catch_up(void)
{
	size_t count = forgettable();

	if (evict.running && count > evict.high)
		usleep((count - evict.high) * CATCH_UP_USEC / evict.high);
}

void evict_wanted(void)
{
	if (!evict.running || forgettable() < evict.next)
		return;
	pthread_mutex_lock(&evict.lock);
	pthread_cond_signal(&evict.wanted);
	pthread_mutex_unlock(&evict.lock);
}

bool patience(int tries)
{
	if (!evict.running || tries > RETRIES ||
	    pthread_equal(pthread_self(), evict.thread))
		return false;
	evict.next = evict.start;
	evict_wanted();
	usleep(RETRY_USEC);
	return true;
}

int patient_open(int dirfd, const char *path, int flags, mode_t mode)
{
	int tries = 0, fd;

	do {
		fd = TEMP_FAILURE_RETRY(openat(dirfd, path, flags | O_CLOEXEC,
					       mode));
	} while (fd < 0 && errno == EMFILE && patience(++tries));
	return fd;
}

int evict_start(struct fuse_session *se)
{
	struct rlimit lim;

	if (getrlimit(RLIMIT_NOFILE, &lim))
		return -errno;
	evict.se = se;
	evict.high = INODES_MAX;
	if (!handles_work() && lim.rlim_cur / 2 < INODES_MAX)
		evict.high = lim.rlim_cur / 2;
	evict.start = evict.high / 8 * 7;
	evict.low = evict.high / 2;
	evict.next = evict.start;
	evict.spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
	evict.running = !pthread_create(&evict.thread, NULL, evict_run, NULL);
	return evict.running ? 0 : -EAGAIN;
}

/*
 * While requests are still being served: the kernel may make us wait for the
 * end of one.
 */
void evict_stop(void)
{
	if (!evict.running)
		return;
	pthread_mutex_lock(&evict.lock);
	evict.over = true;
	pthread_cond_signal(&evict.wanted);
	pthread_mutex_unlock(&evict.lock);
	pthread_join(evict.thread, NULL);
	evict.running = false;
	close(evict.spare);
}
