// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Whole stored files, opened and read through the file layer: raw; and built
 * here from the input, with authentic headers, records and journals that need
 * not fit each other, as left by a crash or made by somebody with the key. Then
 * the input says what is done with the file. What could be read before it was
 * closed can be read after it is opened again, and is the same.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <xxhash.h>

#include "bytes.h"
#include "fixture.h"
#include "file.h"
#include "header.h"

enum {
	CHUNK = FIXTURE_CHUNK,
	RECORD = CHUNK + RECORD_OVERHEAD,
	CHUNKS = 12,
	STORED_MAX = HEADER_SIZE + 3 * CHUNKS * RECORD,
	READ_MAX = 24 * CHUNK,
	UNSEALED_MAX = 1 << 26,		/* bytes that such a file claims */
};

static struct chaosimg_archive *a;
static struct file_keys *keys;
static const uint8_t binding[CHAOSIMG_BINDING_SIZE] = "its name";

/** struct state - what could be read; a chunk that could not is not @good */
struct state {
	uint64_t length;
	bool good[READ_MAX / CHUNK];
	uint8_t data[READ_MAX];
};

static uint8_t stored[STORED_MAX];
static size_t stored_len;

static uint64_t place_of(uint64_t chunk)
{
	return HEADER_SIZE + chunk * RECORD;
}

static size_t length_of(uint64_t length, uint64_t chunk)
{
	uint64_t at = chunk * CHUNK;

	if (at >= length)
		return 0;
	return length - at < CHUNK ? length - at : CHUNK;
}

/* A record for @chunk at @at; its term goes into @mac. */
static void put_record(struct input *in, uint64_t chunk, size_t len, size_t at,
		       uint8_t mac[16])
{
	uint8_t plain[CHUNK], *rec = stored + at, how = take_u8(in);

	if (at + RECORD > sizeof(stored) || how >= 250)
		return;
	memset(plain, how, sizeof(plain));
	if (how & 1)
		must(!record_seal_zero(keys, fixture_id, chunk, len, rec));
	else
		must(!record_seal(keys, fixture_id, chunk, RECORD_FOREIGN, plain,
				  len, rec));
	must(!record_mac_xor(keys, chunk, rec + record_tag_offset(rec, len),
			     mac));
	if (stored_len < at + record_size(len))
		stored_len = at + record_size(len);
	if (how >= 240)
		rec[take_u8(in) % RECORD_ZERO_SIZE] ^= take_u8(in);
}

static void put_journal(struct input *in, struct header *h)
{
	uint8_t count = take_u8(in) % 5, bend = take_u8(in);
	uint64_t at = (stored_len + 4095) / 4096 * 4096, chunk;
	size_t len;

	h->journal.offset = at;
	for (; count; count--) {
		chunk = take_u8(in) % CHUNKS;
		len = length_of(h->length, chunk);
		if (!len || at + 16 + RECORD > sizeof(stored))
			break;
		put_le64(stored + at, chunk);
		put_le32(stored + at + 8, (uint32_t)len);
		put_record(in, chunk, len, at + 16, h->journal.mac);
		at += 16 + record_size(len);
		h->journal.count++;
	}
	h->journal.length = h->journal.count ? at - h->journal.offset : 0;
	if (stored_len < at)
		stored_len = at;
	if (bend == 1)
		h->journal.offset = take_u64(in);
	else if (bend == 2)
		h->journal.length = take_u64(in);
	else if (bend == 3)
		h->journal.count = take_u32(in);
	else if (bend == 4)
		take(in, h->journal.mac, sizeof(h->journal.mac));
}

/* Where they should be, for the most part, but not what the header calls for. */
static void put_parts(struct input *in, struct header *h)
{
	uint8_t bend = take_u8(in);

	for (int i = 0; i < PART_COUNT; i++)
		h->parts.len[i] = take_u16(in) % (2 * CHUNK);
	h->parts.offset = stored_size(h->length, CHUNK);
	h->parts.length = parts_region(h->parts.len, CHUNK);
	if (bend == 1)
		h->parts.offset = take_u64(in);
	else if (bend == 2)
		h->parts.length = take_u64(in) | 1;
	else if (bend == 3)
		h->parts.len[PART_MASK] = take_u32(in);
	if (sealed_size(h) <= sizeof(stored) && bend < 200)
		stored_len = sealed_size(h);
}

