// SPDX-License-Identifier: GPL-2.0-or-later
/* What the tests of names, directory ids, links and attributes share. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "names_env.h"
#include "rng.h"

static char path[] = "/tmp/test_names.XXXXXX";

int names_env_open(struct chaosimg_archive **archive,
		   struct chaosimg_archive **other, int *top)
{
	uint8_t id[CHAOSIMG_ID_SIZE], key[CHAOSIMG_KEY_SIZE];

	memset(id, 0x11, sizeof(id));
	memset(key, 0x22, sizeof(key));
	if (archive_new(id, key, CHAOSIMG_CHUNK_DEFAULT, archive))
		return -1;
	key[31] ^= 1;
	if (archive_new(id, key, CHAOSIMG_CHUNK_DEFAULT, other))
		return -1;
	if (!top)
		return 0;
	if (!mkdtemp(path))
		return -1;
	*top = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return *top < 0 ? -1 : 0;
}

int names_env_close(struct chaosimg_archive *archive,
		    struct chaosimg_archive *other, int top)
{
	chaosimg_archive_close(archive);
	chaosimg_archive_close(other);
	if (top < 0)
		return 0;
	close(top);
	return rmdir(path);
}

void names_random(uint64_t *state, size_t len, char *out)
{
	size_t i = 0;

	while (i < len) {
		uint8_t c = (uint8_t)(rng_next(state) >> 32);

		if (c && c != '/' && c != '.')
			out[i++] = (char)c;
	}
	out[len] = '\0';
}

bool names_has_run_of(const char *stored, const char *plain, size_t run)
{
	char part[16];
	size_t i;

	for (i = 0; i + run <= strlen(plain); i++) {
		memcpy(part, plain + i, run);
		part[run] = '\0';
		if (strstr(stored, part))
			return true;
	}
	return false;
}
