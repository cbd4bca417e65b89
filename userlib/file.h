/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An open stored file, as its parts see it.
 *
 * Locks, in the order in which they are taken:
 *   rw		shared by reads and writes, exclusive for what changes the file
 *		as a whole (commit, truncate, punch)
 *   range	of chunks (file_range.c), like the kernel's page locks: held while
 *		they are read, changed or written; one at a time
 *   header	a header write
 *   sync	a sync, so that none succeeds after another one's failure
 *   lock	the fields marked so below; never held across I/O
 */
#ifndef CHAOSIMG_FILE_H
#define CHAOSIMG_FILE_H

#include <pthread.h>
#include <stdatomic.h>

#include "archive.h"
#include "dicom_outline.h"
#include "header.h"
#include "holes.h"
#include "record.h"

/* For chaosimg_file_open(): leave what a crash left open as it is, to look at. */
#define FILE_AS_IT_IS	(1u << 31)

/**
 * struct dirty - a chunk that is newer in memory than on the disk
 * @chunk: its number
 * @stored_len: plaintext bytes of its record on the disk; 0 if it has none
 * @tag_known: that record was read, and @tag is its tag
 * @tag: see there
 * @data: chunk_size bytes; zeros from the file's end on
 * @index: where it stands in the file's @dirty [lock]
 * @next: in the same bucket [lock]
 */
struct dirty {
	uint64_t chunk;
	uint32_t stored_len;
	bool tag_known;
	uint8_t tag[GCM_TAG_SIZE];
	uint8_t *data;
	size_t index;
	struct dirty *next;
};

struct dicom_mask;	/* dicom_mask.h */
struct file_view;	/* file_view.h */
struct plan;		/* file_seal.c */

/** struct set_run - chunks from @start on, up to the next one's */
struct set_run {
	uint64_t start;
	uint8_t set;
};

/* Besides the sets that there are: not known, and right whatever is wanted. */
enum { SET_UNKNOWN = 0xff, SET_ANY = 0xfe };

/**
 * struct sets - of which compartments the records on the disk are
 * @run: ascending from chunk 0; none if all are of @rest
 * @count: how many they are
 * @room: room in @run
 * @rest: see there
 */
struct sets {
	struct set_run *run;
	size_t count;
	size_t room;
	uint8_t rest;
};

/*
 * Most bytes that wait in memory: for one file, and for the process. Beyond
 * these a writer first writes out what its file has.
 */
enum {
	DIRTY_FILE_MAX = 8 << 20,
	DIRTY_TOTAL_MAX = 32 << 20,
	DIRTY_BUCKETS = 64,
	/* So many wait, though complete, for their compartments to be known. */
	DIRTY_KEPT_MAX = 1 << 20,
};

/**
 * struct range - a run of chunks that somebody works on
 * @first: the first of them
 * @end: the first that is not
 * @write: they are changed, so nobody else may look
 * @next: who came later [lock]
 */
struct range {
	uint64_t first, end;
	bool write;
	struct range *next;
};

