/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What mutate.c and mutate_file.c share. */
#ifndef TAMPER_MUTATE_H
#define TAMPER_MUTATE_H

#include "tamper.h"

const char *real(const char *path);
const char *base(const char *path);
bool is_file(const struct object *o);
bool is_link(const struct object *o);
bool is_dir(const struct object *o);
bool is_dir_entry(const struct object *o);
const struct object *any_of(const struct tree *t,
			    bool (*is)(const struct object *o));
const struct object *pick(bool (*is)(const struct object *o));
const struct object *pick_other(const struct object *o,
				bool (*is)(const struct object *o));
void put(const char *path, const uint8_t *data, size_t len);
bool patch(const struct object *o, const uint8_t *bytes, size_t len,
	   size_t at);
void fill(uint8_t *p, size_t len);
bool flip_bit(const struct object *o);
bool append(const struct object *o, const uint8_t *bytes, size_t len);
const struct object *older(const struct object *o);
const struct object *pick_changed(bool (*is)(const struct object *o),
				  const struct object **old);
bool exchange(const struct object *a, const struct object *b);
bool remove_it(const struct object *o);
bool to_symlink(const struct object *o, const char *target);
bool to_fifo(const struct object *o);
bool to_dir(const struct object *o, bool with_entry);

/* Each does one thing to a file, or returns false if it would change nothing. */
bool file_flip(void);
bool file_flip_record(void);
bool file_overwrite(void);
bool file_sector_zeroed(void);
bool file_cut_off(void);
bool file_extended(void);
bool file_extended_by_record(void);
bool records_swapped(void);
bool record_of_another(void);
bool record_copied(void);
bool parts_flip(void);
bool parts_zeroed(void);
bool parts_of_another(void);
bool parts_replayed(void);
bool record_replayed(void);
bool header_replayed(void);
bool header_of_another(void);
bool header_halves_swapped(void);
bool file_replayed(void);
bool file_brought_back(void);
bool file_of_another_archive(void);
bool files_exchanged(void);
bool file_copied_over(void);
bool file_hard_linked(void);
bool file_moved(void);
bool file_renamed(void);
bool file_removed(void);
bool file_to_symlink(void);
bool file_to_own_symlink(void);
bool file_to_fifo(void);
bool file_to_dir(void);

#endif
