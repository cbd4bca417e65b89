// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * One image in one file, without an archive: an envelope with a key slot and
 * a keyset, then a stored file just as in an archive. The envelope is written
 * last: without it an unfinished file is no image.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/crypto.h>

#include "archive.h"
#include "error.h"
#include "fdname.h"
#include "image_envelope.h"
#include "keyring.h"

enum {
	PIECE = 1 << 20,
};

/* An image has no name inside an archive. */
static const uint8_t no_binding[CHAOSIMG_BINDING_SIZE];

typedef void (*progress_fn)(uint64_t done);

static int alloc_piece(uint8_t **buf)
{
	*buf = malloc(PIECE);
	return *buf ? 0 : fail(ENOMEM, "no memory for an image");
}

static void free_piece(uint8_t *buf)
{
	OPENSSL_cleanse(buf, PIECE);
	free(buf);
}

/* Fewer bytes than PIECE only at the end of the input. */
static ssize_t read_piece(int fd, uint8_t *buf)
{
	size_t done = 0;
	ssize_t n = 1;

	while (done < PIECE && n) {
		n = read(fd, buf + done, PIECE - done);
		if (n > 0)
			done += (size_t)n;
		if (n < 0 && errno != EINTR)
			return -1;
	}
	return (ssize_t)done;
}

static int write_piece(int fd, const uint8_t *buf, size_t len)
{
	while (len) {
		ssize_t n = write(fd, buf, len);

		if (n < 0 && errno != EINTR)
			return -1;
		if (n > 0) {
			buf += n;
			len -= (size_t)n;
		}
	}
	return 0;
}

/* --- encryption ----------------------------------------------------------- */

static int copy_in(int in, struct chaosimg_file *f, uint8_t *buf,
		   progress_fn progress)
{
	char where[FDNAME_SIZE];
	uint64_t done = 0;
	ssize_t n, ret;

	do {
		n = read_piece(in, buf);
		if (n < 0) {
			fdname(in, where);
			return fail_errno("%s", where);
		}
		ret = n ? chaosimg_file_write(f, buf, (size_t)n, done) : 0;
		if (ret < 0)
			return (int)ret;
		done += (uint64_t)n;
		if (progress)
			progress(done);
	} while (n == PIECE);
	return 0;
}

static int write_body(struct chaosimg_archive *a, int in, int out,
		      const char *where, progress_fn progress)
{
	int fd = fcntl(out, F_DUPFD_CLOEXEC, 0);
	struct chaosimg_file *f;
	uint8_t *buf;
	int ret, closed;

	if (fd < 0)
		return fail_errno("%s", where);
	ret = file_create_at(a, fd, ENVELOPE_SIZE, no_binding, &f);
	if (ret)
		return ret;
	ret = alloc_piece(&buf);
	if (!ret) {
		ret = copy_in(in, f, buf, progress);
		free_piece(buf);
	}
	closed = chaosimg_file_close(f);
	return ret ? ret : closed;
}

static int add_keyset(struct chaosimg_archive *a, struct config *cfg)
{
	struct keyset *ks;
	int ret = keyset_new(&ks);

	if (ret)
		return ret;
	memcpy(cfg->keyset[0], ks->id, sizeof(ks->id));
	cfg->keyset_created = ks->created;
	cfg->keysets = 1;
	ret = keyset_wrap(a->ring, a->id, ks, cfg->keyset_wrapped);
	if (!ret)
		ret = keyring_add(a->ring, ks);
	secret_free(ks);
	return ret;
}

/* A fresh archive key in a slot, and a keyset under it. */
static int make_keys(struct config *cfg, const struct chaosimg_credential *cred,
		     struct chaosimg_archive **a)
{
	int ret = archive_first_key(cfg, cred, a);

	return ret ? ret : add_keyset(*a, cfg);
}

static int check_output(int out, const char *where)
{
	struct stat st;

	if (fstat(out, &st))
		return fail_errno("%s", where);
	if (!S_ISREG(st.st_mode) || st.st_size)
		return fail(EINVAL, "%s: not an empty regular file", where);
	return 0;
}

