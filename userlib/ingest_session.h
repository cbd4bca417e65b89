/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What ingest mounts made, for whoever reads it. Each mount is a session, with
 * a names key and a directory MAC key of its own, which the session's first
 * keyset carries; the session goes by that keyset's id. Ids of its directories,
 * and bindings of names in them, are marked: nothing that an ingest mount made
 * is taken for anything else, as anybody could have made it.
 */
#ifndef CHAOSIMG_INGEST_SESSION_H
#define CHAOSIMG_INGEST_SESSION_H

#include <string.h>

#include "archive.h"
#include "names.h"

#define INGEST_MARK	"ing"		/* ends the id of a directory */
#define INGEST_BINDING	"ingest"	/* ends the binding of a name in one */
#define INGEST_STORED	"chaosimg.ingest."
#define INGEST_SHOWN	"ingest-"

enum {
	INGEST_TAG = 6,		/* of the session's id: begins a directory's */
	INGEST_MARK_AT = CHAOSIMG_ID_SIZE - sizeof(INGEST_MARK) + 1,
	INGEST_BINDING_AT = CHAOSIMG_BINDING_SIZE - sizeof(INGEST_BINDING) + 1,
	INGEST_HEX = 2 * CHAOSIMG_ID_SIZE,
	INGEST_NAME_SIZE = sizeof(INGEST_STORED) + INGEST_HEX,
};

/**
 * ingest_is_dir() - is it the id of a directory that an ingest mount made?
 * @id: the id
 *
 * Ids that were drawn before there were any may end in this way, too: one in
 * sixteen million.
 */
static inline bool ingest_is_dir(const uint8_t id[CHAOSIMG_ID_SIZE])
{
	return !memcmp(id + INGEST_MARK_AT, INGEST_MARK,
		       sizeof(INGEST_MARK) - 1);
}

/** ingest_is_binding() - is it a binding of a name in one? */
static inline bool ingest_is_binding(const uint8_t b[CHAOSIMG_BINDING_SIZE])
{
	return !memcmp(b + INGEST_BINDING_AT, INGEST_BINDING,
		       sizeof(INGEST_BINDING) - 1);
}

/** ingest_set_binding() - make a name's binding one */
static inline void ingest_set_binding(uint8_t b[CHAOSIMG_BINDING_SIZE])
{
	memcpy(b + INGEST_BINDING_AT, INGEST_BINDING,
	       sizeof(INGEST_BINDING) - 1);
}

/** ingest_is_root() - is a binding that of a session's root? */
static inline bool ingest_is_root(const uint8_t b[CHAOSIMG_BINDING_SIZE],
				  const uint8_t session[CHAOSIMG_ID_SIZE])
{
	return ingest_is_binding(b) && !memcmp(b, session, INGEST_BINDING_AT);
}

/** ingest_same() - is a directory's id one of this session's, or directory's? */
static inline bool ingest_same(const uint8_t id[CHAOSIMG_ID_SIZE],
			       const uint8_t other[CHAOSIMG_ID_SIZE])
{
	return !memcmp(id, other, INGEST_TAG);
}

/** ingest_dir_id() - a new id for a session's directory. Return: 0 or -EIO */
int ingest_dir_id(const uint8_t session[CHAOSIMG_ID_SIZE],
		  uint8_t id[CHAOSIMG_ID_SIZE]);

/** ingest_stored_name() - what a session's directory is called in data/ */
void ingest_stored_name(const uint8_t session[CHAOSIMG_ID_SIZE],
			char name[INGEST_NAME_SIZE]);

/**
 * ingest_parse() - the session in a name
 * @prefix: INGEST_STORED or INGEST_SHOWN
 * @name: the name
 * @session: receives its id
 * Return: is it such a name?
 */
bool ingest_parse(const char *prefix, const char *name,
		  uint8_t session[CHAOSIMG_ID_SIZE]);

/**
 * ingest_session_keys() - the keys of a session's names and directories
 * @a: the archive
 * @session: the session's id
 * @out: receives them; they live as long as the archive
 * Return: 0; -EACCES if nothing of its keyset can be opened; -ENOKEY if it is
 * not there, damaged or of another archive; -EIO; -ENOMEM; the system's error.
 */
int ingest_session_keys(struct chaosimg_archive *a,
			const uint8_t session[CHAOSIMG_ID_SIZE],
			const struct name_keys **out);

/** ingest_session_of() - the session of a directory that is in use; NULL if none */
const uint8_t *ingest_session_of(struct chaosimg_archive *a,
				 const uint8_t dir_id[CHAOSIMG_ID_SIZE]);

/** names_of() - the keys for names in a directory */
const struct name_keys *names_of(struct chaosimg_archive *a,
				 const uint8_t dir_id[CHAOSIMG_ID_SIZE]);

/** ingest_sessions_free() - forget all sessions */
void ingest_sessions_free(struct chaosimg_archive *a);

#endif
