// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Keysets' files, written: a wrap of everything under the archive key, one of
 * each compartment's share, and what others want to have in it; by an ingest
 * mount the same under public keys.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config_file.h"
#include "error.h"
#include "hex.h"
#include "ingest.h"
#include "keyring.h"
#include "keyset.h"
#include "keyset_share.h"

static void print_head(FILE *out, const struct chaosimg_archive *a,
		       const struct keyset *ks)
{
	char id[2 * CHAOSIMG_ID_SIZE + 1], archive[sizeof(id)];

	hex_encode(ks->id, sizeof(ks->id), id);
	hex_encode(a->id, sizeof(a->id), archive);
	fprintf(out, "{\n  \"format\": \"%s\",\n  \"version\": %d,\n"
		"  \"id\": \"%s\",\n  \"archive_id\": \"%s\",\n"
		"  \"created\": %" PRIu64 ",\n", KEYSET_FORMAT, KEYSET_VERSION,
		id, archive, ks->created);
	if (*ks->policy)
		fprintf(out, "  \"policy\": \"%s\",\n", ks->policy);
	fprintf(out, "  \"wraps\": [\n");
}

static int print_keyset(FILE *out, const struct chaosimg_archive *a,
			const struct keyset *ks)
{
	uint8_t wrapped[KEYSET_WRAPPED];
	char hex[2 * KEYSET_WRAPPED + 1];
	int ret = keyset_wrap(a->ring, a->id, ks, wrapped);

	if (ret)
		return ret;
	hex_encode(wrapped, KEYSET_WRAPPED, hex);
	fprintf(out, "    {\"under\": \"archive-key\", \"wrapped\": \"%s\"}",
		hex);
	return 0;
}

static int print_ingest(FILE *out, const struct chaosimg_archive *a,
			const struct keyset *ks)
{
	uint8_t wrapped[KEYSET_INGEST_WRAPPED];
	char hex[2 * KEYSET_INGEST_WRAPPED + 1];
	int ret = keyset_wrap_ingest(a, ks, wrapped);

	if (ret)
		return ret;
	hex_encode(wrapped, KEYSET_INGEST_WRAPPED, hex);
	fprintf(out, "    {\"under\": \"archive-public\", \"wrapped\": \"%s\"}",
		hex);
	return 0;
}

static int print_sealed(FILE *out, const struct chaosimg_archive *a,
			const struct keyset *ks, enum chaosimg_compartment c)
{
	uint8_t sealed[SHARE_SEALED_MAX];
	char hex[2 * SHARE_SEALED_MAX + 1];
	int ret = share_seal(a, ks, c, ingest_compartment_key(a->ingest, c),
			     sealed);

	if (ret)
		return ret;
	hex_encode(sealed, share_sealed_size(c), hex);
	fprintf(out, ",\n    {\"under\": \"compartment-public\", \"compartment\": \"%s\", \"wrapped\": \"%s\"}",
		compartment_text(c), hex);
	return 0;
}

static int print_share(FILE *out, const struct chaosimg_archive *a,
		       const struct keyset *ks, enum chaosimg_compartment c)
{
	uint8_t *kek = secret_alloc(CHAOSIMG_KEY_SIZE);
	uint8_t wrapped[SHARE_WRAPPED_MAX];
	char hex[2 * SHARE_WRAPPED_MAX + 1];
	int ret;

	if (!kek)
		return -ENOMEM;
	ret = share_wrapping_key(a->ring, c, kek);
	if (!ret)
		ret = share_wrap(a, ks, c, kek, wrapped);
	secret_free(kek);
	if (ret)
		return ret;
	hex_encode(wrapped, share_wrapped_size(c), hex);
	fprintf(out, ",\n    {\"under\": \"compartment\", \"compartment\": \"%s\", \"wrapped\": \"%s\"}",
		compartment_text(c), hex);
	return 0;
}

static int print(FILE *out, const struct chaosimg_archive *a,
		 const struct keyset *ks, const char *const *more, size_t count)
{
	int c, ret;
	size_t i;

	print_head(out, a, ks);
	ret = a->ingest ? print_ingest(out, a, ks) : print_keyset(out, a, ks);
	for (c = 0; c < COMPARTMENTS && !ret; c++)
		ret = a->ingest ? print_sealed(out, a, ks, c) :
				  print_share(out, a, ks, c);
	for (i = 0; i < count; i++)
		fprintf(out, ",\n    %s", more[i]);
	fprintf(out, "\n  ],\n");
	return ret;
}

static int render(const struct chaosimg_archive *a, const struct keyset *ks,
		  const char *const *more, size_t count, char **text,
		  size_t *len)
{
	FILE *out = open_memstream(text, len);
	int ret;

	if (!out)
		return fail(ENOMEM, "no memory for a keyset");
	ret = print(out, a, ks, more, count);
	if (fclose(out))
		ret = fail(ENOMEM, "no memory for a keyset");
	return ret ? ret : config_checksum_append(text, len);
}

int keyset_store(const struct chaosimg_archive *a, const char *path,
		 const struct keyset *ks, const char *const *more, size_t count)
{
	char name[KEYSET_NAME_SIZE];
	char *text = NULL;
	size_t len;
	int fd, ret;

	ret = render(a, ks, more, count, &text, &len);
	if (!ret && (count > KEYSET_WRAPS_MAX - 1 - COMPARTMENTS ||
		     len > CONFIG_FILE_MAX))
		ret = fail(ENOSPC, "%s: too many wraps for one keyset", path);
	fd = ret ? ret : keysets_open(a, path);
	if (fd >= 0) {
		keyset_name(ks->id, name);
		ret = config_file_write(fd, name, path, text, len);
		close(fd);
	}
	free(text);
	return fd < 0 ? fd : ret;
}
