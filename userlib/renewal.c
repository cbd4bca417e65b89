// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Writing a stored file anew, under the keyset that it ought to be under.
 *
 * The copy is an unnamed file until it is complete and on the disk. Then, if
 * the file is still what was copied, the copy takes its name: at any moment,
 * and after a power cut at any moment, there is the one or the other.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/crypto.h>

#include "chaosimg_names.h"
#include "chaosimg_rekey.h"
#include "error.h"
#include "file.h"
#include "hex.h"
#include "renewal.h"

/**
 * struct chaosimg_renewal - a copy in the making
 * @dirfd: the directory it is in
 * @source: what is copied; never written to
 * @keyset: what the copy is under
 * @header: its header slots when copying began: any write to it changes them
 * @copy: the copy, until it is complete
 * @fd: the copy
 * @tmp: its name until it gets the right one; empty while it has none
 * @pos: plaintext bytes that are copied
 * @mac: incremental MAC over the records that were copied
 * @buf: a chunk
 * @complete: nothing is left but the name
 */
struct chaosimg_renewal {
	int dirfd;
	struct chaosimg_file *source;
	const struct keyset *keyset;
	uint8_t header[HEADER_SIZE];
	struct chaosimg_file *copy;
	int fd;
	char tmp[sizeof(CHAOSIMG_TMP_PREFIX) + 2 * CHAOSIMG_ID_SIZE];
	uint64_t pos;
	uint8_t mac[16];
	uint8_t *buf;
	bool complete;
};

/* --- is it still what it was? --------------------------------------------- */

static int read_header(int fd, uint8_t header[HEADER_SIZE])
{
	ssize_t n = read_full(fd, header, HEADER_SIZE, 0);

	if (n < 0)
		return fail((int)-n, "header: %s", strerror((int)-n));
	return n == HEADER_SIZE ? 0 : fail(EIO, "header: cut off");
}

/* Each header write has a fresh nonce, and no change comes without one. */
static int check_unchanged(const struct chaosimg_renewal *r)
{
	uint8_t now[HEADER_SIZE];
	int err = read_header(r->source->fd, now);

	if (!err && memcmp(now, r->header, sizeof(now)))
		err = fail(EAGAIN, "it was changed meanwhile");
	return err;
}

static int check_single(int fd)
{
	struct stat st;

	if (fstat(fd, &st))
		return fail_errno("stat");
	if (!S_ISREG(st.st_mode))
		return fail(EINVAL, "not a regular file");
	if (st.st_nlink > 1)
		return fail(EMLINK, "it has several names");
	return st.st_nlink ? 0 : fail(EAGAIN, "it was removed meanwhile");
}

static int check_name(const struct chaosimg_renewal *r, const char *stored)
{
	struct stat at, st;

	if (fstatat(r->dirfd, stored, &at, AT_SYMLINK_NOFOLLOW))
		return errno == ENOENT ? fail(EAGAIN, "it was removed meanwhile") :
					 fail_errno("stat");
	if (fstat(r->source->fd, &st))
		return fail_errno("stat");
	if (at.st_dev != st.st_dev || at.st_ino != st.st_ino)
		return fail(EAGAIN, "it was replaced meanwhile");
	return 0;
}

/* --- the copy ------------------------------------------------------------- */

static int random_name(char *name, size_t size)
{
	uint8_t id[CHAOSIMG_ID_SIZE];
	int err = random_bytes(id, sizeof(id));

	if (err)
		return err;
	snprintf(name, size, CHAOSIMG_TMP_PREFIX);
	hex_encode(id, sizeof(id), name + strlen(name));
	return 0;
}