/**
 * struct chaosimg_file - an open stored file
 * @a: its archive
 * @fd: the stored file
 * @base: where the stored file begins in @fd
 * @writable: it may be changed
 * @chunk_size: plaintext bytes in a chunk
 * @keys: its own keys
 * @view: how it is shown to who has some keys; NULL: as it is
 * @keyset: they are derived from
 * @rw: see above
 * @header: see above
 * @sync: see above
 * @lock: see above
 * @length: plaintext bytes of the file as it is now [lock]
 * @mac: its incremental MAC [lock]
 * @holes: its holes [lock]
 * @dirty: its chunks that are newer in memory [lock]
 * @dirty_count: how many they are [lock]
 * @dirty_room: room in @dirty [lock]
 * @dirty_bucket: the same chunks by number [lock]
 * @ranges: runs of chunks that are locked or waited for, in order [lock]
 * @freed: one of them was unlocked, or @outline is not blank any more
 * @changed: it differs from @snap [lock]
 * @content_changed: since it was last looked at for DICOM [lock]
 * @writes: counts writes to the stored file [lock]
 * @writes_synced: how many of them a sync has covered [lock]
 * @headers: counts header writes [lock]
 * @headers_synced: how many of them a sync has covered [lock]
 * @filled: a record was written where @snap has a hole [lock]
 * @head: chunk 0 as it was last written, kept for the DICOM parser, or NULL
 * @fresh: bytes of records that the kernel was not yet asked to write [lock]
 * @fresh_at: where the first of them begins [lock]
 * @fresh_end: where the last of them ends [lock]
 * @stored: size of the stored file [lock]
 * @region_at: where its parts begin, or what is left of them; 0 if it has none
 *	[lock]
 * @outline: what is known of a file while it is written [lock]
 * @awaited: its beginning did not come, so nobody waits for it any more [lock]
 * @rules_looked: see rules_apply()
 * @ruled: where a value begins that rules were asked about [lock]
 * @turn: the keyset that it is about to change over to, or NULL [lock]
 * @turn_set: the set of that value then [lock]
 * @sets: of its records [lock]
 * @plan: what it is to be once it is sealed; while it is being sealed [rw]
 * @snap: the last snapshot written to a header slot [rw, header]
 * @slot: the slot that holds it
 * @young: nothing of it was ever sealed or synced, so nothing has to survive
 * @torn: under which keyset's keys the header slots are is not sure: the next one
 *	goes to both [rw, header]
 * @durable: something of @snap or before may have been promised to survive a
 *	power cut, so the order of writes has to be forced
 * @unfinished: a commit broke off between journal and place; @dirty still has
 *	what the journal has, and commit_finish() comes before any change
 * @unsure: a header write failed, so the disk may hold its snapshot or @snap;
 *	the next header that is written settles it [rw, header]
 * @sync_failed: a sync failed, so what was written before it may never reach the
 *	disk, whatever the next one says; file_resync() settles that
 */
struct chaosimg_file {
	struct chaosimg_archive *a;
	int fd;
	uint64_t base;
	bool writable;
	uint32_t chunk_size;
	struct file_keys *keys;
	struct file_view *view;
	const struct keyset *keyset;

	pthread_rwlock_t rw;
	pthread_mutex_t header;
	pthread_mutex_t sync;
	pthread_mutex_t lock;

	uint64_t length;
	uint8_t mac[16];
	struct holes holes;
	struct dirty **dirty;
	size_t dirty_count;
	size_t dirty_room;
	struct dirty *dirty_bucket[DIRTY_BUCKETS];
	struct range *ranges;
	pthread_cond_t freed;
	bool changed;
	bool content_changed;
	uint64_t writes, writes_synced;
	uint64_t headers, headers_synced;
	bool filled;
	uint8_t *head;
	uint64_t fresh, fresh_at, fresh_end;
	uint64_t stored;
	uint64_t region_at;
	struct dicom_outline outline;
	bool awaited;
	uint64_t rules_looked;
	uint64_t ruled;
	const struct keyset *turn;
	uint8_t turn_set;
	struct sets sets;
	struct plan *plan;

	struct header snap;
	int slot;
	_Atomic bool young;
	bool torn;
	_Atomic bool durable;
	_Atomic bool unfinished;
	bool unsure;
	_Atomic bool sync_failed;
};

/* --- file_layout.c: where things are --- */

/** chunk_count() - chunks of a file of @length bytes */
static inline uint64_t chunk_count(uint64_t length, uint32_t chunk_size)
{
	return length / chunk_size + (length % chunk_size != 0);
}

/** chunk_len() - plaintext bytes of chunk @k in a file of @length bytes */
static inline uint32_t chunk_len(uint64_t length, uint32_t chunk_size, uint64_t k)
{
	uint64_t rest;

	if (k >= chunk_count(length, chunk_size))
		return 0;
	rest = length - k * chunk_size;
	return rest < chunk_size ? (uint32_t)rest : chunk_size;
}

/** record_at() - where chunk @k's record begins in the stored file */
static inline uint64_t record_at(uint32_t chunk_size, uint64_t k)
{
	return HEADER_SIZE + k * (chunk_size + (uint64_t)RECORD_OVERHEAD);
}

/** stored_size() - where the last record of a file of @length bytes ends */
uint64_t stored_size(uint64_t length, uint32_t chunk_size);

/**
 * sealed_size() - bytes on the disk of a sealed file
 * @h: its header
 *
 * If it has parts, that is a size that no file without parts has, as the
 * region of the parts need not end where a record could.
 */
