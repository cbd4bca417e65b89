// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Records: raw; genuine ones that were changed in one place; and such whose
 * outer layer is authentic over anything. Only an unchanged one opens.
 */
#include <errno.h>
#include <string.h>

#include <xxhash.h>

#include "bytes.h"
#include "fixture.h"
#include "record.h"

enum { RAW, CHANGED, OUTER, MODES };

static struct file_keys *keys;
static uint8_t rec[RECORD_OVERHEAD + FIXTURE_CHUNK];
static uint8_t plain[FIXTURE_CHUNK], got[FIXTURE_CHUNK];

static int open_record(uint64_t chunk, size_t len, bool in_place)
{
	int ret = record_open(keys, fixture_id, chunk, rec, len,
			      in_place ? NULL : got);

	if (in_place && !ret)
		memcpy(got, rec + RECORD_PREFIX + RECORD_HEAD, len);
	must(!ret || ret == -EIO);
	return ret;
}

static size_t seal(struct input *in, uint64_t chunk, size_t len)
{
	if (take_u8(in) & 1) {
		memset(plain, 0, len);
		must(!record_seal_zero(keys, fixture_id, chunk, len, rec));
		return RECORD_ZERO_SIZE;
	}
	take(in, plain, len);
	must(!record_seal(keys, fixture_id, chunk, len % RECORD_SETS, plain, len,
			  rec));
	return record_size(len);
}

/* One bit, another chunk or another length; the checksum is for scrubbing. */
static void changed(struct input *in, uint64_t chunk, size_t len)
{
	uint8_t how = take_u8(in), bit = take_u8(in);
	uint16_t at = take_u16(in);
	size_t size = seal(in, chunk, len), other = len;
	bool same = false;

	if (how == 1) {
		chunk ^= 1ull << bit % 64;
	} else if (how == 2) {
		other = 1 + at % FIXTURE_CHUNK;
		same = other == len;
	} else if (how) {
		rec[at % size] ^= 1 << bit % 8;
		same = at % size >= size - RECORD_CHECKSUM;
	} else {
		same = true;
	}
	must(!open_record(chunk, other, bit & 8) == same);
	must(!same || !memcmp(got, plain, len));
}

static void outer(struct input *in, uint64_t chunk, size_t len)
{
	const struct record_keys *k;
	uint8_t aad[32];
	size_t size = len + RECORD_HEAD;
	bool zero;

	take(in, rec, 16);
	rec[0] %= RECORD_SETS + 1;
	must(!file_keys_of(keys, rec[0] % RECORD_SETS, &k));
	rec[1] = rec[1] > 2 ? 0 : rec[1];
	rec[2] = rec[3] = 0;
	zero = record_is_zero(rec);
	take(in, rec + RECORD_PREFIX, zero ? 0 : size);
	memcpy(aad, fixture_id, 16);
	put_le64(aad + 16, chunk);
	memcpy(aad + 24, rec, 4);
	put_le32(aad + 28, (uint32_t)len);
	size = zero ? 0 : size;
	must(!gcm_encrypt(&k->outer, rec + 4, aad, sizeof(aad),
			  rec + RECORD_PREFIX, size,
			  rec + RECORD_PREFIX + size));
	size += RECORD_PREFIX + GCM_TAG_SIZE;
	put_le64(rec + size, XXH3_64bits(rec, size));
	/* A record of zeros has no inner layer. */
	must(!open_record(chunk, len, false) == (zero && !rec[0]));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	uint8_t mode = take_u8(&in) % MODES;
	uint64_t chunk = take_u8(&in);
	size_t len = 1 + take_u16(&in) % FIXTURE_CHUNK;

	if (!keys)
		must(!file_keys_new(fixture_archive(), fixture_keyset(),
				    fixture_id, &keys));
	memset(rec, 0, sizeof(rec));
	if (mode == CHANGED) {
		changed(&in, chunk, len);
	} else if (mode == OUTER) {
		outer(&in, chunk, len);
	} else {
		take(&in, rec, record_size(len));
		must(record_tag_offset(rec, len) + GCM_TAG_SIZE +
		     RECORD_CHECKSUM <= record_size(len));
		must(open_record(chunk, len, true) == -EIO);
	}
	return 0;
}
