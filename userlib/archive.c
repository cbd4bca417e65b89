// SPDX-License-Identifier: GPL-2.0-or-later
/* An archive's life: made, opened, closed. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "archive.h"
#include "error.h"
#include "ingest.h"
#include "ingest_session.h"
#include "keyring.h"
#include "rules.h"

static int new_archive(const uint8_t id[CHAOSIMG_ID_SIZE], uint32_t chunk_size,
		       struct chaosimg_archive **out)
{
	struct chaosimg_archive *a = calloc(1, sizeof(*a));
	int ret;

	if (!a)
		return fail(ENOMEM, "no memory for an archive");
	a->fd = a->data_fd = a->lock_fd = -1;
	clock_gettime(CLOCK_REALTIME, &a->since);
	pthread_mutex_init(&a->keysets, NULL);
	memcpy(a->id, id, sizeof(a->id));
	a->chunk_size = chunk_size;
	ret = chaosimg_archive_set_cipher(a, NULL);
	if (!ret)
		ret = rules_use_new(a);
	if (ret)
		chaosimg_archive_close(a);
	else
		*out = a;
	return ret;
}

int archive_new(const uint8_t id[CHAOSIMG_ID_SIZE],
		const uint8_t key[CHAOSIMG_KEY_SIZE], uint32_t chunk_size,
		struct chaosimg_archive **out)
{
	struct chaosimg_archive *a;
	int ret = new_archive(id, chunk_size, &a);

	if (ret)
		return ret;
	a->held = HELD_ALL;
	ret = keyring_new(key, &a->ring);
	if (!ret)
		ret = names_init(a);
	if (ret)
		chaosimg_archive_close(a);
	else
		*out = a;
	return ret;
}

int archive_new_partial(const uint8_t id[CHAOSIMG_ID_SIZE],
			const struct chaosimg_credential *cred,
			uint32_t chunk_size, struct chaosimg_archive **out)
{
	struct chaosimg_archive *a;
	int ret = new_archive(id, chunk_size, &a);

	if (ret)
		return ret;
	ret = keyring_new_partial(cred, &a->ring);
	if (ret)
		chaosimg_archive_close(a);
	else
		*out = a;
	return ret;
}

int archive_new_ingest(struct ingest_params *p, uint32_t epoch,
		       struct chaosimg_archive **out)
{
	struct chaosimg_archive *a;
	int ret = new_archive(p->archive_id, p->chunk_size, &a);

	if (ret)
		return ret;
	a->held = HELD_ALL;
	ret = ingest_new(epoch, &a->ingest);
	if (!ret)
		ret = keyring_new_ingest(ingest_names(a->ingest),
					 ingest_dir_mac(a->ingest), &a->ring);
	if (!ret)
		ret = names_init(a);
	if (ret) {
		chaosimg_archive_close(a);
		return ret;
	}
	rules_use_fixed(a, p->rules);
	ingest_adopt(a->ingest, p);
	*out = a;
	return 0;
}

static void close_fd(int fd)
{
	if (fd >= 0)
		close(fd);
}

void chaosimg_archive_close(struct chaosimg_archive *a)
{
	if (!a)
		return;
	names_free(a->names);
	ingest_sessions_free(a);
	ingest_free(a->ingest);
	rules_use_free(a);
	keyring_free(a->ring);
	close_fd(a->data_fd);
	close_fd(a->fd);
	/* Last: the next writer may come in now. */
	close_fd(a->lock_fd);
	pthread_mutex_destroy(&a->keysets);
	free(a);
}

int chaosimg_archive_data_fd(const struct chaosimg_archive *a)
{
	return a->data_fd;
}

uint32_t chaosimg_archive_chunk_size(const struct chaosimg_archive *a)
{
	return a->chunk_size;
}

bool chaosimg_archive_readonly(const struct chaosimg_archive *a)
{
	return a->flags & CHAOSIMG_ARCHIVE_RDONLY;
}

unsigned int chaosimg_archive_held(const struct chaosimg_archive *a)
{
	return a->held;
}

int chaosimg_archive_set_cipher(struct chaosimg_archive *a, const char *impl)
{
	const struct inner_impl *inner = inner_find(impl);

	if (!inner)
		return fail(ENOENT, "%s: no such cipher implementation here",
			    impl ? impl : "chaosimg");
	a->inner = inner;
	return 0;
}