static int open_copy(struct chaosimg_renewal *r)
{
	int err;

	r->fd = openat(r->dirfd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (r->fd >= 0)
		return 0;
	if (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL)
		return fail_errno("a copy");
	/* A file system without unnamed files. */
	err = random_name(r->tmp, sizeof(r->tmp));
	if (err)
		return err;
	r->fd = openat(r->dirfd, r->tmp, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC,
		       0600);
	if (r->fd >= 0)
		return 0;
	err = fail_errno("a copy");
	r->tmp[0] = '\0';
	return err;
}

/* All that the source's header allows, the copy's does. */
static int create_copy(struct chaosimg_renewal *r,
		       const uint8_t binding[CHAOSIMG_BINDING_SIZE])
{
	const struct header *h = &r->source->snap;
	uint32_t i;
	int fd, err;

	if (!h->bindings)
		return fail(EIO, "header: of no name");
	err = open_copy(r);
	if (err)
		return err;
	fd = fcntl(r->fd, F_DUPFD_CLOEXEC, 0);
	if (fd < 0)
		return fail_errno("a copy");
	err = chaosimg_file_create(r->source->a, fd, binding, &r->copy);
	for (i = 0; !err && i < h->bindings; i++)
		/* An ingest mount's header may name places that are not its own. */
		if (chaosimg_file_bound(r->source, h->binding[i]))
			err = chaosimg_file_bind(r->copy, h->binding[i]);
	if (!err && !policy_turn(r->copy, r->keyset))
		err = fail(EIO, "a copy: no change to its keyset");
	return err;
}

/* Which keyset it has to be moved to. */
static int find_keyset(struct chaosimg_renewal *r)
{
	int err = policy_keyset(r->source, &r->keyset);

	if (!err && !memcmp(r->keyset->id, r->source->snap.keyset_id,
			    CHAOSIMG_ID_SIZE))
		err = fail(EALREADY, "it is under the newest keyset");
	return err;
}

int chaosimg_renewal_due(struct chaosimg_archive *a, int fd)
{
	uint8_t id[CHAOSIMG_ID_SIZE];
	int err = chaosimg_stored_keyset(fd, id);

	if (err)
		return err;
	return !keyring_serves(a->ring, id) || keyring_has_policies(a->ring);
}

static int begin(struct chaosimg_renewal *r, struct chaosimg_archive *a, int fd,
		 const uint8_t binding[CHAOSIMG_BINDING_SIZE], int dirfd)
{
	int err = check_single(fd);

	if (!err)
		r->dirfd = fcntl(dirfd, F_DUPFD_CLOEXEC, 0);
	if (!err && r->dirfd < 0)
		err = fail_errno("directory");
	if (err) {
		close(fd);
		return err;
	}
	/* For writing: what a crash left open is settled first. */
	err = chaosimg_file_open(a, fd, binding, CHAOSIMG_FILE_WRITE,
				 &r->source);
	if (err)
		return err;
	r->source->writable = false;
	err = find_keyset(r);
	if (err)
		return err;
	r->buf = buffer_get(a->chunk_size);
	if (!r->buf)
		return fail(ENOMEM, "out of memory");
	err = read_header(r->source->fd, r->header);
	return err ? err : create_copy(r, binding);
}

int chaosimg_renewal_begin(struct chaosimg_archive *a, int fd,
			   const uint8_t binding[CHAOSIMG_BINDING_SIZE],
			   int dirfd, struct chaosimg_renewal **out)
{
	struct chaosimg_renewal *r = calloc(1, sizeof(*r));
	int err;

	if (!r || a->ingest) {
		free(r);
		close(fd);
		return a->ingest ? fail(EPERM, "an ingest mount moves nothing to other keysets") :
				   fail(ENOMEM, "out of memory");
	}
	r->dirfd = r->fd = -1;
	err = begin(r, a, fd, binding, dirfd);
	if (err) {
		char why[256];

		snprintf(why, sizeof(why), "%s", chaosimg_errmsg());
		chaosimg_renewal_end(r);
		return fail(-err, "%s", why);
	}
	*out = r;
	return 0;
}

/* A short record stands for zeros; the copy says so in its own way. */
static int is_short(struct chaosimg_file *f, uint64_t k, bool *is)
{
	uint8_t prefix[RECORD_PREFIX];
	ssize_t n = read_full(f->fd, prefix, sizeof(prefix),
			      f->base + record_at(f->chunk_size, k));

	if (n < 0)
		return fail((int)-n, "chunk: %s", strerror((int)-n));
	*is = n == (ssize_t)sizeof(prefix) && record_is_zero(prefix);
	return 0;
}

static int copy_chunk(struct chaosimg_renewal *r)
{
	struct chaosimg_file *f = r->source;
	uint64_t k = r->pos / f->chunk_size;
	uint32_t len = chunk_len(f->length, f->chunk_size, k);
	ssize_t n = chaosimg_file_read(f, r->buf, len, r->pos);
	bool zeros = false;
	int err;

	if (n < 0)
		return (int)n;
	err = is_short(f, k, &zeros);
	if (!err)
		err = chunk_forget(f, k, len, r->mac);
	if (!err && !zeros) {
		n = chaosimg_file_write(r->copy, r->buf, len, r->pos);
		err = n < 0 ? (int)n : 0;
	}
	r->pos += len;
	return err;
}

/* On to the next chunk that has a record; chunks of a hole have none. */
static void skip_holes(struct chaosimg_renewal *r)
{
	int64_t next;

	if (r->pos >= r->source->length)
		return;
	next = chaosimg_file_seek(r->source, r->pos, SEEK_DATA);
	r->pos = next < 0 ? r->source->length : (uint64_t)next;
}

/*
 * The sum of all records decides that none of them was put back from an older
 * state: a copy would make that good for ever.
 */
static int complete(struct chaosimg_renewal *r)
{
	struct chaosimg_file *copy = r->copy;
	int err;

	if (memcmp(r->mac, r->source->snap.mac, sizeof(r->mac)))
		return fail(EIO, "a chunk is older than the header: put back from a copy");
	err = chaosimg_file_truncate(copy, r->source->length);
	r->copy = NULL;
	if (err)
		chaosimg_file_close(copy);
	else
		err = chaosimg_file_close(copy);
	if (!err)
		err = attributes_copy(r->source->fd, r->fd);
	if (!err && fsync(r->fd))
		err = fail_errno("sync");
	r->complete = !err;
	return err;
}

static int64_t step(struct chaosimg_renewal *r, uint64_t budget)
{
	uint64_t from = r->pos;
	int err = 0;

	skip_holes(r);
	while (!err && r->pos < r->source->length && r->pos - from < budget) {
		err = copy_chunk(r);
		if (!err)
			skip_holes(r);
	}
	if (!err && r->pos == from)
		err = complete(r);
	return err ? err : (int64_t)(r->pos - from);
}

int64_t chaosimg_renewal_step(struct chaosimg_renewal *r, uint64_t budget)
{
	char why[256];
	int64_t n;

	if (r->complete)
		return 0;
	n = step(r, budget);
	if (n >= 0)
		return n;
	/* What looks like damage may be another's write. */
	snprintf(why, sizeof(why), "%s", chaosimg_errmsg());
	if (check_unchanged(r) == -EAGAIN)
		return -EAGAIN;
	return fail((int)-n, "%s", why);
}

/* --- the name ------------------------------------------------------------- */

static int give_tmp_name(struct chaosimg_renewal *r)
{
	char path[32];
	int err;

	if (r->tmp[0])
		return 0;
	err = random_name(r->tmp, sizeof(r->tmp));
	if (err)
		return err;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", r->fd);
	if (!linkat(AT_FDCWD, path, r->dirfd, r->tmp, AT_SYMLINK_FOLLOW))
		return 0;
	err = fail_errno("link");
	r->tmp[0] = '\0';
	return err;
}

/* To whoever looks at the directory nothing has happened. */
static int take_name(struct chaosimg_renewal *r, const char *stored)
{
	struct timespec tv[2] = { { .tv_nsec = UTIME_OMIT } };
	struct stat st;
	int err;

	if (fstatat(r->dirfd, "", &st, AT_EMPTY_PATH))
		return fail_errno("directory");
	tv[1] = st.st_mtim;
	err = give_tmp_name(r);
	if (!err && renameat(r->dirfd, r->tmp, r->dirfd, stored))
		err = fail_errno("rename");
	if (!err)
		r->tmp[0] = '\0';
	utimensat(r->dirfd, "", tv, AT_EMPTY_PATH);
	return err;
}

int chaosimg_renewal_replace(struct chaosimg_renewal *r, const char *stored)
{
	int err;

	if (!r->complete)
		return fail(EINVAL, "the copy is not complete");
	err = check_single(r->source->fd);
	if (!err)
		err = check_name(r, stored);
	if (!err)
		err = check_unchanged(r);
	if (!err)
		err = attributes_same(r->source->fd, r->fd);
	return err ? err : take_name(r, stored);
}

int chaosimg_renewal_fd(const struct chaosimg_renewal *r)
{
	return r->fd;
}

void chaosimg_renewal_end(struct chaosimg_renewal *r)
{
	if (!r)
		return;
	if (r->copy)
		chaosimg_file_close(r->copy);
	if (r->source) {
		buffer_put(r->buf, r->source->chunk_size);
		chaosimg_file_close(r->source);
	}
	if (r->tmp[0])
		unlinkat(r->dirfd, r->tmp, 0);
	if (r->fd >= 0)
		close(r->fd);
	if (r->dirfd >= 0)
		close(r->dirfd);
	free(r);
}