uint64_t sealed_size(const struct header *h);

/**
 * stored_refresh() - [lock] look how large the stored file is
 * @f: the file, after a failed change
 */
void stored_refresh(struct chaosimg_file *f);

/** length_max() - the longest plaintext that can be stored */
uint64_t length_max(uint32_t chunk_size);

/* --- file_io.c: whole reads and writes --- */

/** read_full() - pread(2) until @len or the end; bytes read or -errno */
ssize_t read_full(int fd, void *buf, size_t len, uint64_t off);

/** write_full() - pwrite(2) until done; 0 or -errno */
int write_full(int fd, const void *buf, size_t len, uint64_t off);

/** scratch() - this thread's buffer of at least @len bytes, or NULL */
uint8_t *scratch(size_t len);

/** buffer_get() - a zeroed chunk buffer, or NULL; wiped by buffer_put() */
uint8_t *buffer_get(uint32_t chunk_size);
void buffer_put(uint8_t *buf, uint32_t chunk_size);

/* --- file_range.c: locks on chunks --- */

/**
 * range_lock() - wait until nobody else is at these chunks
 * @f: the file
 * @r: which, and what for; stays in use until range_unlock()
 *
 * Who comes later waits for whom it conflicts with, so nobody waits for ever.
 */
void range_lock(struct chaosimg_file *f, struct range *r);

/** range_unlock() - the other way round */
void range_unlock(struct chaosimg_file *f, struct range *r);

/* --- file_dirty.c: chunks that are newer in memory --- */

/** dirty_find() - [lock] */
struct dirty *dirty_find(const struct chaosimg_file *f, uint64_t k);

/** dirty_pressure() - is it time to write out what this file has? */
bool dirty_pressure(struct chaosimg_file *f);

/** dirty_new() - one with zeroed data, or NULL */
struct dirty *dirty_new(struct chaosimg_file *f, uint64_t k);

/** dirty_free() - one that was not inserted, or not any more */
void dirty_free(struct chaosimg_file *f, struct dirty *d);

/** dirty_insert() - from now on it stands for its chunk, which is no hole */
int dirty_insert(struct chaosimg_file *f, struct dirty *d);

/** dirty_drop() - forget it; its record on the disk stays */
void dirty_drop(struct chaosimg_file *f, struct dirty *d);

/** dirty_drop_all() - forget them all */
void dirty_drop_all(struct chaosimg_file *f);

/* --- file_chunk.c: chunks and their records --- */

/**
 * dirty_make() - have chunk @k in memory, ready to be changed
 * @f: the file
 * @k: the chunk's number
 * @whole: all of it will be overwritten, so its bytes need not be read
 * @out: receives it
 *
 * Caller: holds a range with the chunk, or rw, exclusively.
 */
int dirty_make(struct chaosimg_file *f, uint64_t k, bool whole,
	       struct dirty **out);

/**
 * dirty_store() - write its record in its place and account for it
 * @f: the file
 * @d: the chunk; if writing fails, the record that was there is gone
 * @len: plaintext bytes that it now has
 */
int dirty_store(struct chaosimg_file *f, struct dirty *d, uint32_t len);

/** dirty_forget() - take its record on the disk out of the incremental MAC */
int dirty_forget(struct chaosimg_file *f, const struct dirty *d,
		 uint8_t mac[16]);

/**
 * chunks_new() - chunks that may be written in their place
 * @f: the file
 * @k: the first of them
 * @max: how many are asked for
 * Return: how many, from @k on, are neither in memory nor on the disk nor in
 * the snapshot.
 */
size_t chunks_new(struct chaosimg_file *f, uint64_t k, size_t max);

/**
 * chunks_store() - write whole chunks that chunks_new() counted
 * @f: the file
 * @k: the first of them
 * @count: how many
 * @set: for each the compartments that it has bytes of
 * @data: their plaintext
 */
int chunks_store(struct chaosimg_file *f, uint64_t k, size_t count,
		 const uint8_t *set, const uint8_t *data);

/** head_drop() - forget the copy of chunk 0 */
void head_drop(struct chaosimg_file *f);

/**
 * struct loaded - records that were read, in the thread's scratch buffer
 * @first: number of the first one's chunk
 * @count: how many
 * @last_len: plaintext bytes of the last one; the others are of whole chunks
 * @rec: the records
 */
