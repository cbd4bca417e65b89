// SPDX-License-Identifier: GPL-2.0-or-later
/* How chaosimg info looks for programs: JSON. */
#include <json-c/json.h>

#include "json.h"
#include "tool.h"

static void put_id(struct json_object *to, const char *name,
		   const uint8_t id[CHAOSIMG_ID_SIZE])
{
	char hex[2 * CHAOSIMG_ID_SIZE + 1];

	bytes_to_hex(id, CHAOSIMG_ID_SIZE, hex);
	put_text(to, name, hex);
}

static void put_slot(struct json_object *row,
		     const struct chaosimg_slot_info *s)
{
	struct json_object *argon2;

	put_number(row, "id", s->id);
	put_text(row, "type", slot_type_name(s->type));
	put_number(row, "created", s->created);
	if (!s->argon2_time)
		return;
	argon2 = new_object(row, "argon2id");
	put_number(argon2, "passes", s->argon2_time);
	put_number(argon2, "memory_kib", s->argon2_memory);
	put_number(argon2, "lanes", s->argon2_lanes);
}

int print_archive_json(const char *path,
		       const struct chaosimg_archive_info *info)
{
	struct json_object *root = json_object_new_object(), *slots, *row;
	uint32_t i;

	if (!root)
		return write_json(path, NULL);
	put_text(root, "archive", path);
	put_id(root, "id", info->id);
	put_number(root, "version", info->version);
	put_number(root, "created", info->created);
	put_number(root, "chunk_size", info->chunk_size);
	put_number(root, "keysets", info->keysets);
	slots = new_array(root, "slots");
	for (i = 0; i < info->slots; i++) {
		row = new_row(slots);
		if (row)
			put_slot(row, &info->slot[i]);
	}
	return write_json(path, root);
}

static void put_segments(struct json_object *root,
			 const struct chaosimg_file_info *info)
{
	struct json_object *array = new_array(root, "segments"), *row;
	uint64_t offset = 0;
	uint32_t i;

	for (i = 0; i < info->segments; i++) {
		row = new_row(array);
		if (!row)
			return;
		put_number(row, "offset", offset);
		put_number(row, "length", info->segment[i].length);
		put_text(row, "compartment",
			 compartment_name(info->segment[i].compartment));
		offset += info->segment[i].length;
	}
}

static void put_dicom(struct json_object *root,
		      const struct chaosimg_file_info *info)
{
	const char *name = transfer_syntax_name(info->transfer_syntax);

	put_boolean(root, "dicom", info->dicom);
	if (!info->dicom)
		return;
	put_text(root, "modality", info->modality);
	put_text(root, "transfer_syntax", info->transfer_syntax);
	if (name)
		put_text(root, "transfer_syntax_name", name);
}

int print_file_json(const struct found *found,
		    const struct chaosimg_file_info *info)
{
	struct json_object *root = json_object_new_object();

	if (!root)
		return write_json(found->plain, NULL);
	put_text(root, "path", found->plain);
	put_text(root, "stored_as", found->stored);
	put_text(root, "type", found_type_name(found->type));
	if (found->type != FOUND_FILE)
		return write_json(found->plain, root);
	put_id(root, "file_id", info->file_id);
	put_id(root, "keyset", info->keyset_id);
	put_number(root, "generation", info->generation);
	put_boolean(root, "sealed", info->sealed);
	put_number(root, "length", info->length);
	put_number(root, "stored_length", info->stored);
	put_dicom(root, info);
	put_segments(root, info);
	return write_json(found->plain, root);
}
