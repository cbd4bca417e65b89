// SPDX-License-Identifier: GPL-2.0-or-later
/* What somebody can do to stored files. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mutate.h"

/* archive-format.rst, "Header slots" */
enum {
	HEADER_HALF = TAMPER_HEADER / 2,
	SLOT_GENERATION = 48,
	SLOT_FLAGS = 68,
	SLOT_PARTS = 80,
	FLAG_PARTS = 2,
};

bool flip_bit(const struct object *o)
{
	size_t at = chance(o->len);
	uint8_t byte = o->data[at] ^ (uint8_t)(1 << chance(8));

	return patch(o, &byte, 1, at);
}

bool file_flip(void)
{
	return flip_bit(pick(is_file));
}

/* The header is a large part of a small file: hit records as often. */
bool file_flip_record(void)
{
	const struct object *o = pick(is_file);
	uint8_t byte;
	size_t at;

	if (o->len <= TAMPER_HEADER)
		return false;
	at = TAMPER_HEADER + chance(o->len - TAMPER_HEADER);
	byte = o->data[at] ^ (uint8_t)(1 << chance(8));
	return patch(o, &byte, 1, at);
}

bool file_overwrite(void)
{
	const struct object *o = pick(is_file);
	uint8_t bytes[600];
	size_t len = 1 + chance(sizeof(bytes));

	fill(bytes, len);
	return patch(o, bytes, len, chance(o->len));
}

bool file_sector_zeroed(void)
{
	static const uint8_t zeros[512];
	const struct object *o = pick(is_file);

	return patch(o, zeros, 512, chance(o->len) / 512 * 512);
}

bool file_cut_off(void)
{
	const struct object *o = pick(is_file);

	size_t len = chance(o->len);

	must(!truncate(real(o->path), (off_t)len));
	if (getenv("TAMPER_DEBUG"))
		printf("# cut to %zu of %zu\n", len, o->len);
	touch(o->path);
	return true;
}

bool append(const struct object *o, const uint8_t *bytes, size_t len)
{
	int fd = open(real(o->path), O_WRONLY | O_APPEND | O_CLOEXEC);

	must(fd >= 0 && write(fd, bytes, len) == (ssize_t)len);
	close(fd);
	touch(o->path);
	return true;
}

bool file_extended(void)
{
	uint8_t bytes[5000];
	size_t len = 1 + chance(sizeof(bytes));

	fill(bytes, len);
	if (chance(3) == 0)
		memset(bytes, 0, len);
	return append(pick(is_file), bytes, len);
}

/* Where a sealed image has its parts, as its header says. */
static size_t parts_at(const struct object *o, size_t *len)
{
	const uint8_t *slot = o->data;
	uint64_t at[2], generation[2];

	*len = 0;
	if (o->len <= TAMPER_HEADER)
		return 0;
	memcpy(&generation[0], slot + SLOT_GENERATION, 8);
	memcpy(&generation[1], slot + HEADER_HALF + SLOT_GENERATION, 8);
	slot += generation[1] > generation[0] ? HEADER_HALF : 0;
	if (!(slot[SLOT_FLAGS] & FLAG_PARTS))
		return 0;
	memcpy(at, slot + SLOT_PARTS, sizeof(at));
	*len = at[1];
	return at[0];
}

static size_t records(const struct object *o)
{
	size_t len, end = parts_at(o, &len);

	if (!end)
		end = o->len;
	return end < TAMPER_HEADER ? 0 : (end - TAMPER_HEADER) / TAMPER_RECORD;
}

bool file_extended_by_record(void)
{
	const struct object *o = pick(is_file), *from = pick(is_file);

	if (!records(from))
		return false;
	return append(o, from->data + TAMPER_HEADER +
		      chance(records(from)) * TAMPER_RECORD, TAMPER_RECORD);
}

static size_t record_at(size_t n)
{
	return TAMPER_HEADER + n * TAMPER_RECORD;
}

