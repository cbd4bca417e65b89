// SPDX-License-Identifier: GPL-2.0-or-later
/* AF_ALG sockets, known answers and random numbers for the tests. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/if_alg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "alg.h"
#include "tap.h"

#ifndef SOL_ALG
#define SOL_ALG 279
#endif

/* --- drivers -------------------------------------------------------------- */

static void read_field(struct alg_driver *d, const char *key, const char *value)
{
	if (!strcmp(key, "driver"))
		strcpy(d->name, value);
	else if (!strcmp(key, "type"))
		strcpy(d->type, value);
	else if (!strcmp(key, "selftest"))
		strcpy(d->selftest, value);
	else if (!strcmp(key, "priority"))
		d->priority = atoi(value);
	else if (!strcmp(key, "refcnt"))
		d->users = atoi(value);
	else if (!strcmp(key, "blocksize"))
		d->blocksize = atoi(value);
	else if (!strcmp(key, "min keysize"))
		d->min_key = atoi(value);
	else if (!strcmp(key, "max keysize"))
		d->max_key = atoi(value);
	else if (!strcmp(key, "ivsize"))
		d->iv = atoi(value);
}

int alg_drivers(struct alg_driver *list)
{
	char line[256], key[64], value[64];
	bool ours = false;
	int count = 0;
	FILE *f;

	close(alg_transform("chaosimg"));
	f = fopen("/proc/crypto", "re");
	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%63[a-z ]: %63s", key, value) != 2)
			continue;
		while (*key && key[strlen(key) - 1] == ' ')
			key[strlen(key) - 1] = 0;
		if (!strcmp(key, "name")) {
			ours = !strcmp(value, "chaosimg") &&
				count < ALG_DRIVERS_MAX;
			if (ours)
				memset(&list[count++], 0, sizeof(*list));
		} else if (ours) {
			read_field(&list[count - 1], key, value);
		}
	}
	if (f)
		fclose(f);
	return count;
}

/* --- sockets -------------------------------------------------------------- */

