// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Public parameters: raw, with the checksum that they ought to have, and good
 * ones in which some bytes are others. And what is under public keys: wraps and
 * keysets' files, raw, and good ones changed. Only what was wrapped for this
 * archive, id and time is ever accepted.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config_file.h"
#include "credential.h"
#include "fixture.h"
#include "hex.h"
#include "ingest.h"
#include "keyring.h"
#include "keyset_share.h"

enum { RAW, CHECKSUM, CHANGED, WRAP, KEYSET, KEYSET_CHANGED, MODES };

/** struct good - what was made once */
static struct {
	struct chaosimg_archive *in;
	struct chaosimg_archive *whole;
	struct chaosimg_archive *part;
	struct keyset ks;
	char params[300];
	char file[300];
	char *text;
	size_t len;
	uint8_t secret[PUBLIC_KEY];
	uint8_t public_key[PUBLIC_KEY];
} good;

/* The file's text but for the line of its checksum, and what comes after. */
static void slurp(const char *path, char **text, size_t *len)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;

	must(fd >= 0 && !fstat(fd, &st));
	*text = malloc((size_t)st.st_size + 1);
	must(*text && read(fd, *text, (size_t)st.st_size) == st.st_size);
	(*text)[st.st_size] = '\0';
	*len = (size_t)(strstr(*text, "  \"checksum\"") - *text);
	close(fd);
}

static void spit(const char *path, const char *text, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	must(fd >= 0 && write(fd, text, len) == (ssize_t)len);
	close(fd);
}

static void make_params(struct ingest_params *p)
{
	uint8_t key[CHAOSIMG_KEY_SIZE], secret[PUBLIC_KEY];
	int c;

	memcpy(p->archive_id, fixture_id, sizeof(p->archive_id));
	p->chunk_size = FIXTURE_CHUNK;
	must(!archive_private(good.whole->ring, good.secret));
	must(!public_of(good.secret, good.public_key));
	memcpy(p->public_key, good.public_key, PUBLIC_KEY);
	for (c = 0; c < COMPARTMENTS; c++) {
		must(!share_wrapping_key(good.whole->ring, c, key));
		must(!compartment_private(key, secret));
		must(!public_of(secret, p->compartment_key[c]));
	}
}

/* Somebody with all compartments, and without the archive key. */
static void make_part(void)
{
	uint8_t keys[COMPARTMENTS * CHAOSIMG_KEY_SIZE];
	struct chaosimg_credential *cred;
	int c;

	for (c = 0; c < COMPARTMENTS; c++)
		must(!share_wrapping_key(good.whole->ring, c,
					 keys + c * CHAOSIMG_KEY_SIZE));
	must(!credential_new(CREDENTIAL_COMPARTMENTS, keys, sizeof(keys),
			     &cred));
	memcpy(cred->archive_id, fixture_id, sizeof(cred->archive_id));
	cred->held = HELD_ALL;
	must(!archive_new_partial(fixture_id, cred, FIXTURE_CHUNK, &good.part));
	chaosimg_credential_free(cred);
}

static void make(void)
{
	const char *folder = fixture_folder();
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char name[KEYSET_NAME_SIZE];
	struct ingest_params *p;

	fixture_blind(true);
	p = calloc(1, sizeof(*p));
	must(p && fd >= 0 && !mkdirat(fd, "keysets", 0700));
	good.whole = fixture_archive();
	make_params(p);
	make_part();
	must(!archive_new_ingest(p, 60, &good.in));
	good.in->fd = good.whole->fd = good.part->fd = fd;
	good.ks = *fixture_keyset();
	good.ks.ingest = true;
	must(!keyset_store(good.in, "fuzz", &good.ks, NULL, 0));
	keyset_name(good.ks.id, name);
	snprintf(good.params, sizeof(good.params), "%s/params", folder);
	snprintf(good.file, sizeof(good.file), "%s/keysets/%s", folder, name);
	slurp(good.file, &good.text, &good.len);
	fixture_blind(false);
}

/* --- parameters ------------------------------------------------------------ */

