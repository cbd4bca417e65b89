// SPDX-License-Identifier: GPL-2.0-or-later
/* Sessions of ingest mounts, as whoever reads what they made needs them. */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "error.h"
#include "fdname.h"
#include "hex.h"
#include "ingest.h"
#include "ingest_session.h"
#include "keyset.h"
#include "keyset_share.h"

/**
 * struct ingest_session - a session whose directories were met
 * @id: the id of its first keyset
 * @names: keys of its names and directories
 * @next: met before it
 */
struct ingest_session {
	uint8_t id[CHAOSIMG_ID_SIZE];
	struct name_keys *names;
	struct ingest_session *next;
};

/* --- names ----------------------------------------------------------------- */

int ingest_dir_id(const uint8_t session[CHAOSIMG_ID_SIZE],
		  uint8_t id[CHAOSIMG_ID_SIZE])
{
	int ret = random_public(id, CHAOSIMG_ID_SIZE);

	memcpy(id, session, INGEST_TAG);
	memcpy(id + INGEST_MARK_AT, INGEST_MARK, sizeof(INGEST_MARK) - 1);
	return ret;
}

void ingest_stored_name(const uint8_t session[CHAOSIMG_ID_SIZE],
			char name[INGEST_NAME_SIZE])
{
	strcpy(name, INGEST_STORED);
	hex_encode(session, CHAOSIMG_ID_SIZE, name + strlen(name));
}

bool ingest_parse(const char *prefix, const char *name,
		  uint8_t session[CHAOSIMG_ID_SIZE])
{
	const size_t len = strlen(prefix);
	char again[INGEST_HEX + 1];

	if (strncmp(name, prefix, len) || strlen(name + len) != INGEST_HEX ||
	    !hex_decode(name + len, session, CHAOSIMG_ID_SIZE))
		return false;
	/* In one form only. */
	hex_encode(session, CHAOSIMG_ID_SIZE, again);
	return !strcmp(name + len, again);
}

/* --- keys ------------------------------------------------------------------- */

static struct ingest_session *find(struct chaosimg_archive *a,
				   const uint8_t *id)
{
	struct ingest_session *s = atomic_load_explicit(&a->sessions,
							memory_order_acquire);

	while (s && !ingest_same(s->id, id))
		s = s->next;
	return s;
}

/* [keysets] */
static int add(struct chaosimg_archive *a, const uint8_t *id,
	       const struct opened_keyset *o)
{
	struct ingest_session *s = calloc(1, sizeof(*s));
	int ret;

	if (!s)
		return fail(ENOMEM, "no memory for an ingest mount's keys");
	memcpy(s->id, id, sizeof(s->id));
	ret = names_new(a, o->set.held & held_bit(CHAOSIMG_IDENTITY) ?
			   o->names : NULL, o->dir_mac, &s->names);
	if (ret) {
		free(s);
		return ret;
	}
	s->next = a->sessions;
	atomic_store_explicit(&a->sessions, s, memory_order_release);
	return 0;
}

static int load(struct chaosimg_archive *a, const uint8_t *id)
{
	struct opened_keyset *o;
	char path[FDNAME_SIZE];
	int ret;

	if (find(a, id))
		return 0;
	if (a->fd < 0)
		return fail(ENOKEY, "a directory of an ingest mount");
	fdname(a->fd, path);
	ret = keyset_open_ingest(a, path, id, &o);
	/* To the directory it makes no difference why, as to a file. */
	if (ret == -EBADMSG || ret == -EPROTONOSUPPORT)
		ret = -ENOKEY;
	if (ret)
		return ret;
	ret = add(a, id, o);
	secret_free(o);
	return ret;
}

int ingest_session_keys(struct chaosimg_archive *a,
			const uint8_t session[CHAOSIMG_ID_SIZE],
			const struct name_keys **out)
{
	struct ingest_session *s;
	int ret = 0;

	if (a->ingest) {
		*out = a->names;
		return memcmp(session, ingest_session(a->ingest),
			      CHAOSIMG_ID_SIZE) ?
		       fail(EACCES, "a directory of another ingest mount") : 0;
	}
	if (!find(a, session)) {
		pthread_mutex_lock(&a->keysets);
		ret = load(a, session);
		pthread_mutex_unlock(&a->keysets);
	}
	if (ret)
		return ret;
	s = find(a, session);
	if (memcmp(s->id, session, sizeof(s->id)))
		return fail(EIO, "two ingest mounts whose ids begin alike");
	*out = s->names;
	return 0;
}

const uint8_t *ingest_session_of(struct chaosimg_archive *a,
				 const uint8_t dir_id[CHAOSIMG_ID_SIZE])
{
	struct ingest_session *s;

	if (!ingest_is_dir(dir_id))
		return NULL;
	if (a->ingest)
		return ingest_session(a->ingest);
	s = find(a, dir_id);
	return s ? s->id : NULL;
}

const struct name_keys *names_of(struct chaosimg_archive *a,
				 const uint8_t dir_id[CHAOSIMG_ID_SIZE])
{
	struct ingest_session *s;

	if (!ingest_is_dir(dir_id) || a->ingest)
		return a->names;
	s = find(a, dir_id);
	return s ? s->names : a->names;
}

void ingest_sessions_free(struct chaosimg_archive *a)
{
	struct ingest_session *s = a->sessions, *next;

	for (; s; s = next) {
		next = s->next;
		names_free(s->names);
		free(s);
	}
	a->sessions = NULL;
}