bool records_swapped(void)
{
	const struct object *o = pick(is_file);
	size_t n = records(o), a, b;
	uint8_t *copy;

	if (n < 2)
		return false;
	a = chance(n);
	b = (a + 1 + chance(n - 1)) % n;
	if (!memcmp(o->data + record_at(a), o->data + record_at(b),
		    TAMPER_RECORD))
		return false;
	copy = malloc(o->len);
	memcpy(copy, o->data, o->len);
	memcpy(copy + record_at(a), o->data + record_at(b), TAMPER_RECORD);
	memcpy(copy + record_at(b), o->data + record_at(a), TAMPER_RECORD);
	put(o->path, copy, o->len);
	free(copy);
	return true;
}

bool record_of_another(void)
{
	const struct object *o = pick(is_file), *from = pick_other(o, is_file);
	size_t n = records(o) < records(from) ? records(o) : records(from);
	size_t at, to;

	if (!n)
		return false;
	at = chance(n);
	to = chance(2) ? at : chance(records(o));
	/* What stands in a hole is never read. */
	return o->data[record_at(to)] &&
	       patch(o, from->data + record_at(at), TAMPER_RECORD,
		     record_at(to));
}

bool record_copied(void)
{
	const struct object *o = pick(is_file);
	size_t n = records(o), to;

	if (n < 2)
		return false;
	to = record_at(chance(n));
	/* What stands in a hole is never read. */
	return o->data[to] && patch(o, o->data + record_at(chance(n)),
				    TAMPER_RECORD, to);
}

/* --- parts ------------------------------------------------------------------ */

static bool has_parts(const struct object *o)
{
	size_t len;

	return is_file(o) && parts_at(o, &len);
}

bool parts_flip(void)
{
	const struct object *o = pick(has_parts);
	size_t len, at = parts_at(o, &len);
	uint8_t byte;

	at += chance(len);
	byte = o->data[at] ^ (uint8_t)(1 << chance(8));
	return patch(o, &byte, 1, at);
}

bool parts_zeroed(void)
{
	static const uint8_t zeros[700];
	const struct object *o = pick(has_parts);
	size_t len, at = parts_at(o, &len), n = 1 + chance(sizeof(zeros));
	size_t from = chance(len);

	return patch(o, zeros, n < len - from ? n : len - from, at + from);
}

/* Of @from as much as there is room for, with its checksum if it is as long. */
static bool put_parts(const struct object *o, const struct object *from)
{
	size_t len, n, at = parts_at(o, &len), its = parts_at(from, &n);

	return patch(o, from->data + its, n < len ? n : len, at);
}

bool parts_of_another(void)
{
	const struct object *o = pick(has_parts);

	return put_parts(o, pick_other(o, has_parts));
}

bool parts_replayed(void)
{
	const struct object *old, *o = pick_changed(has_parts, &old);

	return has_parts(old) && put_parts(o, old);
}

/* --- earlier states --------------------------------------------------------- */

/* The older state of a file that stands at the same place. */
const struct object *older(const struct object *o)
{
	const struct object *old = tree_find(&stage.old, o->path);

	if (!old || old->mode != o->mode || (old->len == o->len &&
					     !memcmp(old->data, o->data,
						     o->len)))
		return NULL;
	return old;
}

const struct object *pick_changed(bool (*is)(const struct object *o),
				  const struct object **old)
{
	const struct object *o;
	int i;

	for (i = 0; i < 1000; i++) {
		o = pick(is);
		*old = older(o);
		if (*old)
			return o;
	}
	must(!"something was changed");
	return NULL;
}

bool record_replayed(void)
{
	const struct object *old, *o = pick_changed(is_file, &old);
	size_t n = records(o) < records(old) ? records(o) : records(old);
	size_t at;

	if (!n)
		return false;
	at = record_at(chance(n));
	return patch(o, old->data + at, TAMPER_RECORD, at);
}

bool header_replayed(void)
{
	const struct object *old, *o = pick_changed(is_file, &old);
	size_t at = chance(3);

	if (at == 2)
		return patch(o, old->data, TAMPER_HEADER, 0);
	return patch(o, old->data + at * HEADER_HALF, HEADER_HALF,
		     at * HEADER_HALF);
}

bool header_of_another(void)
{
	const struct object *o = pick(is_file), *from = pick_other(o, is_file);
	size_t at = chance(3);

	if (at == 2)
		return patch(o, from->data, TAMPER_HEADER, 0);
	return patch(o, from->data + at * HEADER_HALF, HEADER_HALF,
		     at * HEADER_HALF);
}

