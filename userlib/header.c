// SPDX-License-Identifier: GPL-2.0-or-later
/* A stored file's header: two slots, each a complete snapshot of the file. */
#include <errno.h>
#include <string.h>

#include <openssl/crypto.h>
#include <xxhash.h>

#include "bytes.h"
#include "error.h"
#include "header.h"

static const uint8_t magic[8] = { 'C', 'H', 'A', 'O', 'S', 'I', 'M', 'G' };

/* Offsets of the plain part, which the tag covers as associated data. */
enum {
	AT_MAGIC = 0,
	AT_VERSION = 8,
	AT_SLOT_SIZE = 10,
	AT_CHUNK_SIZE = 12,
	AT_FILE_ID = 16,
	AT_KEYSET_ID = 32,
	AT_GENERATION = 48,
	AT_NONCE = 56,
	AT_FLAGS = 68,
	AT_LENGTH = 72,
	AT_EXTRA_OFFSET = 80,	/* the journal, or the parts' region */
	AT_EXTRA_LENGTH = 88,
	AT_BODY = 96,
	BODY_SIZE = HEADER_SLOT - AT_BODY - GCM_TAG_SIZE - RECORD_CHECKSUM,
	AT_TAG = AT_BODY + BODY_SIZE,
	AT_CHECKSUM = AT_TAG + GCM_TAG_SIZE,

	FLAG_SEALED = 1,
	FLAG_PARTS = 2,
};

/* Offsets in the encrypted part. */
enum {
	IN_FLAGS = 0,
	IN_BINDINGS = 1,
	IN_HOLES = 2,
	IN_SEGMENTS = 3,
	IN_MAC = 16,
	IN_PARTS = 32,
	IN_JOURNAL_COUNT = 48,
	IN_JOURNAL_MAC = 56,
	IN_BINDING = 72,
	IN_HOLE = IN_BINDING + CHAOSIMG_BINDINGS_MAX * CHAOSIMG_BINDING_SIZE,
	IN_MODALITY = IN_HOLE + HEADER_HOLES * 16,
	IN_TRANSFER_SYNTAX = IN_MODALITY + 16,
	IN_SEGMENT = IN_TRANSFER_SYNTAX + 64,
	IN_PARTS_MAC = IN_SEGMENT + CHAOSIMG_SEGMENTS_MAX * 8,
	IN_END = IN_PARTS_MAC + 16,

	IN_FLAG_DICOM = 2,
	IN_FLAG_UNKNOWN = 4,
};

_Static_assert((int)IN_END <= (int)BODY_SIZE, "the header's body must fit its slot");

static void pack_body(const struct header *h, uint8_t *b)
{
	memset(b, 0, BODY_SIZE);
	b[IN_FLAGS] = (h->dicom.present ? IN_FLAG_DICOM : 0) |
		      (h->dicom.unknown ? IN_FLAG_UNKNOWN : 0);
	b[IN_BINDINGS] = h->bindings;
	b[IN_HOLES] = h->holes;
	b[IN_SEGMENTS] = h->dicom.segments;
	memcpy(b + IN_MAC, h->mac, 16);
	put_le32(b + IN_JOURNAL_COUNT, h->journal.count);
	memcpy(b + IN_JOURNAL_MAC, h->journal.mac, 16);
	memcpy(b + IN_BINDING, h->binding, h->bindings * CHAOSIMG_BINDING_SIZE);
	for (uint32_t i = 0; i < h->holes; i++) {
		put_le64(b + IN_HOLE + i * 16, h->hole[i].start);
		put_le64(b + IN_HOLE + i * 16 + 8, h->hole[i].count);
	}
	memcpy(b + IN_MODALITY, h->dicom.modality, 16);
	memcpy(b + IN_TRANSFER_SYNTAX, h->dicom.transfer_syntax, 64);
	for (uint32_t i = 0; i < h->dicom.segments; i++)
		put_le64(b + IN_SEGMENT + i * 8, h->dicom.segment[i]);
	for (int i = 0; i < PART_COUNT; i++)
		put_le32(b + IN_PARTS + i * 4, h->parts.len[i]);
	memcpy(b + IN_PARTS_MAC, h->parts.mac, 16);
}

/* What tells how the stored file is laid out: to be had without a key. */
static void pack_plain(const struct header *h, uint8_t slot[HEADER_SLOT])
{
	bool parts = h->parts.length;

	memset(slot, 0, AT_BODY);
	memcpy(slot + AT_MAGIC, magic, sizeof(magic));
	put_le16(slot + AT_VERSION, HEADER_VERSION);
	put_le16(slot + AT_SLOT_SIZE, HEADER_SLOT);
	put_le32(slot + AT_CHUNK_SIZE, h->chunk_size);
	memcpy(slot + AT_FILE_ID, h->file_id, CHAOSIMG_ID_SIZE);
	memcpy(slot + AT_KEYSET_ID, h->keyset_id, CHAOSIMG_ID_SIZE);
	put_le64(slot + AT_GENERATION, h->generation);
	put_le32(slot + AT_FLAGS, (h->sealed ? FLAG_SEALED : 0) |
				  (parts ? FLAG_PARTS : 0));
	put_le64(slot + AT_LENGTH, h->length);
	put_le64(slot + AT_EXTRA_OFFSET, parts ? h->parts.offset :
					 h->journal.offset);
	put_le64(slot + AT_EXTRA_LENGTH, parts ? h->parts.length :
					 h->journal.length);
}

