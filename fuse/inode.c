// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The table of objects that the kernel knows, keyed by the stored object's
 * device and inode number. The table's lock is short: no I/O under it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "fs.h"

#define FIRST_BUCKETS	4096

static struct {
	pthread_mutex_t lock;
	struct inode **bucket;
	size_t buckets;
	size_t count;
	uint64_t generation;
} table = { .lock = PTHREAD_MUTEX_INITIALIZER };

struct inode *inode_of(fuse_ino_t ino)
{
	return ino == FUSE_ROOT_ID ? &fs.top : (struct inode *)(uintptr_t)ino;
}

fuse_ino_t inode_number(const struct inode *in)
{
	return in == &fs.top ? FUSE_ROOT_ID : (fuse_ino_t)(uintptr_t)in;
}

static size_t slot_of(dev_t dev, ino_t ino)
{
	uint64_t h = (uint64_t)ino * 0x9e3779b97f4a7c15 ^ dev;

	return (h ^ h >> 32) & (table.buckets - 1);
}

/* Twice the buckets; if there is no memory, chains just get longer. */
static void table_grow(void)
{
	struct inode **old = table.bucket, *in, *next;
	size_t n = table.buckets, i, s;

	table.bucket = calloc(n * 2, sizeof(*table.bucket));
	if (!table.bucket) {
		table.bucket = old;
		return;
	}
	table.buckets = n * 2;
	for (i = 0; i < n; i++) {
		for (in = old[i]; in; in = next) {
			next = in->next;
			s = slot_of(in->dev, in->ino);
			in->next = table.bucket[s];
			table.bucket[s] = in;
		}
	}
	free(old);
}

static void table_insert(struct inode *in)
{
	size_t s;

	if (table.count >= table.buckets)
		table_grow();
	s = slot_of(in->dev, in->ino);
	in->generation = ++table.generation;
	in->next = table.bucket[s];
	table.bucket[s] = in;
	table.count++;
}

static void table_remove(struct inode *in)
{
	struct inode **p = &table.bucket[slot_of(in->dev, in->ino)];

	while (*p != in)
		p = &(*p)->next;
	*p = in->next;
	table.count--;
}

static struct inode *table_find(const struct stat *st)
{
	struct inode *in = table.bucket[slot_of(st->st_dev, st->st_ino)];

	while (in && (in->stale || in->dev != st->st_dev ||
		      in->ino != st->st_ino))
		in = in->next;
	return in;
}

static void inode_setup(struct inode *in, int fd, const struct stat *st)
{
	in->refs = 1;
	in->dev = st->st_dev;
	in->ino = st->st_ino;
	in->type = st->st_mode & S_IFMT;
	in->fd = fd;
	pthread_mutex_init(&in->lock, NULL);
	pthread_rwlock_init(&in->entries, NULL);
	if (!inode_is_reg(in))
		return;
	in->stored = st->st_size;
	in->size = chaosimg_length_from_stored(fs.archive, st->st_size);
}

static void inode_free(struct inode *in)
{
	pthread_mutex_destroy(&in->lock);
	pthread_rwlock_destroy(&in->entries);
	if (in->fd >= 0)
		close(in->fd);
	free(in->bindings);
	if (in != &fs.top)
		free(in);
}

int inodes_init(void)
{
	struct stat st;
	int fd;

	table.bucket = calloc(FIRST_BUCKETS, sizeof(*table.bucket));
	if (!table.bucket)
		return -ENOMEM;
	table.buckets = FIRST_BUCKETS;
	fd = openat(fs.data_fd, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st)) {
		close(fd);
		return -errno;
	}
	inode_setup(&fs.top, fd, &st);
	table_insert(&fs.top);
	return 0;
}

/* By now no request is being worked on. */
void inodes_end(void)
{
	struct inode *in, *next;
	size_t i;

	for (i = 0; i < table.buckets; i++) {
		for (in = table.bucket[i]; in; in = next) {
			next = in->next;
			in->handles = in->file ? 1 : 0;
			if (in->file)
				content_close(in);
			inode_free(in);
		}
	}
	free(table.bucket);
	table.bucket = NULL;
	table.buckets = 0;
}