static void put_holes(struct input *in, struct header *h)
{
	uint8_t n = take_u8(in) % (HEADER_HOLES + 1), wild = take_u8(in);
	uint64_t at = 0;
	uint32_t i;

	for (i = 0; i < n && i < 4 + (wild & 31u); i++) {
		at += 1 + take_u8(in) % 3;
		h->hole[i].start = wild == 255 ? take_u64(in) >> 1 : at;
		h->hole[i].count = wild == 254 ? take_u64(in) >> 1 | 1 :
						 1 + take_u8(in) % 3;
		at += h->hole[i].count;
	}
	h->holes = i;
}

/** struct slot - of a header: what it says, whether it is there, and a flip */
struct slot {
	struct header h;
	bool missing;
	int flip;	/* the byte in which a bit is wrong, or -1 */
};

/* It may be what holds, and it is not refused for its length. */
static void shorten(struct header *h)
{
	if (h->length > UNSEALED_MAX && h->length <= length_max(CHUNK))
		h->length %= UNSEALED_MAX;
}

static void make_slot(struct input *in, const struct header *base,
		      struct slot *s)
{
	struct header *h = &s->h;
	uint8_t how = take_u8(in);

	*h = *base;
	h->generation = take_u8(in);
	h->sealed = how & 1;
	if (how & 2)
		h->length = take_size(in, CHUNK);
	/* Without holes, what is not there would be looked for chunk by chunk. */
	if (!h->sealed)
		shorten(h);
	if (how & 4)
		put_journal(in, h);
	if (how & 8)
		put_holes(in, h);
	if (how & 16 && h->sealed)
		put_parts(in, h);
	if (how & 32) {
		h->dicom.present = true;
		h->dicom.segments = take_u8(in) % (CHAOSIMG_SEGMENTS_MAX + 1);
		take(in, h->dicom.segment, sizeof(h->dicom.segment[0]) * 4);
	}
	s->missing = (how & 192) == 192;
	s->flip = (how & 192) == 128 ? take_u16(in) % HEADER_SLOT : -1;
}

static void put_slots(struct slot s[HEADER_SLOTS])
{
	/* A sealed one may be what holds behind one that is not. */
	for (int i = 0; i < HEADER_SLOTS; i++)
		if (!s[!i].h.sealed)
			shorten(&s[i].h);
	for (int i = 0; i < HEADER_SLOTS; i++) {
		uint8_t *slot = stored + i * HEADER_SLOT;

		if (s[i].missing)
			continue;
		must(!header_pack(&s[i].h, keys, slot));
		if (s[i].flip >= 0)
			slot[s[i].flip] ^= 1;
	}
}

static void build(struct input *in)
{
	struct header h = { .chunk_size = CHUNK, .bindings = 1 };
	struct slot slot[HEADER_SLOTS];
	uint64_t chunk;

	memcpy(h.file_id, fixture_id, sizeof(h.file_id));
	memcpy(h.keyset_id, fixture_keyset()->id, sizeof(h.keyset_id));
	memcpy(h.binding[0], binding, sizeof(binding));
	h.length = take_u8(in) % (CHUNKS + 1) * CHUNK +
		   (take_u8(in) & 1 ? take_u16(in) % CHUNK : 0);
	stored_len = HEADER_SIZE;
	for (chunk = 0; length_of(h.length, chunk); chunk++)
		put_record(in, chunk, length_of(h.length, chunk),
			   place_of(chunk), h.mac);
	stored_len = place_of(h.length / CHUNK) +
		     (h.length % CHUNK ? record_size(h.length % CHUNK) : 0);
	/* Changing these takes a header of its own: both slots agree. */
	if (take_u8(in) > 200)
		h.bindings = take_u8(in) % (CHAOSIMG_BINDINGS_MAX + 1);
	make_slot(in, &h, &slot[0]);
	make_slot(in, &h, &slot[1]);
	put_slots(slot);
	if (take_u8(in) > 240)
		stored_len = take_u16(in) % sizeof(stored);
}

