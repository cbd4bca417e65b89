// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The table of objects that the kernel knows, keyed by the stored object's
 * device and inode number. The table's lock is short: no I/O under it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fs.h"

#define FIRST_BUCKETS	4096

static struct {
	pthread_mutex_t lock;
	struct inode **bucket;
	size_t buckets;
	_Atomic size_t count;	/* written under @lock */
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

/* A number may be used again, but not together with a handle. */
static bool same_object(const struct handle *a, const struct handle *b)
{
	return a->len == b->len && a->type == b->type &&
	       !memcmp(a->bytes, b->bytes, a->len);
}

static struct inode *table_find(dev_t dev, ino_t ino, const struct handle *h)
{
	struct inode *in = table.bucket[slot_of(dev, ino)];

	while (in && (in->stale || in->dev != dev || in->ino != ino ||
		      (h && !same_object(&in->handle, h))))
		in = in->next;
	return in;
}

/* In nanoseconds. */
static int64_t changed_at(const struct stat *st)
{
	return st->st_ctim.tv_sec * 1000000000ll + st->st_ctim.tv_nsec;
}

static void inode_setup(struct inode *in, const struct stat *st)
{
	in->refs = 1;
	in->dev = st->st_dev;
	in->ino = st->st_ino;
	in->type = st->st_mode & S_IFMT;
	in->fd = -1;
	pthread_mutex_init(&in->lock, NULL);
	if (inode_is_dir(in))
		pthread_rwlock_init(&in->entries, NULL);
	if (!inode_is_reg(in))
		return;
	in->size = chaosimg_length_from_stored(fs.archive, st->st_size);
	in->stored = st->st_size;
	in->stored_at = changed_at(st);
}

static void inode_free(struct inode *in)
{
	pthread_mutex_destroy(&in->lock);
	if (inode_is_dir(in))
		pthread_rwlock_destroy(&in->entries);
	if (inode_is_reg(in) && in->bindings != &in->binding)
		free(in->bindings);
	inode_close(in);
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
	fd = TEMP_FAILURE_RETRY(openat(fs.data_fd, ".", O_PATH | O_DIRECTORY |
				       O_CLOEXEC));
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st)) {
		close(fd);
		return -errno;
	}
	inode_setup(&fs.top, &st);
	fs.top.fd = fd;
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
			in->handles = 1;
			if (in->file)
				content_close(in);
			inode_free(in);
		}
	}
	free(table.bucket);
	table.bucket = NULL;
	table.buckets = 0;
	table.count = 0;
}

/* Without a handle: the descriptor by which the inode will be known. */
static int open_path(int dirfd, const char *name)
{
	char path[32];
	int fd;

	if (*name) {
		fd = patient_open(dirfd, name, O_PATH | O_NOFOLLOW, 0);
	} else {
		snprintf(path, sizeof(path), "%d", dirfd);
		fd = patient_open(fs.proc_fd, path, O_PATH, 0);
	}
	return fd < 0 ? -errno : fd;
}

/* Handle or descriptor, and the attributes. */
static int look_at(int dirfd, const char *name, struct handle *h, int *fd,
		   struct stat *st)
{
	int err = handle_get(dirfd, name, h);

	*fd = -1;
	if (err)
		return err;
	if (h->len)
		return fstatat(dirfd, name, st, AT_SYMLINK_NOFOLLOW |
			       (*name ? 0 : AT_EMPTY_PATH)) ? -errno : 0;
	*fd = open_path(dirfd, name);
	if (*fd < 0)
		return *fd;
	if (!fstat(*fd, st))
		return 0;
	err = -errno;
	close(*fd);
	return err;
}

static struct inode *inode_make(const struct handle *h, int fd,
				const struct stat *st)
{
	struct inode *in = calloc(1, sizeof(*in));

	if (!in)
		return NULL;
	inode_setup(in, st);
	in->handle = *h;
	in->fd = fd;
	if (inode_is_reg(in))
		in->size = content_length(in, st);
	return in;
}

static struct inode *find_and_hold(const struct stat *st,
				   const struct handle *h)
{
	struct inode *in;

	pthread_mutex_lock(&table.lock);
	in = table_find(st->st_dev, st->st_ino, h);
	if (in)
		in->refs++;
	pthread_mutex_unlock(&table.lock);
	return in;
}

/* Put it into the table, unless somebody else was faster: then that one. */
static struct inode *insert_or_hold(struct inode *made)
{
	struct inode *in;

