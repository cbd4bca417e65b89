// SPDX-License-Identifier: GPL-2.0-or-later
/* Shares of keysets, wrapped under policies. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "config_json.h"
#include "error.h"
#include "hex.h"
#include "policy_wrap.h"

int policy_wrap_make(const struct chaosimg_archive *a, const struct keyset *ks,
		     const struct policies *p, enum chaosimg_compartment c,
		     struct policy_wrap *out)
{
	/* It is drawn for this one wrap. */
	uint8_t *key = secret_alloc(CHAOSIMG_KEY_SIZE);
	uint8_t place[SHARE_AAD_MAX];
	size_t n;
	int ret;

	*out = (struct policy_wrap){ .compartment = c };
	if (!key)
		return -ENOMEM;
	n = share_aad(a->id, ks, c, place);
	ret = policies_encapsulate(p, c, place, n, key,
				   &out->ciphertext, &out->len);
	if (!ret)
		ret = share_wrap(a, ks, c, key, out->wrapped);
	if (ret)
		policy_wrap_free(out);
	secret_free(key);
	return ret;
}

char *policy_wrap_text(const struct policy_wrap *w)
{
	char wrapped[2 * SHARE_WRAPPED_MAX + 1];
	char *key = malloc(2 * w->len + 1), *text = NULL;

	if (!key)
		return NULL;
	hex_encode(w->ciphertext, w->len, key);
	hex_encode(w->wrapped, share_wrapped_size(w->compartment), wrapped);
	if (asprintf(&text, "{\"under\": \"policy\", \"compartment\": \"%s\", \"key\": \"%s\", \"wrapped\": \"%s\"}",
		     compartment_text(w->compartment), key, wrapped) < 0)
		text = NULL;
	free(key);
	return text;
}

int policy_wrap_parse(struct json_object *object, const char *where,
		      struct policy_wrap *out)
{
	const char *name, *hex;
	int c, ret = config_json_text(object, where, "compartment", &name);

	out->ciphertext = NULL;
	if (!ret)
		ret = config_json_text(object, where, "key", &hex);
	if (ret)
		return ret;
	c = compartment_parse(name);
	if (c < 0)
		return fail(EBADMSG, "%s: damaged: no such compartment", where);
	out->compartment = (enum chaosimg_compartment)c;
	out->len = strlen(hex) / 2;
	if (!out->len || out->len > POLICY_CIPHERTEXT_MAX)
		return fail(EBADMSG, "%s: damaged: a key under a policy of %zu bytes",
			    where, out->len);
	out->ciphertext = malloc(out->len);
	if (!out->ciphertext)
		return fail(ENOMEM, "%s: no memory", where);
	ret = config_json_hex(object, where, "key", out->ciphertext, out->len);
	if (!ret)
		ret = config_json_hex(object, where, "wrapped", out->wrapped,
				      share_wrapped_size(out->compartment));
	if (ret)
		policy_wrap_free(out);
	return ret;
}

void policy_wrap_free(struct policy_wrap *w)
{
	free(w->ciphertext);
	w->ciphertext = NULL;
}

/* The scheme does not know where the ciphertext stands. */
static int say_where(const char *where, int ret)
{
	char why[256];

	snprintf(why, sizeof(why), "%s", chaosimg_errmsg());
	return fail(-ret, "%s: %s", where, why);
}

int policy_wrap_open(const struct policy_wrap *w,
		     const uint8_t archive_id[CHAOSIMG_ID_SIZE],
		     const struct chaosimg_user *u, const char *where,
		     struct opened_keyset *o)
{
	uint8_t *key = secret_alloc(CHAOSIMG_KEY_SIZE);
	uint8_t place[SHARE_AAD_MAX];
	size_t n;
	int ret;

	if (!key)
		return -ENOMEM;
	n = share_aad(archive_id, &o->set, w->compartment, place);
	ret = chaosimg_policy_decapsulate(u, w->ciphertext, w->len, place, n,
					  key);
	if (ret)
		ret = say_where(where, ret);
	else
		ret = share_unwrap(archive_id, w->compartment, key, w->wrapped,
				   where, o);
	secret_free(key);
	return ret;
}

int policy_wrap_try(const struct policy_wrap *w,
		    const uint8_t archive_id[CHAOSIMG_ID_SIZE],
		    const struct chaosimg_user *u, const char *where,
		    struct opened_keyset *o)
{
	int ret;

	if (o->set.held & held_bit(w->compartment))
		return 0;
	ret = policy_wrap_open(w, archive_id, u, where, o);
	return ret == -EACCES ? 0 : ret;
}