static void read_state(struct chaosimg_file *f, struct state *s)
{
	uint64_t off;
	ssize_t n;

	memset(s, 0, sizeof(*s));
	s->length = chaosimg_file_length(f);
	for (off = 0; off < READ_MAX && off < s->length; off += CHUNK) {
		n = chaosimg_file_read(f, s->data + off, CHUNK, off);
		must(n == -EIO || n == (ssize_t)length_of(s->length,
							  off / CHUNK));
		s->good[off / CHUNK] = n >= 0;
	}
	must(chaosimg_file_read(f, s->data, CHUNK, s->length) == 0);
	chaosimg_file_seek(f, 0, SEEK_HOLE);
	chaosimg_file_seek(f, s->length / 2, SEEK_DATA);
}

static void compare(const struct state *before, const struct state *after)
{
	uint64_t i;

	must(before->length == after->length);
	for (i = 0; i < READ_MAX / CHUNK; i++) {
		must(before->good[i] == after->good[i]);
		must(!before->good[i] ||
		     !memcmp(before->data + i * CHUNK, after->data + i * CHUNK,
			     CHUNK));
	}
}

static bool one_change(struct chaosimg_file *f, struct input *in)
{
	uint8_t buf[3 * CHUNK];
	size_t len = take_u16(in) % sizeof(buf);
	uint64_t off;
	int ret;

	memset(buf, take_u8(in), len);
	off = take_size(in, CHUNK);
	switch (take_u8(in) % 8) {
	case 0:
	case 1:
		if (off > READ_MAX)
			off %= READ_MAX;
		return chaosimg_file_write(f, buf, len, off) == (ssize_t)len;
	case 2:
		ret = chaosimg_file_truncate(f, off);
		return !ret || ret == -EFBIG;
	case 3:
		return !chaosimg_file_flush(f);
	case 4:
		return !chaosimg_file_sync(f);
	case 5:
		ret = chaosimg_file_allocate(f, FALLOC_FL_PUNCH_HOLE |
					     FALLOC_FL_KEEP_SIZE, off, len + 1);
		return !ret || ret == -EFBIG;
	case 6:
		return !chaosimg_file_bind(f, buf);
	default:
		return !chaosimg_file_unbind(f, buf);
	}
}

static int open_stored(int fd, unsigned int flags, struct chaosimg_file **f)
{
	int ret = chaosimg_file_open(a, dup(fd), binding, flags, f);

	must(!ret || ret == -EIO || ret == -ENOKEY || ret == -EROFS ||
	     ret == -EPROTONOSUPPORT || ret == -EFBIG);
	return ret;
}

static void change(int fd, struct input *in)
{
	static struct state before, after;
	struct chaosimg_file *f;
	bool good = true;
	uint8_t n;

	if (open_stored(fd, CHAOSIMG_FILE_WRITE, &f))
		return;
	for (n = take_u8(in) % 8; n && good; n--)
		good = one_change(f, in);
	read_state(f, &before);
	if (chaosimg_file_close(f) || !good)
		return;
	must(!open_stored(fd, 0, &f));
	read_state(f, &after);
	chaosimg_file_close(f);
	compare(&before, &after);
}

/* Reading alone changes nothing, and says the same twice. */
static void look(int fd)
{
	static struct state first, second;
	struct chaosimg_file_info info;
	struct chaosimg_file *f;
	int i;

	for (i = 0; i < 2; i++) {
		a->flags = CHAOSIMG_ARCHIVE_RDONLY;
		if (open_stored(fd, 0, &f))
			break;
		read_state(f, i ? &second : &first);
		must(!chaosimg_file_info(f, &info));
		must(info.segments <= CHAOSIMG_SEGMENTS_MAX);
		chaosimg_file_verify(f);
		chaosimg_file_close(f);
	}
	a->flags = 0;
	if (i == 2)
		compare(&first, &second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	uint8_t mode = take_u8(&in);
	int fd;

	if (!a) {
		a = fixture_archive();
		a->fd = open(fixture_folder(), O_RDONLY | O_DIRECTORY);
		must(a->fd >= 0);
		must(!file_keys_new(a, fixture_keyset(), fixture_id, &keys));
	}
	memset(stored, 0, sizeof(stored));
	if (mode & 15) {
		build(&in);
	} else {
		stored_len = in.left < sizeof(stored) ? in.left : sizeof(stored);
		take(&in, stored, stored_len);
	}
	fd = fixture_memory(stored, stored_len);
	look(fd);
	change(fd, &in);
	close(fd);
	return 0;
}
