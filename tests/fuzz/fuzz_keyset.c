// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Keysets' files: raw; with the checksum that they ought to have; and with
 * wraps that are authentic, under ids and times of the input's choice. Only
 * what was wrapped for this archive, id and time is ever accepted.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config_file.h"
#include "fixture.h"
#include "hex.h"
#include "keyring.h"

enum { CHECKSUM = 1, MAKE = 2 };

static struct chaosimg_archive *a;
static const struct keyset *ks;
static int keysets_fd = -1;
static char name[2 * CHAOSIMG_ID_SIZE + sizeof(".json")];

static void set_up(void)
{
	a = fixture_archive();
	keyring_free(a->ring);
	a->ring = NULL;
	ks = fixture_keyset();
	a->fd = open(fixture_folder(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	must(a->fd >= 0 && !mkdirat(a->fd, "keysets", 0700));
	keysets_fd = openat(a->fd, "keysets", O_RDONLY | O_DIRECTORY);
	must(keysets_fd >= 0);
	keyset_name(ks->id, name);
}

static int load(const char *text, size_t len)
{
	int fd = openat(keysets_fd, name, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	must(fd >= 0 && write(fd, text, len) == (ssize_t)len);
	close(fd);
	return keyset_load(a, "fuzz", ks->id);
}

/* A keyset's text with @wrapped in it, and members as the input says. */
static char *make(struct input *in, size_t *len)
{
	uint8_t wrapped[KEYSET_WRAPPED];
	char hex[2 * KEYSET_WRAPPED + 1], id[33], archive[33];
	struct keyset other = *ks;
	uint8_t flags = take_u8(in);
	char *text;
	FILE *out = open_memstream(&text, len);

	must(out);
	if (flags & 1)
		other.created = take_u64(in) >> 1;
	if (flags & 2)
		take(in, other.id, sizeof(other.id));
	must(!keyset_wrap(a->ring, fixture_id, &other, wrapped));
	if (flags & 4)
		wrapped[take_u8(in) % KEYSET_WRAPPED] ^= take_u8(in);
	hex_encode(wrapped, KEYSET_WRAPPED, hex);
	hex_encode(flags & 8 ? other.id : ks->id, CHAOSIMG_ID_SIZE, id);
	hex_encode(fixture_id, CHAOSIMG_ID_SIZE, archive);
	fprintf(out, "{\"format\":\"chaosimg-keyset\",\"version\":1,\"id\":\"%s\","
		"\"archive_id\":\"%s\",\"created\":%llu,\"wraps\":[", id,
		archive, (unsigned long long)(flags & 16 ? ks->created :
					      other.created));
	fwrite(in->p, 1, in->left, out);
	fprintf(out, "%s{\"under\":\"archive-key\",\"wrapped\":\"%s\"}],\n",
		in->left ? "," : "", hex);
	must(!fclose(out));
	return text;
}

/* It has to be our keyset, whatever the text was. */
static void check_ring(int ret)
{
	const struct keyset *got = keyring_find(a->ring, ks->id);

	must(!ret == (got != NULL));
	if (got)
		must(!memcmp(got->id, ks->id, sizeof(got->id)) &&
		     !memcmp(got->key, ks->key, sizeof(got->key)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text;
	size_t len;
	int ret;

	if (keysets_fd < 0)
		set_up();
	if (!size)
		return 0;
	must(!keyring_new(fixture_key, &a->ring));
	if (data[0] & MAKE) {
		text = make(&(struct input){ data + 1, size - 1 }, &len);
	} else {
		len = size - 1;
		text = malloc(len + 1);
		must(text);
		memcpy(text, data + 1, len);
	}
	if (data[0] & (MAKE | CHECKSUM))
		must(!config_checksum_append(&text, &len));
	ret = load(text, len);
	must(!ret || ret == -EBADMSG || ret == -EPROTONOSUPPORT ||
	     ret == -ENOKEY);
	check_ring(ret);
	free(text);
	keyring_free(a->ring);
	a->ring = NULL;
	return 0;
}