	pthread_mutex_lock(&table.lock);
	in = table_find(made->dev, made->ino, &made->handle);
	if (in) {
		in->refs++;
	} else {
		table_insert(made);
		in = made;
	}
	pthread_mutex_unlock(&table.lock);
	if (in != made)
		inode_free(made);
	evict_wanted();
	return in;
}

int inode_get(int dirfd, const char *name, struct inode **out, struct stat *st,
	      bool *fresh)
{
	struct inode *made = NULL;
	struct handle h;
	int fd, err = look_at(dirfd, name, &h, &fd, st);

	if (err)
		return err;
	*out = find_and_hold(st, &h);
	if (!*out) {
		made = inode_make(&h, fd, st);
		*out = made ? insert_or_hold(made) : NULL;
	}
	*fresh = *out == made;
	if (!made && fd >= 0)
		close(fd);
	return *out ? 0 : -ENOMEM;
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
	__atomic_store_n(&in->stale, true, __ATOMIC_RELEASE);
	pthread_mutex_unlock(&table.lock);
}

size_t inode_count(void)
{
	return table.count;
}

static bool unused(const struct inode *in)
{
	return !in->handles && (S_ISREG(in->type) || S_ISLNK(in->type));
}

bool inode_unused(dev_t dev, ino_t ino)
{
	const struct inode *in;
	bool ret;

	pthread_mutex_lock(&table.lock);
	in = table_find(dev, ino, NULL);
	ret = in && unused(in);
	pthread_mutex_unlock(&table.lock);
	return ret;
}

size_t inode_old(size_t spare, size_t *at, fuse_ino_t *out, size_t max)
{
	const struct inode *in;
	uint64_t last;
	size_t n = 0;

	pthread_mutex_lock(&table.lock);
	last = table.generation > spare ? table.generation - spare : 0;
	for (; n < max && *at < table.buckets; ++*at)
		for (in = table.bucket[*at]; in && n < max; in = in->next)
			if (in->generation <= last && !in->handles &&
			    in != &fs.top)
				out[n++] = inode_number(in);
	pthread_mutex_unlock(&table.lock);
	return n;
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

/* Another length may have led to the same size, if only the header tells. */
static bool may_differ(const struct inode *in, const struct stat *st)
{
	return st->st_size != in->stored ||
	       (changed_at(st) != in->stored_at &&
		chaosimg_length_in_header(fs.archive, (uint64_t)st->st_size));
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
	} else if (!fs.writeback && may_differ(in, st)) {
		in->size = content_length(in, st);
		in->stored = st->st_size;
		in->stored_at = changed_at(st);
	}
	return in->size;
}

void inode_present(struct inode *in, struct stat *st)
{
	st->st_blksize = fs.chunk_size;
	if (S_ISLNK(st->st_mode) && fs.names)
		st->st_size = chaosimg_symlink_length(st->st_size);
	if (!inode_is_reg(in))
		return;
	pthread_mutex_lock(&in->lock);
	st->st_size = told_size(in, st);
	if (in->mtime_known)
		st->st_mtim = in->mtime;
	pthread_mutex_unlock(&in->lock);
}

/* Is it open, and can be asked at once? */
static bool stat_open(struct inode *in, struct stat *st)
{
	bool done;

	pthread_mutex_lock(&in->lock);
	done = in->file && !fstat(chaosimg_file_fd(in->file), st);
	pthread_mutex_unlock(&in->lock);
	return done;
}

/* What stands for another object by now is to be looked up again. */
static bool is_stale(const struct inode *in)
{
	return __atomic_load_n(&in->stale, __ATOMIC_ACQUIRE);
}

int inode_change_begin(struct inode *in)
{
	int err;

	pthread_mutex_lock(&in->lock);
	err = is_stale(in) ? -ESTALE : inode_use(in);
	if (err)
		pthread_mutex_unlock(&in->lock);
	return err;
}

void inode_change_end(struct inode *in)
{
	inode_done(in);
	pthread_mutex_unlock(&in->lock);
}

int inode_stat(struct inode *in, struct stat *st)
{
	int err;

	if (!stat_open(in, st)) {
		if (is_stale(in))
			return -ESTALE;
		err = inode_use(in);
		if (err)
			return err;
		err = fstatat(in->fd, "", st, AT_EMPTY_PATH) ? -errno : 0;
		inode_done(in);
		if (err)
			return err;
	}
	inode_present(in, st);
	return 0;
}