struct loaded {
	uint64_t first;
	size_t count;
	uint32_t last_len;
	uint8_t *rec;
};

/**
 * chunks_load() - read the records of chunks that follow each other
 * @f: the file
 * @k: the first chunk
 * @max: how many are asked for
 * @l: filled in; it has fewer where chunks are holes or in memory, even none
 *
 * Caller: holds a range with the chunks, or rw exclusively; chunks_open() needs
 * neither any more.
 */
int chunks_load(struct chaosimg_file *f, uint64_t k, size_t max,
		struct loaded *l);

/**
 * chunks_open() - authenticate and decrypt what was loaded; once
 * @f: the file
 * @l: the records, clobbered
 * @from: first byte wanted in the first chunk
 * @len: bytes wanted, within those that are loaded
 * @out: receives them
 */
int chunks_open(struct chaosimg_file *f, const struct loaded *l, uint32_t from,
		size_t len, uint8_t *out);

/**
 * chunk_read() - bytes @from .. @from + @len - 1 of chunk @k, within the file
 * @f: the file
 * @k: the chunk's number
 * @from: first byte wanted in the chunk
 * @len: bytes wanted
 * @out: receives @len bytes
 *
 * Caller: holds a range with the chunk, or rw exclusively.
 */
int chunk_read(struct chaosimg_file *f, uint64_t k, uint32_t from, uint32_t len,
	       uint8_t *out);

/** chunk_forget() - take a record on the disk out of the incremental MAC */
int chunk_forget(struct chaosimg_file *f, uint64_t k, uint32_t stored_len,
		 uint8_t mac[16]);

/** in_snapshot() - does the snapshot on the disk rely on chunk @k's record? */
bool in_snapshot(const struct chaosimg_file *f, uint64_t k);

/** file_grow() - make the file at least @length long, with holes */
int file_grow(struct chaosimg_file *f, uint64_t length);

/* --- file_rw.c: reading and writing --- */

/** plain_read() - [rw] @len bytes from @off on, within the file, as they are */
int plain_read(struct chaosimg_file *f, uint8_t *out, size_t len, uint64_t off);

/* --- file_stray.c: bytes where there should be none --- */

/**
 * stray_find() - [rw exclusive] in a hole, or behind a short record
 * @f: the file
 * @from: receives where in the stored file they begin
 * @to: receives where they end
 * Return: 1 if there are some, 0, -errno.
 *
 * A whole record in a hole is none of them: it is what was there before, on a
 * file system that cannot punch holes.
 */
int stray_find(struct chaosimg_file *f, uint64_t *from, uint64_t *to);

/** stray_clear() - [rw exclusive] make all of that zeros. 0 or -errno */
int stray_clear(struct chaosimg_file *f);

/** stray_any() - is there anything in a hole, or might there be? */
bool stray_any(const struct chaosimg_file *f);

/**
 * stray_settle() - [rw exclusive] clear all holes of what a crash left there
 * @f: the file as its newest snapshot says it is, before it is changed
 *
 * Whoever has no key would take that for damage once the file is sealed. Where
 * it cannot be cleared nothing is lost, so that is no error.
 *
 * Return: 0; an error of finishing a commit or of a sync.
 */
int stray_settle(struct chaosimg_file *f);

/* --- file_sets.c: which sets records are under --- */

/** sets_get() - [lock] that of chunk @k; @end receives up to where it is so */
unsigned int sets_get(const struct sets *s, uint64_t k, uint64_t *end);

/** sets_put() - [lock] chunks @k .. @k + @count - 1 are of @set now */
void sets_put(struct sets *s, uint64_t k, uint64_t count, unsigned int set);

/** sets_all() - [lock] all chunks are */
void sets_all(struct sets *s, unsigned int set);

/* --- file_seal.c: masks, parts and sets when a file is sealed --- */

/** set_of_owner() - the compartments that have the bytes of an owner in masks */
unsigned int set_of_owner(unsigned int owner);

/**
 * mask_set() - of which compartments does a chunk have bytes?
 * @m: the file's mask
 * @k: a chunk of it
 * @chunk_size: plaintext bytes in a chunk
 * @end: receives the first chunk behind for which that need not be so
 * Return: the set.
 */