int inode_get(int fd, struct inode **out, bool *fresh)
{
	struct inode *made = calloc(1, sizeof(*made)), *in;
	struct stat st;
	size_t count;
	int err = made ? 0 : -ENOMEM;

	if (!err && fstat(fd, &st))
		err = -errno;
	if (err) {
		close(fd);
		free(made);
		return err;
	}
	inode_setup(made, fd, &st);
	pthread_mutex_lock(&table.lock);
	in = table_find(&st);
	*fresh = !in;
	if (in) {
		in->refs++;
	} else {
		table_insert(made);
		in = made;
	}
	count = table.count;
	pthread_mutex_unlock(&table.lock);
	if (in != made)
		inode_free(made);
	evict_wanted(count);
	*out = in;
	return 0;
}

void inode_hold(struct inode *in)
{
	pthread_mutex_lock(&table.lock);
	in->refs++;
	pthread_mutex_unlock(&table.lock);
}

void inode_put(struct inode *in, uint64_t count)
{
	bool last = false;

	if (!in)
		return;
	pthread_mutex_lock(&table.lock);
	if (in != &fs.top) {
		in->refs -= count < in->refs ? count : in->refs;
		last = !in->refs;
		if (last)
			table_remove(in);
	}
	pthread_mutex_unlock(&table.lock);
	if (last)
		inode_free(in);
}

void inode_retire(struct inode *in)
{
	pthread_mutex_lock(&table.lock);
	in->stale = true;
	pthread_mutex_unlock(&table.lock);
}

size_t inode_count(void)
{
	size_t n;

	pthread_mutex_lock(&table.lock);
	n = table.count;
	pthread_mutex_unlock(&table.lock);
	return n;
}

bool inode_unused(dev_t dev, ino_t ino)
{
	const struct stat st = { .st_dev = dev, .st_ino = ino };
	const struct inode *in;
	bool unused;

	pthread_mutex_lock(&table.lock);
	in = table_find(&st);
	unused = in && !in->handles &&
		 (S_ISREG(in->type) || S_ISLNK(in->type));
	pthread_mutex_unlock(&table.lock);
	return unused;
}

void inode_each(bool (*match)(const struct inode *in),
		void (*fn)(struct inode *in))
{
	struct inode **list, *in;
	size_t n = 0, i;

	pthread_mutex_lock(&table.lock);
	list = calloc(table.count + 1, sizeof(*list));
	for (i = 0; list && i < table.buckets; i++) {
		for (in = table.bucket[i]; in; in = in->next) {
			if (!match(in))
				continue;
			in->refs++;
			list[n++] = in;
		}
	}
	pthread_mutex_unlock(&table.lock);
	for (i = 0; i < n; i++) {
		fn(list[i]);
		inode_put(list[i], 1);
	}
	free(list);
}

int inode_reopen(const struct inode *in, int flags)
{
	char number[16];
	int fd;

	snprintf(number, sizeof(number), "%d", in->fd);
	fd = patient_open(fs.proc_fd, number, flags, 0);
	return fd < 0 ? -errno : fd;
}

void inode_proc_path(const struct inode *in, char path[32])
{
	snprintf(path, 32, "/proc/self/fd/%d", in->fd);
}

/*
 * The size that the kernel is told. With write-back it trusts what it heard
 * first, so as long as it knows the inode the answer must not come from the
 * disk again; open() finds out if the disk says something else.
 */
static uint64_t told_size(struct inode *in, const struct stat *st)
{
	if (in->file) {
		in->size = chaosimg_file_length(in->file);
	} else if (!fs.writeback && st->st_size != in->stored) {
		in->stored = st->st_size;
		in->size = chaosimg_length_from_stored(fs.archive, st->st_size);
	}
	return in->size;
}

int inode_stat(struct inode *in, struct stat *st)
{
	if (fstatat(in->fd, "", st, AT_EMPTY_PATH))
		return -errno;
	st->st_blksize = fs.chunk_size;
	if (S_ISLNK(st->st_mode))
		st->st_size = chaosimg_symlink_length(st->st_size);
	if (!S_ISREG(st->st_mode))
		return 0;
	pthread_mutex_lock(&in->lock);
	st->st_size = told_size(in, st);
	if (in->mtime_known)
		st->st_mtim = in->mtime;
	pthread_mutex_unlock(&in->lock);
	return 0;
}
