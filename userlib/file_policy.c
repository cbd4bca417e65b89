// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Which policy a file falls under, and how it comes under it: its keys are from
 * that policy's keyset. What is being written for the first time changes over
 * before much of it is stored. Later that would take a second stored file in the
 * first one's place, which is renewal.c's work; until then it is sealed so that
 * it is not more open than rules say.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "file.h"
#include "rules.h"

/* So much of what is stored is taken back into memory. */
enum { TURN_MAX = DIRTY_FILE_MAX };

static const char unknown[] =
	"rules give it to a policy that is not known here, or cannot be used";

/* --- what rules say ---------------------------------------------------------- */

static const char *name_of(const struct rules_outcome *o)
{
	return o && o->policy ? o->policy : "";
}

/* The one of new files; NULL if there is no such policy, or nobody can tell. */
static const struct keyset *find(struct chaosimg_archive *a,
				 const struct rules_outcome *o)
{
	const struct keyset *ks;

	if (o && o->unsure && keyring_has_policies(a->ring))
		return NULL;
	ks = keyring_of_policy(a->ring, name_of(o));
	/* It may be a new one. */
	if (!ks && !chaosimg_archive_refresh(a))
		ks = keyring_of_policy(a->ring, name_of(o));
	return ks;
}

/* The keyset that a file should be under. One that served once will do. */
static const struct keyset *right_keyset(const struct chaosimg_file *f,
					 const struct rules_outcome *o)
{
	const struct keyset *own = f->keys->ks, *ks;

	if (!*own->policy && !*name_of(o) && !(o && o->unsure))
		return own;
	ks = find(f->a, o);
	return ks && !strcmp(own->policy, ks->policy) ? own : ks;
}

int policy_keyset(struct chaosimg_file *f, const struct keyset **out)
{
	struct dicom_source src = file_source(f);
	struct rules_outcome *o = NULL;
	int err = rules_apply(f->a, &src, &f->rules_looked, &o);

	if (err)
		return err;
	*out = find(f->a, o);
	free(o);
	return *out ? 0 : fail(ENOKEY, "%s", unknown);
}

/* --- changing over ----------------------------------------------------------- */

/* Take what is stored back into memory. Return: false if it cannot be */
static bool take_back(struct chaosimg_file *f)
{
	uint64_t chunks = chunk_count(f->length, f->chunk_size), k;
	size_t taken = 0;
	struct dirty *d;

	for (k = 0; k < chunks; k++) {
		const struct hole *h = holes_next(&f->holes, k);

		if (h && h->start <= k) {
			k = h->start + h->count - 1;
			continue;
		}
		if (dirty_find(f, k))
			continue;
		taken += f->chunk_size;
		if (taken > TURN_MAX || dirty_make(f, k, false, &d))
			return false;
	}
	return true;
}

/* All is in memory; for its new keys, nothing of it is stored. */
static void forget_stored(struct chaosimg_file *f)
{
	pthread_mutex_lock(&f->lock);
	for (size_t i = 0; i < f->dirty_count; i++) {
		f->dirty[i]->stored_len = 0;
		f->dirty[i]->tag_known = false;
	}
	memset(f->mac, 0, sizeof(f->mac));
	sets_all(&f->sets, SET_UNKNOWN);
	f->changed = true;
	f->content_changed = true;
	pthread_mutex_unlock(&f->lock);
}

/* From here on a crash leaves an empty file. */
static int put_empty(struct chaosimg_file *f, const struct keyset *ks)
{
	struct file_keys *old = f->keys, *new;
	struct header h = {
		.chunk_size = f->chunk_size, .bindings = f->snap.bindings,
	};
	int err;

	memcpy(h.file_id, f->snap.file_id, sizeof(h.file_id));
	memcpy(h.keyset_id, ks->id, sizeof(h.keyset_id));
	memcpy(h.binding, f->snap.binding, sizeof(h.binding));
	err = file_keys_new(f->a, ks, h.file_id, &new);
	if (err)
		return err;
	f->keys = new;
	err = header_write(f, &h, true);
	if (err) {
		f->keys = old;
		f->torn = true;
		file_keys_free(new);
	} else {
		f->keyset = ks;
		file_keys_free(old);
	}
	return err;
}

bool policy_turn(struct chaosimg_file *f, const struct keyset *ks)
{
	if (f->keys->ks == ks)
		return true;
	if (!ks || !f->young || f->durable || commit_finish(f) || !take_back(f) ||
	    put_empty(f, ks))
		return false;
	forget_stored(f);
	return true;
}

/* --- while it is being written ----------------------------------------------- */

bool policy_notice(struct chaosimg_file *f, const struct rules_outcome *o,
		   uint64_t from, unsigned int set)
{
	const struct keyset *ks = right_keyset(f, o);
	bool turns;

	pthread_mutex_lock(&f->lock);
	f->turn = NULL;
	f->turn_set = (uint8_t)set;
	if (ks != f->keys->ks) {
		f->turn = f->young ? ks : NULL;
		/* It may well have to stay where it is. */
		set = held_bit(CHAOSIMG_IDENTITY);
	}
	if (f->outline.from == from)
		f->outline.set = set;
	f->ruled = from;
	turns = f->turn;
	pthread_mutex_unlock(&f->lock);
	return turns;
}

void policy_follow(struct chaosimg_file *f)
{
	const struct keyset *ks;

	pthread_rwlock_wrlock(&f->rw);
	ks = f->turn;
	f->turn = NULL;
	if (ks && !policy_turn(f, ks))
		f->young = false;
	else if (ks && f->outline.from == f->ruled)
		f->outline.set = f->turn_set;
	pthread_rwlock_unlock(&f->rw);
}

/* --- when it is sealed ------------------------------------------------------- */

const char *policy_settle(struct chaosimg_file *f,
			  const struct rules_outcome *o)
{
	const struct keyset *ks = right_keyset(f, o);

	if (!ks)
		return unknown;
	if (policy_turn(f, ks))
		return NULL;
	return "it was stored under another policy than rules give to it (chaosimg rekey --reencrypt moves it)";
}
