// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Walking through the encrypted tree with the key: directories' ids, names,
 * what is left over, and what does not belong there. Entries are checked by
 * the run's threads, names here, since what is below depends on them.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "error.h"
#include "fsck.h"
#include "names.h"

#define DATA			"data"
#define COMPANION_SUFFIX	".name"
#define LEFT_OVER		"left over by a crash"

enum {
	LOOKS = 3,
	PAUSE_MS = 50,
};

static struct fsck *fsck_of(const struct check *c)
{
	return c->ctx;
}

/* Of an entry, or of the directory for ".". Return: 0 or -ENOMEM */
static int tell(struct check *c, struct check_dir *dir, const char *name,
		const char *what, enum chaosimg_remedy remedy,
		const char *repair)
{
	struct check_task t = { .dir = dir };
	int err;

	if (strlen(name) > CHAOSIMG_NAME_MAX)
		return fail(ENOMEM, "a name is too long");
	strcpy(t.name, name);
	err = fsck_tell(c, &t, what, remedy, repair);
	check_add(c, &t.totals);
	return err;
}

static int tell_error(struct check *c, struct check_dir *dir, const char *name,
		      const char *strip, int err)
{
	if (fsck_fatal(err))
		return err;
	return tell(c, dir, name, check_cause(strip), CHAOSIMG_REMEDY_NONE,
		    NULL);
}

/* --- what is left over ------------------------------------------------------ */

/* Does it hold nothing but its id and other temporary entries? */
static bool is_empty_dir(int fd)
{
	struct check_list l;
	bool empty = true;

	if (check_list_read(fd, &l))
		return false;
	for (size_t i = 0; i < l.count; i++)
		empty = empty && !S_ISDIR(l.entry[i].type) &&
			(!strcmp(l.entry[i].name, CHAOSIMG_DIR_ENTRY) ||
			 check_is_temporary(l.entry[i].name));
	check_list_free(&l);
	return empty;
}

static int remove_dir(int dirfd, int fd, const char *name)
{
	struct check_list l;
	int err = check_list_read(fd, &l);

	for (size_t i = 0; !err && i < l.count; i++)
		if (unlinkat(fd, l.entry[i].name, 0))
			err = fail_errno("%s", l.entry[i].name);
	check_list_free(&l);
	if (!err && unlinkat(dirfd, name, AT_REMOVEDIR))
		err = fail_errno("%s", name);
	return err;
}

static int tell_removed(struct check *c, struct check_dir *dir,
			const char *name, bool done)
{
	return tell(c, dir, name, LEFT_OVER, done ? CHAOSIMG_REMEDY_DONE :
		    fsck_repairs(c) ? CHAOSIMG_REMEDY_NONE :
		    CHAOSIMG_REMEDY_WOULD, "remove it");
}

static int temporary_dir(struct check *c, struct check_dir *dir,
			 const char *name)
{
	int fd = openat(dir->fd, name,
			O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), err;

	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0)
		return tell_error(c, dir, name, name, fail_errno("%s", name));
	if (!is_empty_dir(fd))
		err = tell(c, dir, name, "a temporary directory with something in it",
			   CHAOSIMG_REMEDY_NONE, NULL);
	else
		err = tell_removed(c, dir, name, fsck_repairs(c) &&
				   !remove_dir(dir->fd, fd, name));
	close(fd);
	return err;
}

static int temporary(struct check *c, struct check_dir *dir,
		     const struct check_entry *e)
{
	struct chaosimg_check_totals totals = { .temporary = 1 };

	check_add(c, &totals);
	if (fsck_in_use(c))
		return 0;
	if (S_ISDIR(e->type))
		return temporary_dir(c, dir, e->name);
	return tell_removed(c, dir, e->name, fsck_repairs(c) &&
			    !unlinkat(dir->fd, e->name, 0));
}

static int compare_name(const void *key, const void *entry)
{
	return strcmp(key, ((const struct check_entry *)entry)->name);
}

/* A long name's companion has to have its entry. */
static int companion(struct check *c, struct check_dir *dir,
		     const struct check_entry *e, const struct check_list *l)
{
	char name[CHAOSIMG_NAME_MAX + 1];

	snprintf(name, sizeof(name), "%s", e->name);
	name[strlen(name) - strlen(COMPANION_SUFFIX)] = '\0';
	if (bsearch(name, l->entry, l->count, sizeof(*l->entry), compare_name))
		return 0;
	if (!S_ISLNK(e->type))
		return tell(c, dir, e->name, "not the archive's",
			    CHAOSIMG_REMEDY_NONE, NULL);
	/* It is made before its entry, and removed after it. */
	if (fsck_in_use(c))
		return 0;
	return tell_removed(c, dir, e->name, fsck_repairs(c) &&
			    !unlinkat(dir->fd, e->name, 0));
}

