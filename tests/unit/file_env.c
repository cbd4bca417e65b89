// SPDX-License-Identifier: GPL-2.0-or-later
/* What the tests of stored files share. */
#include <fcntl.h>
#include <string.h>

#include "file_env.h"

struct chaosimg_archive *file_env_archive(uint32_t chunk_size)
{
	static const uint8_t id[CHAOSIMG_ID_SIZE] = "test archive id";
	uint8_t key[CHAOSIMG_KEY_SIZE] = "test archive key";
	struct keyset ks = {
		.id = "test keyset id", .created = 1, .held = HELD_ALL
	};
	struct chaosimg_archive *archive;

	memset(ks.key, 0x5a, sizeof(ks.key));
	for (int i = 0; i < KEY_COUNT; i++)
		ks.key[i][0] = i;
	if (archive_new(id, key, chunk_size, &archive))
		return NULL;
	/* A descriptor makes the archive one that files can be written to. */
	archive->fd = open("/tmp", O_RDONLY | O_DIRECTORY);
	if (archive->fd < 0 || keyring_add(archive->ring, &ks)) {
		chaosimg_archive_close(archive);
		return NULL;
	}
	return archive;
}