unsigned int mask_set(const struct dicom_mask *m, uint64_t k,
		      uint32_t chunk_size, uint64_t *end);

/** chunk_set() - the set to store a chunk of @len bytes under now */
unsigned int chunk_set(struct chaosimg_file *f, uint64_t k, uint32_t len);

/** sets_adopt() - what the header tells of a file that was just opened */
void sets_adopt(struct chaosimg_file *f);

/** sets_from_parts() - what its mask tells, before the parts go */
void sets_from_parts(struct chaosimg_file *f);

/**
 * plan_begin() - [rw exclusive] find out what the file is to be
 * @f: the file; its DICOM summary is set as well
 * Return: 0, also if that cannot be told; -ENOMEM.
 */
int plan_begin(struct chaosimg_file *f);

/** file_source() - [rw exclusive] the file for the DICOM parser */
struct dicom_source file_source(struct chaosimg_file *f);

/** plan_store() - [rw exclusive] store what is under another set again */
int plan_store(struct chaosimg_file *f);

/** plan_write_parts() - [rw exclusive] write the parts, for the header @h */
int plan_write_parts(struct chaosimg_file *f, struct header *h);

/** plan_end() - [rw exclusive] forget the plan, if there is one */
void plan_end(struct chaosimg_file *f);

/* --- file_policy.c: under which policy a file is --- */

struct rules_outcome;	/* rules.h */

/**
 * policy_keyset() - [rw exclusive] the keyset that rules give to a file
 * @f: the file, whole
 * @out: receives it
 * Return: 0; -ENOKEY if there is no such policy, or rules cannot be used; -errno
 * if it cannot be read; -ENOMEM.
 */
int policy_keyset(struct chaosimg_file *f, const struct keyset **out);

/**
 * policy_turn() - [rw exclusive] have a file change over to another keyset
 * @f: the file; what is stored of it goes back into memory
 * @ks: the keyset
 * Return: is it under it now? It has to be young, and little of it stored.
 */
bool policy_turn(struct chaosimg_file *f, const struct keyset *ks);

/**
 * policy_notice() - what rules say of a file that is being written
 * @f: the file
 * @o: what they say, or NULL
 * @from: where the value begins that the outline came to
 * @set: the compartments that it belongs to, if all is as it should be
 * Return: is it to change over? Then the caller lets policy_follow() do so.
 */
bool policy_notice(struct chaosimg_file *f, const struct rules_outcome *o,
		   uint64_t from, unsigned int set);

/** policy_follow() - do so, if it can; the caller does not hold rw */
void policy_follow(struct chaosimg_file *f);

/**
 * policy_settle() - [rw exclusive] have it under the right policy to be sealed
 * @f: the file
 * @o: what rules say, or NULL
 * Return: NULL if it is; else why not, and all of it has to belong to identity.
 */
const char *policy_settle(struct chaosimg_file *f,
			  const struct rules_outcome *o);

/* --- file_rules.c: rules while a file is being written --- */

/**
 * outline_rules() - let rules say whose the value is that the outline came to
 * @f: the file
 * @data: what is about to be stored, and was fed to the outline
 * @len: its length
 * @off: where it begins in the file
 * Return: as policy_notice()
 */
bool outline_rules(struct chaosimg_file *f, const void *data, size_t len,
		   uint64_t off);

/* --- file_parts.c: what those read who hold some compartments --- */

enum { PART_MAX = 256 << 20 };	/* bytes of one */

/**
 * struct part - a part's plaintext
 * @data: @len bytes
 * @len: its length
 * @room: bytes that there is room for
 */
struct part {
	uint8_t *data;
	size_t len;
	size_t room;
};

/** part_add() - append bytes to a part; -EFBIG if it gets too long, -ENOMEM */
int part_add(struct part *p, const void *data, size_t len);

/** part_free() - wipe and free its bytes; its length stays */
void part_free(struct part *p);

/** parts_free() - wipe and free all, which then are empty */
void parts_free(struct part parts[PART_COUNT]);

/** parts_region() - bytes of the region with parts of these lengths */
uint64_t parts_region(const uint32_t len[PART_COUNT], uint32_t chunk_size);

/** parts_sane() - can what a header says of its parts be true? */
bool parts_sane(const struct header *h);

