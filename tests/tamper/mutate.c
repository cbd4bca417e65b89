// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What somebody with write access to the folder, and without a key, can do to
 * it. Each function does one such thing, or returns false if it would change
 * nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "mutate.h"

const char *real(const char *path)
{
	static char buf[4][2000];
	static int next;
	char *p = buf[next++ % 4];

	snprintf(p, sizeof(buf[0]), "%s/%s", stage.folder, path);
	return p;
}

const char *base(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static bool in_data(const struct object *o)
{
	return !strncmp(o->path, "data/", 5);
}

bool is_file(const struct object *o)
{
	return S_ISREG(o->mode) && in_data(o);
}

bool is_link(const struct object *o)
{
	return S_ISLNK(o->mode) && in_data(o) && !strchr(base(o->path), '.');
}

bool is_dir(const struct object *o)
{
	return S_ISDIR(o->mode) && in_data(o);
}

bool is_dir_entry(const struct object *o)
{
	return !strcmp(base(o->path), "chaosimg.dir") &&
	       strcmp(o->path, "data/chaosimg.dir");
}

static bool is_companion(const struct object *o)
{
	const char *dot = strrchr(o->path, '.');

	return in_data(o) && dot && !strcmp(dot, ".name");
}

static bool is_keyset(const struct object *o)
{
	return !strncmp(o->path, "keysets/", 8);
}

static bool is_config(const struct object *o)
{
	return !strcmp(o->path, "chaosimg.json");
}

const struct object *any_of(const struct tree *t,
			    bool (*is)(const struct object *o))
{
	size_t at = chance(t->count), i;

	for (i = 0; i < t->count; i++, at = (at + 1) % t->count)
		if (is(&t->object[at]))
			return &t->object[at];
	must(!"there is one");
	return NULL;
}

const struct object *pick(bool (*is)(const struct object *o))
{
	return any_of(&stage.now, is);
}

/* Another one than @o, and not a hard link of it. */
const struct object *pick_other(const struct object *o,
				bool (*is)(const struct object *o))
{
	const struct object *p;

	do
		p = pick(is);
	while (p->ino == o->ino);
	return p;
}

void put(const char *path, const uint8_t *data, size_t len)
{
	int fd = open(real(path), O_WRONLY | O_TRUNC | O_NOFOLLOW | O_CLOEXEC);

	must(fd >= 0 && write(fd, data, len) == (ssize_t)len);
	close(fd);
	touch(path);
}

/* Other bytes at an offset. False if they are the same. */
bool patch(const struct object *o, const uint8_t *bytes, size_t len,
	   size_t at)
{
	uint8_t *copy;

	if (at >= o->len)
		return false;
	if (len > o->len - at)
		len = o->len - at;
	if (!memcmp(o->data + at, bytes, len))
		return false;
	if (getenv("TAMPER_DEBUG"))
		printf("# %zu bytes at %zu of %zu\n", len, at, o->len);
	copy = malloc(o->len);
	memcpy(copy, o->data, o->len);
	memcpy(copy + at, bytes, len);
	put(o->path, copy, o->len);
	free(copy);
	return true;
}

void fill(uint8_t *p, size_t len)
{
	while (len--)
		*p++ = (uint8_t)chance(256);
}

/* --- attributes ----------------------------------------------------------- */

static bool has_xattr(const struct object *o)
{
	return *o->xattr && is_file(o);
}

static bool set_xattr(const struct object *o, const char *name,
		      const uint8_t *value, size_t len)
{
	must(!lsetxattr(real(o->path), name, value, len, 0));
	touch(o->path);
	return true;
}

static bool xattr_flip(void)
{
	const struct object *o = pick(has_xattr);
	uint8_t value[sizeof(o->value)];

	memcpy(value, o->value, o->value_len);
	value[chance(o->value_len)] ^= (uint8_t)(1 << chance(8));
	return set_xattr(o, o->xattr, value, o->value_len);
}

static bool xattr_cut(void)
{
	const struct object *o = pick(has_xattr);

	return set_xattr(o, o->xattr, o->value, chance(o->value_len));
}

static bool xattr_exchanged(void)
{
	const struct object *o = pick(has_xattr);
	const struct object *from = pick_other(o, has_xattr);

	return set_xattr(o, o->xattr, from->value, from->value_len);
}

static bool xattr_removed(void)
{
	const struct object *o = pick(has_xattr);

	must(!lremovexattr(real(o->path), o->xattr));
	touch(o->path);
	return true;
}

static bool xattr_renamed(void)
{
	const struct object *o = pick(has_xattr);
	char name[256];

	strcpy(name, o->xattr);
	name[14 + chance(strlen(name) - 14)] ^= 1;
	if (!strcmp(name, o->xattr))
		return false;
	must(!lremovexattr(real(o->path), o->xattr));
	return set_xattr(o, name, o->value, o->value_len);
}

/* --- links, and what else is a link on the disk ---------------------------- */

static bool set_target(const struct object *o, const char *target)
{
	if (!*target || !strcmp(target, (char *)o->data))
		return false;
	return to_symlink(o, target);
}

static bool target_flip(const struct object *o)
{
	char target[4096];

	strcpy(target, (char *)o->data);
	target[chance(o->len)] ^= (char)(1 << chance(7));
	return !strchr(target, '/') && set_target(o, target);
}

static bool target_cut(const struct object *o)
{
	char target[4096];

	strcpy(target, (char *)o->data);
	target[chance(o->len)] = '\0';
	return set_target(o, target);
}

static bool link_flip(void)
{
	return target_flip(pick(is_link));
}

static bool link_cut(void)
{
	return target_cut(pick(is_link));
}

static bool link_plain(void)
{
	return set_target(pick(is_link), chance(2) ? "/etc/passwd" : "..");
}

static bool links_exchanged(void)
{
	const struct object *o = pick(is_link);

	return exchange(o, pick_other(o, is_link));
}

static bool link_replayed(void)
{
	const struct object *old, *o = pick_changed(is_link, &old);

	return set_target(o, (char *)old->data);
}

static bool link_to_file(void)
{
	const struct object *o = pick(is_link), *from = pick(is_file);

	remove_it(o);
	must(!link(real(from->path), real(o->path)));
	return true;
}

static bool link_and_file_exchanged(void)
{
	return exchange(pick(is_link), pick(is_file));
}

static bool companion_flip(void)
{
	return target_flip(pick(is_companion));
}

static bool companion_cut(void)
{
	return target_cut(pick(is_companion));
}

static bool companion_removed(void)
{
	return remove_it(pick(is_companion));
}

static bool companions_exchanged(void)
{
	const struct object *o = pick(is_companion);

	return exchange(o, pick_other(o, is_companion));
}

static bool companion_to_other(void)
{
	const struct object *o = pick(is_companion);

	return chance(2) ? to_fifo(o) : to_dir(o, false);
}

/* --- folders -------------------------------------------------------------- */

static bool entry_flip(void)
{
	return target_flip(pick(is_dir_entry));
}

static bool entry_cut(void)
{
	return target_cut(pick(is_dir_entry));
}

static bool entry_removed(void)
{
	return remove_it(pick(is_dir_entry));
}

static bool entries_exchanged(void)
{
	const struct object *o = pick(is_dir_entry);

	return exchange(o, pick_other(o, is_dir_entry));
}

static bool entry_to_other(void)
{
	const struct object *o = pick(is_dir_entry);

	return chance(2) ? to_fifo(o) : to_dir(o, false);
}

/* A folder was renamed since: its older entry names its older place. */
static bool entry_replayed(void)
{
	const struct object *old = any_of(&stage.old, is_dir_entry);

	return set_target(pick(is_dir_entry), (char *)old->data);
}

static bool root_entry(void)
{
	const struct object *o = tree_find(&stage.now, "data/chaosimg.dir");

	switch (chance(3)) {
	case 0:
		return target_flip(o);
	case 1:
		return remove_it(o);
	default:
		return set_target(o, (char *)pick(is_dir_entry)->data);
	}
}

static bool dirs_exchanged(void)
{
	const struct object *o = pick(is_dir);

	return exchange(o, pick_other(o, is_dir));
}

static bool dir_moved(void)
{
	const struct object *o = pick(is_dir), *into = pick_other(o, is_dir);
	char to[1500];

	snprintf(to, sizeof(to), "%s/%s", into->path, base(o->path));
	if (tree_find(&stage.now, to) || rename(real(o->path), real(to)))
		return false;
	touch(o->path);
	touch(to);
	return true;
}

static bool dir_to_other(void)
{
	const struct object *o = pick(is_dir);

	switch (chance(3)) {
	case 0:
		return to_symlink(o, base(pick_other(o, is_dir)->path));
	case 1:
		remove_it(o);
		must(!link(real("lock"), real(o->path)));
		return true;
	default:
		return to_dir(o, false);
	}
}

static bool foreign_entry(void)
{
	char path[1000];

	snprintf(path, sizeof(path), "%s/%c%llu", pick(is_dir)->path,
		 "fz."[chance(3)], (unsigned long long)chance(1u << 30));
	must(!mkfifo(real(path), 0600));
	touch(path);
	return true;
}

/* --- configuration and keysets -------------------------------------------- */

static bool text_mutated(const struct object *o)
{
	uint8_t bytes[40];

	switch (chance(5)) {
	case 0:
	case 1:
		return flip_bit(o);
	case 2:
		fill(bytes, sizeof(bytes));
		return patch(o, bytes, 1 + chance(sizeof(bytes)),
			     chance(o->len));
	case 3:
		must(!truncate(real(o->path), (off_t)chance(o->len)));
		touch(o->path);
		return true;
	default:
		fill(bytes, sizeof(bytes));
		return append(o, bytes, 1 + chance(sizeof(bytes)));
	}
}

static bool text_to_other(const struct object *o)
{
	switch (chance(4)) {
	case 0:
		return remove_it(o);
	case 1:
		return to_fifo(o);
	case 2:
		return to_symlink(o, "/etc/passwd");
	default:
		return to_dir(o, false);
	}
}

static bool config_mutated(void)
{
	return text_mutated(pick(is_config));
}

static bool config_to_other(void)
{
	return text_to_other(pick(is_config));
}

static bool config_replayed(void)
{
	const struct object *old = any_of(&stage.old, is_config);

	put(old->path, old->data, old->len);
	return true;
}

static bool config_of_another_archive(void)
{
	const struct object *from = any_of(&stage.other, is_config);

	put(from->path, from->data, from->len);
	return true;
}

static bool keyset_mutated(void)
{
	return text_mutated(pick(is_keyset));
}

static bool keyset_to_other(void)
{
	return text_to_other(pick(is_keyset));
}

static bool keysets_exchanged(void)
{
	const struct object *o = pick(is_keyset);

	return exchange(o, pick_other(o, is_keyset));
}

static bool keyset_of_another_archive(void)
{
	const struct object *from = any_of(&stage.other, is_keyset);

	put(pick(is_keyset)->path, from->data, from->len);
	return true;
}

/* --- the whole ------------------------------------------------------------ */

static void put_all(const struct tree *t, bool config)
{
	struct tree part = { malloc((stage.now.count + t->count) *
				    sizeof(*t->object)), 0 };
	size_t i;

	for (i = 0; i < stage.now.count; i++) {
		if (config || !strncmp(stage.now.object[i].path, "data", 4))
			continue;
		part.object[part.count] = stage.now.object[i];
		/* The same number at two times does not make a hard link. */
		part.object[part.count++].ino = ~stage.now.object[i].ino;
	}
	for (i = 0; i < t->count; i++)
		if (config || !strncmp(t->object[i].path, "data", 4))
			part.object[part.count++] = t->object[i];
	tree_restore(&part, stage.folder);
	free(part.object);
	touch("data");
}

static bool archive_replayed(void)
{
	put_all(&stage.old, true);
	return true;
}

static bool data_replayed(void)
{
	put_all(&stage.old, false);
	return true;
}

static bool data_of_another_archive(void)
{
	put_all(&stage.other, false);
	return true;
}

#define BAD	(MAY_REFUSE | CHECKED)

const struct mutation mutations[] = {
	{ "file: a bit", BAD | SCRUBBED, file_flip },
	{ "file: a bit of a record", BAD | SCRUBBED, file_flip_record },
	{ "file: bytes overwritten", BAD | SCRUBBED, file_overwrite },
	/* Without a key, a record that is zeroed as a whole is a hole. */
	{ "file: a sector zeroed", BAD, file_sector_zeroed },
	{ "file: cut", BAD | SCRUBBED, file_cut_off },
	{ "file: extended", BAD | SCRUBBED, file_extended },
	{ "file: extended by a record", BAD | SCRUBBED,
	  file_extended_by_record },
	{ "records exchanged", BAD | MUST_CHANGE, records_swapped },
	{ "record of another file", BAD | MUST_CHANGE, record_of_another },
	{ "record copied in its file", BAD, record_copied },
	{ "parts: a bit", BAD | SCRUBBED, parts_flip },
	{ "parts: bytes zeroed", BAD | SCRUBBED, parts_zeroed },
	{ "parts of another file", BAD, parts_of_another },
	{ "parts as they were earlier", BAD, parts_replayed },
	{ "record as it was earlier", BAD | MAY_MIX | MAY_OLDER,
	  record_replayed },
	{ "header as it was earlier", BAD | MAY_MIX | MAY_OLDER,
	  header_replayed },
	{ "header of another file", BAD, header_of_another },
	{ "header's halves exchanged", MAY_REFUSE, header_halves_swapped },
	{ "file as it was earlier", MAY_OLDER | MAY_REFUSE, file_replayed },
	{ "file brought back", MAY_OLDER | MAY_REFUSE, file_brought_back },
	{ "file of another archive", BAD | MUST_CHANGE,
	  file_of_another_archive },
	{ "files exchanged", BAD | MUST_CHANGE, files_exchanged },
	{ "file copied over another", BAD | MUST_CHANGE, file_copied_over },
	{ "file hard-linked to another's name", BAD | MUST_CHANGE,
	  file_hard_linked },
	{ "file moved to another folder", MAY_MISS | MUST_CHANGE | CHECKED,
	  file_moved },
	{ "file renamed", MAY_MISS | MUST_CHANGE | CHECKED, file_renamed },
	{ "file removed", MAY_MISS | MUST_CHANGE, file_removed },
	{ "file made a link", BAD | MUST_CHANGE, file_to_symlink },
	{ "file made a link of the archive", MAY_OTHER_LINK | MUST_CHANGE,
	  file_to_own_symlink },
	{ "file made a FIFO", MAY_SPECIAL | MUST_CHANGE, file_to_fifo },
	{ "file made a folder", BAD | MAY_SPECIAL | MUST_CHANGE, file_to_dir },
	{ "attribute: a bit", BAD | MUST_CHANGE, xattr_flip },
	{ "attribute: cut", BAD | MUST_CHANGE, xattr_cut },
	{ "attributes exchanged", MAY_OTHER_LINK, xattr_exchanged },
	{ "attribute removed", MAY_MISS, xattr_removed },
	{ "attribute renamed", BAD | MAY_MISS, xattr_renamed },
	{ "link: a bit", BAD | MUST_CHANGE, link_flip },
	{ "link: cut", BAD | MUST_CHANGE, link_cut },
	{ "link: a plain target", BAD | MUST_CHANGE, link_plain },
	{ "links exchanged", MAY_OTHER_LINK, links_exchanged },
	{ "link as it was earlier", MAY_OLDER, link_replayed },
	{ "link made a file", BAD | MUST_CHANGE, link_to_file },
	{ "link and file exchanged", BAD | MAY_OTHER_LINK | MUST_CHANGE,
	  link_and_file_exchanged },
	{ "long name: a bit", BAD | MAY_MISS, companion_flip },
	{ "long name: cut", BAD | MAY_MISS, companion_cut },
	{ "long name removed", BAD | MAY_MISS, companion_removed },
	{ "long names exchanged", BAD | MAY_MISS, companions_exchanged },
	{ "long name made something else", BAD | MAY_MISS,
	  companion_to_other },
	{ "folder's id: a bit", BAD | MUST_CHANGE, entry_flip },
	{ "folder's id: cut", BAD | MUST_CHANGE, entry_cut },
	{ "folder's id removed", BAD | MUST_CHANGE, entry_removed },
	{ "folders' ids exchanged", BAD | MUST_CHANGE, entries_exchanged },
	{ "folder's id made something else", BAD | MUST_CHANGE,
	  entry_to_other },
	{ "folder's id of an earlier time", BAD | MUST_CHANGE,
	  entry_replayed },
	{ "root's id", BAD | MUST_CHANGE, root_entry },
	{ "folders exchanged", BAD | MUST_CHANGE, dirs_exchanged },
	{ "folder moved", BAD | MAY_MISS | MUST_CHANGE, dir_moved },
	{ "folder made something else", BAD | MAY_MISS | MUST_CHANGE,
	  dir_to_other },
	{ "foreign entry", CHECKED, foreign_entry },
	{ "configuration changed", MAY_REFUSE | MUST_CHANGE, config_mutated },
	{ "configuration made something else", MAY_REFUSE | MUST_CHANGE,
	  config_to_other },
	{ "configuration as it was earlier", 0, config_replayed },
	{ "configuration of another archive", MAY_REFUSE | MUST_CHANGE,
	  config_of_another_archive },
	{ "keyset changed", MAY_REFUSE | MUST_CHANGE, keyset_mutated },
	{ "keyset made something else", MAY_REFUSE | MUST_CHANGE,
	  keyset_to_other },
	{ "keysets exchanged", MAY_REFUSE | MUST_CHANGE, keysets_exchanged },
	{ "keyset of another archive", MAY_REFUSE | MUST_CHANGE,
	  keyset_of_another_archive },
	{ "archive as it was earlier", ALL_OLDER, archive_replayed },
	{ "all files as they were earlier", ALL_OLDER, data_replayed },
	{ "all files of another archive", MAY_REFUSE | MUST_CHANGE | CHECKED,
	  data_of_another_archive },
};
const size_t mutation_count = sizeof(mutations) / sizeof(mutations[0]);
