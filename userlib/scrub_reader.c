// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Large reads for a scrub. It is the medium that is to be looked at, and what
 * others have in the page cache is to stay there: so it is passed by where the
 * file system lets us, and left clean where not.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "error.h"
#include "record.h"
#include "scrub.h"

enum {
	BLOCK = 4096,		/* what direct reads are aligned to */
	READ_SIZE = 1 << 20,
	/* The largest record, with what is before and behind it in its blocks. */
	ROOM = READ_SIZE + CHAOSIMG_CHUNK_MAX + 4 * BLOCK,
};

/* A buffer for each thread: a run has many files. */
static _Thread_local uint8_t *kept;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t key;

static void make_key(void)
{
	pthread_key_create(&key, free);
}

static uint8_t *get_buffer(void)
{
	pthread_once(&once, make_key);
	if (kept)
		return kept;
	kept = aligned_alloc(BLOCK, ROOM);
	if (kept)
		pthread_setspecific(key, kept);
	return kept;
}

static int open_gently(int dirfd, const char *name, int flags)
{
	int fd;

	flags |= O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
	fd = openat(dirfd, name, flags | O_NOATIME);
	/* Only a file's owner may leave its access time alone. */
	if (fd < 0 && errno == EPERM)
		fd = openat(dirfd, name, flags);
	return fd;
}

int scrub_reader_open(struct scrub_reader *r, struct check *c, int dirfd,
		      const char *name)
{
	memset(r, 0, sizeof(*r));
	r->c = c;
	r->direct = true;
	r->fd = open_gently(dirfd, name, O_DIRECT);
	if (r->fd < 0 && errno == EINVAL) {
		r->direct = false;
		r->fd = open_gently(dirfd, name, 0);
	}
	if (r->fd < 0)
		return fail_errno("cannot be opened");
	r->buf = get_buffer();
	if (r->buf)
		return 0;
	close(r->fd);
	return fail(ENOMEM, "out of memory");
}

int scrub_reader_rewind(struct scrub_reader *r, struct stat *st)
{
	if (fstat(r->fd, st))
		return fail_errno("stat");
	r->size = (uint64_t)st->st_size;
	r->len = 0;
	return 0;
}

static ssize_t read_some(struct scrub_reader *r, size_t want)
{
	ssize_t n = pread(r->fd, r->buf + r->len, want,
			  (off_t)(r->at + r->len));

	if (n >= 0 || errno != EINVAL || !r->direct)
		return n;
	/* Some file systems say only now that they cannot do it. */
	r->direct = false;
	if (fcntl(r->fd, F_SETFL, fcntl(r->fd, F_GETFL) & ~O_DIRECT))
		return -1;
	return read_some(r, want);
}

/* Read from @r->at on until @want bytes, or the end. */
static int fill(struct scrub_reader *r, size_t want)
{
	check_read(r->c, want);
	while (r->len < want) {
		ssize_t n = read_some(r, want - r->len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		r->len += (size_t)n;
		/* A direct read that is not aligned any more met the end. */
		if (!n || r->len % BLOCK)
			break;
	}
	return 0;
}

static size_t align_up(size_t n)
{
	return (n + BLOCK - 1) / BLOCK * BLOCK;
}

ssize_t scrub_reader_get(struct scrub_reader *r, uint64_t at, size_t len,
			 const uint8_t **out)
{
	size_t least, ahead = READ_SIZE, skip;
	int err;

	if (at < r->at || at + len > r->at + r->len) {
		r->at = at / BLOCK * BLOCK;
		r->len = 0;
		least = align_up((size_t)(at - r->at) + len);
		/* Small files are read whole; no more than there is. */
		if (r->size > r->at && ahead > r->size - r->at)
			ahead = align_up(r->size - r->at);
		err = fill(r, ahead > least ? ahead : least);
		if (err && err != -EINTR && ahead > least) {
			/* Which part is it that cannot be read? */
			r->len = 0;
			err = fill(r, least);
		}
		if (err) {
			r->len = 0;
			return fail(-err, "%s", strerror(-err));
		}
	}
	skip = (size_t)(at - r->at);
	*out = r->buf + skip;
	if (r->len <= skip)
		return 0;
	return (ssize_t)(r->len - skip < len ? r->len - skip : len);
}

void scrub_reader_close(struct scrub_reader *r)
{
	if (!r->direct)
		posix_fadvise(r->fd, 0, 0, POSIX_FADV_DONTNEED);
	close(r->fd);
}
