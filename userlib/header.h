/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A stored file's header: two slots, each a complete snapshot of the file. */
#ifndef CHAOSIMG_HEADER_H
#define CHAOSIMG_HEADER_H

#include "archive.h"
#include "holes.h"
#include "record.h"

enum {
	HEADER_SLOT = 2048,
	HEADER_SLOTS = 2,
	HEADER_SIZE = HEADER_SLOT * HEADER_SLOTS,
	HEADER_HOLES = 32,
	HEADER_VERSION = 1,
};

/**
 * struct journal - records at the end of the stored file that are to replace
 * those in their places
 * @offset: from the stored file's beginning
 * @length: in bytes, 0 if there is none
 * @count: of entries
 * @mac: the incremental MAC over the entries
 */
struct journal {
	uint64_t offset;
	uint64_t length;
	uint32_t count;
	uint8_t mac[16];
};

/* A DICOM file's parts, behind its records: file_parts.c. */
enum {
	PART_MASK,		/* what stands for what a reader has no key for */
	PART_CLINICAL,		/* of chunks of several compartments, the bytes.. */
	PART_IDENTITY,		/* .. of each */
	PART_PIXELS,
	PART_COUNT
};

/**
 * struct parts - where a file's parts are
 * @offset: of the region that they are in, from the stored file's beginning
 * @length: of the region in bytes, 0 if there is none
 * @len: plaintext bytes of each part, which may be 0
 * @mac: the incremental MAC over their records
 */
struct parts {
	uint64_t offset;
	uint64_t length;
	uint32_t len[PART_COUNT];
	uint8_t mac[16];
};

/**
 * struct dicom_summary - what sealing found, packed
 * @present: it is DICOM
 * @unknown: that could not be told, as something of it is damaged
 * @modality: as in struct chaosimg_file_info
 * @transfer_syntax: see there
 * @segments: see there
 * @segment: length << 2 | compartment
 */
struct dicom_summary {
	bool present;
	bool unknown;
	char modality[17];
	char transfer_syntax[65];
	uint32_t segments;
	uint64_t segment[CHAOSIMG_SEGMENTS_MAX];
};

/**
 * struct header - what one slot holds
 * @generation: counts header writes; the valid slot with the higher one holds
 * @file_id: the file's id
 * @keyset_id: of the keyset that its keys come from
 * @chunk_size: plaintext bytes in a chunk
 * @sealed: the stored file's size must be exactly what @length and @parts call
 *	for
 * @length: plaintext bytes
 * @mac: incremental MAC over (chunk, tag) of every record of the snapshot
 * @journal: records that wait for their places; if it is not sealed
 * @parts: its parts; if it is sealed
 * @bindings: how many of @binding are in use
 * @binding: of the names under which it may stand
 * @holes: how many of @hole are in use
 * @hole: chunks without a record, ascending
 * @dicom: what it is
 */
struct header {
	uint64_t generation;
	uint8_t file_id[CHAOSIMG_ID_SIZE];
	uint8_t keyset_id[CHAOSIMG_ID_SIZE];
	uint32_t chunk_size;
	bool sealed;
	uint64_t length;
	uint8_t mac[16];
	struct journal journal;
	struct parts parts;
	uint32_t bindings;
	uint8_t binding[CHAOSIMG_BINDINGS_MAX][CHAOSIMG_BINDING_SIZE];
	uint32_t holes;
	struct hole hole[HEADER_HOLES];
	struct dicom_summary dicom;
};

/** header_pack() - make a slot, under a fresh nonce */
int header_pack(const struct header *h, const struct file_keys *k,
		uint8_t slot[HEADER_SLOT]);

/**
 * header_peek() - read a slot's plain part: keys, layout; not authenticated
 * @slot: as read
 * @h: receives ids, generation, chunk size, length, whether it is sealed, and
 *	where the journal is, or the region of its parts
 * Return: 0; -EIO if it is no header or damaged; -EPROTONOSUPPORT.
 */
int header_peek(const uint8_t slot[HEADER_SLOT], struct header *h);

/**
 * header_unpack() - authenticate and read a slot
 * @slot: clobbered
 * @k: the file's keys
 * @h: receives all of it
 * Return: 0 or -EIO.
 */
int header_unpack(uint8_t slot[HEADER_SLOT], const struct file_keys *k,
		  struct header *h);

/** header_bound() - may the file stand under this name? */
bool header_bound(const struct header *h,
		  const uint8_t binding[CHAOSIMG_BINDING_SIZE]);

#endif
