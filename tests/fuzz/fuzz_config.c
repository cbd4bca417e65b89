// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The configuration, of an archive and of a single image, with its key slots.
 * The first byte says which, and whether the text gets the checksum that it
 * ought to have, or even the MAC. What is accepted must be canonical, and mean
 * the same when it is written and read again.
 */
#include <errno.h>
#include <string.h>

#include "config.h"
#include "config_file.h"
#include "credential.h"
#include "fixture.h"

enum { IMAGE = 1, CHECKSUM = 2, MAC = 4 };

static struct chaosimg_archive *a;

static struct chaosimg_credential *key_credential(void)
{
	struct chaosimg_credential *c;

	c = secret_alloc(sizeof(*c) + CHAOSIMG_KEY_SIZE);
	must(c);
	c->type = CHAOSIMG_SLOT_KEYFILE;
	c->len = CHAOSIMG_KEY_SIZE;
	memcpy(c->secret, fixture_key, CHAOSIMG_KEY_SIZE);
	return c;
}

/* Try the slots with a key file, and cheap ones with a passphrase. */
static void open_slots(const struct config *cfg)
{
	static struct chaosimg_credential *key, *pass;
	uint8_t *out = secret_alloc(CHAOSIMG_KEY_SIZE);
	uint32_t i, memory = 0, time = 0, lanes = 0;
	int ret;

	if (!key) {
		key = key_credential();
		must(!chaosimg_credential_passphrase("x", 1, &pass));
	}
	ret = slot_open_any(cfg->slot, cfg->slots, cfg->id, key, "fuzz", out);
	must(!ret || ret == -EKEYREJECTED);
	for (i = 0; i < cfg->slots; i++) {
		memory += cfg->slot[i].memory;
		time += cfg->slot[i].time;
		lanes += cfg->slot[i].lanes;
	}
	if (memory <= 64 && time <= 2 && lanes <= 2) {
		ret = slot_open_any(cfg->slot, cfg->slots, cfg->id, pass,
				    "fuzz", out);
		must(!ret || ret == -EKEYREJECTED);
	}
	secret_free(out);
}

static void check(struct config *cfg)
{
	struct config *again;
	char *text;
	size_t len;

	must(cfg->slots >= 1 && cfg->slots <= CHAOSIMG_SLOTS_MAX);
	must(cfg->keysets >= 1 && cfg->keysets <= CONFIG_KEYSETS_MAX);
	must(cfg->named <= POLICIES_NAMED_MAX);
	for (uint32_t i = 0; i < cfg->named; i++)
		must(policy_name_valid(cfg->named_policies[i].name) &&
		     cfg->named_policies[i].policies.authorities);
	open_slots(cfg);
	must(!config_render(cfg, a->ring, &text, &len));
	must(!config_parse(text, len, "again", cfg->kind, &again));
	must(!memcmp(cfg, again, sizeof(*cfg)));
	must(!config_verify(again, a->ring, "again"));
	free(again);
	free(text);
}

static void parse(const char *text, size_t len, enum config_kind kind)
{
	struct config *cfg;
	int ret = config_parse(text, len, "fuzz", kind, &cfg);

	must(!ret || ret == -EBADMSG || ret == -EPROTONOSUPPORT);
	if (ret)
		return;
	ret = config_verify(cfg, a->ring, "fuzz");
	must(!ret || ret == -EBADMSG);
	check(cfg);
	free(cfg);
}

/* A configuration with members of the input's choice, rightly sealed. */
static void make(struct input *in, enum config_kind kind)
{
	struct config *cfg, *back;
	struct slot *s;
	char *text;
	size_t len;
	uint32_t i;

	must(!config_new(kind, 0, &cfg));
	take(in, cfg->id, sizeof(cfg->id));
	cfg->created = take_u64(in) >> 1;
	cfg->chunk_size = 1u << take_u8(in) % 32;
	cfg->next_slot = take_u32(in);
	cfg->slots = take_u8(in) % (CHAOSIMG_SLOTS_MAX + 1);
	for (i = 0; i < cfg->slots; i++) {
		s = &cfg->slot[i];
		s->id = take_u8(in) ? i : take_u32(in);
		s->type = take_u8(in) & 1;
		s->time = take_u8(in);
		s->memory = take_u32(in);
		s->lanes = take_u8(in);
		s->salt_len = take_u8(in) % (SALT_MAX + 1);
		take(in, s->salt, s->salt_len);
		take(in, s->wrapped, sizeof(s->wrapped));
	}
	cfg->keysets = kind == CONFIG_IMAGE ? 1 : take_u8(in);
	for (i = 0; i < cfg->keysets; i++)
		take(in, cfg->keyset[i], CHAOSIMG_ID_SIZE);
	cfg->named = take_u8(in) % (POLICIES_NAMED_MAX + 1);
	for (i = 0; i < cfg->named; i++) {
		struct policies_named *n = &cfg->named_policies[i];

		take(in, n->name, take_u8(in) % sizeof(n->name));
		/* What json-c does not take for a string is none of ours. */
		n->name[strcspn(n->name, "\"\\")] = '\0';
	}
	must(!config_render(cfg, a->ring, &text, &len));
	if (!config_parse(text, len, "fuzz", kind, &back)) {
		must(!config_verify(back, a->ring, "fuzz"));
		open_slots(back);
		free(back);
	}
	free(text);
	free(cfg);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum config_kind kind;
	char *text;
	size_t len;

	if (!a)
		a = fixture_archive();
	if (!size)
		return 0;
	kind = data[0] & IMAGE ? CONFIG_IMAGE : CONFIG_ARCHIVE;
	len = size - 1;
	if (data[0] & MAC) {
		make(&(struct input){ data + 1, len }, kind);
		return 0;
	}
	text = malloc(len + 1);
	must(text);
	memcpy(text, data + 1, len);
	text[len] = '\0';
	if (data[0] & CHECKSUM)
		must(!config_checksum_append(&text, &len));
	parse(text, len, kind);
	free(text);
	return 0;
}
