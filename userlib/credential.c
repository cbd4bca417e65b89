// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Key files of all kinds, and passphrases.
 *
 * A key file is one line of text, so that it can be printed and typed in:
 * "chaosimg-key-v1 ", the key in 64 hexadecimal digits, a blank, and the
 * XXH3-64 of all that in 16, which tells a typing error from a wrong key.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <xxhash.h>

#include "archive.h"
#include "chaosimg_abe.h"
#include "compartment_key.h"
#include "config_file.h"
#include "credential.h"
#include "error.h"
#include "hex.h"

#define KEYFILE_MAGIC	"chaosimg-key-v1 "
#define USER_MAGIC	"chaosabe"

enum {
	KEYFILE_KEY = sizeof(KEYFILE_MAGIC) - 1,
	KEYFILE_SUM = KEYFILE_KEY + 2 * CHAOSIMG_KEY_SIZE,
	KEYFILE_LEN = KEYFILE_SUM + 1 + 16,
	/* The longest line that is looked at; the newline is not counted. */
	LINE_MAX_LEN = PASSPHRASE_MAX + 1,
};

_Static_assert(KEYFILE_LEN < LINE_MAX_LEN, "a key file is a line");

int credential_new(enum credential_kind kind, const void *secret, size_t len,
		   struct chaosimg_credential **out)
{
	struct chaosimg_credential *c = secret_alloc(sizeof(*c) + len);

	if (!c)
		return -ENOMEM;
	c->refs = 1;
	c->kind = kind;
	c->len = len;
	if (secret)
		memcpy(c->secret, secret, len);
	*out = c;
	return 0;
}

static int slot_credential(enum chaosimg_slot_type type, const void *secret,
			   size_t len, struct chaosimg_credential **out)
{
	int ret = credential_new(CREDENTIAL_SLOT, secret, len, out);

	if (!ret)
		(*out)->type = type;
	return ret;
}

struct chaosimg_credential *
credential_hold(const struct chaosimg_credential *c)
{
	/* Counting its uses does not change what it is. */
	struct chaosimg_credential *held = (struct chaosimg_credential *)c;

	held->refs++;
	return held;
}

void chaosimg_credential_free(struct chaosimg_credential *c)
{
	if (!c || --c->refs)
		return;
	chaosimg_user_free(c->user);
	secret_free(c);
}

bool chaosimg_credential_partial(const struct chaosimg_credential *c)
{
	return c->kind != CREDENTIAL_SLOT;
}

/* " " and the checksum of the line so far. */
static void keyfile_sum(char *line)
{
	snprintf(line + KEYFILE_SUM, 1 + 16 + 1, " %016" PRIx64,
		 (uint64_t)XXH3_64bits(line, KEYFILE_SUM));
}

/* @line holds KEYFILE_LEN + 2 bytes in locked memory. */
static int keyfile_line(char *line)
{
	uint8_t *key = secret_alloc(CHAOSIMG_KEY_SIZE);
	int ret;

	if (!key)
		return -ENOMEM;
	ret = random_bytes(key, CHAOSIMG_KEY_SIZE);
	if (!ret) {
		memcpy(line, KEYFILE_MAGIC, KEYFILE_KEY);
		hex_encode(key, CHAOSIMG_KEY_SIZE, line + KEYFILE_KEY);
		keyfile_sum(line);
		memcpy(line + KEYFILE_LEN, "\n", 2);
	}
	secret_free(key);
	return ret;
}

int credential_write(const char *path, const char *line, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	int ret;

	if (fd < 0)
		return fail_errno("%s", path);
	ret = config_file_write_fd(fd, line, len);
	if (!ret)
		ret = config_file_sync_parent(path);
	if (ret) {
		ret = fail_errno("%s", path);
		unlink(path);
	}
	close(fd);
	return ret;
}

int chaosimg_keyfile_create(const char *path)
{
	char *line = secret_alloc(KEYFILE_LEN + 2);
	int ret;

	if (!line)
		return -ENOMEM;
	ret = keyfile_line(line);
	if (!ret)
		ret = credential_write(path, line, KEYFILE_LEN + 1);
	secret_free(line);
	return ret;
}

static int read_first_line(int fd, const char *path, char *line, size_t *len)
{
	ssize_t n;

	/* Byte by byte: what follows in a pipe is for somebody else. */
	for (*len = 0; *len < LINE_MAX_LEN; ++*len) {
		do {
			n = read(fd, line + *len, 1);
		} while (n < 0 && errno == EINTR);
		if (n < 0)
			return fail_errno("%s", path);
		if (!n || line[*len] == '\n')
			break;
	}
	line[*len] = '\0';
	return 0;
}