/* --- directories ------------------------------------------------------------ */

/* Return: 1 if it does not stand under its path any more, 0 if it does. */
static int moved(const struct check_dir *dir)
{
	struct stat a, b;

	if (!dir->up)
		return 0;
	return fstatat(dir->up->fd, strrchr(dir->path, '/') + 1, &a,
		       AT_SYMLINK_NOFOLLOW) ||
	       fstat(dir->fd, &b) || a.st_ino != b.st_ino;
}

static int load_id(struct check *c, struct check_dir *dir,
		   const struct chaosimg_place *place)
{
	int looks = fsck_repairs(c) ? 1 : LOOKS, err = 0;

	for (int i = 0; i < looks; i++) {
		if (i)
			check_pause(c, PAUSE_MS);
		err = chaosimg_dir_load(fsck_of(c)->a, dir->fd, place, dir->id);
		if (!err || fsck_fatal(err) || check_entry_quiet(dir->fd, "."))
			break;
	}
	return err;
}

/* It was being renamed: let it stand here alone. */
static int bind_alone(struct check *c, struct check_dir *dir,
		      const struct chaosimg_place *place)
{
	struct timespec times[2] = { { .tv_nsec = UTIME_OMIT } };
	enum chaosimg_remedy remedy = CHAOSIMG_REMEDY_WOULD;
	struct stat st;

	if (fsck_repairs(c)) {
		remedy = CHAOSIMG_REMEDY_NONE;
		if (!fstat(dir->fd, &st) &&
		    !chaosimg_dir_bind(fsck_of(c)->a, dir->fd, dir->id, place,
				       NULL)) {
			times[1] = st.st_mtim;
			futimens(dir->fd, times);
			remedy = CHAOSIMG_REMEDY_DONE;
		}
	}
	return tell(c, dir, ".", "allowed at a second place, as a rename was interrupted",
		    remedy, "forget that place");
}

static int check_id(struct check *c, struct check_dir *dir,
		    const struct chaosimg_place *place)
{
	uint8_t id[CHAOSIMG_ID_SIZE];
	struct stat st;
	int err;

	if (fstat(dir->fd, &st))
		return fail_errno("%s", dir->path);
	err = idset_add(&fsck_of(c)->dirs, dir->id, st.st_ino);
	if (err == -EEXIST)
		return tell(c, dir, ".", "a copy: another directory has the same id",
			    CHAOSIMG_REMEDY_NONE, NULL);
	if (err || !dir->place_good || dir_peek(dir->fd, id) != 2 ||
	    fsck_in_use(c))
		return err;
	return bind_alone(c, dir, place);
}

/**
 * enter() - learn a directory's id
 * @c: the run
 * @dir: the directory
 * @place: where it was found; NULL for the root
 * @place_known: false if its name does not decrypt
 * Return: 0; 1 if it is not there any more; fatal errors.
 */
static int enter(struct check *c, struct check_dir *dir,
		 const struct chaosimg_place *place, bool place_known)
{
	int err = place_known ? load_id(c, dir, place) : -EIO;

	if (fsck_fatal(err))
		return err;
	if (err && moved(dir))
		return 1;
	dir->place_good = !err;
	if (err && place_known)
		err = tell_error(c, dir, ".", CHAOSIMG_DIR_ENTRY, err);
	else
		err = 0;
	/* The names below tell whether an id is the right one. */
	dir->id_known = dir->place_good || dir_peek(dir->fd, dir->id) > 0;
	if (!err && dir->id_known)
		err = check_id(c, dir, place);
	return err;
}

/* --- entries ---------------------------------------------------------------- */

static int walk(struct check *c, struct check_dir *dir,
		const struct chaosimg_place *place, bool place_known);

/**
 * struct entry - one that is not the library's own
 * @plain: its name; empty if unknown
 * @bound: @binding is known
 * @foreign: its name does not decrypt
 */
struct entry {
	char plain[CHAOSIMG_NAME_MAX + 1];
	uint8_t binding[CHAOSIMG_BINDING_SIZE];
	bool bound;
	bool foreign;
};

static char *join(const char *dir, const char *name)
{
	char *path;

	if (!dir || !*name)
		return NULL;
	return asprintf(&path, "%s%s%s", dir, *dir ? "/" : "", name) < 0 ?
	       NULL : path;
}

