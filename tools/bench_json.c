// SPDX-License-Identifier: GPL-2.0-or-later
/* How chaosimg bench looks for programs: JSON, in bytes a second. */
#include <json-c/json.h>

#include "bench.h"
#include "json.h"

static void put_rate(struct json_object *to, const char *name,
		     const struct figure *f)
{
	struct json_object *o = new_object(to, name);

	put_number(o, "median", (uint64_t)f->median);
	put_number(o, "low", (uint64_t)f->low);
	put_number(o, "high", (uint64_t)f->high);
	put_number(o, "rounds", f->rounds);
}

static void put_seconds(struct json_object *to, const char *name,
			const struct figure *f)
{
	struct json_object *o = new_object(to, name);

	put_real(o, "median", f->median, 6);
	put_real(o, "low", f->low, 6);
	put_real(o, "high", f->high, 6);
	put_number(o, "rounds", f->rounds);
}

static void put_pair(struct json_object *to, const char *out, const char *in,
		     const struct pair *p)
{
	put_rate(to, out, &p->out);
	put_rate(to, in, &p->in);
}

static void put_cipher(struct json_object *root, const struct bench *b)
{
	struct json_object *array = new_array(root, "cipher"), *row;
	size_t i;

	for (i = 0; i < b->impls; i++) {
		row = new_row(array);
		put_text(row, "implementation", b->impl[i]);
		put_boolean(row, "used", i == 0);
		put_pair(row, "encrypt", "decrypt", &b->cipher[i]);
	}
	put_pair(new_object(root, "aes_256_gcm"), "encrypt", "decrypt",
		 &b->gcm);
}

static void put_records(struct json_object *root, const struct bench *b)
{
	struct json_object *records = new_object(root, "records");

	put_pair(new_object(records, "one_core"), "seal", "open", &b->one);
	put_pair(new_object(records, "all_cores"), "seal", "open", &b->all);
}

static void put_load(struct json_object *to, const char *name,
		     const struct figure *disk, const struct figure *cpu)
{
	struct json_object *o = new_object(to, name);
	double load = bench_load(disk, cpu);

	put_text(o, "slower", load > 1 ? "cpu" : "disk");
	put_real(o, "cpu_to_disk", load, 6);
}

static void put_disk(struct json_object *root, const struct bench *b)
{
	struct json_object *disk = new_object(root, "disk"), *cost;

	put_text(disk, "directory", b->directory);
	put_number(disk, "bytes", b->disk_bytes);
	put_boolean(disk, "cold", b->cold);
	put_pair(disk, "write", "read", &b->disk);
	cost = new_object(root, "cost");
	put_load(cost, "write", &b->disk.out, &b->one.out);
	put_load(cost, "read", &b->disk.in, &b->one.in);
}

int bench_print_json(const struct bench *b)
{
	struct json_object *root = json_object_new_object();

	put_text(root, "version", chaosimg_version());
	put_text(root, "cpu", b->cpu);
	put_number(root, "cores", b->cores);
	put_number(root, "chunk_size", b->chunk_size);
	put_cipher(root, b);
	put_records(root, b);
	put_seconds(root, "unlock_seconds", &b->unlock);
	if (b->directory)
		put_disk(root, b);
	return write_json("bench", root);
}
