// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Key files and files with a passphrase: raw, and a key file's line with the
 * checksum that it ought to have.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include <xxhash.h>

#include "credential.h"
#include "fixture.h"

enum { RAW, CHECKSUM, PASSPHRASE, MODES };

#define MAGIC	"chaosimg-key-v1 "

typedef int load_fn(const char *path, struct chaosimg_credential **out);

static int load(load_fn *fn, const void *p, size_t len,
		struct chaosimg_credential **out)
{
	int fd = fixture_memory(p, len), ret;
	char path[40];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	ret = fn(path, out);
	close(fd);
	/* What begins like a user's key may be of a later version. */
	must(!ret || ret == -EBADMSG || ret == -EINVAL ||
	     ret == -EPROTONOSUPPORT);
	return ret;
}

/* Only 64 hexadecimal digits, and nothing else on the line. */
static void checksum(struct input *in)
{
	struct chaosimg_credential *c;
	char line[sizeof(MAGIC) + 64 + 40];
	size_t at = strlen(MAGIC) + 64;
	bool good;

	strcpy(line, MAGIC);
	take(in, line + strlen(MAGIC), 64);
	good = !memchr(line + strlen(MAGIC), '\n', 64);
	for (size_t i = strlen(MAGIC); i < at; i++)
		good = good && line[i] && strchr("0123456789abcdef", line[i]);
	snprintf(line + at, sizeof(line) - at, " %016" PRIx64 "\n",
		 (uint64_t)XXH3_64bits(line, at));
	must(!load(chaosimg_credential_keyfile, line, at + 18, &c) == good);
	if (!good)
		return;
	must(c->type == CHAOSIMG_SLOT_KEYFILE && c->len == CHAOSIMG_KEY_SIZE);
	chaosimg_credential_free(c);
}

static void passphrase(struct input *in)
{
	const char *end = memchr(in->p, '\n', in->left);
	size_t len = end ? (size_t)(end - (const char *)in->p) : in->left;
	struct chaosimg_credential *c;
	int ret = load(chaosimg_credential_passfile, in->p, in->left, &c);

	must(!ret == (len && len <= PASSPHRASE_MAX));
	if (ret)
		return;
	must(c->len == len && !memcmp(c->secret, in->p, len));
	chaosimg_credential_free(c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	int mode = take_u8(&in) % MODES;
	struct chaosimg_credential *c;

	if (mode == CHECKSUM)
		checksum(&in);
	else if (mode == PASSPHRASE)
		passphrase(&in);
	else if (!load(chaosimg_credential_keyfile, in.p, in.left, &c))
		chaosimg_credential_free(c);
	return 0;
}
