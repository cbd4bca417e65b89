// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The policies in a configuration, and the wraps under them in a keyset's
 * file: as they come, and good ones in which some bytes are others. What is
 * read must be what would be written; and a wrap opens for its user, place and
 * keyset alone, unchanged.
 */
#include <errno.h>
#include <string.h>

#include <xxhash.h>

#include "bytes.h"
#include "config_json.h"
#include "fixture.h"
#include "policy_wrap.h"

enum { POLICIES, CHANGE, WRAP, GOOD, MODES };

/** struct good - what was made once */
static struct {
	struct chaosimg_archive *a;
	struct chaosimg_authority *authority[2];
	struct chaosimg_user *user[2];
	struct policies p;
	struct policy_wrap wrap;
} good;

static void make_user(const char *secret, const char *name,
		      const char *attribute, struct chaosimg_user **out)
{
	char path[300];

	snprintf(path, sizeof(path), "%s/user", fixture_folder());
	must(!chaosimg_authority_issue(secret, name, &attribute, 1, path));
	must(!chaosimg_user_read(path, out));
	must(!remove(path));
}

static void make(void)
{
	static const char *const names[] = { "x", "y" };
	const struct chaosimg_policy *policy[CHAOSIMG_COMPARTMENTS] = { NULL };
	struct chaosimg_policy *p;
	char secret[300], public[300];
	int i;

	for (i = 0; i < 2; i++) {
		snprintf(secret, sizeof(secret), "%s/s%d", fixture_folder(), i);
		snprintf(public, sizeof(public), "%s/p%d", fixture_folder(), i);
		must(!chaosimg_authority_create(names[i], secret, public));
		must(!chaosimg_authority_read(public, &good.authority[i]));
		make_user(secret, "u", "a", &good.user[i]);
	}
	must(!chaosimg_policy_parse("a@x OR b@y", &p));
	policy[CHAOSIMG_PIXELS] = p;
	must(!policies_change(&good.p, 1 << CHAOSIMG_PIXELS, policy,
			      (const void *)good.authority, 2, NULL));
	chaosimg_policy_free(p);
	good.a = fixture_archive();
	must(!policy_wrap_make(good.a, fixture_keyset(), &good.p,
			       CHAOSIMG_PIXELS, &good.wrap));
	fixture_empty(fixture_folder());
}

static char *printed(const struct policies *p)
{
	char *text;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	must(out);
	fprintf(out, "{\n");
	policies_print(out, p);
	fprintf(out, "  \"end\": 0}");
	must(!fclose(out));
	return text;
}

static int parse(const char *text, struct policies *p)
{
	struct json_object *root = config_json_parse(text, strlen(text));
	int ret;

	if (!root)
		return -EBADMSG;
	ret = policies_parse(root, "fuzz", p);
	json_object_put(root);
	return ret;
}

static void read_policies(const char *text)
{
	static struct policies p, again;
	int ret = parse(text, &p);
	char *printing;

	must(!ret || ret == -EBADMSG);
	if (ret)
		return;
	printing = printed(&p);
	must(!parse(printing, &again) && !memcmp(&p, &again, sizeof(p)));
	free(printing);
}

/* Policies that come and go, some of authorities that are not known. */
static void change(struct input *in)
{
	static struct policies p, before, again;
	struct chaosimg_policy *policy[CHAOSIMG_COMPARTMENTS];
	char text[200], *printing;
	int ret, i;

	memset(&p, 0, sizeof(p));
	while (in->left) {
		uint8_t set = take_u8(in) % 8, given = take_u8(in) % 3;

		for (i = 0; i < CHAOSIMG_COMPARTMENTS; i++) {
			size_t len = take_u8(in) % sizeof(text);

			take(in, text, len);
			text[len < sizeof(text) ? len : 0] = '\0';
			if (chaosimg_policy_parse(text, &policy[i]))
				policy[i] = NULL;
		}
		before = p;
		ret = policies_change(&p, set, (const void *)policy,
				      (const void *)good.authority, given,
				      NULL);
		must(!ret || ret == -ENOENT || ret == -EINVAL);
		must(!ret || !memcmp(&p, &before, sizeof(p)));
		printing = printed(&p);
		must(!parse(printing, &again) && !memcmp(&p, &again, sizeof(p)));
		free(printing);
		for (i = 0; i < CHAOSIMG_COMPARTMENTS; i++)
			chaosimg_policy_free(policy[i]);
	}
}

static bool refused(int ret)
{
	return ret == -EBADMSG || ret == -EPROTONOSUPPORT || ret == -EACCES;
}

static int open_wrap(const struct policy_wrap *w, int user,
		     struct opened_keyset *o)
{
	memcpy(o->set.id, fixture_keyset()->id, CHAOSIMG_ID_SIZE);
	o->set.created = fixture_keyset()->created;
	return policy_wrap_open(w, fixture_id, good.user[user], "fuzz", o);
}

static void read_wrap(const char *text)
{
	struct json_object *root = config_json_parse(text, strlen(text));
	struct opened_keyset *o = secret_alloc(sizeof(*o));
	struct policy_wrap w, again;
	struct json_object *object;
	char *printing;

	must(o);
	if (root && !policy_wrap_parse(root, "fuzz", &w)) {
		printing = policy_wrap_text(&w);
		must(printing);
		object = config_json_parse(printing, strlen(printing));
		must(object && !policy_wrap_parse(object, "fuzz", &again));
		must(again.compartment == w.compartment && again.len == w.len &&
		     !memcmp(again.ciphertext, w.ciphertext, w.len));
		json_object_put(object);
		free(printing);
		policy_wrap_free(&again);
		must(refused(open_wrap(&w, 0, o)));
		policy_wrap_free(&w);
	}
	json_object_put(root);
	secret_free(o);
}

/* The good one, or that with some bytes changed and a right checksum. */
static void open_good(struct input *in)
{
	struct opened_keyset *o = secret_alloc(sizeof(*o));
	struct policy_wrap w = good.wrap;
	bool changed = false;
	int user = take_u8(in) & 1, ret;

	must(o);
	w.ciphertext = malloc(w.len);
	must(w.ciphertext);
	memcpy(w.ciphertext, good.wrap.ciphertext, w.len);
	while (in->left) {
		uint16_t at = take_u16(in);
		uint8_t by = take_u8(in);

		if (at % 4 == 3)
			w.wrapped[at / 4 %
				  share_wrapped_size(w.compartment)] ^= by;
		else
			w.ciphertext[at % w.len] ^= by;
	}
	put_le64(w.ciphertext + w.len - 8,
		 XXH3_64bits(w.ciphertext, w.len - 8));
	changed = memcmp(w.ciphertext, good.wrap.ciphertext, w.len) ||
		  memcmp(w.wrapped, good.wrap.wrapped, sizeof(w.wrapped));
	ret = open_wrap(&w, user, o);
	must(changed || user ? refused(ret) : !ret);
	must(!ret == (o->set.held == 1 << CHAOSIMG_PIXELS));
	free(w.ciphertext);
	secret_free(o);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	int mode = take_u8(&in) % MODES;
	char *text;

	if (!good.a)
		make();
	if (mode == CHANGE) {
		change(&in);
		return 0;
	}
	if (mode == GOOD) {
		open_good(&in);
		return 0;
	}
	text = malloc(in.left + 1);
	must(text);
	memcpy(text, in.p, in.left);
	text[in.left] = '\0';
	if (mode == POLICIES)
		read_policies(text);
	else
		read_wrap(text);
	free(text);
	return 0;
}
