// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Policies, and the files and ciphertexts of attribute-based encryption: as
 * they come, and good ones in which some bytes are others, with the checksum
 * that they ought to have. No changed ciphertext may open.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "abe.h"
#include "fixture.h"

enum { POLICY, RAW, PUBLIC, USER, CIPHERTEXT, MODES };

enum { LARGEST = 16384 };

/** struct good - what was made once */
static struct {
	uint8_t *bytes[MODES];
	size_t len[MODES];
	struct chaosimg_user *user;
} good;

static void keep(int mode, int fd)
{
	uint8_t *bytes;
	char path[40];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	must(!abe_file_read(path, &bytes, &good.len[mode]));
	good.bytes[mode] = malloc(good.len[mode]);
	must(good.bytes[mode]);
	memcpy(good.bytes[mode], bytes, good.len[mode]);
	secret_free(bytes);
	close(fd);
}

static void make(void)
{
	static const char *const attributes[] = { "a", "b" };
	const char *folder = fixture_folder();
	char path[4][300];
	const struct chaosimg_authority *authority;
	struct chaosimg_authority *a;
	struct chaosimg_policy *p;
	uint8_t key[CHAOSIMG_KEY_SIZE];
	int i;

	for (i = 0; i < 3; i++)
		snprintf(path[i], sizeof(path[i]), "%s/%d", folder, i);
	must(!chaosimg_authority_create("x", path[0], path[1]));
	must(!chaosimg_authority_issue(path[0], "u", attributes, 2, path[2]));
	must(!chaosimg_authority_read(path[1], &a));
	must(!chaosimg_user_read(path[2], &good.user));
	must(!chaosimg_policy_parse("a@x AND (b@x OR c@x)", &p));
	authority = a;
	must(!chaosimg_policy_encapsulate(p, &authority, 1, NULL, 0, key,
					  &good.bytes[CIPHERTEXT],
					  &good.len[CIPHERTEXT]));
	chaosimg_policy_free(p);
	chaosimg_authority_free(a);
	for (i = 1; i < 3; i++) {
		FILE *f = fopen(path[i], "rb");

		must(f);
		keep(i == 1 ? PUBLIC : USER, dup(fileno(f)));
		fclose(f);
	}
	fixture_empty(folder);
}

static bool refused(int ret)
{
	return ret == -EBADMSG || ret == -EPROTONOSUPPORT;
}

static void policy(struct input *in)
{
	char text[POLICY_TEXT_MAX + 100];
	struct chaosimg_policy *p, *again;
	bool have[POLICY_LEAVES_MAX] = { false };
	struct share_plan plan;
	size_t len = in->left < sizeof(text) - 1 ? in->left : sizeof(text) - 1;
	unsigned int i;
	int ret;

	take(in, text, len);
	text[len] = '\0';
	ret = chaosimg_policy_parse(text, &p);
	must(!ret || ret == -EINVAL);
	if (ret)
		return;
	must(!chaosimg_policy_parse(p->text, &again));
	must(!strcmp(again->text, p->text) && again->leaves == p->leaves);
	chaosimg_policy_free(again);
	chaosimg_policy_check(p);
	must(!policy_holds(p, have) && !share_select(p, have, &plan));
	for (i = 0; i < p->leaves; i++)
		have[i] = true;
	must(policy_holds(p, have) && share_select(p, have, &plan));
	chaosimg_policy_free(p);
}

static void read_public(const uint8_t *bytes, size_t len)
{
	int fd = fixture_memory(bytes, len), ret;
	struct chaosimg_authority *a;
	char path[40];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	ret = chaosimg_authority_read(path, &a);
	must(!ret || refused(ret));
	if (!ret)
		chaosimg_authority_free(a);
	close(fd);
}

/* What can be read can be written, and is the same then. */
static void read_user(const uint8_t *bytes, size_t len)
{
	struct chaosimg_user *u;
	uint8_t *again;
	size_t again_len;
	int ret = abe_user_decode("user", bytes, len, &u);

	must(!ret || refused(ret));
	if (ret)
		return;
	must(!abe_user_encode(u, &again, &again_len));
	must(again_len == len && !memcmp(again, bytes, len));
	secret_free(again);
	chaosimg_user_free(u);
}

static void read_ciphertext(const uint8_t *bytes, size_t len)
{
	uint8_t key[CHAOSIMG_KEY_SIZE];
	bool same = len == good.len[CIPHERTEXT] &&
		    !memcmp(bytes, good.bytes[CIPHERTEXT], len);
	struct chaosimg_policy *p;
	int ret = chaosimg_policy_of(bytes, len, &p);

	must(!ret || refused(ret));
	if (!ret)
		chaosimg_policy_free(p);
	ret = chaosimg_policy_decapsulate(good.user, bytes, len, NULL, 0, key);
	must(same ? !ret : refused(ret) || ret == -EACCES);
}

/* Some bytes at some places are others; perhaps another length. */
static size_t change(struct input *in, int mode, uint8_t *out)
{
	size_t len = good.len[mode], at;

	memcpy(out, good.bytes[mode], len);
	memset(out + len, 0, LARGEST - len);
	if (take_u8(in) % 4 == 0)
		len += take_u8(in);
	else if (take_u8(in) % 4 == 0)
		len -= take_u16(in) % (len - ABE_FRAME);
	while (in->left) {
		at = ABE_HEAD + take_u16(in) % (len - ABE_HEAD);
		out[at] ^= take_u8(in);
	}
	abe_seal(out, mode == PUBLIC ? ABE_FILE_PUBLIC : mode == USER ?
		 ABE_FILE_USER : ABE_FILE_CIPHERTEXT, len - ABE_FRAME);
	return len;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	static uint8_t bytes[LARGEST];
	uint8_t *exact;
	size_t len;
	int mode = take_u8(&in) % MODES;

	if (!good.user)
		make();
	if (mode == POLICY) {
		policy(&in);
		return 0;
	}
	if (mode == RAW) {
		len = in.left < LARGEST ? in.left : LARGEST;
		take(&in, bytes, len);
	} else {
		len = change(&in, mode, bytes);
	}
	/* So that what is read behind the end is noticed. */
	exact = malloc(len ? len : 1);
	must(exact);
	memcpy(exact, bytes, len);
	if (mode == RAW || mode == PUBLIC)
		read_public(exact, len);
	if (mode == RAW || mode == USER)
		read_user(exact, len);
	if (mode == RAW || mode == CIPHERTEXT)
		read_ciphertext(exact, len);
	free(exact);
	return 0;
}
