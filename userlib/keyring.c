// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The keys of an opened archive: its archive key and its keysets.
 *
 * Keysets are only ever added, at the head of a list that is published
 * atomically: files are opened while a keyset is added, without a lock.
 */
#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include "archive.h"
#include "keyring.h"

struct node {
	struct keyset set;
	struct node *older;
};

struct keyring {
	uint8_t key[CHAOSIMG_KEY_SIZE];
	struct node *_Atomic newest;
};

int keyring_new(const uint8_t key[CHAOSIMG_KEY_SIZE], struct keyring **out)
{
	struct keyring *ring = secret_alloc(sizeof(*ring));

	if (!ring)
		return -ENOMEM;
	memcpy(ring->key, key, sizeof(ring->key));
	atomic_init(&ring->newest, NULL);
	*out = ring;
	return 0;
}

void keyring_free(struct keyring *ring)
{
	struct node *n, *older;

	if (!ring)
		return;
	for (n = ring->newest; n; n = older) {
		older = n->older;
		secret_free(n);
	}
	secret_free(ring);
}

const uint8_t *keyring_archive_key(const struct keyring *ring)
{
	return ring->key;
}

int keyring_subkey(const struct keyring *ring, const char *label, uint8_t *out,
		   size_t len)
{
	return hkdf_expand(ring->key, label, strlen(label), out, len);
}

const struct keyset *keyring_newest(struct keyring *ring)
{
	struct node *n = atomic_load_explicit(&ring->newest,
					      memory_order_acquire);

	return n ? &n->set : NULL;
}

const struct keyset *keyring_find(struct keyring *ring,
				  const uint8_t id[CHAOSIMG_ID_SIZE])
{
	struct node *n = atomic_load_explicit(&ring->newest,
					      memory_order_acquire);

	while (n && memcmp(n->set.id, id, CHAOSIMG_ID_SIZE))
		n = n->older;
	return n ? &n->set : NULL;
}

int keyring_add(struct keyring *ring, const struct keyset *ks)
{
	struct node *n = secret_alloc(sizeof(*n));

	if (!n)
		return -ENOMEM;
	n->set = *ks;
	n->older = atomic_load_explicit(&ring->newest, memory_order_relaxed);
	while (!atomic_compare_exchange_weak_explicit(&ring->newest, &n->older,
						      n, memory_order_release,
						      memory_order_relaxed))
		;
	return 0;
}
