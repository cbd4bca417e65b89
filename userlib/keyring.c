// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The keys of an opened archive: its archive key and its keysets.
 *
 * Keysets are only ever added, at the head of a list that is published
 * atomically: files are opened while a keyset is added, without a lock. Which
 * of them serves new files is a pointer of its own, as an older one may be
 * added late, when the first file under it is opened.
 */
#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include "archive.h"
#include "credential.h"
#include "error.h"
#include "keyring.h"
#include "keyset_share.h"

#define DIR_MAC_LABEL	"chaosimg directory mac key v1"
#define NAMES_LABEL	"chaosimg names key v1"
#define UIDS_LABEL	"chaosimg uid key v1"

/**
 * struct node - a keyset
 * @set: its keys
 * @served: it serves new files, or did, or was passed over: never again
 * @turn: of those of a policy, the one with the highest serves; 0: it does not
 * @next: added before it
 */
struct node {
	struct keyset set;
	_Atomic bool served;
	_Atomic uint64_t turn;
	struct node *next;
};

/**
 * struct keyring - the keys
 * @whole: it has the archive key, @key
 * @key: the archive key
 * @cred: opens shares of keysets, or NULL
 * @has_dir_mac: @dir_mac is known
 * @has_names: @names is known
 * @dir_mac: the directory MAC key
 * @names: the names key
 * @uids: the key of UIDs in masks, if it is whole
 * @head: the keyset added last
 * @newest: the one that serves new files
 * @turns: of keysets that came to serve a policy
 */
struct keyring {
	bool whole;
	uint8_t key[CHAOSIMG_KEY_SIZE];
	struct chaosimg_credential *cred;
	bool has_dir_mac;
	bool has_names;
	uint8_t dir_mac[CHAOSIMG_KEY_SIZE];
	uint8_t names[CHAOSIMG_KEY_SIZE];
	uint8_t uids[CHAOSIMG_KEY_SIZE];
	struct node *_Atomic head;
	struct node *_Atomic newest;
	_Atomic uint64_t turns;
};

static struct keyring *new_ring(void)
{
	struct keyring *ring = secret_alloc(sizeof(*ring));

	if (!ring)
		return NULL;
	atomic_init(&ring->head, NULL);
	atomic_init(&ring->newest, NULL);
	return ring;
}

int keyring_new(const uint8_t key[CHAOSIMG_KEY_SIZE], struct keyring **out)
{
	struct keyring *ring = new_ring();
	int ret;

	if (!ring)
		return -ENOMEM;
	ring->whole = true;
	memcpy(ring->key, key, sizeof(ring->key));
	ret = keyring_subkey(ring, DIR_MAC_LABEL, ring->dir_mac,
			     sizeof(ring->dir_mac));
	if (!ret)
		ret = keyring_subkey(ring, NAMES_LABEL, ring->names,
				     sizeof(ring->names));
	if (!ret)
		ret = keyring_subkey(ring, UIDS_LABEL, ring->uids,
				     sizeof(ring->uids));
	if (ret) {
		keyring_free(ring);
		return ret;
	}
	ring->has_dir_mac = ring->has_names = true;
	*out = ring;
	return 0;
}

int keyring_new_partial(const struct chaosimg_credential *cred,
			struct keyring **out)
{
	struct keyring *ring = new_ring();

	if (!ring)
		return -ENOMEM;
	ring->cred = credential_hold(cred);
	*out = ring;
	return 0;
}

int keyring_new_ingest(const uint8_t names[CHAOSIMG_KEY_SIZE],
		       const uint8_t dir_mac[CHAOSIMG_KEY_SIZE],
		       struct keyring **out)
{
	struct keyring *ring = new_ring();

	if (!ring)
		return -ENOMEM;
	memcpy(ring->names, names, CHAOSIMG_KEY_SIZE);
	memcpy(ring->dir_mac, dir_mac, CHAOSIMG_KEY_SIZE);
	ring->has_names = ring->has_dir_mac = true;
	*out = ring;
	return 0;
}

void keyring_free(struct keyring *ring)
{
	struct node *n, *next;

	if (!ring)
		return;
	for (n = ring->head; n; n = next) {
		next = n->next;
		secret_free(n);
	}
	chaosimg_credential_free(ring->cred);
	secret_free(ring);
}

bool keyring_whole(const struct keyring *ring)
{
	return ring->whole;
}

const struct chaosimg_credential *
keyring_credential(const struct keyring *ring)
{
	return ring->cred;
}

const uint8_t *keyring_archive_key(const struct keyring *ring)
{
	return ring->key;
}

const uint8_t *keyring_dir_mac(const struct keyring *ring)
{
	return ring->has_dir_mac ? ring->dir_mac : NULL;
}

const uint8_t *keyring_names(const struct keyring *ring)
{
	return ring->has_names ? ring->names : NULL;
}

const uint8_t *keyring_uids(const struct keyring *ring)
{
	return ring->whole ? ring->uids : NULL;
}

