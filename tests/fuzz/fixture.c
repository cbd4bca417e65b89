// SPDX-License-Identifier: GPL-2.0-or-later
/* What the fuzz targets share. */
#include <ftw.h>
#include <sanitizer/lsan_interface.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fixture.h"
#include "keyring.h"

const uint8_t fixture_id[CHAOSIMG_ID_SIZE] = "fixture archive";
const uint8_t fixture_key[CHAOSIMG_KEY_SIZE] = "a key that everybody may know..";

static char folder[128];
static int folder_level;

void fixture_blind(bool on)
{
	if (on)
		__lsan_disable();
	else
		__lsan_enable();
}

struct chaosimg_archive *fixture_archive(void)
{
	struct chaosimg_archive *a;

	fixture_blind(true);
	must(!archive_new(fixture_id, fixture_key, FIXTURE_CHUNK, &a));
	must(!keyring_add(a->ring, fixture_keyset()));
	fixture_blind(false);
	return a;
}

const struct keyset *fixture_keyset(void)
{
	static struct keyset ks = {
		.id = "fixture keyset.", .created = 1, .held = HELD_ALL
	};

	memset(ks.key, 0x5a, sizeof(ks.key));
	return &ks;
}

static int remove_one(const char *path, const struct stat *st, int type,
		      struct FTW *ftw)
{
	(void)st;
	(void)type;
	return ftw->level > folder_level ? remove(path) : 0;
}

void fixture_empty(const char *path)
{
	folder_level = 0;
	nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void remove_folder(void)
{
	folder_level = -1;
	nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

const char *fixture_folder(void)
{
	const char *tmp = getenv("TMPDIR");

	if (*folder)
		return folder;
	if (!tmp)
		tmp = access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm";
	snprintf(folder, sizeof(folder), "%.80s/chaosimg-fuzz.XXXXXX", tmp);
	must(mkdtemp(folder));
	atexit(remove_folder);
	return folder;
}

int fixture_memory(const void *p, size_t len)
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC);

	must(fd >= 0);
	must(write(fd, p, len) == (ssize_t)len);
	must(!lseek(fd, 0, SEEK_SET));
	return fd;
}

void take(struct input *in, void *out, size_t len)
{
	size_t n = len < in->left ? len : in->left;

	memcpy(out, in->p, n);
	memset((uint8_t *)out + n, 0, len - n);
	in->p += n;
	in->left -= n;
}

uint8_t take_u8(struct input *in)
{
	uint8_t v;

	take(in, &v, sizeof(v));
	return v;
}

uint16_t take_u16(struct input *in)
{
	uint16_t v;

	take(in, &v, sizeof(v));
	return v;
}

uint32_t take_u32(struct input *in)
{
	uint32_t v;

	take(in, &v, sizeof(v));
	return v;
}

uint64_t take_u64(struct input *in)
{
	uint64_t v;

	take(in, &v, sizeof(v));
	return v;
}

uint64_t take_size(struct input *in, uint64_t unit)
{
	uint8_t how = take_u8(in);

	switch (how & 3) {
	case 0:
		return how >> 2;
	case 1:
		return take_u16(in);
	case 2:
		return (how >> 2) * unit + (int8_t)take_u8(in) / 8;
	default:
		return how >> 2 == 63 ? take_u64(in) : (how >> 2) * unit;
	}
}