/* @line holds LINE_MAX_LEN + 1 bytes in locked memory. */
static int first_line(const char *path, char *line, size_t *len)
{
	int fd = open(path, O_RDONLY | O_NOCTTY | O_CLOEXEC);
	struct stat st;
	int ret;

	if (fd < 0)
		return fail_errno("%s", path);
	if (fstat(fd, &st))
		ret = fail_errno("%s", path);
	else if (S_ISREG(st.st_mode) || S_ISFIFO(st.st_mode) ||
		 S_ISCHR(st.st_mode))
		ret = read_first_line(fd, path, line, len);
	else
		ret = fail(EINVAL, "%s: neither a file nor a pipe", path);
	close(fd);
	return ret;
}

static int keyfile_parse(const char *path, char *line, size_t len,
			 uint8_t key[CHAOSIMG_KEY_SIZE])
{
	char sum[1 + 16];

	if (len < KEYFILE_KEY || memcmp(line, KEYFILE_MAGIC, KEYFILE_KEY))
		return fail(EBADMSG, "%s: not a chaosimg key file", path);
	if (len != KEYFILE_LEN)
		return fail(EBADMSG, "%s: damaged key file: wrong length", path);
	memcpy(sum, line + KEYFILE_SUM, sizeof(sum));
	keyfile_sum(line);
	if (memcmp(sum, line + KEYFILE_SUM, sizeof(sum)) ||
	    !hex_decode(line + KEYFILE_KEY, key, CHAOSIMG_KEY_SIZE))
		return fail(EBADMSG, "%s: damaged key file: wrong checksum",
			    path);
	return 0;
}

static int slot_key(const char *path, char *line, size_t len,
		    struct chaosimg_credential **out)
{
	uint8_t *key = secret_alloc(CHAOSIMG_KEY_SIZE);
	int ret;

	if (!key)
		return -ENOMEM;
	ret = keyfile_parse(path, line, len, key);
	if (!ret)
		ret = slot_credential(CHAOSIMG_SLOT_KEYFILE, key,
				      CHAOSIMG_KEY_SIZE, out);
	secret_free(key);
	return ret;
}

/* A user's key is no line of text; it is read from a regular file only. */
static bool is_user_key(const char *path)
{
	char magic[sizeof(USER_MAGIC) - 1];
	int fd = open(path, O_RDONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	struct stat st;
	bool is;

	if (fd < 0)
		return false;
	is = !fstat(fd, &st) && S_ISREG(st.st_mode) &&
	     pread(fd, magic, sizeof(magic), 0) == sizeof(magic) &&
	     !memcmp(magic, USER_MAGIC, sizeof(magic));
	close(fd);
	return is;
}

static int user_key(const char *path, struct chaosimg_credential **out)
{
	struct chaosimg_credential *c;
	int ret = credential_new(CREDENTIAL_USER, NULL, 0, &c);

	if (ret)
		return ret;
	ret = chaosimg_user_read(path, &c->user);
	if (ret)
		chaosimg_credential_free(c);
	else
		*out = c;
	return ret;
}

int chaosimg_credential_keyfile(const char *path,
				struct chaosimg_credential **out)
{
	char *line;
	size_t len;
	int ret;

	if (is_user_key(path))
		return user_key(path, out);
	line = secret_alloc(LINE_MAX_LEN + 1);
	if (!line)
		return -ENOMEM;
	ret = first_line(path, line, &len);
	if (!ret && compartment_key_begins(line, len))
		ret = compartment_key_parse(path, line, len, out);
	else if (!ret)
		ret = slot_key(path, line, len, out);
	secret_free(line);
	return ret;
}

static int passphrase_new(const char *where, const char *pass, size_t len,
			  struct chaosimg_credential **out)
{
	if (!len)
		return fail(EINVAL, "%s: the passphrase is empty", where);
	if (len > PASSPHRASE_MAX)
		return fail(EINVAL, "%s: the passphrase is longer than %d bytes",
			    where, PASSPHRASE_MAX);
	return slot_credential(CHAOSIMG_SLOT_PASSPHRASE, pass, len, out);
}

int chaosimg_credential_passfile(const char *path,
				 struct chaosimg_credential **out)
{
	char *line = secret_alloc(LINE_MAX_LEN + 1);
	size_t len;
	int ret;

	if (!line)
		return -ENOMEM;
	ret = first_line(path, line, &len);
	if (!ret)
		ret = passphrase_new(path, line, len, out);
	secret_free(line);
	return ret;
}

int chaosimg_credential_passphrase(const char *pass, size_t len,
				   struct chaosimg_credential **out)
{
	return passphrase_new("passphrase", pass, len, out);
}