int header_pack(const struct header *h, const struct file_keys *k,
		uint8_t slot[HEADER_SLOT])
{
	int err;

	pack_plain(h, slot);
	err = random_public(slot + AT_NONCE, GCM_NONCE_SIZE);
	if (err)
		return err;
	pack_body(h, slot + AT_BODY);
	err = gcm_encrypt(&k->header, slot + AT_NONCE, slot, AT_BODY,
			  slot + AT_BODY, BODY_SIZE, slot + AT_TAG);
	if (!err)
		put_le64(slot + AT_CHECKSUM, XXH3_64bits(slot, AT_CHECKSUM));
	return err;
}

/* Bytes 80 .. 95: the journal's of an open file, the parts' of a sealed one. */
static bool unpack_extra(struct header *h, const uint8_t *slot)
{
	uint64_t offset = get_le64(slot + AT_EXTRA_OFFSET);
	uint64_t length = get_le64(slot + AT_EXTRA_LENGTH);
	uint32_t flags = get_le32(slot + AT_FLAGS);

	if (flags & ~(FLAG_SEALED | FLAG_PARTS))
		return false;
	h->sealed = flags & FLAG_SEALED;
	if (!(flags & FLAG_PARTS)) {
		h->journal.offset = offset;
		h->journal.length = length;
		return true;
	}
	h->parts.offset = offset;
	h->parts.length = length;
	return h->sealed && length;
}

int header_peek(const uint8_t slot[HEADER_SLOT], struct header *h)
{
	uint16_t version = get_le16(slot + AT_VERSION);

	memset(h, 0, sizeof(*h));
	if (memcmp(slot + AT_MAGIC, magic, sizeof(magic)))
		return fail(EIO, "header: not a stored file, or damaged");
	if (XXH3_64bits(slot, AT_CHECKSUM) != get_le64(slot + AT_CHECKSUM))
		return fail(EIO, "header: damaged on the disk");
	if (version > HEADER_VERSION)
		return fail(EPROTONOSUPPORT,
			    "header: format version %u is newer than this program",
			    version);
	if (version != HEADER_VERSION ||
	    get_le16(slot + AT_SLOT_SIZE) != HEADER_SLOT ||
	    !unpack_extra(h, slot))
		return fail(EIO, "header: damaged");
	h->chunk_size = get_le32(slot + AT_CHUNK_SIZE);
	memcpy(h->file_id, slot + AT_FILE_ID, CHAOSIMG_ID_SIZE);
	memcpy(h->keyset_id, slot + AT_KEYSET_ID, CHAOSIMG_ID_SIZE);
	h->generation = get_le64(slot + AT_GENERATION);
	h->length = get_le64(slot + AT_LENGTH);
	return 0;
}

/* Authentic, but checked all the same: nothing here may index out of bounds. */
static bool unpack_body(struct header *h, const uint8_t *b)
{
	h->dicom.present = b[IN_FLAGS] & IN_FLAG_DICOM;
	h->dicom.unknown = b[IN_FLAGS] & IN_FLAG_UNKNOWN;
	h->bindings = b[IN_BINDINGS];
	h->holes = b[IN_HOLES];
	h->dicom.segments = b[IN_SEGMENTS];
	if ((b[IN_FLAGS] & ~(IN_FLAG_DICOM | IN_FLAG_UNKNOWN)) ||
	    h->bindings > CHAOSIMG_BINDINGS_MAX ||
	    h->holes > HEADER_HOLES || h->dicom.segments > CHAOSIMG_SEGMENTS_MAX)
		return false;
	memcpy(h->mac, b + IN_MAC, 16);
	h->journal.count = get_le32(b + IN_JOURNAL_COUNT);
	memcpy(h->journal.mac, b + IN_JOURNAL_MAC, 16);
	memcpy(h->binding, b + IN_BINDING, h->bindings * CHAOSIMG_BINDING_SIZE);
	for (uint32_t i = 0; i < h->holes; i++) {
		h->hole[i].start = get_le64(b + IN_HOLE + i * 16);
		h->hole[i].count = get_le64(b + IN_HOLE + i * 16 + 8);
		if (!h->hole[i].count ||
		    h->hole[i].start + h->hole[i].count < h->hole[i].start)
			return false;
	}
	memcpy(h->dicom.modality, b + IN_MODALITY, 16);
	memcpy(h->dicom.transfer_syntax, b + IN_TRANSFER_SYNTAX, 64);
	for (uint32_t i = 0; i < h->dicom.segments; i++)
		h->dicom.segment[i] = get_le64(b + IN_SEGMENT + i * 8);
	for (int i = 0; i < PART_COUNT; i++)
		h->parts.len[i] = get_le32(b + IN_PARTS + i * 4);
	memcpy(h->parts.mac, b + IN_PARTS_MAC, 16);
	return true;
}

int header_unpack(uint8_t slot[HEADER_SLOT], const struct file_keys *k,
		  struct header *h)
{
	int err;
	bool sane;

	err = header_peek(slot, h);
	if (err)
		return err;
	if (gcm_decrypt(&k->header, slot + AT_NONCE, slot, AT_BODY,
			slot + AT_BODY, BODY_SIZE, slot + AT_TAG))
		return fail(EIO, "header: authentication failed (tampered with, or of another archive)");
	sane = unpack_body(h, slot + AT_BODY);
	OPENSSL_cleanse(slot + AT_BODY, BODY_SIZE);
	return sane ? 0 : fail(EIO, "header: nonsense in an authentic header");
}

bool header_bound(const struct header *h,
		  const uint8_t binding[CHAOSIMG_BINDING_SIZE])
{
	for (uint32_t i = 0; i < h->bindings; i++)
		if (!memcmp(h->binding[i], binding, CHAOSIMG_BINDING_SIZE))
			return true;
	return false;
}