int alg_transform(const char *name)
{
	struct sockaddr_alg address = { .salg_family = AF_ALG };
	int err, fd = socket(AF_ALG, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	snprintf((char *)address.salg_type, sizeof(address.salg_type),
		 "skcipher");
	snprintf((char *)address.salg_name, sizeof(address.salg_name), "%s",
		 name);
	if (!bind(fd, (struct sockaddr *)&address, sizeof(address)))
		return fd;
	err = -errno;
	close(fd);
	return err;
}

int alg_set_key(int transform, const void *key, size_t len)
{
	if (setsockopt(transform, SOL_ALG, ALG_SET_KEY, key, len))
		return -errno;
	return 0;
}

int alg_keyed(const char *name, const void *key)
{
	int err, fd = alg_transform(name);

	if (fd < 0)
		return fd;
	err = alg_set_key(fd, key, ALG_KEY);
	if (!err)
		return fd;
	close(fd);
	return err;
}

int alg_operation(int transform)
{
	int fd = accept4(transform, NULL, NULL, SOCK_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static const char optmem[] = "/proc/sys/net/core/optmem_max";
static int old_optmem;

static bool set_optmem(int value)
{
	FILE *f = fopen(optmem, "we");

	if (!f)
		return false;
	fprintf(f, "%d\n", value);
	return !fclose(f);
}

static void restore_optmem(void)
{
	set_optmem(old_optmem);
}

bool alg_limits(void)
{
	FILE *f = fopen(optmem, "re");
	bool good = f && fscanf(f, "%d", &old_optmem) == 1;

	if (f)
		fclose(f);
	if (!good || !set_optmem(4 << 20))
		return false;
	atexit(restore_optmem);
	return true;
}

void alg_room(int operation)
{
	int size = 16 << 20;

	setsockopt(operation, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
	setsockopt(operation, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
}

/* --- requests ------------------------------------------------------------- */

static void add_control(struct msghdr *msg, struct cmsghdr **at, int type,
			const void *data, size_t len)
{
	struct cmsghdr *c = *at ? CMSG_NXTHDR(msg, *at) : CMSG_FIRSTHDR(msg);

	c->cmsg_level = SOL_ALG;
	c->cmsg_type = type;
	c->cmsg_len = CMSG_LEN(len);
	memcpy(CMSG_DATA(c), data, len);
	*at = c;
}

/* Says what is to be done; the message follows. */
static int begin(int operation, const struct alg_request *r)
{
	char control[CMSG_SPACE(4) + CMSG_SPACE(4 + ALG_IV)] = { 0 };
	struct msghdr msg = {
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	struct {
		uint32_t len;
		uint8_t iv[ALG_IV];
	} iv = { .len = ALG_IV };
	uint32_t what = r->encrypt ? ALG_OP_ENCRYPT : ALG_OP_DECRYPT;
	struct cmsghdr *at = NULL;

	memcpy(iv.iv, r->iv, ALG_IV);
	add_control(&msg, &at, ALG_SET_OP, &what, sizeof(what));
	add_control(&msg, &at, ALG_SET_IV, &iv, sizeof(iv));
	return sendmsg(operation, &msg, MSG_MORE) < 0 ? -errno : 0;
}

static int send_pieces(int operation, const struct iovec *in, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++)
		if (send(operation, in[i].iov_base, in[i].iov_len, MSG_MORE) !=
		    (ssize_t)in[i].iov_len)
			return errno ? -errno : -EIO;
	return 0;
}

/* Each piece goes through the pipe alone, so that pages are cut as it is. */
static int splice_piece(int operation, const int ends[2], struct iovec piece)
{
	ssize_t n, left;

	while (piece.iov_len) {
		n = vmsplice(ends[1], &piece, 1, 0);
		if (n <= 0)
			return n ? -errno : -EIO;
		piece.iov_base = (char *)piece.iov_base + n;
		piece.iov_len -= n;
		for (left = n; left; left -= n) {
			n = splice(ends[0], NULL, operation, NULL, left,
				   SPLICE_F_MORE);
			if (n <= 0)
				return n ? -errno : -EIO;
		}
	}
	return 0;
}

static int splice_pieces(int operation, const struct iovec *in, size_t count)
{
	int ends[2], err = 0;
	size_t i;

	if (pipe2(ends, O_CLOEXEC))
		return -errno;
	for (i = 0; i < count && !err; i++)
		err = splice_piece(operation, ends, in[i]);
	close(ends[0]);
	close(ends[1]);
	return err;
}

long alg_crypt(int operation, const struct alg_request *r)
{
	struct msghdr msg = {
		.msg_iov = r->out,
		.msg_iovlen = r->out_count,
	};
	ssize_t n;
	int err;

	err = begin(operation, r);
	if (!err)
		err = r->splice ?
			splice_pieces(operation, r->in, r->in_count) :
			send_pieces(operation, r->in, r->in_count);
	if (err)
		return err;
	/* Nothing more comes: this is the whole message. */
	if (send(operation, NULL, 0, 0) < 0)
		return -errno;
	n = recvmsg(operation, &msg, 0);
	return n < 0 ? -errno : n;
}

int alg_simple(int transform, bool encrypt, const uint8_t *iv, void *dst,
	       const void *src, size_t len)
{
	struct iovec in = { (void *)(uintptr_t)src, len }, out = { dst, len };
	struct alg_request r = {
		.encrypt = encrypt,
		.iv = iv,
		.in = &in,
		.in_count = 1,
		.out = &out,
		.out_count = 1,
	};
	int operation = alg_operation(transform);
	long n;

	if (operation < 0)
		return operation;
	alg_room(operation);
	n = alg_crypt(operation, &r);
	close(operation);
	if (n < 0)
		return n;
	return (size_t)n == len ? 0 : -EMSGSIZE;
}

/* --- known answers -------------------------------------------------------- */

__attribute__((noreturn))
static void bad_vectors(const char *path)
{
	tap_diag("%s: cannot be read", path);
	exit(TAP_FAIL);
}

/* The hexadecimal string of a field, to memory that is the caller's. */
static uint8_t *hex_field(const char *line, const char *name, size_t *len)
{
	char quoted[32];
	uint8_t *out;
	const char *p;
	size_t i;

	snprintf(quoted, sizeof(quoted), "\"%s\":\"", name);
	p = strstr(line, quoted);
	if (!p)
		return NULL;
	p += strlen(quoted);
	*len = strspn(p, "0123456789abcdef") / 2;
	out = malloc(*len + 1);
	for (i = 0; out && i < *len; i++)
		if (sscanf(p + 2 * i, "%2" SCNx8, &out[i]) != 1)
			break;
	return out;
}

static bool fixed_field(const char *line, const char *name, uint8_t *to,
			size_t want)
{
	size_t len = 0;
	uint8_t *value = hex_field(line, name, &len);

	if (value && len == want)
		memcpy(to, value, want);
	free(value);
	return value && len == want;
}

static bool read_vector(const char *line, struct alg_vector *v)
{
	size_t len = 0;

	v->plain = hex_field(line, "plaintext", &v->len);
	v->cipher = hex_field(line, "ciphertext", &len);
	return fixed_field(line, "key", v->key, ALG_KEY) &&
		fixed_field(line, "iv", v->iv, ALG_IV) &&
		v->plain && v->cipher && v->len == len && len >= ALG_BLOCK;
}

size_t alg_vectors(const char *program, struct alg_vector **list)
{
	const char *slash = strrchr(program, '/');
	struct alg_vector *v = NULL;
	char path[PATH_MAX];
	size_t count = 0, size = 0;
	char *line = NULL;
	FILE *f;

	snprintf(path, sizeof(path), "%.*schaosimg.json",
		 slash ? (int)(slash - program) + 1 : 0, program);
	f = fopen(path, "re");
	if (!f)
		bad_vectors(path);
	while (getline(&line, &size, f) > 0) {
		if (line[0] != '{')
			continue;
		v = reallocarray(v, count + 1, sizeof(*v));
		if (!v || !read_vector(line, &v[count++]))
			bad_vectors(path);
	}
	if (!count)
		bad_vectors(path);
	free(line);
	fclose(f);
	*list = v;
	return count;
}

/* --- random numbers ------------------------------------------------------- */

static uint64_t random_state;

void alg_seed(void)
{
	const char *seed = getenv("SEED");

	if (seed)
		random_state = strtoull(seed, NULL, 0);
	else if (getrandom(&random_state, 8, 0) != 8)
		abort();
	tap_diag("SEED=%#" PRIx64 " repeats this", random_state);
}

/* SplitMix64 */
uint64_t alg_random(void)
{
	uint64_t z = random_state += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

void alg_fill(void *buf, size_t len)
{
	uint8_t *p = buf;
	uint64_t word;
	size_t n;

	for (; len; p += n, len -= n) {
		word = alg_random();
		n = len < 8 ? len : 8;
		memcpy(p, &word, n);
	}
}