int chaosimg_image_encrypt(const struct chaosimg_credential *cred, int in,
			   int out, void (*progress)(uint64_t done))
{
	struct chaosimg_archive *a = NULL;
	struct config *cfg;
	char where[FDNAME_SIZE];
	int ret;

	fdname(out, where);
	ret = check_output(out, where);
	if (!ret)
		ret = config_new(CONFIG_IMAGE, 0, &cfg);
	if (ret)
		return ret;
	ret = make_keys(cfg, cred, &a);
	if (!ret)
		ret = write_body(a, in, out, where, progress);
	if (!ret)
		ret = envelope_write(out, where, cfg, a->ring);
	if (!ret && fsync(out))
		ret = fail_errno("%s", where);
	chaosimg_archive_close(a);
	free(cfg);
	return ret;
}

/* --- decryption ----------------------------------------------------------- */

static int copy_out(struct chaosimg_file *f, int out, uint8_t *buf,
		    progress_fn progress)
{
	char where[FDNAME_SIZE];
	uint64_t done = 0;
	ssize_t n;

	do {
		n = chaosimg_file_read(f, buf, PIECE, done);
		if (n < 0)
			return (int)n;
		if (write_piece(out, buf, (size_t)n)) {
			fdname(out, where);
			return fail_errno("%s", where);
		}
		done += (uint64_t)n;
		if (progress)
			progress(done);
	} while (n == PIECE);
	return 0;
}

static int check_sealed(struct chaosimg_file *f, const char *where)
{
	struct chaosimg_file_info *info = malloc(sizeof(*info));
	int ret;

	if (!info)
		return fail(ENOMEM, "%s: no memory", where);
	ret = chaosimg_file_info(f, info);
	if (!ret && !info->sealed)
		ret = fail(EIO, "%s: damaged: never finished", where);
	free(info);
	return ret;
}

static int read_body(struct chaosimg_archive *a, int in, int out,
		     const char *where, progress_fn progress)
{
	int fd = fcntl(in, F_DUPFD_CLOEXEC, 0);
	struct chaosimg_file *f;
	uint8_t *buf;
	int ret;

	if (fd < 0)
		return fail_errno("%s", where);
	ret = file_open_at(a, fd, ENVELOPE_SIZE, no_binding, 0, &f);
	if (ret)
		return ret;
	ret = check_sealed(f, where);
	if (!ret)
		ret = alloc_piece(&buf);
	if (!ret) {
		ret = copy_out(f, out, buf, progress);
		free_piece(buf);
	}
	chaosimg_file_close(f);
	return ret;
}

/* The archive object with the image's keys. */
static int open_keys(const struct config *cfg,
		     const struct chaosimg_credential *cred, const char *where,
		     struct chaosimg_archive **a)
{
	int ret = archive_unlock(cfg, where, cred, a);

	if (!ret)
		ret = keyset_unwrap((*a)->ring, cfg->id, cfg->keyset[0],
				    cfg->keyset_created, cfg->keyset_wrapped,
				    where);
	if (!ret)
		(*a)->flags = CHAOSIMG_ARCHIVE_RDONLY;
	return ret;
}

static int check_input(int in, const char *where)
{
	struct stat st;

	if (fstat(in, &st))
		return fail_errno("%s", where);
	if (!S_ISREG(st.st_mode))
		return fail(EINVAL, "%s: not a regular file", where);
	return 0;
}

int chaosimg_image_decrypt(const struct chaosimg_credential *cred, int in,
			   int out, void (*progress)(uint64_t done))
{
	struct chaosimg_archive *a = NULL;
	struct config *cfg;
	char where[FDNAME_SIZE];
	int ret;

	fdname(in, where);
	ret = check_input(in, where);
	if (!ret)
		ret = envelope_read(in, where, &cfg);
	if (ret)
		return ret;
	ret = open_keys(cfg, cred, where, &a);
	if (!ret)
		ret = read_body(a, in, out, where, progress);
	chaosimg_archive_close(a);
	free(cfg);
	return ret;
}