static bool has_identity(const struct opened_keyset *o)
{
	return o->set.held & held_bit(CHAOSIMG_IDENTITY);
}

bool keyring_agrees(const struct keyring *ring, const struct opened_keyset *o)
{
	if (ring->has_dir_mac &&
	    memcmp(ring->dir_mac, o->dir_mac, CHAOSIMG_KEY_SIZE))
		return false;
	return !ring->has_names || !has_identity(o) ||
	       !memcmp(ring->names, o->names, CHAOSIMG_KEY_SIZE);
}

void keyring_learn(struct keyring *ring, const struct opened_keyset *o)
{
	memcpy(ring->dir_mac, o->dir_mac, CHAOSIMG_KEY_SIZE);
	ring->has_dir_mac = true;
	if (!has_identity(o))
		return;
	memcpy(ring->names, o->names, CHAOSIMG_KEY_SIZE);
	ring->has_names = true;
}

int keyring_subkey(const struct keyring *ring, const char *label, uint8_t *out,
		   size_t len)
{
	if (!keyring_whole(ring))
		return fail(EACCES, "this needs the archive key");
	return hkdf_expand(ring->key, label, strlen(label), out, len);
}

const struct keyset *keyring_newest(struct keyring *ring)
{
	struct node *n = atomic_load_explicit(&ring->newest,
					      memory_order_acquire);

	return n ? &n->set : NULL;
}

/* The node that serves a policy. */
static struct node *find_policy(struct keyring *ring, const char *name)
{
	struct node *n = atomic_load_explicit(&ring->head,
					      memory_order_acquire);
	struct node *best = NULL;
	uint64_t most = 0;

	for (; n; n = n->next) {
		uint64_t turn = n->turn;

		if (turn <= most || strcmp(n->set.policy, name))
			continue;
		most = turn;
		best = n;
	}
	return best;
}

const struct keyset *keyring_of_policy(struct keyring *ring, const char *name)
{
	struct node *n;

	if (!*name)
		return keyring_newest(ring);
	n = find_policy(ring, name);
	return n ? &n->set : NULL;
}

bool keyring_has_policies(struct keyring *ring)
{
	struct node *n = atomic_load_explicit(&ring->head,
					      memory_order_acquire);

	while (n && !n->turn)
		n = n->next;
	return n;
}

static struct node *find(struct keyring *ring,
			 const uint8_t id[CHAOSIMG_ID_SIZE])
{
	struct node *n = atomic_load_explicit(&ring->head,
					      memory_order_acquire);

	while (n && memcmp(n->set.id, id, CHAOSIMG_ID_SIZE))
		n = n->next;
	return n;
}

const struct keyset *keyring_find(struct keyring *ring,
				  const uint8_t id[CHAOSIMG_ID_SIZE])
{
	struct node *n = find(ring, id);

	return n ? &n->set : NULL;
}

bool keyring_serves(struct keyring *ring, const uint8_t id[CHAOSIMG_ID_SIZE])
{
	const struct node *n = atomic_load_explicit(&ring->head,
						    memory_order_acquire);

	for (; n; n = n->next)
		if (!memcmp(n->set.id, id, CHAOSIMG_ID_SIZE) &&
		    &n->set == keyring_of_policy(ring, n->set.policy))
			return true;
	return false;
}

static struct node *insert(struct keyring *ring, const struct keyset *ks)
{
	struct node *n = secret_alloc(sizeof(*n));

	if (!n)
		return NULL;
	n->set = *ks;
	n->next = atomic_load_explicit(&ring->head, memory_order_relaxed);
	while (!atomic_compare_exchange_weak_explicit(&ring->head, &n->next,
						      n, memory_order_release,
						      memory_order_relaxed))
		;
	return n;
}

static void serve(struct keyring *ring, struct node *n)
{
	n->served = true;
	if (*n->set.policy)
		n->turn = ++ring->turns;
	else
		atomic_store_explicit(&ring->newest, n, memory_order_release);
}

int keyring_add(struct keyring *ring, const struct keyset *ks)
{
	struct node *n = insert(ring, ks);

	if (!n)
		return -ENOMEM;
	serve(ring, n);
	return 0;
}

int keyring_add_older(struct keyring *ring, const struct keyset *ks)
{
	return insert(ring, ks) ? 0 : -ENOMEM;
}

void keyring_serve(struct keyring *ring, const uint8_t id[CHAOSIMG_ID_SIZE])
{
	struct node *n = find(ring, id);

	if (n && !n->served)
		serve(ring, n);
}

void keyring_pass_over(struct keyring *ring, const uint8_t id[CHAOSIMG_ID_SIZE])
{
	struct node *n = find(ring, id);

	if (n)
		n->served = true;
}

void keyring_retire(struct keyring *ring,
		    bool (*stays)(const void *ctx, const char *name),
		    const void *ctx)
{
	struct node *n = atomic_load_explicit(&ring->head,
					      memory_order_acquire);

	for (; n; n = n->next)
		if (n->turn && !stays(ctx, n->set.policy))
			n->turn = 0;
}