bool header_halves_swapped(void)
{
	const struct object *o = pick(is_file);
	uint8_t header[TAMPER_HEADER];

	memcpy(header, o->data + HEADER_HALF, HEADER_HALF);
	memcpy(header + HEADER_HALF, o->data, HEADER_HALF);
	return patch(o, header, sizeof(header), 0);
}

bool file_replayed(void)
{
	const struct object *old, *o = pick_changed(is_file, &old);

	put(o->path, old->data, old->len);
	return true;
}

bool file_brought_back(void)
{
	const struct object *o = any_of(&stage.old, is_file);
	int fd;

	if (tree_find(&stage.now, o->path))
		return false;
	fd = open(real(o->path), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0)
		return false;	/* its folder is gone, too */
	must(write(fd, o->data, o->len) == (ssize_t)o->len);
	close(fd);
	touch(o->path);
	return true;
}

bool file_of_another_archive(void)
{
	const struct object *from = any_of(&stage.other, is_file);

	put(pick(is_file)->path, from->data, from->len);
	return true;
}

bool exchange(const struct object *a, const struct object *b)
{
	if (renameat2(AT_FDCWD, real(a->path), AT_FDCWD, real(b->path),
		      RENAME_EXCHANGE))
		return false;	/* one is in the other */
	touch(a->path);
	touch(b->path);
	return true;
}

bool files_exchanged(void)
{
	const struct object *o = pick(is_file);

	return exchange(o, pick_other(o, is_file));
}

bool file_copied_over(void)
{
	const struct object *o = pick(is_file), *from = pick_other(o, is_file);

	if (from->len == o->len && !memcmp(from->data, o->data, o->len))
		return false;
	put(o->path, from->data, from->len);
	return true;
}

bool file_hard_linked(void)
{
	const struct object *o = pick(is_file), *to = pick_other(o, is_file);

	must(!unlink(real(o->path)) && !link(real(to->path), real(o->path)));
	touch(o->path);
	stage.link = to->path;
	return true;
}

bool file_moved(void)
{
	const struct object *o = pick(is_file), *dir = pick(is_dir);
	char to[1500];

	snprintf(to, sizeof(to), "%s/%s", dir->path, base(o->path));
	if (!strcmp(to, o->path) || tree_find(&stage.now, to))
		return false;
	must(!rename(real(o->path), real(to)));
	touch(o->path);
	touch(to);
	return true;
}

bool file_renamed(void)
{
	const struct object *o = pick(is_file);
	char to[1000];
	size_t len;

	snprintf(to, sizeof(to), "%s", o->path);
	len = strlen(to);
	to[len - 1 - chance(strlen(base(to)))] = "0123456789abcdefghijklmnopqrstuvz"[chance(33)];
	if (tree_find(&stage.now, to))
		return false;
	must(!rename(real(o->path), real(to)));
	touch(o->path);
	touch(to);
	return true;
}

bool remove_it(const struct object *o)
{
	tree_remove(real(o->path));
	touch(o->path);
	return true;
}

bool file_removed(void)
{
	return remove_it(pick(is_file));
}

bool to_symlink(const struct object *o, const char *target)
{
	remove_it(o);
	must(!symlink(target, real(o->path)));
	return true;
}

bool file_to_symlink(void)
{
	const struct object *o = pick(is_file);

	return to_symlink(o, chance(2) ? "/etc/passwd" :
			  base(pick_other(o, is_file)->path));
}

bool file_to_own_symlink(void)
{
	return to_symlink(pick(is_file), (char *)pick(is_link)->data);
}

bool to_fifo(const struct object *o)
{
	remove_it(o);
	must(!mkfifo(real(o->path), 0644));
	return true;
}

bool file_to_fifo(void)
{
	return to_fifo(pick(is_file));
}

bool to_dir(const struct object *o, bool with_entry)
{
	const struct object *entry = pick(is_dir_entry);
	char path[1000];

	remove_it(o);
	must(!mkdir(real(o->path), 0755));
	if (with_entry) {
		snprintf(path, sizeof(path), "%s/chaosimg.dir", o->path);
		must(!symlink((char *)entry->data, real(path)));
	}
	return true;
}

bool file_to_dir(void)
{
	return to_dir(pick(is_file), chance(2));
}