static int walk_below(struct check *c, struct check_dir *dir, const char *name,
		      const struct entry *e)
{
	struct chaosimg_place place;
	struct check_dir *below;
	int err = check_dir_open(dir, dir->fd, name, &below);

	if (err == -ENOENT || err == -ENOTDIR)
		return 0;
	if (err)
		return tell_error(c, dir, name, name, err);
	if (c->p->names)
		below->plain = join(dir->plain, e->plain);
	memcpy(place.parent, dir->id, sizeof(place.parent));
	memcpy(place.binding, e->binding, sizeof(place.binding));
	err = walk(c, below, &place, e->bound);
	check_dir_put(below);
	return err;
}

static int push(struct check *c, struct check_dir *dir,
		const struct check_entry *listed, const struct entry *e)
{
	struct check_task *t = check_task_new(dir, listed->name, listed->type);

	if (!t)
		return fail(ENOMEM, "out of memory");
	t->bound = e->bound;
	t->foreign = e->foreign;
	memcpy(t->binding, e->binding, sizeof(t->binding));
	if (c->p->names && e->plain[0])
		t->plain = strdup(e->plain);
	return check_push(c, t);
}

/* Return: 0; 1 if the entry is gone; fatal errors. */
static int decrypt(struct check *c, struct check_dir *dir, const char *name,
		   struct entry *e)
{
	int looks = fsck_repairs(c) ? 1 : LOOKS, err = 0;
	struct stat st;
	char buf[64];

	memset(e, 0, sizeof(*e));
	/* The directory is told of already. */
	if (!dir->id_known)
		return 0;
	for (int i = 0; i < looks; i++) {
		if (i)
			check_pause(c, PAUSE_MS);
		err = chaosimg_name_decrypt(fsck_of(c)->a, dir->id, dir->fd,
					    name, e->plain, e->binding);
		if (!err || fsck_fatal(err))
			break;
		e->plain[0] = '\0';
		if (check_entry_quiet(dir->fd, name))
			break;
	}
	e->bound = !err;
	e->foreign = err != 0;
	if (!err || fsck_fatal(err))
		return err;
	if (fstatat(dir->fd, name, &st, AT_SYMLINK_NOFOLLOW))
		return 1;
	return tell_error(c, dir, name, name_printable(name, buf), err);
}

static int walk_entry(struct check *c, struct check_dir *dir,
		      const struct check_entry *listed,
		      const struct check_list *l)
{
	struct entry e;
	int err;

	if (!listed->type || !strcmp(listed->name, CHAOSIMG_DIR_ENTRY))
		return 0;
	if (check_is_temporary(listed->name))
		return temporary(c, dir, listed);
	if (name_check_form(dir->fd, listed->name) == -ENOENT)
		return companion(c, dir, listed, l);
	err = decrypt(c, dir, listed->name, &e);
	if (err > 0)
		err = 0;
	else if (!err && S_ISDIR(listed->type))
		err = walk_below(c, dir, listed->name, &e);
	else if (!err)
		err = push(c, dir, listed, &e);
	explicit_bzero(&e, sizeof(e));
	return err;
}

static int walk_list(struct check *c, struct check_dir *dir,
		     const struct check_list *l)
{
	int err = 0;

	for (size_t i = 0; !err && i < l->count; i++) {
		/* Names are a function of the stored ones, so only so: */
		if (i && !strcmp(l->entry[i].name, l->entry[i - 1].name))
			err = tell(c, dir, l->entry[i].name,
				   "twice in its directory: check the file system",
				   CHAOSIMG_REMEDY_NONE, NULL);
		else
			err = walk_entry(c, dir, &l->entry[i], l);
	}
	return err;
}

static int walk(struct check *c, struct check_dir *dir,
		const struct chaosimg_place *place, bool place_known)
{
	struct check_list l;
	int err = enter(c, dir, place, place_known);

	if (err)
		return err < 0 ? err : 0;
	err = check_push(c, check_task_new(dir, ".", S_IFDIR));
	if (err)
		return err;
	err = check_list_read(dir->fd, &l);
	if (err)
		return tell_error(c, dir, ".", dir->path, err);
	err = walk_list(c, dir, &l);
	check_list_free(&l);
	return err;
}

int fsck_tree(struct check *c)
{
	struct check_dir *root;
	int err = check_dir_open(NULL, fsck_of(c)->a->fd, DATA, &root);

	if (err)
		return err;
	if (c->p->names) {
		root->plain = strdup("");
		if (!root->plain)
			err = fail(ENOMEM, "out of memory");
	}
	if (!err)
		err = walk(c, root, NULL, true);
	check_dir_put(root);
	return err;
}
