// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A stored file's header: raw; with its checksum; and authentic, with a plain
 * part and a body of the input's choice, as only a key's holder could make it.
 */
#include <errno.h>
#include <string.h>

#include <xxhash.h>

#include "bytes.h"
#include "fixture.h"
#include "header.h"

enum { CHECKSUM = 1, SEALED = 2 };
/* archive-format.rst; only a sealed file has parts */
enum { PLAIN = 96, BODY = 1928, NONCE = 56, PARTS = 2, FLAGS = 3 };

static struct file_keys *keys;

static void seal(uint8_t slot[HEADER_SLOT])
{
	must(!gcm_encrypt(&keys->header, slot + NONCE, slot, PLAIN,
			  slot + PLAIN, BODY, slot + PLAIN + BODY));
}

static void check(const struct header *h)
{
	uint8_t slot[HEADER_SLOT];
	struct header again;
	uint32_t i;

	must(h->bindings <= CHAOSIMG_BINDINGS_MAX);
	must(h->holes <= HEADER_HOLES);
	must(h->dicom.segments <= CHAOSIMG_SEGMENTS_MAX);
	for (i = 0; i < h->holes; i++)
		must(h->hole[i].count &&
		     h->hole[i].start + h->hole[i].count > h->hole[i].start);
	must(!h->dicom.modality[sizeof(h->dicom.modality) - 1]);
	must(!h->dicom.transfer_syntax[sizeof(h->dicom.transfer_syntax) - 1]);
	must(!header_pack(h, keys, slot));
	must(!header_unpack(slot, keys, &again));
	must(!memcmp(h, &again, sizeof(again)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t slot[HEADER_SLOT];
	struct input in = { data, size };
	struct header h;
	uint8_t mode = take_u8(&in);
	int ret;

	if (!keys)
		must(!file_keys_new(fixture_archive(), fixture_keyset(),
				    fixture_id, &keys));
	take(&in, slot, sizeof(slot));
	if (mode & SEALED) {
		memcpy(slot, "CHAOSIMG\1\0\0\10", 12);
		put_le32(slot + 68, slot[68] & PARTS ? FLAGS : slot[68] & 1);
		slot[88] |= slot[68] & PARTS;	/* parts have a length */
		slot[PLAIN] &= 6;
		slot[PLAIN + 1] %= CHAOSIMG_BINDINGS_MAX + 2;
		slot[PLAIN + 2] %= HEADER_HOLES + 2;
		slot[PLAIN + 3] %= CHAOSIMG_SEGMENTS_MAX + 2;
		seal(slot);
	}
	if (mode & (SEALED | CHECKSUM))
		put_le64(slot + HEADER_SLOT - 8,
			 XXH3_64bits(slot, HEADER_SLOT - 8));
	ret = header_peek(slot, &h);
	must(!ret || ret == -EIO || ret == -EPROTONOSUPPORT);
	must(!(mode & SEALED) || !ret);
	ret = header_unpack(slot, keys, &h);
	must(!ret || ret == -EIO || ret == -EPROTONOSUPPORT);
	must(ret || mode & SEALED);
	if (!ret)
		check(&h);
	return 0;
}
