// SPDX-License-Identifier: GPL-2.0-or-later
/* How chaosimg info and chaosimg key list look, for people. */
#include <inttypes.h>
#include <stdio.h>

#include "tool.h"

static void field(const char *name, const char *value)
{
	char shown[17000];

	escape(shown, sizeof(shown), value);
	printf("%-16s %s\n", name, shown);
}

static void field_id(const char *name, const uint8_t id[CHAOSIMG_ID_SIZE])
{
	char hex[2 * CHAOSIMG_ID_SIZE + 1];

	bytes_to_hex(id, CHAOSIMG_ID_SIZE, hex);
	field(name, hex);
}

static void field_number(const char *name, uint64_t value, const char *unit)
{
	printf("%-16s %" PRIu64 "%s\n", name, value, unit);
}

const char *slot_type_name(enum chaosimg_slot_type type)
{
	return type == CHAOSIMG_SLOT_KEYFILE ? "keyfile" : "passphrase";
}

const char *compartment_name(enum chaosimg_compartment compartment)
{
	switch (compartment) {
	case CHAOSIMG_CLINICAL:
		return "clinical";
	case CHAOSIMG_IDENTITY:
		return "identity";
	case CHAOSIMG_PIXELS:
		return "pixels";
	}
	return "unknown";
}

const char *found_type_name(enum found_type type)
{
	switch (type) {
	case FOUND_DIRECTORY:
		return "directory";
	case FOUND_SYMLINK:
		return "symlink";
	default:
		return "file";
	}
}

void print_slots(const struct chaosimg_archive_info *info)
{
	const struct chaosimg_slot_info *s;
	char created[32];

	puts("SLOT  TYPE        CREATED               ARGON2ID");
	for (s = info->slot; s < info->slot + info->slots; s++) {
		format_time(s->created, created);
		printf("%4" PRIu32 "  %-10s  %-20s ", s->id,
		       slot_type_name(s->type), created);
		if (s->argon2_time)
			printf(" %" PRIu32 " passes, %" PRIu32 " KiB, %" PRIu32
			       " lanes\n", s->argon2_time, s->argon2_memory,
			       s->argon2_lanes);
		else
			puts(" -");
	}
}

int print_archive(const char *path, const struct chaosimg_archive_info *info)
{
	char created[32];

	format_time(info->created, created);
	field("archive", path);
	field_id("archive id", info->id);
	field_number("format version", info->version, "");
	field("created", created);
	field_number("chunk size", info->chunk_size, " bytes");
	field_number("keysets", info->keysets, "");
	field_number("key slots", info->slots, "");
	putchar('\n');
	print_slots(info);
	return DONE;
}

static void print_segments(const struct chaosimg_file_info *info)
{
	uint64_t offset = 0;
	uint32_t i;

	field_number("segments", info->segments, "");
	if (!info->segments)
		return;
	printf("\n%16s %16s  COMPARTMENT\n", "OFFSET", "LENGTH");
	for (i = 0; i < info->segments; i++) {
		printf("%16" PRIu64 " %16" PRIu64 "  %s\n", offset,
		       info->segment[i].length,
		       compartment_name(info->segment[i].compartment));
		offset += info->segment[i].length;
	}
}

static void print_dicom(const struct chaosimg_file_info *info)
{
	const char *name = transfer_syntax_name(info->transfer_syntax);
	char syntax[160];

	field("DICOM", info->dicom ? "yes" : "no");
	if (!info->dicom)
		return;
	snprintf(syntax, sizeof(syntax), "%s (%s)", info->transfer_syntax,
		 name ? name : "unknown");
	field("modality", *info->modality ? info->modality : "-");
	field("transfer syntax", syntax);
}

int print_file(const struct found *found, const struct chaosimg_file_info *info)
{
	field("path", found->plain);
	field("stored as", found->stored);
	field("type", found_type_name(found->type));
	if (found->type != FOUND_FILE)
		return DONE;
	field_id("file id", info->file_id);
	field_id("keyset", info->keyset_id);
	field_number("generation", info->generation, "");
	field("state", info->sealed ? "sealed" : "open");
	field_number("length", info->length, " bytes");
	field_number("stored length", info->stored, " bytes");
	print_dicom(info);
	print_segments(info);
	return DONE;
}