static char *params_text(struct input *in, size_t *len)
{
	static const char format[] =
		"{\n\"format\":\"chaosimg-ingest\",\n\"version\":1,\n";
	char *text = malloc(sizeof(format) + in->left);

	must(text);
	memcpy(text, format, sizeof(format) - 1);
	memcpy(text + sizeof(format) - 1, in->p, in->left);
	*len = sizeof(format) - 1 + in->left;
	return text;
}

static void params(unsigned int mode, struct input *in)
{
	struct ingest_params *p = NULL;
	char *text = NULL;
	size_t len;
	int ret;

	if (mode == CHANGED) {
		text = params_text(in, &len);
	} else {
		len = in->left;
		text = malloc(len + 1);
		must(text);
		memcpy(text, in->p, len);
	}
	if (mode != RAW)
		must(!config_checksum_append(&text, &len));
	spit(good.params, text, len);
	free(text);
	ret = ingest_params_read(good.params, &p);
	must(!ret || ret == -EBADMSG || ret == -EPROTONOSUPPORT);
	must(!ret == (p != NULL));
	if (p)
		must(p->chunk_size >= CHAOSIMG_CHUNK_MIN &&
		     p->chunk_size <= CHAOSIMG_CHUNK_MAX &&
		     !(p->chunk_size & (p->chunk_size - 1)));
	ingest_params_free(p);
}

/* --- under public keys ------------------------------------------------------- */

static void wrap(struct input *in)
{
	static const uint8_t keys[40] = "some keys";
	uint8_t wrapped[sizeof(keys) + WRAP_PUBLIC_OVERHEAD];
	uint8_t before[sizeof(wrapped)], out[sizeof(keys)];
	uint8_t changes = take_u8(in) % 4, aad = take_u8(in);
	int ret;

	must(!wrap_public(good.public_key, &aad, 1, keys, sizeof(keys),
			  wrapped));
	memcpy(before, wrapped, sizeof(wrapped));
	/* All of the ephemeral key, or some bytes of anything. */
	if (changes == 3)
		take(in, wrapped, PUBLIC_KEY);
	for (; changes && changes < 3; changes--)
		wrapped[take_u8(in) % sizeof(wrapped)] ^= take_u8(in);
	ret = unwrap_private(good.secret, &aad, 1, wrapped, out, sizeof(out));
	must(!ret || ret == -EKEYREJECTED);
	must(!ret == !memcmp(before, wrapped, sizeof(wrapped)));
	if (!ret)
		must(!memcmp(out, keys, sizeof(keys)));
}

static void check_opened(struct chaosimg_archive *a)
{
	struct opened_keyset *o = NULL;
	int c, ret = keyset_open_ingest(a, "fuzz", good.ks.id, &o);

	must(!ret || ret == -EBADMSG || ret == -EPROTONOSUPPORT ||
	     ret == -ENOKEY || ret == -EACCES);
	must(!ret == (o != NULL));
	if (!o)
		return;
	must(o->set.ingest && o->set.held);
	for (c = 0; c < COMPARTMENTS; c++)
		must(!(o->set.held & held_bit(c)) ||
		     !memcmp(o->set.key[c], good.ks.key[c], CHAOSIMG_KEY_SIZE));
	must(!memcmp(o->dir_mac, keyring_dir_mac(good.in->ring),
		     CHAOSIMG_KEY_SIZE));
	secret_free(o);
}

static void keyset(unsigned int mode, struct input *in)
{
	size_t len = mode == KEYSET ? in->left : good.len;
	char *text = malloc(len + 1);
	uint32_t at;

	must(text);
	memcpy(text, mode == KEYSET ? (const char *)in->p : good.text, len);
	while (mode == KEYSET_CHANGED && in->left) {
		at = take_u16(in) % len;
		text[at] = (char)take_u8(in);
	}
	must(!config_checksum_append(&text, &len));
	spit(good.file, text, len);
	free(text);
	check_opened(good.whole);
	check_opened(good.part);
	/* It never is one that new files get. */
	must(keyset_load(good.whole, "fuzz", good.ks.id));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data + 1, size - 1 };
	unsigned int mode;

	if (!good.text)
		make();
	if (!size)
		return 0;
	mode = data[0] % MODES;
	if (mode == WRAP)
		wrap(&in);
	else if (mode >= KEYSET)
		keyset(mode, &in);
	else
		params(mode, &in);
	return 0;
}