/**
 * parts_write() - [rw exclusive] write them behind the last record
 * @f: the file; nothing stands there that is needed
 * @parts: their plaintext
 * @h: has the length; receives where they are, unless that fails
 */
int parts_write(struct chaosimg_file *f, const struct part parts[PART_COUNT],
		struct header *h);

/**
 * parts_read() - read and authenticate parts
 * @f: a file that is sealed and not being changed
 * @which: 1 << PART_* | ..
 * @out: receives those, for parts_free()
 * Return: 0; -EIO if they are damaged or not those that the header names, or
 * there are none; -EACCES if a key is not here; -ENOMEM; the system's error.
 */
int parts_read(struct chaosimg_file *f, unsigned int which,
	       struct part out[PART_COUNT]);

/**
 * parts_check_unread() - check what no reader of the parts looks at
 * @f: the file, which has parts
 * Return: 0; -EIO if their checksum is wrong, or something but zeros is behind
 * them; -ENOMEM; the system's error.
 */
int parts_check_unread(struct chaosimg_file *f);
/* --- file_resync.c: after a sync that failed --- */

/**
 * file_rewrite() - [rw exclusive] write anew what the kernel may have dropped
 * @f: the file
 *
 * Return: 0; -EIO if something is lost; another error.
 */
int file_rewrite(struct chaosimg_file *f);

/**
 * file_resync() - [rw exclusive] if a sync has failed: have syncs count again
 * @f: the file; what was durable in it is so again
 *
 * Return: 0; as file_rewrite(); an error of syncing.
 */
int file_resync(struct chaosimg_file *f);

/* --- file_commit.c: snapshots and the journal --- */

enum {
	COMMIT_SEAL = 1,	/* seal it */
	COMMIT_SYNC = 2,	/* it is about to be synced */
};

/**
 * commit() - write what is dirty and a header that says so
 * @f: the file
 * @flags: COMMIT_*
 *
 * Caller: holds rw exclusively. After it the stored file is at one snapshot;
 * until it, the disk is at the one before, whatever happens.
 */
int commit(struct chaosimg_file *f, unsigned int flags);

/** commit_snapshot() - [rw exclusive] the same without sealing or syncing */
int commit_snapshot(struct chaosimg_file *f);

/** parts_written() - [rw exclusive] they were, for @h, or some of them */
void parts_written(struct chaosimg_file *f, const struct header *h);

/** commit_finish() - [rw exclusive] complete a commit that broke off */
int commit_finish(struct chaosimg_file *f);

/**
 * commit_cut() - [rw exclusive] give back what is behind an open file's end
 * @f: the file; if it is durable, its last header is on the disk
 *
 * What grew over an old journal would find it in its holes.
 */
int commit_cut(struct chaosimg_file *f);

/** header_write() - write @h to the next slot, or the same to both */
int header_write(struct chaosimg_file *f, const struct header *h, bool both);

/** mark_open() - before records are written under a sealed header */
int mark_open(struct chaosimg_file *f);

/**
 * data_sync() - fdatasync(2) with the thread's error text
 * @f: the file
 * Return: 0; -errno; -EIO also after one that failed, until file_resync().
 */
int data_sync(struct chaosimg_file *f);

/**
 * journal_check() - is the journal whole and authentic?
 * @f: the file
 * @h: the header that names it
 * Return: 0; -EBADMSG if it is not; another error if that cannot be told.
 */
int journal_check(struct chaosimg_file *f, const struct header *h);

/** journal_overlay() - take the journal's records into memory, to read only */
int journal_overlay(struct chaosimg_file *f, const struct header *h);

/** file_shrink() - [rw exclusive] cut the file in memory; commit() follows */
int file_shrink(struct chaosimg_file *f, uint64_t length);

/**
 * file_cut() - [rw exclusive] end the file at @length, where a record ends
 * @f: the file
 * @length: plaintext bytes that stay
 *
 * Unlike file_shrink() it needs no record to be written anew.
 */
int file_cut(struct chaosimg_file *f, uint64_t length);

/* --- file_verify.c --- */

/**
 * file_verify() - chaosimg_file_verify() that can be watched and stopped
 * @f: the file
 * @step: called after each chunk that has a record; an error ends it; or NULL
 * @ctx: for @step
 */
int file_verify(struct chaosimg_file *f, int (*step)(void *ctx, uint64_t k),
		void *ctx);

#endif
